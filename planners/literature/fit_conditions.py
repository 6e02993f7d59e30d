"""Fit the networks that give firing conditions: one network, four answers.

The temperature's loss is the Laplace likelihood ``|T − µ| / b + ln b`` with µ and b both
learnt, which makes µ the median and b its expected error; the dwell's is the absolute
error of its logarithm; gas and regrinding are classes. A procedure that lacks one of the
answers teaches the others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.example_libraries.optimizers import adam
from numpy.typing import NDArray

from planners.literature.arrays import Floats, Ints
from planners.literature.conditions import NARROWEST, TEMPERATURE_SCALE_C, WIDEST
from planners.literature.corpus import Procedure
from planners.literature.features import describe
from planners.literature.firing import GAS_CLASSES, STEPS

Weights = dict[str, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a network is fitted; chosen on the validation targets."""

    hidden: int = 320
    dropout: float = 0.4
    decay: float = 1e-4
    step: float = 2e-3
    batch: int = 256
    epochs: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Procedures as arrays; NaN and −1 stand for what a paper does not give.

    Attributes:
        inputs: (n, inputs) descriptions.
        temperature_c: (n,) setpoints.
        log_dwell_h: (n,) natural logarithms of the dwell in hours.
        gas: (n,) place in ``GAS_CLASSES``.
        reground: (n,) 0 or 1.
    """

    inputs: Floats
    temperature_c: Floats
    log_dwell_h: Floats
    gas: Ints
    reground: Ints


def examples(procedures: Sequence[Procedure], elements: Sequence[str]) -> Examples:
    """Turn procedures into arrays."""
    firings = [p.firing for p in procedures]
    return Examples(
        inputs=np.stack([inputs_of(p, elements) for p in procedures]),
        temperature_c=np.array([f.temperature_c or np.nan for f in firings]),
        log_dwell_h=np.log([f.dwell_h or np.nan for f in firings]),
        gas=np.array([-1 if f.gas is None else GAS_CLASSES.index(f.gas) for f in firings]),
        reground=np.array([-1 if f.reground is None else int(f.reground) for f in firings]),
    )


def inputs_of(procedure: Procedure, elements: Sequence[str]) -> Floats:
    """Description of a procedure: target, powders, and what the step is called."""
    called = [float(procedure.firing.step == name) for name in STEPS]
    return np.concatenate([describe(procedure.shares, procedure.precursors, elements), called])


def fit(data: Examples, plan: Plan, seed: int) -> dict[str, NDArray[Any]]:
    """Fit one network; the same seed gives the same weights."""
    with jax.enable_x64(False):  # noqa: FBT003 - whatever else runs in this process
        centre, spread = data.inputs.mean(axis=0), data.inputs.std(axis=0) + 1e-3
        middle_c = float(np.nanmedian(data.temperature_c))
        middle_log = float(np.nanmedian(data.log_dwell_h))
        columns = (
            ((data.inputs - centre) / spread).astype(np.float32),
            ((data.temperature_c - middle_c) / TEMPERATURE_SCALE_C).astype(np.float32),
            (data.log_dwell_h - middle_log).astype(np.float32),
            data.gas,
            data.reground,
        )
        weights = _start(data.inputs.shape[1], plan, jax.random.key(seed))
        steps = plan.epochs * (len(data.gas) // plan.batch)
        start, update, read = adam(
            lambda i: plan.step * jnp.maximum(0.01, 0.5 * (1 + jnp.cos(jnp.pi * i / steps)))
        )
        state = start(weights)

        @jax.jit
        def step(i: Any, state: Any, batch: tuple[Array, ...], key: Array) -> Any:
            gradient = jax.grad(partial(_loss, plan=plan))(read(state), batch, key)
            return update(i, gradient, state)

        shuffled = np.random.default_rng(seed)
        order = np.arange(len(data.gas))
        key = jax.random.key(seed + 1)
        for count in range(steps):
            if count % (len(data.gas) // plan.batch) == 0:
                order = shuffled.permutation(len(data.gas))
            place = count % (len(data.gas) // plan.batch) * plan.batch
            rows = order[place : place + plan.batch]
            batch = tuple(jnp.asarray(column[rows]) for column in columns)
            state = step(jnp.asarray(count), state, batch, jax.random.fold_in(key, count))
        fitted = {
            name: np.asarray(value[0] if name.startswith("bias") else value)
            for name, value in read(state).items()
        }
        return fitted | {
            "centre": centre,
            "spread": spread,
            "middle_c": np.array(middle_c),
            "middle_log": np.array(middle_log),
        }


def _start(inputs: int, plan: Plan, key: Array) -> Weights:
    answers = 2 + 1 + len(GAS_CLASSES) + 1
    sizes = [inputs, plan.hidden, plan.hidden, answers]
    keys = jax.random.split(key, 3)
    weights = {
        f"layer_{i}": jax.random.normal(keys[i], (a, b))
        * math.sqrt((2.0 if i < 2 else 0.1) / a)
        for i, (a, b) in enumerate(pairwise(sizes))
    }
    return weights | {f"bias_{i}": jnp.zeros((1, size)) for i, size in enumerate(sizes[1:])}


def _loss(w: Weights, batch: tuple[Array, ...], key: Array, *, plan: Plan) -> Array:
    inputs, temperature, log_dwell, gas, reground = batch
    keys = jax.random.split(key, 2)

    def drop(k: Array, x: Array) -> Array:
        kept = jax.random.bernoulli(k, 1 - plan.dropout, x.shape)
        return jnp.where(kept, x / (1 - plan.dropout), 0.0)

    first = drop(keys[0], jax.nn.silu(inputs @ w["layer_0"] + w["bias_0"]))
    second = drop(keys[1], first + jax.nn.silu(first @ w["layer_1"] + w["bias_1"]))
    out = second @ w["layer_2"] + w["bias_2"]
    width = jnp.clip(out[:, 1], NARROWEST, WIDEST)
    losses = (
        _mean(
            jnp.abs(jnp.nan_to_num(temperature) - out[:, 0]) * jnp.exp(-width) + width,
            temperature,
        ),
        0.3 * _mean(jnp.abs(jnp.nan_to_num(log_dwell) - out[:, 2]), log_dwell),
        0.3 * _class_loss(out[:, 3:-1], gas),
        0.3
        * _class_loss(jnp.stack([jnp.zeros_like(out[:, -1]), out[:, -1]], axis=1), reground),
    )
    decay = sum(jnp.sum(w[f"layer_{i}"] ** 2) for i in range(3))
    return jnp.stack(losses).sum() + plan.decay * decay


def _mean(losses: Array, given: Array) -> Array:
    known = ~jnp.isnan(given)
    return jnp.where(known, losses, 0.0).sum() / jnp.maximum(known.sum(dtype=jnp.float32), 1.0)


def _class_loss(logits: Array, classes: Array) -> Array:
    logs = jax.nn.log_softmax(logits)
    right = jnp.take_along_axis(logs, jnp.maximum(classes, 0)[:, None], axis=1)[:, 0]
    known = classes >= 0
    return -jnp.where(known, right, 0.0).sum() / jnp.maximum(known.sum(dtype=jnp.float32), 1.0)
