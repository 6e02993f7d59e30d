"""``alab recipes`` and ``alab reactions predict``: what they show, write and refuse."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.planners.literature import corpora

REPO = Path(__file__).parents[4]
EXAMPLE = REPO / "examples" / "barium-titanate.yaml"
LAB = REPO / "alab" / "data" / "lab.toml"


def flat(text: str) -> str:
    return " ".join(text.split())


def test_recipes_are_ranked_with_reasons(shell: Any) -> None:
    ended = shell("recipes", "BaTiO3")
    assert (ended.code, ended.err) == (0, "")
    assert "BaCO3 + TiO2 → BaTiO3 + CO2" in ended.out
    assert "1692.5 mg BaCO3" in ended.out
    assert "meV/atom" in ended.out
    assert "harmful" in ended.out


def test_what_papers_do_is_told_once_and_how_to_see_them(
    shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALAB_LITERATURE", raising=False)
    told = flat(shell("recipes", "BaTiO3").out)
    assert told.count("Papers take these powders: likeliest of") == 1
    assert told.count("No paper is cited: ") == 1
    assert told.endswith("name the file in ALAB_LITERATURE.")


def test_papers_are_fields_of_the_json(
    shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [corpora.reaction("BaTiO3", ["BaCO3", "TiO2"], [corpora.heating(1200, 6)])]
    copy = corpora.write(entries, tmp_path / "c.json")
    monkeypatch.setenv("ALAB_LITERATURE", str(copy))
    words = ("recipes", "BaTiO3", "--shelf", "BaCO3,BaO2,TiO2")
    carbonate, *others = [recipe["literature"] for recipe in shell(*words, "--json").json]
    assert carbonate["probability"] == pytest.approx(0.89, abs=0.02)
    assert carbonate["place"] == 1
    assert carbonate["procedures"] == [
        {
            "doi": "10.1/x",
            "target": "BaTiO3",
            "substitution": "",
            "precursors": ["BaCO3", "TiO2"],
            "temperature_c": 1200.0,
            "dwell_h": 6.0,
        }
    ]
    peroxide = next(p for p in others if p["probability"] < 0.5)
    assert peroxide["place"] != 1
    assert peroxide["likeliest_set"] == ["BaCO3", "TiO2"]
    told = flat(shell(*words).out)
    assert "at 1200 °C (doi 10.1/x)" in told
    assert "No paper is cited" not in told


def test_the_word_propose_may_be_said(shell: Any) -> None:
    short = shell("recipes", "BaTiO3", "--count", "2", "--json")
    assert short.json == shell("recipes", "propose", "BaTiO3", "--count", "2", "--json").json
    assert shell("recipes", "--count", "2", "BaTiO3", "--json").json == short.json
    assert len(short.json) == 2
    assert short.json[0]["schema"] == "alab-recipe-1"


def test_a_shelf_of_formulas_or_of_a_file(shell: Any, tmp_path: Path) -> None:
    named = shell("recipes", "BaTiO3", "--shelf", "BaO2, TiO2", "--json").json
    assert [p["formula"] for p in named[0]["precursors"]] == ["BaO2", "TiO2"]
    (tmp_path / "shelf.csv").write_text("formula,grams\n# mine\nBaO2,5\nTiO2,7\n")
    assert shell("recipes", "BaTiO3", "--shelf", "shelf.csv", "--json").json == named
    (tmp_path / "powders").write_text("BaO2\nTiO2\n")
    assert shell("recipes", "BaTiO3", "--shelf", "powders", "--json").json == named


@pytest.mark.parametrize("others", ["La0.5Sr0.5MnO3", ",".join(["ZrO2"] * 80)])
def test_a_shelf_of_formulas_is_no_file_for_its_dot_or_length(shell: Any, others: str) -> None:
    ended = shell("recipes", "BaTiO3", "--shelf", f"BaCO3,{others},TiO2", "--json")
    assert (ended.code, ended.err) == (0, "")


def test_a_lab_file_gives_shelf_and_furnaces(shell: Any) -> None:
    ended = shell("recipes", "LiFePO4", "--lab", LAB, "--json")
    assert ended.code == 0
    assert {r["firing"]["atmosphere"] for r in ended.json} == {"N2"}
    refused = shell("recipes", "LiFePO4", "--lab", LAB, "--atmosphere", "vacuum")
    assert refused.code == 2
    assert "the furnaces offer air" in flat(refused.err)


def test_options_bound_the_recipes(shell: Any) -> None:
    cool = shell("recipes", "MgAl2O4", "--shelf", "MgO,Al2O3", "--max-temperature", "900",
                 "--atmosphere", "O2", "--json").json  # fmt: skip
    assert all(s["temperature_c"] <= 900 for r in cool for s in r["firing"]["segments"])
    assert {r["firing"]["atmosphere"] for r in cool} == {"O2"}
    small = shell("recipes", "BaTiO3", "--batch-mass", "500", "--json").json[0]
    assert small["precursors"][0]["mass_mg"] == pytest.approx(1692.5 / 4, abs=0.1)


def test_what_is_written_can_be_checked(shell: Any, tmp_path: Path) -> None:
    ended = shell("recipes", "NaZr2(PO4)3", "--out", "plans", "--count", "2")
    assert ended.code == 0
    paths = sorted((tmp_path / "plans").iterdir())
    assert [p.name for p in paths] == ["NaZr2(PO4)3-1.yaml", "NaZr2(PO4)3-2.yaml"]
    assert yaml.safe_load(paths[0].read_text())["target"] == "NaZr2(PO4)3"
    checked = shell("recipes", "check", paths[0], "--lab", LAB)
    assert (checked.code, checked.err) == (0, "")
    assert "is in order" in checked.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("UO2",), "U is radioactive"),
        (("Xx",), "no chemical formula"),
        (("TiO2",), "stands on the shelf already"),
        (("BaTiO3", "--shelf", "BaCO3"), "no precursor on the shelf brings Ti"),
        (("BaTiO3", "--shelf", "BaCO3,Zz"), "'Zz' is no chemical formula"),
        (("BaTiO3", "--shelf", ","), "names no powder"),
        (("BaTiO3", "--shelf", "none.txt"), "cannot read the shelf"),
        (("Ba2TiO4", "--shelf", "BaTiO3"), "ratio of elements"),
        (("PbTiO3", "--forbid", "Pb"), "forbidden in this laboratory"),
        (("BaTiO3", "--forbid", "BaCO3"), "BaCO3 is on the list of forbidden precursors"),
        (("BaTiO3", "--max-temperature", "300"), "needs at least 500 °C"),
    ],
)
def test_bad_input_ends_with_2_and_one_message(shell: Any, words: Any, message: str) -> None:
    ended = shell("recipes", *words)
    assert ended.code == 2
    assert ended.out == ""
    assert message in flat(ended.err)
    assert "Traceback" not in ended.err


def test_a_hydrate_on_the_shelf_is_weighed_with_its_water(shell: Any) -> None:
    ended = shell("recipes", "NiO", "--shelf", "Ni(NO3)2·6H2O", "--json")
    (powder,) = ended.json[0]["precursors"]
    assert powder["mass_mg"] == pytest.approx(2000 * 290.79 / 74.69, rel=1e-3)


def test_a_wrong_recipe_file_is_told_by_line(shell: Any, tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8").replace("dwell_h: 12", "dwell_h: -12")
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    ended = shell("recipes", "check", "mine.yaml")
    assert ended.code == 2
    assert "mine.yaml, line 16: firing.segments[2].dwell_h is -12" in flat(ended.err)


def test_a_recipe_that_the_lab_cannot_run_says_all_of_it(shell: Any, tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    text = text.replace("1100", "1700").replace("air", "CO2").replace("BaCO3\n", "BaO2\n")
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    ended = shell("recipes", "check", "mine.yaml", "--lab", LAB)
    assert ended.code == 2
    told = flat(ended.err)
    assert "0 mg are on the shelf" in told
    assert "no furnace reaches 1700 °C by up to" in told
    assert "in CO2; they permit: 1150 °C" in told


def test_reactions_show_force_pathway_rivals_and_kinks(shell: Any) -> None:
    ended = shell("reactions", "BaCO3", "TiO2", "--target", "BaTiO3", "--temperature", "1000")
    assert (ended.code, ended.err) == (0, "")
    for words in ("BaCO3 + TiO2 → BaTiO3 + CO2", "±", "2 BaCO3 + TiO2 → Ba2TiO4 + 2 CO2",
                  "C1", "C2", "kink"):  # fmt: skip
        assert words in ended.out


def test_reactions_as_json(shell: Any) -> None:
    words = ("BaO,TiO2", "--target", "BaTiO3", "--temperature", "1000", "--json")
    ended = shell("reactions", *words)
    assert ended.json == shell("reactions", "predict", *words).json
    target, (interface,) = ended.json["target"], ended.json["interfaces"]
    assert target["driving_force_ev_per_atom"] > 0
    assert target["primary_competition_ev_per_atom"] < 0
    assert [k["mixing_ratio"] for k in interface["kinks"]] == pytest.approx([0, 1 / 3, 0.5, 1])
    assert json.dumps(ended.json, allow_nan=False)


def test_reactions_without_a_target_or_energies(shell: Any) -> None:
    assert shell("reactions", "BaCO3", "--target", "BaO").code == 0
    alone = shell("reactions", "MgO,", "Al2O3")
    assert alone.code == 0
    assert "MgAl2O4" in alone.out or "nothing between these two" in alone.out
    unknown = shell("reactions", "BaCO3", "Y2O3", "CuO", "--target", "YBa2Cu3O7")
    assert unknown.code == 0
    assert "no formation energy of Ba2YCu3O7" in flat(unknown.out)
    assert "→" in unknown.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("BaCO3", "TiO2", "--target", "SrTiO3"), "bring no Sr for SrTiO3"),
        (("BaCO3", "BaCO3"), "named twice"),
        (("BaCO3", "Qq"), "'Qq' is no chemical formula"),
        (("BaCO3", "TiO2", "--target", ""), "name a target"),
        (("O2", "TiO2"), "O2 holds nothing but O, which the furnace gas brings"),
        (("CO2", "H2O"), "name the gas as the atmosphere"),
        (("BaO2", "TiO2", "H2O", "--target", "BaTiO3"), "H2O holds nothing but H and O"),
        (("",), "a precursor is empty"),
        (("", "BaO", "TiO2"), "a precursor is empty"),
        ((",",), "no powder is named"),
        (("BaCO3",), "BaCO3 is named, and powders react where two touch"),
    ],
)
def test_reactions_refuse(shell: Any, words: Any, message: str) -> None:
    ended = shell("reactions", *words)
    assert ended.code == 2
    assert message in flat(ended.err)


def test_the_other_commands_of_the_groups_stay(shell: Any) -> None:
    assert "propose" in shell("recipes", "--help").out
    listed = shell("reactions", "--help").out
    assert "predict" in listed
    assert "list" in listed


def test_a_recipe_out_of_json_is_a_recipe_file(shell: Any, tmp_path: Path) -> None:
    told = shell("recipes", "BaTiO3", "--json").json
    file = tmp_path / "told.json"
    file.write_text(json.dumps(told[0]))
    assert shell("recipes", "check", file).code == 0
