"""How a powder mixture is likely to react: pair by pair, the most exergonic first.

Powders touch in pairs, so solid-state reactions run between two phases at a time, and the
pair with the largest driving force reacts first (Miura et al., Adv. Mater. 33, 2100312,
2021; Szymanski et al., Nat. Commun. 14, 6956, 2023). What an early step spends is missing
in the last one; below about 50 meV/atom the last step is slow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import combinations

from alab.models import Atmosphere
from planners.synthesis.reactions import (
    GAS_ELEMENTS,
    Reaction,
    atoms,
    balance,
    driving_force_ev_per_atom,
    has_energy,
    metals,
    reaction_of,
    reduced,
    try_balance,
)
from planners.synthesis.thermo import find, known_solids

SLUGGISH_EV_PER_ATOM = 0.050
"""Below this driving force, reactions were found slow (Szymanski et al., Nature 2023)."""

_MOST_STEPS = 8
_DECOMPOSED_BELOW_C = 200.0
"""A powder that decomposes this far below the firing has done so before it reacts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One reaction between two phases (or of one) on the way.

    Attributes:
        reaction: What happens.
        driving_force_ev_per_atom: −ΔG per atom of its product.
    """

    reaction: Reaction
    driving_force_ev_per_atom: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pathway:
    """The predicted way from precursors to target.

    Attributes:
        steps: Reactions in order, up to and without the one that forms the target.
        last_step_ev_per_atom: Driving force left for forming the target, per atom of it.
        total_ev_per_atom: Driving force from the precursors, per atom of target.
        solid_ev_per_atom: Of that, what is left once early decomposition is over.
        solid_reaction: What is left to react then.
    """

    steps: tuple[Step, ...]
    last_step_ev_per_atom: float
    total_ev_per_atom: float
    solid_ev_per_atom: float
    solid_reaction: Reaction

    @property
    def intermediates(self) -> tuple[str, ...]:
        """Phases that form before the target."""
        return tuple(step.reaction.product for step in self.steps)


def predict_pathway(
    reaction: Reaction, temperature_c: float, atmosphere: Atmosphere
) -> Pathway | None:
    """Follow the pair reactions of a mixture until the target forms.

    Hydroxides, carbonates and oxides that decompose on the way up do so first: the energy
    of the gas they lose drives nothing. Ammonium phosphates melt and react instead.

    Returns:
        The pathway, or None if the table lacks the target or a precursor.
    """
    target = reaction.product
    if not all(has_energy(f, temperature_c) for f in (*reaction.reactants, target)):
        return None
    state = _decomposed(reaction.reactants, temperature_c, atmosphere)
    solid = reaction_of(dict(state), target)
    steps: list[Step] = []
    for _ in range(_MOST_STEPS):
        step = first_to_react(tuple(sorted(state)), target, temperature_c, atmosphere)
        if step is None or step.reaction.product == target:
            break
        steps.append(step)
        _advance(state, step.reaction)
    last = reaction_of(state, target)
    return Pathway(
        steps=tuple(steps),
        last_step_ev_per_atom=driving_force_ev_per_atom(last, temperature_c, atmosphere),
        total_ev_per_atom=driving_force_ev_per_atom(reaction, temperature_c, atmosphere),
        solid_ev_per_atom=driving_force_ev_per_atom(solid, temperature_c, atmosphere),
        solid_reaction=solid,
    )


def competing(
    precursors: Sequence[str], target: str, temperature_c: float, atmosphere: Atmosphere
) -> list[Step]:
    """Every downhill pair reaction between these powders, strongest first.

    Reactions to the target itself are among them.
    """
    found = [
        step
        for pair in combinations(sorted(precursors), 2)
        for step in _pair_steps(pair, target, temperature_c, atmosphere)
    ]
    return sorted(found, key=lambda step: (-step.driving_force_ev_per_atom, str(step.reaction)))


def first_to_react(
    phases: tuple[str, ...], target: str, temperature_c: float, atmosphere: Atmosphere
) -> Step | None:
    """The most exergonic reaction among phases that touch; None if nothing reacts."""
    steps = competing(phases, target, temperature_c, atmosphere)
    if not steps:
        steps = [
            step
            for phase in phases
            for step in _pair_steps((phase,), target, temperature_c, atmosphere)
        ]
    return max(steps, key=lambda step: step.driving_force_ev_per_atom, default=None)


@cache
def products_of(elements: frozenset[str]) -> tuple[str, ...]:
    """Known solids whose metals are exactly these elements, and which can grow in a furnace.

    Ammonium salts, hydroxides, nitrates and carbonates are left out.
    """
    return tuple(
        key
        for key in known_solids(elements | GAS_ELEMENTS)
        if metals(key) == elements and not atoms(key).keys() & {"H", "N", "C"}
    )


@cache
def _pair_steps(
    reactants: tuple[str, ...], target: str, temperature_c: float, atmosphere: Atmosphere
) -> tuple[Step, ...]:
    elements = frozenset[str]().union(*(metals(formula) for formula in reactants))
    steps: list[Step] = []
    for product in dict.fromkeys((*products_of(elements), target)):
        if reduced(product) in {reduced(formula) for formula in reactants}:
            continue
        reaction = try_balance(reactants, product)
        if reaction is None or not all(
            has_energy(f, temperature_c) for f in (*reactants, product)
        ):
            continue
        force = driving_force_ev_per_atom(reaction, temperature_c, atmosphere)
        if force > 0:
            steps.append(Step(reaction=reaction, driving_force_ev_per_atom=force))
    return tuple(steps)


def residue(formula: str, temperature_c: float, atmosphere: Atmosphere) -> str:
    """What is left of a powder on the way to a firing: itself, or what it decomposes to.

    Hydroxides, carbonates and oxides count as decomposed 200 °C above their decomposition
    temperature; ammonium salts melt and react instead.
    """
    compound = find(formula)
    early = (
        compound is not None
        and compound.decomposes_c is not None
        and compound.decomposes_c <= temperature_c - _DECOMPOSED_BELOW_C
        and "N" not in atoms(formula)
    )
    steps = _pair_steps((formula,), formula, temperature_c, atmosphere) if early else ()
    if not steps:
        return formula
    return max(steps, key=lambda step: step.driving_force_ev_per_atom).reaction.product


def _decomposed(
    amounts: Mapping[str, Fraction], temperature_c: float, atmosphere: Atmosphere
) -> dict[str, Fraction]:
    """Replace powders that decompose on the way up by what they leave."""
    state: dict[str, Fraction] = {}
    for formula, moles in amounts.items():
        left = residue(formula, temperature_c, atmosphere)
        if left != formula:
            moles /= balance((formula,), left).reactants[formula]
        state[left] = state.get(left, Fraction(0)) + moles
    return state


def _advance(state: dict[str, Fraction], reaction: Reaction) -> None:
    """Let a reaction run until its limiting reactant is used up."""
    extent = min(state[formula] / moles for formula, moles in reaction.reactants.items())
    for formula, moles in reaction.reactants.items():
        state[formula] -= extent * moles
        if state[formula] == 0:
            del state[formula]
    state[reaction.product] = state.get(reaction.product, Fraction(0)) + extent


def remaining_reaction(
    found: Mapping[str, float], target: str, *, most: int = 4
) -> Reaction | None:
    """The reaction that would turn what was found into the target, as far as it balances.

    Args:
        found: Weight of each phase found; the heaviest that balance are used.
        target: What should form.
        most: How many phases to combine at most.
    """
    others = [f for f in sorted(found, key=lambda f: -found[f]) if reduced(f) != target]
    usable = [f for f in others[:6] if metals(f) and metals(f) <= metals(target)]
    best: tuple[float, Reaction] | None = None
    for size in range(1, min(most, len(usable)) + 1):
        for subset in combinations(usable, size):
            reaction = try_balance(subset, target)
            weight = sum(found[formula] for formula in subset)
            if reaction is not None and (best is None or weight > best[0] + 1e-9):
                best = weight, reaction
    return None if best is None else best[1]
