"""A furnace whose controller also moves its door: physics and commands, no wire.

States and their names follow OPC 30500-1 (LADS). Commands raise :class:`Refused` with
the OPC UA status code that the server answers.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import asyncua.ua

from alab.models import Atmosphere
from simulators.furnaces.chamber import Chamber
from simulators.furnaces.programmer import STEP_S, Programmer, ProgramState, Step
from simulators.world.remembered import Remembered
from simulators.world.world import World

ua: Any = asyncua.ua

TEMPLATE = "HeatingProgram"
HOLDBACK_C = 30.0
MAX_STEPS = 64
OPENING_S = (26.5, 27.5)
CLOSING_S = (29.0, 30.0)
JAM_TIMEOUT_S = 60.0

_RUNNING_STATES = {
    ProgramState.RESET: "Idle",
    ProgramState.RUN: "Execute",
    ProgramState.HOLD: "Held",
    ProgramState.HOLDBACK: "Suspended",
    ProgramState.COMPLETE: "Complete",
}


class Refused(Exception):  # noqa: N818
    """A method was declined.

    Attributes:
        code: OPC UA status code.
    """

    def __init__(self, code: int) -> None:
        super().__init__(ua.StatusCode(code).name)
        self.code = code


class Cover(Remembered):
    """The motorised door, with a limit switch at either end.

    Attributes:
        state: ``Closed``, ``Opened``, ``Opening``, ``Closing`` or ``Error``.
        jammed: Fault: it never arrives when closing.
    """

    remembered = ("state", "jammed", "_moves", "_arrives_s")

    def __init__(self, world: World, name: str) -> None:
        self.state = "Closed"
        self.jammed = False
        self._world = world
        self._name = name
        self._moves = 0
        self._arrives_s = 0.0

    def move(self, target: str, now_s: float) -> None:
        """Go to ``Opened`` or ``Closed``; nothing happens if it is there."""
        moving, times_s = (
            ("Opening", OPENING_S) if target == "Opened" else ("Closing", CLOSING_S)
        )
        if self.state in (target, moving):
            return
        self._moves += 1
        self._arrives_s = now_s + self._world.rng(self._name, "move", self._moves).uniform(
            *times_s
        )
        if self.jammed and target == "Closed":
            self._arrives_s = now_s + JAM_TIMEOUT_S
        self.state = moving
        self._world.mark(self._name)
        self._world.open_doors.add(self._name)

    def advance(self, now_s: float) -> None:
        """Arrive, if it is time."""
        if self.state not in ("Opening", "Closing") or now_s < self._arrives_s:
            return
        if self.state == "Opening":
            self.state = "Opened"
        elif self.jammed:
            self.state = "Error"
        else:
            self.state = "Closed"
            self._world.mark(self._name)
            self._world.open_doors.discard(self._name)


@dataclass(slots=True, eq=False)
class LadsFurnace(Remembered):
    """The functional unit: chamber, programmer, cover, lock.

    Attributes:
        chamber: The furnace; its faults are set there.
        cover: The door.
        gases: Atmospheres on offer.
        programmer: The program under way.
        at_s: Laboratory time that the physics has reached.
        local_mode: Fault: somebody works at the panel; remote commands are refused.
        locked_by: Context of the client that holds the lock, empty if nobody does.
        quality: Fault: status code of the temperature.
    """

    remembered = (
        "chamber",
        "cover",
        "programmer",
        "at_s",
        "local_mode",
        "locked_by",
        "quality",
        "properties",
        "job_id",
        "runs",
        "_aborted",
    )

    chamber: Chamber
    cover: Cover
    gases: tuple[Atmosphere, ...]
    programmer: Programmer = field(default_factory=Programmer)
    at_s: float = 0.0
    local_mode: bool = False
    locked_by: str = ""
    quality: int = ua.StatusCodes.Good
    properties: tuple[str, ...] = ()
    job_id: str = ""
    runs: int = 0
    _aborted: bool = False

    def advance(self, now_s: float) -> None:
        """Catch up with laboratory time."""
        self.cover.advance(now_s)
        steps = int((now_s - self.at_s) // STEP_S)
        if steps <= 0:
            return
        if self.chamber.is_cold and self.programmer.setpoint_c is None:
            self.chamber.advance(steps * STEP_S, None)
        else:
            for _ in range(steps):
                self._advance_step()
        self.at_s += steps * STEP_S

    def _advance_step(self) -> None:
        if self.chamber.sensor_break or self.chamber.limiter_tripped:
            self.abort()
        self.programmer.advance(STEP_S, self.chamber.measured_c)
        self.chamber.advance(STEP_S, self.programmer.setpoint_c)

    @property
    def state(self) -> str:
        """State of the functional unit."""
        if self._aborted or self.chamber.sensor_break or self.chamber.limiter_tripped:
            return "Aborted"
        return "Stopped" if self.programmer.state is ProgramState.RESET else "Running"

    @property
    def running_state(self) -> str:
        """State within Running."""
        return _RUNNING_STATES[self.programmer.state]

    @property
    def temperature_status(self) -> int:
        """Quality of the measured temperature."""
        if self.chamber.sensor_break:
            return ua.StatusCodes.BadSensorFailure
        return self.quality

    def start_program(self, template: str, properties: list[str], job_id: str) -> str:
        """Run a heating program.

        Args:
            template: Name of a program template.
            properties: ``Profile=<JSON>`` with a list of ramp_c_per_min, temperature_c and
                dwell_s, and ``Atmosphere=<gas>``.
            job_id: Whatever the supervisor calls it.

        Returns:
            The device's identifier of this run.
        """
        self._refuse_in_local_mode()
        if template != TEMPLATE:
            raise Refused(ua.StatusCodes.BadNotFound)
        if self.state == "Aborted" or self.programmer.is_active or self.chamber.is_door_open:
            raise Refused(ua.StatusCodes.BadInvalidState)
        given = dict(text.split("=", 1) for text in properties if "=" in text)
        try:
            segments = json.loads(given["Profile"])["segments"]
            gas = Atmosphere(given["Atmosphere"])
            steps = [
                Step(
                    target_c=float(segment["temperature_c"]),
                    rate_c_per_s=float(segment["ramp_c_per_min"]) / 60.0,
                    duration_s=float(segment["dwell_s"]),
                )
                for segment in segments
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise Refused(ua.StatusCodes.BadInvalidArgument) from error
        self._refuse_out_of_range(steps, gas)
        self.chamber.atmosphere = gas
        self.programmer.holdback_c = HOLDBACK_C
        self.programmer.run(steps, self.chamber.measured_c)
        self.properties, self.job_id = tuple(properties), job_id
        self.runs += 1
        return f"run-{self.runs}"

    def stop(self) -> None:
        """End the program; the furnace cools."""
        self._refuse_in_local_mode()
        self.programmer.reset()

    def abort(self) -> None:
        """End the program because something is wrong."""
        self.programmer.reset()
        self._aborted = True

    def clear(self) -> None:
        """Leave Aborted, if its cause is gone; the limiter is not ours to clear."""
        self._refuse_in_local_mode()
        if self.chamber.limiter_tripped or self.chamber.sensor_break:
            raise Refused(ua.StatusCodes.BadInvalidState)
        self._aborted = False

    def hold_at_panel(self) -> None:
        """Somebody presses HOLD."""
        self.chamber.mark()
        self.programmer.held = True
        if self.programmer.is_active:
            self.programmer.state = ProgramState.HOLD

    def release_at_panel(self) -> None:
        """Somebody presses RUN."""
        self.chamber.mark()
        self.programmer.held = False

    def move_cover(self, target: str, now_s: float) -> None:
        """Open or close the door, not while a program runs."""
        self._refuse_in_local_mode()
        if target == "Opened" and self.programmer.is_active:
            raise Refused(ua.StatusCodes.BadInvalidState)
        self.cover.move(target, now_s)

    def take_lock(self, context: str) -> int:
        """Lock for ``context``; 0 is granted, -1 somebody else has it."""
        if self.locked_by not in ("", context):
            return -1
        self.locked_by = context
        return 0

    def _refuse_in_local_mode(self) -> None:
        if self.local_mode:
            raise Refused(ua.StatusCodes.BadUserAccessDenied)

    def _refuse_out_of_range(self, steps: list[Step], gas: Atmosphere) -> None:
        hottest_c = max((step.target_c or 0.0 for step in steps), default=None)
        if hottest_c is None or len(steps) > MAX_STEPS or gas not in self.gases:
            raise Refused(ua.StatusCodes.BadInvalidArgument)
        if hottest_c > self.chamber.limiter_c or any(step.rate_c_per_s <= 0 for step in steps):
            raise Refused(ua.StatusCodes.BadOutOfRange)
