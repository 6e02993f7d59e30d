"""Duties: begun again when they die, told once, and let go when they are taken down."""

import asyncio
from typing import NoReturn

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from alab.clock import VirtualClock, take_down
from alab.duties import kept_up
from alab.laboratory import Laboratory
from alab.store.tables import AlarmRow


class Mortal:
    """Work that dies a number of times before it is done."""

    def __init__(self, clock: VirtualClock, deaths: int) -> None:
        self._clock, self._deaths = clock, deaths
        self.began_s: list[float] = []

    async def __call__(self) -> None:
        self.began_s.append(self._clock.monotonic_s())
        if len(self.began_s) <= self._deaths:
            raise RuntimeError("disk is full")


def alarms(laboratory: Laboratory) -> list[str]:
    with laboratory.store.begin() as session:
        return list(session.scalars(select(AlarmRow.text)))


async def test_work_is_begun_again_and_told_once(
    small_laboratory: Laboratory, clock: VirtualClock
) -> None:
    work = Mortal(clock, deaths=8)
    await clock.run(kept_up(small_laboratory, "watch furnace", work))
    pauses = [b - a for a, b in zip(work.began_s, work.began_s[1:], strict=False)]
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert alarms(small_laboratory) == [
        "watch furnace died and is begun again: RuntimeError: disk is full"
    ]


async def test_the_last_death_allowed_is_raised(
    small_laboratory: Laboratory, clock: VirtualClock
) -> None:
    work = Mortal(clock, deaths=8)
    with pytest.raises(RuntimeError, match="disk is full"):
        await clock.run(kept_up(small_laboratory, "target BaTiO3", work, tries=3))
    assert len(work.began_s) == 3


async def test_an_alarm_that_cannot_be_written_does_not_end_the_duty(
    small_laboratory: Laboratory, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin() -> NoReturn:
        raise OperationalError("BEGIN IMMEDIATE", {}, Exception("database is locked"))

    monkeypatch.setattr(small_laboratory.store, "begin", begin)
    work = Mortal(clock, deaths=1)
    await clock.run(kept_up(small_laboratory, "keep", work))
    assert len(work.began_s) == 2


async def test_taking_down_is_no_death(
    small_laboratory: Laboratory, clock: VirtualClock
) -> None:
    """Prefect may turn a cancellation into an error of its own."""

    async def worded_otherwise() -> None:
        try:
            await clock.sleep(60)
        except asyncio.CancelledError:
            raise RuntimeError("crashed") from None

    task = clock.spawn(kept_up(small_laboratory, "campaign c", worded_otherwise), name="c")
    await clock.run(clock.sleep(1))
    await take_down([task])
    assert isinstance(task.exception(), RuntimeError)
    assert alarms(small_laboratory) == []
