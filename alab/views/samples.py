"""What people see of samples: where they are, what was done, what came of it."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, defer

from alab.claims import ACTIVE_FIRING
from alab.errors import BadInput
from alab.life import TERMINAL, Control, Status
from alab.store.codec import unpack
from alab.store.tables import AttemptRow, DoseRow, FiringRow, QuestionRow, SampleRow, SlotRow
from alab.views.people import (
    Table,
    events,
    overview,
    question_table,
    stamp,
    stop_notice,
)


def samples(
    session: Session, *, campaign: str | None = None, status: str | None = None
) -> list[Table]:
    """Samples in the order they were made, with where they are and the latest verdict."""
    query = select(SampleRow).options(defer(SampleRow.recipe)).order_by(SampleRow.created_at)
    if campaign is not None:
        query = query.where(SampleRow.campaign == campaign)
    if status is not None:
        if status not in set(Status):
            raise BadInput(f"{status!r} is no status; possible: {', '.join(Status)}")
        query = query.where(SampleRow.status == status)
    return _samples(session, query)


def queue(session: Session) -> list[Table]:
    """Samples that have not ended, in the order they are served."""
    query = (
        select(SampleRow)
        .options(defer(SampleRow.recipe))
        .where(SampleRow.status.not_in(TERMINAL))
        .order_by(SampleRow.priority.desc(), SampleRow.created_at, SampleRow.name)
    )
    return _samples(session, query)


def ended(session: Session, limit: int) -> list[Table]:
    """The samples that ended last, latest first."""
    query = (
        select(SampleRow)
        .options(defer(SampleRow.recipe))
        .where(SampleRow.status.in_(TERMINAL))
        .order_by(SampleRow.status_at.desc())
        .limit(limit)
    )
    return _samples(session, query)


def _samples(session: Session, query: Select[SampleRow]) -> list[Table]:
    rows = session.scalars(query).all()
    names = [row.name for row in rows]
    where: dict[str | None, list[str]] = defaultdict(list)
    standing = select(SlotRow.sample, SlotRow.slot).where(SlotRow.sample.in_(names))
    for sample, slot in session.execute(standing):
        where[sample].append(slot)
    attempts = (
        select(AttemptRow.sample, AttemptRow.outcome)
        .where(AttemptRow.sample.in_(names))
        .order_by(AttemptRow.round)
    )
    latest = {name: outcome for name, outcome in session.execute(attempts) if outcome}
    return [
        {**_sample(row), **_seen(latest.get(row.name)), "at": where[row.name]} for row in rows
    ]


def _sample(row: SampleRow) -> Table:
    return {
        "name": row.name,
        "campaign": row.campaign,
        "target": row.target,
        "status": row.status,
        "control": row.control,
        "priority": row.priority,
        "round": row.round,
        "home_slot": row.home_slot,
        "created_at": stamp(row.created_at),
        "status_at": stamp(row.status_at),
        "note": row.note,
    }


def _seen(outcome: Table | None) -> Table:
    return {
        "verdict": outcome["verdict"] if outcome else None,
        "target_weight_fraction": outcome["target_weight_fraction"] if outcome else None,
    }


def sample(session: Session, name: str) -> Table:
    """One sample with all that is known of it.

    Raises:
        BadInput: If there is none of that name.
    """
    row = _sample_row(session, name)
    attempts = session.execute(
        select(AttemptRow, FiringRow.furnace, AttemptRow.analysis.is_not(None))
        .options(defer(AttemptRow.scan), defer(AttemptRow.analysis))
        .outerjoin(FiringRow, FiringRow.id == AttemptRow.firing)
        .where(AttemptRow.sample == name)
        .order_by(AttemptRow.round)
    )
    open_questions = select(QuestionRow).where(
        (QuestionRow.subject == name)
        | QuestionRow.subject.startswith(f"{name}/", autoescape=True),
        QuestionRow.answer.is_(None),
    )
    return {
        **_sample(row),
        "at": list(session.scalars(select(SlotRow.slot).where(SlotRow.sample == name))),
        "recipe": row.recipe,
        "doses": _doses(session, name),
        "attempts": [
            {
                "round": attempt.round,
                "recipe": attempt.recipe,
                "firing": attempt.firing,
                "furnace": furnace,
                "scan_filename": attempt.scan_filename,
                "has_pattern": has_pattern,
                "outcome": attempt.outcome,
                "decision": attempt.decision,
                "decided_at": stamp(attempt.decided_at),
            }
            for attempt, furnace, has_pattern in attempts
        ],
        "questions": [question_table(question) for question in session.scalars(open_questions)],
        "events": events(session, subject=name, limit=500),
    }


def _sample_row(session: Session, name: str) -> SampleRow:
    row = session.get(SampleRow, name)
    if row is None:
        raise BadInput(f"there is no sample {name!r}; see 'alab sample list'")
    return row


def _doses(session: Session, sample: str) -> list[Table]:
    rows = session.scalars(select(DoseRow).where(DoseRow.sample == sample).order_by(DoseRow.id))
    return [
        {
            "formula": row.formula,
            "wanted_mg": row.wanted_mg,
            "dosed_mg": row.dosed_mg,
            "deviation_percent": (row.dosed_mg / row.wanted_mg - 1) * 100,
            "dosed_at": stamp(row.dosed_at),
        }
        for row in rows
    ]


def pattern(session: Session, sample: str, round_number: int) -> Any:
    """The refined pattern of one round of a sample, as the analysis wrote it.

    Raises:
        BadInput: If there is none.
    """
    _sample_row(session, sample)
    packed = session.scalar(
        select(AttemptRow.analysis).where(
            AttemptRow.sample == sample, AttemptRow.round == round_number
        )
    )
    if packed is None:
        raise BadInput(
            f"{sample} has no analysed pattern of round {round_number}; "
            f"see 'alab sample show {sample}'"
        )
    written = unpack(packed)
    return json.loads(written) if isinstance(written, str) else written


def cancellation(session: Session, names: Sequence[str]) -> list[Table]:
    """What cancelling these samples would mean, one entry a sample, nothing done.

    Raises:
        BadInput: If there is no such sample.
    """
    firings = {
        name: firing
        for firing in session.scalars(
            select(FiringRow).where(FiringRow.status.in_(ACTIVE_FIRING))
        )
        for name in firing.slots
    }
    return [
        {
            "sample": name,
            "status": (row := _sample_row(session, name)).status,
            "possible": row.status not in TERMINAL and row.control != Control.CANCELLING,
            "means": _meaning(row, firings.get(name)),
        }
        for name in dict.fromkeys(names)
    ]


def _meaning(row: SampleRow, firing: FiringRow | None) -> str:
    if row.status in TERMINAL:
        return f"nothing: it has ended ({row.status})"
    if row.control == Control.CANCELLING:
        return "nothing: it is being cancelled already"
    if firing is not None:
        others = len(firing.slots) - 1
        with_others = f" with {others} other sample(s)" if others else ""
        return (
            f"{firing.furnace} keeps {firing.status}: firing {firing.id}{with_others} goes on; "
            "the sample ends when it has been unloaded"
        )
    if row.status == Status.QUEUED:
        return "it leaves the queue; no powder was used"
    if row.status in (Status.PREPARING, Status.CHARACTERISING, Status.REGRINDING):
        return f"the step under way ({row.status}) is finished first; its powder is given up"
    return "it stops where it is; its powder is given up"


def decisions(session: Session, limit: int = 20) -> list[Table]:
    """The latest decisions, latest first, with what they rest on."""
    rows = session.execute(
        select(
            AttemptRow.sample,
            SampleRow.target,
            AttemptRow.round,
            AttemptRow.outcome,
            AttemptRow.decision,
            AttemptRow.decided_at,
        )
        .join(SampleRow, SampleRow.name == AttemptRow.sample)
        .where(AttemptRow.decided_at.is_not(None))
        .order_by(AttemptRow.decided_at.desc(), AttemptRow.id.desc())
        .limit(limit)
    )
    return [
        {
            "sample": name,
            "target": target,
            "round": round_number,
            **_seen(outcome),
            "step": (decision or {}).get("step"),
            "reasons": list((decision or {}).get("reasons", ())),
            "decided_at": stamp(decided_at),
        }
        for name, target, round_number, outcome, decision, decided_at in rows
    ]


def why(session: Session, name: str) -> list[str]:
    """What the store alone says a sample waits for; a running laboratory knows more.

    Raises:
        BadInput: If there is none of that name.
    """
    found = sample(session, name)
    words = [f"It is {found['status']} since {found['status_at']}."]
    if found["status"] in TERMINAL:
        return [*words, *filter(None, [found["note"]])]
    if stopped := overview(session)["stopped"]:
        words.insert(0, stop_notice(stopped))
    if found["control"] != Control.RUN:
        words.append(f"The operator wants it {found['control']}.")
    words += [f"Question {q['id']} is open: {q['text']}" for q in found["questions"]]
    return [
        *words,
        "No laboratory runs on this data directory: nothing moves before 'alab up'.",
    ]
