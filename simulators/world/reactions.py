"""All reactions among the phases of a chemical system.

A reaction is a *circuit*: a set of phases, none to spare, whose cations balance; gases carry
away what else there is. It runs whichever way lowers the free energy at the temperature of
the day. Amounts are counted in cations: one turn of a reaction converts one mole of them.
Evaporation is a circuit too, with the vapour of a volatile oxide among its products.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from alab.models import Atmosphere
from simulators.world.phases import (
    GASES,
    R_KJ,
    REFERENCE_OXIDES,
    ZERO_C_K,
    Phase,
    gas_balance,
    gas_pressure_atm,
    phase_table,
)

Array = NDArray[np.float64]

LARGEST_CIRCUIT = 4
_TINY = 1e-9

EVAPORATES_C: Mapping[str, float] = MappingProxyType(
    {
        "K": 720.0,
        "P": 830.0,
        "Mo": 720.0,
        "Na": 800.0,
        "Bi": 850.0,
        "Li": 850.0,
        "V": 1000.0,
        "Zn": 1150.0,
        "W": 1250.0,
    }
)
"""Where a powder of the pure oxide loses 1 % of its cations an hour, by cation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A chemical system: its phases, reactions and evaporations.

    Attributes:
        phases: Solids and the glass, in the order of every phase axis.
        cations_per_mol: Cations in a formula unit, shape (phases,).
        circuits: Change of each phase in moles of cations for a turn of each reaction,
            shape (reactions, phases); the sign of the whole row is arbitrary.
        gas_mol: Moles of gas set free by a turn, shape (reactions, gases), same sign.
        losses: The same for evaporations: the losing phase has −1, shape (losses, phases).
        loss_gas_mol: Moles of ordinary gas set free, shape (losses, gases).
        loss_elements: Cation that evaporates in each.
        loss_cations: Moles of that cation that leave in a turn, shape (losses,).
    """

    phases: tuple[Phase, ...]
    cations_per_mol: Array
    circuits: Array
    gas_mol: Array
    losses: Array
    loss_gas_mol: Array
    loss_elements: tuple[str, ...]
    loss_cations: Array

    def gibbs_kj(self, temperature_c: float, atmosphere: Atmosphere) -> Array:
        """Free energy of a turn of each circuit as written, shape (reactions,)."""
        solids, gases = self._potentials(temperature_c, atmosphere)
        return self.circuits @ solids + self.gas_mol @ gases

    def binding_kj(self, temperature_c: float, atmosphere: Atmosphere) -> Array:
        """Free energy it takes to set the volatile oxide free, kJ per mole of its cation."""
        solids, gases = self._potentials(temperature_c, atmosphere)
        freed = self.losses @ solids + self.loss_gas_mol @ gases
        oxides = np.array(
            [_oxide_kj_per_cation(el, temperature_c) for el in self.loss_elements]
        )
        return freed / self.loss_cations + oxides if len(oxides) else freed

    def _potentials(self, temperature_c: float, atmosphere: Atmosphere) -> tuple[Array, Array]:
        temperature_k = temperature_c + ZERO_C_K
        table = phase_table()
        solids = np.array([p.gibbs_kj_per_mol(temperature_k) for p in self.phases])
        gases = np.array(
            [
                table[gas].gibbs_kj_per_mol(temperature_k)
                + R_KJ * temperature_k * np.log(gas_pressure_atm(gas, atmosphere))
                for gas in GASES
            ]
        )
        return solids / self.cations_per_mol, gases


def build_system(phases: Sequence[Phase]) -> System:
    """Find every reaction and evaporation among some phases.

    Args:
        phases: Solids and glass, each with at least one cation.
    """
    phases = tuple(phases)
    elements = sorted({el for phase in phases for el in phase.cations})
    counts = np.array([sum(phase.cations.values()) for phase in phases])
    shares = _cation_shares(phases, elements)
    circuits = np.array(list(_circuits(shares))).reshape(-1, len(phases))
    gas_mol = _gas_set_free(phases, counts, circuits)
    losses, loss_elements, loss_cations = _losses(phases, shares, elements)
    loss_gas_mol = _gas_set_free(
        phases, counts, losses, oxides=list(zip(loss_elements, loss_cations, strict=True))
    )
    everything = System(
        phases=phases,
        cations_per_mol=counts,
        circuits=circuits,
        gas_mol=gas_mol,
        losses=losses,
        loss_gas_mol=loss_gas_mol,
        loss_elements=loss_elements,
        loss_cations=loss_cations,
    )
    return _with_easiest_losses(everything)


def _cation_shares(phases: Sequence[Phase], elements: Sequence[str]) -> Array:
    """Composition of a mole of cations of each phase, shape (phases, elements)."""
    counts = np.array([[phase.cations.get(el, 0.0) for el in elements] for phase in phases])
    return counts / counts.sum(axis=1, keepdims=True)


def _circuits(shares: Array) -> Iterator[Array]:
    """Null vectors of the minimal dependent sets of rows, one mole of cations a turn."""
    number = len(shares)
    for size in range(2, min(LARGEST_CIRCUIT, number) + 1):
        sets = np.array(list(itertools.combinations(range(number), size)))
        _, singular, turned = np.linalg.svd(shares[sets].transpose(0, 2, 1))
        rank = (singular > _TINY).sum(axis=1)
        null = turned[:, -1, :]
        minimal = (rank == size - 1) & (np.abs(null) > 1e-6).all(axis=1)
        for members, vector in zip(sets[minimal], null[minimal], strict=True):
            row = np.zeros(number)
            row[members] = vector / np.clip(vector, 0.0, None).sum()
            yield row


def _gas_set_free(
    phases: Sequence[Phase],
    counts: Array,
    circuits: Array,
    oxides: Sequence[tuple[str, float]] = (),
) -> Array:
    """Gas that balances C, N, H and O, in moles a turn, shape (circuits, gases)."""
    symbols = ("C", "N", "H", "O")
    per_cation = np.array([[p.elements.get(s, 0.0) for s in symbols] for p in phases])
    per_cation /= counts[:, None]
    lost = -(circuits @ per_cation)
    for number, (element, moles) in enumerate(oxides):
        oxide = phase_table()[REFERENCE_OXIDES[element]]
        lost[number, 3] -= moles * oxide.elements["O"] / oxide.elements[element]
    return np.array(
        [gas_balance(dict(zip(symbols, row, strict=True))) for row in lost]
    ).reshape(-1, len(GASES))


def _losses(
    phases: Sequence[Phase], shares: Array, elements: Sequence[str]
) -> tuple[Array, tuple[str, ...], Array]:
    """Evaporations: one phase turns into vapour, and up to two others."""
    rows: list[Array] = []
    names: list[str] = []
    moles: list[float] = []
    for element in (el for el in elements if el in EVAPORATES_C):
        vapour = np.array([[float(el == element) for el in elements]])
        for row in _circuits(np.vstack([shares, vapour])):
            freed = row[-1]
            if abs(freed) < _TINY:
                continue
            oriented = row[:-1] * np.sign(freed)
            losing = oriented < -_TINY
            if losing.sum() != 1:
                continue
            turn = -oriented[losing][0]
            rows.append(oriented / turn)
            names.append(element)
            moles.append(abs(freed) / turn)
    return np.array(rows).reshape(-1, len(phases)), tuple(names), np.array(moles)


def _with_easiest_losses(system: System) -> System:
    """Keep, for each phase and volatile cation, the way that takes least energy."""
    binding = system.binding_kj(1000.0, Atmosphere.AIR)
    best: dict[tuple[int, str], int] = {}
    for number, element in enumerate(system.loss_elements):
        key = (int(np.argmin(system.losses[number])), element)
        if key not in best or binding[number] < binding[best[key]]:
            best[key] = number
    keep = sorted(best.values())
    return System(
        phases=system.phases,
        cations_per_mol=system.cations_per_mol,
        circuits=system.circuits,
        gas_mol=system.gas_mol,
        losses=system.losses[keep],
        loss_gas_mol=system.loss_gas_mol[keep],
        loss_elements=tuple(system.loss_elements[number] for number in keep),
        loss_cations=system.loss_cations[keep],
    )


def _oxide_kj_per_cation(element: str, temperature_c: float) -> float:
    oxide = phase_table()[REFERENCE_OXIDES[element]]
    return oxide.gibbs_kj_per_mol(temperature_c + ZERO_C_K) / oxide.elements[element]
