"""Kinds of compounds, by formula alone."""

import pytest

from planners.synthesis.families import families, family, holds_spare_oxygen
from planners.synthesis.reactions import metals
from planners.synthesis.thermo import table


@pytest.mark.parametrize(
    ("powder", "kind"),
    [
        ("TiO2", "oxide"), ("HfO2", "oxide"), ("BaCO3", "carbonate"), ("NaHCO3", "carbonate"),
        ("MnC2O4", "organic salt"), ("LiC2H3O2", "organic salt"), ("Mg(OH)2", "hydroxide"),
        ("LiOH(H2O)", "hydroxide"), ("NH4H2PO4", "ammonium salt"), ("NH4VO3", "ammonium salt"),
        ("LiNO3", "nitrate"), ("Mg(NO3)2(H2O)6", "nitrate"), ("BaO2", "peroxide"),
        ("MnO2", "oxide"), ("CaTiO3", "mixed oxide"), ("Ti", "element"), ("TiN", "other"),
        ("CaC2", "other"), ("FeC2O4(H2O)2", "organic salt"), ("RbO2", "peroxide"),
        ("MgO2", "peroxide"), ("Zn5(CO3)2(OH)6", "carbonate"),
    ],
)  # fmt: skip
def test_families(powder, kind):
    assert family(powder) == kind


def test_sets_of_the_same_metals_differ_by_family():
    assert families(("BaCO3", "TiO2")) != families(("BaO2", "TiO2"))
    assert families(("Li2CO3", "MnO2")) == families(("Li2CO3", "Mn2O3"))


@pytest.mark.parametrize(
    "powder",
    ["KClO3", "NaClO", "Ca(IO3)2", "NH4ClO4", "NH4NO3", "NaNO2", "K2S2O8", "(NH4)2S2O8",
     "NaBO3(H2O)4", "Na4C2H6O12", "Mg(NO3)2(H2O)6", "BaO2", "BaO2(H2O)8", "KO2"],
)  # fmt: skip
def test_what_gives_oxygen_off_holds_more_than_its_elements_bind(powder):
    assert holds_spare_oxygen(powder)


@pytest.mark.parametrize(
    "powder",
    ["ZrOCl2(H2O)8", "MgCl2(H2O)6", "CoCl2(H2O)6", "Nb3O7Cl", "Pb5(PO4)3Cl", "NH4H2PO4",
     "NH4VO3", "(NH4)6Mo7O24(H2O)4", "LaTiO2N", "YBa2Cu3O7", "Pr6O11", "CaSO4(H2O)0.5", "O2"],
)  # fmt: skip
def test_the_oxygen_of_water_and_salts_is_bound(powder):
    assert not holds_spare_oxygen(powder)


def test_of_the_table_barium_peroxide_alone_holds_spare_oxygen():
    assert [p for p in table() if metals(p) and holds_spare_oxygen(p)] == ["BaO2"]
