"""A quick look at every candidate at once, on a coarse axis, over cell strains and widths.

Each candidate is drawn from its strongest lines in Kα, both as one, for every strain and width
of a grid. What is left over beside a fit is then compared with all of them by matrix
products: the χ² that a profile φ takes out of a residual r, beside the orthonormal columns L
of what is there already, is (φ · r)² / (|φ|² − |Lᵀφ|²), r being free of L.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from analysis.diffraction.arrays import Array
from analysis.diffraction.measured import Measured
from analysis.diffraction.priors import strain_penalty
from analysis.diffraction.profile import Instrument
from analysis.diffraction.refine import Fit, background_of, profiles
from analysis.diffraction.reflections import Lines

DISPLACEMENTS_MM = np.linspace(-0.32, 0.32, 9)
STRAINS_TRIED = np.array(
    [-0.03, -0.021, -0.014, -0.009, -0.006, -0.003, 0, 0.003, 0.006, 0.009, 0.014, 0.021, 0.03]
)
"""Isotropic strains at which every candidate is drawn."""
WIDTHS_DEG = np.array([0.15, 0.45, 1.4])
"""Full widths at which every candidate is drawn."""

_STEP_DEG = 0.08
_HALF_WINDOW = 32
_LINES = 64
_CHUNK = 64
_TWIN = 0.93  # correlation of two weighted profiles
_SHARED_OUT = 60  # so many of the best candidates share a pattern out at first


@dataclass(frozen=True, slots=True, kw_only=True)
class Gains:
    """What each candidate would do for a fit, at the best strain and width of the grid.

    Attributes:
        chi2: Weighted sum of squares it would take out, shape (candidates,).
        strain: Isotropic strain for that, shape (candidates,).
        width_deg: Full width for that, shape (candidates,).
    """

    chi2: Array
    strain: Array
    width_deg: Array


class Screen:
    """All candidates of a search beside one pattern."""

    def __init__(self, measured: Measured, candidates: list[Lines]) -> None:
        self._measured = measured
        self._factor = max(1, round(_STEP_DEG / measured.grid.step_deg))
        self._points = measured.used // self._factor
        step = measured.grid.step_deg * self._factor
        self._start_deg = measured.grid.start_deg + (step - measured.grid.step_deg) / 2
        self._step_deg = step
        self._counts = self._summed(measured.counts)
        spread2 = 1 / np.maximum(measured.weights[: measured.used], 1e-30)
        self._root = 1 / np.sqrt(self._summed(spread2))
        self._packs = [
            _pack(candidates[first : first + _CHUNK])
            for first in range(0, len(candidates), _CHUNK)
        ]
        self._count = len(candidates)
        self._drawn = np.zeros((0, 0, 0, 0), dtype=np.float32)

    def place(self, displacement_mm: float) -> None:
        """Draw all candidates for a sample displaced by so much."""
        self._drawn = np.concatenate(
            [
                self._draw(displacement_mm, STRAINS_TRIED, float(width))[:, :, None]
                for width in WIDTHS_DEG
            ],
            axis=2,
        )

    def twins(self) -> NDArray[np.bool_]:
        """Which candidates look alike on broad lines, shape (candidates, candidates)."""
        drawn = self._drawn[:, len(STRAINS_TRIED) // 2, 1].astype(float)
        drawn = drawn / np.maximum(np.linalg.norm(drawn, axis=1), 1e-30)[:, None]
        return drawn @ drawn.T > _TWIN

    def share_out(self, empty: Fit) -> tuple[float, Array]:
        """The displacement at which all candidates together explain most, and their shares.

        Args:
            empty: A fit without phases.

        Returns:
            Displacement in mm, and the χ² that each takes out, shape (candidates,).
        """
        basis, residual = self._beside(empty)
        best = (-1.0, 0.0, np.zeros(self._count))
        for displacement_mm in DISPLACEMENTS_MM:
            drawn = self._draw(float(displacement_mm), np.zeros(1), float(WIDTHS_DEG[0]))[:, 0]
            free = drawn - (drawn @ basis.T) @ basis
            explained, shares = _non_negative(free @ free.T, free @ residual)
            if explained > best[0]:
                best = (explained, float(displacement_mm), shares)
        return best[1], best[2]

    def gains(self, fit: Fit) -> Gains:
        """What each candidate would take out of what a fit leaves."""
        basis, residual = self._beside(fit)
        flat = self._drawn.reshape(-1, self._points)
        along = np.maximum(flat @ residual.astype(np.float32), 0.0).astype(float)
        power = np.einsum("cp,cp->c", flat, flat).astype(float)
        left = power - np.sum((flat @ basis.T.astype(np.float32)).astype(float) ** 2, axis=1)
        gain = np.where(left > 0.02 * power, along**2 / np.maximum(left, 1e-30), 0.0)
        table = gain.reshape(self._count, len(STRAINS_TRIED), len(WIDTHS_DEG))
        table = table - fit.temperature * strain_penalty(STRAINS_TRIED)[None, :, None]
        best = table.reshape(self._count, -1).argmax(axis=1)
        strain, width = np.unravel_index(best, table.shape[1:])
        return Gains(
            chi2=table.reshape(self._count, -1).max(axis=1),
            strain=STRAINS_TRIED[strain],
            width_deg=WIDTHS_DEG[width],
        )

    def _summed(self, values: Array) -> Array:
        used = values[: self._points * self._factor]
        return used.reshape(self._points, self._factor, *values.shape[1:]).sum(axis=1)

    def _beside(self, fit: Fit) -> tuple[Array, Array]:
        """Orthonormal columns of what is there already, and the residual free of them."""
        measured = self._measured
        present = profiles(measured, fit) if fit.lines else np.zeros((0, measured.used))
        model = self._summed(present.sum(0) + background_of(measured, fit))
        linear = np.vstack(
            [self._summed(present[fit.amounts > 0].T).T, self._summed(measured.basis).T]
        )
        linear = linear * self._root
        _, sizes, rows = np.linalg.svd(
            linear / np.linalg.norm(linear, axis=1)[:, None], full_matrices=False
        )
        basis = rows[sizes > 1e-6 * sizes[0]]
        residual = (self._counts - model) * self._root
        return basis, residual - basis.T @ (basis @ residual)

    def _draw(self, displacement_mm: float, strains: Array, width_deg: float) -> Array:
        """Weighted profiles, shape (candidates, strains, points)."""
        drawn = [
            np.asarray(
                _draw(
                    inverse_d2,
                    intensity,
                    jnp.asarray(strains),
                    displacement_mm,
                    width_deg,
                    self._measured.instrument,
                    self._start_deg,
                    self._step_deg,
                    points=self._points,
                ),
                dtype=np.float32,
            )[:count]
            for inverse_d2, intensity, count in self._packs
        ]
        return np.concatenate(drawn) * self._root.astype(np.float32)


def _pack(candidates: list[Lines]) -> tuple[jax.Array, jax.Array, int]:
    """The strongest lines of candidates, padded to (_CHUNK, _LINES)."""
    inverse_d2, intensity = np.full((_CHUNK, _LINES), 0.1), np.zeros((_CHUNK, _LINES))
    for i, lines in enumerate(candidates):
        order = np.argsort(-lines.intensity / lines.inverse_d2, kind="stable")[:_LINES]
        inverse_d2[i, : len(order)] = lines.inverse_d2[order]
        intensity[i, : len(order)] = lines.intensity[order]
    return jnp.asarray(inverse_d2), jnp.asarray(intensity), len(candidates)


@partial(jax.jit, static_argnames=("points",))
def _draw(
    inverse_d2: jax.Array,
    intensity: jax.Array,
    strains: jax.Array,
    displacement_mm: float,
    width_deg: float,
    instrument: Instrument,
    start_deg: float,
    step_deg: float,
    *,
    points: int,
) -> jax.Array:
    """Profiles of unit factor, shape (candidates, strains, points)."""
    wavelength = instrument.wavelength1_ang + instrument.ratio * instrument.wavelength2_ang
    wavelength /= 1 + instrument.ratio

    def one(inverse_d2: jax.Array, intensity: jax.Array, strain: jax.Array) -> jax.Array:
        sin = jnp.sqrt(jnp.maximum(inverse_d2 * (1 - 2 * strain), 1e-6)) * wavelength / 2
        inside = sin < 0.9999
        sin = jnp.clip(sin, 1e-3, 0.9999)
        theta = jnp.arcsin(sin)
        cos = jnp.cos(theta)
        place = jnp.degrees(2 * theta - 2 * displacement_mm * cos / instrument.radius_mm)
        place += instrument.zero_deg
        p = jnp.cos(jnp.radians(instrument.monochromator_two_theta_deg)) ** 2
        polarised = (1 + p * (1 - 2 * sin**2) ** 2) / ((1 + p) * sin**2 * cos)
        polarised *= jnp.where(instrument.automatic_slit, sin, 1.0)
        height = jnp.where(inside, intensity * polarised * (1 + instrument.ratio), 0.0)
        centre = jnp.round((place - start_deg) / step_deg).astype(jnp.int32)
        steps = jnp.arange(-_HALF_WINDOW, _HALF_WINDOW + 1, dtype=jnp.int32)
        index = centre[:, None] + steps[None]
        angle = start_deg + step_deg * index.astype(jnp.float64)
        u = ((angle - place[:, None]) / width_deg) ** 2
        shape = (jnp.exp(-2.7725887 * u) * 0.9394373 + 0.6366198 / (1 + 4 * u)) / 2
        index = jnp.where((index >= 0) & (index < points), index, points)
        out = jnp.zeros(points + 1)
        return out.at[index].add(height[:, None] * shape / width_deg)[:points]

    by_strain = jax.vmap(one, in_axes=(None, None, 0))
    return jax.vmap(by_strain, in_axes=(0, 0, None))(inverse_d2, intensity, strains)


def _non_negative(gram: Array, right: Array) -> tuple[float, Array]:
    """Non-negative amounts of all candidates: χ² taken out in all, and by each."""
    scale = 1 / np.sqrt(np.maximum(np.diag(gram), 1e-30))
    every = right * scale
    tried = np.argsort(-every, kind="stable")[:_SHARED_OUT]
    scale, right = scale[tried], every[tried]
    gram = gram[np.ix_(tried, tried)] * np.outer(scale, scale) + 1e-6 * np.eye(len(tried))
    amounts = np.zeros(len(right))
    for _ in range(100):  # coordinate descent: small, and never singular
        before = amounts.copy()
        for i in range(len(right)):
            amounts[i] = max(0.0, amounts[i] + (right[i] - gram[i] @ amounts) / gram[i, i])
        if np.max(np.abs(amounts - before)) < 1e-3 * np.max(np.abs(amounts) + 1e-12):
            break
    shares = np.zeros(len(every))
    shares[tried] = amounts * right
    return float(amounts @ right * 2 - amounts @ gram @ amounts), shares
