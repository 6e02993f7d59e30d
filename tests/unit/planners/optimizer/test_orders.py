"""The strategies that learn nothing: every recipe once, by rank or by lot."""

import pytest

from alab.models import Atmosphere, Attempt, FiringLimits, NextStep
from planners.optimizer import DrivingForceOrder, RandomOrder, Situation, Strategy
from planners.optimizer.strategy import fingerprint
from tests.unit.planners.optimizer.firings import outcome, recipe

LIMITS = FiringLimits(
    max_temperature_c=1200, max_ramp_c_per_min=20, atmospheres=tuple(Atmosphere)
)
SETS = ({"BaO": 1.0, "TiO2": 1.0}, {"BaO2": 1.0, "TiO2": 1.0}, {"BaCO3": 1.0, "TiO2": 1.0})
CANDIDATES = tuple(
    recipe(moles, at_c, target="BaTiO3") for moles in SETS for at_c in (700, 800, 900, 1000)
)
STRATEGIES = (DrivingForceOrder(), RandomOrder(0), RandomOrder(1))


def asked(strategy: Strategy, size: int) -> list[int]:
    """Places of the candidates in the order in which a strategy asks for them."""
    attempts: list[Attempt] = []
    order: list[int] = []
    while True:
        situation = Situation(
            target="BaTiO3", attempts=tuple(attempts), candidates=CANDIDATES, limits=LIMITS
        )
        decisions = strategy.next_batch(situation, size)
        if decisions[0].step is NextStep.GIVE_UP:
            assert len(decisions) == 1
            assert "every candidate was run" in decisions[0].reasons[0]
            return order
        assert len(decisions) == min(size, len(CANDIDATES) - len(order))
        for decision in decisions:
            assert decision.recipe is not None
            order.append(CANDIDATES.index(decision.recipe))
        attempts += [
            Attempt(sample=f"S{i}", recipe=CANDIDATES[i], outcome=outcome({"BaTiO3": 0.1}))
            for i in order[len(attempts) :]
        ]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("size", [1, 5, 20])
def test_every_recipe_is_run_once(strategy: Strategy, size: int):
    assert sorted(asked(strategy, size)) == list(range(len(CANDIDATES)))


def test_by_rank_is_the_order_of_the_candidates():
    assert asked(DrivingForceOrder(), 5) == list(range(len(CANDIDATES)))


def test_a_seed_draws_one_order_whatever_the_size_of_batches():
    assert asked(RandomOrder(3), 1) == asked(RandomOrder(3), 5)
    orders = {tuple(asked(RandomOrder(seed), 4)) for seed in range(5)}
    assert len(orders) == 5
    assert tuple(range(len(CANDIDATES))) not in orders


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_reason_tells_how_many_are_left(strategy: Strategy):
    done = Attempt(sample="S1", recipe=CANDIDATES[5], outcome=None)
    situation = Situation(
        target="BaTiO3", attempts=(done,), candidates=CANDIDATES, limits=LIMITS
    )
    (decision,) = strategy.next_batch(situation, 1)
    assert decision.recipe is not None
    assert fingerprint(decision.recipe) != fingerprint(done.recipe)
    assert decision.reasons[0].startswith("Next of 11 untried recipes, by ")
