"""What every mixer promises, run on each driver against its simulator."""

import pytest

from alab.errors import CommandRejected, DeviceFault, InterlockError, UnknownOutcome


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
