"""The journal of intents: every act is written before it is sent, and settled after it.

An intent has a key that names the act (``BaTiO3-1/prepare/1/dose BaCO3``). What became of
an act that was cut short, by a crash or a lost reply, is found out from the device; what it
cannot tell becomes a question to the operator.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from alab.claims import Lease
from alab.clock import Clock
from alab.commands import Command, RunProgram
from alab.errors import DeviceFault, UnknownOutcome
from alab.protocols import Device
from alab.store.codec import decode
from alab.store.records import ask
from alab.store.store import Store
from alab.store.tables import IntentRow, QuestionRow

Effect = Callable[[Session, dict[str, Any]], None]
"""What a finished command changed in the world, written with its outcome."""

DONE, NOT_DONE = "it was done", "it was not done"
DISCARD = "discard the sample"
ANSWERS = [DONE, NOT_DONE, DISCARD]


class Intents:
    """The intents of one laboratory.

    Args:
        store: The lab database.
        clock: Laboratory time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def find(self, key: str) -> IntentRow | None:
        """The intent of an act, None if there never was one."""
        with self._store.begin() as session:
            return session.scalar(select(IntentRow).where(IntentRow.key == key))

    def write(self, key: str, device: str, command: Command[Any], lease: Lease) -> IntentRow:
        """Write down what is about to be sent, over an earlier intent of the same key."""
        with self._store.begin() as session:
            intent = session.scalar(select(IntentRow).where(IntentRow.key == key))
            if intent is None:
                intent = IntentRow(key=key)
                session.add(intent)
            intent.device = device
            intent.command = command.word
            intent.arguments = command.arguments
            intent.owner = lease.claim.owner
            intent.status = "pending"
            intent.issued_at = self._clock.now()
            intent.settled_at = intent.result = None
            intent.error = ""
        return intent

    def settle(
        self,
        intent: IntentRow,
        status: str,
        *,
        result: dict[str, Any] | None = None,
        effect: Effect | None = None,
        error: str = "",
    ) -> None:
        """Write how far an act has come, together with what it changed in the world."""
        with self._store.begin() as session:
            row = session.get_one(IntentRow, intent.id)
            row.status = status
            row.error = error
            if status != "running":
                row.settled_at = self._clock.now()
            if result is not None:
                row.result = {k: v for k, v in result.items() if k != "content"}
                if effect is not None:
                    effect(session, result)
        intent.status = status

    def leave_open(self, intent: IntentRow, error: str) -> UnknownOutcome:
        """Ask the operator about an act that nobody can tell of; returns what to raise."""
        self.settle(intent, "unknown", error=error)
        with self._store.begin() as session:
            ask(session, self._clock.now(), intent.key, _question(intent), ANSWERS)
        return UnknownOutcome(intent.device, _question(intent))

    async def recall(
        self, intent: IntentRow | None, driver: Device, command: Command[Any]
    ) -> Command[Any] | None:
        """The command of an earlier run that is under way or done; None if none is.

        It comes back as it was first written: what an act did is measured against the
        mass before it, not against what is on the pan by now.

        Raises:
            UnknownOutcome: Nobody can tell, and the operator has not answered yet.
            DeviceFault: It failed, or the operator gave the sample up.
        """
        if intent is None or intent.status == "not_started" or command.restatable:
            return None
        first = decode(type(command), intent.arguments)
        if intent.status == "running":
            return first
        if intent.status == "failed":
            raise DeviceFault(intent.device, f"{intent.key} failed before: {intent.error}")
        if intent.status == "unknown":
            return first if self._was_done(intent) else None
        return first if await self._was_started(intent, driver, first) else None

    def _was_done(self, intent: IntentRow) -> bool:
        """What the operator says."""
        answer = self._answer(intent)
        if answer is None:
            raise UnknownOutcome(intent.device, _question(intent))
        if answer in (DONE, NOT_DONE):
            return answer == DONE
        self.settle(intent, "failed", error="discarded by the operator")
        raise DeviceFault(intent.device, f"{intent.key}: discarded by the operator")

    async def _was_started(
        self, intent: IntentRow, driver: Device, command: Command[Any]
    ) -> bool:
        """What the device says."""
        started = await command.was_started(driver)
        if started is None:
            raise self.leave_open(intent, "found after a restart")
        if started:
            self.settle(intent, "running")
        return started

    def _answer(self, intent: IntentRow) -> str | None:
        """The answer to the latest question about an act; older ones are used up."""
        with self._store.begin() as session:
            return session.scalar(
                select(QuestionRow.answer)
                .where(QuestionRow.subject == intent.key)
                .order_by(QuestionRow.id.desc())
                .limit(1)
            )


def places_in_doubt(session: Session) -> set[str]:
    """Slots and grippers of arm acts that the operator has been asked about, and not told."""
    asked = (
        select(IntentRow)
        .join(QuestionRow, QuestionRow.subject == IntentRow.key)
        .where(
            IntentRow.command == RunProgram.word,
            IntentRow.status == "unknown",
            QuestionRow.answer.is_(None),
        )
    )
    places: set[str] = set()
    for intent in session.scalars(asked):
        slots = (intent.arguments[key] for key in ("takes_from", "puts_into", "reaches_into"))
        places |= {intent.device, *(slot for slot in slots if slot)}
    return places


def _question(intent: IntentRow) -> str:
    at = f"{intent.issued_at:%Y-%m-%d %H:%M:%S}"
    return (
        f"{intent.device} was told at {at} to {intent.command} {intent.arguments} for "
        f"{intent.owner}, and nobody knows whether it did. Please look."
    )
