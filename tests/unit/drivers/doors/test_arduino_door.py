"""The exact lines of the door board."""

import pytest

from alab.errors import CommandRejected, DeviceFault, DeviceUnreachable, MalformedReply
from alab.models import DoorState
from drivers.doors.arduino_door import ArduinoDoor

ASK = b"Status"


def says(state: str, a: str, b: str = "Closed") -> bytes:
    return f"State: {state}; Furnace A: {a}; Furnace B: {b}".encode()


@pytest.fixture
def door(transcript, clock):
    def make(*conversation, letter="A"):
        line = transcript(*conversation)
        return ArduinoDoor("door_a", line, clock, letter=letter), line

    return make


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        (says("STOP", "Open"), DoorState.OPEN),
        (says("STOP", "Closed"), DoorState.CLOSED),
        (says("RUNNING", "Open"), DoorState.MOVING),
        (says("RUNNING", "Closed"), DoorState.CLOSED),
        (says("ERROR", "Open"), DoorState.UNKNOWN),
        (says("ERROR", "Closed"), DoorState.CLOSED),
    ],
)
async def test_state_tells_open_from_on_its_way(door, run, reply, state) -> None:
    device, _ = door((ASK, reply))
    assert await run(device.state()) is state


async def test_each_door_reads_its_own_switch(door, run) -> None:
    device, _ = door((ASK, says("STOP", "Closed", "Open")), letter="B")
    assert await run(device.state()) is DoorState.OPEN


async def test_open_waits_for_the_board(door, run, clock) -> None:
    device, line = door(
        (ASK, says("STOP", "Closed")),
        (b"Open A", says("RUNNING", "Closed")),
        (ASK, says("RUNNING", "Open")),
        (ASK, says("STOP", "Open")),
    )
    await run(device.open())
    line.assert_over()
    assert clock.monotonic_s() == 4.0


async def test_a_door_made_safe_while_it_waits_does_not_move(door, run, clock) -> None:
    device, line = door(
        (ASK, says("RUNNING", "Closed", "Open")),
        (ASK, says("STOP", "Closed")),
    )

    async def stopped_while_waiting() -> None:
        opening = clock.spawn(device.open(), name="open")
        await clock.sleep(1.0)
        await device.make_safe()
        await clock.join(opening)
        await opening

    with pytest.raises(CommandRejected, match="made safe before door A was told to move"):
        await run(stopped_while_waiting())
    line.assert_over()


async def test_shut_waits_for_the_limit_switch(door, run) -> None:
    device, line = door(
        (ASK, says("STOP", "Open")),
        (b"Close A", says("RUNNING", "Open")),
        (ASK, says("RUNNING", "Open")),
        (ASK, says("STOP", "Closed")),
    )
    await run(device.shut())
    line.assert_over()


@pytest.mark.parametrize(("verb", "there"), [("open", "Open"), ("shut", "Closed")])
async def test_a_door_that_is_there_is_left_alone(door, run, clock, verb, there) -> None:
    device, line = door((ASK, says("STOP", there)))
    await run(getattr(device, verb)())
    assert line.sent == [ASK]
    assert clock.monotonic_s() == 0.0


async def test_a_busy_board_is_waited_for(door, run) -> None:
    device, line = door(
        (ASK, says("RUNNING", "Closed", "Open")),
        (ASK, says("STOP", "Closed", "Open")),
        (b"Open A", b"Busy"),
        (ASK, says("STOP", "Closed", "Open")),
        (b"Open A", says("RUNNING", "Open", "Open")),
        (ASK, says("STOP", "Open", "Open")),
    )
    await run(device.open())
    line.assert_over()


async def test_a_board_that_is_always_busy_is_a_fault(door, run, clock) -> None:
    device, _ = door(*[(ASK, says("RUNNING", "Closed"))] * 160)
    with pytest.raises(DeviceFault, match="moving for 300 s"):
        await run(device.open())


async def test_a_door_that_does_not_arrive_is_a_fault_after_60_s(door, run, clock) -> None:
    device, _ = door(
        (ASK, says("STOP", "Open")),
        (b"Close A", says("RUNNING", "Open")),
        *[(ASK, says("STOP", "Open"))] * 31,
    )
    with pytest.raises(DeviceFault, match="door A was not closed 62 s after"):
        await run(device.shut())


async def test_a_motor_fault_is_a_fault(door, run) -> None:
    device, _ = door(
        (ASK, says("STOP", "Open")),
        (b"Close A", says("RUNNING", "Open")),
        (ASK, says("ERROR", "Open")),
    )
    with pytest.raises(DeviceFault, match="motor fault"):
        await run(device.shut())


async def test_after_a_lost_reply_the_target_is_asked_not_sent_again(door, run) -> None:
    device, line = door(
        (ASK, says("STOP", "Closed")),
        (b"Open A", None),
        (ASK, says("RUNNING", "Open")),
        (ASK, says("STOP", "Open")),
    )
    with pytest.raises(DeviceUnreachable):
        await run(device.open())
    await run(device.open())
    line.assert_over()
    assert line.sent.count(b"Open A") == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"", MalformedReply),
        (b"State: STOP; Furnace B: Open", MalformedReply),
        (b"State: WARM; Furnace A: Open", MalformedReply),
        (b"State: STOP; Furnace A: Ajar", MalformedReply),
        (b"Error: unknown command", CommandRejected),
        (None, DeviceUnreachable),
    ],
)
async def test_other_replies_are_errors(door, run, reply, error) -> None:
    device, _ = door((ASK, reply))
    with pytest.raises(error):
        await run(device.state())


async def test_make_safe_sends_nothing(door, run) -> None:
    device, line = door()
    await run(device.make_safe())
    assert line.sent == []
