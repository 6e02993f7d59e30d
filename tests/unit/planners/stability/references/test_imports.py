"""Tables, folders, JSON lines and computed entries become entries, or say why not."""

import json
import lzma
from pathlib import Path

import pytest
from monty.serialization import dumpfn
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedEntry, ConstantEnergyAdjustment

from alab.errors import BadInput
from planners.stability.crystals import CrystalError
from planners.stability.references.imports import (
    computed_entries,
    energy_table,
    structure_folder,
    structure_lines,
)

ROCK_SALT = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.21), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)


def line(name: str, structure: Structure, energy: float) -> str:
    return json.dumps(
        {
            "id": name,
            "lat": structure.lattice.matrix.tolist(),
            "el": [site.specie.symbol for site in structure],
            "frac": structure.frac_coords.tolist(),
            "ef": energy,
            "year": 1997,
        }
    )


def test_a_table_of_any_column_names(tmp_path: Path) -> None:
    path = tmp_path / "oqmd.csv.xz"
    path.write_bytes(lzma.compress(b"formula,target\nTi2O4,-3.4\nMg1O1,-2.95\n"))
    found = energy_table(path, source="OQMD 1.6", energy_column="target").entries
    assert [(e.formula, e.formation_energy_ev_per_atom) for e in found] == [
        ("TiO2", -3.4),
        ("MgO", -2.95),
    ]
    assert {e.source for e in found} == {"OQMD 1.6"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("formula,ef\nMgO,-3\n", "no column energy_ev_per_atom; it has formula, ef"),
        ("formula,energy_ev_per_atom\nMgO,\n", "line 2: '' in energy_ev_per_atom is no number"),
        ("formula,energy_ev_per_atom\nMgO,-3\nXq2,-3\n", "line 3"),
        ("formula,energy_ev_per_atom\nMgO,-57\n", "not as a total energy"),
        ("formula,energy_ev_per_atom\nMgO,inf\n", "not within"),
    ],
)
def test_a_wrong_table_says_where(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(BadInput, match=message):
        energy_table(path, source="x")
    with pytest.raises(BadInput, match="cannot be read"):
        energy_table(tmp_path / "absent.csv", source="x")


def test_a_folder_of_structures(tmp_path: Path) -> None:
    ROCK_SALT.to(str(tmp_path / "mgo.cif"))
    sparse = ROCK_SALT.copy()
    sparse.scale_lattice(4000)
    sparse.to(str(tmp_path / "sparse.cif"))
    Structure(Lattice.cubic(3.0), [{"Fe": 0.5, "Ni": 0.5}], [[0, 0, 0]]).to(
        str(tmp_path / "alloy.cif")
    )
    (tmp_path / "broken.cif").write_text("data_x\nloop_\n")
    (tmp_path / "energies.csv").write_text(
        "file,energy_ev_per_atom\nmgo.cif,-3.03\nsparse.cif,0.5\nalloy.cif,0.1\n"
        "broken.cif,0\nabsent.cif,0\n"
    )
    found = structure_folder(tmp_path, source="own runs")
    (entry,) = found.entries
    assert (entry.formula, entry.entry_id) == ("MgO", "mgo.cif")
    assert entry.crystal is not None
    assert entry.crystal.structure().volume == pytest.approx(ROCK_SALT.volume)
    reasons = {refused.name: refused.reason for refused in found.refused}
    assert "within 4.0 Å" in reasons["sparse.cif"]
    assert "partly occupied" in reasons["alloy.cif"]
    assert "no structure file" in reasons["broken.cif"]
    assert "does not exist" in reasons["absent.cif"]
    both = structure_folder(tmp_path, source="own runs", isolated_allowed=True)
    assert len(both.entries) == 2


def test_json_lines(tmp_path: Path) -> None:
    overlapping = ROCK_SALT.copy()
    overlapping.append("O", [0.5, 0.5, 0.52])
    path = tmp_path / "set.jsonl.xz"
    text = "\n".join([line("mp-1265", ROCK_SALT, -3.03), line("mp-x", overlapping, 1.0)])
    path.write_bytes(lzma.compress(text.encode()))
    found = structure_lines(path, source="MP")
    assert [entry.entry_id for entry in found.entries] == ["mp-1265"]
    assert found.refused[0].name == "mp-x"
    assert "0.08 Å apart" in found.refused[0].reason


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"el": ["Mg", "Q"]}, "'Q' is no element"),
        ({"frac": [[0, 0, 0]]}, "make no crystal"),
        ({"ef": "low"}, r"line 1: .*\(ef\)"),
    ],
)
def test_wrong_json_lines_say_why(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = tmp_path / "set.jsonl"
    two = Structure(Lattice.cubic(3.0), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    path.write_text(json.dumps(json.loads(line("a", two, 0.0)) | change))
    with pytest.raises(BadInput, match=message):
        structure_lines(path, source="MP")


def corrected(formula: str, energy: float, name: str) -> ComputedEntry:
    return ComputedEntry(
        formula,
        energy,
        entry_id=name,
        energy_adjustments=[ConstantEnergyAdjustment(-0.1, name="test")],
    )


def test_computed_entries_become_formation_energies(tmp_path: Path) -> None:
    path = tmp_path / "entries.json"
    dumpfn([corrected("Mg2O2", -24.0, "a"), corrected("MgO", -11.5, "b")], path)
    references = tmp_path / "elements.json"
    dumpfn([corrected("Mg", -1.5, "m"), corrected("O2", -9.7, "o")], references)
    with pytest.raises(BadInput, match="lacks entries of Mg, O"):
        computed_entries(path, source="MP")
    found = computed_entries(path, source="MP", references=references).entries
    # (−24.1 + 2·1.6 + 9.8) / 4 and (−11.6 + 1.6 + 4.9) / 2
    assert [e.formation_energy_ev_per_atom for e in found] == pytest.approx([-2.775, -2.55])
    assert [e.formula for e in found] == ["MgO", "MgO"]


def test_every_structure_refused_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "energies.csv").write_text("file,energy_ev_per_atom\nabsent.cif,0\n")
    with pytest.raises(BadInput, match=r"no entry, 1 were refused.*absent\.cif"):
        structure_folder(tmp_path, source="x")
    assert issubclass(CrystalError, BadInput)
