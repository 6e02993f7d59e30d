"""The structural graph network: a pure function from parameters and graphs to energies.

After Merchant et al., Nature 624, 80 (2023), methods: atoms are nodes, pairs within 4.0 Å are
edges, a Gaussian featuriser, messages normalised by the average number of neighbours, shallow
networks with swish, a global feature of the whole cell. Two things were changed because they
measured better (docs/discovery-models.md):

- *Directions.* Each atom also sums its edges times their directions (l = 1) and the products
  of two directions (l = 2); the squared lengths of these sums see angles and are the same in
  any orientation, as in PaiNN and in the atomic cluster expansion.
- *Readout.* The energy is a mean over atoms of a network of the atom, as energies per atom are,
  where the publication projects the global vector.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import jraph
import numpy as np

from planners.stability.models.graphs import SPECIES
from planners.stability.models.species import PROPERTIES, properties_of_species

Parameters = dict[str, jax.Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """Size of a network. Two networks of one architecture have parameters of one shape.

    Attributes:
        width: Features of an atom, of an edge and of the cell.
        layers: Message-passing steps.
        gaussians: Distances that an edge's length is compared with.
        directions: Channels of the direction sums; 0 leaves them out, as published.
        cutoff_ang: Reach of an edge.
        neighbours: Average number of neighbours in the training set; sums are divided by it.
    """

    width: int = 64
    layers: int = 3
    gaussians: int = 30
    directions: int = 8
    cutoff_ang: float = 4.0
    neighbours: float = 15.0


def initial(arch: Architecture, key: jax.Array) -> Parameters:
    """Draw parameters: normal with variance 1/inputs, biases and last layers 0."""
    named = shapes(arch)
    keys = jax.random.split(key, len(named))
    return {
        name: _drawn(name, shape, one)
        for (name, shape), one in zip(named.items(), keys, strict=True)
    }


def energies(
    arch: Architecture, parameters: Parameters, graphs: jraph.GraphsTuple
) -> jax.Array:
    """Standardised energies per atom.

    Args:
        arch: Size of the network.
        parameters: As ``initial`` gives them.
        graphs: As ``batching.batch`` gives them.

    Returns:
        Shape (graphs,); those of padding graphs mean nothing.
    """
    p = parameters
    batch: Any = graphs  # its annotations allow whole trees in each field
    species, senders, receivers = batch.nodes, batch.senders, batch.receivers
    n_nodes, n_graphs = species.shape[0], batch.n_node.shape[0]
    cell = jnp.repeat(jnp.arange(n_graphs), batch.n_node, total_repeat_length=n_nodes)
    atoms = 1.0 / jnp.maximum(batch.n_node, 1).astype(jnp.float32)[:, None]

    def gathered(values: jax.Array) -> jax.Array:
        return jax.ops.segment_sum(
            values, receivers, n_nodes, indices_are_sorted=True
        ) / np.float32(arch.neighbours)

    def averaged(values: jax.Array) -> jax.Array:
        return jax.ops.segment_sum(values, cell, n_graphs, indices_are_sorted=True) * atoms

    radial, angular = _featurised(arch, batch.edges)
    node = p["species"][species] + _table()[species] @ p["properties"]
    whole = averaged(node)
    edge = jnp.zeros((senders.shape[0], arch.width), jnp.float32)
    for t in range(arch.layers):
        sent = node @ p[f"{t}.sender"]
        received = node @ p[f"{t}.receiver"] + (whole @ p[f"{t}.cell"])[cell]
        pre = sent[senders] + received[receivers] + radial @ p[f"{t}.radial"]
        if t:
            pre = pre + edge @ p[f"{t}.edge"]
        edge = edge + jax.nn.silu(pre + p[f"{t}.edge_bias"][None])
        seen = [gathered(edge * radial[:, -1:])]
        if arch.directions:
            weights = edge @ p[f"{t}.direction"]
            outer = jnp.einsum("ec,ed->ecd", angular, weights)
            sums = gathered(outer.reshape(edge.shape[0], -1))
            squares = (sums**2).reshape(n_nodes, 9, arch.directions)
            seen += [squares[:, :3].sum(1), squares[:, 3:].sum(1)]
        inputs = jnp.concatenate([node, *seen, whole[cell]], axis=1)
        hidden = jax.nn.silu(inputs @ p[f"{t}.node_in"] + p[f"{t}.node_bias"][None])
        node = node + hidden @ p[f"{t}.node_out"]
        hidden = jax.nn.silu(
            jnp.concatenate([whole, averaged(node)], axis=1) @ p[f"{t}.cell_in"]
            + p[f"{t}.cell_bias"][None]
        )
        whole = whole + hidden @ p[f"{t}.cell_out"]
    hidden = jax.nn.silu(
        jnp.concatenate([node, whole[cell]], axis=1) @ p["read_in"] + p["read_bias"][None]
    )
    own = hidden @ p["read_out"] + p["reference"][species][:, None]
    return averaged(own)[:, 0]


def _featurised(arch: Architecture, vectors: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Gaussians of the lengths with the smooth cut-off as last column, and 3 + 6 directions."""
    lengths = jnp.sqrt(jnp.sum(vectors**2, axis=1, keepdims=True))
    centres = jnp.linspace(0.05, arch.cutoff_ang, arch.gaussians, dtype=jnp.float32)
    spread = (arch.cutoff_ang / arch.gaussians) * 1.5
    gaussians = jnp.exp(-0.5 * ((lengths - centres[None]) / spread) ** 2)
    inside = 0.5 * (jnp.cos(jnp.pi * jnp.clip(lengths / arch.cutoff_ang, 0.0, 1.0)) + 1.0)
    unit = vectors / jnp.maximum(lengths, 1e-6)
    x, y, z = unit[:, 0], unit[:, 1], unit[:, 2]
    root2 = np.float32(np.sqrt(2.0))
    pairs = [x * x, y * y, z * z, root2 * x * y, root2 * y * z, root2 * z * x]
    angular = jnp.stack([x, y, z, *pairs], axis=1) * inside
    return jnp.concatenate([gaussians * inside, inside], axis=1), angular


def _table() -> jax.Array:
    return jnp.asarray(properties_of_species())


def shapes(arch: Architecture) -> dict[str, tuple[int, ...]]:
    """Shape of each parameter."""
    w, d = arch.width, arch.directions
    named: dict[str, tuple[int, ...]] = {
        "species": (SPECIES, w),
        "properties": (PROPERTIES, w),
        "reference": (SPECIES,),
        "read_in": (2 * w, w),
        "read_bias": (w,),
        "read_out": (w, 1),
    }
    for t in range(arch.layers):
        named |= {
            f"{t}.sender": (w, w),
            f"{t}.receiver": (w, w),
            f"{t}.cell": (w, w),
            f"{t}.radial": (arch.gaussians + 1, w),
            f"{t}.edge_bias": (w,),
            f"{t}.node_in": (3 * w + 2 * d, 2 * w),
            f"{t}.node_bias": (2 * w,),
            f"{t}.node_out": (2 * w, w),
            f"{t}.cell_in": (2 * w, w),
            f"{t}.cell_bias": (w,),
            f"{t}.cell_out": (w, w),
        }
        if t:
            named[f"{t}.edge"] = (w, w)
        if d:
            named[f"{t}.direction"] = (w, d)
    return named


def _drawn(name: str, shape: tuple[int, ...], key: jax.Array) -> jax.Array:
    if name == "species":
        return 0.3 * jax.random.normal(key, shape, jnp.float32)
    if len(shape) == 1 or name == "read_out":
        return jnp.zeros(shape, jnp.float32)
    return jax.random.normal(key, shape, jnp.float32) / np.float32(np.sqrt(shape[0]))
