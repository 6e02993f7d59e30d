"""How far an ensemble's spread may be trusted, learnt from compounds it did not learn from.

Members resemble each other, so their interquartile range is narrower than their errors. One
factor makes half of the errors fall within ± half of it; the same is told for other shares, so
that a curve shows whether the shape of the errors is met too. (Split conformal prediction with
the spread as scale: Lei et al., J. Am. Stat. Assoc. 113, 1094 (2018).)
"""

import numpy as np

from alab.errors import BadInput
from planners.stability.models.prediction import FloatArray, Prediction

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Shares of the errors that a calibration curve is told for."""

NARROWEST_EV_PER_ATOM = 1e-6
"""A spread of nothing would divide by zero; no energy is known better than this."""


def factors(prediction: Prediction, energies_ev_per_atom: FloatArray) -> dict[float, float]:
    """Multiples of half the raw spread within which each share of the errors lies.

    Args:
        prediction: Of compounds that were not learnt from.
        energies_ev_per_atom: Their true energies, shape (n,).

    Returns:
        A factor for each of ``SHARES``; that of 0.5 is the ``interquartile_scale``.

    Raises:
        BadInput: If there are fewer than 20 compounds.
    """
    count = len(energies_ev_per_atom)
    if count < 20:
        raise BadInput(
            f"{count} compounds are too few to calibrate an ensemble; hold at least 20 back"
        )
    ratios = _errors(prediction, energies_ev_per_atom) / (0.5 * _raw_spread(prediction))
    return {share: float(np.quantile(ratios, share)) for share in SHARES}


def coverage(prediction: Prediction, energies_ev_per_atom: FloatArray, factor: float) -> float:
    """Share of errors within ``factor`` times half the raw spread."""
    reach = 0.5 * factor * _raw_spread(prediction)
    return float((_errors(prediction, energies_ev_per_atom) <= reach).mean())


def _errors(prediction: Prediction, energies_ev_per_atom: FloatArray) -> FloatArray:
    return np.abs(prediction.median_ev_per_atom - energies_ev_per_atom)


def _raw_spread(prediction: Prediction) -> FloatArray:
    low, high = np.quantile(prediction.members_ev_per_atom, (0.25, 0.75), axis=0)
    return np.maximum(high - low, NARROWEST_EV_PER_ATOM)
