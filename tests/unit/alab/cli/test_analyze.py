"""``alab analyze``: what it finds, what it writes, and what it refuses."""

import json
import os
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest

from analysis.diffraction.library import STRUCTURES
from analysis.diffraction.result import Analysis

DATA = Path(os.environ.get("ALAB_DATA", Path(__file__).parents[5] / "shared" / "data")) / "xrd"
ANGLE = np.arange(20.0, 80.0, 0.03)
ANATASE = {
    25.28: 100, 36.95: 6, 37.80: 20, 38.58: 7, 48.05: 28, 53.89: 17, 55.06: 16,
    62.12: 3, 62.69: 13, 68.76: 6, 70.31: 6, 75.03: 9,
}  # fmt: skip
"""2θ of anatase in Cu Kα₁ with heights after ICDD 21-1272."""


def powder(path: Path, seed: int = 2) -> Path:
    """Write a scan of anatase, made of its published lines."""
    counts = np.full(len(ANGLE), 60.0)
    for place, height in ANATASE.items():
        sine = np.sin(np.radians(place / 2))
        for wavelength, share in ((1.5405929, 1.0), (1.5444274, 0.5)):
            at = 2 * np.degrees(np.arcsin(sine * wavelength / 1.5405929))
            x = (ANGLE - at) / 0.1
            counts += 40 * height * share / (1 + 4 * x**2)
    counts = np.random.default_rng(seed).poisson(counts)
    rows = (f"{a:.2f} {c}" for a, c in zip(ANGLE, counts, strict=True))
    path.write_text("\n".join(rows))
    return path


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return powder(tmp_path / "anatase.xy")


def test_it_tells_what_was_found(shell: Any, scan: Path) -> None:
    ended = shell("analyze", scan, "--target", "TiO2")
    assert (ended.code, ended.err) == (0, "")
    assert "success" in ended.out
    assert "I4_1/amd" in ended.out
    assert "90 % interval" in ended.out
    assert "a 3.78" in ended.out
    no_target = shell("analyze", scan, "--elements", "Ti,O")
    assert "Verdict" not in no_target.out


def test_json_holds_every_number(shell: Any, scan: Path) -> None:
    ended = shell("analyze", scan, "--elements", "Ti,O", "--json")
    assert (ended.code, ended.err) == (0, "")
    found = ended.json
    assert found["verdict"] is None  # nothing was to be made
    (phase,), (structure,) = found["phases"], found["structures"]
    assert phase["formula"] == "TiO2"
    assert phase["interval90"][0] <= phase["weight_fraction"] <= phase["interval90"][1]
    assert 0.9 < phase["probability"] <= 1
    assert structure["cell"][0] == pytest.approx(3.785, abs=0.01)
    assert 0 < structure["cell_esds"][0] < 0.01
    assert structure["cell_esds"][3:] == [0, 0, 0]
    named = {parameter["name"]: parameter for parameter in found["parameters"]}
    assert named["displacement of the sample"]["unit"] == "mm"
    assert named["displacement of the sample"]["esd"] > 0


def test_files_go_into_a_folder(shell: Any, scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "results"
    ended = shell("analyze", scan, "--elements", "Ti,O", "--out", out, "--json")
    assert ended.code == 0, ended.err
    written = sorted(path.name for path in out.iterdir())
    assert written == [
        "anatase-TiO2_141.cif",
        "anatase.html",
        "anatase.json",
        "anatase.png",
    ]
    assert sorted(Path(path).name for path in ended.json["files"]) == written
    kept = Analysis.from_json((out / "anatase.json").read_text(encoding="utf-8"))
    assert kept.outcome.phases[0].formula == "TiO2"
    block = gemmi.cif.read(str(out / "anatase-TiO2_141.cif")).sole_block()
    cell = gemmi.cif.as_number(block.find_value("_cell_length_a"))
    assert cell == pytest.approx(kept.contributions[0].cell[0], abs=1e-3)
    assert "unknown peak" not in (out / "anatase.html").read_text(encoding="utf-8")


def test_own_structures_go_before_those_of_alab_or_stand_alone(
    shell: Any, scan: Path, tmp_path: Path
) -> None:
    own = tmp_path / "mine"
    own.mkdir()
    (own / "my-rutile.cif").write_text((STRUCTURES / "TiO2_136.cif").read_text())
    beside = shell("analyze", scan, "--elements", "Ti,O", "--cif", own, "--json").json
    assert [phase["reference"] for phase in beside["phases"]] == ["TiO2_141"]
    (own / "my-anatase.cif").write_text((STRUCTURES / "TiO2_141.cif").read_text())
    first = shell("analyze", scan, "--elements", "Ti,O", "--cif", own, "--json").json
    assert [phase["reference"] for phase in first["phases"]] == ["my-anatase"]
    words = ("--cif", own / "my-rutile.cif", "--only-cif")
    alone = shell("analyze", scan, "--elements", "Ti,O", *words, "--json").json
    assert alone["candidates"] == 1


def test_elements_come_from_precursors(shell: Any, scan: Path) -> None:
    ended = shell("analyze", scan, "--precursors", "TiO2:1.0", "--json")
    assert ended.code == 0, ended.err
    assert [phase["formula"] for phase in ended.json["phases"]] == ["TiO2"]


def test_a_standard_tells_how_much_is_amorphous(shell: Any, scan: Path) -> None:
    """A crystalline part of nothing but the standard: all the rest is glass."""
    words = ("analyze", scan, "--elements", "Ti,O,Si", "--spike", "TiO2:0.40")
    found = shell(*words, "--json").json
    assert found["phases"] == []
    assert found["amorphous_fraction"] == pytest.approx(1.0, abs=1e-6)
    assert "100.0 ± " in shell(*words).out
    refused = shell(*words[:-1], "TiO2")
    assert refused.code == 2
    assert "TiO2" in refused.err


def test_an_instrument_file_is_used(shell: Any, scan: Path, tmp_path: Path) -> None:
    made = tmp_path / "aeris.toml"
    made.write_text('name = "aeris"\n[goniometer]\nradius_mm = 240.0\nzero_deg = 0.011\n')
    words = ("--elements", "Ti,O", "--instrument", made, "--json")
    ended = shell("analyze", scan, *words)
    assert ended.code == 0, ended.err
    named = {parameter["name"]: parameter["value"] for parameter in ended.json["parameters"]}
    assert named["radius of the goniometer"] == 240.0
    assert named["zero of 2θ"] == 0.011

    with_wavelength = tmp_path / "molybdenum.xy"
    with_wavelength.write_text("0.7093\n" + scan.read_text())
    refused = shell("analyze", with_wavelength, *words)
    assert refused.code == 2
    assert "0.70930 Å" in refused.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("none.xrdml", "--elements", "Ti,O"), "there is no file none.xrdml"),
        (("empty", "--elements", "Ti,O"), "there is no file in empty that may"),
        (("a.xy", "--elements", "Ti,Qq"), "Qq: no element"),
        (("a.xy", "--elements", " ,"), "--elements names none"),
        (("a.xy",), "which elements may the powder hold"),
        (("a.xy", "--elements", "Ti", "--only-cif"), "name some with --cif"),
        (("a.xy", "--precursors", "TiO2:1,Zx2:2"), "Zx, no element"),
        (("a.xy", "--target", "Nonsense"), "no chemical formula"),
        (("a.xy", "--elements", "Ti", "--out", "a.xy/x"), "choose a folder"),
        (("a.xy", "b/a.xy", "--elements", "Ti"), "two patterns are called a.xy"),
    ],
)
def test_it_refuses_bad_input(shell: Any, tmp_path: Path, words: Any, says: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "b").mkdir()
    for name in ("a.xy", "b/a.xy"):
        (tmp_path / name).write_text("1 2\n")
    ended = shell("analyze", *words)
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err


def test_it_passes_over_what_it_cannot_read_in_a_folder(shell: Any, tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "a.xy").write_text("no pattern\n")
    (folder / "b.xrdml").write_text("<xrdMeasurements>")
    powder(folder / "c.xy")
    powder(folder / "c.dat")
    words = ("--elements", "Ti,O", "--json", "--out", tmp_path / "out")
    ended = shell("analyze", folder, *words)
    assert ended.code == 1
    assert "a.xy" in ended.err
    assert "b.xrdml" in ended.err
    assert [Path(row["file"]).name for row in ended.json] == ["c.dat", "c.xy"]
    assert (tmp_path / "out" / "c.dat.png").is_file()
    assert json.loads((tmp_path / "out" / "c.xy.json").read_text())["outcome"]["phases"]


def test_a_folder_may_take_its_own_results(shell: Any, tmp_path: Path) -> None:
    powder(tmp_path / "a.xy")
    (tmp_path / "instrument.toml").write_text('name = "a"\n')
    for _ in range(2):
        ended = shell("analyze", tmp_path, "--elements", "Ti,O", "--json", "--out", tmp_path)
        assert ended.code == 0, ended.err
        assert Path(ended.json["file"]).name == "a.xy"
    assert (tmp_path / "a-TiO2_141.cif").is_file()


def test_weighed_in_mixtures_are_found(shell: Any) -> None:
    measured = DATA / "dara_precursor_mixtures/TiO2_0p4009-ZnO_0p6010--2min.xrdml"
    if not measured.is_file():
        pytest.skip(f"no measured scan at {measured}; set ALAB_DATA to the folder of data")
    words = ("--elements", "Ti,Zn,O", "--cif", DATA / "reference_cifs", "--json")
    ended = shell("analyze", measured, *words)
    assert ended.code == 0, ended.err
    found = {phase["formula"]: phase["weight_fraction"] for phase in ended.json["phases"]}
    assert found == pytest.approx({"ZnO": 0.600, "TiO2": 0.400}, abs=0.05)
