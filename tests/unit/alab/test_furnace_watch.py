"""The watch over the furnaces: out of bounds is made safe, silence is noticed."""

import math
import sqlite3

import pytest
from sqlalchemy import func, select

from alab.clock import VirtualClock
from alab.errors import DeviceFault, DeviceUnreachable, MalformedReply
from alab.gateway import Gateway
from alab.laboratory import Laboratory
from alab.models import FurnaceMode, FurnaceReading
from alab.store.tables import AlarmRow, ReadingRow
from tests.acts import alarms_of, state_of
from tests.fakes import Bench


async def test_over_temperature_quarantines_and_raises_one_alarm(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    bench.furnace.temperature_c = 1115.0

    async def main() -> None:
        await gateway.furnaces.read("furnace")
        assert bench.furnace.made_safe == 0
        bench.furnace.temperature_c = 1116.0
        await gateway.furnaces.read("furnace")
        assert bench.furnace.made_safe == 1
        await gateway.furnaces.read("furnace")

    await clock.run(main())
    assert state_of(small_laboratory, "furnace") == "quarantined"
    with small_laboratory.store.begin() as session:
        (alarm,) = session.scalars(select(AlarmRow)).all()
    assert "1116 °C is above 1115 °C" in alarm.text


async def test_furnace_that_cannot_be_made_safe_is_quarantined_all_the_same(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    bench.furnace.mode = FurnaceMode.FAULT
    bench.furnace.unsafe = DeviceUnreachable("furnace", "no answer")

    async def main() -> None:
        reading = await gateway.furnaces.read("furnace")
        assert reading.mode is FurnaceMode.FAULT  # that it was not reset is for the alarm

    await clock.run(main())
    assert state_of(small_laboratory, "furnace") == "quarantined"
    with small_laboratory.store.begin() as session:
        assert session.scalar(select(func.count()).select_from(AlarmRow)) == 1


async def test_watch_takes_a_silent_furnace_off_and_back(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    async def main() -> None:
        clock.spawn(gateway.furnaces.watch("furnace", 60), name="watch")
        bench.furnace.off = True
        await clock.sleep(130)
        assert state_of(small_laboratory, "furnace") == "ready"
        await clock.sleep(180)
        assert state_of(small_laboratory, "furnace") == "offline"
        bench.furnace.off = False
        await clock.sleep(60)

    await clock.run(main())
    assert state_of(small_laboratory, "furnace") == "ready"
    with small_laboratory.store.begin() as session:
        (alarm,) = session.scalars(select(AlarmRow)).all()
    assert "does not answer any more" in alarm.text


async def test_trip_needs_no_books_and_is_told_once_they_open(
    gateway: Gateway,
    small_laboratory: Laboratory,
    bench: Bench,
    clock: VirtualClock,
    locked: sqlite3.Connection,
) -> None:
    bench.furnace.mode, bench.furnace.temperature_c = FurnaceMode.RUNNING, 1300.0

    async def main() -> None:
        clock.spawn(gateway.furnaces.watch("furnace", 10), name="watch")
        await clock.sleep(15)
        assert bench.furnace.mode is FurnaceMode.IDLE
        bench.furnace.temperature_c = 1000.0  # in bounds again before anybody was told
        locked.execute("ROLLBACK")
        await clock.sleep(15)

    await clock.run(main())
    assert bench.furnace.made_safe == 1
    assert state_of(small_laboratory, "furnace") == "quarantined"
    (alarm,) = alarms_of(small_laboratory, "furnace")
    assert "1300 °C is above 1115 °C" in alarm


async def test_silence_that_could_not_be_written_down_is_told_later(
    gateway: Gateway,
    small_laboratory: Laboratory,
    bench: Bench,
    clock: VirtualClock,
    locked: sqlite3.Connection,
) -> None:
    bench.furnace.off = True

    async def main() -> None:
        clock.spawn(gateway.furnaces.watch("furnace", 10), name="watch")
        await clock.sleep(100)
        locked.execute("ROLLBACK")
        await clock.sleep(30)

    await clock.run(main())
    assert state_of(small_laboratory, "furnace") == "offline"
    (alarm,) = alarms_of(small_laboratory, "furnace")
    assert "does not answer any more" in alarm


@pytest.mark.parametrize(
    "error", [MalformedReply("furnace", "temperature is nan"), TypeError("a bug")]
)
async def test_watch_outlives_errors_and_makes_safe_what_cannot_be_believed(
    gateway: Gateway,
    small_laboratory: Laboratory,
    bench: Bench,
    clock: VirtualClock,
    error: Exception,
) -> None:
    bench.furnace.mode = FurnaceMode.RUNNING
    sound = bench.furnace.read

    async def senseless() -> FurnaceReading:
        raise error

    bench.furnace.read = senseless  # type: ignore[method-assign]

    async def main() -> None:
        clock.spawn(gateway.furnaces.watch("furnace", 10), name="watch")
        await clock.sleep(25)
        assert bench.furnace.made_safe == 0
        await clock.sleep(10)
        assert bench.furnace.made_safe == 1
        bench.furnace.read = sound  # type: ignore[method-assign]
        await clock.sleep(20)

    await clock.run(main())
    assert "furnace" in gateway.furnaces.latest
    assert state_of(small_laboratory, "furnace") == "quarantined"
    (alarm,) = alarms_of(small_laboratory, "furnace")
    assert str(error) in alarm


async def test_fault_is_made_safe_at_once_and_is_not_silence(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    bench.furnace.mode = FurnaceMode.RUNNING

    async def faulty() -> FurnaceReading:
        raise DeviceFault("furnace", "CurrentValue is of bad quality (BadSensorFailure)")

    bench.furnace.read = faulty  # type: ignore[method-assign]

    async def main() -> None:
        clock.spawn(gateway.furnaces.watch("furnace", 10), name="watch")
        await clock.sleep(15)
        assert bench.furnace.mode is FurnaceMode.IDLE
        await clock.sleep(60)
        await gateway.reconnect()

    await clock.run(main())
    assert state_of(small_laboratory, "furnace") == "quarantined"
    (alarm,) = alarms_of(small_laboratory, "furnace")
    assert "tripped: furnace: CurrentValue is of bad quality (BadSensorFailure)" in alarm


async def test_furnace_in_order_is_left_alone_although_nothing_can_be_written(
    gateway: Gateway, bench: Bench, clock: VirtualClock, locked: sqlite3.Connection
) -> None:
    bench.furnace.mode = FurnaceMode.RUNNING

    async def main() -> FurnaceReading:
        clock.spawn(gateway.furnaces.watch("furnace", 10), name="watch")
        await clock.sleep(100)
        return await gateway.furnaces.read("furnace")

    assert (await clock.run(main())).mode is FurnaceMode.RUNNING
    assert bench.furnace.made_safe == 0


async def test_what_is_no_number_is_made_safe_and_watched_on(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    bench.furnace.mode, bench.furnace.temperature_c = FurnaceMode.RUNNING, math.nan

    async def main() -> None:
        clock.spawn(gateway.furnaces.watch("furnace", 10), name="watch")
        await clock.sleep(25)

    await clock.run(main())
    assert bench.furnace.made_safe == 2  # at every look
    assert state_of(small_laboratory, "furnace") == "quarantined"


async def test_heating_curve_keeps_what_is_new(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    async def main() -> None:
        for temperature_c in (25.0, 27.0, 40.0, 41.0, 47.0):
            bench.furnace.temperature_c = temperature_c
            await gateway.furnaces.read("furnace")
            await clock.sleep(60)
        await clock.sleep(3600)
        await gateway.furnaces.read("furnace")

    await clock.run(main())
    with small_laboratory.store.begin() as session:
        kept = session.scalars(select(ReadingRow.temperature_c).order_by(ReadingRow.id)).all()
    assert kept == [25.0, 40.0, 47.0, 47.0]
