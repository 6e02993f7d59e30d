"""Glass: a broad hump under the lines, and its amount by an internal standard.

What is left of a pattern without its lines is averaged in narrow bins and described by a
smooth baseline (fluorescence, Compton scattering, air scatter that rises in powers of 1/2θ to
low angle), and by that plus one Gaussian hump where oxide glasses have theirs, at Q of 1.5 to
3.5 Å⁻¹, 6 to 10° wide (Warren, X-ray Diffraction, 1969, ch. 10). Wider ones cannot be told
from the scatter of air and holder, narrower ones not from the feet of strong lines.

Amounts come only from a standard that was weighed in: of a share w_s of it in the spiked
sample, found as w_s' of the crystalline part,

    W_am = (1 − w_s / w_s') / (1 − w_s)

is glass in the sample without the standard (Madsen, Scarlett & Kern, Z. Kristallogr. 226
(2011) 944).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from alab.errors import BadInput
from alab.models import PhaseAmount
from analysis.diffraction.amounts import QUANTILE_90
from analysis.diffraction.arrays import Array
from analysis.diffraction.library import elements_of, same_formula
from analysis.diffraction.measured import Measured

SUSPECT_SHARE = 0.09
"""Share of the hump in the net counts from which glass is suspected. Diffractometers make
humps of up to 0.07 under crystals."""
SUSPECT_SIGMAS = 6.5
"""Standard deviations by which the hump must stand out of the baseline's misfit."""

_BIN_DEG = 0.4
_WIDTHS_DEG = (6.0, 8.0, 10.0)
_PLACES_INVERSE_ANG = (1.5, 3.5)
_STEP_DEG = 1.0
_LINE_ERROR = 0.3
_MARGIN_DEG = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hump:
    """The broad hump that explains most of what the lines leave.

    Attributes:
        two_theta_deg: Its place.
        fwhm_deg: Its width.
        share: Its counts over those of hump and lines together, 0 to 1.
        sigmas: Its height over the standard deviation.
        smooth: Baseline and hump together, at the used points.
    """

    two_theta_deg: float
    fwhm_deg: float
    share: float
    sigmas: float
    smooth: Array = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)

    @property
    def suspected(self) -> bool:
        """Whether it is large and sure enough to speak of glass."""
        return self.share > SUSPECT_SHARE and self.sigmas > SUSPECT_SIGMAS


NO_HUMP = Hump(two_theta_deg=0.0, fwhm_deg=0.0, share=0.0, sigmas=0.0)


def hump_of(measured: Measured, calculated: Array, background: Array) -> Hump:
    """Look for a hump.

    Args:
        measured: The pattern.
        calculated: The refined pattern, shape (used points,).
        background: Its smooth part, the same shape.
    """
    bragg = np.maximum(calculated - background, 0.0)
    places, left, spread = _binned(measured, bragg)
    if len(places) < 40:
        return NO_HUMP
    baseline = _baseline(places)
    weights = 1 / spread
    best, gain = NO_HUMP, 0.0
    plain = _chi2(baseline, left, weights)
    for width in _WIDTHS_DEG:
        for centre in _centres(measured, places):
            shape = np.exp(-4 * np.log(2) * ((places - centre) / width) ** 2)
            columns = np.column_stack([baseline, shape])
            solved, chi2 = _solved(columns, left, weights)
            if solved[-1] <= 0 or plain - chi2 <= gain:
                continue
            gain = plain - chi2
            reduced = max(1.0, chi2 / (len(places) - columns.shape[1]))
            area = solved[-1] * width * np.sqrt(np.pi / (4 * np.log(2)))
            lines = float(bragg.sum()) * measured.grid.step_deg
            best = Hump(
                two_theta_deg=float(centre),
                fwhm_deg=width,
                share=float(area / max(area + lines, 1e-9)),
                sigmas=float(np.sqrt(gain / reduced)),
                smooth=np.interp(measured.two_theta_deg, places, columns @ solved),
            )
    return best


@dataclass(frozen=True, slots=True, kw_only=True)
class Spike:
    """An internal standard that was mixed into the sample.

    Attributes:
        formula: Its formula; it is taken to be wholly crystalline.
        share: Its share of the weight of the spiked sample.
    """

    formula: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Absolute:
    """Amounts of the sample without its standard, glass included.

    Attributes:
        phases: Those of the sample, as shares of all of it.
        amorphous: Share of glass; negative where standard and amounts contradict each other.
        amorphous_esd: One standard deviation of it.
    """

    phases: tuple[PhaseAmount, ...]
    amorphous: float
    amorphous_esd: float

    @property
    def consistent(self) -> bool:
        """Whether the share of glass can be one, within two standard deviations."""
        return self.amorphous > -2 * self.amorphous_esd


def spike_of(text: str) -> Spike:
    """Read a standard such as ``Al2O3:0.10``: formula, and its share of the weight.

    Raises:
        BadInput: If it is something else, or the share is not between 0 and 1.
    """
    formula, _, share = text.partition(":")
    elements_of(formula)
    if not re.fullmatch(r"0?\.\d+", share) or not 0 < float(share) < 1:
        raise BadInput(
            f"internal standard {text!r}: its share of the weight must be between 0 and 1; "
            "write it like Al2O3:0.10"
        )
    return Spike(formula=formula, share=float(share))


def on_absolute_scale(phases: Sequence[PhaseAmount], spike: Spike) -> Absolute | None:
    """Amounts of a spiked sample; None where the standard was not found.

    w_i = w_i' (w_s / w_s') / (1 − w_s), w' being shares of the crystalline part with the
    standard. As more of a phase means less of the standard, their errors add up.

    Args:
        phases: What was found, with the standard.
        spike: The standard.
    """
    standard = [phase for phase in phases if same_formula(phase.formula, spike.formula)]
    found = sum(phase.weight_fraction for phase in standard)
    if found <= 0:
        return None
    esd = float(np.sqrt(sum(phase.weight_fraction_esd**2 for phase in standard)))
    factor = spike.share / found / (1 - spike.share)
    return Absolute(
        phases=tuple(
            _scaled(phase, factor, esd / found) for phase in phases if phase not in standard
        ),
        amorphous=(1 - spike.share / found) / (1 - spike.share),
        amorphous_esd=factor * esd / found,
    )


def _scaled(phase: PhaseAmount, factor: float, relative: float) -> PhaseAmount:
    fraction = phase.weight_fraction * factor
    esd = phase.weight_fraction_esd * factor + fraction * relative
    return replace(
        phase,
        weight_fraction=fraction,
        weight_fraction_esd=esd,
        interval90=(
            min(max(fraction - QUANTILE_90 * esd, 0.0), 1.0),  # a contradiction lies above 1
            min(fraction + QUANTILE_90 * esd, 1.0),
        ),
    )


def _binned(measured: Measured, bragg: Array) -> tuple[Array, Array, Array]:
    """Angle, what the lines leave, and its standard deviation, in bins without a gap."""
    width = max(1, round(_BIN_DEG / measured.grid.step_deg))
    count = measured.used // width
    used = slice(0, count * width)
    left = (measured.counts[: measured.used] - bragg)[used].reshape(count, width)
    variance = measured.variance[used].reshape(count, width)
    lines = bragg[used].reshape(count, width).mean(axis=1)
    spread = np.sqrt(
        variance.mean(axis=1) / width * np.pi / 2
        + (_LINE_ERROR * lines) ** 2
        + (0.01 * np.median(left)) ** 2
    )
    angle = measured.two_theta_deg[used].reshape(count, width).mean(axis=1)
    seen = np.isfinite(spread)
    return angle[seen], np.median(left, axis=1)[seen], spread[seen]


def _baseline(angle: Array) -> Array:
    x = (angle - angle[0]) / (angle[-1] - angle[0])
    air = angle[0] / angle
    return np.column_stack([np.ones_like(x), x, x**2, x**3, air, air**2, air**3])


def _centres(measured: Measured, angle: Array) -> Array:
    sin = np.array(_PLACES_INVERSE_ANG) * measured.instrument.wavelength1_ang / (4 * np.pi)
    low, high = np.degrees(2 * np.arcsin(np.clip(sin, 0, 0.99)))
    low, high = max(low, angle[0] + _MARGIN_DEG), min(high, angle[-1] - _MARGIN_DEG)
    return np.arange(low, max(high, low + 1e-6), _STEP_DEG)


def _solved(columns: Array, left: Array, weights: Array) -> tuple[Array, float]:
    solved = np.linalg.lstsq(columns * weights[:, None], left * weights, rcond=1e-10)[0]
    return solved, float(np.sum(((left - columns @ solved) * weights) ** 2))


def _chi2(columns: Array, left: Array, weights: Array) -> float:
    return _solved(columns, left, weights)[1]
