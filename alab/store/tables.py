"""The tables of the lab database.

Units are in column names; stamps are aware UTC. JSON columns hold values of
alab.models in the form of :mod:`alab.store.codec`.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC stamp; SQLite forgets the zone, this puts it back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> datetime | None:
        """Refuse naive stamps and store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive stamp {value}: stamps are aware UTC")
        return value.astimezone(UTC)

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> datetime | None:
        """Give SQLite's naive stamps their zone back."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """Base of all tables."""

    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012


class CampaignRow(Base):
    """A list of targets that are pursued together."""

    __tablename__ = "campaigns"
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    status: Mapped[str] = mapped_column(String(20))  # running, stopped, finished
    max_attempts: Mapped[int]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class TargetRow(Base):
    """A compound that a campaign wants to make."""

    __tablename__ = "targets"
    __table_args__ = (UniqueConstraint("campaign", "formula"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    campaign: Mapped[str | None] = mapped_column(ForeignKey("campaigns.name"), index=True)
    formula: Mapped[str] = mapped_column(String(80))
    priority: Mapped[int] = mapped_column(default=0)
    note: Mapped[str] = mapped_column(default="")
    status: Mapped[str] = mapped_column(String(20))  # listed, open, made, given_up, cancelled
    reason: Mapped[str] = mapped_column(default="")
    recipes: Mapped[dict[str, Any]] = mapped_column(default=dict)  # {"ranked": [recipe, …]}


class SampleRow(Base):
    """One crucible's worth of powder on its way through the laboratory."""

    __tablename__ = "samples"
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    campaign: Mapped[str] = mapped_column(ForeignKey("campaigns.name"), index=True)
    target: Mapped[str] = mapped_column(String(80), index=True)
    status: Mapped[str] = mapped_column(String(20), index=True)
    control: Mapped[str] = mapped_column(String(20))
    priority: Mapped[int]
    recipe: Mapped[dict[str, Any]]
    round: Mapped[int]  # firings of this powder: 1, then 2 after a regrind …
    home_slot: Mapped[str | None] = mapped_column(String(80))
    created_at: Mapped[datetime]
    status_at: Mapped[datetime]
    note: Mapped[str] = mapped_column(default="")


class AttemptRow(Base):
    """One firing of a sample with its scan, its outcome and what was decided."""

    __tablename__ = "attempts"
    __table_args__ = (UniqueConstraint("sample", "round"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    sample: Mapped[str] = mapped_column(ForeignKey("samples.name"), index=True)
    round: Mapped[int]
    recipe: Mapped[dict[str, Any]]
    firing: Mapped[int | None] = mapped_column(ForeignKey("firings.id"))
    scan_filename: Mapped[str | None]
    scan: Mapped[bytes | None] = mapped_column(LargeBinary)  # XRDML, zlib
    analysis: Mapped[bytes | None] = mapped_column(LargeBinary)  # JSON, zlib
    outcome: Mapped[dict[str, Any] | None]
    decision: Mapped[dict[str, Any] | None]
    decided_at: Mapped[datetime | None]


class DoseRow(Base):
    """What was really weighed."""

    __tablename__ = "doses"
    __table_args__ = (UniqueConstraint("sample", "formula"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    sample: Mapped[str] = mapped_column(ForeignKey("samples.name"), index=True)
    formula: Mapped[str] = mapped_column(String(80))
    wanted_mg: Mapped[float]
    dosed_mg: Mapped[float]
    dosed_at: Mapped[datetime]


class FiringRow(Base):
    """One run of a furnace with up to a chamber full of samples."""

    __tablename__ = "firings"
    id: Mapped[int] = mapped_column(primary_key=True)
    furnace: Mapped[str] = mapped_column(String(40), index=True)
    status: Mapped[str] = mapped_column(String(20), index=True)
    profile: Mapped[dict[str, Any]]
    atmosphere: Mapped[str] = mapped_column(String(10))
    slots: Mapped[dict[str, Any]]  # {sample: chamber slot}
    created_at: Mapped[datetime]
    heated_from: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(default="")


class ReadingRow(Base):
    """One look at a furnace: the points of heating curves."""

    __tablename__ = "readings"
    __table_args__ = (Index("ix_readings_device_at", "device", "at"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime]
    temperature_c: Mapped[float]
    setpoint_c: Mapped[float | None]


class SlotRow(Base):
    """Somewhere a crucible can stand, and whose crucible stands there."""

    __tablename__ = "slots"
    slot: Mapped[str] = mapped_column(String(80), primary_key=True)
    place: Mapped[str] = mapped_column(String(40), index=True)
    position: Mapped[int]  # in the order of the lab file
    sample: Mapped[str | None] = mapped_column(String(100))
    reserved_by: Mapped[str | None] = mapped_column(String(100))
    unknown: Mapped[bool] = mapped_column(default=False)


class StockRow(Base):
    """What is left of a consumable: a powder in mg, or crucibles."""

    __tablename__ = "stock"
    item: Mapped[str] = mapped_column(String(80), primary_key=True)
    unit: Mapped[str] = mapped_column(String(10))
    amount: Mapped[float]


class DeviceRow(Base):
    """What the laboratory makes of a device."""

    __tablename__ = "devices"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    state: Mapped[str] = mapped_column(String(20))  # ready, offline, quarantined
    identity: Mapped[str] = mapped_column(default="")
    note: Mapped[str] = mapped_column(default="")
    state_at: Mapped[datetime]


class LeaseRow(Base):
    """A granted claim; its id is the fencing token."""

    __tablename__ = "leases"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(String(120))
    stage: Mapped[str] = mapped_column(String(40))
    devices: Mapped[list[str]]
    slots: Mapped[list[str]]
    granted_at: Mapped[datetime]
    released_at: Mapped[datetime | None] = mapped_column(index=True)


class IntentRow(Base):
    """A physical command: written before it is sent, settled after."""

    __tablename__ = "intents"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    device: Mapped[str] = mapped_column(String(40), index=True)
    command: Mapped[str] = mapped_column(String(40))
    arguments: Mapped[dict[str, Any]]
    owner: Mapped[str] = mapped_column(String(120), index=True)
    status: Mapped[str] = mapped_column(String(20), index=True)
    issued_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[str] = mapped_column(default="")


class AlarmRow(Base):
    """Something an operator has to see."""

    __tablename__ = "alarms"
    id: Mapped[int] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(String(40))
    text: Mapped[str]
    raised_at: Mapped[datetime]
    acknowledged_by: Mapped[str | None] = mapped_column(String(80))
    acknowledged_at: Mapped[datetime | None]


class QuestionRow(Base):
    """What no sensor can tell: put to the operator, answered, signed."""

    __tablename__ = "questions"
    id: Mapped[int] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(String(200), index=True)
    text: Mapped[str]
    options: Mapped[list[str]]
    asked_at: Mapped[datetime]
    answer: Mapped[str | None]
    answered_by: Mapped[str | None] = mapped_column(String(80))
    answered_at: Mapped[datetime | None]


class EventRow(Base):
    """The log: who did what to whom, and when."""

    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(80))
    subject: Mapped[str] = mapped_column(String(200), index=True)
    text: Mapped[str]


class SettingRow(Base):
    """A fact about this data directory: simulated or not, seed, latest laboratory time."""

    __tablename__ = "settings"
    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str]
