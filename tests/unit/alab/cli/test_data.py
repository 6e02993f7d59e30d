"""``alab data``: what it pulls, imports, shows and refuses."""

import json
import lzma
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from monty.serialization import dumpfn
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedEntry, ConstantEnergyAdjustment

from alab.cli import data
from planners.stability.references.snapshot_files import MANIFEST, append, read
from tests.unit.planners.stability.references.materials_project_stand_in import (
    KEY,
    StandIn,
    forget,
    running,
)

ROCK_SALT = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.21), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)
OXIDES = "formula,energy_ev_per_atom\nMgO,-3.03\nTi2O4,-3.4\n"
OWN = ("--source", "own runs", "--into", "reference")


def flat(text: str) -> str:
    return " ".join(text.split())


def structure_line(name: str, structure: Structure, energy: float) -> str:
    return json.dumps(
        {
            "id": name,
            "lat": structure.lattice.matrix.tolist(),
            "el": [site.specie.symbol for site in structure],
            "frac": structure.frac_coords.tolist(),
            "ef": energy,
        }
    )


@pytest.fixture
def project(shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """A stand-in of the Materials Project that the commands find by their environment."""
    pytest.importorskip("mp_api", reason='needs pip install "alab[discovery]"')
    with running() as stand_in:
        monkeypatch.setenv("MP_API_ENDPOINT", stand_in.url)
        monkeypatch.setenv("MP_API_KEY", KEY)
        yield stand_in


def test_the_default_reference_needs_nothing(shell: Any) -> None:
    ended = shell("data", "show")
    assert (ended.code, ended.err) == (0, "")
    assert "own-table-298k" in ended.out
    assert "it comes with alab" in ended.out
    assert "measured enthalpies at 298 K" in ended.out
    assert "Robie & Hemingway 1995" in ended.out
    shown = shell("data", "show", "--json").json
    assert shown["measured"] is True
    assert sum(shown["sources"].values()) == shown["entries"] > 150
    assert shell("data", "show", "--version", "1").code == 2


def test_a_system_is_pulled_into_a_new_reference(shell: Any, project: StandIn) -> None:
    ended = shell("data", "pull", "--chemsys", "Li-Mn-O", "--into", "reference")
    assert (ended.code, ended.err) == (0, "")
    assert "Added 8 from Materials Project 2025.09.25" in flat(ended.out)
    assert "reference, version 1, 8 entries of Li, Mn, O" in flat(ended.out)
    assert read(Path("reference")).name == "reference"
    shown = shell("data", "show", "reference").out
    assert "Materials Project 2025.09.25, GGA(+U), MP2020" in shown
    assert "as in the manifest" in shown
    assert project.asked


def test_what_is_there_is_not_added_again(shell: Any, project: StandIn) -> None:
    words = ("data", "pull", "--into", "reference", "--json", "--chemsys")
    first = shell(*words, "Li-O").json
    again = shell(*words, "Li-O").json
    wider = shell(*words, "Li-Mn", "--chemsys", "Mn-O").json
    assert (first["added"], first["already_there"], first["version"]) == (4, 0, 1)
    assert (again["added"], again["already_there"], again["version"]) == (0, 4, 1)
    assert (wider["added"], wider["already_there"], wider["version"]) == (3, 3, 2)
    assert again["digest"] == first["digest"] != wider["digest"]
    assert wider["chemical_systems"] == ["Li", "Mn", "O", "Li-Mn", "Mn-O"]
    assert wider["database_version"] == project.version
    assert read(Path("reference")).digest == wider["digest"]


def test_another_release_does_not_go_into_the_same_reference(
    shell: Any, project: StandIn
) -> None:
    shell("data", "pull", "--chemsys", "Li-O", "--into", "reference")
    project.version = "2026.04.01"
    forget()
    ended = shell("data", "pull", "--chemsys", "Mn-O", "--into", "reference")
    assert ended.code == 2
    assert "pull all systems into a new folder" in flat(ended.err)
    assert read(Path("reference")).version == 1


def test_the_key_comes_from_a_file_and_is_shown_nowhere(
    shell: Any, project: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MP_API_KEY")
    words = ("data", "pull", "--chemsys", "Li-O", "--into", "reference")
    ended = shell(*words)
    assert ended.code == 2
    assert "set MP_API_KEY, or name a file that holds it with --key-file" in flat(ended.err)
    wrong = KEY[::-1]
    Path("key").write_text(f"{wrong}\n")
    refused = shell(*words, "--key-file", "key")
    assert refused.code == 2
    assert "refuses the key (401)" in flat(refused.err)
    assert wrong not in refused.err + refused.out
    assert not Path("reference").exists()
    Path("key").write_text(f"{KEY}\n")
    done = shell(*words, "--key-file", "key")
    assert done.code == 0
    assert project.asked[-1][1]
    written = lzma.decompress(Path("reference/entries-0001.jsonl.xz").read_bytes()).decode()
    assert KEY not in done.out + written + Path("reference", MANIFEST).read_text()


def test_a_key_file_that_is_no_text_is_told(shell: Any, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    ended = shell(
        "data", "pull", "--chemsys", "Li-O", "--into", "reference", "--key-file", "key"
    )
    assert ended.code == 2
    assert "cannot be read as a key" in flat(ended.err)


def test_an_interrupted_pull_leaves_no_trace(
    shell: Any, project: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("data", "pull", "--chemsys", "Li-O", "--into", "reference")
    answer = project.answer
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it

    def interrupted(target: str, key: str | None) -> tuple[int, Any]:
        if "chemsys=O&" in target:
            os.kill(os.getpid(), signal.SIGINT)
        return answer(target, key)

    monkeypatch.setattr(project, "answer", interrupted)
    try:
        ended = shell(*words)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (ended.code, ended.out) == (130, "")
    assert not Path("reference").exists()
    monkeypatch.setattr(project, "answer", answer)
    assert shell(*words).code == 0


def test_what_is_being_written_is_finished_before_ctrl_c_is_obeyed(
    shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("oxides.csv").write_text(OXIDES)
    handler = signal.getsignal(signal.SIGINT)
    compress = lzma.compress

    def then_compress(content: bytes, *, preset: int) -> bytes:
        os.kill(os.getpid(), signal.SIGINT)
        return compress(content, preset=preset)

    monkeypatch.setattr(
        "planners.stability.references.snapshot_files.lzma.compress", then_compress
    )
    ended = shell("data", "import", "oxides.csv", *OWN)
    assert (ended.code, ended.out) == (130, "")
    assert len(read(Path("reference")).entries) == 2
    assert signal.getsignal(signal.SIGINT) is handler


def test_refusals_are_shown_with_their_reasons(shell: Any, project: StandIn) -> None:
    row = next(row for row in project.documents if row["formula_pretty"] == "Li2O")
    row["formation_energy_per_atom"] = None
    words = ("data", "pull", "--chemsys", "Li-O", "--into", "reference")
    ended = shell(*words)
    assert ended.code == 0
    assert "Refused 1" in flat(ended.out)
    assert row["material_id"] in ended.out
    assert "it has no formation energy" in ended.out
    assert shell(*words, "--json").json["refused"] == [
        {"name": row["material_id"], "reason": "it has no formation energy"}
    ]


def test_without_the_extra_a_pull_says_so(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MP_API_KEY", KEY)
    monkeypatch.setitem(sys.modules, "mp_api.client.routes.materials.thermo", None)
    ended = shell("data", "pull", "--chemsys", "Li-O", "--into", "reference")
    assert ended.code == 2
    assert 'pip install "alab[discovery]"' in flat(ended.err)


def test_a_table_is_imported_with_its_own_column_names(shell: Any) -> None:
    Path("oqmd.csv.xz").write_bytes(
        lzma.compress(b"name,target,no\nMgO,-2.95,oqmd-1\nTiO2,-3.4,oqmd-2\n")
    )
    ended = shell(
        *("data", "import", "oqmd.csv.xz", "--source", "OQMD 1.6", "--into", "reference"),
        *("--formula-column", "name", "--energy-column", "target", "--id-column", "no"),
    )
    assert (ended.code, ended.err) == (0, "")
    assert "Added 2 from oqmd.csv.xz (table)" in flat(ended.out)
    assert [(e.entry_id, e.source) for e in read(Path("reference")).entries] == [
        ("oqmd-1", "OQMD 1.6"),
        ("oqmd-2", "OQMD 1.6"),
    ]


def test_every_kind_is_told_by_its_content(shell: Any) -> None:
    Path("table.txt").write_text(OXIDES)
    Path("lines.txt").write_text(structure_line("mp-1265", ROCK_SALT, -3.03) + "\n")
    Path("relaxed").mkdir()
    ROCK_SALT.to("relaxed/mgo.cif")
    Path("relaxed/energies.csv").write_text("file,energy_ev_per_atom\nmgo.cif,-3.03\n")
    corrections = [ConstantEnergyAdjustment(-0.1, name="test")]
    computed = [
        ComputedEntry(formula, energy, energy_adjustments=corrections, entry_id=formula)
        for formula, energy in (("Mg", -1.5), ("O2", -9.7), ("MgO", -11.5))
    ]
    dumpfn(computed, "entries.json")
    dumpfn({"entries": computed}, "pretty.json", indent=2)
    append(Path("other"), read_entries(shell))
    found = {
        name: shell("data", "import", name, *OWN[: 2 * (name != "other")], *OWN[2:], "--json")
        for name in ("table.txt", "lines.txt", "relaxed", "entries.json", "other")
    }
    assert {name: ended.json["kind"] for name, ended in found.items()} == {
        "table.txt": "table",
        "lines.txt": "structures as JSON lines",
        "relaxed": "folder of structures",
        "entries.json": "computed entries",
        "other": "reference",
    }
    assert [ended.json["added"] for ended in found.values()] == [2, 1, 1, 3, 1]
    assert shell("data", "import", "pretty.json", *OWN, "--json").json["already_there"] == 3
    shown = shell("data", "show", "reference", "--json").json
    assert shown["sources"] == {"own runs": 7, "elsewhere": 1}
    assert shown["structures"] == 2


def read_entries(shell: Any) -> tuple[Any, ...]:
    """One entry of another source."""
    Path("one.csv").write_text("formula,energy_ev_per_atom\nBaO,-2.8\n")
    shell("data", "import", "one.csv", "--source", "elsewhere", "--into", "first")
    return read(Path("first")).entries


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("table.csv", "--into", "r"), "does not say where its energies come from"),
        (("table.csv", "--source", " ", "--into", "r"), "does not say where"),
        (("table.csv", *OWN, "--isolated-atoms"), "table; --isolated-atoms does not apply"),
        (("table.csv", *OWN, "--energy-column", "ef"), "no column ef; it has formula, energy"),
        (("empty.csv", *OWN), "empty.csv is empty"),
        (("header.csv", *OWN), "no entries to append"),
        (("binary.csv", *OWN), "no text and no whole .xz or .gz"),
        (("cut.csv.xz", *OWN), "no text and no whole .xz or .gz"),
        (("lines.jsonl", *OWN), "line 1: Field required"),
        (("lines.jsonl", *OWN, "--measured", "--id-column", "id"), "--id-column, --measured"),
        (("list.json", *OWN), "cannot be read as JSON"),
        (("folder", *OWN), "energies.csv cannot be read"),
        (("other", *OWN), "leave --source out"),
        (("absent.csv", *OWN), "does not exist"),
    ],
)
def test_wrong_imports_say_why(shell: Any, words: tuple[str, ...], message: str) -> None:
    Path("table.csv").write_text(OXIDES)
    Path("empty.csv").write_text("\n\n")
    Path("header.csv").write_text("formula,energy_ev_per_atom\n")
    Path("binary.csv").write_bytes(b"\xff\xfe\x00\x01")
    Path("cut.csv.xz").write_bytes(lzma.compress(OXIDES.encode())[:30])
    Path("lines.jsonl").write_text('{"id": "a", "ef": 1}\n')
    Path("list.json").write_text("[1,\n")
    Path("folder").mkdir()
    append(Path("other"), read_entries(shell))
    ended = shell("data", "import", *words)
    assert (ended.code, ended.out) == (2, "")
    assert message in flat(ended.err.replace("│", " "))
    assert not Path("reference").exists()


def test_measured_and_computed_stay_apart(shell: Any) -> None:
    Path("oxides.csv").write_text(OXIDES)
    assert shell("data", "import", "oxides.csv", *OWN, "--measured").code == 0
    ended = shell("data", "import", "oxides.csv", "--source", "OQMD 1.6", "--into", "reference")
    assert ended.code == 2
    assert "keep them in two references" in flat(ended.err)


def test_an_import_that_repeats_itself_is_taken_once(shell: Any) -> None:
    Path("oxides.csv").write_text(OXIDES + "MgO,-3.03\n")
    first = shell("data", "import", "oxides.csv", *OWN, "--json").json
    assert (first["added"], first["already_there"]) == (2, 1)
    again = shell("data", "import", "oxides.csv", *OWN)
    assert "nothing new" in again.out
    assert read(Path("reference")).version == 1


def test_a_changed_energy_under_an_old_name_is_an_error(shell: Any) -> None:
    Path("a.csv").write_text("formula,energy_ev_per_atom,id\nMgO,-3.0,x\n")
    Path("b.csv").write_text("formula,energy_ev_per_atom,id\nMgO,-3.1,x\n")
    assert shell("data", "import", "a.csv", *OWN, "--id-column", "id").code == 0
    ended = shell("data", "import", "b.csv", *OWN, "--id-column", "id")
    assert ended.code == 2
    assert "name the new calculation's source differently" in flat(ended.err)


def test_versions_and_their_hashes_are_shown(shell: Any) -> None:
    Path("a.csv").write_text(OXIDES)
    Path("b.csv").write_text("formula,energy_ev_per_atom\nBaO,-2.8\n")
    shell("data", "import", "a.csv", *OWN)
    shell("data", "import", "b.csv", *OWN)
    newest = shell("data", "show", "reference", "--json").json
    first = shell("data", "show", "reference", "--version", "1", "--json").json
    assert [version["entries"] for version in newest["versions"]] == [2, 1]
    assert newest["versions"][1]["digest"] == newest["digest"]
    assert (first["entries"], first["elements"]) == (2, ["Mg", "O", "Ti"])
    assert first["versions"] == newest["versions"][:1]
    shown = shell("data", "show", "reference").out
    assert newest["versions"][1]["sha256"][:12] in shown
    assert shell("data", "show", "reference", "--version", "3").code == 2


def test_a_changed_part_is_told(shell: Any) -> None:
    Path("a.csv").write_text(OXIDES)
    shell("data", "import", "a.csv", *OWN)
    part = Path("reference/entries-0001.jsonl.xz")
    part.write_bytes(
        lzma.compress(lzma.decompress(part.read_bytes()).replace(b"3.03", b"3.04"))
    )
    for words in (("show", "reference"), ("import", "a.csv", *OWN)):
        ended = shell("data", *words)
        assert (ended.code, ended.out) == (2, "")
        assert "it was changed after it was written" in flat(ended.err)


def test_a_damaged_reference_is_noticed_before_anything_is_asked_for(
    shell: Any, project: StandIn
) -> None:
    Path("a.csv").write_text(OXIDES)
    shell("data", "import", "a.csv", *OWN)
    Path("reference/entries-0001.jsonl.xz").unlink()
    ended = shell("data", "pull", "--chemsys", "Li-O", "--into", "reference")
    assert ended.code == 2
    assert "cannot be read" in flat(ended.err)
    assert project.asked == []


def test_many_refusals_and_sources_are_cut_short(shell: Any) -> None:
    alloy = Structure(Lattice.cubic(40.0), ["Fe"], [[0, 0, 0]])
    lines = [structure_line(f"far-{i}", alloy, 0.0) for i in range(13)]
    Path("set.jsonl").write_text("\n".join([structure_line("ok", ROCK_SALT, -3.0), *lines]))
    ended = shell("data", "import", "set.jsonl", *OWN)
    assert "far-9" in ended.out
    assert "far-10" not in ended.out
    assert "3 more were refused; --json lists all." in ended.out
    taken = shell("data", "import", "set.jsonl", *OWN, "--isolated-atoms", "--json").json
    assert (taken["added"], taken["already_there"], taken["refused"]) == (13, 1, [])
    shown = shell("data", "show").out
    assert "other sources gave" in shown


def test_a_bar_is_drawn_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with data._counted("Materials of Li-O") as progress:
        progress(1, 4)
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    with data._counted("Materials of Li-O") as progress:
        progress(1, 4)
    captured = capsys.readouterr()
    assert "Materials of Li-O" in captured.err
    assert "1/4" in captured.err
    assert captured.out == ""
