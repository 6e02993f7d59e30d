"""Weight fractions of refined phases, and how far they can be trusted.

The refined amounts are masses as their lines show them (Hill & Howard, J. Appl. Cryst. 20
(1987) 467). A particle that absorbs more than its surroundings shows less than its mass:
Brindley (Phil. Mag. 36 (1945) 347) divides the amounts by

    τ = ⟨exp(−(µ − µ̄) x)⟩ over the paths x in a sphere of the particle's diameter.

Standard deviations add to the counting statistics what makes real powders differ from
weighed-in ones: relative errors of each amount from structure factors and packing, from the
unknown size of the particles, and from texture.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rietx.optimize.qpa import BRINDLEY_MU_R_FENCE, brindley_correction

from analysis.diffraction.arrays import Array
from analysis.diffraction.profile import LOG_MARCH
from analysis.diffraction.refine import Fit

PARTICLE_DIAMETER_UM = 2.0
"""Diameter of the particles of a ground powder, where nothing is known of it."""
BASE_ERROR = 0.06
"""Relative standard deviation of an amount from structure factors, packing and mixing."""
MICROABSORPTION_ERROR = 1.0
"""Share of the Brindley correction that is uncertain."""
TEXTURE_ERROR = 0.7
"""Relative error of an amount for each unit of the logarithm of March's r."""
LEAST_ERROR = 0.003
"""Standard deviation of a weight fraction that no pattern goes below."""
QUANTILE_90 = 1.645


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Weight fractions of the crystalline part, one for each phase of a fit.

    Attributes:
        fractions: Shape (n,), summing to 1.
        esd: One standard deviation of each, shape (n,).
        intervals90: Lower and upper end of the 90 % intervals, shape (n, 2).
        tau: Brindley's factor of each phase, shape (n,).
        coarse: Whether µR passes the limit up to which Brindley's correction holds, (n,).
    """

    fractions: Array
    esd: Array
    intervals90: Array
    tau: Array
    coarse: NDArray[np.bool_]


def amounts_of(
    fit: Fit, particle_diameter_um: float = PARTICLE_DIAMETER_UM, count: int | None = None
) -> Amounts:
    """Weight fractions with their uncertainties.

    Args:
        fit: A refined set of phases, at least one of them present.
        particle_diameter_um: Diameter of the particles; 0 leaves microabsorption out.
        count: So many phases share the whole; traces may follow them. By default all do.
    """
    every = _amounts_of(fit, particle_diameter_um)
    if count is None or count == len(fit.lines):
        return every
    whole = every.fractions[:count].sum()
    return Amounts(
        fractions=every.fractions[:count] / whole,
        esd=every.esd[:count] / whole,
        intervals90=np.clip(every.intervals90[:count] / whole, 0.0, 1.0),
        tau=every.tau[:count],
        coarse=every.coarse[:count],
    )


def _amounts_of(fit: Fit, particle_diameter_um: float) -> Amounts:
    shown = fit.amounts / fit.amounts.sum()
    radius_um = particle_diameter_um / 2
    density = np.array([lines.density_g_per_cm3 for lines in fit.lines])
    absorption_per_cm = np.array([lines.absorption_per_cm for lines in fit.lines])
    fractions, tau, _ = brindley_correction(
        shown, density, absorption_per_cm, np.full(len(shown), radius_um)
    )
    tau = np.asarray(tau)
    count = len(shown)
    slope = (np.eye(count) - fractions[:, None]) / fit.amounts.sum()
    statistical = np.diag(slope @ fit.amounts_covariance @ slope.T)
    relative2 = (
        BASE_ERROR**2
        + (MICROABSORPTION_ERROR * np.log(tau)) ** 2
        + (TEXTURE_ERROR * fit.phases[:count, LOG_MARCH]) ** 2
    )
    # w = a/Σa with independent relative errors of the a.
    spread = (np.eye(count) - fractions[:, None]) * fractions[None]
    systematic = (spread**2) @ relative2
    esd = np.sqrt(np.maximum(statistical, 0.0) + systematic + LEAST_ERROR**2)
    half = QUANTILE_90 * esd
    ends = np.stack([fractions - half, fractions + half], axis=1)
    return Amounts(
        fractions=fractions,
        esd=esd,
        intervals90=np.clip(ends, 0.0, 1.0),
        tau=tau,
        coarse=absorption_per_cm * radius_um * 1e-4 > BRINDLEY_MU_R_FENCE,
    )
