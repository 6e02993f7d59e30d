import pytest

from alab.models import Atmosphere
from simulators.world.matter import UNMIXED, Powder

AIR = Atmosphere.AIR


def test_mass_is_what_was_poured_less_what_was_taken():
    powder = Powder()
    powder.add("BaCO3", 120.0)
    powder.add("TiO2", 40.0)
    part = powder.take(60.0)
    assert part.mass_mg == pytest.approx(60.0)
    assert powder.mass_mg == pytest.approx(100.0)
    assert part.weight_fractions() == pytest.approx({"BaCO3": 0.75, "TiO2": 0.25})


def test_taking_more_than_there_is_leaves_nothing():
    powder = Powder()
    powder.add("MgO", 5.0)
    assert powder.take(50.0).mass_mg == pytest.approx(5.0)
    assert powder.mass_mg == 0.0
    assert powder.weight_fractions() == {}
    assert powder.amorphous_fraction == 0.0


def test_phases_go_by_their_reduced_formula():
    powder = Powder()
    powder.add("(NH4)2HPO4", 10.0)
    assert list(powder.weight_fractions()) == ["PH9(NO2)2"]


@pytest.mark.parametrize("call", [lambda p: p.add("MgO", -1.0), lambda p: p.take(-1.0)])
def test_negative_masses_are_refused(call):
    with pytest.raises(ValueError, match="-1 mg"):
        call(Powder())


def test_mixing_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"1\.5 is outside 0 to 1"):
        Powder().mix(1.5)


def test_mixing_improves_and_pouring_on_top_spoils_it():
    powder = Powder()
    powder.add("MgO", 50.0)
    powder.add("Al2O3", 50.0)
    assert powder.charge.mixing == pytest.approx(UNMIXED)
    powder.mix(1.0)
    once = powder.charge.mixing
    powder.mix(1.0)
    assert UNMIXED < once < powder.charge.mixing < 1.0
    powder.add("MgO", 100.0)
    assert powder.charge.mixing < once


def test_powder_without_chemistry_is_inert():
    powder = Powder()
    powder.add("CaCO3", 100.0)
    powder.expose(3600.0, 1000.0, AIR)
    assert powder.weight_fractions() == {"CaCO3": pytest.approx(1.0)}


def test_history_merges_into_soaks_that_the_history_cuts():
    powder = Powder()
    powder.add("MgO", 1.0)
    for minute in range(600):
        powder.expose(60.0, 900.0 + 0.01 * minute, AIR)
    assert len(powder._closed) == 19  # 10 h in half hours, the last still open
    assert sum(soak.duration_s for soak in powder._closed) == 19 * 1800.0
