"""``alab optimize``: what it reads, chooses, says and refuses."""

from pathlib import Path
from typing import Any

import pytest

from alab.store.codec import encode
from alab.store.store import Store
from alab.store.tables import AttemptRow
from tests.unit.planners.optimizer.firings import outcome, recipe

FIRED = """\
sample,precursors,temperature_c,target_wt_percent,phases
A1,BaCO3 + TiO2,700,0,"BaCO3 70, TiO2 30"
A2,BaCO3 + TiO2,900,30,"BaTiO3 30, Ba2TiO4 35, TiO2 15, Fe2O3 20"
"""


@pytest.fixture
def fired(tmp_path: Path) -> Path:
    file = tmp_path / "fired.csv"
    file.write_text(FIRED)
    return file


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_next_firing_comes_with_its_reasons(shell: Any, fired: Path) -> None:
    ended = shell("optimize", "BaTiO3", "--tried", fired)
    assert ended.code == 0
    said = flat(ended.out)
    assert "2 fired, 2 measured" in said
    assert "BaCO3 + TiO2" in said
    assert "Jander" in said
    assert "Not argued from: Fe2O3 in A2" in said


def test_a_batch_holds_different_experiments(shell: Any, fired: Path) -> None:
    ended = shell("optimize", "BaTiO3", "--tried", fired, "--batch", "4",
                  "--shelf", "BaCO3,BaO2,BaO,TiO2", "--json")  # fmt: skip
    assert ended.code == 0
    chosen = [
        (
            tuple(sorted(p["formula"] for p in d["recipe"]["precursors"])),
            str(d["recipe"]["firing"]),
        )
        for d in ended.json["decisions"]
    ]
    assert len(chosen) == len(set(chosen)) == 4
    assert len({powders for powders, _ in chosen}) >= 3
    assert all(d["reasons"] for d in ended.json["decisions"])
    assert ended.json["not_argued_from"][0]["formula"] == "Fe2O3"


@pytest.mark.parametrize("strategy", ["arrows3", "driving-force", "random"])
def test_every_strategy_chooses(shell: Any, fired: Path, strategy: str) -> None:
    ended = shell("optimize", "BaTiO3", "--tried", fired, "--strategy", strategy, "--json")
    assert ended.code == 0
    assert ended.json["decisions"][0]["step"] == "new_recipe"


def test_a_success_is_done(shell: Any, fired: Path) -> None:
    ended = shell("optimize", "BaTiO3", "--tried", fired, "--made-from", "30")
    assert ended.code == 0
    assert "Done" in ended.out
    assert "A2 holds 30.0" in flat(ended.out)


def test_mistakes_are_told(shell: Any, fired: Path, tmp_path: Path) -> None:
    fired.write_text(FIRED.replace("900", "hot"))
    ended = shell("optimize", "BaTiO3", "--tried", fired)
    assert ended.code == 2
    assert "line 3: temperature_c is 'hot'" in flat(ended.err)
    assert shell("optimize", "Xx2O3", "--tried", fired).code == 2
    assert (
        "'batio3' is no chemical formula" in shell("optimize", "batio3", "--tried", fired).err
    )
    nowhere = shell("optimize", "BaTiO3", "--data-dir", tmp_path / "nothing")
    assert nowhere.code != 0
    assert nowhere.err


def test_what_the_laboratory_fired_counts(shell: Any, data_dir: Path) -> None:
    made = recipe({"BaCO3": 1.0, "TiO2": 1.0}, 900.0, target="BaTiO3")
    found = outcome({"BaTiO3": 0.8, "TiO2": 0.2}, target="BaTiO3")
    store = Store.in_directory(data_dir)
    with store.begin() as session:
        sample = "titanates-BaTiO3-1"
        session.query(AttemptRow).filter_by(sample=sample).delete()
        session.add(
            AttemptRow(sample=sample, round=1, recipe=encode(made), outcome=encode(found))
        )
    store.close()
    done = shell("optimize", "BaTiO3", "--data-dir", data_dir, "--made-from", "75", "--json")
    assert [d["step"] for d in done.json["decisions"]] == ["done"]
    more = shell("optimize", "BaTiO3", "--data-dir", data_dir, "--made-from", "90", "--json")
    assert more.json["fired"] == 1
    assert more.json["decisions"][0]["step"] == "refire"
