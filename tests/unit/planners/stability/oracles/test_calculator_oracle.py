"""A potential as an oracle: ASE's effective-medium theory, which needs no weights."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alab.errors import BadInput
from planners.stability.crystals import Crystal
from planners.stability.oracles.calculator_oracle import (
    CalculatorOracle,
    own_element_energies,
)
from planners.stability.oracles.formation import ElementEnergies, uncorrected
from planners.stability.oracles.oracle import Verified
from planners.stability.oracles.relaxation import USUAL
from planners.stability.oracles.remembered import RememberedOracle, key_of
from planners.stability.oracles.verified_lines import line_of, verified_of

pytest.importorskip("ase", reason="needs ase, which the discovery and oracle extras bring")
from ase.calculators.emt import EMT

METALS = {"Al": 4.05, "Cu": 3.61, "Ag": 4.09, "Au": 4.08, "Ni": 3.52, "Pd": 3.89, "Pt": 3.92}


def cubic(a_ang: float, sites: dict[tuple[float, float, float], str]) -> Crystal:
    return Crystal(
        lattice_ang=((a_ang, 0.0, 0.0), (0.0, a_ang, 0.0), (0.0, 0.0, a_ang)),
        elements=tuple(sites.values()),
        fractional=tuple(sites),
    )


def l12(corner: str, face: str, a_ang: float = 3.8) -> Crystal:
    faces = ((0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0))
    return cubic(a_ang, {(0.0, 0.0, 0.0): corner, **dict.fromkeys(faces, face)})


@pytest.fixture(scope="module")
def oracle() -> CalculatorOracle:
    fcc = {symbol: l12(symbol, symbol, a) for symbol, a in METALS.items()}
    elements = own_element_energies(EMT(), fcc, source="fcc by EMT")
    return CalculatorOracle(
        name="EMT",
        calculator=EMT(),
        weights_digest="ase",
        elements=elements,
        correction=uncorrected,
        limits=USUAL,
        known=frozenset({13, 28, 29, 46, 47, 78, 79}),
    )


def test_relaxes_to_the_minimum_of_the_energy_curve(oracle: CalculatorOracle) -> None:
    (found,) = oracle.relax([l12("Au", "Cu", 4.1)])
    assert found.relaxed is not None
    a_ang = found.relaxed.lattice_ang[0][0]
    energies = []
    for scale in (0.995, 1.0, 1.005):
        atoms = ASE(l12("Au", "Cu", a_ang * scale))
        energies.append(atoms.get_potential_energy())
    assert energies[1] == min(energies)
    assert found.converged
    assert 0 < found.steps <= USUAL.steps


def test_the_energy_is_counted_from_the_elements(oracle: CalculatorOracle) -> None:
    (found,) = oracle.relax([l12("Au", "Cu")])
    assert found.relaxed is not None
    total_ev = ASE(found.relaxed).get_potential_energy()
    zero_ev = sum(
        ASE(l12(s, s, METALS[s])).get_potential_energy() / 4 * n
        for s, n in (("Au", 1), ("Cu", 3))
    )
    # the elements are relaxed too, so that the lattice constants above are close, not equal
    assert found.formation_energy_ev_per_atom == pytest.approx(
        (total_ev - zero_ev) / 4, abs=0.01
    )
    (element,) = oracle.relax([l12("Pt", "Pt", 4.0)])
    assert element.formation_energy_ev_per_atom == pytest.approx(0.0, abs=1e-3)


def ASE(crystal: Crystal):  # noqa: N802
    from ase import Atoms

    return Atoms(
        list(crystal.elements),
        cell=np.array(crystal.lattice_ang),
        scaled_positions=np.array(crystal.fractional),
        pbc=True,
        calculator=EMT(),
    )


def test_a_correction_is_added_once(oracle: CalculatorOracle) -> None:
    shifted = replace(oracle, correction=lambda _, __: -1.0)
    (plain,), (corrected,) = oracle.relax([l12("Ag", "Pd")]), shifted.relax([l12("Ag", "Pd")])
    assert plain.formation_energy_ev_per_atom is not None
    assert corrected.formation_energy_ev_per_atom == pytest.approx(
        plain.formation_energy_ev_per_atom - 0.25
    )


def test_few_steps_are_reported_as_not_converged(oracle: CalculatorOracle) -> None:
    hasty = replace(oracle, limits=replace(USUAL, steps=1))
    (found,) = hasty.relax([l12("Au", "Cu", 4.3)])
    assert not found.converged
    assert found.steps == 1
    assert found.formation_energy_ev_per_atom is not None


def test_what_cannot_be_verified_is_refused_with_the_reason(oracle: CalculatorOracle) -> None:
    crystals = [
        l12("Na", "Cl", 5.6),
        l12("Au", "Cu", 0.6),
        l12("Au", "Cu", 4.2),
        l12("Al", "Ni", 3.6),
    ]
    found = oracle.relax(crystals)
    assert [bool(v.refused) for v in found] == [True, True, False, False]
    assert "Cl, Na" in found[0].refused
    assert "Å apart" in found[1].refused
    assert all(v.formation_energy_ev_per_atom is None for v in found if v.refused)


def test_elements_outside_the_training_are_named(oracle: CalculatorOracle) -> None:
    narrow = replace(oracle, known=frozenset({29}))
    (found,) = narrow.relax([l12("Au", "Cu")])
    assert "not trained on Au" in found.refused


def test_what_swells_beyond_belief_is_refused(oracle: CalculatorOracle) -> None:
    strict = replace(oracle, limits=replace(USUAL, volume_ratio=1.05))
    (found,) = strict.relax([l12("Au", "Cu", 4.3)])
    assert "beyond a factor of 1.05" in found.refused


def test_everything_that_decides_an_answer_changes_the_digest(
    oracle: CalculatorOracle,
) -> None:
    shifted = ElementEnergies(
        ev_per_atom={**oracle.elements.ev_per_atom, "Al": 0.5}, source="elsewhere"
    )
    others = [
        replace(oracle, weights_digest="other"),
        replace(oracle, elements=shifted),
        replace(oracle, limits=replace(USUAL, steps=7)),
        replace(oracle, correction=abs),  # any other function
    ]
    assert len({oracle.digest, *(o.digest for o in others)}) == 5


def test_reference_structures_are_of_their_element() -> None:
    with pytest.raises(BadInput, match="structure of Cu holds Au, Cu"):
        own_element_energies(EMT(), {"Cu": l12("Au", "Cu")}, source="mixed")


def test_an_answer_is_remembered_across_processes(
    oracle: CalculatorOracle, tmp_path: Path
) -> None:
    path = tmp_path / "answers.jsonl"
    first = RememberedOracle(oracle, path)
    said = first.relax([l12("Au", "Cu"), l12("Na", "Cl"), l12("Au", "Cu")])
    assert first.asked == 2
    again = RememberedOracle(oracle, path)
    assert again.relax([l12("Na", "Cl"), l12("Au", "Cu")]) == [said[1], said[0]]
    assert again.asked == 0
    other = RememberedOracle(replace(oracle, weights_digest="other"), path)
    other.relax([l12("Au", "Cu")])
    assert other.asked == 1


def test_a_cut_line_is_computed_again(oracle: CalculatorOracle, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    RememberedOracle(oracle, path).relax([l12("Au", "Cu"), l12("Ag", "Cu")])
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    again = RememberedOracle(oracle, path)
    again.relax([l12("Au", "Cu"), l12("Ag", "Cu")])
    assert again.asked == 1
    assert path.read_bytes() == content


def test_a_line_that_was_changed_is_named(oracle: CalculatorOracle, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps({"key": "x"}) + "\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"answers.jsonl, line 1"):
        RememberedOracle(oracle, path)


def test_lines_keep_every_digit(oracle: CalculatorOracle) -> None:
    crystal = l12("Au", "Cu", 4.0)
    (found,) = oracle.relax([crystal])
    key = key_of(oracle, crystal)
    assert verified_of(line_of(key, found), "here") == (key, found)


def test_an_answer_has_an_energy_or_a_reason() -> None:
    with pytest.raises(ValueError, match="energy or a reason"):
        Verified(asked=l12("Au", "Cu"))
    with pytest.raises(ValueError, match="energy or a reason"):
        Verified(
            asked=l12("Au", "Cu"),
            relaxed=l12("Au", "Cu"),
            formation_energy_ev_per_atom=0.0,
            refused="why",
        )
