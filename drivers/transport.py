"""The lines that drivers speak through: serial ports, TCP connections, shared clients.

This is the only place where exceptions of pyserial and of sockets are caught: a driver
sees :class:`~alab.errors.DeviceUnreachable` if nothing was sent, and :class:`ReplyLost`
if something was and no reply came. Whether a lost reply leaves a physical command in
doubt only the driver knows.

A line that failed or timed out is closed, and opened again at the next request: a reply
that comes late finds nobody listening and cannot answer the wrong question.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeVar

from alab.errors import DeviceUnreachable, LabFileError, MalformedReply
from alab.lab import Address
from drivers.pipes import BROKEN, CONNECT_TIMEOUT_S, Pipe, SerialPipe, TcpPipe

log = logging.getLogger(__name__)

LONGEST_REPLY_BYTES = 65_536

T = TypeVar("T")


class ReplyLost(DeviceUnreachable):
    """The request went out, at least in part, and no complete reply came back.

    For a query this is an unreachable device. For a physical command the driver turns it
    into :class:`alab.errors.UnknownOutcome`.
    """


class LineTransport(Protocol):
    """A line protocol on a line that other devices may share.

    Time-outs are real seconds: they bound the reply to one request, never an act.
    Every method raises :class:`DeviceUnreachable` if the line cannot be opened.
    """

    async def connect(self) -> None:
        """Open the line if it is not open."""
        ...

    async def close(self) -> None:
        """Close the line once no device uses it any more; never raises."""
        ...

    async def exchange(self, line: bytes, *, timeout_s: float) -> bytes:
        """Discard stale input, send ``line`` and return the reply, both unterminated.

        Raises:
            ReplyLost: If no complete reply arrived within ``timeout_s``.
        """
        ...

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Hold the line for a conversation of several sends and reads.

        Only inside of it are ``send`` and the ``read_…`` methods for use. Never wait on
        the laboratory's clock while holding it.
        """
        ...

    async def send(self, line: bytes) -> None:
        """Send one line; what has arrived before stays readable.

        Raises:
            ReplyLost: If the line broke, perhaps after some bytes had gone out.
        """
        ...

    async def read_line(self, *, timeout_s: float) -> bytes:
        """Return the next line without its terminator.

        Raises:
            ReplyLost: If none is complete within ``timeout_s``; the line is then closed.
        """
        ...

    async def read_until(self, end: bytes, *, timeout_s: float) -> bytes:
        """Return everything up to and including ``end``, for framed protocols."""
        ...

    @property
    def banner(self) -> bytes:
        """What the device said on connecting, empty for silent ones."""
        ...


class Lines:
    """Every line of one laboratory, each opened once however many devices share it."""

    def __init__(self) -> None:
        self._wires: dict[str, tuple[tuple[Any, ...], _Wire]] = {}
        self._shared: dict[str, Any] = {}

    def tcp(
        self,
        address: Address,
        *,
        device: str = "",
        terminator: bytes = b"\n",
        reply_terminator: bytes | None = None,
        greets: bool = False,
    ) -> LineTransport:
        """Return the line to ``host:port``.

        Args:
            address: Where the device answers.
            device: Name that errors carry; the port, unless told otherwise.
            terminator: End of every request; a carriage return before a line feed is
                dropped from replies.
            reply_terminator: End of every reply, where it differs.
            greets: Whether the device says a line of its own on connecting.
        """
        host, _, port = address.port.rpartition(":")
        settings = ("tcp", terminator, reply_terminator or terminator, greets)
        return self._line(
            address, device, settings, lambda: TcpPipe(host.strip("[]"), int(port))
        )

    def serial(
        self,
        address: Address,
        *,
        device: str = "",
        baudrate: int = 9600,
        bytesize: int = 8,
        parity: str = "N",
        stopbits: int = 1,
        terminator: bytes = b"\r\n",
        reply_terminator: bytes | None = None,
    ) -> LineTransport:
        """Return the line on a serial port; arguments as for :meth:`tcp`."""
        port_settings = (baudrate, bytesize, parity, stopbits)
        settings = (
            "serial",
            terminator,
            reply_terminator or terminator,
            False,
            *port_settings,
        )
        return self._line(
            address, device, settings, lambda: SerialPipe(address.port, *port_settings)
        )

    def share(self, port: str, make: Callable[[], T]) -> T:
        """Return the one client of ``port`` (a Modbus or OPC UA client), made on demand."""
        if port not in self._shared:
            self._shared[port] = make()
        return self._shared[port]

    def _line(
        self,
        address: Address,
        device: str,
        settings: tuple[Any, ...],
        make: Callable[[], Pipe],
    ) -> LineTransport:
        if address.port not in self._wires:
            _, terminator, reply_terminator, greets, *_ = settings
            wire = _Wire(make(), terminator, reply_terminator, greets=greets)
            self._wires[address.port] = (settings, wire)
        known, wire = self._wires[address.port]
        if known != settings:
            raise LabFileError(
                f"devices on {address.port} want different line settings, {known} and "
                f"{settings}; give them ports of their own"
            )
        return _Line(wire, device or address.port, address.port)


class _Line:
    """One device's view of a wire: errors carry its name."""

    def __init__(self, wire: "_Wire", device: str, port: str) -> None:
        self._wire = wire
        self._device = device
        self._port = port

    @property
    def banner(self) -> bytes:
        return self._wire.banner

    async def connect(self) -> None:
        async with self.turn():
            self._wire.users.add(self._device)

    async def close(self) -> None:
        self._wire.users.discard(self._device)
        if not self._wire.users:
            async with self._wire.lock:
                await self._wire.close()

    async def exchange(self, line: bytes, *, timeout_s: float) -> bytes:
        async with self.turn():
            await self._discard_stale(line)
            await self.send(line)
            return await self.read_line(timeout_s=timeout_s)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        async with self._wire.lock:
            try:
                await self._open()
                yield
            except asyncio.CancelledError:
                await self._wire.close()  # a reply may still come: let nobody hear it
                raise

    async def _open(self) -> None:
        try:
            await self._wire.open()
        except BROKEN as error:
            await self._wire.close()
            raise DeviceUnreachable(
                self._device,
                f"cannot open {self._port} within {CONNECT_TIMEOUT_S:g} s "
                f"({_reason(error)}); check power and cable, and the address in the "
                "lab file",
            ) from error

    async def send(self, line: bytes) -> None:
        await self._open()  # the far side may have hung up since the last line
        try:
            await self._wire.pipe.write(line + self._wire.terminator)
        except BROKEN as error:
            await self._wire.close()
            raise ReplyLost(
                self._device, f"{self._port} broke while sending {line!r} ({_reason(error)})"
            ) from error

    async def read_line(self, *, timeout_s: float) -> bytes:
        terminator = self._wire.reply_terminator
        line = (await self.read_until(terminator, timeout_s=timeout_s))[: -len(terminator)]
        return line.rstrip(b"\r") if terminator == b"\n" else line

    async def read_until(self, end: bytes, *, timeout_s: float) -> bytes:
        try:
            return await self._wire.read_until(end, timeout_s=timeout_s)
        except TimeoutError as error:
            heard = bytes(self._wire.heard)
            await self._wire.close()
            raise ReplyLost(
                self._device,
                f"no complete reply on {self._port} within {timeout_s:g} s"
                + (f", only {heard!r}" if heard else "")
                + "; check power and cable",
            ) from error
        except BROKEN as error:
            await self._wire.close()
            raise ReplyLost(
                self._device, f"{self._port} broke while it was read ({_reason(error)})"
            ) from error
        except _ReplyTooLong as error:
            await self._wire.close()
            raise MalformedReply(
                self._device,
                f"more than {LONGEST_REPLY_BYTES} bytes on {self._port} without {end!r}; "
                "check baud rate and parity",
            ) from error

    async def _discard_stale(self, line: bytes) -> None:
        try:
            stale = await self._wire.take_stale()
        except BROKEN as error:
            await self._wire.close()
            raise DeviceUnreachable(
                self._device,
                f"{self._port} broke before {line!r} was sent ({_reason(error)})",
            ) from error
        if stale:
            log.info("%s: discarded stale input %r", self._device, stale)


class _ReplyTooLong(Exception):  # noqa: N818
    """A reply without end."""


class _Wire:
    """A pipe, the bytes heard on it and not yet asked for, and who may speak."""

    def __init__(
        self, pipe: Pipe, terminator: bytes, reply_terminator: bytes, *, greets: bool
    ) -> None:
        self.pipe = pipe
        self.terminator = terminator
        self.reply_terminator = reply_terminator
        self.lock = asyncio.Lock()
        self.heard = bytearray()
        self.banner = b""
        self.users: set[str] = set()
        self._greets = greets

    async def open(self) -> None:
        if self.pipe.is_open:
            return
        self.heard.clear()
        await self.pipe.open()
        if self._greets:
            line = await self.read_until(self.reply_terminator, timeout_s=CONNECT_TIMEOUT_S)
            self.banner = line.strip()

    async def close(self) -> None:
        self.heard.clear()
        try:
            await self.pipe.close()
        except BROKEN as error:
            log.debug("closing a broken line: %s", error)

    async def read_until(self, end: bytes, *, timeout_s: float) -> bytes:
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + timeout_s
        while (at := self.heard.find(end)) < 0:
            left_s = deadline_s - loop.time()
            if left_s <= 0:
                raise TimeoutError
            if len(self.heard) > LONGEST_REPLY_BYTES:
                raise _ReplyTooLong
            self.heard += await self.pipe.read(timeout_s=left_s)
        cut = at + len(end)
        reply = bytes(self.heard[:cut])
        del self.heard[:cut]
        return reply

    async def take_stale(self) -> bytes:
        stale = bytes(self.heard) + await self.pipe.read_waiting()
        self.heard.clear()
        return stale


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
