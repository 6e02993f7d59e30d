"""How wrong a model is where it has something to say, and where a pattern says more than it."""

import numpy as np
from numpy.typing import NDArray

from analysis.diffraction.arrays import Array

OUTSTANDING = 4.0
"""Standard deviations from which a residual may be an unknown peak."""

_FEET = 6  # points to both sides of it that belong to it


def temperature_of(residual: Array, bragg: Array) -> float:
    """χ² a point, times the inflation by serial correlation (Bérar & Lelann, 1991).

    A misfit that persists over neighbouring points is one observation and not many: the
    number of independent points is taken as n (1 − ρ)/(1 + ρ), ρ the correlation of
    neighbours. Peaks where the model has none are of unknown phases, no misfit: they are
    left out.

    Args:
        residual: (Counts − model) · √weight, shape (n,).
        bragg: Peaks of the model · √weight, shape (n,).
    """
    unknown = unknown_peaks(residual, bragg)
    wide = np.convolve(unknown, np.ones(2 * _FEET + 1), mode="same") > 0
    known = residual[~wide] if np.sum(~wide) > 0.2 * len(residual) else residual
    power = float(np.mean(known**2))
    rho = float(np.mean(known[1:] * known[:-1]) / max(power, 1e-12))
    rho = min(max(rho, 0.0), 0.9)
    return max(1.0, power) * (1 + rho) / (1 - rho)


def unknown_peaks(residual: Array, bragg: Array) -> NDArray[np.bool_]:
    """Points that stand out of the model where it has no peak to speak of."""
    return (residual > OUTSTANDING) & (residual > bragg)
