import math

import pytest
from pymatgen.core import Composition

from alab.errors import BadInput
from planners.synthesis.compounds import KJ_PER_MOL_PER_EV, MissingThermoError
from planners.synthesis.elements import elements_ev
from planners.synthesis.supplied import read_supplied

HEADER = "formula,temperature_k,energy_ev_per_atom,uncertainty_ev_per_atom,source"


@pytest.fixture
def csv(tmp_path):
    def write(*lines, header=HEADER):
        path = tmp_path / "mine.csv"
        path.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
        return path

    return write


def test_formation_energies_become_apparent(csv):
    rows = ("NaNbO3,300,-2.8,0.02,calorimetry", "NaNbO3,1200,-2.3,0.03,calorimetry")
    curve = read_supplied(csv(*rows)).curve("NaNbO3")
    assert curve is not None
    elements = elements_ev(Composition("NaNbO3"))
    assert curve.at_ev(300) == pytest.approx(5 * -2.8 + elements[0])
    assert curve.at_ev(1200) == pytest.approx(5 * -2.3 + elements[9])
    assert curve.uncertainty_ev_per_atom == 0.03
    assert curve.source == "calorimetry (mine.csv)"
    with pytest.raises(MissingThermoError, match="the file ends there"):
        curve.at_ev(1300)


def test_an_enthalpy_with_a_volume_is_extended_by_the_descriptor(csv):
    header = HEADER + ",volume_ang3_per_atom"
    curve = read_supplied(csv("MgO,0,-3.1,0.04,my DFT,9.4", header=header)).curve("MgO")
    assert curve is not None
    mass = 24.305 * 15.999 / (24.305 + 15.999)
    delta = (-2.48e-4 * math.log(9.4) - 8.94e-5 * mass / 9.4) * 1000
    delta += 0.181 * math.log(1000) - 0.882
    assert curve.at_ev(1000) / 2 == pytest.approx(-3.1 + delta, abs=1e-4)
    assert curve.uncertainty_ev_per_atom == 0.04
    # entropy of the crystal at 350 K, J/mol/K per atom: the right size for an oxide
    slope = -(curve.at_ev(400) - curve.at_ev(300)) / 100 / 2 * 1000 * KJ_PER_MOL_PER_EV
    assert 5 < slope < 40


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("MgO,300,-3.1,0.02,me",), "MgO needs two or more temperatures"),
        (("MgO,0,-3,0.02,me", "MgO,900,-2.9,0.02,me"), "from 273.15 K up"),
        (("MgO,300,-3,0.02,me", "MgO,300,-2.9,0.02,me"), "each once"),
        (("MgO,300,low,0.02,me",), r"mine.csv:2: energy_ev_per_atom"),
        (("MgO,300,-3.1,0.02,me", "MgO,900,-3,,me"), r"mine.csv:3: uncertainty_ev_per_atom"),
        (("Mg,300,0,0.02,me",), "Mg is no compound"),
        (("Nonsense9x,300,0,0.02,me",), r"mine.csv:2: formula"),
        ((), "has no rows"),
    ],
)
def test_a_mistake_is_named(csv, lines, words):
    with pytest.raises(BadInput, match=words):
        read_supplied(csv(*lines))


def test_a_volume_takes_one_row_only(csv):
    header = HEADER + ",volume_ang3_per_atom"
    rows = ("MgO,0,-3.1,0.04,me,9.4", "MgO,300,-3.0,0.04,me,9.4")
    with pytest.raises(BadInput, match="one row of it is enough"):
        read_supplied(csv(*rows, header=header))
