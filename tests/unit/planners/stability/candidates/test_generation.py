"""Candidates of a system: every order of its elements, partial substitutions, no copies."""

import math
from itertools import permutations

import pytest
from pymatgen.core import Composition

from alab.errors import BadInput
from planners.stability.candidates.generation import (
    ORDINARY,
    SAME_TYPE,
    Generated,
    charges_balance,
    chemical_system,
    generate,
)
from planners.stability.candidates.lineage import Kind
from planners.stability.candidates.oxidation import RELAXED
from planners.stability.candidates.prototypes import KnownStructure, aflow_prototypes
from planners.stability.candidates.substitution import element_probabilities
from tests.crystal_predictor import own_structures

SYSTEM = ("Li", "Mn", "O")


def picked(*formulas: str) -> list[KnownStructure]:
    wanted = {Composition(formula).reduced_formula for formula in formulas}
    return [one for one in own_structures() if one.formula in wanted]


@pytest.fixture(scope="module")
def spinels() -> Generated:
    return generate(SYSTEM, picked("MgAl2O4", "ZnAl2O4", "ZnFe2O4"), {"LiMn2O4"})


def test_a_system_is_read_and_sorted() -> None:
    assert chemical_system("O-Li, Mn") == ("Li", "Mn", "O")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Li-Xx-O", "'Xx', no element"),
        ("li-O", "'li', no element"),
        ("Li", r"1 element\(s\)"),
        ("", r"0 element\(s\)"),
        ("Li-O-Li", "Li twice"),
        ("Li-Na-K-Mn-Fe-Co-O", r"7 element\(s\)"),
    ],
)
def test_a_wrong_system_is_refused(text: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        chemical_system(text)


def test_whole_substitutions_are_all_orders_of_all_subsets() -> None:
    parent = picked("MgAl2O4")
    made = generate(SYSTEM, parent, set(), balanced=False, near_parents=0)
    whole = [p for p in made.new if p.kind is Kind.SUBSTITUTION]
    expected = {
        Composition({a: 1, b: 2, c: 4}).reduced_formula for a, b, c in permutations(SYSTEM)
    }
    assert {p.formula for p in whole} == expected
    rock_salt = generate(SYSTEM, picked("MgO"), set(), balanced=False, near_parents=0)
    # both orders of an AB compound of rock salt are one crystal
    assert sorted(p.formula for p in rock_salt.new) == ["Li2O2", "LiMn", "MnO"]


def test_known_compositions_are_kept_apart(spinels: Generated) -> None:
    assert {p.formula for p in spinels.known} == {"LiMn2O4"}
    assert "LiMn2O4" not in {p.formula for p in spinels.new}


def test_charges_are_balanced_and_elements_stay_within(spinels: Generated) -> None:
    assert spinels.left_out["charges cannot balance"] > 0
    for one in spinels.new:
        assert charges_balance(one.formula, RELAXED)
        assert set(Composition(one.formula).get_el_amt_dict()) <= set(SYSTEM)
        assert str(one.structure.composition.reduced_formula) == one.formula


def test_copies_by_other_parents_are_dropped_and_counted(spinels: Generated) -> None:
    same = [p for p in spinels.known if p.type_label == spinels.known[0].type_label]
    assert len(same) == SAME_TYPE == 2
    assert spinels.left_out["the same structure type from another parent"] > 0


def test_the_likeliest_parent_comes_first(spinels: Generated) -> None:
    def mean_log(*pairs: tuple[str, str]) -> float:
        logs = [math.log(element_probabilities(old)[new]) for old, new in pairs]
        return sum(logs) / len(logs)

    chances = {
        "MgAl2O4": mean_log(("Mg", "Li"), ("Al", "Mn")),
        "ZnAl2O4": mean_log(("Zn", "Li"), ("Al", "Mn")),
        "ZnFe2O4": mean_log(("Zn", "Li"), ("Fe", "Mn")),
    }
    best = max(chances, key=chances.__getitem__)
    first = next(p for p in spinels.known if p.kind is Kind.SUBSTITUTION)
    assert first.words == Composition(best).reduced_formula
    assert first.likelihood == pytest.approx(chances[best])


def test_ordinary_charges_come_first(spinels: Generated) -> None:
    odd = [not charges_balance(p.formula, ORDINARY) for p in spinels.new]
    assert odd == sorted(odd)
    assert odd[-1]
    assert charges_balance("LiMn2O4", ORDINARY)
    assert charges_balance("LiMnO2", ORDINARY)
    assert not charges_balance("LiO3", ORDINARY)


def test_compounds_of_the_system_are_partially_substituted() -> None:
    made = generate(SYSTEM, picked("Li2MnO3"), {"Li2MnO3"}, near_parents=0)
    partial = {p.formula: p for p in made.new if p.kind is Kind.PARTIAL}
    assert partial
    some = next(p for p in partial.values() if p.change.startswith("2 of 4 Li → "))
    assert some.words == "Li2MnO3"
    assert some.parent.name == "CIF Li2MnO3_12"


def test_likely_substitutions_are_parents_again_and_can_be_traced() -> None:
    made = generate(SYSTEM, picked("Li2TiO3"), set(), near_parents=3)
    second = [p for p in made.new if p.parent.name in made.lineage]
    assert second
    one = second[0]
    assert one.kind is Kind.PARTIAL
    assert made.lineage[one.parent.name].parent.name == "CIF Li2TiO3_15"
    assert "in the type of Li2TiO3" in one.words


def test_the_same_input_gives_the_same_candidates(spinels: Generated) -> None:
    again = generate(SYSTEM, picked("MgAl2O4", "ZnAl2O4", "ZnFe2O4"), {"LiMn2O4"})
    assert [p.key for p in again.new] == [p.key for p in spinels.new]
    assert len({p.key for p in spinels.new}) == len(spinels.new)


def test_an_intermetallic_system_needs_charges_left_alone() -> None:
    known = [one for one in aflow_prototypes() if one.formula in ("CsCl", "NaCl")]
    assert generate(("Al", "Ni"), known, set()).new == ()
    assert {p.formula for p in generate(("Al", "Ni"), known, set(), balanced=False).new} >= {
        "AlNi"
    }
