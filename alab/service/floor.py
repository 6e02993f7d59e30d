"""The whole floor in one answer: what the lab page draws every second."""

from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from alab import views
from alab.clock import VirtualClock
from alab.lab import Capability
from alab.laboratory import Laboratory

Table = dict[str, Any]

WIDEST_DRAWN = 128
"""Places with more slots than this (the archive) are counted, not drawn."""
LATEST_ENDED = 12
LOG_LINES, LOG_LINES_AT_ONCE = 60, 500


def header(laboratory: Laboratory, session: Session, prefect_url: str) -> Table:
    """Which laboratory this is, what time it is in it, and whether it is stopped."""
    written = views.overview(session)
    simulated = written["simulated"]
    return {
        "name": laboratory.lab.name,
        "laboratory_time": views.stamp(laboratory.clock.now()),
        "simulated": isinstance(laboratory.clock, VirtualClock)
        if simulated is None
        else simulated,
        "stopped": laboratory.gateway.stopped,
        "prefect_url": prefect_url,
        "samples": written["samples"],
    }


def live_devices(laboratory: Laboratory, session: Session) -> list[Table]:
    """Devices as the store has them, with what the gateway saw last."""
    order = {name: number for number, name in enumerate(laboratory.lab.devices)}
    rows = [
        live_device(laboratory, row)
        for row in views.devices(session)
        if row["name"] in laboratory.lab.devices
    ]
    return sorted(rows, key=lambda row: order[row["name"]])


def live_device(laboratory: Laboratory, row: Table) -> Table:
    """One device's row with its kind and the reading the gateway saw last."""
    definition = laboratory.lab.devices.get(row["name"])
    kind = laboratory.kinds[definition.kind] if definition else None
    live = {
        **row,
        "kind": kind.kind if kind else None,
        "title": kind.title if kind else None,
        "capability": kind.capability if kind else None,
        "mode": None,
    }
    if timed := laboratory.gateway.furnaces.latest.get(row["name"]):
        live |= {
            "temperature_c": round(timed.reading.temperature_c, 1),
            "setpoint_c": timed.reading.setpoint_c,
            "mode": timed.reading.mode,
            "read_at": views.stamp(timed.at),
        }
    return live


def furnaces(laboratory: Laboratory, session: Session) -> list[Table]:
    """Every furnace with its latest firing and the curve of it, or of its last 12 hours."""
    found: list[Table] = []
    for name in laboratory.named(Capability.FURNACE):
        latest = views.firings(session, furnace=name, limit=1)
        if latest:
            drawn = views.firing(session, latest[0]["id"])
        else:
            since = laboratory.clock.now() - timedelta(hours=12)
            drawn = {"curve": views.curve(session, name, since, None)}
        place = laboratory.lab.place_at(name)
        found.append(
            {
                "name": name,
                "max_temperature_c": laboratory.lab.devices[name].max_temperature_c,
                "slots_total": laboratory.lab.places[place].slots,
                "firing": latest[0] if latest else None,
                "curve": drawn["curve"],
            }
        )
    return found


def drawn_places(session: Session) -> list[Table]:
    """Places with their slots, except that of large ones only the counts are given."""
    return [
        place if place["total"] <= WIDEST_DRAWN else {**place, "slots": []}
        for place in views.places(session)
    ]


def floor(
    laboratory: Laboratory, session: Session, prefect_url: str, since: int | None
) -> Table:
    """Everything the lab page shows.

    Args:
        laboratory: The laboratory.
        session: An open session of its store.
        prefect_url: Address of the Prefect dashboard.
        since: Number of the last event the page has; None for the latest lines.
    """
    most = LOG_LINES if since is None else LOG_LINES_AT_ONCE
    log = views.events(session, since=since, limit=most)
    return {
        "lab": header(laboratory, session, prefect_url),
        "campaigns": views.campaigns(session),
        "devices": live_devices(laboratory, session),
        "furnaces": furnaces(laboratory, session),
        "places": drawn_places(session),
        "queue": views.queue(session),
        "ended": views.ended(session, LATEST_ENDED),
        "questions": views.questions(session, open_only=True),
        "alarms": views.alarms(session, standing_only=True),
        "decisions": views.decisions(session, 15),
        "events": log,
        "last_event": log[-1]["id"] if log else since,
    }
