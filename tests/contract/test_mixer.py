"""What every mixer promises, run on each driver against its simulator."""

import pytest

from alab.errors import (
    CommandRejected,
    DeviceFault,
    DeviceUnreachable,
    InterlockError,
    UnknownOutcome,
)


@pytest.fixture
def mixer(bench):
    bench.crucible = bench.put("mixer_cup")
    bench.crucible.powder.add("BaCO3", 100.0)
    bench.crucible.powder.add("TiO2", 50.0)
    return bench.devices["mixer"]


def mixing(bench) -> float:
    return bench.crucible.powder._charge.mixing


async def mix(device, speed_rpm: float = 2000.0, duration_s: float = 540.0) -> None:
    await device.start_mixing(speed_rpm=speed_rpm, duration_s=duration_s)
    await device.finish_mixing()


async def test_mixing_takes_the_set_time_and_ends_at_rest(bench, mixer) -> None:
    await bench.run(mix(mixer))
    assert 540.0 <= bench.clock.monotonic_s() < 560.0
    assert not await bench.run(mixer.is_mixing())
    assert bench.instrument("mixer").rotor.speed_rpm == 0.0


async def test_it_turns_meanwhile(bench, mixer) -> None:
    await bench.run(mixer.start_mixing(speed_rpm=2000.0, duration_s=540.0))
    assert await bench.run(mixer.is_mixing())
    await bench.run(bench.clock.sleep(60.0))
    assert await bench.run(mixer.is_mixing())
    assert bench.instrument("mixer").rotor.speed_rpm == 2000.0


async def test_powder_is_mixed_once_it_rests(bench, mixer) -> None:
    before = mixing(bench)
    await bench.run(mix(mixer))
    assert mixing(bench) > before + 0.3


async def test_a_short_slow_mix_mixes_less(bench, mixer) -> None:
    await bench.run(mix(mixer, speed_rpm=500.0, duration_s=30.0))
    assert mixing(bench) < 0.1


@pytest.mark.parametrize(("speed_rpm", "duration_s"), [(2600.0, 60.0), (2000.0, 1000.0)])
async def test_what_the_mixer_cannot_do_is_refused(bench, mixer, speed_rpm, duration_s) -> None:
    with pytest.raises(InterlockError):
        await bench.run(mix(mixer, speed_rpm=speed_rpm, duration_s=duration_s))
    assert not await bench.run(mixer.is_mixing())


async def test_a_turning_mixer_declines(bench, mixer) -> None:
    await bench.run(mixer.start_mixing(speed_rpm=2000.0, duration_s=60.0))
    with pytest.raises(CommandRejected, match="turns already"):
        await bench.run(mixer.start_mixing(speed_rpm=2000.0, duration_s=60.0))


async def test_a_latched_error_is_a_fault_and_stays(bench, mixer) -> None:
    await bench.run(mixer.start_mixing(speed_rpm=2000.0, duration_s=60.0))
    bench.instrument("mixer").error = 7
    with pytest.raises(DeviceFault, match="latched error 7"):
        await bench.run(mixer.finish_mixing())
    with pytest.raises(DeviceFault, match="latched error 7"):
        await bench.run(mixer.start_mixing(speed_rpm=2000.0, duration_s=60.0))
    assert bench.instrument("mixer").error == 7


async def test_make_safe_stops_it(bench, mixer) -> None:
    await bench.run(mixer.start_mixing(speed_rpm=2000.0, duration_s=600.0))
    await bench.run(mixer.make_safe())
    await bench.run(bench.clock.sleep(15.0))
    assert not await bench.run(mixer.is_mixing())


async def test_a_new_process_finishes_the_mix(bench, mixer) -> None:
    await bench.run(mixer.start_mixing(speed_rpm=2000.0, duration_s=540.0))
    await bench.run(bench.clock.sleep(30.0))
    fresh = await bench.again("mixer")
    assert await bench.run(fresh.is_mixing())
    await bench.run(fresh.finish_mixing())
    assert not await bench.run(fresh.is_mixing())
    assert bench.clock.monotonic_s() >= 540.0
    assert mixing(bench) > 0.3


@pytest.mark.parametrize("later_s", [1.0, 3600.0])
async def test_a_mixer_that_lost_its_power_has_not_mixed(bench, mixer, later_s) -> None:
    await bench.run(mixer.start_mixing(speed_rpm=2000.0, duration_s=540.0))
    with bench.world.lock:
        bench.instrument("mixer").lose_power()
    await bench.run(bench.clock.sleep(30.0 + later_s))
    fresh = await bench.again("mixer")
    with pytest.raises(UnknownOutcome, match="never stops by itself"):
        await bench.run(fresh.finish_mixing())


async def test_a_mixer_that_lost_its_power_while_nobody_looked_has_not_mixed(
    bench, mixer
) -> None:
    """The link was lost with it; the process goes on."""
    await bench.run(mixer.start_mixing(speed_rpm=2000.0, duration_s=540.0))
    with bench.world.lock:
        bench.instrument("mixer").lose_power()
    await bench.run(bench.clock.sleep(600.0))
    with pytest.raises(UnknownOutcome, match="never stops by itself"):
        await bench.run(mixer.finish_mixing())


async def test_a_mix_that_is_stopped_for_safety_has_failed(bench, mixer) -> None:
    async def stopped() -> None:
        await bench.clock.sleep(100.0)
        await mixer.make_safe()

    async def work() -> None:
        await mixer.start_mixing(speed_rpm=2000.0, duration_s=540.0)
        stop = bench.clock.spawn(stopped(), name="stop")
        try:
            await mixer.finish_mixing()
        finally:
            await bench.clock.join(stop)

    with pytest.raises(DeviceFault, match="s too early"):
        await bench.run(work())


async def test_a_mixer_that_was_told_to_stop_has_mixed(bench, mixer, monkeypatch) -> None:
    """The reply to the stop is lost; asked again, it stands because we stopped it."""
    monkeypatch.setattr("drivers.mixers.hauschild_smartdac.REPLY_TIMEOUT_S", 0.1)
    await bench.run(mixer.start_mixing(speed_rpm=2000.0, duration_s=540.0))
    bench.line("mixer").tamper = lambda request, answer: (
        b"" if request.startswith(b"\x04\x21\x0212") else answer
    )
    with pytest.raises(DeviceUnreachable):
        await bench.run(mixer.finish_mixing())
    bench.line("mixer").tamper = None
    await bench.run(bench.clock.sleep(60.0))
    await bench.run(mixer.finish_mixing())
    assert mixing(bench) > 0.3


async def test_a_lost_reply_to_the_start_is_an_unknown_outcome(
    bench, mixer, monkeypatch
) -> None:
    monkeypatch.setattr("drivers.mixers.hauschild_smartdac.REPLY_TIMEOUT_S", 0.1)
    started: list[bytes] = []

    def lose_start(request: bytes, answer: bytes) -> bytes:
        if request.startswith(b"\x04\x21\x0211"):
            started.append(request)
            return b""
        return answer

    bench.line("mixer").tamper = lose_start
    with pytest.raises(UnknownOutcome):
        await bench.run(mixer.start_mixing(speed_rpm=2000.0, duration_s=60.0))
    assert await bench.run(mixer.is_mixing())
    await bench.run(mixer.finish_mixing())
    assert len(started) == 1
