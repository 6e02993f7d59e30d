"""Along which low-index axis the plates or needles of a phase lie."""

import itertools

import numpy as np

from analysis.diffraction.arrays import Array
from analysis.diffraction.measured import Measured
from analysis.diffraction.profile import axis_cos2
from analysis.diffraction.refine import Fit, march_gain, refine, with_axis
from analysis.diffraction.reflections import Lines

WORTH = 10.0
"""Tempered χ² that another axis must promise beyond that of the present one."""

_LEAST_SHARE = 0.03
_STEPS = 4
_SAME = 1e-3


def oriented(measured: Measured, fit: Fit) -> Fit:
    """A fit with the best texture axis of each phase, refined a little.

    The axes are compared by the score test for March's r at r = 1: gradient² over curvature.

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
    present = fit.axes[index]
    tried = [with_axis(measured, fit, index, axis) for axis in axes_of(fit.lines[index])]
    gains = [march_gain(trial, index) for trial in tried]
    own = march_gain(with_axis(measured, fit, index, present), index)
    best = int(np.argmax(gains))
    if gains[best] < own + WORTH:
        return fit
    trial = refine(measured, tried[best], _STEPS)
    return trial if trial.cost(trial.temperature) < fit.cost(trial.temperature) else fit


def axes_of(lines: Lines) -> list[Array]:
    """Low-index axes that are not equivalent by symmetry, in reciprocal indices."""
    found: list[Array] = []
    seen: list[Array] = []
    triples = itertools.product((0, 1), repeat=3)
    for triple in sorted(triples, key=sum)[1:]:
        axis = np.array(triple, dtype=float)
        cos2 = np.sort(axis_cos2(lines, axis), axis=1)
        if not any(np.max(np.abs(cos2 - other)) < _SAME for other in seen):
            found.append(axis)
            seen.append(cos2)
    return found
