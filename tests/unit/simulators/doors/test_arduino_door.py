"""Two doors on one board."""

import pytest

from simulators.doors.arduino_door import ArduinoDoor


@pytest.fixture
def board(stage) -> ArduinoDoor:
    return ArduinoDoor(stage.world, {"A": "door_a", "B": "door_b"})


def test_a_door_opens_in_27_seconds_and_shuts_in_30(stage, board) -> None:
    assert board.answer(b"Status") == b"State: STOP; Furnace A: Closed; Furnace B: Closed\n"
    opening = b"State: RUNNING; Furnace A: Open; Furnace B: Closed\n"
    assert board.answer(b"Open A") == opening
    stage.wait(26.4)
    assert board.answer(b"Status") == opening
    stage.wait(1.1)
    assert board.answer(b"Status") == b"State: STOP; Furnace A: Open; Furnace B: Closed\n"
    assert board.answer(b"Close A") == opening
    stage.wait(28.9)
    assert stage.world.open_doors == {"door_a"}  # not fully closed yet
    stage.wait(1.1)
    assert stage.world.open_doors == set()


def test_the_board_moves_one_door_at_a_time(stage, board) -> None:
    board.answer(b"Open A")
    assert board.answer(b"Open B") == b"Busy\n"
    stage.wait(28.0)
    assert board.answer(b"Open B") == b"State: RUNNING; Furnace A: Open; Furnace B: Open\n"


def test_a_door_that_is_there_does_not_move(board) -> None:
    assert board.answer(b"Close A").startswith(b"State: STOP")


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (b"Open C", b"Error: unknown door C\n"),
        (b"Toggle A", b"Error: unknown command Toggle\n"),
        (b"", b"Error: unknown command \n"),
    ],
)
def test_what_it_does_not_know_is_an_error(board, request_, reply) -> None:
    assert board.answer(request_) == reply


def test_a_stuck_door_faults(stage, board) -> None:
    board.stuck.add("A")
    board.answer(b"Open A")
    stage.wait(30.0)
    assert board.answer(b"Status").startswith(b"State: ERROR; Furnace A: Closed")
    assert board.answer(b"Open B") == b"Error: motor fault\n"
