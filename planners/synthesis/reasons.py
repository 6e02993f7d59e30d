"""What a recipe tells a scientist: why it is proposed, and what may go wrong."""

from alab.errors import BadInput
from alab.models import Atmosphere
from planners.synthesis.conditions import VOLATILE, excess_fraction
from planners.synthesis.pathways import SLUGGISH_EV_PER_ATOM, Pathway
from planners.synthesis.practical import concerns, firing_concerns
from planners.synthesis.precedent import Precedent, precedent_reasons, precedent_risks
from planners.synthesis.ranking import Candidate
from planners.synthesis.reactions import (
    Reaction,
    driving_force_ev_per_atom,
    has_energy,
    metals,
    uncertainty_ev_per_atom,
)
from planners.synthesis.selectivity import Selectivity, inverse_hull_energy_ev_per_atom
from planners.synthesis.thermo import MissingThermoError, find, written


def reasons(
    candidate: Candidate, precedent: Precedent, atmosphere: Atmosphere, gas_reason: str
) -> list[str]:
    """Why a set, in sentences: papers, energies, competition, firing, gas, excess."""
    reaction, firing = candidate.reaction, candidate.firing
    excess = _excess_sentence(reaction, firing.temperature_c)
    return [
        *precedent_reasons(precedent),
        *_force_reasons(candidate, atmosphere),
        *_hull_reasons(candidate, atmosphere),
        *_competition_reasons(candidate.selectivity),
        *map(_sentence, firing.reasons),
        f"Fired in {atmosphere}: {gas_reason}.",
        *([excess] if excess else []),
    ]


def risks(candidate: Candidate, precedent: Precedent, atmosphere: Atmosphere) -> list[str]:
    """What may go wrong, in sentences."""
    reaction, at_c = candidate.reaction, candidate.firing.temperature_c
    found = precedent_risks(precedent)
    found += [_sentence(risk) for risk in candidate.firing.risks]
    found += _energy_risks(candidate, atmosphere)
    found += [
        f"{element} evaporates above {VOLATILE[element].onset_c:g} °C."
        for element in sorted(metals(reaction.product))
        if element in VOLATILE and at_c > VOLATILE[element].onset_c
    ]
    for powder in reaction.reactants:
        found += [c.text for c in (*firing_concerns(powder, at_c), *concerns(powder))]
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


def known_force(reaction: Reaction, temperature_c: float, atmosphere: Atmosphere) -> str | None:
    """The driving force at another temperature, in a sentence; None if unknown."""
    solids = (*reaction.reactants, reaction.product)
    if not all(has_energy(formula, temperature_c) for formula in solids):
        return None
    force = driving_force_ev_per_atom(reaction, temperature_c, atmosphere)
    return f"The reaction runs downhill by {force * 1000:.0f} meV/atom there."


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


def _hull_mev(candidate: Candidate, atmosphere: Atmosphere) -> float | None:
    """How far the target lies below the hull of the others; None if it cannot be told."""
    try:
        energy = inverse_hull_energy_ev_per_atom(
            candidate.reaction.product, candidate.firing.temperature_c, atmosphere
        )
    except (MissingThermoError, BadInput):
        return None
    return energy * 1000


def _hull_reasons(candidate: Candidate, atmosphere: Atmosphere) -> list[str]:
    below_mev = _hull_mev(candidate, atmosphere)
    if below_mev is None or below_mev < 0:
        return []
    name = written(candidate.reaction.product)
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


def _energy_risks(candidate: Candidate, atmosphere: Atmosphere) -> list[str]:
    found: list[str] = []
    pathway, rival = candidate.pathway, candidate.selectivity
    if pathway is not None and pathway.total_ev_per_atom <= 0:
        found.append("By the known energies this reaction does not run; papers report it.")
    elif pathway is not None and pathway.last_step_ev_per_atom < SLUGGISH_EV_PER_ATOM:
        found.append(
            f"The last step has {_left_mev(pathway):.0f} meV/atom; "
            f"below {SLUGGISH_EV_PER_ATOM * 1000:.0f} reactions are slow."
        )
    below_mev = _hull_mev(candidate, atmosphere)
    if below_mev is not None and below_mev < 0:
        found.append(
            f"Other phases are together {-below_mev:.0f} meV/atom more stable than "
            f"{written(candidate.reaction.product)}; it may decompose if held too long."
        )
    if rival is not None and rival.primary_competition_ev_per_atom > SLUGGISH_EV_PER_ATOM:
        found.append(
            f"{_joined(rival.best_rival)} may form in place of the target: its reaction "
            f"releases {rival.primary_competition_ev_per_atom * 1000:.0f} meV/atom more."
        )
    return found


def _left_mev(pathway: Pathway) -> float:
    return max(0.0, pathway.last_step_ev_per_atom) * 1000


def _joined(formulas: tuple[str, ...]) -> str:
    return " + ".join(written(formula) for formula in formulas)


def _excess_sentence(reaction: Reaction, temperature_c: float) -> str | None:
    parts = [
        f"{excess_fraction(element, temperature_c) * 100:.1f} % more {element}"
        for element in sorted(metals(reaction.product))
        if excess_fraction(element, temperature_c) > 0
    ]
    return f"Weighed in with {' and '.join(parts)} for evaporation." if parts else None


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
