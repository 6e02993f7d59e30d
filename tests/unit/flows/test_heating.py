"""What the readings of a firing say of it."""

import pytest

from alab.models import FurnaceMode, Profile, Segment
from flows.heating import shortfall

HOUR_S = 3600.0
PROFILE = Profile(
    segments=(Segment(ramp_c_per_min=10.0, temperature_c=1000.0, dwell_s=10 * HOUR_S),)
)
RAMP = [(minute * 60.0, 25.0 + 10.0 * minute) for minute in range(98)]
UP_S = RAMP[-1][0]


def _dwelled(hours: float) -> list[tuple[float, float]]:
    """A ramp, then a reading every hour, as an even temperature is recorded."""
    whole = [(UP_S + hour * HOUR_S, 1000.0) for hour in range(1, int(hours) + 1)]
    return [*RAMP, *whole, (UP_S + hours * HOUR_S, 990.0)]


def test_a_program_that_ran_to_its_end_has_fired() -> None:
    assert shortfall(PROFILE, FurnaceMode.COMPLETE, _dwelled(10.0)) == ""


def test_what_is_idle_was_broken_off_however_long_it_dwelled() -> None:
    note = shortfall(PROFILE, FurnaceMode.IDLE, _dwelled(9.0))
    assert "seen for 54" in note
    assert "of 600 min near 1000 °C, and at 1000 °C at most" in note


@pytest.mark.parametrize("hours", [0.0, 0.1, 5.0, 8.5])
def test_a_program_advanced_at_the_panel_has_not_fired(hours: float) -> None:
    assert "broken off" in shortfall(PROFILE, FurnaceMode.COMPLETE, _dwelled(hours))


def test_a_program_that_never_came_near_its_temperature_has_not_fired() -> None:
    points = [*RAMP[:60], (UP_S, 600.0)]
    note = shortfall(PROFILE, FurnaceMode.COMPLETE, points)
    assert "seen for 0 of 600 min near 1000 °C, and at 615 °C at most" in note


@pytest.mark.parametrize("seen", [[], RAMP[:5], _dwelled(2.0)[:-1]])
def test_the_end_of_a_program_that_nobody_watched_is_believed(
    seen: list[tuple[float, float]],
) -> None:
    points = [*seen, (UP_S + 14 * HOUR_S, 300.0)]
    assert shortfall(PROFILE, FurnaceMode.COMPLETE, points) == ""


def test_nobody_watched_but_there_was_no_time_for_the_dwell() -> None:
    points = [*RAMP[:5], (UP_S + 4 * HOUR_S, 300.0)]
    assert "broken off" in shortfall(PROFILE, FurnaceMode.COMPLETE, points)


def test_a_profile_without_a_dwell_only_has_to_be_reached() -> None:
    peak = Profile(segments=(Segment(ramp_c_per_min=10.0, temperature_c=1000.0, dwell_s=0.0),))
    assert shortfall(peak, FurnaceMode.COMPLETE, RAMP) == ""
    assert "broken off" in shortfall(peak, FurnaceMode.COMPLETE, RAMP[:60])
