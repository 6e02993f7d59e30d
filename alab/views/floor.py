"""What people see of the floor: devices, places, stock, firings with their curves."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from alab.claims import ACTIVE_FIRING
from alab.errors import BadInput
from alab.intents import places_in_doubt
from alab.store.tables import (
    DeviceRow,
    FiringRow,
    LeaseRow,
    ReadingRow,
    SlotRow,
    StockRow,
)
from alab.views.people import Table, events, stamp

CURVE_POINTS = 300
"""A heating curve is thinned to about this many points."""


def devices(session: Session) -> list[Table]:
    """Devices with their state, who has them, and the latest recorded temperature.

    Recorded readings are thinned, so between two of them a furnace may be up to 5 °C off
    what is shown.
    """
    holders = {
        device: f"{lease.owner} ({lease.stage})"
        for lease in session.scalars(select(LeaseRow).where(LeaseRow.released_at.is_(None)))
        for device in lease.devices
    }
    newest = select(func.max(ReadingRow.id)).group_by(ReadingRow.device)
    latest = {
        row.device: row
        for row in session.scalars(select(ReadingRow).where(ReadingRow.id.in_(newest)))
    }
    return [
        {
            "name": row.name,
            "state": row.state,
            "state_at": stamp(row.state_at),
            "note": row.note,
            "identity": row.identity,
            "held_by": holders.get(row.name),
            **_temperature(latest.get(row.name)),
        }
        for row in session.scalars(select(DeviceRow).order_by(DeviceRow.name))
    ]


def _temperature(row: ReadingRow | None) -> Table:
    return {
        "temperature_c": row.temperature_c if row else None,
        "setpoint_c": row.setpoint_c if row else None,
        "read_at": stamp(row.at) if row else None,
    }


def device(session: Session, name: str) -> Table:
    """One device with its latest events.

    Raises:
        BadInput: If there is none of that name.
    """
    found = next((d for d in devices(session) if d["name"] == name), None)
    if found is None:
        raise BadInput(f"there is no device {name!r}; see 'alab device list'")
    active = FiringRow.status.in_(ACTIVE_FIRING) & (FiringRow.furnace == name)
    running = session.scalars(select(FiringRow).where(active)).first()
    return {
        **found,
        "firing": firing(session, running.id) if running else None,
        "events": events(session, subject=name, limit=50),
    }


def places(session: Session) -> list[Table]:
    """Every place with its slots: who stands there, what is reserved, what is unknown."""
    grouped: dict[str, list[Table]] = {}
    in_doubt = places_in_doubt(session)
    for row in session.scalars(select(SlotRow).order_by(SlotRow.position)):
        grouped.setdefault(row.place, []).append(
            {
                "slot": row.slot,
                "sample": row.sample,
                "reserved_by": row.reserved_by,
                "unknown": row.unknown or row.slot in in_doubt,
            }
        )
    return [
        {
            "place": place,
            "total": len(slots),
            "occupied": sum(slot["sample"] is not None for slot in slots),
            "reserved": sum(bool(slot["reserved_by"]) for slot in slots),
            "unknown": sum(slot["unknown"] for slot in slots),
            "slots": slots,
        }
        for place, slots in grouped.items()
    ]


def stock(session: Session) -> list[Table]:
    """What is left: powders in mg (``remaining_mg``), crucibles in pieces."""
    return [
        {"item": row.item, f"remaining_{row.unit}": row.amount}
        for row in session.scalars(select(StockRow).order_by(StockRow.item))
    ]


def firings(
    session: Session, *, furnace: str | None = None, limit: int | None = None
) -> list[Table]:
    """Firings, latest first, without their curves."""
    query = select(FiringRow).order_by(FiringRow.id.desc()).limit(limit)
    if furnace is not None:
        query = query.where(FiringRow.furnace == furnace)
    return [_firing(row) for row in session.scalars(query)]


def firing(session: Session, number: int) -> Table:
    """One firing with its heating curve.

    Raises:
        BadInput: If there is none of that number.
    """
    row = session.get(FiringRow, number)
    if row is None:
        raise BadInput(f"there is no firing {number}")
    return {**_firing(row), "curve": curve(session, row.furnace, row.created_at, row.ended_at)}


def _firing(row: FiringRow) -> Table:
    return {
        "id": row.id,
        "furnace": row.furnace,
        "status": row.status,
        "profile": row.profile,
        "atmosphere": row.atmosphere,
        "slots": row.slots,
        "created_at": stamp(row.created_at),
        "heated_from": stamp(row.heated_from),
        "ended_at": stamp(row.ended_at),
        "note": row.note,
    }


def curve(session: Session, furnace: str, start: datetime, end: datetime | None) -> Table:
    """Measured temperature and setpoint of a furnace over a period.

    Returns:
        ``started_at`` and three columns of equal length, ``elapsed_s`` (since then),
        ``temperature_c`` and ``setpoint_c`` (null where no program ran).
    """
    query = (
        select(ReadingRow.at, ReadingRow.temperature_c, ReadingRow.setpoint_c)
        .where(ReadingRow.device == furnace, ReadingRow.at >= start)
        .order_by(ReadingRow.at)
    )
    if end is not None:
        query = query.where(ReadingRow.at <= end)
    points = session.execute(query).all()
    step = max(1, len(points) // CURVE_POINTS)
    kept = points[::-step][::-1]  # the latest point always stays
    return {
        "started_at": stamp(start),
        "elapsed_s": [(at - start).total_seconds() for at, _, _ in kept],
        "temperature_c": [round(temperature_c, 1) for _, temperature_c, _ in kept],
        "setpoint_c": [setpoint_c for _, _, setpoint_c in kept],
    }
