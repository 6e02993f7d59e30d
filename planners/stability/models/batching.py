"""Many graphs in one padded batch, so that a compiled function sees few shapes.

Graphs are laid end to end until a fixed budget of atoms, pairs or crystals is full; the rest
is one padding graph, as jraph's ``pad_with_graphs`` does it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax.tree_util
import jraph
import numpy as np
from numpy.typing import NDArray

from alab.errors import BadInput
from planners.stability.models.graphs import Graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Room of one batch. One atom and one graph of it are for padding."""

    nodes: int
    edges: int
    graphs: int

    def holds(self, nodes: int, edges: int, graphs: int) -> bool:
        """Whether that much fits, the padding atom and graph not counted."""
        return nodes < self.nodes and edges <= self.edges and graphs < self.graphs


def packed(order: Sequence[int], graphs: Sequence[Graph], budget: Budget) -> list[list[int]]:
    """Share graphs out to batches, in their order.

    Raises:
        BadInput: If one graph alone is over the budget.
    """
    batches: list[list[int]] = []
    nodes = edges = 0
    for index in order:
        n, e = len(graphs[index].species), len(graphs[index].senders)
        if not budget.holds(n, e, 1):
            raise BadInput(
                f"a crystal of {n} atoms and {e} pairs is over the batch's room of "
                f"{budget.nodes - 1} atoms and {budget.edges} pairs; give a larger Budget"
            )
        if not batches or not budget.holds(nodes + n, edges + e, len(batches[-1]) + 1):
            batches.append([])
            nodes = edges = 0
        batches[-1].append(index)
        nodes, edges = nodes + n, edges + e
    return batches


def batch(graphs: Sequence[Graph], budget: Budget) -> jraph.GraphsTuple:
    """Lay graphs end to end and pad them to the budget.

    Returns:
        ``nodes`` atomic numbers (nodes,), ``edges`` displacements in Å (edges, 3), ``senders``
        and ``receivers`` ascending (edges,), ``n_node`` and ``n_edge`` (graphs,). Padding
        atoms have species 0 and belong to the first graph after the real ones.
    """
    n_node = np.array([len(g.species) for g in graphs], dtype=np.int32)
    n_edge = np.array([len(g.senders) for g in graphs], dtype=np.int32)
    nodes, edges = int(n_node.sum()), int(n_edge.sum())
    if not budget.holds(nodes, edges, len(graphs)):
        raise BadInput(
            f"{len(graphs)} crystals of {nodes} atoms and {edges} pairs are over the batch's "
            f"room ({budget}); share them out with packed()"
        )
    first = np.repeat(np.cumsum(n_node) - n_node, n_edge).astype(np.int32)
    spare = budget.graphs - len(graphs) - 1
    return jraph.GraphsTuple(
        nodes=_filled([g.species for g in graphs], (budget.nodes,), 0, np.int32),
        edges=_filled([g.displacements_ang for g in graphs], (budget.edges, 3), 0, np.float32),
        senders=_shifted([g.senders for g in graphs], first, budget.edges, nodes),
        receivers=_shifted([g.receivers for g in graphs], first, budget.edges, nodes),
        globals=None,
        n_node=np.r_[n_node, budget.nodes - nodes, np.zeros(spare)].astype(np.int32),
        n_edge=np.r_[n_edge, budget.edges - edges, np.zeros(spare)].astype(np.int32),
    )


def batches(
    graphs: Sequence[Graph], budgets: Sequence[Budget]
) -> Iterator[tuple[list[int], jraph.GraphsTuple]]:
    """Batch all graphs, each in the smallest budget that holds it.

    Crystals of like size share a batch, so that little is padding.

    Args:
        graphs: Any number.
        budgets: Smallest first.

    Yields:
        Indices into ``graphs``, and their batch.

    Raises:
        BadInput: If a graph is over the largest budget.
    """
    shares: list[list[int]] = [[] for _ in budgets]
    for index in sorted(range(len(graphs)), key=lambda i: len(graphs[i].senders)):
        graph = graphs[index]
        fits = [b.holds(len(graph.species), len(graph.senders), 1) for b in budgets]
        shares[fits.index(True) if any(fits) else -1].append(index)
    for budget, share in zip(budgets, shares, strict=True):
        for chosen in packed(share, graphs, budget):
            yield chosen, batch([graphs[i] for i in chosen], budget)


def stacked(items: Sequence[jraph.GraphsTuple]) -> jraph.GraphsTuple:
    """Batches of one budget along a new first axis, one for each device."""
    return jax.tree_util.tree_map(lambda *leaves: np.stack(leaves), *items)


def _filled(
    parts: Sequence[np.ndarray], shape: tuple[int, ...], value: int, kind: type
) -> np.ndarray:
    whole = np.full(shape, value, dtype=kind)
    if parts:
        joined = np.concatenate(parts)
        whole[: len(joined)] = joined
    return whole


def _shifted(
    parts: Sequence[NDArray[np.int32]], first: NDArray[np.int32], edges: int, padding_node: int
) -> Any:  # jraph's annotations know device arrays only
    whole = np.full(edges, padding_node, dtype=np.int32)
    if parts:
        whole[: len(first)] = np.concatenate(parts) + first
    return whole
