"""A crystal in few numbers, for models that learn from hundreds of energies.

Averages over its atoms and over its pairs: tabulated properties of the elements, and the
distances of pairs over the sum of their radii, plain and weighted by how two elements differ.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element

from planners.stability.crystals import Crystal
from planners.stability.models.graphs import graph_of, species_of
from planners.stability.models.species import properties_of_species

FloatArray = NDArray[np.float64]

_REACH_ANG = 5.0
_CENTRES = np.linspace(0.6, 1.8, 9)
"""Distances over the sum of two atomic radii; bonds are at about 1."""
_WIDTH = 0.12
_CONTINUOUS = 7
"""Columns of the elements' table that are no marks of a block."""
_NEGATIVITY, _RADIUS = 2, 3


def describe(crystal: Crystal) -> FloatArray:
    """Averages over atoms and pairs, the same for every cell of a crystal, shape (f,).

    Raises:
        CrystalError: If two atoms overlap, or an element is beyond the table.
    """
    graph = graph_of(crystal, _REACH_ANG)
    own = _properties()[graph.species]
    first, second = own[graph.receivers], own[graph.senders]
    radii = _radii_ang()[graph.species]
    apart_ang = np.linalg.norm(graph.displacements_ang.astype(np.float64), axis=1)
    ratio = apart_ang / (radii[graph.receivers] + radii[graph.senders])
    near = np.exp(-0.5 * ((ratio[:, None] - _CENTRES) / _WIDTH) ** 2)
    telling = [1, _NEGATIVITY, _RADIUS]  # group, electronegativity, radius
    weights = np.column_stack(
        (
            np.ones(len(ratio)),
            np.abs(first - second)[:, telling],
            (first * second)[:, telling[:2]],
        )
    )
    shells = near.T @ weights / len(own)
    return np.concatenate((own.mean(axis=0), own.std(axis=0), shells.ravel()))


def contrasts(crystal: Crystal) -> FloatArray:
    """Mean squared and mean absolute difference of two atoms' properties, shape (c,).

    0 for an element, whatever its structure.
    """
    own = _properties()[species_of(crystal.elements)]
    apart = own[:, None] - own[None]
    return np.append((apart**2).mean(axis=(0, 1)), np.abs(apart).mean(axis=(0, 1)))


@cache
def _properties() -> FloatArray:
    return properties_of_species().astype(np.float64)[:, :_CONTINUOUS]


@cache
def _radii_ang() -> FloatArray:
    """Atomic radius by atomic number, 1.5 Å where pymatgen has none."""
    radii = [Element.from_Z(z).atomic_radius for z in range(1, 100)]
    return np.array([1.5, *(float(r) if r else 1.5 for r in radii)])
