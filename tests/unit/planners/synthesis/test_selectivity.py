"""Inverse hull energy, primary and secondary competition: by hand and by brute force."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from alab.errors import BadInput
from alab.models import Atmosphere
from planners.synthesis import selectivity as module
from planners.synthesis.interface_hull import InterfaceHull, InterfaceReaction, interface_hull
from planners.synthesis.reactions import balance, driving_force_ev_per_atom
from planners.synthesis.selectivity import (
    inverse_hull_energy_ev_per_atom,
    metals_per_atom,
    selectivity,
    sequence_energy,
)
from planners.synthesis.thermo import MissingThermoError

AIR = Atmosphere.AIR


def hull_of(first, second, points):
    """A hull through points (ratio, energy, product), all of them corners."""
    reactions = tuple(
        InterfaceReaction(
            ratio=x, energy_ev_per_metal_atom=e, products=(product,), shares=(1.0,)
        )
        for x, e, product in points
    )
    ends = [InterfaceReaction(ratio=x, energy_ev_per_metal_atom=0.0) for x in (0.0, 1.0)]
    kinks = tuple(sorted([*ends, *reactions], key=lambda r: r.ratio))
    return InterfaceHull(first=first, second=second, reactions=reactions, kinks=kinks)


def depth(left, mid, right):
    return mid[1] - (left[1] + (mid[0] - left[0]) / (right[0] - left[0]) * (right[1] - left[1]))


def every_sequence(points):
    """Energies of all sequences that split an interval, one by one."""
    if len(points) == 2:
        return [0.0]
    return [
        depth(points[0], points[i], points[-1]) + left + right
        for i in range(1, len(points) - 1)
        for left in every_sequence(points[: i + 1])
        for right in every_sequence(points[i:])
    ]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.01, 0.99), st.floats(-2.0, 0.0)),
        max_size=6,
        unique_by=lambda point: round(point[0], 6),
    )
)
def test_the_mean_over_sequences_is_that_of_all_one_by_one(inner):
    points = sorted([(0.0, 0.0), *inner, (1.0, 0.0)])
    one_by_one = every_sequence(points)
    ratios, energies = (np.array(column) for column in zip(*points, strict=True))
    assert sequence_energy(ratios, energies) == pytest.approx(np.mean(one_by_one), abs=1e-9)


def test_no_corner_no_energy_and_one_corner_its_depth():
    assert sequence_energy(np.array([0.0, 1.0]), np.array([0.0, 0.0])) == 0.0
    found = sequence_energy(np.array([0.0, 0.25, 1.0]), np.array([-0.4, -0.5, 0.0]))
    assert found == pytest.approx(-0.5 + 0.3)  # the chord lies at −0.3 there


def test_a_small_system_by_hand(monkeypatch):
    """SrO | TiO2: Sr2TiO4 at 1/3 with −0.30, the target at 1/2 with −0.40 eV per metal atom.

    C1 = −0.40 + 0.30. Between SrO and the target Sr2TiO4 lies 0.0333 below the chord; beside
    TiO2 nothing forms. The target SrTiO3 has 2 metal atoms among 5.
    """
    hulls = {
        ("SrO", "TiO2"): hull_of(
            "SrO", "TiO2", [(1 / 3, -0.30, "Sr2TiO4"), (0.5, -0.40, "SrTiO3")]
        ),
        ("SrTiO3", "SrO"): hull_of("SrTiO3", "SrO", [(1 / 3, -0.30 + 0.8 / 3, "Sr2TiO4")]),
        ("SrTiO3", "TiO2"): hull_of("SrTiO3", "TiO2", []),
    }
    potentials = {"SrO": -1.0, "TiO2": -2.0, "SrTiO3": -1.9}  # −1.5 − 0.40
    monkeypatch.setattr(module, "interface_hull", lambda a, b, *_: hulls[a, b])
    monkeypatch.setattr(
        module, "grand_potential_ev_per_metal_atom", lambda f, *_: potentials[f]
    )
    found = selectivity(balance(("SrO", "TiO2"), "SrTiO3"), 1234.5, AIR)
    module._rival_on.cache_clear()  # what it remembers is made up
    module._mean_sequence_energy.cache_clear()
    assert found.reaction_energy_ev_per_atom == pytest.approx(-0.40 * 2 / 5)
    assert found.primary_competition_ev_per_atom == pytest.approx(-0.10 * 2 / 5)
    assert found.secondary_competition_ev_per_atom == pytest.approx(0.1 / 3 * 2 / 5)
    assert found.best_rival == ("Sr2TiO4",)
    assert found.rival_pair == ("SrO", "TiO2")


def test_for_two_powders_c2_is_the_split_of_their_own_hull():
    """The two interfaces with the target are the two halves of the precursors' hull."""
    at_c = 1000.0
    found = selectivity(balance(("BaO", "TiO2"), "BaTiO3"), at_c, AIR)
    kinks = interface_hull("BaO", "TiO2", at_c, AIR).kinks
    place = next(i for i, k in enumerate(kinks) if k.products == ("BaTiO3",))
    total = 0.0
    for half in (kinks[: place + 1], kinks[place:]):
        ratios = np.array([k.ratio for k in half])
        energies = np.array([k.energy_ev_per_metal_atom for k in half])
        total += sequence_energy(ratios, energies)
    assert total < 0
    expected = -total * metals_per_atom("BaTiO3")
    assert found.secondary_competition_ev_per_atom == pytest.approx(expected)


def test_the_reaction_energy_is_the_driving_force():
    reaction = balance(("Na2CO3", "ZrO2", "NH4H2PO4"), "NaZr2(PO4)3")
    found = selectivity(reaction, 900.0, AIR)
    force = driving_force_ev_per_atom(reaction, 900.0, AIR)
    assert found.reaction_energy_ev_per_atom == pytest.approx(-force)


def test_intermediates_are_more_selective_than_raw_powders():
    """NaPO3 + ZrO2 + ZrP2O7 leave less to compete than carbonate, oxide and ammonium salt."""
    raw = selectivity(balance(("Na2CO3", "ZrO2", "NH4H2PO4"), "NaZr2(PO4)3"), 900.0, AIR)
    made = selectivity(balance(("NaPO3", "ZrO2", "ZrP2O7"), "NaZr2(PO4)3"), 900.0, AIR)
    assert made.primary_competition_ev_per_atom < 0 < raw.primary_competition_ev_per_atom
    assert made.secondary_competition_ev_per_atom < raw.secondary_competition_ev_per_atom


def test_a_lone_compound_of_its_line_has_no_rival():
    found = selectivity(balance(("MgO", "Al2O3"), "MgAl2O4"), 1100.0, AIR)
    assert found.best_rival == ()
    energy = found.reaction_energy_ev_per_atom
    assert found.primary_competition_ev_per_atom == pytest.approx(energy)
    assert found.secondary_competition_ev_per_atom == 0.0


def test_inverse_hull_energy_by_the_reaction_that_bounds_it():
    """Below the hull of Ba2TiO4 and TiO2, its neighbours on the line."""
    force = driving_force_ev_per_atom(balance(("Ba2TiO4", "TiO2"), "BaTiO3"), 1000.0, AIR)
    found = inverse_hull_energy_ev_per_atom("BaTiO3", 1000.0, AIR)
    assert found == pytest.approx(force)


def test_a_metastable_target_lies_above():
    """Mn3O4 gives way to Mn2O3 in cool air; MnO even more."""
    force = driving_force_ev_per_atom(balance(("Mn2O3",), "MnO"), 600.0, AIR)
    found = inverse_hull_energy_ev_per_atom("MnO", 600.0, AIR)
    assert found == pytest.approx(force)
    assert found < 0


def test_an_unknown_target_is_an_error():
    with pytest.raises(MissingThermoError, match="Ba2YCu3O7"):
        inverse_hull_energy_ev_per_atom("Ba2YCu3O7", 900.0, AIR)


def test_others_that_cannot_make_up_the_target_are_named(monkeypatch):
    monkeypatch.setattr(module, "rivals", lambda *_a, **_k: ("TiO2",))
    with pytest.raises(BadInput, match=r"other known solids, TiO2, cannot make up BaTiO3"):
        inverse_hull_energy_ev_per_atom.__wrapped__("BaTiO3", 1000.0, AIR)
    monkeypatch.setattr(module, "rivals", lambda *_a, **_k: ())
    with pytest.raises(BadInput, match="no other solid of Ba, Ti is known"):
        inverse_hull_energy_ev_per_atom.__wrapped__("BaTiO3", 1000.0, AIR)
