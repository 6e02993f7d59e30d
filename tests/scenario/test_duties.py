"""Defects in the midst of work: told, tried again, and nothing repeated or left bound."""

from typing import Any

import pytest

import flows.campaign
import flows.characterisation
import flows.firing
from alab.life import Status
from tests.scenario.rig import Rig, recipe_of

SAMPLE = "c-ZnFe2O4-1"
RECIPE = recipe_of("ZnFe2O4", {"ZnO": 60.0})


class Breaks:
    """Raises what no table of errors knows, a number of times, and works from then on."""

    def __init__(self, real: Any, times: int) -> None:
        self._real, self._times = real, times

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._times:
            self._times -= 1
            raise RuntimeError("disk is full")
        return self._real(*args, **kwargs)


async def test_a_picture_that_cannot_be_shown_delays_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Breaks(flows.campaign.acreate_markdown_artifact, 100)

    async def artifact(**_fields: Any) -> None:
        broken()

    monkeypatch.setattr("flows.campaign.acreate_markdown_artifact", artifact)
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await rig.finish("c")
    assert rig.status(SAMPLE) == Status.FINISHED
    assert rig.alarms("laboratory") == []


async def test_a_target_that_dies_is_told_and_taken_up_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks = Breaks(flows.characterisation.analyze, 2)
    monkeypatch.setattr("flows.characterisation.analyze", breaks)
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await rig.finish("c")
    assert rig.status(SAMPLE) == Status.FINISHED
    (alarm,) = rig.alarms("laboratory")
    assert alarm == "target ZnFe2O4 died and is begun again: RuntimeError: disk is full"
    rig.assert_nothing_leaks()
    rig.assert_books_match_matter()
    rig.assert_each_act_once()


async def test_a_watch_that_dies_watches_on(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = rig.laboratory.gateway.furnaces
    monkeypatch.setattr(watch, "_rests", Breaks(watch._rests, 1))
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await rig.finish("c")
    (alarm,) = rig.alarms("laboratory")
    assert "died and is begun again: RuntimeError" in alarm
    assert not any(duty.done() for duty in rig.runtime._duties)


async def test_a_dispatcher_that_dies_fills_on(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await rig.until(lambda: rig.status(SAMPLE) == Status.PREPARING)
    monkeypatch.setattr("flows.firing.next_batch", Breaks(flows.firing.next_batch, 1))
    await rig.until(lambda: rig.status(SAMPLE) == Status.RECOVERED)
    (alarm,) = rig.alarms("laboratory")
    assert alarm.startswith("dispatch died and is begun again: RuntimeError")
    assert len(rig.firings()) == 1
