"""Families {hkl} of a crystal: one representative each, how many members, where they lie."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import gemmi
import numpy as np
from numpy.typing import NDArray

from alab.errors import BadInput
from analysis.diffraction.arrays import Array
from analysis.diffraction.crystal import Crystal

EQUIVALENTS = 24
"""Members of a family {hkl} kept for each line. Up to sign a family has 1, 2, 3, 4, 6, 8, 12
or 24 of them, all of which divide 24."""

_SPANS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
_MOST_INDICES = 20_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Families:
    """The families of one crystal within a range of angles, by rising 1/d².

    Attributes:
        crystal: The structure.
        hkl: Of each family the member that is last in dictionary order, shape (n, 3).
        inverse_d2: 1/d² in Å⁻², shape (n,).
        multiplicity: Members, opposite ones counted both, shape (n,).
    """

    crystal: Crystal
    hkl: NDArray[np.int16]
    inverse_d2: Array
    multiplicity: NDArray[np.int16]


class _Box(NamedTuple):
    """All families with a member in a box of indices, for one Laue class."""

    hkl: NDArray[np.int16]
    monomials: Array
    multiplicity: NDArray[np.int16]


def families_of(
    crystal: Crystal,
    *,
    wavelength_ang: float,
    max_two_theta_deg: float,
    min_two_theta_deg: float = 0.0,
) -> Families:
    """Families that reflect between two angles, absent ones included.

    Raises:
        BadInput: If the range is none, or there are too many reflections to count.
    """
    if not 0 <= min_two_theta_deg < max_two_theta_deg < 180:
        raise BadInput(
            f"no range of angles from {min_two_theta_deg:g}° to {max_two_theta_deg:g}° 2θ; "
            "give two between 0° and 180°"
        )
    low, high = (
        (2 * np.sin(np.radians(angle / 2)) / wavelength_ang) ** 2
        for angle in (min_two_theta_deg, max_two_theta_deg)
    )
    reciprocal = reciprocal_metric(crystal)
    spans = np.floor(np.sqrt(np.diag(np.linalg.inv(reciprocal)) * high))
    box = _box(laue_rotations(crystal).tobytes(), _spans(crystal, spans))
    inverse_d2 = box.monomials @ coefficients(reciprocal)
    inside = np.flatnonzero((inverse_d2 <= high) & (inverse_d2 >= max(low, 1e-9)))
    index = inside[np.argsort(inverse_d2[inside], kind="stable")]
    return Families(
        crystal=crystal,
        hkl=box.hkl[index],
        inverse_d2=inverse_d2[index],
        multiplicity=box.multiplicity[index],
    )


def reciprocal_metric(crystal: Crystal) -> Array:
    """Metric tensor G* of the reciprocal cell in Å⁻², so that 1/d² = hᵀ G* h."""
    fractional = np.array(gemmi.UnitCell(*crystal.cell).frac.mat.tolist())
    return fractional @ fractional.T


def monomials(hkl: NDArray) -> Array:
    """h², k², l², hk, hl, kl of each row, shape (n, 6)."""
    h, k, l = hkl.astype(float).T  # noqa: E741 - its name
    return np.stack([h * h, k * k, l * l, h * k, h * l, k * l], axis=1)


def coefficients(tensors: Array) -> Array:
    """Factors of the monomials in hᵀ T h, for symmetric tensors of shape (…, 3, 3)."""
    rows, columns = [0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]
    return tensors[..., rows, columns] * np.array([1.0, 1, 1, 2, 2, 2])


def laue_rotations(crystal: Crystal) -> NDArray[np.int64]:
    """Rotations of the Laue class, of R and −R only one, shape (m, 3, 3)."""
    return _laue(np.ascontiguousarray(crystal.rotations, dtype=float).tobytes())


@lru_cache(maxsize=512)
def _laue(kept: bytes) -> NDArray[np.int64]:
    rotations = np.round(np.frombuffer(kept)).astype(np.int64).reshape(-1, 9)
    firsts = rotations[np.arange(len(rotations)), np.argmax(rotations != 0, axis=1)]
    return np.unique(rotations * np.sign(firsts)[:, None], axis=0).reshape(-1, 3, 3)


def equivalents(crystal: Crystal, hkl: Array) -> NDArray[np.int16]:
    """Images of each hkl under the Laue class, up to sign, shape (n, EQUIVALENTS, 3)."""
    rotations = laue_rotations(crystal)
    side_by_side = rotations.transpose(1, 0, 2).reshape(3, -1).astype(float)
    repeated = np.tile(hkl @ side_by_side, (1, EQUIVALENTS // len(rotations)))
    return np.round(repeated).astype(np.int16).reshape(len(hkl), EQUIVALENTS, 3)


def _spans(crystal: Crystal, spans: Array) -> tuple[int, ...]:
    """The next larger of few spans along each axis, so that boxes are shared."""
    sizes = tuple(next((n for n in _SPANS if n >= span), 0) for span in spans)
    if 0 in sizes or np.prod([2 * size + 1 for size in sizes]) > _MOST_INDICES:
        raise BadInput(
            f"{crystal.stem}: indices up to {spans.astype(int).tolist()} in this range are "
            f"more than {_MOST_INDICES:,} reflections; check the cell "
            f"{np.round(crystal.cell, 3).tolist()}, or lower the highest angle"
        )
    return sizes


@lru_cache(maxsize=128)
def _box(laue: bytes, spans: tuple[int, ...]) -> _Box:
    rotations = np.frombuffer(laue, dtype=np.int64).reshape(-1, 3, 3)
    ranges = [np.arange(0 if axis == 0 else -n, n + 1) for axis, n in enumerate(spans)]
    grids = np.meshgrid(*ranges, indexing="ij")
    hkl = np.stack([grid.ravel() for grid in grids], axis=1)
    base = 8 * sum(spans) + 1  # more than twice any index of any image
    scale = np.array([base**2, base, 1])
    keys = hkl @ scale
    hkl, keys = hkl[keys > 0], keys[keys > 0]
    unmoved = np.zeros(len(hkl), dtype=int)
    for rotation in rotations:  # those that lose against an image are no representatives
        images = np.abs((hkl @ rotation) @ scale)
        last = images <= keys
        unmoved = unmoved[last] + (images[last] == keys[last])
        hkl, keys = hkl[last], keys[last]
    return _Box(
        hkl=hkl.astype(np.int16),
        monomials=monomials(hkl),
        multiplicity=(2 * len(rotations) // unmoved).astype(np.int16),
    )
