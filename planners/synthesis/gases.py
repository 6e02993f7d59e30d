"""Furnace gases: partial pressures and chemical potentials over the powder.

Air, O2, N2, Ar and vacuum hold what their bottle, the room or the pump leaves. In Ar/H2 and
in CO2 the gas sets its own oxygen pressure by an equilibrium at the temperature of the
powder::

    Ar/H2:  H2 + ½ O2 ⇌ H2O,  ln p(O2) = 2·ln[p(H2O)/p(H2)] + 2·ΔG°/(R·T)
    CO2:    CO2 ⇌ CO + ½ O2,  p(CO)·√p(O2)/p(CO2) = exp(−ΔG°/(R·T))

(Gaskell & Laughlin, Introduction to the Thermodynamics of Materials, 6th ed., ch. 10). With
the first, oxygen that a powder gives off leaves as water: μ(O2) = 2·[μ(H2O) − μ(H2)].
"""

import math
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import numpy as np

from alab.models import Atmosphere
from alab.units import c_to_k
from planners.synthesis.compounds import (
    HIGHEST_C,
    LOWEST_C,
    Compound,
    MissingThermoError,
    reduced,
    reducing_gases,
    table,
)

GAS_CONSTANT_KJ_PER_MOL_K = 8.314462618e-3

GASES = ("O2", "CO2", "H2O", "N2", "H3N")
"""Gases that reactions are open to, as pymatgen writes them (H3N is ammonia)."""

PARTIAL_PRESSURES_BAR: Mapping[Atmosphere, Mapping[str, float]] = MappingProxyType(
    {
        # dry air with water at 40 % relative humidity and 25 °C; ammonia is carried off
        Atmosphere.AIR: {
            "O2": 0.21, "N2": 0.78, "CO2": 4.2e-4, "H2O": 1.3e-2, "H3N": 1e-6
        },
        # bottled gases of grade 5.0 (10 ppm of others); water 3 ppm
        Atmosphere.O2: {"O2": 1.0, "N2": 1e-5, "CO2": 1e-6, "H2O": 3e-6, "H3N": 1e-6},
        Atmosphere.N2: {"O2": 1e-5, "N2": 1.0, "CO2": 1e-6, "H2O": 3e-6, "H3N": 1e-6},
        Atmosphere.AR: {"O2": 1e-5, "N2": 1e-5, "CO2": 1e-6, "H2O": 3e-6, "H3N": 1e-6},
        # the oxygen follows from hydrogen and water, CO and CO2 from their million-th of carbon
        Atmosphere.AR_H2: {"H2": 0.05, "H2O": 3e-6, "N2": 1e-5, "H3N": 1e-6},
        # oxygen and CO follow from the dissociation
        Atmosphere.CO2: {"CO2": 1.0, "N2": 1e-5, "H2O": 3e-6, "H3N": 1e-6},
        # 1e-6 bar: half a leak of air, half water off the walls; the pump takes what evolves
        Atmosphere.VACUUM: {
            "O2": 1.05e-7, "N2": 3.9e-7, "CO2": 2.1e-10, "H2O": 5e-7, "H3N": 1e-9
        },
    }
)  # fmt: skip
"""Partial pressures over the powder that do not depend on temperature."""

_CARBON_IN_FORMING_GAS_BAR = 1e-6
_OXYGEN_IN_CO2_BAR = 2e-6
"""Traces the bottles of grade 5.0 bring: CO and CO2 together, and free oxygen."""


def gas_potential_kj_per_mol(gas: str, temperature_c: float, atmosphere: Atmosphere) -> float:
    """Chemical potential of a gas in a furnace: μ = G°(T) + R·T·ln(p / 1 bar).

    Args:
        gas: One of ``GASES``, or H2 and CO in a furnace gas that brings them; ``NH3`` is
            understood too.
        temperature_c: Temperature of the furnace.
        atmosphere: Gas the furnace is flushed with.

    Raises:
        MissingThermoError: If the furnace gas holds none of it, or the temperature is out
            of range.
    """
    pressure = log_pressure(gas, temperature_c, atmosphere)
    term = GAS_CONSTANT_KJ_PER_MOL_K * c_to_k(temperature_c)
    return gas_gibbs_kj_per_mol(gas, temperature_c) + term * pressure


def gas_gibbs_kj_per_mol(gas: str, temperature_c: float) -> float:
    """Apparent Gibbs energy of a gas at 1 bar, per mole of molecules.

    Raises:
        MissingThermoError: If it is no furnace gas, or the temperature is out of range.
    """
    return _row(gas).gibbs_kj_per_mol(c_to_k(_in_range(gas, temperature_c)))


def log_pressure(gas: str, temperature_c: float, atmosphere: Atmosphere) -> float:
    """Natural logarithm of a gas's partial pressure over the powder, in bar.

    A logarithm, for hydrogen leaves less than 1e-80 bar of oxygen near room temperature.

    Raises:
        MissingThermoError: If the furnace gas holds none of it, or the temperature is out
            of range.
    """
    name = reduced(gas)
    fixed_bar = PARTIAL_PRESSURES_BAR[atmosphere]
    if name in fixed_bar:
        return math.log(fixed_bar[name])
    _in_range(name, temperature_c)
    found = _at_equilibrium(temperature_c, atmosphere)
    if name not in found:
        known = ", ".join(sorted({*fixed_bar, *found}))
        raise MissingThermoError(
            f"{gas} is none of the gases in a furnace with {atmosphere}: {known}; its partial "
            "pressure would have to be in PARTIAL_PRESSURES_BAR"
        )
    return found[name]


@cache
def _at_equilibrium(temperature_c: float, atmosphere: Atmosphere) -> Mapping[str, float]:
    """Logarithms of the pressures (bar) that the furnace gas sets itself."""
    if atmosphere is Atmosphere.AR_H2:
        return _in_forming_gas(temperature_c)
    if atmosphere is Atmosphere.CO2:
        return _in_carbon_dioxide(temperature_c)
    return {}


def _in_forming_gas(temperature_c: float) -> Mapping[str, float]:
    fixed_bar = PARTIAL_PRESSURES_BAR[Atmosphere.AR_H2]
    wetness = math.log(fixed_bar["H2O"] / fixed_bar["H2"])
    oxidation = _log_constant({"H2": 1, "O2": 0.5}, {"H2O": 1}, temperature_c)
    shift = _log_constant({"CO2": 1, "H2": 1}, {"CO": 1, "H2O": 1}, temperature_c)
    co_per_co2 = math.exp(shift - wetness)
    carbon = math.log(_CARBON_IN_FORMING_GAS_BAR)
    return {
        "O2": 2 * (wetness - oxidation),
        "CO2": carbon - math.log1p(co_per_co2),
        "CO": carbon - math.log1p(1 / co_per_co2),
    }


def _in_carbon_dioxide(temperature_c: float) -> Mapping[str, float]:
    """Dissociation on top of a trace of oxygen; CO2 itself stays at 1 bar within 1 %."""
    constant = math.exp(_log_constant({"CO2": 1}, {"CO": 1, "O2": 0.5}, temperature_c))
    # with s = √p(O2) and p(CO) = 2·(s² − trace): 2·s³ − 2·trace·s − K = 0, one positive root
    roots = np.roots([2.0, 0.0, -2.0 * _OXYGEN_IN_CO2_BAR, -constant])
    root = float(max(roots.real[np.abs(roots.imag) <= 1e-9 * np.abs(roots.real)]))
    return {"CO": math.log(constant / root), "O2": 2 * math.log(root)}


def _log_constant(
    left: Mapping[str, float], right: Mapping[str, float], temperature_c: float
) -> float:
    """Natural logarithm of a gas reaction's equilibrium constant: −ΔG°/(R·T)."""
    change_kj = sum(n * gas_gibbs_kj_per_mol(gas, temperature_c) for gas, n in right.items())
    change_kj -= sum(n * gas_gibbs_kj_per_mol(gas, temperature_c) for gas, n in left.items())
    return -change_kj / (GAS_CONSTANT_KJ_PER_MOL_K * c_to_k(temperature_c))


def _row(gas: str) -> Compound:
    name = reduced(gas)
    row = reducing_gases().get(name) or (table().get(name) if name in GASES else None)
    if row is None:
        known = ", ".join((*GASES, *reducing_gases()))
        raise MissingThermoError(f"{gas} is none of the gases {known}")
    return row


def _in_range(formula: str, temperature_c: float) -> float:
    if not LOWEST_C <= temperature_c <= HIGHEST_C:
        raise MissingThermoError(
            f"{formula} at {temperature_c:g} °C is outside {LOWEST_C:g} to {HIGHEST_C:g} °C, "
            "where the heat capacities hold; ask for a temperature in between"
        )
    return temperature_c
