"""Firings that lose their link, their program, their furnace or their dashboard."""

import httpx
import pytest

from alab.errors import DeviceFault, DeviceUnreachable
from alab.life import Status
from alab.models import FurnaceMode, FurnaceReading
from alab.protocols import Furnace
from alab.store.tables import FiringRow
from flows import firing
from tests.scenario.rig import Rig, recipe_of

SAMPLE, NEXT = "c-ZnFe2O4-1", "c-ZnFe2O4-2"
RECIPE = recipe_of("ZnFe2O4", {"ZnO": 60.0})
LONG_DWELL = recipe_of("ZnFe2O4", {"ZnO": 60.0}, dwell_s=36_000.0)


def _furnace(rig: Rig) -> Furnace:
    device = rig.laboratory.gateway.device("furnace_a")
    assert isinstance(device, Furnace)
    return device


def _hotter(rig: Rig, temperature_c: float) -> bool:
    timed = rig.laboratory.gateway.furnaces.latest.get("furnace_a")
    heats = any(row.status == "heating" for row in rig.rows(FiringRow))
    return heats and timed is not None and timed.reading.temperature_c > temperature_c


def _lose_the_link(rig: Rig, monkeypatch: pytest.MonkeyPatch, for_s: float) -> None:
    """No reply comes from the furnace for a while."""
    back_s = rig.clock.monotonic_s() + for_s
    read = _furnace(rig).read

    async def silent() -> FurnaceReading:
        if rig.clock.monotonic_s() < back_s:
            raise DeviceUnreachable("furnace_a", "no valid reply within 1 s")
        return await read()

    monkeypatch.setattr(_furnace(rig), "read", silent)


def _assert_it_went_well(rig: Rig) -> None:
    assert rig.status(SAMPLE) == Status.FINISHED, rig.account()
    (row,) = rig.firings()
    assert (row.status, row.note) == ("finished", "")
    assert not rig.questions()
    assert rig.device("furnace_a") == "ready"
    rig.assert_nothing_leaks()
    rig.assert_each_act_once()


@pytest.mark.parametrize("from_c", [120.0, 245.0])
async def test_a_link_lost_for_an_hour_ends_in_a_finished_firing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, from_c: float
) -> None:
    """The end of the program is missed with it; the controller says that it came."""
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await rig.until(lambda: _hotter(rig, from_c))
    _lose_the_link(rig, monkeypatch, 3600.0)
    await rig.until(lambda: rig.device("furnace_a") == "offline")
    await rig.finish("c")
    _assert_it_went_well(rig)
    (alarm,) = [text for text in rig.alarms("furnace_a") if "firing 1" in text]
    assert "heating unwatched, without a reading for 10 min" in alarm


async def test_a_link_lost_while_cooling_is_waited_for(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await rig.until(lambda: any(row.status == "cooling" for row in rig.rows(FiringRow)))
    _lose_the_link(rig, monkeypatch, 3600.0)
    await rig.finish("c")
    _assert_it_went_well(rig)
    (alarm,) = [text for text in rig.alarms("furnace_a") if "firing 1" in text]
    assert "cooling unwatched" in alarm


async def test_a_laboratory_started_without_the_link_waits_for_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await rig.until(lambda: _hotter(rig, 120.0))
    await rig.reborn()
    _lose_the_link(rig, monkeypatch, 1800.0)
    await rig.finish("c")
    _assert_it_went_well(rig)


async def test_a_program_reset_at_the_panel_teaches_nobody(rig: Rig) -> None:
    await rig.campaign("c", {"ZnFe2O4": LONG_DWELL})
    await rig.until(lambda: _hotter(rig, 240.0))
    await rig.run(_furnace(rig).make_safe())
    await rig.until(lambda: rig.status(SAMPLE) in (Status.RECOVERED, Status.FAILED))
    (row,) = rig.firings()
    assert "of 600 min near 250 °C" in row.note
    (alarm,) = rig.alarms("furnace_a")
    assert "broken off" in alarm
    assert "its samples are lost" in alarm
    await rig.finish("c")
    assert rig.status(SAMPLE) == Status.FAILED
    assert rig.sample(SAMPLE).note == row.note
    assert rig.attempt(SAMPLE).outcome is None
    assert rig.where(SAMPLE) == ["archive.1"]
    assert not rig.questions()
    assert rig.status(NEXT) == Status.FINISHED, rig.account()
    assert rig.sample(NEXT).recipe == rig.sample(SAMPLE).recipe
    assert rig.attempt(NEXT).outcome is not None
    rig.assert_nothing_leaks()


@pytest.mark.parametrize("obeys", [True, False])
async def test_a_furnace_given_up_is_reset_and_its_heat_told(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, *, obeys: bool
) -> None:
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await rig.until(lambda: _hotter(rig, 150.0))
    read, furnace = _furnace(rig).read, _furnace(rig)
    faults = ["the thermocouple is of bad quality"]

    async def faulty() -> FurnaceReading:
        if faults:
            raise DeviceFault("furnace_a", faults.pop())
        return await read()

    async def deaf() -> None:
        raise DeviceUnreachable("furnace_a", "no valid reply within 1 s")

    monkeypatch.setattr(furnace, "read", faulty)
    if not obeys:
        monkeypatch.setattr(furnace, "make_safe", deaf)
    await rig.until(lambda: rig.questions(SAMPLE))
    (question,) = rig.questions(SAMPLE)
    assert question.text.startswith(f"{SAMPLE} is lost at chamber_a.1. furnace_a ")
    if obeys:
        assert "furnace_a is at 1" in question.text
        assert (await rig.run(read())).mode is FurnaceMode.IDLE
    else:
        assert "switch it off at its panel, and treat it as hot" in question.text
        assert rig.device("furnace_a") == "quarantined"
        assert any("could not be made safe" in text for text in rig.alarms("furnace_a"))


async def test_a_sample_goes_its_way_without_a_dashboard(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    missed: list[object] = []

    async def unreachable(*, key: str, **_: object) -> None:
        missed.append(key)
        raise httpx.ConnectError("All connection attempts failed")

    for artifact in (
        "preparation.acreate_table_artifact",
        "heating.acreate_image_artifact",
        "characterisation.acreate_markdown_artifact",
        "characterisation.acreate_image_artifact",
    ):
        monkeypatch.setattr(f"flows.{artifact}", unreachable)
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await rig.finish("c")
    _assert_it_went_well(rig)
    assert len(missed) == 4


async def test_a_firing_that_prefect_broke_off_is_taken_up_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    fire, failures = firing.fire, 2

    async def broken(number: int) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise httpx.ConnectError("All connection attempts failed")
        await fire(number)

    monkeypatch.setattr(firing, "fire", broken)
    await rig.campaign("c", {"ZnFe2O4": RECIPE})
    await rig.finish("c")
    _assert_it_went_well(rig)
    (alarm,) = rig.alarms("furnace_a")
    assert "firing 1 was broken off and is taken up again: ConnectError" in alarm
