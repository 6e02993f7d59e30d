import pytest
from pymatgen.core import Lattice, Structure

from planners.stability.candidates.parents import ParentError, read_parent

ROCK_SALT = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)
SPINEL = Structure.from_spacegroup(
    "Fd-3m:2",
    Lattice.cubic(8.08),
    ["Mg", "Al", "O"],
    [[0.125, 0.125, 0.125], [0.5, 0.5, 0.5], [0.2624, 0.2624, 0.2624]],
)


def test_orbits_of_spinel() -> None:
    parent = read_parent(SPINEL, number=3, name="spinel")
    assert parent.space_group == 227
    assert [(o.element, o.multiplicity, o.site_symmetry) for o in parent.orbits] == [
        ("Mg", 8, "-43m"),
        ("Al", 16, ".-3m"),
        ("O", 32, ".3m"),
    ]
    assert parent.elements == ("O", "Mg", "Al")
    assert len(parent.views) == 1


def test_rock_salt_looks_alike_from_both_its_sites() -> None:
    parent = read_parent(ROCK_SALT, number=0, name="NaCl")
    assert sorted(parent.views.tolist()) == [[0, 1], [1, 0]]


def test_a_larger_cell_has_the_same_orbits() -> None:
    parent = read_parent(ROCK_SALT * (2, 1, 1), number=0, name="NaCl")
    assert [o.multiplicity for o in parent.orbits] == [8, 8]


def test_without_symmetry_every_site_is_an_orbit() -> None:
    triclinic = Structure(
        Lattice.from_parameters(5, 6, 7, 81, 95, 103),
        ["Li", "Li", "O", "O"],
        [[0.01, 0.02, 0.03], [0.52, 0.31, 0.44], [0.23, 0.71, 0.13], [0.81, 0.12, 0.77]],
    )
    parent = read_parent(triclinic, number=0, name="P1")
    assert parent.space_group == 1
    assert [o.multiplicity for o in parent.orbits] == [1, 1, 1, 1]


def test_charges_and_properties_are_dropped() -> None:
    charged = ROCK_SALT.copy()
    charged.add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    charged.add_site_property("magmom", [0.0] * 8)
    parent = read_parent(charged, number=0, name="NaCl")
    assert parent.elements == ("Na", "Cl")
    assert not parent.structure.site_properties


def test_what_cannot_be_a_parent_is_named() -> None:
    lattice = Lattice.cubic(4.0)
    disordered = Structure(lattice, [{"Na": 0.5, "K": 0.5}], [[0, 0, 0]])
    with pytest.raises(ParentError, match=r"x: site .* only ordered structures"):
        read_parent(disordered, number=0, name="x")
    overlapping = Structure(lattice, ["Na", "Cl"], [[0, 0, 0], [0, 0, 0.01]])
    with pytest.raises(ParentError, match=r"sites 0 and 1 lie 0\.040 Å apart"):
        read_parent(overlapping, number=0, name="x")
    with pytest.raises(ParentError, match="holds no atoms"):
        read_parent(Structure(lattice, [], []), number=0, name="x")
    flat = Structure([[4, 0, 0], [0, 4, 0], [4, 4, 0]], ["Na"], [[0, 0, 0]])
    with pytest.raises(ParentError, match="check the lattice"):
        read_parent(flat, number=0, name="x")
    many = ["H", "Li", "Be", "B", "C", "N", "O", "F", "Na"]
    along = Structure(Lattice.orthorhombic(3, 3, 27), many, [[0, 0, i / 9] for i in range(9)])
    with pytest.raises(ParentError, match="9 elements"):
        read_parent(along, number=0, name="x")


def test_an_unknown_element_is_refused() -> None:
    parent = read_parent(ROCK_SALT, number=0, name="NaCl")
    with pytest.raises(ParentError, match="holds Na, Cl, not K"):
        parent.orbits_of("K")
