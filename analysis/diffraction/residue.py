"""What a refinement leaves: misfit, and peaks of unknown phases."""

import numpy as np

from analysis.diffraction.arrays import Array
from analysis.diffraction.measured import Measured, baseline

_UNKNOWN_SIGMAS = 4.0


def misfit(measured: Measured, calculated: Array, background: Array) -> float:
    """Misfit of the net pattern as a share of it, without what counting alone makes.

    √((Σ w (y − y_c)² − n′) / (Σ w (y − background)² − n)), w = 1/variance, with the n that n
    points give of themselves; n′ leaves two standard deviations of that to chance.
    """
    counts, weights = measured.counts[: measured.used], 1 / measured.variance[: measured.used]
    noise = len(measured.seen)
    chance = 2 * np.sqrt(2 * noise)
    net = np.sum(weights * (counts - background) ** 2) - noise
    missed = np.sum(weights * (counts - calculated) ** 2) - noise - chance
    return float(np.sqrt(max(missed, 0.0) / max(net, chance)))


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
    seen = measured.seen
    net = max(float(bragg[seen].sum()), float(stripped[seen].sum()) * 0.5, 1e-9)
    net += outstanding.sum()
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
    excess = (net / spread)[np.isfinite(spread)]
    return float(np.max(excess) - 2 * np.median(excess))
