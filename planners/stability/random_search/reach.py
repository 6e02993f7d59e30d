"""Which compositions are worth a random search: those predicted to be nearly stable.

Merchant et al., Nature 624, 80 (2023) search compositions within 50 meV/atom of stable by the
composition model.
"""

from collections.abc import Sequence

import numpy as np

from alab.errors import BadInput
from planners.stability.formulas import reduced_formula
from planners.stability.models.prediction import CompositionPredictor
from planners.stability.references.snapshot import Snapshot
from planners.stability.references.stability import assess

MARGIN_EV_PER_ATOM = 0.05


def within_reach(
    formulas: Sequence[str],
    composition_predictor: CompositionPredictor,
    snapshot: Snapshot,
    margin_ev_per_atom: float = MARGIN_EV_PER_ATOM,
) -> list[str]:
    """Compositions whose predicted decomposition energy is at most the margin.

    A composition that the reference holds is judged with its own entries left out, as it may
    have a lower structure.

    Args:
        formulas: Compositions to choose from.
        composition_predictor: Says their lowest formation energies; the median counts.
        snapshot: The reference whose hull they compete with.
        margin_ev_per_atom: A negative one asks for compounds that are stable by as much.

    Returns:
        Reduced formulas, each once, in the order given.

    Raises:
        BadInput: If a formula is none, the margin or a prediction is not finite, or numbers
            of formulas and predictions differ.
        MissingReferenceError: If the reference knows nothing of an element.
    """
    if not np.isfinite(margin_ev_per_atom):
        raise BadInput(f"a margin of {margin_ev_per_atom} eV/atom; give a number such as 0.05")
    names = list(dict.fromkeys(reduced_formula(formula) for formula in formulas))
    if not names:
        return []
    predicted = composition_predictor.predict(names).median_ev_per_atom
    judged = assess(snapshot, names, predicted.tolist())
    near = judged.decomposition_energies_ev_per_atom <= margin_ev_per_atom
    return [name for name, chosen in zip(names, near, strict=True) if chosen]
