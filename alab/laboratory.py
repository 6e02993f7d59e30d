"""One laboratory: clock, store, claims and gateway, and what happens to samples in it.

Flows, the HTTP service and tests use this; it knows nothing of any of them.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from alab.claims import Claims
from alab.clock import Clock, Signal
from alab.errors import BadInput, TargetError
from alab.gateway import Gateway
from alab.lab import Capability, DeviceKind, LabDefinition
from alab.life import Control, Event, Status, next_status
from alab.models import Attempt, Decision, FiringLimits, Outcome, Recipe
from alab.protocols import Device
from alab.store.codec import decode, encode
from alab.store.records import ask, log_event, raise_alarm, read_setting, write_setting
from alab.store.store import Store
from alab.store.tables import (
    AlarmRow,
    AttemptRow,
    CampaignRow,
    DeviceRow,
    EventRow,
    SampleRow,
    SlotRow,
    StockRow,
    TargetRow,
)

CRUCIBLES = "crucibles"
REMOVED = "removed by hand"


class Laboratory:
    """A laboratory at work.

    Args:
        lab: The lab definition.
        kinds: The device kinds of its devices.
        devices: Driver of each device.
        store: The lab database.
        clock: Laboratory time.
        watch_period_s: How often the furnaces are looked at.
    """

    def __init__(
        self,
        lab: LabDefinition,
        kinds: Mapping[str, DeviceKind],
        devices: Mapping[str, Device],
        store: Store,
        clock: Clock,
        *,
        watch_period_s: float = 60.0,
        data_dir: Path | None = None,
    ) -> None:
        self.lab = lab
        self.data_dir = data_dir
        self.kinds = kinds
        self.store = store
        self.clock = clock
        self.watch_period_s = watch_period_s
        self.claims = Claims(store, clock)
        self.changed = clock.signal()
        self.gateway = Gateway(lab, devices, store, clock, self.claims, self.changed)
        self._samples_changed: dict[str, Signal] = {}
        with store.begin() as session:
            _furnish(session, lab, clock.now(), self.named(Capability.ARM))
        self.claims.revoke_earlier_leases()

    # ---- news ------------------------------------------------------------------

    def sample_changed(self, sample: str) -> Signal:
        """The signal of one sample: what happens to it, and what is wanted of it."""
        if sample not in self._samples_changed:
            self._samples_changed[sample] = self.clock.signal()
        return self._samples_changed[sample]

    def announce(self, sample: str) -> None:
        """Wake whoever waits for news of a sample, or of anything."""
        self.sample_changed(sample).set()
        self.changed.set()

    # ---- what there is ---------------------------------------------------------

    def named(self, capability: Capability) -> list[str]:
        """Names of the devices that can do something, in file order."""
        return self.lab.devices_with(capability, self.kinds)

    def limits(self) -> FiringLimits:
        """What the furnaces can do."""
        furnaces = self.named(Capability.FURNACE)
        return FiringLimits.of_all([self.lab.firing_limits(name) for name in furnaces])

    def shelf(self) -> dict[str, float]:
        """Powder left of each precursor, in mg."""
        with self.store.begin() as session:
            rows = session.scalars(select(StockRow).where(StockRow.item != CRUCIBLES))
            return {row.item: row.amount for row in rows}

    def sample(self, name: str) -> SampleRow:
        """One sample.

        Raises:
            BadInput: If there is none of that name.
        """
        with self.store.begin() as session:
            return sample_row(session, name)

    # ---- campaigns and samples -------------------------------------------------

    def start_campaign(
        self, name: str, targets: Mapping[str, int], *, max_attempts: int
    ) -> None:
        """Write a campaign and its targets (formula → priority) down, all or nothing.

        Raises:
            BadInput: If a campaign of that name exists, or there is no target.
        """
        if not targets:
            raise BadInput("a campaign needs at least one target; see 'alab targets add'")
        now = self.clock.now()
        with self.store.begin() as session:
            if session.get(CampaignRow, name) is not None:
                raise BadInput(f"there is a campaign {name!r} already; choose another name")
            session.add(
                CampaignRow(
                    name=name, status="running", max_attempts=max_attempts, created_at=now
                )
            )
            session.flush()
            session.add_all(
                TargetRow(campaign=name, formula=formula, priority=priority, status="open")
                for formula, priority in targets.items()
            )
            log_event(session, now, "operator", name, f"campaign of {len(targets)} targets")

    def add_sample(
        self, campaign: str, target: str, recipe: Recipe, priority: int, *, label: str = ""
    ) -> str:
        """Queue a new sample, and return its name: campaign, label (or target), number.

        Raises:
            TargetError: If no furnace can run the recipe: the sample would wait for ever.
        """
        if not self.limits().permits(recipe.profile, recipe.atmosphere):
            raise TargetError(
                f"no furnace fires {target} at {recipe.max_temperature_c:g} °C in "
                f"{recipe.atmosphere}; they permit: {self.limits()}"
            )
        now = self.clock.now()
        with self.store.begin() as session:
            earlier = session.scalar(
                select(func.count())
                .select_from(SampleRow)
                .where(SampleRow.campaign == campaign, SampleRow.target == target)
            )
            name = f"{campaign}-{label or target}-{(earlier or 0) + 1}"
            session.add(
                SampleRow(
                    name=name,
                    campaign=campaign,
                    target=target,
                    status=Status.QUEUED,
                    control=Control.RUN,
                    priority=priority,
                    recipe=encode(recipe),
                    round=1,
                    created_at=now,
                    status_at=now,
                )
            )
            session.flush()
            session.add(AttemptRow(sample=name, round=1, recipe=encode(recipe)))
            log_event(session, now, "laboratory", name, "queued")
        self.announce(name)
        return name

    def happened(self, sample: str, event: Event, note: str = "", **fields: Any) -> Status:
        """Write that something happened to a sample.

        Args:
            sample: Its name.
            event: What happened.
            note: In words, for the log.
            fields: Further columns that change with it.

        Raises:
            TransitionError: If a sample in its status does not accept the event.
        """
        with self.store.begin() as session:
            status = self.happened_in(session, sample, event, note, **fields)
        self.announce(sample)
        return status

    def happened_in(
        self, session: Session, sample: str, event: Event, note: str = "", **fields: Any
    ) -> Status:
        """The same inside a transaction of the caller, who announces it after."""
        row = sample_row(session, sample)
        status = next_status(Status(row.status), event)
        row.status, row.status_at = status, self.clock.now()
        row.note = note or row.note
        for column, value in fields.items():
            setattr(row, column, value)
        log_event(
            session,
            self.clock.now(),
            "laboratory",
            sample,
            f"{status}" + (note and f": {note}"),
        )
        return status

    def refire(self, sample: str, recipe: Recipe) -> None:
        """Send a characterised sample back for regrinding and another firing."""
        with self.store.begin() as session:
            again = sample_row(session, sample).round + 1
            session.add(AttemptRow(sample=sample, round=again, recipe=encode(recipe)))
            self.happened_in(session, sample, Event.REGRIND, round=again, recipe=encode(recipe))
        self.announce(sample)

    def attempts(self, campaign: str, target: str) -> list[Attempt]:
        """What was tried for a target, in the order it was decided on."""
        with self.store.begin() as session:
            rows = session.execute(
                select(AttemptRow, SampleRow)
                .join(SampleRow, SampleRow.name == AttemptRow.sample)
                .where(SampleRow.campaign == campaign, SampleRow.target == target)
                .order_by(AttemptRow.id)
            ).all()
        return [
            Attempt(
                sample=attempt.sample,
                recipe=decode(Recipe, attempt.recipe),
                outcome=decode(Outcome, attempt.outcome) if attempt.outcome else None,
            )
            for attempt, _ in rows
        ]

    def record_decision(self, sample: str, decision: Decision) -> None:
        """Write down what was decided after a sample's latest round."""
        with self.store.begin() as session:
            row = session.scalars(
                select(AttemptRow)
                .where(AttemptRow.sample == sample)
                .order_by(AttemptRow.round.desc())
            ).first()
            assert row is not None  # noqa: S101
            row.decision, row.decided_at = encode(decision), self.clock.now()
            log_event(
                session,
                self.clock.now(),
                "laboratory",
                sample,
                f"decided: {decision.step}. {' '.join(decision.reasons)}",
            )

    # ---- what waits for people -------------------------------------------------

    def warn_of_shortage(self, sample: str, needed: Mapping[str, float]) -> None:
        """Raise an alarm, once, for everything that a sample needs and stock lacks."""
        with self.store.begin() as session:
            standing = set(
                session.scalars(
                    select(AlarmRow.device).where(AlarmRow.acknowledged_at.is_(None))
                )
            )
            for item, amount in needed.items():
                row = session.get(StockRow, item)
                left = row.amount if row else 0.0
                if left < amount and item not in standing:
                    text = (
                        f"{sample} waits for {amount:g} and {left:g} are left; "
                        f"refill it, then 'alab stock refill {item}'"
                    )
                    raise_alarm(session, self.clock.now(), item, text)

    def ask_to_clear(self, sample: str) -> None:
        """Ask for a crucible that no arm will move any more, unless it is in the archive."""
        with self.store.begin() as session:
            lost = (SlotRow.sample == sample) & (SlotRow.place != self.lab.archive)
            slots = session.scalars(select(SlotRow).where(lost)).all()
            for slot in slots:
                slot.unknown = True
            if slots:
                where = " and ".join(slot.slot for slot in slots)
                text = f"{sample} is lost at {where}. Take its crucible away by hand."
                ask(session, self.clock.now(), sample, text, [REMOVED])
            _release_home(session, sample)

    async def go_ahead(self, sample: str) -> bool:
        """Wait while a sample is held or paused; False if it is to be cancelled."""
        while True:
            control = Control(self.sample(sample).control)
            if control is Control.RUN:
                return True
            if control is Control.CANCELLING:
                return False
            await self.sample_changed(sample).wait()


def sample_row(session: Session, name: str) -> SampleRow:
    """One sample, inside a transaction of the caller.

    Raises:
        BadInput: If there is none of that name.
    """
    row = session.get(SampleRow, name)
    if row is None:
        raise BadInput(f"there is no sample {name!r}; see 'alab sample list'")
    return row


def _release_home(session: Session, sample: str) -> None:
    for slot in session.scalars(select(SlotRow).where(SlotRow.reserved_by == sample)):
        slot.reserved_by = None


def _furnish(session: Session, lab: LabDefinition, now: datetime, arms: list[str]) -> None:
    """Enter places, stock and devices that the store does not know yet."""
    known = set(session.scalars(select(SlotRow.slot)))
    wanted = [(slot, place) for place in lab.places for slot in lab.slots(place)]
    wanted += [(arm, arm) for arm in arms]  # a gripper holds one crucible
    session.add_all(
        SlotRow(slot=slot, place=place, position=position, unknown=False)
        for position, (slot, place) in enumerate(wanted)
        if slot not in known
    )
    stocked = set(session.scalars(select(StockRow.item)))
    if CRUCIBLES not in stocked:
        session.add(StockRow(item=CRUCIBLES, unit="pieces", amount=lab.crucibles))
    session.add_all(
        StockRow(item=formula, unit="mg", amount=precursor.mass_g * 1000)
        for formula, precursor in lab.precursors.items()
        if formula not in stocked
    )
    entered = set(session.scalars(select(DeviceRow.name)))
    session.add_all(
        DeviceRow(name=name, state="offline", note="not connected yet", state_at=now)
        for name in lab.devices
        if name not in entered
    )


def remember_time(store: Store, clock: Clock) -> None:
    """Write the laboratory time down, for a virtual clock to go on from."""
    with store.begin() as session:
        write_setting(session, "laboratory_time", clock.now().isoformat())


def remembered_time(store: Store) -> datetime | None:
    """The latest laboratory time that this data directory knows of."""
    with store.begin() as session:
        written = read_setting(session, "laboratory_time")
        latest = session.scalar(select(func.max(EventRow.at)))
    stamps = [latest] if latest else []
    if written:
        stamps.append(datetime.fromisoformat(written).astimezone(UTC))
    return max(stamps) if stamps else None
