"""References in memory and on disk: append-only, hashed, and honest about damage."""

import hashlib
import json
import lzma
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from alab.errors import BadInput
from planners.stability.crystals import Crystal
from planners.stability.references.entries import Entry
from planners.stability.references.snapshot import MissingReferenceError, snapshot_of
from planners.stability.references.snapshot_files import MANIFEST, SnapshotError, append, read
from planners.stability.whole_files import FolderBusyError, locked

ROCK_SALT = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.21), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)
MGO = Entry(
    formula="MgO",
    formation_energy_ev_per_atom=-3.03,
    source="Materials Project",
    entry_id="mp-1265",
    crystal=Crystal.of(ROCK_SALT),
)
MGO_OQMD = Entry(formula="MgO", formation_energy_ev_per_atom=-2.9, source="OQMD")
TIO2 = Entry(formula="TiO2", formation_energy_ev_per_atom=-3.4, source="OQMD")


def test_versions_are_kept_side_by_side(tmp_path: Path) -> None:
    folder = tmp_path / "reference"
    first = append(folder, [MGO], name="ours")
    second = append(folder, [MGO_OQMD, TIO2])
    assert read(folder).entries == (MGO, MGO_OQMD, TIO2)
    assert read(folder, 1).entries == (MGO,)
    assert (read(folder, 1).digest, read(folder).digest) == (first.digest, second.digest)
    assert (second.name, second.version) == ("ours", 2)
    assert second.sources == {"Materials Project": 1, "OQMD": 2}


def test_a_structure_survives_the_file(tmp_path: Path) -> None:
    append(tmp_path, [MGO])
    crystal = read(tmp_path).entries[0].crystal
    assert crystal is not None
    assert crystal.structure() == ROCK_SALT


def test_the_hash_is_that_of_the_lines(tmp_path: Path) -> None:
    snapshot = append(tmp_path, [MGO, TIO2])
    record = json.loads((tmp_path / MANIFEST).read_text())["versions"][0]
    lines = lzma.decompress((tmp_path / record["file"]).read_bytes())
    assert record["sha256"] == hashlib.sha256(lines).hexdigest()
    assert record["entries"] == 2
    assert snapshot.digest == snapshot_of("elsewhere", [MGO, TIO2]).digest
    assert snapshot.digest != snapshot_of("elsewhere", [TIO2, MGO]).digest


def test_a_changed_part_is_noticed_in_every_later_version(tmp_path: Path) -> None:
    append(tmp_path, [MGO])
    append(tmp_path, [TIO2])
    part = tmp_path / "entries-0001.jsonl.xz"
    text = lzma.decompress(part.read_bytes()).replace(b"-3.03", b"-3.04")
    part.write_bytes(lzma.compress(text))
    with pytest.raises(SnapshotError, match=r"0001.*SHA-256"):
        read(tmp_path, 2)


def test_a_changed_manifest_is_noticed(tmp_path: Path) -> None:
    append(tmp_path, [MGO])
    append(tmp_path, [TIO2])
    path = tmp_path / MANIFEST
    content = json.loads(path.read_text())
    content["versions"][1]["digest"] = "0" * 64
    path.write_text(json.dumps(content))
    assert read(tmp_path, 1).version == 1
    with pytest.raises(SnapshotError, match="version 2 does not follow"):
        read(tmp_path)
    del content["versions"][0]
    path.write_text(json.dumps(content))
    with pytest.raises(SnapshotError, match="count from 1"):
        read(tmp_path)
    path.write_text("{}")
    with pytest.raises(SnapshotError, match="name"):
        read(tmp_path)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="no snapshot"):
        read(tmp_path)
    append(tmp_path, [MGO])
    with pytest.raises(SnapshotError, match="no version 7; it has 1 to 1"):
        read(tmp_path, 7)
    (tmp_path / "entries-0001.jsonl.xz").write_bytes(b"no archive")
    with pytest.raises(SnapshotError, match="cannot be read"):
        read(tmp_path)


def test_an_entry_is_added_once(tmp_path: Path) -> None:
    append(tmp_path, [MGO, TIO2])
    for again in (MGO, TIO2):
        with pytest.raises(BadInput, match="already"):
            append(tmp_path, [again])
    assert read(tmp_path).version == 1


def test_what_an_interrupted_append_left_is_replaced(tmp_path: Path) -> None:
    append(tmp_path, [MGO])
    (tmp_path / "entries-0002.jsonl.xz").write_bytes(b"half")
    assert read(tmp_path).entries == (MGO,)
    append(tmp_path, [TIO2])
    assert read(tmp_path).entries == (MGO, TIO2)


def test_two_processes_do_not_append_at_once(tmp_path: Path) -> None:
    append(tmp_path, [MGO])
    with locked(tmp_path), pytest.raises(FolderBusyError, match="another process"):
        append(tmp_path, [TIO2])
    assert read(tmp_path).entries == (MGO,)


def test_measured_and_computed_do_not_mix(tmp_path: Path) -> None:
    append(tmp_path, [MGO])
    measured = Entry(
        formula="TiO2", formation_energy_ev_per_atom=-3.26, source="JANAF", measured=True
    )
    with pytest.raises(MissingReferenceError, match="JANAF"):
        append(tmp_path, [measured])
    assert read(tmp_path).entries == (MGO,)


def test_nothing_is_no_reference(tmp_path: Path) -> None:
    with pytest.raises(MissingReferenceError, match="no entries"):
        snapshot_of("empty", [])
    with pytest.raises(BadInput, match="no entries"):
        append(tmp_path, [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("energy", [float("nan"), -57.0])
def test_an_energy_that_cannot_be_is_refused(energy: float) -> None:
    with pytest.raises(BadInput, match="eV/atom"):
        Entry(formula="MgO", formation_energy_ev_per_atom=energy, source="x")
    with pytest.raises(BadInput, match="source"):
        Entry(formula="MgO", formation_energy_ev_per_atom=-3.0, source=" ")
