"""Cells and sites of random structures: of no symmetry, or of a space group through pyxtal.

A cell of no symmetry has angles of 60–120° and edges within a factor of 2.5, scaled to the
wanted volume. For a space group, pyxtal draws the lattice and says which Wyckoff positions
there are; any that add up are as likely. (Its own ``random_crystal`` takes several times
longer.) The primitive cell is used, so that fewer atoms are computed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Lattice

from alab.errors import AlabError
from planners.stability.formulas import FloatArray

if TYPE_CHECKING:
    from pyxtal.symmetry import Group

LOWEST_ANGLE_DEG, HIGHEST_ANGLE_DEG = 60.0, 120.0
LONGEST_EDGE_RATIO = 2.5
SMALLEST_SHARE_OF_CUBOID = 0.4
"""Of the volume that the edges would have at right angles; below, a cell is flat."""

PLACEMENTS = 20
"""Choices of Wyckoff positions for one lattice."""
PARTED = 0.5
"""Of a separation; what starts nearer on symmetric sites is seldom parted."""

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
    separations_ang: Mapping[tuple[str, str], float],
    random: np.random.Generator,
) -> Cell | None:
    """A primitive cell of a space group, None where no sites are found.

    Args:
        atoms: Elements and their number in the primitive cell.
        space_group: Number in the International Tables.
        volume_ang3: Of the primitive cell.
        separations_ang: Of each pair of elements; sites nearer than ``PARTED`` times it
            are chosen again.
        random: Where all chance comes from.
    """
    conventional = _lattice_ang(space_group, volume_ang3, random)
    if conventional is None:
        return None
    group = _group(space_group)
    primitive = _reduced(np.array(_PRIMITIVE[str(group.symbol)[0]]) @ conventional)
    basis = primitive @ np.linalg.inv(conventional)
    for _ in range(PLACEMENTS):
        placed = _sites(atoms, space_group, random)
        if placed is None:
            continue
        elements, places = placed
        fractional = places @ np.linalg.inv(basis) % 1.0
        kept = _one_of_each(fractional)
        if len(kept) != sum(n for _, n in atoms):
            continue  # two orbits in one place
        elements, fractional = tuple(elements[i] for i in kept), fractional[kept]
        if _parted(primitive, elements, fractional, separations_ang):
            projector = _projector(primitive, basis, fractional, *_operations(space_group))
            return Cell(
                lattice_ang=primitive,
                elements=elements,
                fractional=fractional,
                projector=projector,
            )
    return None


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


def _lattice_ang(
    space_group: int, volume_ang3: float, random: np.random.Generator
) -> FloatArray | None:
    """A conventional lattice of the crystal system, None where pyxtal finds none."""
    group = _group(space_group)
    from pyxtal.lattice import Lattice as Drawn
    from pyxtal.msg import VolumeError

    volume = volume_ang3 * group.cellsize()
    try:
        drawn = Drawn(group.lattice_type, volume, random_state=random)
    except VolumeError:
        return None
    return np.asarray(drawn.get_matrix(), dtype=np.float64)


def _sites(
    atoms: Sequence[tuple[str, int]], space_group: int, random: np.random.Generator
) -> tuple[list[str], FloatArray] | None:
    """Wyckoff positions that add up to the atoms, each as likely, with random parameters.

    None where a choice leads nowhere.
    """
    positions, cells = _positions(space_group), _group(space_group).cellsize()
    taken: set[int] = set()
    elements: list[str] = []
    places: list[FloatArray] = []
    for symbol, n in atoms:
        left = n * cells
        while left:
            fitting = [i for i, p in enumerate(positions) if p.sites <= left and i not in taken]
            if not fitting:
                return None
            chosen = int(random.choice(fitting))
            position = positions[chosen]
            if position.fixed:
                taken.add(chosen)
            places.append(position.rotations @ random.random(3) + position.shifts)
            elements += [symbol] * position.sites
            left -= position.sites
    return elements, np.concatenate(places)


def _parted(
    lattice_ang: FloatArray,
    elements: Sequence[str],
    fractional: FloatArray,
    separations_ang: Mapping[tuple[str, str], float],
) -> bool:
    """Whether all atoms are as far apart as soft spheres need to part them."""
    between = fractional[:, None] - fractional[None]
    between -= np.rint(between)
    images = np.array(list(product((-1, 0, 1), repeat=3)))
    vectors = (between[None] + images[:, None, None]) @ lattice_ang
    distances = np.sqrt((vectors**2).sum(-1))
    distances[len(images) // 2] += np.diag(np.full(len(elements), np.inf))
    wanted = np.array([[separations_ang[a, b] for b in elements] for a in elements])
    return bool((distances.min(axis=0) >= PARTED * wanted).all())


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Position:
    """A Wyckoff position: its sites are ``rotations @ (x, y, z) + shifts``."""

    sites: int
    fixed: bool
    rotations: FloatArray
    shifts: FloatArray


@lru_cache(maxsize=230)
def _positions(number: int) -> tuple[_Position, ...]:
    return tuple(
        _Position(
            sites=len(wyckoff.ops),
            fixed=not int(wyckoff.get_dof()),
            rotations=np.array([operation.rotation_matrix for operation in wyckoff.ops]),
            shifts=np.array([operation.translation_vector for operation in wyckoff.ops]),
        )
        for wyckoff in _group(number).Wyckoff_positions
    )


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
    return np.asarray((np.abs(apart - np.rint(apart)) < _SAME_PLACE).all(axis=2))


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
