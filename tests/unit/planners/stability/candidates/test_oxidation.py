import itertools

import pytest
from hypothesis import given, settings, strategies as st
from pymatgen.core import Composition

from alab.errors import BadInput
from planners.stability.candidates.oxidation import (
    RELAXED,
    STRICT,
    States,
    balance,
    is_balanced,
    likely_ions,
    states_of,
)

AMOUNTS = st.dictionaries(
    st.sampled_from(["Li", "Mg", "Al", "Fe", "Cu", "O", "Cl", "Si", "S", "Pd"]),
    st.integers(1, 6),
    min_size=1,
    max_size=4,
)


def written(amounts: dict[str, int]) -> str:
    return "".join(f"{symbol}{count}" for symbol, count in amounts.items())


def test_li15si4_passes_relaxed_alone() -> None:
    assert balance("Li15Si4") == {"Li": (1, 1), "Si": (-4, 0)}
    assert not is_balanced("Li15Si4", STRICT)


@pytest.mark.parametrize("formula", ["NaCl", "BaTiO3", "LiFePO4", "Li7La3Zr2O12", "SiC"])
def test_common_compounds_pass_strictly(formula: str) -> None:
    assert is_balanced(formula, STRICT)
    assert is_balanced(formula)


@pytest.mark.parametrize("formula", ["Fe3O4", "Na2Cl", "LiCoO3"])
def test_mixed_valence_needs_elements_between_states(formula: str) -> None:
    assert not is_balanced(formula, STRICT)
    assert is_balanced(formula)


@pytest.mark.parametrize("formula", ["MgAl2", "Na", "LiMg2Al"])
def test_alloys_pass_only_as_metals(formula: str) -> None:
    assert not is_balanced(formula)
    assert is_balanced(formula, States(metallic=True))


def test_at_most_two_elements_lie_between() -> None:
    spread = States(zero=False, between=2)
    found = balance("Fe3O4", spread)
    assert found is not None
    assert sum(low != high for low, high in found.values()) <= 2
    for symbol, (low, high) in found.items():
        states = states_of(symbol, zero=False)
        assert states.index(high) - states.index(low) <= 1


def brute(amounts: dict[str, int]) -> bool:
    """Strict balance by trying all common states."""
    options = [states_of(symbol, zero=False) for symbol in amounts]
    return any(
        sum(n * s for n, s in zip(amounts.values(), choice, strict=True)) == 0
        for choice in itertools.product(*options)
    )


@given(AMOUNTS)
@settings(max_examples=200, deadline=None)
def test_strict_balance_is_that_of_all_assignments(amounts: dict[str, int]) -> None:
    strict = is_balanced(written(amounts), STRICT)
    assert strict == brute(amounts)
    assert is_balanced(written(amounts)) or not strict


@given(AMOUNTS)
@settings(max_examples=200, deadline=None)
def test_one_element_between_states_does_what_two_do(amounts: dict[str, int]) -> None:
    assert is_balanced(written(amounts), States(between=1)) == is_balanced(written(amounts))


@given(AMOUNTS, st.integers(2, 5))
@settings(max_examples=100, deadline=None)
def test_an_assignment_can_sum_to_zero_whatever_the_multiple(
    amounts: dict[str, int], times: int
) -> None:
    found = balance(written(amounts))
    again = {symbol: times * count for symbol, count in amounts.items()}
    assert (found is None) == (balance(written(again)) is None)
    if found is not None:
        assert sum(n * found[s][0] for s, n in amounts.items()) <= 0
        assert sum(n * found[s][1] for s, n in amounts.items()) >= 0
        assert sum(low != high for low, high in found.values()) <= RELAXED.between
        assert any(high > 0 for _, high in found.values())
        assert any(low < 0 for low, _ in found.values())


@pytest.mark.parametrize("gas", ["He", "Ne", "Ar"])
def test_a_noble_gas_has_no_states(gas: str) -> None:
    with pytest.raises(BadInput, match=f"{gas}: no common oxidation state"):
        is_balanced(f"Li2{gas}")


def test_bad_formulas_are_named() -> None:
    with pytest.raises(BadInput, match="no chemical formula"):
        is_balanced("Qq2O")
    with pytest.raises(BadInput, match="empty"):
        is_balanced(Composition({}))
    with pytest.raises(BadInput, match="'Qq' is no element"):
        states_of("Qq")


def test_ions_of_a_compound() -> None:
    assert {str(ion) for ion in likely_ions("BaTiO3")} == {"Ba2+", "Ti4+", "O2-"}
    with pytest.raises(BadInput, match="no whole oxidation state"):
        likely_ions("MgAl2")
