"""What a recipe tells a scientist: why it is proposed, and what may go wrong."""

from collections.abc import Sequence
from dataclasses import replace

from pymatgen.core import Composition

from alab.errors import BadInput
from alab.models import Atmosphere, PrecursorAmount, Profile, Recipe
from planners.synthesis.atmosphere import gas_risks
from planners.synthesis.conditions import VOLATILE
from planners.synthesis.pathways import SLUGGISH_EV_PER_ATOM, Pathway, predict_pathway
from planners.synthesis.practical import concerns, firing_concerns
from planners.synthesis.precedent import Precedent, precedent_reasons, precedent_risks
from planners.synthesis.ranking import Candidate
from planners.synthesis.reactions import (
    Reaction,
    driving_force_ev_per_atom,
    has_energy,
    metals,
    try_balance,
    uncertainty_ev_per_atom,
)
from planners.synthesis.selectivity import (
    Selectivity,
    inverse_hull_energy_ev_per_atom,
    selectivity,
)
from planners.synthesis.thermo import MissingThermoError, find, written

_LEAST_EXCESS = 5e-4
"""An excess that rounds to 0.0 % is not told."""


def reasons(
    candidate: Candidate,
    precedent: Precedent,
    amounts: Sequence[PrecursorAmount],
    atmosphere: Atmosphere,
    gas_reason: str,
) -> list[str]:
    """Why a set, in sentences: papers, energies, competition, firing, gas, excess."""
    return [
        *precedent_reasons(precedent),
        *_force_reasons(candidate, atmosphere),
        *_hull_reasons(candidate.reaction, candidate.firing.temperature_c, atmosphere),
        *_competition_reasons(candidate.selectivity),
        *map(_sentence, candidate.firing.reasons),
        f"Fired in {atmosphere}: {gas_reason}.",
        *excess_reasons(candidate.reaction.product, amounts),
    ]


def risks(candidate: Candidate, precedent: Precedent, atmosphere: Atmosphere) -> list[str]:
    """What may go wrong, in sentences."""
    reaction = candidate.reaction
    found = precedent_risks(precedent)
    found += [_sentence(risk) for risk in candidate.firing.risks]
    at_c = candidate.firing.temperature_c
    found += _firing_risks(reaction, candidate.pathway, at_c, atmosphere)
    for powder in reaction.reactants:
        found += [concern.text for concern in concerns(powder)]
    if "H3N" in reaction.gases:
        found.append("Ammonia and water leave below 300 °C; the powder may foam.")
    compound = find(reaction.product)
    if compound is not None and compound.estimated:
        found.append(
            f"The formation energy of {compound.formula} is an estimate "
            f"(± {compound.uncertainty_kj_per_mol:g} kJ/mol)."
        )
    if atmosphere not in (Atmosphere.AIR, Atmosphere.O2, Atmosphere.CO2):
        found.append("A leak of air into the furnace would oxidise the product.")
    return found


def fired_otherwise(recipe: Recipe, program: Profile, why: str) -> Recipe:
    """The same powders under another program, with the reasons and risks that hold there.

    Args:
        recipe: The recipe, with the amounts that are to be weighed or were.
        program: The new heating program.
        why: What for, a sentence.
    """
    at_c, dwell_h = program.max_temperature_c, program.segments[-1].dwell_s / 3600
    told = [f"{at_c:g} °C for {dwell_h:g} h. {why}"]
    risks_there = recipe.risks
    reaction = try_balance(tuple(p.formula for p in recipe.precursors), recipe.target)
    if reaction is not None:
        told += _known_force(reaction, at_c, recipe.atmosphere)
        before = _risks_at(reaction, recipe.max_temperature_c, recipe.atmosphere)
        lasting = [risk for risk in recipe.risks if risk not in before]
        risks_there = (*_risks_at(reaction, at_c, recipe.atmosphere), *lasting)
    told += excess_reasons(recipe.target, recipe.precursors)
    return replace(recipe, profile=program, reasons=tuple(told), risks=risks_there)


def excess_reasons(target: str, amounts: Sequence[PrecursorAmount]) -> list[str]:
    """How much more of the volatile elements is weighed in, in a sentence, if any is."""
    wanted = Composition(target)
    parts: list[str] = []
    for element in sorted(metals(target) & set(VOLATILE)):
        weighed = sum(a.moles * Composition(a.formula)[element] for a in amounts)
        if (more := weighed / wanted[element] - 1) > _LEAST_EXCESS:
            parts.append(f"{more * 100:.1f} % more {element}")
    return [f"Weighed in with {' and '.join(parts)} for evaporation."] if parts else []


def _firing_risks(
    reaction: Reaction,
    pathway: Pathway | None,
    temperature_c: float,
    atmosphere: Atmosphere,
) -> list[str]:
    """What may go wrong at a temperature in a gas, in sentences."""
    found = _energy_risks(reaction.product, pathway, temperature_c, atmosphere)
    found += [
        f"{element} evaporates above {VOLATILE[element].onset_c:g} °C."
        for element in sorted(metals(reaction.product))
        if element in VOLATILE and temperature_c > VOLATILE[element].onset_c
    ]
    for powder in reaction.reactants:
        found += [concern.text for concern in firing_concerns(powder, temperature_c)]
    return [*found, *gas_risks(reaction.product, reaction.reactants, atmosphere)]


def _risks_at(reaction: Reaction, temperature_c: float, atmosphere: Atmosphere) -> list[str]:
    pathway = predict_pathway(reaction, temperature_c, atmosphere)
    return _firing_risks(reaction, pathway, temperature_c, atmosphere)


def _known_force(reaction: Reaction, temperature_c: float, atmosphere: Atmosphere) -> list[str]:
    """The driving force at another temperature, in a sentence, if it is known."""
    solids = (*reaction.reactants, reaction.product)
    if not all(has_energy(formula, temperature_c) for formula in solids):
        return []
    force_mev = 1000 * driving_force_ev_per_atom(reaction, temperature_c, atmosphere)
    way = "downhill" if force_mev > 0 else "uphill"
    return [f"The reaction runs {way} by {abs(force_mev):.0f} meV/atom there."]


def _force_reasons(candidate: Candidate, atmosphere: Atmosphere) -> list[str]:
    pathway, at_c = candidate.pathway, candidate.firing.temperature_c
    if pathway is None:
        return [_unknown(candidate.reaction, at_c)]
    error_mev = uncertainty_ev_per_atom(candidate.reaction, at_c) * 1000
    total_mev = pathway.total_ev_per_atom * 1000
    way = "downhill" if total_mev > 0 else "uphill"
    total = (
        f"The reaction runs {way} by {abs(total_mev):.0f} ± {error_mev:.0f} meV/atom at "
        f"{at_c:g} °C in {atmosphere}."
    )
    if not pathway.steps:
        return [total, "The target is the first phase expected to form."]
    first = ", then ".join(written(formula) for formula in pathway.intermediates)
    return [
        total,
        f"{first} should form first and leave {_left_mev(pathway):.0f} meV/atom for the step "
        "that forms the target.",
    ]


def _unknown(reaction: Reaction, temperature_c: float) -> str:
    if not has_energy(reaction.product, temperature_c):
        return "No formation energy of the target is known, so sets are ranked by practice."
    missing = [
        written(powder)
        for powder in reaction.reactants
        if not has_energy(powder, temperature_c)
    ]
    return (
        f"No formation energy of {' and '.join(missing)} is known, so this set is ranked by "
        "practice."
    )


def _hull_mev(target: str, temperature_c: float, atmosphere: Atmosphere) -> float | None:
    """How far the target lies below the hull of the others; None if it cannot be told."""
    try:
        energy = inverse_hull_energy_ev_per_atom(target, temperature_c, atmosphere)
    except (MissingThermoError, BadInput):
        return None
    return energy * 1000


def _hull_reasons(
    reaction: Reaction, temperature_c: float, atmosphere: Atmosphere
) -> list[str]:
    below_mev = _hull_mev(reaction.product, temperature_c, atmosphere)
    if below_mev is None or below_mev < 0:
        return []
    name = written(reaction.product)
    return [f"{name} lies {below_mev:.0f} meV/atom below the hull of the other known phases."]


def _competition_reasons(found: Selectivity | None) -> list[str]:
    if found is None:
        return []
    first = found.primary_competition_ev_per_atom * 1000
    numbers = (
        f"primary competition {first:.0f}, secondary competition "
        f"{found.secondary_competition_ev_per_atom * 1000:.0f} meV/atom"
    )
    if not found.best_rival:
        return [f"No other reaction between two of these powders runs downhill ({numbers})."]
    rival = f"{_joined(found.best_rival)} from {_joined(found.rival_pair)}"
    if first < 0:
        return [f"The target releases more than its best rival, {rival} ({numbers})."]
    return [f"Its best rival is {rival} ({numbers})."]


def _energy_risks(
    target: str, pathway: Pathway | None, temperature_c: float, atmosphere: Atmosphere
) -> list[str]:
    found: list[str] = []
    if pathway is not None and pathway.total_ev_per_atom <= 0:
        found.append("By the known energies this reaction does not run; papers report it.")
    elif pathway is not None and pathway.last_step_ev_per_atom < SLUGGISH_EV_PER_ATOM:
        found.append(
            f"The last step has {_left_mev(pathway):.0f} meV/atom; "
            f"below {SLUGGISH_EV_PER_ATOM * 1000:.0f} reactions are slow."
        )
    below_mev = _hull_mev(target, temperature_c, atmosphere)
    if below_mev is not None and below_mev < 0:
        found.append(
            f"Other phases are together {-below_mev:.0f} meV/atom more stable than "
            f"{written(target)}; it may decompose if held too long."
        )
    return [*found, *_rival_risks(pathway, temperature_c, atmosphere)]


def _rival_risks(
    pathway: Pathway | None, temperature_c: float, atmosphere: Atmosphere
) -> list[str]:
    if pathway is None:
        return []
    try:
        found = selectivity(pathway.solid_reaction, temperature_c, atmosphere)
    except (MissingThermoError, BadInput):
        return []
    more_ev = found.primary_competition_ev_per_atom
    if not found.best_rival or more_ev <= SLUGGISH_EV_PER_ATOM:
        return []
    return [
        f"{_joined(found.best_rival)} may form in place of the target: its reaction "
        f"releases {more_ev * 1000:.0f} meV/atom more."
    ]


def _left_mev(pathway: Pathway) -> float:
    return max(0.0, pathway.last_step_ev_per_atom) * 1000


def _joined(formulas: tuple[str, ...]) -> str:
    return " + ".join(written(formula) for formula in formulas)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
