"""Hazards: what is told, what is never used, and what is not mixed."""

import pytest

from planners.synthesis.common_powders import COMMON_POWDERS
from planners.synthesis.hazards import clash, is_fuel, is_oxidiser
from planners.synthesis.practical import concerns, usable_powders


def said(powder):
    return " ".join(concern.text for concern in concerns(powder))


def excluded(powder):
    return any(concern.excludes for concern in concerns(powder))


@pytest.mark.parametrize(
    ("powder", "word"),
    [
        ("PbO", "unborn child"), ("CdO", "H350"), ("HgO", "H330"), ("Tl2O3", "H300"),
        ("As2O3", "H301"), ("BeO", "H350i"), ("K2Cr2O7", r"Cr(VI)"), ("V2O5", "H330"),
        ("BaCO3", "H302"), ("LiNO3", "oxidiser"), ("Na2O2", "oxidiser"), ("La2O3", "takes up"),
        ("P2O5", "H314"), ("H3BO3", "H360FD"), ("B2O3", "H360FD"),
        ("Na2B4O7(H2O)10", "H360FD"), ("NaF", "H301"), ("NH4F", "H301"), ("CaF2", "HF"),
        ("NaNO2", "H301"), ("KMnO4", "H302"), ("KMnO4", "oxidiser"), ("NaNO2", "oxidiser"),
        ("Rb2CrO4", "Cr(VI)"), ("PbCrO4", "Cr(VI)"), ("(NH4)2CrO4", "Cr(VI)"), ("Li2S", "H2S"),
        ("Fe", "burns"), ("W", "burns"), ("C", "burns"),
    ],
)  # fmt: skip
def test_hazards_are_told(powder, word):
    assert word in said(powder)


@pytest.mark.parametrize("powder", ["TiO2", "Fe2O3", "ZrO2", "Cr2O3", "Li2CO3", "Ca3(PO4)2"])
def test_harmless_powders_raise_no_concern(powder):
    assert concerns(powder) == ()


@pytest.mark.parametrize(
    "powder",
    ["LaCrO3", "MgCr2O4", "Cr2(SO4)3", "CrPO4", "Cr(NO3)3(H2O)9", "Cr2(MoO4)3", "CrO2"],
)  # fmt: skip
def test_chromium_below_six_is_no_chromate(powder):
    assert "Cr(VI)" not in said(powder)


@pytest.mark.parametrize(
    ("word", "powders"),
    [
        ("explode", "Ba(ClO4)2 KClO3 NaClO2 KBrO3 Ca(IO3)2 K2S2O8 NaBO3(H2O)4"),
        ("explode", "NaN3 KN3 Pb(N3)2 NH4NO3 NH4ClO4 (NH4)2Cr2O7 NH4MnO4 Ag2C2O4"),
        ("cyanide", "NaCN KCN Zn(CN)2 K4Fe(CN)6(H2O)3 Hg(CNO)2 AgCNO"),
        ("poisonous vapour", "Hg HgO Tl2O3 As2O3 OsO4 RuO4 Tl2Ba2CuO6"),
        ("takes fire in air", "Li Na K Mg Ca Ba La Ce Al Ti Zr Hf Zn P LiAl Mg2Si"),
        ("moist air", "LiH NaH LiAlH4 NaBH4 TiH2 LiNH2 CaC2 Al4C3 Li3N Mg3N2 LaN AlP P4S10"),
    ],
)  # fmt: skip
def test_what_burns_poisons_or_explodes_is_never_used(word, powders):
    for powder in powders.split():
        kept, left_out = usable_powders({powder: 1e5, "TiO2": 1e5})
        assert kept == ("TiO2",), powder
        assert word in left_out[powder]


@pytest.mark.parametrize(
    "powder",
    ["BaCl2", "MgCl2(H2O)6", "CoCl2(H2O)6", "ZrOCl2(H2O)8", "LiNO3", "KNO3",
     "Al(NO3)3(H2O)9", "BaO2", "KMnO4", "NaNO2", "MnC2O4", "FeC2O4(H2O)2", "NH4H2PO4",
     "(NH4)2HPO4", "NH4Cl", "NH4HCO3", "LiOH(H2O)", "Na2CO3(H2O)10", "KSCN", "TiN", "Ti2CN",
     "AlN", "Si3N4", "SiC", "WC", "LaB6", "FeP", "FeS", "Fe", "Ni", "Co", "Cu", "Mo", "W",
     "Mn", "Si", "Pb5(PO4)3Cl"],
)  # fmt: skip
def test_what_a_chemist_uses_may_be_used(powder):
    assert not excluded(powder)


def test_no_common_powder_is_excluded_or_clashes_with_another():
    assert not [powder for powder in COMMON_POWDERS if excluded(powder)]
    assert clash(COMMON_POWDERS) is None


@pytest.mark.parametrize(
    "powder", ["KNO3", "NaNO2", "BaO2", "KMnO4", "KClO4", "KBrO3", "K2S2O8", "CrO3"]
)
@pytest.mark.parametrize(
    "fuel", ["Al", "C", "TiH2", "SiC", "FeS", "Li2C2O4", "FeC2O4(H2O)2", "LiC2H3O2", "NH4H2PO4"]
)
def test_an_oxidiser_is_not_mixed_with_a_fuel(powder, fuel):
    assert is_oxidiser(powder)
    assert is_fuel(fuel)
    assert clash((powder, "TiO2", fuel)) == (
        f"{powder} gives off oxygen and {fuel} burns in it; ground or heated together they "
        "can take fire or explode"
    )


@pytest.mark.parametrize(
    "powders",
    ["LiNO3 Co3O4", "BaO2 TiO2", "Ba(NO3)2 BaCO3 TiO2", "Li2CO3 NH4H2PO4 FeC2O4(H2O)2",
     "KMnO4 K2CO3", "Li2C2O4 MnC2O4", "NaNO3 NaHCO3 Fe2O3", "Fe NH4H2PO4 Li2CO3"],
)  # fmt: skip
def test_usual_mixtures_are_not_refused(powders):
    assert clash(powders.split()) is None
