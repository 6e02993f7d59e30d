import csv
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from pymatgen.core import Composition

from alab.errors import TargetError
from alab.models import Atmosphere, FiringLimits
from planners.literature.conditions import loose_powder, predict_conditions
from planners.synthesis.conditions import GRID_C, excess_fraction, profile, snap
from planners.synthesis.reactions import metals
from planners.synthesis.recipes import precursor_sets, propose
from planners.synthesis.screen import check_target
from planners.synthesis.thermo import find

REPO = Path(__file__).parents[4]
LAB = tomllib.loads((REPO / "alab/data/lab.toml").read_text())
SHELF = {formula: 1000.0 * jar["mass_g"] for formula, jar in LAB["precursors"].items()}
LIMITS = FiringLimits(
    max_temperature_c=1150.0,
    max_ramp_c_per_min=15.0,
    atmospheres=(Atmosphere.AIR, Atmosphere.N2, Atmosphere.O2),
)
AIR_ONLY = FiringLimits(
    max_temperature_c=1150.0, max_ramp_c_per_min=15.0, atmospheres=(Atmosphere.AIR,)
)


def targets(name):
    with (REPO / "examples" / name).open(encoding="utf-8") as stream:
        return [row["formula"] for row in csv.DictReader(stream)]


def masses(recipe):
    return {p.formula: p.mass_mg for p in recipe.precursors}


def assert_sane(recipe, target):
    assert recipe.target == target
    assert 500 <= recipe.max_temperature_c <= LIMITS.max_temperature_c
    assert recipe.max_temperature_c % GRID_C == 0
    assert recipe.atmosphere in LIMITS.atmospheres
    assert 1 <= len(recipe.precursors) <= 5
    assert all(p.mass_mg >= 5.0 for p in recipe.precursors)
    assert recipe.reasons
    assert all(s.ramp_c_per_min <= LIMITS.max_ramp_c_per_min for s in recipe.profile.segments)
    # weighed moles hold the target's metals, plus an excess of volatile ones at most
    wanted = Composition(recipe.target)
    for element in metals(recipe.target):
        weighed = sum(p.moles * Composition(p.formula)[element] for p in recipe.precursors)
        assert wanted[element] - 1e-6 <= weighed <= 1.1 * wanted[element] + 1e-6


def test_the_example_lists_are_whole():
    demo, all_targets = targets("targets.csv"), targets("targets58.csv")
    assert len(demo) == 6
    assert len({Composition(f).reduced_formula for f in all_targets}) == 58
    assert all_targets[:6] == demo


def test_the_table_knows_every_example_target_and_every_jar():
    for formula in (*targets("targets58.csv"), *SHELF):
        assert find(formula) is not None, formula


@pytest.mark.parametrize("target", targets("targets58.csv"))
def test_every_benchmark_target_gets_recipes(target):
    recipes = propose(target, shelf=SHELF, limits=AIR_ONLY)
    assert 1 <= len(recipes) <= 5
    for recipe in recipes:
        assert_sane(recipe, target)
    scores = [recipe.score for recipe in recipes]
    assert scores == sorted(scores, reverse=True)
    firings = {
        (frozenset(masses(r)), r.max_temperature_c, r.profile.segments[-1].dwell_s)
        for r in recipes
    }
    assert len(firings) == len(recipes)


@pytest.mark.parametrize(
    ("target", "low_c", "high_c"),
    # usual solid-state temperatures of first firings
    [
        ("BaTiO3", 900, 1150),
        ("YPO4", 900, 1150),
        ("ZnFe2O4", 800, 1100),
        ("LiMn2O4", 700, 850),
        ("MgAl2O4", 1100, 1150),
        ("NaZr2(PO4)3", 850, 1100),
        ("BiFeO3", 650, 850),
        ("Na2MoO4", 500, 600),
        ("LiCoO2", 750, 950),
    ],
)
def test_temperatures_are_those_of_practice(target, low_c, high_c):
    recipe = propose(target, shelf=SHELF, limits=LIMITS)[0]
    assert low_c <= recipe.max_temperature_c <= high_c


def test_a_sulfide_is_not_made_from_sulfur_in_an_open_crucible():
    shelf = {"Sn": 1e5, "S": 1e5, "ZnO": 1e5}
    with pytest.raises(TargetError, match="SnS needs N2 or Ar"):
        propose("SnS", shelf=shelf, limits=AIR_ONLY)
    with pytest.raises(TargetError, match="S boils off at 445 °C and needs a closed vessel"):
        propose("SnS", shelf=shelf, limits=LIMITS)
    with pytest.raises(TargetError, match="would burn its sulfide"):
        propose("SnS", shelf=shelf, limits=LIMITS, atmosphere=Atmosphere.AIR)


def test_a_recipe_stays_within_the_furnaces_that_offer_its_gas():
    hot = replace(AIR_ONLY, max_temperature_c=1200.0)
    tube = replace(AIR_ONLY, max_temperature_c=900.0, atmospheres=(Atmosphere.N2,))
    both = FiringLimits.of_all([hot, tube])
    shelf = {"MnCO3": 1e5, "BaCO3": 1e5, "TiO2": 1e5}
    fired = propose("MnO", shelf=shelf, limits=both)
    assert {r.atmosphere for r in fired} == {Atmosphere.N2}
    assert max(r.max_temperature_c for r in fired) <= 900
    assert propose("BaTiO3", shelf=shelf, limits=both)[0].max_temperature_c > 900


def test_a_gas_that_reduces_what_is_fired_is_told_as_a_risk():
    reducing = replace(LIMITS, atmospheres=(Atmosphere.AR_H2,))
    shelf = {"PbO": 1e5, "TiO2": 1e5}
    recipe = propose("PbTiO3", shelf=shelf, limits=reducing, atmosphere=Atmosphere.AR_H2)[0]
    assert any("may reduce PbO and" in risk and "metallic Pb" in risk for risk in recipe.risks)


@pytest.mark.parametrize(
    ("target", "powders", "highest_c"),
    [
        ("YBa2Cu3O7", ("Y2O3", "BaCO3", "CuO"), 1000),
        ("Li2MoO4", ("Li2CO3", "MoO3"), 600),
        ("PbZrO3", ("PbO", "ZrO2"), 900),
    ],
)
def test_no_variant_melts_the_target_or_leaves_what_papers_do(target, powders, highest_c):
    recipes = propose(target, shelf=dict.fromkeys(powders, 1e5), limits=LIMITS)
    assert len(recipes) > 1
    assert max(r.max_temperature_c for r in recipes) <= highest_c


def test_variants_tell_what_holds_at_their_own_temperature():
    shelf = {"Li2CO3": 1e5, "TiO2": 1e5}
    recipes = propose("Li4Ti5O12", shelf=shelf, limits=LIMITS)
    assert len({r.max_temperature_c for r in recipes}) > 2
    for recipe in recipes:
        told, at_c = " ".join(recipe.reasons), recipe.max_temperature_c
        assert ("Li evaporates above 750 °C." in recipe.risks) == (at_c > 750)
        assert any("Li2CO3 melts" in risk for risk in recipe.risks) == (at_c > 723)
        percent = excess_fraction("Li", at_c) * 100
        assert (f"{percent:.1f} % more Li for evaporation" in told) == (percent > 0)
    cooler = next(r for r in recipes if "Cooler" in r.reasons[0])
    assert "against evaporation of Li" in cooler.reasons[0]
    dry = propose("BaTiO3", shelf={"BaCO3": 1e5, "TiO2": 1e5}, limits=LIMITS)
    cooler = next(r for r in dry if "Cooler" in r.reasons[0])
    assert "evaporation" not in cooler.reasons[0]


def test_no_rival_without_a_name_is_told():
    shelf = {"MnCO3": 1e5, "Mn2O3": 1e5}
    recipes = propose(
        "MnO", shelf=shelf, limits=LIMITS, atmosphere=Atmosphere.AIR, max_precursors=1
    )
    for recipe in recipes:
        assert not any(risk.strip().startswith("may form") for risk in recipe.risks)


def test_barium_titanate_is_weighed_by_molar_masses():
    recipe = propose("BaTiO3", shelf=SHELF, limits=LIMITS)[0]
    weighed = masses(recipe)
    assert set(weighed) == {"BaCO3", "TiO2"}
    # 197.34 and 79.87 g/mol; 2000 mg of product are 8.577 mmol of 233.19 g/mol
    assert weighed["BaCO3"] == pytest.approx(8.577 * 197.34, abs=0.5)
    assert weighed["TiO2"] == pytest.approx(8.577 * 79.87, abs=0.5)
    assert recipe.reaction == "BaCO3 + TiO2 → BaTiO3 + CO2"


@settings(max_examples=40, deadline=None)
@given(
    target=st.sampled_from(targets("targets58.csv")),
    batch_mass_mg=st.floats(200.0, 20_000.0),
    resolution_mg=st.sampled_from([0.1, 0.5, 1.0]),
)
def test_masses_are_on_the_balance_and_give_the_batch(target, batch_mass_mg, resolution_mg):
    recipe = propose(
        target,
        shelf=SHELF,
        limits=LIMITS,
        batch_mass_mg=batch_mass_mg,
        dose_resolution_mg=resolution_mg,
    )[0]
    units = batch_mass_mg / Composition(recipe.target).weight
    for p in recipe.precursors:
        steps = p.mass_mg / resolution_mg
        assert steps == pytest.approx(round(steps), abs=1e-6)
        wanted_mg = units * p.moles * Composition(p.formula).weight
        assert p.mass_mg == pytest.approx(wanted_mg, abs=resolution_mg)


def test_a_batch_grows_for_a_powder_too_little_to_dose():
    recipe = propose("LiMn2O4", shelf=SHELF, limits=LIMITS, batch_mass_mg=18.0)[0]
    assert min(masses(recipe).values()) >= 5.0
    assert sum(masses(recipe).values()) > 18.0 * 1.17 * 1.2
    with pytest.raises(TargetError, match="below the doser's 5 mg; ask for a larger batch"):
        propose("LiMn2O4", shelf=SHELF, limits=LIMITS, batch_mass_mg=5.0)


def test_an_empty_jar_is_passed_over_and_named_when_there_is_no_other():
    short = {**SHELF, "NH4H2PO4": 100.0}
    assert "(NH4)2HPO4" in masses(propose("YPO4", shelf=short, limits=LIMITS)[0])
    with pytest.raises(TargetError, match="TiO2 are needed and 3 mg are on the shelf"):
        propose("BaTiO3", shelf={**SHELF, "TiO2": 3.0}, limits=LIMITS)


def test_sets_come_before_other_firings_of_the_best():
    sets = [frozenset(masses(r)) for r in propose("NaZr2(PO4)3", shelf=SHELF, limits=LIMITS)]
    assert sets[0] != sets[1]
    assert set(sets[2:]) == {sets[0]}


def test_a_variant_is_held_as_long_as_papers_hold_it():
    route = loose_powder(Atmosphere.AIR)
    learnt = predict_conditions("LiMn2O4", ("Li2CO3", "MnO2"), route=route)
    assert learnt.dwell_h > 2 * 4
    recipes = propose("LiMn2O4", shelf={"Li2CO3": 1e5, "MnO2": 1e5}, limits=LIMITS)
    held_h = [r.profile.segments[-1].dwell_s / 3600 for r in recipes]
    assert held_h[0] == 4
    long = recipes[held_h.index(round(learnt.dwell_h))]
    assert long.max_temperature_c == recipes[0].max_temperature_c
    assert "As long as papers hold it" in long.reasons[0]
    short = propose("BaTiO3", shelf={"BaCO3": 1e5, "TiO2": 1e5}, limits=LIMITS)
    assert not any("As long as papers" in " ".join(r.reasons) for r in short)


def test_lithium_is_weighed_in_excess_and_a_reason_says_so():
    recipe = propose("LiMn2O4", shelf=SHELF, limits=LIMITS)[0]
    lithium = next(p for p in recipe.precursors if p.formula == "Li2CO3")
    assert 0.5 < lithium.moles <= 0.55
    assert any("more Li for evaporation" in reason for reason in recipe.reasons)
    assert excess_fraction("Li", 700) == 0
    assert excess_fraction("Li", 900) > excess_fraction("Li", 800)
    assert excess_fraction("Al", 1500) == 0


def test_the_profile_heats_slowly_while_gas_leaves():
    firing = profile(1000.0, LIMITS)
    slow, fast = firing.segments
    assert (slow.ramp_c_per_min, slow.temperature_c, slow.dwell_s) == (2.0, 300.0, 0.0)
    assert (fast.ramp_c_per_min, fast.temperature_c, fast.dwell_s) == (15.0, 1000.0, 14400.0)
    gentle = FiringLimits(max_temperature_c=1100, max_ramp_c_per_min=5, atmospheres=())
    assert profile(1000.0, gentle).segments[1].ramp_c_per_min == 5


def test_iron_phosphate_asks_for_nitrogen():
    recipe = propose("LiFePO4", shelf=SHELF, limits=LIMITS)[0]
    assert recipe.atmosphere is Atmosphere.N2
    with pytest.raises(TargetError, match=r"needs N2 or Ar .*the furnaces offer air"):
        propose("LiFePO4", shelf=SHELF, limits=AIR_ONLY)


def test_a_cold_furnace_bounds_the_temperature_and_a_risk_says_so():
    cold = FiringLimits(
        max_temperature_c=900, max_ramp_c_per_min=10, atmospheres=(Atmosphere.AIR,)
    )
    recipe = propose("MgAl2O4", shelf=SHELF, limits=cold)[0]
    assert recipe.max_temperature_c == 900
    assert any("may stay incomplete" in risk for risk in recipe.risks)
    colder = FiringLimits(
        max_temperature_c=300, max_ramp_c_per_min=10, atmospheres=(Atmosphere.AIR,)
    )
    with pytest.raises(TargetError, match="needs at least 500 °C; the furnace ends at 300 °C"):
        propose("MgAl2O4", shelf=SHELF, limits=colder)


def test_setpoints_lie_on_the_grid_below_the_ceiling():
    assert snap(980, LIMITS) == 1000
    assert snap(980, LIMITS, 970) == 950
    assert snap(1400, LIMITS) == 1150
    odd = FiringLimits(max_temperature_c=1120, max_ramp_c_per_min=10, atmospheres=())
    assert snap(1400, odd) == 1100


def test_water_is_not_taken_up_from_the_furnace_gas():
    with pytest.raises(TargetError, match="would have to take up H2O from air"):
        precursor_sets("La(OH)3", {"La2O3": 1e5, "Mg(OH)2": 1e5})
    with pytest.raises(TargetError, match="holds hydrogen"):
        propose("La(OH)3", shelf={"La2O3": 1e5, "Mg(OH)2": 1e5}, limits=LIMITS)


def test_oxygen_is_taken_up_only_where_there_is_some():
    shelf = {"La2O3": 1e5, "Co3O4": 1e5}
    assert precursor_sets("LaCoO3", shelf, Atmosphere.AIR)
    with pytest.raises(TargetError, match="would have to take up O2 from N2"):
        precursor_sets("LaCoO3", shelf, Atmosphere.N2)


def test_magnesia_is_preferred_to_the_hydroxide():
    recipes = propose("MgAl2O4", shelf=SHELF, limits=LIMITS)
    assert set(masses(recipes[0])) == {"MgO", "Al2O3"}
    assert set(masses(recipes[1])) == {"Mg(OH)2", "Al2O3"}


def test_a_target_without_data_is_ranked_by_practice_and_says_so():
    recipe = propose("Ca2Fe2O5", shelf=SHELF, limits=LIMITS)[0]
    assert any("No formation energy" in reason for reason in recipe.reasons)


def test_an_uphill_target_is_refused():
    """Mn2O3 takes up no oxygen where a furnace is hot enough for it to react."""
    with pytest.raises(TargetError, match=r"2 Mn2O3 \+ O2 → 4 MnO2, is uphill by \d+ meV"):
        propose("MnO2", shelf={"Mn2O3": 1e5}, limits=LIMITS)


def test_powders_that_bring_too_much_are_named_as_such():
    with pytest.raises(TargetError, match="every powder with Mg brings other elements too"):
        propose("MgO", shelf={"Mg2SiO4": 1e5}, limits=LIMITS)


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("", "no chemical formula"),
        ("   ", "no chemical formula"),
        ("Xx", "no chemical formula"),
        ("BaTi(O3", "no chemical formula"),
        ("BaTiO3; rm", "no chemical formula"),
        ("Fe3+", "no chemical formula"),
        ("Ba99999O", "no chemical formula"),
        ("SnGa2O4", "brings Ga"),
        ("CsPbI3", "brings Cs or I or Pb"),
        ("TiO2", "stands on the shelf already"),
        ("Ti2O4", "stands on the shelf already"),
        ("ArTiO3", "noble gas"),
        ("UO2", "radioactive"),
        ("TcO2", "radioactive"),
        ("CO2", "it is a gas"),
        ("Ti", "metal or alloy"),
        ("Ba2Ti3", "metal or alloy"),
    ],
)
def test_refuses_what_is_no_target_here(formula, reason):
    with pytest.raises(TargetError, match=reason):
        propose(formula, shelf=SHELF, limits=LIMITS)


def test_normalises_a_target():
    assert check_target(" Ti1Ba1O3 ", SHELF) == "BaTiO3"
    assert check_target("Zn(FeO2)2", SHELF) == "ZnFe2O4"  # as a chemist writes it


def test_an_empty_shelf_is_said():
    with pytest.raises(TargetError, match="shelf is empty"):
        propose("BaTiO3", shelf={}, limits=LIMITS)
    with pytest.raises(TargetError, match="shelf is empty"):
        propose("BaTiO3", shelf={"BaCO3": 0.0}, limits=LIMITS)


def test_a_shelf_that_cannot_meet_the_ratio_says_so():
    with pytest.raises(TargetError, match="ratio of elements"):
        propose("Ba2TiO4", shelf={"BaTiO3": 1e5}, limits=LIMITS)


@pytest.mark.parametrize("wrong", [{"batch_mass_mg": 0.0}, {"count": 0}])
def test_amounts_must_be_positive(wrong):
    with pytest.raises(ValueError, match="must be above 0"):
        propose("BaTiO3", shelf=SHELF, limits=LIMITS, **wrong)


def test_proposes_the_same_twice_and_at_most_count():
    first = propose("LiMnPO4", shelf=SHELF, limits=LIMITS, count=3)
    assert first == propose("LiMnPO4", shelf=SHELF, limits=LIMITS, count=3)
    assert len(first) == 3


def test_a_target_with_two_spellings_forms_in_one_step():
    recipe = propose("ZnFe2O4", shelf=SHELF, limits=LIMITS)[0]
    assert "The target is the first phase expected to form." in recipe.reasons
    assert not [risk for risk in recipe.risks if " 0 meV/atom" in risk]


def test_an_atmosphere_can_be_asked_for():
    recipes = propose("LiFePO4", shelf=SHELF, limits=LIMITS, atmosphere=Atmosphere.O2)
    assert {r.atmosphere for r in recipes} == {Atmosphere.O2}
    assert any("it was asked for" in reason for reason in recipes[0].reasons)
    with pytest.raises(TargetError, match="to be fired in O2, and the furnaces offer air"):
        propose("BaTiO3", shelf=SHELF, limits=AIR_ONLY, atmosphere=Atmosphere.O2)


def test_fewer_precursors_can_be_asked_for():
    with pytest.raises(TargetError, match="no set of up to 2 precursors"):
        propose("NaZr2(PO4)3", shelf=SHELF, limits=LIMITS, max_precursors=2)
    shelf = {**SHELF, "Li3PO4": 1e5, "Mn3(PO4)2": 1e5}
    recipes = propose("LiMnPO4", shelf=shelf, limits=LIMITS, max_precursors=2)
    assert {frozenset(masses(r)) for r in recipes} == {frozenset({"Li3PO4", "Mn3(PO4)2"})}
    with pytest.raises(ValueError, match="1 to 5"):
        propose("BaTiO3", shelf=SHELF, limits=LIMITS, max_precursors=6)


def test_forbidden_elements_and_precursors_are_left_out():
    shelf = {**SHELF, "BaO2": 1e5}
    recipes = propose("BaTiO3", shelf=shelf, limits=LIMITS, forbidden_precursors=["BaCO3"])
    assert all("BaCO3" not in masses(r) for r in recipes)
    with pytest.raises(TargetError, match="holds Ba, forbidden in this laboratory"):
        propose("BaTiO3", shelf=SHELF, limits=LIMITS, forbidden_elements=["Ba"])
    with pytest.raises(TargetError, match="'Bq' among the forbidden elements is no element"):
        propose("BaTiO3", shelf=SHELF, limits=LIMITS, forbidden_elements=["Bq"])
    with pytest.raises(TargetError, match="no powder that may be used brings Ba; BaCO3 is on"):
        propose("BaTiO3", shelf=SHELF, limits=LIMITS, forbidden_precursors=["BaCO3"])


def test_a_recipe_tells_stability_competition_and_hazards():
    recipe = propose("BaTiO3", shelf=SHELF, limits=LIMITS)[0]
    told = " ".join(recipe.reasons)
    assert "below the hull of the other known phases" in told
    assert "est rival" in told
    assert "Ba2TiO4 from" in told
    assert "primary competition" in told
    assert any("H302" in risk for risk in recipe.risks)


def test_a_powder_without_energy_is_named_as_such():
    recipes = propose("BaTiO3", shelf={"Ba(NO3)2": 1e5, "TiO2": 1e5}, limits=LIMITS)
    assert any("No formation energy of Ba(NO3)2 is known" in r for r in recipes[0].reasons)
    assert any("oxidiser" in risk for risk in recipes[0].risks)
