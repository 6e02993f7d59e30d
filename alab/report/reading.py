"""Reads what a campaign report says out of the store."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, defer

from alab.errors import BadInput
from alab.models import Atmosphere, Decision, Outcome, Profile, Recipe
from alab.report.contents import (
    Contents,
    Curve,
    Firing,
    Round,
    TargetStory,
    Weighed,
    furnace_use,
)
from alab.store.codec import decode, unpack
from alab.store.store import Store
from alab.store.tables import (
    AlarmRow,
    AttemptRow,
    CampaignRow,
    DoseRow,
    EventRow,
    FiringRow,
    QuestionRow,
    ReadingRow,
    SampleRow,
    SlotRow,
    TargetRow,
)


def read_contents(store: Store, campaign: str) -> Contents:
    """Gather what a report says, without patterns and curves.

    Raises:
        BadInput: If there is no such campaign.
    """
    with store.begin() as session:
        row = session.get(CampaignRow, campaign)
        if row is None:
            raise BadInput(f"there is no campaign {campaign!r}; see 'alab campaign list'")
        samples = _samples(session, campaign)
        firings = _firings(session, set(samples))
        events = _events(session, campaign, samples)
        ended_at = row.finished_at or max(
            [row.created_at, *(e.at for e in events), *_ends(firings.values())]
        )
        questions = _asked(session, row.created_at, ended_at)
        return Contents(
            campaign=campaign,
            status=row.status,
            started_at=row.created_at,
            ended_at=ended_at,
            max_attempts=row.max_attempts,
            targets=_targets(session, campaign, samples, firings, events, questions),
            firings=tuple(firings.values()),
            use=furnace_use(list(firings.values()), ended_at),
            alarms=tuple(
                session.scalars(
                    select(AlarmRow)
                    .where(AlarmRow.raised_at.between(row.created_at, ended_at))
                    .order_by(AlarmRow.id)
                )
            ),
            questions=_of_no_sample(session, questions),
        )


def read_curve(store: Store, firing: Firing, until: datetime) -> Curve | None:
    """What was measured while a firing ran; None before its start or without readings."""
    start = firing.heated_from
    if start is None:
        return None
    with store.begin() as session:
        rows = session.execute(
            select(ReadingRow.at, ReadingRow.temperature_c, ReadingRow.setpoint_c)
            .where(
                ReadingRow.device == firing.furnace,
                ReadingRow.at.between(start, firing.ended_at or until),
            )
            .order_by(ReadingRow.at, ReadingRow.id)
        ).all()
    if not rows:
        return None
    return Curve(
        hours=tuple((at - start).total_seconds() / 3600 for at, _, _ in rows),
        temperature_c=tuple(temperature_c for _, temperature_c, _ in rows),
        setpoint_c=tuple(setpoint_c for _, _, setpoint_c in rows),
    )


def read_analysis(store: Store, attempt: int) -> Any | None:
    """The analysis stored with an attempt, as JSON values; None before it."""
    with store.begin() as session:
        content = session.scalar(select(AttemptRow.analysis).where(AttemptRow.id == attempt))
    return unpack(content) if content else None


def _samples(session: Session, campaign: str) -> dict[str, SampleRow]:
    rows = session.scalars(
        select(SampleRow)
        .where(SampleRow.campaign == campaign)
        .order_by(SampleRow.created_at, SampleRow.name)
    )
    return {row.name: row for row in rows}


def _firings(session: Session, samples: set[str]) -> dict[int, Firing]:
    places = Counter(session.scalars(select(SlotRow.place)))
    place_of = dict(session.execute(select(SlotRow.slot, SlotRow.place)).all())
    rows = session.scalars(select(FiringRow).order_by(FiringRow.id))
    return {
        row.id: Firing(
            number=row.id,
            furnace=row.furnace,
            status=row.status,
            profile=decode(Profile, row.profile),
            atmosphere=Atmosphere(row.atmosphere),
            samples=tuple(row.slots),
            slots=max((places[place_of.get(s, "")] for s in row.slots.values()), default=0),
            heated_from=row.heated_from,
            ended_at=row.ended_at,
            note=row.note,
        )
        for row in rows
        if samples & set(row.slots)
    }


def _ends(firings: Iterable[Firing]) -> list[datetime]:
    return [f.ended_at for f in firings if f.ended_at is not None]


def _events(session: Session, campaign: str, samples: dict[str, SampleRow]) -> list[EventRow]:
    rows = session.scalars(
        select(EventRow)
        .where(EventRow.subject.startswith(f"{campaign}-", autoescape=True))
        .order_by(EventRow.id)
    )
    return [row for row in rows if _sample_in(row.subject) in samples]


def _sample_in(subject: str) -> str:
    """The sample in the key of an act: ``lab-MgO-1/prepare/1/dose MgO``."""
    return subject.split("/", 1)[0]


def _asked(session: Session, since: datetime, until: datetime) -> tuple[QuestionRow, ...]:
    return tuple(
        session.scalars(
            select(QuestionRow)
            .where(
                QuestionRow.asked_at <= until,
                or_(QuestionRow.answered_at.is_(None), QuestionRow.answered_at >= since),
            )
            .order_by(QuestionRow.id)
        )
    )


def _of_no_sample(
    session: Session, questions: Sequence[QuestionRow]
) -> tuple[QuestionRow, ...]:
    names = set(session.scalars(select(SampleRow.name)))
    return tuple(q for q in questions if _sample_in(q.subject) not in names)


def _targets(
    session: Session,
    campaign: str,
    samples: dict[str, SampleRow],
    firings: dict[int, Firing],
    events: Sequence[EventRow],
    questions: Sequence[QuestionRow],
) -> tuple[TargetStory, ...]:
    rounds = _rounds(session, campaign, samples, firings)
    rows = session.scalars(
        select(TargetRow).where(TargetRow.campaign == campaign).order_by(TargetRow.id)
    )
    stories: list[TargetStory] = []
    for row in rows:
        own = {name for name, sample in samples.items() if sample.target == row.formula}
        stories.append(
            TargetStory(
                formula=row.formula,
                status=row.status,
                reason=row.reason,
                rounds=tuple(r for r in rounds if r.sample in own),
                events=tuple(e for e in events if _sample_in(e.subject) in own),
                questions=tuple(q for q in questions if _sample_in(q.subject) in own),
            )
        )
    return tuple(stories)


def _rounds(
    session: Session,
    campaign: str,
    samples: dict[str, SampleRow],
    firings: dict[int, Firing],
) -> list[Round]:
    mine = select(SampleRow.name).where(SampleRow.campaign == campaign)
    dosed: dict[str, dict[str, float]] = defaultdict(dict)
    for dose in session.scalars(select(DoseRow).where(DoseRow.sample.in_(mine))):
        dosed[dose.sample][dose.formula] = dose.dosed_mg
    rows = session.scalars(
        select(AttemptRow)
        .where(AttemptRow.sample.in_(mine))
        .options(defer(AttemptRow.scan), defer(AttemptRow.analysis))
        .order_by(AttemptRow.id)
    )
    return [_round(row, samples[row.sample], dosed[row.sample], firings) for row in rows]


def _round(
    row: AttemptRow,
    sample: SampleRow,
    dosed_mg: dict[str, float],
    firings: dict[int, Firing],
) -> Round:
    recipe = decode(Recipe, row.recipe)
    return Round(
        sample=row.sample,
        number=row.round,
        recipe=recipe,
        powders=tuple(
            Weighed(
                formula=p.formula,
                moles=p.moles,
                wanted_mg=p.mass_mg,
                weighed_mg=dosed_mg.get(p.formula),
            )
            for p in recipe.precursors
        ),
        firing=firings.get(row.firing) if row.firing is not None else None,
        outcome=decode(Outcome, row.outcome) if row.outcome else None,
        decision=decode(Decision, row.decision) if row.decision else None,
        decided_at=row.decided_at,
        scan_filename=row.scan_filename,
        attempt=row.id,
        status=sample.status,
        note=sample.note,
    )
