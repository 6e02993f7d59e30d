"""Scores, the bound that ends the search, and recipes that differ."""

from dataclasses import replace

import numpy as np
import pytest

from alab.models import Atmosphere, FiringLimits
from benchmarks.plan_speed import COMPOUNDS
from planners.synthesis import ranking
from planners.synthesis.conditions import choose_temperature
from planners.synthesis.enumeration import enumerate_sets
from planners.synthesis.families import families
from planners.synthesis.precedent import usual_sets
from planners.synthesis.ranking import (
    assess,
    best_candidates,
    choose_different,
    score_bounds,
    with_competition,
)
from planners.synthesis.reactions import balance, reduced
from planners.synthesis.recipes import propose

AIR = Atmosphere.AIR
LIMITS = FiringLimits(
    max_temperature_c=1150.0,
    max_ramp_c_per_min=15.0,
    atmospheres=(Atmosphere.AIR, Atmosphere.N2, Atmosphere.O2),
)


def shelf(target):
    return {c: 1e6 for c in COMPOUNDS if reduced(c) != reduced(target)}


def at(temperature_c):
    def assessed(reaction, usual=0.5):
        firing = choose_temperature(reaction, AIR, LIMITS)
        return assess(reaction, replace(firing, temperature_c=temperature_c), AIR, usual)

    return assessed


@pytest.mark.parametrize("target", ["BaTiO3", "LiMn2O4", "NaZr2(PO4)3"])
def test_no_set_scores_above_its_bound(target):
    sets = enumerate_sets(target, list(shelf(target)))
    usual = usual_sets(sets)
    bounds = score_bounds(sets, 900.0, AIR, usual)
    assessed = at(900.0)
    for row in range(0, len(sets), 3):
        assert assessed(sets.reaction(row), usual[row]).score <= bounds[row] + 1e-9


@pytest.mark.parametrize("target", ["BaTiO3", "NaZr2(PO4)3"])
def test_the_search_finds_the_best_of_all(target, monkeypatch):
    monkeypatch.setattr(ranking, "MOST_ASSESSED", 10_000)
    sets = enumerate_sets(target, list(shelf(target)))
    assessed = at(900.0)
    usual = usual_sets(sets)
    every = [
        with_competition(assessed(sets.reaction(i), usual[i]), AIR) for i in range(len(sets))
    ]
    best = sorted((c.score for c in every), reverse=True)[:5]
    found = best_candidates(sets, assessed, 900.0, AIR, 5)
    assert [c.score for c in found[:5]] == pytest.approx(best)


def test_what_competes_costs_at_most_what_the_bound_allows():
    for powders in (("BaCO3", "TiO2"), ("BaO", "TiO2"), ("MgO", "Al2O3")):
        target = "MgAl2O4" if "MgO" in powders else "BaTiO3"
        before = at(1000.0)(balance(powders, target))
        after = with_competition(before, AIR)
        assert -0.6 <= after.score - before.score <= 0.3
        assert after.selectivity is not None


def test_a_set_without_energies_keeps_its_place():
    candidate = at(900.0)(balance(("Ba(NO3)2", "TiO2"), "BaTiO3"))
    assert candidate.pathway is None
    assert with_competition(candidate, AIR) is candidate


def test_other_families_come_before_the_same_again():
    base = at(900.0)(balance(("Li2CO3", "MnO2"), "LiMn2O4"))
    scored = [
        ("Li2CO3", "MnO2", 2.0),
        ("Li2CO3", "Mn2O3", 1.9),
        ("Li2CO3", "MnO", 1.8),
        ("LiOH", "MnO2", 1.0),
        ("LiNO3", "MnCO3", -5.0),
    ]
    ranked = [
        replace(base, reaction=balance((lithium, other), "LiMn2O4"), score=score)
        for lithium, other, score in scored
    ]
    chosen = choose_different(ranked, 2)
    assert [c.score for c in chosen] == [2.0, 1.0]
    assert [c.score for c in choose_different(ranked, 3)] == [2.0, 1.9, 1.0]
    assert [c.score for c in choose_different(ranked, 5)] == [2.0, 1.9, 1.8, 1.0, -5.0]


def test_the_set_of_the_literature_is_chosen_whatever_its_score():
    base = at(900.0)(balance(("Li2CO3", "MnO2"), "LiMn2O4"))
    scored = [("Li2CO3", "MnO2", 2.0), ("LiOH", "MnO2", 1.5), ("Li2CO3", "Mn2O3", -9.0)]
    ranked = [
        replace(base, reaction=balance((lithium, other), "LiMn2O4"), score=score)
        for lithium, other, score in scored
    ]
    assert [c.score for c in choose_different(ranked, 2)] == [2.0, 1.5]
    assert [c.score for c in choose_different(ranked, 2, ranked[2])] == [2.0, -9.0]
    assert [c.score for c in choose_different(ranked, 3, ranked[2])] == [2.0, 1.5, -9.0]
    assert [c.score for c in choose_different(ranked, 1, ranked[2])] == [2.0]
    assert choose_different(ranked, 2, ranked[0]) == ranked[:2]


def test_usual_powders_are_worth_up_to_a_point():
    reaction = balance(("BaCO3", "TiO2"), "BaTiO3")
    rare, usual = at(1000.0)(reaction, 0.0), at(1000.0)(reaction, 1.0)
    assert usual.score - rare.score == pytest.approx(1.0)


@pytest.mark.parametrize("target", ["BaTiO3", "LiMn2O4", "NaZr2(PO4)3", "Na2MnMgFe(PO4)3"])
def test_five_recipes_of_a_large_shelf_differ_in_family(target):
    recipes = propose(target, shelf=shelf(target), limits=LIMITS)
    sets = {frozenset(p.formula for p in r.precursors) for r in recipes}
    assert len(recipes) == len(sets) == 5
    assert len({families(tuple(powders)) for powders in sets}) >= 4
    assert recipes == propose(target, shelf=shelf(target), limits=LIMITS)


def test_the_large_shelf_is_as_large_as_it_says():
    assert len(COMPOUNDS) == len({reduced(c) for c in COMPOUNDS}) == 200


def test_a_set_is_bounded_by_the_residue_of_what_decomposes():
    sets = enumerate_sets("MgAl2O4", ["MgO", "Mg(OH)2", "Al2O3"])
    force = ranking._solid_force(sets, 1100.0, AIR)
    assert np.allclose(force, force[0])
    assert force[0] == pytest.approx(0.0436, abs=0.001)


def test_a_hundred_mev_in_the_last_step_is_worth_a_point():
    pathway = at(1000.0)(balance(("BaCO3", "TiO2"), "BaTiO3")).pathway
    assert pathway is not None
    score = [
        ranking._force_score(replace(pathway, last_step_ev_per_atom=last))
        for last in (0.1, 0.2, 0.3, 0.9)
    ]
    assert np.diff(score) == pytest.approx([1.0, 1.0, 0.0])
