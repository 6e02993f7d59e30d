"""Cells and sites of random structures: of no symmetry, or of a space group through pyxtal.

A cell of no symmetry has angles of 60–120° and edges within a factor of 2.5, scaled to the
wanted volume. For a space group, pyxtal draws lattice and Wyckoff positions of the
conventional cell; the primitive cell of it is used, so that fewer atoms are computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Lattice

from alab.errors import AlabError
from planners.stability.formulas import FloatArray

if TYPE_CHECKING:
    from pyxtal.crystal import random_crystal
    from pyxtal.symmetry import Group

LOWEST_ANGLE_DEG, HIGHEST_ANGLE_DEG = 60.0, 120.0
LONGEST_EDGE_RATIO = 2.5
SMALLEST_SHARE_OF_CUBOID = 0.4
"""Of the volume that the edges would have at right angles; below, a cell is flat."""

_SAME_PLACE = 1e-3
"""Fractional difference of a site and its image, above what pyxtal rounds."""

_PRIMITIVE = {
    "P": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "A": ((1, 0, 0), (0, 1 / 2, -1 / 2), (0, 1 / 2, 1 / 2)),
    "C": ((1 / 2, 1 / 2, 0), (-1 / 2, 1 / 2, 0), (0, 0, 1)),
    "I": ((-1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (1 / 2, 1 / 2, -1 / 2)),
    "F": ((0, 1 / 2, 1 / 2), (1 / 2, 0, 1 / 2), (1 / 2, 1 / 2, 0)),
    "R": ((2 / 3, 1 / 3, 1 / 3), (-1 / 3, 1 / 3, 1 / 3), (-1 / 3, -2 / 3, 1 / 3)),
}
"""Primitive vectors by centring, International Tables A, settings of 3.1.2.2."""


class MissingPyxtalError(AlabError):
    """Random structures of a space group were asked for without pyxtal."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cell:
    """A cell with its sites.

    Attributes:
        lattice_ang: Rows are the lattice vectors, shape (3, 3).
        elements: Symbol of each site.
        fractional: Shape (n, 3).
        projector: Onto Cartesian displacements that keep the symmetry, shape (3n, 3n).
    """

    lattice_ang: FloatArray
    elements: tuple[str, ...]
    fractional: FloatArray
    projector: FloatArray


def plain_cell(
    atoms: Sequence[tuple[str, int]], volume_ang3: float, random: np.random.Generator
) -> Cell:
    """A cell without symmetry, sites anywhere."""
    elements = tuple(symbol for symbol, n in atoms for _ in range(n))
    return Cell(
        lattice_ang=_reduced(_plain_lattice_ang(volume_ang3, random)),
        elements=elements,
        fractional=random.random((len(elements), 3)),
        projector=np.eye(3 * len(elements)),
    )


def symmetric_cell(
    atoms: Sequence[tuple[str, int]],
    space_group: int,
    volume_ang3: float,
    random: np.random.Generator,
) -> Cell | None:
    """A primitive cell of a space group, None where pyxtal finds no sites.

    Args:
        atoms: Elements and their number in the primitive cell.
        space_group: Number in the International Tables.
        volume_ang3: Of the primitive cell.
        random: Where all chance comes from.
    """
    drawn = _drawn(atoms, space_group, volume_ang3, random)
    if drawn is None or not drawn.valid:
        return None
    sites = [site for site in drawn.atom_sites for _ in range(site.wp.multiplicity)]
    places = np.concatenate([site.coords for site in drawn.atom_sites])
    conventional = np.asarray(drawn.lattice.get_matrix(), dtype=np.float64)
    primitive = _reduced(np.array(_PRIMITIVE[drawn.group.symbol[0]]) @ conventional)
    basis = primitive @ np.linalg.inv(conventional)
    fractional = places @ np.linalg.inv(basis) % 1.0
    elements = tuple(site.specie for site in sites)
    kept = _one_of_each(fractional)
    if len(kept) != sum(n for _, n in atoms):
        return None  # two orbits in one place
    rotations, shifts = _operations(space_group)
    return Cell(
        lattice_ang=primitive,
        elements=tuple(elements[i] for i in kept),
        fractional=fractional[kept],
        projector=_projector(primitive, basis, fractional[kept], rotations, shifts),
    )


@lru_cache(maxsize=4096)
def possible_space_groups(counts: tuple[int, ...]) -> tuple[int, ...]:
    """Space groups above P1 that can hold these numbers of atoms in a primitive cell.

    Raises:
        MissingPyxtalError: If pyxtal is not installed.
    """
    found = []
    for number in range(2, 231):
        group = _group(number)
        conventional = [n * group.cellsize() for n in counts]
        if group.check_compatible(conventional)[0]:
            found.append(number)
    return tuple(found)


def _plain_lattice_ang(volume_ang3: float, random: np.random.Generator) -> FloatArray:
    while True:
        edges = random.uniform(1.0, LONGEST_EDGE_RATIO, 3)
        cosines = np.cos(np.radians(random.uniform(LOWEST_ANGLE_DEG, HIGHEST_ANGLE_DEG, 3)))
        metric = np.eye(3)
        metric[[1, 0, 0], [2, 2, 1]] = metric[[2, 2, 1], [1, 0, 0]] = cosines
        squared = float(np.linalg.det(metric))
        if squared > SMALLEST_SHARE_OF_CUBOID**2:
            break
    lattice = edges[:, None] * np.linalg.cholesky(metric)
    return lattice * (volume_ang3 / abs(np.linalg.det(lattice))) ** (1 / 3)


def _reduced(lattice_ang: FloatArray) -> FloatArray:
    """Short vectors of the same lattice (Lenstra, Lenstra and Lovász)."""
    return np.array(Lattice(lattice_ang).get_lll_reduced_lattice().matrix)


def _drawn(
    atoms: Sequence[tuple[str, int]],
    space_group: int,
    volume_ang3: float,
    random: np.random.Generator,
) -> "random_crystal | None":
    from pyxtal.crystal import random_crystal
    from pyxtal.lattice import Lattice as Drawn
    from pyxtal.msg import VolumeError

    group = _group(space_group)
    cells = group.cellsize()
    try:
        lattice = Drawn(group.lattice_type, volume_ang3 * cells, random_state=random)
        return random_crystal(
            group=group,
            species=[symbol for symbol, _ in atoms],
            numIons=[n * cells for _, n in atoms],
            lattice=lattice,
            tm=_tolerance(),
            random_state=random,
        )
    except VolumeError:
        return None


@lru_cache(maxsize=230)
def _group(number: int) -> "Group":
    try:
        from pyxtal.symmetry import Group
    except ImportError as error:
        raise MissingPyxtalError(
            f"random structures of space group {number} need pyxtal: "
            'pip install "alab[discovery]", or ask for a symmetric share of 0'
        ) from error
    return Group(number)


@lru_cache(maxsize=1)
def _tolerance():  # noqa: ANN202 - pyxtal may be absent
    """Half of pyxtal's own: spheres that start too near are pushed apart afterwards."""
    from pyxtal.tolerance import Tol_matrix

    return Tol_matrix(prototype="atomic", factor=0.5)


@lru_cache(maxsize=230)
def _operations(number: int) -> tuple[FloatArray, FloatArray]:
    """Rotations and shifts of the conventional cell, one for each rotation."""
    found: dict[bytes, tuple[FloatArray, FloatArray]] = {}
    for operation in _group(number)[0].ops:
        rotation = np.asarray(operation.rotation_matrix, dtype=np.float64)
        key = np.rint(rotation).astype(np.int8).tobytes()
        found.setdefault(key, (rotation, np.asarray(operation.translation_vector)))
    rotations, shifts = zip(*found.values(), strict=True)
    return np.array(rotations), np.array(shifts)


def _one_of_each(fractional: FloatArray) -> list[int]:
    """The first of the sites that are one place in the primitive cell."""
    same = _together(fractional, fractional)
    return np.flatnonzero(same.argmax(axis=1) == np.arange(len(same))).tolist()


def _together(first: FloatArray, second: FloatArray) -> np.ndarray:
    apart = first[:, None] - second[None]
    return (np.abs(apart - np.rint(apart)) < _SAME_PLACE).all(axis=2)


def _projector(
    lattice_ang: FloatArray,
    basis: FloatArray,
    fractional: FloatArray,
    rotations: FloatArray,
    shifts: FloatArray,
) -> FloatArray:
    """Mean over the group of what each operation makes of the atoms' displacements."""
    n = len(fractional)
    total = np.zeros((n, 3, n, 3))
    back, sites = np.linalg.inv(basis), np.arange(n)
    for rotation, shift in zip(rotations, shifts, strict=True):
        turned = basis @ rotation.T @ back
        images = fractional @ turned + shift @ back
        goes_to = _together(images, fractional).argmax(axis=1)
        cartesian = np.linalg.inv(lattice_ang) @ turned @ lattice_ang
        total[goes_to, :, sites, :] += cartesian.T
    return total.reshape(3 * n, 3 * n) / len(rotations)
