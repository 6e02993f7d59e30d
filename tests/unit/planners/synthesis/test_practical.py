"""Hazards, air, families, and what may be used from a shelf."""

import pytest

from alab.errors import TargetError
from planners.synthesis.common_powders import COMMON_POWDERS
from planners.synthesis.practical import (
    check_forbidden_elements,
    concerns,
    families,
    family,
    firing_concerns,
    penalty,
    usable_powders,
    usualness,
)


def said(powder):
    return " ".join(concern.text for concern in concerns(powder))


@pytest.mark.parametrize(
    ("powder", "kind"),
    [
        ("TiO2", "oxide"), ("HfO2", "oxide"), ("BaCO3", "carbonate"), ("NaHCO3", "carbonate"),
        ("MnC2O4", "organic salt"), ("LiC2H3O2", "organic salt"), ("Mg(OH)2", "hydroxide"),
        ("LiOH(H2O)", "hydroxide"), ("NH4H2PO4", "ammonium salt"), ("NH4VO3", "ammonium salt"),
        ("LiNO3", "nitrate"), ("Mg(NO3)2(H2O)6", "nitrate"), ("BaO2", "peroxide"),
        ("MnO2", "oxide"), ("CaTiO3", "mixed oxide"), ("Ti", "element"), ("TiN", "other"),
        ("CaC2", "other"),
    ],
)  # fmt: skip
def test_families(powder, kind):
    assert family(powder) == kind


def test_sets_of_the_same_metals_differ_by_family():
    assert families(("BaCO3", "TiO2")) != families(("BaO2", "TiO2"))
    assert families(("Li2CO3", "MnO2")) == families(("Li2CO3", "Mn2O3"))


@pytest.mark.parametrize(
    ("powder", "word"),
    [
        ("PbO", "unborn child"), ("CdO", "H350"), ("HgO", "H330"), ("Tl2O3", "H300"),
        ("As2O3", "H301"), ("BeO", "H350i"), ("K2Cr2O7", r"Cr(VI)"), ("V2O5", "H330"),
        ("BaCO3", "H302"), ("LiNO3", "oxidiser"), ("Na2O2", "oxidiser"), ("La2O3", "takes up"),
        ("P2O5", "H314"),
    ],
)  # fmt: skip
def test_hazards_are_told(powder, word):
    assert word in said(powder)


@pytest.mark.parametrize("powder", ["TiO2", "Fe2O3", "ZrO2", "Cr2O3", "Li2CO3", "Ca3(PO4)2"])
def test_harmless_powders_raise_no_concern(powder):
    assert concerns(powder) == ()


@pytest.mark.parametrize("powder", ["Ba(ClO4)2", "KClO3", "NaN3", "NH4NO3", "(NH4)2Cr2O7"])
def test_explosives_are_not_used(powder):
    kept, left_out = usable_powders({powder: 1e5, "TiO2": 1e5})
    assert kept == ("TiO2",)
    assert "explode" in left_out[powder]


@pytest.mark.parametrize("powder", ["Ca3N2", "TiN", "BaCl2", "LiNO3", "NaClO"])
def test_others_do_not_explode(powder):
    assert "explode" not in said(powder)


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
