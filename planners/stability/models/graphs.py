"""A crystal as a graph: atoms are nodes, pairs within a cut-off are edges.

Edges are directed, both ways, and sorted by receiver. Neighbours come from pymatgen's compiled
search, called on bare arrays: building its ``Structure`` first takes longer than the search.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element
from pymatgen.optimization.neighbors import find_points_in_spheres

from planners.stability.crystals import NEIGHBOUR_ANG, OVERLAP_ANG, Crystal, CrystalError

SPECIES = 100
"""Rows of the element tables: atomic numbers 0 (padding) to 99."""

_PERIODIC = np.ones(3, dtype=np.int64)
_NUMBERS = {Element.from_Z(z).symbol: z for z in range(1, SPECIES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Atoms of one cell and the pairs within a cut-off.

    Attributes:
        species: Atomic numbers, shape (n,), int32.
        senders: Index of each neighbour, shape (e,), int32.
        receivers: Index of the atom that it is a neighbour of, shape (e,), int32, ascending.
        displacements_ang: From receiver to sender, shape (e, 3), float32, in Å.
    """

    species: NDArray[np.int32]
    senders: NDArray[np.int32]
    receivers: NDArray[np.int32]
    displacements_ang: NDArray[np.float32]


def graph_of(crystal: Crystal, cutoff_ang: float = NEIGHBOUR_ANG) -> Graph:
    """Build the graph of a crystal. An atom may be left without neighbours.

    Raises:
        CrystalError: If two atoms overlap, or an element is beyond the table.
    """
    lattice = np.array(crystal.lattice_ang)
    fractional = np.array(crystal.fractional) % 1.0
    positions = fractional @ lattice
    receivers, senders, images, distances = find_points_in_spheres(
        positions, positions, r=cutoff_ang, pbc=_PERIODIC, lattice=lattice, tol=1e-8
    )
    pairs = (receivers != senders) | images.any(axis=1)  # an atom is within its own reach
    if (lengths := distances[pairs]).size and lengths.min() < OVERLAP_ANG:
        raise CrystalError(
            f"two atoms of {_named(crystal)} are {lengths.min():.2f} Å apart, closer than "
            f"{OVERLAP_ANG} Å; remove the site that is written twice"
        )
    receivers, senders, images = receivers[pairs], senders[pairs], images[pairs]
    order = np.argsort(receivers, kind="stable")
    receivers, senders, images = receivers[order], senders[order], images[order]
    vectors = positions[senders] + images @ lattice - positions[receivers]
    return Graph(
        species=species_of(crystal.elements),
        senders=senders.astype(np.int32),
        receivers=receivers.astype(np.int32),
        displacements_ang=vectors.astype(np.float32),
    )


def species_of(elements: Sequence[str]) -> NDArray[np.int32]:
    """Atomic numbers of element symbols, shape (n,).

    Raises:
        CrystalError: If one is no element, or is beyond the table.
    """
    try:
        return np.array([_NUMBERS[symbol] for symbol in elements], dtype=np.int32)
    except KeyError as error:
        raise CrystalError(
            f"the models know no element {error.args[0]}; they hold H to Es (Z = 1 to "
            f"{SPECIES - 1}), written without charges"
        ) from None


def _named(crystal: Crystal) -> str:
    return "".join(sorted(set(crystal.elements)))
