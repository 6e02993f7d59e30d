"""Sensible random structures of a composition, as in AIRSS.

Pickard and Needs, J. Phys.: Condens. Matter 23, 053201 (2011); used by Merchant et al.,
Nature 624, 80 (2023) with volumes of 0.4–1.2 times an estimate from radii. An attempt draws
the number of formula units, the volume, a space group or none, the separations of each pair
of elements, cell and sites; soft spheres push atoms apart; what is still too near is left.

Every attempt has a generator of its own, from seed, formula and number. So the first 50 of 100
structures are those that 50 give, alone or among other compositions.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from alab.errors import AlabError, BadInput
from planners.stability.crystals import Crystal
from planners.stability.formulas import FloatArray, atoms_of, reduced_formula
from planners.stability.random_search.cells import (
    Cell,
    plain_cell,
    possible_space_groups,
    symmetric_cell,
)
from planners.stability.random_search.separations import draw_separations_ang, volume_ang3
from planners.stability.random_search.spheres import REACH, ROOMS, Spheres, heights_ang, relaxed

P1 = 1
_AT_ONCE = 512
"""Attempts between two reports of progress."""


class NoStructureError(AlabError):
    """Every attempt at a composition was rejected."""


class Rejection(Enum):
    """Why an attempt gave nothing."""

    NO_SITES = "no sites of the space group were far enough apart"
    CELL = "the cell was too short or too flat for its atoms"
    TOO_NEAR = "atoms stayed too near to each other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensible:
    """What a random structure may be.

    Attributes:
        most_atoms: In the primitive cell.
        most_formula_units: As many as ``most_atoms`` allows are drawn, from 1.
        volume_factors: Lowest and highest volume, in estimates from radii.
        symmetric_share: Of attempts that are drawn with a space group above P1.
        least_ratio: Of distance to drawn separation that the nearest atoms must keep.
        tries_each: Attempts for each structure asked for, after which fewer are returned.
    """

    most_atoms: int = ROOMS[-1]
    most_formula_units: int = 4
    volume_factors: tuple[float, float] = (0.4, 1.2)
    symmetric_share: float = 0.5
    least_ratio: float = 0.9
    tries_each: int = 10

    def __post_init__(self) -> None:
        low, high = self.volume_factors
        for name, value, good, limit in (
            ("most_atoms", self.most_atoms, 1 <= self.most_atoms <= ROOMS[-1],
             f"1 to {ROOMS[-1]}"),
            ("most_formula_units", self.most_formula_units, self.most_formula_units >= 1,
             "1 or more"),
            ("volume_factors", self.volume_factors, 0 < low <= high < np.inf,
             "two numbers above 0, the lower first"),
            ("symmetric_share", self.symmetric_share, 0 <= self.symmetric_share <= 1, "0 to 1"),
            ("least_ratio", self.least_ratio, 0 < self.least_ratio < 1, "between 0 and 1"),
            ("tries_each", self.tries_each, self.tries_each >= 1, "1 or more"),
        ):  # fmt: skip
            if not good:
                raise BadInput(f"{name} is {value}; give {limit}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomStructure:
    """One sensible random structure.

    Attributes:
        formula: Reduced formula.
        crystal: A primitive cell of the space group drawn.
        space_group: Number that was drawn, 1 for none; special positions may give a higher.
        volume_factor: Volume over the estimate from radii.
        formula_units: In the cell.
        smallest_ratio: Smallest distance of two atoms over the separation drawn for them;
            up to 1, or above where nothing touches.
        attempt: Number of the attempt, from 0.
    """

    formula: str
    crystal: Crystal
    space_group: int
    volume_factor: float
    formula_units: int
    smallest_ratio: float
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomSearch:
    """What was found for one composition.

    Attributes:
        formula: Reduced formula.
        structures: In the order of attempts.
        asked: How many were asked for.
        tries: Attempts until there were enough.
        rejected: How many attempts gave nothing, by reason.
    """

    formula: str
    structures: tuple[RandomStructure, ...]
    asked: int
    tries: int
    rejected: dict[Rejection, int]

    @property
    def missing(self) -> int:
        """How many fewer there are than asked for."""
        return self.asked - len(self.structures)


Progress = Callable[[int, int], None]


def random_structures(
    formula: str, count: int = 100, *, seed: int = 0, sensible: Sensible | None = None
) -> list[RandomStructure]:
    """Sensible random structures of one composition.

    Returns:
        As many as asked for; fewer if ``tries_each`` attempts for each were not enough.

    Raises:
        BadInput: If the formula cannot be used, as in ``random_structures_of``.
        NoStructureError: If every attempt was rejected.
        MissingPyxtalError: If pyxtal is not installed and ``symmetric_share`` is not 0.
    """
    (found,) = random_structures_of([formula], count, seed=seed, sensible=sensible).values()
    if not found.structures:
        reasons = ", ".join(f"{n} × {why.value}" for why, n in found.rejected.items())
        raise NoStructureError(
            f"{found.formula}: none of {found.tries} random structures is sensible "
            f"({reasons}); allow more tries_each, larger volume_factors or a lower least_ratio"
        )
    return list(found.structures)


def random_structures_of(
    formulas: Iterable[str],
    count: int = 100,
    *,
    seed: int = 0,
    sensible: Sensible | None = None,
    progress: Progress | None = None,
) -> dict[str, RandomSearch]:
    """Sensible random structures of many compositions, each the same as if asked for alone.

    Args:
        formulas: Compositions; one that is named twice is searched once.
        count: Structures of each.
        seed: Not negative.
        sensible: What a random structure may be.
        progress: Told how many compositions are done, of how many.

    Returns:
        By reduced formula, in the order given. A composition without any structure is there
        too, with its rejections counted.

    Raises:
        BadInput: If a formula is empty, holds what is no element or an element without a
            radius, has fractional amounts, or one formula unit is beyond ``most_atoms``.
        MissingPyxtalError: If pyxtal is not installed and ``symmetric_share`` is not 0.
    """
    if count < 1 or seed < 0:
        raise BadInput(f"{count} structures from seed {seed}; give 1 or more, and 0 or more")
    rules = sensible or Sensible()
    names = list(dict.fromkeys(reduced_formula(formula) for formula in formulas))
    searches = [_Search(n, unit_of(n, rules), count, seed, rules) for n in names]
    found: dict[str, RandomSearch] = {}
    while waiting := [search for search in searches if search.formula not in found]:
        _advance(waiting)
        found |= {search.formula: search.result() for search in waiting if search.over}
        if progress is not None:
            progress(len(found), len(searches))
    return {name: found[name] for name in names}


def unit_of(formula: str, sensible: Sensible) -> tuple[tuple[str, int], ...]:
    """Elements of one formula unit and their numbers of atoms.

    Raises:
        BadInput: If no random structure of the formula can be made.
    """
    atoms = atoms_of(reduced_formula(formula))
    if odd := {el: n for el, n in atoms.items() if n != round(n) or n < 1}:
        raise BadInput(
            f"{formula} has {', '.join(f'{n:g} {el}' for el, n in odd.items())} in a formula "
            "unit; write it with whole numbers of atoms"
        )
    if (total := sum(atoms.values())) > sensible.most_atoms:
        raise BadInput(
            f"one formula unit of {formula} has {total:g} atoms, above most_atoms = "
            f"{sensible.most_atoms} (at most {ROOMS[-1]}); leave it out"
        )
    volume_ang3(atoms)
    return tuple((symbol, round(n)) for symbol, n in sorted(atoms.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """A structure before relaxation, and what was drawn for it."""

    number: int
    cell: Cell
    diameters_ang: FloatArray
    space_group: int
    volume_factor: float
    formula_units: int

    def spheres(self) -> Spheres:
        return Spheres(
            lattice_ang=self.cell.lattice_ang,
            fractional=self.cell.fractional,
            diameters_ang=self.diameters_ang,
            projector=self.cell.projector,
        )


@dataclass(slots=True)
class _Search:
    """One composition on its way; outcomes are in the order of attempts."""

    formula: str
    unit: tuple[tuple[str, int], ...]
    count: int
    seed: int
    sensible: Sensible
    outcomes: list[RandomStructure | Rejection] = field(default_factory=list)
    kept: int = 0

    @property
    def over(self) -> bool:
        return self.kept >= self.count or len(self.outcomes) >= self._most

    @property
    def _most(self) -> int:
        return self.count * self.sensible.tries_each

    def next_numbers(self, room: int) -> range:
        """Attempts to make next: as many as are missing, or as lately were needed."""
        made = len(self.outcomes)
        wanted = (self.count - self.kept) * max(1.0, (made + 1) / (self.kept + 1))
        return range(made, min(made + min(int(np.ceil(wanted)), room), self._most))

    def attempt(self, number: int) -> _Attempt | Rejection:
        return _draw(
            self.unit, self.sensible, _generator(self.seed, self.formula, number), number
        )

    def add(self, outcome: RandomStructure | Rejection) -> None:
        self.outcomes.append(outcome)
        self.kept += isinstance(outcome, RandomStructure)

    def result(self) -> RandomSearch:
        """The first ``count`` kept; attempts made beyond the last of them do not count."""
        kept = [o for o in self.outcomes if isinstance(o, RandomStructure)][: self.count]
        enough = len(kept) == self.count
        tried = self.outcomes[: kept[-1].attempt + 1] if enough else self.outcomes
        return RandomSearch(
            formula=self.formula,
            structures=tuple(kept),
            asked=self.count,
            tries=len(tried),
            rejected=dict(Counter(o for o in tried if isinstance(o, Rejection))),
        )


def _advance(searches: Sequence[_Search]) -> None:
    """Make the next attempts of the first searches, relaxed together."""
    drawn: list[tuple[_Search, _Attempt | Rejection]] = []
    for search in searches:
        room = _AT_ONCE - len(drawn)
        if room < 1:
            break
        drawn += [(search, search.attempt(number)) for number in search.next_numbers(room)]
    starts = [attempt.spheres() for _, attempt in drawn if isinstance(attempt, _Attempt)]
    results = iter(relaxed(starts))
    for search, attempt in drawn:
        if isinstance(attempt, Rejection):
            search.add(attempt)
            continue
        end = next(results)
        near = end.smallest_ratio < search.sensible.least_ratio
        search.add(
            Rejection.TOO_NEAR
            if near
            else _structure(search.formula, attempt, end.fractional, end.smallest_ratio)
        )


def _structure(
    formula: str, attempt: _Attempt, fractional: FloatArray, ratio: float
) -> RandomStructure:
    lattice: list[tuple[float, float, float]] = [
        (float(x), float(y), float(z)) for x, y, z in attempt.cell.lattice_ang
    ]
    return RandomStructure(
        formula=formula,
        crystal=Crystal(
            lattice_ang=tuple(lattice),
            elements=attempt.cell.elements,
            fractional=tuple((float(a), float(b), float(c)) for a, b, c in fractional),
        ),
        space_group=attempt.space_group,
        volume_factor=attempt.volume_factor,
        formula_units=attempt.formula_units,
        smallest_ratio=ratio,
        attempt=attempt.number,
    )


def _generator(seed: int, formula: str, number: int) -> np.random.Generator:
    name = int.from_bytes(hashlib.blake2b(formula.encode(), digest_size=8).digest(), "little")
    return np.random.default_rng([seed, name, number])


def _draw(
    unit: tuple[tuple[str, int], ...],
    sensible: Sensible,
    random: np.random.Generator,
    number: int,
) -> _Attempt | Rejection:
    """Draw one attempt, everything in a fixed order."""
    possible = sensible.most_atoms // sum(n for _, n in unit)
    units = int(random.integers(1, min(possible, sensible.most_formula_units) + 1))
    atoms = [(symbol, n * units) for symbol, n in unit]
    factor = float(random.uniform(*sensible.volume_factors))
    separations = draw_separations_ang([symbol for symbol, _ in unit], random)
    space_group = _space_group(atoms, sensible.symmetric_share, random)
    volume = factor * volume_ang3(dict(atoms))
    if space_group == P1:
        cell = plain_cell(atoms, volume, random)
    else:
        cell = symmetric_cell(atoms, space_group, volume, separations, random)
    if cell is None:
        return Rejection.NO_SITES
    diameters = np.array([[separations[a, b] for b in cell.elements] for a in cell.elements])
    if not _roomy(cell.lattice_ang, diameters, sensible.least_ratio):
        return Rejection.CELL
    return _Attempt(
        number=number,
        cell=cell,
        diameters_ang=diameters,
        space_group=space_group,
        volume_factor=factor,
        formula_units=units,
    )


def _space_group(
    atoms: Sequence[tuple[str, int]], share: float, random: np.random.Generator
) -> int:
    if random.random() >= share:
        return P1
    possible = possible_space_groups(tuple(n for _, n in atoms))
    return int(random.choice(possible)) if possible else P1


def _roomy(lattice_ang: FloatArray, diameters_ang: FloatArray, least_ratio: float) -> bool:
    """Whether no atom meets its own image, or spheres beyond the next cell."""
    shortest = np.linalg.norm(lattice_ang, axis=1).min()
    own = diameters_ang.diagonal().max()
    tall = REACH * heights_ang(lattice_ang).min() >= diameters_ang.max()
    return bool(tall and shortest >= least_ratio * own)
