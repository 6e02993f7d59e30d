"""Furnace doors on an Arduino board that speaks lines over TCP.

Requests ``Open A``, ``Close A`` and ``Status``, LF. Every answer is a status line such as
``State: STOP; Furnace A: Closed; Furnace B: Open``, or ``Busy`` or ``Error: …``. The board
moves one door at a time and says ``State: RUNNING`` while it does. A door has one limit
switch, pressed when it is closed: ``Open`` only means "not closed", so a door counts as open
when it is not closed and nothing moves.

Opening and shutting state a target, so that a command whose reply was lost is no riddle: the
next call asks ``Status`` first and sends nothing if the door is where it should be.
"""

import re
from dataclasses import dataclass

from alab.clock import Clock
from alab.errors import CommandRejected, DeviceFault, MalformedReply
from alab.lab import Address, DeviceDefinition
from alab.models import DoorState
from drivers.transport import Lines, LineTransport

REPLY_TIMEOUT_S = 5.0
POLL_S = 2.0
MOTION_WITHIN_S = 60.0
BOARD_WITHIN_S = 300.0
"""How long the other doors of a board may keep it busy."""

_ACTS = {DoorState.OPEN: "Open", DoorState.CLOSED: "Close"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardStatus:
    """A status line taken apart.

    Attributes:
        state: ``STOP``, ``RUNNING`` or ``ERROR``.
        door: ``Open`` or ``Closed`` as this door's switch says.
    """

    state: str
    door: str

    @property
    def door_state(self) -> DoorState:
        """Where the door is; UNKNOWN after a motor fault unless its switch is pressed."""
        if self.door == "Closed":
            return DoorState.CLOSED
        if self.state == "RUNNING":
            return DoorState.MOVING
        return DoorState.OPEN if self.state == "STOP" else DoorState.UNKNOWN


class ArduinoDoor:
    """One door of a board; several share its line.

    Args:
        name: Name of the device in the lab file.
        line: The line of the board.
        clock: Laboratory time.
        letter: Which door of the board.
    """

    def __init__(self, name: str, line: LineTransport, clock: Clock, *, letter: str) -> None:
        self._name = name
        self._line = line
        self._clock = clock
        self._letter = letter
        self._times_made_safe = 0

    @property
    def name(self) -> str:
        """Name of the device in the lab file."""
        return self._name

    async def connect(self) -> str:
        """Check that the board knows this door."""
        await self._line.connect()
        status = await self._status()
        return f"door {self._letter} of an Arduino board, {status.door.lower()}"

    async def close(self) -> None:
        """Release the line."""
        await self._line.close()

    async def make_safe(self) -> None:
        """Forget a command that waits for the board.

        A door holds its place, and one on its way is safest where it goes.
        """
        self._times_made_safe += 1

    async def state(self) -> DoorState:
        """Ask where the door is."""
        return (await self._status()).door_state

    async def open(self) -> None:
        """Be open: returns at once if it is.

        Raises:
            DeviceFault: On a motor fault, or if it is not open within 60 s.
        """
        await self._bring_to(DoorState.OPEN)

    async def shut(self) -> None:
        """Be closed: returns at once if it is.

        Raises:
            DeviceFault: On a motor fault, or if it is not closed within 60 s.
        """
        await self._bring_to(DoorState.CLOSED)

    async def _bring_to(self, target: DoorState) -> None:
        status = await self._send_when_free(target)
        sent_s = self._clock.monotonic_s()
        while (status.state, status.door_state) != ("STOP", target):
            self._check_motor(status)
            if status.door_state is target:
                return  # this one has arrived; the board moves another
            waited_s = self._clock.monotonic_s() - sent_s
            if waited_s > MOTION_WITHIN_S:
                raise DeviceFault(
                    self._name,
                    f"door {self._letter} was not {target.value} {waited_s:.0f} s after the "
                    "command; look for something in its way",
                )
            await self._clock.sleep(POLL_S)
            status = await self._status()

    async def _send_when_free(self, target: DoorState) -> BoardStatus:
        """Wait for the board, send the command unless the door is there; return its answer.

        Raises:
            CommandRejected: If the door was made safe in the meantime; nothing was sent.
        """
        began_s, made_safe = self._clock.monotonic_s(), self._times_made_safe
        while True:
            async with self._line.turn():  # nobody else's command comes in between
                status = self._parse(await self._say("Status"))
                self._check_motor(status)
                if status.state == "STOP" and status.door_state is target:
                    return status
                if self._times_made_safe != made_safe:
                    raise CommandRejected(
                        self._name, f"made safe before door {self._letter} was told to move"
                    )
                if status.state == "STOP":
                    reply = await self._say(f"{_ACTS[target]} {self._letter}")
                    if reply != "Busy":
                        return self._parse(reply)
            if self._clock.monotonic_s() - began_s > BOARD_WITHIN_S:
                raise DeviceFault(
                    self._name,
                    f"the board has been moving for {BOARD_WITHIN_S:g} s; look at its doors",
                )
            await self._clock.sleep(POLL_S)

    async def _status(self) -> BoardStatus:
        reply = await self._line.exchange(b"Status", timeout_s=REPLY_TIMEOUT_S)
        return self._parse(reply.decode("ascii", errors="replace").strip())

    async def _say(self, request: str) -> str:
        await self._line.send(request.encode())
        reply = await self._line.read_line(timeout_s=REPLY_TIMEOUT_S)
        return reply.decode("ascii", errors="replace").strip()

    def _parse(self, reply: str) -> BoardStatus:
        if reply.startswith("Error"):
            raise CommandRejected(self._name, f"the board declined: {reply}")
        state = re.match(r"State: (STOP|RUNNING|ERROR)\b", reply)
        door = re.search(rf"Furnace {re.escape(self._letter)}: (Open|Closed)\b", reply)
        if state is None or door is None:
            raise MalformedReply(
                self._name, f"no state of door {self._letter} in {reply!r}; check its letter"
            )
        return BoardStatus(state=state[1], door=door[1])

    def _check_motor(self, status: BoardStatus) -> None:
        if status.state == "ERROR":
            raise DeviceFault(
                self._name,
                f"the door board reports a motor fault, switch of door {self._letter} says "
                f"{status.door.lower()}; free the door and reset the board",
            )


def make(name: str, definition: DeviceDefinition, lines: Lines, clock: Clock) -> ArduinoDoor:
    """Build the driver; opens no line."""
    address = Address.parse(definition.address)
    line = lines.tcp(address, device=name)
    return ArduinoDoor(name, line, clock, letter=address.option("door", "A"))
