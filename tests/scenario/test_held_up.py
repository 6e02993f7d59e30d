"""The stop, local control, a paused arm: work waits where it is, and goes on from there."""

import pytest

from alab.errors import InterlockError
from alab.intents import DONE, NOT_DONE
from alab.life import Status
from alab.readiness import make_ready
from alab.store.tables import FiringRow
from tests.scenario.rig import Rig, recipe_of

ZN, MG = "c-ZnFe2O4-1", "c-MgFe2O4-1"
RECIPES = {
    "ZnFe2O4": recipe_of("ZnFe2O4", {"ZnO": 60.0}),
    "MgFe2O4": recipe_of("MgFe2O4", {"MgO": 50.0}),
}


def _reset(rig: Rig) -> None:
    rig.laboratory.gateway.reset_stop(by="olga")
    rig.laboratory.claims.grant()
    rig.laboratory.changed.set()


async def _ready(rig: Rig, device: str) -> None:
    await rig.run(make_ready(rig.laboratory, device, "looked at", by="olga"))


async def _both_go_on(rig: Rig) -> None:
    """Every target by its first sample, each powder dosed and each program played once."""
    await rig.until(lambda: rig.status(ZN) == rig.status(MG) == Status.FIRING)
    assert rig.status("c-ZnFe2O4-2") is None
    assert rig.status("c-MgFe2O4-2") is None
    rig.assert_books_match_matter()
    rig.assert_each_act_once()


async def test_an_arm_in_local_control_costs_no_sample(rig: Rig) -> None:
    rig.instrument("arm_prep").remote = False
    await rig.campaign("c", RECIPES)
    await rig.until(lambda: rig.clock.stands_still)
    assert rig.device("arm_prep") == "quarantined"
    (alarm,) = rig.alarms("arm_prep")
    assert "switch the pendant to remote control" in alarm
    assert "alab device ready arm_prep" in alarm
    assert {rig.status(ZN), rig.status(MG)} == {Status.PREPARING, Status.QUEUED}
    with pytest.raises(InterlockError, match="local control"):
        await _ready(rig, "arm_prep")
    rig.instrument("arm_prep").remote = True
    await _ready(rig, "arm_prep")
    await _both_go_on(rig)


@pytest.mark.parametrize(("at_the_pendant", "answer"), [(b"play", DONE), (b"stop", NOT_DONE)])
async def test_a_stop_while_an_arm_moves_costs_no_sample(
    rig: Rig, at_the_pendant: bytes, answer: str
) -> None:
    """A person sees the program to its end, or stops it and has it played again."""
    key, arm = f"{ZN}/prepare/to mixer/pick", rig.instrument("arm_prep")
    await rig.campaign("c", RECIPES)
    await rig.until(lambda: rig.intent(key) == "running")
    await rig.run(rig.laboratory.gateway.emergency_stop("smoke", by="olga"))
    await rig.until(lambda: rig.clock.stands_still)
    assert {rig.status(ZN), rig.status(MG)} == {Status.PREPARING, Status.QUEUED}, rig.account()
    assert len(rig.alarms("laboratory")) == 1
    with pytest.raises(InterlockError, match=r"pick_mixer_cup|pick_doser_pan"):
        await _ready(rig, "arm_prep")
    with rig.world.lock:
        arm.answer(at_the_pendant)
        arm._plays -= answer == NOT_DONE
    await rig.run(rig.clock.sleep(60.0))
    rig.answer(answer, about=ZN)
    await _ready(rig, "arm_prep")
    await rig.until(lambda: rig.clock.stands_still)
    assert rig.status(ZN) == Status.PREPARING, "the stop is still latched"
    _reset(rig)
    await _both_go_on(rig)


async def test_a_stop_while_powder_flows_is_weighed_and_topped_up(rig: Rig) -> None:
    key = f"{ZN}/prepare/dose ZnO/0"
    await rig.campaign("c", {**RECIPES, "ZnFe2O4": recipe_of("ZnFe2O4", {"ZnO": 600.0})})
    await rig.until(lambda: rig.intent(key) == "running")
    await rig.run(rig.clock.sleep(5.0))
    await rig.run(rig.laboratory.gateway.emergency_stop("smoke", by="olga"))
    await rig.until(lambda: rig.clock.stands_still)
    assert rig.status(ZN) == Status.PREPARING, rig.account()
    assert not rig.questions()
    await _ready(rig, "doser")
    _reset(rig)
    await _both_go_on(rig)
    assert rig.intents(key=key)[key].result["dosed_mg"] < 590.0


async def test_a_stop_while_heating_leaves_the_furnace_to_be_emptied_by_arms(rig: Rig) -> None:
    await rig.campaign("c", RECIPES)
    await rig.until(
        lambda: any(
            row.status == "heating"
            and rig.laboratory.gateway.furnaces.latest[row.furnace].reading.temperature_c > 245
            for row in rig.rows(FiringRow)
        )
    )
    await rig.run(rig.laboratory.gateway.emergency_stop("smoke", by="olga"))
    await rig.until(lambda: rig.clock.stands_still)
    assert [row.status for row in rig.firings()] == ["unloading"], rig.account()
    _reset(rig)
    await rig.until(lambda: rig.firings()[0].status == "finished")
    assert not rig.questions()
    rig.assert_books_match_matter()


async def test_an_arm_paused_at_its_pendant_is_freed_there(rig: Rig) -> None:
    """Somebody has loaded and paused a program of his own; it is not stopped from afar."""
    arm = rig.instrument("arm_prep")
    with rig.world.lock:
        for line in (b"load pick_rack_1.urp", b"play", b"pause"):
            arm.answer(line)
    await rig.campaign("c", RECIPES)
    await rig.until(lambda: rig.clock.stands_still)
    assert rig.device("arm_prep") == "quarantined"
    with pytest.raises(InterlockError, match=r"pick_rack_1.urp is paused on it.*pendant"):
        await _ready(rig, "arm_prep")
    assert arm.answer(b"programState") == b"PAUSED pick_rack_1.urp\n"
    with rig.world.lock:
        assert arm.answer(b"stop") == b"Stopped\n"
        arm._plays -= 1  # it was none of the laboratory's
    await _ready(rig, "arm_prep")
    await _both_go_on(rig)
