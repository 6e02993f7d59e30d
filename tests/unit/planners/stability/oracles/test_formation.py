"""Corrections and reference energies, against pymatgen's own scheme and by hand."""

import gzip
import json
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from alab.errors import BadInput
from planners.stability.oracles.formation import (
    ElementEnergies,
    mp2020,
    read_element_energies,
    uncorrected,
)
from planners.stability.oracles.oracle import OracleError

# Wang et al., Sci. Rep. 11, 15496 (2021), table 1, eV per atom
OXIDE, SULFIDE, CHLORIDE, FE_IN_OXIDES = -0.687, -0.503, -0.614, -2.256


def rocksalt(cation: str, anion: str, a_ang: float = 4.4) -> Structure:
    half = a_ang / 2
    primitive = Lattice([[0, half, half], [half, 0, half], [half, half, 0]])
    return Structure(primitive, [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.mark.parametrize(
    ("cation", "anion", "each"),
    [("Mg", "O", OXIDE), ("Ca", "S", SULFIDE), ("Na", "Cl", CHLORIDE), ("Cu", "Zn", 0.0)],
)
def test_anions_are_corrected_as_published(cation: str, anion: str, each: float) -> None:
    assert mp2020(rocksalt(cation, anion), -12.0) == pytest.approx(each, abs=2e-3)


def test_metals_with_u_are_corrected_beside_oxygen_alone() -> None:
    with_oxygen = mp2020(rocksalt("Fe", "O"), -15.0)
    assert with_oxygen == pytest.approx(OXIDE + FE_IN_OXIDES, abs=5e-3)
    assert mp2020(rocksalt("Fe", "S"), -15.0) == pytest.approx(SULFIDE, abs=2e-3)


def test_a_peroxide_is_told_from_an_oxide_by_its_bonds() -> None:
    peroxide = Structure(
        Lattice.tetragonal(3.8, 6.8),
        ["Ba", "Ba", "O", "O", "O", "O"],
        [
            *([0, 0, 0], [0.5, 0.5, 0.5], [0, 0, 0.39]),
            *([0, 0, 0.61], [0.5, 0.5, 0.89], [0.5, 0.5, 0.11]),
        ],
    )
    assert mp2020(peroxide, -35.0) == pytest.approx(4 * -0.465, abs=2e-3)


def test_no_correction_is_zero() -> None:
    assert uncorrected(rocksalt("Mg", "O"), -12.0) == 0.0


def test_a_cell_is_the_sum_of_its_elements() -> None:
    table = ElementEnergies(ev_per_atom={"Mg": -1.5, "O": -4.9}, source="by hand")
    assert table.of_cell(["Mg", "O", "O"]) == pytest.approx(-11.3)
    with pytest.raises(BadInput, match="no reference energy of Cl, Na in by hand"):
        table.of_cell(["Na", "Cl", "Mg"])


def test_energies_are_read_as_numbers_and_as_entries(tmp_path: Path) -> None:
    entry = {"energy": -39.6, "composition": {"O": 8.0}, "correction": 0.8}
    path = tmp_path / "elements.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"Mg": -1.5, "O": entry}).encode()))
    table = read_element_energies(path)
    assert table.ev_per_atom == pytest.approx({"Mg": -1.5, "O": -4.85})
    assert table.source == "elements.json.gz"


@pytest.mark.parametrize("content", [b"[1, 2]", b"{", b'{"Mg": {"energy": 1}}', b'{"Mg": "x"}'])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "elements.json"
    path.write_bytes(content)
    with pytest.raises(OracleError, match=r"elements.json holds no element energies"):
        read_element_energies(path)


def test_a_missing_file_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(OracleError, match=r"no element energies at .*nowhere\.json"):
        read_element_energies(tmp_path / "nowhere.json")
