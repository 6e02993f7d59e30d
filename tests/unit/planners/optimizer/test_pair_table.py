"""Pair reactions as ARROWS3 learns them, and what it predicts from them."""

import pytest

from planners.optimizer.pair_table import PairTable, suspected_reactions, weight_fractions

UNREACTED = {"BaCO3": 0.712, "TiO2": 0.288}


def test_suspected_reactions_of_a_published_firing() -> None:
    """BaO2, CuCO3 and Y2O3 at 600 °C: the three in the log that comes with the paper."""
    found = suspected_reactions(("BaO2", "CuCO3", "Y2O3"), ("BaCO3", "CuO"))
    assert {str(reaction) for reaction in found} == {
        "2 BaO2 + 2 CO2 → 2 BaCO3 + O2",
        "CuCO3 → CuO + CO2",
        "2 BaO2 + 2 CuCO3 → 2 BaCO3 + 2 CuO + O2",
    }


@pytest.mark.parametrize(
    ("start", "formed", "count"),
    [
        (("BaO", "CuCO3", "Y2Cu2O5"), ("Ba2(CuO2)3", "BaCO3", "CuO", "Y2O3"), 13),
        (
            ("BaO2", "CuCO3", "Y2Cu2O5"),
            ("Ba2YCu3O7", "BaCuO2", "BaY2CuO5", "CuO"),
            11,
        ),
    ],
)
def test_as_many_suspected_reactions_as_in_the_log(
    start: tuple[str, ...], formed: tuple[str, ...], count: int
) -> None:
    assert len(suspected_reactions(start, formed)) == count


def test_one_explanation_is_known_and_two_are_not() -> None:
    table = PairTable()
    known = table.learn(UNREACTED, {"BaTiO3": 0.9, "TiO2": 0.1}, 900)
    assert [str(reaction) for reaction in known] == ["BaCO3 + TiO2 → BaTiO3 + CO2"]
    doubtful = PairTable()
    powders = weight_fractions({"BaO": 1.0, "BaO2": 1.0, "TiO2": 2.0})
    assert doubtful.learn(powders, {"BaTiO3": 1.0}, 900) == []
    assert not doubtful.knows("BaO", "TiO2")


def test_pairs_that_stay_are_inert_and_bound_what_comes() -> None:
    table = PairTable()
    assert table.learn(UNREACTED, UNREACTED, 600) == []
    (entry,) = table.entries[frozenset(UNREACTED)]
    assert (entry.reaction, entry.above_c) == (None, 600)
    table.learn(UNREACTED, {"BaTiO3": 1.0}, 900)
    (entry,) = table.entries[frozenset(UNREACTED)]
    assert entry.reaction is not None
    assert (entry.above_c, entry.by_c) == (600, 900)


def test_an_inert_pair_is_no_explanation_as_cold() -> None:
    table = PairTable()
    table.learn(UNREACTED, UNREACTED, 900)
    assert table.learn(UNREACTED, {"BaTiO3": 1.0}, 800) == []


def test_evolution_stops_at_the_limiting_powder() -> None:
    table = PairTable()
    table.learn(UNREACTED, {"BaTiO3": 1.0}, 900)
    assert table.evolve({"BaCO3": 1.0, "TiO2": 3.0}, 900) == pytest.approx(
        {"BaTiO3": 1.0, "TiO2": 2.0}
    )
    assert table.evolve({"BaCO3": 1.0, "TiO2": 3.0}, 800) == {"BaCO3": 1.0, "TiO2": 3.0}


def test_nothing_is_predicted_where_a_pair_is_unknown() -> None:
    table = PairTable()
    table.learn(UNREACTED, {"BaTiO3": 1.0}, 900)
    powders = {"BaCO3": 1.0, "TiO2": 1.0, "ZrO2": 1.0}
    assert table.evolve(powders, 900) == powders


def test_nothing_is_predicted_where_two_reactions_may_come_first() -> None:
    table = PairTable()
    table.learn(UNREACTED, {"BaTiO3": 1.0}, 900)
    zirconia = {"TiO2": 0.4, "ZrO2": 0.6}
    table.learn(zirconia, zirconia, 900)
    powders = {"BaCO3": 1.0, "TiO2": 1.0, "ZrO2": 1.0}
    table.learn({"BaCO3": 0.6, "ZrO2": 0.4}, {"BaZrO3": 1.0}, 800)
    assert table.evolve(powders, 900) == {"BaZrO3": 1.0, "TiO2": 1.0}
    table.learn(UNREACTED, {"BaTiO3": 1.0}, 800)
    assert table.evolve(powders, 900) == powders


def test_a_pair_that_may_have_reacted_in_part_is_not_inert() -> None:
    table = PairTable()
    powders = weight_fractions({"BaO": 1.0, "BaO2": 1.0, "TiO2": 2.0})
    table.learn(powders, {"BaO": 0.1, "BaTiO3": 0.7, "TiO2": 0.2}, 900)
    assert not table.knows("BaO", "TiO2")


def test_a_circle_ends() -> None:
    table = PairTable()
    table.learn({"CuO": 1.0}, {"Cu2O": 1.0}, 600)
    table.learn({"Cu2O": 1.0}, {"CuO": 1.0}, 500)
    assert set(table.evolve({"CuO": 1.0}, 900)) <= {"CuO", "Cu2O"}
