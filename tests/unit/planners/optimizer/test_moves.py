"""What a move tells of its recipe: reasons, risks and excess at the new temperature."""

from planners.optimizer.moves import EXTRA_EXCESS, enriched, refire, reheated
from planners.optimizer.observations import Observations
from planners.optimizer.strategy import Situation
from tests.unit.planners.optimizer.test_decide import (
    LIMITS,
    at,
    attempts,
    candidates,
    outcome,
)

LITHIUM_LEAVES = "Li evaporates above 750 °C."
MELTING = "Li2CO3 melts at 723 °C and may wet the crucible."


def situation(recipe):
    seen = attempts((recipe, outcome("LiMn2O4", LiMn2O4=0.5, Mn3O4=0.5)))
    return Situation(
        target="LiMn2O4",
        attempts=tuple(seen),
        candidates=(recipe,),
        limits=LIMITS,
        observations=Observations.from_attempts(seen),
    )


def lithium(recipe):
    return next(p for p in recipe.precursors if p.formula == "Li2CO3")


def test_a_cooler_recipe_drops_the_risks_and_the_excess_of_the_hotter_one():
    hot = candidates("LiMn2O4")[0]
    assert hot.max_temperature_c > 750
    assert {LITHIUM_LEAVES, MELTING} <= set(hot.risks)
    cool = reheated(hot, 700.0, 3600.0, situation(hot))
    assert not {LITHIUM_LEAVES, MELTING} & set(cool.risks)
    assert "for evaporation" not in " ".join(cool.reasons)
    assert cool.reasons[0] == "700 °C for 1 h. Chosen by what was found before."
    assert {r for r in hot.risks if "harmful" in r} <= set(cool.risks)
    again = reheated(cool, hot.max_temperature_c, 3600.0, situation(hot))
    assert set(again.risks) == set(hot.risks)
    assert "Weighed in with 3.0 % more Li for evaporation." in again.reasons


def test_a_refiring_tells_its_own_risks_and_what_was_weighed_before():
    cool = reheated(
        candidates("LiMn2O4")[0], 700.0, 3600.0, situation(candidates("LiMn2O4")[0])
    )
    decision = refire(situation(cool), 850.0, 3600.0, "half is left")
    assert decision.recipe is not None
    assert {LITHIUM_LEAVES, MELTING} <= set(decision.recipe.risks)
    assert decision.recipe.reasons[0] == "850 °C for 1 h. Half is left."
    assert "for evaporation" not in " ".join(decision.recipe.reasons)
    assert decision.recipe.precursors == cool.precursors
    assert decision.recipe.regrinds == 1


def test_an_enriched_recipe_tells_the_excess_that_it_weighs():
    recipe = at(candidates("LiMn2O4")[0], 800)
    more = enriched(recipe, frozenset({"Li"}))
    percent = ((lithium(more).moles / 0.5) - 1) * 100
    assert percent > 100 * EXTRA_EXCESS
    told = [reason for reason in more.reasons if "for evaporation" in reason]
    assert told == [f"Weighed in with {percent:.1f} % more Li for evaporation."]
