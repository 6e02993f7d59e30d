"""Crystals as graphs."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pymatgen.core import Lattice, Structure

from planners.stability.crystals import Crystal, CrystalError
from planners.stability.models.graphs import graph_of, species_of
from tests.unit.planners.stability.models.crystals_for_models import (
    ROCK_SALT,
    crystal,
    random_crystals,
)


def test_rock_salt_has_six_and_twelve_neighbours_within_4_ang() -> None:
    graph = graph_of(crystal(ROCK_SALT))
    lengths = np.linalg.norm(graph.displacements_ang, axis=1)
    assert np.bincount(graph.receivers).tolist() == [18] * 8
    assert np.isclose(lengths, 2.8).sum() == 8 * 6
    assert np.isclose(lengths, 2.8 * 2**0.5).sum() == 8 * 12


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_the_pairs_are_those_of_pymatgen(seed: int) -> None:
    one = random_crystals(1, seed)[0]
    graph = graph_of(one)
    receivers, senders, _, lengths = one.structure().get_neighbor_list(4.0)
    ours = sorted(
        zip(
            graph.receivers.tolist(),
            graph.senders.tolist(),
            np.linalg.norm(graph.displacements_ang, axis=1).round(3).tolist(),
            strict=True,
        )
    )
    theirs = sorted(
        zip(receivers.tolist(), senders.tolist(), lengths.round(3).tolist(), strict=True)
    )
    assert [o[:2] for o in ours] == [t[:2] for t in theirs]
    assert np.allclose([o[2] for o in ours], [t[2] for t in theirs], atol=2e-3)


def test_edges_are_sorted_by_receiver_and_go_both_ways() -> None:
    for one in random_crystals(10, 3):
        graph = graph_of(one)
        assert (np.diff(graph.receivers) >= 0).all()
        forth = np.c_[graph.senders, graph.receivers, graph.displacements_ang]
        back = np.c_[graph.receivers, graph.senders, -graph.displacements_ang]
        assert np.allclose(
            forth[np.lexsort(forth.round(3).T)], back[np.lexsort(back.round(3).T)], atol=2e-3
        )


def test_an_atom_may_be_alone() -> None:
    graph = graph_of(crystal(Structure(Lattice.cubic(6.2), ["Xe"], [[0, 0, 0]])))
    assert len(graph.senders) == 0
    assert graph.species.tolist() == [54]


def test_overlapping_atoms_are_refused_with_their_distance() -> None:
    twice = Structure(Lattice.cubic(4.0), ["Na", "Na"], [[0, 0, 0], [0.05, 0, 0]])
    with pytest.raises(CrystalError, match=r"0\.20 Å apart"):
        graph_of(crystal(twice))


def test_atoms_on_one_site_are_refused() -> None:
    both = Structure(Lattice.cubic(4.0), ["Na", "K"], [[0, 0, 0], [0, 0, 0]])
    with pytest.raises(CrystalError, match=r"0\.00 Å apart"):
        graph_of(crystal(both))


@pytest.mark.parametrize("symbol", ["Fm", "Na+", "Q"])
def test_an_element_beyond_the_table_is_named(symbol: str) -> None:
    with pytest.raises(CrystalError, match=symbol.replace("+", r"\+")):
        species_of([symbol])


def test_coordinates_outside_the_cell_give_the_same_graph() -> None:
    one = random_crystals(1, 5)[0]
    moved = Crystal(
        lattice_ang=one.lattice_ang,
        elements=one.elements,
        fractional=tuple((x + 2, y - 1, z + 5) for x, y, z in one.fractional),
    )
    lengths = [
        np.sort(np.linalg.norm(graph_of(c).displacements_ang, axis=1)) for c in (one, moved)
    ]
    assert np.allclose(*lengths, atol=1e-5)
