"""A simulated Arduino that moves furnace doors, one at a time.

TCP, LF lines ``Open A``, ``Close A``, ``Status``. Every request is answered by one status
line: ``State: STOP; Furnace A: Closed; Furnace B: Open``. A door has one limit switch,
pressed when it is closed, so a door on its way reads ``Open``. State is ``STOP``,
``RUNNING`` while any door moves, ``ERROR`` after a motor fault. A request that cannot be
carried out is answered by ``Busy`` or by ``Error: ...``.
"""

import math

from alab.lab import LabDefinition
from simulators.wire import TcpLine
from simulators.world.remembered import Remembered
from simulators.world.world import World

OPENING_S = (26.5, 27.5)
CLOSING_S = (29.0, 30.0)


class ArduinoDoor(Remembered):
    """Answers the lines of one board.

    Attributes:
        stuck: Letters of doors that do not move: the board faults when they should.
        error: Whether the board reports a motor fault.
    """

    remembered = ("stuck", "error", "frozen", "_motion", "_motions")
    greeting = b""
    due_s = math.inf

    def __init__(self, world: World, doors: dict[str, str]) -> None:
        self.stuck: set[str] = set()
        self.error = False
        self.frozen = False
        self._world = world
        self._doors = doors
        self._motion: tuple[float, str, str] | None = None  # when it ends, door, act
        self._motions = 0
        self._name = min(doors.values())
        world.register(self._name, self)

    def advance(self, now_s: float) -> None:
        """Move doors until ``now_s``."""
        if self._motion is None or now_s < self._motion[0]:
            return
        _, letter, act = self._motion
        self._motion = None
        self._world.mark(self._name, self._doors[letter])
        if letter in self.stuck:
            self.error = True
        elif act == "Close":
            self._world.open_doors.discard(self._doors[letter])

    def unasked(self) -> bytes:
        """Nothing: the board only answers."""
        return b""

    def answer(self, request: bytes) -> bytes:
        """Answer one line."""
        if self.frozen:
            return b""
        return self._reply(request.decode("ascii", errors="replace").strip()).encode() + b"\n"

    def _reply(self, text: str) -> str:
        act, _, letter = text.partition(" ")
        if text == "Status":
            return self._status()
        if act not in ("Open", "Close"):
            return f"Error: unknown command {act}"
        if letter not in self._doors:
            return f"Error: unknown door {letter}"
        if self._motion is not None:
            return "Busy"
        if self.error:
            return "Error: motor fault"
        if (act == "Open") != self._is_open(letter):
            self._move(letter, act)
        return self._status()

    def _move(self, letter: str, act: str) -> None:
        self._motions += 1
        draw = self._world.rng(self._doors[letter], "motion", self._motions)
        duration_s = draw.uniform(*(OPENING_S if act == "Open" else CLOSING_S))
        self._world.mark(self._name, self._doors[letter])
        self._motion = (self._world.now_s() + duration_s, letter, act)
        if act == "Open" and letter not in self.stuck:
            self._world.open_doors.add(self._doors[letter])

    def _status(self) -> str:
        moving = self._motion is not None
        state = "ERROR" if self.error else "RUNNING" if moving else "STOP"
        doors = (
            f"Furnace {letter}: {'Open' if self._is_open(letter) else 'Closed'}"
            for letter in self._doors
        )
        return "; ".join((f"State: {state}", *doors))

    def _is_open(self, letter: str) -> bool:
        return self._doors[letter] in self._world.open_doors


def line(world: World, lab: LabDefinition, names: list[str]) -> TcpLine:
    """One board with all its doors."""
    addresses = lab.addresses()
    doors = {addresses[name].option("door", "A"): name for name in names}
    return TcpLine(world, ArduinoDoor(world, doors), b"\n")
