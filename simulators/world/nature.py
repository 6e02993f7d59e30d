"""What nature decided and tells nobody: barriers, and how far the table is off.

The draws are made once per phase and reaction from the seed of the world. Kinetics are told
by the temperature at which a fine, well mixed powder is half converted in four hours. Where
``phases.csv`` gives no experience, it follows the melting points of the product and of the
most mobile reactant (Tammann's rule):

    T_half = 0.38 T_melt(product) + 0.20 min T_melt(reactants)        (kelvin)
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from alab.models import Atmosphere
from simulators.world.chemistry import Tempo, integrate
from simulators.world.matter import Charge, Soak, reduced
from simulators.world.phases import (
    GASES,
    GLASS,
    R_KJ,
    ZERO_C_K,
    Phase,
    phase_table,
)
from simulators.world.reactions import EVAPORATES_C, System, build_system

Array = NDArray[np.float64]

HALF_RATE_PER_S = 1.2e-4
"""Rate that converts half of a powder, layer and all, in four hours."""

GAS_RATE_PER_S = math.log(2.0) / 14_400.0
LOSS_RATE_PER_S = 0.01 / 3600.0

_PRODUCT_MELTING = 0.38
_REACTANT_MELTING = 0.20
_GAS_MELTING = 0.45
_HALF_SPREAD = 0.012
_LAYER_RESISTANCE = 2.5
_THREE_BODY_MELTS_C = 1000.0
_LOWEST_HALF_K = 450.0
_GRID_C = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """Hidden character of one phase.

    Attributes:
        stretch: Factor on the temperature at which it grows.
        activation_kj_per_mol: Activation energy of the diffusion through it.
        layer_resistance: How a layer of it slows its own growth.
        barrier_kj_per_mol_atoms: Driving force below which it hardly nucleates.
        offset_kj_per_mol: Where the table of free energies is off.
    """

    stretch: float
    activation_kj_per_mol: float
    layer_resistance: float
    barrier_kj_per_mol_atoms: float
    offset_kj_per_mol: float


@dataclass(slots=True)
class Nature:
    """The hidden truth of one world, and the chemistry that follows from it.

    Args:
        rng: Generator for a purpose, see ``World.rng``.
        known: Reduced formulas that may form; every phase of the table if empty.
    """

    rng: Callable[..., np.random.Generator]
    known: frozenset[str] = frozenset()
    _traits: dict[str, Traits] = field(default_factory=dict)
    _systems: dict[frozenset[str], "_Kinetics"] = field(default_factory=dict)

    def fire(self, charge: Charge, history: Sequence[Soak], name: str) -> Charge:
        """The charge after its thermal history."""
        present = frozenset(charge.moles) & frozenset(phase_table())
        if not present:
            return charge
        pace = math.exp(self.rng("crucible", name, "packing").normal(0.0, 0.06))
        return integrate(charge, history, self._kinetics(present), pace)

    def traits(self, phase: Phase) -> Traits:
        """Hidden character of a phase, drawn once."""
        if phase.formula not in self._traits:
            rng = self.rng("nature", phase.formula)
            self._traits[phase.formula] = Traits(
                stretch=math.exp(rng.normal(0.0, _HALF_SPREAD)),
                activation_kj_per_mol=260.0 * math.exp(rng.normal(0.0, 0.15)),
                layer_resistance=phase.slow
                * _LAYER_RESISTANCE
                * math.exp(rng.normal(0.0, 0.35)),
                barrier_kj_per_mol_atoms=rng.uniform(0.3, 1.0),
                offset_kj_per_mol=rng.normal(0.0, 0.08 * phase.atoms),
            )
        return self._traits[phase.formula]

    def _kinetics(self, present: frozenset[str]) -> "_Kinetics":
        table = phase_table()
        elements = frozenset(el for formula in present for el in table[formula].cations)
        phases = [
            phase
            for formula, phase in table.items()
            if phase.cations
            and elements.issuperset(phase.cations)
            and (not self.known or formula in self.known or formula == GLASS)
        ]
        missing = sorted(present - {phase.formula for phase in phases})
        phases += [table[formula] for formula in missing]
        key = frozenset(phase.formula for phase in phases)
        if key not in self._systems:
            self._systems[key] = _Kinetics(
                build_system(phases), [self.traits(phase) for phase in phases]
            )
        return self._systems[key]


class _Kinetics:
    """Rates of one chemical system at any temperature; remembers what it worked out."""

    def __init__(self, system: System, traits: Sequence[Traits]) -> None:
        self.system = system
        self._traits = traits
        self._offsets_kj = np.array([t.offset_kj_per_mol for t in traits]) / (
            system.cations_per_mol
        )
        self._tempos: dict[tuple[int, Atmosphere], Tempo] = {}
        self._kinds: dict[bytes, _Barriers] = {}

    def tempo(self, temperature_c: float, atmosphere: Atmosphere) -> Tempo:
        """Directions and rate constants, on a grid of temperatures that bounds the memory."""
        key = (round(temperature_c / _GRID_C), atmosphere)
        if key not in self._tempos:
            self._tempos[key] = self._work_out(key[0] * _GRID_C, atmosphere)
        return self._tempos[key]

    def _work_out(self, temperature_c: float, atmosphere: Atmosphere) -> Tempo:
        system, temperature_k = self.system, temperature_c + ZERO_C_K
        gibbs_kj = system.gibbs_kj(temperature_c, atmosphere)
        gibbs_kj = gibbs_kj + system.circuits @ self._offsets_kj
        direction = -np.sign(gibbs_kj)[:, None]
        turns = system.circuits * direction
        ammonia_mol = (system.gas_mol * direction)[:, GASES.index("H3N")]
        driving_kj = np.abs(gibbs_kj)
        barriers = self._barriers(turns)
        rate_per_s = barriers.rate_at(temperature_k, driving_kj)
        rate_per_s *= _possible(turns, system.phases) * _furthest(turns, driving_kj)
        active = (rate_per_s > 1e-12) & (ammonia_mol > -1e-9)  # none is left in the air
        return Tempo(
            turns=turns[active],
            rate_per_s=rate_per_s[active],
            resistance=barriers.resistance[active],
            losses=system.losses,
            loss_per_s=self._loss_rates(temperature_c, atmosphere),
        )

    def _barriers(self, turns: Array) -> "_Barriers":
        key = (turns < 0).tobytes()
        if key not in self._kinds:
            self._kinds[key] = _Barriers.of(self.system, self._traits, turns)
        return self._kinds[key]

    def _loss_rates(self, temperature_c: float, atmosphere: Atmosphere) -> Array:
        """Evaporation, per s: Arrhenius for the pure oxide, times its cation's activity.

        The activity of a cation's oxide in a compound is exp(−ΔG_binding / RT): vapours
        over oxides and silicates carry one cation a molecule (LiOH, NaOH, Zn).
        """
        system, temperature_k = self.system, temperature_c + ZERO_C_K
        binding_kj = system.binding_kj(temperature_c, atmosphere)
        activity = np.exp(-np.clip(binding_kj, 0.0, None) / (R_KJ * temperature_k))
        starts_k = np.array([EVAPORATES_C[el] + ZERO_C_K for el in system.loss_elements])
        if not len(starts_k):
            return activity
        pure = LOSS_RATE_PER_S * _arrhenius(230.0, starts_k, temperature_k)
        return pure * activity


@dataclass(frozen=True, slots=True, kw_only=True)
class _Barriers:
    """Kinetic constants of reactions that run in given directions, each (reactions,)."""

    half_k: Array
    activation_kj: Array
    resistance: Array
    barrier_kj: Array
    product_atoms: Array
    full_rate_per_s: Array

    @classmethod
    def of(cls, system: System, traits: Sequence[Traits], turns: Array) -> "_Barriers":
        rows = [_barrier_of(system, traits, turn) for turn in turns]
        table = np.array(rows).reshape(-1, 6)
        return cls(
            half_k=table[:, 0],
            activation_kj=table[:, 1],
            resistance=table[:, 2],
            barrier_kj=table[:, 3],
            product_atoms=table[:, 4],
            full_rate_per_s=table[:, 5],
        )

    def rate_at(self, temperature_k: float, driving_kj: Array) -> Array:
        """Arrhenius, classical nucleation exp(−(g₀/g)²), and the approach to equilibrium."""
        force_kj = np.maximum(driving_kj / self.product_atoms, 1e-6)
        nucleation = np.exp(-((self.barrier_kj / force_kj) ** 2))
        approach = -np.expm1(-driving_kj / (R_KJ * temperature_k))
        speed = _arrhenius(self.activation_kj, self.half_k, temperature_k)
        return self.full_rate_per_s * speed * nucleation * approach


def _barrier_of(
    system: System, traits: Sequence[Traits], turn: Array
) -> tuple[float, float, float, float, float, float]:
    reactants = np.flatnonzero(turn < -1e-9)
    products = np.flatnonzero(turn > 1e-9)
    main = int(products[np.argmax(turn[products])])
    character = traits[main]
    atoms = sum(turn[i] * system.phases[i].atoms / system.cations_per_mol[i] for i in products)
    if len(reactants) == 1 and len(products) == 1:
        changing = system.phases[int(reactants[0])]
        half_k = (
            changing.half_c + ZERO_C_K
            if changing.half_c is not None
            else _GAS_MELTING * (changing.melts_c + ZERO_C_K)
        )
        return (half_k * character.stretch, 200.0, 0.0, 0.0, atoms, GAS_RATE_PER_S)
    half_k = max(
        _growth_k(system.phases[int(i)], [system.phases[int(j)] for j in reactants])
        * traits[int(i)].stretch
        for i in products
    )
    return (
        max(half_k, _LOWEST_HALF_K),
        character.activation_kj_per_mol,
        character.layer_resistance,
        character.barrier_kj_per_mol_atoms,
        atoms,
        HALF_RATE_PER_S,
    )


def _growth_k(product: Phase, reactants: Sequence[Phase]) -> float:
    mobile_k = min(phase.melts_c for phase in reactants) + ZERO_C_K
    if product.half_c is not None and len(product.cations) > 1:
        return product.half_c + ZERO_C_K
    return _PRODUCT_MELTING * (product.melts_c + ZERO_C_K) + _REACTANT_MELTING * mobile_k


def _possible(turns: Array, phases: Sequence[Phase]) -> Array:
    """1 where grains can meet: two at a time, three if one of them is or soon turns liquid."""
    reacting = turns < -1e-9
    number = reacting.sum(axis=1)
    fluid = np.array([phase.melts_c < _THREE_BODY_MELTS_C for phase in phases])
    helped = (reacting & fluid).any(axis=1)
    products = (turns > 1e-9).any(axis=1)
    return (products & ((number <= 2) | ((number == 3) & helped))).astype(float)


def _furthest(turns: Array, driving_kj: Array) -> Array:
    """1, but 0 where a phase could lose or take up gas to become something more stable."""
    keep = np.ones(len(turns))
    alone = ((turns < -1e-9).sum(axis=1) == 1) & ((turns > 1e-9).sum(axis=1) == 1)
    best: dict[int, int] = {}
    for number in np.flatnonzero(alone):
        reactant = int(np.argmin(turns[number]))
        rival = best.get(reactant)
        if rival is not None and driving_kj[rival] >= driving_kj[number]:
            keep[number] = 0.0
            continue
        if rival is not None:
            keep[rival] = 0.0
        best[reactant] = int(number)
    return keep


def _arrhenius(
    activation_kj: float | Array, reference_k: float | Array, temperature_k: float
) -> Array:
    exponent = activation_kj / R_KJ * (1.0 / np.asarray(reference_k) - 1.0 / temperature_k)
    return np.exp(np.clip(exponent, -60.0, 25.0))


def nature_of(
    rng: Callable[..., np.random.Generator], structures: Mapping[str, object]
) -> Nature:
    """Nature of a world in which only phases with a structure are formed."""
    return Nature(rng, frozenset(reduced(formula) for formula in structures))
