"""Which proposals are worth an oracle's time.

Predicted energies become decomposition energies on the reference hull. What is stable even with
the members' disagreement added passes; the lowest of its composition stands for it, and copies
count once. All that passes deserves an oracle (Merchant et al., Nature 624, 80 (2023),
methods); what a round has no time for is left out by lot. The lowest predictions of all would
be the wrong choice: among thousands they are those that the model is most wrong about. Where
fewer pass than a round has time for, the nearest to passing fill it.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from alab.errors import BadInput
from planners.stability.crystals import formula_of
from planners.stability.flywheel.parts import Proposal
from planners.stability.models.augmentation import VOLUMES
from planners.stability.models.prediction import Prediction
from planners.stability.reduction import Candidate, distinct
from planners.stability.references.snapshot import Snapshot
from planners.stability.references.stability import assess


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What is let through.

    Attributes:
        verify_most: Proposals verified in a round.
        interquartile_most_ev_per_atom: Widest disagreement of the members.
        stable_within_ev_per_atom: Highest decomposition energy that passes.
        interquartiles_added: How many interquartile ranges are added to it first.
        filling_within_ev_per_atom: How far above that limit candidates fill a round.
        of_a_composition: Distinct structures of a composition that are verified.
        volumes: A proposal is predicted at these ratios of its volume, and the lowest
            counts; (1.0,) predicts it as it is.
    """

    verify_most: int = 40
    interquartile_most_ev_per_atom: float = 0.2
    stable_within_ev_per_atom: float = 0.0
    interquartiles_added: float = 1.0
    filling_within_ev_per_atom: float = 0.05
    of_a_composition: int = 1
    volumes: tuple[float, ...] = VOLUMES

    def __post_init__(self) -> None:
        if min(self.verify_most, self.of_a_composition) < 1:
            raise BadInput(
                f"verifying {self.verify_most} proposals, {self.of_a_composition} of a "
                "composition, leaves none; give 1 or more of each"
            )
        if not self.interquartile_most_ev_per_atom > 0:
            raise BadInput(
                f"an interquartile limit of {self.interquartile_most_ev_per_atom} eV/atom lets "
                "nothing through; give a positive one"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A proposal that is verified.

    Attributes:
        proposal: The proposal.
        formula: Its reduced formula.
        predicted_ev_per_atom: Median of the members' formation energies.
        interquartile_ev_per_atom: Their width.
        predicted_decomposition_ev_per_atom: On the reference hull.
    """

    proposal: Proposal
    formula: str
    predicted_ev_per_atom: float
    interquartile_ev_per_atom: float
    predicted_decomposition_ev_per_atom: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a screen lets through.

    Attributes:
        chosen: To verify, in the order of the lot; then what fills the round.
        sure: How many were within the interquartile limit.
        passed: How many of those are predicted stable.
        compositions: How many compositions those have.
    """

    chosen: tuple[Chosen, ...]
    sure: int
    passed: int
    compositions: int


def select(
    proposals: Sequence[Proposal], prediction: Prediction, reference: Snapshot, screen: Screen
) -> Selection:
    """Choose what to verify.

    Args:
        proposals: Of compositions that are not known.
        prediction: Their formation energies.
        reference: Its hull judges them.
        screen: The limits.

    Raises:
        BadInput: If numbers of proposals and energies differ, or an energy is not finite.
        MissingReferenceError: If the reference knows nothing of an element.
    """
    if prediction.members_ev_per_atom.shape[1] != len(proposals):
        raise BadInput(
            f"{len(proposals)} proposals with predictions of shape "
            f"{prediction.members_ev_per_atom.shape}; predict each once"
        )
    ranked = _ranked(proposals, prediction, reference)
    sure = [
        c
        for c in ranked
        if c.interquartile_ev_per_atom <= screen.interquartile_most_ev_per_atom
    ]
    passed = [c for c in sure if _above(c, screen) <= 0]
    best = sorted(_best(passed, screen), key=_lot)
    if len(best) < screen.verify_most:
        named = {c.formula for c in passed}
        near = [c for c in sure if _above(c, screen) <= screen.filling_within_ev_per_atom]
        near.sort(key=lambda c: (_above(c, screen), c.proposal.key))
        best += _best((c for c in near if c.formula not in named), screen)
    return Selection(
        chosen=tuple(best[: screen.verify_most]),
        sure=len(sure),
        passed=len(passed),
        compositions=len({c.formula for c in passed}),
    )


def _above(chosen: Chosen, screen: Screen) -> float:
    """By how much a candidate misses the limit, in eV/atom; at most 0 passes."""
    added = screen.interquartiles_added * chosen.interquartile_ev_per_atom
    highest = chosen.predicted_decomposition_ev_per_atom + added
    return highest - screen.stable_within_ev_per_atom


def _lot(chosen: Chosen) -> str:
    """The same place for the same candidate, whatever else was proposed."""
    return hashlib.sha256(chosen.proposal.key.encode()).hexdigest()


def _ranked(
    proposals: Sequence[Proposal], prediction: Prediction, reference: Snapshot
) -> list[Chosen]:
    """All proposals, the most stable first; ties by key, so that order never matters."""
    formulas = [formula_of(p.crystal.elements) for p in proposals]
    energies = prediction.median_ev_per_atom
    judged = assess(reference, formulas, energies.tolist())
    rows = zip(
        proposals,
        formulas,
        energies.tolist(),
        prediction.interquartile_ev_per_atom.tolist(),
        judged.decomposition_energies_ev_per_atom.tolist(),
        strict=True,
    )
    everything = [
        Chosen(
            proposal=proposal,
            formula=formula,
            predicted_ev_per_atom=energy,
            interquartile_ev_per_atom=width,
            predicted_decomposition_ev_per_atom=signed,
        )
        for proposal, formula, energy, width, signed in rows
    ]
    return sorted(
        everything, key=lambda c: (c.predicted_decomposition_ev_per_atom, c.proposal.key)
    )


def _best(ranked: Iterable[Chosen], screen: Screen) -> list[Chosen]:
    """The first of each composition, without copies."""
    best: list[Chosen] = []
    taken: Counter[str] = Counter()
    for candidate in ranked:
        if taken[candidate.formula] == screen.of_a_composition:
            continue
        same = [c for c in best if c.formula == candidate.formula]
        if same and _is_copy(candidate, same):
            continue
        taken[candidate.formula] += 1
        best.append(candidate)
    return best


def _is_copy(candidate: Chosen, others: Sequence[Chosen]) -> bool:
    members = [
        Candidate(
            name=c.proposal.key,
            structure=c.proposal.crystal.structure(),
            energy_ev_per_atom=c.predicted_ev_per_atom,
        )
        for c in (*others, candidate)
    ]
    return len(distinct(members).clusters) < len(members)


def prediction_error_ev_per_atom(
    chosen: Sequence[Chosen], energies_ev_per_atom: Sequence[float | None]
) -> float | None:
    """Mean absolute error of the predictions that were verified, None without any."""
    errors = [
        abs(c.predicted_ev_per_atom - energy)
        for c, energy in zip(chosen, energies_ev_per_atom, strict=True)
        if energy is not None
    ]
    return float(np.mean(errors)) if errors else None
