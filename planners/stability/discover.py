"""From a chemical system to ranked, screened and explained candidates.

::

    known structures ─→ generate ─→ composition filter ─→ budget ─→ predict (best volume)
          │                                                             │
          └──→ reference (given, or predicted alike) ──→ decomposition energy
                                                                        │
                    ranked ←─ screens ←─ distinct crystals ←─ lowest of each composition

A candidate is stable if it lies below all mixtures of known compounds; it is *unsure* where
the ensemble's interquartile range could turn that around, and left out where the range is so
wide that the networks do not know.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from alab.errors import BadInput
from planners.stability.candidates.generation import (
    ORDINARY,
    Generated,
    Proposal,
    charges_balance,
    generate,
)
from planners.stability.candidates.prototypes import (
    KnownStructure,
    is_compound_of,
    real_within,
    structures_of,
)
from planners.stability.candidates.random_guesses import random_guesses
from planners.stability.crystals import Crystal
from planners.stability.discovery import Discovery, Found, Models, Request
from planners.stability.lowest import Guess, lowest_crystals
from planners.stability.predicted_reference import (
    WIDE_EV_PER_ATOM,
    Report,
    predict,
    predicted_reference,
)
from planners.stability.references.snapshot import MissingReferenceError, Snapshot
from planners.stability.screens.air import PredictedEnergies, in_air
from planners.stability.screens.composition import (
    BenchLimits,
    charges,
    furnace,
    handled,
    in_stock,
    near_hull,
)
from planners.stability.screens.verdict import Screen, failed
from planners.stability.selection import by_composition, simple_formulas, within_budget
from planners.synthesis.compounds import table

_DISAGREED = f"networks disagree by more than {WIDE_EV_PER_ATOM * 1000:.0f} meV/atom"


def silent(_stage: str, _done: int, _total: int) -> None:
    """Report nothing."""


def discover(
    request: Request,
    known: Sequence[KnownStructure],
    models: Models,
    bench: BenchLimits,
    *,
    reference: Snapshot | None = None,
    report: Report = silent,
) -> Discovery:
    """Search a chemical system.

    Args:
        request: System, budget, seed and limits.
        known: Structures of any elements: parents, and where real and in the system, rivals.
        models: The ensemble, and the composition model if there is one.
        bench: Powders, furnaces and forbidden elements of the laboratory.
        reference: Computed energies to compete with; the models' own predictions for the known
            compounds without.
        report: Told of progress.

    Raises:
        BadInput: If nothing can be generated.
        MissingReferenceError: If nothing is known that would compete.
    """
    if reference is not None:
        known = (*structures_of(reference, request.system), *known)
    here = real_within(known, request.system)
    given = _computed(reference, request.system) if reference is not None else frozenset()
    measured = {f for f in table() if is_compound_of(f, request.system)}
    known_formulas = {one.formula for one in here} | measured | given
    report("generating", 0, 1)
    made = generate(request.system, known, known_formulas, balanced=request.balanced)
    report("generating", 1, 1)
    against = reference or predicted_reference(
        request.system,
        here,
        made.known,
        models.structure,
        predictor_name=models.name,
        volumes=models.volumes,
        report=report,
    )
    left_out = Counter(made.left_out)
    left_out["composition is known"] += len(made.known)
    guesses = _chosen(request, made, known_formulas, models, against, left_out, report)
    if not guesses:
        raise BadInput(_nothing(request, left_out))
    predicted = predict(
        [guess.crystal for guess in guesses],
        models.structure,
        volumes=models.volumes,
        report=report,
        stage="predicting candidates",
    )
    known_well = [i for i, one in enumerate(predicted) if one.agreed]
    left_out[_DISAGREED] += len(guesses) - len(known_well)
    found = lowest_crystals(
        request,
        [guesses[i] for i in known_well],
        [predicted[i] for i in known_well],
        against,
        made,
        left_out,
        report,
    )
    ranked = sorted(_screened(request, found, against, bench, report), key=_rank)
    _count_untold(ranked[request.top :], left_out)
    return Discovery(
        request=request,
        predictor=models.name,
        reference=against,
        reference_predicted=reference is None,
        parents=made.parents,
        generated=len(made.new),
        predicted=len(guesses),
        left_out={reason: n for reason, n in sorted(left_out.items()) if n},
        found=tuple(ranked[: request.top]),
    )


def _computed(reference: Snapshot, system: Sequence[str]) -> frozenset[str]:
    """Compositions of a reference within the system, if predictions can be held against it."""
    entries = [e for e in reference.within(system) if is_compound_of(e.formula, system)]
    if not entries:
        raise MissingReferenceError(
            f"{reference.name} (version {reference.version}) holds no compound of "
            f"{'-'.join(system)}, so nothing would compete with its candidates; append some, "
            "or leave the reference out"
        )
    if entries[0].measured:
        raise MissingReferenceError(
            f"{reference.name} holds measured enthalpies, which predicted energies must not be "
            "judged by (they differ by about 0.1 eV/atom); name computed ones, or leave the "
            "reference out"
        )
    return frozenset(entry.formula for entry in entries)


def _chosen(
    request: Request,
    made: Generated,
    known: set[str],
    models: Models,
    reference: Snapshot,
    left_out: Counter[str],
    report: Report,
) -> list[Guess]:
    proposals: Sequence[Proposal] = made.new
    drawn: list[Guess] = []
    if models.composition is not None:
        report("asking the composition model", 0, 1)
        proposals = by_composition(proposals, models.composition, reference, left_out)
        report("asking the composition model", 1, 1)
        formulas = {
            *(p.formula for p in proposals if charges_balance(p.formula, ORDINARY)),
            *simple_formulas(request.system, known),
        }
        drawn = random_guesses(
            request, formulas, models.composition, reference, left_out, report
        )
    chosen = within_budget(proposals, request.budget - len(drawn), left_out)
    return [*(_guess_of(proposal) for proposal in chosen), *drawn]


def _guess_of(proposal: Proposal) -> Guess:
    return Guess(
        key=proposal.key,
        formula=proposal.formula,
        origin=f"{proposal.change} in {proposal.words}",
        kind=proposal.kind,
        crystal=Crystal.of(proposal.structure),
    )


def _screened(
    request: Request,
    found: Sequence[Found],
    reference: Snapshot,
    bench: BenchLimits,
    report: Report,
) -> list[Found]:
    energies = PredictedEnergies.of(reference)
    screened: list[Found] = []
    for done, one in enumerate(found):
        report("screening", done, len(found))
        screened.append(replace(one, screens=_screens(request, one, energies, bench)))
    report("screening", len(found), len(found))
    return screened


def _screens(
    request: Request, one: Found, energies: PredictedEnergies, bench: BenchLimits
) -> tuple[Screen, ...]:
    above = max(one.decomposition_energy_ev_per_atom, 0.0)
    with_it = energies.with_candidate(
        one.formula, one.crystal, one.formation_energy_ev_per_atom
    )
    return (
        near_hull(above, request.hull_limit_ev_per_atom),
        *in_air(one.formula, with_it, limit_ev_per_atom=request.hull_limit_ev_per_atom),
        handled(one.formula, bench.forbidden_elements),
        furnace(bench.limits),
        in_stock(one.formula, bench),
        charges(one.formula),
    )


def _rank(one: Found) -> tuple[bool, float, str]:
    return not one.passed, one.decomposition_energy_ev_per_atom, one.formula


def _count_untold(untold: Sequence[Found], left_out: Counter[str]) -> None:
    for one in untold:
        reasons = failed(one.screens)
        why = f"composition failed a screen ({reasons[0].name})" if reasons else "composition"
        left_out[f"{why}, less stable than those told"] += 1


def _nothing(request: Request, left_out: Counter[str]) -> str:
    told = "; ".join(f"{n} {reason}" for reason, n in left_out.most_common(4) if n)
    return (
        f"no candidate of {'-'.join(request.system)} is left to predict ({told}); allow "
        "compositions whose charges cannot cancel (--any-charge), or search another system"
    )
