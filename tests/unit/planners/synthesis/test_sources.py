import json

import numpy as np
import pytest
from pymatgen.core import Composition

from planners.synthesis.compounds import KJ_PER_MOL_PER_EV, find, table
from planners.synthesis.configuration import read_sources
from planners.synthesis.elements import GRID_K, elements_ev
from planners.synthesis.sources import Sources
from planners.synthesis.thermo import (
    MissingThermoError,
    apparent_gibbs_ev,
    gibbs,
    gibbs_kj_per_mol,
    known_solids,
)
from tests.unit.planners.synthesis.thermo_data import barium_titanates, tables

OWN = Sources()
HEADER = "formula,temperature_k,energy_ev_per_atom,uncertainty_ev_per_atom,source\n"


def estimated():
    return next(row.formula for row in table().values() if row.estimated)


def write_table(path, formula, off_ev_per_atom):
    """A table that lies off our own row by a known amount."""
    composition = Composition(formula)
    apparent = np.array([find(formula).gibbs_kj_per_mol(t) for t in GRID_K])
    formation = apparent / KJ_PER_MOL_PER_EV - elements_ev(composition)
    formation = formation + off_ev_per_atom * composition.num_atoms
    return {formula: {f"{t:.0f}": e for t, e in zip(GRID_K, formation, strict=True)}}


@pytest.fixture
def doubtful(tmp_path):
    """FREED with one measured and one estimated row of ours, 10 meV/atom off."""
    rows = write_table(tmp_path, "MgO", 0.01) | write_table(tmp_path, estimated(), 0.01)
    path = tmp_path / "freed.json"
    path.write_text(json.dumps(rows))
    return read_sources([path])


def test_a_value_says_its_source_and_uncertainty():
    value, row = gibbs("TiO2", 800, OWN), find("TiO2")
    assert row is not None
    assert value.source == row.source
    assert value.uncertainty_kj_per_mol == pytest.approx(row.uncertainty_kj_per_mol)
    assert value.kj_per_mol == pytest.approx(gibbs_kj_per_mol("TiO2", 800))
    twice = gibbs("Ti2O4", 800, OWN)
    assert twice.kj_per_mol == pytest.approx(2 * value.kj_per_mol)
    assert twice.uncertainty_ev_per_atom == pytest.approx(value.uncertainty_ev_per_atom)


def test_tables_stand_between_our_measured_and_our_estimated_rows(doubtful):
    assert gibbs("MgO", 900, doubtful).source == find("MgO").source
    ours, theirs = gibbs(estimated(), 900, OWN), gibbs(estimated(), 900, doubtful)
    assert ours.source.startswith("estimated:")
    assert theirs.source == "FREED"
    assert theirs.ev_per_atom - ours.ev_per_atom == pytest.approx(0.01, abs=5e-4)


def test_a_users_own_value_goes_before_all(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(HEADER + "MgO,300,-2.5,0.02,me\nMgO,900,-2.2,0.02,me\n")
    mine = read_sources([path])
    assert gibbs("MgO", 300, mine).source == "me (mine.csv)"
    # beyond its last temperature the next source answers
    assert gibbs("MgO", 900, mine).source == find("MgO").source


def test_missing_is_said_with_the_ways_out():
    with pytest.raises(MissingThermoError) as caught:
        gibbs("Ba3Ti7O99", 800, OWN)
    for words in ("Ba3Ti7O99", "800 °C", "formation_energies.csv", "ALAB_THERMO"):
        assert words in str(caught.value)
    with pytest.raises(MissingThermoError, match=r"outside 0 to 1726\.85 °C"):
        gibbs("MgO", 1800, OWN)


def test_many_at_once_are_the_same_and_missing_ones_are_nan():
    formulas = ["MgO", "Ti2O4", "Ba3Ti7O99", "BaTiO3", "O2"]
    energies_ev = apparent_gibbs_ev(formulas, 900, OWN)
    assert np.isnan(energies_ev).tolist() == [False, False, True, False, False]
    for formula, energy_ev in zip(formulas, energies_ev, strict=True):
        if not np.isnan(energy_ev):
            expected = gibbs(formula, 900, OWN).kj_per_mol / KJ_PER_MOL_PER_EV
            assert energy_ev == pytest.approx(expected)


@pytest.mark.parametrize(
    # CODATA and NIST-JANAF, S°(298.15 K) in J/mol/K; G − H(298) = −T·S near 298 K
    ("element", "entropy_j"),
    [("Fe", 27.3), ("Ti", 30.7), ("Ni", 29.9), ("Ba", 62.5), ("Zn", 41.6)],
)
def test_elements_carry_their_third_law_entropy(element, entropy_j):
    value = gibbs(element, 25, OWN)
    assert value.kj_per_mol == pytest.approx(-0.29815 * entropy_j, abs=0.6)


def test_known_solids_of_our_own_table():
    found = known_solids({"Ba", "Ti", "O", "C"}, OWN)
    assert {"BaTiO3", "Ba2TiO4", "BaCO3", "TiO2", "BaO", "Ti", "Ba", "C"} <= set(found)
    assert not {"O2", "CO2", "CO"} & set(found)
    assert list(found) == sorted(found)
    assert all(set(Composition(f).get_el_amt_dict()) <= {"Ba", "Ti", "O", "C"} for f in found)


def test_known_solids_leave_out_gases_and_liquids_of_the_tables():
    found = set(known_solids({"Ti", "Cl", "O", "Hg", "Br", "Y"}, tables()))
    assert {"TiO2", "Ti2O3", "YCl3", "HgO", "Y2O3"} <= found
    assert not {"YO", "TiCl4", "Hg", "Br2", "Cl2", "ClO2"} & found


def test_every_known_solid_has_an_energy_at_room_temperature():
    everything = barium_titanates()
    found = known_solids({"Ba", "Ti", "O", "C"}, everything)
    assert "Ba2Ti9O20" in found
    assert not np.isnan(apparent_gibbs_ev(found, 27, everything)).any()


def test_gas_rows_of_tables_answer_for_no_solid():
    with pytest.raises(MissingThermoError, match="ZnSe as a gas only"):
        gibbs("ZnSe", 500, tables())


def test_a_computed_value_says_so():
    value = gibbs("BaTi5O11", 900, barium_titanates())
    assert "Bartel 2018, on measured oxides" in value.source
    assert value.uncertainty_ev_per_atom == pytest.approx(0.05)
    # on our own scale: close to BaTi2O5-like mixtures of the measured neighbours
    mixture = gibbs("BaTiO3", 900, OWN).kj_per_mol + 4 * gibbs("TiO2", 900, OWN).kj_per_mol
    off_ev = (value.kj_per_mol - mixture) / KJ_PER_MOL_PER_EV / value.atoms
    assert abs(off_ev) < 0.1
