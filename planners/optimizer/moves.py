"""The moves a strategy can make: other powders, another firing, a regrind, an end."""

from dataclasses import replace

from alab.models import Decision, NextStep, PrecursorAmount, Recipe
from planners.optimizer.batches import known, ranked
from planners.optimizer.intermediates import expected
from planners.optimizer.strategy import Situation, dwell_s, fingerprint, give_up, powders
from planners.synthesis.conditions import excess_fraction, profile
from planners.synthesis.pathways import predict_pathway
from planners.synthesis.reactions import metals, try_balance
from planners.synthesis.reasons import excess_reasons, fired_otherwise
from planners.synthesis.thermo import reduced

EXTRA_EXCESS = 0.05
"""More of an element that was seen to evaporate."""

_RESOLUTION_MG = 0.1


def another(situation: Situation, why: str, *, hotter_only: bool = False) -> Decision:
    """Other powders, then other conditions; give up where none are left.

    Args:
        situation: What is known.
        why: What speaks against going on with this powder.
        hotter_only: Whether the reaction was too slow, so that the same powders are only
            worth a new firing above the hottest one so far.
    """
    fresh, untried = situation.untried_sets(), situation.untried()
    if hotter_only:
        untried = [r for r in untried if r.max_temperature_c > _hottest_c(situation, r)]
    if not fresh and not untried:
        return give_up(
            situation.attempts,
            f"{why}, and no {'other powders or hotter firing' if hotter_only else 'recipe'} "
            "is left to try",
        )
    recipe, promise = ranked(situation, fresh or untried)[0]
    names = " + ".join(p.formula for p in recipe.precursors)
    return Decision(
        step=NextStep.NEW_RECIPE,
        recipe=recipe,
        reasons=(
            f"{capitalised(why)}. Next: {names} at {recipe.max_temperature_c:g} °C, "
            f"{promise * 100:.0f} % promise.",
            known(situation.attempts, recipe),
        ),
    )


def _hottest_c(situation: Situation, recipe: Recipe) -> float:
    return max(
        (
            a.recipe.max_temperature_c
            for a in situation.attempts
            if powders(a.recipe) == powders(recipe)
        ),
        default=0.0,
    )


def refire(situation: Situation, temperature_c: float, long_s: float, why: str) -> Decision:
    """Regrind the newest powder and fire it again."""
    recipe = situation.last.recipe
    program = profile(temperature_c, situation.limits, dwell_s=long_s)
    again = fired_otherwise(recipe, program, f"{capitalised(why)}.")
    return Decision(
        step=NextStep.REFIRE,
        recipe=replace(again, regrinds=recipe.regrinds + 1),
        reasons=(
            f"{capitalised(why)} → regrind and refire at {temperature_c:g} °C for "
            f"{long_s / 3600:g} h.",
        ),
    )


def avoiding(situation: Situation, culprit: str) -> tuple[Recipe, float | None] | None:
    """An untried set that should not form a phase, the one with most energy at the end.

    What was seen of pairs goes before what their energies say.
    """
    options: list[tuple[float, int, Recipe, float | None]] = []
    for rank, recipe in enumerate(situation.untried_sets()):
        names = tuple(p.formula for p in recipe.precursors)
        reaction = try_balance(names, situation.target)
        foreseen = expected(recipe, situation.observations)
        if reaction is None or culprit in foreseen.phases:
            continue
        pathway = predict_pathway(reaction, recipe.max_temperature_c, recipe.atmosphere)
        if pathway is not None and culprit in map(reduced, pathway.intermediates):
            continue
        force = foreseen.force_left_ev_per_atom
        if force is None and pathway is not None:
            force = pathway.last_step_ev_per_atom
        options.append((force or 0.0, -rank, recipe, force))
    if not options:
        return None
    _, _, recipe, force = max(options, key=lambda option: option[:2])
    return recipe, force


def reheated(
    recipe: Recipe, temperature_c: float, long_s: float, situation: Situation
) -> Recipe:
    """The same powders at another temperature, with the excess that goes with it."""
    amounts = tuple(
        _scaled(
            p,
            (1 + _excess(p, temperature_c)) / (1 + _excess(p, recipe.max_temperature_c)),
        )
        for p in recipe.precursors
    )
    return fired_otherwise(
        replace(recipe, precursors=amounts, regrinds=0),
        profile(temperature_c, situation.limits, dwell_s=long_s),
        "Chosen by what was found before.",
    )


def enriched(recipe: Recipe, elements: frozenset[str]) -> Recipe:
    """The same recipe with more of the powders that bring some elements."""
    before = excess_reasons(recipe.target, recipe.precursors)
    amounts = tuple(
        _scaled(p, 1 + EXTRA_EXCESS if metals(p.formula) & elements else 1.0)
        for p in recipe.precursors
    )
    kept = [reason for reason in recipe.reasons if reason not in before]
    return replace(
        recipe,
        precursors=amounts,
        reasons=(*kept, *excess_reasons(recipe.target, amounts)),
    )


def _scaled(amount: PrecursorAmount, factor: float) -> PrecursorAmount:
    steps = round(amount.mass_mg * factor / _RESOLUTION_MG)
    return replace(
        amount, moles=amount.moles * factor, mass_mg=round(steps * _RESOLUTION_MG, 6)
    )


def _excess(amount: PrecursorAmount, temperature_c: float) -> float:
    return max(excess_fraction(e, temperature_c) for e in metals(amount.formula))


def is_new(situation: Situation, recipe: Recipe) -> bool:
    """Whether no attempt was this very experiment."""
    return fingerprint(recipe) not in {fingerprint(a.recipe) for a in situation.attempts}


def firing(recipe: Recipe) -> str:
    """Say how a recipe is fired: ``4 h at 800 °C``."""
    return f"{dwell_s(recipe) / 3600:g} h at {recipe.max_temperature_c:g} °C"


def capitalised(text: str) -> str:
    """Begin a sentence, leaving formulas as they are."""
    return text[0].upper() + text[1:]
