"""All precursor sets at once: the same as balancing each by itself."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from alab.errors import TargetError
from planners.synthesis import enumeration
from planners.synthesis.common_powders import COMMON_POWDERS
from planners.synthesis.enumeration import enumerate_sets
from planners.synthesis.hazards import clash
from planners.synthesis.reactions import metals, try_balance
from planners.synthesis.thermo import table

SOLIDS = sorted(key for key in table() if metals(key))
SALTS = ["LiNO3", "LiOH", "Li2C2O4", "MnC2O4", "Mg(NO3)2(H2O)6", "BaO2", "Ba(NO3)2"]


def balanced_one_by_one(target, powders, most):
    return {
        frozenset(chosen): try_balance(chosen, target)
        for size in range(1, most + 1)
        for chosen in combinations(powders, size)
        if try_balance(chosen, target) is not None and clash(chosen) is None
    }


def as_reactions(sets):
    return {frozenset(sets.names(row)): sets.reaction(row) for row in range(len(sets))}


def same(one, other):
    return (dict(one.reactants), one.product, dict(one.gases)) == (
        dict(other.reactants),
        other.product,
        dict(other.gases),
    )


@settings(max_examples=60, deadline=None)
@given(
    target=st.sampled_from([s for s in SOLIDS if 2 <= len(metals(s)) <= 3]),
    more=st.lists(st.sampled_from(SOLIDS + SALTS), unique=True, max_size=12),
)
def test_finds_what_balancing_each_set_finds(target, more):
    own = [s for s in SOLIDS if metals(s) <= metals(target)][:10]
    powders = list(dict.fromkeys([*own, *more]))
    usable = [p for p in powders if metals(p) <= metals(target)]
    expected = balanced_one_by_one(target, usable, len(metals(target)))
    found = as_reactions(enumerate_sets(target, powders))
    assert found.keys() == expected.keys()
    assert all(same(found[names], expected[names]) for names in expected)


def test_five_metals_of_a_common_shelf():
    """Every set is exact, and the plain one is among them."""
    sets = enumerate_sets("LiNa3Mg2Zr2P5O20", [*COMMON_POWDERS, "LiPO3", "NaPO3", "Mg2P2O7"])
    found = as_reactions(sets)
    assert frozenset({"Li2CO3", "Na2CO3", "MgO", "ZrO2", "NH4H2PO4"}) in found
    assert frozenset({"LiPO3", "NaPO3", "Na2CO3", "MgO", "ZrO2"}) not in found  # P falls short
    for names, reaction in found.items():
        assert same(reaction, try_balance(tuple(names), "LiNa3Mg2Zr2P5O20"))


def test_fractions_of_atoms_are_exact():
    sets = enumerate_sets("Li0.3Na0.7MnO2", ["Li2CO3", "Na2CO3", "MnO2"])
    (reaction,) = as_reactions(sets).values()
    assert same(reaction, try_balance(tuple(reaction.reactants), "Li0.3Na0.7MnO2"))


def test_the_same_powder_twice_is_one():
    sets = enumerate_sets("BaTiO3", ["BaCO3", "TiO2", "Ti2O4", "BaCO3"])
    assert [set(sets.names(row)) for row in range(len(sets))] == [{"BaCO3", "TiO2"}]


@pytest.mark.parametrize(
    ("target", "powders", "most"),
    [("BaTiO3", ["BaCO3"], 5), ("BaTiO3", [], 5), ("NaZr2(PO4)3", list(COMMON_POWDERS), 2)],
)
def test_nothing_balances(target, powders, most):
    assert len(enumerate_sets(target, powders, most_precursors=most)) == 0


def test_gases_are_those_of_the_reaction():
    powders = ["Li2CO3", "LiNO3", "LiOH", "MnO2", "MnCO3", "NH4H2PO4", "(NH4)2HPO4", "LiMn2O4"]
    sets = enumerate_sets("LiMnPO4", powders)
    gases = sets.gases()
    assert len(sets) > 10
    for row in range(len(sets)):
        exact = sets.reaction(row).gases
        for gas, moles in gases.items():
            assert moles[row] == pytest.approx(float(exact.get(gas, 0)), abs=1e-8)


def test_too_many_rays_leave_out_the_mixed_ones(monkeypatch):
    powders = [s for s in SOLIDS if metals(s) <= {"Na", "Zr", "P"}]
    monkeypatch.setattr(enumeration, "MOST_COMBINATIONS", 10)
    few = enumerate_sets("NaZr2(PO4)3", powders)
    assert "NaZr2(PO4)3" in few.left_out
    assert {"Na2CO3", "ZrO2", "P2O5"}.isdisjoint(few.left_out)
    assert len(few) > 0


def test_too_many_sets_leave_out_the_powders_named_last(monkeypatch):
    powders = ["BaCO3", "BaO", "BaO2", "Ba(NO3)2", "TiO2"]
    assert len(enumerate_sets("BaTiO3", powders)) == 4
    monkeypatch.setattr(enumeration, "MOST_SETS", 2)
    few = enumerate_sets("BaTiO3", powders)
    assert {frozenset(few.names(row)) for row in range(len(few))} == {
        frozenset({"BaCO3", "TiO2"}),
        frozenset({"BaO", "TiO2"}),
    }
    assert few.left_out == ("Ba(NO3)2", "BaO2")


def test_selecting_keeps_rows_together():
    sets = enumerate_sets("BaTiO3", ["BaCO3", "BaO", "TiO2"])
    one = sets.only(np.array([False, True]))
    assert len(one) == 1
    assert one.names(0) == sets.names(1)
    assert same(one.reaction(0), sets.reaction(1))


def test_the_most_electropositive_metal_is_written_first():
    sets = enumerate_sets("NaZr2(PO4)3", ["NH4H2PO4", "ZrO2", "Na2CO3"])
    assert list(sets.reaction(0).reactants) == ["Na2CO3", "ZrO2", "NH4H2PO4"]


def test_an_oxidiser_and_a_fuel_are_in_no_set():
    powders = ["LiNO3", "Li2CO3", "MnC2O4", "MnO2"]
    found = as_reactions(enumerate_sets("LiMn2O4", powders)).keys()
    assert frozenset({"LiNO3", "MnC2O4"}) not in found
    assert {frozenset(s) for s in (("LiNO3", "MnO2"), ("Li2CO3", "MnC2O4"))} <= found


def test_a_shelf_of_oxidiser_and_fuel_alone_is_refused_by_name():
    with pytest.raises(
        TargetError, match=r"LiMn2O4: .* LiNO3 gives off oxygen and MnC2O4 burns"
    ):
        enumerate_sets("LiMn2O4", ["LiNO3", "MnC2O4"])
