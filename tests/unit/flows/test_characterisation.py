"""Where a sample's phases are looked for."""

from pathlib import Path

from pymatgen.core import Lattice, Structure

from analysis.diffraction.library import DEFAULT_SOURCES, references
from flows.characterisation import structure_sources


def test_a_predicted_crystal_is_looked_for(tmp_path: Path) -> None:
    folder = tmp_path / "structures"
    folder.mkdir()
    predicted = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(6.6), ["Rb", "S"], [[0.25, 0.25, 0.25], [0, 0, 0]]
    )
    predicted.to(str(folder / "Rb2S.cif"))
    found = {r.formula for r in references({"Rb", "S"}, structure_sources(tmp_path))}
    without = {r.formula for r in references({"Rb", "S"}, DEFAULT_SOURCES)}
    assert "Rb2S" in found
    assert without <= found


def test_a_laboratory_without_predictions_looks_for_what_is_known(tmp_path: Path) -> None:
    assert structure_sources(None) == DEFAULT_SOURCES
    assert structure_sources(tmp_path) == DEFAULT_SOURCES
