"""Claims: everything or nothing, by priority and age, with a bounded wait."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from alab.claims import PATIENCE_S, Claim, ClaimCancelled, Claims, Free, Lease, Pending, choose
from alab.clock import VirtualClock
from alab.laboratory import Laboratory
from alab.models import Profile, Segment
from alab.store.codec import encode
from alab.store.tables import FiringRow, LeaseRow, SlotRow, StockRow

NOW = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


def claim(owner: str, *devices: str, priority: int = 0, **needs: Any) -> Claim:
    return Claim(
        owner=owner, stage="work", devices=frozenset(devices), priority=priority, **needs
    )


def pending(number: int, wanted: Claim, waited_s: float = 0.0) -> Pending:
    since = NOW - timedelta(seconds=waited_s)
    signal = VirtualClock().signal()
    return Pending(claim=wanted, since=since, number=number, signal=signal)


def free(*devices: str, places: dict[str, int] | None = None, **stock: float) -> Free:
    return Free(devices=set(devices), places=Counter(places or {}), stock=stock)


def owners(chosen: list[Pending]) -> list[str]:
    return [p.claim.owner for p in chosen]


class TestChoose:
    def test_priority_goes_before_age(self) -> None:
        waiting = [
            pending(1, claim("old", "arm")),
            pending(2, claim("urgent", "arm", priority=5)),
        ]
        assert owners(choose(waiting, free("arm"), NOW)) == ["urgent"]

    def test_age_decides_among_equals(self) -> None:
        waiting = [pending(2, claim("young", "arm")), pending(1, claim("old", "arm"))]
        assert owners(choose(waiting, free("arm"), NOW)) == ["old"]

    def test_everything_or_nothing(self) -> None:
        wide = claim("wide", "arm", "mixer", places={"rack": 2}, stock={"BaCO3": 100.0})
        for there in (
            free("arm", places={"rack": 2}, BaCO3=100.0),
            free("arm", "mixer", places={"rack": 1}, BaCO3=100.0),
            free("arm", "mixer", places={"rack": 2}, BaCO3=99.0),
        ):
            assert choose([pending(1, wide)], there, NOW) == []
        enough = free("arm", "mixer", places={"rack": 2}, BaCO3=100.0)
        assert owners(choose([pending(1, wide)], enough, NOW)) == ["wide"]
        assert enough.devices == set()
        assert enough.places["rack"] == 0
        assert enough.stock["BaCO3"] == 0

    def test_young_may_overtake_until_patience_ends(self) -> None:
        narrow = pending(2, claim("narrow", "arm"))
        wide = claim("wide", "arm", "mixer")
        early = [pending(1, wide, PATIENCE_S - 1), narrow]
        assert owners(choose(early, free("arm"), NOW)) == ["narrow"]
        late = [pending(1, wide, PATIENCE_S), narrow]
        assert choose(late, free("arm"), NOW) == []

    def test_impatience_for_a_slot_leaves_devices_at_work(self) -> None:
        # the rack is emptied with the arm: holding the arm back would never free a slot
        wide = claim("wide", "arm", places={"rack": 1})
        waiting = [pending(1, wide, PATIENCE_S + 1), pending(2, claim("narrow", "arm"))]
        assert owners(choose(waiting, free("arm"), NOW)) == ["narrow"]

    def test_impatience_keeps_slots_back(self) -> None:
        wide = claim("wide", places={"rack": 2})
        narrow = claim("narrow", places={"rack": 1})
        waiting = [pending(1, wide, PATIENCE_S), pending(2, narrow)]
        assert choose(waiting, free(places={"rack": 1}), NOW) == []


@asynccontextmanager
async def held(claims: Claims, wanted: Claim) -> Any:
    lease = await claims.acquire(wanted)
    try:
        yield lease
    finally:
        claims.release(lease)


def reserved(laboratory: Laboratory) -> list[str]:
    with laboratory.store.begin() as session:
        return list(
            session.scalars(select(SlotRow.slot).where(SlotRow.reserved_by.is_not(None)))
        )


async def test_lease_names_its_slots_and_gives_them_back(
    small_laboratory: Laboratory, clock: VirtualClock
) -> None:
    claims = small_laboratory.claims

    async def main() -> None:
        lease = await claims.acquire(claim("s", "arm", places={"rack": 2, "pan": 1}))
        assert lease.slots == {"rack": ("rack.1", "rack.2"), "pan": ("pan",)}
        assert lease.slot("pan") == "pan"
        assert claims.is_valid(lease, "arm")
        assert not claims.is_valid(lease, "mixer")
        assert sorted(reserved(small_laboratory)) == ["pan", "rack.1", "rack.2"]
        claims.release(lease)
        claims.release(lease)  # twice is harmless
        assert not claims.is_valid(lease, "arm")
        assert reserved(small_laboratory) == []

    await clock.run(main())


async def test_device_is_held_by_one_at_a_time(
    small_laboratory: Laboratory, clock: VirtualClock
) -> None:
    claims, told = small_laboratory.claims, []

    async def stage(name: str) -> None:
        async with held(claims, claim(name, "arm")):
            told.append(f"{name} in")
            await clock.sleep(60)
            told.append(f"{name} out")

    async def main() -> None:
        await clock.join(*(clock.spawn(stage(n), name=n) for n in ("a", "b", "c")))

    await clock.run(main())
    assert told == ["a in", "a out", "b in", "b out", "c in", "c out"]
    assert clock.monotonic_s() == 180


async def test_two_wide_stages_never_lock_each_other(
    small_laboratory: Laboratory, clock: VirtualClock
) -> None:
    claims = small_laboratory.claims

    async def stage(owner: str, *devices: str) -> None:
        for _ in range(5):
            async with held(claims, claim(owner, *devices)):
                await clock.sleep(7)

    async def main() -> None:
        await clock.join(
            clock.spawn(stage("one", "arm", "mixer"), name="one"),
            clock.spawn(stage("two", "mixer", "doser"), name="two"),
            clock.spawn(stage("three", "doser", "arm"), name="three"),
        )

    async with asyncio.timeout(5):
        await clock.run(main())
    assert clock.monotonic_s() == 15 * 7


async def test_wide_claim_waits_a_bounded_time(
    small_laboratory: Laboratory, clock: VirtualClock
) -> None:
    claims = small_laboratory.claims
    granted_at: list[float] = []

    async def narrow(device: str, offset_s: float) -> None:
        await clock.sleep(offset_s)
        while not granted_at:
            async with held(claims, claim(f"narrow {device}", device)):
                await clock.sleep(600)

    async def wide() -> None:
        await clock.sleep(10)
        async with held(claims, claim("wide", "arm", "mixer")):
            granted_at.append(clock.monotonic_s())

    async def main() -> None:
        works = [
            narrow("arm", 0),
            narrow("arm", 1),
            narrow("mixer", 300),
            narrow("mixer", 301),
            wide(),
        ]
        await clock.join(*(clock.spawn(w, name=str(n)) for n, w in enumerate(works)))

    async with asyncio.timeout(5):
        await clock.run(main())
    assert granted_at[0] <= 10 + PATIENCE_S + 2 * 600


async def test_claim_on_a_quarantined_device_stops_nobody_else(
    small_laboratory: Laboratory, clock: VirtualClock
) -> None:
    claims = small_laboratory.claims
    small_laboratory.gateway.states.declare("mixer", "quarantined", "lid open", by="test")

    async def main() -> None:
        waits = clock.spawn(claims.acquire(claim("waits", "arm", "mixer")), name="waits")
        await clock.sleep(PATIENCE_S + 1)
        async with held(claims, claim("works", "arm")):
            await clock.sleep(1)
        request = claims.waiting()[0]
        assert claims.missing(request) == ["mixer, which is quarantined: lid open"]
        small_laboratory.gateway.states.declare("mixer", "ready", "closed it", by="test")
        await clock.join(waits)
        assert waits.result().claim.owner == "waits"

    async with asyncio.timeout(5):
        await clock.run(main())


async def test_claim_beyond_the_stock_stops_nobody_else(
    small_laboratory: Laboratory, clock: VirtualClock
) -> None:
    claims = small_laboratory.claims

    async def main() -> None:
        greedy = claim("greedy", stock={"TiO2": 6000.0})
        task = clock.spawn(claims.acquire(greedy), name="greedy")
        await clock.sleep(PATIENCE_S + 1)
        async with held(claims, claim("modest", stock={"TiO2": 4000.0})) as lease:
            assert claims.missing(claims.waiting()[0]) == ["5000.0 more of TiO2"]
            assert lease.claim.owner == "modest"
        claims.withdraw("greedy", "cancel by test")
        await clock.join(task)
        assert isinstance(task.exception(), ClaimCancelled)

    async with asyncio.timeout(5):
        await clock.run(main())


async def test_leased_powder_is_promised_once(
    small_laboratory: Laboratory, clock: VirtualClock
) -> None:
    claims = small_laboratory.claims

    async def main() -> None:
        first = await claims.acquire(claim("first", stock={"TiO2": 3000.0}))
        second = clock.spawn(
            claims.acquire(claim("second", stock={"TiO2": 3000.0})), name="second"
        )
        await clock.sleep(1)
        assert not second.done()
        claims.release(first)  # nothing of it was used
        await clock.join(second)
        assert second.result().token > first.token

    await clock.run(main())


async def test_furnace_with_a_firing_is_that_firings_alone(
    small_laboratory: Laboratory, clock: VirtualClock
) -> None:
    claims, store = small_laboratory.claims, small_laboratory.store
    profile = Profile(segments=(Segment(ramp_c_per_min=5, temperature_c=900, dwell_s=3600),))
    with store.begin() as session:
        row = FiringRow(
            furnace="furnace",
            status="heating",
            profile=encode(profile),
            atmosphere="air",
            slots={},
            created_at=clock.now(),
        )
        session.add(row)
        session.flush()
        own = f"firing {row.id}"

    async def main() -> None:
        other = clock.spawn(claims.acquire(claim("firing 99", "furnace")), name="other")
        await clock.sleep(1)
        assert not other.done()
        assert claims.missing(claims.waiting()[0]) == ["furnace"]
        async with held(claims, claim(own, "furnace")):
            pass
        with store.begin() as session:
            session.get_one(FiringRow, row.id).status = "finished"
        claims.grant()
        await clock.join(other)
        assert other.exception() is None

    await clock.run(main())


async def test_withdrawn_claim_is_never_granted(
    small_laboratory: Laboratory, clock: VirtualClock
) -> None:
    claims = small_laboratory.claims

    async def main() -> None:
        lease = await claims.acquire(claim("holder", "arm"))
        waits = clock.spawn(claims.acquire(claim("waits", "arm")), name="waits")
        await clock.sleep(1)
        claims.withdraw("holder", "too late: it is granted")
        claims.withdraw("waits", "pause by anna")
        claims.release(lease)
        await clock.join(waits)
        with pytest.raises(ClaimCancelled, match="pause by anna"):
            waits.result()
        assert claims.waiting() == []

    await clock.run(main())


@pytest.mark.parametrize("granted", [False, True])
async def test_cancelled_stage_leaves_nothing_behind(
    small_laboratory: Laboratory, clock: VirtualClock, granted: bool
) -> None:
    claims = small_laboratory.claims

    async def main() -> None:
        lease = await claims.acquire(claim("holder", "arm"))
        waits = clock.spawn(
            claims.acquire(claim("waits", "arm", places={"rack": 1})), name="waits"
        )
        await clock.sleep(1)
        if granted:  # in the very moment before it wakes
            claims.release(lease)
        waits.cancel()
        await clock.join(waits)
        assert waits.cancelled()
        claims.release(lease)
        async with held(claims, claim("next", "arm")):
            assert reserved(small_laboratory) == []

    async with asyncio.timeout(5):
        await clock.run(main())


async def test_missing_says_who_has_it(
    small_laboratory: Laboratory, clock: VirtualClock
) -> None:
    claims = small_laboratory.claims

    async def main() -> None:
        lease = await claims.acquire(claim("BaTiO3-1", "arm", places={"rack": 3}))
        wanted = claim("BaTiO3-2", "arm", "mixer", places={"rack": 2})
        task = clock.spawn(claims.acquire(wanted), name="waits")
        await clock.sleep(1)
        assert claims.missing(claims.waiting()[0]) == [
            "arm, held by BaTiO3-1 (work)",
            "1 more free slot(s) of rack",
        ]
        claims.release(lease)
        await clock.join(task)

    await clock.run(main())


async def test_restart_voids_leases_but_not_what_samples_keep(
    small_laboratory: Laboratory, clock: VirtualClock
) -> None:
    store = small_laboratory.store

    async def main() -> Lease:
        return await small_laboratory.claims.acquire(claim("s", "arm", places={"rack": 1}))

    old = await clock.run(main())
    with store.begin() as session:
        session.get_one(SlotRow, "rack.4").reserved_by = "BaTiO3-1"
    again = Claims(store, clock)
    again.revoke_earlier_leases()
    assert reserved(small_laboratory) == ["rack.4"]
    assert not again.is_valid(old, "arm")
    with store.begin() as session:
        assert session.get_one(LeaseRow, old.token).released_at is not None
        assert session.get_one(StockRow, "TiO2").amount == 5000.0


async def test_nothing_is_granted_while_the_stop_is_latched(
    small_laboratory: Laboratory, clock: VirtualClock
) -> None:
    claims, gateway = small_laboratory.claims, small_laboratory.gateway

    async def main() -> None:
        await gateway.emergency_stop("smoke", by="anna")
        task = clock.spawn(claims.acquire(claim("s", "xrd")), name="s")
        await clock.sleep(PATIENCE_S + 1)
        claims.grant()
        await clock.sleep(1)
        assert not task.done()
        gateway.reset_stop(by="anna")
        claims.grant()
        await clock.join(task)
        assert claims.is_valid(task.result(), "xrd")

    await clock.run(main())


@contextmanager
def locked(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Somebody else writes into the database for longer than we wait."""

    def begin() -> NoReturn:
        raise OperationalError("BEGIN IMMEDIATE", {}, Exception("database is locked"))

    with monkeypatch.context() as patch:
        patch.setattr(laboratory.store, "begin", begin)
        with pytest.raises(OperationalError):
            yield


async def test_claim_that_could_not_be_written_is_asked_by_nobody(
    small_laboratory: Laboratory, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = small_laboratory.claims

    async def main() -> None:
        with locked(small_laboratory, monkeypatch):
            await claims.acquire(claim("unlucky", "arm"))
        assert not claims.waiting()
        lease = await claims.acquire(claim("lucky", "arm"))
        assert claims.is_valid(lease, "arm")

    async with asyncio.timeout(5):
        await clock.run(main())


async def test_lease_whose_end_could_not_be_written_ends_with_the_next_grant(
    small_laboratory: Laboratory, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = small_laboratory.claims

    async def main() -> None:
        first = await claims.acquire(claim("first", "arm", places={"rack": 1}))
        with locked(small_laboratory, monkeypatch):
            claims.release(first)
        assert not claims.is_valid(first, "arm")
        second = await claims.acquire(claim("second", "arm"))
        assert reserved(small_laboratory) == []
        with small_laboratory.store.begin() as session:
            held = session.scalars(select(LeaseRow.id).where(LeaseRow.released_at.is_(None)))
            assert list(held) == [second.token]

    async with asyncio.timeout(5):
        await clock.run(main())
