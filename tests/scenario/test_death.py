"""The process of the flows dies; the next one goes on, and repeats no physical act."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from alab.intents import DONE, NOT_DONE
from alab.life import Status
from alab.models import FurnaceMode
from alab.store.tables import AttemptRow, FiringRow, SampleRow
from tests.scenario.rig import Rig, recipe_of

SAMPLE = "c-ZnFe2O4-1"
RECIPE = recipe_of("ZnFe2O4", {"ZnO": 60.0, "Fe2O3": 118.0})


def _running(rig: Rig, key: str) -> bool:
    return rig.intent(key) == "running"


def _firing_is(rig: Rig, status: str) -> bool:
    return any(row.status == status for row in rig.rows(FiringRow))


def _hotter(rig: Rig, temperature_c: float) -> bool:
    timed = rig.laboratory.gateway.furnaces.latest.get("furnace_a")
    return timed is not None and timed.reading.temperature_c > temperature_c


POINTS: dict[str, Callable[[Rig], object]] = {
    "taking a crucible": lambda r: _running(r, f"{SAMPLE}/prepare/crucible/pick"),
    "during a dose": lambda r: _running(r, f"{SAMPLE}/prepare/dose ZnO/0"),
    "between two doses": lambda r: (
        r.intent(f"{SAMPLE}/prepare/dose ZnO/0") == "done"
        and r.intent(f"{SAMPLE}/prepare/dose Fe2O3/0") is None
    ),
    "mounting a head": lambda r: _running(r, f"{SAMPLE}/prepare/dose Fe2O3/0/head"),
    "mixing": lambda r: _running(r, f"{SAMPLE}/prepare/mix"),
    "loading": lambda r: _running(r, f"firing 1/load {SAMPLE}/place"),
    "shutting the door": lambda r: _running(r, "firing 1/load/shut_door"),
    "heating": lambda r: _firing_is(r, "heating") and _hotter(r, 120.0),
    "cooling": lambda r: _firing_is(r, "cooling"),
    "unloading": lambda r: _running(r, f"firing 1/unload {SAMPLE}/pick"),
    "carrying home": lambda r: _running(r, f"firing 1/unload {SAMPLE}/place"),
    "filling a holder": lambda r: _running(r, f"{SAMPLE}/characterise 1/fill"),
    "scanning": lambda r: _running(r, f"{SAMPLE}/characterise 1/scan"),
    "emptying the holder": lambda r: _running(r, f"{SAMPLE}/characterise 1/empty"),
    "retiring": lambda r: _running(r, f"{SAMPLE}/retire/place"),
}


def _check_the_end(rig: Rig) -> None:
    assert rig.status(SAMPLE) == Status.FINISHED, rig.account()
    assert len(rig.rows(SampleRow)) == 1, "the sample was made twice"
    assert not rig.questions(), rig.account()
    assert rig.where(SAMPLE) == ["archive.1"]
    rig.assert_nothing_leaks()
    rig.assert_books_match_matter()
    rig.assert_each_act_once()
    assert rig.instrument("xrd")._count == 1
    assert len(rig.rows(FiringRow)) == 1
    assert rig.attempt(SAMPLE).outcome is not None


async def test_dying_at_every_turn_changes_nothing(rig: Rig) -> None:
    """One sample, and a death in the middle of everything that is done to it."""
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    for words, condition in POINTS.items():
        await rig.until(lambda condition=condition: condition(rig))
        assert rig.status(SAMPLE) not in (Status.FAILED, Status.CANCELLED), words
        await rig.reborn()
    await rig.finish("c")
    _check_the_end(rig)


async def test_dying_while_a_heating_furnace_ends_its_program(rig: Rig) -> None:
    """Nobody watches for hours; the furnace is asked, and has done its work."""
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await rig.until(lambda: POINTS["heating"](rig))
    await rig.die()
    await rig.run(rig.clock.sleep(6 * 3600.0))
    await rig.live()
    await rig.finish("c")
    _check_the_end(rig)
    (firing,) = rig.firings()
    assert (firing.ended_at - firing.heated_from).total_seconds() > 6 * 3600.0
    reading = rig.laboratory.gateway.furnaces.latest.get("furnace_a")
    assert reading is not None
    assert reading.reading.mode in (FurnaceMode.IDLE, FurnaceMode.COMPLETE)
    assert rig.rows(AttemptRow)[0].decision is not None


@pytest.mark.parametrize("mixed", [True, False])
async def test_power_cut_in_mid_mix_is_asked_about(rig: Rig, *, mixed: bool) -> None:
    """Mixer and laboratory go dark together; whatever time has passed, it stands."""
    key = f"{SAMPLE}/prepare/mix"
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await rig.until(lambda: _running(rig, key))
    await rig.die()
    with rig.world.lock:
        rig.instrument("mixer").lose_power()
    await rig.run(rig.clock.sleep(3600.0))
    await rig.live()
    await rig.until(lambda: rig.intent(key) == "unknown")
    await rig.until(lambda: rig.clock.stands_still)
    assert rig.status(SAMPLE) == Status.PREPARING
    rig.answer(DONE if mixed else NOT_DONE, about=SAMPLE)
    await rig.finish("c")
    _check_the_end(rig)
    (mix,) = rig.intents(command="mix").values()
    assert (mix.settled_at - mix.issued_at >= timedelta(hours=1)) == mixed


MEANWHILE = {
    "an arm that moves": lambda r: _running(r, f"{SAMPLE}/prepare/to mixer/pick"),
    "a full gripper": lambda r: r.intent(f"{SAMPLE}/prepare/to mixer/pick") == "done",
    "a furnace being loaded": lambda r: _running(r, f"firing 1/load {SAMPLE}/place"),
}


@pytest.mark.parametrize("words", MEANWHILE)
async def test_who_was_interrupted_goes_on_before_the_urgent(rig: Rig, words: str) -> None:
    """After the restart, a sample of high priority asks for the same devices first."""
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await rig.until(lambda: MEANWHILE[words](rig))
    others = {"MgFe2O4": recipe_of("MgFe2O4", {"MgO": 50.0}, temperature_c=260.0)}
    await rig.campaign("b", others, priority=500)
    await rig.until(lambda: rig.status("b-MgFe2O4-1") is not None)
    await rig.reborn()
    await rig.finish("c", "b")
    _check_the_end_of_all(rig, count=2)


def _check_the_end_of_all(rig: Rig, *, count: int) -> None:
    assert [row.status for row in rig.rows(SampleRow)] == [Status.FINISHED] * count, (
        rig.account()
    )
    rig.assert_nothing_leaks()
    rig.assert_books_match_matter()
    rig.assert_each_act_once()
