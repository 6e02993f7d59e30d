"""Lines over real pseudo-terminals and loopback sockets."""

import asyncio
import fcntl
import os
import sys
import termios
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from alab.clock import VirtualClock
from alab.errors import DeviceUnreachable, LabFileError, MalformedReply
from alab.lab import Address, DeviceDefinition
from drivers import transport
from drivers.balances import mettler_quantos
from drivers.mixers import hauschild_smartdac
from drivers.transport import Lines, ReplyLost


class SerialFarSide:
    """The instrument's end of a serial cable."""

    def __init__(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.heard = b""
        self.replies: list[bytes] = []
        self.address = Address(scheme="serial", port=os.ttyname(self._slave))
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._master, self._hear)

    def _hear(self) -> None:
        self.heard += os.read(self._master, 4096)
        if self.replies:
            self.say(self.replies.pop(0))

    def say(self, data: bytes) -> None:
        os.write(self._master, data)

    async def say_early(self, data: bytes) -> None:
        """Say ``data`` and return once it waits at the port: the kernel takes its time."""
        self.say(data)
        while _waiting_bytes(self._slave) < len(data):
            await asyncio.sleep(0)

    @property
    def speed(self) -> int:
        return termios.tcgetattr(self._slave)[4]

    def unplug(self) -> None:
        if self._master >= 0:
            self._loop.remove_reader(self._master)
            os.close(self._master)
            os.close(self._slave)
            self._master = self._slave = -1


def _waiting_bytes(descriptor: int) -> int:
    count = fcntl.ioctl(descriptor, termios.FIONREAD, b"\0" * 4)
    return int.from_bytes(count, sys.byteorder)


@pytest.fixture
async def far() -> AsyncIterator[SerialFarSide]:
    side = SerialFarSide()
    yield side
    side.unplug()


@asynccontextmanager
async def tcp_server(
    answer: Callable[[bytes], bytes | None], greeting: bytes = b""
) -> AsyncIterator[tuple[Address, list[int]]]:
    """A line server; ``None`` as an answer hangs up."""
    connections: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        writer.write(greeting)
        while line := await reader.readline():
            if (reply := answer(line)) is None:
                break
            writer.write(reply)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield Address(scheme="tcp", port=f"{host}:{port}"), connections
    finally:
        server.close()
        await server.wait_closed()


async def test_an_exchange_ends_at_the_terminator(far) -> None:
    far.replies = [b"S S 1.0 g\r\nQRA 61 1 A\r\n"]
    line = Lines().serial(far.address)
    assert await line.exchange(b"S", timeout_s=1.0) == b"S S 1.0 g"
    assert far.heard == b"S\r\n"
    async with line.turn():  # what followed stays readable
        assert await line.read_line(timeout_s=1.0) == b"QRA 61 1 A"
    await line.close()


async def test_split_and_merged_replies_are_put_together(far) -> None:
    line = Lines().serial(far.address)
    async with line.turn():
        await line.send(b"S")
        far.say(b"S S 1")
        asyncio.get_running_loop().call_later(0.02, far.say, b".0 g\r")
        asyncio.get_running_loop().call_later(0.04, far.say, b"\nnext\r\n")
        assert await line.read_line(timeout_s=1.0) == b"S S 1.0 g"
        assert await line.read_line(timeout_s=1.0) == b"next"
    await line.close()


async def test_stale_input_does_not_answer_the_next_request(far) -> None:
    far.replies = [b"", b"S S 2.0 g\r\n"]
    line = Lines().serial(far.address)
    async with line.turn():
        await line.send(b"S")
        while far.heard != b"S\r\n":
            await asyncio.sleep(0)
        await far.say_early(b"S S 1.0 g\r\n")
    assert await line.exchange(b"S", timeout_s=1.0) == b"S S 2.0 g"
    await line.close()


async def test_a_reply_that_comes_too_late_is_never_heard(far) -> None:
    line = Lines().serial(far.address, device="doser")
    with pytest.raises(ReplyLost, match=r"doser: no complete reply .* within 0.05 s") as caught:
        await line.exchange(b"S", timeout_s=0.05)
    assert caught.value.retryable
    await far.say_early(b"late\r\n")
    far.replies = [b"in time\r\n"]
    assert await line.exchange(b"S", timeout_s=1.0) == b"in time"
    await line.close()


async def test_half_a_reply_is_told(far) -> None:
    far.replies = [b"S S 1."]
    line = Lines().serial(far.address)
    with pytest.raises(ReplyLost, match=r"only b'S S 1\.'"):
        await line.exchange(b"S", timeout_s=0.05)
    await line.close()


async def test_a_reply_without_end_is_malformed(far, monkeypatch) -> None:
    monkeypatch.setattr(transport, "LONGEST_REPLY_BYTES", 10)
    far.replies = [b"x" * 100]
    line = Lines().serial(far.address)
    with pytest.raises(MalformedReply, match="without b'\\\\r\\\\n'"):
        await line.exchange(b"S", timeout_s=1.0)
    await line.close()


async def test_an_unplugged_port_is_unreachable_and_comes_back(far) -> None:
    far.replies = [b"one\r\n"]
    line = Lines().serial(far.address, device="doser")
    assert await line.exchange(b"S", timeout_s=1.0) == b"one"
    far.unplug()
    with pytest.raises(DeviceUnreachable, match="doser"):
        await line.exchange(b"S", timeout_s=0.2)
    with pytest.raises(DeviceUnreachable, match="doser: cannot open"):
        await line.exchange(b"S", timeout_s=0.2)
    await line.close()


async def test_a_port_that_breaks_while_it_is_read_loses_the_reply(far) -> None:
    line = Lines().serial(far.address)
    asyncio.get_running_loop().call_later(0.03, far.unplug)
    with pytest.raises(ReplyLost, match=r"broke while it was read|no complete reply"):
        await line.exchange(b"S", timeout_s=1.0)
    await line.close()


async def test_a_port_belongs_to_one_process(far) -> None:
    first, second = Lines().serial(far.address), Lines().serial(far.address, device="second")
    await first.connect()
    with pytest.raises(DeviceUnreachable, match=r"second: cannot open .*lock"):
        await second.connect()
    await first.close()


async def test_missing_ports_name_the_way_out() -> None:
    address = Address(scheme="serial", port="/dev/no_such_port")
    with pytest.raises(DeviceUnreachable, match="check power and cable, and the address"):
        await Lines().serial(address, device="doser").connect()


async def test_closing_twice_is_allowed(far) -> None:
    line = Lines().serial(far.address)
    await line.close()
    await line.connect()
    await line.close()
    await line.close()


async def test_a_cancelled_exchange_leaves_no_reply_behind(far) -> None:
    line = Lines().serial(far.address)
    task = asyncio.create_task(line.exchange(b"S", timeout_s=5.0))
    while not far.heard:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await far.say_early(b"old\r\n")
    far.replies = [b"new\r\n"]
    assert await line.exchange(b"S", timeout_s=1.0) == b"new"
    await line.close()


async def test_devices_on_one_port_take_turns() -> None:
    async with tcp_server(lambda line: b"reply to " + line) as (address, connections):
        lines = Lines()
        a, b = lines.tcp(address, device="a"), lines.tcp(address, device="b")
        replies = await asyncio.gather(
            *(line.exchange(b"%d" % n, timeout_s=1.0) for n in range(20) for line in (a, b))
        )
        assert replies == [b"reply to %d" % n for n in range(20) for _ in "ab"]
        assert len(connections) == 1
        await a.close()
        assert await b.exchange(b"x", timeout_s=1.0) == b"reply to x"
        await b.close()


async def test_a_closed_device_leaves_the_line_to_the_others() -> None:
    async with tcp_server(lambda line: line) as (address, connections):
        lines = Lines()
        a, b = lines.tcp(address, device="a"), lines.tcp(address, device="b")
        await a.connect()
        await b.connect()
        await a.close()
        await b.exchange(b"x", timeout_s=1.0)
        assert len(connections) == 1
        await b.close()


async def test_a_server_that_hangs_up_is_called_again() -> None:
    replies = iter([b"1\n", None, b"3\n"])
    async with tcp_server(lambda _: next(replies)) as (address, connections):
        line = Lines().tcp(address)
        assert await line.exchange(b"a", timeout_s=1.0) == b"1"
        with pytest.raises(ReplyLost, match="hung up"):
            await line.exchange(b"b", timeout_s=1.0)
        assert await line.exchange(b"c", timeout_s=1.0) == b"3"
        assert len(connections) == 2
        await line.close()


async def test_the_banner_is_kept_and_answers_nothing() -> None:
    async with tcp_server(lambda line: line, greeting=b"Hello\r\n") as (address, _):
        line = Lines().tcp(address, greets=True)
        await line.connect()
        assert line.banner == b"Hello"
        assert await line.exchange(b"x", timeout_s=1.0) == b"x"
        await line.close()


async def test_nobody_listening_is_unreachable() -> None:
    async with tcp_server(lambda line: line) as (address, _):
        pass
    with pytest.raises(DeviceUnreachable, match="arm: cannot open") as caught:
        await Lines().tcp(address, device="arm").connect()
    assert not isinstance(caught.value, ReplyLost)


def test_one_port_cannot_have_two_settings(tmp_path) -> None:
    lines = Lines()
    address = Address(scheme="serial", port="/dev/ttyUSB0")
    lines.serial(address, baudrate=9600)
    with pytest.raises(LabFileError, match="ports of their own"):
        lines.serial(address, baudrate=19200)


def test_a_client_is_made_once_a_port() -> None:
    lines = Lines()
    assert lines.share("a", object) is lines.share("a", object)
    assert lines.share("a", object) is not lines.share("b", object)


async def test_the_doser_speaks_9600_baud_with_cr_lf(far) -> None:
    definition = DeviceDefinition(kind="mettler_quantos", address=str(far.address))
    far.replies = [b'I2 A "X"\r\n', b'I4 A "Y"\r\n', b"QRD 2 3 7 2 A\r\n"]
    doser = mettler_quantos.make("doser", definition, Lines(), VirtualClock())
    await doser.connect()
    assert far.heard == b"I2\r\nI4\r\nQRD 2 3 7\r\n"
    assert far.speed == termios.B9600
    await doser.close()


async def test_the_mixer_speaks_19200_baud_in_frames(far) -> None:
    definition = DeviceDefinition(kind="hauschild_smartdac", address=str(far.address))
    far.replies = [b"\x022000000\x03"]
    mixer = hauschild_smartdac.make("mixer", definition, Lines(), VirtualClock())
    await mixer.connect()
    assert far.heard == b"\x04\x20\x022000000\x03\x05"
    assert far.speed == termios.B19200
    await mixer.close()
