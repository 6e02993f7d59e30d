"""Campaigns in simulated worlds: small ones, and what the strategies are given."""

from collections.abc import Callable

import numpy as np
import pytest

from alab.models import Decision, NextStep, Recipe
from benchmarks import chemistry_campaigns as campaigns
from benchmarks.chemistry_campaigns import Contestant, by_force, campaign, gridded, proposed
from planners.optimizer import DrivingForceOrder, RandomOrder, Situation
from planners.optimizer.phase_informed import PhaseInformed
from planners.optimizer.strategy import powders
from planners.synthesis.thermo import GASES, table
from simulators.world.nature import Nature

TARGETS = ("BaTiO3", "LiMn2O4", "MgAl2O4", "ZnFe2O4")
OURS = Contestant("ours", lambda _: PhaseInformed(), proposed)
BY_LOT = Contestant("by lot", RandomOrder, gridded)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch):
    """Two targets a world, of four, and four firings."""
    monkeypatch.setattr(campaigns, "_makeable", lambda: TARGETS)
    monkeypatch.setattr(campaigns, "TARGETS", 2)
    monkeypatch.setattr(campaigns, "BUDGET", 4)


def listened(seed: int, pick: int = 0) -> tuple[int, list[Situation]]:
    """What a strategy is told in one world, if it always asks for one candidate."""
    seen: list[Situation] = []

    class Stubborn:
        def next_batch(self, situation: Situation, size: int) -> tuple[Decision, ...]:
            seen.append(situation)
            recipe = situation.candidates[pick]
            return (Decision(step=NextStep.NEW_RECIPE, recipe=recipe),)

    return campaign(seed, Contestant("stubborn", lambda _: Stubborn(), gridded)), seen


@pytest.mark.parametrize("contestant", [OURS, BY_LOT])
def test_the_same_seed_gives_the_same_campaign(contestant: Contestant):
    assert [campaign(seed, contestant) for seed in range(3)] == [
        campaign(seed, contestant) for seed in range(3)
    ]


def test_a_campaign_makes_no_more_targets_than_it_has():
    made = [campaign(seed, OURS) for seed in range(4)]
    assert all(0 <= count <= 2 for count in made)
    assert sum(made) > 0


def test_the_budget_is_shared_in_turns():
    """Too cold for anything: four firings, two for each target, in turn."""
    made, seen = listened(0)
    assert made == 0
    assert len(seen) == 4
    assert [len(situation.attempts) for situation in seen] == [0, 0, 1, 1]
    assert seen[0].target == seen[2].target != seen[1].target


def test_outcomes_are_shares_of_what_is_crystalline():
    _, seen = listened(1, pick=2)
    outcomes = [a.outcome for situation in seen for a in situation.attempts]
    assert outcomes
    for outcome in outcomes:
        assert outcome is not None
        total = sum(phase.weight_fraction for phase in outcome.phases)
        assert total == pytest.approx(1.0)
        assert 0 <= outcome.target_weight_fraction <= 1


def test_worlds_differ():
    outcomes = {
        tuple(
            a.outcome.target_weight_fraction
            for situation in listened(seed, pick=2)[1]
            for a in situation.attempts
            if a.outcome is not None
        )
        for seed in range(4)
    }
    assert len(outcomes) == 4


def test_a_world_has_barriers_of_its_own(monkeypatch: pytest.MonkeyPatch):
    drawn: list[float] = []

    def remembered(rng: Callable[..., np.random.Generator]) -> Nature:
        drawn.append(float(rng("barrier").random()))
        return Nature(rng)

    monkeypatch.setattr(campaigns, "Nature", remembered)
    for seed in (0, 1, 2, 0):
        campaign(seed, BY_LOT)
    assert len(set(drawn)) == 3
    assert drawn[0] == drawn[3]


def test_no_firing_goes_beyond_the_budget(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(campaigns, "BUDGET", 3)
    assert len(listened(0)[1]) == 3


def test_a_larger_budget_makes_no_less(monkeypatch: pytest.MonkeyPatch):
    by_rank = Contestant("by rank", lambda _: DrivingForceOrder(), gridded)
    few = [campaign(seed, by_rank) for seed in range(3)]
    monkeypatch.setattr(campaigns, "BUDGET", 12)
    many = [campaign(seed, by_rank) for seed in range(3)]
    assert all(more >= less for more, less in zip(many, few, strict=True))
    assert sum(many) > sum(few)


@pytest.mark.parametrize("target", TARGETS)
def test_the_grid_has_every_set_at_four_temperatures(target: str):
    sets = {powders(one) for one in by_force(target)}
    assert sets == {powders(one) for one in proposed(target)}
    fired: dict[frozenset[str], list[Recipe]] = {}
    for one in gridded(target):
        fired.setdefault(powders(one), []).append(one)
    assert fired.keys() == sets
    for recipes in fired.values():
        assert [one.max_temperature_c for one in recipes] == [700, 850, 1000, 1150]
        assert all(campaigns.LIMITS.permits(one.profile, one.atmosphere) for one in recipes)


@pytest.mark.parametrize("target", TARGETS)
def test_forces_rank_the_sets(target: str):
    scores = [one.score for one in by_force(target)]
    assert scores == sorted(scores, reverse=True)
    assert all(-500 < score < 2000 for score in scores)


def test_the_shelf_has_neither_targets_nor_gases_nor_what_spoils():
    on_shelf = campaigns.shelf()
    assert {"BaCO3", "TiO2", "MgO", "Al2O3", "Li2CO3"} <= on_shelf.keys()
    assert not set(TARGETS) & on_shelf.keys()
    assert not set(GASES) & on_shelf.keys()
    assert all(table()[one].air_stable for one in table() if one in on_shelf)


def test_the_interval_holds_the_ratio():
    ours, peer = [4, 5, 6, 5, 4, 6], [4, 4, 5, 4, 4, 5]
    low, high = campaigns._bootstrapped(ours, peer)
    assert low < sum(ours) / sum(peer) < high
    assert (low, high) == campaigns._bootstrapped(ours, peer)
    assert campaigns._bootstrapped([3, 3], [3, 3]) == (1.0, 1.0)
