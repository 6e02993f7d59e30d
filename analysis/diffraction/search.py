"""Which phases are in a pattern: screen all candidates, then build the set one by one.

The screen draws every candidate with broad lines at several sample displacements and solves
for non-negative amounts of all of them at once. The set then grows: the candidate that would
take most out of the residual, over a small grid of cell strains, is added and everything is
refined; it stays if χ², tempered for misfit and serial correlation (see
``refine._temperature``), falls by more than its parameters cost. Phases whose amount lost its
significance go. At the end each phase must stand against its rivals in the same place.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from analysis.diffraction.arrays import Array
from analysis.diffraction.measured import Measured
from analysis.diffraction.profile import (
    DISPLACEMENT,
    EXTRA_B,
    GAUSS,
    PHASE_PARAMETERS,
    SIZE,
    Batch,
    batch,
    draw,
)
from analysis.diffraction.refine import (
    C_AXIS,
    SLOTS,
    Fit,
    background_of,
    profiles,
    refine,
    shared_mean,
    start,
    with_phase,
    without_phase,
)
from analysis.diffraction.reflections import Lines

COST_OF_A_PHASE = 24.0
"""By how much tempered χ² must fall for a phase: 3 effective parameters · ln(2,800)."""
SIGNIFICANT = 3.5
"""Standard deviations by which the amount of a phase must differ from nothing."""
RIVAL_MARGIN = 12.0
"""A rival whose tempered objective is worse by less than this is named."""

_CHUNK = 32
_DISPLACEMENTS_MM = (-0.24, -0.16, -0.08, 0.0, 0.08, 0.16, 0.24)
_STRAINS = (-0.006, -0.003, 0.0, 0.003, 0.006)
_TRIES = 3
_COARSE = 1.0  # gain at which a refinement during the search stops


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Outcome of a search.

    Attributes:
        fit: Refined set of phases; empty if nothing is significant.
        members: Index of each phase of the fit among the candidates.
        rivals: (index in the fit, index of the candidate that explains nearly as much).
        probabilities: That each phase of the fit is there, 0 to 1.
    """

    fit: Fit
    members: tuple[int, ...]
    rivals: tuple[tuple[int, int], ...] = ()
    probabilities: tuple[float, ...] = (1.0,) * SLOTS


@dataclass(slots=True)
class _Chunk:
    """Candidates drawn together; padded to one shape."""

    first: int
    count: int
    lines: Batch


def search(
    measured: Measured, candidates: list[Lines], required: tuple[int, ...] = ()
) -> Found:
    """Find the phases of a pattern.

    Args:
        measured: The pattern.
        candidates: Lines of every structure that may be there.
        required: Candidates to try first when they explain nearly as much as the best one.
    """
    chunks = _chunks(candidates)
    members, fit = _seed(measured, candidates, chunks)
    fit = refine(measured, fit, 6, _COARSE)
    members, fit = _prune(measured, members, fit)
    members, fit = _grow(measured, candidates, chunks, members, fit)
    members, fit, rivals = _challenge(measured, candidates, chunks, members, fit, required)
    fit = refine(measured, fit, 12)
    members, fit = _prune(measured, members, fit)
    kept = tuple((members.index(m), rival) for m, rival in rivals if m in members)
    return Found(fit=fit, members=tuple(members), rivals=kept)


class _Beside:
    """What is left to explain beside a fit: everything weighted, and free of what is there."""

    def __init__(self, measured: Measured, fit: Fit) -> None:
        self._used = measured.used
        self._root = np.sqrt(measured.weights[: measured.used])
        present = profiles(measured, fit) if fit.lines else np.zeros((0, measured.used))
        model = present.sum(0) + background_of(measured, fit)
        linear = np.vstack([present[fit.amounts > 0], measured.basis[: measured.used].T])
        linear = linear * self._root
        linear /= np.linalg.norm(linear, axis=1)[:, None]
        sizes, directions = np.linalg.eigh(linear @ linear.T)
        kept = sizes > 1e-10
        self._basis = (directions[:, kept] / np.sqrt(sizes[kept])).T @ linear
        self.residual = self._free((measured.counts[: measured.used] - model) * self._root)

    def columns(self, drawn: Array) -> Array:
        """Profiles as they enter beside the fit, shape (candidates, used points)."""
        return self._free(drawn[:, : self._used] * self._root)

    def _free(self, values: Array) -> Array:
        return values - (values @ self._basis.T) @ self._basis


def _chunks(candidates: list[Lines]) -> list[_Chunk]:
    return [
        _Chunk(first, len(part), batch(part, (C_AXIS,) * len(part)))
        for first in range(0, len(candidates), _CHUNK)
        if (part := candidates[first : first + _CHUNK])
    ]


def _draw_all(measured: Measured, chunks: list[_Chunk], shared: Array, phase: Array) -> Array:
    """Profiles of all candidates with the same parameters, shape (candidates, points)."""
    phases = jnp.asarray(np.tile(phase, (_CHUNK, 1)))
    drawn = [
        np.asarray(
            draw(
                chunk.lines,
                phases,
                jnp.asarray(shared),
                measured.instrument,
                measured.grid,
                slots=_CHUNK,
                points=len(measured.counts),
            )
        )[: chunk.count]
        for chunk in chunks
    ]
    return np.concatenate(drawn)


def _seed(
    measured: Measured, candidates: list[Lines], chunks: list[_Chunk]
) -> tuple[list[int], Fit]:
    """The displacement at which few candidates explain most, and the strongest of them."""
    empty = start(measured, [])
    beside = _Beside(measured, empty)
    phase = np.zeros(PHASE_PARAMETERS)
    phase[SIZE : SIZE + 2] = 0.1
    best: tuple[float, float, Array] | None = None
    for displacement in _DISPLACEMENTS_MM:
        shared = shared_mean(measured.instrument)
        shared[DISPLACEMENT], shared[GAUSS] = displacement, 0.1
        drawn = _draw_all(measured, chunks, shared, phase)
        explained, shares = _share_out(beside, drawn)
        if best is None or explained > best[0]:
            best = (explained, displacement, shares)
    if best is None or best[0] <= 0:
        return [], empty
    _, displacement, shares = best
    ranked = np.argsort(-shares, kind="stable")
    chosen = [int(i) for i in ranked[:3] if shares[i] > 0.08 * shares.sum()]
    return chosen, start(measured, [candidates[i] for i in chosen], displacement)


def _share_out(beside: _Beside, drawn: Array) -> tuple[float, Array]:
    """Non-negative amounts of all candidates: χ² taken out in all, and by each."""
    columns, residual = beside.columns(drawn), beside.residual
    gram, right = columns @ columns.T, columns @ residual
    scale = 1 / np.sqrt(np.maximum(np.diag(gram), 1e-300))
    gram, right = gram * np.outer(scale, scale) + 1e-8 * np.eye(len(gram)), right * scale
    amounts = np.zeros(len(right))
    for _ in range(150):  # coordinate descent: small, and never singular
        before = amounts.copy()
        for i in range(len(right)):
            amounts[i] = max(0.0, amounts[i] + (right[i] - gram[i] @ amounts) / gram[i, i])
        if np.max(np.abs(amounts - before)) < 1e-4 * np.max(np.abs(amounts) + 1e-12):
            break
    shares = amounts * right
    return float(amounts @ right * 2 - amounts @ gram @ amounts), shares


def _gains(measured: Measured, chunks: list[_Chunk], fit: Fit) -> tuple[Array, Array]:
    """χ² that each candidate would take out beside a fit, and the cell strain for it."""
    phase = np.zeros(PHASE_PARAMETERS)
    if fit.lines:
        weights = fit.amounts + 1e-12
        phase = np.average(fit.phases[: len(fit.lines)], axis=0, weights=weights)
        phase[:SIZE], phase[EXTRA_B:] = 0.0, 0.0
    else:
        phase[SIZE : SIZE + 2] = 0.05
    beside = _Beside(measured, fit)
    gains, strains = [], np.array(_STRAINS)
    for strain in strains:
        phase[0] = strain
        columns = beside.columns(_draw_all(measured, chunks, fit.shared, phase))
        along = np.maximum(columns @ beside.residual, 0.0)
        power = np.einsum("cp,cp->c", columns, columns)
        gains.append(along**2 / np.maximum(power, 1e-12 * np.max(power)))
    table = np.array(gains)
    return table.max(0), strains[table.argmax(0)]


def _grow(
    measured: Measured,
    candidates: list[Lines],
    chunks: list[_Chunk],
    members: list[int],
    fit: Fit,
) -> tuple[list[int], Fit]:
    while len(members) < SLOTS:
        gains, strains = _gains(measured, chunks, fit)
        gains[members] = 0.0
        for index in np.argsort(-gains, kind="stable")[:_TRIES]:
            if gains[index] / fit.temperature < COST_OF_A_PHASE / 4:
                return members, fit
            trial = with_phase(measured, fit, candidates[index], float(strains[index]))
            trial = refine(measured, trial, 5, _COARSE)
            better = fit.cost(trial.temperature) - trial.cost(trial.temperature)
            if better > COST_OF_A_PHASE and trial.significance[-1] > SIGNIFICANT:
                members, fit = _prune(measured, [*members, int(index)], trial)
                break
        else:
            return members, fit
    return members, fit


def _prune(measured: Measured, members: list[int], fit: Fit) -> tuple[list[int], Fit]:
    """Take out phases whose amount is not significant, the least significant first."""
    while members:
        weakest = int(np.argmin(fit.significance))
        if fit.significance[weakest] > SIGNIFICANT:
            break
        fit = without_phase(measured, fit, weakest)
        members = [m for i, m in enumerate(members) if i != weakest]
    return members, fit


def _challenge(
    measured: Measured,
    candidates: list[Lines],
    chunks: list[_Chunk],
    members: list[int],
    fit: Fit,
    required: tuple[int, ...],
) -> tuple[list[int], Fit, list[tuple[int, int]]]:
    """Put the best rival in the place of each phase; keep whichever explains more."""
    rivals: list[tuple[int, int]] = []
    for position in range(len(members)):
        alone = without_phase(measured, fit, position)
        gains, strains = _gains(measured, chunks, alone)
        own = gains[members[position]]
        others = [m for m in members if m != members[position]]
        gains[members] = 0.0
        gains[list(required)] *= 1.1
        gains[others] = 0.0
        rival = int(np.argmax(gains))
        if gains[rival] < 0.7 * own:
            continue
        trial = refine(
            measured,
            with_phase(measured, alone, candidates[rival], float(strains[rival])),
            6,
            _COARSE,
        )
        worse = trial.cost(fit.temperature) - fit.cost(fit.temperature)
        if worse < 0 and trial.significance[-1] > SIGNIFICANT:
            defeated = members[position]
            members = [*members[:position], *members[position + 1 :], rival]
            fit = trial
            if -worse < RIVAL_MARGIN:
                rivals.append((rival, defeated))
            return members, fit, rivals
        if worse < RIVAL_MARGIN:
            rivals.append((members[position], rival))
    return members, fit, rivals
