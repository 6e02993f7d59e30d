"""Models retrained on verified energies."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from planners.stability.flywheel.parts import Evidence
from planners.stability.flywheel.retraining import GraphRetrainer, examples_of_evidence
from planners.stability.models.batching import Budget
from planners.stability.models.structure_model import Architecture
from planners.stability.models.structure_training import Plan
from planners.stability.oracles.calculator_oracle import CalculatorOracle
from tests.unit.planners.stability.flywheel.conftest import METALS, l12

DATA = Path(os.environ.get("ALAB_DATA", Path(__file__).parents[6] / "shared" / "data"))
SPACE = frozenset(
    ("Li", "Na", "K", "Ca", "Sr", "Ba", "Zn", "Cd", "Si", "Ge", "Sn", "P", "As", "Sb")
)
SMALL = Architecture(width=8, layers=1, gaussians=8, directions=2)
SHORT = Plan(epochs=20, warm_steps=2, room=Budget(nodes=100, edges=2500, graphs=20))


@pytest.fixture(scope="module")
def alloys(oracle: CalculatorOracle) -> list[Evidence]:
    crystals = [l12(a, b) for a in METALS for b in METALS]
    found = oracle.relax(crystals)
    return [
        Evidence(
            relaxed=v.relaxed,
            formation_energy_ev_per_atom=v.formation_energy_ev_per_atom,
            asked=v.asked,
        )
        for v in found
        if v.relaxed is not None and v.formation_energy_ev_per_atom is not None
    ]


def test_candidates_stand_beside_what_they_relaxed_to(alloys: list[Evidence]) -> None:
    first = Evidence(relaxed=alloys[0].relaxed, formation_energy_ev_per_atom=-1.0)
    examples = examples_of_evidence([first, alloys[1]], cutoff_ang=4.0)
    energy = alloys[1].formation_energy_ev_per_atom
    np.testing.assert_allclose(examples.energies_ev_per_atom, [-1.0, energy, energy])
    assert len(examples.graphs) == 3


def test_graph_networks_are_retrained_from_nothing_and_from_an_ensemble(
    alloys: list[Evidence],
) -> None:
    pytest.importorskip("optax", reason="training needs the discovery extra")
    new = GraphRetrainer(architecture=SMALL, plan=SHORT, members=1)
    trained = new.train(alloys[:12], seed=0)
    assert trained.digest == new.train(alloys[:12], seed=0).digest
    begin = trained.predictor
    further = GraphRetrainer(plan=SHORT, begin=begin)  # type: ignore[arg-type]
    assert "from" in further.name
    assert further.name != new.name
    later = further.train(alloys[:12], seed=0)
    assert later.digest != trained.digest
    crystals = [e.relaxed for e in alloys[:12]]
    truth = np.array([e.formation_energy_ev_per_atom for e in alloys[:12]])
    errors = [
        np.abs(t.predictor.predict(crystals).median_ev_per_atom - truth).mean()
        for t in (trained, later)
    ]
    assert errors[1] < errors[0]


def test_an_ensemble_learns_from_candidates_alone(alloys: list[Evidence]) -> None:
    pytest.importorskip("optax", reason="training needs the discovery extra")
    begin = GraphRetrainer(architecture=SMALL, plan=SHORT, members=2).train(alloys[:12], seed=0)
    further = GraphRetrainer(plan=SHORT, begin=begin.predictor)  # type: ignore[arg-type]
    known = [replace(e, asked=None) for e in alloys[12:]]
    assert further.train(known, seed=1).digest == begin.digest
    once = further.train(alloys[:12], seed=1)
    assert once.digest == further.train([*known, *alloys[:12]], seed=1).digest
    assert once.digest != begin.digest
