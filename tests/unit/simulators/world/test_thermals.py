import numpy as np
import pytest

from simulators.world.thermals import FurnaceThermals


def furnace(seed: int = 1) -> FurnaceThermals:
    return FurnaceThermals(np.random.default_rng(seed), 1150.0)


def hold(thermals: FurnaceThermals, setpoint_c: float, hours: float) -> None:
    for minute in range(int(hours * 60)):
        thermals.advance(60.0, min(setpoint_c, 25.0 + 15.0 * minute), door_open=False)


def minutes_to(thermals: FurnaceThermals, below_c: float, *, door_open: bool) -> int:
    minutes = 0
    while thermals.temperature_c > below_c:
        thermals.advance(60.0, None, door_open=door_open)
        minutes += 1
    return minutes


def test_full_power_reaches_1000_in_about_an_hour():
    thermals, minutes = furnace(), 0
    while thermals.temperature_c < 1000.0:
        thermals.advance(60.0, 1200.0, door_open=False)
        minutes += 1
    assert minutes == pytest.approx(62, abs=3)


def test_holding_1100_takes_717_watts():
    thermals = furnace()
    hold(thermals, 1100.0, 60.0)
    assert thermals.temperature_c == pytest.approx(1100.0, abs=5.0)
    assert thermals.output_percent * 18.0 == pytest.approx(717.0, rel=0.01)


def test_a_closed_furnace_cools_as_quoted():
    thermals = furnace()
    hold(thermals, 1000.0, 12.0)
    to_600 = minutes_to(thermals, 600.0, door_open=False)
    to_300 = to_600 + minutes_to(thermals, 300.0, door_open=False)
    to_100 = to_300 + minutes_to(thermals, 100.0, door_open=False)
    assert [to_600 / 60, to_300 / 60, to_100 / 60] == pytest.approx([1.3, 4.4, 10.0], rel=0.05)


def test_the_open_door_cools_300_to_100_in_an_hour():
    thermals = furnace()
    hold(thermals, 1000.0, 6.0)
    minutes_to(thermals, 300.0, door_open=False)
    assert minutes_to(thermals, 100.0, door_open=True) == pytest.approx(58, abs=4)


def test_the_loop_follows_a_ramp_without_overshoot():
    thermals = furnace()
    highest_c = 25.0
    for minute in range(400):
        setpoint_c = min(900.0, 25.0 + 5.0 * minute)
        thermals.advance(60.0, setpoint_c, door_open=False)
        highest_c = max(highest_c, thermals.temperature_c)
        assert 0.0 <= thermals.output_percent <= 100.0
    assert highest_c < 912.0
    assert thermals.measured_c == pytest.approx(900.0, abs=2.0)


def test_how_time_is_cut_changes_nothing():
    whole, cut = furnace(), furnace()
    rng = np.random.default_rng(5)
    whole.advance(7200.0, 800.0, door_open=False)
    left_s = 7200.0
    while left_s > 0:
        piece_s = min(left_s, float(rng.integers(1, 400)) / 4)
        cut.advance(piece_s, 800.0, door_open=False)
        left_s -= piece_s
    assert cut.temperature_c == whole.temperature_c
    assert cut.output_percent == whole.output_percent


def test_a_long_cooling_in_one_step_is_the_same_as_in_many():
    whole, cut = furnace(), furnace()
    for thermals in (whole, cut):
        hold(thermals, 700.0, 3.0)
    whole.advance(36_000.0, None, door_open=False)
    for _ in range(600):
        cut.advance(60.0, None, door_open=False)
    assert whole.temperature_c == pytest.approx(cut.temperature_c, abs=1e-6)
    assert whole.measured_c == cut.measured_c


def test_the_thermocouple_is_late_and_shows_whole_degrees():
    thermals = furnace()
    for _ in range(60):
        thermals.advance(60.0, 1100.0, door_open=False)
    assert thermals.measured_c == int(thermals.measured_c)
    assert 2.0 < thermals.temperature_c - thermals.measured_c < 12.0


def test_furnaces_differ():
    offsets = {furnace(seed)._offset_per_c for seed in range(4)}
    assert len(offsets) == 4


def test_time_does_not_run_backwards():
    with pytest.raises(ValueError, match="-5 s"):
        furnace().advance(-5.0, None, door_open=False)


def test_the_integral_does_not_wind_up_while_power_is_at_its_limit():
    thermals, highest_c = furnace(), 0.0
    for _ in range(240):
        thermals.advance(60.0, 900.0, door_open=False)
        highest_c = max(highest_c, thermals.temperature_c)
    assert highest_c < 905.0
    assert thermals.temperature_c == pytest.approx(900.0, abs=5.0)
