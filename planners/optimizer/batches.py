"""Fill a furnace: the recipes with the largest expected gain per furnace-hour.

Recipes that share a profile and a gas share a firing, whose hours they divide. The firing
whose recipes promise most per hour is chosen; each further recipe is chosen as if those
before it had come out half as well as expected, so that a batch does not hold the same
gamble eight times (a constant liar, Ginsbourger et al., in Computational Intelligence in
Expensive Optimization Problems, 2010, ch. 6).
"""

from collections import defaultdict
from collections.abc import Sequence

from alab.models import Attempt, Decision, NextStep, Recipe
from planners.optimizer.belief import Belief, FloatArray, Seen, believe, graded
from planners.optimizer.residues import residue, residues
from planners.optimizer.strategy import (
    Situation,
    fingerprint,
    give_up,
    powders,
    target_fraction,
)
from planners.synthesis.thermo import written

_ROOM_C = 25.0
_COOLING_C_PER_MIN = 5.0
"""How fast a chamber furnace of this size cools with its door closed, on average."""


def ranked(situation: Situation, recipes: Sequence[Recipe]) -> list[tuple[Recipe, float]]:
    """Recipes with what they promise, the most promising first; ties by rank."""
    if not recipes:
        return []
    belief = _believe(situation, recipes, graded(situation.attempts))
    order = sorted(range(len(recipes)), key=lambda i: -belief.promise[i])
    return [(recipes[i], float(belief.promise[i])) for i in order]


def next_batch(situation: Situation, size: int) -> tuple[Decision, ...]:
    """Choose a firing and up to ``size`` untried recipes for it."""
    untried = situation.untried()
    if not untried:
        return (give_up(situation.attempts, "every candidate was run"),)
    belief = _believe(situation, untried, graded(situation.attempts))
    shared: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for i, recipe in enumerate(untried):
        shared[recipe.profile, recipe.atmosphere].append(i)

    def gain_per_hour(members: list[int]) -> float:
        best = sorted((float(belief.promise[i]) for i in members), reverse=True)[:size]
        return sum(best) / furnace_hours(untried[members[0]])

    members = max(shared.values(), key=gain_per_hour)
    return tuple(
        _decision(situation, recipe, promise, shared=size > 1)
        for recipe, promise in _spread(
            situation, [untried[i] for i in members], size, belief.promise[members]
        )
    )


def filled(situation: Situation, first: Decision, size: int) -> tuple[Decision, ...]:
    """Add other untried sets of powders, then other firings, until the batch is full."""
    if first.recipe is None or size < 2:
        return (first,)
    sets = [r for r in situation.untried_sets() if powders(r) != powders(first.recipe)]
    more = _spread(situation, sets, size - 1)
    chosen = {fingerprint(recipe) for recipe in (first.recipe, *(r for r, _ in more))}
    firings = [r for r in situation.untried() if fingerprint(r) not in chosen]
    more += _spread(situation, firings, size - 1 - len(more))
    told = (
        _decision(situation, recipe, promise, shared=recipe.profile == first.recipe.profile)
        for recipe, promise in more
    )
    return (first, *told)


def _decision(
    situation: Situation, recipe: Recipe, promise: float, *, shared: bool
) -> Decision:
    return Decision(
        step=NextStep.NEW_RECIPE,
        recipe=recipe,
        reasons=(
            f"{' + '.join(p.formula for p in recipe.precursors)} at "
            f"{recipe.max_temperature_c:g} °C promises {promise * 100:.0f} % of a success, "
            f"for {furnace_hours(recipe):.0f} furnace-hours"
            + (" shared by the batch." if shared else "."),
            known(situation.attempts, recipe),
        ),
    )


def known(attempts: Sequence[Attempt], recipe: Recipe) -> str:
    """Say what was seen of each powder: ``BaO in 3 firings, at best 82 wt % target``."""
    told: list[str] = []
    for powder in sorted(powders(recipe)):
        left = residue(powder, recipe.max_temperature_c)
        found = [
            target_fraction(attempt)
            for attempt in attempts
            if attempt.outcome is not None and left in residues(attempt.recipe)
        ]
        name = written(powder) if left == powder else f"{written(powder)} (as {written(left)})"
        times = "1 firing" if len(found) == 1 else f"{len(found)} firings"
        told.append(
            f"{name} in {times}, at best {max(found) * 100:.0f} wt % target"
            if found
            else f"{name} not tried yet"
        )
    return "; ".join(told) + "."


def furnace_hours(recipe: Recipe) -> float:
    """Hours a firing keeps its furnace, cooling to where it can be opened included."""
    at_c, minutes = _ROOM_C, 0.0
    for segment in recipe.profile.segments:
        minutes += abs(segment.temperature_c - at_c) / segment.ramp_c_per_min
        minutes += segment.dwell_s / 60
        at_c = segment.temperature_c
    return (minutes + (at_c - _ROOM_C) / _COOLING_C_PER_MIN) / 60


def _spread(
    situation: Situation,
    recipes: Sequence[Recipe],
    size: int,
    promise: FloatArray | None = None,
) -> list[tuple[Recipe, float]]:
    """Recipes that do not all hang on one guess, with what each promises by itself."""
    if not recipes or size < 1:
        return []
    seen = graded(situation.attempts)
    if promise is None:
        promise = _believe(situation, recipes, seen).promise
    chosen: list[tuple[Recipe, float]] = []
    left = list(range(len(recipes)))
    supposed, now = list(seen), promise
    while left and len(chosen) < size:
        if chosen:
            now = _believe(situation, [recipes[i] for i in left], supposed).promise
        best = left.pop(int(now.argmax()))
        chosen.append((recipes[best], float(promise[best])))
        supposed.append(Seen(recipe=recipes[best], grade=float(promise[best]) / 2, weight=1.0))
    return chosen


def _believe(situation: Situation, recipes: Sequence[Recipe], seen: Sequence[Seen]) -> Belief:
    return believe(recipes, seen, situation.typical, situation.observations)
