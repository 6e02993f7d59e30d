"""Known structures: what is taken, what is left out, and what may compete."""

from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from alab.errors import BadInput
from planners.stability.candidates.prototypes import (
    CLOSEST_OF_RADII,
    aflow_prototypes,
    closest_of_radii,
    is_compound_of,
    real_within,
    structures_in,
    structures_of,
)
from planners.stability.crystals import Crystal
from planners.stability.references.entries import Entry
from planners.stability.references.snapshot import snapshot_of

ROCK_SALT = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)


def test_the_collection_gives_compounds_with_possible_distances() -> None:
    found = aflow_prototypes()
    assert len(found) > 200
    assert len({one.name for one in found}) == len(found)
    assert all(len(one.elements) > 1 for one in found)
    assert min(closest_of_radii(one.structure) for one in found) >= CLOSEST_OF_RADII


def test_only_real_solids_of_the_system_compete() -> None:
    found = aflow_prototypes()
    assert [one.formula for one in real_within(found, ("Na", "Cl"))] == ["NaCl"]
    models = {one.formula for one in found if not one.real}
    assert {"H3N", "CO", "SiF4"} <= models
    assert "spinel" in next(one.words for one in found if one.formula == "MgAl2O4").lower()


def test_the_distance_of_rock_salt_over_its_radii() -> None:
    # covalent radii of Cordero et al. 2008 as gemmi has them: Na 1.66, Cl 1.02 Å
    assert closest_of_radii(ROCK_SALT) == pytest.approx(2.82 / (1.66 + 1.02), abs=0.01)


def test_a_folder_of_cifs_leaves_disorder_out(tmp_path: Path) -> None:
    ROCK_SALT.to(str(tmp_path / "salt.cif"))
    mixed = Structure(Lattice.cubic(4.2), [{"Na": 0.5, "K": 0.5}, "Cl"], [[0] * 3, [0.5] * 3])
    mixed.to(str(tmp_path / "mixed.cif"))
    (one,) = structures_in(tmp_path)
    assert (one.name, one.formula, len(one.structure)) == ("CIF salt", "NaCl", 2)


@pytest.mark.parametrize("text", [None, "no crystal at all"])
def test_a_folder_without_a_crystal_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "bad.cif").write_text(text)
    with pytest.raises(BadInput, match=r"\.cif"):
        structures_in(tmp_path)


def test_a_reference_gives_the_crystals_of_the_system() -> None:
    salt = Entry(
        formula="NaCl",
        formation_energy_ev_per_atom=-2.1,
        source="test",
        crystal=Crystal.of(ROCK_SALT),
    )
    bare = Entry(formula="Na2O", formation_energy_ev_per_atom=-1.4, source="test")
    snapshot = snapshot_of("mine", [salt, bare])
    assert [one.formula for one in structures_of(snapshot, ("Na", "Cl", "O"))] == ["NaCl"]
    assert structures_of(snapshot, ("Na", "O")) == ()


def test_compounds_of_a_system() -> None:
    assert is_compound_of("Li2O", ("Li", "Mn", "O"))
    assert not is_compound_of("O2", ("Li", "Mn", "O"))
    assert not is_compound_of("NaCl", ("Li", "Mn", "O"))
