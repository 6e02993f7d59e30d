"""Thermodynamics of the simulated world: one table of phases, gases and a glass.

    G(T) = H₂₉₈ + c (T − T₀) − T [S₂₉₈ + c ln(T/T₀)],   c = 24.5 J/(mol atoms·K), 10 for H

Every solid has the same heat capacity per atom (Kopp's rule at high temperature), so that
solid reactions keep their ΔH and ΔS, and gases have constant ones. Enthalpies stand in
``data/phases.csv``: of formation from the elements for simple phases, from the reference
oxides (and O₂) for compounds, which is what solution calorimetry measures. The column
``source`` names the compilation a value follows to its accuracy here (a few kJ/mol): NIST-
JANAF, Barin, Robie & Hemingway, Kubaschewski, Navrotsky's calorimetry; ``estimate`` where
there is none.
"""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from pymatgen.core import Composition

from alab.models import Atmosphere
from simulators.world.matter import reduced

R_KJ = 8.314462e-3
"""Gas constant, kJ/(mol·K)."""

T0_K = 298.15
ZERO_C_K = 273.15

_SOLID_CP_KJ = 24.5e-3
_HYDROGEN_CP_KJ = 10e-3
_EXTRA_OXYGEN_S_KJ = 15e-3
"""Entropy of an oxygen atom taken up by an oxide, kJ/(mol·K)."""

GASES = ("O2", "CO2", "H2O", "H3N")
_GAS_CP_KJ = {"O2": 34e-3, "CO2": 50e-3, "H2O": 38e-3, "H3N": 48e-3}
_GAS_ELEMENTS = frozenset({"O", "C", "H", "N"})

GLASS = "P2O5"
"""The amorphous phosphate that ammonium phosphates leave behind."""

GLASS_SHARE: Mapping[str, float] = MappingProxyType({GLASS: 1.0, "NaPO3": 0.7, "LiPO3": 0.6})
"""Share of a glass former that does not crystallise after it was molten."""

_OXIDES = (
    *("Li2O", "Na2O", "K2O", "MgO", "CaO", "SrO", "BaO", "Al2O3", "SiO2", "TiO2", "ZrO2"),
    *("Y2O3", "La2O3", "V2O5", "Cr2O3", "Mn2O3", "Fe2O3", "CoO", "NiO", "CuO", "ZnO"),
    *("MoO3", "WO3", "Bi2O3", "Nb2O5", "SnO2", GLASS),
)
REFERENCE_OXIDES: Mapping[str, str] = MappingProxyType(
    {Composition(oxide).elements[0].symbol: oxide for oxide in _OXIDES}
)
"""The oxide of each cation that compounds are formed from, and evaporate as."""

_PRESSURES_ATM: Mapping[str, float] = MappingProxyType({"CO2": 0.01, "H2O": 0.02, "H3N": 1e-3})
"""Gas between the grains of a bed that gives it off: more than in the furnace."""

_CO2_ATM: Mapping[Atmosphere, float] = MappingProxyType({Atmosphere.CO2: 1.0})
"""Where the furnace itself is full of it."""

_OXYGEN_ATM: Mapping[Atmosphere, float] = MappingProxyType(
    {
        Atmosphere.AIR: 0.21,
        Atmosphere.O2: 1.0,
        Atmosphere.N2: 1e-5,
        Atmosphere.AR: 5e-6,
        # 5 % hydrogen against 0.1 % steam between the grains, at 1000 °C
        Atmosphere.AR_H2: 1e-18,
        # what carbon dioxide gives off at 1000 °C
        Atmosphere.CO2: 1.3e-5,
        # a fifth of the air that leaks in
        Atmosphere.VACUUM: 1e-7,
    }
)
"""Oxygen over the powder; one figure a gas, for the temperatures ceramics are fired at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A phase the chemistry knows.

    Attributes:
        formula: Reduced formula.
        elements: Atoms in a formula unit.
        enthalpy_kj_per_mol: Enthalpy of formation from the elements at 298.15 K.
        entropy_kj_per_mol_k: Absolute entropy at 298.15 K.
        melts_c: Melting point, or where it would be if it did not decompose.
        half_c: Where a fine powder is half converted in 4 h, if experience says; for
            phases that only take up or lose gas, where that happens.
        slow: Growth of its layer, 1 for ordinary ones.
    """

    formula: str
    elements: Mapping[str, float]
    enthalpy_kj_per_mol: float
    entropy_kj_per_mol_k: float
    melts_c: float
    half_c: float | None
    slow: float

    @property
    def cations(self) -> Mapping[str, float]:
        """Atoms that no gas carries away."""
        return {el: n for el, n in self.elements.items() if el not in _GAS_ELEMENTS}

    @property
    def atoms(self) -> float:
        """Atoms in a formula unit."""
        return sum(self.elements.values())

    @property
    def _solid_cp_kj(self) -> float:
        hydrogen = self.elements.get("H", 0.0)
        return _SOLID_CP_KJ * (self.atoms - hydrogen) + _HYDROGEN_CP_KJ * hydrogen

    def gibbs_kj_per_mol(self, temperature_k: float) -> float:
        """Free energy of one mole at 1 atm, from the elements at 298.15 K."""
        cp = _GAS_CP_KJ.get(self.formula, self._solid_cp_kj)
        return (
            self.enthalpy_kj_per_mol
            + cp * (temperature_k - T0_K)
            - temperature_k * (self.entropy_kj_per_mol_k + cp * math.log(temperature_k / T0_K))
        )


def gas_pressure_atm(gas: str, atmosphere: Atmosphere) -> float:
    """Partial pressure of a gas between the grains, atm."""
    if gas == "O2":
        return _OXYGEN_ATM[atmosphere]
    if gas == "CO2":
        return _CO2_ATM.get(atmosphere, _PRESSURES_ATM[gas])
    return _PRESSURES_ATM[gas]


def gas_balance(elements: Mapping[str, float]) -> tuple[float, float, float, float]:
    """Moles of O2, CO2, H2O and NH3 that carry these surplus atoms (C, N, H, O) away."""
    carbon, nitrogen = elements.get("C", 0.0), elements.get("N", 0.0)
    water = (elements.get("H", 0.0) - 3.0 * nitrogen) / 2.0
    oxygen = (elements.get("O", 0.0) - 2.0 * carbon - water) / 2.0
    return oxygen, carbon, water, nitrogen


@cache
def phase_table() -> Mapping[str, Phase]:
    """Every solid and glass the chemistry knows, and the gases, by reduced formula."""
    text = (files("simulators.world") / "data" / "phases.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    table: dict[str, Phase] = {}
    for row in sorted(rows, key=lambda row: row["basis"] == "oxides"):
        formula = row["formula"] if row["basis"] == "gas" else reduced(row["formula"])
        elements = {el.symbol: float(n) for el, n in Composition(row["formula"]).items()}
        enthalpy = float(row["h_kj_per_mol"])
        entropy = float(row["s_j_per_mol_k"]) * 1e-3
        if row["basis"] == "oxides":
            oxides_h, oxides_s = _from_oxides(elements, table)
            enthalpy, entropy = enthalpy + oxides_h, entropy + oxides_s
        table[formula] = Phase(
            formula=formula,
            elements=elements,
            enthalpy_kj_per_mol=enthalpy,
            entropy_kj_per_mol_k=entropy,
            melts_c=float(row["melts_c"] or "nan"),
            half_c=float(row["half_c"]) if row["half_c"] else None,
            slow=float(row["slow"] or 1.0),
        )
    return MappingProxyType(table)


def _from_oxides(
    elements: Mapping[str, float], table: Mapping[str, Phase]
) -> tuple[float, float]:
    """Enthalpy (kJ/mol) and entropy (kJ/mol/K) of the oxides a compound is made of."""
    enthalpy = entropy = oxygen = 0.0
    for element, count in elements.items():
        if element == "O":
            continue
        oxide = table[REFERENCE_OXIDES[element]]
        share = count / oxide.elements[element]
        enthalpy += share * oxide.enthalpy_kj_per_mol
        entropy += share * oxide.entropy_kj_per_mol_k
        oxygen += share * oxide.elements["O"]
    return enthalpy, entropy + (elements["O"] - oxygen) * _EXTRA_OXYGEN_S_KJ
