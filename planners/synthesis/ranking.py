"""Which precursor sets are best: scores, a bound on them, and a choice that differs.

A score adds up (larger is better, comparable within one target only):

* 10 × the driving force of the last, target-forming step, in eV/atom, at most 0.3, and the
  driving force that early decomposition leaves, at most 0.5 (:mod:`pathways`);
* −1 × C1 and −1 × C2, in eV/atom, each within ± 0.3 (:mod:`selectivity`);
* how usual the powders are for the target, 0 to 1 (:mod:`precedent`); −0.3 for each beyond
  the first; −0.2 × the share of mass lost as gas; the penalties of :mod:`practical`.

The last step is what the solids can release less what earlier steps spent, so that energy
bounds its term from above. Sets are assessed in the order of that bound, and no further
once no other can come among the best.
"""

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from alab.errors import BadInput
from alab.models import Atmosphere
from planners.synthesis.conditions import FiringChoice
from planners.synthesis.enumeration import PrecursorSets
from planners.synthesis.families import families
from planners.synthesis.grand_potential import FloatArray, grand_potential_ev_per_metal_atom
from planners.synthesis.pathways import Pathway, predict_pathway, residue
from planners.synthesis.practical import penalty
from planners.synthesis.precedent import usual_by_family, usual_sets
from planners.synthesis.reactions import Reaction, atoms, has_energy, metals, molar_mass_g
from planners.synthesis.selectivity import Selectivity, selectivity
from planners.synthesis.thermo import MissingThermoError

MOST_ASSESSED = 200
"""Sets that are assessed in full; beyond them only the bound is known."""

MOST_ASKED = 1000
"""Sets for which papers are asked how usual they are; beyond them the families tell."""

_UNKNOWN_FORCE_SCORE = 1.0
_LAST_WEIGHT, _LAST_CAP = 10.0, 0.3
_SOLID_CAP, _LEAST_FORCE = 0.5, -0.1
_COMPETITION_WEIGHT, _COMPETITION_CAP = 1.0, 0.3
_MOST_GAIN = _COMPETITION_WEIGHT * _COMPETITION_CAP
"""What competition adds to a score at most: C1 at its cap, C2 at 0."""

_MOST_LOSS = 2 * _MOST_GAIN
_PRECURSOR_COST, _LOSS_COST = 0.3, 0.2
_WORTH_A_TRY = 2.0
"""Sets of another family go first if their score is at most this far below the best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A precursor set under study.

    Attributes:
        reaction: The balanced reaction.
        firing: How hot, and why.
        pathway: The predicted way; None where a formation energy is missing.
        selectivity: What competes; None where it cannot be told, or was not asked for.
        score: Larger is better.
    """

    reaction: Reaction
    firing: FiringChoice
    pathway: Pathway | None
    selectivity: Selectivity | None
    score: float


def assess(
    reaction: Reaction, firing: FiringChoice, atmosphere: Atmosphere, usual: float
) -> Candidate:
    """Predict the pathway of a set and score it, without what competes.

    Args:
        reaction: The balanced reaction.
        firing: How hot.
        atmosphere: Gas of the furnace.
        usual: How usual the powders are, 0 to 1 (``precedent.usual_sets``).
    """
    pathway = predict_pathway(reaction, firing.temperature_c, atmosphere)
    return Candidate(
        reaction=reaction,
        firing=firing,
        pathway=pathway,
        selectivity=None,
        score=usual + _practicality(reaction) + _force_score(pathway),
    )


def with_competition(candidate: Candidate, atmosphere: Atmosphere) -> Candidate:
    """The same candidate with what competes, and the score that goes with it."""
    if candidate.pathway is None:
        return candidate
    try:
        found = selectivity(
            candidate.pathway.solid_reaction, candidate.firing.temperature_c, atmosphere
        )
    except (MissingThermoError, BadInput):
        return candidate  # too many products to look at, or one outside the tables
    score = candidate.score - _competition_cost(found)
    return replace(candidate, selectivity=found, score=score)


def best_candidates(
    sets: PrecursorSets,
    assessed: Callable[[Reaction, float], Candidate],
    temperature_c: float,
    atmosphere: Atmosphere,
    wanted: int,
) -> list[Candidate]:
    """Assess the most promising sets, best score first.

    Args:
        sets: Sets that balance.
        assessed: How to assess one that is so usual, without what competes.
        temperature_c: Temperature for the bound.
        atmosphere: Gas of the furnace.
        wanted: How many of the best are needed.
    """
    guessed = score_bounds(sets, temperature_c, atmosphere, usual_by_family(sets))
    asked = sets.only(np.argsort(-guessed, kind="stable")[:MOST_ASKED])
    usual = usual_sets(asked)
    bounds = score_bounds(asked, temperature_c, atmosphere, usual)
    order = np.argsort(-bounds, kind="stable")[:MOST_ASSESSED]
    assessed_first = _best(
        [
            (float(bounds[row]), partial(_assessed_row, assessed, asked, usual, row))
            for row in order
        ],
        wanted,
        slack=_MOST_GAIN + _MOST_LOSS,
    )
    bounded = [
        (c.score + (_MOST_GAIN if c.pathway else 0.0), partial(with_competition, c, atmosphere))
        for c in assessed_first
    ]
    return _best(sorted(bounded, key=lambda pair: -pair[0]), wanted)


def _assessed_row(
    assessed: Callable[[Reaction, float], Candidate],
    sets: PrecursorSets,
    usual: FloatArray,
    row: np.int64,
) -> Candidate:
    return assessed(sets.reaction(int(row)), float(usual[row]))


def _best(
    bounded: Iterable[tuple[float, Callable[[], Candidate]]], wanted: int, slack: float = 0.0
) -> list[Candidate]:
    """Work candidates out, most promising first, until no other can be among the best.

    Args:
        bounded: Bound of the score, and how to work the candidate out; best bound first.
        wanted: How many of the best are needed.
        slack: By how much two scores may still come nearer.
    """
    found: list[Candidate] = []
    best: list[float] = []  # a heap: the least of the wanted ones first
    for bound, work_out in bounded:
        if len(best) == wanted and bound < best[0] - slack:
            break
        found.append(work_out())
        heapq.heappush(best, found[-1].score)
        if len(best) > wanted:
            heapq.heappop(best)
    return sorted(found, key=lambda c: (-c.score, str(c.reaction)))


def score_bounds(
    sets: PrecursorSets, temperature_c: float, atmosphere: Atmosphere, usual: FloatArray
) -> FloatArray:
    """Upper bounds of the scores without what competes, at a temperature; shape (sets,).

    Args:
        sets: Sets that balance.
        temperature_c: Temperature of the firing.
        atmosphere: Gas of the furnace.
        usual: How usual the powders of each set are, 0 to 1; shape (sets,).
    """
    force = _solid_force(sets, temperature_c, atmosphere)
    most = _LAST_WEIGHT * np.clip(force, _LEAST_FORCE, _LAST_CAP) + np.clip(
        force, _LEAST_FORCE, _SOLID_CAP
    )
    energy = np.where(np.isnan(force), _UNKNOWN_FORCE_SCORE, most)
    number = np.sum(sets.members >= 0, axis=1)
    against = _per_powder(sets, [penalty(p) for p in sets.powders]).sum(axis=1)
    weights = [molar_mass_g(p) for p in sets.powders]
    weighed = np.sum(sets.moles * _per_powder(sets, weights), axis=1)
    lost = 1.0 - molar_mass_g(sets.target) / weighed
    return energy + usual - against - _PRECURSOR_COST * (number - 1) - _LOSS_COST * lost


def choose_different(
    ranked: Sequence[Candidate], count: int, literature: Candidate | None = None
) -> list[Candidate]:
    """Take the best, the literature's, sets of other families, then any; best score first.

    Args:
        ranked: Candidates, best first.
        count: Most to take.
        literature: The one of them that papers would take first, if they would take one.
    """
    taken = [*ranked[:1]]
    if literature is not None and literature not in taken:
        taken.append(literature)
    seen = {families(tuple(candidate.reaction.reactants)) for candidate in taken}
    for candidate in ranked:
        kind = families(tuple(candidate.reaction.reactants))
        if kind not in seen and candidate.score >= ranked[0].score - _WORTH_A_TRY:
            seen.add(kind)
            taken.append(candidate)
    others = [candidate for candidate in ranked if candidate not in taken]
    return sorted([*taken, *others][:count], key=lambda c: (-c.score, str(c.reaction)))


def _force_score(pathway: Pathway | None) -> float:
    if pathway is None:
        return _UNKNOWN_FORCE_SCORE
    last, solid = pathway.last_step_ev_per_atom, pathway.solid_ev_per_atom
    score = _LAST_WEIGHT * min(max(last, _LEAST_FORCE), _LAST_CAP)
    return score + min(max(solid, _LEAST_FORCE), _SOLID_CAP)


def _competition_cost(found: Selectivity) -> float:
    both = (found.primary_competition_ev_per_atom, found.secondary_competition_ev_per_atom)
    return _COMPETITION_WEIGHT * sum(
        min(max(competition, -_COMPETITION_CAP), _COMPETITION_CAP) for competition in both
    )


def _practicality(reaction: Reaction) -> float:
    powders = tuple(reaction.reactants)
    score = -_PRECURSOR_COST * (len(powders) - 1)
    score -= _LOSS_COST * mass_loss_fraction(reaction)
    return score - sum(map(penalty, powders))


def mass_loss_fraction(reaction: Reaction) -> float:
    """Share of what is weighed in that leaves as gas."""
    weighed = sum(float(n) * molar_mass_g(f) for f, n in reaction.reactants.items())
    return 1.0 - molar_mass_g(reaction.product) / weighed


def _solid_force(
    sets: PrecursorSets, temperature_c: float, atmosphere: Atmosphere
) -> FloatArray:
    """What the solids can release after early decomposition, eV per atom; NaN if unknown."""
    own = _potential_ev(sets.target, temperature_c, atmosphere)
    each = [
        _potential_ev(residue(p, temperature_c, atmosphere), temperature_c, atmosphere, of=p)
        for p in sets.powders
    ]
    brought = np.sum(sets.moles * _per_powder(sets, each), axis=1)
    return (brought - own) / float(sum(atoms(sets.target).values()))


def _potential_ev(
    formula: str, temperature_c: float, atmosphere: Atmosphere, *, of: str | None = None
) -> float:
    """Grand potential for the metals of one formula unit, NaN if unknown."""
    if not has_energy(formula, temperature_c):
        return float("nan")
    size = float(sum(n for e, n in atoms(of or formula).items() if e in metals(formula)))
    return size * grand_potential_ev_per_metal_atom(formula, temperature_c, atmosphere)


def _per_powder(sets: PrecursorSets, values: Sequence[float]) -> FloatArray:
    """A value of each member of each set, 0 where there is none."""
    return np.array([*values, 0.0])[sets.members]
