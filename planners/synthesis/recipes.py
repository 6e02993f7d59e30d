"""Recipes for a target: which powders, how much of each, how hot, and why.

Every set of precursors that balances is ranked by the driving force of its last,
target-forming step, by what competes, by what papers do, and by practicality
(:mod:`ranking`). The best are returned, and the set that papers would take first: sets of
different precursor families first, then other sets, then other firings of the best set.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from alab.errors import TargetError
from alab.models import Atmosphere, FiringLimits, Recipe
from planners.synthesis.atmosphere import check_asked, choose_atmosphere
from planners.synthesis.conditions import (
    BOILS_C,
    DWELL_S,
    GRID_C,
    LONGER_H,
    VOLATILE,
    FiringChoice,
    check_dry,
    choose_temperature,
    profile,
    snap,
)
from planners.synthesis.doses import DoseError, Doses
from planners.synthesis.enumeration import PrecursorSets, enumerate_sets
from planners.synthesis.practical import check_forbidden_elements, usable_powders
from planners.synthesis.precedent import Precedent, likeliest_set, precedents, usual_sets
from planners.synthesis.ranking import (
    Candidate,
    assess,
    best_candidates,
    choose_different,
    with_competition,
)
from planners.synthesis.reactions import BalanceError, Reaction, balance, metals
from planners.synthesis.reasons import fired_otherwise, reasons, risks
from planners.synthesis.screen import check_target
from planners.synthesis.thermo import PARTIAL_PRESSURES_BAR, reduced, written

MOST_PRECURSORS = 5

_GOOD_SETS_A_RECIPE = 4
"""Sets assessed for each recipe wanted, so that different ones can be chosen."""

_ABSORBABLE = ("O2", "CO2")
_LEAST_TO_ABSORB_BAR = 0.01
"""A gas thinner than this brings too little to be taken up in hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gas:
    """The furnace gas, and why."""

    atmosphere: Atmosphere
    reason: str


def propose(
    target: str,
    *,
    shelf: Mapping[str, float],
    limits: FiringLimits,
    batch_mass_mg: float = 2000.0,
    dose_resolution_mg: float = 0.1,
    min_dose_mg: float = 5.0,
    count: int = 5,
    atmosphere: Atmosphere | None = None,
    max_precursors: int = MOST_PRECURSORS,
    forbidden_elements: Collection[str] = (),
    forbidden_precursors: Collection[str] = (),
) -> list[Recipe]:
    """Propose recipes for a target, best first.

    Args:
        target: Formula as a person types it.
        shelf: Milligrams available of each precursor, by formula.
        limits: What the furnaces can do.
        batch_mass_mg: Mass of product that a full reaction gives.
        dose_resolution_mg: Masses are multiples of this.
        min_dose_mg: Smallest mass the doser delivers; the batch grows up to twofold for it.
        count: Most recipes to return.
        atmosphere: Gas to fire in; chosen by the valences of the target unless given.
        max_precursors: Most powders in a recipe, 1 to 5.
        forbidden_elements: Symbols that the laboratory does not handle.
        forbidden_precursors: Formulas that are not to be used.

    Returns:
        One to ``count`` recipes, no two alike.

    Raises:
        TargetError: If the target is none, or nothing on the shelf makes it; says why.
        ValueError: If a mass, the count or the number of precursors is out of range.
    """
    for name, value in (
        ("batch_mass_mg", batch_mass_mg),
        ("dose_resolution_mg", dose_resolution_mg),
        ("count", count),
    ):
        if value <= 0:
            raise ValueError(f"{name} is {value:g}; it must be above 0")
    if not 1 <= max_precursors <= MOST_PRECURSORS:
        raise ValueError(f"max_precursors is {max_precursors}; 1 to {MOST_PRECURSORS} can be")
    banned = check_forbidden_elements(forbidden_elements)
    formula = reduced(check_target(target, shelf, banned))
    check_dry(formula)
    gas = _gas(formula, atmosphere, limits)
    limits = limits.in_gas(gas.atmosphere)
    powders, left_out = _staying(
        *usable_powders(
            shelf, forbidden_elements=banned, forbidden_precursors=forbidden_precursors
        )
    )
    sets = _balanced(formula, powders, left_out, gas.atmosphere, max_precursors)
    ranked, literature = _ranked(sets, gas.atmosphere, limits, count)
    doses = Doses(shelf, batch_mass_mg, dose_resolution_mg, min_dose_mg)
    dosable = _dosable(ranked, doses)
    chosen = choose_different(dosable, count, literature if literature in dosable else None)
    done = precedents(formula, [tuple(c.reaction.reactants) for c in chosen])
    recipes = [
        _recipe(candidate, precedent, gas, limits, doses)
        for candidate, precedent in zip(chosen, done, strict=True)
    ]
    variants = _variants(recipes[0], chosen[0].firing, recipes[-1].score, limits, doses)
    return recipes + variants[: count - len(recipes)]


def precursor_sets(
    target: str, shelf: Mapping[str, float], atmosphere: Atmosphere = Atmosphere.AIR
) -> list[Reaction]:
    """Every set of at most five powders on the shelf that balances to the target.

    Only oxygen (and CO2) may be taken up from the furnace gas, where it holds some.

    Raises:
        TargetError: If no set balances; says what the nearest one lacks.
    """
    powders, left_out = _staying(*usable_powders(shelf))
    sets = _balanced(target, powders, left_out, atmosphere, MOST_PRECURSORS)
    return [sets.reaction(row) for row in range(len(sets))]


def _gas(target: str, wanted: Atmosphere | None, limits: FiringLimits) -> _Gas:
    if wanted is None:
        atmosphere, reason = choose_atmosphere(target, limits)
        return _Gas(atmosphere=atmosphere, reason=reason)
    if wanted not in limits.atmospheres:
        raise TargetError(
            f"{written(target)} is to be fired in {wanted}, and the furnaces offer "
            f"{', '.join(limits.atmospheres) or 'no gas'}; ask for one of these"
        )
    check_asked(target, wanted)
    return _Gas(atmosphere=wanted, reason="it was asked for")


def _staying(
    powders: Sequence[str], left_out: Mapping[str, str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Powders that stay in an open crucible, and the reason for each of the others."""
    leaving = {
        powder: f"{powder} boils off at {BOILS_C[reduced(powder)]:g} °C and needs a closed "
        "vessel, which this laboratory does not offer"
        for powder in powders
        if reduced(powder) in BOILS_C
    }
    return tuple(p for p in powders if p not in leaving), {**left_out, **leaving}


def _balanced(
    target: str,
    powders: Sequence[str],
    left_out: Mapping[str, str],
    atmosphere: Atmosphere,
    most: int,
) -> PrecursorSets:
    """Sets that balance and take up no gas that the furnace does not hold."""
    sets = enumerate_sets(target, powders, most_precursors=most)
    allowed = _absorbed_from(atmosphere)
    fine = np.ones(len(sets), dtype=bool)
    for gas, moles in sets.gases().items():
        if gas not in allowed:
            fine &= moles >= 0
    if not fine.any():
        why = _why_not(target, powders, atmosphere, most)
        excluded = sorted(
            reason for p, reason in left_out.items() if metals(p) & metals(target)
        )
        raise TargetError(
            f"{written(target)}: no set of up to {most} precursors on the shelf "
            f"balances to it; {'; '.join([why, *excluded])}"
        )
    return sets.only(fine)


def _absorbed_from(atmosphere: Atmosphere) -> frozenset[str]:
    pressures_bar = PARTIAL_PRESSURES_BAR.get(atmosphere, {})
    return frozenset(
        gas for gas in _ABSORBABLE if pressures_bar.get(gas, 0.0) >= _LEAST_TO_ABSORB_BAR
    )


def _why_not(target: str, powders: Sequence[str], atmosphere: Atmosphere, most: int) -> str:
    usable = [p for p in powders if metals(p) and metals(p) <= metals(target)]
    have = frozenset[str]().union(*(metals(powder) for powder in usable))
    if missing := sorted(metals(target) - have):
        names = " or ".join(missing)
        if any(metals(powder) & set(missing) for powder in powders):
            return f"every powder with {names} brings other elements too"
        return f"no powder that may be used brings {names}"
    chosen: dict[frozenset[str], str] = {}
    for powder in usable:
        chosen.setdefault(metals(powder), powder)
    if len(metals(target)) > most:
        return f"it holds {len(metals(target))} elements that no gas brings"
    try:
        reaction = balance(tuple(chosen.values()), target)
    except BalanceError as error:
        return str(error)
    return f"{reaction} would have to take up {', '.join(reaction.absorbed)} from {atmosphere}"


def _ranked(
    sets: PrecursorSets, atmosphere: Atmosphere, limits: FiringLimits, count: int
) -> tuple[list[Candidate], Candidate | None]:
    """The best candidates, best first, and the one of them that papers would take."""

    def assessed(reaction: Reaction, usual: float) -> Candidate:
        firing = choose_temperature(reaction, atmosphere, limits)
        return assess(reaction, firing, atmosphere, usual)

    usual = choose_temperature(sets.reaction(0), atmosphere, limits)
    wanted = count * _GOOD_SETS_A_RECIPE
    ranked = best_candidates(sets, assessed, usual.temperature_c, atmosphere, wanted)
    ranked = _downhill(sets.target, ranked)
    row = likeliest_set(sets)
    if row is None:
        return ranked, None
    (share,) = usual_sets(sets.only(np.array([row])))
    literature = with_competition(assessed(sets.reaction(row), float(share)), atmosphere)
    if literature not in ranked:
        ranked = sorted([*ranked, literature], key=lambda c: -c.score)
    return ranked, literature


def _dosable(ranked: Sequence[Candidate], doses: Doses) -> list[Candidate]:
    """Candidates that the doser and the stock can give.

    Raises:
        TargetError: If there is none.
    """
    fine: list[Candidate] = []
    refusals: list[str] = []
    for candidate in ranked:
        try:
            doses.amounts(candidate.reaction, candidate.firing.temperature_c)
        except DoseError as error:
            refusals.append(str(error))
        else:
            fine.append(candidate)
    if not fine:
        target = written(ranked[0].reaction.product)
        raise TargetError(f"{target} cannot be weighed in: {'; '.join(refusals)}")
    return fine


def _downhill(target: str, ranked: Sequence[Candidate]) -> list[Candidate]:
    kept = [c for c in ranked if c.pathway is None or c.pathway.total_ev_per_atom > 0]
    if kept:
        return kept
    best = max(
        (c for c in ranked if c.pathway is not None),
        key=lambda c: c.pathway.total_ev_per_atom if c.pathway else 0.0,
    )
    force_mev = best.pathway.total_ev_per_atom * 1000 if best.pathway else 0.0
    raise TargetError(
        f"{written(target)} does not form from this shelf: the best reaction, "
        f"{best.reaction}, is uphill by {-force_mev:.0f} meV/atom at "
        f"{best.firing.temperature_c:g} °C; add other precursors"
    )


def _recipe(
    candidate: Candidate,
    precedent: Precedent,
    gas: _Gas,
    limits: FiringLimits,
    doses: Doses,
) -> Recipe:
    reaction, at_c = candidate.reaction, candidate.firing.temperature_c
    amounts = doses.amounts(reaction, at_c)
    return Recipe(
        target=written(reaction.product),
        precursors=amounts,
        reaction=str(reaction),
        profile=profile(at_c, limits),
        atmosphere=gas.atmosphere,
        score=round(candidate.score, 4),
        reasons=tuple(reasons(candidate, precedent, amounts, gas.atmosphere, gas.reason)),
        risks=tuple(risks(candidate, precedent, gas.atmosphere)),
    )


def _variants(
    best: Recipe, firing: FiringChoice, below_score: float, limits: FiringLimits, doses: Doses
) -> list[Recipe]:
    """The best set under other conditions: hotter, gentler and longer, longer, much hotter."""
    at_c = best.max_temperature_c
    plans = [
        (at_c + 2 * GRID_C, DWELL_S, "Hotter, should the first firing stay incomplete."),
        (at_c - 2 * GRID_C, 3 * DWELL_S, f"Cooler and longer, {_against(best)}."),
        (at_c, *_longer(firing.papers_dwell_h)),
        (at_c + 4 * GRID_C, DWELL_S, "Much hotter, for refractory mixtures."),
    ]
    reaction = balance(tuple(p.formula for p in best.precursors), best.target)
    seen = {(at_c, DWELL_S)}
    variants: list[Recipe] = []
    for number, (wanted_c, dwell_s, why) in enumerate(plans, start=1):
        temperature_c = snap(wanted_c, limits, firing.highest_c)
        if (temperature_c, dwell_s) in seen or abs(temperature_c - wanted_c) > GRID_C / 2:
            continue
        seen.add((temperature_c, dwell_s))
        try:
            amounts = doses.amounts(reaction, temperature_c)
        except DoseError:
            continue  # the best set fits the stock only without the larger excess
        weighed = replace(best, precursors=amounts, score=round(below_score - 0.1 * number, 4))
        program = profile(temperature_c, limits, dwell_s=dwell_s)
        variants.append(fired_otherwise(weighed, program, why))
    return variants


def _against(recipe: Recipe) -> str:
    """What speaks for a cooler firing."""
    leaving = [
        element
        for element in sorted(metals(recipe.target))
        if element in VOLATILE and recipe.max_temperature_c > VOLATILE[element].onset_c
    ]
    if leaving:
        return f"against evaporation of {' and '.join(leaving)}"
    return "should the first firing be too hot"


def _longer(papers_dwell_h: float) -> tuple[float, str]:
    """A longer dwell in s, that of papers where they hold much longer, and what for."""
    if papers_dwell_h < LONGER_H:
        return 3 * DWELL_S, "Longer at the same temperature, for slow diffusion."
    return round(papers_dwell_h) * 3600.0, "As long as papers hold it, for slow diffusion."
