"""Symmetry-aware partial substitutions.

Merchant et al., Nature 624, 80 (2023), methods: an ion is replaced on some of its Wyckoff
orbits, from 1 to all of its atoms, and at each level (number of atoms replaced) only
unique symmetry groupings are kept.

Two different sets of orbits of one ion are never the same crystal: an isometry that took
one to the other would be a symmetry of the parent, which leaves every orbit in place. What
"unique" drops is therefore alike, not equal. Orbits of one element, multiplicity and site
symmetry are taken for alike here, and a grouping is how many of each it holds; its first
orbits stand for it. ``alike=False`` keeps every set of orbits.

Groupings of a level are ranked by the number of orbits they change, fewest first: the
fewer, the more of the parent's symmetry decides where the new ion sits. Target ions are
ranked by their probability. Both caps cut by these ranks.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pymatgen.core import Composition, Element

from alab.errors import BadInput
from planners.stability.candidates.encoding import Records, encode, reduced_formulas, unique
from planners.stability.candidates.oxidation import RELAXED, States, is_balanced
from planners.stability.candidates.parents import Parent
from planners.stability.candidates.substitution import GNOME, Rules, element_targets


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How many partial substitutions a parent gives.

    Attributes:
        groupings_per_level: Highest rank kept among groupings of as many atoms.
        targets: Highest rank kept among the ions that replace one.
        proper: Leave out the level that replaces all atoms: a whole substitution.
    """

    groupings_per_level: int = 4
    targets: int = 20
    proper: bool = False

    def __post_init__(self) -> None:
        if self.groupings_per_level < 1 or self.targets < 1:
            raise BadInput(
                f"caps of {self.groupings_per_level} groupings and {self.targets} targets "
                "leave nothing; give at least 1 of each"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Orbits of one ion that are replaced together.

    Attributes:
        atoms: Its level: how many atoms are replaced in the parent's cell.
        orbits: Indices of the orbits, ascending.
        rank: Place within its level, from 0.
    """

    atoms: int
    orbits: tuple[int, ...]
    rank: int

    @property
    def mask(self) -> int:
        """Bit i set for orbit i."""
        return sum(1 << orbit for orbit in self.orbits)


def groupings(
    parent: Parent, element: str, *, caps: Caps = Caps(), alike: bool = True
) -> list[Grouping]:
    """Unique sets of orbits on which an element is replaced, by level and rank.

    Built class by class of alike orbits, keeping the best of each level on the way: the
    rank of a set grows with each class alike for all, so that nothing kept at the end is
    lost before, and a cell of 50 orbits costs no 2⁵⁰ sets.

    Args:
        parent: The parent.
        element: Symbol of the ion to replace.
        caps: How many groupings a level keeps.
        alike: Take orbits of one multiplicity and site symmetry for interchangeable.

    Raises:
        ParentError: The parent does not hold the element.
    """
    classes = _classes(parent, parent.orbits_of(element), alike=alike)
    levels: dict[int, list[tuple[int, ...]]] = {0: [()]}
    for members in classes:
        levels = _with_class(levels, parent.orbits[members[0]].multiplicity, members, caps)
    total = max(levels)
    return [
        Grouping(atoms=atoms, orbits=tuple(sorted(_chosen(counts, classes))), rank=rank)
        for atoms in sorted(levels)
        if atoms > 0 and not (caps.proper and atoms == total)
        for rank, counts in enumerate(levels[atoms])
    ]


def count_proper_subsets(parent: Parent, *, alike: bool = False) -> int:
    """How many proper, non-empty sets of orbits all ions of a parent have together."""
    total = 0
    for element in parent.elements:
        classes = _classes(parent, parent.orbits_of(element), alike=alike)
        total += math.prod(len(members) + 1 for members in classes) - 2
    return total


def partial_substitutions(
    parent: Parent,
    targets: Mapping[str, Sequence[str]],
    *,
    caps: Caps = Caps(),
    alike: bool = True,
) -> Records:
    """All partial substitutions of one ion by another, encoded and unique.

    Args:
        parent: The parent.
        targets: For each element to replace, the new ones, best first.
        caps: How many groupings and targets are kept, by rank.
        alike: Take orbits of one multiplicity and site symmetry for interchangeable.

    Raises:
        BadInput: An element that the parent does not hold, or a target that is none.
    """
    masks, rows = [np.empty(0, np.uint64)], [np.empty((0, len(parent.elements)), np.uint8)]
    for element, wanted in targets.items():
        new = np.array(_numbers(wanted)[: caps.targets], dtype=np.uint8)
        kept = groupings(parent, element, caps=caps, alike=alike)
        one = np.array([g.mask for g in kept], dtype=np.uint64)
        row = np.zeros((len(one) * len(new), len(parent.elements)), dtype=np.uint8)
        row[:, parent.elements.index(element)] = np.tile(new, len(one))
        masks.append(np.repeat(one, len(new)))
        rows.append(row)
    return unique(parent, encode(parent, np.concatenate(masks), np.concatenate(rows)))


def likely_targets(
    parent: Parent,
    *,
    elements: Sequence[str] | None = None,
    rules: Rules = GNOME,
    most: int = Caps().targets,
) -> dict[str, list[str]]:
    """Ions that may take the place of each of a parent's, by the substitution model.

    Args:
        parent: The parent.
        elements: Which of its elements to replace, all by default.
        rules: Weights and threshold of the model.
        most: Highest rank kept.

    Raises:
        BadInput: The model knows no ion of an element (Pm, noble gases): name the others.
    """
    chosen = parent.elements if elements is None else elements
    return {el: list(element_targets(el, rules=rules)[:most]) for el in chosen}


def balanced_only(parent: Parent, records: Records, states: States = RELAXED) -> Records:
    """Candidates whose charges can cancel.

    Raises:
        BadInput: An element without known oxidation states.
    """
    formulas = reduced_formulas(parent, records)
    neutral = {formula: is_balanced(Composition(formula), states) for formula in set(formulas)}
    return records[np.array([neutral[formula] for formula in formulas], dtype=bool)]


def _classes(parent: Parent, orbits: Iterable[int], *, alike: bool) -> list[tuple[int, ...]]:
    """Orbits that stand for one another, classes of large orbits first."""
    found: dict[tuple[int, str, int], list[int]] = {}
    for index in orbits:
        orbit = parent.orbits[index]
        own = -1 if alike else index
        found.setdefault((-orbit.multiplicity, orbit.site_symmetry, own), []).append(index)
    return [tuple(found[signature]) for signature in sorted(found)]


def _with_class(
    levels: Mapping[int, Sequence[tuple[int, ...]]],
    multiplicity: int,
    members: Sequence[int],
    caps: Caps,
) -> dict[int, list[tuple[int, ...]]]:
    """Levels after one more class: 0, 1, … of its orbits added to each set so far."""
    grown: dict[int, list[tuple[int, ...]]] = {}
    for atoms, sets in levels.items():
        for used in range(len(members) + 1):
            at = grown.setdefault(atoms + used * multiplicity, [])
            at.extend((*counts, used) for counts in sets)
    return {
        atoms: sorted(sets, key=_rank)[: caps.groupings_per_level]
        for atoms, sets in grown.items()
    }


def _rank(counts: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """Fewest orbits first; then those of large orbits."""
    return sum(counts), tuple(-count for count in counts)


def _chosen(counts: Sequence[int], classes: Sequence[Sequence[int]]) -> list[int]:
    return [i for used, members in zip(counts, classes, strict=True) for i in members[:used]]


def _numbers(symbols: Sequence[str]) -> list[int]:
    repeated = [symbol for symbol, times in Counter(symbols).items() if times > 1]
    if repeated:
        raise BadInput(f"targets {', '.join(repeated)} are given twice; give each once")
    try:
        return [Element(symbol).Z for symbol in symbols]
    except ValueError as error:
        raise BadInput(f"{error}; targets are symbols of elements, such as Fe") from error
