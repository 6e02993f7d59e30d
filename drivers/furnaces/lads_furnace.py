"""A furnace over OPC UA, shaped like LADS (OPC 30500-1).

The functional unit runs a heating program: ``StartProgram`` takes the template, properties
(``Profile=<JSON>``, ``Atmosphere=<gas>``) and the laboratory's job identifier, a digest of
the profile. ``ActiveProgram.Properties`` gives the profile back, which is how a laboratory
that was restarted knows what the furnace is doing.
"""

import hashlib
import json
import logging
import math
from dataclasses import asdict
from typing import Any

from alab.clock import Clock
from alab.errors import (
    CommandRejected,
    DeviceError,
    DeviceFault,
    DeviceUnreachable,
    MalformedReply,
    UnknownOutcome,
)
from alab.lab import Address, DeviceDefinition
from alab.models import Atmosphere, FurnaceMode, FurnaceReading, Profile
from drivers.furnaces.envelope import check_envelope
from drivers.furnaces.lads_device import LadsDevice, Path
from drivers.transport import Lines, ReplyLost

log = logging.getLogger(__name__)

TEMPLATE = "HeatingProgram"
SUPERVISOR = "alab"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0

_UNIT: Path = ("LADS:FunctionalUnitState",)
_STATE: Path = (*_UNIT, "0:CurrentState")
_RUNNING_STATE: Path = (*_UNIT, "LADS:RunningStateMachine", "0:CurrentState")
_ACTIVE: Path = ("LADS:ProgramManager", "LADS:ActiveProgram")
_STEP: Path = (*_ACTIVE, "LADS:CurrentStepNumber")
_STEP_LEFT: Path = (*_ACTIVE, "LADS:EstimatedStepRuntime")
_PROPERTIES: Path = (*_ACTIVE, "LADS:Properties")
_LOCK: Path = ("DI:Lock",)

_STATES = {
    "Stopped": FurnaceMode.IDLE,
    "Stopping": FurnaceMode.RUNNING,  # not safe to call idle until it has stopped
    "Aborting": FurnaceMode.FAULT,
    "Aborted": FurnaceMode.FAULT,
    "Clearing": FurnaceMode.FAULT,
}
_RUNNING_STATES = {
    "Idle": FurnaceMode.IDLE,
    "Starting": FurnaceMode.RUNNING,
    "Execute": FurnaceMode.RUNNING,
    "Holding": FurnaceMode.HOLDING,
    "Held": FurnaceMode.HOLDING,
    "Unholding": FurnaceMode.HOLDING,
    "Suspending": FurnaceMode.HOLDBACK,
    "Suspended": FurnaceMode.HOLDBACK,
    "Unsuspending": FurnaceMode.HOLDBACK,
    "Completing": FurnaceMode.RUNNING,
    "Complete": FurnaceMode.COMPLETE,
    "Resetting": FurnaceMode.IDLE,
}
_UNDER_WAY = (FurnaceMode.RUNNING, FurnaceMode.HOLDING, FurnaceMode.HOLDBACK)


class LadsFurnace:
    """The furnace of a LADS device.

    Args:
        name: Name of the device in the lab file.
        definition: Its envelope.
        client: Client of its server, shared with the cover.
        function: Browse name of the temperature function (address option ``function``).
        clock: Laboratory time.
    """

    def __init__(
        self,
        name: str,
        definition: DeviceDefinition,
        client: LadsDevice,
        function: str,
        clock: Clock,
    ) -> None:
        self.name = name
        self._definition = definition
        self._client = client
        self._clock = clock
        temperature: Path = ("LADS:FunctionSet", f"*:{function}")
        self._current: Path = (*temperature, "LADS:CurrentValue")
        self._target: Path = (*temperature, "LADS:TargetValue")

    async def connect(self) -> str:
        """Connect, and check that the temperature function is there."""
        plate = await self._client.connect(self.name)
        await self._mode()
        return plate

    async def close(self) -> None:
        """Release the server."""
        await self._client.close(self.name)

    async def make_safe(self) -> None:
        """Stop the program and see it stopped."""
        mode = await self._mode()
        if mode in (FurnaceMode.IDLE, FurnaceMode.FAULT):
            return  # no program runs, the output is off
        await self._client.call(self.name, (*_UNIT, "LADS:Stop"))
        deadline_s = self._clock.monotonic_s() + STOP_TIMEOUT_S
        while (mode := await self._mode()) in (*_UNDER_WAY, FurnaceMode.COMPLETE):
            if self._clock.monotonic_s() >= deadline_s:
                raise DeviceFault(
                    self.name,
                    f"Stop was accepted, yet it is {mode} after {STOP_TIMEOUT_S:g} s; stop it "
                    "at the panel",
                )
            await self._clock.sleep(1.0)

    async def start_firing(self, profile: Profile, atmosphere: Atmosphere) -> None:
        """Check the envelope, lock, start the program, read it back, see it run."""
        check_envelope(self.name, self._definition, profile, atmosphere)
        await self._check_free()
        await self._take_lock()
        try:
            await self._start(profile, atmosphere)
        finally:
            await self._release_lock()

    async def runs_profile(self, profile: Profile) -> bool:
        """Tell whether the active program is ``profile``."""
        found = await self._client.read(self.name, _PROPERTIES)
        given = dict(text.split("=", 1) for text in found[0] or [] if "=" in text)
        try:
            return json.loads(given.get("Profile", "null")) == _as_table(profile)
        except json.JSONDecodeError as error:
            raise MalformedReply(
                self.name, f"ActiveProgram.Properties holds no JSON profile: {given}"
            ) from error

    async def read(self) -> FurnaceReading:
        """Measure temperature, setpoint and program state.

        Raises:
            DeviceFault: Also if the temperature is of bad quality (sensor break).
            MalformedReply: Also if a value is no finite number, whatever its quality.
        """
        temperature_c, target_c, state, running, step, left_s = await self._client.read(
            self.name,
            self._current,
            self._target,
            _STATE,
            _RUNNING_STATE,
            _STEP,
            _STEP_LEFT,
        )
        mode = self._mode_of(state, running)
        under_way = mode in _UNDER_WAY
        return FurnaceReading(
            temperature_c=self._finite(temperature_c, "CurrentValue"),
            setpoint_c=self._finite(target_c, "TargetValue") if under_way else None,
            mode=mode,
            segment=int(step) if under_way else 0,
            seconds_left=self._finite(left_s, "EstimatedStepRuntime") if under_way else None,
        )

    def _finite(self, value: object, what: str) -> float:
        if isinstance(value, (int, float)) and math.isfinite(value):
            return float(value)
        raise MalformedReply(
            self.name, f"{what} is {value!r}, no finite number; look at sensor and controller"
        )

    async def _mode(self) -> FurnaceMode:
        return self._mode_of(*await self._client.read(self.name, _STATE, _RUNNING_STATE))

    def _mode_of(self, state: str, running: str) -> FurnaceMode:
        table, text = (_RUNNING_STATES, running) if state == "Running" else (_STATES, state)
        if text not in table:
            raise MalformedReply(
                self.name, f"its state is {state!r}, {running!r}, which LADS does not have"
            )
        return table[text]

    async def _check_free(self) -> None:
        mode = await self._mode()
        if mode is FurnaceMode.FAULT:
            raise DeviceFault(
                self.name,
                "it has aborted; an operator must find out why and clear it at the panel",
            )
        if mode in _UNDER_WAY:
            raise CommandRejected(
                self.name, f"a program is {mode}; wait for it, or make the furnace safe first"
            )

    async def _take_lock(self) -> None:
        status = await self._client.call(self.name, (*_LOCK, "DI:InitLock"), SUPERVISOR)
        if status != 0:
            holder = (await self._client.read(self.name, (*_LOCK, "DI:LockingClient")))[0]
            raise CommandRejected(
                self.name, f"{holder!r} has locked it (InitLock gave {status}); ask there"
            )

    async def _release_lock(self) -> None:
        try:
            await self._client.call(self.name, (*_LOCK, "DI:ExitLock"))
        except DeviceError as error:
            log.warning("the lock will expire by itself: %s", error)

    async def _start(self, profile: Profile, atmosphere: Atmosphere) -> None:
        text = json.dumps(_as_table(profile))
        properties = [f"Profile={text}", f"Atmosphere={atmosphere}"]
        job = hashlib.sha256(text.encode()).hexdigest()[:16]
        try:
            await self._client.call(
                self.name, (*_UNIT, "LADS:StartProgram"), TEMPLATE, properties, job
            )
        except (ReplyLost, MalformedReply) as error:
            raise UnknownOutcome(
                self.name,
                f"StartProgram was called and its reply lost ({error}); ask for state and "
                "program, never call it again",
            ) from error
        try:
            await self._see_it_run(profile)
        except (DeviceUnreachable, MalformedReply) as error:
            raise UnknownOutcome(
                self.name, f"StartProgram was accepted, then the link failed ({error})"
            ) from error

    async def _see_it_run(self, profile: Profile) -> None:
        if not await self.runs_profile(profile):
            await self.make_safe()
            raise CommandRejected(
                self.name,
                "ActiveProgram does not hold the profile that was sent; the program was "
                "stopped, look for another client of this furnace",
            )
        deadline_s = self._clock.monotonic_s() + START_TIMEOUT_S
        while True:
            mode = await self._mode()
            step: Any = (await self._client.read(self.name, _STEP))[0]
            if mode in (FurnaceMode.RUNNING, FurnaceMode.HOLDBACK) and step >= 1:
                return
            if self._clock.monotonic_s() >= deadline_s:
                raise CommandRejected(
                    self.name,
                    f"StartProgram was accepted, yet it is {mode} in step {step} after "
                    f"{START_TIMEOUT_S:g} s",
                )
            await self._clock.sleep(1.0)


def _as_table(profile: Profile) -> dict[str, Any]:
    return {"segments": [asdict(segment) for segment in profile.segments]}


def make(name: str, definition: DeviceDefinition, lines: Lines, clock: Clock) -> LadsFurnace:
    """Make the driver of the furnace; opens no connection yet."""
    address = Address.parse(definition.address)
    client = lines.share(address.port, lambda: LadsDevice(address.port))
    function = address.option("function", "Temperature")
    return LadsFurnace(name, definition, client, function, clock)
