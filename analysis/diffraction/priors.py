"""What is usual for each refined parameter, and what the unusual costs.

All priors are Student's t with _TAIL degrees of freedom: like least squares near the usual
value; far from it dear, but not forbidden.
"""

import numpy as np

from analysis.diffraction.arrays import Array
from analysis.diffraction.profile import Instrument
from analysis.diffraction.reflections import STRAINS

# Mean, standard deviation and hard bounds of each parameter, in the order of the profile.
PHASE_MEAN = np.array([0.0] * STRAINS + [0.03, 0.03, 0.03, 0.0, 0.0])
PHASE_SIGMA = np.array([0.003] + [0.002] * (STRAINS - 1) + [0.15, 0.2, 0.1, 0.4, 0.15])
PHASE_LOW = np.array([-0.035] + [-0.02] * (STRAINS - 1) + [0.0, 0.0, 0.0, -0.6, -1.2])
PHASE_HIGH = np.array([0.035] + [0.02] * (STRAINS - 1) + [1.8, 2.5, 1.8, 2.5, 1.2])
SHARED_SIGMA = np.array([0.1, 0.05, 0.02, 0.1, 0.005, 0.002])
SHARED_LOW = np.array([-0.5, 0.0, 0.0, 0.0, 0.0, 0.0])
SHARED_HIGH = np.array([0.5, 0.3, 0.12, 0.3, 0.1, 0.05])
_TAIL = 4.0  # degrees of freedom of Student's t, of which all priors are


def shared_mean(instrument: Instrument) -> Array:
    """What the shared parameters are expected to be, shape (SHARED_PARAMETERS,)."""
    expected = (instrument.axial, 0.0, instrument.kbeta_ratio, instrument.wlalpha_ratio)
    return np.array([0.0, 0.03, *expected])


def penalty(phases: Array, shared: Array, instrument: Instrument) -> float:
    """What all parameters together cost in tempered χ²."""
    by_phase = _heavy((phases - PHASE_MEAN) / PHASE_SIGMA)
    by_shared = _heavy((shared - shared_mean(instrument)) / SHARED_SIGMA)
    return float(by_phase.sum() + by_shared.sum())


def _heavy(deviation: Array) -> Array:
    """−2 log of Student's t: x² near 0, and what is unusual is dear but not forbidden."""
    return _TAIL * np.log1p(deviation**2 / _TAIL)


def strain_penalty(strain: Array) -> Array:
    """What an isotropic cell strain costs in tempered χ²."""
    return _heavy(strain / PHASE_SIGMA[0])


def pull(phases: Array, shared: Array, instrument: Instrument) -> tuple[Array, Array]:
    """Precision of the priors where the parameters are, and half the gradient of the penalty.

    Args:
        phases: Parameters of each phase, shape (n, PHASE_PARAMETERS).
        shared: Parameters of all phases together, shape (SHARED_PARAMETERS,).
        instrument: What the priors of the shared parameters come from.

    Returns:
        Two arrays over all parameters, those of the phases first.
    """
    count = len(phases)
    values = np.concatenate([phases.ravel(), shared])
    mean = np.concatenate([np.tile(PHASE_MEAN, count), shared_mean(instrument)])
    sigma = np.concatenate([np.tile(PHASE_SIGMA, count), SHARED_SIGMA])
    precision = 1 / (sigma**2 + (values - mean) ** 2 / _TAIL)
    return precision, precision * (values - mean)
