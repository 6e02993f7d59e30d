"""What heat alone leaves of a powder by the time its neighbours react.

CuCO3 is CuO long before a cuprate forms, so sets that differ only in it are one set to the
reaction. BaCO3 is still a carbonate at 900 °C, and its CO2 has to be driven out.
"""

import math
from functools import cache

from pymatgen.core import Composition

from alab.models import Recipe
from planners.synthesis.reactions import GAS_ELEMENTS, metals
from planners.synthesis.thermo import OXIDES, find, reduced

DECOMPOSED_BELOW_C = 100.0
"""A powder that decomposes this far below the firing has done so on the way up."""

_REFRACTORY_CARBONATES = frozenset({"Li", "Na", "K", "Rb", "Cs", "Ca", "Sr", "Ba"})
_REFRACTORY_HYDROXIDES = frozenset({"Li", "Na", "K", "Rb", "Cs", "Sr", "Ba"})

# upper ends of the usual ranges in air, for powders that the table of compounds lacks
# (CRC Handbook of Chemistry and Physics, Physical Constants of Inorganic Compounds)
_AMMONIUM_C, _HYDROXIDE_C, _ORGANIC_C = 400.0, 500.0, 500.0
_NITRATE_C, _CARBONATE_C = 600.0, 500.0
_PEROXIDES = {
    "Li": (1.0, 350.0), "Na": (1.0, 700.0), "K": (1.0, 500.0), "Mg": (2.0, 400.0),
    "Ca": (2.0, 400.0), "Sr": (2.0, 500.0), "Ba": (2.0, 800.0),
}  # fmt: skip
"""Oxygen per metal from which on an oxide is a peroxide, and when it has lost it, in °C."""


@cache
def residue(powder: str, temperature_c: float) -> str:
    """Name what is left of a powder at a firing: its oxide if it decomposed, else itself.

    Args:
        powder: Formula of the precursor.
        temperature_c: Temperature of the firing.

    Returns:
        A reduced formula; for a powder that leaves several metals, ``oxides of A and B``,
        and ``oxides of A`` for one whose usual oxide the table of compounds lacks.
    """
    decomposes_c = _decomposes_c(powder)
    if decomposes_c is None or decomposes_c > temperature_c - DECOMPOSED_BELOW_C:
        return reduced(powder)
    left = sorted(metals(powder))
    if len(left) == 1 and _leaves_carbonate(powder):
        return residue(_carbonate_of(left[0]), temperature_c)
    if len(left) == 1 and left[0] in OXIDES:
        return reduced(OXIDES[left[0]])
    return f"oxides of {' and '.join(left)}"


def residues(recipe: Recipe) -> frozenset[str]:
    """What heat leaves of the powders of a recipe at its highest temperature."""
    at_c = recipe.max_temperature_c
    return frozenset(residue(amount.formula, at_c) for amount in recipe.precursors)


@cache
def oxidised(solid: str) -> str:
    """The usual oxide of a metal for one with less oxygen, else the solid itself.

    Cu2O becomes CuO and MoO2 becomes MoO3 once there is oxygen to take up.

    Args:
        solid: Reduced formula.
    """
    if " " in solid:
        return solid
    held = metals(solid)
    if len(held) != 1 or set(Composition(solid).get_el_amt_dict()) != {*held, "O"}:
        return solid
    (metal,) = held
    usual = OXIDES.get(metal)
    if usual is None or _oxygen_per_metal(solid) >= _oxygen_per_metal(usual):
        return solid
    return reduced(usual)


def _oxygen_per_metal(oxide: str) -> float:
    amounts = Composition(oxide).get_el_amt_dict()
    oxygen = amounts.pop("O")
    return oxygen / sum(amounts.values())


@cache
def stays_carbonate(powder: str, temperature_c: float) -> bool:
    """Whether a powder is a carbonate that the firing does not decompose by itself."""
    left = residue(powder, temperature_c)
    return " " not in left and _is_carbonate(left)


def _decomposes_c(powder: str) -> float | None:
    """Decomposition temperature in air, from the table or by the kind of salt."""
    compound = find(powder)
    if compound is not None:
        return compound.decomposes_c
    amounts = Composition(powder).get_el_amt_dict()
    cations = set(metals(powder))
    if not cations:
        return None
    if _is_peroxide(amounts):
        (metal,) = cations
        return _PEROXIDES[metal][1]
    if _is_carbonate(powder):
        return None if cations <= _REFRACTORY_CARBONATES else _CARBONATE_C
    if "C" in amounts:
        return _ORGANIC_C
    if {"N", "H"} <= set(amounts):
        return _AMMONIUM_C
    if {"N", "O"} <= set(amounts):
        return _NITRATE_C
    if "H" in amounts:
        return None if cations <= _REFRACTORY_HYDROXIDES else _HYDROXIDE_C
    return None


def _is_carbonate(powder: str) -> bool:
    amounts = Composition(powder).get_el_amt_dict()
    carbon = amounts.get("C", 0.0)
    return carbon > 0 and amounts.get("O", 0.0) >= 3 * carbon and "H" not in amounts


def _is_peroxide(amounts: dict[str, float]) -> bool:
    cations = [element for element in amounts if element not in GAS_ELEMENTS]
    if len(cations) != 1 or set(amounts) != {cations[0], "O"}:
        return False
    least, _ = _PEROXIDES.get(cations[0], (math.inf, 0.0))
    return amounts["O"] / amounts[cations[0]] >= least


def _leaves_carbonate(powder: str) -> bool:
    """Whether it is an oxalate, acetate or bicarbonate of a metal that keeps its carbonate."""
    held = Composition(powder).get_el_amt_dict()
    return (
        "C" in held and not _is_carbonate(powder) and metals(powder) <= _REFRACTORY_CARBONATES
    )


def _carbonate_of(metal: str) -> str:
    return reduced(f"{metal}CO3" if metal in {"Ca", "Sr", "Ba"} else f"{metal}2CO3")
