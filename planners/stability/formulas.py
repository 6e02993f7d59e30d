"""Formulas as they come from files and people, checked before they are used."""

import warnings
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition, Element

from alab.errors import BadInput

FloatArray = NDArray[np.float64]


def atoms_of(formula: str) -> dict[str, float]:
    """Count of each element as written.

    Raises:
        BadInput: If it is no formula, or holds something that is no element.
    """
    return dict(_parsed(formula))


@lru_cache(maxsize=400_000)
def _parsed(formula: str) -> tuple[tuple[str, float], ...]:
    try:
        composition = Composition(formula, strict=True)
    except (ValueError, TypeError) as error:
        raise BadInput(f"'{formula}' is no chemical formula ({error}); write BaTiO3") from error
    _check(composition)
    return tuple((str(element), float(n)) for element, n in composition.items())


def _check(composition: Composition) -> None:
    if odd := [str(s) for s in composition if not isinstance(s, Element)]:
        raise BadInput(
            f"'{composition}' holds {', '.join(odd)}, no element of the periodic table; "
            "correct the symbol and leave charges out"
        )
    if not composition:
        raise BadInput("an empty formula names no compound; write BaTiO3")


@lru_cache(maxsize=400_000)
def elements_of(formula: str) -> tuple[str, ...]:
    """Elements of a formula in alphabetical order."""
    return tuple(sorted(atoms_of(formula)))


def reduced_formula(composition: str | Composition) -> str:
    """Reduced formula as pymatgen writes it: the same for any multiple and any order.

    Raises:
        BadInput: If it is no formula, or holds something that is no element.
    """
    if isinstance(composition, str):
        return _reduced(composition)
    _check(composition)
    return _written(composition)


@lru_cache(maxsize=400_000)
def _reduced(formula: str) -> str:
    return _written(Composition.from_dict(atoms_of(formula)))


def _written(composition: Composition) -> str:
    with warnings.catch_warnings():
        # noble gases have no electronegativity; they are then written last
        warnings.filterwarnings("ignore", message="No Pauling electronegativity")
        return composition.reduced_formula


def fractions_in(formula: str, elements: tuple[str, ...]) -> FloatArray:
    """Atomic fraction of each of ``elements``, shape (d,)."""
    amounts = atoms_of(formula)
    row = np.array([amounts.get(symbol, 0.0) for symbol in elements])
    return row / sum(amounts.values())
