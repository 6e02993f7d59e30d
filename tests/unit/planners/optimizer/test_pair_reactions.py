"""Balancing one or two solids to several, open to gases."""

from fractions import Fraction

import pytest

from planners.optimizer.pair_reactions import balance_pair, explanations
from planners.synthesis.reactions import atoms

AIR = frozenset({"O2", "CO2"})


@pytest.mark.parametrize(
    ("reactants", "products", "written"),
    [
        (("BaCO3", "TiO2"), ("BaTiO3",), "BaCO3 + TiO2 → BaTiO3 + CO2"),
        (("Cu2O",), ("CuO",), "Cu2O + 1/2 O2 → 2 CuO"),
        (("BaO",), ("BaCO3",), "BaO + CO2 → BaCO3"),
        (("Y2Cu2O5",), ("CuO", "Y2O3"), "Y2Cu2O5 → 2 CuO + Y2O3"),
        (
            ("BaCO3", "Y2Cu2O5"),
            ("Ba2YCu3O7", "BaY2CuO5"),
            "8 BaCO3 + 5 Y2Cu2O5 + 1/2 O2 → 2 Ba2YCu3O7 + 4 BaY2CuO5 + 8 CO2",
        ),
    ],
)
def test_balances(reactants: tuple[str, ...], products: tuple[str, ...], written: str) -> None:
    assert str(balance_pair(reactants, products)) == written


def test_every_element_is_conserved() -> None:
    reaction = balance_pair(("BaCO3", "Y2Cu2O5"), ("Ba2YCu3O7", "BaY2CuO5"))
    assert reaction is not None
    left: dict[str, Fraction] = {}
    for side, sign in ((reaction.reactants, 1), (reaction.products, -1), (reaction.gases, -1)):
        for formula, moles in side.items():
            for element, count in atoms(formula).items():
                left[element] = left.get(element, Fraction(0)) + sign * moles * count
    assert set(left.values()) == {Fraction(0)}


@pytest.mark.parametrize(
    ("reactants", "products"),
    [
        (("BaO", "CuCO3"), ("BaCO3", "CuO")),  # two independent reactions
        (("CuO",), ("CuO",)),
        (("CuO", "Y2O3"), ("Y2Cu2O5", "CuO")),
        (("BaCO3",), ("BaTiO3",)),  # titanium from nowhere
        (("BaCO3", "TiO2"), ("TiO2",)),
        (("Ba2YCu3O7",), ("BaCuO2", "BaY2CuO5")),  # copper cannot be met
    ],
)
def test_no_reaction(reactants: tuple[str, ...], products: tuple[str, ...]) -> None:
    assert balance_pair(reactants, products) is None


def test_explanations_need_the_gas_they_take_up() -> None:
    pool, new = ("BaO", "Cu2O"), ("BaCO3", "CuO")
    in_air = [str(reaction) for reaction in explanations(pool, new, AIR)]
    assert in_air == ["BaO + CO2 → BaCO3", "Cu2O + 1/2 O2 → 2 CuO"]
    in_oxygen = explanations(pool, new, frozenset({"O2"}))
    assert [str(reaction) for reaction in in_oxygen] == in_air[1:]
