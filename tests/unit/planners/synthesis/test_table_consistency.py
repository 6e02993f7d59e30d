"""Rows from different laboratories must not contradict the existence of known phases."""

import csv
from pathlib import Path

import pytest
from scipy.optimize import linprog

from alab.models import Atmosphere
from planners.synthesis.reactions import atoms, metals
from planners.synthesis.thermo import (
    GASES,
    KJ_PER_MOL_PER_EV,
    find,
    gas_potential_kj_per_mol,
    gibbs_kj_per_mol,
    reduced,
    table,
)

REPO = Path(__file__).parents[4]
TEMPERATURES_C = {"LiMn2O4": 800, "BiFeO3": 750, "BiVO4": 700, "LiCoO2": 850}
"""Where 1000 °C is too hot for the phase to exist in air."""


def targets():
    with (REPO / "examples" / "targets58.csv").open(encoding="utf-8") as stream:
        return [row["formula"] for row in csv.DictReader(stream)]


def open_to_air_kj(formula, temperature_c):
    """Grand potential of a solid that trades oxygen and CO2 with air."""
    count = {element: float(n) for element, n in atoms(formula).items()}
    carbon = count.get("C", 0.0)
    oxygen = count.get("O", 0.0) - 2 * carbon
    return (
        gibbs_kj_per_mol(formula, temperature_c)
        - carbon * gas_potential_kj_per_mol("CO2", temperature_c, Atmosphere.AIR)
        - oxygen / 2 * gas_potential_kj_per_mol("O2", temperature_c, Atmosphere.AIR)
    )


@pytest.mark.parametrize("target", targets())
def test_no_mixture_in_the_table_beats_a_known_phase(target):
    target = reduced(target)
    temperature_c = TEMPERATURES_C.get(target, 1000)
    elements = sorted(metals(target))
    others = [
        key
        for key in table()
        if key not in {target, *GASES}
        and not {"N", "H"} & set(atoms(key))
        and metals(key) <= set(elements)
    ]
    best = linprog(
        [open_to_air_kj(key, temperature_c) for key in others],
        A_eq=[[float(atoms(key).get(e, 0)) for key in others] for e in elements],
        b_eq=[float(atoms(target)[e]) for e in elements],
    )
    assert best.success
    size = float(sum(atoms(target).values()))
    above_ev = (open_to_air_kj(target, temperature_c) - best.fun) / KJ_PER_MOL_PER_EV / size
    row = find(target)
    assert row is not None
    assert above_ev < row.uncertainty_kj_per_mol / KJ_PER_MOL_PER_EV / size
    assert above_ev < 0.006
