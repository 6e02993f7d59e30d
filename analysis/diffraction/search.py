"""Which phases are in a pattern: a beam search over sets of phases, each set refined.

A set h of phases is scored by

    S(h) = χ²/T + priors + Σ (COST_OF_A_PHASE + what chemistry says against the phase)

with T the temperature of ``refine``: χ² a point times the inflation by serial correlation, so
that ΔS is an information criterion in which a misfit over neighbouring points counts once. Sets
grow by the candidates that take most out of the residual (see ``screen``); each phase must then
stand against its best rivals in its place, and against its own absence, everything else being
refined again. ΔS of those gives its probability.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

import numpy as np

from analysis.diffraction.arrays import Array
from analysis.diffraction.measured import Measured
from analysis.diffraction.profile import DISPLACEMENT
from analysis.diffraction.proof import proven
from analysis.diffraction.refine import (
    SLOTS,
    Fit,
    refine,
    refitted,
    start,
    tolerant,
    with_phase,
    without_phase,
)
from analysis.diffraction.reflections import Lines
from analysis.diffraction.screen import WIDTHS_DEG, Gains, Screen
from analysis.diffraction.texture import oriented

COST_OF_A_PHASE = 24.0
"""By how much tempered χ² must fall for a phase: 3 effective parameters · ln(2,800)."""
COST_OF_A_STRAIN = 4.0
"""The same for each way in which its cell may strain, beyond the first."""
SIGNIFICANT = 3.5
"""Standard deviations by which the amount of a phase must differ from nothing."""
SURE = 8.0
"""Significance below which less than TRACE of the mass is a trace: possible, not identified."""
TRACE = 0.02
MOST_OF_A_TRACE = 0.03
"""Share of the mass up to which a phase without proof is fitted beside the others."""
RIVAL_MARGIN = 12.0
"""A rival whose score is worse by less than this is named."""

Prior = Callable[[Sequence[int], Array], float]
"""What is known against a set of candidates with these amounts, in units of S."""

_BEAM = 2
_BEAM_MARGIN = 20.0
_TRIES = 3
_RIVALS_TRIED = 2
_ROUNDS = 4
_TOLERANT_PASSES = 2
_MOST_SETS = 90  # refined before the search stops to grow
_FEW_UNKNOWN = 0.01  # share of points below which unknown peaks do no harm
_MOST_TRACES = 2
_NEAR, _VERY_NEAR = 300.0, 60.0
_COARSE_STEPS, _FINAL_STEPS = 6, 25
_COARSE, _FINE = 1.0, 0.05  # gain at which a refinement stops


def indifferent(members: Sequence[int], amounts: Array) -> float:  # noqa: ARG001
    """The prior that knows nothing."""
    return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Outcome of a search.

    Attributes:
        fit: Refined set of phases; empty if nothing is significant.
        members: Index of each phase of the fit among the candidates.
        rivals: (index in the fit, index of the candidate that explains nearly as much).
        probabilities: That each phase of the fit is there, 0 to 1.
        traces: (index of a candidate that may be there too, its share of the mass).
        quantified: The fit with the traces after the phases, from which amounts are to be
            taken; None where there is none.
    """

    fit: Fit
    members: tuple[int, ...]
    rivals: tuple[tuple[int, int], ...] = ()
    probabilities: tuple[float, ...] = (1.0,) * SLOTS
    traces: tuple[tuple[int, float], ...] = ()
    quantified: Fit | None = None


@dataclass(frozen=True, slots=True)
class _Set:
    """A refined set of candidates."""

    members: tuple[int, ...]
    fit: Fit
    against: float

    def score(self, temperature: float) -> float:
        cost = sum(
            COST_OF_A_PHASE + COST_OF_A_STRAIN * (lines.strain_modes - 1)
            for lines in self.fit.lines
        )
        return self.fit.cost(temperature) + self.against + cost

    def beats(self, other: "_Set") -> float:
        """By how much its score is lower, at the temperature of the better fit."""
        temperature = min(self.fit.temperature, other.fit.temperature)
        return other.score(temperature) - self.score(temperature)


def search(
    measured: Measured,
    candidates: list[Lines],
    *,
    required: tuple[int, ...] = (),
    prior: Prior = indifferent,
) -> Found:
    """Find the phases of a pattern.

    Args:
        measured: The pattern.
        candidates: Lines of every structure that may be there.
        required: Candidates to try whatever the screen says of them.
        prior: What chemistry says against sets of candidates.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return _Search(measured, candidates, required, prior, pool).run()


class _Search:
    def __init__(
        self,
        measured: Measured,
        candidates: list[Lines],
        required: tuple[int, ...],
        prior: Prior,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._whole, self._measured, self._candidates = measured, measured, candidates
        self._required, self._prior = required, prior
        self._pool, self._lock = pool, Lock()
        self._sets = 0
        self._last: tuple[_Set, list[_Set]] | None = None
        self._hopeless: set[tuple[frozenset[int], int]] = set()
        self._screen = Screen(measured, candidates)

    def run(self) -> Found:
        best = self._settled(self._built(self._seed()))
        for _ in range(_TOLERANT_PASSES):
            held, share = tolerant(self._whole, best.fit)
            if share < _FEW_UNKNOWN:
                break
            self._measured, displacement_mm = held, float(best.fit.shared[DISPLACEMENT])
            self._screen = Screen(held, self._candidates)
            self._screen.place(displacement_mm)
            best = self._settled(self._grown(self._again(best)))
        return self._judged(self._sure(best))

    def _built(self, seed: _Set) -> _Set:
        best = self._grown(seed)
        for _ in range(_ROUNDS):
            changed = self._challenged(self._pruned(best))
            if changed is None:
                break
            best = self._grown(changed)
        return best

    def _again(self, given: _Set) -> _Set:
        """The same set on the pattern as it is weighted now."""
        return self._refined(given.members, refitted(self._measured, given.fit))

    def _seed(self) -> _Set:
        empty = start(self._measured, [])
        displacement_mm, shares = self._screen.share_out(empty)
        self._screen.place(displacement_mm)
        self._twins = self._screen.twins()
        ranked = np.argsort(-shares, kind="stable")
        chosen = [int(i) for i in ranked[:3] if shares[i] > 0.08 * shares.sum()]
        lines = [self._candidates[i] for i in chosen]
        return self._refined(chosen, start(self._measured, lines, displacement_mm))

    def _refined(
        self,
        members: Sequence[int],
        fit: Fit,
        steps: int = _COARSE_STEPS,
        tolerance: float = _COARSE,
    ) -> _Set:
        with self._lock:
            self._sets += 1
        fit = refine(self._measured, fit, steps, tolerance)
        return _Set(tuple(members), fit, self._prior(members, fit.amounts))

    def _grown(self, first: _Set) -> _Set:
        """Add phases while any pays, following the _BEAM best sets."""
        best = self._pruned(first)
        beam = [best]
        while beam and self._sets < _MOST_SETS:
            children: dict[frozenset[int], _Set] = {}
            for parent in beam:
                for child in self._additions(parent):
                    children.setdefault(frozenset(child.members), child)
            ranked = sorted(children.values(), key=lambda child: -child.beats(best))
            if not ranked:
                break
            beam = [ranked[0]]
            beam += [
                other for other in ranked[1:_BEAM] if ranked[0].beats(other) < _BEAM_MARGIN
            ]
            if ranked[0].beats(best) > 0:
                best = ranked[0]
        return best

    def _additions(self, parent: _Set) -> list[_Set]:
        """Sets with one phase more that beat their parent, pruned."""
        if len(parent.members) >= SLOTS:
            return []
        gains = self._screen.gains(parent.fit)
        worth = gains.chi2 / parent.fit.temperature
        worth[self._twins[list(parent.members)].any(axis=0)] = 0.0
        order = [int(i) for i in np.argsort(-worth, kind="stable")[:_TRIES]]
        order = [i for i in order if worth[i] > COST_OF_A_PHASE / 4]
        return [
            self._pruned(child)
            for child in self._with_each(parent.members, parent.fit, order, gains)
            if child.beats(parent) > 0 and self._shows(child, -1)
        ]

    def _with_each(
        self, members: Sequence[int], fit: Fit, order: Iterable[int], gains: Gains
    ) -> list[_Set]:
        """The set with each of some candidates, refined side by side."""
        return list(self._pool.map(lambda i: self._with(members, fit, i, gains), order))

    def _with(self, members: Sequence[int], fit: Fit, index: int, gains: Gains) -> _Set:
        trial = with_phase(
            self._measured,
            fit,
            self._candidates[index],
            float(gains.strain[index]),
            float(gains.width_deg[index] - WIDTHS_DEG[0]),
        )
        return self._refined((*members, index), trial)

    def _shows(self, given: _Set, position: int) -> bool:
        """Whether the amount of a phase is significant, and lines of its own prove it."""
        if given.fit.significance[position] < SIGNIFICANT:
            return False
        return proven(self._measured, given.fit, position % len(given.members))

    def _pruned(self, given: _Set) -> _Set:
        """Take out phases whose amount is not significant, the least significant first."""
        members, fit = given.members, given.fit
        while members:
            weakest = int(np.argmin(fit.significance))
            if fit.significance[weakest] > SIGNIFICANT:
                break
            fit = without_phase(self._measured, fit, weakest)
            members = tuple(m for i, m in enumerate(members) if i != weakest)
        return _Set(members, fit, self._prior(members, fit.amounts))

    def _challenged(self, given: _Set) -> _Set | None:
        """The set with a phase replaced by the rival that beats it; None if none does."""
        for position in range(len(given.members)):
            for trial in self._swaps(given, position):
                if trial.beats(given) > 0 and self._shows(trial, -1):
                    return trial
        return None

    def _swaps(self, given: _Set, position: int) -> list[_Set]:
        """The set with its best rivals in the place of one phase."""
        alone = without_phase(self._measured, given.fit, position)
        others = tuple(m for i, m in enumerate(given.members) if i != position)
        gains = self._screen.gains(alone)
        worth = gains.chi2.copy()
        own = worth[given.members[position]]
        worth[list(given.members)] = 0.0
        order = [int(i) for i in np.argsort(-worth, kind="stable")[:_RIVALS_TRIED]]
        order = [i for i in order if worth[i] > 0.6 * own]
        order += [i for i in self._required if i not in order and worth[i] > 0.3 * own]
        tried = frozenset(others)
        order = [i for i in order if (tried, i) not in self._hopeless]
        swaps = self._with_each(others, alone, order, gains)
        self._hopeless |= {(tried, s.members[-1]) for s in swaps if given.beats(s) > _NEAR}
        return list(
            self._pool.map(
                lambda s: self._refined(s.members, s.fit) if given.beats(s) < _NEAR else s,
                swaps,
            )
        )

    def _settled(self, given: _Set) -> _Set:
        """Refine to the end, and take out what the rest can do without."""
        best = self._finished(given)
        while best.members:
            bare = [i for i in range(len(best.members)) if not self._shows(best, i)]
            if bare:
                weakest = min(bare, key=lambda i: best.fit.significance[i])
                best = self._without(best, weakest)
                continue
            fewer = self._leaner(best)
            leanest = min(fewer, key=best.beats)
            if best.beats(leanest) > 0:
                break
            best = self._refined(leanest.members, leanest.fit, _FINAL_STEPS, _FINE)
        return best

    def _sure(self, given: _Set) -> _Set:
        """The set without phases too small and too weak to be sure of."""
        while given.members:
            shares = given.fit.amounts / given.fit.amounts.sum()
            weak = (shares < TRACE) & (given.fit.significance < SURE)
            if not weak.any():
                break
            position = int(np.argmin(np.where(weak, given.fit.significance, np.inf)))
            given = self._without(given, position)
            given = self._refined(given.members, given.fit, _FINAL_STEPS, _FINE)
        return given

    def _with_traces(self, best: _Set) -> _Set:
        """The set with up to _MOST_TRACES small phases more that pay, proven or not.

        Left out, what they explain would be laid on the others and falsify their amounts.
        """
        for _ in range(_MOST_TRACES):
            if len(best.members) >= SLOTS:
                break
            gains = self._screen.gains(best.fit)
            worth = gains.chi2 / best.fit.temperature
            worth[self._twins[list(best.members)].any(axis=0)] = 0.0
            worth[gains.width_deg > WIDTHS_DEG[1]] = 0.0  # a hump proves no trace
            index = int(np.argmax(worth))
            if worth[index] < COST_OF_A_PHASE / 2:
                break
            child = self._with(best.members, best.fit, index, gains)
            child = self._refined(child.members, child.fit, _FINAL_STEPS, _FINE)
            share = child.fit.amounts[-1] / child.fit.amounts.sum()
            if child.beats(best) < 0 or share > MOST_OF_A_TRACE:
                break
            best = child
        return best

    def _afresh(self, given: _Set) -> _Set:
        """The same set refined from usual values, if that ends better.

        A search leaves marks: a texture that a phase took on while another was missing.
        """
        lines = [self._candidates[i] for i in given.members]
        displacement_mm = float(given.fit.shared[DISPLACEMENT])
        usual = start(self._measured, lines, displacement_mm)
        fresh = self._finished(self._refined(given.members, usual, _FINAL_STEPS, _FINE))
        return fresh if fresh.beats(given) > 0 else given

    def _leaner(self, given: _Set) -> list[_Set]:
        """The set without each of its phases, refined again; kept for the last set asked."""
        if self._last is None or self._last[0] is not given:
            places = range(len(given.members))
            self._last = given, list(self._pool.map(lambda i: self._without(given, i), places))
        return self._last[1]

    def _without(self, given: _Set, position: int) -> _Set:
        alone = without_phase(self._measured, given.fit, position)
        members = tuple(m for i, m in enumerate(given.members) if i != position)
        return self._refined(members, alone)

    def _judged(self, best: _Set) -> Found:
        """Probabilities of the phases, from their rivals and from their absence.

        A rival that comes near is refined to the end; if it wins, it takes the place.
        """
        rivals: list[tuple[int, int]] = []
        probabilities: list[float] = []
        for round_ in range(_ROUNDS):
            rivals, probabilities, winner = [], [], best
            for position, leaner in enumerate(self._leaner(best)):
                margins = [best.beats(leaner)]
                for trial in self._swaps(best, position):
                    margin = best.beats(trial)
                    if margin < _VERY_NEAR:
                        trial = self._refined(trial.members, trial.fit, _FINAL_STEPS, _FINE)
                        margin = best.beats(trial)
                    if margin > RIVAL_MARGIN or not self._shows(trial, -1):
                        continue
                    margins.append(margin)
                    rivals.append((position, trial.members[-1]))
                    if trial.beats(winner) > 0:
                        winner = trial
                odds = np.exp(-np.clip(margins, -20.0, 200.0) / 2).sum()
                probabilities.append(float(1 / (1 + odds)))
            if winner is best or round_ == _ROUNDS - 1:
                break  # what was found out is of this best
            best = winner
        more = self._with_traces(best)
        if len(more.members) > len(best.members):
            more = self._afresh(more)
        shares = more.fit.amounts / max(more.fit.amounts.sum(), 1e-300)
        first = len(best.members)
        return Found(
            fit=best.fit,
            members=best.members,
            rivals=tuple(rivals),
            probabilities=tuple(probabilities),
            traces=tuple(
                (index, float(share))
                for index, share in zip(more.members[first:], shares[first:], strict=True)
            ),
            quantified=more.fit,
        )

    def _finished(self, given: _Set) -> _Set:
        fit = oriented(self._measured, given.fit)
        return self._refined(given.members, fit, _FINAL_STEPS, _FINE)
