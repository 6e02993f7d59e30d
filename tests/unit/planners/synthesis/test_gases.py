import math

import pytest

from alab.models import Atmosphere
from planners.synthesis.gases import (
    GAS_CONSTANT_KJ_PER_MOL_K,
    GASES,
    PARTIAL_PRESSURES_BAR,
    gas_potential_kj_per_mol,
    log_pressure,
)
from planners.synthesis.thermo import MissingThermoError, gibbs_kj_per_mol

RT_1300_K = GAS_CONSTANT_KJ_PER_MOL_K * 1300


def bar(gas, temperature_c, atmosphere):
    return math.exp(log_pressure(gas, temperature_c, atmosphere))


@pytest.mark.parametrize("atmosphere", list(Atmosphere))
@pytest.mark.parametrize("temperature_c", [0, 25, 400, 1000, 1700])
def test_every_furnace_gas_has_all_gases_that_reactions_are_open_to(atmosphere, temperature_c):
    for gas in GASES:
        assert math.isfinite(gas_potential_kj_per_mol(gas, temperature_c, atmosphere))
        assert bar(gas, temperature_c, atmosphere) <= 1.0


def test_hydrogen_sets_the_oxygen_of_forming_gas():
    # NIST-JANAF, 1300 K: ΔfG(H2O) = −175.77 kJ/mol
    expected = 2 * (math.log(3e-6 / 0.05) - 175.77 / RT_1300_K)
    assert log_pressure("O2", 1026.85, Atmosphere.AR_H2) == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize("temperature_c", [100, 700, 1400])
def test_oxygen_leaves_forming_gas_as_water(temperature_c):
    def mu(gas):
        return gas_potential_kj_per_mol(gas, temperature_c, Atmosphere.AR_H2)

    assert mu("O2") == pytest.approx(2 * (mu("H2O") - mu("H2")), abs=1e-6)
    assert mu("CO2") + mu("H2") == pytest.approx(mu("CO") + mu("H2O"), abs=1e-6)
    carbon = [bar(gas, temperature_c, Atmosphere.AR_H2) for gas in ("CO", "CO2")]
    assert sum(carbon) == pytest.approx(1e-6)


def test_carbon_dioxide_dissociates():
    # NIST-JANAF, 1300 K: ΔfG(CO2) = −396.18, ΔfG(CO) = −226.51 kJ/mol
    constant = math.exp(-(396.18 - 226.51) / RT_1300_K)
    oxygen, monoxide = (bar(gas, 1026.85, Atmosphere.CO2) for gas in ("O2", "CO"))
    assert monoxide * math.sqrt(oxygen) == pytest.approx(constant, rel=0.05)
    assert monoxide == pytest.approx(2 * (oxygen - 2e-6), rel=1e-6)


def test_cold_carbon_dioxide_keeps_the_oxygen_of_its_bottle():
    assert bar("O2", 100, Atmosphere.CO2) == pytest.approx(2e-6)
    assert log_pressure("CO", 100, Atmosphere.CO2) < -50


def test_vacuum_adds_up_to_a_millionth_of_a_bar():
    total_bar = sum(PARTIAL_PRESSURES_BAR[Atmosphere.VACUUM].values())
    assert total_bar == pytest.approx(1e-6, rel=0.01)


def test_a_gas_that_is_not_there_is_said():
    with pytest.raises(MissingThermoError, match="H2 is none of the gases in a furnace"):
        log_pressure("H2", 800, Atmosphere.AIR)
    with pytest.raises(MissingThermoError, match="outside"):
        log_pressure("O2", 1900, Atmosphere.AR_H2)


def reduction_kj(oxide, metal, oxygen_mol, temperature_c, atmosphere):
    """Energy of giving up all oxygen, per mole of oxide; negative where the metal forms."""
    oxygen_kj = oxygen_mol * gas_potential_kj_per_mol("O2", temperature_c, atmosphere)
    metal_kj = gibbs_kj_per_mol(metal, temperature_c)
    return metal_kj + oxygen_kj - gibbs_kj_per_mol(oxide, temperature_c)


def test_forming_gas_reduces_nickel_oxide_and_no_alumina():
    assert reduction_kj("NiO", "Ni", 0.5, 700, Atmosphere.AR_H2) < 0
    assert reduction_kj("NiO", "Ni", 0.5, 700, Atmosphere.AR) > 0
    assert reduction_kj("NiO", "Ni", 0.5, 700, Atmosphere.CO2) > 0
    assert reduction_kj("Al2O3", "Al2", 1.5, 1000, Atmosphere.AR_H2) > 0
    assert reduction_kj("ZnO", "Zn", 0.5, 25, Atmosphere.VACUUM) > 0


def calcination_kj(temperature_c, atmosphere):
    carbon = gas_potential_kj_per_mol("CO2", temperature_c, atmosphere)
    lime, calcite = (gibbs_kj_per_mol(f, temperature_c) for f in ("CaO", "CaCO3"))
    return lime + carbon - calcite


def test_calcite_lasts_longest_in_carbon_dioxide():
    assert calcination_kj(860, Atmosphere.CO2) > 0 > calcination_kj(920, Atmosphere.CO2)
    assert calcination_kj(600, Atmosphere.AIR) < 0
    assert calcination_kj(450, Atmosphere.VACUUM) < 0 < calcination_kj(450, Atmosphere.AIR)
