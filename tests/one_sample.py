"""A campaign of one target with one sample, and how to bring it to a status."""

from sqlalchemy import select

from alab.laboratory import Laboratory
from alab.life import TRANSITIONS, Event, Status
from alab.models import PrecursorAmount, Profile, Recipe, Segment
from alab.store.tables import EventRow

SAMPLE = "c-BaTiO3-1"
RECIPE = Recipe(
    target="BaTiO3",
    precursors=(PrecursorAmount(formula="BaCO3", moles=1.0, mass_mg=423.1),),
    reaction="BaCO3 + TiO2 → BaTiO3 + CO2",
    profile=Profile(segments=(Segment(ramp_c_per_min=5, temperature_c=900, dwell_s=3600),)),
)


def way_to(goal: Status) -> list[Event]:
    """The shortest way from the queue to a status."""
    ways: dict[Status, list[Event]] = {Status.QUEUED: []}
    new = [Status.QUEUED]
    while goal not in ways:
        status = new.pop(0)
        for event, after in TRANSITIONS[status].items():
            if after not in ways:
                ways[after] = [*ways[status], event]
                new.append(after)
    return ways[goal]


def bring(laboratory: Laboratory, status: Status) -> None:
    for event in way_to(status):
        laboratory.happened(SAMPLE, event)


def texts(laboratory: Laboratory, subject: str) -> list[str]:
    with laboratory.store.begin() as session:
        rows = session.scalars(
            select(EventRow.text).where(EventRow.subject == subject).order_by(EventRow.id)
        )
        return list(rows)
