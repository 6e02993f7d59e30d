"""Practice: what may be used from a shelf, what is usual, what melts."""

import pytest

from alab.errors import TargetError
from planners.synthesis.common_powders import COMMON_POWDERS
from planners.synthesis.practical import (
    check_forbidden_elements,
    concerns,
    firing_concerns,
    penalty,
    usable_powders,
    usualness,
)


def test_what_is_left_out_says_why():
    shelf = {"BaCO3": 1e5, "PbO": 1e5, "TiO2": 0.0, "Ti2O3": 1e5, "ZrO2": 1e5}
    kept, left_out = usable_powders(
        shelf, forbidden_elements=["Pb"], forbidden_precursors=["BaC1O3"]
    )
    assert set(kept) == {"Ti2O3", "ZrO2"}
    assert left_out == {
        "BaCO3": "BaCO3 is on the list of forbidden precursors",
        "PbO": "PbO holds Pb, forbidden here",
        "TiO2": "TiO2 is out of stock",
    }


def test_usual_and_harmless_powders_come_first():
    kept, _ = usable_powders(dict.fromkeys(["BaO2", "Ba(NO3)2", "BaTiO3", "BaCO3"], 1e5))
    assert kept[0] == "BaCO3"
    assert kept.index("Ba(NO3)2") < kept.index("BaO2")
    assert usualness("CaTiO3") < usualness("Li2C2O4") < usualness("Y2O3")


def test_forbidden_elements_must_be_elements():
    assert check_forbidden_elements(["Pb", "Cd"]) == {"Pb", "Cd"}
    with pytest.raises(TargetError, match="'Xy' among the forbidden elements"):
        check_forbidden_elements(["Xy"])


def test_melting_is_told_above_the_melting_point_alone():
    (concern,) = firing_concerns("Li2CO3", 800.0)
    assert "melts at 723 °C" in concern.text
    assert firing_concerns("Li2CO3", 700.0) == ()
    assert firing_concerns("NH4H2PO4", 900.0) == ()  # it melts and reacts on the way, always


def test_common_powders_are_safe_enough_and_different():
    assert len(set(COMMON_POWDERS)) == len(COMMON_POWDERS)
    assert not [p for p in COMMON_POWDERS if any(c.excludes for c in concerns(p))]
    assert all(penalty(p) <= 1.0 for p in COMMON_POWDERS)
