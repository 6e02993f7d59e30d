"""What a set of powders is expected to pass through, from what was seen of its pairs.

Pairs of phases that were seen to react do so here, the surest first, then what heat leaves
of the rest, until no pair is left that is known to; the driving force from there to the
target is what is left for the last step (Szymanski et al., Nat. Commun. 14, 6956, 2023,
steps 5 and 6).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement

from pymatgen.core import Composition

from alab.models import Recipe
from planners.optimizer.mixture_energy import reaction_ev_per_atom, table_energy_ev
from planners.optimizer.observations import Observations, PairState
from planners.optimizer.pair_reactions import PairReaction, balance_pair
from planners.optimizer.pair_table import advanced
from planners.optimizer.residues import residue, residues
from planners.synthesis.reactions import metals
from planners.synthesis.thermo import GASES, reduced

_MOST_STEPS = 6


@dataclass(frozen=True, slots=True)
class Expected:
    """What is foreseen of a firing.

    Attributes:
        phases: Residues of the powders and the intermediates they are known to form.
        force_left_ev_per_atom: Driving force from there to the target, per atom of what
            reacts; None where no intermediate is known, or an energy is missing.
    """

    phases: frozenset[str]
    force_left_ev_per_atom: float | None


def expected(recipe: Recipe, observations: Observations) -> Expected:
    """Follow the pair reactions that are known."""
    phases = residues(recipe)
    state = {reduced(amount.formula): amount.moles for amount in recipe.precursors}
    heated, reacted = False, False
    for _ in range(_MOST_STEPS if len(observations) else 0):
        reaction = _surest(state, recipe, observations)
        if reaction is not None:
            state, reacted = advanced(state, reaction), True
            phases |= set(reaction.products)
        elif not heated:
            state, heated = _decomposed(state, recipe.max_temperature_c), True
        else:
            break
    target = reduced(recipe.target)
    force = None
    if reacted and target not in state:
        change = reaction_ev_per_atom(state, target, recipe.max_temperature_c, table_energy_ev)
        force = None if change is None else -change
    return Expected(phases=phases - {target} - set(GASES), force_left_ev_per_atom=force)


def _decomposed(state: Mapping[str, float], temperature_c: float) -> dict[str, float]:
    """Moles of each residue; a powder that leaves several metals stays as it is."""
    after: dict[str, float] = {}
    for formula, moles in state.items():
        left = residue(formula, temperature_c)
        name, made = formula, moles
        if left != formula and " " not in left:
            (metal,) = metals(left)
            name = left
            made *= Composition(formula)[metal] / Composition(left)[metal]
        after[name] = after.get(name, 0.0) + made
    return after


def _surest(
    state: Mapping[str, float], recipe: Recipe, observations: Observations
) -> PairReaction | None:
    best: tuple[float, PairReaction] | None = None
    for a, b in combinations_with_replacement(sorted(state), 2):
        if not observations.of(*{a, b}, atmosphere=recipe.atmosphere):
            continue
        known = observations.reaction_of_pair(a, b, recipe.max_temperature_c, recipe.atmosphere)
        if known.state is not PairState.REACTS:
            continue
        products, probability = known.products[0]
        reaction = balance_pair(tuple(sorted({a, b})), products)
        if reaction is not None and (best is None or probability > best[0]):
            best = probability, reaction
    return None if best is None else best[1]
