import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Composition
from pymatgen.io.cif import CifParser

from alab.errors import BadInput
from analysis.diffraction.crystal import read_crystal
from analysis.diffraction.library import (
    STRUCTURES,
    Source,
    default_cifs,
    elements_of,
    embedded,
    reference_of,
    references,
    same_formula,
)

ROCK_SALT = """data_x
_cell_length_a 4.2
_cell_length_b 4.2
_cell_length_c 4.2
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Mg Mg 0 0 0 {occupancy}
O O 0.5 0.5 0.5 1
"""


def test_every_structure_is_listed_and_every_listed_one_is_there() -> None:
    files = {path.stem for path in STRUCTURES.glob("*.cif")}
    assert {reference.stem for reference in embedded()} == files
    assert len(files) > 140


@pytest.mark.parametrize("reference", embedded(), ids=lambda reference: reference.stem)
def test_structure_is_what_its_name_says(reference) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        structure = CifParser(reference.path).parse_structures(primitive=False)[0]
    formula, number = reference.stem.rsplit("_", 1)
    assert reference.formula == formula
    assert reference.number == int(number)
    assert same_formula(structure.composition.formula.replace(" ", ""), formula)
    assert structure.composition.almost_equals(
        Composition(_content(read_crystal(reference.path))), rtol=1e-3
    )
    shortest = structure.distance_matrix[np.triu_indices(len(structure), 1)].min()
    assert shortest > (0.65 if "H" in structure.composition else 1.2)
    assert 1.5 < structure.density < 9.5


def _content(crystal) -> dict[str, float]:
    content: dict[str, float] = {}
    for element, occupancy in zip(crystal.elements, crystal.occupancies, strict=True):
        content[element] = content.get(element, 0.0) + occupancy
    return content


@pytest.mark.parametrize(
    ("formula", "density_g_per_cm3"),
    [
        ("Al2O3", 3.987),  # NIST SRM 676a
        ("ZnO", 5.675),  # ICDD 36-1451
        ("BaTiO3", 6.012),  # ICDD 05-0626
        ("TiO2", 4.250),  # rutile, ICDD 21-1276
        ("YPO4", 4.277),  # ICDD 11-0254
        ("LiMn2O4", 4.281),  # ICDD 35-0782
    ],
)
def test_densities_are_the_published_ones(formula: str, density_g_per_cm3: float) -> None:
    crystal = read_crystal(default_cifs()[formula])
    assert crystal.density_g_per_cm3 == pytest.approx(density_g_per_cm3, rel=0.01)


def test_default_of_a_polymorph_and_both_spellings() -> None:
    found = default_cifs()
    assert found["TiO2"].stem == "TiO2_136"
    assert found["ZnFe2O4"] == found[Composition("ZnFe2O4").reduced_formula]


def test_only_structures_within_the_elements() -> None:
    found = {reference.stem for reference in references(["Ba", "Ti", "O"])}
    assert {"BaTiO3_99", "BaO_225", "TiO2_136", "TiO2_141", "Ba2TiO4_14"} <= found
    assert "BaCO3_62" not in found


def test_a_folder_replaces_the_embedded_ones(tmp_path: Path) -> None:
    (tmp_path / "mine.cif").write_text(ROCK_SALT.format(occupancy=1))
    found = references(["Mg", "O", "Ba"], tmp_path)
    assert [(r.stem, r.formula, r.number) for r in found] == [("mine", "MgO", 225)]


def test_p1_export_gets_its_symmetry_back(tmp_path: Path) -> None:
    structure = CifParser(STRUCTURES / "MgO_225.cif").parse_structures(primitive=False)[0]
    structure.to(filename=str(tmp_path / "flat.cif"))
    crystal = read_crystal(tmp_path / "flat.cif")
    assert (crystal.number, len(crystal.rotations)) == (225, 48)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ROCK_SALT.format(occupancy=1.4), "occupied 1.4 times"),
        (ROCK_SALT.replace("Mg Mg 0 0 0", "Mg Mg 0.48 0.5 0.5").format(occupancy=1), "holds"),
        ("data_x\n_cell_length_a 4\n", "no unit cell"),
        ("not a cif at all", "not a CIF"),
    ],
)
def test_unusable_cif_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "odd.cif").write_text(text)
    with pytest.raises(BadInput, match=r"odd\.cif") as caught:
        references(["Mg", "O"], tmp_path)
    assert said in str(caught.value)


@pytest.mark.parametrize("element", ["Xx", "ba", "BaTiO3", ""])
def test_no_element(element: str) -> None:
    with pytest.raises(BadInput, match="no element"):
        references(["O", element])


def test_missing_or_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no folder or file"):
        references(["O"], tmp_path / "none")
    with pytest.raises(BadInput, match=r"no \.cif"):
        references(["O"], tmp_path)


def test_no_formula() -> None:
    with pytest.raises(BadInput, match="no chemical formula"):
        elements_of("hello?")


PEROXIDES = {"BaO2"}
"""Their oxygen is −1, which the common states do not hold."""


@pytest.mark.parametrize("formula", sorted({reference.formula for reference in embedded()}))
def test_charges_balance(formula: str) -> None:
    guesses = Composition(formula).oxi_state_guesses(max_sites=-1)
    assert bool(guesses) != (formula in PEROXIDES)


def test_several_sources_the_first_is_trusted_most(tmp_path: Path) -> None:
    (tmp_path / "mine.cif").write_text(ROCK_SALT.format(occupancy=1))
    found = {r.stem: r for r in references(["Mg", "O"], [tmp_path, STRUCTURES])}
    assert found["mine"].source is Source.CIF
    assert "MgO_225" not in found  # the same structure
    assert found["mine"].crystal().cell[0] == pytest.approx(4.2)
    other_way = {r.stem for r in references(["Mg", "O"], [STRUCTURES, tmp_path])}
    assert "mine" not in other_way


def test_equal_names_are_told_apart(tmp_path: Path) -> None:
    text = ROCK_SALT.format(occupancy=1)
    (tmp_path / "TiO2_136.cif").write_text(text)
    found = references(["Mg", "Ti", "O"], [STRUCTURES, tmp_path])
    assert len({reference.stem for reference in found}) == len(found)
    large = tmp_path / "sub"
    large.mkdir()
    (large / "TiO2_136.cif").write_text(text.replace(" 4.2", " 4.6"))
    found = references(["Mg", "Ti", "O"], [STRUCTURES, large])
    (renamed,) = [reference for reference in found if reference.path == large / "TiO2_136.cif"]
    assert renamed.stem == "TiO2_136-2"
    assert renamed.crystal().stem == "TiO2_136-2"


def test_one_cif_is_a_source(tmp_path: Path) -> None:
    (tmp_path / "mine.cif").write_text(ROCK_SALT.format(occupancy=1))
    (found,) = references(["Mg", "O"], tmp_path / "mine.cif")
    assert found == reference_of(tmp_path / "mine.cif")
    with pytest.raises(BadInput, match="no file"):
        reference_of(tmp_path / "other.cif")


def test_no_source() -> None:
    with pytest.raises(BadInput, match="no source"):
        references(["Mg", "O"], [])


def test_a_changed_cif_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.cif"
    path.write_text(ROCK_SALT.format(occupancy=1))
    os.utime(path, ns=(1, 1))
    reference = reference_of(path)
    assert reference.crystal().cell[0] == pytest.approx(4.2)
    path.write_text(ROCK_SALT.replace(" 4.2", " 4.3").format(occupancy=1))
    os.utime(path, ns=(2, 2))
    assert reference.crystal().cell[0] == pytest.approx(4.3)


def test_what_pymatgen_warns_about_is_flagged(tmp_path: Path) -> None:
    good = ROCK_SALT.format(occupancy=1)
    (tmp_path / "good.cif").write_text(good)
    assert reference_of(tmp_path / "good.cif").warnings == ()
    (tmp_path / "odd.cif").write_text("data_x\n_chemical_formula_sum 'Mg2 O1'\n" + good[7:])
    (told,) = reference_of(tmp_path / "odd.cif").warnings
    assert told.startswith("odd.cif: ")
    assert "stoichiometry" in told


def test_thirds_are_no_reason_to_warn() -> None:
    text = (STRUCTURES / "ZnO_186.cif").read_text()
    assert "0.3333" in text
    reference = replace(reference_of(STRUCTURES / "ZnO_186.cif"), source=Source.CIF)
    assert reference.warnings == ()
