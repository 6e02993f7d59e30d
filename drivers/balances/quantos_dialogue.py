"""The conversation with a Mettler Toledo balance: MT-SICS and Quantos lines.

An action answers ``… B`` at once and ``… A`` or ``… I error`` when it has ended, whenever
that is. So every answer is looked for by the command it repeats, and the ends of actions
that stand in front of it are kept in ``ends``.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from alab.errors import CommandRejected, DeviceUnreachable, MalformedReply
from drivers.transport import LineTransport, ReplyLost

REPLY_TIMEOUT_S = 5.0

T = TypeVar("T")

DOSE = b"QRA 61 1"
MOVE_DOOR, MOVE_PIN = b"QRA 60 7", b"QRA 60 2"

_REFUSALS = {
    b"ES": "syntax error: the balance does not know this command; is a Quantos fitted?",
    b"ET": "transmission error: check parity and baud rate (9600 8N1)",
    b"EL": "logical error: the command cannot be executed now",
}
_ERRORS = {
    1: "no dosing head is mounted",
    2: "another job runs",
    3: "dosing took too long",
    4: "not selected",
    5: "not allowed at the moment (door open, or head not locked)",
    6: "the weight is not stable",
    7: "powder flow error: head empty, jammed, or powder misses the vessel",
    8: "stopped by hand",
    9: "safe position not reached",
    10: "this dosing head is not allowed",
    11: "the dosing head has reached its limit of doses",
    12: "the dosing head has expired",
    13: "the sampler is blocked",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A Quantos line taken apart.

    Attributes:
        status: ``A`` done, ``B`` begun, ``I`` not executed, ``L`` wrong parameter.
        error: Number after ``I``; None without one.
        values: What stands between command and status.
    """

    status: bytes
    error: int | None = None
    values: tuple[bytes, ...] = ()

    @property
    def reason(self) -> str:
        """Why it was not executed, for people."""
        if self.status == b"L":
            return "wrong parameter"
        if self.error is None:
            return "not executable at present"
        return f"error {self.error}, {_ERRORS.get(self.error, 'not in the manual')}"


def parse_answer(command: bytes, line: bytes) -> Answer | None:
    """Read ``line`` as an answer to ``command``; None if it is not one."""
    words, path = line.split(), command.split()
    if words[: len(path)] != path:
        return None
    match words[len(path) :]:
        case [*values, b"I", number] if number.isdigit():
            return Answer(status=b"I", error=int(number), values=tuple(values))
        case [*values, (b"A" | b"B" | b"I" | b"L") as status]:
            return Answer(status=status, values=tuple(values))
        case _:
            return None


class QuantosDialogue:
    """Questions to one balance and the answers that belong to them.

    Args:
        name: Name of the device in the lab file.
        line: The line it answers on.

    Attributes:
        ends: How actions ended that have been heard of, by action.
        unbroken: Whether nothing can have been missed since it was last set.
    """

    def __init__(self, name: str, line: LineTransport) -> None:
        self.ends: dict[bytes, Answer] = {}
        self.unbroken = False
        self._name = name
        self._line = line

    async def ask(self, command: bytes, argument: bytes = b"") -> Answer:
        """Send a Quantos command and return its first answer.

        Raises:
            ReplyLost: If there is none in time.
            CommandRejected: If the balance does not know the command.
        """
        async with self._turn(command + b" " + argument if argument else command):
            answer, _ = await self._answer_to(command)
            return answer

    async def ask_block(self, command: bytes) -> tuple[Answer, bytes]:
        """Ask for a block of lines between ``… B`` and ``… A``; return it with the last."""
        async with self._turn(command):
            answer, _ = await self._answer_to(command)
            if answer.status != b"B":
                return answer, b""
            return await self._answer_to(command)

    async def ask_line(self, command: bytes, *, timeout_s: float) -> bytes:
        """Send an MT-SICS command and return the line that begins with it."""
        async with self._turn(command):
            line, _ = await self._read_until(
                command,
                lambda line: line if line.split()[:1] == [command] else None,
                timeout_s,
            )
            return line

    async def ask_text(self, command: bytes) -> str:
        """Ask for a text in quotation marks, such as the model (``I2``)."""
        line = await self.ask_line(command, timeout_s=REPLY_TIMEOUT_S)
        if (found := re.fullmatch(rb'\S+ A "(.*)"', line)) is None:
            raise MalformedReply(self._name, f"{command!r} was answered by {line!r}")
        return found[1].decode("ascii", errors="replace")

    @asynccontextmanager
    async def _turn(self, request: bytes) -> AsyncIterator[None]:
        try:
            async with self._line.turn():
                await self._line.send(request)
                yield
        except (DeviceUnreachable, asyncio.CancelledError):
            self.unbroken = False  # the line is opened anew, and what came is lost
            raise

    async def _answer_to(self, command: bytes) -> tuple[Answer, bytes]:
        return await self._read_until(
            command, lambda line: parse_answer(command, line), REPLY_TIMEOUT_S
        )

    async def _read_until(
        self, command: bytes, wanted: Callable[[bytes], T | None], timeout_s: float
    ) -> tuple[T, bytes]:
        """Read until a line is ``wanted``; return it and what came in between.

        Ends of actions are remembered on the way. Anything else that does not answer
        ``command`` is a late answer to something given up long ago, or noise.
        """
        between = b""
        while True:
            line = await self._read_line(between, timeout_s)
            if (found := wanted(line)) is not None:
                return found, between
            if line in _REFUSALS:
                raise CommandRejected(self._name, f"{command.decode()}: {_REFUSALS[line]}")
            if not self._notice(line):
                between += line + b"\n"

    async def _read_line(self, between: bytes, timeout_s: float) -> bytes:
        try:
            return (await self._line.read_line(timeout_s=timeout_s)).strip()
        except ReplyLost as error:
            if between:
                raise ReplyLost(self._name, f"unexpected {between!r}, then {error}") from error
            raise

    def _notice(self, line: bytes) -> bool:
        """Remember the end of an action; tell whether ``line`` was one."""
        for action in (DOSE, MOVE_DOOR, MOVE_PIN):
            if (answer := parse_answer(action, line)) is not None:
                if answer.status != b"B":
                    self.ends[action] = answer
                return True
        return False
