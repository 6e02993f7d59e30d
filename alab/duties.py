"""Duties: work that is begun again, with an alarm, when it dies of what nobody foresaw.

A full disk, a database that somebody else keeps locked, a Prefect server that is gone: a
duty that ended of it in silence would leave a furnace unwatched, or bound for ever.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from alab.laboratory import Laboratory
from alab.store.records import raise_alarm
from alab.store.tables import AlarmRow

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 60.0
LONGEST_PAUSE_S = 3600.0


async def kept_up(
    laboratory: Laboratory,
    name: str,
    work: Callable[[], Awaitable[object]],
    *,
    tries: int | None = None,
    sleep: Callable[[float], Awaitable[object]] | None = None,
) -> None:
    """Do some work to its end, and begin it again whenever it dies before.

    Args:
        laboratory: Where.
        name: What the alarm calls it.
        work: Begins it; called again after every death, at first after a minute, then after
            twice as long each time, at most after an hour.
        tries: How often in a row it may die, each time within an hour; the last death is
            raised. None for ever.
        sleep: How to wait; laboratory time unless told otherwise.
    """
    sleep = sleep or laboratory.clock.sleep
    deaths = 0
    while True:
        began_s = laboratory.clock.monotonic_s()
        try:
            await work()
        except Exception as error:
            if _is_taken_down():
                raise
            log.exception("%s died", name)
            lived_s = laboratory.clock.monotonic_s() - began_s
            deaths = 1 if lived_s >= LONGEST_PAUSE_S else deaths + 1
            _alarm(laboratory, name, error)
            if deaths == tries:
                raise
            await sleep(min(FIRST_PAUSE_S * 2.0 ** (deaths - 1), LONGEST_PAUSE_S))
        else:
            return


def _is_taken_down() -> bool:
    """Whether we die because we were told to end; a library may have worded it otherwise."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _alarm(laboratory: Laboratory, name: str, error: Exception) -> None:
    """Raise an alarm, once for as long as it is not acknowledged."""
    began = f"{name} died and is begun again: "
    with suppress(SQLAlchemyError), laboratory.store.begin() as session:  # it may be the cause
        standing = session.scalar(
            select(AlarmRow.id).where(
                AlarmRow.text.startswith(began, autoescape=True),
                AlarmRow.acknowledged_at.is_(None),
            )
        )
        if standing is None:
            now = laboratory.clock.now()
            raise_alarm(session, now, "laboratory", f"{began}{type(error).__name__}: {error}")
