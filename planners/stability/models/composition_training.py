"""Train one member of the composition ensemble: the mean absolute error, AdamW, one cosine.

Every step takes the same number of rows of each width, so that one compiled epoch serves the
whole training. The order of rows follows from seed and epoch, so that a training that was
interrupted goes on from its last epoch as if nothing had happened.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from alab.errors import BadInput
from planners.stability.models.checkpoints import Checkpoints
from planners.stability.models.composition_encoding import Mixtures, by_width
from planners.stability.models.composition_model import Params, Shape, energies, folded, initial

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a member is trained.

    Attributes:
        epochs: Passes over the data.
        epochs_before: Passes over the data of another database, if it begins with one.
        batch: Compositions in one step, about.
        rate: Largest step of AdamW.
        decay: Weight decay.
        warm_share: Share of all steps over which the step grows from 0.
        longest_gradient: Norm to which gradients are cut.
    """

    epochs: int = 96
    epochs_before: int = 12
    batch: int = 128
    rate: float = 3e-3
    decay: float = 1e-2
    warm_share: float = 0.1
    longest_gradient: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Energies a network sees: less their mean, over their standard deviation."""

    mean_ev_per_atom: float
    deviation_ev_per_atom: float


class Labelled(NamedTuple):
    """Compositions of one width with their standardised energies, shape (n,)."""

    mixtures: Mixtures
    targets: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What is learnt from.

    Attributes:
        widths: Compositions by width, none of them empty.
        scale: Mean and deviation of the energies.
        properties: Of the elements, shape (SPECIES, p).
    """

    widths: tuple[Labelled, ...]
    scale: Scale
    properties: NDArray[np.float32]

    def rows(self, batch: int) -> tuple[int, ...]:
        """Rows of each width in one step; 0 leaves a very rare width out."""
        total = sum(len(width.targets) for width in self.widths)
        return tuple(round(batch * len(width.targets) / total) for width in self.widths)

    def steps(self, batch: int) -> int:
        """Steps of one epoch; what is left over sits this epoch out."""
        taken = zip(self.widths, self.rows(batch), strict=True)
        return min((len(width.targets) // rows for width, rows in taken if rows), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One epoch of one member.

    Attributes:
        seed: Of the member.
        epoch: Counted from 1.
        error_ev_per_atom: Mean absolute error over the epoch, while learning.
        params: What is learnt so far, with the elements' vectors in full.
    """

    seed: int
    epoch: int
    error_ev_per_atom: float
    params: Params


def samples_of(
    formulas: Sequence[str],
    energies_ev_per_atom: Sequence[float] | FloatArray,
    properties: NDArray[np.float32],
    *,
    scale: Scale | None = None,
) -> Samples:
    """Encode and standardise.

    Args:
        formulas: Compositions, shape (n,).
        energies_ev_per_atom: Their formation energies, shape (n,).
        properties: Of the elements, shape (SPECIES, p).
        scale: Of other samples that the same network learns from; their own if None.

    Raises:
        BadInput: If there are fewer than two compositions, or all energies are one.
    """
    values = np.asarray(energies_ev_per_atom, dtype=np.float64)
    if len(formulas) < 2 or not values.std() > 0:
        raise BadInput(
            f"{len(formulas)} compositions with {len(np.unique(values))} different energies "
            "teach nothing; give a table of many"
        )
    scale = scale or Scale(mean_ev_per_atom=values.mean(), deviation_ev_per_atom=values.std())
    standard = (values - scale.mean_ev_per_atom) / scale.deviation_ev_per_atom
    return Samples(
        widths=tuple(
            Labelled(mixtures=group.mixtures, targets=standard[group.places].astype(np.float32))
            for group in by_width(formulas)
            if len(group.places)
        ),
        scale=scale,
        properties=properties,
    )


def train_member(
    samples: Samples,
    *,
    seed: int,
    shape: Shape,
    plan: Plan,
    start: Params | None = None,
    checkpoints: Path | None = None,
    report: Callable[[Progress], None] = lambda _: None,
) -> Params:
    """Train one member; the same seed gives the same parameters.

    Args:
        samples: What is learnt from.
        seed: Of the first parameters and of the order of rows.
        shape: Sizes of the network.
        plan: How it is trained.
        start: Parameters to go on from; drawn if None.
        checkpoints: Folder in which the state after each epoch is kept and from which a
            training goes on; None keeps nothing.
        report: Called after each epoch.

    Returns:
        Parameters as trained; ``folded`` makes them ready for ``composition_model.energies``.

    Raises:
        BadInput: If a checkpoint is of another shape, a plan has no epoch, the training data
            are fewer than one step, or the extra ``discovery`` is not installed.
    """
    optimizer, learn = _learner(plan, _steps(samples, plan))
    # single precision, whatever else runs in this process
    with jax.enable_x64(False), Checkpoints(checkpoints) as kept:  # noqa: FBT003
        params = start or initial(jax.random.key(seed), shape, samples.properties.shape[1])
        state = {"params": params, "optimizer": optimizer.init(params)}
        done, state = kept.last(state)
        data = jax.tree.map(jnp.asarray, samples.widths)
        for epoch in range(done + 1, plan.epochs + 1):
            order = _order(samples, plan.batch, seed, epoch)
            state, error = learn(state, data, order, samples.properties)
            kept.keep(epoch, state)
            report(_progress(samples, seed, epoch, float(error), state["params"]))
        return jax.tree.map(np.asarray, state["params"])


def _progress(
    samples: Samples, seed: int, epoch: int, error: float, params: Params
) -> Progress:
    return Progress(
        seed=seed,
        epoch=epoch,
        error_ev_per_atom=error * samples.scale.deviation_ev_per_atom,
        params=folded(params, samples.properties),
    )


def _steps(samples: Samples, plan: Plan) -> int:
    steps = samples.steps(plan.batch)
    if plan.epochs < 1 or plan.batch < 1 or steps < 1:
        raise BadInput(
            f"{plan.epochs} epochs of {steps} steps of {plan.batch} rows train nothing; ask "
            "for at least one epoch and a batch no larger than the data"
        )
    return steps * plan.epochs


def _optimizer(plan: Plan, steps: int) -> Any:
    try:
        import optax
    except ImportError as error:
        raise BadInput('training needs optax: pip install "alab[discovery]"') from error
    rate = optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=plan.rate,
        warmup_steps=int(plan.warm_share * steps),
        decay_steps=steps,
        end_value=1e-3 * plan.rate,
    )
    return optax.chain(
        optax.clip_by_global_norm(plan.longest_gradient),
        optax.adamw(rate, weight_decay=plan.decay),
    )


def _order(samples: Samples, batch: int, seed: int, epoch: int) -> tuple[Array, ...]:
    """Which rows of each width every step takes, each of shape (steps, rows)."""
    draw = np.random.default_rng((seed, epoch))
    steps = samples.steps(batch)
    return tuple(
        jnp.asarray(draw.permutation(len(w.targets))[: steps * rows].reshape(steps, rows))
        for w, rows in zip(samples.widths, samples.rows(batch), strict=True)
    )


@cache
def _learner(plan: Plan, steps: int) -> tuple[Any, Callable[..., tuple[Any, Array]]]:
    """The optimizer, and a pass over the data: compiled once for all members of one plan."""
    optimizer = _optimizer(plan, steps)

    def step(state: Any, batch: Any, properties: Array) -> tuple[Any, Array]:
        error, gradient = jax.value_and_grad(_error)(state["params"], batch, properties)
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # optax
            updates, inner = optimizer.update(gradient, state["optimizer"], state["params"])
        params = jax.tree.map(jnp.add, state["params"], updates)
        return {"params": params, "optimizer": inner}, error

    @jax.jit
    def epoch(state: Any, data: Any, order: Any, properties: Array) -> tuple[Any, Array]:
        def take(state: Any, rows: Any) -> tuple[Any, Array]:
            pairs = zip(data, rows, strict=True)
            batch = [jax.tree.map(lambda a, r=r: a[r], w) for w, r in pairs if len(r)]
            return step(state, batch, properties)

        state, errors = jax.lax.scan(take, state, order)
        return state, errors.mean()

    return optimizer, epoch


def _error(params: Params, batch: Sequence[Labelled], properties: Array) -> Array:
    """Mean absolute error of a batch: its tail is long, squares would learn the tail."""
    whole = folded(params, properties)
    errors = [jnp.abs(energies(whole, width.mixtures) - width.targets) for width in batch]
    return jnp.concatenate(errors).mean()
