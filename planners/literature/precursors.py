"""Precursor sets for a target, as the literature would choose them.

The probability of a set is what networks fitted to the text-mined procedures give it (see
``vocabulary`` for how a set is spelled). Each suggestion cites the procedures most like it
from the user's copy of the corpus: those whose target's embedding is near (cosine), times
the share of powders they have in common (Jaccard).
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from alab.errors import BadInput, TargetError
from planners.literature.arrays import Floats
from planners.literature.corpus import Procedure, corpus_path
from planners.literature.formulas import GAS_ELEMENTS, composition_key, reduced_formula
from planners.literature.kept_corpus import procedures_of
from planners.literature.model_file import read_model, write_model
from planners.literature.speller import BEAM, Speller
from planners.literature.vocabulary import Vocabulary, questions, shares_of

MODEL_FILE = "precursors.npz"
CITATIONS = 3

_WATER = re.compile(r"\(H2O\)\d*$|[·.*]\d*H2O$")
"""Water of hydration at the end of a formula, which the vocabulary knows none with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecursorSuggestion:
    """A set of powders for a target.

    Attributes:
        precursors: The powders, as papers write them.
        probability: That a paper which makes the target uses exactly this set.
        similar: Procedures most like it; empty without the corpus.
        note: Why there is no citation, and how to get one; empty where there is.
    """

    precursors: tuple[str, ...]
    probability: float
    similar: tuple[Procedure, ...]
    note: str


def recommend(
    target: str,
    *,
    count: int = 10,
    available: Collection[str] | None = None,
    model: Speller | None = None,
    corpus: Path | None = None,
) -> list[PrecursorSuggestion]:
    """The likeliest precursor sets for a target, best first.

    Args:
        target: Formula as a person types it.
        count: Most sets to return.
        available: Powders to choose from; all that the model knows if not given.
        model: Networks to ask; those of the project if not given.
        corpus: The user's copy of the text-mined reactions; from ``ALAB_LITERATURE`` if
            not given. Only the citations need it.

    Raises:
        TargetError: If no set of the powders makes the target; names what is missing.
        BadInput: If the target is no formula, holds an unknown element, or ``count`` < 1.
    """
    cited, note = _corpus(corpus)
    speller, shares = model or shipped_model(), shares_of(target)
    suggestions: list[PrecursorSuggestion] = []
    for written, probability in likely_sets(
        target, count=count, available=available, model=model
    ):
        powders = tuple(sorted(map(reduced_formula, written)))
        similar = () if cited is None else cite(speller, cited, shares, powders)
        suggestions.append(
            PrecursorSuggestion(
                precursors=written, probability=probability, similar=similar, note=note
            )
        )
    return suggestions


def likely_sets(
    target: str,
    *,
    count: int = 10,
    available: Collection[str] | None = None,
    model: Speller | None = None,
) -> list[tuple[tuple[str, ...], float]]:
    """The likeliest precursor sets and their probabilities, best first, without citations.

    Args and errors are those of :func:`recommend`.
    """
    if count < 1:
        raise BadInput(f"count is {count}; ask for at least 1 precursor set")
    speller = model or shipped_model()
    vocabulary, shares = speller.vocabulary, shares_of(target)
    tokens = None if available is None else _tokens(vocabulary, available)
    found = _searched(speller, target, None if tokens is None else tuple(tokens))[:count]
    if not found:
        raise TargetError(_nothing(target, vocabulary, shares, tokens))
    return [
        (tuple(vocabulary.written[t] for t in _by_name(vocabulary, chosen)), probability)
        for chosen, probability in found
    ]


def literature_score(target: str, precursors: Sequence[str]) -> float:
    """How usual a set is for a target, 0 to 1; see :func:`literature_scores`."""
    return literature_scores(target, [precursors])[0]


def literature_scores(
    target: str, sets: Sequence[Sequence[str]], *, model: Speller | None = None
) -> list[float]:
    """How usual sets are for a target, 0 to 1, the likeliest set of all having 1.

    ``(P(set) / P(likeliest set))^(1/n)`` with n the questions that spell a set of the
    target: the mean factor by which each choice is less likely than the best. Sets that no
    procedure could have used have 0.

    Raises:
        BadInput: If the target or a precursor is no formula, or holds an unknown element.
    """
    speller = model or shipped_model()
    logs = _logs(speller, target, sets)
    best = [float(np.log(probability)) for _, probability in _searched(speller, target)[:1]]
    top = max([*best, float(logs.max(initial=-np.inf))])
    asked = len(questions(speller.vocabulary, shares_of(target)))
    if not np.isfinite(top):
        return [0.0] * len(sets)
    return np.exp((logs - top) / asked).tolist()


def literature_probabilities(
    target: str, sets: Sequence[Sequence[str]], *, model: Speller | None = None
) -> list[float]:
    """The probability that a paper which makes the target uses exactly each set.

    It is 0 for a set that no procedure could have used.

    Raises:
        BadInput: If the target or a precursor is no formula, or holds an unknown element.
    """
    return np.exp(_logs(model or shipped_model(), target, sets)).tolist()


def is_known(powder: str) -> bool:
    """Whether two procedures or more that were learnt from use a powder."""
    return _spelled(shipped_model().vocabulary, powder) is not None


def anhydrous(powder: str) -> str:
    """The reduced formula of a powder without water of hydration, as papers are read."""
    dry = _WATER.sub("", powder)
    return reduced_formula(dry or powder)


def procedures_like(
    target: str, precursors: Sequence[str], *, corpus: Path | None = None
) -> tuple[tuple[Procedure, ...], str]:
    """Procedures most like a target made from some powders, best first.

    Returns:
        The procedures, and why there are none: empty where there are.
    """
    try:
        path = corpus_path(corpus)
        return _cited(path, target, tuple(precursors)), ""
    except BadInput as error:
        return (), str(error)


def cite(
    speller: Speller,
    corpus: Path,
    shares: dict[str, float],
    powders: Sequence[str],
    count: int = CITATIONS,
) -> tuple[Procedure, ...]:
    """Procedures of a corpus most like a target made from some powders, best first.

    One of each paper; of another composition than the target's, one alone.
    """
    procedures, embeddings = _embedded(speller, corpus)
    near = embeddings @ speller.embed(speller.vocabulary.describe(shares)[None])[0]
    shared = np.array([_jaccard(p.precursors, powders) for p in procedures])
    own, seen = composition_key(shares), set[str]()
    cited: list[Procedure] = []
    for i in np.argsort(-near * shared, kind="stable"):
        if len(cited) == count or shared[i] == 0:
            break
        doi, key = procedures[i].doi.casefold(), procedures[i].key
        if doi not in seen and (key == own or key not in seen):
            seen |= {doi, key}
            cited.append(procedures[i])
    return tuple(cited)


def as_papers_write(powder: str) -> str:
    """A powder as papers write it: NH4H2PO4, not H6NO4P."""
    vocabulary = shipped_model().vocabulary
    token = vocabulary.token.get(reduced_formula(powder))
    return powder if token is None else vocabulary.written[token]


@cache
def shipped_model() -> Speller:
    """The project's own networks."""
    return load_model(Path(str(files("planners.literature") / MODEL_FILE)))


def load_model(path: Path) -> Speller:
    """Read networks from a file.

    Raises:
        BadInput: If the file is missing or no such model.
    """
    stored = read_model(path)
    try:
        vocabulary = Vocabulary(
            elements=tuple(str(e) for e in stored.pop("elements")),
            powders=tuple(str(p) for p in stored.pop("powders")),
            written=tuple(str(p) for p in stored.pop("written")),
        )
    except KeyError as error:
        raise BadInput(f"{path} holds no {error}; it is no model of precursors") from error
    return Speller(vocabulary, stored)


def save_model(speller: Speller, path: Path) -> None:
    """Write networks to a file."""
    vocabulary = speller.vocabulary
    words = {name: np.array(getattr(vocabulary, name)) for name in
             ("elements", "powders", "written")}  # fmt: skip
    write_model(path, {**words, **speller.network})


def _by_name(vocabulary: Vocabulary, tokens: Collection[int]) -> list[int]:
    return sorted(tokens, key=lambda token: vocabulary.powders[token])


def _tokens(vocabulary: Vocabulary, powders: Collection[str]) -> list[int]:
    known = vocabulary.token
    return sorted({known[s] for powder in powders if (s := _spelled(vocabulary, powder))})


def _spelled(vocabulary: Vocabulary, powder: str) -> str | None:
    """A powder as the vocabulary has it; a hydrate is known by its anhydrous salt."""
    return next(
        (p for p in (reduced_formula(powder), anhydrous(powder)) if p in vocabulary.token), None
    )


def _logs(speller: Speller, target: str, sets: Sequence[Sequence[str]]) -> Floats:
    """Logarithm of the probability of each set; −∞ for what cannot be spelled."""
    vocabulary = speller.vocabulary
    spelled = [[_spelled(vocabulary, powder) or "" for powder in powders] for powders in sets]
    return speller.log_probabilities(shares_of(target), spelled)


@lru_cache(maxsize=128)
def _searched(
    speller: Speller, target: str, available: tuple[int, ...] | None = None
) -> tuple[tuple[tuple[int, ...], float], ...]:
    """All sets that the search keeps; planning one target asks for them again and again."""
    return tuple(speller.search(shares_of(target), BEAM, available))


@lru_cache(maxsize=256)
def _cited(path: Path, target: str, precursors: tuple[str, ...]) -> tuple[Procedure, ...]:
    speller = shipped_model()
    spelled = [_spelled(speller.vocabulary, p) or reduced_formula(p) for p in precursors]
    return cite(speller, path, shares_of(target), spelled)


def _nothing(
    target: str, vocabulary: Vocabulary, shares: dict[str, float], tokens: list[int] | None
) -> str:
    allowed = vocabulary.allowed(shares, tokens)
    brought = np.asarray(vocabulary.holds[allowed].any(axis=0))
    missing = [e for e in shares if not brought[vocabulary.place[e]] and e not in GAS_ELEMENTS]
    return (
        f"{target}: none of the powders that the literature uses and that may be taken brings "
        f"{' and '.join(missing) or 'all of it'} without a foreign element; allow other powders"
    )


def _corpus(given: Path | None) -> tuple[Path | None, str]:
    try:
        return corpus_path(given), ""
    except BadInput as error:
        if given is not None:
            raise
        return None, f"no citation: {error}"


@lru_cache(maxsize=2)
def _embedded(speller: Speller, path: Path) -> tuple[tuple[Procedure, ...], Floats]:
    known = set(speller.vocabulary.elements)
    procedures = tuple(p for p in procedures_of(path) if p.shares.keys() <= known)
    inputs = np.stack([speller.vocabulary.describe(p.shares) for p in procedures])
    return procedures, speller.embed(inputs)


def _jaccard(one: Sequence[str], other: Sequence[str]) -> float:
    return len(set(one) & set(other)) / len(set(one) | set(other))
