"""What every door promises, run on each driver against its simulator."""

import pytest

from alab.errors import DeviceFault, DeviceUnreachable
from alab.models import DoorState


@pytest.fixture
def door(bench):
    return bench.devices["door_a"]


async def test_a_door_opens_and_shuts(bench, door) -> None:
    assert await bench.run(door.state()) is DoorState.CLOSED
    await bench.run(door.open())
    assert await bench.run(door.state()) is DoorState.OPEN
    assert bench.world.open_doors == {"door_a"}
    assert 26.5 <= bench.clock.monotonic_s() <= 30.0
    opened_s = bench.clock.monotonic_s()
    await bench.run(door.shut())
    assert await bench.run(door.state()) is DoorState.CLOSED
    assert bench.world.open_doors == set()
    assert 29.0 <= bench.clock.monotonic_s() - opened_s <= 32.5


async def test_a_target_that_is_reached_takes_no_time(bench, door) -> None:
    await bench.run(door.shut())
    assert bench.clock.monotonic_s() == 0.0
    await bench.run(door.open())
    opened_s = bench.clock.monotonic_s()
    await bench.run(door.open())
    assert bench.clock.monotonic_s() == opened_s


async def test_a_door_on_its_way_is_neither_open_nor_closed(bench, door) -> None:
    async def work() -> list[DoorState]:
        opening = bench.clock.spawn(door.open(), name="opening")
        await bench.clock.sleep(5.0)
        seen = [await door.state()]
        await bench.clock.join(opening)
        return [*seen, await door.state()]

    assert await bench.run(work()) == [DoorState.MOVING, DoorState.OPEN]
    assert bench.world.open_doors == {"door_a"}


async def test_doors_of_one_board_move_one_after_another(bench) -> None:
    doors = [bench.devices["door_a"], bench.devices["door_b"]]

    async def work() -> None:
        await bench.clock.join(*(bench.clock.spawn(d.open(), name=d.name) for d in doors))

    await bench.run(work())
    assert bench.world.open_doors == {"door_a", "door_b"}
    assert 53.0 <= bench.clock.monotonic_s() <= 62.0


async def test_a_stuck_door_is_a_fault(bench, door) -> None:
    bench.instrument("door_a").stuck.add("A")
    with pytest.raises(DeviceFault, match="motor fault"):
        await bench.run(door.open())
    assert await bench.run(door.state()) is DoorState.CLOSED


async def test_a_lost_command_is_asked_about_and_not_repeated(bench, door, monkeypatch) -> None:
    monkeypatch.setattr("drivers.doors.arduino_door.REPLY_TIMEOUT_S", 0.1)
    commands: list[bytes] = []

    def lose_open(request: bytes, answer: bytes) -> bytes:
        if request == b"Open A":
            commands.append(request)
            return b""
        return answer

    bench.line("door_a").tamper = lose_open
    with pytest.raises(DeviceUnreachable):
        await bench.run(door.open())
    await bench.run(door.open())
    assert len(commands) == 1
    assert await bench.run(door.state()) is DoorState.OPEN
