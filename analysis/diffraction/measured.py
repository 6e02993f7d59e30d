"""A pattern as the refinement takes it: binned to an even axis, weighted, with a background."""

from dataclasses import dataclass

import numpy as np

from analysis.diffraction.arrays import Array
from analysis.diffraction.pattern import Pattern
from analysis.diffraction.profile import Grid, Instrument

POINTS = 3072
"""Every pattern is binned and padded to this many points, so that one shape is compiled."""
BACKGROUND = 14
"""Columns of the background: Chebyshev polynomials, and one that rises as 1/2θ."""

MODEL_ERROR = 0.05
"""Share of the net counts by which profiles are taken to be wrong; tempers strong peaks."""
_LOWEST_DEG, _WIDEST_DEG = 8.0, 112.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A pattern on an even axis of fixed length; padding has weight 0.

    Attributes:
        grid: First angle and step.
        used: How many of the points are measured.
        counts: Shape (POINTS,).
        weights: 1 / (variance + model error²), shape (POINTS,).
        variance: Of the counts, shape (POINTS,).
        basis: Background columns, shape (POINTS, BACKGROUND).
        instrument: What measured it.
    """

    grid: Grid
    used: int
    counts: Array
    weights: Array
    variance: Array
    basis: Array
    instrument: Instrument

    @property
    def two_theta_deg(self) -> Array:
        """Angles of the measured points."""
        return self.grid.start_deg + self.grid.step_deg * np.arange(self.used)


def prepare(pattern: Pattern, instrument: Instrument) -> Measured:
    """Bin a pattern to at most POINTS even points between 8° and 120°."""
    angle, counts, variance = pattern.two_theta_deg, pattern.counts, pattern.esd**2
    start = max(float(angle[0]), _LOWEST_DEG)
    keep = (angle >= start) & (angle <= start + _WIDEST_DEG)
    if np.sum(keep) >= 50:
        angle, counts, variance = angle[keep], counts[keep], variance[keep]
    step = (angle[-1] - angle[0]) / (len(angle) - 1)
    even = angle[0] + step * np.arange(len(angle))
    if np.max(np.abs(even - angle)) > 0.2 * step:
        counts, variance = np.interp(even, angle, counts), np.interp(even, angle, variance)
    grid, used, binned, binned_variance = _binned(float(even[0]), step, counts, variance)
    net = np.maximum(binned - baseline(binned, round(1.5 / grid.step_deg)), 0.0)
    spread = np.maximum(binned_variance, 1.0) + (MODEL_ERROR * net) ** 2
    return Measured(
        grid=grid,
        used=used,
        counts=np.pad(binned, (0, POINTS - used)),
        weights=np.pad(1 / spread, (0, POINTS - used)),
        variance=np.pad(np.maximum(binned_variance, 1.0), (0, POINTS - used)),
        basis=_background_basis(grid, used),
        instrument=instrument,
    )


def _binned(
    start_deg: float, step_deg: float, counts: Array, variance: Array
) -> tuple[Grid, int, Array, Array]:
    """Sum counts into at most POINTS even bins; a point on an edge is shared out."""
    if len(counts) <= POINTS:
        return Grid(start_deg, step_deg), len(counts), counts, variance
    edges = np.arange(len(counts) + 1, dtype=float)
    wanted = np.linspace(0.0, len(counts), POINTS + 1)
    factor = len(counts) / POINTS

    def summed(values: Array) -> Array:
        total = np.concatenate([[0.0], np.cumsum(values)])
        return np.diff(np.interp(wanted, edges, total))

    grid = Grid(start_deg + step_deg * (factor - 1) / 2, step_deg * factor)
    return grid, POINTS, summed(counts), summed(variance)


def baseline(counts: Array, half_window: int) -> Array:
    """Peak-stripped background (SNIP; Ryan et al., Nucl. Instrum. Meth. B34 (1988) 396)."""
    values = np.log(np.log(np.sqrt(np.maximum(counts, 0) + 1) + 1) + 1)
    for width in range(max(half_window, 1), 0, -1):
        padded = np.pad(values, width, mode="edge")
        mean = (padded[: -2 * width] + padded[2 * width :]) / 2
        values = np.minimum(values, mean)
    return (np.exp(np.exp(values) - 1) - 1) ** 2 - 1


def _background_basis(grid: Grid, used: int) -> Array:
    x = np.linspace(-1, 1, used)
    columns = np.polynomial.chebyshev.chebvander(x, BACKGROUND - 2)
    angle = grid.start_deg + grid.step_deg * np.arange(used)
    rising = grid.start_deg / angle
    return np.pad(np.column_stack([columns, rising]), ((0, POINTS - used), (0, 0)))
