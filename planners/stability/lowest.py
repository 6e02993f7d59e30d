"""The lowest crystal of each composition, and how stable it is."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from planners.stability.candidates.generation import Generated
from planners.stability.candidates.lineage import Descent, Kind, Lineage
from planners.stability.crystals import Crystal
from planners.stability.discovery import Found, Request
from planners.stability.predicted_reference import Predicted, Report
from planners.stability.reduction import Candidate, Cluster, distinct
from planners.stability.references.entries import Entry
from planners.stability.references.snapshot import Snapshot, snapshot_of
from planners.stability.references.stability import assess, decompose

SCREENED_FOR_ONE = 5
"""Compositions that are screened for each that is told, since many fail."""

COMPARED = 10
"""Crystals of a composition that are compared, the lowest: large cells without symmetry, as
random ones are, take seconds a pair."""

_SYMPREC_ANG = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """A candidate structure, from whichever generator."""

    key: str
    formula: str
    origin: str
    kind: Kind
    crystal: Crystal


def lowest_crystals(
    request: Request,
    guesses: Sequence[Guess],
    predicted: Sequence[Predicted],
    reference: Snapshot,
    made: Generated,
    left_out: Counter[str],
    report: Report,
) -> list[Found]:
    """The lowest crystal of each of the best compositions, with what it competes with."""
    members: defaultdict[str, list[int]] = defaultdict(list)
    for i, guess in enumerate(guesses):
        members[guess.formula].append(i)
    lowest = {
        formula: min(rows, key=lambda i: (predicted[i].energy_ev_per_atom, guesses[i].key))
        for formula, rows in members.items()
    }
    formulas = sorted(lowest)
    energies = [predicted[lowest[f]].energy_ev_per_atom for f in formulas]
    judged = assess(reference, formulas, energies).decomposition_energies_ev_per_atom
    order = sorted(range(len(formulas)), key=lambda i: (judged[i], formulas[i]))
    best = order[: SCREENED_FOR_ONE * request.top]
    left_out["composition less stable than those screened"] += sum(
        len(members[formulas[i]]) for i in order[len(best) :]
    )
    joint = _joint(reference, formulas, energies)
    together = assess(joint, formulas, energies).decomposition_energies_ev_per_atom
    report("comparing crystals", 0, 1)
    compared = [
        i
        for b in best
        for i in sorted(members[formulas[b]], key=lambda i: predicted[i].energy_ev_per_atom)[
            :COMPARED
        ]
    ]
    clusters = _clusters(compared, guesses, predicted)
    report("comparing crystals", 1, 1)
    copies = sum(len(c.copies) for rows in clusters.values() for c in rows)
    left_out["a copy of another candidate"] += copies
    return [
        _found(
            guesses[lowest[formulas[b]]],
            predicted[lowest[formulas[b]]],
            clusters[formulas[b]],
            made,
            reference,
            joint,
            (float(judged[b]), float(together[b])),
            request.hull_limit_ev_per_atom,
        )
        for b in best
    ]


def _joint(reference: Snapshot, formulas: Sequence[str], energies: Sequence[float]) -> Snapshot:
    """The reference with all candidates in it."""
    more = (
        Entry(formula=f, formation_energy_ev_per_atom=e, source="candidate of this search")
        for f, e in zip(formulas, energies, strict=True)
    )
    return snapshot_of(f"{reference.name} and candidates", (*reference.entries, *more))


def _clusters(
    rows: Sequence[int], guesses: Sequence[Guess], predicted: Sequence[Predicted]
) -> dict[str, list[Cluster]]:
    reduction = distinct(
        Candidate(
            name=guesses[i].key,
            structure=predicted[i].crystal.structure(),
            energy_ev_per_atom=predicted[i].energy_ev_per_atom,
        )
        for i in rows
    )
    found: defaultdict[str, list[Cluster]] = defaultdict(list)
    for cluster in reduction.clusters:
        found[cluster.formula].append(cluster)
    return found


def _found(
    guess: Guess,
    predicted: Predicted,
    clusters: Sequence[Cluster],
    made: Generated,
    reference: Snapshot,
    joint: Snapshot,
    signed: tuple[float, float],
    limit: float,
) -> Found:
    symbol, number = _space_group(predicted.crystal.structure())
    others = [c.representative for c in clusters if c.representative.name != guess.key]
    return Found(
        key=guess.key,
        formula=guess.formula,
        origin=guess.origin,
        lineage=_trace(guess, made),
        crystal=predicted.crystal,
        space_group=symbol,
        space_group_number=number,
        formation_energy_ev_per_atom=predicted.energy_ev_per_atom,
        interquartile_ev_per_atom=predicted.interquartile_ev_per_atom,
        decomposition_energy_ev_per_atom=signed[0],
        products=decompose(reference, guess.formula).products,
        joint_energy_ev_per_atom=signed[1],
        joint_products=decompose(joint, guess.formula).products,
        polymorphs=tuple(
            (
                _space_group(other.structure)[0],
                other.energy_ev_per_atom - predicted.energy_ev_per_atom,
            )
            for other in others
        ),
        unsure=_unsure(signed[0], predicted.interquartile_ev_per_atom, limit),
    )


def _unsure(signed: float, width: float, limit: float) -> bool:
    """Whether half the width reaches across the limit."""
    return abs(signed - limit) < width / 2


def _space_group(structure: Structure) -> tuple[str, int]:
    analyzer = SpacegroupAnalyzer(structure, symprec=_SYMPREC_ANG)
    return analyzer.get_space_group_symbol(), analyzer.get_space_group_number()


def _trace(guess: Guess, made: Generated) -> tuple[Descent, ...]:
    lineage = Lineage()
    if guess.kind is Kind.RANDOM:
        descent = Descent(
            child=guess.key, parent=None, round=1, kind=Kind.RANDOM, formula=guess.formula
        )
        lineage.add([descent])
        return lineage.trace(guess.key)
    proposals = {p.key: p for p in made.new} | made.lineage
    key = guess.key
    while key in proposals:
        one = proposals[key]
        key = one.parent.name
        lineage.add(
            [Descent(child=one.key, parent=key, round=1, kind=one.kind, formula=one.formula)]
        )
    lineage.add([Descent(child=key, parent=None, round=0, kind=Kind.REFERENCE)])
    return lineage.trace(guess.key)
