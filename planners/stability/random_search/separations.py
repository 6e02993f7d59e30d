"""How large a random cell is, and how near its atoms may come, from radii alone.

An *anion* of a compound is an element with a Shannon anionic radius (N, O, F, S, Cl, Se, Br,
Te, I) whose electronegativity lies more than 1 (Pauling) above the lowest in the compound.

*Volume*: Σ (2r)³, with r the anionic radius of anions, the mean of atomic (Slater) and Shannon
cationic radius beside anions, the atomic radius where there is no anion. Of the 25,946
crystals of the Materials Project at hand with radii for all elements, 91 % have 0.4–1.2 times
this volume.

*Separations* are drawn for each pair of elements, as in AIRSS with ``MINSEP=…-… AUTO``: from
the shortest distances of such pairs in the same crystals, up to the median. Pairs are told
apart by kind and measured in sums of radii:

===========================  ==========  =====  =====  =====  =====  =====
pair                         radii       1 %    5 %    10 %   25 %   50 %
===========================  ==========  =====  =====  =====  =====  =====
no anion in the compound     atomic      0.861  0.907  0.933  0.978  1.041
cation and cation            atomic      0.808  0.908  0.960  1.043  1.186
cation and anion             atomic      0.838  0.902  0.934  0.962  0.997
anion and anion              anionic     0.490  0.578  0.892  0.979  1.056
===========================  ==========  =====  =====  =====  =====  =====

The long tail below 10 % of the last row is peroxides, disulfides and the like.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations_with_replacement

import numpy as np
from pymatgen.core import Element

from alab.errors import BadInput

SHORTEST_BOND_ANG = 0.74
"""H2. The atomic radius of hydrogen alone would let two of it come as near as 0.43 Å."""

QUANTILES = (0.01, 0.05, 0.10, 0.25, 0.50)
NO_ANION = (0.861, 0.907, 0.933, 0.978, 1.041)
TWO_CATIONS = (0.808, 0.908, 0.960, 1.043, 1.186)
CATION_AND_ANION = (0.838, 0.902, 0.934, 0.962, 0.997)
TWO_ANIONS = (0.490, 0.578, 0.892, 0.979, 1.056)

_MORE_ELECTRONEGATIVE = 1.0


class NoRadiusError(BadInput):
    """Nothing says how large an atom of an element is."""


def anions(elements: Sequence[str]) -> frozenset[str]:
    """Elements of a compound that are anions in it.

    Raises:
        NoRadiusError: If an element has no atomic radius, as noble gases have none.
    """
    return _anions(tuple(sorted(set(elements))))


def volume_ang3(atoms: Mapping[str, float]) -> float:
    """Estimated volume of that many atoms of each element, Σ (2r)³."""
    negative = anions(tuple(atoms))
    return sum(n * (2 * _radius_ang(el, negative)) ** 3 for el, n in atoms.items())


def draw_separations_ang(
    elements: Sequence[str], random: np.random.Generator
) -> dict[tuple[str, str], float]:
    """Draw how near each pair of elements shall come, in Å, by both orders of the pair.

    Each is a quantile between 1 % and 50 % of what known crystals have.
    """
    found: dict[tuple[str, str], float] = {}
    for a, b in combinations_with_replacement(sorted(set(elements)), 2):
        drawn = separation_ang(a, b, elements, random.uniform(QUANTILES[0], QUANTILES[-1]))
        found[a, b] = found[b, a] = drawn
    return found


def separation_ang(a: str, b: str, elements: Sequence[str], quantile: float) -> float:
    """Shortest distance of two elements that this share of known crystals goes below.

    Args:
        a: One element.
        b: The other, or the same.
        elements: Of the compound, which say what is an anion.
        quantile: Between 0.01 and 0.5.
    """
    negative = anions(elements)
    table, radii = _kind(a, b, negative), (_atomic_radius_ang(a), _atomic_radius_ang(b))
    if table is TWO_ANIONS:
        radii = (_anionic_radius_ang(a), _anionic_radius_ang(b))
    return max(float(np.interp(quantile, QUANTILES, table)) * sum(radii), SHORTEST_BOND_ANG)


def _kind(a: str, b: str, negative: frozenset[str]) -> tuple[float, ...]:
    if not negative:
        return NO_ANION
    return (TWO_CATIONS, CATION_AND_ANION, TWO_ANIONS)[(a in negative) + (b in negative)]


@lru_cache(maxsize=10_000)
def _anions(elements: tuple[str, ...]) -> frozenset[str]:
    for symbol in elements:
        _atomic_radius_ang(symbol)
    lowest = min(Element(symbol).X for symbol in elements)
    return frozenset(
        symbol
        for symbol in elements
        if _anionic_radius_ang(symbol) > 0
        and Element(symbol).X - lowest > _MORE_ELECTRONEGATIVE
    )


def _radius_ang(symbol: str, negative: frozenset[str]) -> float:
    atomic = _atomic_radius_ang(symbol)
    cationic = float(Element(symbol).average_cationic_radius)
    if symbol in negative:
        return _anionic_radius_ang(symbol)
    return (atomic + cationic) / 2 if negative and cationic > 0 else atomic


@lru_cache(maxsize=200)
def _atomic_radius_ang(symbol: str) -> float:
    radius = Element(symbol).atomic_radius
    if radius is None:
        with_radius = sum(Element.from_Z(z).atomic_radius is not None for z in range(1, 119))
        raise NoRadiusError(
            f"{symbol} has no atomic radius, so that neither volume nor separations of a "
            f"random structure can be guessed; {with_radius} elements have one, noble gases "
            "other than Ar and the heaviest elements have none: leave its compounds out"
        )
    return float(radius)


@lru_cache(maxsize=200)
def _anionic_radius_ang(symbol: str) -> float:
    return float(Element(symbol).average_anionic_radius)
