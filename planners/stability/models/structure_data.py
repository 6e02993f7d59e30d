"""Crystals with formation energies to learn from, parted by composition."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alab.errors import BadInput
from planners.stability.crystals import formula_of
from planners.stability.models.graphs import Graph, graph_of
from planners.stability.references.entries import Entry
from planners.stability.split import HELD_BACK_BUCKETS, TRAIN_BUCKETS, bucket_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Crystals as graphs, and their energies.

    Attributes:
        graphs: One for each crystal.
        energies_ev_per_atom: Formation energies, shape (n,).
        buckets: Of their compositions, shape (n,); see ``split``.
    """

    graphs: tuple[Graph, ...]
    energies_ev_per_atom: NDArray[np.float64]
    buckets: NDArray[np.int64]

    def between(self, first: int, end: int) -> "Examples":
        """Those whose composition falls into buckets ``first`` to ``end - 1``."""
        rows = np.flatnonzero((self.buckets >= first) & (self.buckets < end))
        return Examples(
            graphs=tuple(self.graphs[i] for i in rows),
            energies_ev_per_atom=self.energies_ev_per_atom[rows],
            buckets=self.buckets[rows],
        )

    @property
    def learnt(self) -> "Examples":
        """What networks learn from."""
        return self.between(0, TRAIN_BUCKETS - HELD_BACK_BUCKETS)

    @property
    def held_back(self) -> "Examples":
        """What calibrates an ensemble and decides how it is trained."""
        return self.between(TRAIN_BUCKETS - HELD_BACK_BUCKETS, TRAIN_BUCKETS)

    @property
    def judging(self) -> "Examples":
        """What no choice may look at."""
        return self.between(TRAIN_BUCKETS, 100)


def examples_of(entries: Sequence[Entry], cutoff_ang: float) -> Examples:
    """Build the graphs of entries; those without a structure are left out.

    Raises:
        BadInput: If none has a structure.
        CrystalError: If two atoms of one overlap, or an element is beyond the table.
    """
    known = [(e, e.crystal) for e in entries if e.crystal is not None]
    if not known:
        raise BadInput(
            f"none of {len(entries)} entries has a structure; import a folder or JSON lines "
            "with structures"
        )
    return Examples(
        graphs=tuple(graph_of(crystal, cutoff_ang) for _, crystal in known),
        energies_ev_per_atom=np.array([e.formation_energy_ev_per_atom for e, _ in known]),
        buckets=np.array([bucket_of(formula_of(crystal.elements)) for _, crystal in known]),
    )
