"""Powders that cannot be weighed in: a sample weighed wrongly is never fired."""

import pytest

from alab.life import Status
from alab.models import Weighing
from alab.protocols import Doser
from alab.store.tables import DoseRow, FiringRow
from tests.scenario.rig import Rig, recipe_of

SAMPLE = "c-ZnFe2O4-1"
RECIPE = recipe_of("ZnFe2O4", {"ZnO": 600.0})


def _doser(rig: Rig) -> Doser:
    device = rig.laboratory.gateway.device("doser")
    assert isinstance(device, Doser)
    return device


async def _let_go_wrong(rig: Rig) -> None:
    """Until the sample is lost, the doser is kept out of use, and a person is told why."""
    await rig.until(lambda: rig.status(SAMPLE) in (Status.PREPARED, Status.FAILED))
    assert rig.status(SAMPLE) == Status.FAILED
    assert rig.device("doser") == "quarantined"
    await rig.until(lambda: rig.clock.stands_still)
    (question,) = rig.questions(SAMPLE)
    assert "doser_pan" in question.text
    assert not rig.rows(FiringRow)
    assert rig.status("c-ZnFe2O4-2") == Status.QUEUED, "the next one waits for the doser"


def _let_the_head_give(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, share: float, least_mg: float
) -> None:
    """The head gives a share of what is asked, and says that all is well."""
    start = _doser(rig).start_dose

    async def little(*, mass_mg: float, tolerance_percent: float) -> None:
        del tolerance_percent
        await start(mass_mg=max(least_mg, share * mass_mg), tolerance_percent=1.0)

    monkeypatch.setattr(_doser(rig), "start_dose", little)


async def test_a_head_that_gives_too_little_loses_the_sample(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    _let_the_head_give(rig, monkeypatch, 0.05, 5.0)
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await _let_go_wrong(rig)
    assert len(rig.intents(command="dose")) == 4
    (alarm,) = rig.alarms("doser")
    assert "of 600 mg ZnO are missing" in alarm
    assert "head 5 is empty or blocked" in alarm


async def test_much_of_a_small_dose_is_not_let_go_as_too_little_to_top_up(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    _let_the_head_give(rig, monkeypatch, 0.6, 5.0)
    await rig.campaign("c", {"ZnFe2O4": recipe_of("ZnFe2O4", {"ZnO": 10.0})})
    await _let_go_wrong(rig)
    assert len(rig.intents(command="dose")) == 1
    (alarm,) = rig.alarms("doser")
    assert "of 10 mg ZnO are missing" in alarm


@pytest.mark.parametrize("shift_mg", [-12_000.0, 4_000.0])
async def test_an_incredible_weighing_is_not_booked_on_the_sample_nor_topped_up(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, shift_mg: float
) -> None:
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await rig.until(lambda: rig.intent(f"{SAMPLE}/prepare/dose ZnO/0") == "running")
    weigh = _doser(rig).weigh

    async def shifted() -> Weighing:
        return Weighing(mass_mg=(await weigh()).mass_mg + shift_mg)

    monkeypatch.setattr(_doser(rig), "weigh", shifted)
    await _let_go_wrong(rig)
    assert len(rig.intents(command="dose")) == 1
    assert not rig.rows(DoseRow)
    assert rig.stock_mg("ZnO") == 50_000.0 - 600.0
    (alarm,) = rig.alarms("doser")
    assert "which cannot be" in alarm
    assert "600 mg were booked off the shelf" in alarm


async def test_a_head_with_another_powder_keeps_the_doser_out_of_use(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def other() -> str:
        return "MgO"

    monkeypatch.setattr(_doser(rig), "mounted_substance", other)
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await _let_go_wrong(rig)
    assert not rig.intents(command="dose")
    (alarm,) = rig.alarms("doser")
    assert "should hold ZnO, but says MgO" in alarm
