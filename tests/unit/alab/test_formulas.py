"""Formulas as people type them."""

import pytest
from hypothesis import given, strategies as st
from pymatgen.core import Composition

from alab.errors import TargetError
from alab.formulas import plain_formula


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        (" BaTiO3 ", "BaTiO3"),
        ("NaZr2(PO4)3", "NaZr2(PO4)3"),
        ("K3[Fe(CN)6]", "K3[Fe(CN)6]"),
        ("La.7Sr0.3MnO3", "La.7Sr0.3MnO3"),
        ("Ni(NO3)2(H2O)6", "Ni(NO3)2(H2O)6"),
        ("Ni(NO3)2·6H2O", "Ni(NO3)2(H2O)6"),
        ("Ni(NO3)2•6H2O", "Ni(NO3)2(H2O)6"),
        ("Ni(NO3)2*6H2O", "Ni(NO3)2(H2O)6"),
        ("Ni(NO3)2 · 6(H2O)", "Ni(NO3)2(H2O)6"),
        ("LiOH·H2O", "LiOH(H2O)"),
        ("CaSO4·0.5H2O", "CaSO4(H2O)0.5"),
        ("2Na2CO3·3H2O2", "(Na2CO3)2(H2O2)3"),
        ("LaMnO3.1·H2O", "LaMnO3.1(H2O)1"),
        ("Li0.5CoO2·0.6H2O", "Li0.5CoO2(H2O)0.6"),
    ],
)
def test_reads_what_people_write(typed, plain):
    assert plain_formula(typed) == plain
    assert plain_formula(plain) == plain


def test_the_water_of_nickel_nitrate_is_weighed():
    # nickel(II) nitrate hexahydrate, 290.79 g/mol (CRC Handbook of Chemistry and Physics)
    assert Composition(plain_formula("Ni(NO3)2·6H2O")).weight == pytest.approx(290.79, abs=0.01)


@pytest.mark.parametrize(
    ("typed", "way_out"),
    [
        ("Ni(NO3)2.6H2O", "'Ni(NO3)2·6H2O' or 'Ni(NO3)2(H2O)6'"),
        ("LiOH.H2O", "'LiOH·H2O' or 'LiOH(H2O)'"),
        ("CaSO4.0.5H2O", "'CaSO4·0.5H2O' or 'CaSO4(H2O)0.5'"),
        ("CaSO4.2(H2O)", "'CaSO4·2(H2O)' or 'CaSO4(H2O)2'"),
        ("MgCO3.Mg(OH)2", "'MgCO3·Mg(OH)2'"),
        ("K2SO4.Al2(SO4)3.24H2O", "'K2SO4·Al2(SO4)3·24H2O'"),
        ("La0.5·3H2O.2H2O", "'La0.5·3H2O·2H2O'"),
    ],
)
def test_a_full_stop_is_no_dot(typed, way_out):
    with pytest.raises(TargetError) as caught:
        plain_formula(typed)
    assert way_out in str(caught.value)


@pytest.mark.parametrize(
    "typed",
    ["", "  ", "Xx", "Tio2", "Ba Ti O3", "2H2O", "TiO2·", "·", "NiCl2·xH2O", "TiO2.", "Fe3+",
     "BaTi(O3", "Ba)2(O", "Ba(O]", "()", "titania", "TiO2; rm", "TiO2\nBaO"],
)  # fmt: skip
def test_what_is_no_formula(typed):
    with pytest.raises(TargetError, match="is no chemical formula; write it like BaTiO3"):
        plain_formula(typed)


@given(st.text(alphabet="BaTiO32.·*()[] HxN", max_size=15))
def test_whatever_is_typed_is_read_or_refused(typed):
    try:
        plain = plain_formula(typed)
    except TargetError:
        return
    assert plain_formula(plain) == plain
    assert Composition(plain, strict=True).num_atoms >= 0
