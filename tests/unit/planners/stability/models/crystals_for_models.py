"""Small crystals with an energy that depends on distances, angles and elements."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from pymatgen.core import Lattice, Structure

from planners.stability.crystals import Crystal
from planners.stability.models.graphs import graph_of
from planners.stability.models.structure_data import Examples
from planners.stability.models.structure_model import (
    Architecture,
    Parameters,
    energies,
    shapes,
)

SMALL = Architecture(width=8, layers=2, gaussians=8, directions=2)

ROCK_SALT = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(5.6), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)
PEROVSKITE = Structure(
    Lattice.cubic(3.9),
    ["Sr", "Ti", "O", "O", "O"],
    [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
)


def crystal(structure: Structure) -> Crystal:
    return Crystal.of(structure)


def random_crystals(count: int, seed: int) -> list[Crystal]:
    """Cells of two to six atoms of Na, Mg, O and Cl without overlaps."""
    draw = np.random.default_rng(seed)
    found: list[Crystal] = []
    while len(found) < count:
        atoms = int(draw.integers(2, 7))
        lattice = Lattice.from_parameters(
            *(draw.uniform(3.0, 5.0, 3)), *(draw.uniform(75, 105, 3))
        )
        names = draw.choice(["Na", "Mg", "O", "Cl"], atoms).tolist()
        structure = Structure(lattice, names, draw.random((atoms, 3)))
        if structure.is_valid(tol=1.2):
            found.append(Crystal.of(structure))
    return found


def pair_energy(one: Crystal) -> float:
    """Energy per atom of a made-up pair potential, in eV."""
    graph = graph_of(one)
    lengths = np.linalg.norm(graph.displacements_ang, axis=1)
    charge = np.where(np.isin(graph.species, (8, 17)), -1.0, 1.0)
    products = charge[graph.senders] * charge[graph.receivers]
    return float((products * np.exp(-((lengths / 2.5) ** 2))).sum() / len(graph.species))


def examples(count: int, seed: int) -> Examples:
    crystals = random_crystals(count, seed)
    return Examples(
        graphs=tuple(graph_of(c) for c in crystals),
        energies_ev_per_atom=np.array([pair_energy(c) for c in crystals]),
        buckets=np.random.default_rng(seed).integers(0, 100, count),
    )


COMPILED = jax.jit(energies, static_argnums=0)


@cache
def drawn(architecture: Architecture) -> Parameters:
    """Parameters none of which is 0, so that nothing hides."""
    draw = np.random.default_rng(7)
    return {
        name: jnp.asarray(0.4 * draw.normal(size=shape), jnp.float32)
        for name, shape in shapes(architecture).items()
    }
