import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry
from pymatgen.io.cif import CifParser

from alab.errors import BadInput
from analysis.diffraction.library import STRUCTURES, Source, references

MGO = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.24), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
).get_primitive_structure()
CSCL_MGO = Structure(Lattice.cubic(2.66), ["Mg2+", "O2-"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def document(structure: Structure, name: str, energy: object = 0.0) -> dict[str, Any]:
    return {
        "structure": structure.as_dict(),
        "material_id": name,
        "energy_above_hull": energy,
    }


def written(folder: Path, content: object, name: str = "mp.json") -> Path:
    path = folder / name
    text = json.dumps(content).encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return path


@pytest.mark.parametrize("name", ["mp.json", "mp.json.gz"])
def test_documents(tmp_path: Path, name: str) -> None:
    titania = CifParser(STRUCTURES / "TiO2_136.cif").parse_structures(primitive=True)[0]
    items = [
        document(MGO, "mp-1265"),
        document(CSCL_MGO, "mp-9", 0.7),
        document(titania, "mp-2657", 0.03),
    ]
    path = written(tmp_path, items, name)
    found = references(["Mg", "O"], [path])
    assert [(r.stem, r.formula, r.number, r.energy_above_hull_ev_per_atom) for r in found] == [
        ("MgO_225_mp-1265", "MgO", 225, 0.0),
        ("MgO_221_mp-9", "MgO", 221, 0.7),
    ]
    assert {(r.source, r.measured, r.default, r.path) for r in found} == {
        (Source.SNAPSHOT, False, False, None)
    }
    assert found[0].crystal().cell == pytest.approx([4.24, 4.24, 4.24, 90, 90, 90])
    assert len({found[0]: 1, found[1]: 2}) == 2


def test_entries_of_pymatgen_in_an_answer_of_the_interface(tmp_path: Path) -> None:
    entry = ComputedStructureEntry(
        MGO, -10.0, entry_id="mp-1265-GGA", data={"e_above_hull": 0.02}
    )
    path = written(tmp_path, {"data": [entry.as_dict()]})
    (found,) = references(["Mg", "O"], [path])
    assert found.stem == "MgO_225_mp-1265-GGA"
    assert found.energy_above_hull_ev_per_atom == 0.02


def test_energy_may_be_missing(tmp_path: Path) -> None:
    (found,) = references(["Mg", "O"], [written(tmp_path, [document(MGO, "a", None)])])
    assert found.energy_above_hull_ev_per_atom is None


def test_a_measured_structure_stands_for_a_computed_one(tmp_path: Path) -> None:
    path = written(tmp_path, [document(MGO, "mp-1265"), document(CSCL_MGO, "mp-9")])
    found = references(["Mg", "O"], [path, STRUCTURES])
    stems = {reference.stem for reference in found}
    assert "MgO_225" in stems
    assert "MgO_221_mp-9" in stems
    assert "MgO_225_mp-1265" not in stems


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([{"material_id": "mp-1"}], "item 0: has no structure"),
        ([document(MGO, "")], "neither material_id nor entry_id"),
        ([document(MGO, "mp-1", -0.5)], "energy above hull -0.5"),
        ([document(MGO, "mp-1", "low")], "energy above hull 'low'"),
        ([{"structure": {"sites": [{}]}, "material_id": "mp-1"}], "its sites lack"),
        ([{"structure": {"sites": MGO.as_dict()["sites"]}, "material_id": "mp-1"}], "mp-1: no"),
        ([], "holds no list of structures"),
        ({"structures": 3}, "holds no list of structures"),
        ("text", "holds no list of structures"),
        ([document(MGO, f"mp-{n}", -1) for n in range(30)], "and 20 more"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, content: object, said: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(BadInput, match=r"mp\.json: ") as caught:
        references(["Mg", "O"], [path])
    assert said in str(caught.value)


@pytest.mark.parametrize("raw", [b"{", b"\x1f\x8bnot gzip", b"\xff\xfe\x00"])
def test_no_json(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "mp.json").write_bytes(raw)
    with pytest.raises(BadInput, match="no snapshot that can be read"):
        references(["Mg", "O"], [tmp_path / "mp.json"])


def test_another_kind_of_file(tmp_path: Path) -> None:
    (tmp_path / "mp.yaml").write_text("a: 1")
    with pytest.raises(BadInput, match=r"mp\.yaml is no source"):
        references(["Mg", "O"], [tmp_path / "mp.yaml"])
