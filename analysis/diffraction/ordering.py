"""Order that a target claims: its disordered parents among the candidates, and their test."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.diffraction.crystal import Crystal
from analysis.diffraction.disorder import Order, OrderTest, order_test, with_structure
from analysis.diffraction.library import Reference
from analysis.diffraction.measured import Measured
from analysis.diffraction.parent import Parent, disordered_parents
from analysis.diffraction.refine import Fit, refine, without_phase
from analysis.diffraction.reflections import Lines
from analysis.diffraction.search import Found

_SAME_CELL = 0.02
_STEPS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A candidate that claims order, and what it would be without.

    Attributes:
        ordered: Index of the candidate.
        parent: Its parent.
        index: Index of the parent among the candidates; None if it is none.
    """

    ordered: int
    parent: Parent
    index: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordering:
    """What tests of order say.

    Attributes:
        remarks: Findings in sentences.
        rivals: Why phases may be their disordered parents, in sentences.
        target_rivals: Those of the target.
    """

    remarks: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()
    target_rivals: tuple[str, ...] = ()


def with_parents(
    known: Sequence[Reference], wanted: Sequence[int]
) -> tuple[list[Reference], list[Claim]]:
    """Candidates with the disordered parents of the wanted ones added.

    Args:
        known: Reference structures.
        wanted: Which of them are the target.
    """
    extended, claims = list(known), []
    every = [(i, p) for i in wanted for p in disordered_parents(known[i].crystal())]
    for i, parent in every:
        kin = [claim for claim in claims if _same(claim.parent.crystal, parent.crystal)]
        if not kin:
            extended.append(_reference(known[i], parent.crystal))
        index = kin[0].index if kin else len(extended) - 1
        claims.append(Claim(ordered=i, parent=parent, index=index))
    return extended, claims


def claims_of(known: Sequence[Reference], members: Sequence[int]) -> list[Claim]:
    """Claims of order among found phases, whose parents were no candidates."""
    return [
        Claim(ordered=i, parent=parent, index=None)
        for i in members
        for parent in disordered_parents(known[i].crystal())
    ]


def ordering(
    measured: Measured,
    found: Found,
    known: Sequence[Reference],
    claims: Sequence[Claim],
    wanted: Sequence[int],
    lines_of: Callable[[Crystal], Lines],
) -> Ordering:
    """Test each claim whose ordered or disordered structure was found.

    Args:
        measured: The pattern.
        found: Phases of it.
        known: The candidates.
        claims: What to test.
        wanted: Which candidates are the target.
        lines_of: Gives the lines of a crystal in the range of the pattern.
    """
    remarks: list[str] = []
    rivals: list[str] = []
    target_rivals: list[str] = []
    for claim in _shown(found, claims):
        fit, index = _with_ordered(measured, found, claim, known, lines_of)
        ordered = known[claim.ordered].crystal()
        test = order_test(
            measured, fit, index, ordered=ordered, parent=claim.parent, lines_of=lines_of
        )
        said = words(test, known[claim.ordered].formula)
        if test.order in (Order.SHOWN, Order.PARTIAL):
            remarks.append(said)
            continue
        rivals.append(said)
        if claim.ordered in wanted:
            target_rivals.append(said)
    return Ordering(
        remarks=tuple(remarks), rivals=tuple(rivals), target_rivals=tuple(target_rivals)
    )


def words(test: OrderTest, formula: str) -> str:
    """A test in a sentence."""
    places = ", ".join(f"{place:.2f}°" for place in test.places_deg)
    value = f"q = {test.q:.2f} ± {test.q_esd:.2f} (1 in full order, 0 without)"
    residuals = f"R_wp {test.r_wp_parent_percent:.1f} against {test.r_wp_ordered_percent:.1f} %"
    match test.order:
        case Order.SHOWN:
            return (
                f"Superlattice lines ({places}) show the order of {formula}: {value}; it is "
                f"not {test.parent}."
            )
        case Order.PARTIAL:
            return (
                f"{formula} is only partly ordered: its superlattice lines ({places}) have "
                f"{value}; without any it would be {test.parent}."
            )
        case Order.ABSENT if np.isfinite(test.q_esd):
            return (
                f"{test.parent} explains the pattern as well as ordered {formula} "
                f"({residuals}): the superlattice lines ({places}) are not there, {value}."
            )
        case Order.ABSENT:
            return (
                f"{test.parent} explains the pattern better than ordered {formula} "
                f"({residuals})."
            )
        case Order.INVISIBLE:
            seen = f"superlattice lines ({places}) too weak here, {value}"
            return (
                f"{test.parent} cannot be told from ordered {formula} in this pattern: "
                f"{seen if np.isfinite(test.q_esd) else 'order makes no lines of its own'}."
            )


def _same(one: Crystal, other: Crystal) -> bool:
    return one.number == other.number and bool(
        np.all(np.abs(one.cell / other.cell - 1) < _SAME_CELL)
    )


def _reference(ordered: Reference, parent: Crystal) -> Reference:
    return replace(
        ordered,
        stem=parent.stem,
        space_group=parent.space_group,
        number=parent.number,
        path=None,
        default=False,
        energy_above_hull_ev_per_atom=None,
        _held=parent,
    )


def _shown(found: Found, claims: Sequence[Claim]) -> list[Claim]:
    """Claims to test: those found ordered, or else the first whose parent was found."""
    present = [claim for claim in claims if claim.ordered in found.members]
    parents = {claim.index for claim in present}
    for claim in claims:
        if claim.index in found.members and claim.index not in parents:
            present.append(claim)
            parents.add(claim.index)
    return present


def _with_ordered(
    measured: Measured,
    found: Found,
    claim: Claim,
    known: Sequence[Reference],
    lines_of: Callable[[Crystal], Lines],
) -> tuple[Fit, int]:
    """A fit with the ordered structure and without its parent, and where the former is."""
    members = list(found.members)
    fit = found.fit
    if claim.index not in members:
        return fit, members.index(claim.ordered)
    place = members.index(claim.index)
    if claim.ordered in members:
        fit = refine(measured, without_phase(measured, fit, place), _STEPS)
        del members[place]
        return fit, members.index(claim.ordered)
    lines = lines_of(known[claim.ordered].crystal())
    fit = with_structure(measured, fit, place, lines)
    return fit, len(fit.lines) - 1
