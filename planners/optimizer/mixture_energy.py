"""Driving force of a whole mixture to a target, with energies from anywhere."""

from collections.abc import Callable, Mapping
from fractions import Fraction

from pymatgen.core import Composition

from alab.models import Atmosphere
from planners.synthesis.reactions import GAS_ELEMENTS, atoms, gases_of
from planners.synthesis.thermo import (
    GASES,
    KJ_PER_MOL_PER_EV,
    MissingThermoError,
    gas_potential_kj_per_mol,
    gibbs_kj_per_mol,
    reduced,
)

_LARGEST_EXCESS = 0.02
"""Metals that differ from the target's ratio by more leave ΔG′ unknown."""

EnergyEv = Callable[[str, float], float | None]
"""Formula as written, temperature in °C → eV per formula unit; None where unknown."""


def table_energy_ev(formula: str, temperature_c: float) -> float | None:
    """Gibbs energy from the project's table, gases as in air; None where it has none."""
    try:
        if reduced(formula) in GASES:
            kj = gas_potential_kj_per_mol(formula, temperature_c, Atmosphere.AIR)
        else:
            kj = gibbs_kj_per_mol(formula, temperature_c)
    except MissingThermoError:
        return None
    return kj / KJ_PER_MOL_PER_EV


def reaction_ev_per_atom(
    start: Mapping[str, float], target: str, temperature_c: float, energy_ev: EnergyEv
) -> float | None:
    """ΔG of a mixture to the target, per atom of what reacts, gases included, in eV.

    Args:
        start: Moles of each solid.
        target: Formula that should form.
        temperature_c: Temperature of the energies.
        energy_ev: Energies; see :data:`EnergyEv`.

    Returns:
        The change, negative downhill; None where an energy is missing or the mixture has
        not the metals of the target.
    """
    left: dict[str, Fraction] = {}
    for formula, moles in start.items():
        for element, count in atoms(formula).items():
            left[element] = left.get(element, Fraction(0)) + Fraction(moles) * count
    made = _moles_of_target(left, target)
    if made is None:
        return None
    for element, count in atoms(target).items():
        left[element] = left.get(element, Fraction(0)) - Fraction(made) * count
    gases = gases_of({e: n for e, n in left.items() if e in GAS_ELEMENTS})
    signed = [(formula, -moles) for formula, moles in start.items()]
    signed += [(gas, float(moles)) for gas, moles in gases.items()]
    change, size = 0.0, 0.0
    for formula, moles in (*signed, (target, made)):
        energy = energy_ev(formula, temperature_c)
        if energy is None:
            return None
        change += moles * energy
        if moles < 0:
            size -= moles * Composition(formula).num_atoms
    return change / size


def _moles_of_target(have: Mapping[str, Fraction], target: str) -> float | None:
    """How much target the metals of a mixture make; None if they have another ratio."""
    needed = {e: n for e, n in atoms(target).items() if e not in GAS_ELEMENTS}
    if not needed or {e for e in have if e not in GAS_ELEMENTS} != set(needed):
        return None
    ratios = [float(have[element] / count) for element, count in needed.items()]
    if min(ratios) <= 0 or max(ratios) / min(ratios) > 1 + _LARGEST_EXCESS:
        return None
    return sum(ratios) / len(ratios)
