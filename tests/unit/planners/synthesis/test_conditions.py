"""What the firing conditions rest on: papers, and what target and furnace stand."""

from dataclasses import replace

import pytest

from alab.errors import TargetError
from alab.models import Atmosphere, FiringLimits
from planners.literature.conditions import loose_powder, predict_conditions
from planners.synthesis import conditions
from planners.synthesis.conditions import (
    VOLATILE,
    ceiling,
    check_dry,
    choose_temperature,
    excess_fraction,
)
from planners.synthesis.reactions import balance


def limits(max_temperature_c: float = 1700, *gases: Atmosphere) -> FiringLimits:
    return FiringLimits(
        max_temperature_c=max_temperature_c,
        max_ramp_c_per_min=10,
        atmospheres=gases or (Atmosphere.AIR,),
    )


def test_a_target_is_fired_as_papers_do():
    reaction = balance(("BaCO3", "TiO2"), "BaTiO3")
    choice = choose_temperature(reaction, Atmosphere.AIR, limits())
    learnt = predict_conditions("BaTiO3", ("BaCO3", "TiO2"), route=loose_powder(Atmosphere.AIR))
    assert choice.temperature_c == pytest.approx(learnt.temperature_c, abs=25)
    assert choice.temperature_low_c == learnt.temperature_low_c
    assert choice.temperature_high_c == learnt.temperature_high_c
    assert "learnt from" in choice.reasons[0]
    assert f"{learnt.temperature_high_c:.0f} °C" in choice.reasons[0]
    assert choice.risks == ()


def test_the_dwell_of_papers_is_told_within_bounds(monkeypatch):
    reaction = balance(("BaCO3", "TiO2"), "BaTiO3")
    route = loose_powder(Atmosphere.AIR)
    learnt = predict_conditions("BaTiO3", ("BaCO3", "TiO2"), route=route)
    anew = predict_conditions(
        "BaTiO3", ("BaCO3", "TiO2"), route=replace(route, fired_before=None)
    )
    choice = choose_temperature(reaction, Atmosphere.AIR, limits())
    assert choice.papers_dwell_h == learnt.dwell_h
    assert choice.papers_regrind == anew.regrinds
    for hours, held, words in (
        (0.3, 2.0, "4 h: papers hold about 2 h and 40 % regrind"),
        (100.0, 24.0, "4 h first: papers hold about 24 h and 40 % regrind; what stays"),
    ):
        other = replace(learnt, dwell_h=hours, regrinds=0.4)
        monkeypatch.setattr(conditions, "predict_conditions", lambda *_, c=other, **__: c)
        choice = choose_temperature(reaction, Atmosphere.AIR, limits())
        assert choice.papers_dwell_h == held
        assert choice.reasons[-1].startswith(words)


def test_the_furnace_bounds_what_papers_do_and_a_risk_says_so():
    reaction = balance(("MgO", "Al2O3"), "MgAl2O4")
    choice = choose_temperature(reaction, Atmosphere.AIR, limits(1000))
    assert choice.temperature_c == 1000
    assert choice.temperature_high_c > 1000
    assert "papers would take" in choice.risks[0]


def test_evaporation_bounds_what_papers_do():
    top_c, why = ceiling("PbZrO3", limits())
    assert (top_c, why) == (1200, "evaporation of Pb")
    assert ceiling("LaOCl", limits())[1] == "evaporation of Cl"
    assert excess_fraction("Pb", 1000) == pytest.approx(0.02)
    assert excess_fraction("Pb", 850) == 0
    assert all(v.onset_c < v.ceiling_c for v in VOLATILE.values())


def test_an_element_no_paper_fired_is_refused():
    reaction = balance(("Cf2O3", "Al2O3"), "CfAlO3")
    with pytest.raises(TargetError, match="no firing with it was learnt from"):
        choose_temperature(reaction, Atmosphere.AIR, limits())


@pytest.mark.parametrize(
    ("target", "powders", "highest_c"),
    [
        ("Li2MoO4", ("Li2CO3", "MoO3"), 601),
        ("NaVO3", ("Na2CO3", "V2O5"), 530),
        ("Na2B4O7", ("Na2CO3", "B2O3"), 643),
        ("LiB3O5", ("Li2CO3", "B2O3"), 834),
        ("YBa2Cu3O7", ("Y2O3", "BaCO3", "CuO"), 1010),
    ],
)
def test_no_firing_is_hotter_than_melting_or_decomposition_allows(target, powders, highest_c):
    choice = choose_temperature(balance(powders, target), Atmosphere.O2, limits(1200))
    assert choice.highest_c == highest_c
    assert choice.temperature_c <= highest_c


def test_papers_bound_what_no_table_bounds():
    reaction = balance(("PbO", "ZrO2"), "PbZrO3")
    choice = choose_temperature(reaction, Atmosphere.AIR, limits(1200))
    assert choice.temperature_c <= choice.highest_c == choice.temperature_high_c < 1000
    known = choose_temperature(
        balance(("MgO", "Al2O3"), "MgAl2O4"), Atmosphere.AIR, limits(1700)
    )
    assert known.highest_c == 1700 > known.temperature_high_c


@pytest.mark.parametrize(
    ("target", "powders", "words"),
    [
        ("P2O5", ("NH4H2PO4",), "below 360 °C by decomposition at 360 °C"),
        ("KVO3", ("K2CO3", "V2O5"), "below 420 °C by melting at 520 °C"),
    ],
)
def test_what_does_not_stand_the_lowest_firing_is_refused(target, powders, words):
    with pytest.raises(TargetError, match=f"{words}, and no firing here is below 500 °C"):
        choose_temperature(balance(powders, target), Atmosphere.AIR, limits())


@pytest.mark.parametrize("target", ["NH4H2PO4", "CsH2PO4", "La(OH)3", "FeOOH"])
def test_what_loses_its_hydrogen_is_refused(target):
    with pytest.raises(TargetError, match="leaves a furnace as water or ammonia"):
        check_dry(target)


def test_hydroxyapatite_keeps_its_hydrogen():
    check_dry("Ca10(PO4)6(OH)2")
    check_dry("BaTiO3")
