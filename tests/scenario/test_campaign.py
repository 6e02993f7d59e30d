"""A campaign from its targets to its end, and what is left behind."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from alab.life import Status
from alab.store.tables import AttemptRow, DoseRow, FiringRow, ReadingRow, SampleRow
from flows.server import PrefectServer
from tests.scenario.rig import Rig, recipe_of


async def test_two_targets_are_made_and_everything_is_written_down(
    rig: Rig, prefect_server: PrefectServer
) -> None:
    began_at = datetime.now(UTC)
    await rig.campaign("c", {"ZnFe2O4": None, "LiMn2O4": None}, max_attempts=4)
    await rig.finish("c")

    assert rig.target("ZnFe2O4").status == "made", rig.account()
    assert rig.target("LiMn2O4").status == "made", rig.account()
    samples = rig.rows(SampleRow)
    assert {row.status for row in samples} == {Status.FINISHED}
    assert all(rig.where(row.name)[0].startswith("archive.") for row in samples)
    rig.assert_nothing_leaks()
    rig.assert_books_match_matter()
    rig.assert_each_act_once()
    for attempt in rig.rows(AttemptRow):
        assert attempt.outcome is not None
        assert attempt.decision is not None
        assert attempt.scan is not None
        assert attempt.analysis is not None
    for firing in rig.rows(FiringRow):
        curve = [
            r.temperature_c
            for r in rig.rows(ReadingRow, device=firing.furnace)
            if firing.heated_from <= r.at <= firing.ended_at
        ]
        hottest_c = max(s["temperature_c"] for s in firing.profile["segments"])
        assert max(curve) == pytest.approx(hottest_c, abs=20)
        assert curve[0] < 60 < 180 < max(curve)
        assert curve[-1] <= 210
    for dose in rig.rows(DoseRow):
        assert dose.dosed_mg == pytest.approx(dose.wanted_mg, rel=0.05, abs=1.0)

    seen = await _prefect(prefect_server, began_at)
    assert {"campaign c", samples[0].name, "firing 1"} <= set(seen["flows"])
    assert set(seen["flows"].values()) == {"COMPLETED"}
    assert {f"prepare {samples[0].name}", "load", "heat", "recover"} <= set(seen["tasks"])
    kinds = {key.split("-")[0] for key in seen["artifacts"]}
    assert {"recipe", "heating", "outcome", "pattern", "decision"} <= kinds


async def test_the_same_seed_gives_the_same_campaign(make_rig: Callable[..., Rig]) -> None:
    logs = []
    for _ in range(2):
        rig = make_rig()
        await rig.live()
        await rig.campaign("c", {"LiMn2O4": None, "ZnFe2O4": None}, max_attempts=2)
        await rig.finish("c")
        readings = [(str(r.at), r.device, str(r.temperature_c)) for r in rig.rows(ReadingRow)]
        doses = [(d.sample, d.formula, str(d.dosed_mg)) for d in rig.rows(DoseRow)]
        logs.append([*rig.log(), *doses, *readings])
        await rig.stop()
    first, second = logs
    assert len(first) > 20
    for one, other in zip(first, second, strict=True):
        assert one == other


async def test_a_target_that_the_shelf_cannot_make_is_given_up_alone(rig: Rig) -> None:
    quick = recipe_of("ZnFe2O4", {"ZnO": 80.0, "Fe2O3": 160.0})
    await rig.campaign("c", {"CaTiO3": None, "ZnFe2O4": quick})
    await rig.finish("c")
    impossible = rig.target("CaTiO3")
    assert impossible.status == "given_up"
    assert "Ca" in impossible.reason
    assert rig.status("c-ZnFe2O4-1") == Status.FINISHED
    assert not rig.rows(SampleRow, target="CaTiO3")
    rig.assert_nothing_leaks()


async def test_samples_of_two_campaigns_share_a_firing(rig: Rig) -> None:
    """A third, that wants another temperature, goes alone and waits for nobody."""
    await rig.campaign("a", {"ZnFe2O4": recipe_of("ZnFe2O4", {"ZnO": 50.0})})
    await rig.campaign("b", {"MgFe2O4": recipe_of("MgFe2O4", {"MgO": 50.0})})
    other = recipe_of("Mn2O3", {"Mn2O3": 50.0}, temperature_c=300.0)
    await rig.campaign("c", {"Mn2O3": other})
    await rig.finish("a", "b", "c")
    batches = sorted(sorted(row.slots) for row in rig.rows(FiringRow))
    assert batches == [["a-ZnFe2O4-1", "b-MgFe2O4-1"], ["c-Mn2O3-1"]]
    alone = next(row for row in rig.rows(FiringRow) if len(row.slots) == 1)
    prepared = [at for at, name, text in rig.log() if (name, text) == ("c-Mn2O3-1", "prepared")]
    assert prepared == [str(alone.created_at)]
    rig.assert_nothing_leaks()
    rig.assert_each_act_once()


async def _prefect(server: PrefectServer, since: datetime) -> dict[str, Any]:
    """What the server knows of runs that began after a moment of wall time."""
    after = {"start_time": {"after_": since.isoformat()}}
    async with httpx.AsyncClient(base_url=f"{server.url}/api") as client:
        flows = (await client.post("/flow_runs/filter", json={"flow_runs": after})).json()
        tasks = (await client.post("/task_runs/filter", json={"task_runs": after})).json()
        artifacts = (await client.post("/artifacts/filter", json={})).json()
    return {
        "flows": {run["name"]: run["state"]["type"] for run in flows},
        "tasks": [run["name"] for run in tasks],
        "artifacts": [artifact["key"] for artifact in artifacts],
    }
