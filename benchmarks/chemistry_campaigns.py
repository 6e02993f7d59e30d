"""Whole campaigns on the simulated laboratory's hidden chemistry, without its devices.

Each seed is a world of its own: its barriers, its targets out of ``examples/targets58.csv``,
its weighing errors and its scatter of the analysis. The strategies get the same worlds, the
same shelf and the same budget of firings, which the open targets take in turn. A target is
made when 95 wt % of what is crystalline is the target: the laboratory itself calls 50 wt %
a success, but in this chemistry most first firings reach that, and nothing would be told
apart.

A powder that is reground and refired is the same powder with its history, as in the
laboratory; ``random``, ``ΔG order`` and ARROWS3 know no such move and weigh in anew.
"""

import csv
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import fmean

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from alab.errors import TargetError
from alab.models import (
    Atmosphere,
    Attempt,
    FiringLimits,
    NextStep,
    Outcome,
    Recipe,
    Verdict,
)
from benchmarks.figures import Figure
from planners.optimizer import DrivingForceOrder, RandomOrder, Strategy, decide
from planners.optimizer.arrows3 import Arrows3
from planners.optimizer.phase_informed import PhaseInformed
from planners.optimizer.strategy import powders
from planners.optimizer.tried import outcome_of_shares
from planners.synthesis.conditions import profile
from planners.synthesis.reactions import driving_force_ev_per_atom, try_balance
from planners.synthesis.recipes import propose
from planners.synthesis.thermo import GASES, reduced, table
from simulators.world.matter import Powder
from simulators.world.nature import Nature
from simulators.world.phases import phase_table

ROOT = Path(__file__).parent.parent
MADE = 0.95
SEEDS, QUICK_SEEDS = 20, 3
TARGETS = 16
BUDGET = 2 * TARGETS
MOST_ATTEMPTS = 6
GRID_C = (700.0, 850.0, 1000.0, 1150.0)
SETS = 8
STOCK_MG = 100_000.0
LIMITS = FiringLimits(
    max_temperature_c=1150.0,
    max_ramp_c_per_min=15.0,
    atmospheres=(Atmosphere.AIR, Atmosphere.O2, Atmosphere.N2),
)
_WEIGHING_ERROR_MG, _ANALYSIS_ERROR, _SEEN_FROM = 0.3, 0.015, 0.01
_STEP_S, _MIXING, _GLASSY = 120.0, 0.9, 0.2
_COOLING_C_PER_MIN = 5.0


@dataclass(frozen=True, slots=True)
class Contestant:
    """A strategy, and the candidates it chooses from.

    Attributes:
        name: How it is called in the table.
        strategy: Makes it from a seed.
        candidates: Recipes for a target, best first.
    """

    name: str
    strategy: Callable[[int], Strategy]
    candidates: Callable[[str], tuple[Recipe, ...]]


def measure(*, quick: bool) -> dict[str, Figure]:
    """Run all strategies over all worlds, print the comparison, and return the ratio."""
    seeds = QUICK_SEEDS if quick else SEEDS
    ours, peer = "phase-informed (ours)", "ARROWS3"
    contestants = (
        Contestant("random", RandomOrder, gridded),
        Contestant("ΔG order, cold to hot", lambda _: DrivingForceOrder(), gridded),
        Contestant("ΔG order, proposed temperature", lambda _: DrivingForceOrder(), by_force),
        Contestant(peer, lambda _: Arrows3(), gridded),
        Contestant(ours, lambda _: PhaseInformed(), proposed),
    )
    made = {
        c.name: [
            campaign(seed, c)
            for seed in track(range(seeds), f"worlds: {c.name}", transient=True)
        ]
        for c in contestants
    }
    _print(made)
    ratios = _bootstrapped(made[ours], made[peer])
    return {
        "simulated_targets_made_ratio": Figure(
            value=sum(made[ours]) / max(sum(made[peer]), 1),
            unit="×",
            goal=1.0,
            better="higher",
            peer=f"90 % interval {ratios[0]:.2f}–{ratios[1]:.2f} over {seeds} worlds; made of "
            f"{TARGETS}: " + ", ".join(f"{n} {fmean(m):.1f}" for n, m in made.items()),
        )
    }


def campaign(seed: int, contestant: Contestant) -> int:
    """How many targets one strategy makes in one world within the budget."""
    nature = Nature(_rng(seed))
    draw = _rng(seed)("targets")
    targets = [str(t) for t in draw.permutation(_makeable())[:TARGETS]]
    pursuits = [_Pursuit(target, seed, contestant, nature) for target in targets]
    fired = 0
    while fired < BUDGET and (open_ones := [p for p in pursuits if p.open]):
        for pursuit in open_ones[: BUDGET - fired]:
            fired += pursuit.step()
    return sum(p.made for p in pursuits)


class _Pursuit:
    """One target in one world."""

    def __init__(self, target: str, seed: int, contestant: Contestant, nature: Nature) -> None:
        self.target, self.seed, self.nature = target, seed, nature
        self.strategy = contestant.strategy(seed)
        self.candidates = contestant.candidates(target)
        self.attempts: list[Attempt] = []
        self.powder = Powder(nature)
        self.open, self.made = True, False

    def step(self) -> int:
        """Decide and fire; how many firings it took: 0 where the target was given up."""
        decision = decide(
            self.target,
            self.attempts,
            candidates=self.candidates,
            limits=LIMITS,
            max_attempts=MOST_ATTEMPTS,
            strategy=self.strategy,
        )
        if decision.recipe is None:
            self.open = False
            return 0
        sample = f"{self.seed} {self.target} {len(self.attempts) + 1}"
        recipe = decision.recipe
        if decision.step is NextStep.REFIRE:
            self.powder.mix(_MIXING)
        else:
            self.powder = _weighed(recipe, self.nature, self.seed, sample)
        _fire(self.powder, recipe)
        outcome = _analysed(self.powder, self.target, self.seed, sample)
        self.attempts.append(Attempt(sample=sample, recipe=recipe, outcome=outcome))
        if outcome.verdict is Verdict.SUCCESS:
            self.open, self.made = False, True
        return 1


def _weighed(recipe: Recipe, nature: Nature, seed: int, sample: str) -> Powder:
    powder = Powder(nature, name=sample)
    draw = _rng(seed)("weighing", sample)
    for amount in recipe.precursors:
        error_mg = draw.normal() * _WEIGHING_ERROR_MG
        powder.add(amount.formula, max(amount.mass_mg + error_mg, 0.1))
    powder.mix(_MIXING)
    return powder


def _fire(powder: Powder, recipe: Recipe) -> None:
    at_c = 25.0
    for segment in recipe.profile.segments:
        ramp = segment.ramp_c_per_min / 60
        at_c = _ramped(powder, at_c, segment.temperature_c, ramp, recipe.atmosphere)
        steps = max(int(np.ceil(segment.dwell_s / 1800)), 1)
        for _ in range(steps if segment.dwell_s > 0 else 0):
            powder.expose(segment.dwell_s / steps, at_c, recipe.atmosphere)
    _ramped(powder, at_c, 25.0, _COOLING_C_PER_MIN / 60, Atmosphere.AIR)


def _ramped(
    powder: Powder, from_c: float, to_c: float, ramp_c_per_s: float, atmosphere: Atmosphere
) -> float:
    duration_s = abs(to_c - from_c) / ramp_c_per_s
    steps = max(int(np.ceil(duration_s / _STEP_S)), 1)
    for i in range(steps):
        powder.expose(
            duration_s / steps, from_c + (to_c - from_c) * (i + 0.5) / steps, atmosphere
        )
    return to_c


def _analysed(powder: Powder, target: str, seed: int, sample: str) -> Outcome:
    """What a pattern would tell: shares of the crystalline part, with their scatter."""
    shares = powder.weight_fractions()
    draw = _rng(seed)("analysis", sample)
    seen = {
        phase: max(share + draw.normal() * _ANALYSIS_ERROR, _SEEN_FROM)
        for phase, share in shares.items()
        if share / max(sum(shares.values()), 1e-9) >= _SEEN_FROM
    }
    total = sum(seen.values()) or 1.0
    found = {phase: share / total for phase, share in seen.items()}
    fraction = found.get(reduced(target), 0.0)
    outcome = outcome_of_shares(target, fraction, found, made_from=MADE, esd=_ANALYSIS_ERROR)
    return replace(outcome, amorphous_suspected=powder.amorphous_fraction > _GLASSY)


@cache
def proposed(target: str) -> tuple[Recipe, ...]:
    """The planner's recipes, with its own temperatures."""
    return tuple(propose(target, shelf=shelf(), limits=LIMITS, count=SETS))


@cache
def by_force(target: str) -> tuple[Recipe, ...]:
    """The same sets at the same temperatures, by driving force."""
    return tuple(sorted(_sets(target), key=lambda recipe: -recipe.score))


@cache
def gridded(target: str) -> tuple[Recipe, ...]:
    """The same sets by driving force, each at four temperatures, cold to hot."""
    return tuple(
        replace(recipe, profile=profile(at_c, LIMITS))
        for recipe in by_force(target)
        for at_c in GRID_C
    )


def _sets(target: str) -> list[Recipe]:
    """One recipe a set of powders, scored by its driving force in meV/atom."""
    fresh: dict[frozenset[str], Recipe] = {}
    for recipe in proposed(target):
        reaction = try_balance([p.formula for p in recipe.precursors], target)
        if reaction is None or powders(recipe) in fresh:
            continue
        force = driving_force_ev_per_atom(reaction, recipe.max_temperature_c, recipe.atmosphere)
        fresh[powders(recipe)] = replace(recipe, score=1000 * force)
    return list(fresh.values())


@cache
def shelf() -> dict[str, float]:
    """Milligrams of every powder that keeps in air and that planner and world both know.

    The targets themselves are not among them.
    """
    targets = {reduced(name) for name in _names()}
    return {
        compound.formula: STOCK_MG
        for formula, compound in table().items()
        if compound.air_stable
        and formula in phase_table()
        and formula not in targets | set(GASES)
    }


def _names() -> list[str]:
    with (ROOT / "examples" / "targets58.csv").open(newline="", encoding="utf-8") as file:
        return [row["formula"] for row in csv.DictReader(file)]


@cache
def _makeable() -> tuple[str, ...]:
    """Targets of the example list that have a recipe and energies."""
    found: list[str] = []
    for name in _names():
        try:
            if gridded(name):
                found.append(name)
        except TargetError:
            continue
    return tuple(found)


def _rng(seed: int) -> Callable[..., np.random.Generator]:
    def generator(*purpose: object) -> np.random.Generator:
        text = "/".join(str(part) for part in (seed, *purpose))
        return np.random.default_rng(
            int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        )

    return generator


def _bootstrapped(ours: Sequence[int], peer: Sequence[int]) -> tuple[float, float]:
    """90 % interval of the ratio, worlds drawn with replacement."""
    draw = np.random.default_rng(0)
    picks = draw.integers(0, len(ours), size=(2000, len(ours)))
    ratios = np.array(ours)[picks].sum(axis=1) / np.maximum(
        np.array(peer)[picks].sum(axis=1), 1
    )
    low, high = np.quantile(ratios, [0.05, 0.95])
    return float(low), float(high)


def _print(made: dict[str, list[int]]) -> None:
    table = Table(
        title=f"Targets made ({MADE * 100:.0f} wt %) of {TARGETS} within {BUDGET} firings",
        title_justify="left",
    )
    for heading in ("Strategy", "Mean", "Standard error", "Least", "Most"):
        table.add_column(heading)
    for name, counts in made.items():
        error = float(np.std(counts, ddof=1)) / len(counts) ** 0.5 if len(counts) > 1 else 0.0
        table.add_row(
            name, f"{fmean(counts):.1f}", f"{error:.1f}", str(min(counts)), str(max(counts))
        )
    Console().print(table)
