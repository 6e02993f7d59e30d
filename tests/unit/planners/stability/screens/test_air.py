"""What air does to known compounds, by predicted energies on measured oxides.

The energies here are the measured enthalpies, shifted by a common error, of the project's own
crystals: what air really does to these compounds is known.
"""

from functools import cache

import pytest

from planners.stability.crystals import Crystal
from planners.stability.references.embedded import default_snapshot
from planners.stability.screens.air import PredictedEnergies, in_air
from planners.stability.screens.verdict import Screen, Verdict
from tests.crystal_predictor import own_structures

COMMON_ERROR_EV_PER_ATOM = 0.05


@cache
def energies() -> PredictedEnergies:
    table = default_snapshot()
    return PredictedEnergies(
        name="shifted",
        crystals={
            one.formula: (
                Crystal.of(one.structure),
                entry.formation_energy_ev_per_atom + COMMON_ERROR_EV_PER_ATOM,
            )
            for one in own_structures()
            if (entry := table.lowest(one.formula)) is not None
        },
    )


def judged(formula: str, gas: str) -> Screen:
    return next(s for s in in_air(formula, energies()) if s.name == f"air: {gas}")


def test_lithium_manganese_spinel_gives_off_oxygen_when_hot() -> None:
    screen = judged("LiMn2O4", "O2")
    assert screen.verdict is Verdict.FAILED
    assert "3 LiMn2O4 → 3 LiMnO2 + Mn3O4 + O2" in screen.reason
    assert screen.reason.endswith("unstable at 1100 °C")
    cool = in_air("LiMn2O4", energies(), temperatures_c=(600.0, 800.0))
    assert cool[0].verdict is Verdict.PASSED


def test_oxides_of_the_wrong_valence_change() -> None:
    assert "3 MnO2 → Mn3O4 + O2" in judged("MnO2", "O2").reason
    assert "4 MnO + O2 → 2 Mn2O3" in judged("MnO", "O2").reason
    assert "2 BaO + O2 → 2 BaO2" in judged("BaO", "O2").reason


def test_baryta_takes_up_carbon_dioxide_and_titanate_does_not() -> None:
    taken = judged("BaO", "CO2")
    assert taken.verdict is Verdict.FAILED
    assert "BaO + CO2 → BaCO3" in taken.reason
    assert taken.value_ev_per_atom is not None
    assert taken.value_ev_per_atom > 0.2
    # BaCO3 loses its CO2 in air above 900 °C
    assert taken.reason.endswith("unstable at 600, 700, 800 °C")
    assert judged("BaTiO3", "CO2").verdict is Verdict.PASSED
    assert judged("BaTiO3", "O2").verdict is Verdict.PASSED


def test_lime_keeps_above_600_c_but_not_at_room_temperature() -> None:
    assert judged("CaO", "CO2").verdict is Verdict.PASSED
    cold = in_air("CaO", energies(), temperatures_c=(100.0,))
    assert cold[1].verdict is Verdict.FAILED
    assert "CaO + CO2 → CaCO3" in cold[1].reason


def test_lanthana_takes_up_water_when_cold() -> None:
    assert judged("La2O3", "H2O").verdict is Verdict.PASSED
    cold = in_air("La2O3", energies(), temperatures_c=(27.0,))
    assert cold[2].verdict is Verdict.FAILED
    assert "La(OH)3" in cold[2].reason


def test_what_is_not_tabulated_is_unknown_and_never_passed() -> None:
    screen = judged("LiMn2O4", "H2O")
    assert screen.verdict is Verdict.UNKNOWN
    assert screen.value_ev_per_atom is None
    assert "no hydroxide of Li, Mn" in screen.reason


def test_an_element_without_oxides_in_the_table_is_unknown_to_all_gases() -> None:
    crystal, energy = energies().crystals["Na2O"]
    sulphide = Crystal(
        lattice_ang=crystal.lattice_ang,
        elements=tuple("S" if s == "O" else s for s in crystal.elements),
        fractional=crystal.fractional,
    )
    screens = in_air("Na2S", energies().with_candidate("Na2S", sulphide, energy))
    assert {s.verdict for s in screens} == {Verdict.UNKNOWN}
    assert "no solid of S with oxygen" in screens[0].reason


def test_a_common_error_of_the_predictions_cancels() -> None:
    exact = PredictedEnergies(
        name="exact",
        crystals={
            f: (c, e - COMMON_ERROR_EV_PER_ATOM) for f, (c, e) in energies().crystals.items()
        },
    )
    one = in_air("BaTiO3", exact)[0].value_ev_per_atom
    other = judged("BaTiO3", "O2").value_ev_per_atom
    assert one is not None
    assert one == pytest.approx(other, abs=1e-9)


def test_the_limit_turns_the_verdict() -> None:
    value = judged("BaTiO3", "O2").value_ev_per_atom
    assert value is not None
    strict = in_air("BaTiO3", energies(), limit_ev_per_atom=value - 1e-6)
    assert strict[0].verdict is Verdict.FAILED
    lenient = in_air("BaTiO3", energies(), limit_ev_per_atom=value + 1e-6)
    assert lenient[0].verdict is Verdict.PASSED
