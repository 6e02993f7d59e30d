"""Real wires for simulated instruments: pseudo-terminals and TCP servers on loopback.

An instrument is handed whole requests and returns the bytes it answers with. Before each
request the whole world catches up with the present, and before each answer goes out what
the request changed is kept. What an instrument says unasked is
written in front of the next answer, and by a tick of real time for those that listen
without asking.
"""

import asyncio
import os
import tty
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from simulators.world.world import World

TICK_S = 0.05
"""How long, in real seconds, an unsolicited line may stay unsent."""

Tamper = Callable[[bytes, bytes], bytes]
"""Given request and answer, what really goes over the wire: faults of the line."""


class SimulatedLine(Protocol):
    """One port, and every simulated device that answers on it."""

    async def start(self) -> str:
        """Begin to answer.

        Returns:
            The port: ``/dev/pts/3`` or ``127.0.0.1:40123``.
        """
        ...

    async def stop(self) -> None:
        """Fall silent and release the port; may be called twice."""
        ...


@runtime_checkable
class LineWithOptions(SimulatedLine, Protocol):
    """A line whose new address has more to it than a port, such as a folder of files."""

    @property
    def options(self) -> Mapping[str, str]:
        """Options of the address to set, once started."""
        ...


class Instrument(Protocol):
    """The instrument behind a wire."""

    @property
    def greeting(self) -> bytes:
        """What it says to everyone who connects."""
        ...

    @property
    def due_s(self) -> float:
        """World time of the next thing it says unasked; infinite for none."""
        ...

    def advance(self, now_s: float) -> None:
        """Let its own physics catch up with ``now_s``."""
        ...

    def answer(self, request: bytes) -> bytes:
        """Act on one request (without terminator), return the whole answer."""
        ...

    def unasked(self) -> bytes:
        """Return, once, what it has to say unasked by now."""
        ...


class _Requests:
    """Cuts a byte stream into requests and puts them to an instrument."""

    def __init__(self, world: World, instrument: Instrument, terminator: bytes) -> None:
        self._world = world
        self._instrument = instrument
        self._terminator = terminator
        self._heard = b""
        self.tamper: Tamper | None = None

    def hear(self, data: bytes) -> bytes:
        *requests, self._heard = (self._heard + data).split(self._terminator)
        return b"".join(self._put(request.strip(b"\r\n")) for request in requests)

    def forget(self) -> None:
        self._heard = b""

    def unasked(self) -> bytes:
        """What the instrument says by itself, if anything is due.

        Only this instrument catches up: ticks come at odd moments, and what the other
        devices do must not depend on them.
        """
        with self._world.lock:
            now_s = self._world.now_s()
            if now_s < self._instrument.due_s:
                return b""
            self._instrument.advance(now_s)
            said = self._instrument.unasked()
            self._world.keep()
            return said

    def _put(self, request: bytes) -> bytes:
        with self._world.present():
            before = self._instrument.unasked()
            answer = before + self._instrument.answer(request)
        return answer if self.tamper is None else self.tamper(request, answer)


class SerialLine:
    """A pseudo-terminal with one instrument behind it.

    Attributes:
        instrument: What answers.
        tamper: Replaces what goes over the wire, None for an undisturbed line.
    """

    def __init__(self, world: World, instrument: Instrument, terminator: bytes) -> None:
        self.tamper: Tamper | None = None
        self.instrument = instrument
        self._requests = _Requests(world, instrument, terminator)
        self._instrument_fd = -1
        self._port_fd = -1
        self._tick: asyncio.TimerHandle | None = None

    async def start(self) -> str:
        """Make the pseudo-terminal and answer on it; return its path."""
        self._instrument_fd, self._port_fd = os.openpty()
        tty.setraw(self._port_fd)
        os.set_blocking(self._instrument_fd, False)
        asyncio.get_running_loop().add_reader(self._instrument_fd, self._hear)
        self._speak_unasked()
        return os.ttyname(self._port_fd)

    async def stop(self) -> None:
        """Unplug: whoever has the port open sees it break."""
        if self._instrument_fd < 0:
            return
        asyncio.get_running_loop().remove_reader(self._instrument_fd)
        if self._tick is not None:
            self._tick.cancel()
        os.close(self._instrument_fd)
        os.close(self._port_fd)
        self._instrument_fd = self._port_fd = -1

    def _hear(self) -> None:
        self._requests.tamper = self.tamper
        self._write(self._requests.hear(os.read(self._instrument_fd, 4096)))

    def _speak_unasked(self) -> None:
        self._write(self._requests.unasked())
        loop = asyncio.get_running_loop()
        self._tick = loop.call_later(TICK_S, self._speak_unasked)

    def _write(self, data: bytes) -> None:
        if data:
            try:
                os.write(self._instrument_fd, data)
            except BlockingIOError:
                return  # nobody reads: the bytes fall off the wire as on a real port


class TcpLine:
    """A TCP server on loopback with one instrument behind it, for any number of clients.

    Attributes:
        instrument: What answers.
        tamper: Replaces what goes over the wire, None for an undisturbed line.
    """

    def __init__(self, world: World, instrument: Instrument, terminator: bytes) -> None:
        self.tamper: Tamper | None = None
        self._world = world
        self.instrument = instrument
        self._terminator = terminator
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        """Listen; return ``host:port``."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    async def stop(self) -> None:
        """Hang up on everyone and release the port."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = asyncio.create_task(self._serve(reader, writer))
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests = _Requests(self._world, self.instrument, self._terminator)
        try:
            writer.write(self.instrument.greeting)
            while data := await reader.read(4096):
                requests.tamper = self.tamper
                writer.write(requests.hear(data))
                await writer.drain()
        except ConnectionError:
            return  # the client hung up in mid-sentence
        finally:
            writer.close()


class DeadSerialLine:
    """A port whose instrument is switched off: it opens, and nothing answers."""

    def __init__(self) -> None:
        self._fds: tuple[int, ...] = ()

    async def start(self) -> str:
        """Make a pseudo-terminal that nobody serves; return its path."""
        self._fds = os.openpty()
        tty.setraw(self._fds[1])
        return os.ttyname(self._fds[1])

    async def stop(self) -> None:
        """Release the port."""
        for fd in self._fds:
            os.close(fd)
        self._fds = ()


class DeadTcpLine:
    """A TCP port that is reserved and refuses every connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Server | None = None

    async def start(self) -> str:
        """Reserve a port without listening on it; return ``host:port``."""
        self._transport = await asyncio.get_running_loop().create_server(
            asyncio.Protocol, "127.0.0.1", 0, start_serving=False
        )
        host, port = self._transport.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    async def stop(self) -> None:
        """Release the port."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None
