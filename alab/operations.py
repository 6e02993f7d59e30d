"""What operators ask of a running laboratory; each request is signed and logged."""

from collections.abc import Iterable, Sequence

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from alab.claims import ACTIVE_FIRING, Claim, Pending
from alab.errors import BadInput
from alab.lab import Capability
from alab.laboratory import REMOVED, Laboratory, sample_row
from alab.life import TERMINAL, Control, Status, Wish, next_control
from alab.store.records import log_event
from alab.store.tables import (
    CampaignRow,
    FiringRow,
    IntentRow,
    QuestionRow,
    SampleRow,
    SlotRow,
    StockRow,
)
from alab.views import stop_notice


class Operator:
    """Acts on one laboratory for the people who run it, and tells them what waits for what.

    Args:
        laboratory: The laboratory.
    """

    def __init__(self, laboratory: Laboratory) -> None:
        self._laboratory = laboratory
        self._store = laboratory.store
        self._clock = laboratory.clock
        self._claims = laboratory.claims

    def wish(self, sample: str, wish: Wish, *, by: str) -> Control:
        """Do what an operator asks of a sample.

        A pause or cancellation of a sample under way takes effect at the end of its
        stage; a sample that waits for anything reacts at once.

        Raises:
            TransitionError: If the wish does not apply to the sample now.
            BadInput: If there is no such sample.
        """
        with self._store.begin() as session:
            row = sample_row(session, sample)
            control = next_control(Status(row.status), Control(row.control), wish)
            row.control = control
            log_event(session, self._clock.now(), by, sample, f"{wish} asked for")
        if control is not Control.RUN:
            self._claims.withdraw(sample, f"{wish} by {by}")
        self._laboratory.announce(sample)
        return control

    def set_priority(self, sample: str, priority: int, *, by: str) -> None:
        """Give a sample another place in the queue, in what it waits for now and later."""
        with self._store.begin() as session:
            row = sample_row(session, sample)
            if Status(row.status) in TERMINAL:
                raise BadInput(f"{sample} is {row.status}: its priority means nothing any more")
            row.priority = priority
            log_event(session, self._clock.now(), by, sample, f"priority {priority}")
        self._claims.reprioritise(sample, priority)

    def stop_campaign(self, name: str, *, by: str) -> list[str]:
        """Cancel what is open of a campaign; returns the samples concerned."""
        with self._store.begin() as session:
            campaign = session.get(CampaignRow, name)
            if campaign is None:
                raise BadInput(f"there is no campaign {name!r}; see 'alab campaign list'")
            if campaign.status != "running":
                raise BadInput(f"campaign {name!r} is {campaign.status} already")
            campaign.status = "stopping"
            log_event(session, self._clock.now(), by, name, "stop asked for")
            names = list(
                session.scalars(
                    select(SampleRow.name).where(
                        SampleRow.campaign == name,
                        SampleRow.status.not_in(TERMINAL),
                        SampleRow.control != Control.CANCELLING,
                    )
                )
            )
        for sample in names:
            self.wish(sample, Wish.CANCEL, by=by)
        self._laboratory.changed.set()
        return names

    def refill(self, item: str, amount: float, unit: str, *, by: str) -> float:
        """Book what a person put on the shelf; returns what is there now.

        Args:
            item: A precursor's formula, or ``crucibles``.
            amount: How much was put there.
            unit: Of the amount: ``mg``, or ``pieces``.
            by: Who did it.

        Raises:
            BadInput: If the laboratory keeps no such item, or not in this unit.
        """
        with self._store.begin() as session:
            row = _stocked(session, item, unit)
            row.amount += amount
            left = row.amount
            text = f"refilled by {amount:g} {unit}"
            log_event(session, self._clock.now(), by, item, text)
        self._claims.grant()
        return left

    def count(self, item: str, amount: float, unit: str, *, by: str) -> None:
        """Correct the books to what a person found on the shelf.

        Args:
            item: A precursor's formula, or ``crucibles``.
            amount: How much is there now.
            unit: Of the amount: ``mg``, or ``pieces``.
            by: Who counted or weighed it.

        Raises:
            BadInput: If the laboratory keeps no such item, or not in this unit.
        """
        with self._store.begin() as session:
            row = _stocked(session, item, unit)
            text = f"counted: {amount:g} {unit}, where the books said {row.amount:g}"
            row.amount = amount
            log_event(session, self._clock.now(), by, item, text)
        self._claims.grant()

    def answer(self, number: int, answer: str, *, by: str) -> None:
        """Answer a question; signed and logged.

        Raises:
            BadInput: If there is no such open question, or no such answer to it.
        """
        with self._store.begin() as session:
            row = session.get(QuestionRow, number)
            if row is None or row.answer is not None:
                raise BadInput(f"there is no open question {number}; see 'alab questions list'")
            if answer not in row.options:
                raise BadInput(
                    f"{answer!r} is no answer to question {number}; "
                    f"possible: {', '.join(row.options)}"
                )
            row.answer, row.answered_by, row.answered_at = answer, by, self._clock.now()
            log_event(session, self._clock.now(), by, row.subject, f"answered: {answer}")
            if answer == REMOVED:
                _clear(session, row.subject)
        self._claims.grant()
        self._laboratory.changed.set()

    def why(self, sample: str) -> list[str]:
        """What a sample waits for, in sentences."""
        row = self._laboratory.sample(sample)
        status, control = Status(row.status), Control(row.control)
        if status in TERMINAL:
            return [f"It waits for nothing: it is {status}." + (row.note and f" {row.note}")]
        with self._store.begin() as session:
            active = session.scalars(
                select(FiringRow).where(FiringRow.status.in_(ACTIVE_FIRING))
            ).all()
        firing = next((firing for firing in active if sample in firing.slots), None)
        owners = {sample: "It"} | ({f"firing {firing.id}": "Its firing"} if firing else {})
        waits = [wait for wait in self._claims.waiting() if wait.claim.owner in owners]
        words: list[str] = []
        if stopped := self._laboratory.gateway.stopped:
            words.append(stop_notice(stopped))
        if control is not Control.RUN:
            words.append(f"The operator wants it {control}; it stops when its stage ends.")
        if firing is not None:
            words.append(self._where_firing(firing))
        elif status is Status.PREPARED:
            words.append(self._why_not_fired(active))
        words += [self._why_waiting(wait, owners[wait.claim.owner]) for wait in waits]
        kept_out = self._laboratory.gateway.kept_out
        words += [f"{owners[o]} waits for {kept_out[o]}." for o in owners if o in kept_out]
        words += self._why_asked(owners, status, waits)
        return words or [f"It waits for nothing: it is {status} since {row.status_at:%H:%M}."]

    def _why_waiting(self, wait: Pending, who: str) -> str:
        need = "; ".join(self._claims.missing(wait)) or "its turn"
        return (
            f"{who} waits since {wait.since:%Y-%m-%d %H:%M} to {wait.claim.stage}, for: {need}."
        )

    def _where_firing(self, firing: FiringRow) -> str:
        timed = self._laboratory.gateway.furnaces.latest.get(firing.furnace)
        at = f" at {timed.reading.temperature_c:.0f} °C" if timed else ""
        return f"It is in {firing.furnace}{at}; firing {firing.id} is {firing.status}."

    def _why_not_fired(self, active: Sequence[FiringRow]) -> str:
        busy = ", ".join(f"{f.furnace} ({f.status})" for f in active) or "none"
        return (
            "It waits for a furnace, or for company in one (at most "
            f"{self._laboratory.lab.longest_wait_h:g} h). Busy furnaces: {busy}."
        )

    def _why_asked(
        self, owners: Iterable[str], status: Status, waits: Sequence[Pending]
    ) -> list[str]:
        """Open questions of the sample, of its firing, and of what stands in their way."""
        subjects = set(owners)
        with self._store.begin() as session:
            for wait in waits:
                subjects |= _in_the_way(session, wait.claim)
            if status is Status.PREPARED:
                subjects |= _lost_in(session, self._chambers())
            about = [
                (QuestionRow.subject == subject)
                | QuestionRow.subject.startswith(f"{subject}/", autoescape=True)
                for subject in subjects
            ]
            questions = session.scalars(
                select(QuestionRow)
                .where(or_(*about), QuestionRow.answer.is_(None))
                .order_by(QuestionRow.id)
            ).all()
        return [f"Question {q.id} is open: {q.text}" for q in questions]

    def _chambers(self) -> list[str]:
        furnaces = self._laboratory.named(Capability.FURNACE)
        return [self._laboratory.lab.place_at(furnace) for furnace in furnaces]


def _in_the_way(session: Session, claim: Claim) -> set[str]:
    """What questions that keep a claim waiting may be about: samples, and acts.

    Samples stand where too few slots are free; acts of unknown outcome keep a device.
    """
    acts = select(IntentRow.key).where(
        IntentRow.device.in_(claim.devices), IntentRow.status == "unknown"
    )
    subjects = set(session.scalars(acts))
    for place, count in claim.places.items():
        slots = session.scalars(select(SlotRow).where(SlotRow.place == place)).all()
        free = [slot for slot in slots if not (slot.sample or slot.reserved_by)]
        if len(free) < count:
            subjects |= {slot.sample for slot in slots if slot.sample}
    return subjects


def _lost_in(session: Session, places: Sequence[str]) -> set[str]:
    """Samples of which nobody knows whether they stand at these places."""
    lost = select(SlotRow.sample).where(SlotRow.place.in_(places), SlotRow.unknown)
    return {sample for sample in session.scalars(lost) if sample}


def _stocked(session: Session, item: str, unit: str) -> StockRow:
    row = session.get(StockRow, item)
    if row is None:
        raise BadInput(f"there is no {item!r} in stock; see 'alab stock list'")
    if row.unit != unit:
        raise BadInput(
            f"{item} is kept in {row.unit}, not in {unit}; say --grams of a powder and "
            "--pieces of crucibles"
        )
    return row


def _clear(session: Session, sample: str) -> None:
    lost = (SlotRow.sample == sample) & SlotRow.unknown
    for slot in session.scalars(select(SlotRow).where(lost)):
        slot.sample, slot.unknown, slot.reserved_by = None, False, None
