"""What every stage shares: its lease, its retries, its patience with operators."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from sqlalchemy import select

from alab.claims import Claim, Lease
from alab.clock import take_down
from alab.commands import Dose, OpenDoor, ShutDoor
from alab.errors import (
    AlabError,
    CommandRejected,
    DeviceFault,
    InterlockError,
    UnknownOutcome,
)
from alab.intents import Intents
from alab.laboratory import Laboratory
from alab.store.tables import DeviceRow, IntentRow, QuestionRow

RETRY_AFTER_S = 60.0
RETRIES = 3


class HeldUp(AlabError):  # noqa: N818
    """A stage was refused and nothing was done; asked again, it waits for a person.

    The emergency stop is latched, or a device is out of use until somebody has looked. The
    stage's next claim is granted once that is lifted, and it goes on from where it stood.
    """

    retryable = True


async def _may_retry(_task: Any, _run: Any, state: Any) -> bool:
    """Whether a failed stage raised something that may pass by itself."""
    error = await state.aresult(raise_on_failure=False)
    return isinstance(error, AlabError) and error.retryable


def stage(name: str) -> Callable[[Callable[..., Awaitable[Any]]], Any]:
    """A Prefect task that may be run again: whatever it already did, the gateway skips.

    Errors that are ``retryable`` are tried again by Prefect; the waiting in between is
    laboratory time (see :func:`leased`).
    """
    return task(
        name=name,
        task_run_name=name + " {sample}" if name not in FIRING_STAGES else name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=RETRIES,
        retry_delay_seconds=0,
        retry_condition_fn=_may_retry,
    )


FIRING_STAGES = ("load", "heat", "recover")
STATES_A_TARGET = (OpenDoor.word, ShutDoor.word)
"""Acts that may be asked for again however far they came."""


@asynccontextmanager
async def leased(laboratory: Laboratory, claim: Claim) -> AsyncIterator[Lease]:
    """Hold everything a stage needs, and give it back whatever happens.

    A device that does not answer is given a minute before Prefect tries the stage again.

    Raises:
        HeldUp: Instead of a refusal that concerns the laboratory, not the sample, and of a
            dose that the emergency stop broke off.
    """
    lease = await laboratory.claims.acquire(claim)
    try:
        yield lease
    except AlabError as error:
        meant = _meant(laboratory, claim.owner, error)
        laboratory.claims.release(lease)
        if meant.retryable:
            await laboratory.clock.sleep(RETRY_AFTER_S)
        if meant is error:
            raise
        raise meant from error
    finally:
        laboratory.claims.release(lease)


def _meant(laboratory: Laboratory, owner: str, error: AlabError) -> AlabError:
    """What an error means to the stage that it ends: itself, or that it waits for people."""
    if not isinstance(error, (InterlockError, CommandRejected, DeviceFault)):
        return error
    stopped = laboratory.gateway.stopped
    with laboratory.store.begin() as session:
        state = session.get_one(DeviceRow, error.device).state
        act = session.scalars(
            select(IntentRow)
            .where(IntentRow.owner == owner, IntentRow.device == error.device)
            .order_by(IntentRow.issued_at.desc(), IntentRow.id.desc())
        ).first()
    if not stopped and state == "ready":
        return error
    if isinstance(error, InterlockError):
        return HeldUp(str(error))
    if act is not None and (act.status == "not_started" or act.command in STATES_A_TARGET):
        return HeldUp(str(error))
    if stopped and act is not None and act.status == "failed" and act.command == Dose.word:
        # the stop broke it off: it is weighed when the doser is ready, and topped up
        Intents(laboratory.store, laboratory.clock).settle(act, "running")
        return HeldUp(str(error))
    return error


@asynccontextmanager
async def ending_with_us(tasks: Collection[asyncio.Task[Any]]) -> AsyncIterator[None]:
    """Take down, and wait for, everything that we started when we are taken down.

    A process that stops must not leave anybody behind who goes on to command devices.
    """
    try:
        yield
    except asyncio.CancelledError:
        await take_down(tasks)
        raise


async def until_answered(laboratory: Laboratory, error: UnknownOutcome, subject: str) -> None:
    """Wait until the operator has answered every open question about ``subject``."""
    del error
    while True:
        with laboratory.store.begin() as session:
            standing = session.scalar(
                select(QuestionRow.id).where(
                    (QuestionRow.subject == subject)
                    | QuestionRow.subject.startswith(f"{subject}/", autoescape=True),
                    QuestionRow.answer.is_(None),
                )
            )
        if standing is None:
            return
        await laboratory.changed.wait()
