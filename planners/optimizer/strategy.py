"""What to try next with a target: one interface, several ways to choose.

:func:`decide` settles what no strategy may differ on (success, the bound on attempts,
nothing left to try) and leaves the rest to a :class:`Strategy`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from alab.models import Attempt, Decision, FiringLimits, NextStep, Recipe, Verdict
from planners.optimizer.observations import Observations
from planners.optimizer.usual import Typical, usual_firing
from planners.synthesis.thermo import reduced, written

Fingerprint = tuple[frozenset[str], float, float, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All a strategy may know.

    Attributes:
        target: Reduced formula of the target.
        attempts: What was done, oldest first.
        candidates: Recipes that could be run in this laboratory, best first.
        limits: What the furnaces can do.
        closed: Whether only the candidates can be run, as they stand: no regrinding, no
            other temperature. So it is with a table of finished experiments.
        typical: The usual firing temperature, None where nobody knows one.
        observations: What pairs of phases were seen to do, in these attempts and before.
    """

    target: str
    attempts: tuple[Attempt, ...]
    candidates: tuple[Recipe, ...]
    limits: FiringLimits
    closed: bool = False
    typical: Typical | None = None
    observations: Observations = field(default_factory=Observations)

    @property
    def last(self) -> Attempt:
        """The newest attempt."""
        return self.attempts[-1]

    def untried(self) -> list[Recipe]:
        """Candidates that were not run at these conditions, each experiment once."""
        done = {fingerprint(attempt.recipe) for attempt in self.attempts}
        fresh: dict[Fingerprint, Recipe] = {}
        for recipe in self.candidates:
            if fingerprint(recipe) not in done:
                fresh.setdefault(fingerprint(recipe), recipe)
        return list(fresh.values())

    def untried_sets(self) -> list[Recipe]:
        """Candidates whose set of powders was never weighed in, one a set."""
        done = {powders(attempt.recipe) for attempt in self.attempts}
        fresh: dict[frozenset[str], Recipe] = {}
        for recipe in self.candidates:
            if powders(recipe) not in done:
                fresh.setdefault(powders(recipe), recipe)
        return list(fresh.values())


class Strategy(Protocol):
    """A way to choose what to run next; deterministic, or seeded by its maker."""

    def next_batch(self, situation: Situation, size: int) -> tuple[Decision, ...]:
        """Choose up to ``size`` firings to run side by side.

        Args:
            situation: What is known. Successes may be among the attempts, where somebody
                wants every recipe that works and not only the first.
            size: Most decisions to return, at least 1.

        Returns:
            One to ``size`` decisions, no two of the same experiment, or a single one to
            give up, with the reason.
        """
        ...


def decide(
    target: str,
    attempts: Sequence[Attempt],
    *,
    candidates: Sequence[Recipe],
    limits: FiringLimits,
    max_attempts: int = 6,
    strategy: Strategy | None = None,
    observations: Observations | None = None,
) -> Decision:
    """Decide what to do with a target after its newest attempt: a batch of one.

    See :func:`decide_batch`.
    """
    return decide_batch(
        target,
        attempts,
        candidates=candidates,
        limits=limits,
        max_attempts=max_attempts,
        strategy=strategy,
        observations=observations,
    )[0]


def decide_batch(
    target: str,
    attempts: Sequence[Attempt],
    *,
    candidates: Sequence[Recipe],
    limits: FiringLimits,
    size: int = 1,
    max_attempts: int = 6,
    strategy: Strategy | None = None,
    observations: Observations | None = None,
) -> tuple[Decision, ...]:
    """Decide which firings of a target to run next, side by side.

    Args:
        target: Formula of the target.
        attempts: All attempts at it, oldest first; the outcome of any may be None.
        candidates: Recipes on offer, best first, as ``propose`` gives them.
        limits: What the furnaces can do; candidates beyond it are passed over.
        size: Most firings to run side by side; fewer where few attempts are left.
        max_attempts: Firings after which the target is given up.
        strategy: How to choose; the phase-informed one unless told otherwise.
        observations: What was seen in other samples; these attempts are added to it.

    Returns:
        The decisions with their reasons, at least one; a single one where the target is
        done or given up. The same arguments give the same decisions.

    Raises:
        ValueError: If ``size`` or ``max_attempts`` is below 1.
    """
    for name, value in (("size", size), ("max_attempts", max_attempts)):
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be 1 or more")
    if success := _success(attempts):
        return (success,)
    feasible = tuple(r for r in candidates if limits.permits(r.profile, r.atmosphere))
    if not feasible and not attempts:
        return (_nothing_fits(len(candidates), limits),)
    if len(attempts) >= max_attempts:
        return (give_up(attempts, f"{len(attempts)} of {max_attempts} attempts are used up"),)
    gas = (feasible[0] if feasible else attempts[-1].recipe).atmosphere
    if gas not in limits.atmospheres:
        return (give_up(attempts, f"no furnace offers {gas} any more ({limits})"),)
    if strategy is None:
        from planners.optimizer.phase_informed import PhaseInformed  # it imports this module

        strategy = PhaseInformed()
    situation = Situation(
        target=reduced(target),
        attempts=tuple(attempts),
        candidates=feasible,
        limits=limits.in_gas(gas),
        typical=usual_firing(target, feasible),
        observations=Observations.from_attempts(attempts).merged(
            observations or Observations()
        ),
    )
    return strategy.next_batch(situation, min(size, max_attempts - len(attempts)))


def give_up(attempts: Sequence[Attempt], why: str) -> Decision:
    """A decision to stop that names the reason and the best result so far."""
    measured = [a for a in attempts if a.outcome is not None]
    if not measured:
        return Decision(step=NextStep.GIVE_UP, reasons=(f"Given up: {why}.",))
    best = max(measured, key=target_fraction)
    name, found = written(best.recipe.target), target_fraction(best)
    return Decision(
        step=NextStep.GIVE_UP,
        reasons=(
            f"Given up: {why}.",
            f"Best so far: {found * 100:.0f} wt % {name} "
            f"in {best.sample}, fired at {best.recipe.max_temperature_c:g} °C from "
            f"{' + '.join(p.formula for p in best.recipe.precursors)}.",
        ),
    )


def target_fraction(attempt: Attempt) -> float:
    """Weight fraction of target found, 0 where nothing was measured."""
    return attempt.outcome.target_weight_fraction if attempt.outcome is not None else 0.0


def powders(recipe: Recipe) -> frozenset[str]:
    """The set of precursors of a recipe, by reduced formula."""
    return frozenset(reduced(precursor.formula) for precursor in recipe.precursors)


def dwell_s(recipe: Recipe) -> float:
    """Time at the highest temperature."""
    top_c = recipe.max_temperature_c
    return sum(s.dwell_s for s in recipe.profile.segments if s.temperature_c == top_c)


def fingerprint(recipe: Recipe) -> Fingerprint:
    """What makes two firings the same experiment."""
    return (
        powders(recipe),
        round(recipe.max_temperature_c, 1),
        round(dwell_s(recipe)),
        recipe.atmosphere,
        recipe.regrinds,
    )


def _success(attempts: Sequence[Attempt]) -> Decision | None:
    """The end, with the best of the attempts that succeeded; the newest of equals."""
    made = [
        (outcome.target_weight_fraction, number, attempt, outcome)
        for number, attempt in enumerate(attempts)
        if (outcome := attempt.outcome) is not None and outcome.verdict is Verdict.SUCCESS
    ]
    if not made:
        return None
    *_, best, outcome = max(made, key=lambda one: one[:2])
    return Decision(
        step=NextStep.DONE,
        reasons=(
            f"{best.sample} holds {outcome.target_weight_fraction * 100:.1f} ± "
            f"{outcome.target_weight_fraction_esd * 100:.1f} wt % "
            f"{written(best.recipe.target)} after {dwell_s(best.recipe) / 3600:g} h at "
            f"{best.recipe.max_temperature_c:g} °C.",
        ),
    )


def _nothing_fits(offered: int, limits: FiringLimits) -> Decision:
    return give_up(
        (),
        f"none of {offered} candidate recipes fits the furnaces ({limits})",
    )
