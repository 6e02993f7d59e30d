"""Structure factors of many crystals at once, in JAX over padded batches.

With s = sin θ / λ, and the mean of |F|² over a Friedel pair, since a powder shows both:

    F(hkl) = Σ_j occ_j (f0_j(s) + f′_j + i f″_j) exp(−B_j s²) exp(2πi h·x_j)

f0 after Waasmaier & Kirfel, Acta Cryst. A51 (1995) 416; f′ and f″ after Cromer & Liberman
(1970, 1981), both as tabulated in rietx.

Atoms of one element and one B are a *kind* g. With C_g + i S_g = Σ_{j in g} occ_j
exp(2πi h·x_j), a_g = (f0 + f′) exp(−B_g s²) and b_g = f″ exp(−B_g s²), the mean is

    |F|² = (Σ a C)² + (Σ a S)² + (Σ b C)² + (Σ b S)²

Reflections are cut into tiles of TILE, and atoms, kinds and elements are padded to few sizes,
so that few shapes are ever compiled. Calls return before they are computed: the next batch is
laid out on one core while the last one is computed on the other.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import factorial, pi
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from rietx.crystallography.attenuation import total_cross_section
from rietx.crystallography.dispersion import dispersion, photoabsorption_barn
from rietx.crystallography.scattering import f0

from alab.errors import BadInput
from analysis.diffraction.arrays import Array
from analysis.diffraction.crystal import Crystal

jax.config.update("jax_enable_x64", True)  # noqa: FBT003 - its second name is private

TILE = 128
"""Reflections in one row of a batch."""

_ATOMS_PER_BATCH = 2048
_MAX_S = 6.0  # Å⁻¹; beyond it the tables of f0 end
_SINE = [(-1) ** k * pi ** (2 * k + 1) / factorial(2 * k + 1) for k in range(11)]
_COSINE = [(-1) ** k * pi ** (2 * k) / factorial(2 * k) for k in range(12)]
_F0_STEP = 2e-4  # Å⁻¹; straight lines between such nodes are right to 1e-6 electrons


class Reflections(NamedTuple):
    """Reflections of one crystal.

    Attributes:
        crystal: The structure.
        hkl: Indices, shape (n, 3).
        inverse_d2: 1/d² of each in Å⁻², shape (n,).
    """

    crystal: Crystal
    hkl: NDArray[np.int16]
    inverse_d2: Array


def squared_structure_factors(
    wanted: Sequence[Reflections], wavelength_ang: float
) -> list[Array]:
    """|F|² of the reflections of each crystal, in electrons squared per unit cell.

    Args:
        wanted: Crystals and their reflections.
        wavelength_ang: For f′ and f″.

    Raises:
        BadInput: If a reflection lies, or an element has no dispersion, out of the tables.
    """
    rows = [_Row(one, wavelength_ang) for one in wanted]
    found: list[Array] = [np.empty(len(one.inverse_d2)) for one in wanted]
    pending: list[tuple[list[tuple[int, int]], jax.Array]] = []
    by_shape: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
    for i, row in enumerate(rows):
        tiles = by_shape.setdefault(row.shape, [])
        tiles += [(i, start) for start in range(0, len(found[i]), TILE)]
        size = _tiles_per_batch(row.shape[0])
        while len(tiles) >= size:
            pending.append((tiles[:size], _computed(rows, tiles[:size], row.shape)))
            del tiles[:size]
    for shape, tiles in by_shape.items():
        if tiles:
            pending.append((tiles, _computed(rows, tiles, shape)))
    for tiles, squares in pending:
        for (i, start), row in zip(tiles, np.asarray(squares), strict=False):
            part = found[i][start : start + TILE]
            part[:] = row[: len(part)]
    return found


def _tiles_per_batch(atoms: int) -> int:
    return max(1, _ATOMS_PER_BATCH // atoms)


class _Row:
    """One crystal, laid out for a batch."""

    def __init__(self, wanted: Reflections, wavelength_ang: float) -> None:
        crystal = wanted.crystal
        elements = list(dict.fromkeys(crystal.elements))
        kinds: dict[tuple[str, float], int] = {}
        kind_of_atom = [
            kinds.setdefault(kind, len(kinds))
            for kind in zip(crystal.elements, crystal.b_iso_ang2.tolist(), strict=True)
        ]
        atoms = len(kind_of_atom)
        self.shape = (_padded(atoms), _power(len(kinds), 8), _power(len(elements), 4))
        self.hkl = wanted.hkl
        self.s2 = wanted.inverse_d2 / 4
        s = np.sqrt(self.s2)
        if s.size and s.max() > _MAX_S:
            raise BadInput(
                f"{crystal.stem}: sin θ / λ reaches {s.max():.2f} Å⁻¹, scattering factors end "
                f"at {_MAX_S:g} Å⁻¹; lower the highest angle"
            )
        self.positions = np.zeros((self.shape[0], 3))
        self.positions[:atoms] = crystal.positions
        self.share = np.zeros(self.shape[:2])
        self.share[np.arange(atoms), kind_of_atom] = crystal.occupancies
        self.b_iso = np.zeros(self.shape[1])
        self.b_iso[: len(kinds)] = [b_iso for _, b_iso in kinds]
        self.element = np.zeros(self.shape[1], dtype=np.int32)
        self.element[: len(kinds)] = [elements.index(element) for element, _ in kinds]
        self.in_phase = np.zeros((len(s), self.shape[2]))
        self.out_of_phase = np.zeros(self.shape[2])
        for column, element in enumerate(elements):
            f_prime, self.out_of_phase[column] = dispersion_of(element, wavelength_ang)
            self.in_phase[:, column] = np.interp(s, _nodes(), _f0_table(element)) + f_prime


def _padded(atoms: int) -> int:
    """Atoms with padding: steps of a half and a third of a power of two, from 16."""
    power = 16
    while power < atoms:
        if 3 * power // 2 >= atoms:
            return 3 * power // 2
        power *= 2
    return power


def _power(count: int, least: int) -> int:
    size = least
    while size < count:
        size *= 4
    return size


def _computed(
    rows: list[_Row], tiles: list[tuple[int, int]], shape: tuple[int, int, int]
) -> jax.Array:
    """Start to compute the tiles (crystal, first reflection), all of one padded shape."""
    atoms, _, elements = shape
    size = _tiles_per_batch(atoms)
    hkl = np.zeros((size, TILE, 3), dtype=np.int16)
    s2 = np.zeros((size, TILE))
    in_phase = np.zeros((size, TILE, elements))
    slot = np.zeros(size, dtype=np.int32)
    used = list(dict.fromkeys(i for i, _ in tiles))
    slots = {i: n for n, i in enumerate(used)}
    for n, (i, start) in enumerate(tiles):
        row = rows[i]
        stop = min(start + TILE, len(row.s2))
        hkl[n, : stop - start] = row.hkl[start:stop]
        s2[n, : stop - start] = row.s2[start:stop]
        in_phase[n, : stop - start] = row.in_phase[start:stop]
        slot[n] = slots[i]

    def stacked(name: str, dtype: type = float) -> Array:
        first = getattr(rows[used[0]], name)
        out = np.zeros((size, *first.shape), dtype=dtype)
        for n, i in enumerate(used):
            out[n] = getattr(rows[i], name)
        return out

    return _squares(
        hkl,
        s2,
        in_phase,
        slot,
        stacked("positions"),
        stacked("share"),
        stacked("b_iso"),
        stacked("element", np.int32),
        stacked("out_of_phase"),
    )


@jax.jit
def _squares(
    hkl: jax.Array,
    s2: jax.Array,
    in_phase: jax.Array,
    slot: jax.Array,
    positions: jax.Array,
    share: jax.Array,
    b_iso: jax.Array,
    element: jax.Array,
    out_of_phase: jax.Array,
) -> jax.Array:
    """|F|² of tiles t of reflections r; atoms n, kinds g, elements e of the crystal in a slot.

    Args:
        hkl: (t, r, 3).
        s2: (sin θ / λ)², (t, r).
        in_phase: f0 + f′, (t, r, e).
        slot: Which crystal each tile belongs to, (t,).
        positions: (slots, n, 3).
        share: Occupancy of each atom in the column of its kind, (slots, n, g).
        b_iso: (slots, g).
        element: Column of ``in_phase`` of each kind, (slots, g).
        out_of_phase: f″, (slots, e).
    """
    cycles = jnp.einsum("tri,tni->trn", hkl.astype(float), positions[slot])
    cosine, sine = _turned(cycles)
    cosines = jnp.einsum("trn,tng->trg", cosine, share[slot])
    sines = jnp.einsum("trn,tng->trg", sine, share[slot])
    damping = jnp.exp(-s2[:, :, None] * b_iso[slot][:, None, :])
    column = element[slot]
    a = damping * jnp.take_along_axis(in_phase, column[:, None, :], axis=2)
    b = damping * jnp.take_along_axis(out_of_phase[slot], column, axis=1)[:, None, :]
    sums = [jnp.sum(one * other, axis=2) for one in (a, b) for other in (cosines, sines)]
    return sum((total**2 for total in sums), start=jnp.zeros(s2.shape))


def _turned(cycles: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Cosine and sine of an angle in whole turns, to 1e-15 of a reduced angle.

    Half the angle goes into Taylor's series, then cos 2α = 1 − 2 sin² α and sin 2α =
    2 sin α cos α. XLA's own double-precision functions take ten times as long.
    """
    half = cycles - jnp.round(cycles)
    square = half * half
    sine = half * _polynomial(_SINE, square)
    cosine = _polynomial(_COSINE, square)
    return 1 - 2 * sine * sine, 2 * sine * cosine


def _polynomial(coefficients: Sequence[float], x: jax.Array) -> jax.Array:
    total = jnp.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total


@lru_cache(maxsize=1)
def _nodes() -> Array:
    return np.arange(0.0, _MAX_S + _F0_STEP, _F0_STEP)


@lru_cache(maxsize=128)
def _f0_table(element: str) -> Array:
    try:
        return f0(element, _nodes())
    except KeyError as error:
        raise BadInput(
            f"{element} has no scattering factor; leave structures with it out"
        ) from error


@lru_cache(maxsize=1024)
def dispersion_of(element: str, wavelength_ang: float) -> tuple[float, float]:
    """f′ and f″ in electrons.

    Raises:
        BadInput: On an absorption edge, or where the tables hold nothing.
    """
    try:
        return dispersion(element, wavelength_ang)
    except (KeyError, ValueError) as error:
        raise BadInput(
            f"{element} at {wavelength_ang:g} Å: no f′ and f″ ({error.args[0]}); "
            "leave structures with it out, or measure at another wavelength"
        ) from error


def absorption_per_cm(crystal: Crystal, wavelength_ang: float) -> float:
    """Linear attenuation coefficient µ = Σ_j occ_j σ_j / V, in cm⁻¹.

    σ is the total cross section after McMaster et al., UCRL-50174 (1969). Where that table has
    a gap or an absorption edge within its 2 % steps, the photoelectric part alone is taken,
    σ = 2 r_e λ f″, with f″ after Cromer & Liberman; scattering, 6 % in NiO, is missing then.

    Args:
        crystal: The structure.
        wavelength_ang: From 0.2 to 4 Å.

    Raises:
        BadInput: If neither table holds an element at this wavelength.
    """
    atoms = zip(crystal.elements, crystal.occupancies.tolist(), strict=True)
    total = sum(
        occupancy * _cross_section_barn(element, wavelength_ang) for element, occupancy in atoms
    )
    return total / crystal.volume_ang3  # 1 barn/Å³ is 1 cm⁻¹


@lru_cache(maxsize=1024)
def _cross_section_barn(element: str, wavelength_ang: float) -> float:
    try:
        return total_cross_section(element, wavelength_ang)
    except (KeyError, ValueError):
        _, f_double_prime = dispersion_of(element, wavelength_ang)
        return photoabsorption_barn(f_double_prime, wavelength_ang)
