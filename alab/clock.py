"""The one clock everything waits on.

``RealClock`` waits in real time. ``VirtualClock`` is a discrete-event kernel: exactly
one *participant* runs at a time; when it waits, the clock jumps to the next wake-up.
Thinking, database and wire traffic of the running participant cost no laboratory time,
and the order of events depends on nothing but the program and its seed.

Rules for code that runs under a clock:

* start concurrent work with :meth:`Clock.spawn`, and wait for it with ``join``;
* wait for time with ``sleep`` and for one another with :class:`Signal`;
* anything else may be awaited freely (sockets, threads, Prefect): the participant still
  counts as running, and time stands still for it.

``sleep(..., background=True)`` is for watchers: their wake-ups never drive time on
their own, so an idle laboratory stands still instead of racing through the years.
"""

import asyncio
import heapq
import itertools
import logging
from collections.abc import Collection, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

log = logging.getLogger(__name__)

TAKE_DOWN_S = 1.0
TAKE_DOWN_ROUNDS = 20


class Signal(Protocol):
    """Something participants wait for; setting it wakes all that wait now."""

    def set(self) -> None:
        """Wake every participant that waits now."""
        ...

    async def wait(self) -> None:
        """Wait until the next ``set``."""
        ...


class Clock(Protocol):
    """Laboratory time."""

    def now(self) -> datetime:
        """Aware UTC stamp of laboratory time."""
        ...

    def monotonic_s(self) -> float:
        """Seconds of laboratory time since the clock was made; never goes back."""
        ...

    async def sleep(self, duration_s: float, *, background: bool = False) -> None:
        """Wait ``duration_s`` seconds of laboratory time."""
        ...

    def signal(self) -> Signal:
        """Make a signal that participants of this clock can wait for."""
        ...

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Start ``work`` as a participant of its own."""
        ...

    async def join(self, *tasks: asyncio.Task[Any]) -> None:
        """Wait until all ``tasks`` have ended; raises nothing of what they raised."""
        ...


class RealClock:
    """Wall time, or a steady multiple of it.

    Args:
        speed: Laboratory seconds per wall second; 1 with real devices.
        start: Laboratory time at the start; now, unless told otherwise.
    """

    def __init__(self, *, speed: float = 1.0, start: datetime | None = None) -> None:
        self._speed = speed
        self._start = start or datetime.now(UTC)
        self._loop_start_s = _wall_s()

    def now(self) -> datetime:
        """Aware UTC stamp of laboratory time."""
        return self._start + timedelta(seconds=self.monotonic_s())

    def monotonic_s(self) -> float:
        """Seconds of laboratory time since the clock was made."""
        return (_wall_s() - self._loop_start_s) * self._speed

    async def sleep(self, duration_s: float, *, background: bool = False) -> None:  # noqa: ARG002
        """Wait ``duration_s`` seconds of laboratory time."""
        await asyncio.sleep(max(0.0, duration_s) / self._speed)

    def signal(self) -> "_RealSignal":
        """Make a signal."""
        return _RealSignal()

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Start ``work`` as a task."""
        return asyncio.create_task(work, name=name)

    async def join(self, *tasks: asyncio.Task[Any]) -> None:
        """Wait until all ``tasks`` have ended."""
        if tasks:
            await asyncio.wait(tasks)


class _RealSignal:
    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def set(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future


class VirtualClock:
    """A discrete-event clock: time jumps to the next event once everyone waits.

    Args:
        start: Laboratory time at the start. The default is a fixed date, so that the
            same seed gives the same stamps.
    """

    def __init__(self, *, start: datetime | None = None) -> None:
        self._start = start or datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
        self._now_s = 0.0
        self._order = itertools.count()
        self._due: list[tuple[float, int, bool, asyncio.Future[None]]] = []
        self._foreground_due = 0
        self._running = 0
        self._step_scheduled = False

    def now(self) -> datetime:
        """Aware UTC stamp of laboratory time."""
        return self._start + timedelta(seconds=self._now_s)

    def monotonic_s(self) -> float:
        """Seconds of laboratory time since the clock was made."""
        return self._now_s

    async def sleep(self, duration_s: float, *, background: bool = False) -> None:
        """Wait ``duration_s`` seconds of laboratory time."""
        await self._wait_for(self._schedule(duration_s, background=background))

    def signal(self) -> "_VirtualSignal":
        """Make a signal whose waiters wake one after another."""
        return _VirtualSignal(self)

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Start ``work`` as a participant; it begins when the running one waits."""
        turn = self._schedule(0.0, background=False)
        task = asyncio.create_task(_participate(turn, work), name=name)
        # before any other callback: who joins this task is queued before time moves on
        task.add_done_callback(lambda _task: self._ended(turn, work))
        self._step_soon()
        return task

    async def join(self, *tasks: asyncio.Task[Any]) -> None:
        """Wait until all ``tasks`` have ended."""
        pending = [task for task in tasks if not task.done()]
        while pending:
            ended = self.signal()
            for task in pending:
                task.add_done_callback(lambda _task, ended=ended: ended.set())
            await ended.wait()
            pending = [task for task in pending if not task.done()]

    async def run(self, work: Coroutine[Any, Any, Any], *, name: str = "main") -> Any:
        """Run ``work`` as a participant from outside, and return its result.

        The outermost call of a program, or a request that arrived from another process.
        """
        return await self.spawn(work, name=name)

    def _ended(self, turn: asyncio.Future[None], work: Coroutine[Any, Any, Any]) -> None:
        """A participant runs no more: it came to its end, or never began."""
        work.close()
        self._abandon(turn)

    async def _wait_for(self, turn: asyncio.Future[None]) -> None:
        self._running -= 1
        self._step_soon()
        try:
            await turn
        except asyncio.CancelledError:
            self._abandon(turn)
            self._running += 1  # it runs again, on its way out
            raise

    def _abandon(self, turn: asyncio.Future[None]) -> None:
        """Forget a wake-up; whoever had been given its turn gives it back."""
        if turn.done() and not turn.cancelled():
            self._running -= 1
        else:
            turn.cancel()
            self._forget(turn)
        self._step_soon()

    def _forget(self, turn: asyncio.Future[None]) -> None:
        """Take a wake-up out of the queue, so that it drives time no longer."""
        for index, (_, _, background, due) in enumerate(self._due):
            if due is turn:
                self._foreground_due -= not background
                del self._due[index]
                heapq.heapify(self._due)
                return

    def _schedule(self, duration_s: float, *, background: bool) -> asyncio.Future[None]:
        turn = asyncio.get_running_loop().create_future()
        due_s = self._now_s + max(0.0, duration_s)
        heapq.heappush(self._due, (due_s, next(self._order), background, turn))
        self._foreground_due += not background
        return turn

    def _step_soon(self) -> None:
        if self._running > 0 or self._step_scheduled or not self._due:
            return
        self._step_scheduled = True
        asyncio.get_running_loop().call_soon(self._step)

    def _step(self) -> None:
        """Give the next participant its turn, if nobody runs."""
        self._step_scheduled = False
        if self._running > 0:
            return
        while self._due:
            due_s, _, background, turn = self._due[0]
            if due_s > self._now_s and self._foreground_due == 0:
                return  # only watchers are left: time stands still
            heapq.heappop(self._due)
            self._foreground_due -= not background
            if turn.cancelled():
                continue
            self._now_s = max(self._now_s, due_s)
            self._running += 1
            turn.set_result(None)
            return


class _VirtualSignal:
    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._waiting: list[asyncio.Future[None]] = []

    def set(self) -> None:
        clock = self._clock
        waiting, self._waiting = self._waiting, []
        for turn in waiting:
            if not turn.done():
                heapq.heappush(
                    clock._due,  # noqa: SLF001
                    (clock.monotonic_s(), next(clock._order), False, turn),  # noqa: SLF001
                )
                clock._foreground_due += 1  # noqa: SLF001
        clock._step_soon()  # noqa: SLF001

    async def wait(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await self._clock._wait_for(turn)  # noqa: SLF001


async def _participate(turn: asyncio.Future[None], work: Coroutine[Any, Any, Any]) -> Any:
    await turn
    return await work


async def take_down(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks until all have ended.

    Once is not enough: a library between us and them may swallow a cancellation. Being
    cancelled meanwhile changes nothing, as we are on our way out.
    """
    pending = {task for task in tasks if not task.done()}
    for _ in range(TAKE_DOWN_ROUNDS):
        if not pending:
            return
        for task in pending:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait(pending, timeout=TAKE_DOWN_S)
        pending = {task for task in pending if not task.done()}
    log.error("%d tasks could not be stopped: %s", len(pending), sorted(map(str, pending)))


async def on_clock(clock: Clock, work: Coroutine[Any, Any, Any]) -> Any:
    """Await work that may wait for laboratory time, from outside its participants."""
    if isinstance(clock, VirtualClock):
        return await clock.run(work, name="request")
    return await work


def _wall_s() -> float:
    import time

    return time.monotonic()
