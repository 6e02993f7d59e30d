"""Claims: a stage states all it needs, and is granted all of it or nothing.

Requests are served by priority, then age. A younger request may overtake an older one that
cannot be served yet, but only until the older has waited ``PATIENCE_S``: from then on what
it needs is kept back for it, so a wide request waits a bounded time. As no stage asks for
more while it holds, two stages can never wait for each other. While the emergency stop is
latched nothing is granted: whoever asks waits where it is.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from alab.clock import Clock, Signal
from alab.errors import AlabError
from alab.life import TERMINAL
from alab.store.records import read_setting
from alab.store.store import Store
from alab.store.tables import (
    DeviceRow,
    FiringRow,
    IntentRow,
    LeaseRow,
    SampleRow,
    SlotRow,
    StockRow,
)

PATIENCE_S = 1800.0
UNSETTLED = ("pending", "running", "unknown")
STOP = "emergency_stop"
"""The setting that says why the emergency stop is latched; empty while it is not."""
ACTIVE_FIRING = ("loading", "heating", "cooling", "unloading")


class ClaimCancelled(AlabError):  # noqa: N818
    """A waiting claim was withdrawn, because its sample was cancelled or paused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Everything one stage needs at once.

    Attributes:
        owner: Who asks: a sample's name, or ``firing 12``.
        stage: What for, in one word.
        devices: Devices, exclusively.
        places: How many free slots of which place.
        stock: How much of which consumable (mg, or pieces).
        priority: Larger goes first.
    """

    owner: str
    stage: str
    devices: frozenset[str] = frozenset()
    places: Mapping[str, int] = field(default_factory=dict)
    stock: Mapping[str, float] = field(default_factory=dict)
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A granted claim.

    Attributes:
        token: Fencing token; grows with every lease.
        claim: What was asked for.
        slots: The slots granted, by place.
    """

    token: int
    claim: Claim
    slots: Mapping[str, tuple[str, ...]]

    def slot(self, place: str) -> str:
        """The one slot granted at a place."""
        return self.slots[place][0]


@dataclass(slots=True, kw_only=True)
class Free:
    """What is there to be granted: consumed while grants are worked out."""

    devices: set[str]
    places: Counter[str]
    stock: dict[str, float]

    def lacks(self, claim: Claim) -> list[str]:
        """What ``claim`` needs and is not free, in words."""
        return [
            *(device for device in sorted(claim.devices) if device not in self.devices),
            *(
                f"{count - self.places[place]} more free slot(s) of {place}"
                for place, count in claim.places.items()
                if self.places[place] < count
            ),
            *(
                f"{amount - self.stock.get(item, 0.0):.1f} more of {item}"
                for item, amount in claim.stock.items()
                if self.stock.get(item, 0.0) < amount
            ),
        ]

    def take(self, claim: Claim) -> None:
        """Set everything that ``claim`` needs aside, as far as it is there."""
        self.devices -= claim.devices
        self.keep_back(claim)

    def keep_back(self, claim: Claim) -> None:
        """Set its slots and consumables aside; its devices stay with those who can work."""
        for place, count in claim.places.items():
            self.places[place] = max(0, self.places[place] - count)
        for item, amount in claim.stock.items():
            self.stock[item] = self.stock.get(item, 0.0) - amount


@dataclass(slots=True, kw_only=True)
class Pending:
    """A claim that waits."""

    claim: Claim
    since: datetime
    number: int
    signal: Signal
    lease: Lease | None = None
    cancelled: str = ""


def choose(pending: Iterable[Pending], free: Free, now: datetime) -> list[Pending]:
    """Which of the waiting claims to grant now; consumes ``free``."""
    granted: list[Pending] = []
    for request in sorted(pending, key=lambda p: (-p.claim.priority, p.number)):
        if not free.lacks(request.claim):
            free.take(request.claim)
            granted.append(request)
        elif (now - request.since).total_seconds() >= PATIENCE_S:
            # idle devices would bring no slot or powder nearer, rather the contrary
            if free.lacks(replace(request.claim, devices=frozenset())):
                free.keep_back(request.claim)
            else:
                free.take(request.claim)
    return granted


class Claims:
    """Grants claims against the store.

    Args:
        store: The lab database.
        clock: Laboratory time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._pending: list[Pending] = []
        self._leases: dict[int, Lease] = {}
        self._ended: list[int] = []
        self._numbers = itertools.count()

    def revoke_earlier_leases(self) -> None:
        """Void what an earlier process held; its stages will ask again."""
        now = self._clock.now()
        with self._store.begin() as session:
            session.execute(
                update(LeaseRow).where(LeaseRow.released_at.is_(None)).values(released_at=now)
            )
            session.execute(
                update(SlotRow)
                .where(SlotRow.reserved_by.like("lease %"))
                .values(reserved_by=None)
            )

    async def acquire(self, claim: Claim) -> Lease:
        """Wait until everything is granted.

        Raises:
            ClaimCancelled: If the claim was withdrawn while it waited.
        """
        request = Pending(
            claim=claim,
            since=self._clock.now(),
            number=next(self._numbers),
            signal=self._clock.signal(),
        )
        try:
            self._pending.append(request)
            self.grant()
            while request.lease is None:
                if request.cancelled:
                    raise ClaimCancelled(request.cancelled)
                await request.signal.wait()
        except asyncio.CancelledError:
            if request.lease is not None:  # granted, and nobody is left to use it
                self.release(request.lease)
            raise
        finally:
            if request in self._pending:
                self._pending.remove(request)
        return request.lease

    def release(self, lease: Lease) -> None:
        """Give everything back; slots that a crucible or sample keeps stay with it.

        What cannot be written now, as the database is locked, is written with the next grant.
        """
        if self._leases.pop(lease.token, None) is None:
            return
        self._ended.append(lease.token)
        self.grant()

    def withdraw(self, owner: str, reason: str) -> None:
        """Take back the waiting claims of an owner."""
        for request in self._pending:
            if request.claim.owner == owner and request.lease is None:
                request.cancelled = reason
                request.signal.set()

    def reprioritise(self, owner: str, priority: int) -> None:
        """Move the waiting claims of an owner to another place in the queue."""
        for request in self._pending:
            if request.claim.owner == owner:
                request.claim = replace(request.claim, priority=priority)
        self.grant()

    def is_valid(self, lease: Lease, device: str) -> bool:
        """Whether a lease is in force and covers a device."""
        return lease.token in self._leases and device in lease.claim.devices

    def waiting(self) -> Sequence[Pending]:
        """The claims that wait, in the order they are served."""
        return sorted(self._pending, key=lambda p: (-p.claim.priority, p.number))

    def missing(self, request: Pending) -> list[str]:
        """What a waiting claim lacks, each with who has it."""
        with self._store.begin() as session:
            free = self._free(session, request.claim.owner)
            lacking = free.lacks(request.claim)
            states = {row.name: row for row in session.scalars(select(DeviceRow))}
            interrupted = _interrupted(session)
        holders = {
            device: f"{lease.claim.owner} ({lease.claim.stage})"
            for lease in self._leases.values()
            for device in lease.claim.devices
        }
        words: list[str] = []
        for item in lacking:
            if item in holders:
                words.append(f"{item}, held by {holders[item]}")
            elif item in states and states[item].state != "ready":
                words.append(f"{item}, which is {states[item].state}: {states[item].note}")
            elif item in interrupted:
                words.append(f"{item}, in the middle of an act for {interrupted[item]}")
            else:
                words.append(item)
        return words

    def grant(self) -> None:
        """Grant what can be granted; call it whenever something became free."""
        if not self._pending and not self._ended:
            return
        now = self._clock.now()
        with self._store.begin() as session:
            for token in self._ended:
                _write_end(session, token, now)
            chosen = [] if read_setting(session, STOP) else self._choose(session, now)
            granted = [
                (request, self._write(session, request.claim, now)) for request in chosen
            ]
        self._ended.clear()
        for request, lease in granted:
            request.lease = lease
            self._leases[lease.token] = lease
            self._pending.remove(request)
            request.signal.set()

    def _choose(self, session: Session, now: datetime) -> list[Pending]:
        bound = _bound_devices(session)
        ready, amounts = _ready(session), _amounts(session)
        eligible = [
            p
            for p in self._pending
            if not p.cancelled and _is_within_reach(p.claim, ready, bound, amounts)
        ]
        return choose(eligible, self._free(session, None), now)

    def _write(self, session: Session, claim: Claim, now: datetime) -> Lease:
        row = LeaseRow(
            owner=claim.owner,
            stage=claim.stage,
            devices=sorted(claim.devices),
            slots=[],
            granted_at=now,
        )
        session.add(row)
        session.flush()
        slots: dict[str, tuple[str, ...]] = {}
        for place, count in claim.places.items():
            rows = session.scalars(
                select(SlotRow).where(_is_free(place)).order_by(SlotRow.position).limit(count)
            ).all()
            for slot in rows:
                slot.reserved_by = f"lease {row.id}"
            slots[place] = tuple(slot.slot for slot in rows)
        row.slots = [slot for chosen in slots.values() for slot in chosen]
        return Lease(token=row.id, claim=claim, slots=slots)

    def _free(self, session: Session, owner: str | None) -> Free:
        ready = _ready(session)
        if owner is not None:
            bound = _bound_devices(session)
            ready -= {device for device, holder in bound.items() if holder != owner}
        for lease in self._leases.values():
            ready -= lease.claim.devices
        places = Counter(session.scalars(select(SlotRow.place).where(_is_free(None))))
        stock = _amounts(session)
        for lease in self._leases.values():
            for item, amount in lease.claim.stock.items():
                stock[item] = stock.get(item, 0.0) - amount
        return Free(devices=ready, places=places, stock=stock)


def _write_end(session: Session, token: int, now: datetime) -> None:
    session.get_one(LeaseRow, token).released_at = now
    session.execute(
        update(SlotRow).where(SlotRow.reserved_by == f"lease {token}").values(reserved_by=None)
    )


def _ready(session: Session) -> set[str]:
    return set(session.scalars(select(DeviceRow.name).where(DeviceRow.state == "ready")))


def _amounts(session: Session) -> dict[str, float]:
    return {row.item: row.amount for row in session.scalars(select(StockRow))}


def _is_within_reach(
    claim: Claim, ready: set[str], bound: Mapping[str, str], amounts: Mapping[str, float]
) -> bool:
    """Whether other stages' ends are all it waits for.

    For a device under repair, another firing's furnace or an empty jar nothing is kept
    back: that would stop everybody else for as long.
    """
    return (
        claim.devices <= ready
        and all(bound.get(device, claim.owner) == claim.owner for device in claim.devices)
        and all(amounts.get(item, 0.0) >= amount for item, amount in claim.stock.items())
    )


def _is_free(place: str | None) -> ColumnElement[bool]:
    free = SlotRow.sample.is_(None) & SlotRow.reserved_by.is_(None) & SlotRow.unknown.is_(False)
    return free if place is None else free & (SlotRow.place == place)


def _bound_devices(session: Session) -> dict[str, str]:
    """Who alone may have a device next; a furnace is its firing's until it is unloaded."""
    return _interrupted(session) | _bound_furnaces(session)


def _bound_furnaces(session: Session) -> dict[str, str]:
    """Furnaces with a firing under way belong to it from loading to unloading."""
    rows = session.execute(
        select(FiringRow.furnace, FiringRow.id).where(FiringRow.status.in_(ACTIVE_FIRING))
    )
    return {furnace: f"firing {number}" for furnace, number in rows}


def _interrupted(session: Session) -> dict[str, str]:
    """Devices in the middle of an act, or with a full gripper, and for whom.

    After a crash nobody else may be granted them first; owners that have ended keep none.
    """
    under_way = select(IntentRow).where(IntentRow.status.in_(UNSETTLED))
    owners = {
        intent.device: intent.owner
        for intent in session.scalars(under_way)
        if _is_under_way(session, intent.owner)
    }
    grippers = select(SlotRow.slot).where(
        SlotRow.sample.is_not(None), SlotRow.slot.in_(select(DeviceRow.name))
    )
    for arm in session.scalars(grippers):
        latest = (
            select(IntentRow.owner)
            .where(IntentRow.device == arm, IntentRow.status == "done")
            .order_by(IntentRow.settled_at.desc(), IntentRow.id.desc())
            .limit(1)
        )
        if owner := session.scalar(latest):
            owners[arm] = owner
    return owners


def _is_under_way(session: Session, owner: str) -> bool:
    """Whether a sample, or a firing, has not ended."""
    sample = session.get(SampleRow, owner)
    if sample is not None:
        return sample.status not in TERMINAL
    return owner in _bound_furnaces(session).values()
