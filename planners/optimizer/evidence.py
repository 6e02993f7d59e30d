"""What a pattern says of a synthesis, in terms a chemist acts on."""

from dataclasses import dataclass

from pymatgen.core import Composition

from alab.models import Outcome, PhaseAmount, Recipe
from planners.synthesis.conditions import VOLATILE
from planners.synthesis.pathways import remaining_reaction
from planners.synthesis.reactions import (
    GAS_ELEMENTS,
    Reaction,
    driving_force_ev_per_atom,
    metals,
    same_residue,
)
from planners.synthesis.thermo import MissingThermoError, reduced

LEAST_FRACTION = 0.02
"""Phases below this weight fraction are not argued with."""

_NOTABLE_LOSS = 0.08


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """An outcome sorted by what each phase means.

    Attributes:
        target_fraction: Weight fraction of the target.
        unreacted: Weight fraction of each precursor, or of what it decomposes to.
        intermediates: Weight fraction of each other phase made of the target's metals.
        foreign: Phases with an element nobody put in: contamination or a wrong fit.
        remaining: The reaction that would finish the job, None if none balances.
        remaining_ev_per_atom: Its driving force at the firing, None if unknown.
        lost: Elements found short against the recipe, with the fraction lost.
    """

    target_fraction: float
    unreacted: dict[str, float]
    intermediates: dict[str, float]
    foreign: tuple[str, ...]
    remaining: Reaction | None
    remaining_ev_per_atom: float | None
    lost: dict[str, float]


def read(recipe: Recipe, outcome: Outcome) -> Evidence:
    """Sort the phases of an outcome and work out the driving force that is left."""
    target = reduced(recipe.target)
    allowed = frozenset(
        element
        for p in recipe.precursors
        for element in Composition(p.formula).get_el_amt_dict()
    ) | {"O"}
    unreacted: dict[str, float] = {}
    intermediates: dict[str, float] = {}
    foreign: list[str] = []
    for phase in _notable(outcome):
        name = reduced(phase.formula)
        if name == target:
            continue
        if not set(Composition(name).get_el_amt_dict()) <= allowed | GAS_ELEMENTS:
            foreign.append(name)
        elif any(_comes_from(name, p.formula) for p in recipe.precursors):
            unreacted[name] = unreacted.get(name, 0.0) + phase.weight_fraction
        else:
            intermediates[name] = intermediates.get(name, 0.0) + phase.weight_fraction
    remaining = remaining_reaction({**unreacted, **intermediates}, target)
    return Evidence(
        target_fraction=outcome.target_weight_fraction,
        unreacted=unreacted,
        intermediates=intermediates,
        foreign=tuple(foreign),
        remaining=remaining,
        remaining_ev_per_atom=_force(remaining, recipe),
        lost=_lost(recipe, outcome),
    )


def _notable(outcome: Outcome) -> list[PhaseAmount]:
    return [
        phase
        for phase in outcome.phases
        if phase.weight_fraction >= max(LEAST_FRACTION, 2 * phase.weight_fraction_esd)
    ]


def _comes_from(phase: str, precursor: str) -> bool:
    return phase == reduced(precursor) or same_residue(precursor, phase)


def _force(reaction: Reaction | None, recipe: Recipe) -> float | None:
    if reaction is None:
        return None
    try:
        return driving_force_ev_per_atom(reaction, recipe.max_temperature_c, recipe.atmosphere)
    except MissingThermoError:
        return None


def _lost(recipe: Recipe, outcome: Outcome) -> dict[str, float]:
    """Volatile elements found short, relative to the least volatile one.

    Weight fractions give moles of each metal; their ratio is compared with the target's.
    """
    elements = metals(recipe.target)
    anchors = sorted(elements - set(VOLATILE))
    phases = _notable(outcome)
    if not anchors or not phases or any(not _parsable(phase, elements) for phase in phases):
        return {}
    moles = {
        element: sum(
            phase.weight_fraction
            / Composition(phase.formula).weight
            * Composition(phase.formula)[element]
            for phase in phases
        )
        for element in elements
    }
    target = Composition(recipe.target)
    anchor = max(anchors, key=lambda element: target[element])
    if moles[anchor] <= 0:
        return {}
    short = {
        element: 1 - moles[element] / moles[anchor] / (target[element] / target[anchor])
        for element in sorted(elements)
    }
    short = {element: share for element, share in short.items() if share > _NOTABLE_LOSS}
    if any(not _evaporates(element, recipe) for element in short):
        return {}  # what cannot leave as vapour is missing too: both hide in a glass
    return short


def _evaporates(element: str, recipe: Recipe) -> bool:
    return element in VOLATILE and recipe.max_temperature_c > VOLATILE[element].onset_c


def _parsable(phase: PhaseAmount, elements: frozenset[str]) -> bool:
    return metals(phase.formula) <= elements
