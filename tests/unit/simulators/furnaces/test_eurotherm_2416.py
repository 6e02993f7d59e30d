"""Registers and physics of the simulated controller, straight from its map."""

from typing import Any

import pytest

from alab.lab import LabDefinition
from simulators.furnaces.eurotherm_2416 import Eurotherm2416, line
from simulators.furnaces.modbus_rtu import RegisterError
from simulators.world.world import World

LAB = LabDefinition.model_validate(
    {
        "name": "two furnaces",
        "crucibles": 8,
        "devices": {
            name: {
                "kind": "eurotherm_2416",
                "address": f"serial:///dev/ttyUSB2?unit={unit}",
                "class": "box_1200",
                "max_temperature_c": 1150,
            }
            for name, unit in (("a", 1), ("b", 2))
        },
        "places": {
            f"chamber_{name}": {"slots": 2, "device": name, "arms": ["arm"]} for name in "ab"
        },
        "precursors": {},
    }
)
PROGRAM = {
    8330: 1,
    8331: 1,
    8336: 1,
    8337: 600,
    8338: 100,
    8344: 3,
    8346: 600,
    8352: 0,
    8355: 2,
}


class Hand:
    """A world whose clock is turned by hand."""

    def __init__(self, seed: int = 1) -> None:
        self.now_s = 0.0
        self.world = World(seed=seed, now_s=lambda: self.now_s)
        self.line: Any = line(self.world, LAB, ["a", "b"])
        self.unit: Eurotherm2416 = self.line.units[1]

    def pass_time(self, duration_s: float, *, by_s: float) -> None:
        for _ in range(round(duration_s / by_s)):
            self.now_s += by_s
            self.world.advance()

    def run_program(self) -> None:
        for address, value in PROGRAM.items():
            self.unit.write(address, value)
        self.unit.write(23, 2)


def test_what_the_map_does_not_have_is_refused() -> None:
    unit = Hand().unit
    for address in (0, 7, 8333, 8342, 9000):
        with pytest.raises(RegisterError) as refused:
            unit.read(address)
        assert refused.value.code == 2


def test_measurements_and_settings_are_read_only() -> None:
    unit = Hand().unit
    for address in (1, 5, 56, 58, 75, 258, 111, 525):
        with pytest.raises(RegisterError) as refused:
            unit.write(address, 1)
        assert refused.value.code == 3


def test_a_running_program_cannot_be_edited() -> None:
    hand = Hand()
    hand.run_program()
    with pytest.raises(RegisterError):
        hand.unit.write(8337, 1000)
    hand.unit.write(23, 1)
    hand.unit.write(8337, 1000)


def test_units_are_furnaces_of_their_own() -> None:
    hand = Hand()
    hand.run_program()
    hand.pass_time(3600, by_s=60)
    assert hand.unit.read(1) > 500
    assert hand.line.units[2].read(1) == 25


def test_in_reset_it_controls_at_the_local_setpoint() -> None:
    hand = Hand()
    hand.unit.write(2, 400)
    hand.pass_time(4 * 3600, by_s=60)
    assert hand.unit.read(23) == 1
    assert hand.unit.read(1) == pytest.approx(400, abs=10)


@pytest.mark.parametrize("by_s", [7.0, 60.0, 4200.0])
def test_how_often_one_looks_changes_nothing(by_s: float) -> None:
    often, seldom = Hand(), Hand()
    often.run_program()
    seldom.run_program()
    often.pass_time(8400, by_s=by_s)
    seldom.pass_time(8400, by_s=8400)
    assert often.unit.chamber.temperature_c == seldom.unit.chamber.temperature_c
    assert often.unit.read(5) == seldom.unit.read(5)


def test_the_same_seed_gives_the_same_furnace_another_another() -> None:
    def temperature_c(seed: int) -> float:
        hand = Hand(seed)
        hand.run_program()
        hand.pass_time(7200, by_s=60)
        return hand.unit.chamber.temperature_c

    assert temperature_c(1) == temperature_c(1)
    assert temperature_c(1) != temperature_c(2)


def test_the_limiter_needs_a_hand() -> None:
    hand = Hand()
    chamber = hand.unit.chamber
    chamber.ssr_stuck_on = True
    hand.pass_time(4 * 3600, by_s=60)
    assert chamber.limiter_tripped
    hand.unit.write(23, 1)
    hand.pass_time(10 * 3600, by_s=600)
    assert chamber.limiter_tripped
    assert chamber.output_percent == 0
    chamber.reset_limiter()
    assert not chamber.limiter_tripped


def test_an_open_thermocouple_cuts_the_heat() -> None:
    hand = Hand()
    hand.run_program()
    hand.pass_time(1800, by_s=60)
    hand.unit.chamber.sensor_break = True
    hand.pass_time(60, by_s=60)
    assert hand.unit.read(258) == 1
    assert hand.unit.read(75) >> 5 & 1
    assert hand.unit.chamber.output_percent == 0
