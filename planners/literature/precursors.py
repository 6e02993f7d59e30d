"""Precursor sets for a target, as the literature would choose them.

The probability of a set is what networks fitted to the text-mined procedures give it (see
``vocabulary`` for how a set is spelled). Each suggestion cites the procedures most like it
from the user's copy of the corpus: those whose target's embedding is near (cosine), times
the share of powders they have in common (Jaccard).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from alab.errors import BadInput, TargetError
from planners.literature.arrays import Floats
from planners.literature.corpus import Corpus, Procedure, corpus_path, read_corpus
from planners.literature.formulas import GAS_ELEMENTS, reduced_formula
from planners.literature.model_file import read_model, write_model
from planners.literature.speller import Speller
from planners.literature.vocabulary import Vocabulary, questions, shares_of

MODEL_FILE = "precursors.npz"
CITATIONS = 3


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
    if count < 1:
        raise BadInput(f"count is {count}; ask for at least 1 precursor set")
    speller = model or shipped_model()
    vocabulary, shares = speller.vocabulary, shares_of(target)
    tokens = None if available is None else _tokens(vocabulary, available)
    found = speller.search(shares, count, tokens)
    if not found:
        raise TargetError(_nothing(target, vocabulary, shares, tokens))
    cited, note = _corpus(corpus)
    suggestions: list[PrecursorSuggestion] = []
    for chosen, probability in found:
        powders = tuple(sorted(vocabulary.powders[t] for t in chosen))
        similar = () if cited is None else cite(speller, cited, shares, powders)
        written = tuple(vocabulary.written[vocabulary.token[powder]] for powder in powders)
        suggestions.append(
            PrecursorSuggestion(
                precursors=written, probability=probability, similar=similar, note=note
            )
        )
    return suggestions


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
    shares = shares_of(target)
    logs = speller.log_probabilities(
        shares, [[reduced_formula(powder) for powder in powders] for powders in sets]
    )
    best = speller.search(shares, 1)
    if not best:
        return [0.0] * len(sets)
    top = max(float(np.log(best[0][1])), float(logs.max(initial=-np.inf)))
    return np.exp((logs - top) / len(questions(speller.vocabulary, shares))).tolist()


def cite(
    speller: Speller,
    corpus: Path,
    shares: dict[str, float],
    powders: Sequence[str],
    count: int = CITATIONS,
) -> tuple[Procedure, ...]:
    """Procedures of a corpus most like a target made from some powders, best first."""
    procedures, embeddings = _embedded(speller, corpus)
    near = embeddings @ speller.embed(speller.vocabulary.describe(shares)[None])[0]
    shared = np.array([_jaccard(p.precursors, powders) for p in procedures])
    order = np.argsort(-near * shared, kind="stable")[:count]
    return tuple(procedures[i] for i in order if shared[i] > 0)


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


def _tokens(vocabulary: Vocabulary, powders: Collection[str]) -> list[int]:
    known = vocabulary.token
    return [known[p] for p in sorted({reduced_formula(p) for p in powders}) if p in known]


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
    corpus: Corpus = read_corpus(path)
    known = set(speller.vocabulary.elements)
    procedures = tuple(p for p in corpus.procedures if p.shares.keys() <= known)
    inputs = np.stack([speller.vocabulary.describe(p.shares) for p in procedures])
    return procedures, speller.embed(inputs)


def _jaccard(one: Sequence[str], other: Sequence[str]) -> float:
    return len(set(one) & set(other)) / len(set(one) | set(other))
