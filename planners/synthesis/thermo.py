"""Gibbs energies of solids and gases: the one interface."""

from pymatgen.core import Composition

from alab.units import c_to_k
from planners.synthesis.compounds import (
    HIGHEST_C,
    KJ_PER_MOL_PER_EV,
    LOWEST_C,
    OXIDES,
    Compound,
    MissingThermoError,
    find,
    reduced,
    table,
    units_of,
    written,
)
from planners.synthesis.gases import (
    GAS_CONSTANT_KJ_PER_MOL_K,
    GASES,
    PARTIAL_PRESSURES_BAR,
    gas_potential_kj_per_mol,
)

__all__ = [
    "GASES",
    "GAS_CONSTANT_KJ_PER_MOL_K",
    "HIGHEST_C",
    "KJ_PER_MOL_PER_EV",
    "LOWEST_C",
    "OXIDES",
    "PARTIAL_PRESSURES_BAR",
    "Compound",
    "MissingThermoError",
    "find",
    "gas_potential_kj_per_mol",
    "gibbs_ev_per_atom",
    "gibbs_kj_per_mol",
    "reduced",
    "table",
    "units_of",
    "written",
]


def gibbs_kj_per_mol(formula: str, temperature_c: float) -> float:
    """Apparent Gibbs energy of formation per mole of ``formula`` as written.

    Gases are at 1 bar; see :func:`gas_potential_kj_per_mol` for a furnace gas.

    Raises:
        MissingThermoError: If the table lacks the compound or the temperature.
    """
    compound = find(formula)
    if compound is None:
        raise MissingThermoError(
            f"no formation energy of {formula} is known; add a row with its source to "
            "planners/synthesis/formation_energies.csv"
        )
    if not LOWEST_C <= temperature_c <= HIGHEST_C:
        raise MissingThermoError(
            f"{formula} at {temperature_c:g} °C is outside {LOWEST_C:g} to {HIGHEST_C:g} °C, "
            "where the heat capacities hold; ask for a temperature in between"
        )
    return units_of(formula) * compound.gibbs_kj_per_mol(c_to_k(temperature_c))


def gibbs_ev_per_atom(formula: str, temperature_c: float) -> float:
    """Apparent Gibbs energy of formation in eV per atom.

    Raises:
        MissingThermoError: If the table lacks the compound or the temperature.
    """
    atoms = Composition(formula).num_atoms
    return gibbs_kj_per_mol(formula, temperature_c) / KJ_PER_MOL_PER_EV / atoms
