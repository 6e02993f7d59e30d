"""Random structures of the compositions that the composition model finds near stable."""

from collections import Counter
from collections.abc import Iterable
from importlib.util import find_spec

from planners.stability.candidates.lineage import Kind
from planners.stability.discovery import Request
from planners.stability.formulas import reduced_formula
from planners.stability.lowest import Guess
from planners.stability.models.prediction import CompositionPredictor
from planners.stability.predicted_reference import Report
from planners.stability.references.snapshot import Snapshot
from planners.stability.selection import apart, composition_levels

SHARE = 0.3
"""Share of the budget that random structures may take."""

OF_A_FORMULA = 100
"""How many a composition gets (Merchant et al., 2023)."""


def random_guesses(
    request: Request,
    formulas: Iterable[str],
    predictor: CompositionPredictor,
    reference: Snapshot,
    left_out: Counter[str],
    report: Report,
) -> list[Guess]:
    """Draw random structures of the most promising compositions.

    With pyxtal half of them have a space group; without it all are P1.

    Args:
        request: Whose budget and seed.
        formulas: Unknown compositions.
        predictor: The composition model.
        reference: What they compete with.
        left_out: Takes the count of attempts that gave no crystal.
        report: Told of progress.
    """
    # its relaxation is compiled: only where it is used
    from planners.stability.random_search.reach import MARGIN_EV_PER_ATOM
    from planners.stability.random_search.search import (
        NoStructureError,
        Sensible,
        random_structures,
    )

    share = int(SHARE * request.budget)
    levels = composition_levels(formulas, predictor, reference) if share else {}
    near = sorted((e, f) for f, e in levels.items() if e <= MARGIN_EV_PER_ATOM)
    wanted = [formula for _, formula in near[: max(1, share // OF_A_FORMULA)]]
    sensible = Sensible() if find_spec("pyxtal") else Sensible(symmetric_share=0.0)
    found: list[Guess] = []
    for place, formula in enumerate(wanted):
        report("drawing random structures", place, len(wanted))
        count = min(OF_A_FORMULA, share)
        try:
            drawn = random_structures(formula, count, seed=request.seed, sensible=sensible)
        except NoStructureError:
            left_out["random structure whose atoms stayed too close"] += count
            continue
        drawn = [one for one in drawn if apart(one.crystal.structure())]
        left_out["random structure whose atoms stayed too close"] += count - len(drawn)
        found += [
            Guess(
                key=f"random {formula}, seed {request.seed}, attempt {one.attempt}",
                formula=reduced_formula(formula),
                origin="a random structure, relaxed as soft spheres",
                kind=Kind.RANDOM,
                crystal=one.crystal,
            )
            for one in drawn
        ]
    if wanted:
        report("drawing random structures", len(wanted), len(wanted))
    return found
