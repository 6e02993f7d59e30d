"""How long it takes to plan one target from a shelf of 200 compounds.

The compounds are known ones of ten elements that no furnace gas carries (Li, Na, Mg, Ca, Ba,
Ti, Zr, Mn, Fe, P): oxides, carbonates, hydroxides, nitrates, oxalates, acetates, phosphates
and mixed oxides. The first target only warms up (imports, tables); the others are timed at
their first time, so nothing of theirs is remembered.
"""

import time

from alab.models import Atmosphere, FiringLimits
from planners.synthesis.enumeration import enumerate_sets
from planners.synthesis.recipes import propose
from planners.synthesis.thermo import reduced

_NAMES = """
Li2O Na2O MgO CaO BaO TiO2 ZrO2 MnO Mn3O4 Mn2O3 MnO2 FeO Fe3O4 Fe2O3 P2O5 BaO2 Li2CO3
Na2CO3 CaCO3 BaCO3 Mg(OH)2 NH4H2PO4 (NH4)2HPO4 BaTiO3 Ba2TiO4 CaTiO3 MgTiO3 Mg2TiO4
MgTi2O5 MnTiO3 Fe2TiO5 Li2TiO3 Li4Ti5O12 MgFe2O4 LiFeO2 NaFeO2 CaZrO3 BaZrO3 Li2ZrO3
FePO4 LiFePO4 LiMnPO4 Li3PO4 LiPO3 NaPO3 Na3PO4 NaZr2(PO4)3 NaTi2(PO4)3 ZrP2O7 TiP2O7
Mg3(PO4)2 Ca3(PO4)2 Mg2P2O7 Ca2P2O7 LiMn2O4 Li2MnO3 LiMnO2 LiOH LiOH(H2O) LiNO3 Li2O2
Li2C2O4 LiC2H3O2 Li4TiO4 Li2Ti3O7 Li8ZrO6 Li4ZrO4 Li6Zr2O7 LiFe5O8 Li5FeO4 Li4P2O7
LiH2PO4 Li4MgP2O8 LiMgPO4 LiCaPO4 LiFeP2O7 LiTi2P3O12 LiZr2P3O12 Li3Fe2P3O12 LiTiPO5
LiMnP2O7 Li6MnO4 NaOH NaNO3 Na2O2 NaHCO3 Na2C2O4 NaC2H3O2 NaH2PO4 Na2HPO4 Na4P2O7
Na5P3O10 Na2TiO3 Na2Ti3O7 Na2Ti6O13 Na4TiO4 Na4Ti5O12 Na2ZrO3 Na3Fe5O9 NaMnO2 Na4Mn9O18
NaMnPO4 NaFePO4 NaMgPO4 NaCaPO4 NaTiPO5 Na3Fe2P3O12 Na2FeP2O7 Na2MnP2O7 Na4Fe3P4O15
MgCO3 Mg5C4H2O14 Mg(NO3)2(H2O)6 MgC2O4 MgHPO4 MgH4P2O8 MgMn2O4 MgZr4P6O24 CaMgP2O7
CaMgC2O6 MgC4H6O4 MgO2 Ca(OH)2 CaC2O4 Ca(NO3)2 CaO2 CaHPO4 CaH4P2O8 Ca5P3O13H Ca3Ti2O7
Ca4Ti3O10 CaZr4O9 CaFe2O4 Ca2Fe2O5 CaFe4O7 CaMn2O4 Ca2MnO4 Ca3Mn2O7 CaZr4P6O24
CaTi4P6O24 CaP2O6 CaC4H6O4 CaMn7O12 Ca4P2O9 Ba(OH)2 Ba(OH)2(H2O)8 Ba(NO3)2 BaC2O4 BaHPO4
Ba2P2O7 Ba3P2O8 BaTi2O5 BaTi4O9 BaTi5O11 Ba4Ti13O30 Ba2Ti9O20 Ba6Ti17O40 Ba2ZrO4
Ba3Zr2O7 BaFe2O4 BaFe12O19 Ba2Fe2O5 BaMnO3 BaZrP2O8 BaP2O6 BaC4H6O4 Ti2O3 Ti3O5 Ti4O7
ZrTiO4 FeTiO3 Fe2TiO4 Zr(OH)4 Zr2P2O9 Zr3P4O16 MnCO3 MnC2O4 Mn(NO3)2 MnOOH Mn(OH)2
MnHPO4 Mn2P2O7 Mn3P2O8 MnFe2O4 MnPO4 MnC4H6O4 FeOOH FeC2O4 FeC2O4(H2O)2 FeCO3 Fe(NO3)3
Fe(NO3)3(H2O)9 Fe3P2O8 FePO4(H2O)2 Fe2P2O7 Fe4P6O21 Fe7P6O24 FeP3O9 H3PO4 (NH4)3PO4
"""
COMPOUNDS = tuple(_NAMES.split())
"""No two of the same composition."""

WARM_UP = "CaZrTi2O7"
TARGETS = ("BaTiO3", "LiMn2O4", "NaZr2(PO4)3", "LiFePO4", "Na3MnTi(PO4)3", "Na2MnMgFe(PO4)3")
"""Two to five metals; the last, an alluaudite, has most sets."""

_STOCK_MG = 1e6
_LIMITS = FiringLimits(
    max_temperature_c=1150.0,
    max_ramp_c_per_min=15.0,
    atmospheres=(Atmosphere.AIR, Atmosphere.N2, Atmosphere.O2),
)


def measure() -> dict[str, object]:
    """Seconds to plan each target, and what was planned from.

    Returns:
        ``compounds``; ``plan_seconds``, by target; ``longest_plan_seconds``;
        ``enumeration_seconds`` and ``sets``, by target.
    """
    propose(WARM_UP, shelf=_shelf(WARM_UP), limits=_LIMITS)
    planned = {target: _seconds_to_plan(target) for target in TARGETS}
    counted = {target: _enumerated(target) for target in TARGETS}
    return {
        "compounds": len(COMPOUNDS),
        "plan_seconds": planned,
        "longest_plan_seconds": max(planned.values()),
        "enumeration_seconds": {target: seconds for target, (seconds, _) in counted.items()},
        "sets": {target: sets for target, (_, sets) in counted.items()},
    }


def _seconds_to_plan(target: str) -> float:
    began = time.perf_counter()
    propose(target, shelf=_shelf(target), limits=_LIMITS)
    return time.perf_counter() - began


def _enumerated(target: str) -> tuple[float, int]:
    began = time.perf_counter()
    sets = enumerate_sets(target, list(_shelf(target)))
    return time.perf_counter() - began, len(sets)


def _shelf(target: str) -> dict[str, float]:
    """All compounds but the target itself."""
    return {c: _STOCK_MG for c in COMPOUNDS if reduced(c) != reduced(target)}
