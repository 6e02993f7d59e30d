"""The structural graph network."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from planners.stability.crystals import Crystal
from planners.stability.models.batching import Budget, batch
from planners.stability.models.graphs import graph_of
from planners.stability.models.structure_model import (
    Architecture,
    initial,
    shapes,
)
from tests.unit.planners.stability.models.crystals_for_models import (
    COMPILED,
    PEROVSKITE,
    SMALL,
    crystal,
    drawn,
    random_crystals,
)

ROOM = Budget(nodes=200, edges=5000, graphs=8)
FLAT = replace(SMALL, directions=0)


def energy(one: Crystal, architecture: Architecture = SMALL) -> float:
    with jax.enable_x64(False):  # noqa: FBT003
        whole = batch([graph_of(one, architecture.cutoff_ang)], ROOM)
        return float(COMPILED(architecture, drawn(architecture), whole)[0])


@pytest.mark.parametrize("seed", range(4))
def test_a_turned_moved_and_renumbered_crystal_has_the_same_energy(seed: int) -> None:
    one = random_crystals(1, seed)[0]
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    order = np.random.default_rng(seed).permutation(len(one.elements))
    moved = (np.array(one.fractional) + np.array([0.3, 0.71, 0.05]))[order]
    other = Structure(
        Lattice(np.array(one.lattice_ang) @ turn),
        [one.elements[i] for i in order],
        moved,
    )
    assert energy(Crystal.of(other)) == pytest.approx(energy(one), abs=2e-5)


def test_a_supercell_has_the_same_energy_per_atom() -> None:
    assert energy(crystal(PEROVSKITE * (2, 1, 2))) == pytest.approx(
        energy(crystal(PEROVSKITE)), abs=2e-5
    )


def test_directions_tell_a_bent_chain_from_a_straight_one() -> None:
    """Both have the same two distances at every atom; only the angle differs."""

    def trimer(angle_deg: float) -> Crystal:
        turn = np.radians(angle_deg)
        sites = [[0, 0, 0], [1.2, 0, 0], [1.2 * np.cos(turn), 1.2 * np.sin(turn), 0]]
        return crystal(
            Structure(Lattice.cubic(12), ["C", "O", "O"], sites, coords_are_cartesian=True)
        )

    bent, straight = trimer(120), trimer(180)
    seeing = replace(SMALL, cutoff_ang=2.0, neighbours=2.0)
    blind = replace(seeing, directions=0)
    assert abs(energy(bent, seeing) - energy(straight, seeing)) > 1e-3
    assert energy(bent, blind) == pytest.approx(energy(straight, blind), abs=1e-5)


def test_the_energy_has_no_step_where_a_pair_leaves() -> None:
    def pair(distance_ang: float) -> Crystal:
        return crystal(
            Structure(
                Lattice.cubic(12),
                ["Na", "Cl"],
                [[0, 0, 0], [distance_ang, 0, 0]],
                coords_are_cartesian=True,
            )
        )

    beyond, within, near = (energy(pair(d)) for d in (4.001, 3.999, 3.0))
    assert within == pytest.approx(beyond, abs=1e-3)
    assert abs(near - beyond) > 1e-2


def test_an_atom_alone_has_an_energy() -> None:
    lone = crystal(Structure(Lattice.cubic(7), ["Xe"], [[0, 0, 0]]))
    assert np.isfinite(energy(lone))


@pytest.mark.parametrize("architecture", [SMALL, FLAT])
def test_parameters_have_the_shapes_that_are_told(architecture: Architecture) -> None:
    found = {name: a.shape for name, a in initial(architecture, jax.random.key(0)).items()}
    assert found == shapes(architecture)


def test_the_same_key_draws_the_same_parameters() -> None:
    first, again, other = (
        np.asarray(initial(FLAT, jax.random.key(k))["species"]) for k in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()
