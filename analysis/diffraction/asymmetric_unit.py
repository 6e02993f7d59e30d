"""The symmetry of a crystal as a CIF wants it: operations, and one atom of each orbit.

A crystal holds every atom of its cell and the rotations of its space group. The translations
that belong to those rotations are found by spglib on the cell itself.
"""

from collections.abc import Sequence

import gemmi
import numpy as np
import spglib
import spglib.error
from numpy.typing import NDArray

from analysis.diffraction.arrays import Array
from analysis.diffraction.crystal import Crystal
from analysis.diffraction.result import Site

_SYMPREC_ANG = 0.01
_TOGETHER_ANG = 0.05
_OFF_GRID = 0.01


def asymmetric_unit(
    crystal: Crystal, extra_b_ang2: float = 0.0
) -> tuple[tuple[str, ...], tuple[Site, ...]]:
    """Symmetry operations and the independent atoms.

    Where the operations cannot be written in twenty-fourths of the cell (a foreign origin),
    the whole cell is given, with the identity alone.

    Args:
        crystal: What to describe.
        extra_b_ang2: Added to each displacement factor, refined for the whole phase.

    Returns:
        Operations as ``x,y,z``, the identity first; and the sites.
    """
    place_of = _places(crystal)
    first = [place_of.index(i) for i in range(max(place_of) + 1)]
    positions = crystal.positions[first] % 1.0
    operations = _operations(crystal, positions, place_of)
    orbit = _orbits(crystal, positions, operations)
    if orbit is None:
        operations, orbit = [gemmi.Op()], list(range(len(positions)))
    counts: dict[str, int] = {}
    sites: list[Site] = []
    for i, place in enumerate(place_of):
        if orbit[place] != place:
            continue
        element = crystal.elements[i]
        counts[element] = counts.get(element, 0) + 1
        x, y, z = (float(round(v, 6)) % 1.0 for v in positions[place])
        sites.append(
            Site(
                label=f"{element}{counts[element]}",
                element=element,
                position=(x, y, z),
                multiplicity=orbit.count(place),
                occupancy=float(round(crystal.occupancies[i], 6)),
                b_iso_ang2=float(round(crystal.b_iso_ang2[i] + extra_b_ang2, 4)),
            )
        )
    return tuple(op.triplet() for op in operations), tuple(sites)


def group_name(operations: Sequence[str]) -> tuple[str, int] | None:
    """Symbol in this setting and number of the group of some operations, if it is known."""
    group = gemmi.find_spacegroup_by_ops(gemmi.GroupOps([gemmi.Op(op) for op in operations]))
    return None if group is None else (group.xhm(), group.number)


def _places(crystal: Crystal) -> list[int]:
    """Number of the place of each atom; atoms that share one by occupancy have the same."""
    cartesian = np.array(gemmi.UnitCell(*crystal.cell).orth.mat.tolist())
    seen: list[Array] = []
    numbers: list[int] = []
    for position in crystal.positions:
        away = np.array(seen).reshape(-1, 3) - position
        distance = np.linalg.norm((away - np.round(away)) @ cartesian.T, axis=1)
        near = np.flatnonzero(distance < _TOGETHER_ANG)
        numbers.append(int(near[0]) if len(near) else len(seen))
        if not len(near):
            seen.append(position)
    return numbers


def _operations(crystal: Crystal, positions: Array, place_of: Sequence[int]) -> list[gemmi.Op]:
    """Operations of the cell whose rotations the crystal has; the identity if none is found."""
    content: list[tuple[tuple[str, float, float], ...]] = [()] * len(positions)
    for i, place in enumerate(place_of):
        atom = (
            crystal.elements[i],
            round(float(crystal.occupancies[i]), 4),
            round(float(crystal.b_iso_ang2[i]), 4),
        )
        content[place] = tuple(sorted((*content[place], atom)))
    kinds = list(dict.fromkeys(content))
    lattice = np.array(gemmi.UnitCell(*crystal.cell).orth.mat.tolist()).T
    cell = (lattice.tolist(), positions.tolist(), [kinds.index(one) for one in content])
    try:
        dataset = spglib.get_symmetry_dataset(cell, symprec=_SYMPREC_ANG)
    except spglib.error.SpglibError:
        dataset = None
    if dataset is None:
        return [gemmi.Op()]
    allowed = {np.rint(rotation).astype(int).tobytes() for rotation in crystal.rotations}
    found: list[gemmi.Op] = []
    for rotation, translation in zip(dataset.rotations, dataset.translations, strict=True):
        if np.rint(rotation).astype(int).tobytes() not in allowed:
            continue
        shift = np.asarray(translation) * gemmi.Op.DEN
        if np.max(np.abs(shift - np.rint(shift))) > _OFF_GRID * gemmi.Op.DEN:
            return [gemmi.Op()]
        op = gemmi.Op()
        op.rot = (np.rint(rotation).astype(int) * gemmi.Op.DEN).tolist()
        op.tran = (np.rint(shift).astype(int) % gemmi.Op.DEN).tolist()
        found.append(op)
    return sorted(found, key=lambda op: (op != gemmi.Op(), op.tran, op.triplet()))


def _orbits(
    crystal: Crystal, positions: Array, operations: Sequence[gemmi.Op]
) -> list[int] | None:
    """First place of the orbit of each place; None if an operation leads to no place."""
    cartesian = np.array(gemmi.UnitCell(*crystal.cell).orth.mat.tolist())
    orbit: NDArray[np.intp] = np.arange(len(positions))
    for op in operations:
        rotation = np.array(op.rot) / gemmi.Op.DEN
        moved = positions @ rotation.T + np.array(op.tran) / gemmi.Op.DEN
        away = moved[:, None] - positions[None]
        distance = np.linalg.norm((away - np.round(away)) @ cartesian.T, axis=2)
        image = np.argmin(distance, axis=1)
        if np.any(distance[np.arange(len(positions)), image] > _TOGETHER_ANG):
            return None
        orbit[image] = np.minimum(orbit[image], orbit)
    # The operations form a group, so that one pass from the first place reaches its orbit.
    return [int(orbit[place]) for place in orbit]
