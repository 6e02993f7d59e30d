"""A bench: a few devices of a small laboratory, driven over real wires."""

from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest

from alab.clock import VirtualClock
from alab.lab import LabDefinition
from drivers.catalog import build
from simulators.floor import SimulatedFloor
from simulators.world.world import Crucible, World

LAB = {
    "name": "Bench",
    "crucibles": 10,
    "devices": {
        "doser": {"kind": "mettler_quantos", "address": "serial:///dev/ttyUSB0"},
        "mixer": {"kind": "hauschild_smartdac", "address": "serial:///dev/ttyUSB1"},
        "arm": {"kind": "ur_dashboard", "address": "tcp://192.168.10.21:29999"},
        "door_a": {"kind": "arduino_door", "address": "tcp://192.168.10.40:8888?door=A"},
        "door_b": {"kind": "arduino_door", "address": "tcp://192.168.10.40:8888?door=B"},
    },
    "places": {
        "crucibles": {"arms": ["arm"]},
        "doser_pan": {"device": "doser", "arms": ["arm"]},
        "mixer_cup": {"device": "mixer", "arms": ["arm"]},
        "rack": {"slots": 4, "arms": ["arm"]},
        "archive": {"slots": 2, "arms": ["arm"]},
    },
    "precursors": {
        "BaCO3": {"mass_g": 10, "head": 1},
        "TiO2": {"mass_g": 10, "head": 2},
    },
}


@dataclass
class Bench:
    floor: SimulatedFloor
    clock: VirtualClock
    devices: dict[str, Any]

    @property
    def world(self) -> World:
        return self.floor.world

    async def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run as a participant of the clock."""
        return await self.clock.run(work)

    async def again(self, name: str) -> Any:
        """A driver that knows nothing, as after a restart of the laboratory."""
        await self.devices[name].close()
        self.devices |= {name: build(self.floor.lab, self.clock)[name]}
        return self.devices[name]

    def put(self, slot: str) -> Crucible:
        """Set an empty crucible down by hand."""
        with self.world.lock:
            crucible = self.world.new_crucible()
            self.world.crucibles[slot] = crucible
        return crucible

    def mount(self, number: int) -> None:
        """Mount a dosing head by hand."""
        with self.world.lock:
            self.world.mounted["doser"] = number

    def line(self, name: str) -> Any:
        """The simulated line of a device, where faults are made."""
        address = LabDefinition.model_validate(LAB).addresses()[name]
        return self.floor.lines[address.port]

    def instrument(self, name: str) -> Any:
        """The simulated instrument of a device."""
        return self.line(name).instrument


@pytest.fixture
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    off = frozenset(getattr(request, "param", ()))
    clock = VirtualClock()
    floor = SimulatedFloor(LabDefinition.model_validate(LAB), seed=7, clock=clock)
    floor.start(off=off)
    devices = build(floor.lab, clock)
    try:
        yield Bench(floor=floor, clock=clock, devices=devices)
    finally:
        for device in devices.values():
            await device.close()
        floor.stop()
