from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifParser, CifWriter

from alab.errors import BadInput
from analysis.diffraction.crystal import crystal_of, read_crystal, structure_of
from analysis.diffraction.library import STRUCTURES
from analysis.diffraction.reflections import lines_of

STEMS = ["MgO_225", "TiO2_141", "Al2O3_167", "Zn2SiO4_148", "CaSiO3_2", "LiFeO2_225"]


@pytest.mark.parametrize("stem", STEMS)
def test_pymatgens_primitive_cell_gives_the_lines_of_the_cif(stem: str) -> None:
    """The partial occupancies of LiFeO2 among them."""
    path = STRUCTURES / f"{stem}.cif"
    read = read_crystal(path)
    primitive = CifParser(path).parse_structures(primitive=True)[0]
    made = crystal_of(primitive, stem=stem)
    assert (made.number, made.formula) == (read.number, read.formula)
    assert made.density_g_per_cm3 == pytest.approx(read.density_g_per_cm3, rel=1e-3)

    def heights(crystal) -> np.ndarray:
        plain = crystal_of(structure_of(crystal), stem=stem)  # both with B as by default
        lines = lines_of(plain, wavelength_ang=1.54, max_two_theta_deg=60)
        edges = np.linspace(0, 0.45, 46)
        return np.histogram(lines.inverse_d2, edges, weights=lines.intensity)[0]

    assert heights(made) == pytest.approx(
        heights(read), rel=0.02, abs=0.02 * heights(read).max()
    )


def test_a_shared_site_stays_shared() -> None:
    structure = Structure(
        Lattice.cubic(4.2),
        [{"Li+": 0.5, "Fe3+": 0.5}, {"O2-": 1.0}],
        [[0, 0, 0], [0.5, 0.5, 0.5]],
    )
    crystal = crystal_of(structure, stem="mixed")
    assert crystal.formula == "LiFeO2"
    assert sorted(zip(crystal.elements, crystal.occupancies.tolist(), strict=True)) == [
        ("Fe", 0.5),
        ("Li", 0.5),
        ("O", 1.0),
    ]
    back = structure_of(crystal)
    assert len(back) == 2
    assert not back.is_ordered


@pytest.mark.parametrize(
    ("places", "said"),
    [([[0, 0, 0], [0.02, 0, 0]], "holds"), ([[0, 0, 0], [0, 0, 0.01]], "holds")],
)
def test_two_atoms_in_one_place(places: list[list[float]], said: str) -> None:
    structure = Structure(Lattice.cubic(4.0), ["Mg", "O"], places)
    with pytest.raises(BadInput, match=said):
        crystal_of(structure, stem="mp-1")


def test_no_element_in_a_structure() -> None:
    structure = Structure(Lattice.cubic(4.0), ["Xa"], [[0, 0, 0]])
    with pytest.raises(BadInput, match="mp-1: 'Xa' is no element"):
        crystal_of(structure, stem="mp-1")


def test_a_vast_cell_is_refused(tmp_path: Path) -> None:
    structure = Structure(Lattice.cubic(4.2), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    path = tmp_path / "vast.cif"
    CifWriter(structure * (12, 12, 12)).write_file(path)
    with pytest.raises(BadInput, match=r"vast\.cif: 3456 atoms in the cell, at most 3000"):
        read_crystal(path)


def test_the_only_structure_of_several_blocks_is_read(tmp_path: Path) -> None:
    text = (STRUCTURES / "MgO_225.cif").read_text()
    path = tmp_path / "blocks.cif"
    path.write_text("data_publication\n_audit_creation_method 'by hand'\n" + text)
    assert read_crystal(path).number == 225
    path.write_text(text + (STRUCTURES / "ZnO_186.cif").read_text())
    with pytest.raises(BadInput, match="holds 2 structures"):
        read_crystal(path)
