"""What a diffractometer makes of lines: places, widths and shapes on its 2θ axis, in JAX.

Place, in Bragg-Brentano geometry, for a sample displaced by s from the focusing circle of
radius R (Wilson, Mathematical Theory of X-ray Powder Diffractometry, 1963):

    2θ = 2 asin(λ/2d) − (2 s cos θ / R) · 180/π

Shape: pseudo-Voigt after Thompson, Cox & Hastings, J. Appl. Cryst. 20 (1987) 79, from the
full widths H_G of its Gaussian and H_L of its Lorentzian part:

    H_G² = U tan²θ + V tan θ + W (instrument) + G² (refined),   H_L = X tan θ + Y / cos θ

Intensity: M|F|² · (1 + p cos²2θ) / ((1 + p) sin²θ cos θ), p = cos²2θ_m with a monochromator
at 2θ_m and 1 without. Kα₁ and Kα₂ are drawn together. Everything is 64-bit.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from analysis.diffraction.arrays import Array
from analysis.diffraction.reflections import STRAINS, TEXTURES, Lines

jax.config.update("jax_enable_x64", True)  # noqa: FBT003 - its second name is private

HALF_WINDOW = 64
"""A line is drawn this many grid points to both sides of its centre."""
PHASE_PARAMETERS = STRAINS + 3 + TEXTURES
"""Per phase: strains; size and strain broadening; extra B; texture."""
SIZE, MICROSTRAIN, EXTRA_B = STRAINS, STRAINS + 1, STRAINS + 2
GLOBAL_PARAMETERS = 2
"""Displacement in mm, and the refined share of the Gaussian width in degrees."""

_PAD_SIZES = (512, 2048, 8192)


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
        texture: Shape (n, TEXTURES).
        intensity: Shape (n,).
    """

    slot: jax.Array
    inverse_d2: jax.Array
    strain: jax.Array
    texture: jax.Array
    intensity: jax.Array


def batch(phases: list[Lines]) -> Batch:
    """Join the lines of phases and pad them to one of few lengths."""
    count = sum(len(lines.intensity) for lines in phases)
    size = next((size for size in _PAD_SIZES if size >= count), None)
    if size is None:
        size = -(-count // _PAD_SIZES[-1]) * _PAD_SIZES[-1]

    def joined(arrays: list[Array], fill: float, columns: int | None = None) -> jax.Array:
        shape = (size,) if columns is None else (size, columns)
        out = np.full(shape, fill)
        if arrays:
            out[:count] = np.concatenate(arrays)
        return jnp.asarray(out)

    slots = [np.full(len(lines.intensity), float(i)) for i, lines in enumerate(phases)]
    return Batch(
        slot=joined(slots, 0.0).astype(jnp.int32),
        inverse_d2=joined([lines.inverse_d2 for lines in phases], 0.1),
        strain=joined([lines.strain for lines in phases], 0.0, STRAINS),
        texture=joined([lines.texture for lines in phases], 0.0, TEXTURES),
        intensity=joined([lines.intensity for lines in phases], 0.0),
    )


def _sin_theta(inverse_d2: jax.Array, wavelength_ang: float) -> jax.Array:
    return jnp.clip(jnp.sqrt(inverse_d2) * wavelength_ang / 2, 1e-3, 0.9999)


def _place_deg(
    inverse_d2: jax.Array, wavelength_ang: float, displacement_mm: jax.Array, radius_mm: float
) -> jax.Array:
    theta = jnp.arcsin(_sin_theta(inverse_d2, wavelength_ang))
    shift = 2 * displacement_mm * jnp.cos(theta) / radius_mm
    return jnp.degrees(2 * theta - shift)


def _shape(x_deg: jax.Array, gauss_deg: jax.Array, lorentz_deg: jax.Array) -> jax.Array:
    """Thompson-Cox-Hastings pseudo-Voigt of unit area."""
    g, q = gauss_deg, lorentz_deg
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
    eta = 1.36603 * ratio - 0.47719 * ratio**2 + 0.11116 * ratio**3
    squared = (x_deg / width) ** 2
    gauss = jnp.sqrt(4 * jnp.log(2) / jnp.pi) / width * jnp.exp(-4 * jnp.log(2) * squared)
    lorentz = (2 / jnp.pi) / width / (1 + 4 * squared)
    return eta * lorentz + (1 - eta) * gauss


class _Drawn(NamedTuple):
    """Per line: what is needed to draw it."""

    place1: jax.Array
    place2: jax.Array
    gauss: jax.Array
    lorentz: jax.Array
    amplitude: jax.Array


def _line(
    inverse_d2: jax.Array,
    strain: jax.Array,
    texture: jax.Array,
    intensity: jax.Array,
    phase: jax.Array,
    shared: jax.Array,
    instrument: Instrument,
) -> _Drawn:
    """Place, widths and amplitude of one line from the parameters of its phase."""
    strained = inverse_d2 + strain @ phase[:STRAINS]
    strained = jnp.maximum(strained, 1e-6)
    place1 = _place_deg(strained, instrument.wavelength1_ang, shared[0], instrument.radius_mm)
    place2 = _place_deg(strained, instrument.wavelength2_ang, shared[0], instrument.radius_mm)
    sin = _sin_theta(strained, instrument.wavelength1_ang)
    cos = jnp.sqrt(1 - sin**2)
    tan = sin / cos
    gauss2 = (
        instrument.u_deg2 * tan**2
        + instrument.v_deg2 * tan
        + instrument.w_deg2
        + shared[1] ** 2
    )
    lorentz = (instrument.x_deg + phase[MICROSTRAIN]) * tan + (
        instrument.y_deg + phase[SIZE]
    ) / cos
    p = jnp.cos(jnp.radians(instrument.monochromator_two_theta_deg)) ** 2
    polarised = (1 + p * (1 - 2 * sin**2) ** 2) / ((1 + p) * sin**2 * cos)
    thermal = jnp.exp(-phase[EXTRA_B] * strained / 2)
    oriented = jax.nn.softplus(8 * (1 + texture @ phase[EXTRA_B + 1 :])) / 8
    return _Drawn(
        place1,
        place2,
        jnp.sqrt(jnp.maximum(gauss2, 1e-4)),
        jnp.maximum(lorentz, 1e-3),
        intensity * polarised * thermal * oriented,
    )


def _lines(
    lines: Batch, phases: jax.Array, shared: jax.Array, instrument: Instrument
) -> tuple[_Drawn, jax.Array]:
    """All lines, and the derivative of each of their numbers by phase and shared parameters.

    Returns:
        The lines, and an array (n, 5, PHASE_PARAMETERS + GLOBAL_PARAMETERS).
    """

    def one(
        inverse_d2: jax.Array,
        strain: jax.Array,
        texture: jax.Array,
        intensity: jax.Array,
        parameters: jax.Array,
    ) -> jax.Array:
        return jnp.stack(
            _line(
                inverse_d2,
                strain,
                texture,
                intensity,
                parameters[:PHASE_PARAMETERS],
                parameters[PHASE_PARAMETERS:],
                instrument,
            )
        )

    per_line = jnp.concatenate(
        [phases[lines.slot], jnp.broadcast_to(shared, (len(lines.slot), GLOBAL_PARAMETERS))], 1
    )
    inputs = (lines.inverse_d2, lines.strain, lines.texture, lines.intensity, per_line)
    values = jax.vmap(one)(*inputs)
    slopes = jax.vmap(jax.jacfwd(one, argnums=4))(*inputs)
    return _Drawn(*values.T), slopes


def _window(drawn: _Drawn, grid: Grid, points: int) -> tuple[jax.Array, jax.Array]:
    """Grid points around each line and their angles, shape (n, 2·HALF_WINDOW + 1)."""
    centre = jnp.round((drawn.place1 - grid.start_deg) / grid.step_deg).astype(jnp.int32)
    index = centre[:, None] + jnp.arange(-HALF_WINDOW, HALF_WINDOW + 1, dtype=jnp.int32)[None]
    angle = grid.start_deg + grid.step_deg * index.astype(jnp.float64)
    return jnp.where((index >= 0) & (index < points), index, points), angle


@partial(jax.jit, static_argnames=("slots", "points"))
def draw(
    lines: Batch,
    phases: jax.Array,
    shared: jax.Array,
    instrument: Instrument,
    grid: Grid,
    *,
    slots: int,
    points: int,
) -> jax.Array:
    """Calculated profile of each phase per unit factor, shape (slots, points)."""
    per_line = jax.vmap(_line, in_axes=(0, 0, 0, 0, 0, None, None))
    drawn = per_line(
        lines.inverse_d2,
        lines.strain,
        lines.texture,
        lines.intensity,
        phases[lines.slot],
        shared,
        instrument,
    )
    index, angle = _window(drawn, grid, points)
    gauss, lorentz = drawn.gauss[:, None], drawn.lorentz[:, None]
    shape = _shape(angle - drawn.place1[:, None], gauss, lorentz)
    shape += instrument.ratio * _shape(angle - drawn.place2[:, None], gauss, lorentz)
    out = jnp.zeros((slots, points + 1))
    return out.at[lines.slot[:, None], index].add(drawn.amplitude[:, None] * shape)[:, :points]


@partial(jax.jit, static_argnames=("slots", "points"))
def draw_with_slopes(
    lines: Batch,
    phases: jax.Array,
    shared: jax.Array,
    instrument: Instrument,
    grid: Grid,
    *,
    slots: int,
    points: int,
) -> jax.Array:
    """Profile of each phase and its derivatives.

    Returns:
        Shape (slots, points, 1 + PHASE_PARAMETERS + GLOBAL_PARAMETERS): the profile per unit
        factor, then its derivative by each parameter of the phase and each shared one.
    """
    drawn, slopes = _lines(lines, phases, shared, instrument)
    index, angle = _window(drawn, grid, points)
    gauss, lorentz = drawn.gauss[:, None], drawn.lorentz[:, None]
    one = jnp.ones_like(angle)

    def with_slopes(place: jax.Array) -> tuple[jax.Array, ...]:
        x = angle - place[:, None]
        args = (x, gauss * one, lorentz * one)
        zero = jnp.zeros_like(x)
        value, by_x = jax.jvp(_shape, args, (one, zero, zero))
        _, by_gauss = jax.jvp(_shape, args, (zero, one, zero))
        _, by_lorentz = jax.jvp(_shape, args, (zero, zero, one))
        return value, by_x, by_gauss, by_lorentz

    first = with_slopes(drawn.place1)
    second = with_slopes(drawn.place2)
    ratio, height = instrument.ratio, drawn.amplitude[:, None]
    parts = jnp.stack(
        [
            -height * first[1],
            -height * ratio * second[1],
            height * (first[2] + ratio * second[2]),
            height * (first[3] + ratio * second[3]),
            first[0] + ratio * second[0],
        ],
        axis=-1,
    )  # (n, window, 5), matching the rows of slopes
    rows = jnp.concatenate(
        [(height * parts[..., 4])[..., None], jnp.einsum("nwc,ncp->nwp", parts, slopes)],
        axis=-1,
    )
    out = jnp.zeros((slots, points + 1, rows.shape[-1]))
    return out.at[lines.slot[:, None], index].add(rows)[:, :points]
