"""What every furnace promises, run on each driver against its simulator over a real wire."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from alab.clock import VirtualClock
from alab.errors import (
    CommandRejected,
    DeviceFault,
    DeviceUnreachable,
    InterlockError,
    UnknownOutcome,
)
from alab.lab import LabDefinition
from alab.models import Atmosphere, FurnaceMode, FurnaceReading, Profile, Segment
from alab.protocols import Furnace
from drivers.furnaces import eurotherm_2416, lads_furnace
from drivers.transport import Lines
from simulators.floor import SimulatedFloor
from simulators.furnaces import eurotherm_2416 as eurotherm_wire, lads_furnace as lads_wire
from simulators.world.world import Crucible, World


@dataclass
class HeatedPowder:
    """Stands in for a powder: remembers what it went through."""

    soaks: list[tuple[float, float, Atmosphere]] = field(default_factory=list)

    def expose(self, duration_s: float, temperature_c: float, atmosphere: Atmosphere) -> None:
        self.soaks.append((duration_s, temperature_c, atmosphere))

    def time_above_s(self, temperature_c: float) -> float:
        return sum(soak[0] for soak in self.soaks if soak[1] > temperature_c)


KINDS = {
    "eurotherm_2416": (eurotherm_2416, "serial:///dev/ttyUSB2?unit=3"),
    "lads_furnace": (lads_furnace, "opc.tcp://192.168.10.30:4840"),
}

SIMULATORS = {"eurotherm_2416": eurotherm_wire, "lads_furnace": lads_wire}

PROFILE = Profile(
    segments=(
        Segment(ramp_c_per_min=10, temperature_c=300, dwell_s=0),
        Segment(ramp_c_per_min=10, temperature_c=500, dwell_s=3600),
    )
)


def lab_with(kind: str) -> LabDefinition:
    return LabDefinition.model_validate(
        {
            "name": "one furnace",
            "crucibles": 8,
            "devices": {
                "furnace": {
                    "kind": kind,
                    "address": KINDS[kind][1],
                    "class": "box_1200",
                    "max_temperature_c": 1150,
                    "door": "door",
                },
                "door": {"kind": "arduino_door", "address": "tcp://192.168.10.40:8888?door=A"},
            },
            "places": {"chamber": {"slots": 2, "device": "furnace", "arms": ["arm"]}},
            "precursors": {},
        }
    )


class Bench:
    """A furnace, its driver, and access to what is behind the wire.

    An OPC UA server takes a second to start: one serves the whole module, and gets a new
    furnace in a new world for every test.
    """

    def __init__(self, kind: str, servers: dict[str, SimulatedFloor]) -> None:
        lab = lab_with(kind)
        self.clock = VirtualClock()
        self.world = World(seed=7, now_s=self.clock.monotonic_s)
        self.kind = kind
        self.servers = servers
        self._module = KINDS[kind][0]
        port = lab.addresses()["furnace"].port
        if kind not in servers:
            servers[kind] = SimulatedFloor(lab, seed=7, clock=self.clock, world=self.world)
            servers[kind].start(off={"door"})
        self.floor = servers[kind]
        self.line: Any = self.floor.lines[port]
        fresh: Any = SIMULATORS[kind].line(self.world, lab, ["furnace"])
        if kind == "eurotherm_2416":
            self.line._world, self.line.units = self.world, fresh.units
            self.device: Any = self.line.units[3]
            self.start_command: Any = (23, 2)
            self.lost_replies: set[Any] = self.device.lost_replies
        else:
            self.line.world, self.line.furnace = self.world, fresh.furnace
            self.device = self.line.furnace
            self.start_command = "StartProgram"
            self.lost_replies = self.line.lost_replies
        self.powder = HeatedPowder()
        self.world.crucibles["chamber.1"] = Crucible(
            name="C0001",
            mass_mg=11_500.0,
            powder=self.powder,  # type: ignore[arg-type]
        )
        self.furnace = self.another_driver()

    def unplug(self) -> None:
        self.servers.pop(self.kind).stop()

    def another_driver(self) -> Furnace:
        definition = self.floor.lab.devices["furnace"]
        return self._module.make("furnace", definition, Lines(), self.clock)

    async def pass_time(self, duration_s: float) -> None:
        await self.clock.sleep(duration_s)

    async def watch(
        self, until: FurnaceMode, *, limit_s: float = 86_400
    ) -> list[FurnaceReading]:
        readings = [await self.furnace.read()]
        while readings[-1].mode is not until:
            assert self.clock.monotonic_s() < 86_400, readings[-1]
            await self.clock.sleep(60)
            readings.append(await self.furnace.read())
        return readings


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, SimulatedFloor]]:
    started: dict[str, SimulatedFloor] = {}
    yield started
    for floor in started.values():
        floor.stop()


@pytest.fixture(params=list(KINDS))
def bench(request: pytest.FixtureRequest, servers: dict[str, SimulatedFloor]) -> Bench:
    return Bench(request.param, servers)


@pytest.fixture
def timeless(bench: Bench) -> Bench:
    """Lost replies are lost at once."""
    client = vars(bench.furnace).get("_client") or vars(bench.furnace)["_line"]
    client._timeout_s = 0.3
    return bench


async def in_laboratory(bench: Bench, work: Any) -> Any:
    async def whole() -> Any:
        await bench.furnace.connect()
        try:
            return await work(bench)
        finally:
            await bench.furnace.close()

    return await bench.clock.run(whole())


def test_is_a_furnace(bench: Bench) -> None:
    assert isinstance(bench.furnace, Furnace)


async def test_a_cold_furnace_is_idle_at_room_temperature(bench: Bench) -> None:
    async def work(bench: Bench) -> FurnaceReading:
        return await bench.furnace.read()

    reading = await in_laboratory(bench, work)
    assert reading.mode is FurnaceMode.IDLE
    assert reading.temperature_c == pytest.approx(25, abs=3)
    assert reading.setpoint_c is None
    assert reading.segment == 0


async def test_a_program_heats_the_crucibles_then_the_furnace_cools(bench: Bench) -> None:
    async def work(bench: Bench) -> list[FurnaceReading]:
        await bench.furnace.start_firing(PROFILE, Atmosphere.AIR)
        readings = await bench.watch(FurnaceMode.COMPLETE)
        await bench.pass_time(4 * 3600)
        return [*readings, await bench.furnace.read()]

    readings = await in_laboratory(bench, work)
    assert max(reading.temperature_c for reading in readings) == pytest.approx(500, abs=12)
    assert [r.segment for r in readings[:-2]] == sorted(r.segment for r in readings[:-2])
    assert readings[-1].temperature_c < 200
    assert readings[-1].setpoint_c is None
    assert bench.powder.time_above_s(480) == pytest.approx(3600, abs=600)
    assert bench.powder.soaks[0][2] is Atmosphere.AIR


async def test_the_dwell_lasts_as_asked(bench: Bench) -> None:
    async def work(bench: Bench) -> float:
        await bench.furnace.start_firing(PROFILE, Atmosphere.AIR)
        await bench.watch(FurnaceMode.COMPLETE)
        return bench.clock.monotonic_s()

    took_s = await in_laboratory(bench, work)
    assert took_s == pytest.approx(PROFILE.duration_s(), rel=0.05)


async def test_held_at_the_panel_is_never_finished(bench: Bench) -> None:
    async def work(bench: Bench) -> list[FurnaceMode]:
        await bench.furnace.start_firing(PROFILE, Atmosphere.AIR)
        await bench.pass_time(600)
        bench.device.hold_at_panel()
        await bench.pass_time(60)
        modes = [(await bench.furnace.read()).mode]
        await bench.pass_time(10 * 3600)
        modes.append((await bench.furnace.read()).mode)
        bench.device.release_at_panel()
        await bench.pass_time(60)
        return [*modes, (await bench.furnace.read()).mode]

    held, still_held, released = await in_laboratory(bench, work)
    assert held is still_held is FurnaceMode.HOLDING
    assert released in (FurnaceMode.RUNNING, FurnaceMode.HOLDBACK)


async def test_holdback_is_a_mode_of_its_own(bench: Bench) -> None:
    async def work(bench: Bench) -> set[FurnaceMode]:
        fast = Profile(segments=(Segment(ramp_c_per_min=15, temperature_c=1150, dwell_s=60),))
        await bench.furnace.start_firing(fast, Atmosphere.AIR)
        await bench.pass_time(1800)
        bench.world.open_doors.add("door")
        modes = set()
        for _ in range(120):
            await bench.pass_time(60)
            modes.add((await bench.furnace.read()).mode)
        return modes

    modes = await in_laboratory(bench, work)
    assert FurnaceMode.HOLDBACK in modes
    assert FurnaceMode.FAULT not in modes


@pytest.mark.parametrize(
    ("segment", "said"),
    [
        (Segment(ramp_c_per_min=5, temperature_c=1151, dwell_s=0), "1151 °C.*1150 °C"),
        (Segment(ramp_c_per_min=16, temperature_c=900, dwell_s=0), "16 °C/min.*15 °C/min"),
        (Segment(ramp_c_per_min=5, temperature_c=900, dwell_s=8 * 86_400), "h.*168 h"),
    ],
)
async def test_outside_the_envelope_nothing_is_written(
    bench: Bench, segment: Segment, said: str
) -> None:
    profile = Profile(segments=(segment,))

    async def work(bench: Bench) -> FurnaceReading:
        with pytest.raises(InterlockError, match=said):
            await bench.furnace.start_firing(profile, Atmosphere.AIR)
        return await bench.furnace.read()

    assert (await in_laboratory(bench, work)).mode is FurnaceMode.IDLE


async def test_a_gas_it_does_not_have_is_refused(bench: Bench) -> None:
    async def work(bench: Bench) -> None:
        with pytest.raises(InterlockError, match="Ar"):
            await bench.furnace.start_firing(PROFILE, Atmosphere.AR)

    await in_laboratory(bench, work)


@pytest.mark.parametrize(
    "segment",
    [
        Segment(ramp_c_per_min=0, temperature_c=900, dwell_s=0),
        Segment(ramp_c_per_min=5, temperature_c=float("nan"), dwell_s=0),
        Segment(ramp_c_per_min=5, temperature_c=900, dwell_s=-1),
    ],
)
async def test_a_profile_without_sense_is_rejected(bench: Bench, segment: Segment) -> None:
    async def work(bench: Bench) -> None:
        with pytest.raises(CommandRejected):
            await bench.furnace.start_firing(Profile(segments=(segment,)), Atmosphere.AIR)

    await in_laboratory(bench, work)


async def test_a_running_program_is_not_overwritten(bench: Bench) -> None:
    other = Profile(segments=(Segment(ramp_c_per_min=5, temperature_c=900, dwell_s=60),))

    async def work(bench: Bench) -> None:
        await bench.furnace.start_firing(PROFILE, Atmosphere.AIR)
        with pytest.raises(CommandRejected, match="running"):
            await bench.furnace.start_firing(other, Atmosphere.AIR)
        assert await bench.furnace.runs_profile(PROFILE)

    await in_laboratory(bench, work)


async def test_a_restarted_laboratory_recognises_its_program(bench: Bench) -> None:
    other = Profile(segments=(Segment(ramp_c_per_min=5, temperature_c=900, dwell_s=60),))

    async def work(bench: Bench) -> None:
        assert not await bench.furnace.runs_profile(PROFILE)
        await bench.furnace.start_firing(PROFILE, Atmosphere.AIR)
        await bench.furnace.close()
        again = bench.another_driver()
        await again.connect()
        assert await again.runs_profile(PROFILE)
        assert not await again.runs_profile(other)
        assert (await again.read()).mode is FurnaceMode.RUNNING
        await again.close()

    await in_laboratory(bench, work)


async def test_make_safe_ends_the_program_and_it_cools(bench: Bench) -> None:
    async def work(bench: Bench) -> tuple[FurnaceReading, FurnaceReading]:
        await bench.furnace.start_firing(PROFILE, Atmosphere.AIR)
        await bench.pass_time(3600)
        await bench.furnace.make_safe()
        hot = await bench.furnace.read()
        await bench.pass_time(3600)
        return hot, await bench.furnace.read()

    hot, later = await in_laboratory(bench, work)
    assert hot.mode is later.mode is FurnaceMode.IDLE
    assert later.temperature_c < hot.temperature_c - 50


async def test_another_program_after_the_first(bench: Bench) -> None:
    short = Profile(segments=(Segment(ramp_c_per_min=15, temperature_c=100, dwell_s=60),))

    async def work(bench: Bench) -> None:
        for _ in range(2):
            await bench.furnace.start_firing(short, Atmosphere.AIR)
            await bench.watch(FurnaceMode.COMPLETE)

    await in_laboratory(bench, work)


async def test_a_broken_sensor_is_a_fault_and_no_temperature(bench: Bench) -> None:
    async def work(bench: Bench) -> None:
        await bench.furnace.start_firing(PROFILE, Atmosphere.AIR)
        await bench.pass_time(600)
        bench.device.chamber.sensor_break = True
        await bench.pass_time(60)
        if bench.kind == "eurotherm_2416":
            assert (await bench.furnace.read()).mode is FurnaceMode.FAULT
        else:
            with pytest.raises(DeviceFault, match=r"CurrentValue.*BadSensorFailure"):
                await bench.furnace.read()
        with pytest.raises((DeviceFault, CommandRejected)):
            await bench.furnace.start_firing(PROFILE, Atmosphere.AIR)

    await in_laboratory(bench, work)


async def test_software_does_not_clear_the_limiter(bench: Bench) -> None:
    chamber = bench.device.chamber

    async def work(bench: Bench) -> None:
        await bench.furnace.start_firing(PROFILE, Atmosphere.AIR)
        chamber.ssr_stuck_on = True
        await bench.pass_time(6 * 3600)
        await bench.furnace.read()
        assert chamber.limiter_tripped
        assert chamber.temperature_c < chamber.limiter_c
        await bench.furnace.make_safe()
        chamber.ssr_stuck_on = False
        await bench.pass_time(12 * 3600)
        with contextlib.suppress(DeviceFault):  # some controllers know at once
            await bench.furnace.start_firing(PROFILE, Atmosphere.AIR)
        await bench.pass_time(1800)
        assert (await bench.furnace.read()).mode is FurnaceMode.FAULT
        await bench.furnace.make_safe()
        assert chamber.limiter_tripped
        assert chamber.temperature_c < 200
        chamber.reset_limiter()
        assert not chamber.limiter_tripped

    await in_laboratory(bench, work)


async def test_a_lost_reply_to_the_start_leaves_the_outcome_unknown(timeless: Bench) -> None:
    async def work(bench: Bench) -> None:
        bench.lost_replies.add(bench.start_command)
        with pytest.raises(UnknownOutcome):
            await bench.furnace.start_firing(PROFILE, Atmosphere.AIR)
        assert await bench.furnace.runs_profile(PROFILE)  # how the laboratory finds out
        assert (await bench.furnace.read()).mode is FurnaceMode.RUNNING

    await in_laboratory(timeless, work)


async def test_an_unplugged_furnace_is_unreachable(timeless: Bench) -> None:
    async def work(bench: Bench) -> None:
        await bench.furnace.read()
        bench.unplug()
        with pytest.raises(DeviceUnreachable) as caught:
            await bench.furnace.read()
        assert caught.value.retryable

    await in_laboratory(timeless, work)
