"""How promising each untried firing is, judged from all that were run.

The log odds z of a firing of powders S at temperature T are a Gaussian process with the
covariance of a sum of independent effects (an analysis of variance, as in Duvenaud et al.,
Adv. Neural Inf. Process. Syst. 24, 2011)::

    z(S, T) = z₀ + d·g(S) − c·carbonates(S) − f·sluggish(S) − ½((T* − T)/s)²
            + α(T) + τ·T + Σ β(phase)/√n + Σ γ(powder)/√n + δ(residues) + ε(S)

The first line is the prior mean: g is the standardised rank score of the candidate, T* the
temperature at which such targets are usually fired (too hot counts half as far off as too
cold: what overheats shows in the phases, and ends the question of kinetics), and *sluggish*
a last step to which the intermediates that are known leave less than 50 meV/atom. A
*residue* is what heat leaves of a powder, and the *phases* are residues and known
intermediates: sets that share them share what is learnt of them. Half of β holds at every
temperature, half only near T. Outcomes enter as soft labels v in 0…1 of a logistic
likelihood, v = 1 for a success; the posterior is Laplace's (Rasmussen & Williams, Gaussian
Processes for Machine Learning, 2006, algorithms 3.1 and 3.2).

The widths say how large such effects are in chemistry at all (a powder changes the odds by
a factor of 3, not of 100); they are no fit to any one system.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

from alab.models import Atmosphere, Attempt, Recipe, Verdict
from planners.optimizer.intermediates import Expected, expected
from planners.optimizer.observations import Observations
from planners.optimizer.residues import oxidised, residues, stays_carbonate
from planners.optimizer.strategy import powders, target_fraction
from planners.optimizer.usual import Typical
from planners.synthesis.pathways import SLUGGISH_EV_PER_ATOM

FloatArray = NDArray[np.float64]

_BASE = -1.0  # z₀: a quarter of the firings of a new target succeed (A-Lab: 30 %)
_PER_SCORE = 0.1  # d: small; how rank and success correlate differs between systems
_CARBONATE = 0.4  # c
_SLUGGISH = 1.0  # f
_UNKNOWN_SD_C = 150.0
_HOTTER = 0.5  # a firing too hot by 100 °C is forgiven like one too cold by 50 °C
_TEMPERATURE_SD, _TREND_SD, _TEMPERATURE_SCALE_C = 1.0, 0.8, 100.0
_PHASE_SD, _POWDER_SD, _RESIDUES_SD, _SET_SD = 1.0, 0.3, 0.5, 0.5
_INCONCLUSIVE_WEIGHT = 0.3
_LEAST_BEST, _LEAST_SPREAD = 0.3, 0.05
_STEPS = 30


@dataclass(frozen=True, slots=True)
class Seen:
    """A firing to learn from.

    Attributes:
        recipe: What was fired.
        grade: How well it came out, 0 to 1.
        weight: How much the outcome is to be trusted, 0 to 1.
    """

    recipe: Recipe
    grade: float
    weight: float


@dataclass(frozen=True, slots=True)
class Belief:
    """Log odds of each candidate, in the order given.

    Attributes:
        mean: Posterior mean, shape (n,).
        sd: Posterior standard deviation, shape (n,).
    """

    mean: FloatArray
    sd: FloatArray

    @property
    def promise(self) -> FloatArray:
        """Odds as a probability, 0 to 1, with the uncertainty averaged in, shape (n,).

        ∫ σ(z) N(z) dz ≈ σ(μ / √(1 + π·sd²/8)) (MacKay, Neural Comput. 4, 720, 1992).
        """
        return expit(self.mean / np.sqrt(1 + np.pi * self.sd**2 / 8))


def believe(
    candidates: Sequence[Recipe],
    seen: Sequence[Seen],
    typical: Typical | None,
    observations: Observations,
) -> Belief:
    """Judge candidates by what was found so far.

    Args:
        candidates: Recipes to judge; at least one.
        seen: What was run and graded.
        observations: What pairs of phases were seen to do, here and elsewhere.
        typical: The usual firing temperature; None where nobody knows one, so that the
            hottest candidate is as good a guess as any: a failure there is no matter of
            kinetics.
    """
    recipes = [*candidates, *(one.recipe for one in seen)]
    foreseen = [expected(recipe, observations) for recipe in recipes]
    hottest_c = max(recipe.max_temperature_c for recipe in candidates)
    usual = typical or Typical(temperature_c=hottest_c, sd_c=_UNKNOWN_SD_C)
    prior = _prior_mean(recipes, len(candidates), usual) - _sluggish(foreseen)
    covariance = _covariance(recipes, [one.phases for one in foreseen], usual)
    new, old = slice(None, len(candidates)), slice(len(candidates), None)
    if not seen:
        return Belief(mean=prior, sd=np.sqrt(np.diag(covariance)))
    labels = np.array([one.grade for one in seen])
    weights = np.array([one.weight for one in seen])
    step, curvature = _laplace(covariance[old, old], prior[old], labels, weights)
    root = np.sqrt(curvature)
    factor = cho_factor(
        np.eye(len(seen)) + root[:, None] * covariance[old, old] * root, lower=True
    )
    cross = covariance[new, old] * root
    explained = np.einsum("ij,ji->i", cross, cho_solve(factor, cross.T))
    variance = np.diag(covariance)[new] - explained
    return Belief(
        mean=prior[new] + covariance[new, old] @ step,
        sd=np.sqrt(np.maximum(variance, 1e-9)),
    )


def graded(attempts: Sequence[Attempt]) -> list[Seen]:
    """Grade each outcome among those seen; attempts without an outcome teach nothing.

    A success is 1. Others get the share of the way from the mean to the best, squared, so
    that mediocre results do not pass for good ones in a system where every powder gives
    some target; but no more than their share of target, or a poor best would end the search.
    """
    measured = [a for a in attempts if a.outcome is not None]
    if not measured:
        return []
    found = np.array([target_fraction(attempt) for attempt in measured])
    best, middle = max(float(found.max()), _LEAST_BEST), float(found.mean())
    if best - middle < _LEAST_SPREAD:
        middle = best - _LEAST_BEST
    grades = np.minimum(np.clip((found - middle) / (best - middle), 0, 1) ** 2, found)
    return [
        Seen(
            recipe=attempt.recipe,
            grade=1.0 if _verdict(attempt) is Verdict.SUCCESS else float(grade),
            weight=_INCONCLUSIVE_WEIGHT if _verdict(attempt) is Verdict.INCONCLUSIVE else 1.0,
        )
        for attempt, grade in zip(measured, grades, strict=True)
    ]


def _verdict(attempt: Attempt) -> Verdict | None:
    return attempt.outcome.verdict if attempt.outcome is not None else None


def _prior_mean(recipes: Sequence[Recipe], candidates: int, usual: Typical) -> FloatArray:
    scores = _scores(recipes)
    spread = float(scores[:candidates].std()) or 1.0
    prior = _BASE + _PER_SCORE * (scores - scores[:candidates].mean()) / spread
    at_c = _temperatures_c(recipes)
    stubborn = [
        any(stays_carbonate(p, recipe.max_temperature_c) for p in powders(recipe))
        for recipe in recipes
    ]
    prior -= _CARBONATE * np.array(stubborn, dtype=np.float64)
    off = (usual.temperature_c - at_c) / usual.sd_c
    return prior - 0.5 * np.where(off > 0, off, off * _HOTTER) ** 2


def _sluggish(foreseen: Sequence[Expected]) -> FloatArray:
    """Log odds lost to a last step that what is known leaves little driving force for."""
    forces = np.array(
        [
            SLUGGISH_EV_PER_ATOM
            if one.force_left_ev_per_atom is None
            else one.force_left_ev_per_atom
            for one in foreseen
        ]
    )
    return _SLUGGISH * np.clip(1 - forces / SLUGGISH_EV_PER_ATOM, 0.0, 1.5)


def _scores(recipes: Sequence[Recipe]) -> FloatArray:
    """Rank scores, the lowest among recipes that are alike once the gas has had its part.

    What a powder sets free by losing its gas on the way up, or by taking up oxygen, drives
    no reaction between solids: CuCO3 and Cu2O are credited with no more than CuO is.
    """
    alike = [
        frozenset(map(oxidised, residues(recipe)))
        if recipe.atmosphere in (Atmosphere.AIR, Atmosphere.O2)
        else residues(recipe)
        for recipe in recipes
    ]
    least: dict[frozenset[str], float] = {}
    for left, recipe in zip(alike, recipes, strict=True):
        least[left] = min(recipe.score, least.get(left, recipe.score))
    return np.array([least[left] for left in alike])


def _temperatures_c(recipes: Sequence[Recipe]) -> FloatArray:
    return np.array([recipe.max_temperature_c for recipe in recipes])


def _covariance(
    recipes: Sequence[Recipe], phases: Sequence[frozenset[str]], usual: Typical
) -> FloatArray:
    sets = [powders(recipe) for recipe in recipes]
    left = [residues(recipe) for recipe in recipes]
    at_c = _temperatures_c(recipes)
    gases = np.array([recipe.atmosphere.value for recipe in recipes])
    near = np.exp(-0.5 * ((at_c[:, None] - at_c) / _TEMPERATURE_SCALE_C) ** 2)
    near = near * (gases[:, None] == gases)
    off = (at_c - usual.temperature_c) / _TEMPERATURE_SCALE_C
    return (
        _TEMPERATURE_SD**2 * near
        + _TREND_SD**2 * np.outer(off, off)
        + _PHASE_SD**2 * _shared(phases) * (1 + near) / 2
        + _POWDER_SD**2 * _shared(sets)
        + _RESIDUES_SD**2 * _equal(left)
        + _SET_SD**2 * _equal(sets)
    )


def _shared(sets: Sequence[frozenset[str]]) -> FloatArray:
    """Members in common over the root of the sizes, shape (n, n)."""
    names = {name: i for i, name in enumerate(sorted(frozenset[str]().union(*sets)))}
    holds = np.zeros((len(sets), len(names)))
    for row, members in zip(holds, sets, strict=True):
        row[[names[name] for name in members]] = 1 / np.sqrt(len(members))
    return holds @ holds.T


def _equal(sets: Sequence[frozenset[str]]) -> FloatArray:
    numbers = {members: i for i, members in enumerate(dict.fromkeys(sets))}
    number = np.array([numbers[members] for members in sets])
    return (number[:, None] == number).astype(np.float64)


def _laplace(
    covariance: FloatArray, prior: FloatArray, labels: FloatArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Find the posterior mode by Newton: ``K⁻¹(f − m)`` and the likelihood's curvature."""
    mode = prior.copy()
    step = np.zeros_like(prior)
    curvature = np.ones_like(prior)
    for _ in range(_STEPS):
        odds = expit(mode)
        curvature = np.maximum(weights * odds * (1 - odds), 1e-5)
        root = np.sqrt(curvature)
        factor = cho_factor(np.eye(len(mode)) + root[:, None] * covariance * root, lower=True)
        right = curvature * (mode - prior) + weights * (labels - odds)
        step = right - root * cho_solve(factor, root * (covariance @ right))
        following = prior + covariance @ step
        moved = float(np.abs(following - mode).max())
        mode = following
        if moved < 1e-6:
            break
    return step, curvature
