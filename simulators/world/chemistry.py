"""Phases of a powder in time.

With x the share of all cations that a phase holds and ν the change of it in a turn of a
reaction (−1 in all for the reactants), reaction r runs at

    v = k(T) · m / Σᵢ(aᵢ/xᵢ) / (L (1 + β L ℓ)),      dx/dt = Σ ν v

over its m reactants, aᵢ = −νᵢ. L is the distance between unlike grains, from the mixing; ℓ
is the product grown on the grains since they were last ground: for a thick layer the rate is
parabolic, ℓ dℓ/dt = const (Jander, Z. anorg. Chem. 163, 1, 1927). Reactions of one phase with
gas see no layer.

The step is linearly implicit in the amounts used up: the extent of every reaction is divided
by 1 + the number of times its scarcest reactant would be used up by all. Amounts stay
positive and cations are conserved at any step length.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from alab.models import Atmosphere
from simulators.world.matter import Charge, Soak
from simulators.world.phases import GLASS, GLASS_SHARE
from simulators.world.reactions import System

Array = NDArray[np.float64]

DORMANT_C = 140.0
UNMIXED_DISTANCE = 6.0
"""Distance between unlike grains in powders poured on one another, beyond that of a perfect
mixture, in units of the latter."""

_LARGEST_CHANGE = 0.12
_MOST_STEPS = 16
_NOTHING = 1e-7
_TRACE = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Tempo:
    """Reactions of a system at one temperature in one gas.

    Attributes:
        turns: Change of cations by phase for a turn of each reaction, (reactions, phases).
        rate_per_s: Rate constant, (reactions,).
        resistance: Resistance of a product layer; 0 for reactions with gas, (reactions,).
        losses: The same as ``turns`` for evaporations, (losses, phases).
        loss_per_s: Rate of each evaporation, (losses,).
    """

    turns: Array
    rate_per_s: Array
    resistance: Array
    losses: Array
    loss_per_s: Array


class Kinetics(Protocol):
    """A chemical system that knows its rates."""

    system: System

    def tempo(self, temperature_c: float, atmosphere: Atmosphere) -> Tempo:
        """Reactions at a temperature in a gas."""
        ...


def integrate(
    charge: Charge, history: Sequence[Soak], kinetics: Kinetics, pace: float
) -> Charge:
    """Carry a charge through its history.

    Args:
        charge: State before.
        history: Soaks in order.
        kinetics: Rates of the system; phases it does not know stay as they are.
        pace: Factor on every solid reaction: how this crucible happens to be packed.

    Returns:
        State after; cations are conserved but for what evaporates.
    """
    system = kinetics.system
    names = [phase.formula for phase in system.phases]
    amounts = np.array([charge.moles.get(name, 0.0) for name in names])
    layers = np.array([charge.layers.get(name, 0.0) for name in names])
    glass = dict(charge.glass)
    distance = 1.0 + UNMIXED_DISTANCE * (1.0 - charge.mixing)
    for soak in history:
        cations = amounts * system.cations_per_mol
        total = cations.sum()
        if soak.temperature_c < DORMANT_C or total <= 0:
            continue
        tempo = kinetics.tempo(soak.temperature_c, soak.atmosphere)
        shares, layers = _soak(
            cations / total, layers, tempo, soak.duration_s, distance=distance, pace=pace
        )
        amounts = shares * total / system.cations_per_mol
        _vitrify(glass, system, shares, soak.temperature_c)
    moles = {name: n for name, n in charge.moles.items() if name not in names}
    moles |= {name: float(n) for name, n in zip(names, amounts, strict=True) if n > 0}
    return replace(
        charge,
        moles=moles,
        layers={n: float(v) for n, v in zip(names, layers, strict=True) if v > 0},
        glass={name: share for name, share in glass.items() if name in moles},
    )


def _soak(
    shares: Array,
    layers: Array,
    tempo: Tempo,
    duration_s: float,
    *,
    distance: float,
    pace: float,
) -> tuple[Array, Array]:
    """Shares of the cations and layers after a soak."""
    left_s = duration_s
    demand = np.clip(-tempo.turns, 0.0, None)
    supply = np.clip(tempo.turns, 0.0, None)
    reactants = (demand > 0).sum(axis=1)
    slowed = tempo.resistance > 0
    for step in range(_MOST_STEPS, 0, -1):
        rates = _rates(shares, layers, tempo, demand, reactants, distance)
        rates = np.where(slowed, rates * pace, rates)
        losses = tempo.loss_per_s * np.einsum(
            "lp,p->l", np.clip(-tempo.losses, 0.0, None), shares
        )
        used = rates @ demand - losses @ np.clip(tempo.losses, None, 0.0)
        fastest = float((used / (shares + 0.02)).max(initial=0.0))
        if fastest * left_s < _NOTHING:
            break
        dt_s = min(left_s, max(_LARGEST_CHANGE / fastest, left_s / step))
        hurry = np.where(shares > 0, used * dt_s / np.maximum(shares, 1e-300), 0.0)
        extents = rates * dt_s / (1.0 + _scarcest(demand > 0, hurry))
        lost = losses * dt_s / (1.0 + _scarcest(tempo.losses < 0, hurry))
        made = extents @ supply
        gone = extents @ demand
        with_gas = (extents * ~slowed) @ supply
        kept = 1.0 - np.clip(gone / np.maximum(shares, 1e-300), 0.0, 1.0)
        layers = layers * kept + (made - with_gas)
        shares = np.maximum(shares + made - gone + lost @ tempo.losses, 0.0)
        left_s -= dt_s
        if left_s <= 1e-9:
            break
    return shares, layers


def _rates(
    shares: Array,
    layers: Array,
    tempo: Tempo,
    demand: Array,
    reactants: NDArray[np.int_],
    distance: float,
) -> Array:
    """Turns of each reaction per second."""
    scarce = demand @ (1.0 / np.maximum(shares, 1e-12))
    contact = reactants / np.maximum(scarce, 1e-300)
    contact = np.where(contact < _TRACE * 1e-3, 0.0, contact)
    layer = (tempo.turns > 0) @ layers
    resisted = distance * (1.0 + tempo.resistance * distance * layer)
    return tempo.rate_per_s * contact / np.where(tempo.resistance > 0, resisted, 1.0)


def _scarcest(uses: NDArray[np.bool_], hurry: Array) -> Array:
    """How often the scarcest reactant of each reaction would be used up, (reactions,)."""
    return np.where(uses, hurry, 0.0).max(axis=1, initial=0.0)


def _vitrify(
    glass: dict[str, float], system: System, shares: Array, temperature_c: float
) -> None:
    """Glass formers that are molten will not crystallise again in full."""
    for phase, share in zip(system.phases, shares, strict=True):
        former = GLASS_SHARE.get(phase.formula)
        if former is None or share <= _TRACE:
            continue
        if phase.formula == GLASS or temperature_c > phase.melts_c:
            glass[phase.formula] = former
