"""The physical commands: what the gateway writes down before it sends anything.

A command knows how to start, how to finish, and how to find out after a crash or a lost
reply whether the device ever began (``was_started``: yes, no, or None when no sensor can
tell). Arguments are plain JSON values, as they are stored with the intent.
"""

from abc import abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Generic, TypeVar

from alab.models import Atmosphere, FurnaceMode, Profile, Scan
from alab.protocols import Device, Diffractometer, Door, Doser, Furnace, Mixer, RobotArm

D = TypeVar("D", bound=Device)

NOTICEABLE_MASS_MG = 1.0
"""A change of the gross mass above this means that powder has come out of the head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Generic[D]):
    """Base of all physical commands."""

    word: ClassVar[str]
    restatable: ClassVar[bool] = False
    """It states a target: asked again it is checked and sent anew, never re-attached to."""

    @property
    def arguments(self) -> dict[str, Any]:
        """The command's fields as JSON values."""
        return asdict(self)

    @abstractmethod
    async def start(self, device: D) -> None:
        """Send it; returns once the device has acknowledged."""

    @abstractmethod
    async def finish(self, device: D) -> dict[str, Any]:
        """Wait until it is done, and return what came of it as JSON values."""

    @abstractmethod
    async def was_started(self, device: D) -> bool | None:
        """Ask the device whether it ever began; None if it cannot tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dose(Command[Doser]):
    """Dose powder onto the pan.

    Attributes:
        substance: What the head must hold.
        mass_mg: How much.
        tolerance_percent: How exactly.
        before_mg: Gross mass on the pan before: what was dosed is always a difference of
            two weighings, whatever was lost in between.
    """

    word: ClassVar[str] = "dose"
    substance: str
    mass_mg: float
    tolerance_percent: float
    before_mg: float

    async def start(self, device: Doser) -> None:
        """Begin to dose."""
        await device.start_dose(mass_mg=self.mass_mg, tolerance_percent=self.tolerance_percent)

    async def finish(self, device: Doser) -> dict[str, Any]:
        """Wait for the end and weigh."""
        await device.finish_dose()
        after_mg = (await device.weigh()).mass_mg
        return {"dosed_mg": round(after_mg - self.before_mg, 4)}

    async def was_started(self, device: Doser) -> bool | None:
        """Powder on the pan says yes; an unchanged mass says that nothing was dosed."""
        return (await device.weigh()).mass_mg - self.before_mg > NOTICEABLE_MASS_MG


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix(Command[Mixer]):
    """Mix the crucible in the mixer."""

    word: ClassVar[str] = "mix"
    speed_rpm: float
    duration_s: float

    async def start(self, device: Mixer) -> None:
        """Begin to mix."""
        await device.start_mixing(speed_rpm=self.speed_rpm, duration_s=self.duration_s)

    async def finish(self, device: Mixer) -> dict[str, Any]:
        """Wait until it stands still."""
        await device.finish_mixing()
        return {}

    async def was_started(self, device: Mixer) -> bool | None:
        """A turning mixer says yes; a still one may have finished, or never begun."""
        return True if await device.is_mixing() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgram(Command[RobotArm]):
    """Play an arm program.

    Attributes:
        program: Name on the arm's controller.
        takes_from: Slot it empties, if any.
        puts_into: Slot it fills, if any.
        reaches_into: Further slots it moves over (holders).
    """

    word: ClassVar[str] = "run_program"
    program: str
    takes_from: str | None = None
    puts_into: str | None = None
    reaches_into: str | None = None

    async def start(self, device: RobotArm) -> None:
        """Load and play."""
        await device.start_program(self.program)

    async def finish(self, device: RobotArm) -> dict[str, Any]:
        """Wait until it has ended."""
        await device.finish_program(self.program)
        return {}

    async def was_started(self, device: RobotArm) -> bool | None:
        """A running program says yes; a standing arm may have finished, or never moved."""
        return True if await device.running_program() == self.program else None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFiring(Command[Furnace]):
    """Write a heating program, verify it, and run it."""

    word: ClassVar[str] = "start_firing"
    profile: Profile
    atmosphere: Atmosphere

    async def start(self, device: Furnace) -> None:
        """Write, read back, run, verify."""
        await device.start_firing(self.profile, self.atmosphere)

    async def finish(self, device: Furnace) -> dict[str, Any]:
        """Heating goes on by itself; the firing flow watches it."""
        return {"temperature_c": (await device.read()).temperature_c}

    async def was_started(self, device: Furnace) -> bool | None:
        """A running program that is ours says yes, an idle furnace no."""
        mode = (await device.read()).mode
        if mode in (FurnaceMode.RUNNING, FurnaceMode.HOLDBACK, FurnaceMode.COMPLETE):
            return True if await device.runs_profile(self.profile) else None
        return False if mode is FurnaceMode.IDLE else None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDoor(Command[Door]):
    """Be open. Stating a target twice is harmless."""

    word: ClassVar[str] = "open_door"
    restatable: ClassVar[bool] = True

    async def start(self, device: Door) -> None:
        """Nothing to acknowledge: ``open`` waits for the limit switch."""

    async def finish(self, device: Door) -> dict[str, Any]:
        """Open, and wait for the limit switch."""
        await device.open()
        return {}

    async def was_started(self, device: Door) -> bool | None:  # noqa: ARG002
        """It may simply be asked again."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutDoor(Command[Door]):
    """Be closed. Stating a target twice is harmless."""

    word: ClassVar[str] = "shut_door"
    restatable: ClassVar[bool] = True

    async def start(self, device: Door) -> None:
        """Nothing to acknowledge: ``shut`` waits for the limit switch."""

    async def finish(self, device: Door) -> dict[str, Any]:
        """Shut, and wait for the limit switch."""
        await device.shut()
        return {}

    async def was_started(self, device: Door) -> bool | None:  # noqa: ARG002
        """It may simply be asked again."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureScan(Command[Diffractometer]):
    """Measure the sample at a position; measuring twice is harmless."""

    word: ClassVar[str] = "measure_scan"
    sample: str
    position: int
    program: str

    async def start(self, device: Diffractometer) -> None:
        """Register the sample and begin."""
        await device.start_scan(
            sample=self.sample, position=self.position, program=self.program
        )

    async def finish(self, device: Diffractometer) -> dict[str, Any]:
        """Wait for the file of this very sample."""
        scan: Scan = await device.finish_scan(sample=self.sample)
        return {"filename": scan.filename, "content": scan.content.decode("utf-8")}

    async def was_started(self, device: Diffractometer) -> bool | None:
        """Whether it measures this sample now."""
        return await device.measuring() == self.sample
