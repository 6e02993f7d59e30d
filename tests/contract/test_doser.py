"""What every doser promises, run on each driver against its simulator."""

import pytest

from alab.errors import (
    CommandRejected,
    DeviceFault,
    DeviceUnreachable,
    InterlockError,
    UnknownOutcome,
)


@pytest.fixture
def doser(bench):
    bench.crucible = bench.put("doser_pan")
    bench.mount(1)
    return bench.devices["doser"]


async def weighed_mg(device) -> float:
    return (await device.weigh()).mass_mg


async def dosed_mg(device, mass_mg: float, tolerance_percent: float = 1.0) -> float:
    before_mg = await weighed_mg(device)
    await device.start_dose(mass_mg=mass_mg, tolerance_percent=tolerance_percent)
    await device.finish_dose()
    return await weighed_mg(device) - before_mg


async def test_weigh_returns_the_gross_mass_on_the_pan(bench, doser) -> None:
    mass_mg = await bench.run(weighed_mg(doser))
    assert mass_mg == pytest.approx(bench.crucible.gross_mass_mg, abs=0.15)


async def test_readings_scatter_by_hundredths_of_a_milligram(bench, doser) -> None:
    readings = [await bench.run(weighed_mg(doser)) for _ in range(12)]
    assert 0.0 < max(readings) - min(readings) < 0.2


async def test_an_empty_pan_weighs_nothing(bench) -> None:
    assert await bench.run(weighed_mg(bench.devices["doser"])) == pytest.approx(0, abs=0.15)


async def test_an_overloaded_pan_is_rejected(bench, doser) -> None:
    bench.crucible.mass_mg = 300_000.0
    with pytest.raises(CommandRejected, match="overload"):
        await bench.run(weighed_mg(doser))


async def test_the_mounted_head_names_its_powder(bench, doser) -> None:
    assert await bench.run(doser.mounted_substance()) == "BaCO3"
    bench.world.mounted.clear()
    assert await bench.run(doser.mounted_substance()) is None


async def test_a_dose_arrives_on_the_pan_and_leaves_the_head(bench, doser) -> None:
    before_mg = bench.world.heads[1].mass_mg
    mass_mg = await bench.run(dosed_mg(doser, 100.0))
    assert mass_mg == pytest.approx(100.0, abs=5.0)
    assert bench.crucible.powder.mass_mg == pytest.approx(mass_mg, abs=0.3)
    assert before_mg - bench.world.heads[1].mass_mg == pytest.approx(
        bench.crucible.powder.mass_mg
    )
    assert 100.0 < bench.clock.monotonic_s() < 300.0


async def test_most_doses_are_within_tolerance(bench, doser) -> None:
    masses_mg = [await bench.run(dosed_mg(doser, 50.0, 2.0)) for _ in range(10)]
    within = [abs(mass_mg - 50.0) <= 1.0 + 0.2 for mass_mg in masses_mg]
    assert sum(within) >= 8
    assert len({round(mass_mg, 1) for mass_mg in masses_mg}) > 3


async def test_doses_out_of_range_are_refused(bench, doser) -> None:
    with pytest.raises(InterlockError, match="1 mg: outside 5 to"):
        await bench.run(doser.start_dose(mass_mg=1.0, tolerance_percent=1.0))


async def test_without_a_head_nothing_is_dosed(bench, doser) -> None:
    bench.world.mounted.clear()
    with pytest.raises(CommandRejected, match="no dosing head"):
        await bench.run(doser.start_dose(mass_mg=50.0, tolerance_percent=1.0))


async def test_a_busy_doser_declines(bench, doser) -> None:
    await bench.run(doser.start_dose(mass_mg=50.0, tolerance_percent=1.0))
    with pytest.raises(CommandRejected, match="another job runs"):
        await bench.run(doser.start_dose(mass_mg=50.0, tolerance_percent=1.0))


async def test_an_empty_head_is_a_fault(bench, doser) -> None:
    bench.world.heads[1].mass_mg = 20.0
    with pytest.raises(DeviceFault, match="powder flow"):
        await bench.run(dosed_mg(doser, 100.0))
    assert bench.crucible.powder.mass_mg == pytest.approx(20.0)
    assert bench.world.heads[1].mass_mg == pytest.approx(0.0)


async def test_powder_that_misses_the_vessel_is_a_fault(bench, doser) -> None:
    bench.world.crucibles.clear()
    with pytest.raises(DeviceFault, match="misses the vessel"):
        await bench.run(dosed_mg(doser, 100.0))


async def test_a_jam_leaves_part_of_the_dose(bench, doser) -> None:
    bench.instrument("doser").doser.jams = 1
    with pytest.raises(DeviceFault, match="jammed"):
        await bench.run(dosed_mg(doser, 100.0))
    assert 80.0 < bench.crucible.powder.mass_mg < 99.0
    assert await bench.run(dosed_mg(doser, 50.0)) == pytest.approx(50.0, abs=3.0)


async def test_make_safe_stops_a_dose_half_way(bench, doser) -> None:
    async def work() -> None:
        await doser.start_dose(mass_mg=100.0, tolerance_percent=1.0)
        await bench.clock.sleep(30.0)
        await doser.make_safe()
        await doser.finish_dose()

    with pytest.raises(DeviceFault, match="stopped by hand"):
        await bench.run(work())
    assert 10.0 < bench.crucible.powder.mass_mg < 92.0


async def test_a_pan_that_never_rests_is_a_fault(bench, doser) -> None:
    bench.instrument("doser").doser.drifts = True
    with pytest.raises(DeviceFault, match="no stable reading"):
        await bench.run(weighed_mg(doser))


async def test_a_new_process_finishes_the_dose(bench, doser) -> None:
    await bench.run(doser.start_dose(mass_mg=100.0, tolerance_percent=1.0))
    await bench.run(bench.clock.sleep(10.0))
    fresh = await bench.again("doser")
    await bench.run(fresh.finish_dose())
    assert bench.instrument("doser").doser.dosing is None
    assert bench.crucible.powder.mass_mg == pytest.approx(100.0, abs=5.0)


async def test_a_new_process_finds_the_dose_ended(bench, doser) -> None:
    await bench.run(doser.start_dose(mass_mg=100.0, tolerance_percent=1.0))
    fresh = await bench.again("doser")
    await bench.run(bench.clock.sleep(1000.0))
    await bench.run(fresh.finish_dose())
    assert await bench.run(weighed_mg(fresh)) == pytest.approx(
        bench.crucible.gross_mass_mg, abs=0.2
    )


async def test_weighing_during_a_dose_waits_for_its_end(bench, doser) -> None:
    await bench.run(doser.start_dose(mass_mg=100.0, tolerance_percent=1.0))
    fresh = await bench.again("doser")
    mass_mg = await bench.run(weighed_mg(fresh))
    assert mass_mg == pytest.approx(bench.crucible.gross_mass_mg, abs=0.2)
    assert bench.crucible.powder.mass_mg == pytest.approx(100.0, abs=5.0)
    await bench.run(fresh.finish_dose())


async def test_a_lost_reply_to_the_start_leaves_one_dose(bench, doser, monkeypatch) -> None:
    monkeypatch.setattr("drivers.balances.quantos_dialogue.REPLY_TIMEOUT_S", 0.1)
    asked: list[bytes] = []

    def lose_start(request: bytes, answer: bytes) -> bytes:
        asked.append(request)
        return b"" if request == b"QRA 61 1" else answer

    bench.line("doser").tamper = lose_start
    with pytest.raises(UnknownOutcome):
        await bench.run(doser.start_dose(mass_mg=100.0, tolerance_percent=1.0))
    await bench.run(doser.finish_dose())
    assert asked.count(b"QRA 61 1") == 1
    assert bench.crucible.powder.mass_mg == pytest.approx(100.0, abs=5.0)


async def test_a_balance_that_freezes_in_mid_dose_is_noticed(bench, doser, monkeypatch) -> None:
    monkeypatch.setattr("drivers.balances.quantos_dialogue.REPLY_TIMEOUT_S", 0.1)
    await bench.run(doser.start_dose(mass_mg=100.0, tolerance_percent=1.0))
    bench.instrument("doser").frozen = True
    with pytest.raises(DeviceUnreachable):
        await bench.run(doser.finish_dose())
    bench.instrument("doser").frozen = False
    await bench.run(doser.finish_dose())
    assert bench.crucible.powder.mass_mg == pytest.approx(100.0, abs=5.0)
