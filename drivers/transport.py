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
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeVar

import serial

from alab.errors import DeviceUnreachable, LabFileError, MalformedReply
from alab.lab import Address

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5.0
WRITE_TIMEOUT_S = 5.0
LONGEST_REPLY_BYTES = 65_536

_BROKEN = (OSError, termios.error)  # pyserial's exceptions and time-outs are OSErrors

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
            address, device, settings, lambda: _TcpPipe(host.strip("[]"), int(port))
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
            address, device, settings, lambda: _SerialPipe(address.port, *port_settings)
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
        make: "Callable[[], _Pipe]",
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
        except _BROKEN as error:
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
        except _BROKEN as error:
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
        except _BROKEN as error:
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
        except _BROKEN as error:
            await self._wire.close()
            raise DeviceUnreachable(
                self._device,
                f"{self._port} broke before {line!r} was sent ({_reason(error)})",
            ) from error
        if stale:
            log.info("%s: discarded stale input %r", self._device, stale)


class _ReplyTooLong(Exception):  # noqa: N818
    """A reply without end."""


class _Pipe(Protocol):
    """Bytes to and from one port."""

    @property
    def is_open(self) -> bool: ...

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def write(self, data: bytes) -> None: ...

    async def read(self, *, timeout_s: float) -> bytes:
        """Return at least one byte; TimeoutError if none came, OSError at the end."""
        ...

    async def read_waiting(self) -> bytes:
        """Return what has arrived already, perhaps nothing."""
        ...


class _Wire:
    """A pipe, the bytes heard on it and not yet asked for, and who may speak."""

    def __init__(
        self, pipe: _Pipe, terminator: bytes, reply_terminator: bytes, *, greets: bool
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
        except _BROKEN as error:
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


class _TcpPipe:
    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def is_open(self) -> bool:
        return self._reader is not None and not self._reader.at_eof()

    async def open(self) -> None:
        await self.close()  # the far side may have hung up
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)

    async def close(self) -> None:
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.close()
            await writer.wait_closed()

    async def write(self, data: bytes) -> None:
        if self._writer is None:
            raise ConnectionError("connection lost")
        self._writer.write(data)
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await self._writer.drain()

    async def read(self, *, timeout_s: float) -> bytes:
        if self._reader is None:
            raise ConnectionError("connection lost")
        async with asyncio.timeout(timeout_s):
            chunk = await self._reader.read(4096)
        if not chunk:
            raise ConnectionError("the device hung up")
        return chunk

    async def read_waiting(self) -> bytes:
        try:
            return await self.read(timeout_s=0)
        except TimeoutError:
            return b""


class _SerialPipe:
    """A serial port; pyserial blocks, so every call to it runs in a thread."""

    def __init__(
        self, port: str, baudrate: int, bytesize: int, parity: str, stopbits: int
    ) -> None:
        self._settings = {
            "port": port,
            "baudrate": baudrate,
            "bytesize": bytesize,
            "parity": parity,
            "stopbits": stopbits,
        }
        self._serial: serial.Serial | None = None

    @property
    def is_open(self) -> bool:
        return self._serial is not None

    async def open(self) -> None:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            self._serial = await asyncio.to_thread(self._opened)

    def _opened(self) -> serial.Serial:
        return serial.Serial(**self._settings, write_timeout=WRITE_TIMEOUT_S, exclusive=True)

    async def close(self) -> None:
        port, self._serial = self._serial, None
        if port is not None:
            port.cancel_read()
            await asyncio.to_thread(port.close)

    async def write(self, data: bytes) -> None:
        await asyncio.to_thread(self._port().write, data)

    async def read(self, *, timeout_s: float) -> bytes:
        chunk = await asyncio.to_thread(self._read_chunk, self._port(), timeout_s)
        if not chunk:
            raise TimeoutError
        return chunk

    async def read_waiting(self) -> bytes:
        port = self._port()
        return await asyncio.to_thread(lambda: port.read(port.in_waiting))

    @staticmethod
    def _read_chunk(port: serial.Serial, timeout_s: float) -> bytes:
        port.timeout = timeout_s
        first = port.read(1)
        return first + port.read(port.in_waiting) if first else first

    def _port(self) -> serial.Serial:
        if self._serial is None:
            raise serial.SerialException("port lost")
        return self._serial


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
