"""``alab reactions``: what the samples of a data directory show, and what others saw."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alab.models import Outcome
from alab.store.codec import encode
from alab.store.store import Store
from alab.store.tables import AttemptRow
from tests.unit.planners.optimizer.firings import outcome, recipe


@pytest.fixture
def fired(data_dir: Path) -> Path:
    """A laboratory whose first titanate sample holds a product and a contamination."""
    attempt_of(data_dir, 900, outcome({"BaTiO3": 0.8, "BaZrO3": 0.2}, target="BaTiO3"))
    return data_dir


def attempt_of(folder: Path, temperature_c: float, found: Outcome) -> None:
    made = recipe({"BaCO3": 1.0, "TiO2": 1.0}, temperature_c, target="BaTiO3")
    store = Store.in_directory(folder)
    with store.begin() as session:
        sample = "titanates-BaTiO3-1"
        session.query(AttemptRow).filter_by(sample=sample).delete()
        session.add(
            AttemptRow(sample=sample, round=1, recipe=encode(made), outcome=encode(found))
        )
    store.close()


def test_reactions_are_listed_with_what_is_flagged(shell: Any, fired: Path) -> None:
    ended = shell("reactions", "list", "--data-dir", fired)
    assert (ended.code, ended.err) == (0, "")
    assert "BaCO3 + TiO2 → BaTiO3 + CO2 by 900 °C" in ended.out
    assert "BaZrO3 holds Zr, which no powder" in ended.out
    (row,) = [
        row
        for row in shell("reactions", "list", "--json", "--data-dir", fired).json
        if row["sample"] == "titanates-BaTiO3-1"
    ]
    assert (row["products"], row["by_c"], row["weight"]) == ("BaTiO3", 900, 1.0)


def test_a_phase_can_be_asked_for(shell: Any, fired: Path) -> None:
    titanium = shell("reactions", "list", "Ti2O4", "--json", "--data-dir", fired).json
    assert {row["reactants"] for row in titanium} == {"BaCO3 + TiO2"}
    assert shell("reactions", "list", "SrCO3", "--json", "--data-dir", fired).json == []
    wrong = shell("reactions", "list", "water!", "--data-dir", fired)
    assert wrong.code == 2
    assert "'water!' is no formula" in wrong.err


def test_a_table_and_a_file_for_another_laboratory(
    shell: Any, fired: Path, tmp_path: Path
) -> None:
    table, file = tmp_path / "table.csv", tmp_path / "ours.json"
    assert shell("reactions", "export", table, "--data-dir", fired).code == 0
    with table.open(encoding="utf-8", newline="") as lines:
        assert "BaTiO3" in {line["products"] for line in csv.DictReader(lines)}
    written = shell("reactions", "export", file, "--json", "--data-dir", fired).json
    assert written["observations"] == len(json.loads(file.read_text())["observations"])
    words = ("reactions", "import", file, "--laboratory", "north", "--data-dir", fired)
    assert shell(*words).code == 0
    rows = shell("reactions", "list", "BaTiO3", "--json", "--data-dir", fired).json
    samples = {row["sample"] for row in rows}
    assert {"titanates-BaTiO3-1", "north/titanates-BaTiO3-1"} <= samples


def test_disagreements_show_both_sides(shell: Any, fired: Path, tmp_path: Path) -> None:
    file = tmp_path / "theirs.json"
    shell("reactions", "export", file, "--data-dir", fired)
    shell("reactions", "import", file, "--laboratory", "north", "--data-dir", fired)
    attempt_of(fired, 1000, outcome({"BaCO3": 0.712, "TiO2": 0.288}, target="BaTiO3"))
    ended = shell("reactions", "list", "--contradictions", "--data-dir", fired)
    assert "north/titanates-BaTiO3-1" in ended.out
    assert "inert at 1000 °C in titanates-BaTiO3-1" in ended.out
    (entry,) = shell(
        "reactions", "list", "--contradictions", "--json", "--data-dir", fired
    ).json
    assert {side[0]["products"] for side in (entry["one"], entry["other"])} == {"", "BaTiO3"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("export", "table.xls"), "name it .csv or .json"),
        (("import", "none.json", "--laboratory", "north"), "none.json"),
        (("import", "none.json", "--laboratory", "../x"), "cannot name a laboratory"),
    ],
)
def test_what_cannot_be_done_is_told(shell: Any, fired: Path, words: Any, told: str) -> None:
    ended = shell("reactions", *words, "--data-dir", fired)
    assert ended.code == 2
    assert told in ended.err


def test_a_broken_file_of_another_laboratory_is_named(shell: Any, fired: Path) -> None:
    folder = fired / "observations"
    folder.mkdir()
    (folder / "north.json").write_text("{}", encoding="utf-8")
    ended = shell("reactions", "list", "--data-dir", fired)
    assert ended.code == 2
    assert "north.json" in ended.err


def test_an_empty_laboratory_has_seen_nothing(shell: Any, fired: Path) -> None:
    blind = replace(outcome({}, target="BaTiO3"), target_weight_fraction=0.3)
    attempt_of(fired, 900, blind)
    ended = shell("reactions", "list", "BaTiO3", "--data-dir", fired)
    assert ended.code == 0
    assert "No reaction was seen" in ended.out
