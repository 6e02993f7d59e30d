import math

import pytest

from alab.models import Atmosphere
from simulators.world.phases import gas_pressure_atm, phase_table
from simulators.world.reactions import GASES, R_KJ


@pytest.mark.parametrize("atmosphere", list(Atmosphere))
def test_every_gas_has_a_pressure_in_every_furnace_gas(atmosphere):
    for gas in GASES:
        assert 0.0 < gas_pressure_atm(gas, atmosphere) <= 1.0


def test_furnace_gases_in_order_of_their_oxygen():
    order = ("AR_H2", "VACUUM", "AR", "CO2", "AIR", "O2")
    oxygen = [gas_pressure_atm("O2", Atmosphere[name]) for name in order]
    assert oxygen == sorted(oxygen)


def calcination_kj(temperature_c, atmosphere):
    phases, kelvin = phase_table(), temperature_c + 273.15
    carbon = phases["CO2"].gibbs_kj_per_mol(kelvin)
    carbon += R_KJ * kelvin * math.log(gas_pressure_atm("CO2", atmosphere))
    lime, calcite = (phases[name].gibbs_kj_per_mol(kelvin) for name in ("CaO", "CaCO3"))
    return lime + carbon - calcite


def test_carbonates_last_longer_in_carbon_dioxide():
    assert calcination_kj(780, Atmosphere.AIR) < 0 < calcination_kj(780, Atmosphere.CO2)
