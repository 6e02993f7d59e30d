"""Setpoint programmers: ramps, dwells, holding at the panel, holdback.

Time goes in steps of :data:`STEP_S` on a fixed grid of laboratory time, so that a program
runs the same way however often somebody looks at it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

STEP_S = 10.0
"""Length of one step of a simulated furnace, in seconds of laboratory time."""


class ProgramState(Enum):
    """What a programmer does; the wires translate it."""

    RESET = "reset"
    RUN = "run"
    HOLD = "hold"
    HOLDBACK = "holdback"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Move the setpoint to ``target_c``, then stay for ``duration_s``.

    Attributes:
        target_c: Setpoint at the end; None to stay at the present one.
        rate_c_per_s: Rate of the ramp; infinite for a jump.
        duration_s: Time to stay once the setpoint is there.
    """

    target_c: float | None = None
    rate_c_per_s: float = math.inf
    duration_s: float = 0.0


@dataclass(slots=True)
class Programmer:
    """Runs a list of steps against a measured temperature.

    Attributes:
        state: What it does now.
        step: Step under way, from 1; 0 in reset; the one after the last when complete.
        setpoint_c: Working setpoint; None where the output is off.
        holdback_c: The program waits while the furnace lags by more; None for never.
        held: Held at the panel or by command; the program stands until released.
        stay_on: Keep the last setpoint when the program has ended, instead of cooling.
    """

    state: ProgramState = ProgramState.RESET
    step: int = 0
    setpoint_c: float | None = None
    holdback_c: float | None = None
    held: bool = False
    stay_on: bool = False
    _steps: tuple[Step, ...] = ()
    _stayed_s: float = 0.0

    def run(self, steps: Sequence[Step], measured_c: float) -> None:
        """Start from the measured temperature (servo to PV)."""
        self._steps = tuple(steps)
        self.step, self._stayed_s = 1, 0.0
        self.setpoint_c, self.state = measured_c, ProgramState.RUN
        self.held = False

    def reset(self) -> None:
        """Stop; the output is off."""
        self._steps = ()
        self.step, self.setpoint_c = 0, None
        self.state, self.held = ProgramState.RESET, False

    @property
    def is_active(self) -> bool:
        """Whether a program is under way, held or not."""
        return self.state in (ProgramState.RUN, ProgramState.HOLD, ProgramState.HOLDBACK)

    @property
    def step_left_s(self) -> float:
        """Time left in the step under way, if nothing holds it up."""
        if not self.is_active or self.setpoint_c is None:
            return 0.0
        step = self._steps[self.step - 1]
        ramp_c = 0.0 if step.target_c is None else abs(step.target_c - self.setpoint_c)
        return ramp_c / step.rate_c_per_s + step.duration_s - self._stayed_s

    def time_left_s(self) -> float:
        """Time left in the whole program, if nothing holds it up."""
        if not self.is_active or self.setpoint_c is None:
            return 0.0
        total_s = self.step_left_s
        present_c = self._steps[self.step - 1].target_c or self.setpoint_c
        for step in self._steps[self.step :]:
            target_c = present_c if step.target_c is None else step.target_c
            total_s += abs(target_c - present_c) / step.rate_c_per_s + step.duration_s
            present_c = target_c
        return total_s

    def advance(self, duration_s: float, measured_c: float) -> None:
        """Let ``duration_s`` pass while the furnace is at ``measured_c``."""
        if not self.is_active or self.setpoint_c is None:
            return
        if self.held:
            self.state = ProgramState.HOLD
            return
        lag_c = self.setpoint_c - measured_c
        if self.holdback_c is not None and lag_c > self.holdback_c:
            self.state = ProgramState.HOLDBACK
            return
        self.state = ProgramState.RUN
        left_s = duration_s
        while left_s > 0 and self.state is ProgramState.RUN:
            left_s = self._advance_step(left_s)

    def _advance_step(self, left_s: float) -> float:
        """Spend time on the step under way; return what is left of it."""
        assert self.setpoint_c is not None  # noqa: S101
        step = self._steps[self.step - 1]
        if step.target_c is not None and self.setpoint_c != step.target_c:
            way_c = step.target_c - self.setpoint_c
            needed_s = abs(way_c) / step.rate_c_per_s
            if needed_s > left_s:
                self.setpoint_c += math.copysign(step.rate_c_per_s * left_s, way_c)
                return 0.0
            self.setpoint_c = step.target_c
            left_s -= needed_s
        stay_s = step.duration_s - self._stayed_s
        if stay_s > left_s:
            self._stayed_s += left_s
            return 0.0
        self._next_step()
        return left_s - stay_s

    def _next_step(self) -> None:
        self.step, self._stayed_s = self.step + 1, 0.0
        if self.step > len(self._steps):
            self.state = ProgramState.COMPLETE
            if not self.stay_on:
                self.setpoint_c = None
