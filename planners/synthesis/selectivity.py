"""How strongly other phases compete with a target: inverse hull energy, C1 and C2.

* The *inverse hull energy* is how far the target lies below the hull of all other phases
  (Aykol et al., Sci. Adv. 4, eaaq0148, 2018, there "decomposition energy"; Szymanski et
  al., ACS Cent. Sci. 10, 2024): negative for a metastable target.
* *Primary competition* C1 = E(target reaction) − min E(competing reaction), over all other
  mixing ratios of the precursors' interfaces: how much more energy the best rival releases.
* *Secondary competition* C2 = −(mean energy of the reaction sequences by which the target
  and what is left of a precursor react on), summed over the target's interfaces with its
  precursors. A sequence splits the interval between two neighbours on the interface hull at
  one of the corners in between, then both halves likewise; n corners give Catalan(n)
  sequences, and each split releases the depth of its corner below the chord.

C1 and C2 are those of McDermott et al., ACS Cent. Sci. 9, 1957 (2023),
doi:10.1021/acscentsci.3c01051. For two precursors with the target on their mixing line they
are exactly those; for more precursors all pairs compete in C1 and each has its interface
with the target in C2. The smaller both are, the more selective is the reaction; C1 below
zero means that the target beats every rival.

Energies are open to the furnace gas and told in eV per atom of the target: the amount of
mixture that holds as many metal atoms as the target holds per atom.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import combinations
from math import comb

import numpy as np
from scipy.optimize import linprog

from alab.errors import BadInput
from alab.models import Atmosphere
from planners.synthesis.grand_potential import (
    FloatArray,
    grand_potential_ev_per_metal_atom,
    metal_atoms,
    metal_fractions,
    rivals,
)
from planners.synthesis.interface_hull import InterfaceHull, interface_hull
from planners.synthesis.reactions import Reaction, atoms, metals
from planners.synthesis.thermo import reduced

_SAME_RATIO = 1e-6

_Rival = tuple[float, tuple[str, ...], tuple[str, ...]]
"""Energy per metal atom, what forms, and from which two phases."""

_NO_RIVAL: _Rival = (0.0, (), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Selectivity:
    """What competes with a reaction, in eV per atom of the target.

    Attributes:
        reaction_energy_ev_per_atom: Of the precursors to the target; negative downhill.
        primary_competition_ev_per_atom: C1; negative where the target beats all rivals.
        secondary_competition_ev_per_atom: C2, at least 0.
        best_rival: Products of the strongest competing reaction; empty if nothing competes.
        rival_pair: The two phases that react to them.
    """

    reaction_energy_ev_per_atom: float
    primary_competition_ev_per_atom: float
    secondary_competition_ev_per_atom: float
    best_rival: tuple[str, ...]
    rival_pair: tuple[str, ...]


def selectivity(
    reaction: Reaction, temperature_c: float, atmosphere: Atmosphere
) -> Selectivity:
    """Weigh a reaction against all that can happen at its interfaces.

    Args:
        reaction: Solids to one solid, balanced.
        temperature_c: Temperature of the powder.
        atmosphere: Gas of the furnace.

    Raises:
        BadInput: If an interface has too many sets of products.
        MissingThermoError: If a solid, or the temperature, is in no table.
    """
    target = reduced(reaction.product)
    scale = metals_per_atom(target)
    energy = _reaction_energy(reaction, temperature_c, atmosphere)
    rival, products, pair = _strongest_rival(
        tuple(reaction.reactants), target, temperature_c, atmosphere
    )
    second = sum(
        _mean_sequence_energy(target, solid, temperature_c, atmosphere)
        for solid in reaction.reactants
        if not _same_ratio(solid, target)
    )
    return Selectivity(
        reaction_energy_ev_per_atom=energy * scale,
        primary_competition_ev_per_atom=(energy - rival) * scale,
        secondary_competition_ev_per_atom=max(0.0, -second) * scale,
        best_rival=products,
        rival_pair=pair,
    )


@lru_cache(maxsize=2000)
def inverse_hull_energy_ev_per_atom(
    target: str, temperature_c: float, atmosphere: Atmosphere
) -> float:
    """How far a target lies below the hull of all other known solids, open to the gas.

    ``min Σ w φ`` over mixtures of the others with the target's metals, less the target's φ.

    Returns:
        Energy in eV per atom of the target; negative if others are more stable together.

    Raises:
        BadInput: If the other known solids cannot make up its metals.
        MissingThermoError: If the target, or the temperature, is in no table.
    """
    elements = sorted(metals(target))
    own = grand_potential_ev_per_metal_atom(target, temperature_c, atmosphere)
    others = rivals(frozenset(elements), temperature_c, atmosphere, without=[reduced(target)])
    if not others:
        raise BadInput(
            f"no other solid of {', '.join(elements)} is known to compare {target} with"
        )
    energies = [grand_potential_ev_per_metal_atom(o, temperature_c, atmosphere) for o in others]
    mixture = linprog(
        energies,
        A_eq=metal_fractions(others, elements).T,
        b_eq=metal_fractions([target], elements)[0],
    )
    if mixture.status != 0:
        raise BadInput(
            f"the other known solids, {', '.join(others)}, cannot make up {target}; without "
            "them its stability cannot be told"
        )
    return float(mixture.fun - own) * metals_per_atom(target)


def metals_per_atom(formula: str) -> float:
    """Share of a formula's atoms that no gas carries."""
    return metal_atoms(formula) / float(sum(atoms(formula).values()))


def sequence_energy(ratios: FloatArray, energies: FloatArray) -> float:
    """Mean energy of all sequences that split an interval of a hull at its corners.

    Args:
        ratios: Mixing ratios of the corners, both ends included, rising; shape (n,).
        energies: Energies there; shape (n,).

    Returns:
        The sum over all triples of corners of the depth of the middle one below the chord,
        weighted by the share of sequences it occurs in; 0 without inner corners.
    """
    inner = len(ratios) - 2
    total = 0.0
    for left, mid, right in combinations(range(len(ratios)), 3):
        within_left, within_right = mid - left - 1, right - mid - 1
        outside = inner - within_left - within_right - 1
        times = _catalan(within_left) * _catalan(within_right) * _catalan(outside)
        along = (ratios[mid] - ratios[left]) / (ratios[right] - ratios[left])
        chord = energies[left] + along * (energies[right] - energies[left])
        total += times * float(energies[mid] - chord)
    return total / _catalan(max(inner, 0))


def _catalan(n: int) -> int:
    return comb(2 * n, n) // (n + 1)


def _reaction_energy(reaction: Reaction, temperature_c: float, atmosphere: Atmosphere) -> float:
    """Energy of a reaction in eV per metal atom of its product."""
    size = metal_atoms(reaction.product)
    energy = grand_potential_ev_per_metal_atom(reaction.product, temperature_c, atmosphere)
    for solid, moles in reaction.reactants.items():
        share = float(moles) * metal_atoms(solid) / size
        energy -= share * grand_potential_ev_per_metal_atom(solid, temperature_c, atmosphere)
    return energy


def _strongest_rival(
    solids: Sequence[str], target: str, temperature_c: float, atmosphere: Atmosphere
) -> _Rival:
    """The competing reaction of lowest energy on any interface of two of the solids."""
    rivals_found = [
        _rival_on(first, second, target, temperature_c, atmosphere)
        for first, second in combinations(sorted(solids), 2)
        if not _same_ratio(first, second)
    ]
    return min(rivals_found, key=lambda rival: rival[0], default=_NO_RIVAL)


@lru_cache(maxsize=50_000)
def _rival_on(
    first: str, second: str, target: str, temperature_c: float, atmosphere: Atmosphere
) -> _Rival:
    """The strongest reaction of two phases at another mixing ratio than the target's.

    The phases alone are left out: what decomposes by itself does so in every set.
    """
    hull = interface_hull(first, second, temperature_c, atmosphere, (target,))
    own = _ratio_on(hull, target)
    others = [
        (reaction.energy_ev_per_metal_atom, reaction.products, (first, second))
        for reaction in hull.reactions
        if _SAME_RATIO < reaction.ratio < 1 - _SAME_RATIO
        and (own is None or abs(reaction.ratio - own) >= _SAME_RATIO)
    ]
    return min([_NO_RIVAL, *others], key=lambda rival: rival[0])


def _ratio_on(hull: InterfaceHull, target: str) -> float | None:
    """Where the target alone forms on an interface; None if it does not."""
    return next((r.ratio for r in hull.reactions if r.products == (target,)), None)


@lru_cache(maxsize=50_000)
def _mean_sequence_energy(
    target: str, solid: str, temperature_c: float, atmosphere: Atmosphere
) -> float:
    """Mean energy of what the target and a precursor do, per metal atom, at most 0."""
    hull = interface_hull(target, solid, temperature_c, atmosphere)
    kinks = hull.kinks
    ratios = np.array([kink.ratio for kink in kinks])
    energies = np.array([kink.energy_ev_per_metal_atom for kink in kinks])
    return sequence_energy(ratios, energies)


@cache
def _same_ratio(one: str, other: str) -> bool:
    elements = sorted(metals(one) | metals(other))
    return bool(np.allclose(*metal_fractions([one, other], elements), atol=_SAME_RATIO))
