import sys

import numpy as np
import pytest
import spglib.error
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from alab.errors import BadInput
from planners.stability.random_search import cells
from planners.stability.random_search.search import (
    NoStructureError,
    Rejection,
    Sensible,
    random_structures,
    random_structures_of,
)
from planners.stability.random_search.separations import volume_ang3

spglib.error.OLD_ERROR_HANDLING = False  # raise; the old way warns at every call

PLAIN = Sensible(symmetric_share=0.0, most_formula_units=2)
needs_pyxtal = pytest.fixture(lambda: pytest.importorskip("pyxtal", reason="no pyxtal"))


def test_structures_are_what_they_say() -> None:
    found = random_structures("TiO2", 12, seed=3, sensible=PLAIN)
    assert len(found) == 12
    assert {one.formula_units for one in found} == {1, 2}
    for one in found:
        structure = one.crystal.structure()
        assert structure.composition.as_dict() == {
            "Ti": one.formula_units,
            "O": 2 * one.formula_units,
        }
        estimate = volume_ang3(structure.composition.as_dict())
        assert structure.volume / estimate == pytest.approx(one.volume_factor)
        assert 0.4 <= one.volume_factor <= 1.2
        assert one.smallest_ratio >= PLAIN.least_ratio
        assert one.space_group == 1
        assert structure.get_neighbor_list(1.0)[3].size == 0


def test_the_same_alone_in_company_and_in_part() -> None:
    alone = random_structures("NaCl", 8, seed=5, sensible=PLAIN)
    company = random_structures_of(["CaF2", "Na2Cl2", "NaCl"], 12, seed=5, sensible=PLAIN)
    assert list(company) == ["CaF2", "NaCl"]
    assert alone == list(company["NaCl"].structures)[:8]
    other = random_structures("NaCl", 8, seed=6, sensible=PLAIN)
    assert {one.crystal for one in other}.isdisjoint(one.crystal for one in alone)


def test_all_attempts_are_counted() -> None:
    tight = Sensible(symmetric_share=0.0, volume_factors=(0.5, 0.6), tries_each=2)
    found = random_structures_of(["BaTiO3", "MgO"], 10, sensible=tight)
    for one in found.values():
        assert len(one.structures) + sum(one.rejected.values()) == one.tries
        assert one.tries == 20 or not one.missing
    assert found["BaTiO3"].missing > 0
    assert found["BaTiO3"].rejected[Rejection.TOO_NEAR] > 0


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    random_structures_of(
        ["NaCl", "MgO"], 4, sensible=PLAIN, progress=lambda *now: told.append(now)
    )
    assert told[-1] == (2, 2)


def test_nothing_sensible() -> None:
    crushed = Sensible(symmetric_share=0.0, volume_factors=(0.05, 0.1), tries_each=3)
    with pytest.raises(NoStructureError, match="none of 9 random structures"):
        random_structures("NaCl", 3, sensible=crushed)


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("", "empty formula|no chemical formula"),
        ("NaQx", "no chemical formula|no element"),
        ("XeF2", "Xe has no atomic radius"),
        ("Li0.5CoO2", "whole numbers"),
        ("Ca10P6O26H2", "44 atoms|22 atoms"),
    ],
)
def test_formulas_that_cannot_be_used(formula: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        random_structures(formula, 2, sensible=Sensible(symmetric_share=0.0, most_atoms=20))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"most_atoms": 41}, "most_atoms is 41; give 1 to 40"),
        ({"volume_factors": (1.2, 0.4)}, "volume_factors"),
        ({"symmetric_share": 1.5}, "symmetric_share is 1.5"),
        ({"least_ratio": 0.0}, "least_ratio"),
        ({"tries_each": 0}, "tries_each"),
    ],
)
def test_rules_out_of_bounds(changes: dict, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        Sensible(**changes)


def test_counts_out_of_bounds() -> None:
    with pytest.raises(BadInput, match="0 structures"):
        random_structures("NaCl", 0)


@pytest.mark.usefixtures("needs_pyxtal")
def test_symmetry_is_kept() -> None:
    """The order of the group found is a multiple of that of the group drawn."""
    sensible = Sensible(symmetric_share=1.0, most_formula_units=2, tries_each=30)
    before = np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002 - nothing may touch it
    found = random_structures("NaCl", 25, seed=1, sensible=sensible)
    assert (np.random.get_state(legacy=False)["state"]["key"] == before).all()  # noqa: NPY002
    groups = {one.space_group for one in found}
    assert len(groups) > 8
    assert max(groups) > 142
    for one in found:
        structure = one.crystal.structure()
        order = len(SpacegroupAnalyzer(structure, symprec=1e-7).get_space_group_operations())
        drawn = len(cells._operations(one.space_group)[0])
        assert order % drawn == 0


@pytest.mark.usefixtures("needs_pyxtal")
def test_projectors_of_every_centring() -> None:
    random = np.random.default_rng(2)
    apart = dict.fromkeys((("A", "A"),), 0.5)
    for space_group in (5, 38, 62, 99, 141, 148, 166, 194, 216, 225, 230):
        atoms = [("A", len(cells._operations(space_group)[0]))]
        cell = cells.symmetric_cell(atoms, space_group, 4000.0, apart, random)
        assert cell is not None
        p = cell.projector
        assert p @ p == pytest.approx(p, abs=1e-9)
        assert p == pytest.approx(p.T, abs=1e-9)
        assert abs(np.linalg.det(cell.lattice_ang)) == pytest.approx(4000.0, rel=1e-6)


def test_without_pyxtal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyxtal.symmetry", None)
    cells._group.cache_clear()
    cells.possible_space_groups.cache_clear()
    with pytest.raises(cells.MissingPyxtalError, match="pip install"):
        random_structures("NaCl", 3, sensible=Sensible(symmetric_share=1.0))
    assert random_structures("NaCl", 3, sensible=PLAIN)
