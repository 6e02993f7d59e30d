"""Fit the network that places procedures so that near ones were fired alike.

While learning, each procedure of a batch is told by the votes of 8,192 others, drawn anew for
each step; those of its own composition have none, as a target that is asked for later was not
learnt from either. Four answers are learnt at once: the temperature (the mean distance of the
votes' mean, and the likelihood of the votes as Laplace distributions), the logarithm of the
dwell, gas and regrinding. A procedure that lacks an answer teaches the others.

What is decided of a firing before its temperature (pressing, a firing before, the gas) is
now and then hidden from the one who asks, part by part, so that the model answers with whatever
is told. The gas is learnt where it is hidden, and regrinding where it is hidden whether this is
the first firing. Voters know their routes.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.example_libraries.optimizers import adam
from numpy.typing import NDArray

from planners.literature.arrays import Floats, Ints
from planners.literature.conditions import Reported, distances, placed
from planners.literature.corpus import Procedure
from planners.literature.features import ROUTE, ROUTE_INPUTS, describe, powder_key
from planners.literature.firing import GAS_CLASSES

Weights = dict[str, Array]

TEMPERATURE_SCALE_C = 250.0
"""About the spread of firing temperatures: makes losses of order one."""

COMMON = 10
"""Powders that so many procedures use have an input of their own."""

FLAG_SPREAD = 0.5
"""Of single powders and of the route, the same for all: the rare ones would count most by their
standard deviation, and what is left open counts as 0."""

_FIRST_WIDTH = 0.15
"""Of a vote as a Laplace distribution, in units of the temperature scale; learnt further."""

_NO_VOTE = -1e9
_LEAST_SHARE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a network is fitted; chosen on the validation targets."""

    hidden: int = 256
    dimensions: int = 32
    dropout: float = 0.2
    decay: float = 1e-5
    step: float = 1e-3
    batch: int = 256
    voters: int = 8192
    epochs: int = 15
    other_answers: float = 0.1
    hidden_route: float = 0.25


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Examples:
    """Procedures as arrays.

    Attributes:
        inputs: (n, inputs) descriptions.
        compositions: (n,) the same number for the same composition.
        reported: What each reports.
    """

    inputs: Floats
    compositions: Ints
    reported: Reported


def common_powders(procedures: Sequence[Procedure], least: int = COMMON) -> tuple[str, ...]:
    """Compositions of the powders that many procedures use, the most used first."""
    uses = Counter(powder_key(powder) for p in procedures for powder in p.precursors)
    return tuple(powder for powder, count in uses.most_common() if count >= least)


def examples(
    procedures: Sequence[Procedure], elements: Sequence[str], powders: Sequence[str]
) -> Examples:
    """Turn procedures into arrays."""
    firings = [p.firing for p in procedures]
    number = {key: i for i, key in enumerate(sorted({p.key for p in procedures}))}
    return Examples(
        inputs=np.stack(
            [
                describe(p.shares, p.precursors, p.firing.route, elements, powders)
                for p in procedures
            ]
        ),
        compositions=np.array([number[p.key] for p in procedures]),
        reported=Reported(
            temperature_c=np.array([f.temperature_c or np.nan for f in firings]),
            log_dwell_h=np.log([f.dwell_h or np.nan for f in firings]),
            gas=np.array([_place(GAS_CLASSES, f.route.gas) for f in firings]),
            reground=np.array([-1 if f.reground is None else int(f.reground) for f in firings]),
        ),
    )


def _place(classes: Sequence[str], one: str | None) -> int:
    return -1 if one is None else classes.index(one)


def fit(data: Examples, powders: int, plan: Plan, seed: int) -> dict[str, NDArray[Any]]:
    """Fit a network; the same seed gives the same weights.

    Args:
        data: What is learnt from; each procedure gives a temperature.
        powders: How many of the last inputs say which powder is there.
        plan: How it is fitted.
        seed: Of first weights, order and votes.
    """
    with jax.enable_x64(False):  # noqa: FBT003 - whatever else runs in this process
        scale = _scale(data.inputs, powders)
        table = _Table.of(data)
        weights = _start(data.inputs.shape[1], plan, jax.random.key(seed))
        a_pass = max(1, len(data.inputs) // plan.batch)
        steps = plan.epochs * a_pass
        start, update, read = adam(
            lambda i: plan.step * jnp.maximum(0.01, 0.5 * (1 + jnp.cos(jnp.pi * i / steps)))
        )
        state = start(weights)

        @jax.jit
        def step(i: Any, state: Any, told: Array, voters: Array, key: Array) -> Any:
            hide, drop = jax.random.split(key)
            asked = table.rows(told).with_hidden_route(powders, plan.hidden_route, hide)

            def loss(weights: Weights) -> Array:
                return _loss(weights | scale, asked, table.rows(voters), drop, plan)

            return update(i, jax.grad(loss)(read(state)), state)

        drawn = np.random.default_rng(seed)
        order = np.arange(len(data.inputs))
        key = jax.random.key(seed + 1)
        for count in range(steps):
            place = count % a_pass
            if place == 0:
                order = drawn.permutation(len(order))
            told = order[place * plan.batch : (place + 1) * plan.batch]
            voters = drawn.choice(len(order), min(plan.voters, len(order)), replace=False)
            once = jax.random.fold_in(key, count)
            state = step(
                jnp.asarray(count), state, jnp.asarray(told), jnp.asarray(voters), once
            )
        fitted = {name: np.asarray(value) for name, value in read(state).items()}
        return fitted | {name: np.asarray(value) for name, value in scale.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """Examples on the device; an answer that is not given has weight 0."""

    inputs: Array
    compositions: Array
    temperature: Array
    log_dwell: Array
    dwell_given: Array
    gas: Array
    reground: Array

    @classmethod
    def of(cls, data: Examples) -> "_Table":
        reported = data.reported
        given = ~np.isnan(reported.log_dwell_h)
        return cls(
            inputs=_single(data.inputs),
            compositions=jnp.asarray(data.compositions.astype(np.int32)),
            temperature=_single(reported.temperature_c / TEMPERATURE_SCALE_C),
            log_dwell=_single(np.where(given, reported.log_dwell_h, 0.0)),
            dwell_given=_single(given),
            gas=_single(reported.gas[:, None] == np.arange(len(GAS_CLASSES))),
            reground=_single(reported.reground[:, None] == np.arange(2)),
        )

    def rows(self, rows: Array) -> "_Table":
        return _Table(**{name: getattr(self, name)[rows] for name in self.__slots__})

    def with_hidden_route(self, powders: int, chance: float, key: Array) -> "_Table":
        """Each part of the route hidden by chance; it is told or asked for, never both."""
        first = self.inputs.shape[1] - powders - ROUTE_INPUTS
        drawn = jax.random.bernoulli(key, chance, (len(ROUTE), len(self.inputs), 1))
        hidden = dict(zip(ROUTE, drawn.astype(jnp.float32), strict=True))
        inputs = self.inputs
        for name, part in ROUTE.items():
            columns = slice(first + part.start, first + part.stop)
            inputs = inputs.at[:, columns].multiply(1.0 - hidden[name])
        return replace(
            self,
            inputs=inputs,
            gas=self.gas * hidden["gas"],
            reground=self.reground * hidden["fired_before"],
        )


def _single(values: NDArray[Any]) -> Array:
    return jnp.asarray(values.astype(np.float32))


def _scale(inputs: Floats, powders: int) -> Weights:
    centre, spread = inputs.mean(axis=0), inputs.std(axis=0) + 1e-2
    first = inputs.shape[1] - powders - ROUTE_INPUTS
    centre[first:], spread[first:] = 0.0, FLAG_SPREAD
    return {"centre": _single(centre), "spread": _single(spread)}


def _start(inputs: int, plan: Plan, key: Array) -> Weights:
    sizes = {
        "layer_0": (inputs, plan.hidden),
        "layer_1": (plan.hidden, plan.hidden),
        "layer_2": (plan.hidden, plan.dimensions),
        "straight": (inputs, plan.dimensions),
    }
    keys = jax.random.split(key, len(sizes))
    weights = {
        name: jax.random.normal(keys[i], size, dtype=jnp.float32) / math.sqrt(size[0])
        for i, (name, size) in enumerate(sizes.items())
    }
    zeros = jnp.zeros(plan.hidden, dtype=jnp.float32)
    width = jnp.full((), math.log(_FIRST_WIDTH), dtype=jnp.float32)
    return weights | {"bias_0": zeros, "bias_1": zeros, "log_width": width}


def _loss(
    w: Mapping[str, Array], told: _Table, voters: _Table, key: Array, plan: Plan
) -> Array:
    keys = jax.random.split(key, 4)

    def place(inputs: Array, keys: Array) -> Array:
        def drop(layer: int, hidden: Array) -> Array:
            kept = jax.random.bernoulli(keys[layer], 1 - plan.dropout, hidden.shape)
            return jnp.where(kept, hidden / (1 - plan.dropout), 0.0)

        return placed(w, inputs, xp=jnp, drop=drop)

    asked, places = place(told.inputs, keys[:2]), place(voters.inputs, keys[2:])
    same = told.compositions[:, None] == voters.compositions[None, :]
    logs = jax.nn.log_softmax(
        jnp.where(same, _NO_VOTE, -distances(asked, places, xp=jnp)), axis=1
    )
    votes = jnp.exp(logs)
    apart = jnp.abs(told.temperature[:, None] - voters.temperature[None, :])
    width = w["log_width"]
    likelihood = jax.nn.logsumexp(logs - apart * jnp.exp(-width) - width, axis=1)
    middle = votes @ voters.temperature
    dwell = _voted(votes, voters.dwell_given, voters.log_dwell[:, None])[:, 0]
    others = (
        _mean(jnp.abs(dwell - told.log_dwell), told.dwell_given),
        _class_loss(votes, voters.gas, told.gas),
        _class_loss(votes, voters.reground, told.reground),
    )
    decay = sum(jnp.sum(a**2) for a in w.values() if a.ndim == 2)
    return (
        jnp.abs(middle - told.temperature).mean()
        - 0.5 * likelihood.mean()
        + plan.other_answers * jnp.stack(others).sum()
        + 0.5 * plan.decay * decay
    )


def _voted(votes: Array, given: Array, answers: Array) -> Array:
    """Mean answers (m, k) of those voters who give one."""
    kept = votes * given[None, :]
    return (kept @ answers) / (kept.sum(axis=1, keepdims=True) + 1e-6)


def _mean(losses: Array, given: Array) -> Array:
    return (losses * given).sum() / jnp.maximum(given.sum(), 1.0)


def _class_loss(votes: Array, voted: Array, right: Array) -> Array:
    shares = (_voted(votes, voted.sum(axis=1), voted) * right).sum(axis=1)
    return -_mean(jnp.log(shares + _LEAST_SHARE), right.sum(axis=1))
