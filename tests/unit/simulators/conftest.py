"""A laboratory and a world whose time the test moves by hand."""

from dataclasses import dataclass

import pytest

from alab.lab import LabDefinition
from simulators.world.world import Crucible, Head, World

LAB = {
    "name": "Bench",
    "crucibles": 10,
    "devices": {
        "doser": {"kind": "mettler_quantos", "address": "serial:///dev/ttyUSB0"},
        "mixer": {"kind": "hauschild_smartdac", "address": "serial:///dev/ttyUSB1"},
        "arm": {"kind": "ur_dashboard", "address": "tcp://192.168.10.21:29999"},
        "door_a": {"kind": "arduino_door", "address": "tcp://192.168.10.40:8888?door=A"},
        "door_b": {"kind": "arduino_door", "address": "tcp://192.168.10.40:8888?door=B"},
        "furnace_a": {
            "kind": "eurotherm_2416",
            "address": "serial:///dev/ttyUSB2?unit=1",
            "class": "box_1200",
            "max_temperature_c": 1150,
            "door": "door_a",
        },
        "xrd": {"kind": "aeris_uai", "address": "tcp://192.168.10.50:702"},
    },
    "places": {
        "crucibles": {"arms": ["arm"]},
        "doser_pan": {"device": "doser", "arms": ["arm"]},
        "mixer_cup": {"device": "mixer", "arms": ["arm"]},
        "rack": {"slots": 4, "arms": ["arm"]},
        "chamber_a": {"device": "furnace_a", "slots": 2, "arms": ["arm"]},
        "xrd_holders": {"device": "xrd", "slots": 2, "arms": ["arm"]},
        "archive": {"slots": 2, "arms": []},
    },
    "precursors": {
        "BaCO3": {"mass_g": 10, "head": 1},
        "TiO2": {"mass_g": 10, "head": 2},
    },
}


@dataclass
class Stage:
    """A world, and the time it shows."""

    lab: LabDefinition
    world: World
    now_s: float = 0.0

    def wait(self, duration_s: float, step_s: float | None = None) -> None:
        """Let time pass, in one step or many."""
        until_s = self.now_s + duration_s
        while self.now_s < until_s:
            self.now_s = min(until_s, self.now_s + (step_s or duration_s))
            self.world.advance()

    def put(self, slot: str) -> Crucible:
        crucible = self.world.new_crucible()
        self.world.crucibles[slot] = crucible
        return crucible


@pytest.fixture
def new_stage():
    def make(seed: int = 3) -> Stage:
        lab = LabDefinition.model_validate(LAB)
        world = World(seed=seed, now_s=lambda: stage.now_s)
        stage = Stage(lab=lab, world=world)
        for formula, precursor in lab.precursors.items():
            world.heads[precursor.head] = Head(
                number=precursor.head, substance=formula, mass_mg=precursor.mass_g * 1000
            )
        return stage

    return make


@pytest.fixture
def stage(new_stage) -> Stage:
    return new_stage()
