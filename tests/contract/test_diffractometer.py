"""What every diffractometer promises, run on the Aeris driver over a real TCP line."""

import asyncio
import math
import threading
from collections.abc import Coroutine, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alab.clock import VirtualClock
from alab.errors import (
    CommandRejected,
    DeviceFault,
    DeviceUnreachable,
    UnknownOutcome,
)
from alab.lab import LabDefinition
from alab.models import Scan
from alab.protocols import Diffractometer
from drivers.diffractometers import aeris_uai
from drivers.transport import Lines
from simulators.diffractometers import aeris_uai as wire
from simulators.world.matter import Powder
from simulators.world.world import World

LAB = LabDefinition.model_validate(
    {
        "name": "one diffractometer",
        "crucibles": 8,
        "devices": {"xrd": {"kind": "aeris_uai", "address": "tcp://192.168.10.50:702"}},
        "places": {"holders": {"slots": 4, "device": "xrd", "arms": ["arm"]}},
        "precursors": {},
    }
)
PROGRAM = "alab_8min"

XRDML = """<?xml version="1.0"?>
<xrdMeasurements xmlns="http://www.xrdml.com/XRDMeasurement/2.3" status="Completed">
<sample type="To be analyzed"><id>{sample}</id></sample>
<xrdMeasurement measurementType="Scan" status="Completed">
<scan mode="Continuous" status="Completed"><header>
<startTimeStamp>{started_at}</startTimeStamp></header>
<dataPoints><counts unit="counts">12 15 900 14</counts></dataPoints></scan>
</xrdMeasurement></xrdMeasurements>
"""


def measure(
    world: World, powder: Powder, *, sample: str, program: str, started_at: datetime
) -> bytes:
    return XRDML.format(sample=sample, started_at=started_at.isoformat()).encode()


class Background:
    """An event loop in a thread of its own, as instruments have it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class Bench:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.world = World(seed=2, now_s=self.clock.monotonic_s)
        self.world.holders["holders.2"] = Powder()
        self.world.holders["holders.3"] = Powder()
        self.background = Background()
        self.line = wire.line(self.world, LAB, ["xrd"], measure=measure)
        self.port = self.background.run(self.line.start())
        self.aeris = self.line.aeris
        self.share = Path(self.line.options["share"])
        self.xrd = self.another_driver()

    def another_driver(self) -> aeris_uai.AerisUai:
        address = f"tcp://{self.port}?share={self.share}"
        definition = LAB.devices["xrd"].model_copy(update={"address": address})
        return aeris_uai.make("xrd", definition, Lines(), self.clock)

    async def run(self, work: Any) -> Any:
        async def whole() -> Any:
            await self.xrd.connect()
            try:
                return await work()
            finally:
                await self.xrd.close()

        return await self.clock.run(whole())

    async def scan(self, sample: str, position: int = 2) -> Scan:
        await self.xrd.start_scan(sample=sample, position=position, program=PROGRAM)
        return await self.xrd.finish_scan(sample=sample)

    def close(self) -> None:
        self.background.run(self.line.stop())
        self.background.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


async def test_a_scan_gives_the_file_of_this_sample(bench: Bench) -> None:
    assert isinstance(bench.xrd, Diffractometer)

    async def work() -> Scan:
        assert await bench.xrd.measuring() is None
        await bench.xrd.start_scan(sample="S0007", position=2, program=PROGRAM)
        await bench.clock.sleep(60)
        assert await bench.xrd.measuring() == "S0007"
        scan = await bench.xrd.finish_scan(sample="S0007")
        assert await bench.xrd.measuring() is None
        return scan

    scan = await bench.run(work)
    assert scan.filename == "S0007.xrdml"
    assert b"<id>S0007</id>" in scan.content
    assert bench.clock.monotonic_s() == pytest.approx(487 + 32, abs=25)


async def test_the_place_is_free_for_the_next_sample(bench: Bench) -> None:
    async def work() -> None:
        for sample in ("S1", "S2", "S1"):
            assert f"<id>{sample}</id>".encode() in (await bench.scan(sample)).content

    await bench.run(work)


async def test_a_remeasured_sample_gives_the_new_file(bench: Bench) -> None:
    async def work() -> tuple[Scan, Scan]:
        first = await bench.scan("S1")
        await bench.clock.sleep(3600)
        return first, await bench.scan("S1")

    first, second = await bench.run(work)
    assert first.content != second.content
    assert len(list(bench.share.glob("S1.before-*.xrdml"))) == 1


async def test_a_restarted_laboratory_finishes_the_scan(bench: Bench) -> None:
    async def work() -> Scan:
        await bench.xrd.start_scan(sample="S1", position=2, program=PROGRAM)
        await bench.xrd.close()
        await bench.clock.sleep(7200)  # long over when it is back
        again = bench.another_driver()
        await again.connect()
        scan = await again.finish_scan(sample="S1")
        await again.close()
        return scan

    assert (await bench.run(work)).filename == "S1.xrdml"


async def test_a_late_file_is_waited_for(bench: Bench) -> None:
    bench.aeris.late_file_s = 100.0
    assert (await bench.run(lambda: bench.scan("S1"))).content


async def test_a_truncated_file_is_waited_for(bench: Bench) -> None:
    bench.aeris.truncated_file, bench.aeris.late_file_s = True, 100.0
    scan = await bench.run(lambda: bench.scan("S1"))
    assert scan.content.endswith(b"</xrdMeasurements>\n")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"late_file_s": math.inf}, "is not there"),
        ({"truncated_file": True}, "cut off"),
        ({"previous_file": True}, "belongs to S0"),
    ],
)
async def test_a_file_that_never_comes_right_is_a_fault(
    bench: Bench, fault: dict[str, Any], said: str
) -> None:
    async def work() -> None:
        await bench.scan("S0")
        for name, value in fault.items():
            setattr(bench.aeris, name, value)
        with pytest.raises(DeviceFault, match=said):
            await bench.scan("S1")

    await bench.run(work)


async def test_an_earlier_scan_of_the_same_sample_does_not_pass(bench: Bench) -> None:
    async def work() -> None:
        await bench.xrd.start_scan(sample="S1", position=2, program=PROGRAM)
        earlier = bench.clock.now() - timedelta(days=1)
        bench.aeris.late_file_s = math.inf
        old = measure(bench.world, Powder(), sample="S1", program=PROGRAM, started_at=earlier)
        (bench.share / "S1.xrdml").write_bytes(old)
        with pytest.raises(DeviceFault, match="earlier scan"):
            await bench.xrd.finish_scan(sample="S1")

    await bench.run(work)


async def test_an_empty_position_is_rejected(bench: Bench) -> None:
    async def work() -> None:
        with pytest.raises(CommandRejected, match=r"position 1.*reads free"):
            await bench.scan("S1", position=1)

    await bench.run(work)


async def test_a_lying_sensor_does_not_start_a_scan_of_nothing(bench: Bench) -> None:
    bench.aeris.lying_locations.add(1)

    async def work() -> None:
        with pytest.raises(CommandRejected, match="no sample"):
            await bench.scan("S1", position=1)
        assert await bench.xrd.measuring() is None

    await bench.run(work)


async def test_local_mode_is_rejected(bench: Bench) -> None:
    bench.aeris.local_mode = True

    async def work() -> None:
        with pytest.raises(CommandRejected, match="local control"):
            await bench.scan("S1")

    await bench.run(work)


async def test_fatal_in_a_reply_is_an_error(bench: Bench) -> None:
    bench.aeris.fatal = "goniometer error 17"

    async def work() -> None:
        with pytest.raises(CommandRejected, match="goniometer error 17"):
            await bench.scan("S1")

    await bench.run(work)


async def test_a_busy_instrument_takes_no_second_sample(bench: Bench) -> None:
    async def work() -> None:
        await bench.xrd.start_scan(sample="S1", position=2, program=PROGRAM)
        with pytest.raises(CommandRejected, match="another sample"):
            await bench.xrd.start_scan(sample="S2", position=3, program=PROGRAM)

    await bench.run(work)


@pytest.mark.parametrize("sample", ["S1@END", "../etc", "", "a b"])
async def test_names_that_would_break_the_protocol(bench: Bench, sample: str) -> None:
    async def work() -> None:
        with pytest.raises(CommandRejected, match="cannot be sent"):
            await bench.scan(sample)

    await bench.run(work)


async def test_a_lost_reply_to_measure_leaves_the_outcome_unknown(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aeris_uai, "REPLY_TIMEOUT_S", 0.3)
    bench.line.tamper = lambda request, answer: b"" if b"MEASURE" in request else answer

    async def work() -> Scan:
        with pytest.raises(UnknownOutcome, match="never send it again"):
            await bench.xrd.start_scan(sample="S1", position=2, program=PROGRAM)
        assert await bench.xrd.measuring() == "S1"  # how the laboratory finds out
        return await bench.xrd.finish_scan(sample="S1")

    assert (await bench.run(work)).content


async def test_a_silent_instrument_is_unreachable(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aeris_uai, "REPLY_TIMEOUT_S", 0.3)

    async def work() -> None:
        bench.line.tamper = lambda _request, _answer: b""
        with pytest.raises(DeviceUnreachable):
            await bench.xrd.measuring()

    await bench.run(work)


async def test_without_a_share_nothing_is_pretended(bench: Bench) -> None:
    definition = LAB.devices["xrd"].model_copy(update={"address": f"tcp://{bench.port}"})
    xrd = aeris_uai.make("xrd", definition, Lines(), bench.clock)
    with pytest.raises(DeviceFault, match="share="):
        await xrd.connect()
    await xrd.close()
