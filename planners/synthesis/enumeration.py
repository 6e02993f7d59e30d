"""All sets of powders that balance to a target, found at once.

Powders that bring the same metals in the same ratio (BaCO3, BaO, BaO2) can stand for one
another, so they are grouped into *rays*. Sets of independent rays are solved together::

    Mᵀ M x = Mᵀ t        (M: metals × rays, t: metals of the target, whole numbers)

in floating point; the amounts are then written as fractions over det(MᵀM) and ``M x = t`` is
checked in whole numbers, so that what survives is exact. Last, each ray is replaced by each
of its powders, and the gases follow. Sets that bring an oxidiser and a fuel together are
left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element

from alab.errors import TargetError
from planners.synthesis.grand_potential import FloatArray
from planners.synthesis.hazards import clash, is_fuel, is_oxidiser
from planners.synthesis.reactions import Reaction, atoms, metals, reaction_of
from planners.synthesis.thermo import reduced, written

IntArray = NDArray[np.int64]

MOST_COMBINATIONS = 3_000_000
"""Sets of rays of one size that are solved; some seconds of work."""

MOST_SETS = 200_000
"""Sets of powders of one size; beyond them the powders named last stand back."""

_CHUNK = 250_000
_LARGEST_DENOMINATOR = 1_000_000
_LARGEST_EXACT = 2.0**50
"""Determinants below this are exact when rounded from floating point."""

_GASES = ("C", "H", "N", "O")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecursorSets:
    """Sets of powders that balance to a target, larger sets last.

    Attributes:
        target: Formula of the target; amounts are per mole of it.
        powders: Powders that the sets refer to.
        members: Index into ``powders`` of each member, −1 where a set is smaller;
            shape (sets, most precursors).
        moles: Moles of each member per mole of target, 0 where there is none; same shape.
        left_out: Powders that were kept out of the largest sets because there were too many.
    """

    target: str
    powders: tuple[str, ...]
    members: IntArray
    moles: FloatArray
    left_out: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.members)

    def names(self, row: int) -> tuple[str, ...]:
        """The powders of a set."""
        return tuple(self.powders[i] for i in self.members[row] if i >= 0)

    def reaction(self, row: int) -> Reaction:
        """The balanced reaction of a set, exact; the most electropositive metal first."""
        amounts = {
            self.powders[i]: Fraction(float(n)).limit_denominator(_LARGEST_DENOMINATOR)
            for i, n in zip(self.members[row], self.moles[row], strict=True)
            if i >= 0
        }
        return reaction_of({p: amounts[p] for p in sorted(amounts, key=_place)}, self.target)

    def only(self, rows: NDArray[np.bool_] | IntArray) -> "PrecursorSets":
        """Some of the sets."""
        return PrecursorSets(
            target=self.target,
            powders=self.powders,
            members=self.members[rows],
            moles=self.moles[rows],
            left_out=self.left_out,
        )

    def gases(self) -> dict[str, FloatArray]:
        """Moles of each gas released per mole of target, as :func:`reactions.gases_of`."""
        rows = [[float(atoms(p).get(e, 0)) for e in _GASES] for p in self.powders]
        own = np.array([*rows, [0.0] * len(_GASES)])  # the last row is that of −1
        left = np.einsum("nk,nke->ne", self.moles, own[self.members])
        left -= np.array([float(atoms(self.target).get(e, 0)) for e in _GASES])
        carbon, hydrogen, nitrogen, oxygen = np.round(left, 9).T
        ammonia = np.where(np.abs(hydrogen) >= 3 * np.abs(nitrogen), nitrogen, 0.0)
        water = (hydrogen - 3 * ammonia) / 2
        return {
            "CO2": carbon,
            "H2O": water,
            "H3N": ammonia,
            "N2": (nitrogen - ammonia) / 2,
            "O2": (oxygen - 2 * carbon - water) / 2,
        }


def enumerate_sets(
    target: str, powders: Sequence[str], *, most_precursors: int = 5
) -> PrecursorSets:
    """Find every set of powders that balances to a target, open to gases both ways.

    Sets are those for which :func:`reactions.balance` has an answer: all amounts above 0
    and unique, so at most as many powders as the target has metals. Of these, sets that
    would take fire (:func:`hazards.clash`) are left out.

    Args:
        target: Formula.
        powders: Powders to choose from; others than the target's metals are passed over.
        most_precursors: Most powders in a set.

    Returns:
        The sets. Where there are more than ``MOST_COMBINATIONS`` or ``MOST_SETS`` of a
        size, powders of many metals, and those named last among powders of the same
        metals, are kept out of it; ``left_out`` names them.

    Raises:
        TargetError: If sets balance, and all of them would take fire; names powders.
    """
    elements = sorted(metals(target))
    usable = _usable(powders, frozenset(elements))
    rays = _rays(usable, elements)
    wanted = _whole(target, elements)
    most = min(most_precursors, len(elements))
    found = [(np.zeros((0, most), dtype=np.int64), np.zeros((0, most)))]
    left_out: set[str] = set()
    for size in range(1, most + 1):
        kept = _few_enough(rays, size)
        vectors = np.array([ray.vector for ray in kept], dtype=np.int64)
        vectors = vectors.reshape(len(kept), len(elements))
        chosen, amounts = _solutions(vectors, np.array(wanted), size)
        kept = _few_powders(kept, chosen)
        found += _with_powders(chosen, amounts, kept, usable, target, most)
        left_out |= set(usable) - {powder for ray in kept for powder in ray.powders}
    sets = PrecursorSets(
        target=target,
        powders=usable,
        members=np.concatenate([members for members, _ in found]),
        moles=np.concatenate([moles for _, moles in found]),
        left_out=tuple(sorted(left_out)),
    )
    return _without_clashes(sets)


def _without_clashes(sets: PrecursorSets) -> PrecursorSets:
    """The sets that do not bring an oxidiser and a fuel together.

    Raises:
        TargetError: If there were sets, and none is left.
    """
    dangerous = np.ones(len(sets), dtype=np.bool_)
    for kind in (is_oxidiser, is_fuel):
        held = np.array([*map(kind, sets.powders), False])  # the last is that of −1
        dangerous &= np.any(held[sets.members], axis=1)
    safe = sets.only(~dangerous)
    if len(sets) and not len(safe):
        raise TargetError(
            f"{written(sets.target)}: every set of powders that balances to it is dangerous: "
            f"{clash(sets.names(0))}; add other precursors"
        )
    return safe


def _place(powder: str) -> tuple[float, str]:
    """Where chemists write a powder: by its most electropositive metal."""
    return min(Element(e).X for e in metals(powder)), powder


@dataclass(frozen=True, slots=True)
class _Ray:
    """Powders that bring the same metals in the same ratio."""

    vector: tuple[int, ...]
    powders: tuple[str, ...]


def _usable(powders: Sequence[str], elements: frozenset[str]) -> tuple[str, ...]:
    first: dict[str, str] = {}
    for powder in powders:
        if metals(powder) and metals(powder) <= elements:
            first.setdefault(reduced(powder), powder)
    return tuple(first.values())


def _whole(formula: str, elements: Sequence[str]) -> list[int]:
    """Metals of a formula, times what makes them whole numbers."""
    counts = [atoms(formula).get(e, Fraction(0)) for e in elements]
    scale = math.lcm(*(count.denominator for count in counts))
    return [int(count * scale) for count in counts]


def _rays(powders: Sequence[str], elements: Sequence[str]) -> list[_Ray]:
    """Powders by the direction of their metals; those of fewest metals first."""
    grouped: dict[tuple[int, ...], list[str]] = {}
    for powder in powders:
        counts = _whole(powder, elements)
        divisor = math.gcd(*counts)
        grouped.setdefault(tuple(n // divisor for n in counts), []).append(powder)
    rays = [_Ray(vector, tuple(names)) for vector, names in grouped.items()]
    return sorted(rays, key=lambda ray: (sum(n > 0 for n in ray.vector), sum(ray.vector)))


def _few_enough(rays: list[_Ray], size: int) -> list[_Ray]:
    count = len(rays)
    while count > size and math.comb(count, size) > MOST_COMBINATIONS:
        count -= 1
    return rays[:count]


def _few_powders(rays: list[_Ray], chosen: IntArray) -> list[_Ray]:
    """The same rays with so few powders each that their sets stay below the limit."""
    sizes = np.array([len(ray.powders) for ray in rays], dtype=float)
    most = int(sizes.max(initial=1.0))
    while most > 1 and np.minimum(sizes, most)[chosen].prod(axis=1).sum() > MOST_SETS:
        most -= 1
    return [_Ray(ray.vector, ray.powders[:most]) for ray in rays]


def _solutions(vectors: IntArray, wanted: IntArray, size: int) -> tuple[IntArray, FloatArray]:
    """Sets of ``size`` rays with positive unique amounts, solved chunk by chunk."""
    every = np.array(list(combinations(range(len(vectors)), size)), dtype=np.int64)
    every = every.reshape(-1, size)
    parts = [
        _solved(vectors, wanted, every[start : start + _CHUNK])
        for start in range(0, max(len(every), 1), _CHUNK)
    ]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _solved(
    vectors: IntArray, wanted: IntArray, chosen: IntArray
) -> tuple[IntArray, FloatArray]:
    covered = np.all(np.any(vectors[chosen] > 0, axis=1), axis=1)
    chosen = chosen[covered]
    rays = vectors[chosen].astype(float)  # set, ray, metal
    square = rays.shape[1] == rays.shape[2]
    gram = rays.transpose(0, 2, 1) if square else np.einsum("nij,nkj->nik", rays, rays)
    side = np.broadcast_to(wanted.astype(float), rays[:, 0].shape) if square else rays @ wanted
    determinants = np.round(np.linalg.det(gram))
    good = (determinants != 0) & (np.abs(determinants) < _LARGEST_EXACT)
    chosen, gram, determinants = chosen[good], gram[good], determinants[good]
    amounts = np.linalg.solve(gram, side[good][..., None])[..., 0]
    positive = np.all(amounts > 1e-9, axis=1)
    chosen, determinants, amounts = chosen[positive], determinants[positive], amounts[positive]
    above = np.round(amounts * determinants[:, None]).astype(np.int64)
    below = determinants.astype(np.int64)
    made = np.einsum("nk,nke->ne", above, vectors[chosen])
    conserved = np.all(made == below[:, None] * wanted, axis=1)
    exact = conserved & np.all(above * below[:, None] > 0, axis=1)
    return chosen[exact], above[exact] / below[exact][:, None]


def _with_powders(
    chosen: IntArray,
    amounts: FloatArray,
    rays: Sequence[_Ray],
    powders: tuple[str, ...],
    target: str,
    most: int,
) -> list[tuple[IntArray, FloatArray]]:
    """Replace each ray by each of its powders, and count moles of powder per mole."""
    table, per_unit = _powder_table(rays, powders, target)
    sizes = np.array([len(ray.powders) for ray in rays], dtype=np.int64)
    shapes, kind = np.unique(sizes[chosen], axis=0, return_inverse=True)
    found: list[tuple[IntArray, FloatArray]] = []
    for number, shape in enumerate(shapes):
        rows = kind.ravel() == number
        picks = np.indices(shape).reshape(len(shape), -1).T  # every choice of powders
        some = chosen[rows][:, None, :]
        members = table[some, picks].reshape(-1, len(shape))
        moles = (amounts[rows][:, None, :] * per_unit[some, picks]).reshape(-1, len(shape))
        spare = ((0, 0), (0, most - len(shape)))
        found.append((np.pad(members, spare, constant_values=-1), np.pad(moles, spare)))
    return found


def _powder_table(
    rays: Sequence[_Ray], powders: tuple[str, ...], target: str
) -> tuple[IntArray, FloatArray]:
    """Index of each powder of each ray, and moles of it per unit of the ray's vector."""
    elements = sorted(metals(target))
    whole = sum(_whole(target, elements)) / _held(target)
    width = max((len(ray.powders) for ray in rays), default=1)
    table = np.full((len(rays), width), -1, dtype=np.int64)
    per_unit = np.zeros((len(rays), width))
    for i, ray in enumerate(rays):
        for j, powder in enumerate(ray.powders):
            table[i, j] = powders.index(powder)
            per_unit[i, j] = sum(ray.vector) / _held(powder) / whole
    return table, per_unit


def _held(formula: str) -> float:
    return float(sum(atoms(formula)[e] for e in metals(formula)))
