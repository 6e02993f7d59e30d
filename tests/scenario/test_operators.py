"""What operators ask of samples, in every state of theirs, and what then happens."""

from collections.abc import Callable

import pytest

from alab.errors import AlabError
from alab.life import TERMINAL, Control, Status, Wish
from alab.store.tables import CampaignRow, FiringRow, SampleRow
from tests.scenario.rig import Rig, recipe_of

SAMPLE = "c-ZnFe2O4-1"
RECIPE = recipe_of("ZnFe2O4", {"ZnO": 60.0})
STATES = [
    Status.PREPARING,
    Status.PREPARED,
    Status.FIRING,
    Status.RECOVERED,
    Status.CHARACTERISING,
]


async def _at(rig: Rig, status: Status) -> None:
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    if status is Status.PREPARED:  # it goes on at once, unless no furnace is to be had
        for furnace in ("furnace_a", "furnace_b"):
            rig.laboratory.gateway.states.declare(furnace, "quarantined", "swept", by="olga")
    if status is Status.RECOVERED:
        rig.laboratory.gateway.states.declare("xrd", "quarantined", "aligned", by="olga")
    await rig.until(lambda: rig.status(SAMPLE) == status)


def _all_ready(rig: Rig) -> None:
    for device in ("furnace_a", "furnace_b", "xrd"):
        rig.laboratory.gateway.states.declare(device, "ready", "done", by="olga")
    rig.laboratory.changed.set()


def _assert_at_peace(rig: Rig) -> None:
    assert not rig.questions(), rig.account()
    rig.assert_nothing_leaks()
    rig.assert_books_match_matter()
    rig.assert_each_act_once()


@pytest.mark.parametrize("status", STATES)
async def test_a_cancelled_sample_is_archived_and_leaks_nothing(
    rig: Rig, status: Status
) -> None:
    await _at(rig, status)
    rig.operator.wish(SAMPLE, Wish.CANCEL, by="olga")
    await rig.finish("c")
    assert rig.status(SAMPLE) == Status.CANCELLED
    assert rig.where(SAMPLE) == ["archive.1"]
    assert rig.target("ZnFe2O4").status == "cancelled", "it must not be made again"
    assert len(rig.rows(SampleRow)) == 1
    _assert_at_peace(rig)
    if status in (Status.PREPARED, Status.RECOVERED):  # nothing was under way
        assert rig.sample(SAMPLE).status_at == rig.log_at("cancel asked for")


@pytest.mark.parametrize("status", STATES)
async def test_a_paused_sample_stops_after_its_stage_and_goes_on(
    rig: Rig, status: Status
) -> None:
    await _at(rig, status)
    rig.operator.wish(SAMPLE, Wish.PAUSE, by="olga")
    _all_ready(rig)
    await rig.until(lambda: rig.clock.stands_still)
    assert rig.sample(SAMPLE).control == Control.PAUSED
    assert rig.status(SAMPLE) in (
        Status.PREPARED,
        Status.RECOVERED,
        Status.CHARACTERISED,
    )
    assert "paused" in " ".join(rig.operator.why(SAMPLE))
    rig.operator.wish(SAMPLE, Wish.RESUME, by="olga")
    await rig.finish("c")
    assert rig.status(SAMPLE) == Status.FINISHED
    _assert_at_peace(rig)


async def test_a_waiting_sample_is_held_released_and_cancelled_at_once(rig: Rig) -> None:
    rig.laboratory.gateway.states.declare("mixer", "quarantined", "cleaned", by="olga")
    await rig.campaign("c", {"ZnFe2O4": RECIPE, "MgFe2O4": recipe_of("MgFe2O4", {"MgO": 50.0})})
    await rig.until(lambda: len(rig.laboratory.claims.waiting()) == 2)
    before = rig.clock.now()
    rig.operator.wish(SAMPLE, Wish.HOLD, by="olga")
    rig.operator.wish("c-MgFe2O4-1", Wish.CANCEL, by="olga")
    await rig.until(lambda: rig.status("c-MgFe2O4-1") == Status.CANCELLED)
    assert [w.claim.owner for w in rig.laboratory.claims.waiting()] == []
    assert rig.clock.now() == before
    rig.operator.wish(SAMPLE, Wish.RELEASE, by="olga")
    rig.laboratory.gateway.states.declare("mixer", "ready", "clean", by="olga")
    await rig.finish("c")
    assert rig.status(SAMPLE) == Status.FINISHED
    assert rig.stock_mg("MgO") == 50_000.0
    _assert_at_peace(rig)


async def test_priority_decides_who_is_prepared_next(rig: Rig) -> None:
    targets = {
        "ZnFe2O4": RECIPE,
        "MgFe2O4": recipe_of("MgFe2O4", {"MgO": 50.0}),
        "Mn2O3": recipe_of("Mn2O3", {"Mn2O3": 50.0}),
    }
    rig.laboratory.gateway.states.declare("mixer", "quarantined", "cleaned", by="olga")
    await rig.campaign("c", targets)
    await rig.until(lambda: len(rig.laboratory.claims.waiting()) == 3)
    rig.operator.set_priority("c-Mn2O3-1", 9, by="olga")
    rig.laboratory.gateway.states.declare("mixer", "ready", "clean", by="olga")
    await rig.finish("c")
    begun = [subject for _, subject, text in rig.log() if text == "preparing"]
    assert begun[0] == "c-Mn2O3-1"
    _assert_at_peace(rig)


async def test_a_stopped_campaign_ends_with_everything_in_its_place(rig: Rig) -> None:
    targets = {"ZnFe2O4": RECIPE, "MgFe2O4": recipe_of("MgFe2O4", {"MgO": 50.0})}
    await rig.campaign("c", targets)
    await rig.until(
        lambda: (
            rig.status("c-MgFe2O4-1") == Status.PREPARING
            or rig.status(SAMPLE) == Status.PREPARED
        )
    )
    concerned = rig.operator.stop_campaign("c", by="olga")
    assert set(concerned) == {SAMPLE, "c-MgFe2O4-1"}
    await rig.finish("c")
    assert rig.rows(CampaignRow)[0].status == "stopped"
    assert {row.status for row in rig.rows(SampleRow)} == {Status.CANCELLED}
    assert not [row for row in rig.rows(FiringRow) if row.status != "finished"]
    _assert_at_peace(rig)


async def test_an_ended_sample_takes_no_more_wishes(rig: Rig) -> None:
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await rig.finish("c")
    assert Status(rig.sample(SAMPLE).status) in TERMINAL
    act: Callable[[], object]
    for act in (
        lambda: rig.operator.wish(SAMPLE, Wish.CANCEL, by="olga"),
        lambda: rig.operator.set_priority(SAMPLE, 3, by="olga"),
        lambda: rig.operator.stop_campaign("c", by="olga"),
    ):
        with pytest.raises(AlabError):
            act()
