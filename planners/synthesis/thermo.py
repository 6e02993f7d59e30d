"""Gibbs energies of solids and gases: the one interface to all sources.

Every energy is an *apparent* Gibbs energy: the elements at 298.15 K are the zero at every
temperature. In a balanced reaction the elements cancel and the difference is the true
reaction energy; a single value is not the ΔfG(T) of a table, which has the elements at T.

Sources are asked in the order of :mod:`planners.synthesis.sources`; the first that has the
compound at the temperature answers. What none has raises :class:`MissingThermoError`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
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
from planners.synthesis.configuration import VARIABLE, configured
from planners.synthesis.gases import (
    GAS_CONSTANT_KJ_PER_MOL_K,
    GASES,
    PARTIAL_PRESSURES_BAR,
    gas_gibbs_kj_per_mol,
    gas_potential_kj_per_mol,
    log_pressure,
)
from planners.synthesis.sources import Sources

__all__ = [
    "GASES",
    "GAS_CONSTANT_KJ_PER_MOL_K",
    "HIGHEST_C",
    "KJ_PER_MOL_PER_EV",
    "LOWEST_C",
    "OXIDES",
    "PARTIAL_PRESSURES_BAR",
    "Compound",
    "GibbsEnergy",
    "MissingThermoError",
    "Sources",
    "apparent_gibbs_ev",
    "find",
    "gas_gibbs_kj_per_mol",
    "gas_potential_kj_per_mol",
    "gibbs",
    "gibbs_ev_per_atom",
    "gibbs_kj_per_mol",
    "known_solids",
    "log_pressure",
    "reduced",
    "sources",
    "table",
    "units_of",
    "written",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class GibbsEnergy:
    """An apparent Gibbs energy with what it rests on.

    Attributes:
        kj_per_mol: Per mole of the formula as written.
        uncertainty_kj_per_mol: One standard deviation.
        atoms: Atoms in the formula.
        source: Where it comes from; begins with ``estimated:`` if it is our own estimate.
    """

    kj_per_mol: float
    uncertainty_kj_per_mol: float
    atoms: float
    source: str

    @property
    def ev_per_atom(self) -> float:
        """The same in eV per atom."""
        return self.kj_per_mol / KJ_PER_MOL_PER_EV / self.atoms

    @property
    def uncertainty_ev_per_atom(self) -> float:
        """One standard deviation in eV per atom."""
        return self.uncertainty_kj_per_mol / KJ_PER_MOL_PER_EV / self.atoms


@cache
def sources() -> Sources:
    """The sources of this process, read once at the first question.

    Raises:
        BadInput: If ``ALAB_THERMO`` names what cannot be read.
    """
    return configured()


def gibbs(formula: str, temperature_c: float, among: Sources | None = None) -> GibbsEnergy:
    """Apparent Gibbs energy of a solid, or of a furnace gas at 1 bar.

    Args:
        formula: The compound; the value is per mole of it as written.
        temperature_c: Between 0 and 1727 °C.
        among: Sources to ask; those of this process unless given.

    Raises:
        MissingThermoError: If no source has it there; the message says which came close.
    """
    answer = _look_up(among or sources(), formula, temperature_c)
    if isinstance(answer, str):
        raise MissingThermoError(answer)
    return answer


def gibbs_kj_per_mol(formula: str, temperature_c: float) -> float:
    """Apparent Gibbs energy of formation per mole of ``formula`` as written.

    Gases are at 1 bar; see :func:`gas_potential_kj_per_mol` for a furnace gas.

    Raises:
        MissingThermoError: If no source has the compound at the temperature.
    """
    return gibbs(formula, temperature_c).kj_per_mol


def gibbs_ev_per_atom(formula: str, temperature_c: float) -> float:
    """Apparent Gibbs energy of formation in eV per atom.

    Raises:
        MissingThermoError: If no source has the compound at the temperature.
    """
    return gibbs(formula, temperature_c).ev_per_atom


def apparent_gibbs_ev(
    formulas: Sequence[str], temperature_c: float, among: Sources | None = None
) -> NDArray[np.float64]:
    """Apparent Gibbs energies in eV per formula unit as written; NaN where missing.

    Args:
        formulas: The compounds.
        temperature_c: One temperature for all.
        among: Sources to ask; those of this process unless given.
    """
    asked = among or sources()
    answers = (_look_up(asked, formula, temperature_c) for formula in formulas)
    energies_kj = [np.nan if isinstance(one, str) else one.kj_per_mol for one in answers]
    return np.array(energies_kj) / KJ_PER_MOL_PER_EV


def known_solids(elements: Collection[str], among: Sources | None = None) -> tuple[str, ...]:
    """Reduced formulas of all solids that any source has within these elements, sorted.

    The elements themselves are among them where they are solid; gases and liquids are not.
    """
    wanted = frozenset(elements)
    return tuple(f for f, parts in _all_solids(among or sources()).items() if parts <= wanted)


@lru_cache(maxsize=4)
def _all_solids(among: Sources) -> dict[str, frozenset[str]]:
    names = {formula for source in among.in_order for formula in source.solids()}
    return {name: frozenset(Composition(name).get_el_amt_dict()) for name in sorted(names)}


@lru_cache(maxsize=200_000)
def _look_up(among: Sources, formula: str, temperature_c: float) -> GibbsEnergy | str:
    """The energy, or why there is none."""
    reasons: list[str] = []
    for source in among.in_order:
        try:
            energy = source.curve(reduced(formula))
            if energy is None:
                continue
            value_kj = energy.at_ev(c_to_k(temperature_c)) * KJ_PER_MOL_PER_EV
        except MissingThermoError as error:
            reasons.append(str(error))
            continue
        units, atoms = units_of(formula), Composition(formula).num_atoms
        return GibbsEnergy(
            kj_per_mol=units * value_kj,
            uncertainty_kj_per_mol=energy.uncertainty_ev_per_atom * KJ_PER_MOL_PER_EV * atoms,
            atoms=atoms,
            source=energy.source,
        )
    return _missing(formula, temperature_c, among, reasons)


def _missing(formula: str, temperature_c: float, among: Sources, reasons: Sequence[str]) -> str:
    asked = ", ".join(dict.fromkeys(source.name for source in among.in_order))
    why = "; ".join(reasons) if reasons else f"asked: {asked}"
    return (
        f"no formation energy of {formula} is known at {temperature_c:g} °C ({why}); add a row "
        "with its source to planners/synthesis/formation_energies.csv, or name tables, "
        f"computed entries or a CSV of your own in {VARIABLE}; see docs/thermodynamics.md"
    )
