"""What can form where two powders touch: the interface reaction hull.

Along the line that mixes two phases A and B (x is the share of B's metal atoms), every set
of products that meets the line at one point is a reaction::

    (1 − x) A + x B → Σ w_i P_i,     E(x) = Σ w_i φ_i − (1 − x) φ_A − x φ_B

with grand potentials φ per metal atom, so the furnace gas is part of each. The lower convex
hull of all E(x) and of the two unreacted ends is the interface reaction hull, its corners
are the kinks (Richards et al., Chem. Mater. 28, 266, 2016; McDermott et al., ACS Cent. Sci.
9, 1957, 2023). With d metals on the line, d − 1 products fix a point of it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import combinations

import numpy as np

from alab.errors import BadInput
from alab.models import Atmosphere
from planners.synthesis.grand_potential import (
    FloatArray,
    check_solid,
    grand_potential_ev_per_metal_atom,
    metal_atoms,
    metal_fractions,
    rivals,
)
from planners.synthesis.reactions import GAS_ELEMENTS, atoms, equation, gases_of, metals
from planners.synthesis.thermo import reduced, written

MOST_PRODUCT_SETS = 400_000
"""Sets of products looked at on one interface, some seconds of work."""

_LARGEST_DENOMINATOR = 10_000
_SAME = 1e-9
"""Two mixing ratios, or two amounts, that are equal up to rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceReaction:
    """One way two phases can react.

    Attributes:
        ratio: Share of the second phase, by metal atoms; 0 and 1 are the phases alone.
        energy_ev_per_metal_atom: Reaction energy, negative downhill.
        products: What forms; empty where nothing reacts.
        shares: Share of each product, by metal atoms.
    """

    ratio: float
    energy_ev_per_metal_atom: float
    products: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceHull:
    """All reactions between two phases, and the hull below them.

    Attributes:
        first: Phase at mixing ratio 0.
        second: Phase at mixing ratio 1.
        reactions: Every reaction by mixing ratio; the unreacted ends are not among them.
        kinks: Corners of the lower hull by mixing ratio, both ends included.
    """

    first: str
    second: str
    reactions: tuple[InterfaceReaction, ...]
    kinks: tuple[InterfaceReaction, ...]

    @property
    def minimum(self) -> InterfaceReaction:
        """The kink of lowest energy."""
        return min(self.kinks, key=lambda kink: kink.energy_ev_per_metal_atom)

    def energy_at(self, ratio: float) -> float:
        """Energy of the hull at a mixing ratio, in eV per metal atom."""
        ratios = [kink.ratio for kink in self.kinks]
        return float(np.interp(ratio, ratios, [k.energy_ev_per_metal_atom for k in self.kinks]))

    def equation(self, reaction: InterfaceReaction) -> str:
        """Write one of its reactions: ``2 BaCO3 + TiO2 → Ba2TiO4 + 2 CO2``."""
        if not reaction.products:
            return f"{written(self.first if reaction.ratio == 0 else self.second)} unreacted"
        ends = {self.first: 1 - reaction.ratio, self.second: reaction.ratio}
        scale = metal_atoms(reaction.products[0]) / reaction.shares[0]
        left = {f: _moles(f, share * scale) for f, share in ends.items() if share > _SAME}
        right = {
            f: _moles(f, share * scale)
            for f, share in zip(reaction.products, reaction.shares, strict=True)
        }
        return equation(left, right, gases_of(_atoms_over(left, right)))


@lru_cache(maxsize=20_000)
def interface_hull(
    first: str,
    second: str,
    temperature_c: float,
    atmosphere: Atmosphere,
    also: tuple[str, ...] = (),
) -> InterfaceHull:
    """Find all reactions between two phases in a furnace gas, and their hull.

    Args:
        first: Formula of one phase.
        second: Formula of the other; its metals in another ratio.
        temperature_c: Temperature of the powder.
        atmosphere: Gas of the furnace.
        also: Products to look at though another solid of the same metals is lower.

    Raises:
        BadInput: If a phase holds no metal, the phases hold their metals in the same ratio,
            or there are more than ``MOST_PRODUCT_SETS`` sets of products.
        MissingThermoError: If a phase, or the temperature, is in no table.
    """
    check_solid(first)
    check_solid(second)
    elements = sorted(metals(first) | metals(second))
    ends = metal_fractions([first, second], elements)
    if np.allclose(*ends, atol=_SAME):
        raise BadInput(
            f"{first} and {second} hold {' and '.join(elements)} in the same ratio, so there "
            "is no line of mixtures between them; name two phases of different ratio"
        )
    solids = _products((first, second), elements, temperature_c, atmosphere, also)
    energies = _energies((first, second, *solids), temperature_c, atmosphere)
    found = _reactions(solids, metal_fractions(solids, elements), ends, energies)
    return InterfaceHull(
        first=first, second=second, reactions=tuple(found), kinks=_lower_hull(found)
    )


def _products(
    ends: tuple[str, str],
    elements: Sequence[str],
    temperature_c: float,
    atmosphere: Atmosphere,
    also: Iterable[str],
) -> list[str]:
    unreacted = {reduced(end) for end in ends}
    everywhere = frozenset(elements)
    asked = [r for name in also if metals(name) <= everywhere and (r := reduced(name))]
    best = rivals(everywhere, temperature_c, atmosphere, without=unreacted)
    solids = list(dict.fromkeys([*best, *(name for name in asked if name not in unreacted)]))
    most = len(elements) - 1
    sets = sum(math.comb(len(solids), size) for size in range(1, most + 1))
    if sets > MOST_PRODUCT_SETS:
        raise BadInput(
            f"between {ends[0]} and {ends[1]} there are {sets} sets of up to {most} products; "
            f"at most {MOST_PRODUCT_SETS} are looked at; choose phases with fewer elements"
        )
    return solids


def _energies(
    formulas: Iterable[str], temperature_c: float, atmosphere: Atmosphere
) -> FloatArray:
    return np.array(
        [grand_potential_ev_per_metal_atom(f, temperature_c, atmosphere) for f in formulas]
    )


def _reactions(
    solids: Sequence[str], fractions: FloatArray, ends: FloatArray, energies: FloatArray
) -> list[InterfaceReaction]:
    """All sets of products that meet the line at one point, in order of mixing ratio."""
    end_energies, product_energies = energies[:2], energies[2:]
    found: list[InterfaceReaction] = []
    for size in range(1, ends.shape[1]):
        chosen, ratios, shares = _meeting(fractions, ends, size)
        change = (
            np.einsum("nk,nk->n", shares, product_energies[chosen])
            - (1 - ratios) * end_energies[0]
            - ratios * end_energies[1]
        )
        found += [
            InterfaceReaction(
                ratio=float(x),
                energy_ev_per_metal_atom=float(e),
                products=tuple(solids[int(i)] for i in row),
                shares=tuple(map(float, w)),
            )
            for row, x, e, w in zip(chosen, ratios, change, shares, strict=True)
        ]
    return sorted(found, key=lambda r: (r.ratio, r.energy_ev_per_metal_atom, r.products))


def _meeting(
    fractions: FloatArray, ends: FloatArray, size: int
) -> tuple[np.ndarray, FloatArray, FloatArray]:
    """Sets of ``size`` products on the line, with mixing ratios and shares.

    Solves ``Σ w_i c_i + x (a − b) = a`` for all sets at once, by least squares.
    """
    sets = np.array(list(combinations(range(len(fractions)), size)), dtype=int)
    if not len(sets):
        return np.zeros((0, size), dtype=int), np.zeros(0), np.zeros((0, size))
    line = np.broadcast_to(ends[0] - ends[1], (len(sets), 1, ends.shape[1]))
    rows = np.concatenate([fractions[sets], line], axis=1)
    gram = np.einsum("nij,nkj->nik", rows, rows)
    independent = np.linalg.det(gram) > _SAME
    sets, rows, gram = sets[independent], rows[independent], gram[independent]
    solved = np.linalg.solve(gram, (rows @ ends[0])[..., None])[..., 0]
    miss = np.abs(np.einsum("nk,nkj->nj", solved, rows) - ends[0]).max(axis=1, initial=0.0)
    shares, ratios = solved[:, :-1], solved[:, -1]
    good = (
        (miss < _SAME) & (shares > _SAME).all(axis=1) & (ratios > -_SAME) & (ratios < 1 + _SAME)
    )
    return sets[good], np.clip(np.round(ratios[good], 12), 0.0, 1.0), shares[good]


def _lower_hull(reactions: Iterable[InterfaceReaction]) -> tuple[InterfaceReaction, ...]:
    """Corners of the lower convex hull, by Andrew's monotone chain."""
    ends = [InterfaceReaction(ratio=x, energy_ev_per_metal_atom=0.0) for x in (0.0, 1.0)]
    lowest: dict[float, InterfaceReaction] = {}
    for reaction in sorted([*ends, *reactions], key=lambda r: r.energy_ev_per_metal_atom):
        lowest.setdefault(reaction.ratio, reaction)
    corners: list[InterfaceReaction] = []
    for point in sorted(lowest.values(), key=lambda r: r.ratio):
        while len(corners) > 1 and not _turns_up(corners[-2], corners[-1], point):
            corners.pop()
        corners.append(point)
    return tuple(corners)


def _turns_up(one: InterfaceReaction, two: InterfaceReaction, three: InterfaceReaction) -> bool:
    run, rise = (
        two.ratio - one.ratio,
        two.energy_ev_per_metal_atom - one.energy_ev_per_metal_atom,
    )
    far = three.ratio - one.ratio
    return (
        rise * far
        < (three.energy_ev_per_metal_atom - one.energy_ev_per_metal_atom) * run - 1e-15
    )


def _moles(formula: str, metals_held: float) -> Fraction:
    return Fraction(metals_held / metal_atoms(formula)).limit_denominator(_LARGEST_DENOMINATOR)


def _atoms_over(
    left: Mapping[str, Fraction], right: Mapping[str, Fraction]
) -> dict[str, Fraction]:
    """Atoms of C, H, N and O that the right side lacks."""
    over: dict[str, Fraction] = {}
    for side, sign in ((left, 1), (right, -1)):
        for formula, moles in side.items():
            for element, count in atoms(formula).items():
                if element in GAS_ELEMENTS:
                    over[element] = over.get(element, Fraction(0)) + sign * moles * count
    return over
