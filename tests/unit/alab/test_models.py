import pytest

from alab.errors import BadInput
from alab.models import Atmosphere, FiringLimits, Profile, Segment

HOT_IN_AIR = FiringLimits(
    max_temperature_c=1150.0, max_ramp_c_per_min=10.0, atmospheres=(Atmosphere.AIR,)
)
COOL_IN_NITROGEN = FiringLimits(
    max_temperature_c=800.0,
    max_ramp_c_per_min=20.0,
    atmospheres=(Atmosphere.N2, Atmosphere.AIR),
)
BOTH = FiringLimits.of_all([HOT_IN_AIR, COOL_IN_NITROGEN])


def profile(temperature_c: float, ramp_c_per_min: float = 5.0) -> Profile:
    segment = Segment(
        ramp_c_per_min=ramp_c_per_min, temperature_c=temperature_c, dwell_s=3600.0
    )
    return Profile(segments=(segment,))


@pytest.mark.parametrize(
    ("temperature_c", "ramp_c_per_min", "atmosphere", "permitted"),
    [
        (1150.0, 10.0, Atmosphere.AIR, True),
        (1151.0, 10.0, Atmosphere.AIR, False),
        (1150.0, 10.1, Atmosphere.AIR, False),  # the fast furnace is not that hot
        (800.0, 20.0, Atmosphere.AIR, True),
        (800.0, 20.0, Atmosphere.N2, True),
        (1150.0, 10.0, Atmosphere.N2, False),  # the hot furnace has no nitrogen
        (800.0, 10.0, Atmosphere.O2, False),
    ],
)
def test_one_furnace_must_permit_all_of_a_firing(
    temperature_c: float, ramp_c_per_min: float, atmosphere: Atmosphere, permitted: bool
) -> None:
    assert BOTH.permits(profile(temperature_c, ramp_c_per_min), atmosphere) is permitted


def test_in_a_gas_the_hottest_furnace_that_offers_it_counts() -> None:
    assert BOTH.in_gas(Atmosphere.AIR) == HOT_IN_AIR
    assert BOTH.in_gas(Atmosphere.N2) == COOL_IN_NITROGEN
    assert HOT_IN_AIR.in_gas(Atmosphere.AIR) == HOT_IN_AIR
    with pytest.raises(BadInput, match="no furnace offers O2, only air, N2; add the gas"):
        BOTH.in_gas(Atmosphere.O2)


def test_an_end_may_be_set_below_furnaces_and_not_above() -> None:
    assert BOTH.ending_at(900.0).in_gas(Atmosphere.AIR).max_temperature_c == 900.0
    assert BOTH.ending_at(900.0).in_gas(Atmosphere.N2).max_temperature_c == 800.0
    assert BOTH.ending_at(1500.0) == BOTH
    assert HOT_IN_AIR.ending_at(1500.0).max_temperature_c == 1500.0


def test_limits_of_several_furnaces_are_written_one_by_one() -> None:
    assert str(BOTH) == "1150 °C, 10 °C/min, air; 800 °C, 20 °C/min, N2, air"
