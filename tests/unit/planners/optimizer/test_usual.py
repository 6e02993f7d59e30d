"""Where targets are usually fired, as the models of the literature tell it."""

import pytest

from planners.literature.conditions import loose_powder, predict_conditions
from planners.optimizer.usual import usual_firing
from tests.unit.planners.optimizer.firings import recipe


def test_a_known_target_has_the_temperature_of_the_literature():
    titanate = recipe({"BaCO3": 1.0, "TiO2": 1.0}, 900, target="BaTiO3")
    usual = usual_firing("BaTiO3", [titanate])
    route = loose_powder(titanate.atmosphere)
    told = predict_conditions("BaTiO3", ["BaCO3", "TiO2"], route=route)
    assert usual is not None
    assert usual.temperature_c == told.temperature_c
    assert 1000 < usual.temperature_c < 1400


def test_the_scatter_is_that_of_reports_and_of_laboratories():
    """80 % of reports lie within ± 1.28 standard deviations, and 75 °C come on top."""
    titanate = recipe({"BaCO3": 1.0, "TiO2": 1.0}, 900, target="BaTiO3")
    usual = usual_firing("BaTiO3", [titanate])
    route = loose_powder(titanate.atmosphere)
    told = predict_conditions("BaTiO3", ["BaCO3", "TiO2"], route=route)
    assert usual is not None
    reports_c = (told.temperature_high_c - told.temperature_low_c) / 2 / 1.2816
    assert usual.sd_c**2 == pytest.approx(reports_c**2 + 75.0**2)


def test_the_powders_of_the_first_candidate_are_asked_with():
    first = recipe({"BaCO3": 1.0, "TiO2": 1.0}, 900, target="BaTiO3")
    other = recipe({"Ba(NO3)2": 1.0, "TiO2": 1.0}, 600, target="BaTiO3")
    assert usual_firing("BaTiO3", [first, other]) == usual_firing("BaTiO3", [first])
    for one in (first, other):
        powders = [p.formula for p in one.precursors]
        usual = usual_firing("BaTiO3", [one])
        assert usual is not None
        told = predict_conditions("BaTiO3", powders, route=loose_powder(one.atmosphere))
        assert usual.temperature_c == told.temperature_c


@pytest.mark.parametrize("target", ["Xe2F4", "no formula"])
def test_nobody_knows_targets_that_were_never_learnt(target: str):
    assert usual_firing(target, [recipe({"XeO3": 1.0}, 900, target=target)]) is None


def test_without_candidates_nothing_is_asked():
    assert usual_firing("BaTiO3", []) is None
