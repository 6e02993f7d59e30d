"""What a refinement leaves: misfit, peaks of unknown phases, humps of glass."""

import numpy as np

from analysis.diffraction.arrays import Array
from analysis.diffraction.measured import Measured, baseline

_UNKNOWN_SIGMAS = 4.0


def misfit(measured: Measured, calculated: Array, background: Array) -> float:
    """√(Σ w (y − y_c)² / Σ w (y − background)²): misfit of the net pattern, as a share."""
    counts, weights = measured.counts[: measured.used], 1 / measured.variance[: measured.used]
    net = np.sum(weights * (counts - background) ** 2)
    return float(np.sqrt(np.sum(weights * (counts - calculated) ** 2) / max(net, 1e-9)))


def unexplained(
    measured: Measured, calculated: Array, background: Array
) -> tuple[float, tuple[float, ...]]:
    """Share of net counts in peaks that stand out of the residual, and the strongest places.

    The residual is averaged over about a line width; a point counts where that average lies
    ``_UNKNOWN_SIGMAS`` above what counting and a tolerable profile error explain.
    """
    counts = measured.counts[: measured.used]
    width = max(1, round(0.12 / measured.grid.step_deg))
    kernel = np.ones(width) / width
    residual = np.convolve(counts - calculated, kernel, mode="same")
    variance = measured.variance[: measured.used]
    bragg = np.maximum(calculated - background, 0.0)
    near = np.convolve(bragg, np.ones(2 * width + 1) / (2 * width + 1), mode="same")
    spread = np.sqrt(np.convolve(variance, kernel, mode="same") / width + (0.12 * near) ** 2)
    outstanding = np.where(residual > _UNKNOWN_SIGMAS * spread, residual, 0.0)
    outstanding = np.where(residual > 0.03 * near, outstanding, 0.0)
    stripped = counts - np.minimum(
        baseline(counts, round(1.5 / measured.grid.step_deg)), counts
    )
    net = max(float(bragg.sum()), float(stripped.sum()) * 0.5, 1e-9) + outstanding.sum()
    places: list[float] = []
    rest = outstanding.copy()
    for _ in range(5):
        top = int(np.argmax(rest))
        if rest[top] <= 0:
            break
        places.append(float(measured.two_theta_deg[top]))
        rest[max(0, top - 6 * width) : top + 6 * width + 1] = 0.0
    return float(outstanding.sum() / net), tuple(sorted(places))


def signal(measured: Measured) -> float:
    """How far the strongest peak stands out of the counting noise, in standard deviations."""
    counts = measured.counts[: measured.used]
    stripped = baseline(counts, round(1.5 / measured.grid.step_deg))
    kernel = np.ones(3)
    net = np.convolve(counts - stripped, kernel, mode="valid")
    spread = np.sqrt(np.convolve(measured.variance[: measured.used], kernel, mode="valid"))
    excess = net / spread
    return float(np.max(excess) - 2 * np.median(excess))


def has_hump(measured: Measured, calculated: Array, background: Array) -> bool:
    """Whether the background rises above its own lower hull as glass makes it."""
    angle = measured.two_theta_deg
    inner = (angle > angle[0] + 3) & (angle < angle[-1] - 3)
    hull = _lower_hull(angle[inner], background[inner])
    area = np.sum(np.maximum(background[inner] - hull, 0.0))
    bragg = np.sum(np.maximum(calculated - background, 0.0))
    height = np.max(background[inner] - hull) / max(float(np.median(background[inner])), 1e-9)
    return bool(area > 0.6 * bragg and height > 0.35)


def _lower_hull(x: Array, y: Array) -> Array:
    hull: list[int] = []
    for i in range(len(x)):
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            if (y[b] - y[a]) * (x[i] - x[a]) < (y[i] - y[a]) * (x[b] - x[a]):
                break
            hull.pop()
        hull.append(i)
    return np.interp(x, x[hull], y[hull])
