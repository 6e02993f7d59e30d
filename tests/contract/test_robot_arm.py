"""What every arm promises, run on each driver against its simulator."""

import pytest

from alab import programs
from alab.errors import CommandRejected, DeviceFault, DeviceUnreachable, UnknownOutcome


@pytest.fixture
def arm(bench):
    return bench.devices["arm"]


async def play(device, *names: str) -> None:
    for name in names:
        await device.start_program(name)
        await device.finish_program(name)


async def test_a_crucible_goes_from_slot_to_slot(bench, arm) -> None:
    crucible = bench.put("rack.1")
    await bench.run(play(arm, programs.pick("rack.1")))
    assert bench.world.gripped == {"arm": crucible}
    assert bench.world.crucibles == {}
    await bench.run(play(arm, programs.place("rack.4")))
    assert bench.world.gripped == {}
    assert bench.world.crucibles == {"rack.4": crucible}
    assert 40.0 <= bench.clock.monotonic_s() <= 130.0


async def test_the_dispenser_gives_new_crucibles(bench, arm) -> None:
    await bench.run(
        play(
            arm,
            programs.pick("crucibles"),
            programs.place("doser_pan"),
            programs.pick("crucibles"),
            programs.place("rack.1"),
        )
    )
    names = {slot: crucible.name for slot, crucible in bench.world.crucibles.items()}
    assert names == {"doser_pan": "C0001", "rack.1": "C0002"}


async def test_a_head_is_mounted(bench, arm) -> None:
    await bench.run(play(arm, programs.mount_head(2)))
    assert await bench.run(bench.devices["doser"].mounted_substance()) == "TiO2"


async def test_the_running_program_is_told_until_it_ends(bench, arm) -> None:
    bench.put("rack.1")
    name = programs.pick("rack.1")
    assert await bench.run(arm.running_program()) is None
    await bench.run(arm.start_program(name))
    assert await bench.run(arm.running_program()) == name
    with pytest.raises(CommandRejected, match="is playing"):
        await bench.run(arm.start_program(name))
    await bench.run(arm.finish_program(name))
    assert await bench.run(arm.running_program()) is None


@pytest.mark.parametrize("name", ["pick_rack_99.urp", "dance.urp", "place_crucibles.urp"])
async def test_unknown_programs_are_rejected(bench, arm, name) -> None:
    with pytest.raises(CommandRejected, match="File not found"):
        await bench.run(arm.start_program(name))


async def test_a_collision_is_a_fault_that_stays_until_a_person_clears_it(bench, arm) -> None:
    bench.put("rack.1")
    bench.put("rack.2")
    await bench.run(play(arm, programs.pick("rack.1")))
    with pytest.raises(DeviceFault, match="PROTECTIVE_STOP"):
        await bench.run(play(arm, programs.place("rack.2")))
    assert bench.instrument("arm").collided_with == "C0002 stands in rack.2"
    assert await bench.run(arm.running_program()) == programs.place("rack.2")
    with pytest.raises(DeviceFault, match="clear it at the pendant"):
        await bench.run(arm.start_program(programs.place("rack.3")))
    assert bench.instrument("arm").safety == "PROTECTIVE_STOP"


async def test_picking_from_an_empty_slot_is_a_fault(bench, arm) -> None:
    with pytest.raises(DeviceFault, match="PROTECTIVE_STOP"):
        await bench.run(play(arm, programs.pick("rack.1")))


async def test_an_arm_in_local_control_declines(bench, arm) -> None:
    bench.instrument("arm").remote = False
    with pytest.raises(CommandRejected, match="remote control"):
        await bench.run(arm.start_program(programs.pick("crucibles")))


async def test_losing_remote_control_is_a_fault(bench, arm) -> None:
    await bench.run(arm.start_program(programs.pick("crucibles")))
    bench.instrument("arm").remote = False
    with pytest.raises(DeviceFault, match="local control"):
        await bench.run(arm.finish_program(programs.pick("crucibles")))


async def test_make_safe_holds_the_arm(bench, arm) -> None:
    await bench.run(arm.start_program(programs.pick("crucibles")))
    await bench.run(arm.make_safe())
    await bench.run(bench.clock.sleep(100.0))
    assert bench.world.gripped == {}
    with pytest.raises(DeviceFault, match="paused half-way"):
        await bench.run(arm.finish_program(programs.pick("crucibles")))


async def test_a_new_process_finishes_the_program(bench, arm) -> None:
    await bench.run(arm.start_program(programs.pick("crucibles")))
    fresh = await bench.again("arm")
    assert await bench.run(fresh.running_program()) == programs.pick("crucibles")
    await bench.run(fresh.finish_program(programs.pick("crucibles")))
    assert "arm" in bench.world.gripped


async def test_a_new_process_finds_that_the_program_has_ended(bench, arm) -> None:
    await bench.run(arm.start_program(programs.pick("crucibles")))
    await bench.run(bench.clock.sleep(100.0))
    fresh = await bench.again("arm")
    await bench.run(fresh.finish_program(programs.pick("crucibles")))
    assert "arm" in bench.world.gripped


@pytest.mark.parametrize("mode", ["POWER_OFF", "RUNNING"])
async def test_an_arm_that_lost_its_power_has_not_finished(bench, arm, mode) -> None:
    await bench.run(arm.start_program(programs.pick("crucibles")))
    await bench.run(bench.clock.sleep(5.0))
    with bench.world.lock:
        bench.instrument("arm").lose_power()
        bench.instrument("arm").mode = mode
    fresh = await bench.again("arm")
    with pytest.raises(UnknownOutcome, match="may not have come to its end"):
        await bench.run(fresh.finish_program(programs.pick("crucibles")))
    assert bench.world.gripped == {}


async def test_a_lost_reply_to_play_is_an_unknown_outcome(bench, arm, monkeypatch) -> None:
    monkeypatch.setattr("drivers.arms.ur_dashboard.REPLY_TIMEOUT_S", 0.1)
    played: list[bytes] = []

    def lose_play(request: bytes, answer: bytes) -> bytes:
        if request == b"play":
            played.append(request)
            return b""
        return answer

    bench.line("arm").tamper = lose_play
    with pytest.raises(UnknownOutcome):
        await bench.run(arm.start_program(programs.pick("crucibles")))
    assert await bench.run(arm.running_program()) == programs.pick("crucibles")
    await bench.run(arm.finish_program(programs.pick("crucibles")))
    assert len(played) == 1
    assert "arm" in bench.world.gripped


async def test_a_lost_query_may_be_retried(bench, arm, monkeypatch) -> None:
    monkeypatch.setattr("drivers.arms.ur_dashboard.REPLY_TIMEOUT_S", 0.1)
    await bench.run(arm.start_program(programs.pick("crucibles")))
    bench.line("arm").tamper = lambda request, answer: b""
    with pytest.raises(DeviceUnreachable):
        await bench.run(arm.finish_program(programs.pick("crucibles")))
    bench.line("arm").tamper = None
    await bench.run(arm.finish_program(programs.pick("crucibles")))
