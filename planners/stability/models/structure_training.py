"""Train structural networks: the mean absolute error, Muon, a rate that falls to 0.

Muon makes the update of a matrix orthogonal (Jordan et al., 2024; optax's implementation); with
few passes over the data it ends lower than Adam alone (docs/discovery-models.md).

The same code trains one member on one core or many on several accelerators: the state has a
first axis of members, each step takes one padded batch for each device, and JAX shares both
out. The order of crystals follows from seed and epoch, so a training that was interrupted goes
on from its last epoch as if nothing had happened.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jraph
import numpy as np
from jax import Array
from numpy.typing import NDArray

from alab.errors import BadInput
from planners.stability.models import batching
from planners.stability.models.batching import Budget
from planners.stability.models.checkpoints import Checkpoints
from planners.stability.models.graphs import SPECIES, Graph
from planners.stability.models.structure_model import (
    Architecture,
    Parameters,
    energies,
    initial,
)

FloatArray = NDArray[np.float64]

MUON_OVER_ADAM = 10.0
"""An orthogonal update of a w x w matrix is that much smaller by element than Adam's."""

CACHED = Budget(nodes=450, edges=5000, graphs=40)
"""Room whose arrays stay in a processor's cache: twice as fast as four times as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How networks are trained.

    Attributes:
        epochs: Passes over the data.
        rate: Largest step of Adam; that of Muon is ``MUON_OVER_ADAM`` times it.
        warm_steps: Steps over which the rate grows from 0.
        longest_gradient: Norm to which gradients are cut.
        room: Of one batch on one device; an accelerator wants a larger one.
    """

    epochs: int = 14
    rate: float = 2e-3
    warm_steps: int = 300
    longest_gradient: float = 1.0
    room: Budget = CACHED


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What a network need not learn: energies less their linear fit, over what that leaves.

    Attributes:
        references_ev_per_atom: Of the linear fit in atomic fractions, shape (SPECIES,).
        deviation_ev_per_atom: Standard deviation of what is left.
    """

    references_ev_per_atom: FloatArray
    deviation_ev_per_atom: float

    def linear(self, graphs: Sequence[Graph]) -> FloatArray:
        """Energies by the linear fit, shape (n,)."""
        return fractions(graphs) @ self.references_ev_per_atom


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One epoch of a training.

    Attributes:
        epoch: Counted from 1.
        errors_ev_per_atom: Mean absolute error of each member while learning, shape (m,).
        stacked: Parameters so far, each with a first axis of members.
    """

    epoch: int
    errors_ev_per_atom: FloatArray
    stacked: Parameters


def fractions(graphs: Sequence[Graph]) -> FloatArray:
    """Atomic fractions, shape (n, SPECIES)."""
    rows = [np.bincount(g.species, minlength=SPECIES) / len(g.species) for g in graphs]
    return np.array(rows)


def scale_of(graphs: Sequence[Graph], energies_ev_per_atom: FloatArray) -> Scale:
    """Fit the linear part, with a ridge of 1e-4 for elements that are seldom seen.

    Raises:
        BadInput: If there are fewer than two crystals, or all energies are on one line.
    """
    if len(graphs) < 2:
        raise BadInput(f"{len(graphs)} crystals teach nothing; give a data set of many")
    rows = fractions(graphs)
    normal = rows.T @ rows + 1e-4 * np.eye(SPECIES)
    references: FloatArray = np.linalg.solve(normal, rows.T @ energies_ev_per_atom).astype(
        float
    )
    deviation = float(np.std(energies_ev_per_atom - rows @ references))
    if not deviation > 1e-9:
        raise BadInput(
            "all energies follow from the composition; give a data set with several structures"
        )
    return Scale(references_ev_per_atom=references, deviation_ev_per_atom=deviation)


def train(
    graphs: Sequence[Graph],
    energies_ev_per_atom: FloatArray,
    scale: Scale,
    *,
    seeds: Sequence[int],
    architecture: Architecture,
    plan: Plan,
    start: Parameters | None = None,
    checkpoints: Path | None = None,
    devices: Sequence[Any] | None = None,
    report: Callable[[Progress], None] = lambda _: None,
) -> Parameters:
    """Train one network for each seed, all on the same batches in the same order.

    Args:
        graphs: Crystals to learn from.
        energies_ev_per_atom: Their formation energies, shape (n,).
        scale: Standardises the energies.
        seeds: Of the first parameters; the first of them also orders the crystals.
        architecture: Size of the networks.
        plan: How they are trained.
        start: Stacked parameters to go on from, drawn anew if None.
        checkpoints: Folder in which the state after each epoch is kept and from which a
            training goes on; None keeps nothing.
        devices: Devices that share each step, each with a batch of its own; the first if None.
        report: Called after each epoch.

    Returns:
        Parameters, each with a first axis of members.

    Raises:
        BadInput: If a checkpoint is of another shape, a crystal is over the batch's room, or
            the extra ``discovery`` is not installed.
    """
    if plan.epochs < 1 or not seeds:
        raise BadInput(
            f"{plan.epochs} epochs of {len(seeds)} networks; ask for at least one each"
        )
    devices = list(devices) if devices else jax.devices()[:1]
    targets = (energies_ev_per_atom - scale.linear(graphs)) / scale.deviation_ev_per_atom

    def order(epoch: int) -> list[list[list[int]]]:
        return _order(graphs, plan, len(devices), seeds[0], epoch)

    with jax.enable_x64(False), Checkpoints(checkpoints) as kept:  # noqa: FBT003 - single precision, whatever else runs here
        steps = len(order(1)) * plan.epochs
        optimizer, learn = _learner(architecture, plan, steps, len(devices))
        everywhere, split = _layouts(devices)
        # a copy: each step takes the memory of the state before it
        stacked = jax.tree.map(jnp.array, start) if start else _drawn(architecture, seeds)
        state = {"parameters": stacked, "optimizer": jax.vmap(optimizer.init)(stacked)}
        done, state = kept.last(state)
        state = jax.device_put(state, everywhere)
        for epoch in range(done + 1, plan.epochs + 1):
            errors = []
            for chosen in order(epoch):
                step = _step_of(graphs, targets, chosen, plan.room)
                state, error = learn(state, *jax.device_put(step, split))
                errors.append(error)
            kept.keep(epoch, state)
            report(
                Progress(
                    epoch=epoch,
                    errors_ev_per_atom=np.mean(errors, axis=0) * scale.deviation_ev_per_atom,
                    stacked=state["parameters"],
                )
            )
        return jax.tree.map(np.asarray, state["parameters"])


def _drawn(architecture: Architecture, seeds: Sequence[int]) -> Parameters:
    members = [initial(architecture, jax.random.key(seed)) for seed in seeds]
    return jax.tree.map(lambda *one: jnp.stack(one), *members)


def _layouts(devices: Sequence[Any]) -> tuple[Any, Any]:
    """Where the state lies (a copy everywhere) and the batches (one on each device)."""
    mesh = jax.sharding.Mesh(np.array(devices), ("batch",))
    spec = jax.sharding.PartitionSpec
    return (
        jax.sharding.NamedSharding(mesh, spec()),
        jax.sharding.NamedSharding(mesh, spec("batch")),
    )


def _order(
    graphs: Sequence[Graph], plan: Plan, devices: int, seed: int, epoch: int
) -> list[list[list[int]]]:
    """Which crystals each step takes on each device; the last batches may be left over."""
    draw = np.random.default_rng((seed, epoch))
    shared = batching.packed(draw.permutation(len(graphs)).tolist(), graphs, plan.room)
    whole = len(shared) // devices * devices or 1
    if len(shared) < devices:
        shared += [[] for _ in range(devices - len(shared))]
        whole = devices
    return [shared[i : i + devices] for i in range(0, whole, devices)]


def _step_of(
    graphs: Sequence[Graph], targets: FloatArray, chosen: list[list[int]], room: Budget
) -> tuple[jraph.GraphsTuple, NDArray[np.float32]]:
    labels = np.zeros((len(chosen), room.graphs), dtype=np.float32)
    for row, indices in zip(labels, chosen, strict=True):
        row[: len(indices)] = targets[indices]
    parts = [batching.batch([graphs[i] for i in indices], room) for indices in chosen]
    return batching.stacked(parts), labels


@cache
def _learner(
    architecture: Architecture, plan: Plan, steps: int, devices: int
) -> tuple[Any, Callable[..., tuple[Any, Array]]]:
    optimizer = _optimizer(plan, steps)

    def error(parameters: Parameters, graphs: jraph.GraphsTuple, targets: Array) -> Array:
        predicted = _on_each(architecture, parameters, graphs, devices)
        real: Any = jax.vmap(jraph.get_graph_padding_mask)(graphs)
        return jnp.where(real, jnp.abs(predicted - targets), 0.0).sum() / real.sum().astype(
            jnp.float32
        )

    def step(parameters: Parameters, inner: Any, graphs: Any, targets: Array) -> Any:
        value, gradient = jax.value_and_grad(error)(parameters, graphs, targets)
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # optax
            updates, inner = optimizer.update(gradient, inner, parameters)
        return jax.tree.map(jnp.add, parameters, updates), inner, value

    def learn(state: Any, graphs: jraph.GraphsTuple, targets: Array) -> tuple[Any, Array]:
        parameters, inner, value = jax.vmap(step, in_axes=(0, 0, None, None))(
            state["parameters"], state["optimizer"], graphs, targets
        )
        return {"parameters": parameters, "optimizer": inner}, value

    return optimizer, jax.jit(learn, donate_argnums=0)


def _on_each(
    architecture: Architecture, parameters: Parameters, graphs: jraph.GraphsTuple, devices: int
) -> Array:
    """Energies of the batch of each device, shape (devices, graphs)."""
    if devices == 1:  # a mapped axis of one costs a third of the speed on a processor
        return energies(architecture, parameters, jax.tree.map(lambda a: a[0], graphs))[None]
    return jax.vmap(lambda one: energies(architecture, parameters, one))(graphs)


def _optimizer(plan: Plan, steps: int) -> Any:
    """Muon for the matrices between features, Adam for tables, biases and the last layer."""
    try:
        import optax
        from optax.contrib import muon
    except ImportError as error:
        raise BadInput('training needs optax: pip install "alab[discovery]"') from error
    warm = min(plan.warm_steps, steps // 2)
    rate = optax.join_schedules(
        [
            optax.linear_schedule(0.0, plan.rate, warm),
            optax.linear_schedule(plan.rate, 0.0, steps - warm),
        ],
        [warm],
    )
    rules: dict[Hashable, Any] = {
        "matrix": muon(lambda step: MUON_OVER_ADAM * rate(step)),
        "other": optax.adam(rate, b2=0.99),
    }
    return optax.chain(
        optax.clip_by_global_norm(plan.longest_gradient),
        optax.multi_transform(rules, _kinds),
    )


def _kinds(parameters: Parameters) -> dict[str, str]:
    tables = {"species", "properties", "read_out"}
    return {
        name: "matrix" if array.ndim == 2 and name not in tables else "other"
        for name, array in parameters.items()
    }
