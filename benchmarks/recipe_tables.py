"""How many firings a strategy needs to find what works, in a table of finished experiments.

A strategy is asked for a firing, is told what the table says, and is asked again until every
pure experiment is found, or it has had every row or gives up.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from alab.models import Atmosphere, Attempt, FiringLimits, NextStep
from benchmarks.experiment_tables import (
    PURE,
    RAMP_C_PER_MIN,
    ExperimentTable,
    experiment_key,
)
from planners.optimizer.arrows3 import Arrows3
from planners.optimizer.observations import Observations
from planners.optimizer.strategy import Situation, Strategy, powders
from planners.optimizer.usual import Typical
from planners.synthesis.thermo import reduced


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One strategy's way through a table.

    Attributes:
        fractions: Target found in each firing, in the order of the firings.
        batches: In which batch each firing was.
        wrong_prunes: Sets with a pure experiment that the strategy passed over, for good or
            until nothing else was left.
    """

    fractions: tuple[float, ...]
    batches: tuple[int, ...]
    wrong_prunes: int

    def firings_to_pure(self, count: int) -> int | None:
        """Firings until so many were pure; None if they never were."""
        return self._until(PURE, count)

    def firings_to_over(self, fraction: float) -> int | None:
        """Firings until one held more than ``fraction``."""
        return self._until(fraction + 1e-9, 1)

    def firings_to_best(self) -> int:
        """Firings until the best of the table was found."""
        return self.fractions.index(max(self.fractions)) + 1

    def batches_to_pure(self, count: int) -> int | None:
        """Batches until so many were pure."""
        firings = self.firings_to_pure(count)
        return None if firings is None else self.batches[firings - 1]

    def area(self, length: int) -> float:
        """Mean of the best so far over the first ``length`` firings."""
        best = np.maximum.accumulate(np.array(self.fractions))
        padded = np.concatenate([best, np.full(max(length - len(best), 0), best[-1])])
        return float(padded[:length].mean())

    def _until(self, fraction: float, count: int) -> int | None:
        hits = [i for i, found in enumerate(self.fractions, start=1) if found >= fraction]
        return hits[count - 1] if 0 < count <= len(hits) else None


def run(
    table: ExperimentTable,
    strategy: Strategy,
    *,
    typical: Typical | None = None,
    size: int = 1,
    told: Callable[[int], None] | None = None,
) -> Run:
    """Let a strategy go through a table until every pure experiment is found, or all are run.

    Args:
        table: The experiments.
        strategy: Who asks.
        typical: Usual firing temperature, as the planner would know it.
        size: Firings a batch.
        told: Called with the number of firings after each batch.
    """
    outcomes = {experiment_key(e.recipe): e.outcome for e in table.experiments}
    attempts: list[Attempt] = []
    batches: list[int] = []
    limits = FiringLimits(
        max_temperature_c=table.hottest_c,
        max_ramp_c_per_min=RAMP_C_PER_MIN,
        atmospheres=tuple(Atmosphere),
    )
    candidates = tuple(e.recipe for e in table.experiments)
    pure_left, batch = table.pure, 0
    passed_over: set[frozenset[str]] = set()
    while len(attempts) < len(candidates) and (pure_left or not table.pure):
        batch += 1
        situation = Situation(
            target=reduced(table.target),
            attempts=tuple(attempts),
            candidates=candidates,
            limits=limits,
            closed=True,
            typical=typical,
            observations=Observations.from_attempts(attempts),
        )
        if isinstance(strategy, Arrows3):
            passed_over |= set(strategy.pruned(situation)) & _pure_sets(table, outcomes)
        decisions = strategy.next_batch(situation, size)
        if decisions[0].step is NextStep.GIVE_UP:
            break
        for decision in decisions:
            assert decision.recipe is not None  # noqa: S101 - a new recipe always has one
            outcome = outcomes.pop(
                experiment_key(decision.recipe)
            )  # KeyError: it was asked for twice
            pure_left -= outcome.target_weight_fraction >= PURE
            attempts.append(
                Attempt(sample=f"T{len(attempts) + 1}", recipe=decision.recipe, outcome=outcome)
            )
            batches.append(batch)
        if told is not None:
            told(len(attempts))
    return Run(
        fractions=tuple(
            a.outcome.target_weight_fraction for a in attempts if a.outcome is not None
        ),
        batches=tuple(batches),
        wrong_prunes=len(passed_over | _pure_sets(table, outcomes)) if table.pure else 0,
    )


def _pure_sets(
    table: ExperimentTable, left: Container[tuple[frozenset[str], float]]
) -> set[frozenset[str]]:
    """Sets that would be pure in an experiment not yet run."""
    return {
        powders(e.recipe)
        for e in table.experiments
        if e.fraction >= PURE and experiment_key(e.recipe) in left
    }


def mean_of(values: Sequence[float | int | None]) -> float | None:
    """Mean over seeds; None where a seed never got there."""
    return None if any(v is None for v in values) else fmean(v for v in values if v is not None)
