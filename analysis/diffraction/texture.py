"""Along which low-index axis the plates or needles of a phase lie."""

import numpy as np

from analysis.diffraction.arrays import Array
from analysis.diffraction.measured import Measured
from analysis.diffraction.profile import axis_cos2
from analysis.diffraction.refine import Fit, march_gain, refine, with_axis
from analysis.diffraction.reflections import Lines

WORTH = 10.0
"""Tempered χ² that some texture must promise before axes are compared."""
BETTER = 2.0
"""Tempered χ² by which another axis must be better than the present one."""

_LEAST_SHARE = 0.05
_STEPS = 6
_COMPARED, _NEARLY = 3, 0.5
_SAME = 1e-3


def oriented(measured: Measured, fit: Fit) -> Fit:
    """A fit with the best texture axis of each phase, refined a little.

    The score test for March's r at r = 1, gradient² over curvature, says whether there is
    texture at all, and leaves few axes; to first order those across an axis of symmetry say
    the same as that axis, so they are told apart by refining.

    Args:
        measured: The pattern.
        fit: Refined phases.
    """
    for index in np.argsort(-fit.amounts, kind="stable"):
        if fit.amounts[index] < _LEAST_SHARE * fit.amounts.sum():
            continue
        fit = _one(measured, fit, int(index))
    return fit


def _one(measured: Measured, fit: Fit, index: int) -> Fit:
    tried = [with_axis(measured, fit, index, axis) for axis in axes_of(fit.lines[index])]
    gains = np.array([march_gain(trial, index) for trial in tried])
    if gains.max() < WORTH:
        return fit
    order = np.argsort(-np.round(gains, 6), kind="stable")[:_COMPARED]
    best = fit
    for i in order:
        if gains[i] < _NEARLY * gains.max():
            break
        trial = refine(measured, tried[i], _STEPS)
        if trial.cost(trial.temperature) + BETTER < best.cost(trial.temperature):
            best = trial
    return best


def axes_of(lines: Lines) -> list[Array]:
    """Axes that are not equivalent by symmetry, in reciprocal indices.

    The axes of the reciprocal cell, and where these are all the same, as in a cube, also its
    diagonals.
    """
    edges = _different(lines, np.eye(3)[::-1])
    if len(edges) > 1:
        return edges
    return _different(lines, np.array([[0.0, 0, 1], [0, 1, 1], [1, 1, 1]]))


def _different(lines: Lines, axes: Array) -> list[Array]:
    found: list[Array] = []
    seen: list[Array] = []
    for axis in axes:
        cos2 = np.sort(axis_cos2(lines, axis), axis=1)
        if not any(np.max(np.abs(cos2 - other)) < _SAME for other in seen):
            found.append(axis)
            seen.append(cos2)
    return found
