"""A composition as a set of elements with their fractions, padded to few widths.

Compositions of up to three elements are padded to three places, and so on: nothing is
compiled anew for a new composition, and little is computed for empty places.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element

from alab.errors import BadInput
from planners.stability.formulas import atoms_of

WIDTHS = (3, 5, 10)
"""Places for elements; a composition takes the first that it fits."""

SPECIES = 104
"""Rows of an element table: atomic numbers 0 (an empty place) to 103."""

_NUMBERS = {Element.from_Z(z).symbol: z for z in range(1, SPECIES)}
_WHOLE = 1e-6


class Mixtures(NamedTuple):
    """Compositions of one width.

    Attributes:
        species: Atomic numbers, shape (n, w), int32; 0 is an empty place.
        fractions: Atomic fractions, shape (n, w), float32; 0 in an empty place.
    """

    species: NDArray[np.int32]
    fractions: NDArray[np.float32]

    def part(self, rows: slice) -> "Mixtures":
        """Some of the compositions."""
        return Mixtures(species=self.species[rows], fractions=self.fractions[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Width:
    """The compositions among those given that share one width.

    Attributes:
        places: Where they stood, shape (n,).
        mixtures: Elements and fractions.
    """

    places: NDArray[np.int64]
    mixtures: Mixtures


def by_width(formulas: Sequence[str]) -> tuple[Width, ...]:
    """Encode compositions, one group for each of ``WIDTHS``; a group may be empty.

    Raises:
        BadInput: If a formula is none, is empty, holds amounts that are not whole, more
            elements than the widest group, or an element beyond the table.
    """
    amounts = [_amounts(formula) for formula in formulas]
    fits = np.searchsorted(WIDTHS, [len(row) for row in amounts])
    return tuple(
        Width(places=places, mixtures=_padded([amounts[i] for i in places], width))
        for width, places in ((w, np.flatnonzero(fits == k)) for k, w in enumerate(WIDTHS))
    )


def _amounts(formula: str) -> dict[int, float]:
    """Amounts by atomic number, in the order of atomic numbers: it changes no sum then."""
    amounts = atoms_of(formula)
    if any(abs(amount - round(amount)) > _WHOLE for amount in amounts.values()):
        raise BadInput(
            f"{formula}: amounts must be whole numbers; multiply the formula until they are"
        )
    if len(amounts) > WIDTHS[-1]:
        raise BadInput(
            f"{formula} has {len(amounts)} elements; the model takes at most {WIDTHS[-1]}"
        )
    if beyond := [symbol for symbol in amounts if symbol not in _NUMBERS]:
        raise BadInput(
            f"{formula} holds {', '.join(beyond)}; the model's table ends at element "
            f"{SPECIES - 1}, Lr"
        )
    return dict(sorted((_NUMBERS[symbol], amount) for symbol, amount in amounts.items()))


def _padded(amounts: Sequence[dict[int, float]], width: int) -> Mixtures:
    species = np.zeros((len(amounts), width), dtype=np.int32)
    fractions = np.zeros((len(amounts), width), dtype=np.float32)
    for i, row in enumerate(amounts):
        species[i, : len(row)] = list(row)
        fractions[i, : len(row)] = np.array(list(row.values())) / sum(row.values())
    return Mixtures(species=species, fractions=fractions)
