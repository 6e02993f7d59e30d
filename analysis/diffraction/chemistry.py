"""What chemistry says against a set of phases: mass that was never weighed in, unstable phases.

Two terms, in units of the search's score (tempered χ², so −2 log of a probability):

* Elements that neither leave nor come with the air keep the ratio in which they were weighed
  in. A set whose ratio differs by δ costs 4 ln(1 + δ²/4σ²) for each element (Student's t: glass
  and losses make it wrong at times).
* A phase above the convex hull by E costs 2E / HULL_SCALE: metastable phases are made, but
  rarely beyond some tens of meV per atom (Sun et al., Sci. Adv. 2 (2016) e1600225).
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from pymatgen.core import Composition

from alab.errors import BadInput
from analysis.diffraction.arrays import Array
from analysis.diffraction.library import Reference, elements_of
from analysis.diffraction.search import Prior

BALANCE_SIGMA = 0.08
"""Standard deviation of the mole fraction of a kept element."""
HULL_SCALE_EV = 0.02
MOST_HULL = 20.0
VOLATILE = frozenset({"O", "C", "H", "N", "S", "Cl", "F"})
"""Elements that a firing may take or give, and that are not balanced."""

_TAIL = 4.0


def weighed_in(precursors: Sequence[str]) -> dict[str, float]:
    """Moles of each element in precursors such as ``BaCO3`` or ``TiO2:0.40``.

    Args:
        precursors: Formulas, each with its mass after a colon; masses for all or for none.

    Returns:
        Element → moles; without masses every element that may stay → 0, meaning unknown.

    Raises:
        BadInput: If one is no formula, or only some have a mass.
    """
    moles: dict[str, float] = {}
    parts = [text.partition(":") for text in precursors]
    if len({bool(mass) for _, _, mass in parts}) > 1:
        raise BadInput("give all precursors a mass (TiO2:0.40), or none of them")
    for formula, _, mass in parts:
        elements_of(formula)
        composition = Composition(formula)
        if mass and not re.fullmatch(r"\d+\.?\d*", mass):
            raise BadInput(f"precursor {formula}: mass {mass!r} is no number; write TiO2:0.40")
        amount = float(mass) / composition.weight if mass else 0.0
        for element, count in composition.get_el_amt_dict().items():
            moles[element] = moles.get(element, 0.0) + amount * count
    return moles


def chemistry(known: Sequence[Reference], moles: Mapping[str, float]) -> Prior:
    """The prior of a sample.

    Args:
        known: The candidates, in the order of the search.
        moles: What was weighed in, as :func:`weighed_in` gives it; empty if unknown.
    """
    kept = sorted(set(moles) - VOLATILE)
    content = np.array([_moles_per_gram(reference, kept) for reference in known])
    expected = np.array([moles[element] for element in kept])
    hull = np.array([_hull(reference) for reference in known])

    def against(members: Sequence[int], amounts: Array) -> float:
        chosen = list(members)
        cost = float(hull[chosen].sum())
        if len(kept) > 1 and len(chosen) and amounts.sum() > 0:
            cost += _imbalance(amounts @ content[chosen], expected)
        return cost

    return against


def _imbalance(found: Array, expected: Array) -> float:
    if found.sum() <= 0:
        return 0.0
    shares = found / found.sum()
    if expected.sum() > 0:
        difference = shares - expected / expected.sum()
    else:  # masses unknown: all we know is that each element must be somewhere
        difference = np.minimum(shares - 0.1, 0.0) * 2
    return float(np.sum(_TAIL * np.log1p((difference / BALANCE_SIGMA) ** 2 / _TAIL)))


def _moles_per_gram(reference: Reference, kept: Sequence[str]) -> list[float]:
    composition = Composition(reference.formula)
    return [composition[element] / composition.weight for element in kept]


def _hull(reference: Reference) -> float:
    above_ev = reference.energy_above_hull_ev_per_atom or 0.0
    return min(2 * above_ev / HULL_SCALE_EV, MOST_HULL)
