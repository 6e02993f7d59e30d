"""Bytes to and from one port, before anybody looks for lines in them.

A pipe raises what its library raises: every such exception is one of ``BROKEN``, and is
translated in :mod:`drivers.transport`.
"""

import asyncio
import contextlib
import termios
from typing import Protocol

import serial

CONNECT_TIMEOUT_S = 5.0
WRITE_TIMEOUT_S = 5.0

BROKEN = (OSError, termios.error)
"""What a broken port raises; pyserial's exceptions and time-outs are OSErrors."""


class Pipe(Protocol):
    """Bytes to and from one port."""

    @property
    def is_open(self) -> bool:
        """Whether bytes can go both ways, as far as is known."""
        ...

    async def open(self) -> None:
        """Open the port anew."""
        ...

    async def close(self) -> None:
        """Close the port; may be called twice."""
        ...

    async def write(self, data: bytes) -> None:
        """Send all of ``data``."""
        ...

    async def read(self, *, timeout_s: float) -> bytes:
        """Return at least one byte; TimeoutError if none came, OSError at the end."""
        ...

    async def read_waiting(self) -> bytes:
        """Return what has arrived already, perhaps nothing."""
        ...


class TcpPipe:
    """A TCP connection."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def is_open(self) -> bool:
        """Whether the port is open and the far side has not hung up."""
        return self._reader is not None and not self._reader.at_eof()

    async def open(self) -> None:
        """Open the port anew."""
        await self.close()  # the far side may have hung up
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)

    async def close(self) -> None:
        """Close the port; may be called twice."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):  # it was broken already
                await writer.wait_closed()

    async def write(self, data: bytes) -> None:
        """Send all of ``data``."""
        if self._writer is None:
            raise ConnectionError("connection lost")
        self._writer.write(data)
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await self._writer.drain()

    async def read(self, *, timeout_s: float) -> bytes:
        """Return at least one byte."""
        if self._reader is None:
            raise ConnectionError("connection lost")
        async with asyncio.timeout(timeout_s):
            chunk = await self._reader.read(4096)
        if not chunk:
            raise ConnectionError("the device hung up")
        return chunk

    async def read_waiting(self) -> bytes:
        """Return what has arrived already."""
        try:
            return await self.read(timeout_s=0)
        except TimeoutError:
            return b""


class SerialPipe:
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
        """Whether the port is open and the far side has not hung up."""
        return self._serial is not None

    async def open(self) -> None:
        """Open the port anew."""
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            self._serial = await asyncio.to_thread(self._opened)

    def _opened(self) -> serial.Serial:
        return serial.Serial(**self._settings, write_timeout=WRITE_TIMEOUT_S, exclusive=True)

    async def close(self) -> None:
        """Close the port; may be called twice."""
        port, self._serial = self._serial, None
        if port is not None:
            port.cancel_read()
            await asyncio.to_thread(port.close)

    async def write(self, data: bytes) -> None:
        """Send all of ``data``."""
        await asyncio.to_thread(self._port().write, data)

    async def read(self, *, timeout_s: float) -> bytes:
        """Return at least one byte."""
        chunk = await asyncio.to_thread(self._read_chunk, self._port(), timeout_s)
        if not chunk:
            raise TimeoutError
        return chunk

    async def read_waiting(self) -> bytes:
        """Return what has arrived already."""
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
