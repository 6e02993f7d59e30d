"""What the laboratory hands to the analysis, and what that makes of like patterns."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from alab.store.tables import AttemptRow, DoseRow
from analysis.diffraction.analyze import analyze
from analysis.diffraction.library import default_cifs
from analysis.diffraction.pattern import parse_pattern
from analysis.diffraction.result import Analysis
from simulators.world.diffraction import scan
from simulators.world.matter import Powder
from simulators.world.world import World
from tests.scenario.conftest import SMALL
from tests.scenario.rig import Rig


async def test_cobalt_ferrite_is_made_and_judged_by_what_was_weighed(
    make_rig: Callable[..., Rig],
) -> None:
    """Magnetite has the lines of CoFe2O4, but would leave the weighed cobalt nowhere."""
    rig = make_rig(f"{SMALL}Co3O4 = {{ mass_g = 50, head = 6 }}\n")
    await rig.live()
    asked: list[dict[str, Any]] = []
    found: list[Analysis] = []

    def listening(pattern: Any, **words: Any) -> Analysis:
        asked.append(words)
        found.append(analyze(pattern, **words))
        return found[-1]

    with patch("flows.characterisation.analyze", listening):
        await rig.campaign("c", {"CoFe2O4": None}, max_attempts=4)
        await rig.finish("c")

    assert rig.target("CoFe2O4").status == "made", rig.account()
    assert len(asked) == len(rig.rows(AttemptRow))
    weighed = {
        f"{dose.formula}:{dose.dosed_mg:.4f}" for dose in rig.rows(DoseRow) if dose.dosed_mg
    }
    for words in asked:
        assert len(words["precursors"]) == 2
        assert set(words["precursors"]) <= weighed
    assert "CoFe2O4" in [phase.formula for phase in found[-1].outcome.phases]


def test_the_mass_balance_tells_two_spinels_apart() -> None:
    """Among oxides that overlap them, the lines alone leave the two spinels even."""
    powder = Powder()
    for formula, mass_mg in (("CoFe2O4", 200.0), ("Fe2O3", 60.0), ("Co3O4", 40.0)):
        powder.add(formula, mass_mg)
    world = World(11, lambda: 0.0, cifs=default_cifs())
    at = datetime(2026, 1, 5, tzinfo=UTC)
    content = scan(world, powder, sample="cofe", program="alab_8min", started_at=at)
    pattern = parse_pattern(content, "cofe.xrdml")

    def probability(*precursors: str) -> float:
        words = {"elements": ["Co", "Fe", "O"], "target": "CoFe2O4"}
        outcome = analyze(pattern, precursors=precursors, **words).outcome
        return {p.formula: p.probability for p in outcome.phases}.get("CoFe2O4", 0.0)

    by_lines = probability()
    weighed = probability("Co3O4:96", "Fe2O3:166")
    assert by_lines < 0.9
    assert weighed > 0.95
