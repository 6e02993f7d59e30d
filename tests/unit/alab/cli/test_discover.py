"""``alab discover`` and ``alab targets add --from``."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from alab.cli import discover as command
from alab.cli.bench import read_bench
from planners.stability.discover import discover
from planners.stability.discovery import Discovery, Models, Request
from planners.stability.discovery_file import as_file, write_discovery
from planners.stability.models import shipped
from planners.stability.screens.composition import BenchLimits
from tests.crystal_predictor import linear_ensemble, own_structures

SYSTEM = {"Li", "Mn", "O"}
SMALL = ("--chemsys", "Li-Mn-O", "--budget", 25, "--top", 8)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small ensemble that really predicts, and few structures to start from."""

    def models(_report: Callable[[str, int, int], None]) -> Models:
        return Models(structure=linear_ensemble(), name="a linear ensemble", volumes=(1.0,))

    def known(_report: object) -> list[Any]:
        return [one for one in own_structures() if one.elements <= SYSTEM]

    monkeypatch.setattr(command, "_models", models)
    monkeypatch.setattr(command, "_known", known)


@cache
def searched() -> Discovery:
    bench = read_bench(None, None)
    return discover(
        Request(system=("Li", "Mn", "O"), budget=25, top=8),
        [one for one in own_structures() if one.elements <= SYSTEM],
        Models(structure=linear_ensemble(), name="a linear ensemble", volumes=(1.0,)),
        BenchLimits(shelf=bench.shelf, limits=bench.limits),
    )


@pytest.fixture
def discovery(tmp_path: Path) -> Path:
    path = tmp_path / "discovery.json"
    write_discovery(searched(), path)
    return path


def edited(path: Path, change: Callable[[list[Any]], None]) -> Path:
    """The file with other candidates."""
    content = json.loads(path.read_text())
    change(content["candidates"])
    path.write_text(json.dumps(content))
    return path


def all_passing(rows: list[Any]) -> None:
    for row in rows:
        for screen in row["screens"]:
            screen["verdict"] = "passed"


def test_a_search_tells_ranks_and_writes(small: None, shell: Any, tmp_path: Path) -> None:
    ended = shell("discover", *SMALL)
    assert ended.code == 0, ended.err
    rows = json.loads((tmp_path / "discovery.json").read_text())["candidates"]
    best = rows[0]
    for said in (
        "judged against 8 known compounds, predicted by the same ensemble",
        "No measured or DFT energy is in this",
        best["formula"],
        best["space_group"],
        f"{best['decomposition_energy_ev_per_atom'] * 1000:+.0f} ± ",
        "Left out",
        "composition is known",
        "alab targets add --from discovery.json",
    ):
        assert said in " ".join(ended.out.split()), said
    for stage in ("generating", "predicting candidates 25", "screening"):
        assert stage in ended.err
    assert json.loads((tmp_path / "discovery.json").read_text()) == as_file(
        searched(), "discovery-structures"
    ).model_dump(mode="json")
    assert (tmp_path / best["cif"]).is_file()
    assert len(rows) == len(list((tmp_path / "discovery-structures").iterdir())) == 8


def test_json_is_the_file(small: None, shell: Any, tmp_path: Path) -> None:
    ended = shell("discover", *SMALL, "--json", "--out", tmp_path / "other.json")
    assert ended.code == 0, ended.err
    assert ended.json == json.loads((tmp_path / "other.json").read_text())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--chemsys", "Li-Xx-O"), "no element of the periodic table"),
        (("--chemsys", "Li"), "names 1 element"),
        (("--chemsys", "Li-Na-K-Mn-Fe-Co-O"), "names 7 element"),
        (("--chemsys", "Li-Mn-O", "--budget", "0"), "a budget of 0"),
        (("--chemsys", "Li-Mn-O", "--hull-limit", "-1"), "-1 meV/atom"),
        (("--chemsys", "Li-Mn-O", "--forbid", "Zz"), "'Zz'"),
        (("--chemsys", "Rb-Mn-O"), "no known compound of Rb"),
    ],
)
def test_bad_input_ends_with_2_and_writes_nothing(
    small: None, shell: Any, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    ended = shell("discover", *words)
    assert ended.code == 2
    assert told in ended.err.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_reference_folder_is_refused(small: None, shell: Any, tmp_path: Path) -> None:
    (tmp_path / "reference").mkdir()
    ended = shell("discover", *SMALL, "--reference", tmp_path / "reference")
    assert ended.code == 2
    assert "no snapshot" in ended.err


def test_an_installation_without_weights_says_so(
    shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "_HERE", tmp_path)
    shipped.structure_ensemble.cache_clear()
    ended = shell("discover", *SMALL)
    assert ended.code == 2
    assert "weights_structure.npz" in ended.err


def test_forbidden_elements_fail_their_screen(small: None, shell: Any, tmp_path: Path) -> None:
    ended = shell("discover", *SMALL, "--forbid", "Mn", "--json")
    held = [row for row in ended.json["candidates"] if "Mn" in row["formula"]]
    assert held
    assert not any(row["passed"] for row in held)


def test_the_best_become_targets_with_their_structures(
    discovery: Path, shell: Any, data_dir: Path
) -> None:
    edited(discovery, all_passing)
    rows = json.loads(discovery.read_text())["candidates"]
    ended = shell("targets", "add", "--from", discovery, "--top", 2, "--data-dir", data_dir)
    assert ended.code == 0, ended.err
    listed = shell("targets", "list", "--json", "--data-dir", data_dir).json
    assert len(listed) == 2
    taken = [row for row in rows if row["formula"] in {one["formula"] for one in listed}]
    assert len(taken) == 2
    note = next(one["note"] for one in listed if one["formula"] == taken[0]["formula"])
    assert note == (
        f"discovery.json, rank {taken[0]['rank']}: {taken[0]['space_group']}, "
        f"{taken[0]['decomposition_energy_ev_per_atom'] * 1000:+.0f} meV/atom"
    )
    names = {Path(row["cif"]).name for row in taken}
    assert {p.name for p in (data_dir / "structures").iterdir()} == names


def test_what_is_listed_is_told_and_not_repeated(
    discovery: Path, shell: Any, data_dir: Path
) -> None:
    edited(discovery, all_passing)
    words = ("targets", "add", "--from", discovery, "--top", 2, "--data-dir", data_dir)
    first = shell(*words, "--priority", 4, "--json")
    again = shell(*words, "--json")
    assert again.code == 0
    assert again.json["listed"] == []
    assert sorted(again.json["already_listed"]) == sorted(first.json["listed"])
    listed = shell("targets", "list", "--json", "--data-dir", data_dir).json
    assert [row["priority"] for row in listed] == [4, 4]


def test_failed_screens_are_refused_unless_anyway(
    discovery: Path, shell: Any, data_dir: Path
) -> None:
    def failing(rows: list[Any]) -> None:
        all_passing(rows)
        for row in rows:
            row["screens"][0] |= {"verdict": "failed", "reason": "90 meV/atom, at most 10"}

    edited(discovery, failing)
    words = ("targets", "add", "--from", discovery, "--top", 1, "--data-dir", data_dir)
    refused = shell(*words)
    assert refused.code == 2
    assert "energy above hull: 90 meV/atom, at most 10" in refused.err
    assert shell("targets", "list", "--json", "--data-dir", data_dir).json == []
    taken = shell(*words, "--anyway", "--json")
    assert taken.code == 0, taken.err
    assert len(taken.json["listed"]) == 1


def test_what_the_shelf_cannot_make_is_refused_by_name(
    discovery: Path, shell: Any, data_dir: Path
) -> None:
    def one_of_platinum(rows: list[Any]) -> None:
        all_passing(rows)
        rows[0]["formula"] = "Li2PtO3"

    edited(discovery, one_of_platinum)
    ended = shell(
        "targets", "add", "--from", discovery, "--top", 2, "--data-dir", data_dir, "--json"
    )
    assert ended.code == 0, ended.err
    assert "no precursor on the shelf brings Pt" in ended.json["refused"]["Li2PtO3"]
    assert len(ended.json["listed"]) == 1


def test_a_campaign_starts_with_them(discovery: Path, shell: Any, served: Path) -> None:
    edited(discovery, all_passing)
    ended = shell(
        "targets", "add", "--from", discovery, "--top", 2, "--campaign", "predicted",
        "--data-dir", served, "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    found = shell("campaign", "show", "predicted", "--json", "--data-dir", served).json
    assert sorted(t["formula"] for t in found["target_list"]) == sorted(ended.json["listed"])


def test_a_campaign_needs_a_laboratory_and_lists_nothing_without(
    discovery: Path, shell: Any, data_dir: Path
) -> None:
    edited(discovery, all_passing)
    ended = shell(
        "targets", "add", "--from", discovery, "--campaign", "predicted", "--data-dir", data_dir
    )
    assert ended.code == 3
    assert shell("targets", "list", "--json", "--data-dir", data_dir).json == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--from FILE"),
        (("BaTiO3", "--from", "discovery.json"), "not both"),
        (("BaTiO3", "--anyway"), "go with --from"),
        (("BaTiO3", "--campaign", "x"), "go with --from"),
        (("--from", "missing.json"), "cannot read"),
    ],
)
def test_wrong_words_are_refused(
    shell: Any, data_dir: Path, words: tuple[str, ...], told: str
) -> None:
    ended = shell("targets", "add", *words, "--data-dir", data_dir)
    assert ended.code == 2
    assert told in ended.err.replace("\n", " ")
