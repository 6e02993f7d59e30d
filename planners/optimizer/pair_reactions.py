"""Reactions of one or two solids to one or several solids, open to the furnace gas.

Powders touch in pairs, so what a firing did is told as reactions of one phase or of two
(Szymanski et al., Nat. Commun. 14, 6956, 2023). Only elements that no gas carries are
balanced, exactly; C, H, N and O follow as gases, as in :mod:`planners.synthesis.reactions`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import chain, combinations

from pymatgen.core import Composition

from planners.synthesis.compounds import written
from planners.synthesis.reactions import atoms, gases_of, metals


@dataclass(frozen=True, slots=True, kw_only=True)
class PairReaction:
    """One or two solids that become others.

    Attributes:
        reactants: Moles of each solid used up, whole numbers.
        products: Moles of each solid formed, whole numbers.
        gases: Moles released, negative where absorbed; no zeros.
    """

    reactants: Mapping[str, Fraction]
    products: Mapping[str, Fraction]
    gases: Mapping[str, Fraction]

    @property
    def absorbed(self) -> frozenset[str]:
        """Gases that the powder takes up."""
        return frozenset(gas for gas, moles in self.gases.items() if moles < 0)

    def __str__(self) -> str:
        """Write it out: ``2 BaCO3 + Y2O3 → …``."""
        used = {gas: -moles for gas, moles in self.gases.items() if moles < 0}
        released = {gas: moles for gas, moles in self.gases.items() if moles > 0}
        return f"{_side({**self.reactants, **used})} → {_side({**self.products, **released})}"


@cache
def balance_pair(reactants: tuple[str, ...], products: tuple[str, ...]) -> PairReaction | None:
    """Balance solids to solids; None unless there is one way, with all amounts positive.

    A sum of two independent reactions has no unique amounts, so that it is none: BaO and
    CuCO3 do not react with each other to BaCO3 and CuO.

    Args:
        reactants: One or two reduced formulas.
        products: Reduced formulas of what forms; none of the reactants.
    """
    phases = (*reactants, *products)
    elements = frozenset[str]().union(*map(metals, reactants))
    if len(set(phases)) < len(phases) or elements != frozenset[str]().union(
        *map(metals, products)
    ):
        return None
    signs = [1] * len(reactants) + [-1] * len(products)
    amounts = _only_solution(_balances(phases, signs, sorted(elements)), len(phases))
    if amounts is None or min(amounts) <= 0:
        return None
    moles = dict(zip(phases, _whole(amounts), strict=True))
    used = {phase: moles[phase] for phase in reactants}
    formed = {phase: moles[phase] for phase in products}
    return PairReaction(reactants=used, products=formed, gases=_gases(used, formed))


@cache
def balance_with_gases(
    reactants: tuple[str, ...], products: tuple[str, ...]
) -> tuple[PairReaction, ...]:
    """Every way to balance solids to solids with each choice of gases that is unique.

    Here a reaction that lacks a gas is another one than that with it, so that sums of two
    reactions are found too, if they keep the carbon or the oxygen in the powder. Oxygen and
    CO2 enter or leave; water, ammonia and nitrogen leave.

    Args:
        reactants: One or two reduced formulas.
        products: Reduced formulas of what forms; none of the reactants.
    """
    solids = (*reactants, *products)
    have = frozenset[str]().union(*map(metals, reactants))
    if len(set(solids)) < len(solids) or have != frozenset[str]().union(*map(metals, products)):
        return ()
    elements = sorted(frozenset[str]().union(*map(atoms, (*solids, "O2"))))
    found: list[PairReaction] = []
    gases = [
        gas for gas in ("O2", "CO2", "H2O", "H3N", "N2") if set(atoms(gas)) <= {*elements, "C"}
    ]
    for size in range(len(gases) + 1):
        for chosen in combinations(gases, size):
            reaction = _closed(reactants, products, chosen)
            if reaction is not None and reaction.absorbed <= {"O2", "CO2"}:
                found.append(reaction)
    return tuple(found)


def _closed(
    reactants: tuple[str, ...], products: tuple[str, ...], gases: tuple[str, ...]
) -> PairReaction | None:
    """Balance all elements with these gases, all of which take part; None if impossible."""
    phases = (*products, *gases, *reactants)
    elements = sorted(frozenset[str]().union(*map(atoms, phases)))
    if len(phases) > len(elements) + 1:
        return None
    signs = [-1] * (len(products) + len(gases)) + [1] * len(reactants)
    amounts = _only_solution(_balances(phases, signs, elements), len(phases))
    if amounts is None or not all(amounts):
        return None
    moles = dict(zip(phases, _whole(amounts), strict=True))
    if min(moles[phase] for phase in (*reactants, *products)) <= 0:
        return None
    return PairReaction(
        reactants={phase: moles[phase] for phase in reactants},
        products={phase: moles[phase] for phase in products},
        gases={gas: moles[gas] for gas in gases},
    )


@cache
def explanations(
    pool: tuple[str, ...], new: tuple[str, ...], absorbable: frozenset[str]
) -> tuple[PairReaction, ...]:
    """Every reaction of one or two phases of a pool to some of the new phases.

    Args:
        pool: Reduced formulas that may have reacted, sorted.
        new: Reduced formulas that appeared or grew, sorted.
        absorbable: Gases that the furnace or the other powders may have supplied.
    """
    found: list[PairReaction] = []
    for reactants in _subsets(pool, 2):
        elements = frozenset[str]().union(*map(metals, reactants))
        fitting = [phase for phase in new if metals(phase) and metals(phase) <= elements]
        for products in _subsets(fitting, len(elements) + 1 - len(reactants)):
            reaction = balance_pair(reactants, products)
            if reaction is not None and reaction.absorbed <= absorbable:
                found.append(reaction)
    return tuple(found)


@cache
def molar_mass_g(formula: str) -> float:
    """Mass of one mole of a formula as written, in grams."""
    return float(Composition(formula).weight)


@cache
def metal_atoms(formula: str) -> float:
    """Atoms of elements that no gas carries, in one formula."""
    return float(sum(atoms(formula)[element] for element in metals(formula)))


def _subsets(phases: Sequence[str], most: int) -> Iterator[tuple[str, ...]]:
    return chain.from_iterable(combinations(phases, size) for size in range(1, most + 1))


def _balances(
    phases: Sequence[str], signs: Sequence[int], elements: Sequence[str]
) -> list[list[Fraction]]:
    """One row an element: atoms that each phase brings (+) or takes (−)."""
    return [
        [
            sign * atoms(phase).get(element, Fraction(0))
            for phase, sign in zip(phases, signs, strict=True)
        ]
        for element in elements
    ]


def _only_solution(rows: list[list[Fraction]], unknowns: int) -> list[Fraction] | None:
    """The one direction in the null space of a matrix; None where it has none or more."""
    rank = 0
    for column in range(unknowns - 1):
        pivot = next((i for i in range(rank, len(rows)) if rows[i][column]), None)
        if pivot is None:
            return None
        rows[rank], rows[pivot] = rows[pivot], rows[rank]
        rows[rank] = [value / rows[rank][column] for value in rows[rank]]
        for i, row in enumerate(rows):
            if i != rank and (factor := row[column]):
                rows[i] = [a - factor * b for a, b in zip(row, rows[rank], strict=True)]
        rank += 1
    if any(row[-1] for row in rows[rank:]):
        return None
    return [*(-row[-1] for row in rows[:rank]), Fraction(1)]


def _whole(amounts: Sequence[Fraction]) -> list[Fraction]:
    scale = math.lcm(*(amount.denominator for amount in amounts))
    whole = [int(amount * scale) for amount in amounts]
    divisor = math.gcd(*whole)
    return [Fraction(amount // divisor) for amount in whole]


def _gases(
    used: Mapping[str, Fraction], formed: Mapping[str, Fraction]
) -> Mapping[str, Fraction]:
    """Gases that close the balance."""
    left: dict[str, Fraction] = {}
    for side, sign in ((used, 1), (formed, -1)):
        for phase, moles in side.items():
            for element, count in atoms(phase).items():
                left[element] = left.get(element, Fraction(0)) + sign * moles * count
    return gases_of(left)


def _side(terms: Mapping[str, Fraction]) -> str:
    return " + ".join(
        written(phase) if moles == 1 else f"{moles} {written(phase)}"
        for phase, moles in terms.items()
    )
