"""Recipes for a target: which powders, how much of each, how hot, and why.

Every set of precursors that balances is ranked by the driving force of its last,
target-forming step and by practicality; the best are returned, different sets first, then
other firing conditions of the best set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from types import MappingProxyType

from pymatgen.core import Composition

from alab.errors import TargetError
from alab.models import Atmosphere, FiringLimits, Recipe
from planners.synthesis.conditions import (
    DWELL_S,
    GRID_C,
    VOLATILE,
    FiringChoice,
    ceiling,
    choose_atmosphere,
    choose_temperature,
    excess_fraction,
    profile,
    snap,
)
from planners.synthesis.doses import DoseError, Doses
from planners.synthesis.pathways import SLUGGISH_EV_PER_ATOM, Pathway, predict_pathway
from planners.synthesis.reactions import (
    BalanceError,
    Reaction,
    balance,
    driving_force_ev_per_atom,
    metals,
    try_balance,
    uncertainty_ev_per_atom,
)
from planners.synthesis.screen import check_target
from planners.synthesis.thermo import find, reduced, written

MOST_PRECURSORS = 5

_COMMON: Mapping[str, float] = MappingProxyType(
    {
        "NH4H2PO4": 1.0, "(NH4)2HPO4": 0.6, "MgO": 1.0, "Mg(OH)2": 0.3, "MnO2": 1.0,
        "Mn2O3": 0.8, "Mn3O4": 0.4, "MnCO3": 0.8, "Li2CO3": 1.0, "LiOH": 0.6, "Li2O": 0.2,
        "Fe2O3": 1.0, "Fe3O4": 0.3, "Co3O4": 1.0, "CoO": 0.4, "CuO": 1.0, "NiO": 1.0,
        "TiO2": 1.0, "La2O3": 0.9, "La(OH)3": 0.4, "SiO2": 1.0, "Al2O3": 1.0, "ZnO": 1.0,
    }
)  # fmt: skip
"""How usual a precursor is in solid-state practice, 0 to 1; carbonates and oxides lead."""

_COMMON_BY_DEFAULT = 0.7
_UNKNOWN_FORCE_SCORE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A precursor set under study."""

    reaction: Reaction
    firing: FiringChoice
    pathway: Pathway | None
    score: float


def propose(
    target: str,
    *,
    shelf: Mapping[str, float],
    limits: FiringLimits,
    batch_mass_mg: float = 2000.0,
    dose_resolution_mg: float = 0.1,
    min_dose_mg: float = 5.0,
    count: int = 5,
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

    Returns:
        One to ``count`` recipes, no two alike.

    Raises:
        TargetError: If the target is none, or nothing on the shelf makes it; says why.
        ValueError: If a mass or the count is not positive.
    """
    for name, value in (
        ("batch_mass_mg", batch_mass_mg),
        ("dose_resolution_mg", dose_resolution_mg),
        ("count", count),
    ):
        if value <= 0:
            raise ValueError(f"{name} is {value:g}; it must be above 0")
    formula = reduced(check_target(target, shelf))
    atmosphere, gas_reason = choose_atmosphere(formula, limits)
    reactions = precursor_sets(formula, shelf, atmosphere)
    ranked = sorted(
        (_assess(reaction, atmosphere, limits) for reaction in reactions),
        key=lambda candidate: (-candidate.score, str(candidate.reaction)),
    )
    ranked = _downhill(formula, ranked)
    doses = Doses(shelf, batch_mass_mg, dose_resolution_mg, min_dose_mg)
    recipes: list[Recipe] = []
    refusals: list[str] = []
    for candidate in ranked:
        try:
            recipes.append(_recipe(candidate, atmosphere, gas_reason, limits, doses))
        except DoseError as error:
            refusals.append(str(error))
        if len(recipes) == count:
            return recipes
    if not recipes:
        raise TargetError(f"{written(formula)} cannot be weighed in: {'; '.join(refusals)}")
    lowest = min(recipe.score for recipe in recipes)
    return recipes + _variants(recipes[0], lowest, limits, doses)[: count - len(recipes)]


def precursor_sets(
    target: str, shelf: Mapping[str, float], atmosphere: Atmosphere = Atmosphere.AIR
) -> list[Reaction]:
    """Every set of at most five powders on the shelf that balances to the target.

    Only oxygen may be taken up from the furnace gas, and only where it holds some.

    Raises:
        TargetError: If no set balances; says what the nearest one lacks.
    """
    usable = [
        powder
        for powder, mass_mg in shelf.items()
        if mass_mg > 0 and metals(powder) and metals(powder) <= metals(target)
    ]
    allowed = {"O2"} if atmosphere in (Atmosphere.AIR, Atmosphere.O2) else set[str]()
    found: list[Reaction] = []
    for size in range(1, min(MOST_PRECURSORS, len(metals(target))) + 1):
        for powders in combinations(usable, size):
            reaction = try_balance(powders, target)
            if reaction is not None and set(reaction.absorbed) <= allowed:
                found.append(reaction)
    if not found:
        raise TargetError(
            f"{written(target)}: no set of up to {MOST_PRECURSORS} precursors on the shelf "
            f"balances to it; {_why_not(target, usable, atmosphere)}"
        )
    return found


def _why_not(target: str, usable: Sequence[str], atmosphere: Atmosphere) -> str:
    have = frozenset[str]().union(*(metals(powder) for powder in usable))
    if missing := sorted(metals(target) - have):
        return f"every powder with {' or '.join(missing)} brings other elements too"
    chosen: dict[frozenset[str], str] = {}
    for powder in usable:
        chosen.setdefault(metals(powder), powder)
    if len(metals(target)) > MOST_PRECURSORS:
        return f"it holds {len(metals(target))} elements that no gas brings"
    try:
        reaction = balance(tuple(chosen.values()), target)
    except BalanceError as error:
        return str(error)
    return f"{reaction} would have to take up {', '.join(reaction.absorbed)} from {atmosphere}"


def _assess(reaction: Reaction, atmosphere: Atmosphere, limits: FiringLimits) -> _Candidate:
    firing = choose_temperature(reaction, atmosphere, limits)
    pathway = predict_pathway(reaction, firing.temperature_c, atmosphere)
    return _Candidate(
        reaction=reaction, firing=firing, pathway=pathway, score=_score(reaction, pathway)
    )


def _score(reaction: Reaction, pathway: Pathway | None) -> float:
    """Rank by driving force (per 100 meV/atom, capped) and by what a chemist prefers."""
    powders = tuple(reaction.reactants)
    score = _UNKNOWN_FORCE_SCORE
    if pathway is not None:
        last, total = pathway.last_step_ev_per_atom, pathway.solid_ev_per_atom
        score = 10 * min(max(last, -0.1), 0.3) + min(max(total, -0.1), 0.5)
    score += sum(_COMMON.get(p, _COMMON_BY_DEFAULT) for p in powders) / len(powders)
    score -= 0.3 * (len(powders) - 1)
    score -= 0.2 * _mass_loss_fraction(reaction)
    for powder in powders:
        compound = find(powder)
        if compound is not None and not compound.air_stable:
            score -= 0.5 if reduced(powder) == "La2O3" else 1.0
    return score


def _mass_loss_fraction(reaction: Reaction) -> float:
    weighed = sum(float(n) * Composition(f).weight for f, n in reaction.reactants.items())
    return 1.0 - Composition(reaction.product).weight / weighed


def _downhill(target: str, ranked: Sequence[_Candidate]) -> list[_Candidate]:
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
    candidate: _Candidate,
    atmosphere: Atmosphere,
    gas_reason: str,
    limits: FiringLimits,
    doses: Doses,
) -> Recipe:
    reaction, firing = candidate.reaction, candidate.firing
    gas = f"Fired in {atmosphere}: {gas_reason}."
    reasons = [*_force_reasons(candidate, atmosphere), *map(_sentence, firing.reasons), gas]
    excess = _excess_sentence(reaction, firing.temperature_c)
    return Recipe(
        target=written(reaction.product),
        precursors=doses.amounts(reaction, firing.temperature_c),
        reaction=str(reaction),
        profile=profile(firing.temperature_c, limits),
        atmosphere=atmosphere,
        score=round(candidate.score, 4),
        reasons=(*reasons, *([excess] if excess else [])),
        risks=(*map(_sentence, firing.risks), *_risks(candidate, atmosphere)),
    )


def _force_reasons(candidate: _Candidate, atmosphere: Atmosphere) -> list[str]:
    pathway, at_c = candidate.pathway, candidate.firing.temperature_c
    if pathway is None:
        return ["No formation energy of the target is known, so sets are ranked by practice."]
    error_mev = uncertainty_ev_per_atom(candidate.reaction) * 1000
    total = (
        f"The reaction runs downhill by {pathway.total_ev_per_atom * 1000:.0f} ± "
        f"{error_mev:.0f} meV/atom at {at_c:g} °C in {atmosphere}."
    )
    if not pathway.steps:
        return [total, "The target is the first phase expected to form."]
    first = ", then ".join(written(formula) for formula in pathway.intermediates)
    return [
        total,
        f"{first} should form first and leave "
        f"{max(0.0, pathway.last_step_ev_per_atom) * 1000:.0f} meV/atom for the step that "
        "forms the target.",
    ]


def _risks(candidate: _Candidate, atmosphere: Atmosphere) -> list[str]:
    reaction, pathway = candidate.reaction, candidate.pathway
    at_c = candidate.firing.temperature_c
    risks: list[str] = []
    if pathway is not None and pathway.last_step_ev_per_atom < SLUGGISH_EV_PER_ATOM:
        risks.append(
            f"The last step has {max(0.0, pathway.last_step_ev_per_atom) * 1000:.0f} meV/atom; "
            f"below {SLUGGISH_EV_PER_ATOM * 1000:.0f} reactions are slow."
        )
    risks += [
        f"{element} evaporates above {VOLATILE[element].onset_c:g} °C."
        for element in sorted(metals(reaction.product))
        if element in VOLATILE and at_c > VOLATILE[element].onset_c
    ]
    for powder in reaction.reactants:
        compound = find(powder)
        if compound is None:
            continue
        if compound.melts_c is not None and compound.melts_c < at_c and "N" not in powder:
            risks.append(f"{powder} melts at {compound.melts_c:g} °C and may wet the crucible.")
        if not compound.air_stable:
            risks.append(f"{powder} takes up water or CO2 from air; keep the jar dry.")
    if "H3N" in reaction.gases:
        risks.append("Ammonia and water leave below 300 °C; the powder may foam.")
    compound = find(reaction.product)
    if compound is not None and compound.estimated:
        risks.append(
            f"The formation energy of {compound.formula} is an estimate "
            f"(± {compound.uncertainty_kj_per_mol:g} kJ/mol)."
        )
    if atmosphere in (Atmosphere.N2, Atmosphere.AR):
        risks.append("A leak of air into the furnace would oxidise the product.")
    return risks


def _excess_sentence(reaction: Reaction, temperature_c: float) -> str | None:
    parts = [
        f"{excess_fraction(element, temperature_c) * 100:.1f} % more {element}"
        for element in sorted(metals(reaction.product))
        if excess_fraction(element, temperature_c) > 0
    ]
    return f"Weighed in with {' and '.join(parts)} for evaporation." if parts else None


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _variants(
    best: Recipe, below_score: float, limits: FiringLimits, doses: Doses
) -> list[Recipe]:
    """The best set under other conditions: hotter, gentler and longer, much longer."""
    at_c = best.max_temperature_c
    top_c, _ = ceiling(best.target, limits)
    plans = [
        (at_c + 2 * GRID_C, DWELL_S, "Hotter, should the first firing stay incomplete."),
        (at_c - 2 * GRID_C, 3 * DWELL_S, "Cooler and longer, against evaporation."),
        (at_c, 3 * DWELL_S, "Longer at the same temperature, for slow diffusion."),
        (at_c + 4 * GRID_C, DWELL_S, "Much hotter, for refractory mixtures."),
    ]
    reaction = balance(tuple(p.formula for p in best.precursors), best.target)
    seen = {(at_c, DWELL_S)}
    variants: list[Recipe] = []
    for number, (wanted_c, dwell_s, reason) in enumerate(plans, start=1):
        temperature_c = snap(wanted_c, limits, top_c)
        if (temperature_c, dwell_s) in seen or abs(temperature_c - wanted_c) > GRID_C / 2:
            continue
        seen.add((temperature_c, dwell_s))
        try:
            amounts = doses.amounts(reaction, temperature_c)
        except DoseError:
            continue  # the best set fits the stock only without the larger excess
        force = _known_force(reaction, temperature_c, best.atmosphere)
        firing = f"{temperature_c:g} °C for {dwell_s / 3600:g} h. {reason}"
        variants.append(
            replace(
                best,
                precursors=amounts,
                profile=profile(temperature_c, limits, dwell_s=dwell_s),
                score=round(below_score - 0.1 * number, 4),
                reasons=(firing, *([force] if force else [])),
            )
        )
    return variants


def _known_force(
    reaction: Reaction, temperature_c: float, atmosphere: Atmosphere
) -> str | None:
    if any(find(formula) is None for formula in (*reaction.reactants, reaction.product)):
        return None
    force = driving_force_ev_per_atom(reaction, temperature_c, atmosphere)
    return f"The reaction runs downhill by {force * 1000:.0f} meV/atom there."
