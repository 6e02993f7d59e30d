"""What is put to people: alarms, questions, the log."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from alab.claims import STOP
from alab.store.records import read_setting
from alab.store.tables import AlarmRow, EventRow, QuestionRow, SampleRow

Table = dict[str, Any]


def stamp(at: datetime | None) -> str | None:
    """A stamp as ISO 8601 in UTC, to the second."""
    return at.astimezone(UTC).isoformat(timespec="seconds") if at else None


def alarms(session: Session, *, standing_only: bool = False) -> list[Table]:
    """Alarms, latest first; those nobody has acknowledged, or all."""
    query = select(AlarmRow).order_by(AlarmRow.id.desc())
    if standing_only:
        query = query.where(AlarmRow.acknowledged_at.is_(None))
    return [
        {
            "id": row.id,
            "device": row.device,
            "text": row.text,
            "raised_at": stamp(row.raised_at),
            "acknowledged_by": row.acknowledged_by,
            "acknowledged_at": stamp(row.acknowledged_at),
        }
        for row in session.scalars(query)
    ]


def questions(session: Session, *, open_only: bool = False) -> list[Table]:
    """Questions to the operator, oldest first."""
    query = select(QuestionRow).order_by(QuestionRow.id)
    if open_only:
        query = query.where(QuestionRow.answer.is_(None))
    return [question_table(row) for row in session.scalars(query)]


def question_table(row: QuestionRow) -> Table:
    """One question with its answer, if it has one."""
    return {
        "id": row.id,
        "subject": row.subject,
        "text": row.text,
        "options": row.options,
        "asked_at": stamp(row.asked_at),
        "answer": row.answer,
        "answered_by": row.answered_by,
        "answered_at": stamp(row.answered_at),
    }


def events(
    session: Session,
    *,
    since: int | None = None,
    subject: str | None = None,
    limit: int = 200,
) -> list[Table]:
    """The log in order: what came after event ``since``, or else the latest ``limit``."""
    query = select(EventRow)
    if subject is not None:
        query = query.where(EventRow.subject == subject)
    if since is not None:
        rows = session.scalars(
            query.where(EventRow.id > since).order_by(EventRow.id).limit(limit)
        ).all()
    else:
        rows = session.scalars(query.order_by(EventRow.id.desc()).limit(limit)).all()[::-1]
    return [
        {
            "id": row.id,
            "at": stamp(row.at),
            "actor": row.actor,
            "subject": row.subject,
            "text": row.text,
        }
        for row in rows
    ]


def overview(session: Session) -> Table:
    """Laboratory time, simulated or real, why it is stopped, and its samples by status."""
    written = read_setting(session, "laboratory_time")
    latest = session.scalar(select(func.max(EventRow.at)))
    kind = read_setting(session, "kind")
    statuses = Counter(session.scalars(select(SampleRow.status)))
    return {
        "laboratory_time": written or stamp(latest),
        "simulated": kind == "simulated" if kind else None,
        "stopped": read_setting(session, STOP) or "",
        "samples": dict(statuses),
    }


def stop_notice(stopped: str) -> str:
    """What to know of a latched stop, given why it is latched."""
    return f"Emergency stop: {stopped}; nothing starts before 'alab device reset-stop'."
