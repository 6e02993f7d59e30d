"""Small writes that many rooms share: log, alarms, questions, device states."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from alab.store.tables import (
    AlarmRow,
    DeviceRow,
    EventRow,
    QuestionRow,
    SettingRow,
)


def log_event(session: Session, at: datetime, actor: str, subject: str, text: str) -> None:
    """Write who did what to whom."""
    session.add(EventRow(at=at, actor=actor, subject=subject, text=text))


def raise_alarm(session: Session, at: datetime, device: str, text: str) -> None:
    """Raise an alarm that stands until a person acknowledges it."""
    session.add(AlarmRow(device=device, text=text, raised_at=at))
    log_event(session, at, "laboratory", device, f"ALARM: {text}")


def ask(
    session: Session, at: datetime, subject: str, text: str, options: Sequence[str]
) -> QuestionRow:
    """Put a question to the operator, once: an open one on the same subject is kept."""
    standing = session.scalar(
        select(QuestionRow).where(QuestionRow.subject == subject, QuestionRow.answer.is_(None))
    )
    if standing is not None:
        return standing
    row = QuestionRow(subject=subject, text=text, options=list(options), asked_at=at)
    session.add(row)
    log_event(session, at, "laboratory", subject, f"QUESTION: {text}")
    return row


def set_device_state(
    session: Session, at: datetime, name: str, state: str, *, note: str, identity: str
) -> None:
    """Write what the laboratory makes of a device; a quarantine is lifted by people only."""
    row = session.get(DeviceRow, name)
    if row is None:
        row = DeviceRow(name=name)
        session.add(row)
    elif row.state != state:
        log_event(session, at, "laboratory", name, f"{row.state} → {state} {note}".rstrip())
    row.state, row.note, row.state_at = state, note, at
    row.identity = identity or row.identity or ""


def read_setting(session: Session, key: str) -> str | None:
    """Read a fact about this data directory."""
    row = session.get(SettingRow, key)
    return row.value if row else None


def write_setting(session: Session, key: str, value: str) -> None:
    """Write a fact about this data directory."""
    session.merge(SettingRow(key=key, value=value))
