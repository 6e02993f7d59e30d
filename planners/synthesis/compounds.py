"""The project's own table of solids and gases.

The *apparent* Gibbs energy of formation refers to the elements at 298.15 K, so that no
element has to be tabulated at temperature; in every balanced reaction the elements cancel
and the difference is the true reaction energy::

    G(T) = ΔHf(298) + ∫ Cp dT − T · [S(298) + ∫ Cp/T dT],   Cp = a + b·T + c/T²

(Kubaschewski, Alcock & Spencer, Materials Thermochemistry, 6th ed., ch. 1). Where a row
has no heat capacity, it is the sum over the constituent oxides (Neumann–Kopp). A compound
that melts within reach carries its enthalpy of fusion; polymorphic transitions are folded
into the heat capacity. Every row names its source and uncertainty; an estimate says so.

``melting_points.csv`` tells where compounds without such a row melt or decompose; its values
were entered from general knowledge of the handbooks that it names, and not compared with them.
"""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from pymatgen.core import Composition

from alab.errors import BadInput
from alab.units import c_to_k

KJ_PER_MOL_PER_EV = 96.485332
STANDARD_K = 298.15
LOWEST_C, HIGHEST_C = 0.0, 1726.85
"""Range in which the heat capacities are trusted; 2000 K is where the tables end."""

_OXYGEN_CP_J_PER_MOL_K = 16.7
"""Kopp's increment for an oxygen atom in a solid (4.0 cal/mol/K)."""

OXIDES: Mapping[str, str] = MappingProxyType(
    {
        "Li": "Li2O", "Na": "Na2O", "K": "K2O", "Mg": "MgO", "Ca": "CaO", "Sr": "SrO",
        "Ba": "BaO", "Al": "Al2O3", "Si": "SiO2", "Ti": "TiO2", "Zr": "ZrO2", "Y": "Y2O3",
        "La": "La2O3", "V": "V2O5", "Cr": "Cr2O3", "Mn": "Mn2O3", "Fe": "Fe2O3",
        "Co": "CoO", "Ni": "NiO", "Cu": "CuO", "Zn": "ZnO", "Mo": "MoO3", "W": "WO3",
        "Bi": "Bi2O3", "Nb": "Nb2O5", "Sn": "SnO2", "P": "P2O5",
    }
)  # fmt: skip
"""The oxide that stands for an element in sums over constituent oxides."""


class MissingThermoError(BadInput):
    """The table has no value for a compound or temperature; never taken as zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compound:
    """One row of the table, per mole of the formula.

    Attributes:
        formula: Formula as a chemist writes it; the table's key is the reduced formula.
        formation_enthalpy_kj_per_mol: ΔHf at 298.15 K from the elements.
        entropy_j_per_mol_k: Third-law entropy at 298.15 K.
        heat_capacity: Coefficients a, b·10³, c·10⁻⁵ of Cp in J/mol/K.
        heat_capacity_estimated: Whether Cp is the Neumann–Kopp sum.
        uncertainty_kj_per_mol: Of the enthalpy, one standard deviation.
        melts_c: Melting point, None if it decomposes first or is unknown.
        fusion_kj_per_mol: Enthalpy of fusion, None where not needed.
        decomposes_c: Decomposition temperature in air, None if it does not.
        air_stable: Whether it can be weighed in air.
        source: Where the numbers come from; begins with ``estimated:`` if they are ours.
    """

    formula: str
    formation_enthalpy_kj_per_mol: float
    entropy_j_per_mol_k: float
    heat_capacity: tuple[float, float, float]
    heat_capacity_estimated: bool
    uncertainty_kj_per_mol: float
    melts_c: float | None
    fusion_kj_per_mol: float | None
    decomposes_c: float | None
    air_stable: bool
    source: str

    @property
    def estimated(self) -> bool:
        """Whether the enthalpy is an estimate."""
        return self.source.startswith("estimated:")

    def gibbs_kj_per_mol(self, temperature_k: float) -> float:
        """Apparent Gibbs energy at a temperature, in kJ per mole of the formula."""
        t, t0 = temperature_k, STANDARD_K
        a, b, c = (
            self.heat_capacity[0],
            self.heat_capacity[1] * 1e-3,
            self.heat_capacity[2] * 1e5,
        )
        heat_j = a * (t - t0) + b / 2 * (t * t - t0 * t0) - c * (1 / t - 1 / t0)
        entropy_j_per_k = (
            self.entropy_j_per_mol_k
            + a * math.log(t / t0)
            + b * (t - t0)
            - c / 2 * (1 / t**2 - 1 / t0**2)
        )
        gibbs = self.formation_enthalpy_kj_per_mol + (heat_j - t * entropy_j_per_k) / 1000
        if self.melts_c is not None and self.fusion_kj_per_mol is not None:
            melts_k = c_to_k(self.melts_c)
            gibbs -= self.fusion_kj_per_mol * max(0.0, t / melts_k - 1.0)
        return gibbs


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatLimit:
    """How hot a compound may get.

    Attributes:
        melts_c: Melting point, None if it decomposes first or no table tells.
        decomposes_c: Decomposition temperature (or that of incongruent melting) in air, None
            if it does not decompose or no table tells.
    """

    melts_c: float | None = None
    decomposes_c: float | None = None

    @property
    def known(self) -> bool:
        """Whether a table tells where the compound melts or decomposes."""
        return self.melts_c is not None or self.decomposes_c is not None


@cache
def reduced(formula: str) -> str:
    """Reduced formula of a compound, as pymatgen writes it."""
    return Composition(formula).reduced_formula


@cache
def table() -> Mapping[str, Compound]:
    """The whole table by reduced formula."""
    return _read("formation_energies.csv")


@cache
def reducing_gases() -> Mapping[str, Compound]:
    """Hydrogen and carbon monoxide: furnace gases that no powder gives off by itself."""
    return _read("reducing_gases.csv")


def find(formula: str) -> Compound | None:
    """The row of a compound, None if the table has none."""
    return table().get(reduced(formula))


def heat_limit(formula: str) -> HeatLimit:
    """Where a compound melts or decomposes, as far as the tables tell."""
    row = find(formula)
    if row is not None:
        return HeatLimit(melts_c=row.melts_c, decomposes_c=row.decomposes_c)
    return _heat_limits().get(reduced(formula), HeatLimit())


def written(formula: str) -> str:
    """The formula as a chemist writes it, where the table knows: ZnFe2O4, NH3."""
    compound = find(formula)
    return compound.formula if compound is not None and units_of(formula) == 1 else formula


@cache
def units_of(formula: str) -> float:
    """How many reduced formula units (the table's moles) one ``formula`` is."""
    written = Composition(formula)
    return written.num_atoms / Composition(written.reduced_formula).num_atoms


def _read(file: str) -> Mapping[str, Compound]:
    rows = _rows(file)
    measured = {row["formula"]: _coefficients(row) for row in rows}
    return MappingProxyType({reduced(row["formula"]): _compound(row, measured) for row in rows})


@cache
def _heat_limits() -> Mapping[str, HeatLimit]:
    return MappingProxyType(
        {
            reduced(row["formula"]): HeatLimit(
                melts_c=_optional(row["melts_c"]), decomposes_c=_optional(row["decomposes_c"])
            )
            for row in _rows("melting_points.csv")
        }
    )


def _rows(file: str) -> list[dict[str, str]]:
    text = (files("planners.synthesis") / file).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _coefficients(row: Mapping[str, str]) -> tuple[float, float, float] | None:
    names = ("cp_a_j_per_mol_k", "cp_b_mj_per_mol_k2", "cp_c_1e5_j_k_per_mol")
    if not row[names[0]]:
        return None
    a, b, c = (float(row[name]) for name in names)
    return a, b, c


def _compound(
    row: Mapping[str, str], measured: Mapping[str, tuple[float, float, float] | None]
) -> Compound:
    own = measured[row["formula"]]
    return Compound(
        formula=row["formula"],
        formation_enthalpy_kj_per_mol=float(row["formation_enthalpy_kj_per_mol"]),
        entropy_j_per_mol_k=float(row["entropy_j_per_mol_k"]),
        heat_capacity=own or _neumann_kopp(row["formula"], measured),
        heat_capacity_estimated=own is None,
        uncertainty_kj_per_mol=float(row["uncertainty_kj_per_mol"]),
        melts_c=_optional(row["melts_c"]),
        fusion_kj_per_mol=_optional(row["fusion_kj_per_mol"]),
        decomposes_c=_optional(row["decomposes_c"]),
        air_stable=row["air_stable"] == "1",
        source=row["source"],
    )


def _optional(text: str) -> float | None:
    return float(text) if text else None


def _neumann_kopp(
    formula: str, measured: Mapping[str, tuple[float, float, float] | None]
) -> tuple[float, float, float]:
    """Sum the heat capacities of the constituent oxides, and of oxygen left over."""
    left = dict(Composition(formula).get_el_amt_dict())
    total = [0.0, 0.0, 0.0]
    for metal, oxide in OXIDES.items():
        coefficients = measured[oxide]
        if metal not in left or coefficients is None:
            continue
        moles = left.pop(metal) / Composition(oxide)[metal]
        left["O"] = left.get("O", 0.0) - moles * Composition(oxide)["O"]
        total = [have + moles * c for have, c in zip(total, coefficients, strict=True)]
    total[0] += left.pop("O", 0.0) * _OXYGEN_CP_J_PER_MOL_K
    if left:
        raise MissingThermoError(
            f"formation_energies.csv: {formula} holds {', '.join(left)}, which no reference "
            "oxide covers; give its heat capacity"
        )
    return total[0], total[1], total[2]
