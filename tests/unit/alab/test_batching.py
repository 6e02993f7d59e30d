"""Which samples share a furnace, and when a batch stops waiting."""

from datetime import UTC, datetime, timedelta

from alab.batching import Batch, Chamber, FiringWish, next_batch
from alab.models import Atmosphere, FiringLimits, Profile, Segment

NOW = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
WAIT_S = 3 * 3600.0
AIR, O2 = Atmosphere.AIR, Atmosphere.O2


def profile(temperature_c: float = 900.0, ramp_c_per_min: float = 5.0) -> Profile:
    return Profile(
        segments=(
            Segment(ramp_c_per_min=ramp_c_per_min, temperature_c=temperature_c, dwell_s=3600.0),
        )
    )


def wish(
    sample: str,
    waited_s: float | None = 0.0,
    *,
    temperature_c: float = 900.0,
    atmosphere: Atmosphere = AIR,
    priority: int = 0,
) -> FiringWish:
    since = None if waited_s is None else NOW - timedelta(seconds=waited_s)
    return FiringWish(
        sample=sample,
        profile=profile(temperature_c),
        atmosphere=atmosphere,
        priority=priority,
        since=since,
    )


def chamber(
    furnace: str = "a",
    *,
    slots: int = 3,
    max_temperature_c: float = 1100.0,
    atmospheres: tuple[Atmosphere, ...] = (AIR,),
) -> Chamber:
    limits = FiringLimits(
        max_temperature_c=max_temperature_c, max_ramp_c_per_min=10.0, atmospheres=atmospheres
    )
    return Chamber(furnace=furnace, limits=limits, slots=slots)


def batch(wishes: list[FiringWish], chambers: list[Chamber] | None = None) -> Batch | None:
    return next_batch(wishes, [chamber()] if chambers is None else chambers, NOW, WAIT_S)


def test_full_chamber_goes_at_once() -> None:
    found = batch([wish(n) for n in "abc"] + [wish("d", None)])
    assert found is not None
    assert found.samples == ("a", "b", "c")


def test_waits_for_company_on_the_way_but_not_for_ever() -> None:
    coming = wish("late", None)
    assert batch([wish("a", WAIT_S - 1), coming]) is None
    found = batch([wish("a", WAIT_S), wish("b", 5.0), coming])
    assert found is not None
    assert found.samples == ("a", "b")


def test_goes_alone_when_nobody_who_fits_is_coming() -> None:
    others = [
        wish("hotter", None, temperature_c=1000.0),
        wish("in oxygen", None, atmosphere=O2),
    ]
    found = batch([wish("a"), *others])
    assert found is not None
    assert found.samples == ("a",)


def test_only_equal_profiles_and_gases_share() -> None:
    found = batch([wish("a"), wish("b", temperature_c=901.0), wish("c", 9.0, atmosphere=O2)])
    assert found is not None
    assert len(found.samples) == 1


def test_most_urgent_then_longest_waiting_get_the_places() -> None:
    wishes = [wish("young", 1), wish("old", 9), wish("urgent", 0, priority=3), wish("mid", 5)]
    found = batch(wishes)
    assert found is not None
    assert found.samples == ("urgent", "old", "mid")


def test_more_urgent_group_goes_first() -> None:
    wishes = [wish("old", 99), wish("urgent", 0, temperature_c=1000.0, priority=1)]
    found = batch(wishes)
    assert found is not None
    assert found.samples == ("urgent",)


def test_longer_waiting_group_goes_first_among_equals() -> None:
    found = batch([wish("young", 1), wish("old", 99, temperature_c=1000.0)])
    assert found is not None
    assert found.samples == ("old",)


def test_able_furnaces_are_kept_for_those_that_need_them() -> None:
    oxygen = chamber("a_oxygen", atmospheres=(AIR, O2))
    hot = chamber("b_hot", max_temperature_c=1500.0)
    plain = chamber("c_plain")
    for chambers, expected in (
        ([oxygen, hot, plain], "c_plain"),
        ([oxygen, hot], "b_hot"),
        ([oxygen], "a_oxygen"),
    ):
        found = batch([wish("a")], chambers)
        assert found is not None
        assert found.furnace == expected


def test_nothing_without_wishes_furnaces_or_a_fitting_one() -> None:
    assert batch([]) is None
    assert batch([wish("a")], []) is None
    assert batch([wish("a", None)]) is None
    assert batch([wish("a", temperature_c=1200.0)]) is None
    # a batch that no furnace fits does not stop another
    found = batch([wish("too hot", 99, temperature_c=1200.0), wish("a")])
    assert found is not None
    assert found.samples == ("a",)
