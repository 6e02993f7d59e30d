"""Structures that are one and the same for a refinement, which moves cells anyway."""

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from analysis.diffraction.crystal import Crystal, structure_of

if TYPE_CHECKING:
    from pymatgen.analysis.structure_matcher import StructureMatcher

_LENGTH_TOLERANCE = 0.02
_VOLUME_TOLERANCE = 0.06
_PLACE_TOLERANCE = 0.1  # of the cube root of the volume of an atom: about 0.25 Å
_ANGLE_TOLERANCE_DEG = 2.0
_FIRST_HAND = {
    78: 76,
    95: 91,
    96: 92,
    145: 144,
    153: 151,
    154: 152,
    170: 169,
    172: 171,
    179: 178,
    181: 180,
    213: 212,
}


class HasCrystal(Protocol):
    """Whatever can give its crystal."""

    def crystal(self) -> Crystal:
        """The structure."""
        ...


T = TypeVar("T", bound=HasCrystal)


def deduplicated(candidates: Iterable[T]) -> list[T]:
    """Those that are the same structure as none before them.

    Two structures are the same if their contents agree to about 1 % of an atom in each place,
    their space groups are equal, edges agree within 2 % and atoms within 0.1 of the mean
    distance of atoms. A distorted polymorph in another space group stays. Only what agrees in
    content, space group and volume is compared closely.
    """
    kept: list[T] = []
    alike: dict[tuple[int, tuple[tuple[str, float], ...]], list[Crystal]] = {}
    for candidate in candidates:
        crystal = candidate.crystal()
        others = alike.setdefault((hand_free(crystal.number), _content(crystal)), [])
        if not any(_same(crystal, other) for other in others):
            others.append(crystal)
            kept.append(candidate)
    return kept


def hand_free(number: int) -> int:
    """The space group, of the two of an enantiomorphic pair (ITA, table 3.1.4.1) the first."""
    return _FIRST_HAND.get(number, number)


def _content(crystal: Crystal) -> tuple[tuple[str, float], ...]:
    amounts: dict[str, float] = {}
    for element, occupancy in zip(crystal.elements, crystal.occupancies.tolist(), strict=True):
        amounts[element] = amounts.get(element, 0.0) + occupancy
    total = sum(amounts.values())
    return tuple((element, round(amounts[element] / total, 2)) for element in sorted(amounts))


def _volume_of_atom(crystal: Crystal) -> float:
    return crystal.volume_ang3 / float(np.sum(crystal.occupancies))


def _same(one: Crystal, other: Crystal) -> bool:
    if abs(np.log(_volume_of_atom(one) / _volume_of_atom(other))) > _VOLUME_TOLERANCE:
        return False
    return bool(_matcher().fit(structure_of(one), structure_of(other)))


@lru_cache(maxsize=1)
def _matcher() -> "StructureMatcher":
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return StructureMatcher(
        ltol=_LENGTH_TOLERANCE,
        stol=_PLACE_TOLERANCE,
        angle_tol=_ANGLE_TOLERANCE_DEG,
        primitive_cell=True,
        scale=False,
    )
