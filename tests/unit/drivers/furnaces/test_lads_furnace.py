"""What may go wrong between an OPC UA client and its server, and a second server."""

import asyncio
import math
import threading
import warnings
from collections.abc import Coroutine, Iterator
from typing import Any

import asyncua.ua
import pytest

from alab.clock import VirtualClock
from alab.errors import CommandRejected, DeviceFault, DeviceUnreachable, MalformedReply
from alab.lab import DeviceDefinition, LabDefinition
from alab.models import Atmosphere, DoorState, FurnaceMode, Profile, Segment
from drivers.doors.lads_cover import LadsCover
from drivers.furnaces.lads_device import LadsDevice
from drivers.furnaces.lads_furnace import LadsFurnace
from simulators.furnaces import lads_furnace as wire
from simulators.world.world import World

ua: Any = asyncua.ua
PROFILE = Profile(segments=(Segment(ramp_c_per_min=5, temperature_c=800, dwell_s=7200),))
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
                "atmospheres": ["air", "N2"],
            },
        },
        "places": {"chamber": {"slots": 2, "device": "furnace", "arms": ["arm"]}},
        "precursors": {},
    }
)
DEFINITION: DeviceDefinition = LAB.devices["furnace"]


class Background:
    """An event loop in a thread of its own, for servers."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def call(self, act: Any) -> None:
        async def wrapped() -> None:
            act()

        self.run(wrapped())

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class Bench:
    def __init__(self, background: Background) -> None:
        self.background = background
        self.clock = VirtualClock()
        self.line = wire.line(World(seed=5, now_s=self.clock.monotonic_s), LAB, ["furnace"])
        self.endpoint = background.run(self.line.start())

    def renew(self) -> None:
        """A new furnace in a new world behind the same server."""
        self.clock = VirtualClock()
        self.line.world = World(seed=5, now_s=self.clock.monotonic_s)
        self.line.furnace = wire.line(self.line.world, LAB, ["furnace"]).furnace
        self.client = LadsDevice(self.endpoint, timeout_s=0.5)
        self.furnace = LadsFurnace(
            "furnace", DEFINITION, self.client, "Temperature", self.clock
        )

    def restart(self) -> None:
        self.background.run(self.line.stop())
        assert self.background.run(self.line.start()) == self.endpoint

    async def run(self, work: Any) -> None:
        async def whole() -> None:
            await self.furnace.connect()
            try:
                await work()
            finally:
                await self.furnace.close()

        await self.clock.run(whole())


@pytest.fixture(scope="module")
def served() -> Iterator[Bench]:
    background = Background()
    bench = Bench(background)
    yield bench
    background.run(bench.line.stop())
    background.close()


@pytest.fixture
def bench(served: Bench) -> Bench:
    served.renew()
    return served


async def test_a_frozen_server_is_unreachable_and_recovers(bench: Bench) -> None:
    async def work() -> None:
        await bench.furnace.read()
        bench.background.call(bench.line.freeze)
        with pytest.raises(DeviceUnreachable, match=r"within 0.5 s"):
            await bench.furnace.read()
        bench.background.call(bench.line.thaw)
        assert (await bench.furnace.read()).mode is FurnaceMode.IDLE

    await bench.run(work)


async def test_a_restarted_server_with_other_namespaces(bench: Bench) -> None:
    async def work() -> None:
        before = await bench.furnace.read()
        bench.line.foreign_namespaces = 3
        await asyncio.to_thread(bench.restart)
        assert await bench.furnace.read() == before
        await bench.furnace.start_firing(PROFILE, Atmosphere.N2)
        assert await bench.furnace.runs_profile(PROFILE)

    await bench.run(work)


@pytest.mark.parametrize(
    ("quality", "error", "said"),
    [
        (ua.StatusCodes.BadDeviceFailure, DeviceFault, "BadDeviceFailure"),
        (ua.StatusCodes.BadNoCommunication, DeviceFault, "BadNoCommunication"),
        (ua.StatusCodes.UncertainLastUsableValue, MalformedReply, "uncertain"),
    ],
)
async def test_no_value_of_bad_or_uncertain_quality(
    bench: Bench, quality: int, error: type[Exception], said: str
) -> None:
    async def work() -> None:
        bench.line.furnace.quality = quality
        with pytest.raises(error, match=said):
            await bench.furnace.read()
        bench.line.furnace.quality = ua.StatusCodes.Good
        await bench.furnace.read()

    await bench.run(work)


async def test_a_furnace_with_a_broken_sensor_can_be_stopped(bench: Bench) -> None:
    async def work() -> None:
        await bench.furnace.start_firing(PROFILE, Atmosphere.AIR)
        bench.line.furnace.quality = ua.StatusCodes.BadDeviceFailure
        await bench.furnace.make_safe()
        bench.line.furnace.quality = ua.StatusCodes.Good
        assert (await bench.furnace.read()).mode is FurnaceMode.IDLE

    await bench.run(work)


@pytest.mark.parametrize("found", [math.nan, math.inf])
async def test_what_is_no_finite_number_is_no_temperature(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, found: float
) -> None:
    async def work() -> None:
        chamber = bench.line.furnace.chamber
        monkeypatch.setattr(type(chamber), "measured_c", found)
        with pytest.raises(MalformedReply, match=f"CurrentValue is {found}"):
            await bench.furnace.read()

    await bench.run(work)


async def test_somebody_else_has_the_lock(bench: Bench) -> None:
    async def work() -> None:
        bench.line.furnace.locked_by = "service laptop"
        with pytest.raises(CommandRejected, match="service laptop"):
            await bench.furnace.start_firing(PROFILE, Atmosphere.AIR)
        assert (await bench.furnace.read()).mode is FurnaceMode.IDLE

    await bench.run(work)


async def test_the_lock_is_given_back(bench: Bench) -> None:
    async def work() -> None:
        await bench.furnace.start_firing(PROFILE, Atmosphere.AIR)
        assert bench.line.furnace.locked_by == ""

    await bench.run(work)


async def test_local_mode_is_a_rejection(bench: Bench) -> None:
    async def work() -> None:
        bench.line.furnace.local_mode = True
        with pytest.raises(CommandRejected, match="BadUserAccessDenied"):
            await bench.furnace.start_firing(PROFILE, Atmosphere.AIR)

    await bench.run(work)


async def test_no_server_at_all() -> None:
    client = LadsDevice("127.0.0.1:1", timeout_s=0.5)
    with pytest.raises(DeviceUnreachable, match=r"127\.0\.0\.1:1"):
        await client.connect("furnace")
    await client.close("furnace")


class PeerFurnace:
    """A LADS-shaped server made with python-opcua: another library, another author."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import opcua
        self._peer = opcua.ua
        self.server = opcua.Server()
        self.server.set_endpoint("opc.tcp://127.0.0.1:0/")
        self.server.set_security_policy([opcua.ua.SecurityPolicyType.NoSecurity])
        self.started: list[list[str]] = []
        self._build()
        self.server.start()
        socket = self.server.bserver._server.sockets[0]
        self.endpoint = f"127.0.0.1:{socket.getsockname()[1]}"

    def close(self) -> None:
        self.server.stop()

    def _build(self) -> None:
        text = self._peer.VariantType.String
        for uri in ("urn:somebody", wire.LADS_URI, wire.DI_URI):
            self.server.register_namespace(uri)
        own, lads, di = 2, 3, 4
        device_set = self.server.get_objects_node().add_object(di, "DeviceSet")
        device = device_set.add_object(own, "KilnOne")
        for name in ("Manufacturer", "Model", "SerialNumber"):
            device.add_property(di, name, name.lower())
        unit = device.add_object(lads, "FunctionalUnitSet").add_object(own, "Unit")
        lock = unit.add_object(di, "Lock")
        granted = self._peer.Variant(0, self._peer.VariantType.Int32)
        status = [self._peer.VariantType.Int32]
        lock.add_method(di, "InitLock", lambda _node, _who: [granted], [text], status)
        lock.add_method(di, "ExitLock", lambda _node: [granted], [], status)
        state = unit.add_object(lads, "FunctionalUnitState")
        self._state = self._named(state, "CurrentState", "Stopped")
        running = state.add_object(lads, "RunningStateMachine")
        self._running = self._named(running, "CurrentState", "Idle")
        state.add_method(lads, "StartProgram", self._start, [text, text, text], [text])
        state.add_method(lads, "Stop", self._stop, [], [])
        functions = unit.add_object(lads, "FunctionSet")
        temperature = functions.add_object(own, "Temperature")
        temperature.add_variable(lads, "CurrentValue", 431.5)
        temperature.add_variable(lads, "TargetValue", 440.0)
        cover = functions.add_object(own, "Cover").add_object(lads, "CoverState")
        self._named(cover, "CurrentState", "Locked")
        active = unit.add_object(lads, "ProgramManager").add_object(lads, "ActiveProgram")
        self._step = active.add_variable(lads, "CurrentStepNumber", 0)
        active.add_variable(lads, "EstimatedStepRuntime", 90.0)
        self._properties = active.add_variable(lads, "Properties", [""], text)

    def _named(self, parent: Any, name: str, value: str) -> Any:
        qualified = self._peer.QualifiedName(name, 0)
        return parent.add_variable(
            self._peer.NodeId(f"{parent.nodeid.Identifier}.{name}", 2),
            qualified,
            self._peer.LocalizedText(value),
        )

    def _start(self, _node: Any, _template: Any, properties: Any, _job: Any) -> list[Any]:
        self.started.append(properties.Value)
        self._properties.set_value(properties.Value, self._peer.VariantType.String)
        self._step.set_value(1)
        self._state.set_value(self._peer.LocalizedText("Running"))
        self._running.set_value(self._peer.LocalizedText("Execute"))
        return [self._peer.Variant("run-1", self._peer.VariantType.String)]

    def _stop(self, _node: Any) -> list[Any]:
        self._state.set_value(self._peer.LocalizedText("Stopped"))
        return []


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
async def test_a_server_made_with_another_library() -> None:
    peer = await asyncio.to_thread(PeerFurnace)
    client = LadsDevice(peer.endpoint, timeout_s=4)
    clock = VirtualClock()
    furnace = LadsFurnace("furnace", DEFINITION, client, "Temperature", clock)
    door = LadsCover("door", client, "Cover", clock)

    async def work() -> None:
        assert await furnace.connect() == "manufacturer model serialnumber"
        await door.connect()
        assert await door.state() is DoorState.CLOSED
        await furnace.start_firing(PROFILE, Atmosphere.N2)
        reading = await furnace.read()
        assert reading.mode is FurnaceMode.RUNNING
        assert (reading.temperature_c, reading.setpoint_c) == (431.5, 440.0)
        assert (reading.segment, reading.seconds_left) == (1, 90.0)
        assert peer.started[0][1] == "Atmosphere=N2"
        assert await furnace.runs_profile(PROFILE)
        await furnace.make_safe()
        assert (await furnace.read()).mode is FurnaceMode.IDLE
        await door.close()
        await furnace.close()

    await clock.run(work())
    await asyncio.to_thread(peer.close)
