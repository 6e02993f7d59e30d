"""Models retrained on verified energies."""

import json
import lzma
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alab.errors import BadInput
from planners.stability.crystals import Crystal
from planners.stability.flywheel.description import contrasts, describe
from planners.stability.flywheel.kernel_model import KernelRetrainer
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


def compounds() -> list[Evidence]:
    """Cells of a bounded space, with the Materials Project's energies."""
    path = DATA / "discovery" / "mp20bt.jsonl.xz"
    if not path.exists():
        pytest.skip(f"no {path}; set ALAB_DATA to the data folder")
    with lzma.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [
        Evidence(
            relaxed=Crystal(
                lattice_ang=tuple(map(tuple, row["lat"])),
                elements=tuple(row["el"]),
                fractional=tuple(map(tuple, row["frac"])),
            ),
            formation_energy_ev_per_atom=row["ef"],
        )
        for row in rows
        if len(row["el"]) <= 10 and SPACE.issuperset(row["el"])
    ]


def test_the_kernel_predicts_what_it_has_not_seen() -> None:
    known = compounds()
    order = np.random.default_rng(0).permutation(len(known))
    learnt, hidden = ([known[i] for i in part] for part in (order[48:], order[:48]))
    trained = KernelRetrainer().train(learnt, seed=0)
    truth = np.array([e.formation_energy_ev_per_atom for e in hidden])
    said = trained.predictor.predict([e.relaxed for e in hidden])
    mean = np.mean([e.formation_energy_ev_per_atom for e in learnt])
    assert np.abs(said.median_ev_per_atom - truth).mean() < 0.6 * np.abs(mean - truth).mean()
    assert said.members_ev_per_atom.shape == (10, 48)
    assert (said.interquartile_ev_per_atom > 0).all()


def test_the_kernel_learns_what_a_candidate_relaxes_to(alloys: list[Evidence]) -> None:
    trained = KernelRetrainer().train(alloys, seed=0)
    truth = np.array([e.formation_energy_ev_per_atom for e in alloys])
    said = trained.predictor.predict([e.asked for e in alloys if e.asked])
    assert np.abs(said.median_ev_per_atom - truth).mean() < 0.02


def test_training_depends_on_energies_and_seed_alone(alloys: list[Evidence]) -> None:
    trainer = KernelRetrainer(members=3)
    digest = trainer.train(alloys, seed=1).digest
    assert trainer.train(alloys, seed=1).digest == digest
    assert trainer.train(alloys, seed=2).digest != digest
    assert trainer.train(alloys[:-1], seed=1).digest != digest


def test_a_description_does_not_depend_on_the_choice_of_cell() -> None:
    one = l12("Au", "Cu")
    a, b, c = np.array(one.lattice_ang)
    moved = [(x + 0.13, y + 0.4, z - 0.2) for x, y, z in one.fractional]
    doubled = Crystal(
        lattice_ang=(tuple(2 * a), tuple(b), tuple(c)),
        elements=one.elements * 2,
        fractional=tuple((x / 2 + shift, y, z) for shift in (0.0, 0.5) for x, y, z in moved),
    )
    np.testing.assert_allclose(describe(doubled), describe(one), atol=1e-5)


def test_far_from_what_was_verified_the_base_speaks_alone(alloys: list[Evidence]) -> None:
    base = KernelRetrainer(members=2).train(alloys, seed=0).predictor
    shifted = [
        replace(e, formation_energy_ev_per_atom=e.formation_energy_ev_per_atom + 0.3)
        for e in alloys
        if "Pt" not in e.relaxed.elements
    ]
    corrected = KernelRetrainer(members=2, base=base, base_name="base").train(shifted, seed=0)
    near, far = shifted[0].relaxed, l12("Cs", "F", 7.0)
    change = [
        corrected.predictor.predict([c]).median_ev_per_atom
        - base.predict([c]).median_ev_per_atom
        for c in (near, far)
    ]
    assert change[0] == pytest.approx(0.3, abs=0.1)
    assert change[1] == pytest.approx(0.0, abs=0.05)


def test_members_of_the_base_are_taken_in_turn(alloys: list[Evidence]) -> None:
    base = KernelRetrainer(members=2).train(alloys, seed=0).predictor
    trained = KernelRetrainer(members=5, base=base, base_name="base").train(alloys, seed=1)
    assert trained.predictor.predict([alloys[0].relaxed]).members_ev_per_atom.shape == (5, 1)
    assert trained.digest != KernelRetrainer(members=5).train(alloys, seed=1).digest


def test_elements_do_not_mix_with_themselves() -> None:
    np.testing.assert_allclose(contrasts(l12("Cu", "Cu")), 0.0, atol=1e-12)
    assert contrasts(l12("Cu", "Al")).min() >= 0.0
    assert contrasts(l12("Cu", "Al")).max() > 0.1


def test_too_little_is_not_learnt_from(alloys: list[Evidence]) -> None:
    with pytest.raises(BadInput, match="9 energies are too few"):
        KernelRetrainer().train(alloys[:9], seed=0)


def test_nothing_asked_is_nothing_said(alloys: list[Evidence]) -> None:
    trained = KernelRetrainer(members=3).train(alloys, seed=0)
    assert trained.predictor.predict([]).members_ev_per_atom.shape == (3, 0)


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
