"""Heat of a box furnace: two nodes, a PID loop and a thermocouple that is late.

    C₁ dT₁/dt = P u − G₁₂ (T₁ − T₂) − G_door (T₁ − T_a)·open
    C₂ dT₂/dt = G₁₂ (T₁ − T₂) − G₂ₐ (T₂ − T_a)

Node 1 is the chamber with its elements and the load, node 2 the lining; T_a is the room.
Each step solves the linear equations exactly (matrix exponential), on a fixed 5 s grid that
belongs to the furnace: how time is cut by the callers changes nothing.
"""

import math
from collections import deque
from functools import lru_cache

import numpy as np
from scipy.linalg import expm

STEP_S = 5.0
ROOM_C = 25.0

CHAMBER_J_PER_K = 4_000.0
LINING_J_PER_K = 14_000.0
CHAMBER_TO_LINING_W_PER_K = 1.5
LINING_TO_ROOM_W_PER_K = 1.2
DOOR_W_PER_K = 2.35
"""Open door: natural convection and radiation, so that 300 → 100 °C takes about an hour."""

POWER_W = 1_800.0
RESERVE = 1.6
"""Elements are chosen this much stronger than it takes to hold the highest temperature."""

GAIN_PERCENT_PER_C = 2.5
INTEGRAL_S = 700.0
DERIVATIVE_S = 8.0

_LONG_COOLING_STEPS = 100


@lru_cache(maxsize=16)
def _propagator(door_open: bool, steps: int) -> tuple[tuple[float, float, float], ...]:
    """Rows of the map from (T₁−T_a, T₂−T_a, heating W) over whole steps, in floats."""
    g12, g2a = CHAMBER_TO_LINING_W_PER_K, LINING_TO_ROOM_W_PER_K
    door = DOOR_W_PER_K if door_open else 0.0
    rates = np.array(
        [
            [-(g12 + door) / CHAMBER_J_PER_K, g12 / CHAMBER_J_PER_K, 1.0 / CHAMBER_J_PER_K],
            [g12 / LINING_J_PER_K, -(g12 + g2a) / LINING_J_PER_K, 0.0],
            [0.0, 0.0, 0.0],
        ]
    )
    rows = expm(rates * STEP_S * steps)[:2]
    return tuple((float(a), float(b), float(c)) for a, b, c in rows)


class FurnaceThermals:
    """Chamber of one furnace and the loop that controls it.

    Args:
        rng: Source of what differs between furnaces: thermocouple offset and delay, power.
        max_temperature_c: Highest setpoint of the furnace; its elements match it, and an
            independent limiter cuts them 60 °C above.
    """

    def __init__(self, rng: np.random.Generator, max_temperature_c: float) -> None:
        resistance_k_per_w = 1 / CHAMBER_TO_LINING_W_PER_K + 1 / LINING_TO_ROOM_W_PER_K
        holding_w = (max_temperature_c - ROOM_C) / resistance_k_per_w
        self._power_w = max(POWER_W, RESERVE * holding_w)
        self._limit_c = max_temperature_c + 60.0
        self._offset_per_c = float(rng.normal(0.0, 0.0015))
        self._delay_steps = int(rng.integers(2, 7))
        self._chamber_k = 0.0
        self._lining_k = 0.0
        self._seen: deque[float] = deque([0.0] * (self._delay_steps + 1))
        self._integral_percent = 0.0
        self._last_measured_c = ROOM_C
        self._output_percent = 0.0
        self._pending_s = 0.0

    @property
    def temperature_c(self) -> float:
        """True temperature of the chamber."""
        return ROOM_C + self._chamber_k

    @property
    def measured_c(self) -> float:
        """What the controller shows: late by 10–30 s, off by its calibration, whole °C."""
        return float(math.floor(self._sensor_c() + 0.5))

    @property
    def output_percent(self) -> float:
        """Power to the elements, 0 to 100 %."""
        return self._output_percent

    def advance(self, duration_s: float, setpoint_c: float | None, door_open: bool) -> None:
        """Let time pass.

        Args:
            duration_s: How long; what is left of the 5 s grid is kept for the next call.
            setpoint_c: Working setpoint at the end of it; None switches the elements off.
            door_open: Whether the chamber is open to the room.

        Raises:
            ValueError: If time would run backwards.
        """
        if duration_s < 0:
            raise ValueError(f"cannot advance a furnace by {duration_s:g} s; time only grows")
        self._pending_s += duration_s
        steps = int((self._pending_s + 1e-9) // STEP_S)
        self._pending_s = max(0.0, self._pending_s - steps * STEP_S)
        if setpoint_c is None and steps > _LONG_COOLING_STEPS:
            skipped = steps - len(self._seen)
            self._switch_off()
            self._move(door_open, skipped)
            steps -= skipped
        for _ in range(steps):
            if setpoint_c is None:
                self._switch_off()
            else:
                self._control(setpoint_c)
            self._move(door_open, 1)
            self._seen.append(self._chamber_k)
            self._seen.popleft()

    def _sensor_c(self) -> float:
        rise_k = self._seen[0]
        return ROOM_C + rise_k * (1.0 + self._offset_per_c)

    def _move(self, door_open: bool, steps: int) -> None:
        heating_w = self._power_w * self._output_percent / 100.0
        (a, b, c), (d, e, f) = _propagator(door_open, steps)
        chamber_k, lining_k = self._chamber_k, self._lining_k
        self._chamber_k = a * chamber_k + b * lining_k + c * heating_w
        self._lining_k = d * chamber_k + e * lining_k + f * heating_w

    def _switch_off(self) -> None:
        self._output_percent = 0.0
        self._integral_percent = 0.0
        self._last_measured_c = self._sensor_c()

    def _control(self, setpoint_c: float) -> None:
        """PID with derivative on the measurement; the integral stops at the limits."""
        measured_c = self._sensor_c()
        error_c = setpoint_c - measured_c
        rate_c_per_s = (measured_c - self._last_measured_c) / STEP_S
        self._last_measured_c = measured_c
        proportional = GAIN_PERCENT_PER_C * (error_c - DERIVATIVE_S * rate_c_per_s)
        integral = self._integral_percent + (GAIN_PERCENT_PER_C * error_c * STEP_S / INTEGRAL_S)
        wanted = proportional + integral
        saturated = (wanted > 100.0 and error_c > 0) or (wanted < 0.0 and error_c < 0)
        if not saturated:
            self._integral_percent = min(100.0, max(0.0, integral))
        self._output_percent = min(100.0, max(0.0, proportional + self._integral_percent))
        if measured_c > self._limit_c:
            self._output_percent = 0.0
