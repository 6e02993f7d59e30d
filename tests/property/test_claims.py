"""Claims under random demand: nothing is granted twice, and nothing starves."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given, strategies as st

from alab.claims import PATIENCE_S, Claim, Free, Pending, choose
from alab.clock import VirtualClock

NOW = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
DEVICES = ("doser", "mixer", "arm", "furnace", "xrd")
PLACES = {"rack": 4, "chamber": 2, "holders": 3}
STOCK = {"BaCO3": 1000.0, "TiO2": 500.0}

claims = st.builds(
    Claim,
    owner=st.uuids().map(str),
    stage=st.just("work"),
    devices=st.frozensets(st.sampled_from(DEVICES), max_size=4),
    places=st.dictionaries(st.sampled_from(sorted(PLACES)), st.integers(1, 3), max_size=2),
    stock=st.dictionaries(st.sampled_from(sorted(STOCK)), st.floats(0.1, 400.0), max_size=2),
    priority=st.integers(-1, 2),
)


def pending(number: int, claim: Claim, waited_s: float) -> Pending:
    since = NOW - timedelta(seconds=waited_s)
    signal = VirtualClock().signal()
    return Pending(claim=claim, since=since, number=number, signal=signal)


waiting = st.lists(st.tuples(claims, st.floats(0.0, 2 * PATIENCE_S)), max_size=14).map(
    lambda drawn: [
        pending(number, claim, waited_s) for number, (claim, waited_s) in enumerate(drawn)
    ]
)
there = st.builds(
    Free,
    devices=st.sets(st.sampled_from(DEVICES)),
    places=st.fixed_dictionaries({p: st.integers(0, n) for p, n in PLACES.items()}).map(
        Counter
    ),
    stock=st.fixed_dictionaries({i: st.floats(0.0, n) for i, n in STOCK.items()}),
)


def copied(free: Free) -> Free:
    return Free(devices=set(free.devices), places=Counter(free.places), stock=dict(free.stock))


@given(waiting, there)
def test_what_is_granted_is_there_once(requests: list[Pending], free: Free) -> None:
    before = copied(free)
    granted = choose(requests, free, NOW)
    devices = [device for p in granted for device in p.claim.devices]
    assert len(devices) == len(set(devices))
    assert set(devices) <= before.devices
    for place in PLACES:
        assert sum(p.claim.places.get(place, 0) for p in granted) <= before.places[place]
    for item in STOCK:
        asked = sum(p.claim.stock.get(item, 0.0) for p in granted)
        assert asked <= before.stock[item] + 1e-6
    assert len({id(p) for p in granted}) == len(granted)


@given(waiting, there)
def test_first_in_line_is_served_if_it_can_be(requests: list[Pending], free: Free) -> None:
    before = copied(free)
    granted = choose(requests, free, NOW)
    if requests:
        first = min(requests, key=lambda p: (-p.claim.priority, p.number))
        assert (first in granted) == (not before.lacks(first.claim))


@given(waiting, there)
def test_order_of_asking_is_all_that_counts(requests: list[Pending], free: Free) -> None:
    one = choose(requests, copied(free), NOW)
    other = choose(list(reversed(requests)), copied(free), NOW)
    assert [id(p) for p in one] == [id(p) for p in other]


@given(waiting, st.data())
def test_everybody_is_served_before_long(requests: list[Pending], data: st.DataObject) -> None:
    """Stages that end in any order: whoever can be served at all is served, once each."""
    now, held, served = NOW, [], Counter[int]()
    queue = [p for p in requests if _fits(p.claim)]
    rounds = 0
    while queue or held:
        rounds += 1
        assert rounds <= 4 * len(requests) + 4
        granted = choose(queue, _free_beside(held), now)
        for request in granted:
            queue.remove(request)
            served[request.number] += 1
        held += granted
        assert held, "nobody holds anything, and nobody is served"
        held.remove(data.draw(st.sampled_from(held)))
        now += timedelta(seconds=data.draw(st.sampled_from([1.0, PATIENCE_S])))
    assert set(served.values()) <= {1}


def _fits(claim: Claim) -> bool:
    return not Free(devices=set(DEVICES), places=Counter(PLACES), stock=dict(STOCK)).lacks(
        claim
    )


def _free_beside(held: list[Pending]) -> Free:
    free = Free(devices=set(DEVICES), places=Counter(PLACES), stock=dict(STOCK))
    for request in held:
        assert not free.lacks(request.claim), "granted twice"
        free.take(request.claim)
    return free
