import math
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from alab.models import (
    Atmosphere,
    Attempt,
    FiringLimits,
    NextStep,
    Outcome,
    PhaseAmount,
    Verdict,
)
from planners.optimizer import DrivingForceOrder, decide
from planners.optimizer.evidence import read
from planners.optimizer.kinetics import activation_kj_per_mol, jander, temperature_for
from planners.optimizer.moves import avoiding
from planners.optimizer.observations import Observations
from planners.optimizer.strategy import Situation, fingerprint, powders
from planners.synthesis.conditions import profile
from planners.synthesis.recipes import propose

REPO = Path(__file__).parents[4]
LAB = tomllib.loads((REPO / "alab/data/lab.toml").read_text())
SHELF = {formula: 1000.0 * jar["mass_g"] for formula, jar in LAB["precursors"].items()}
LIMITS = FiringLimits(
    max_temperature_c=1150.0, max_ramp_c_per_min=15.0, atmospheres=(Atmosphere.AIR,)
)


def candidates(target, shelf=None):
    return propose(target, shelf=shelf or SHELF, limits=LIMITS)


def at(recipe, temperature_c, *, dwell_h=4.0, regrinds=0):
    firing = profile(temperature_c, LIMITS, dwell_s=dwell_h * 3600)
    return replace(recipe, profile=firing, regrinds=regrinds)


def outcome(target, verdict=Verdict.PARTIAL, *, unexplained=0.05, **phases):
    """Phases by formula; brackets are not needed for those used here."""
    amounts = tuple(
        PhaseAmount(
            formula=formula,
            reference="test",
            space_group="P1",
            weight_fraction=fraction,
            weight_fraction_esd=0.005,
        )
        for formula, fraction in phases.items()
    )
    return Outcome(
        verdict=verdict,
        target_weight_fraction=phases.get(target, 0.0),
        target_weight_fraction_esd=0.01,
        phases=amounts,
        r_wp_percent=12.0,
        unexplained_fraction=unexplained,
    )


def attempts(*pairs):
    return [
        Attempt(sample=f"S{number}", recipe=recipe, outcome=found)
        for number, (recipe, found) in enumerate(pairs, start=1)
    ]


def next_for(target, *pairs, limits=LIMITS, **more):
    options = more.pop("options", None) or candidates(target)
    return decide(target, attempts(*pairs), candidates=options, limits=limits, **more)


def test_begins_with_the_best_candidate():
    options = candidates("BaTiO3")
    decision = next_for("BaTiO3", options=options)
    assert decision.step is NextStep.NEW_RECIPE
    assert decision.recipe == options[0]


def test_success_is_done_and_names_sample_and_firing():
    recipe = candidates("BaTiO3")[0]
    decision = next_for("BaTiO3", (recipe, outcome("BaTiO3", Verdict.SUCCESS, BaTiO3=0.93)))
    assert decision.step is NextStep.DONE
    assert decision.recipe is None
    fired = f"after 4 h at {recipe.max_temperature_c:g} °C"
    assert f"S1 holds 93.0 ± 1.0 wt % BaTiO3 {fired}" in decision.reasons[0]


def test_an_earlier_success_stays_one():
    recipe = candidates("BaTiO3")[0]
    made = outcome("BaTiO3", Verdict.SUCCESS, BaTiO3=0.8)
    assert next_for("BaTiO3", (recipe, made), (recipe, None)).step is NextStep.DONE


def test_the_best_of_several_successes_is_named():
    recipe = candidates("BaTiO3")[0]
    pure = outcome("BaTiO3", Verdict.SUCCESS, BaTiO3=1.0)
    poorer = outcome("BaTiO3", Verdict.SUCCESS, BaTiO3=0.8)
    decision = next_for("BaTiO3", (recipe, poorer), (recipe, pure), (recipe, poorer))
    assert "S2 holds 100.0" in decision.reasons[0]


def test_untouched_powders_go_in_hotter_and_the_reason_cites_numbers():
    recipe = at(candidates("BaTiO3")[0], 800)
    found = outcome("BaTiO3", Verdict.FAILED, BaCO3=0.70, TiO2=0.30)
    decision = next_for("BaTiO3", (recipe, found))
    assert decision.step is NextStep.NEW_RECIPE
    assert decision.recipe is not None
    assert decision.recipe.max_temperature_c > 900
    assert powders(decision.recipe) == powders(recipe)
    reason = decision.reasons[0]
    assert "100 wt % unreacted BaCO3 and TiO2 left after 4 h at 800 °C" in reason
    assert "273 meV/atom of driving force remain" in reason
    assert f"→ fresh powder at {decision.recipe.max_temperature_c:g} °C" in reason


def test_a_growing_product_is_reground_and_refired_hotter():
    recipe = at(candidates("BaTiO3")[0], 900)
    found = outcome("BaTiO3", BaTiO3=0.45, BaCO3=0.38, TiO2=0.17)
    decision = next_for("BaTiO3", (recipe, found))
    assert decision.step is NextStep.REFIRE
    assert decision.recipe is not None
    assert decision.recipe.regrinds == 1
    assert 900 < decision.recipe.max_temperature_c < 1150


def test_the_less_is_made_the_hotter_it_gets():
    recipe = at(candidates("BaTiO3")[0], 800)
    steps = [
        next_for("BaTiO3", (recipe, outcome("BaTiO3", BaTiO3=x, BaCO3=1 - x))).recipe
        for x in (0.05, 0.3, 0.49)
    ]
    temperatures_c = [step.max_temperature_c for step in steps if step is not None]
    assert temperatures_c == sorted(temperatures_c, reverse=True)
    assert temperatures_c[0] > temperatures_c[-1]


def test_at_the_furnace_limit_it_is_reground_and_fired_for_longer():
    recipe = at(candidates("MgAl2O4")[0], 1150)
    found = outcome("MgAl2O4", MgAl2O4=0.4, MgO=0.2, Al2O3=0.4)
    decision = next_for("MgAl2O4", (recipe, found))
    assert decision.step is NextStep.REFIRE
    assert decision.recipe is not None
    assert decision.recipe.max_temperature_c == 1150
    assert decision.recipe.profile.segments[-1].dwell_s == 12 * 3600
    assert "1150 °C is as hot as the furnace permits" in decision.reasons[0]


def test_a_stalled_powder_gives_way_to_other_precursors():
    first, second = candidates("MgAl2O4")[:2]
    found = outcome("MgAl2O4", MgAl2O4=0.2, MgO=0.3, Al2O3=0.5)
    decision = next_for(
        "MgAl2O4",
        (at(first, 1150), found),
        (at(first, 1150, dwell_h=12, regrinds=1), found),
    )
    assert decision.step is NextStep.NEW_RECIPE
    assert decision.recipe == second
    assert "gained less than 5 wt %" in decision.reasons[0]


def test_gives_up_when_nothing_hotter_is_left():
    recipe = candidates("BaTiO3")[0]
    found = outcome("BaTiO3", Verdict.FAILED, BaCO3=0.7, TiO2=0.3)
    decision = next_for(
        "BaTiO3", (at(recipe, 1150), found), (at(recipe, 1150, dwell_h=12, regrinds=1), found)
    )
    assert decision.step is NextStep.GIVE_UP
    assert "no other powders or hotter firing is left" in decision.reasons[0]
    assert "Best so far: 0 wt % BaTiO3" in decision.reasons[1]


def test_an_inert_intermediate_is_avoided():
    """LiMnO2 takes most of the energy; a recipe without the pair that makes it is next."""
    best = candidates("LiMn2O4")[0]
    shelf = {"Li2CO3": 1e5, "MnO2": 1e5, "Mn2O3": 1e5, "Li2MnO3": 1e5}
    options = propose("LiMn2O4", shelf=shelf, limits=LIMITS)
    found = outcome("LiMn2O4", LiMn2O4=0.2, Li2MnO3=0.6, Mn2O3=0.2)
    decision = next_for("LiMn2O4", (best, found), options=[best, *options])
    assert decision.step is NextStep.NEW_RECIPE
    assert decision.recipe is not None
    assert powders(decision.recipe) != powders(best)
    assert not {"Li2CO3", "MnO2"} <= powders(decision.recipe)
    assert "60 wt % Li2MnO3" in decision.reasons[0]
    assert "meV/atom for the step to LiMn2O4" in decision.reasons[0]


def test_a_pair_seen_to_make_the_culprit_is_avoided_though_not_predicted():
    tried, other = candidates("NaZr2(PO4)3")[:2]
    twin = replace(
        tried,
        precursors=tuple(
            replace(p, formula="Zr(OH)4") if p.formula == "ZrO2" else p
            for p in tried.precursors
        ),
    )
    found = outcome("NaZr2(PO4)3", Na3PO4=0.4, ZrO2=0.6)
    situation = Situation(
        target="NaZr2(PO4)3",
        attempts=tuple(attempts((tried, found))),
        candidates=(twin, other),
        limits=LIMITS,
        observations=Observations.from_attempts(attempts((tried, found))),
    )
    chosen = avoiding(situation, "Na3PO4")
    assert chosen is not None
    assert chosen[0] == other
    assert avoiding(replace(situation, candidates=(twin,)), "Na3PO4") is None


def test_an_evaporated_element_asks_for_cooler_and_more():
    recipe = at(candidates("LiMn2O4")[0], 900)
    found = outcome("LiMn2O4", LiMn2O4=0.45, Mn3O4=0.25, LiMnO2=0.30)
    weighed = {p.formula: p.mass_mg for p in recipe.precursors}
    evaporated = outcome("LiMn2O4", LiMn2O4=0.70, Mn3O4=0.30)
    decision = next_for("LiMn2O4", (recipe, evaporated))
    assert decision.step is NextStep.NEW_RECIPE
    assert decision.recipe is not None
    assert decision.recipe.max_temperature_c < 900
    again = {p.formula: p.mass_mg for p in decision.recipe.precursors}
    assert again["Li2CO3"] > weighed["Li2CO3"]
    assert again["MnO2"] == weighed["MnO2"]
    assert "% of the Li is missing" in decision.reasons[0]
    assert "Li" not in read(recipe, found).lost


def test_what_is_missing_beside_an_element_that_stays_hides_in_a_glass():
    """Na could evaporate at 1000 °C; P, as short as Na, could not."""
    recipe = at(candidates("NaZr2(PO4)3")[0], 1000)
    glassy = outcome("NaZr2(PO4)3", **{"NaZr2(PO4)3": 0.5, "ZrO2": 0.5})
    assert read(recipe, glassy).lost == {}
    with_phosphate = outcome("NaZr2(PO4)3", **{"NaZr2(PO4)3": 0.5, "ZrP2O7": 0.3, "ZrO2": 0.02})
    assert read(recipe, with_phosphate).lost.keys() == {"Na"}


def test_too_hot_goes_back_halfway():
    recipe = candidates("ZnFe2O4")[0]
    cool = outcome("ZnFe2O4", ZnFe2O4=0.45, ZnO=0.15, Fe2O3=0.40)
    hot = outcome("ZnFe2O4", ZnFe2O4=0.10, ZnO=0.30, Fe2O3=0.60)
    decision = next_for("ZnFe2O4", (at(recipe, 900), cool), (at(recipe, 1100), hot))
    assert decision.step is NextStep.NEW_RECIPE
    assert decision.recipe is not None
    assert decision.recipe.max_temperature_c == 1000
    assert "fell from 45 wt % at 900 °C to 10 wt % at 1100 °C" in decision.reasons[0]


def test_products_more_stable_than_the_target_ask_for_cooler():
    recipe = at(candidates("LiMn2O4")[0], 1050)
    found = outcome("LiMn2O4", LiMn2O4=0.1, LiMnO2=0.5, Mn3O4=0.4)
    decision = next_for("LiMn2O4", (recipe, found))
    assert decision.step is NextStep.NEW_RECIPE
    assert decision.recipe is not None
    assert decision.recipe.max_temperature_c == 950
    assert "uphill by" in decision.reasons[0]


def test_a_table_that_was_wrong_once_is_not_followed_again():
    recipe = candidates("LiMn2O4")[0]
    found = outcome("LiMn2O4", LiMn2O4=0.1, LiMnO2=0.5, Mn3O4=0.4)
    decision = next_for("LiMn2O4", (at(recipe, 900), found), (at(recipe, 1050), found))
    assert "uphill" not in decision.reasons[0]
    assert "no driving force remains" in decision.reasons[0]


def test_an_inconclusive_pattern_is_reground_and_then_left():
    recipe = candidates("NaZr2(PO4)3")[0]
    unclear = outcome("NaZr2(PO4)3", Verdict.INCONCLUSIVE, ZrO2=0.4)
    first = next_for("NaZr2(PO4)3", (recipe, unclear))
    assert first.step is NextStep.REFIRE
    assert first.recipe is not None
    assert first.recipe.max_temperature_c == recipe.max_temperature_c
    assert "R_wp 12 %, 5 % of the intensity unexplained" in first.reasons[0]
    second = next_for("NaZr2(PO4)3", (recipe, unclear), (first.recipe, unclear))
    assert second.step is NextStep.NEW_RECIPE
    assert second.recipe is not None
    assert powders(second.recipe) != powders(recipe)


def test_a_look_alike_is_left_to_another_method():
    recipe = candidates("CoFe2O4")[0]
    same = "Fe3O4_227 explains the peaks of CoFe2O4_227 nearly as well"
    found = replace(outcome("CoFe2O4", Verdict.INCONCLUSIVE, CoFe2O4=1.0), competing=(same,))
    found = replace(found, target_weight_fraction=1.0)
    decision = next_for("CoFe2O4", (recipe, found))
    assert decision.step is NextStep.GIVE_UP
    assert same in decision.reasons[0]
    assert "another method" in decision.reasons[0]


def test_glass_is_fired_hotter():
    recipe = at(candidates("NaZr2(PO4)3")[0], 850)
    unclear = outcome("NaZr2(PO4)3", Verdict.INCONCLUSIVE, unexplained=0.6, ZrO2=0.4)
    decision = next_for("NaZr2(PO4)3", (recipe, unclear))
    assert decision.step is NextStep.REFIRE
    assert decision.recipe is not None
    assert decision.recipe.max_temperature_c == 950


def test_a_failed_pattern_without_phases_counts_as_inconclusive():
    recipe = candidates("BaTiO3")[0]
    assert next_for("BaTiO3", (recipe, outcome("BaTiO3", Verdict.FAILED))).step is (
        NextStep.REFIRE
    )


def test_a_lost_sample_is_made_again_once():
    recipe, other = candidates("YPO4")[:2]
    again = next_for("YPO4", (recipe, None))
    assert again.step is NextStep.NEW_RECIPE
    assert again.recipe == recipe
    then = next_for("YPO4", (recipe, None), (recipe, None))
    assert then.recipe == other


def test_a_phase_with_an_element_nobody_put_in_is_flagged():
    recipe = at(candidates("BaTiO3")[0], 900)
    found = outcome("BaTiO3", BaTiO3=0.3, BaCO3=0.3, TiO2=0.2, BaAl2O4=0.2)
    decision = next_for("BaTiO3", (recipe, found))
    assert decision.step is NextStep.REFIRE
    assert "BaAl2O4 holds an element nobody put in" in decision.reasons[-1]


def test_no_candidate_within_the_furnace_gives_up_with_the_limit():
    cold = replace(LIMITS, max_temperature_c=600.0)
    decision = next_for("BaTiO3", limits=cold)
    assert decision.step is NextStep.GIVE_UP
    assert "600 °C" in decision.reasons[0]
    assert decide("BaTiO3", [], candidates=[], limits=LIMITS).step is NextStep.GIVE_UP


def test_the_bound_on_attempts_holds():
    recipe = candidates("BaTiO3")[0]
    found = outcome("BaTiO3", BaTiO3=0.45, BaCO3=0.38, TiO2=0.17)
    decision = next_for("BaTiO3", (recipe, found), (recipe, found), max_attempts=2)
    assert decision.step is NextStep.GIVE_UP
    assert "2 of 2 attempts are used up" in decision.reasons[0]
    with pytest.raises(ValueError, match="max_attempts is 0"):
        next_for("BaTiO3", max_attempts=0)


OUTCOMES = {
    "BaTiO3": [
        None,
        outcome("BaTiO3", Verdict.FAILED, BaCO3=0.7, TiO2=0.3),
        outcome("BaTiO3", BaTiO3=0.3, Ba2TiO4=0.5, TiO2=0.2),
        outcome("BaTiO3", BaTiO3=0.45, BaCO3=0.35, TiO2=0.2),
        outcome("BaTiO3", Verdict.INCONCLUSIVE, unexplained=0.7),
        outcome("BaTiO3", Verdict.FAILED),
    ],
    "LiMn2O4": [
        outcome("LiMn2O4", LiMn2O4=0.45, Mn3O4=0.55),
        outcome("LiMn2O4", LiMn2O4=0.7, Mn3O4=0.3),
        outcome("LiMn2O4", LiMn2O4=0.2, Li2MnO3=0.6, Mn2O3=0.2),
        outcome("LiMn2O4", LiMn2O4=0.1, LiMnO2=0.45, Mn3O4=0.45),
        outcome("LiMn2O4", LiMn2O4=0.4, ZrO2=0.6),
    ],
    "MgAl2O4": [
        outcome("MgAl2O4", MgAl2O4=0.1, MgO=0.4, Al2O3=0.5),
        outcome("MgAl2O4", MgAl2O4=0.3, MgO=0.3, Al2O3=0.4),
        None,
    ],
}


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_always_ends_within_the_bound_whatever_is_found(data):
    target = data.draw(st.sampled_from(sorted(OUTCOMES)))
    options = candidates(target)
    done: list[Attempt] = []
    for _ in range(7):
        decision = decide(target, done, candidates=options, limits=LIMITS)
        assert decision.reasons
        assert decision == decide(target, done, candidates=options, limits=LIMITS)
        if decision.step is NextStep.GIVE_UP:
            break
        assert decision.recipe is not None
        assert LIMITS.permits(decision.recipe.profile, decision.recipe.atmosphere)
        if decision.step is NextStep.REFIRE:
            assert done
            assert decision.recipe.regrinds == done[-1].recipe.regrinds + 1
        elif done and done[-1].outcome is not None:
            assert fingerprint(decision.recipe) not in {fingerprint(a.recipe) for a in done}
        found = data.draw(st.sampled_from(OUTCOMES[target]))
        done.append(Attempt(sample=f"S{len(done)}", recipe=decision.recipe, outcome=found))
    else:
        pytest.fail("no end after 6 attempts")
    assert len(done) <= 6


def test_the_baseline_runs_candidates_in_order():
    options = candidates("YPO4")
    found = outcome("YPO4", Verdict.FAILED, Y2O3=1.0)
    done: list[Attempt] = []
    for expected in options:
        decision = decide(
            "YPO4", done, candidates=options, limits=LIMITS, strategy=DrivingForceOrder()
        )
        assert decision.recipe == expected
        done += attempts((expected, found))
    last = decide("YPO4", done, candidates=options, limits=LIMITS, strategy=DrivingForceOrder())
    assert last.step is NextStep.GIVE_UP


def test_evidence_tells_residues_from_intermediates():
    recipe = candidates("BaTiO3")[0]
    found = outcome("BaTiO3", BaTiO3=0.4, BaO=0.1, Ba2TiO4=0.3, TiO2=0.19, Fe2O3=0.01)
    evidence = read(recipe, found)
    assert evidence.unreacted == {"BaO": 0.1, "TiO2": 0.19}
    assert evidence.intermediates == {"Ba2TiO4": 0.3}
    assert evidence.foreign == ()  # 1 wt % is not argued from
    assert str(evidence.remaining) == "Ba2TiO4 + TiO2 → 2 BaTiO3"
    assert evidence.remaining_ev_per_atom == pytest.approx(0.083, abs=0.02)


def test_jander_and_arrhenius_by_hand():
    # (1 - 0.5^(1/3))^2 = 0.04256
    assert jander(0.5) == pytest.approx(0.04256, abs=1e-5)
    assert jander(0) == 0
    assert jander(1) == 1
    same = temperature_for(
        wanted=0.5, wanted_s=14400, converted=0.5, temperature_c=900, dwell_s=14400
    )
    assert same == pytest.approx(900)
    # from 62 % to 95 %: rate ratio 0.3991/0.0760 = 5.25; 1/T = 1/1073.15 - R/300·ln 5.25
    hotter = temperature_for(
        wanted=0.95, wanted_s=14400, converted=0.62, temperature_c=800, dwell_s=14400
    )
    expected_k = 1 / (1 / 1073.15 - 8.314e-3 / 300 * math.log(5.25))
    assert hotter == pytest.approx(expected_k - 273.15, abs=2)


def test_activation_energy_is_recovered_from_two_firings():
    def converted(temperature_c, activation):
        rate = 0.05 * math.exp(
            -activation / 8.314e-3 * (1 / (temperature_c + 273.15) - 1 / 1173.15)
        )
        return 1 - (1 - math.sqrt(rate)) ** 3

    seen = [(t, 14400.0, converted(t, 250.0)) for t in (850, 950)]
    assert activation_kj_per_mol(seen) == pytest.approx(250, rel=1e-3)
    assert activation_kj_per_mol(seen[:1]) == 300
    assert activation_kj_per_mol([(850, 14400.0, 0.4), (950, 14400.0, 0.2)]) == 150
