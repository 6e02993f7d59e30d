"""Which gas a target is fired in, what was checked for it, and what a gas may do."""

import pytest

from alab.errors import TargetError
from alab.models import Atmosphere, FiringLimits
from planners.synthesis.atmosphere import check_asked, choose_atmosphere, gas_risks

AIR, O2, N2, AR, AR_H2 = (
    Atmosphere.AIR,
    Atmosphere.O2,
    Atmosphere.N2,
    Atmosphere.AR,
    Atmosphere.AR_H2,
)
EVERY = (AIR, O2, N2, AR, AR_H2)


def limits(*gases: Atmosphere) -> FiringLimits:
    return FiringLimits(max_temperature_c=1200, max_ramp_c_per_min=10, atmospheres=gases)


@pytest.mark.parametrize(
    ("target", "gases", "chosen"),
    [
        ("LiFePO4", (AIR, AR_H2, N2), N2),
        ("LiFePO4", (AIR, AR_H2), AR_H2),
        ("SrMoO3", (N2, AR_H2), AR_H2),
        ("BaTiO3", (Atmosphere.VACUUM, AIR), AIR),
        ("LiNiO2", EVERY, O2),
        ("BaPbO3", EVERY, O2),
    ],
)
def test_the_mildest_gas_that_keeps_the_valence_is_taken(target, gases, chosen):
    assert choose_atmosphere(target, limits(*gases))[0] is chosen


def test_vacuum_and_carbon_dioxide_are_never_taken_unasked():
    for target in ("LiFePO4", "BaTiO3", "SrMoO3"):
        with pytest.raises(TargetError, match="furnaces offer vacuum, CO2"):
            choose_atmosphere(target, limits(Atmosphere.VACUUM, Atmosphere.CO2))


def test_what_hydrogen_cannot_reduce_is_refused():
    for target in ("TiO", "EuO"):
        with pytest.raises(TargetError, match="more reduced than N2, Ar or Ar/H2"):
            choose_atmosphere(target, limits(AIR, AR_H2))
    with pytest.raises(TargetError, match="needs Ar/H2"):
        choose_atmosphere("SrMoO3", limits(N2))


@pytest.mark.parametrize(
    "target",
    ["SnS", "ZnS", "Bi2Se3", "EuSe", "CsPbI3", "LaBr3", "PbTe", "AlN", "CaCN2", "La2O2S",
     "Sm2Ti2S2O5", "Bi2O2Se", "BaTaO2N", "BiOI"],
)  # fmt: skip
def test_what_burns_is_never_fired_in_air(target):
    gas, why = choose_atmosphere(target, limits(*EVERY))
    assert gas is N2
    assert "air would burn" in why
    assert "were not checked" in why
    with pytest.raises(TargetError, match=r"needs N2 or Ar .* add one to the lab file"):
        choose_atmosphere(target, limits(AIR, O2))
    with pytest.raises(TargetError, match=r"would burn .* ask for N2 or Ar"):
        check_asked(target, O2)
    check_asked(target, AR)


@pytest.mark.parametrize(
    "target",
    ["Na2SO4", "PbSO4", "TeO2", "TiTe3O8", "Mn3TeO6", "Bi2TeO5", "Ba2NaIO6", "Ca5(PO4)3F",
     "Ca5(PO4)3Cl", "LaOF", "LaOCl", "BiOCl", "Na8Al6Si6O24Cl2", "NaCl", "CaF2"],
)  # fmt: skip
def test_oxyanions_and_oxide_halides_stay_in_air(target):
    gas, why = choose_atmosphere(target, limits(*EVERY))
    assert gas is AIR
    assert why == "by charge balance its metals have valences that last in air"
    check_asked(target, AIR)
    assert gas_risks(target, (), AIR) == []


def test_halides_that_moisture_turns_into_oxides_go_to_an_inert_gas_where_there_is_one():
    for target in ("KMgF3", "LaCl3", "NaYF4"):
        assert choose_atmosphere(target, limits(*EVERY))[0] is N2
        assert choose_atmosphere(target, limits(AIR)) == (AIR, "no inert gas is on offer")
        assert gas_risks(target, (), AIR) == [
            f"Moist air may turn {target} into an oxide or oxyhalide in part."
        ]
        assert gas_risks(target, (), N2) == []
    with pytest.raises(TargetError, match="Fe would oxidise in air"):
        choose_atmosphere("FeCl2", limits(AIR))


@pytest.mark.parametrize(
    ("target", "chosen"),
    [
        ("Eu2SiO4", AR_H2), ("EuTiO3", AR_H2), ("Eu2O3", AIR), ("Tb2O3", AIR), ("SnO", N2),
        ("SnO2", AIR), ("CeAlO3", AR_H2), ("CePO4", AIR), ("CeVO4", AIR), ("CeO2", AIR),
        ("Sb2O3", AIR), ("TlNbO3", AIR), ("PbTiO3", AIR), ("MnO", N2), ("Mn3O4", AIR),
        ("MnO2", AIR), ("MnTiO3", AIR), ("MnWO4", AIR), ("LiMnPO4", AIR), ("MnAl2O4", AIR),
    ],
)  # fmt: skip
def test_valences_that_air_does_not_leave_need_another_gas(target, chosen):
    assert choose_atmosphere(target, limits(*EVERY))[0] is chosen


def test_what_was_not_checked_is_said():
    gas, why = choose_atmosphere("Sr2PtO4", limits(*EVERY))
    assert gas is AIR
    assert "the valences were not checked, those of Pt are in no table" in why
    assert gas_risks("Sr2PtO4", (), AR_H2) == []


@pytest.mark.parametrize("target", ["NaNO3", "KClO4", "Ca(BrO3)2"])
def test_oxyanions_that_decompose_are_refused(target):
    with pytest.raises(TargetError, match="nitrates, chlorates and bromates decompose"):
        choose_atmosphere(target, limits(*EVERY))


@pytest.mark.parametrize(
    ("target", "powders", "gas", "told"),
    [
        ("PbTiO3", ("PbO", "TiO2"), AR_H2, ["may reduce PbO and PbTiO3 to metallic Pb"]),
        ("CuBi2O4", ("CuO", "Bi2O3"), AR_H2, ["and CuBi2O4 to metallic Bi and Cu"]),
        ("Zn2SnO4", ("ZnO", "SnO2"), AR_H2, ["metallic Sn and Zn"]),
        ("YVO4", ("Y2O3", "V2O5"), AR_H2, ["In Ar/H2 V of YVO4 may lose oxygen"]),
        ("LiFePO4", ("Li2CO3",), O2, ["In O2 Fe of LiFePO4 would oxidise"]),
        ("Eu2SiO4", ("Eu2O3", "SiO2"), AIR, ["In air Eu of Eu2SiO4 would oxidise"]),
        ("LiMn2O4", ("Li2CO3", "MnO2"), N2, ["In N2 Mn of LiMn2O4 may lose oxygen"]),
        ("CuO", (), AR, ["In Ar Cu of CuO may lose oxygen"]),
        ("BaTiO3", ("BaCO3", "TiO2"), AR_H2, []),
        ("LiFePO4", ("FeC2O4",), N2, []),
        ("CuCl2", (), N2, []),
    ],
)  # fmt: skip
def test_a_gas_that_oxidises_or_reduces_is_told(target, powders, gas, told):
    found = gas_risks(target, powders, gas)
    assert len(found) == len(told)
    for sentence, words in zip(found, told, strict=True):
        assert words in sentence
