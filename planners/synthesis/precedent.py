"""What papers do: how usual a set of powders is for a target, and procedures near it.

Probabilities are those of ``planners.literature.precursors``; a powder that fewer than
two of the procedures learnt from use cannot be spelled there and falls back on how usual its
family is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alab.errors import BadInput, TargetError
from planners.literature.corpus import Procedure
from planners.literature.precursors import (
    anhydrous,
    as_papers_write,
    is_known,
    likely_sets,
    literature_probabilities,
    literature_scores,
    procedures_like,
)
from planners.synthesis.enumeration import PrecursorSets
from planners.synthesis.grand_potential import FloatArray
from planners.synthesis.practical import usualness

NAMED = 0.01
"""A set less likely than this is not what papers do."""

_SETS_ASKED = 40
_UNKNOWN_SHARE = 0.25
"""What the table of families counts for beside the model: the sets of a 200-compound shelf
that papers could use have a median score of 0.06 to 0.23, the table gives the others 0.5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precedent:
    """What papers do about a set of powders for a target.

    Attributes:
        probability: That a paper which makes the target uses exactly this set.
        place: Of this set among those that papers take; None if it is none of them.
        named: How many sets papers take with a probability of 1 % or more.
        likeliest: The likeliest of these; empty if there is none.
        likeliest_probability: Its probability.
        unknown: Powders of the set that fewer than two procedures learnt from use.
        similar: Procedures most like it; empty without the user's copy of them.
        note: Why there is no citation, and how to get one; empty where there is.
    """

    probability: float
    place: int | None
    named: int
    likeliest: tuple[str, ...]
    likeliest_probability: float
    unknown: tuple[str, ...]
    similar: tuple[Procedure, ...]
    note: str


def usual_sets(sets: PrecursorSets) -> FloatArray:
    """How usual the powders of each set are for its target, 0 to 1; shape (sets,)."""
    names = [sets.names(row) for row in range(len(sets))]
    try:
        learnt = np.array(literature_scores(sets.target, names))
    except BadInput:  # an element that no procedure learnt from holds
        return usual_by_family(sets)
    return np.where(learnt > 0, learnt, _UNKNOWN_SHARE * usual_by_family(sets))


def usual_by_family(sets: PrecursorSets) -> FloatArray:
    """How usual the powders of each set are, whatever the target: their mean."""
    each = np.array([*map(usualness, sets.powders), 0.0])[sets.members]
    return each.sum(axis=1) / np.sum(sets.members >= 0, axis=1)


def likeliest_set(sets: PrecursorSets) -> int | None:
    """Row of the set that papers would take first; None if they would take none of them."""
    try:
        likely = likely_sets(sets.target, count=_SETS_ASKED, available=sets.powders)
    except (TargetError, BadInput):
        return None
    rows = (_row(sets, powders) for powders, _ in likely)
    row = next((row for row in rows if row is not None), None)
    if row is None:
        return None
    (probability,) = literature_probabilities(sets.target, [sets.names(row)])
    return row if probability >= NAMED else None


def precedents(target: str, sets: Sequence[Sequence[str]]) -> list[Precedent]:
    """What papers do about each of some sets.

    Raises:
        BadInput: If no procedure was learnt from with one of the target's elements.
    """
    named = [(s, p) for s, p in likely_sets(target, count=_SETS_ASKED) if p >= NAMED]
    likeliest, likeliest_probability = named[0] if named else ((), 0.0)
    probabilities = literature_probabilities(target, sets)
    found: list[Precedent] = []
    for powders, probability in zip(sets, probabilities, strict=True):
        similar, note = procedures_like(target, powders)
        above = sum(p > probability * (1 + 1e-6) for _, p in named)
        found.append(
            Precedent(
                probability=probability,
                place=above + 1 if probability >= NAMED else None,
                named=len(named),
                likeliest=likeliest,
                likeliest_probability=likeliest_probability,
                unknown=tuple(p for p in powders if not is_known(p)),
                similar=similar,
                note=note,
            )
        )
    return found


def precedent_reasons(precedent: Precedent) -> list[str]:
    """What speaks for a set, in sentences: that papers take it, and which are near."""
    found: list[str] = []
    if precedent.place is not None:
        first = precedent.place == 1
        rank = "likeliest" if first else f"{_ordinal(precedent.place)} likeliest"
        best = "" if first else f"; the likeliest is {_best(precedent)}"
        found.append(
            f"Papers take these powders: {rank} of {precedent.named} sets "
            f"({precedent.probability * 100:.0f} %){best}."
        )
    if precedent.similar:
        found.append(f"Nearest procedures: {_cited(precedent.similar)}.")
    return found


def precedent_risks(precedent: Precedent) -> list[str]:
    """What speaks against a set, in a sentence: that papers do not take it."""
    if precedent.place is not None:
        return []
    instead = f"; the likeliest set is {_best(precedent)}" if precedent.likeliest else ""
    if precedent.unknown:
        powders = " and ".join(precedent.unknown)
        return [f"At most one paper learnt from uses {powders}{instead}."]
    return [f"Hardly a paper makes such targets from these powders (below 1 %){instead}."]


def _row(sets: PrecursorSets, powders: Sequence[str]) -> int | None:
    """Row of a set as papers write it; of hydrates of one salt the first on the shelf."""
    place: dict[str, int] = {}
    for i, powder in enumerate(sets.powders):
        place.setdefault(anhydrous(powder), i)
    members = [place[anhydrous(p)] for p in powders if anhydrous(p) in place]
    width = sets.members.shape[1]
    if len(members) < len(powders) or len(members) > width:
        return None
    wanted = np.sort([*members, *[-1] * (width - len(members))])
    rows = np.flatnonzero((np.sort(sets.members, axis=1) == wanted).all(axis=1))
    return int(rows[0]) if len(rows) else None


def _cited(procedures: Sequence[Procedure]) -> str:
    """Papers that made one target from the same powders are told in one breath."""
    papers: dict[str, list[str]] = {}
    for procedure in procedures:
        hot_c = procedure.firing.temperature_c
        fired = f"at {hot_c:.0f} °C " if hot_c is not None else ""
        papers.setdefault(_made(procedure), []).append(f"{fired}(doi {procedure.doi})")
    return "; ".join(f"{made} {', '.join(told)}" for made, told in papers.items())


def _made(procedure: Procedure) -> str:
    powders = " + ".join(map(as_papers_write, procedure.precursors))
    meant = f" ({procedure.substitution})" if procedure.substitution else ""
    return f"{procedure.target.strip()}{meant} from {powders}"


def _best(precedent: Precedent) -> str:
    powders = " + ".join(precedent.likeliest)
    return f"{powders} ({precedent.likeliest_probability * 100:.0f} %)"


def _ordinal(place: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th") if place // 10 != 1 else "th"
    return f"{place}{ending}"
