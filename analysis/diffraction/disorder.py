"""Whether a pattern shows the order that a structure claims, or only its disordered parent.

The lines of an ordered structure are those that its parent has too, and superlattice lines,
which order alone makes. Both sets are drawn with the refined parameters of the phase, and

    y = background + other phases + a (φ_common + q φ_superlattice)

is solved for a and q. q, the square of the long-range order parameter S, is 1 for full order
and 0 for the parent (Warren, X-ray Diffraction, 1969, ch. 12). No order is claimed
unless q differs from 0 (Leeman et al., PRX Energy 3 (2024) 011002).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from analysis.diffraction.arrays import Array
from analysis.diffraction.crystal import Crystal
from analysis.diffraction.measured import Measured
from analysis.diffraction.parent import Parent
from analysis.diffraction.profile import SIZE, WIDE, batch, draw
from analysis.diffraction.refine import (
    SLOTS,
    Fit,
    background_of,
    profiles,
    r_wp_percent,
    refine,
    with_axis,
    with_phase,
    without_phase,
)
from analysis.diffraction.reflections import Lines
from analysis.diffraction.structure_factors import Reflections, squared_structure_factors

SIGNIFICANT_ORDER = 3.0
"""Standard deviations by which q must differ from 0 for a claim of order."""
BLIND = 0.4
"""Standard deviation of q from which a pattern cannot tell order from disorder."""
DECIDED = 24.0
"""Tempered objective by which the parent must fit better to be preferred by that alone."""

_EXTINCT = 0.02
_MOST_CHANGE = 20.0
_ROUNDS = 4
_STEPS = 12


class Order(StrEnum):
    """What a pattern says of the order of a phase."""

    SHOWN = "shown"
    PARTIAL = "partial"
    ABSENT = "absent"
    INVISIBLE = "invisible"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTest:
    """An ordered phase against its disordered parent.

    Attributes:
        parent: The parent in words.
        q: Intensity of the superlattice lines over that of full order.
        q_esd: One standard deviation of it; infinite where there are no such lines.
        places_deg: 2θ of the strongest superlattice lines, Kα₁.
        r_wp_ordered_percent: Residual with the ordered structure.
        r_wp_parent_percent: Residual with the parent in its place.
        preference: By how much the tempered objective of the parent is above that of the
            ordered structure; negative where the parent fits better.
    """

    parent: str
    q: float
    q_esd: float
    places_deg: tuple[float, ...]
    r_wp_ordered_percent: float
    r_wp_parent_percent: float
    preference: float

    @property
    def order(self) -> Order:
        """The finding."""
        if self.q_esd > BLIND:
            return Order.ABSENT if self.preference < -DECIDED else Order.INVISIBLE
        if self.q < SIGNIFICANT_ORDER * self.q_esd:
            return Order.ABSENT
        if 1 - self.q > SIGNIFICANT_ORDER * self.q_esd and self.q < 0.5:
            return Order.PARTIAL
        return Order.SHOWN


def order_test(
    measured: Measured,
    fit: Fit,
    index: int,
    *,
    ordered: Crystal,
    parent: Parent,
    lines_of: Callable[[Crystal], Lines],
) -> OrderTest:
    """Compare an ordered phase of a fit with its parent.

    Args:
        measured: The pattern.
        fit: Refined phases.
        index: Which of them is ordered.
        ordered: Its structure.
        parent: The parent of that.
        lines_of: Gives the lines of a crystal in the range of the pattern.
    """
    whole = fit.lines[index]
    kept = _kept_without_order(ordered, parent.average, whole, measured)
    superlattice = kept < _EXTINCT
    disordered = with_structure(measured, fit, index, lines_of(parent.crystal))
    q, q_esd, best = 1.0, np.inf, fit
    for _ in range(_ROUNDS):
        # Order also changes lines that the parent has, in proportion to q.
        share = kept + min(max(q, 0.0), 1.5) * (1 - kept)
        common = np.where(superlattice, 0.0, whole.intensity * share)
        extra = np.where(superlattice, whole.intensity, 0.0)
        before, (q, q_esd) = q, _amplitude(measured, best, index, whole, common, extra)
        if not np.isfinite(q_esd) or abs(q - before) < 0.3 * q_esd:
            break
        share = kept + min(max(q, 0.0), 1.5) * (1 - kept)
        best = _drawn_with(measured, fit, index, whole.intensity * share)
    temperature = min(fit.temperature, disordered.temperature)
    return OrderTest(
        parent=parent.words,
        q=q,
        q_esd=q_esd,
        places_deg=_places_deg(whole, superlattice, measured),
        r_wp_ordered_percent=_residual(measured, fit),
        r_wp_parent_percent=_residual(measured, disordered),
        preference=disordered.cost(temperature) - fit.cost(temperature),
    )


def _kept_without_order(
    ordered: Crystal, average: Crystal, lines: Lines, measured: Measured
) -> Array:
    """Intensity of each line with the order taken away, over that with it."""
    hkl = lines.hkl.astype(np.int16)
    squares = squared_structure_factors(
        [Reflections(one, hkl, lines.inverse_d2) for one in (ordered, average)],
        measured.instrument.wavelength1_ang,
    )
    return np.minimum(squares[1] / np.maximum(squares[0], 1e-9), _MOST_CHANGE)


def with_structure(measured: Measured, fit: Fit, index: int, lines: Lines) -> Fit:
    """A fit with the lines of another cell for one phase, which becomes the last, refined."""
    old = fit.phases[index]
    trial = with_phase(
        measured, without_phase(measured, fit, index), lines, float(old[0]), float(old[SIZE])
    )
    return refine(measured, trial, _STEPS)


def _drawn_with(measured: Measured, fit: Fit, index: int, intensity: Array) -> Fit:
    """A fit with other intensities of one phase, refined from where it was."""
    changed = replace(fit.lines[index], intensity=intensity)
    lines = (*fit.lines[:index], changed, *fit.lines[index + 1 :])
    trial = replace(
        fit, lines=lines, drawn=batch(lines, fit.axes, ghosts=measured.instrument.has_ghosts)
    )
    # Solves the amounts anew; the texture starts from none.
    trial = with_axis(measured, trial, index, fit.axes[index])
    return refine(measured, trial, _STEPS)


def _amplitude(
    measured: Measured, fit: Fit, index: int, lines: Lines, common: Array, extra: Array
) -> tuple[float, float]:
    """The q of the lines that order alone makes, by linear least squares, and its esd.

    Args:
        measured: The pattern.
        fit: Refined phases.
        index: Which of them is looked at.
        lines: Lines of the ordered structure.
        common: Intensities without the superlattice lines.
        extra: Those of the superlattice lines.
    """
    if not extra.any():
        return 0.0, np.inf
    only = [replace(lines, intensity=intensity) for intensity in (common, extra)]
    others = [i for i in range(len(fit.lines)) if i != index and fit.amounts[i] > 0]
    phases = np.tile(fit.phases[index], (SLOTS, 1))
    drawn = draw(
        batch(only, [fit.axes[index]] * 2, ghosts=measured.instrument.has_ghosts),
        jnp.asarray(phases),
        jnp.asarray(fit.shared),
        measured.instrument,
        measured.grid,
        slots=SLOTS,
        points=len(measured.counts),
        half_window=WIDE,
    )
    first, second = np.asarray(drawn)[:2, : measured.used]
    columns = np.column_stack(
        [first, second, *profiles(measured, fit)[others], measured.basis[: measured.used]]
    )
    root = np.sqrt(measured.weights[: measured.used])
    scale = np.linalg.norm(columns * root[:, None], axis=0)
    if scale[1] < 1e-9 * scale[0]:
        return 0.0, np.inf
    scaled = columns * root[:, None] / scale
    inverse = np.linalg.pinv(scaled.T @ scaled, rcond=1e-12, hermitian=True)
    solved = inverse @ (scaled.T @ (measured.counts[: measured.used] * root)) / scale
    covariance = inverse * fit.temperature / np.outer(scale, scale)
    amount = solved[0]
    if amount <= 0:
        return 0.0, np.inf
    q = solved[1] / amount
    variance = covariance[1, 1] - 2 * q * covariance[0, 1] + q**2 * covariance[0, 0]
    return float(q), float(np.sqrt(max(variance, 0.0)) / amount)


def _places_deg(
    lines: Lines, superlattice: NDArray[np.bool_], measured: Measured
) -> tuple[float, ...]:
    sin = np.sqrt(lines.inverse_d2) * measured.instrument.wavelength1_ang / 2
    places: Array = np.degrees(2 * np.arcsin(np.clip(sin, 0, 1)))
    inside = (places > measured.two_theta_deg[0]) & (places < measured.two_theta_deg[-1])
    strength = np.where(superlattice & inside, lines.intensity / lines.inverse_d2, 0.0)
    strongest = [i for i in np.argsort(-strength, kind="stable")[:3] if strength[i] > 0]
    return tuple(sorted(round(float(places[i]), 2) for i in strongest))


def _residual(measured: Measured, fit: Fit) -> float:
    return r_wp_percent(measured, profiles(measured, fit).sum(0) + background_of(measured, fit))
