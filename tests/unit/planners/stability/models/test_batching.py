"""Padded batches."""

import jax
import jraph
import numpy as np
import pytest

from alab.errors import BadInput
from planners.stability.models.batching import Budget, batch, batches, packed
from planners.stability.models.graphs import graph_of
from tests.unit.planners.stability.models.crystals_for_models import (
    COMPILED,
    SMALL,
    drawn,
    random_crystals,
)

GRAPHS = [graph_of(c) for c in random_crystals(12, 1)]
ROOM = Budget(nodes=64, edges=2000, graphs=14)


def test_padding_never_changes_an_energy() -> None:
    with jax.enable_x64(False):  # noqa: FBT003
        together = COMPILED(SMALL, drawn(SMALL), batch(GRAPHS, ROOM))
        for i, graph in enumerate(GRAPHS[:3]):
            exact = Budget(nodes=len(graph.species) + 1, edges=len(graph.senders), graphs=2)
            alone = COMPILED(SMALL, drawn(SMALL), batch([graph], exact))
            assert float(alone[0]) == pytest.approx(float(together[i]), abs=1e-5)
        assert np.ptp(np.asarray(together[: len(GRAPHS)])) > 1e-3


def test_padding_is_as_jraph_does_it() -> None:
    whole = batch(GRAPHS, ROOM)
    atoms = sum(len(g.species) for g in GRAPHS)
    with jax.enable_x64(False):  # noqa: FBT003
        assert np.asarray(jraph.get_graph_padding_mask(whole)).sum() == len(GRAPHS)
        assert np.asarray(jraph.get_node_padding_mask(whole)).sum() == atoms


def test_every_graph_is_in_one_batch() -> None:
    small = Budget(nodes=12, edges=300, graphs=4)
    shared = packed(list(range(12))[::-1], GRAPHS, small)
    assert sorted(i for one in shared for i in one) == list(range(12))
    for one in shared:
        batch([GRAPHS[i] for i in one], small)


def test_large_graphs_go_to_the_large_budget() -> None:
    sizes = [len(g.senders) for g in GRAPHS]
    small = Budget(nodes=12, edges=int(np.median(sizes)), graphs=4)
    seen = list(batches(GRAPHS, [small, ROOM]))
    assert sorted(i for chosen, _ in seen for i in chosen) == list(range(12))
    assert {len(b.senders) for _, b in seen} == {small.edges, ROOM.edges}


def test_no_graphs_make_no_batches() -> None:
    assert list(batches([], [ROOM])) == []


def test_a_graph_over_every_budget_is_named() -> None:
    with pytest.raises(BadInput, match="give a larger Budget"):
        list(batches(GRAPHS, [Budget(nodes=3, edges=10, graphs=4)]))


def test_too_many_graphs_for_one_batch_are_refused() -> None:
    with pytest.raises(BadInput, match="share them out"):
        batch(GRAPHS, Budget(nodes=64, edges=2000, graphs=4))
