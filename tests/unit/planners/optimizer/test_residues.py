"""What heat leaves of powders: textbook cases, and the pairs of powders that are one."""

import pytest

from planners.optimizer.residues import oxidised, residue, residues, stays_carbonate
from planners.synthesis.thermo import reduced
from tests.unit.planners.optimizer.firings import recipe


@pytest.mark.parametrize(
    ("powder", "temperature_c", "left"),
    [
        ("CuCO3", 900, "CuO"),
        ("Cu2CO3(OH)2", 900, "CuO"),
        ("Y2(CO3)3", 900, "Y2O3"),
        ("MnCO3", 800, "Mn2O3"),
        ("CaCO3", 1100, "CaO"),
        ("Mg(OH)2", 900, "MgO"),
        ("Al(OH)3", 900, "Al2O3"),
        ("Ba(NO3)2", 900, "BaO"),
        ("Al(NO3)3", 900, "Al2O3"),
        ("BaO2", 900, "BaO"),
        ("MnO2", 800, "Mn2O3"),
        ("NH4H2PO4", 900, "P2O5"),
        ("NH4VO3", 800, "V2O5"),
        ("(NH4)6Mo7O24", 800, "MoO3"),
    ],
)
def test_heat_leaves_the_oxide(powder: str, temperature_c: float, left: str):
    assert residue(powder, temperature_c) == reduced(left)


@pytest.mark.parametrize(
    ("powder", "temperature_c"),
    [
        ("BaCO3", 900),
        ("SrCO3", 1000),
        ("CaCO3", 750),
        ("Li2CO3", 900),
        ("Rb2CO3", 900),
        ("LiOH", 500),
        ("Ba(OH)2", 600),
        ("BaO2", 600),
        ("CuCO3", 300),
        ("TiO2", 1500),
        ("BaTiO3", 1300),
        ("SiO2", 1500),
    ],
)
def test_what_keeps_is_left_as_it_is(powder: str, temperature_c: float):
    assert residue(powder, temperature_c) == reduced(powder)


def test_both_ammonium_phosphates_leave_the_same():
    assert residue("NH4H2PO4", 700) == residue("(NH4)2HPO4", 700) == "P2O5"


def test_several_metals_are_named_in_one_order():
    assert residue("CaMg(CO3)2", 900) == "oxides of Ca and Mg"
    assert residue("Mg0.5Ca0.5CO3", 900) == residue("CaMg(CO3)2", 900)


def test_a_powder_decomposes_a_hundred_degrees_below_the_firing():
    """Mg(OH)2 loses its water at 350 °C."""
    assert residue("Mg(OH)2", 449) == reduced("Mg(OH)2")
    assert residue("Mg(OH)2", 450) == "MgO"


@pytest.mark.parametrize("element", ["Sc", "Gd", "Ga", "In", "B", "Rb"])
def test_no_oxide_is_made_up_where_none_is_known(element: str):
    assert residue(f"{element}(NO3)3", 900) == f"oxides of {element}"


def test_a_set_is_judged_at_its_highest_temperature():
    moles = {"BaO2": 2.0, "CuCO3": 3.0, "Y2O3": 0.5}
    assert residues(recipe(moles, 900)) == {"BaO", "CuO", "Y2O3"}
    assert residues(recipe(moles, 600)) == {"BaO2", "CuO", "Y2O3"}


@pytest.mark.parametrize(
    ("powder", "temperature_c", "stays"),
    [
        ("BaCO3", 900, True),
        ("Li2CO3", 900, True),
        ("Na2CO3", 900, True),
        ("CaCO3", 900, True),
        ("CaCO3", 1100, False),
        ("CuCO3", 900, False),
        ("CuCO3", 300, True),
        ("BaO", 900, False),
        ("Ba(OH)2", 600, False),
        ("Na2C2O4", 600, True),
        ("FeC2O4", 800, False),
        ("NaHCO3", 700, True),
        ("BaC2O4", 300, False),
    ],
)
def test_carbonates_whose_gas_has_to_be_driven_out(
    powder: str, temperature_c: float, stays: bool
):
    assert stays_carbonate(powder, temperature_c) is stays


@pytest.mark.parametrize(
    ("solid", "becomes"),
    [
        ("Cu2O", "CuO"),
        ("MoO2", "MoO3"),
        ("Fe3O4", "Fe2O3"),
        ("CuO", "CuO"),
        ("BaO", "BaO"),
        ("BaCO3", "BaCO3"),
        ("Y2Cu2O5", "Y2Cu2O5"),
        ("oxides of Sc", "oxides of Sc"),
    ],
)
def test_lower_oxides_take_up_oxygen(solid: str, becomes: str):
    assert oxidised(reduced(solid) if " " not in solid else solid) == (
        reduced(becomes) if " " not in becomes else becomes
    )


def test_salts_of_metals_that_keep_their_carbonate_leave_it():
    assert residue("BaC2O4", 900) == "BaCO3"
    assert residue("NaHCO3", 700) == "Na2CO3"
    assert residue("FeC2O4", 800) == "Fe2O3"
    assert residue("CaC2O4", 1100) == "CaO"
