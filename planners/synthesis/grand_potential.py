"""Energies of solids in a furnace that is open to its gas.

Oxygen, carbon, hydrogen and nitrogen come and go with the gas; what a powder conserves are
its other atoms, here called its metals (P and Si count among them). The energy that decides
is therefore the grand potential::

    Φ(solid) = G(solid) − Σ ν·μ(gas)

with the gases that the solid would leave behind its metals (:func:`reactions.gases_of`;
Ong et al., Chem. Mater. 20, 1798, 2008). Between solids that hold the same metals, ΔΦ is
the reaction energy. Per metal atom it is additive along a mixing line, so hulls are convex.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from alab.errors import BadInput
from alab.models import Atmosphere
from planners.synthesis.reactions import GAS_ELEMENTS, atoms, gases_of, has_energy, metals
from planners.synthesis.thermo import (
    KJ_PER_MOL_PER_EV,
    gas_potential_kj_per_mol,
    gibbs_kj_per_mol,
    known_solids,
)

FloatArray = NDArray[np.float64]


@lru_cache(maxsize=100_000)
def grand_potential_ev_per_metal_atom(
    formula: str, temperature_c: float, atmosphere: Atmosphere
) -> float:
    """Grand potential of a solid, per atom that no gas carries.

    Nitrogen leaves as ammonia where the solid holds the hydrogen for it, else as N2.

    Raises:
        MissingThermoError: If the solid, or the temperature, is in no table.
    """
    energy_kj = gibbs_kj_per_mol(formula, temperature_c)
    open_atoms = {e: n for e, n in atoms(formula).items() if e in GAS_ELEMENTS}
    for gas, moles in gases_of(open_atoms).items():
        energy_kj -= float(moles) * gas_potential_kj_per_mol(gas, temperature_c, atmosphere)
    return energy_kj / KJ_PER_MOL_PER_EV / metal_atoms(formula)


def check_solid(formula: str) -> None:
    """Refuse what leaves nothing behind once the gas has taken its share.

    Raises:
        BadInput: If every atom of the formula is one that a gas carries.
    """
    if not metals(formula):
        raise BadInput(
            f"{formula} holds nothing but {' and '.join(sorted(atoms(formula)))}, which the "
            "furnace gas brings and takes away, so it counts as no powder; leave it out, and "
            "name the gas as the atmosphere"
        )


def metal_atoms(formula: str) -> float:
    """How many atoms of a formula no gas carries."""
    return float(sum(n for e, n in atoms(formula).items() if e not in GAS_ELEMENTS))


def metal_fractions(formulas: Sequence[str], elements: Sequence[str]) -> FloatArray:
    """Shares of the elements among the metal atoms of each formula, shape (n, elements)."""
    counts = np.array([[float(atoms(f).get(e, 0)) for e in elements] for f in formulas])
    return counts / counts.sum(axis=1, keepdims=True)


def solids_within(elements: frozenset[str]) -> tuple[str, ...]:
    """Known solids whose metals are among these elements, sorted by formula.

    Ammonium salts are left out: they cannot grow in a furnace.
    """
    return tuple(
        key
        for key in known_solids(elements | GAS_ELEMENTS)
        if metals(key) and not {"N", "H"} <= atoms(key).keys()
    )


def rivals(
    elements: frozenset[str],
    temperature_c: float,
    atmosphere: Atmosphere,
    *,
    without: Iterable[str] = (),
) -> tuple[str, ...]:
    """The known solid of lowest grand potential at each ratio of the metals.

    Of MnO, Mn3O4, Mn2O3 and MnO2 only the one that the gas favours can stay.

    Args:
        elements: Metals that may occur.
        temperature_c: Temperature of the powder.
        atmosphere: Gas of the furnace.
        without: Reduced formulas to leave out.
    """
    left_out = frozenset(without)
    order = sorted(elements)
    lowest: dict[tuple[float, ...], tuple[float, str]] = {}
    for solid in solids_within(elements):
        if solid in left_out or not has_energy(solid, temperature_c):
            continue
        energy = grand_potential_ev_per_metal_atom(solid, temperature_c, atmosphere)
        ratio = tuple(np.round(metal_fractions([solid], order)[0], 9))
        if ratio not in lowest or energy < lowest[ratio][0]:
            lowest[ratio] = energy, solid
    return tuple(sorted(solid for _, solid in lowest.values()))
