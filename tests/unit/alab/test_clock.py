"""Time that jumps: one participant at a time, and nothing lost on the way."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from alab.clock import RealClock, VirtualClock, take_down

REAL_LIMIT_S = 5.0
"""Wall time after which a test calls a clock hung."""


async def run(clock: VirtualClock, work: Any) -> Any:
    async with asyncio.timeout(REAL_LIMIT_S):
        return await clock.run(work)


def nobody_runs(clock: VirtualClock) -> bool:
    return clock._running == 0 and clock._foreground_due == sum(not d[2] for d in clock._due)


async def test_sleep_jumps_to_the_next_event() -> None:
    clock = VirtualClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, duration_s: float) -> None:
        await clock.sleep(duration_s)
        woken.append((name, clock.monotonic_s()))

    async def main() -> None:
        tasks = [clock.spawn(sleeper(n, s), name=n) for n, s in (("late", 86400), ("soon", 5))]
        await clock.join(*tasks)

    await run(clock, main())
    assert woken == [("soon", 5.0), ("late", 86400.0)]
    assert (clock.now() - VirtualClock().now()).total_seconds() == 86400
    assert nobody_runs(clock)


async def test_one_participant_at_a_time_even_across_real_waits() -> None:
    clock = VirtualClock()
    inside = most = 0

    async def worker(steps: int) -> None:
        nonlocal inside, most
        for step in range(steps):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)  # a socket, a thread: still running
            await asyncio.sleep(0)
            inside -= 1
            await clock.sleep(step % 3)

    async def main() -> None:
        await clock.join(*(clock.spawn(worker(9), name=f"w{n}") for n in range(7)))

    await run(clock, main())
    assert most == 1


async def test_real_waiting_costs_no_laboratory_time() -> None:
    clock = VirtualClock()

    async def thinker() -> float:
        await asyncio.to_thread(sum, range(100_000))
        return clock.monotonic_s()

    async def main() -> float:
        other = clock.spawn(clock.sleep(10), name="other")
        thought_at_s = await thinker()
        await clock.join(other)
        return thought_at_s

    assert await run(clock, main()) == 0.0


async def test_same_program_gives_the_same_order() -> None:
    async def story() -> list[tuple[float, str]]:
        clock = VirtualClock()
        told: list[tuple[float, str]] = []
        ready = clock.signal()

        async def actor(name: str, steps: int) -> None:
            for step in range(steps):
                await clock.sleep((step * 7 + len(name)) % 5)
                told.append((clock.monotonic_s(), name))
                if step == 2:
                    ready.set()
                elif step == 0 and name == "a":
                    await ready.wait()
                await asyncio.to_thread(sum, range(1000))  # never twice the same real time

        async def main() -> None:
            await clock.join(*(clock.spawn(actor(n, 8), name=n) for n in ("a", "bb", "aaa")))

        await run(clock, main())
        return told

    assert await story() == await story()


async def test_background_sleepers_never_drive_time() -> None:
    clock = VirtualClock()
    looks: list[float] = []

    async def watch() -> None:
        while True:
            await clock.sleep(60, background=True)
            looks.append(clock.monotonic_s())

    async def main() -> None:
        clock.spawn(watch(), name="watch")
        await clock.sleep(150)

    await run(clock, main())
    assert looks == [60, 120]
    for _ in range(20):
        await asyncio.sleep(0)
    assert clock.monotonic_s() == 150
    await run(clock, clock.sleep(100))
    assert looks == [60, 120, 180, 240]


async def test_cancelled_sleeper_drives_no_time() -> None:
    clock = VirtualClock()
    looks = 0

    async def watch() -> None:
        nonlocal looks
        while True:
            await clock.sleep(60, background=True)
            looks += 1

    async def main() -> None:
        clock.spawn(watch(), name="watch")
        long = clock.spawn(clock.sleep(36_000), name="a firing that is broken off")
        await clock.sleep(30)
        long.cancel()
        await clock.join(long)

    await run(clock, main())
    for _ in range(50):
        await asyncio.sleep(0)
    assert looks == 0
    assert clock.monotonic_s() == 30
    assert nobody_runs(clock)


async def test_joining_takes_no_time() -> None:
    clock = VirtualClock()

    async def main() -> float:
        late = clock.spawn(clock.sleep(100), name="late")
        soon = clock.spawn(clock.sleep(10), name="soon")
        await clock.join(soon)
        at_s = clock.monotonic_s()
        await clock.join(late, soon)
        return at_s

    assert await run(clock, main()) == 10


@pytest.mark.parametrize("when", ["before it began", "asleep", "at a signal", "given its turn"])
async def test_cancellation_leaves_the_count_right(when: str) -> None:
    clock = VirtualClock()
    signal = clock.signal()
    waits: dict[str, Callable[[], Awaitable[None]]] = {
        "before it began": lambda: clock.sleep(5),
        "asleep": lambda: clock.sleep(5),
        "at a signal": signal.wait,
        "given its turn": signal.wait,
    }

    async def victim() -> None:
        await waits[when]()

    async def main() -> float:
        task = clock.spawn(victim(), name="victim")
        if when != "before it began":
            await clock.sleep(1)
        if when == "given its turn":
            signal.set()
        task.cancel()
        await clock.join(task)
        assert task.cancelled()
        signal.set()
        await clock.sleep(10)  # hangs if the count were wrong
        return clock.monotonic_s()

    assert await run(clock, main()) in (10.0, 11.0)
    assert nobody_runs(clock)


async def test_cancelled_participant_may_tidy_up_in_laboratory_time() -> None:
    clock = VirtualClock()
    tidied: list[float] = []

    async def careful() -> None:
        try:
            await clock.sleep(100)
        finally:
            await clock.sleep(3)
            tidied.append(clock.monotonic_s())

    async def main() -> None:
        task = clock.spawn(careful(), name="careful")
        await clock.sleep(1)
        task.cancel()
        await clock.join(task)

    await run(clock, main())
    assert tidied == [4.0]
    assert nobody_runs(clock)


async def test_exception_in_a_participant_stops_only_that_one() -> None:
    clock = VirtualClock()

    async def fails() -> None:
        await clock.sleep(1)
        raise ValueError("broken")

    async def main() -> float:
        bad = clock.spawn(fails(), name="bad")
        good = clock.spawn(clock.sleep(9), name="good")
        await clock.join(bad, good)
        assert isinstance(bad.exception(), ValueError)
        return clock.monotonic_s()

    assert await run(clock, main()) == 9
    with pytest.raises(ValueError, match="broken"):
        await run(clock, fails())
    assert nobody_runs(clock)


async def test_signal_wakes_those_that_wait_now_and_no_later_ones() -> None:
    clock = VirtualClock()
    signal = clock.signal()
    woken: list[str] = []

    async def waiter(name: str, after_s: float) -> None:
        await clock.sleep(after_s)
        await signal.wait()
        woken.append(name)

    async def main() -> None:
        early = [clock.spawn(waiter(n, 0), name=n) for n in ("one", "two")]
        late = clock.spawn(waiter("late", 6), name="late")
        await clock.sleep(5)
        signal.set()
        await clock.join(*early)
        await clock.sleep(5)
        assert not late.done()
        late.cancel()
        await clock.join(late)

    await run(clock, main())
    assert woken == ["one", "two"]


async def test_request_from_outside_is_served_while_everyone_waits() -> None:
    clock = VirtualClock()
    go = clock.signal()
    clock_task = asyncio.create_task(clock.run(go.wait()))

    async def request() -> str:
        await clock.sleep(2)
        go.set()
        return "answer"

    assert await run(clock, request()) == "answer"
    await clock_task
    assert nobody_runs(clock)


async def test_real_clock_keeps_the_same_promises() -> None:
    clock = RealClock(speed=1e6)
    signal = clock.signal()

    async def setter() -> None:
        await clock.sleep(10)
        signal.set()

    async with asyncio.timeout(REAL_LIMIT_S):
        task = clock.spawn(setter(), name="setter")
        await signal.wait()
        await clock.join(task)
        await clock.join()
    assert clock.monotonic_s() >= 10
    assert clock.now().tzinfo is not None


async def test_a_task_that_swallows_a_cancellation_is_taken_down_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("alab.clock.TAKE_DOWN_S", 0.01)
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed > 2:
                    raise

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await take_down([task])
    assert task.cancelled()
    assert swallowed == 3
