"""Fit the networks that spell precursor sets, by maximum likelihood."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.example_libraries.optimizers import adam
from numpy.typing import NDArray
from pymatgen.core import Composition

from alab.errors import BadInput
from planners.literature.arrays import Flags, Floats, Ints
from planners.literature.corpus import Procedure
from planners.literature.vocabulary import LONGEST_SET, REST, Vocabulary

LEAST_USES = 2
"""A powder that fewer training procedures use is not in the vocabulary."""

Weights = dict[str, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a network is fitted; chosen on the validation targets.

    Attributes:
        embedding: Size of a target's embedding.
        hidden: Size of the layer that answers.
        dropout: Share of units left out at each step.
        decay: Weight decay.
        step: Largest step of Adam.
        batch: Answers in a step.
        epochs: How often each procedure is seen.
    """

    embedding: int = 96
    hidden: int = 192
    dropout: float = 0.2
    decay: float = 1e-5
    step: float = 2e-3
    batch: int = 512
    epochs: int = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """All questions and answers of the training procedures, as arrays.

    Attributes:
        targets: Input of each target.
        allowed: Powders each target allows.
        target: Which target an answer belongs to.
        question: Place of the element asked for.
        chosen: Tokens chosen before, padded with the token of the stop.
        last: Token chosen last for the same element, −1 if none.
        covered: Whether a stop is allowed.
        answer: The right token.
    """

    targets: Floats
    allowed: Flags
    target: Ints
    question: Ints
    chosen: Ints
    last: Ints
    covered: Flags
    answer: Ints


def learn_vocabulary(procedures: Sequence[Procedure], written: Mapping[str, str]) -> Vocabulary:
    """Elements and powders of the training procedures, the most used first."""
    uses = Counter(powder for p in procedures for powder in p.precursors)
    kept = sorted((p for p, n in uses.items() if n >= LEAST_USES), key=lambda p: (-uses[p], p))
    elements = {REST} | {e for p in procedures for e in p.shares}
    kept = [p for p in kept if set(Composition(p).get_el_amt_dict()) <= elements | {*"HCN"}]
    return Vocabulary(
        elements=tuple(sorted(elements | {*"HCN"})),
        powders=tuple(kept),
        written=tuple(written.get(powder, powder) for powder in kept),
    )


def spell_all(vocabulary: Vocabulary, procedures: Sequence[Procedure]) -> Answers:
    """Turn procedures into questions and answers; leaves out what cannot be spelled.

    Raises:
        BadInput: If none can.
    """
    targets, allowed = [], []
    rows: list[tuple[int, int, list[int], int, bool, int]] = []
    for procedure in procedures:
        steps = vocabulary.spell(procedure.shares, procedure.precursors)
        if steps is None:
            continue
        chosen: list[int] = []
        last = (-1, -1)
        for question, answer in steps:
            before = last[1] if last[0] == question else -1
            covered = is_covered(vocabulary, question, chosen)
            rows.append((len(targets), question, list(chosen), before, covered, answer))
            if answer != vocabulary.stop:
                chosen.append(answer)
                last = (question, answer)
        targets.append(vocabulary.describe(procedure.shares))
        allowed.append(vocabulary.allowed(procedure.shares))
    if not rows:
        raise BadInput("no procedure can be learnt from; give more than a handful of them")
    pad = vocabulary.stop
    return Answers(
        targets=np.stack(targets),
        allowed=np.stack(allowed),
        target=np.array([r[0] for r in rows]),
        question=np.array([r[1] for r in rows]),
        chosen=np.array([r[2] + [pad] * (LONGEST_SET - len(r[2])) for r in rows]),
        last=np.array([r[3] for r in rows]),
        covered=np.array([r[4] for r in rows]),
        answer=np.array([r[5] for r in rows]),
    )


def is_covered(vocabulary: Vocabulary, question: int, chosen: Sequence[int]) -> bool:
    """Whether the element asked for is brought already, so that a stop is allowed."""
    rest = vocabulary.place[REST]
    return question == rest or bool(vocabulary.holds[list(chosen), question].any())


def fit(
    vocabulary: Vocabulary, answers: Answers, plan: Plan, seed: int
) -> dict[str, NDArray[Any]]:
    """Fit one network; the same seed gives the same weights."""
    with jax.enable_x64(False):  # noqa: FBT003 - whatever else runs in this process
        weights = _start(vocabulary, plan, jax.random.key(seed))
        start, update, read = adam(_warm_and_cool(plan, len(answers.answer)))
        state = start(weights)
        lead = jnp.asarray(vocabulary.lead)
        shuffled = np.random.default_rng(seed)

        @jax.jit
        def step(i: Any, state: Any, batch: tuple[Array, ...], key: Array) -> Any:
            gradient = jax.grad(partial(_loss, plan=plan, lead=lead))(read(state), batch, key)
            return update(i, gradient, state)

        count = 0
        keys = jax.random.key(seed + 1)
        for _ in range(plan.epochs):
            order = shuffled.permutation(len(answers.answer))
            whole = len(order) // plan.batch
            for rows in np.split(order[: whole * plan.batch], whole):
                key = jax.random.fold_in(keys, count)
                state = step(jnp.asarray(count), state, _batch(answers, rows), key)
                count += 1
        return {
            name: np.asarray(value[0] if name.endswith("bias") else value)
            for name, value in read(state).items()
        }


def _batch(answers: Answers, rows: Ints) -> tuple[Array, ...]:
    t = answers.target[rows]
    return (
        jnp.asarray(answers.targets[t]),
        jnp.asarray(answers.allowed[t]),
        jnp.asarray(answers.question[rows]),
        jnp.asarray(answers.chosen[rows]),
        jnp.asarray(answers.last[rows]),
        jnp.asarray(answers.covered[rows]),
        jnp.asarray(answers.answer[rows]),
    )


def _warm_and_cool(plan: Plan, size: int) -> Callable[[Array], Array]:
    """Steps that grow over the first twentieth and then fall as a cosine."""
    total = plan.epochs * (size // plan.batch)

    def rate(i: Array) -> Array:
        return (
            plan.step
            * jnp.minimum(1.0, (i + 1) / (0.05 * total))
            * jnp.maximum(0.02, 0.5 * (1 + jnp.cos(jnp.pi * i / total)))
        )

    return rate


def _start(vocabulary: Vocabulary, plan: Plan, key: Array) -> Weights:
    inputs, powders = 2 * len(vocabulary.elements), len(vocabulary.powders)
    shapes = {
        "target_in": (inputs, plan.hidden),
        "target_out": (plan.hidden, plan.embedding),
        "hidden_target": (plan.embedding, plan.hidden),
        "hidden_question": (len(vocabulary.elements), plan.hidden),
        "hidden_chosen": (powders + 1, plan.hidden),
        "hidden_again": (plan.hidden, plan.hidden),
        "answer": (plan.hidden, powders + 1),
    }
    keys = jax.random.split(key, len(shapes))
    weights = {
        name: jax.random.normal(k, shape) * math.sqrt(2.0 / shape[0])
        for k, (name, shape) in zip(keys, shapes.items(), strict=True)
    }
    for name in ("hidden_question", "hidden_chosen"):
        weights[name] = weights[name] * math.sqrt(shapes[name][0] / plan.hidden)
    biases = {
        "target_in": plan.hidden,
        "target_out": plan.embedding,
        "hidden": plan.hidden,
        "hidden_again": plan.hidden,
        "answer": powders + 1,
    }
    return weights | {f"{name}_bias": jnp.zeros((1, size)) for name, size in biases.items()}


def _loss(
    w: Weights, batch: tuple[Array, ...], key: Array, *, plan: Plan, lead: Array
) -> Array:
    targets, allowed, question, chosen, last, covered, answer = batch
    keys = jax.random.split(key, 3)

    def drop(k: Array, x: Array) -> Array:
        kept = jax.random.bernoulli(k, 1 - plan.dropout, x.shape)
        return jnp.where(kept, x / (1 - plan.dropout), 0.0)

    first = drop(keys[0], jax.nn.relu(targets @ w["target_in"] + w["target_in_bias"]))
    embedding = jnp.tanh(first @ w["target_out"] + w["target_out_bias"])
    stop = w["hidden_chosen"].shape[0] - 1
    taken = jnp.where((chosen < stop)[..., None], w["hidden_chosen"][chosen], 0.0).sum(axis=1)
    second = jax.nn.relu(
        embedding @ w["hidden_target"]
        + w["hidden_question"][question]
        + taken
        + w["hidden_bias"]
    )
    third = jax.nn.relu(drop(keys[1], second) @ w["hidden_again"] + w["hidden_again_bias"])
    logits = drop(keys[2], third + second) @ w["answer"] + w["answer_bias"]
    tokens = jnp.arange(stop)
    open_ = allowed & (lead[None, :] == question[:, None]) & (tokens[None, :] > last[:, None])
    mask = jnp.concatenate([open_, covered[:, None]], axis=1)
    logits = jnp.where(mask, logits, -1e9)
    right = jnp.take_along_axis(jax.nn.log_softmax(logits), answer[:, None], axis=1)
    decay = sum(jnp.sum(value**2) for value in w.values())
    return -right.mean() + plan.decay * decay
