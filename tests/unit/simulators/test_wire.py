"""Simulated instruments on real wires."""

import asyncio
import os

import pytest

from simulators.wire import DeadSerialLine, DeadTcpLine, SerialLine, TcpLine


class Parrot:
    """Repeats; says ``ding`` unasked when its time has come."""

    greeting = b"hello\n"

    def __init__(self) -> None:
        self.due_s = 10.0
        self.advances: list[float] = []

    def advance(self, now_s: float) -> None:
        self.advances.append(now_s)

    def answer(self, request: bytes) -> bytes:
        return b"<" + request + b">\n"

    def unasked(self) -> bytes:
        if self.advances and self.advances[-1] >= self.due_s:
            self.due_s = float("inf")
            return b"ding\n"
        return b""


@pytest.fixture
def parrot(stage) -> Parrot:
    parrot = Parrot()
    stage.world.on_advance(parrot.advance)
    return parrot


async def talk(port: str, data: bytes, until: bytes) -> bytes:
    host, number = port.split(":")
    reader, writer = await asyncio.open_connection(host, int(number))
    writer.write(data)
    heard = b""
    async with asyncio.timeout(2.0):
        while until not in heard:
            heard += await reader.read(100)
    writer.close()
    await writer.wait_closed()
    return heard


class Terminal:
    """A client of a pseudo-terminal that never blocks."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    async def hear(self, until: bytes) -> bytes:
        heard = b""
        async with asyncio.timeout(2.0):
            while until not in heard:
                try:
                    heard += os.read(self.fd, 100)
                except BlockingIOError:
                    await asyncio.sleep(0.002)
        return heard


async def test_tcp_greets_and_answers_every_client(stage, parrot) -> None:
    line = TcpLine(stage.world, parrot, b"\n")
    port = await line.start()
    assert await talk(port, b"one\r\ntwo\n", b"<two>") == b"hello\n<one>\n<two>\n"
    assert await talk(port, b"three\n", b"<three>") == b"hello\n<three>\n"
    await line.stop()
    await line.stop()
    with pytest.raises(ConnectionRefusedError):
        await talk(port, b"x\n", b"")


async def test_stopping_hangs_up(stage, parrot) -> None:
    line = TcpLine(stage.world, parrot, b"\n")
    host, port = (await line.start()).split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await reader.readline()
    await line.stop()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_a_request_finds_the_world_in_the_present(stage, parrot) -> None:
    line = TcpLine(stage.world, parrot, b"\n")
    port = await line.start()
    stage.now_s = 5.0
    await talk(port, b"x\n", b"<x>")
    assert parrot.advances == [5.0]
    stage.now_s = 12.0
    assert await talk(port, b"x\n", b"<x>") == b"hello\nding\n<x>\n"  # news come first
    await line.stop()


async def test_faults_of_the_line_replace_the_answer(stage, parrot) -> None:
    line = TcpLine(stage.world, parrot, b"\n")
    port = await line.start()
    line.tamper = lambda request, answer: request + b" garbled " + answer
    assert await talk(port, b"x\n", b"garbled") == b"hello\nx garbled <x>\n"
    await line.stop()


async def test_a_serial_line_answers_and_speaks_unasked(stage, parrot) -> None:
    line = SerialLine(stage.world, parrot, b"\n")
    terminal = Terminal(await line.start())
    os.write(terminal.fd, b"one")
    await asyncio.sleep(0.01)
    os.write(terminal.fd, b"\ntwo\n")
    assert await terminal.hear(b"<two>\n") == b"<one>\n<two>\n"
    stage.now_s = 10.0
    assert await terminal.hear(b"ding") == b"ding\n"
    os.close(terminal.fd)
    await line.stop()
    await line.stop()


async def test_ticks_leave_an_instrument_with_nothing_due_alone(stage, parrot) -> None:
    line = SerialLine(stage.world, parrot, b"\n")
    await line.start()
    stage.now_s = 9.9
    await asyncio.sleep(0.12)
    assert parrot.advances == []
    await line.stop()


async def test_nobody_listening_blocks_nobody(stage, parrot) -> None:
    parrot.answer = lambda request: b"x" * 5000  # type: ignore[method-assign]
    line = SerialLine(stage.world, parrot, b"\n")
    terminal = Terminal(await line.start())
    for _ in range(10):
        os.write(terminal.fd, b"?\n")
        await asyncio.sleep(0.001)
    os.close(terminal.fd)
    await line.stop()


async def test_dead_lines_hold_their_port_and_say_nothing() -> None:
    serial_line, tcp_line = DeadSerialLine(), DeadTcpLine()
    path, port = await serial_line.start(), await tcp_line.start()
    terminal = Terminal(path)
    os.write(terminal.fd, b"anyone?\r\n")
    await asyncio.sleep(0.05)
    with pytest.raises(BlockingIOError):
        os.read(terminal.fd, 10)
    with pytest.raises(ConnectionRefusedError):
        await talk(port, b"x\n", b"")
    os.close(terminal.fd)
    await serial_line.stop()
    await tcp_line.stop()
