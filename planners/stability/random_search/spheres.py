"""Soft spheres pushed apart under periodic boundaries, many structures at a time in JAX.

::

    E = ½ Σ_ij Σ_images (1 − r/σ_ij)²        for r < σ_ij

as in the relaxation before any quantum mechanics in AIRSS (Pickard and Needs, J. Phys.:
Condens. Matter 23, 053201, 2011), minimised by FIRE (Bitzek et al., Phys. Rev. Lett. 97,
170201, 2006) in a bounded number of steps.

The cell is kept: its volume and shape are what was drawn at random, soft spheres know nothing
of bonding that should change them, and whatever computes the energy relaxes both afterwards.

Every step is projected onto the displacements that the space group allows, because rounding
alone drives atoms off special positions that are saddle points.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from alab.errors import BadInput
from planners.stability.formulas import FloatArray

ROOMS = (10, 20, 40)
"""Atoms that structures are padded to: one compiled function each."""

LANES = 32
"""Structures relaxed at once, fixed so that nothing is compiled again and none depends on
which others it is relaxed with."""

MOST_STEPS = 150
REACH = 1.5
"""Images of the next cells on either side hold every pair closer than this many times the
smallest height of the cell."""

_SETTLED = 2e-3
"""Largest force below which nothing moves any more: spheres are apart, or jammed."""
_STEP, _LONGEST_STEP = 0.1, 0.35
"""Of FIRE; a contact has stiffness about 1, and an atom about 12 contacts."""
_MIXING, _PATIENCE = 0.1, 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spheres:
    """A structure of soft spheres.

    Attributes:
        lattice_ang: Rows are the lattice vectors, shape (3, 3).
        fractional: Shape (n, 3).
        diameters_ang: σ of each pair, shape (n, n).
        projector: Onto the displacements of all atoms that keep the symmetry, Cartesian,
            shape (3n, 3n); the identity where there is none.
    """

    lattice_ang: FloatArray
    fractional: FloatArray
    diameters_ang: FloatArray
    projector: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Relaxed:
    """The same structure after relaxation.

    Attributes:
        fractional: Within [0, 1), shape (n, 3).
        smallest_ratio: Smallest r/σ of any two atoms, images of one atom included.
    """

    fractional: FloatArray
    smallest_ratio: float


_Array = jax.Array | np.ndarray
_Vectors = tuple[jax.Array, jax.Array, jax.Array]


class _Lanes(NamedTuple):
    """Padded arrays, single precision; absent atoms have σ = 0 and never meet."""

    lattice: _Array
    inverse_lattice: _Array
    start: _Array
    diameters: _Array
    projector: _Array


class _State(NamedTuple):
    moved: jax.Array
    velocity: jax.Array
    largest_force: jax.Array
    step_size: jax.Array
    mixing: jax.Array
    downhill: jax.Array
    steps: jax.Array


def heights_ang(lattice_ang: FloatArray) -> FloatArray:
    """Distances between opposite faces of a cell, shape (3,)."""
    return 1 / np.linalg.norm(np.linalg.inv(lattice_ang), axis=0)


def relaxed(structures: Sequence[Spheres]) -> list[Relaxed]:
    """Push the spheres of each structure apart, in the order given.

    Raises:
        BadInput: If a structure has more atoms than the largest room, or its cell is too
            flat for its spheres.
    """
    for structure in structures:
        _check(structure)
    found: dict[int, Relaxed] = {}
    for room, members in _by_room(structures):
        lanes = _lanes([structures[i] for i in members], room)
        with jax.enable_x64(False):  # noqa: FBT003 - whatever else runs in this process
            moved, ratios = _relax_all(lanes)
        for lane, i in enumerate(members):
            found[i] = _unpadded(structures[i], np.asarray(moved)[lane], float(ratios[lane]))
    return [found[i] for i in range(len(structures))]


def _check(structure: Spheres) -> None:
    n = len(structure.fractional)
    if not 0 < n <= ROOMS[-1]:
        raise BadInput(f"a structure of {n} atoms; 1 to {ROOMS[-1]} can be relaxed at once")
    height, widest = heights_ang(structure.lattice_ang).min(), structure.diameters_ang.max()
    if widest > REACH * height:
        raise BadInput(
            f"spheres of {widest:.2f} Å in a cell {height:.2f} Å high would meet beyond the "
            f"next cell; the limit is {REACH} times the height: reduce the cell"
        )


def _by_room(structures: Sequence[Spheres]) -> Iterator[tuple[int, list[int]]]:
    """Places of at most ``LANES`` structures that share a room."""
    sizes = np.array([len(s.fractional) for s in structures])
    for room, smaller in zip(ROOMS, (0, *ROOMS), strict=False):
        members = np.flatnonzero((sizes <= room) & (sizes > smaller)).tolist()
        for first in range(0, len(members), LANES):
            yield room, members[first : first + LANES]


def _lanes(structures: Sequence[Spheres], room: int) -> _Lanes:
    lattice = np.tile(np.eye(3), (LANES, 1, 1))
    start = np.zeros((LANES, room, 3), dtype=np.float32)
    diameters = np.zeros((LANES, room, room), dtype=np.float32)
    projector = np.zeros((LANES, 3 * room, 3 * room), dtype=np.float32)
    for lane, structure in enumerate(structures):
        n = len(structure.fractional)
        lattice[lane] = structure.lattice_ang
        start[lane, :n] = structure.fractional @ structure.lattice_ang
        diameters[lane, :n, :n] = structure.diameters_ang
        projector[lane, : 3 * n, : 3 * n] = structure.projector
    inverse = np.linalg.inv(lattice).astype(np.float32)
    return _Lanes(lattice.astype(np.float32), inverse, start, diameters, projector)


def _unpadded(structure: Spheres, moved: np.ndarray, ratio: float) -> Relaxed:
    n = len(structure.fractional)
    # once more in double precision: the symmetry is then kept to the last digits
    allowed = (structure.projector @ moved[:n].astype(np.float64).ravel()).reshape(n, 3)
    fractional = structure.fractional + allowed @ np.linalg.inv(structure.lattice_ang)
    return Relaxed(fractional=fractional % 1.0, smallest_ratio=ratio)


def _relax(lanes: _Lanes) -> tuple[jax.Array, jax.Array]:
    still = jnp.zeros_like(lanes.start)
    first = _State(
        moved=still,
        velocity=still,
        largest_force=jnp.float32(jnp.inf),
        step_size=jnp.float32(_STEP),
        mixing=jnp.float32(_MIXING),
        downhill=jnp.int32(0),
        steps=jnp.int32(0),
    )
    last = jax.lax.while_loop(_moving, partial(_fire, lanes), first)
    return last.moved, _smallest_ratio(lanes, last.moved)


_relax_all = jax.jit(jax.vmap(_relax))


def _moving(state: _State) -> jax.Array:
    return (state.steps < MOST_STEPS) & (state.largest_force > _SETTLED)


def _fire(lanes: _Lanes, state: _State) -> _State:
    """One step of FIRE, with the constants of the paper."""
    force = _force(lanes, state.moved)
    good = (force * state.velocity).sum() >= 0
    long_good = good & (state.downhill > _PATIENCE)
    longer = jnp.minimum(1.1 * state.step_size, _LONGEST_STEP)
    step = jnp.where(long_good, longer, jnp.where(good, 1.0, 0.5) * state.step_size)
    length, strength = jnp.sqrt((state.velocity**2).sum()), jnp.sqrt((force**2).sum())
    along = length / jnp.maximum(strength, 1e-10) * force
    turned = state.velocity + state.mixing * (along - state.velocity)
    velocity = jnp.where(good, turned, 0.0) + step * force
    less = jnp.where(long_good, 0.99, 1.0) * state.mixing
    return _State(
        moved=state.moved + step * velocity,
        velocity=velocity,
        largest_force=jnp.abs(force).max(),
        step_size=step,
        mixing=jnp.where(good, less, _MIXING),
        downhill=jnp.where(good, state.downhill + 1, 0),
        steps=state.steps + 1,
    )


def _force(lanes: _Lanes, moved: jax.Array) -> jax.Array:
    """−dE/dr times the mean σ²/2, so that a contact has stiffness about 1; projected."""
    nearest, shifts = _separations(lanes, moved)
    per_sigma = 1 / lanes.diameters  # infinite for absent atoms
    apart = ~jnp.eye(len(moved), dtype=bool)

    def pushes(shift: jax.Array) -> _Vectors:
        between = _shifted(nearest, shift)
        inverse = _inverse_length(between)
        push = jnp.where(inverse > per_sigma, (inverse - per_sigma) * per_sigma, 0.0)
        x, y, z = between
        return push * x, push * y, push * z

    def add(image: jax.Array, total: _Vectors) -> _Vectors:
        x, y, z = pushes(shifts[image])
        return total[0] + x, total[1] + y, total[2] + z

    still = jnp.zeros_like(lanes.diameters)
    away = jax.lax.fori_loop(0, len(_SHIFTS), add, (still, still, still))
    home = pushes(jnp.zeros_like(shifts[0]))
    # what j's image at +L does to i, i's image at −L suffers from j
    parts = [
        jnp.where(apart, h, 0.0).sum(1) + a.sum(1) - a.sum(0)
        for h, a in zip(home, away, strict=True)
    ]
    force = jnp.stack(parts, axis=1)
    pairs = jnp.maximum((lanes.diameters > 0).sum(dtype=jnp.float32), 1.0)
    scale = (lanes.diameters**2).sum() / pairs
    return scale * (lanes.projector @ force.ravel()).reshape(force.shape)


def _smallest_ratio(lanes: _Lanes, moved: jax.Array) -> jax.Array:
    nearest, shifts = _separations(lanes, moved)

    def closest(image: jax.Array, closest_yet: jax.Array) -> jax.Array:
        inverse = _inverse_length(_shifted(nearest, shifts[image]))
        return jnp.maximum(closest_yet, inverse)

    home = jnp.where(jnp.eye(len(moved), dtype=bool), 0.0, _inverse_length(nearest))
    inverse = jax.lax.fori_loop(0, len(_SHIFTS), closest, home)
    return 1 / (inverse * lanes.diameters).max()


def _separations(lanes: _Lanes, moved: jax.Array) -> tuple[_Vectors, jax.Array]:
    """Vectors from j's nearest image to i, (n, n), and shifts to half the others, (13, 3).

    The nearest first, so that one cell on either side is enough.
    """
    fractional = jnp.asarray((lanes.start + moved) @ lanes.inverse_lattice)
    a, b, c = (_nearest(fractional[:, axis]) for axis in range(3))
    x, y, z = (a * along[0] + b * along[1] + c * along[2] for along in lanes.lattice.T)
    return (x, y, z), jnp.asarray(_SHIFTS) @ lanes.lattice


def _nearest(coordinate: jax.Array) -> jax.Array:
    apart = coordinate[:, None] - coordinate[None]
    return apart - jnp.round(apart)


def _shifted(vectors: _Vectors, shift: jax.Array) -> _Vectors:
    x, y, z = vectors
    return x + shift[0], y + shift[1], z + shift[2]


def _inverse_length(vectors: _Vectors) -> jax.Array:
    x, y, z = vectors
    return jax.lax.rsqrt(jnp.maximum(x * x + y * y + z * z, 1e-6))


_SHIFTS = np.array(list(product((-1, 0, 1), repeat=3))[14:], dtype=np.float32)
