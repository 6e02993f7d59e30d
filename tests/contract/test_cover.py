"""What every furnace door promises, run on the LADS cover over a real OPC UA server."""

from collections.abc import Iterator
from typing import Any

import pytest

from alab.clock import VirtualClock
from alab.errors import CommandRejected, DeviceFault, UnknownOutcome
from alab.lab import LabDefinition
from alab.models import Atmosphere, DoorState, Profile, Segment
from alab.protocols import Door
from drivers.doors import lads_cover
from drivers.furnaces import lads_furnace
from drivers.transport import Lines
from simulators.floor import SimulatedFloor
from simulators.furnaces import lads_furnace as wire
from simulators.world.world import World

LAB = LabDefinition.model_validate(
    {
        "name": "one furnace",
        "crucibles": 8,
        "devices": {
            "furnace": {
                "kind": "lads_furnace",
                "address": "opc.tcp://192.168.10.30:4840",
                "class": "box_1200",
                "max_temperature_c": 1150,
                "door": "door",
            },
            "door": {
                "kind": "lads_cover",
                "address": "opc.tcp://192.168.10.30:4840?part=cover",
            },
        },
        "places": {"chamber": {"slots": 2, "device": "furnace", "arms": ["arm"]}},
        "precursors": {},
    }
)


@pytest.fixture(scope="module")
def floor() -> Iterator[SimulatedFloor]:
    with SimulatedFloor(LAB, seed=3, clock=VirtualClock()) as floor:
        yield floor


class Bench:
    def __init__(self, floor: SimulatedFloor) -> None:
        self.clock = VirtualClock()
        self.world = World(seed=3, now_s=self.clock.monotonic_s)
        self.line: Any = floor.lines["192.168.10.30:4840"]
        self.line.world = self.world
        self.line.furnace = wire.line(self.world, LAB, ["furnace", "door"]).furnace
        lines, devices = Lines(), floor.lab.devices
        self.door = lads_cover.make("door", devices["door"], lines, self.clock)
        self.furnace = lads_furnace.make("furnace", devices["furnace"], lines, self.clock)

    async def run(self, work: Any) -> Any:
        async def whole() -> Any:
            await self.furnace.connect()
            await self.door.connect()
            try:
                return await work()
            finally:
                await self.door.close()
                await self.furnace.close()

        return await self.clock.run(whole())


@pytest.fixture
def bench(floor: SimulatedFloor) -> Bench:
    return Bench(floor)


async def test_open_and_shut_are_targets(bench: Bench) -> None:
    assert isinstance(bench.door, Door)

    async def work() -> list[float]:
        times_s = []
        for act in (bench.door.open, bench.door.open, bench.door.shut, bench.door.shut):
            began_s = bench.clock.monotonic_s()
            await act()
            times_s.append(bench.clock.monotonic_s() - began_s)
            open_now = await bench.door.state() is DoorState.OPEN
            assert open_now is ("door" in bench.world.open_doors)
        return times_s

    opening_s, again_s, closing_s, closed_again_s = await bench.run(work)
    assert opening_s == pytest.approx(27, abs=2.5)
    assert closing_s == pytest.approx(29.5, abs=2.5)
    assert again_s == closed_again_s == 0


async def test_a_door_on_its_way_is_neither_open_nor_closed(bench: Bench) -> None:
    async def work() -> None:
        bench.line.furnace.cover.move("Opened", bench.clock.monotonic_s())
        await bench.clock.sleep(10)
        assert await bench.door.state() is DoorState.MOVING
        assert "door" in bench.world.open_doors

    await bench.run(work)


async def test_a_door_that_does_not_close_is_a_fault(bench: Bench) -> None:
    async def work() -> None:
        await bench.door.open()
        bench.line.furnace.cover.jammed = True
        with pytest.raises(DeviceFault, match="told to be closed"):
            await bench.door.shut()
        assert await bench.door.state() is DoorState.UNKNOWN
        assert bench.clock.monotonic_s() < 200

    await bench.run(work)


async def test_the_controller_keeps_the_door_shut_while_it_fires(bench: Bench) -> None:
    profile = Profile(segments=(Segment(ramp_c_per_min=5, temperature_c=500, dwell_s=60),))

    async def work() -> None:
        await bench.furnace.start_firing(profile, Atmosphere.AIR)
        with pytest.raises(CommandRejected, match="BadInvalidState"):
            await bench.door.open()

    await bench.run(work)


async def test_a_furnace_does_not_fire_with_an_open_door(bench: Bench) -> None:
    profile = Profile(segments=(Segment(ramp_c_per_min=5, temperature_c=500, dwell_s=60),))

    async def work() -> None:
        await bench.door.open()
        with pytest.raises(CommandRejected, match="BadInvalidState"):
            await bench.furnace.start_firing(profile, Atmosphere.AIR)

    await bench.run(work)


async def test_a_lost_reply_leaves_the_door_unknown(bench: Bench) -> None:
    async def work() -> None:
        bench.line.lost_replies.add("Open")
        with pytest.raises(UnknownOutcome):
            await bench.door.open()
        await bench.clock.sleep(30)
        assert await bench.door.state() is DoorState.OPEN

    bench.door._client._timeout_s = 0.3
    await bench.run(work)
