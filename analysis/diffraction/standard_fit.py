"""Fit of profiles to a standard: intensities and background inside, the instrument outside.

Every group of lines has an intensity of its own; these and the background are linear and
solved for by weighted least squares. Zero, widths, divergence and spectral shares are moved
by SciPy's trust-region least squares (variable projection: Golub & Pereyra, SIAM J. Numer.
Anal. 10 (1973) 413, with Kaufman's Jacobian), with derivatives from JAX.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from analysis.diffraction.arrays import Array
from analysis.diffraction.pattern import Pattern
from analysis.diffraction.profile import (
    AXIAL,
    DISPLACEMENT,
    KBETA,
    PHASE_PARAMETERS,
    SHARED_PARAMETERS,
    WLALPHA,
    Batch,
    Grid,
    Instrument,
    draw,
)
from analysis.diffraction.reflections import Lines


class Bounds(NamedTuple):
    """A refined number: where it starts, its limits, and the size of a usual change."""

    start: float
    lowest: float
    highest: float
    scale: float


REFINED = {
    "displacement_mm": Bounds(0.0, -2.0, 2.0, 0.05),
    "zero_deg": Bounds(0.0, -0.5, 0.5, 0.01),
    "u_deg2": Bounds(0.002, 0.0, 0.3, 0.003),
    "v_deg2": Bounds(-0.001, -0.1, 0.1, 0.003),
    "w_deg2": Bounds(0.003, 1e-4, 0.2, 0.003),
    "x_deg": Bounds(0.01, 0.0, 0.5, 0.02),
    "y_deg": Bounds(0.02, 1e-3, 0.5, 0.02),
    "axial": Bounds(0.04, 1e-3, 0.2, 0.02),
    "ratio": Bounds(0.5, 0.3, 0.7, 0.05),
    "kbeta_ratio": Bounds(0.001, 0.0, 0.1, 0.003),
    "wlalpha_ratio": Bounds(0.001, 0.0, 0.1, 0.003),
}
"""What a calibration refines, by the names of the instrument file."""

_MOST_STEPS = 40
_TOLERANCE = 1e-6
_SCALES = np.array([bounds.scale for bounds in REFINED.values()])
_LOWEST = np.array([bounds.lowest for bounds in REFINED.values()])
_HIGHEST = np.array([bounds.highest for bounds in REFINED.values()])


def chosen(*names: str) -> NDArray[np.bool_]:
    """Which of the refined numbers bear these names, shape (len(REFINED),)."""
    return np.array([name in names for name in REFINED])


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What stays the same in a calibration.

    Attributes:
        pattern: Of the standard.
        groups: Lines that share an intensity, rising in 2θ.
        lines: All of them, to be drawn.
        grid: Even axis they are drawn on.
        points: Its length.
        even: Whether it is the axis of the pattern.
        half_window: Points that a line reaches to both sides.
        start: The instrument, as far as it is not refined.
        basis: Columns of the background, shape (n, k).
    """

    pattern: Pattern
    groups: tuple[Lines, ...]
    lines: Batch
    grid: Grid
    points: int
    even: bool
    half_window: int
    start: Instrument
    basis: Array

    @property
    def root_weights(self) -> Array:
        """One over the standard deviation of each point, shape (n,)."""
        return 1 / self.pattern.esd

    def on_points(self, profiles: Array) -> Array:
        """Profiles on the even grid, shape (k, points), at the measured angles, (n, k)."""
        if self.even:
            return profiles.T
        axis = self.grid.start_deg + self.grid.step_deg * np.arange(self.points)
        angle = self.pattern.two_theta_deg
        return np.stack([np.interp(angle, axis, profile) for profile in profiles], 1)


def _instrument(values: jax.Array, start: Instrument) -> tuple[jax.Array, Instrument]:
    """Shared parameters and instrument of the profile functions."""
    named = dict(zip(REFINED, values, strict=True))
    shared = jnp.zeros(SHARED_PARAMETERS)
    shared = shared.at[DISPLACEMENT].set(named["displacement_mm"])
    shared = shared.at[AXIAL].set(named["axial"])
    shared = shared.at[KBETA].set(named["kbeta_ratio"])
    shared = shared.at[WLALPHA].set(named["wlalpha_ratio"])
    kept = ("zero_deg", "u_deg2", "v_deg2", "w_deg2", "x_deg", "y_deg", "axial", "ratio")
    return shared, start._replace(**{name: named[name] for name in kept})


@partial(jax.jit, static_argnames=("slots", "points", "half_window"))
def _profiles(
    values: jax.Array,
    lines: Batch,
    start: Instrument,
    grid: Grid,
    *,
    slots: int,
    points: int,
    half_window: int,
) -> jax.Array:
    """Profile of each group of lines, shape (slots, points)."""
    shared, instrument = _instrument(values, start)
    phases = jnp.zeros((slots, PHASE_PARAMETERS))
    return draw(
        lines, phases, shared, instrument, grid,
        slots=slots, points=points, half_window=half_window,
    )  # fmt: skip


@partial(jax.jit, static_argnames=("slots", "points", "half_window"))
def _slopes(
    values: jax.Array,
    amounts: jax.Array,
    lines: Batch,
    start: Instrument,
    grid: Grid,
    *,
    slots: int,
    points: int,
    half_window: int,
) -> jax.Array:
    """Derivative of the pattern by each value at fixed amounts, shape (points, values)."""

    def total(values: jax.Array) -> jax.Array:
        return amounts @ _profiles(
            values, lines, start, grid, slots=slots, points=points, half_window=half_window
        )

    return jax.jacfwd(total)(values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """Linear part of a fit.

    Attributes:
        amounts: Intensity of each group in units of its structure, shape (groups,).
        amount_esds: Their standard deviations, shape (groups,).
        calculated: Counts, shape (n,).
        background: Its smooth part, shape (n,).
        residual: Weighted, shape (n,).
        directions: Orthonormal basis of what intensities and background can do, (n, k).
    """

    amounts: Array
    amount_esds: Array
    calculated: Array
    background: Array
    residual: Array
    directions: Array


def solve(task: Task, values: Array) -> Solved:
    """Intensities and background that fit best.

    Args:
        task: What is fitted.
        values: Of REFINED, in their order.
    """
    profiles = np.asarray(
        _profiles(
            jnp.asarray(values), task.lines, task.start, task.grid,
            slots=len(task.groups), points=task.points, half_window=task.half_window,
        )
    )  # fmt: skip
    columns = np.hstack([task.on_points(profiles), task.basis])
    weighted = columns * task.root_weights[:, None]
    size = np.linalg.norm(weighted, axis=0) + 1e-300
    directions, triangle = np.linalg.qr(weighted / size)
    inverse = np.linalg.pinv(triangle, rcond=1e-10)
    target = task.pattern.counts * task.root_weights
    solution = inverse @ (directions.T @ target) / size
    spread = np.sqrt(np.sum(inverse**2, 1)) / size
    count = len(task.groups)
    calculated = columns @ solution
    return Solved(
        amounts=solution[:count],
        amount_esds=spread[:count],
        calculated=calculated,
        background=task.basis @ solution[count:],
        residual=target - calculated * task.root_weights,
        directions=directions,
    )


def refine(task: Task, values: Array, free: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Move the free values to the least squares.

    Args:
        task: What is fitted.
        values: Of REFINED, in their order.
        free: Which of them move.

    Returns:
        All values, and the standard deviations of the free ones in their order, from the
        covariance times the reduced χ².
    """
    scales = _SCALES[free]
    kept: dict[bytes, Solved] = {}

    def whole(reduced: Array) -> Array:
        out = values.copy()
        out[free] = reduced * scales
        return out

    def solved(reduced: Array) -> Solved:
        key = reduced.tobytes()
        if key not in kept:
            kept.clear()
            kept[key] = solve(task, whole(reduced))
        return kept[key]

    def slopes(reduced: Array) -> Array:
        state = solved(reduced)
        by_value = np.asarray(
            _slopes(
                jnp.asarray(whole(reduced)), jnp.asarray(state.amounts), task.lines,
                task.start, task.grid, slots=len(task.groups), points=task.points,
                half_window=task.half_window,
            )
        )  # fmt: skip
        weighted = task.on_points(by_value.T[free]) * task.root_weights[:, None]
        outside = weighted - state.directions @ (state.directions.T @ weighted)
        return -outside * scales

    low, high = _LOWEST[free] / scales, _HIGHEST[free] / scales
    found = least_squares(
        lambda reduced: solved(reduced).residual,
        np.clip(values[free] / scales, low + 1e-6, high - 1e-6),
        jac=slopes,  # type: ignore[arg-type] - its stubs know no callable
        bounds=(low, high),
        method="dogbox",  # keeps at a limit what stands there
        max_nfev=_MOST_STEPS,
        xtol=_TOLERANCE,
        ftol=_TOLERANCE,
    )
    freedom = max(len(found.fun) - len(found.x) - len(task.groups), 1)
    covariance = np.linalg.pinv(found.jac.T @ found.jac) * (2 * found.cost / freedom)
    return whole(found.x), np.sqrt(np.maximum(np.diag(covariance), 0.0)) * scales
