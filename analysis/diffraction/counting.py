"""Counting statistics: esds that fit the noise, attenuators, saturated detectors."""

from typing import Literal

import numpy as np

from analysis.diffraction.arrays import Array

WHOLE = 1e-3
"""Counts are written as 13.0000; a value this near to a whole number is one."""

_TOLERABLE = 1.6
"""Noise may differ from the stated esds by this factor: it is itself only estimated."""
_GAUSS = 1.4826
"""Standard deviation over median absolute deviation of a normal distribution."""
_FEWEST_POINTS = 30
_SATURATED_POINTS = 3
_SATURATED_COUNTS = 200.0
_SWITCHED_BY = 1.5


def are_whole(values: Array) -> bool:
    """Whether all are whole numbers, as counts are."""
    return bool(np.all(np.abs(values - np.round(values)) < WHOLE))


def poisson(counts: Array) -> Array:
    """Standard deviations of raw counts: √N, and 1 where nothing was counted."""
    return np.sqrt(np.maximum(counts, 1.0))


def noise(counts: Array, esd: Array, lag: int = 1) -> float:
    """Point-to-point noise as a multiple of the esds, 1 for true counting statistics.

    From second differences y(i−k) − 2 y(i) + y(i+k), whose variance is σ²(i−k) + 4 σ²(i) +
    σ²(i+k), in the weaker half of the points, where there are no peaks. The median of their
    absolute values is not moved by the peaks that are there.

    Args:
        counts: Shape (n,).
        esd: Shape (n,).
        lag: Distance k of the points; a longer one is not deceived by smoothing.
    """
    left, middle, right = counts[: -2 * lag], counts[lag:-lag], counts[2 * lag :]
    if len(middle) < _FEWEST_POINTS:
        return 1.0
    variance = esd[: -2 * lag] ** 2 + 4 * esd[lag:-lag] ** 2 + esd[2 * lag :] ** 2
    weak = middle <= np.median(middle)
    pulls = np.abs(left - 2 * middle + right)[weak] / np.sqrt(variance[weak])
    return float(_GAUSS * np.median(pulls))


def esds(
    counts: Array, stated: Array | None, lowest: float = 0.0
) -> tuple[Array, tuple[str, ...]]:
    """Standard deviations that the noise of the pattern bears out.

    Stated ones are kept where they agree with the noise. Raw counts get √N. Anything else
    (counts per second, a pattern scaled to 100) is a count times an unknown factor s, with
    variance s·y; s follows from the noise.

    Args:
        counts: Shape (n,), none negative.
        stated: What the file gives, or None.
        lowest: An esd below which none is believed.

    Returns:
        Esds, all positive, and what was doubtful.
    """
    told: list[str] = []
    if stated is not None and np.all(np.isfinite(stated)) and np.any(stated > 0):
        given = np.where(stated > 0, stated, np.median(stated[stated > 0]))
        factor = noise(counts, given)
        if np.ptp(stated) > 0 and factor < 1 / _TOLERABLE**4:
            factor = max(factor, noise(counts, given, 4))
        if np.ptp(stated) > 0 and 1 / _TOLERABLE**4 <= factor <= _TOLERABLE**2:
            return np.maximum(given, lowest), ()
        told.append(
            "The esds (or the third column) of the file do not fit the noise of the pattern, "
            f"which is {factor:.2g} times as large; they were left aside."
        )
    plain = poisson(counts)
    if are_whole(counts):
        factor = noise(counts, plain)
        if factor <= _TOLERABLE:
            return plain, tuple(told)
        told.append(
            f"The noise is {factor:.2g} times that of the counts: they are not as counted. "
            "The esds were enlarged."
        )
        return plain * factor, tuple(told)
    # y = s·N: √(s·y), and at least the s of a single count.
    unscaled = np.sqrt(np.maximum(counts, 0.5 * np.mean(counts) + 1e-300))
    factor = max(noise(counts, unscaled), noise(counts, unscaled, 4))
    scale = factor**2
    if scale < 1e-12 * np.mean(counts):  # no noise at all: a calculated or smoothed pattern
        told.append("The pattern has no noise: calculated or smoothed. √y is taken as esd.")
        return plain, tuple(told)
    told.append(
        "The intensities are no counts (rates, or scaled); their esds were estimated from "
        "the noise."
    )
    return np.maximum(np.sqrt(np.maximum(counts, scale) * scale), lowest), tuple(told)


def saturated(two_theta_deg: Array, counts: Array) -> tuple[str, ...]:
    """Flag a detector that stood at its ceiling: adjacent points equal to the maximum."""
    top = counts.max()
    at_top = counts == top
    if top < _SATURATED_COUNTS or np.mean(at_top) > 0.5:
        return ()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], at_top.astype(int), [0]])))
    starts, ends = edges[::2], edges[1::2]
    flat = np.flatnonzero(ends - starts >= _SATURATED_POINTS)
    if not len(flat):
        return ()
    places = ", ".join(f"{two_theta_deg[starts[i]]:.2f}°" for i in flat[:3])
    return (
        f"The detector stood at its ceiling of {top:g} counts at {places}: the strongest "
        "peaks are cut off. Measure with an attenuator or less time.",
    )


def attenuator(counts: Array, factors: Array) -> Literal["corrected", "raw", "unknown"]:
    """Whether counts are already multiplied by the factors of an attenuator.

    A pattern is continuous where the attenuator switches: of ``counts`` and ``counts ·
    factors``, the one that jumps less at every switch is right.
    """
    switches = np.flatnonzero(np.abs(np.diff(np.log(factors))) > np.log(_SWITCHED_BY))
    if not len(switches):
        return "corrected"
    logs = np.log(np.maximum(counts, 1.0))
    jump = np.abs(np.diff(logs))[switches]
    jump_multiplied = np.abs(np.diff(logs + np.log(factors)))[switches]
    if np.all(jump_multiplied * 2 < jump):
        return "raw"
    return "corrected" if np.all(jump * 2 < jump_multiplied) else "unknown"
