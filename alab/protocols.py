"""What the laboratory needs from a device: one small protocol a capability.

A physical verb comes in two halves, so that a laboratory that was killed in between can
re-attach: ``start_…`` sends it and returns as soon as the device has acknowledged;
``finish_…`` waits, with a bound, until it is done. ``finish_…`` may be called by another
process than the one that called ``start_…``; a device that stands still by then has not
done it for that alone (its power may have failed): without evidence, ``finish_…`` raises
``UnknownOutcome``. All waiting goes through the clock that the
driver was given; only the reply to one request is awaited in real seconds.

Every method may raise :class:`alab.errors.DeviceUnreachable`, ``MalformedReply`` or
``DeviceFault``; ``start_…`` also raises ``CommandRejected`` (declined, nothing happened)
and ``UnknownOutcome`` (sent, reply lost).
"""

from typing import Protocol, runtime_checkable

from alab.models import Atmosphere, DoorState, FurnaceReading, Profile, Scan, Weighing


@runtime_checkable
class Device(Protocol):
    """What every device promises."""

    @property
    def name(self) -> str:
        """Name of the device in the lab file."""
        ...

    async def connect(self) -> str:
        """Open the line, check that the right kind of device answers.

        Returns:
            What the device says it is (model, serial number, program version).
        """
        ...

    async def close(self) -> None:
        """Release the line; never raises, and may be called twice."""
        ...

    async def make_safe(self) -> None:
        """Bring the device into the state that is safe without supervision.

        A furnace resets its program and cools; a doser or mixer stops; an arm pauses.
        """
        ...


@runtime_checkable
class Doser(Device, Protocol):
    """A balance that doses powder from a head into the vessel on its pan."""

    async def weigh(self) -> Weighing:
        """Wait for a stable reading of the gross mass on the pan and return it.

        The pan is never tared between doses: gross readings before and after a dose
        tell what was dosed even if everything in between was lost.
        """
        ...

    async def mounted_substance(self) -> str | None:
        """Return what the mounted head says it holds (formula), None without a head."""
        ...

    async def start_dose(self, *, mass_mg: float, tolerance_percent: float) -> None:
        """Begin to dose ``mass_mg`` from the mounted head onto the pan."""
        ...

    async def finish_dose(self) -> None:
        """Wait until dosing has ended.

        Raises:
            DeviceFault: If the device gave up (powder flow, unstable, time-out, head).
        """
        ...


@runtime_checkable
class Mixer(Device, Protocol):
    """A mixer that takes a closed crucible."""

    async def start_mixing(self, *, speed_rpm: float, duration_s: float) -> None:
        """Begin to mix."""
        ...

    async def finish_mixing(self) -> None:
        """Wait until the mixer stands still after the set time.

        Raises:
            UnknownOutcome: If it stands and was not told to: nobody knows since when.
        """
        ...

    async def is_mixing(self) -> bool:
        """Tell whether the mixer turns."""
        ...


@runtime_checkable
class RobotArm(Device, Protocol):
    """An arm that plays programs stored on its controller (see alab.programs)."""

    async def check_fit(self) -> None:
        """Ask whether it could start a program now; changes nothing.

        Raises:
            CommandRejected: If it stands in somebody else's hands, is busy, paused or off.
            DeviceFault: If its safety system has stopped it.
        """
        ...

    async def start_program(self, program: str) -> None:
        """Load and play ``program``; refuse unless idle, safe and in remote control."""
        ...

    async def finish_program(self, program: str) -> None:
        """Wait until ``program`` has ended by itself.

        Raises:
            DeviceFault: On a protective stop, a pop-up, lost remote mode, or time-out.
            UnknownOutcome: If the arm stands, and may not have come to its end.
        """
        ...

    async def running_program(self) -> str | None:
        """Return the program that plays now, None while the arm stands."""
        ...


@runtime_checkable
class Furnace(Device, Protocol):
    """A furnace that runs heating programs."""

    async def start_firing(self, profile: Profile, atmosphere: Atmosphere) -> None:
        """Check the envelope, write the program, read it back, run, verify it runs."""
        ...

    async def runs_profile(self, profile: Profile) -> bool:
        """Tell whether the controller's program registers hold ``profile``."""
        ...

    async def read(self) -> FurnaceReading:
        """Measure temperature, setpoint and program state."""
        ...


@runtime_checkable
class Door(Device, Protocol):
    """A motorised furnace door. A command states a target, never a toggle."""

    async def state(self) -> DoorState:
        """Ask where the door is."""
        ...

    async def open(self) -> None:
        """Be open: returns once the limit switch says so, at once if it is."""
        ...

    async def shut(self) -> None:
        """Be closed: returns once the limit switch says so, at once if it is."""
        ...


@runtime_checkable
class Diffractometer(Device, Protocol):
    """A powder diffractometer with numbered sample positions."""

    async def start_scan(self, *, sample: str, position: int, program: str) -> None:
        """Register ``sample`` at ``position`` (from 1) and begin to measure it."""
        ...

    async def finish_scan(self, *, sample: str) -> Scan:
        """Wait for the measurement to end and fetch the file of this very sample."""
        ...

    async def measuring(self) -> str | None:
        """Return the sample that is being measured, None while idle."""
        ...
