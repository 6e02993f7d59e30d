"""Whole-pattern refinement of given phases.

The weighted sum of squares

    χ² = Σ_i w_i (y_i − Σ_p c_p φ_p(2θ_i; θ) − Σ_k b_k T_k(2θ_i))²,   c_p ≥ 0

is linear in the amounts c and the background b, which are solved for inside (variable
projection, Golub & Pereyra, SIAM J. Numer. Anal. 10 (1973) 413, with Kaufman's Jacobian);
Levenberg-Marquardt moves the rest θ: displacement, width, roughness and residual lines for
all, cell strain, size, strain broadening, extra B and texture of each phase. Each of these
has a prior, so that a phase of few counts keeps to what is usual. JAX draws the profiles,
their derivatives and the normal matrix; the small algebra is NumPy's.
"""

from dataclasses import dataclass, field, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from analysis.diffraction.arrays import Array
from analysis.diffraction.measured import BACKGROUND, Measured
from analysis.diffraction.misfit import OUTSTANDING, temperature_of, unknown_peaks
from analysis.diffraction.priors import (
    PHASE_HIGH,
    PHASE_LOW,
    PHASE_MEAN,
    SHARED_HIGH,
    SHARED_LOW,
    penalty,
    pull,
    shared_mean,
)
from analysis.diffraction.profile import (
    DISPLACEMENT,
    LOG_MARCH,
    MICROSTRAIN,
    NARROW,
    PHASE_PARAMETERS,
    SHARED_PARAMETERS,
    SIZE,
    WIDE,
    Batch,
    Grid,
    Instrument,
    batch,
    draw,
    draw_with_slopes,
)
from analysis.diffraction.reflections import Lines

SLOTS = 8
"""Most phases in one refinement."""
ITERATIONS = 40
"""Most steps of a final refinement."""

_COLUMNS = 1 + PHASE_PARAMETERS + SHARED_PARAMETERS
_BROAD_DEG = 0.7
"""Lorentzian width from which lines are drawn on the wide window."""

C_AXIS = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A refined set of phases.

    Attributes:
        lines: Lines of each phase.
        axes: Texture axis of each phase in reciprocal indices, shape (3,) each.
        phases: Refined parameters of each phase, shape (SLOTS, PHASE_PARAMETERS).
        shared: Parameters of all phases together, shape (SHARED_PARAMETERS,).
        amounts: Relative masses, shape (number of phases,).
        background: Coefficients, shape (BACKGROUND,).
        chi2: Weighted sum of squares.
        penalty: Sum of squares of the priors.
        temperature: By how much misfit and its serial correlation inflate χ².
        normal: Inner products of all columns, which steps and covariances are made of.
        drawn: Lines as they were handed to the profile.
        instrument: What the priors of the shared parameters come from.
    """

    lines: tuple[Lines, ...]
    axes: tuple[Array, ...]
    phases: Array
    shared: Array
    amounts: Array
    background: Array
    chi2: float
    penalty: float
    temperature: float
    normal: Array = field(repr=False)
    drawn: Batch = field(repr=False)
    instrument: Instrument

    def cost(self, temperature: float) -> float:
        """Tempered objective: χ²/temperature + priors."""
        return self.chi2 / temperature + self.penalty

    @property
    def amounts_covariance(self) -> Array:
        """Tempered covariance of the amounts, other parameters integrated out."""
        return _covariance(self)

    @property
    def significance(self) -> Array:
        """Amount over its standard deviation, for each phase."""
        spread = np.sqrt(np.maximum(np.diag(self.amounts_covariance), 1e-300))
        return self.amounts / spread


def start(measured: Measured, lines: list[Lines], displacement_mm: float = 0.0) -> Fit:
    """Phases with usual parameters, not yet refined."""
    phases = np.tile(PHASE_MEAN, (SLOTS, 1))
    shared = shared_mean(measured.instrument)
    shared[DISPLACEMENT] = displacement_mm
    return _fit(measured, tuple(lines), (C_AXIS,) * len(lines), phases, shared)


def refitted(measured: Measured, fit: Fit) -> Fit:
    """The same phases and parameters on a pattern whose weights have changed."""
    return _evaluate(measured, fit, fit.phases, fit.shared)


def with_phase(
    measured: Measured, fit: Fit, lines: Lines, strain: float = 0.0, size_deg: float = 0.0
) -> Fit:
    """The same with one phase more, of an isotropic strain and a size broadening."""
    count = len(fit.lines)
    phases = fit.phases.copy()
    phases[count] = PHASE_MEAN
    phases[count, 0] = strain
    phases[count, SIZE] = max(size_deg, PHASE_MEAN[SIZE])
    return _fit(measured, (*fit.lines, lines), (*fit.axes, C_AXIS), phases, fit.shared)


def without_phase(measured: Measured, fit: Fit, index: int) -> Fit:
    """The same with one phase less."""
    phases = np.delete(fit.phases, index, axis=0)
    phases = np.vstack([phases, PHASE_MEAN])
    kept = [i for i in range(len(fit.lines)) if i != index]
    lines, axes = tuple(fit.lines[i] for i in kept), tuple(fit.axes[i] for i in kept)
    return _fit(measured, lines, axes, phases, fit.shared)


def with_axis(measured: Measured, fit: Fit, index: int, axis: Array) -> Fit:
    """The same with another texture axis of one phase, and no texture yet."""
    axes = tuple(axis if i == index else kept for i, kept in enumerate(fit.axes))
    phases = fit.phases.copy()
    phases[index, LOG_MARCH] = 0.0
    return _fit(measured, fit.lines, axes, phases, fit.shared)


def refine(measured: Measured, fit: Fit, iterations: int = 10, tolerance: float = 0.05) -> Fit:
    """Move every parameter until little improves.

    Args:
        measured: The pattern.
        fit: Where to start.
        iterations: Most steps tried.
        tolerance: Gain in the tempered objective below which to stop.
    """
    if not fit.lines:
        return fit
    damping = 1e-3
    for _ in range(iterations):
        temperature = fit.temperature
        phases, shared = _moved(fit, _step(fit, temperature, damping))
        trial = _evaluate(measured, fit, phases, shared)
        gained = fit.cost(temperature) - trial.cost(temperature)
        if gained <= 0:
            damping *= 10
            if damping > 1e4:
                break
            continue
        fit, damping = trial, damping / 5
        if gained < tolerance:
            break
    return fit


@partial(jax.jit, static_argnames=("half_window",))
def _normal_matrix(
    lines: Batch,
    phases: jax.Array,
    shared: jax.Array,
    instrument: Instrument,
    grid: Grid,
    counts: jax.Array,
    weights: jax.Array,
    basis: jax.Array,
    half_window: int,
) -> tuple[jax.Array, jax.Array]:
    """Weighted inner products of all columns (SLOTS·_COLUMNS, background, counts), and φ."""
    points = len(counts)
    drawn = draw_with_slopes(
        lines,
        phases,
        shared,
        instrument,
        grid,
        slots=len(phases),
        points=points,
        half_window=half_window,
    )
    columns = jnp.concatenate(
        [jnp.moveaxis(drawn, 1, 0).reshape(points, -1), basis, counts[:, None]], axis=1
    )
    return columns.T @ (columns * weights[:, None]), drawn[..., 0]


def _drawn_slots(count: int) -> int:
    """Small sets are drawn in fewer slots; two sizes, so that two shapes are compiled."""
    return SLOTS // 2 if count <= SLOTS // 2 else SLOTS


def _background_columns(normal: Array) -> NDArray[np.intp]:
    """Where the background stands in a normal matrix: before the counts, which are last."""
    return np.arange(len(normal) - 1 - BACKGROUND, len(normal) - 1)


def _half_window(phases: Array) -> int:
    broadest = np.max(phases[:, SIZE : MICROSTRAIN + 1], initial=0.0)
    return WIDE if broadest > _BROAD_DEG else NARROW


def _fit(
    measured: Measured,
    lines: tuple[Lines, ...],
    axes: tuple[Array, ...],
    phases: Array,
    shared: Array,
) -> Fit:
    """A set of phases with the amounts and the background that suit it."""
    empty = Fit(
        lines=lines,
        axes=axes,
        phases=phases,
        shared=shared,
        amounts=np.zeros(len(lines)),
        background=np.zeros(BACKGROUND),
        chi2=0.0,
        penalty=0.0,
        temperature=1.0,
        normal=np.zeros((0, 0)),
        drawn=batch(lines, axes, ghosts=measured.instrument.has_ghosts),
        instrument=measured.instrument,
    )
    return _evaluate(measured, empty, phases, shared)


def _evaluate(measured: Measured, fit: Fit, phases: Array, shared: Array) -> Fit:
    """Solve amounts and background for given parameters."""
    normal, drawn = _normal_matrix(
        fit.drawn,
        jnp.asarray(phases[: _drawn_slots(len(fit.lines))]),
        jnp.asarray(shared),
        measured.instrument,
        measured.grid,
        jnp.asarray(measured.counts),
        jnp.asarray(measured.weights),
        jnp.asarray(measured.basis),
        half_window=_half_window(phases[: len(fit.lines)]),
    )
    normal = np.asarray(normal)
    count = len(fit.lines)
    linear = np.concatenate([np.arange(count) * _COLUMNS, _background_columns(normal)])
    amounts, background = _solve_linear(normal, linear, count)
    root = np.sqrt(measured.weights)
    bragg = amounts @ np.asarray(drawn)[:count]
    residual = (measured.counts - bragg - measured.basis @ background) * root
    seen = measured.seen
    solved = np.concatenate([amounts, background])
    right = normal[linear, -1]
    chi2 = (
        normal[-1, -1] - 2 * solved @ right + solved @ normal[np.ix_(linear, linear)] @ solved
    )
    return replace(
        fit,
        phases=phases,
        shared=shared,
        amounts=amounts,
        background=background,
        chi2=float(max(chi2, 1e-9)),
        penalty=penalty(phases[:count], shared, fit.instrument),
        temperature=temperature_of(residual[seen], (bragg * root)[seen]),
        normal=normal,
    )


def _solve_linear(normal: Array, linear: NDArray[np.intp], count: int) -> tuple[Array, Array]:
    """Amounts ≥ 0 and background of least χ², the background eliminated first."""
    matrix, right = normal[np.ix_(linear, linear)], normal[linear, -1]
    smooth = matrix[count:, count:] + 1e-9 * np.diag(np.diag(matrix[count:, count:]) + 1e-12)
    eliminated = np.linalg.solve(
        smooth, np.column_stack([matrix[count:, :count], right[count:]])
    )
    if not count:
        return np.zeros(0), eliminated[:, -1]
    inner = matrix[:count, :count] - matrix[:count, count:] @ eliminated[:, :-1]
    target = right[:count] - matrix[:count, count:] @ eliminated[:, -1]
    scale = 1 / np.sqrt(np.maximum(np.diag(inner), 1e-300))
    scaled = inner * np.outer(scale, scale) + 1e-10 * np.eye(count)
    factor = np.linalg.cholesky(scaled)
    amounts = nnls(factor.T, np.linalg.solve(factor, target * scale))[0] * scale
    return amounts, eliminated[:, -1] - eliminated[:, :-1] @ amounts


def tolerant(measured: Measured, fit: Fit) -> tuple[Measured, float]:
    """The pattern with little weight on peaks of unknown phases.

    What stands out of the model is held down to OUTSTANDING standard deviations, as Huber
    does on one side: an unknown phase may add peaks anywhere, but takes none away.

    Returns:
        The pattern, and the share of its points so treated.
    """
    root = np.sqrt(measured.weights)
    bragg = np.zeros(len(root))
    bragg[: measured.used] = profiles(measured, fit).sum(0)
    background = measured.basis @ fit.background
    residual = (measured.counts - bragg - background) * root
    unknown = unknown_peaks(residual, bragg * root)
    held = np.where(unknown, (OUTSTANDING / np.maximum(residual, 1e-9)) ** 2, 1.0)
    share = float(np.mean(unknown[measured.seen]))
    return replace(measured, weights=measured.weights * held), share


def _slopes(fit: Fit) -> Array:
    """How the columns of the normal matrix combine into derivatives of the model."""
    count = len(fit.lines)
    size = len(fit.normal)
    combine = np.zeros((count * PHASE_PARAMETERS + SHARED_PARAMETERS, size))
    for p in range(count):
        for k in range(PHASE_PARAMETERS):
            combine[p * PHASE_PARAMETERS + k, p * _COLUMNS + 1 + k] = fit.amounts[p]
        for k in range(SHARED_PARAMETERS):
            column = p * _COLUMNS + 1 + PHASE_PARAMETERS + k
            combine[count * PHASE_PARAMETERS + k, column] = fit.amounts[p]
    return combine


def _blocks(fit: Fit) -> tuple[Array, Array, Array, Array]:
    """Curvature of the parameters, their coupling to linear columns, those, the gradient."""
    count = len(fit.lines)
    active = np.flatnonzero(fit.amounts > 0) * _COLUMNS
    linear = np.concatenate([active, _background_columns(fit.normal)])
    combine, normal = _slopes(fit), fit.normal
    applied = combine @ normal
    curvature = applied @ combine.T
    coupling = applied[:, linear]
    inner = normal[np.ix_(linear, linear)]
    solved = np.zeros(normal.shape[0])
    solved[np.arange(count) * _COLUMNS] = fit.amounts
    solved[_background_columns(normal)] = fit.background
    solved[-1] = -1.0
    gradient = applied @ solved  # of χ²/2: Jᵀ W (model − counts)
    return curvature, coupling, inner + 1e-9 * np.diag(np.diag(inner) + 1e-12), gradient


def _pull(fit: Fit) -> tuple[Array, Array]:
    return pull(fit.phases[: len(fit.lines)], fit.shared, fit.instrument)


def _step(fit: Fit, temperature: float, damping: float) -> Array:
    curvature, coupling, inner, gradient = _blocks(fit)
    projected = curvature - coupling @ np.linalg.solve(inner, coupling.T)
    precision, drawn_back = _pull(fit)
    matrix = projected / temperature + np.diag(precision)
    matrix += damping * np.diag(np.diag(matrix))
    return -np.linalg.solve(matrix, gradient / temperature + drawn_back)


def march_gain(fit: Fit, index: int) -> float:
    """Tempered χ² that refining March's r of a phase alone would gain, to first order."""
    curvature, coupling, inner, gradient = _blocks(fit)
    k = index * PHASE_PARAMETERS + LOG_MARCH
    own = curvature[k, k] - coupling[k] @ np.linalg.solve(inner, coupling[k])
    return float(gradient[k] ** 2 / max(own, 1e-30) / fit.temperature)


def _moved(fit: Fit, step: Array) -> tuple[Array, Array]:
    count = len(fit.lines)
    phases = fit.phases.copy()
    phases[:count] += step[: count * PHASE_PARAMETERS].reshape(count, PHASE_PARAMETERS)
    return (
        np.clip(phases, PHASE_LOW, PHASE_HIGH),
        np.clip(fit.shared + step[count * PHASE_PARAMETERS :], SHARED_LOW, SHARED_HIGH),
    )


def _covariance(fit: Fit) -> Array:
    """Tempered covariance of the amounts, the other parameters integrated out."""
    count = len(fit.lines)
    if not count:
        return np.zeros((0, 0))
    curvature, coupling, inner, _ = _blocks(fit)
    precision, _ = _pull(fit)
    curvature = curvature / fit.temperature + np.diag(precision)
    reduced = inner - coupling.T @ np.linalg.solve(curvature, coupling) / fit.temperature
    inverse = np.linalg.pinv(reduced / fit.temperature, hermitian=True)
    active = np.flatnonzero(fit.amounts > 0)
    full = np.zeros((count, count))
    full[np.ix_(active, active)] = inverse[: len(active), : len(active)]
    return full


def parameter_esds(fit: Fit) -> tuple[Array, Array]:
    """Tempered standard deviations of what was refined.

    Returns:
        Those of each phase, shape (number of phases, PHASE_PARAMETERS), and those of the
        shared parameters, shape (SHARED_PARAMETERS,). Where a pattern says nothing, that of
        the prior.
    """
    count = len(fit.lines)
    curvature, coupling, inner, _ = _blocks(fit)
    projected = curvature - coupling @ np.linalg.solve(inner, coupling.T)
    precision, _ = _pull(fit)
    inverse = np.linalg.inv(projected / fit.temperature + np.diag(precision))
    esds = np.sqrt(np.maximum(np.diag(inverse), 0.0))
    return esds[:-SHARED_PARAMETERS].reshape(count, PHASE_PARAMETERS), esds[-SHARED_PARAMETERS:]


def profiles(measured: Measured, fit: Fit) -> Array:
    """Counts that each phase contributes, shape (phases, used points)."""
    drawn = draw(
        fit.drawn,
        jnp.asarray(fit.phases),
        jnp.asarray(fit.shared),
        measured.instrument,
        measured.grid,
        slots=SLOTS,
        points=len(measured.counts),
        half_window=_half_window(fit.phases[: len(fit.lines)]),
    )
    return fit.amounts[:, None] * np.asarray(drawn)[: len(fit.lines), : measured.used]


def background_of(measured: Measured, fit: Fit) -> Array:
    """Refined background, shape (used points,)."""
    return (measured.basis @ fit.background)[: measured.used]


def r_wp_percent(measured: Measured, calculated: Array) -> float:
    """Weighted-profile residual, √(Σ w (y − y_c)² / Σ w y²), w = 1/variance, in percent."""
    weights = 1 / measured.variance[: measured.used]
    counts = measured.counts[: measured.used]
    return float(
        100
        * np.sqrt(np.sum(weights * (counts - calculated) ** 2) / np.sum(weights * counts**2))
    )
