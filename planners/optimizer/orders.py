"""Strategies that learn nothing: what any other has to beat."""

import random
from dataclasses import dataclass, replace

from alab.models import Decision, NextStep, Recipe
from planners.optimizer.strategy import Situation, give_up


@dataclass(frozen=True, slots=True)
class DrivingForceOrder:
    """Run the candidates as they are ranked, the largest driving force first."""

    def next_batch(self, situation: Situation, size: int) -> tuple[Decision, ...]:
        """Take the next untried candidates."""
        return _take(situation, situation.untried(), size, "by rank")


@dataclass(frozen=True, slots=True)
class RandomOrder:
    """Run the candidates in an order drawn once from a seed."""

    seed: int = 0

    def next_batch(self, situation: Situation, size: int) -> tuple[Decision, ...]:
        """Take the next untried candidates of the drawn order."""
        drawn = list(situation.candidates)
        random.Random(self.seed).shuffle(drawn)  # noqa: S311 - an order, not a secret
        untried = replace(situation, candidates=tuple(drawn)).untried()
        return _take(situation, untried, size, "by lot")


def _take(
    situation: Situation, untried: list[Recipe], size: int, how: str
) -> tuple[Decision, ...]:
    if not untried:
        return (give_up(situation.attempts, "every candidate was run"),)
    return tuple(
        Decision(
            step=NextStep.NEW_RECIPE,
            recipe=recipe,
            reasons=(f"Next of {len(untried)} untried recipes, {how}.",),
        )
        for recipe in untried[:size]
    )
