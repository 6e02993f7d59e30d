"""Formation energy from composition alone: messages between elements with soft attention.

After Goodall & Lee, Nat. Commun. 11, 6280 (2020) (Roost). Each element of a composition is a
node, h_i its vector, w_i its atomic fraction; every node hears every node of its composition,
in several heads k, as often as there is of it::

    u_ijk = swish(A_k h_i + B_k h_j + b_k)
    a_ijk = w_j^p_k exp(g_k · u_ijk) / Σ_l w_l^p_k exp(g_k · u_ilk)
    h_i  ← h_i + M Σ_jk a_ijk u_ijk + c

and the same attention over nodes makes the vector of the composition, from which a residual
network reads the energy. Differences from Roost: weights and messages share the hidden layer
u, the matrix M stands after the sum over neighbours (the same function, a product of matrices
for each node instead of each pair), and vectors are normalised before each layer.

Everything is a pure function of parameters and batch, so that ``jax.vmap`` over stacked
parameters is an ensemble.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from planners.stability.models.composition_encoding import SPECIES, Mixtures

Params = dict[str, Any]
"""Nested dictionaries and lists of arrays."""

_NOWHERE = -1e9
_LEAST_VARIANCE = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes of the network.

    Attributes:
        width: Numbers that describe an element.
        hidden: Numbers in the hidden layer of one head.
        heads: Attention heads.
        layers: Rounds of messages.
        readout: Numbers that describe a composition.
        blocks: Residual blocks of the readout.
    """

    width: int = 64
    hidden: int = 64
    heads: int = 3
    layers: int = 3
    readout: int = 64
    blocks: int = 2


def initial(key: Array, shape: Shape, properties: int) -> Params:
    """Draw parameters.

    Args:
        key: Of the random numbers.
        shape: Sizes of the network.
        properties: How many are tabulated of an element; 0 leaves all to learning.
    """
    draw = _drawn(key)
    width, wide = shape.width, shape.heads * shape.hidden
    return {
        "elements": next(draw)((SPECIES, width), 1 / 0.09 if properties else 1.0),
        "projection": next(draw)((properties, width), max(properties, 1)),
        "fraction": _dense(draw, 1, width),
        "layers": [
            _attention(draw, shape, 0.7)
            | {"neighbour": next(draw)((width, wide), width / 0.49)}
            | {"mix": _dense(draw, wide, width, 0.5)}
            for _ in range(shape.layers)
        ],
        "pool": _attention(draw, shape, 1.0) | {"mix": _dense(draw, wide, shape.readout)},
        "blocks": [
            {
                "first": _dense(draw, shape.readout, 2 * shape.readout),
                "second": _dense(draw, 2 * shape.readout, shape.readout, 0.5),
            }
            for _ in range(shape.blocks)
        ],
        "energy": _dense(draw, shape.readout, 1, 0.3),
    }


def folded(params: Params, properties: Array | NDArray[np.float32]) -> Params:
    """Parameters that need no table of properties: each element's vector in full.

    Args:
        params: As drawn and trained: an element's vector is its own and a projection of its
            properties, so that what is learnt of one element tells something of the others.
        properties: Of the elements, shape (SPECIES, p).
    """
    rest = {name: value for name, value in params.items() if name != "projection"}
    return rest | {"elements": params["elements"] + properties @ params["projection"]}


def _drawn(key: Array) -> Iterator[Any]:
    """Functions of shape and fan-in that draw normal numbers, each from a key of its own."""
    while True:
        key, once = jax.random.split(key)
        yield (
            lambda shape, fan, once=once: (
                jax.random.normal(once, shape, dtype=jnp.float32) / np.float32(np.sqrt(fan))
            )
        )


def _dense(draw: Iterator[Any], inputs: int, outputs: int, gain: float = 1.0) -> Params:
    weight = next(draw)((inputs, outputs), inputs / gain**2)
    return {"weight": weight, "bias": jnp.zeros(outputs, dtype=jnp.float32)}


def _attention(draw: Iterator[Any], shape: Shape, gain: float) -> Params:
    wide = shape.heads * shape.hidden
    return {
        "norm": {
            "scale": jnp.ones(shape.width, dtype=jnp.float32),
            "shift": jnp.zeros(shape.width, dtype=jnp.float32),
        },
        "own": _dense(draw, shape.width, wide, gain),
        "gate": next(draw)((shape.heads, shape.hidden), shape.hidden),
        "power": jnp.ones(shape.heads, dtype=jnp.float32),
    }


def energies(params: Params, mixtures: Mixtures) -> Array:
    """Standardised energy of each composition, shape (n,).

    Args:
        params: With the elements' vectors in full, see ``folded``.
        mixtures: The compositions.
    """
    fractions = jnp.asarray(mixtures.fractions)
    nodes = params["elements"][mixtures.species]
    nodes = nodes + _apply(params["fraction"], fractions[..., None])
    amounts = jnp.log(jnp.where(fractions > 0, fractions, 1.0))
    present = fractions > 0
    for layer in params["layers"]:
        nodes = nodes + _messages(layer, nodes, amounts, present)
    state = _pooled(params["pool"], nodes, amounts, present)
    for block in params["blocks"]:
        inner = jax.nn.swish(_apply(block["first"], jax.nn.swish(state)))
        state = state + _apply(block["second"], inner)
    return _apply(params["energy"], jax.nn.swish(state))[:, 0]


def _messages(layer: Params, nodes: Array, amounts: Array, present: Array) -> Array:
    normed = _normed(layer["norm"], nodes)
    own = _apply(layer["own"], normed)[:, :, None, :]
    heard = jax.nn.swish(own + (normed @ layer["neighbour"])[:, None, :, :])
    heard = heard.reshape(*heard.shape[:3], *layer["gate"].shape)
    weights = _attended(layer, heard, amounts[:, None, :], present[:, None, :])
    return _mixed(layer, jnp.einsum("nijk,nijkh->nikh", weights, heard))


def _pooled(pool: Params, nodes: Array, amounts: Array, present: Array) -> Array:
    seen = jax.nn.swish(_apply(pool["own"], _normed(pool["norm"], nodes)))
    seen = seen.reshape(*seen.shape[:2], *pool["gate"].shape)
    weights = _attended(pool, seen, amounts, present)
    return _mixed(pool, jnp.einsum("njk,njkh->nkh", weights, seen))


def _attended(layer: Params, hidden: Array, amounts: Array, present: Array) -> Array:
    """Weights that sum to 1 over the nodes that are there, shape (…, w, heads)."""
    scores = jnp.einsum("...kh,kh->...k", hidden, layer["gate"])
    scores = scores + _spread(layer["power"], scores.ndim) * amounts[..., None]
    return jax.nn.softmax(jnp.where(present[..., None], scores, _NOWHERE), axis=-2)


def _mixed(layer: Params, heads: Array) -> Array:
    return _apply(layer["mix"], heads.reshape(*heads.shape[:-2], -1))


def _apply(dense: Params, inputs: Array) -> Array:
    return inputs @ dense["weight"] + _spread(dense["bias"], inputs.ndim)


def _normed(norm: Params, nodes: Array) -> Array:
    centred = nodes - nodes.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    scaled = centred * jax.lax.rsqrt(variance + _LEAST_VARIANCE)
    return scaled * _spread(norm["scale"], nodes.ndim) + _spread(norm["shift"], nodes.ndim)


def _spread(vector: Array, rank: int) -> Array:
    """A vector along the last of so many axes."""
    return vector.reshape((1,) * (rank - 1) + vector.shape)
