import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from analysis.diffraction.crystal import Crystal, crystal_of
from analysis.diffraction.library import embedded
from analysis.diffraction.parent import Parent, disordered_parents, mixing_cations
from analysis.diffraction.structure_factors import Reflections, squared_structure_factors


def reference(stem: str) -> Crystal:
    return next(one for one in embedded() if one.stem == stem).crystal()


def lithium_ferrite() -> Crystal:
    """γ-LiFeO2, rock salt with Li and Fe in order (Cox, Shannon et al., 1963)."""
    structure = Structure.from_spacegroup(
        "I4_1/amd",
        Lattice.tetragonal(4.057, 8.759),
        ["Fe", "Li", "O"],
        [[0, 0, 0], [0, 0, 0.5], [0, 0, 0.24]],
    )
    return crystal_of(structure, stem="LiFeO2")


def only_parent(crystal: Crystal) -> Parent:
    (parent,) = disordered_parents(crystal)
    return parent


@pytest.mark.parametrize(
    ("formula", "groups"),
    [
        ("MgTiO3", [{"Mg", "Ti"}]),
        ("Ba2ZrSnO6", [{"Zr", "Sn"}]),
        ("KNaTi2(PO5)2", [{"K", "Na"}]),
        ("Zr2Sb2Pb4O13", [{"Zr", "Sb"}]),
        ("LiFeO2", [{"Li", "Fe"}]),
        ("InSb3Pb4O13", [{"In", "Sb"}]),
        ("Mg3MnNi3O8", [{"Mn", "Ni"}, {"Ni", "Mg"}, {"Mg", "Mn", "Ni"}]),
        ("Na3Ca18Fe(PO4)14", [{"Na", "Ca"}]),
        ("Ca5P3HO13", []),
        ("C14H10", []),
        ("Fe", []),
        ("BaTiO3", []),
        ("LiCoO2", [{"Li", "Co"}]),
        ("ZrSiO4", []),
        ("YPO4", []),
        ("TiO2", []),
    ],
)
def test_cations_that_mix(formula: str, groups: list[set[str]]) -> None:
    assert [set(group) for group in mixing_cations(formula)] == groups


@pytest.mark.parametrize("metal", ["Mg", "Ni"])
def test_the_parent_of_ilmenite_is_corundum(metal: str) -> None:
    ordered = reference(f"{metal}TiO3_148")
    parent = only_parent(ordered)
    assert parent.crystal.number == 167
    assert parent.crystal.cell == pytest.approx(ordered.cell, abs=0.01)
    assert parent.crystal.density_g_per_cm3 == pytest.approx(
        ordered.density_g_per_cm3, rel=1e-4
    )
    held = np.array([element in (metal, "Ti") for element in parent.crystal.elements])
    assert parent.crystal.occupancies[held] == pytest.approx(0.5)
    assert set(parent.mixed) == {tuple(sorted((metal, "Ti")))}
    assert f"{metal}/Ti mixed" in parent.words


def test_the_parent_of_lithium_ferrite_is_rock_salt() -> None:
    parent = only_parent(lithium_ferrite())
    assert len(parent.crystal.elements) in (6, 12)  # tetragonal or cubic rock salt
    assert parent.crystal.number in (139, 225)


def test_order_alone_makes_the_superlattice_lines() -> None:
    """Ilmenite 003 and 101 are forbidden by the glide plane of corundum; 104 is not."""
    ordered = reference("MgTiO3_148")
    parent = only_parent(ordered)
    hkl = np.array([[0, 0, 3], [1, 0, 1], [1, 0, 4], [0, 1, 2]], dtype=np.int16)
    inverse_d2 = np.full(4, 0.1)
    ordered_f2, average_f2 = squared_structure_factors(
        [Reflections(one, hkl, inverse_d2) for one in (ordered, parent.average)], 1.5406
    )
    assert np.all(ordered_f2 > 1)
    assert np.all(average_f2[:2] < 1e-6)
    assert np.all(average_f2[2:] > 10)


@pytest.mark.parametrize(
    "stem", ["BaTiO3_99", "MgAl2O4_227", "LiFeO2_225", "CoFe2O4_227", "YPO4_141", "TiO2_136"]
)
def test_no_parent_where_nothing_is_ordered_that_could_mix(stem: str) -> None:
    assert disordered_parents(reference(stem)) == []


def test_each_two_cations_have_a_parent_of_their_own() -> None:
    """Mg, Ni and Ti in layers of an ilmenite: each order is to be proven by itself."""
    lattice = Lattice.hexagonal(5.04, 13.85)
    ordered = Structure.from_spacegroup(
        "R3",
        lattice,
        ["Mg", "Ni", "Ti", "Ti", "O", "O"],
        [
            [0, 0, 0.355],
            [0, 0, 0.645],
            [0, 0, 0.145],
            [0, 0, 0.855],
            [0.317, 0.021, 0.246],
            [0.683, 0.979, 0.754],
        ],
    )
    parents = disordered_parents(crystal_of(ordered, stem="MgNiTi2O6"))
    assert [set(parent.mixed) for parent in parents] == [
        {("Mg", "Ni")},
        {("Mg", "Ni", "Ti")},
    ]
    assert [parent.crystal.number for parent in parents] == [148, 167]
    assert len({parent.crystal.stem for parent in parents}) == 2
