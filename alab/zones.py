"""Zones: a place that several arms reach is worked in by one of them at a time.

Who is inside is read from the journal of intents, so it is true after a crash as well. An
arm leaves when its program is done. One that broke off half-way may stand anywhere: it stays
inside until a person has answered for the act, or has declared the arm ready.
"""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from alab.commands import RunProgram
from alab.lab import LabDefinition
from alab.store.tables import DeviceRow, EventRow, IntentRow, QuestionRow


def in_the_way(
    session: Session, lab: LabDefinition, arm: str, slots: Iterable[str]
) -> str | None:
    """What ``arm`` must wait for before it reaches into ``slots``; None if nothing.

    Args:
        session: A transaction of the caller.
        lab: The lab definition.
        arm: Who is to reach there.
        slots: Every slot that its program touches: all are free at once, or it waits.
    """
    for place in sorted({lab.place_of(slot) for slot in slots}):
        for other in lab.places[place].arms:
            act = _latest_act(session, other)
            if other == arm or act is None or place not in _places_of(act, lab):
                continue
            if act.status != "done" and not _seen_to(session, act):
                return _in_words(act, place)
    return None


def _in_words(act: IntentRow, place: str) -> str:
    program = act.arguments["program"]
    if act.status in ("pending", "running"):
        return f"{act.device} to leave {place}, where it plays {program}"
    return (
        f"people to see to {act.device}, of which nobody knows whether it has left {place} "
        f"({program} broke off): answer 'alab questions', then 'alab device ready {act.device}'"
    )


def _latest_act(session: Session, arm: str) -> IntentRow | None:
    """The program that an arm began last: it is in the middle of no earlier one."""
    return session.scalars(
        select(IntentRow)
        .where(
            IntentRow.device == arm,
            IntentRow.command == RunProgram.word,
            IntentRow.status != "not_started",
        )
        .order_by(IntentRow.issued_at.desc(), IntentRow.id.desc())
        .limit(1)
    ).first()


def _places_of(act: IntentRow, lab: LabDefinition) -> set[str]:
    slots = (act.arguments[key] for key in ("takes_from", "puts_into", "reaches_into"))
    return {lab.place_of(slot) for slot in slots if slot}


def _seen_to(session: Session, act: IntentRow) -> bool:
    """Whether the arm is ready, and a person has answered for the act or for the arm since."""
    if session.get_one(DeviceRow, act.device).state != "ready":
        return False
    answered = select(QuestionRow.id).where(
        QuestionRow.subject == act.key, QuestionRow.answered_at >= act.issued_at
    )
    declared = select(EventRow.id).where(
        EventRow.subject == act.device,
        EventRow.text.startswith("ready: "),
        EventRow.at >= act.issued_at,
    )
    return any(session.scalar(query.limit(1)) is not None for query in (answered, declared))
