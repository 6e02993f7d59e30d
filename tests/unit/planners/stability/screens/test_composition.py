"""Screens by formula, hull and bench."""

import pytest

from alab.models import Atmosphere, FiringLimits
from planners.stability.screens.composition import (
    BenchLimits,
    charges,
    furnace,
    handled,
    in_stock,
    near_hull,
)
from planners.stability.screens.verdict import Screen, Verdict, failed, unknown

LIMITS = FiringLimits(
    max_temperature_c=1100.0, max_ramp_c_per_min=10.0, atmospheres=(Atmosphere.AIR,)
)


def bench(*powders: str) -> BenchLimits:
    return BenchLimits(shelf=dict.fromkeys(powders, 1e6), limits=LIMITS)


@pytest.mark.parametrize(
    ("above", "verdict"), [(0.0, "passed"), (0.01, "passed"), (0.011, "failed")]
)
def test_the_hull_decides_at_its_limit(above: float, verdict: str) -> None:
    screen = near_hull(above, 0.010)
    assert screen.verdict == verdict
    assert screen.reason == f"{above * 1000:.0f} meV/atom, at most 10"
    assert (screen.value_ev_per_atom, screen.limit_ev_per_atom) == (above, 0.010)


def test_charges_inform_only() -> None:
    assert charges("LiMn2O4").verdict is Verdict.PASSED
    assert charges("Li2MnO3").reason == "Li +1, Mn +4, O -2"
    assert "relaxed" in charges("LiO3").reason
    screen = charges("AlNi")
    assert screen.verdict is Verdict.FAILED
    assert not failed([screen])


@pytest.mark.parametrize(
    ("formula", "told"),
    [
        ("ThO2", "Th: radioactive"),
        ("XeO3", "Xe: a noble gas"),
        ("PbTiO3", "Pb: forbidden in this laboratory"),
        ("As2O3", "As: too toxic"),
    ],
)
def test_elements_that_are_not_handled(formula: str, told: str) -> None:
    screen = handled(formula, {"Pb"})
    assert screen.verdict is Verdict.FAILED
    assert told in screen.reason


def test_elements_that_are_handled_with_care_are_noted() -> None:
    assert handled("LiNiO2").verdict is Verdict.PASSED
    assert "cancer" in handled("LiNiO2").reason
    assert handled("Bi2O3").reason == "allowed"


def test_a_furnace_must_reach_600_c_in_air() -> None:
    assert furnace(LIMITS).verdict is Verdict.PASSED
    cold = FiringLimits(
        max_temperature_c=500.0, max_ramp_c_per_min=10.0, atmospheres=(Atmosphere.AIR,)
    )
    assert furnace(cold).verdict is Verdict.FAILED
    no_air = FiringLimits(
        max_temperature_c=1100.0, max_ramp_c_per_min=10.0, atmospheres=(Atmosphere.AR,)
    )
    assert furnace(no_air).verdict is Verdict.FAILED


def test_precursors_must_be_on_the_shelf() -> None:
    made = in_stock("Li6MnO4", bench("Li2CO3", "MnO2"))
    assert made.verdict is Verdict.PASSED
    assert made.reason.startswith("6 Li2CO3 + 2 MnO2 → 2 Li6MnO4 + 6 CO2 + O2, ")
    lacking = in_stock("Li6MnO4", bench("Li2CO3"))
    assert lacking.verdict is Verdict.FAILED
    assert "Mn" in lacking.reason
    beyond = in_stock("Li3MnO7", bench("Li2CO3", "MnO2"))
    assert beyond.verdict is Verdict.FAILED
    assert "valences" in beyond.reason


def test_only_failures_that_decide_count() -> None:
    screens = [
        Screen(name="a", verdict=Verdict.FAILED, reason=""),
        Screen(name="b", verdict=Verdict.FAILED, reason="", decides=False),
        Screen(name="c", verdict=Verdict.UNKNOWN, reason=""),
    ]
    assert [s.name for s in failed(screens)] == ["a"]
    assert [s.name for s in unknown(screens)] == ["c"]
