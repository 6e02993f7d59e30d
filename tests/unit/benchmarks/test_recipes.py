"""``python -m benchmarks.recipes --table``: which figures a table of one's own gives."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import recipes

HEADER = "precursors,temperature_C,target_wt_pct\n"
SETS = ("BaO, TiO2", "BaCO3, TiO2", "BaO2, TiO2")


def written(folder: Path, *percent: float) -> Path:
    """A table of three sets at as many temperatures as the yields fill."""
    file = folder / "mine.csv"
    rows = [f'"{SETS[i % 3]}",{700 + 100 * (i // 3)},{y}\n' for i, y in enumerate(percent)]
    file.write_text(HEADER + "".join(rows), encoding="utf-8")
    return file


def figures_of(
    monkeypatch: pytest.MonkeyPatch, table: Path, *words: str
) -> dict[str, dict[str, Any]]:
    told = table.with_suffix(".json")
    monkeypatch.setattr(recipes, "QUICK_SEEDS", 2)
    monkeypatch.setattr(
        sys, "argv", ["recipes", "--quick", "--table", str(table), "--json", str(told), *words]
    )
    recipes.main()
    return json.loads(told.read_text(encoding="utf-8"))


def test_a_table_without_any_target_has_nothing_to_find(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert figures_of(monkeypatch, written(tmp_path, 0, 0, 0), "--target", "BaTiO3") == {}
    assert "no firing gave any BaTiO3 to find" in capsys.readouterr().out


def test_a_table_without_pure_firings_tells_the_best_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = figures_of(monkeypatch, written(tmp_path, 0, 60, 20), "--target", "BaTiO3")
    assert [name.partition("_")[2] for name in figures] == ["best"]
    assert "no firing of" in capsys.readouterr().out


def test_five_pure_firings_are_looked_for_where_there_are_five(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    four = figures_of(monkeypatch, written(tmp_path, 0, 20, 100, 100, 100, 100))
    said = capsys.readouterr().out
    assert not any(name.endswith("five_pure") for name in four)
    assert any(name.endswith("all_pure") for name in four)
    assert "five_pure is left out: 4 of the firings" in said
    assert "BaTiO2 stands in" in said
    five = figures_of(monkeypatch, written(tmp_path, 0, 100, 100, 100, 100, 100))
    assert any(name.endswith("five_pure") for name in five)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ('"BaO, TiO2",700,20\n\n"BaO, TiO2",hot,20\n', "mine.csv, line 4: "),
        ('"BaO, TiO2",700,\n', "no row holds a yield"),
        ('"O2",700,3\n', "no precursor holds a metal"),
    ],
)
def test_a_bad_table_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    rows: str,
    said: str,
) -> None:
    table = written(tmp_path)
    table.write_text("\ufeff" + HEADER + rows, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        figures_of(monkeypatch, table)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
