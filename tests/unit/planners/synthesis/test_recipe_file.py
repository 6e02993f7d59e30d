"""Recipe files: what a person writes, what is refused, and round trips."""

import json
import tomllib
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings, strategies as st

from alab.errors import RecipeError
from alab.models import Atmosphere, FiringLimits
from planners.synthesis.recipe_file import (
    read_recipe,
    recipe_data,
    recipe_from_text,
    recipe_text,
    write_recipe,
)
from planners.synthesis.recipes import propose

REPO = Path(__file__).parents[4]
EXAMPLE = REPO / "examples" / "barium-titanate.yaml"
LAB = tomllib.loads((REPO / "alab/data/lab.toml").read_text())
SHELF = {formula: 1000.0 * jar["mass_g"] for formula, jar in LAB["precursors"].items()}
LIMITS = FiringLimits(
    max_temperature_c=1150.0,
    max_ramp_c_per_min=15.0,
    atmospheres=(Atmosphere.AIR, Atmosphere.N2, Atmosphere.O2),
)
PLAIN = """\
schema: alab-recipe-1
target: BaTiO3
precursors:
  - formula: BaCO3
  - formula: TiO2
firing:
  segments:
    - {temperature_c: 1000, ramp_c_per_min: 5, dwell_h: 4}
"""


def with_masses(barium_mg, titanium_mg):
    return PLAIN.replace("BaCO3\n", f"BaCO3\n    mass_mg: {barium_mg}\n").replace(
        "TiO2\n", f"TiO2\n    mass_mg: {titanium_mg}\n"
    )


def test_the_example_is_read_balanced_and_weighed():
    recipe = read_recipe(EXAMPLE)
    assert recipe.reaction == "BaCO3 + TiO2 → BaTiO3 + CO2"
    barium, titanium = recipe.precursors
    # 2000 mg of 233.19 g/mol are 8.577 mmol, of 197.34 and 79.87 g/mol
    assert barium.mass_mg == pytest.approx(8.5767 * 197.336, abs=0.1)
    assert titanium.mass_mg == pytest.approx(8.5767 * 79.866, abs=0.1)
    assert recipe.max_temperature_c == 1100
    assert recipe.profile.segments[-1].dwell_s == 12 * 3600
    assert recipe.atmosphere is Atmosphere.AIR


@pytest.mark.parametrize("target", ["BaTiO3", "LiMn2O4", "NaZr2(PO4)3", "LiFePO4", "ZnFe2O4"])
@pytest.mark.parametrize("ending", [".yaml", ".json"])
def test_planned_recipes_go_round(target, ending, tmp_path):
    for number, recipe in enumerate(propose(target, shelf=SHELF, limits=LIMITS)):
        path = tmp_path / f"{number}{ending}"
        write_recipe(recipe, path)
        assert read_recipe(path) == recipe


def test_volatile_elements_get_their_usual_excess_unless_told():
    text = """\
schema: alab-recipe-1
target: LiCoO2
precursors: [{formula: Li2CO3}, {formula: Co3O4}]
firing: {segments: [{temperature_c: 900, ramp_c_per_min: 5, dwell_h: 10}]}
"""
    lithium, cobalt = recipe_from_text(text).precursors
    assert lithium.moles == pytest.approx(0.5 * 1.05)
    assert cobalt.moles == pytest.approx(1 / 3)
    told = text.replace("{formula: Li2CO3}", "{formula: Li2CO3, excess_percent: 0}")
    assert recipe_from_text(told).precursors[0].moles == pytest.approx(0.5)


@pytest.mark.parametrize("dot", ["·", "•", "*"])
def test_a_hydrate_is_weighed_with_its_water(dot):
    text = """\
schema: alab-recipe-1
target: NiO
precursors: [{formula: Ni(NO3)2·6H2O}]
firing: {segments: [{temperature_c: 600, ramp_c_per_min: 5, dwell_h: 4}]}
"""
    (nickel,) = recipe_from_text(text.replace("·", dot)).precursors
    assert nickel.formula == "Ni(NO3)2(H2O)6"
    # 2000 mg NiO of 74.69 g/mol are 26.777 mmol, of 290.79 g/mol
    assert nickel.mass_mg == pytest.approx(26.777 * 290.79, abs=1.0)
    with pytest.raises(RecipeError, match=r"line 3: .*write the hydrate as 'Ni\(NO3\)2·6H2O'"):
        recipe_from_text(text.replace("·", "."))


def test_masses_are_held_against_the_balance():
    harmful = "BaCO3 is harmful when swallowed (H302)."
    assert recipe_from_text(with_masses(1692.5, 685.0)).risks == (harmful,)
    (risk, _) = recipe_from_text(with_masses(1692.5 * 1.2, 685.0)).risks
    assert "20 % more than BaCO3 + TiO2 → BaTiO3 + CO2 asks for beside the TiO2" in risk
    with pytest.raises(RecipeError, match=r"100 % more .* at most 50 % is allowed"):
        recipe_from_text(with_masses(1692.5 * 2, 685.0))


def plain(target, powders, temperature_c, atmosphere):
    return json.dumps(
        {
            "schema": "alab-recipe-1",
            "target": target,
            "precursors": [{"formula": powder} for powder in powders.split()],
            "firing": {
                "atmosphere": atmosphere,
                "segments": [{"temperature_c": temperature_c, "ramp_c_per_min": 5}],
            },
        }
    )


@pytest.mark.parametrize(
    ("target", "powders", "message"),
    [
        ("KCrO2", "(NH4)2Cr2O7 KN3", r"\(NH4\)2Cr2O7 can explode .* KN3 can explode"),
        (
            "KAlO2",
            "KNO3 Al",
            "Al takes fire in air .* KNO3 gives off oxygen and Al burns in it",
        ),
        ("LiMn2O4", "LiNO3 MnC2O4", "LiNO3 gives off oxygen and MnC2O4 burns in it"),
        ("HgBa2CuO4", "HgO BaO2 CuO", "HgO gives off a poisonous vapour"),
    ],
)
def test_what_the_planner_never_proposes_is_refused(target, powders, message):
    with pytest.raises(RecipeError, match=f"^recipe: {message}.* Choose other powders$"):
        recipe_from_text(plain(target, powders, 900, "air"), as_json=True)


def test_heat_gas_and_hazards_that_the_planner_would_not_choose_are_told():
    powders = "Li2CO3 FeC2O4(H2O)2 NH4H2PO4"
    hot = recipe_from_text(plain("LiFePO4", powders, 1500, "air"), as_json=True)
    assert "1500 °C is above 880 °C, where LiFePO4 is to be kept by melting at 980 °C." in (
        hot.risks
    )
    (gas,) = [risk for risk in hot.risks if "The planner" in risk]
    assert gas.startswith("The planner would fire LiFePO4 in N2, not air: Fe would oxidise")
    for mild in ("N2", "Ar"):
        text = plain("LiFePO4", powders, 700, mild)
        assert recipe_from_text(text, as_json=True).risks == ()
    lead = recipe_from_text(plain("PbTiO3", "PbO TiO2", 800, "air"), as_json=True)
    assert any("unborn child" in risk for risk in lead.risks)


def test_a_target_that_suits_no_gas_says_so_as_a_risk():
    recipe = recipe_from_text(plain("TiO", "TiO2", 900, "Ar"), as_json=True)
    assert any("more reduced than" in risk for risk in recipe.risks)


def test_moles_follow_from_masses_and_must_not_contradict_them():
    barium, titanium = recipe_from_text(with_masses(1692.5 * 1.05, 685.0)).precursors
    assert titanium.moles == pytest.approx(1.0)
    assert barium.moles == pytest.approx(1.05, abs=1e-3)
    wrong = with_masses(1692.5, 685.0)
    wrong = wrong.replace("mass_mg: 1692.5", "mass_mg: 1692.5\n    moles: 1.0")
    wrong = wrong.replace("mass_mg: 685.0", "mass_mg: 685.0\n    moles: 1.3")
    with pytest.raises(RecipeError, match="contradict each other"):
        recipe_from_text(wrong)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("alab-recipe-1", "alab-recipe-9"), r"line 1: schema is 'alab-recipe-9': .*'alab-re"),
        (("target: BaTiO3\n", ""), "target is missing"),
        (("target: BaTiO3", "target: BaXxO3"), "'BaXxO3' is no chemical formula"),
        (("formula: BaCO3", "formula: 7"), r"line 4: precursors\[1\].formula is 7"),
        (("- formula: BaCO3", "- formula: BaCO3\n    mass_mg: -1"), "line 5: .*mass_mg is -1: "
         "input should be greater than 0"),
        (("temperature_c: 1000", "temperature_c: 3000"), r"line 8: .*temperature_c is 3000: "
         "input should be less than or equal to 2000"),
        (("dwell_h: 4", "dwell_h: .nan"), "dwell_h is nan"),
        (("ramp_c_per_min: 5", "ramp: 5"), "ramp is no field of a recipe file"),
        (("firing:", "firing:\n  atmosphere: argon"), "line 7: firing.atmosphere is 'argon': "
         "input should be 'air', 'O2'"),
        (("schema:", "target: BaTiO3\nschema:"), "'target' is given twice"),
        (("  - formula: TiO2\n", ""), "BaCO3 bring no Ti for BaTiO3"),
        (("formula: TiO2", "formula: BaCO3"), "named twice"),
        (("- formula: TiO2", "- formula: TiO2\n    mass_mg: 5"), "give all or none"),
        (("firing:", "firing: ["), "no YAML"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_line_and_field(change, message):
    text = PLAIN.replace(*change)
    assert text != PLAIN
    with pytest.raises(RecipeError, match=message) as caught:
        recipe_from_text(text, name="mine.yaml")
    assert str(caught.value).startswith("mine.yaml")


@pytest.mark.parametrize("text", ["", "3", "- 1", "null", "[" * 3000, "? [a]\n: b", "{}"])
def test_what_is_no_recipe_at_all(text):
    for as_json in (False, True):
        with pytest.raises(RecipeError):
            recipe_from_text(text, as_json=as_json)


def test_several_mistakes_are_told_at_once():
    text = PLAIN.replace("temperature_c: 1000", "temperature_c: 9").replace("BaTiO3", "''")
    with pytest.raises(RecipeError) as caught:
        recipe_from_text(text)
    assert len(str(caught.value).splitlines()) == 2


FIELDS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(
    key=st.sampled_from(["schema", "target", "precursors", "firing", "mixing", "score", "risks",
                         "batch_mass_mg", "regrinds"]),
    value=FIELDS,
)  # fmt: skip
def test_any_field_is_read_or_refused_with_words(key, value):
    data = {**yaml.safe_load(PLAIN), key: value}
    for text, as_json in ((yaml.safe_dump(data), False), (json.dumps(data), True)):
        try:
            recipe = recipe_from_text(text, as_json=as_json)
        except RecipeError:
            continue
        assert recipe_from_text(recipe_text(recipe)) == recipe


def test_a_batch_too_small_for_the_balance_is_refused():
    data = {**yaml.safe_load(PLAIN), "batch_mass_mg": 0.5}
    with pytest.raises(RecipeError, match=r"batch_mass_mg 0\.5 asks for .* mg TiO2, less than"):
        recipe_from_text(yaml.safe_dump(data))


def test_files_that_cannot_be_read_or_written(tmp_path):
    with pytest.raises(RecipeError, match="cannot read"):
        read_recipe(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="no UTF-8"):
        read_recipe(tmp_path / "bytes.yaml")
    recipe = read_recipe(EXAMPLE)
    with pytest.raises(RecipeError, match="choose one of these"):
        write_recipe(recipe, tmp_path / "recipe.txt")
    with pytest.raises(RecipeError, match="cannot write"):
        write_recipe(recipe, tmp_path / "none" / "recipe.yaml")


def test_json_says_the_schema():
    assert recipe_data(read_recipe(EXAMPLE))["schema"] == "alab-recipe-1"
