"""Devices that are off, stop, lie or overheat, and what becomes of the campaign."""

from collections.abc import Callable

import pytest

from alab.intents import ANSWERS, DISCARD, DONE, NOT_DONE
from alab.laboratory import REMOVED
from alab.life import Status
from alab.store.tables import FiringRow, SampleRow
from tests.scenario.rig import Rig, recipe_of

SAMPLE, NEXT = "c-ZnFe2O4-1", "c-ZnFe2O4-2"
RECIPE = recipe_of("ZnFe2O4", {"ZnO": 60.0})


def _repaired(rig: Rig, device: str) -> None:
    rig.laboratory.gateway.states.declare(device, "ready", "looked at", by="olga")
    rig.laboratory.changed.set()


async def test_without_a_mixer_the_sample_waits_and_says_why(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(off=frozenset({"mixer"}))
    await rig.live()
    assert set(rig.runtime.offline) == {"mixer"}
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await rig.until(lambda: rig.clock.stands_still)
    assert rig.status(SAMPLE) == Status.QUEUED
    (why,) = rig.operator.why(SAMPLE)
    assert "to prepare" in why
    assert "mixer, which is offline" in why
    assert not rig.intents()


async def test_an_arm_stopped_with_a_crucible_costs_one_sample(rig: Rig) -> None:
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await rig.until(lambda: rig.intent(f"{SAMPLE}/prepare/to mixer/place") == "running")
    arm = rig.instrument("arm_prep")
    with rig.world.lock:
        arm.safety = "PROTECTIVE_STOP"
    await rig.until(lambda: rig.clock.stands_still)
    assert rig.status(SAMPLE) == Status.PREPARING
    assert rig.device("arm_prep") == "quarantined"
    assert rig.alarms("arm_prep")
    (question,) = rig.questions(SAMPLE)
    assert "place_mixer_cup.urp" in question.text

    with rig.world.lock:  # the operator opens the gripper, and ends the program
        rig.world.gripped.pop("arm_prep")
        arm.answer(b"unlock protective stop")
        arm.answer(b"stop")
    rig.answer(DISCARD, about=SAMPLE)
    _repaired(rig, "arm_prep")
    await rig.until(lambda: rig.clock.stands_still)
    assert rig.status(SAMPLE) == Status.FAILED
    (question,) = rig.questions(SAMPLE)
    assert "lost at arm_prep" in question.text
    assert rig.status(NEXT) == Status.QUEUED, rig.account()
    rig.answer(REMOVED, about=SAMPLE)
    await rig.finish("c")
    assert rig.status(NEXT) == Status.FINISHED, rig.account()
    assert rig.sample(NEXT).recipe == rig.sample(SAMPLE).recipe
    assert rig.where(NEXT) == ["archive.1"]
    rig.assert_nothing_leaks()
    assert not rig.questions()


async def test_an_unplugged_arm_comes_back_and_nothing_is_repeated(rig: Rig) -> None:
    """The act it was in the middle of is waited for, not played again."""
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await rig.until(lambda: rig.intent(f"{SAMPLE}/prepare/to mixer/pick") == "running")
    rig.instrument("arm_prep").frozen = True
    await rig.until(lambda: rig.device("arm_prep") == "offline")
    assert rig.intent(f"{SAMPLE}/prepare/to mixer/pick") == "running"
    rig.instrument("arm_prep").frozen = False
    await rig.until(lambda: rig.clock.stands_still)
    _repaired(rig, "arm_prep")
    await rig.finish("c")
    assert rig.status(SAMPLE) == Status.FINISHED
    assert not rig.questions()
    rig.assert_nothing_leaks()
    rig.assert_books_match_matter()
    rig.assert_each_act_once()


@pytest.mark.parametrize("played", [True, False])
async def test_a_lost_reply_is_answered_by_a_person_and_not_sent_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, *, played: bool
) -> None:
    key = f"{SAMPLE}/prepare/to mixer/pick"
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await rig.until(lambda: rig.intent(f"{SAMPLE}/prepare/dose ZnO/0") == "running")
    arm = rig.instrument("arm_prep")
    plays = arm._plays
    answer = arm.answer

    def lose(request: bytes) -> bytes:
        if request == b"play":
            if played:
                answer(request)
            arm.frozen = True  # and nobody can ask it afterwards either
            return b""
        return answer(request)

    monkeypatch.setattr(arm, "answer", lose)
    await rig.until(lambda: rig.intent(key) == "unknown")
    await rig.until(lambda: rig.clock.stands_still)
    assert rig.status(SAMPLE) == Status.PREPARING
    (question,) = rig.questions(SAMPLE)
    assert question.options == ANSWERS
    monkeypatch.undo()
    arm.frozen = False
    _repaired(rig, "arm_prep")
    assert arm._plays == plays + played
    rig.answer(DONE if played else NOT_DONE, about=SAMPLE)
    await rig.finish("c")
    assert rig.status(SAMPLE) == Status.FINISHED, rig.account()
    rig.assert_nothing_leaks()
    rig.assert_books_match_matter()
    rig.assert_each_act_once()


async def test_a_broken_thermocouple_fails_the_firing_and_not_the_campaign(rig: Rig) -> None:
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await rig.until(
        lambda: (
            any(row.status == "heating" for row in rig.rows(FiringRow))
            and rig.laboratory.gateway.furnaces.latest["furnace_a"].reading.temperature_c > 100
        )
    )
    with rig.world.lock:
        rig.line("furnace_a").units[1].chamber.sensor_break = True
    await rig.until(lambda: rig.status(NEXT) is not None)
    assert rig.device("furnace_a") == "quarantined"
    assert rig.alarms("furnace_a")
    assert rig.status(SAMPLE) == Status.FAILED
    (question,) = rig.questions(SAMPLE)
    assert "chamber_a.1" in question.text
    assert "treat it as hot" in question.text
    await rig.finish("c")
    assert rig.status(NEXT) == Status.FINISHED, rig.account()
    assert [row.furnace for row in rig.rows(FiringRow)] == ["furnace_a", "furnace_b"]
    assert [row.status for row in rig.rows(FiringRow)] == ["failed", "finished"]
    assert len(rig.rows(SampleRow)) == 2
