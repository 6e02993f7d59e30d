"""The programmer follows its steps to the second, and waits when it should."""

import math

import pytest

from simulators.furnaces.programmer import STEP_S, Programmer, ProgramState, Step

STEPS = (
    Step(target_c=125.0, rate_c_per_s=1.0),  # 100 s from 25 °C
    Step(duration_s=45.0),
    Step(target_c=75.0, rate_c_per_s=2.0, duration_s=10.0),  # 25 s, then 10 s
)


def follow(programmer: Programmer, seconds: float, step_s: float = STEP_S) -> None:
    """Let the furnace follow its setpoint perfectly."""
    for _ in range(round(seconds / step_s)):
        programmer.advance(step_s, programmer.setpoint_c or 25.0)


def started(**settings: float) -> Programmer:
    programmer = Programmer(**settings)  # type: ignore[arg-type]
    programmer.run(STEPS, 25.0)
    return programmer


@pytest.mark.parametrize(
    ("at_s", "step", "setpoint_c", "left_s"),
    [(0, 1, 25.0, 100.0), (50, 1, 75.0, 50.0), (120, 2, 125.0, 25.0), (160, 3, 95.0, 20.0)],
)
def test_setpoint_and_time_left(
    at_s: float, step: int, setpoint_c: float, left_s: float
) -> None:
    programmer = started()
    follow(programmer, at_s)
    assert programmer.step == step
    assert programmer.setpoint_c == pytest.approx(setpoint_c)
    assert programmer.step_left_s == pytest.approx(left_s)
    assert programmer.time_left_s() == pytest.approx(180.0 - at_s)


def test_it_ends_with_the_output_off() -> None:
    programmer = started()
    follow(programmer, 180)
    assert programmer.state is ProgramState.COMPLETE
    assert programmer.setpoint_c is None
    assert programmer.time_left_s() == 0


def test_how_time_is_cut_changes_nothing() -> None:
    fine, coarse = started(), started()
    follow(fine, 150, step_s=0.5)
    follow(coarse, 150, step_s=50)
    assert fine.setpoint_c == pytest.approx(coarse.setpoint_c)
    assert fine.step == coarse.step


def test_held_it_stands_for_ever() -> None:
    programmer = started()
    follow(programmer, 50)
    programmer.held = True
    programmer.advance(1e6, 75.0)
    assert programmer.state is ProgramState.HOLD
    assert programmer.setpoint_c == 75.0
    programmer.held = False
    follow(programmer, 10)
    assert programmer.state is ProgramState.RUN


def test_holdback_waits_for_the_furnace() -> None:
    programmer = started(holdback_c=20.0)
    programmer.advance(50.0, 25.0)
    programmer.advance(50.0, 54.0)  # lags by 21 °C
    assert programmer.state is ProgramState.HOLDBACK
    assert programmer.setpoint_c == 75.0
    programmer.advance(10.0, 56.0)
    assert programmer.state is ProgramState.RUN
    assert programmer.setpoint_c == 85.0


def test_a_jump_takes_no_time() -> None:
    programmer = Programmer()
    programmer.run((Step(target_c=900.0, rate_c_per_s=math.inf, duration_s=20.0),), 25.0)
    programmer.advance(10.0, 25.0)
    assert programmer.setpoint_c == 900.0
    assert programmer.step_left_s == 10.0
