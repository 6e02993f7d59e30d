"""What a diffractometer makes of lines: places, widths and shapes on its 2θ axis, in JAX.

Place, in Bragg-Brentano geometry, for a sample displaced by s from the focusing circle of
radius R (Wilson, Mathematical Theory of X-ray Powder Diffractometry, 1963):

    2θ = 2 asin(λ/2d) + zero − (2 s cos θ / R) · 180/π

Shape: pseudo-Voigt after Thompson, Cox & Hastings, J. Appl. Cryst. 20 (1987) 79, from the
full widths H_G of its Gaussian and H_L of its Lorentzian part:

    H_G² = U tan²θ + V tan θ + W + (P + size²) / cos²θ + G²
    H_L = (X + strain) tan θ + (Y + size) / cos θ

drawn at AXIAL_NODES places of axial divergence (equal apertures S and H of source and slit
over the radius L; van Laar & Yelon, J. Appl. Cryst. 17 (1984) 47): a ray that leaves the
equatorial plane by h = z/L appears at cos 2φ = cos 2θ · √(1 + h²).

Intensity: M|F|² · (1 + p cos²2θ) / ((1 + p) sin²θ cos θ), p = cos²2θ_m with a monochromator
at 2θ_m and 1 without; times sin θ with an automatic divergence slit, which opens so that the
lit length stays; times the rest of a rough surface, exp(−q (1/sin θ − 1)) (Suortti,
J. Appl. Cryst. 5 (1972) 325, strong form), and preferred orientation (Dollase, J. Appl.
Cryst. 19 (1986) 267), meaned over symmetry equivalents at angles α to the texture axis:

    ⟨(r² cos²α + sin²α / r)^(−3/2)⟩

Kα₁ and Kα₂ are drawn together; residual Kβ and W Lα lines are lines of their own. Everything
is 64-bit.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.special import roots_jacobi

from analysis.diffraction.arrays import Array
from analysis.diffraction.cache import user_folder
from analysis.diffraction.reflections import STRAINS, Lines

jax.config.update("jax_enable_x64", True)  # noqa: FBT003 - its second name is private
if jax.config.values["jax_compilation_cache_dir"] is None:
    jax.config.update("jax_compilation_cache_dir", str(user_folder() / "jax"))

NARROW, WIDE = 64, 160
"""A line is drawn this many grid points to both sides of its centre; WIDE for nanocrystals."""
PHASE_PARAMETERS = STRAINS + 5
"""Per phase: strains; Lorentzian size and strain broadening, Gaussian size broadening, all in
degrees; extra B; logarithm of March's r."""
SIZE, MICROSTRAIN, GAUSS_SIZE, EXTRA_B, LOG_MARCH = range(STRAINS, PHASE_PARAMETERS)
SHARED_PARAMETERS = 6
"""For all phases: displacement in mm, refined Gaussian width in degrees, axial aperture
S/L + H/L, roughness q, and the intensities of Kβ and W Lα over that of Kα₁ and Kα₂."""
DISPLACEMENT, GAUSS, AXIAL, ROUGHNESS, KBETA, WLALPHA = range(SHARED_PARAMETERS)
EQUIVALENTS = 24
AXIAL_NODES = 4
"""Gauss quadrature of the triangular distribution of h between 0 and S/L + H/L."""

_NODES, _WEIGHTS = roots_jacobi(AXIAL_NODES, 1, 0)
_AXIAL_H, _AXIAL_WEIGHT = (_NODES + 1) / 2, _WEIGHTS / _WEIGHTS.sum()
_AT_ONCE = 32  # lines drawn together
_PAD_SIZES = (512, 1024, 2048, 4096, 8192)
_GHOSTS = 10  # so many of the strongest lines of a phase are drawn in Kβ and W Lα
_WLALPHA_ANG = 1.476394


class Instrument(NamedTuple):
    """A diffractometer, as far as the profile needs it.

    Attributes:
        wavelength1_ang: Kα₁.
        wavelength2_ang: Kα₂.
        ratio: Intensity of Kα₂ over Kα₁; 0 for monochromatic radiation.
        radius_mm: Radius of the goniometer.
        monochromator_two_theta_deg: 2θ of a monochromator, 0 without one.
        u_deg2: U of the Gaussian width.
        v_deg2: V.
        w_deg2: W.
        x_deg: X of the Lorentzian width.
        y_deg: Y.
        p_deg2: P of the Gaussian width.
        axial: Expected S/L + H/L, the sum of the axial apertures over the radius.
        zero_deg: Zero of the 2θ axis.
        kbeta_ratio: Expected intensity of residual Kβ over Kα.
        wlalpha_ratio: Expected intensity of W Lα over Kα.
        wavelength_beta_ang: Kβ; 0 where the radiation is of no known anode.
        automatic_slit: Whether the divergence slit keeps the lit length of the sample.
        transmission: Whether the beam goes through the sample; drawn as in reflection.
    """

    wavelength1_ang: float = 1.5405929
    wavelength2_ang: float = 1.5444274
    ratio: float = 0.5
    radius_mm: float = 145.0
    monochromator_two_theta_deg: float = 0.0
    u_deg2: float = 0.002
    v_deg2: float = -0.001
    w_deg2: float = 0.002
    x_deg: float = 0.01
    y_deg: float = 0.02
    p_deg2: float = 0.0
    axial: float = 0.06
    zero_deg: float = 0.0
    kbeta_ratio: float = 0.0
    wlalpha_ratio: float = 0.0
    wavelength_beta_ang: float = 1.392234
    automatic_slit: bool = False
    transmission: bool = False

    @property
    def has_ghosts(self) -> bool:
        """Whether some Kβ and W Lα may be left: of a tube, without any monochromator."""
        alone = self.ratio == 0 or self.monochromator_two_theta_deg != 0
        return self.wavelength_beta_ang > 0 and not alone


class Grid(NamedTuple):
    """An even 2θ axis.

    Attributes:
        start_deg: First point.
        step_deg: Distance of points.
    """

    start_deg: float
    step_deg: float


class Batch(NamedTuple):
    """Lines of several phases in one padded list; padding has no intensity.

    Attributes:
        slot: Which phase each line belongs to, shape (n,).
        inverse_d2: As in Lines, shape (n,).
        strain: Shape (n, STRAINS).
        cos2: cos²α of each equivalent to the texture axis, shape (n, EQUIVALENTS).
        intensity: Shape (n,).
        kind: 0 drawn in Kα, 1 in Kβ, 2 in W Lα, shape (n,).
    """

    slot: jax.Array
    inverse_d2: jax.Array
    strain: jax.Array
    cos2: jax.Array
    intensity: jax.Array
    kind: jax.Array


def batch(phases: Sequence[Lines], axes: Sequence[Array], *, ghosts: bool = False) -> Batch:
    """Join the lines of phases and pad them to one of few lengths.

    Args:
        phases: What to draw.
        axes: Texture axis of each phase, in reciprocal indices, shape (3,).
        ghosts: Whether to draw the strongest lines in Kβ and W Lα too.
    """
    slots: list[int] = []
    rows: list[tuple[Lines, NDArray[np.intp], Array, int]] = []
    for i, (lines, axis) in enumerate(zip(phases, axes, strict=True)):
        cos2 = axis_cos2(lines, axis)
        every = np.arange(len(lines.intensity))
        strongest = np.argsort(-lines.intensity / lines.inverse_d2, kind="stable")[:_GHOSTS]
        for kind, chosen in enumerate((every, strongest, strongest) if ghosts else (every,)):
            slots.append(i)
            rows.append((lines, chosen, cos2[chosen], kind))
    count = sum(len(chosen) for _, chosen, _, _ in rows)
    size = next((size for size in _PAD_SIZES if size >= count), None)
    if size is None:
        size = -(-count // _PAD_SIZES[-1]) * _PAD_SIZES[-1]

    def joined(parts: list[Array], fill: float, *columns: int) -> jax.Array:
        out = np.full((size, *columns), fill)
        if parts:
            out[:count] = np.concatenate(parts)
        return jnp.asarray(out)

    def whole(values: list[int]) -> jax.Array:
        parts = [np.full(len(row[1]), float(v)) for v, row in zip(values, rows, strict=True)]
        return joined(parts, 0.0).astype(jnp.int32)

    return Batch(
        slot=whole(slots),
        inverse_d2=joined([lines.inverse_d2[chosen] for lines, chosen, _, _ in rows], 0.1),
        strain=joined([lines.strain[chosen] for lines, chosen, _, _ in rows], 0.0, STRAINS),
        cos2=joined([cos2 for _, _, cos2, _ in rows], 1 / 3, EQUIVALENTS),
        intensity=joined([lines.intensity[chosen] for lines, chosen, _, _ in rows], 0.0),
        kind=whole([kind for _, _, _, kind in rows]),
    )


def axis_cos2(lines: Lines, axis: Array) -> Array:
    """cos²α between the equivalents of each line and an axis, shape (n, EQUIVALENTS)."""
    metric = lines.reciprocal
    along = lines.equivalents @ (metric @ axis)
    lengths = np.einsum("nei,ij,nej->ne", lines.equivalents, metric, lines.equivalents)
    return along**2 / np.maximum(lengths * (axis @ metric @ axis), 1e-12)


class _Line(NamedTuple):
    """What is needed to draw a line."""

    place1: jax.Array
    place2: jax.Array
    width: jax.Array
    eta: jax.Array
    amplitude: jax.Array
    axial: jax.Array


def _sin_theta(inverse_d2: jax.Array, wavelength_ang: jax.Array | float) -> jax.Array:
    return jnp.clip(jnp.sqrt(inverse_d2) * wavelength_ang / 2, 1e-3, 0.9999)


def _place_deg(
    inverse_d2: jax.Array,
    wavelength_ang: jax.Array | float,
    displacement_mm: jax.Array,
    instrument: Instrument,
) -> jax.Array:
    theta = jnp.arcsin(_sin_theta(inverse_d2, wavelength_ang))
    shift = 2 * displacement_mm * jnp.cos(theta) / instrument.radius_mm
    return jnp.degrees(2 * theta - shift) + instrument.zero_deg


def _line(
    row: Batch, phase: jax.Array, shared: jax.Array, instrument: Instrument, step_deg: float
) -> _Line:
    """Place, width, form and amplitude of one line from the parameters of its phase."""
    strained = jnp.maximum(row.inverse_d2 + row.strain @ phase[:STRAINS], 1e-6)
    first = jnp.stack(
        [
            jnp.asarray(instrument.wavelength1_ang, dtype=float),
            jnp.asarray(instrument.wavelength_beta_ang, dtype=float),
            jnp.asarray(_WLALPHA_ANG),
        ]
    )[row.kind]
    second = jnp.where(row.kind == 0, instrument.wavelength2_ang, first)
    share = jnp.stack([jnp.ones(()), shared[KBETA], shared[WLALPHA]])[row.kind]
    share *= jnp.where(row.kind == 0, 1.0, 1.0 + instrument.ratio)
    sin = _sin_theta(strained, first)
    cos = jnp.sqrt(1 - sin**2)
    tan = sin / cos
    gauss2 = (
        instrument.u_deg2 * tan**2
        + instrument.v_deg2 * tan
        + instrument.w_deg2
        + (instrument.p_deg2 + phase[GAUSS_SIZE] ** 2) / cos**2
        + shared[GAUSS] ** 2
        + 8 * jnp.log(2.0) / 12 * step_deg**2  # counts are summed over a step
    )
    lorentz = (instrument.x_deg + phase[MICROSTRAIN]) * tan
    lorentz += (instrument.y_deg + phase[SIZE]) / cos
    width, eta = _thompson_cox_hastings(
        jnp.sqrt(jnp.maximum(gauss2, 1e-4)), jnp.maximum(lorentz, 1e-3)
    )
    p = jnp.cos(jnp.radians(instrument.monochromator_two_theta_deg)) ** 2
    polarised = (1 + p * (1 - 2 * sin**2) ** 2) / ((1 + p) * sin**2 * cos)
    slit = jnp.asarray(instrument.automatic_slit, dtype=float)
    polarised *= 1.0 - slit + slit * sin  # jnp.where would cost a quarter of every drawing
    thermal = jnp.exp(-phase[EXTRA_B] * strained / 2)
    rough = jnp.exp(-shared[ROUGHNESS] * (1 / sin - 1))
    march = jnp.exp(phase[LOG_MARCH])
    oriented = jnp.mean((march**2 * row.cos2 + (1 - row.cos2) / march) ** -1.5)
    amplitude = row.intensity * share * polarised * thermal * rough * oriented
    return _Line(
        _place_deg(strained, first, shared[DISPLACEMENT], instrument),
        _place_deg(strained, second, shared[DISPLACEMENT], instrument),
        width,
        eta,
        amplitude,
        shared[AXIAL],
    )


def _thompson_cox_hastings(g: jax.Array, q: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Width and Lorentzian share of the pseudo-Voigt of two full widths."""
    fifth = (
        g**5
        + 2.69269 * g**4 * q
        + 2.42843 * g**3 * q**2
        + 4.47163 * g**2 * q**3
        + 0.07842 * g * q**4
        + q**5
    )
    width = fifth**0.2
    ratio = q / width
    return width, 1.36603 * ratio - 0.47719 * ratio**2 + 0.11116 * ratio**3


def _shape(
    x_deg: jax.Array, width: jax.Array, eta: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Pseudo-Voigt of unit area, and its derivatives by x, width and eta."""
    u = (x_deg / width) ** 2
    steep = 4 * jnp.log(2.0)
    gauss = jnp.sqrt(steep / jnp.pi) / width * jnp.exp(-steep * u)
    bell = 1 / (1 + 4 * u)
    lorentz = (2 / jnp.pi) / width * bell
    value = eta * lorentz + (1 - eta) * gauss
    by_u = -4 * eta * lorentz * bell - steep * (1 - eta) * gauss
    by_x = by_u * 2 * x_deg / width**2
    by_width = -(value + 2 * u * by_u) / width
    return value, by_x, by_width, lorentz - gauss


def _nodes_deg(place: jax.Array, axial: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Shifts of lines by axial divergence and their derivatives by it, (AXIAL_NODES, n)."""

    def shift(axial: jax.Array) -> jax.Array:
        h = _AXIAL_H[:, None] * axial[None]
        cosine = jnp.cos(jnp.radians(place))[None] * jnp.sqrt(1 + h**2)
        return jnp.degrees(jnp.arccos(jnp.clip(cosine, -0.99999, 0.99999))) - place[None]

    return jax.jvp(shift, (axial,), (jnp.ones_like(axial),))


def _peaks(
    line: _Line, angle: jax.Array, instrument: Instrument, kind: jax.Array
) -> tuple[jax.Array, ...]:
    """Shape of lines of unit amplitude on their windows, and its derivatives by the parts."""
    width, eta = line.width[:, None], line.eta[:, None]
    zero = jnp.zeros_like(angle)
    value, by_place1, by_place2, by_width, by_eta, by_axial = (zero,) * 6
    ratio = jnp.where(kind == 0, instrument.ratio, 0.0)[:, None]
    shift1, slope1 = _nodes_deg(line.place1, line.axial)
    shift2, slope2 = _nodes_deg(line.place2, line.axial)
    for node in range(AXIAL_NODES):
        weight = _AXIAL_WEIGHT[node]
        one = _shape(angle - (line.place1 + shift1[node])[:, None], width, eta)
        two = _shape(angle - (line.place2 + shift2[node])[:, None], width, eta)
        value += weight * (one[0] + ratio * two[0])
        by_place1 -= weight * one[1]
        by_place2 -= weight * ratio * two[1]
        by_axial -= weight * (one[1] * slope1[node][:, None])
        by_axial -= weight * ratio * two[1] * slope2[node][:, None]
        by_width += weight * (one[2] + ratio * two[2])
        by_eta += weight * (one[3] + ratio * two[3])
    return value, by_place1, by_place2, by_width, by_eta, by_axial


def _window(line: _Line, grid: Grid, half_window: int) -> tuple[jax.Array, jax.Array]:
    """First grid point of the window of each line, and its angles (n, 2·half_window + 1)."""
    centre = jnp.round((line.place1 - grid.start_deg) / grid.step_deg).astype(jnp.int32)
    index = centre[:, None] + jnp.arange(-half_window, half_window + 1, dtype=jnp.int32)[None]
    return centre - half_window, grid.start_deg + grid.step_deg * index.astype(jnp.float64)


def _laid(
    rows_of: Callable[[Batch], tuple[jax.Array, jax.Array]],
    lines: Batch,
    columns: int,
    *,
    slots: int,
    points: int,
    half_window: int,
) -> jax.Array:
    """Draw lines a few at a time, so that they stay in the cache, and add them up.

    Args:
        rows_of: Gives the first grid point of each line's window, which may lie off the axis,
            and what the line adds there, shape (n, window, columns).
        lines: What to draw.
        columns: How many columns a line has.
        slots: How many phases.
        points: How many grid points.
        half_window: Points to both sides of a line.

    Returns:
        Shape (slots, points, columns).
    """
    window = 2 * half_window + 1

    def add_some(total: jax.Array, some: Batch) -> tuple[jax.Array, None]:
        first, rows = rows_of(some)
        start = jnp.clip(first + window, 0, points + window)

        def add(i: jax.Array, total: jax.Array) -> jax.Array:
            at = (some.slot[i], start[i], jnp.zeros((), dtype=jnp.int32))
            there = jax.lax.dynamic_slice(total, at, (1, window, columns))
            return jax.lax.dynamic_update_slice(total, there + rows[i][None], at)

        return jax.lax.fori_loop(0, _AT_ONCE, add, total), None

    parts = jax.tree.map(lambda x: x.reshape(-1, _AT_ONCE, *x.shape[1:]), lines)
    empty = jnp.zeros((slots, points + 2 * window, columns))
    total, _ = jax.lax.scan(add_some, empty, parts)
    return total[:, window : window + points]


@partial(jax.jit, static_argnames=("slots", "points", "half_window"))
def draw(
    lines: Batch,
    phases: jax.Array,
    shared: jax.Array,
    instrument: Instrument,
    grid: Grid,
    *,
    slots: int,
    points: int,
    half_window: int = NARROW,
) -> jax.Array:
    """Calculated profile of each phase per unit factor, shape (slots, points)."""
    one_line = jax.vmap(_line, in_axes=(0, 0, None, None, None))

    def rows_of(some: Batch) -> tuple[jax.Array, jax.Array]:
        line = one_line(some, phases[some.slot], shared, instrument, grid.step_deg)
        first, angle = _window(line, grid, half_window)
        shape = _peaks(line, angle, instrument, some.kind)[0]
        return first, (line.amplitude[:, None] * shape)[..., None]

    size = {"slots": slots, "points": points, "half_window": half_window}
    return _laid(rows_of, lines, 1, **size)[..., 0]


@partial(jax.jit, static_argnames=("slots", "points", "half_window"))
def draw_with_slopes(
    lines: Batch,
    phases: jax.Array,
    shared: jax.Array,
    instrument: Instrument,
    grid: Grid,
    *,
    slots: int,
    points: int,
    half_window: int = NARROW,
) -> jax.Array:
    """Profile of each phase and its derivatives.

    Returns:
        Shape (slots, points, 1 + PHASE_PARAMETERS + SHARED_PARAMETERS): the profile per unit
        factor, then its derivative by each parameter of the phase and each shared one.
    """

    def one(row: Batch, parameters: jax.Array) -> jax.Array:
        phase, rest = parameters[:PHASE_PARAMETERS], parameters[PHASE_PARAMETERS:]
        return jnp.stack(_line(row, phase, rest, instrument, grid.step_deg))

    def rows_of(some: Batch) -> tuple[jax.Array, jax.Array]:
        common = jnp.broadcast_to(shared, (len(some.slot), SHARED_PARAMETERS))
        parameters = jnp.concatenate([phases[some.slot], common], 1)
        line = _Line(*jax.vmap(one)(some, parameters).T)
        slopes = jax.vmap(jax.jacfwd(one, argnums=1))(some, parameters)
        first, angle = _window(line, grid, half_window)
        value, *by_shape, by_axial = _peaks(line, angle, instrument, some.kind)
        height = line.amplitude[:, None]
        by_parts = [*(height * part for part in by_shape), value, height * by_axial]
        parts = jnp.stack(by_parts, axis=-1)  # in the order of the fields of _Line
        by_parameters = jnp.einsum("nwc,ncp->nwp", parts, slopes)
        return first, jnp.concatenate([(height * value)[..., None], by_parameters], axis=-1)

    columns = 1 + PHASE_PARAMETERS + SHARED_PARAMETERS
    size = {"slots": slots, "points": points, "half_window": half_window}
    return _laid(rows_of, lines, columns, **size)
