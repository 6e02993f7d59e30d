"""Hauschild SmartDAC centrifugal mixers.

Frames, 19200 8N1: a request is ``04 (21 write | 20 read) 02 cc vvvvv 03 05``, a reply
``02 cc value 03``, with code and value in decimal ASCII. Reply code 00 is a fault.

The protocol has no duration: the mixer turns from start (11) to stop (12), so the driver
keeps the time. A process that finds a mixer turning that it did not start lets it turn for
the longest time that is ever permitted and then stops it: powder may be mixed for longer
than asked, never for less. One that it finds at rest was stopped by something else, nobody
knows when: an unknown outcome.
"""

import re

from alab.clock import Clock
from alab.errors import (
    CommandRejected,
    DeviceFault,
    InterlockError,
    MalformedReply,
    UnknownOutcome,
)
from alab.lab import Address, DeviceDefinition
from drivers.transport import Lines, LineTransport, ReplyLost

REPLY_TIMEOUT_S = 2.0
POLL_S = 5.0
BRAKED_WITHIN_S = 60.0

FASTEST_RPM = 2500
LONGEST_S = 900.0
RAMP_S = 10

START, STOP, RAMP_UP, RAMP_DOWN, SPEED, READY, RUNNING, ERROR = 11, 12, 14, 15, 16, 18, 19, 20

_FAULTS = {
    1: "remote program 0 is not selected; select it at the panel",
    2: "no valid code or value",
    3: "a program still runs",
}


class HauschildSmartdac:
    """A mixer on a serial line.

    Args:
        name: Name of the device in the lab file.
        line: The line it answers on.
        clock: Laboratory time.
    """

    def __init__(self, name: str, line: LineTransport, clock: Clock) -> None:
        self._name = name
        self._line = line
        self._clock = clock
        self._stop_at_s: float | None = None
        self._braked_by_us = False

    @property
    def name(self) -> str:
        """Name of the device in the lab file."""
        return self._name

    async def connect(self) -> str:
        """Check that a mixer answers; the protocol has no identity to ask for."""
        await self._line.connect()
        error = await self._read(ERROR)
        return f"Hauschild SmartDAC, error code {error}"

    async def close(self) -> None:
        """Release the line."""
        await self._line.close()

    async def make_safe(self) -> None:
        """Stop; harmless if it stands still."""
        self._stop_at_s = None
        await self._write(STOP, 1)

    async def start_mixing(self, *, speed_rpm: float, duration_s: float) -> None:
        """Set speed and ramps, read the speed back, and start.

        Raises:
            InterlockError: If speed or duration are out of range; nothing was sent.
            CommandRejected: If it turns, or is not ready (lid, program).
            DeviceFault: If it has latched an error.
            UnknownOutcome: If the reply to the start was lost.
        """
        self._check_range(speed_rpm, duration_s)
        await self._check_no_error()
        if await self.is_mixing():
            raise CommandRejected(self._name, "turns already; wait until it stands still")
        if not await self._read(READY):
            raise CommandRejected(
                self._name, "is not ready; close the lid and select remote program 0"
            )
        for code, value in ((SPEED, round(speed_rpm)), (RAMP_UP, RAMP_S), (RAMP_DOWN, RAMP_S)):
            await self._set(code, value)
        self._stop_at_s = self._clock.monotonic_s() + duration_s
        self._braked_by_us = False
        try:
            started = await self._write(START, 1)
        except (ReplyLost, MalformedReply) as error:
            raise UnknownOutcome(
                self._name,
                "sent the start and lost the reply; ask whether it turns, and do not send "
                "it again",
            ) from error
        if started != 1:
            raise CommandRejected(self._name, f"declined to start (answered {started})")

    async def finish_mixing(self) -> None:
        """Let it turn for the set time, stop it, and wait until it stands still.

        Raises:
            DeviceFault: If it latched an error, stood still too early, or does not stop.
            UnknownOutcome: If it is found at rest and this process did not stop it.
        """
        if not self._braked_by_us:
            await self._let_it_turn(await self._time_to_stop_s())
        self._braked_by_us = True
        await self._write(STOP, 1)
        await self._stand_still()
        self._stop_at_s = None

    async def is_mixing(self) -> bool:
        """Tell whether the mixer turns (code 19)."""
        return await self._read(RUNNING) == 1

    async def _time_to_stop_s(self) -> float:
        """When to stop it; one whose time is over, or unknown, must be found turning."""
        now_s = self._clock.monotonic_s()
        if self._stop_at_s is not None and now_s < self._stop_at_s:
            return self._stop_at_s
        await self._check_no_error()
        if not await self.is_mixing():
            raise UnknownOutcome(
                self._name,
                "stands still, and it never stops by itself: its power failed or somebody "
                "stopped it, nobody knows when; look at the crucible",
            )
        if self._stop_at_s is None:  # another process began it
            self._stop_at_s = now_s + LONGEST_S
        return self._stop_at_s

    async def _let_it_turn(self, stop_at_s: float) -> None:
        while (left_s := stop_at_s - self._clock.monotonic_s()) > 0.0:
            await self._clock.sleep(min(POLL_S, left_s))
            await self._check_no_error()
            if self._stop_at_s is None or (left_s > POLL_S and not await self.is_mixing()):
                self._stop_at_s = None
                raise DeviceFault(
                    self._name, f"stood still {left_s:.0f} s too early; look at lid and panel"
                )

    async def _stand_still(self) -> None:
        began_s = self._clock.monotonic_s()
        while await self.is_mixing():
            if self._clock.monotonic_s() - began_s > BRAKED_WITHIN_S:
                raise DeviceFault(
                    self._name, f"still turns {BRAKED_WITHIN_S:g} s after stop; cut its power"
                )
            await self._clock.sleep(1.0)
        await self._check_no_error()

    def _check_range(self, speed_rpm: float, duration_s: float) -> None:
        if not 1 <= round(speed_rpm) <= FASTEST_RPM:
            raise InterlockError(
                self._name,
                f"refused to mix at {speed_rpm:g} rpm: outside 1 to {FASTEST_RPM} rpm",
            )
        if not 0.0 < duration_s <= LONGEST_S:
            raise InterlockError(
                self._name,
                f"refused to mix for {duration_s:g} s: outside 0 to {LONGEST_S:g} s; mix "
                "several times with pauses",
            )

    async def _check_no_error(self) -> None:
        if error := await self._read(ERROR):
            raise DeviceFault(
                self._name, f"has latched error {error}; look at the mixer and clear it there"
            )

    async def _set(self, code: int, value: int) -> None:
        await self._write(code, value)
        if (stored := await self._read(code)) != value:
            raise CommandRejected(
                self._name, f"code {code} was set to {value} and reads {stored}"
            )

    async def _read(self, code: int) -> int:
        return await self._exchange(b"\x20", code, 0)

    async def _write(self, code: int, value: int) -> int:
        return await self._exchange(b"\x21", code, value)

    async def _exchange(self, way: bytes, code: int, value: int) -> int:
        request = b"\x04" + way + b"\x02%02d%05d\x03" % (code, value)
        reply = await self._line.exchange(request, timeout_s=REPLY_TIMEOUT_S)
        frame = re.fullmatch(rb"\x02(\d\d)(\d+)", reply)
        if frame is None or int(frame[1]) not in (0, code):
            raise MalformedReply(
                self._name,
                f"code {code} was answered by {reply!r}; is it 19200 8N1?",
            )
        if int(frame[1]) == 0:
            reason = _FAULTS.get(int(frame[2]), f"fault {int(frame[2])}")
            raise CommandRejected(self._name, f"declined code {code}, value {value}: {reason}")
        return int(frame[2])


def make(
    name: str, definition: DeviceDefinition, lines: Lines, clock: Clock
) -> HauschildSmartdac:
    """Build the driver; opens no line."""
    line = lines.serial(
        Address.parse(definition.address),
        device=name,
        baudrate=19200,
        terminator=b"\x05",
        reply_terminator=b"\x03",
    )
    return HauschildSmartdac(name, line, clock)
