"""The fitted network that spells precursor sets, and the search for the likeliest sets."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planners.literature.arrays import Flags, Floats
from planners.literature.vocabulary import REST, Vocabulary, questions

BEAM = 40
"""Sets kept in the search; twice as many change none of the first ten."""

Network = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class _Draft:
    """A set half spelled."""

    tokens: tuple[int, ...]
    last: int
    log_probability: float


@dataclass(frozen=True, slots=True, eq=False)
class Speller:
    """A network that spells precursor sets.

    Attributes:
        vocabulary: Elements and powders.
        network: Weights, as ``fit_precursors.fit`` returns them.
    """

    vocabulary: Vocabulary
    network: Network

    def embed(self, inputs: Floats) -> Floats:
        """Embeddings of targets, of length 1: near where the same powders are used.

        Args:
            inputs: (targets, inputs) descriptions, from ``Vocabulary.describe``.
        """
        n = self.network
        first = np.maximum(inputs @ n["target_in"] + n["target_in_bias"], 0)
        embedded = np.tanh(first @ n["target_out"] + n["target_out_bias"])
        return embedded / np.linalg.norm(embedded, axis=1, keepdims=True)

    def search(
        self, shares: Mapping[str, float], count: int, available: Collection[int] | None = None
    ) -> list[tuple[tuple[int, ...], float]]:
        """The likeliest sets, as tokens, with their probability, by beam search."""
        allowed = self.vocabulary.allowed(shares, available)
        context = self._context(shares)
        drafts = [_Draft(tokens=(), last=-1, log_probability=0.0)]
        for question in questions(self.vocabulary, shares):
            drafts = self._answer(context, allowed, question, drafts)
        return [
            (d.tokens, float(np.exp(d.log_probability))) for d in drafts[:count] if d.tokens
        ]

    def log_probabilities(
        self, shares: Mapping[str, float], sets: Sequence[Sequence[str]]
    ) -> Floats:
        """Logarithm of each set's probability; −∞ for what cannot be spelled."""
        allowed, context = self.vocabulary.allowed(shares), self._context(shares)
        rows: dict[tuple[int, tuple[int, ...], int], Floats] = {}

        def row(question: int, tokens: tuple[int, ...], last: int) -> Floats:
            if (question, tokens, last) not in rows:
                draft = _Draft(tokens=tokens, last=last, log_probability=0.0)
                found = self._log_answers(context, allowed, question, [draft])[0]
                rows[question, tokens, last] = found
            return rows[question, tokens, last]

        def total(steps: Sequence[tuple[int, int]]) -> float:
            log_probability, tokens, last = 0.0, (), -1
            for question, answer in steps:
                log_probability += float(row(question, tokens, last)[answer])
                ended = answer == self.vocabulary.stop
                tokens, last = (tokens, -1) if ended else ((*tokens, answer), answer)
            return log_probability

        spelled = [self.vocabulary.spell(shares, powders) for powders in sets]
        return np.array([-np.inf if steps is None else total(steps) for steps in spelled])

    def _context(self, shares: Mapping[str, float]) -> Floats:
        n = self.network
        inputs = self.vocabulary.describe(shares)
        first = np.maximum(inputs @ n["target_in"] + n["target_in_bias"], 0)
        embedded = np.tanh(first @ n["target_out"] + n["target_out_bias"])
        return embedded @ n["hidden_target"] + n["hidden_bias"]

    def _answer(
        self,
        context: Floats,
        allowed: Flags,
        question: int,
        drafts: list[_Draft],
    ) -> list[_Draft]:
        """Answer one question in all ways, keeping the likeliest."""
        closed: list[_Draft] = []
        growing = [_Draft(d.tokens, -1, d.log_probability) for d in drafts]
        while growing:
            logs = self._log_answers(context, allowed, question, growing)
            closed += [
                _Draft(d.tokens, -1, d.log_probability + row[-1])
                for d, row in zip(growing, logs, strict=True)
            ]
            closed = _best(closed)
            floor = closed[-1].log_probability if len(closed) == BEAM else -np.inf
            growing = _best(
                [
                    _Draft((*d.tokens, int(t)), int(t), d.log_probability + row[t])
                    for d, row in zip(growing, logs, strict=True)
                    for t in np.flatnonzero(d.log_probability + row[:-1] > floor)
                ]
            )
        return closed

    def _log_answers(
        self,
        context: Floats,
        allowed: Flags,
        question: int,
        drafts: list[_Draft],
    ) -> Floats:
        stop = self.vocabulary.stop
        mask = np.zeros((len(drafts), stop + 1), dtype=bool)
        for row, draft in zip(mask, drafts, strict=True):
            row[:stop] = allowed & (self.vocabulary.lead == question)
            row[: draft.last + 1] = False
            row[stop] = question == self.vocabulary.place[REST] or bool(
                self.vocabulary.holds[list(draft.tokens), question].any()
            )
        columns = np.flatnonzero(mask.any(axis=0))
        logs = np.full(mask.shape, -np.inf)
        if len(columns):
            shown = mask[:, columns]
            logits = _logits(self.network, context, question, drafts, columns)
            shares = _softmax(logits, shown)
            with np.errstate(divide="ignore"):
                logs[:, columns] = np.log(shares)
        return logs


def _best(drafts: list[_Draft]) -> list[_Draft]:
    likely = [d for d in drafts if np.isfinite(d.log_probability)]
    return sorted(likely, key=lambda d: (-d.log_probability, d.tokens))[:BEAM]


def _logits(
    n: Network,
    context: Floats,
    question: int,
    drafts: list[_Draft],
    columns: np.ndarray,
) -> Floats:
    taken = np.stack([n["hidden_chosen"][list(d.tokens)].sum(axis=0) for d in drafts])
    second = np.maximum(context + n["hidden_question"][question] + taken, 0)
    third = np.maximum(second @ n["hidden_again"] + n["hidden_again_bias"], 0)
    return (third + second) @ n["answer"][:, columns] + n["answer_bias"][columns]


def _softmax(logits: Floats, shown: Flags) -> Floats:
    masked = np.where(shown, logits, -np.inf)
    top = masked.max(axis=1, keepdims=True)
    powers = np.exp(masked - np.where(np.isfinite(top), top, 0.0))
    total = powers.sum(axis=1, keepdims=True)
    return np.divide(powers, total, out=np.zeros_like(powers), where=total > 0)
