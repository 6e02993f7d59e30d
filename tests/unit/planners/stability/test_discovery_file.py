"""The file of a search: the same bytes, whole or not at all, and read by its version."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from alab.errors import BadInput
from alab.models import Atmosphere, FiringLimits
from analysis.diffraction.crystal import read_crystal
from planners.stability.discover import discover
from planners.stability.discovery import Discovery, Models, Request
from planners.stability.discovery_file import (
    FORMAT,
    check_place,
    cif_of,
    read_discovery,
    structure_folder,
    text_of,
    write_discovery,
)
from planners.stability.formulas import reduced_formula
from planners.stability.screens.composition import BenchLimits
from tests.crystal_predictor import linear_ensemble, own_structures

SYSTEM = ("Li", "Mn", "O")


@cache
def found() -> Discovery:
    known = [one for one in own_structures() if one.elements <= set(SYSTEM)]
    bench = BenchLimits(
        shelf={"Li2CO3": 1e6, "MnO2": 1e6},
        limits=FiringLimits(
            max_temperature_c=1100.0, max_ramp_c_per_min=10.0, atmospheres=(Atmosphere.AIR,)
        ),
    )
    ensemble = Models(structure=linear_ensemble(), name="linear", volumes=(1.0,))
    return discover(Request(system=SYSTEM, budget=25, top=3), known, ensemble, bench)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "discovery.json"
    written = write_discovery(found(), path)
    assert read_discovery(path) == written
    assert text_of(read_discovery(path)) == path.read_text(encoding="utf-8")
    one, row = found().found[0], written.candidates[0]
    assert row.formula == one.formula
    assert row.decomposition_energy_ev_per_atom == one.decomposition_energy_ev_per_atom
    assert row.lineage == one.lineage
    assert row.structure.elements == one.crystal.elements
    assert [s.reason for s in row.screens] == [s.reason for s in one.screens]
    assert written.reference.digest == found().reference.digest
    assert all("predicted by linear" in r.source for r in written.reference.compounds)


def test_only_structures_of_the_earlier_search_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "discovery.json"
    write_discovery(found(), path)
    write_discovery(found(), path)
    folder = structure_folder(path)
    mine = folder / "mine.cif"
    mine.write_text("relaxed for a week")
    with pytest.raises(BadInput, match=r"holds mine\.cif, which discovery\.json does not name"):
        write_discovery(found(), path)
    assert mine.read_text() == "relaxed for a week"
    path.unlink()
    with pytest.raises(BadInput, match=r"and \d more, which discovery\.json does not name"):
        check_place(path)


def test_the_same_search_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_discovery(found(), tmp_path / name / "discovery.json")
    first, second = (tmp_path / name / "discovery.json" for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    assert "/" not in json.loads(first.read_text())["reference"]["name"]


def test_the_analysis_reads_the_structures(tmp_path: Path) -> None:
    path = tmp_path / "discovery.json"
    for row in write_discovery(found(), path).candidates:
        crystal = read_crystal(path.parent / row.cif)
        assert reduced_formula(crystal.formula) == row.formula
        assert crystal.number == row.space_group_number
        assert cif_of(row) == (path.parent / row.cif).read_text(encoding="utf-8")
        assert (path.parent / row.cif).parent == structure_folder(path)


def test_an_interrupted_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "discovery.json"
    write_discovery(found(), path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    def interrupted(_content: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("planners.stability.discovery_file.text_of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_discovery(found(), path)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_an_older_result_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "discovery.json"
    write_discovery(found(), path)
    (row,) = write_discovery(replace(found(), found=found().found[:1]), path).candidates
    assert [p.name for p in structure_folder(path).iterdir()] == [Path(row.cif).name]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInput, match="cannot write"):
        write_discovery(found(), tmp_path / "file" / "discovery.json")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot read"),
        ("no JSON", "no JSON"),
        ("[]", "format None"),
        ('{"format": "alab-discovery-2"}', "'alab-discovery-2'.*reads 'alab-discovery-1'"),
        (f'{{"format": "{FORMAT}"}}', r"Field required \(system\)"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str | None, told: str) -> None:
    path = tmp_path / "discovery.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadInput, match=told):
        read_discovery(path)
