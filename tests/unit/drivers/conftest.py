"""A written conversation in place of a line."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from alab.clock import VirtualClock
from drivers.transport import ReplyLost

LOST = None


class Transcript:
    """A line that insists on one conversation: each item is what is sent, then replies.

    A reply of ``None`` is lost. Replies nobody reads are discarded by the next exchange.
    """

    banner = b""

    def __init__(self, *conversation: tuple[bytes | None, ...]) -> None:
        self._conversation = list(conversation)
        self._replies: list[bytes | None] = []
        self.sent: list[bytes] = []

    async def connect(self) -> None:
        pass

    async def close(self) -> None:
        pass

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        yield

    async def exchange(self, line: bytes, *, timeout_s: float) -> bytes:
        self._replies.clear()
        await self.send(line)
        return await self.read_line(timeout_s=timeout_s)

    async def send(self, line: bytes) -> None:
        assert self._conversation, f"{line!r} was sent after the end of the transcript"
        expected, *replies = self._conversation.pop(0)
        assert line == expected
        self.sent.append(line)
        self._replies += replies

    async def read_line(self, *, timeout_s: float) -> bytes:
        assert timeout_s > 0
        if not self._replies or (reply := self._replies.pop(0)) is LOST:
            raise ReplyLost("device", f"no reply within {timeout_s:g} s")
        return reply

    async def read_until(self, end: bytes, *, timeout_s: float) -> bytes:
        return await self.read_line(timeout_s=timeout_s) + end

    def assert_over(self) -> None:
        assert not self._conversation, f"never sent: {self._conversation}"


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def transcript() -> type[Transcript]:
    return Transcript


@pytest.fixture
def run(clock: VirtualClock) -> Callable[[Awaitable[Any]], Awaitable[Any]]:
    """Run a driver's method as a participant of the clock."""

    async def participate(work: Any) -> Any:
        return await clock.run(work)

    return participate
