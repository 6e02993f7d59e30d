"""A pattern as the refinement takes it: binned to an even axis, weighted, with a background."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
_GAP_STEPS = 5.0
"""Points further apart than this many steps have a gap between them."""
_FINEST_DEG = 0.0199
"""Lines are drawn over a fixed number of points: finer steps would cut off their tails."""
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A pattern on an even axis of fixed length; padding and gaps have weight 0.

    Attributes:
        grid: First angle and step.
        used: How many of the points lie on the pattern, gaps included.
        counts: Shape (POINTS,); a straight line where nothing was measured.
        weights: 1 / (variance + model error²), shape (POINTS,).
        variance: Of the counts, shape (POINTS,); infinite where nothing was measured.
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
        """Angles of the used points."""
        return self.grid.start_deg + self.grid.step_deg * np.arange(self.used)

    @property
    def seen(self) -> NDArray[np.intp]:
        """Which of the used points were measured, shape (n,)."""
        return np.flatnonzero(np.isfinite(self.variance[: self.used]))


def prepare(pattern: Pattern, instrument: Instrument) -> Measured:
    """Bin a pattern to at most POINTS even points between 8° and 120°."""
    angle, counts, variance = pattern.two_theta_deg, pattern.counts, pattern.esd**2
    start = max(float(angle[0]), _LOWEST_DEG)
    keep = (angle >= start) & (angle <= start + _WIDEST_DEG)
    if np.sum(keep) >= 50:
        angle, counts, variance = angle[keep], counts[keep], variance[keep]
    first, counts, variance, empty = _evenly(angle, counts, variance)
    grid, used, (binned, binned_variance, hollow) = _binned(first, (counts, variance, empty))
    binned_variance = np.where(hollow > _ROUNDING, np.inf, binned_variance)
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


def gaps_deg(two_theta_deg: Array) -> list[tuple[float, float]]:
    """Last point before and first point after each range that was not measured."""
    wide = _wide(two_theta_deg)
    ends = zip(two_theta_deg[:-1][wide], two_theta_deg[1:][wide], strict=True)
    return [(float(low), float(high)) for low, high in ends]


def _wide(two_theta_deg: Array) -> NDArray[np.bool_]:
    apart = np.diff(two_theta_deg)
    return apart > _GAP_STEPS * np.median(apart)


def _evenly(angle: Array, counts: Array, variance: Array) -> tuple[Grid, Array, Array, Array]:
    """The pattern at even angles, and 1 where nothing was measured there, else 0."""
    wide, span = _wide(angle), angle[-1] - angle[0]
    step = float(span - np.diff(angle)[wide].sum()) / (len(angle) - 1 - int(wide.sum()))
    even = angle[0] + step * np.arange(round(span / step) + 1)
    empty = np.zeros(len(even))
    for low, high in gaps_deg(angle):
        empty[(even > low + step / 2) & (even < high - step / 2)] = 1.0
    if len(even) != len(angle) or np.max(np.abs(even - angle)) > 0.2 * step:
        counts, variance = np.interp(even, angle, counts), np.interp(even, angle, variance)
    return Grid(float(even[0]), step), counts, variance, empty


def _binned(fine: Grid, columns: tuple[Array, ...]) -> tuple[Grid, int, tuple[Array, ...]]:
    """Sum columns into at most POINTS even bins, none narrower than _FINEST_DEG.

    A point on an edge is shared out.
    """
    count = len(columns[0])
    bins = min(POINTS, int(count * fine.step_deg / _FINEST_DEG))
    if count <= bins:
        return fine, count, columns
    edges = np.arange(count + 1, dtype=float)
    wanted = np.linspace(0.0, count, bins + 1)
    factor = count / bins

    def summed(values: Array) -> Array:
        total = np.concatenate([[0.0], np.cumsum(values)])
        return np.diff(np.interp(wanted, edges, total))

    grid = Grid(fine.start_deg + fine.step_deg * (factor - 1) / 2, fine.step_deg * factor)
    return grid, bins, tuple(summed(column) for column in columns)


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
