"""Whether a composition can balance its charges, with relaxed oxidation states.

Each element takes one of its common oxidation states or 0; up to two elements may lie
between two neighbouring states of theirs, as mixed valence does (Merchant et al., Nature
624, 80 (2023), methods). Li15Si4 passes: Li is +1 and Si −3.75, between −4 and 0.

The second element never decides: with the element of the widest range between its states
and all others at states, every total charge from the lowest to the highest is reached. Two
are allowed as published.

With 0 allowed for every element, all zeros would balance anything. So an assignment counts
only if some element is charged; ``metallic=True`` lets the neutral one pass, which then
passes every composition of known elements.
"""

import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pymatgen.core import Composition, Element, Species

from alab.errors import BadInput

MOST_BETWEEN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """Which oxidation states count.

    Attributes:
        zero: Whether 0 stands beside the common states of each element.
        between: How many elements may lie between two neighbouring states.
        metallic: Whether all elements at 0 is a balance.
    """

    zero: bool = True
    between: int = MOST_BETWEEN
    metallic: bool = False


RELAXED = States()
STRICT = States(zero=False, between=0)


@functools.cache
def states_of(symbol: str, *, zero: bool = True) -> tuple[int, ...]:
    """Common oxidation states of an element in ascending order, with 0 if asked for.

    Raises:
        BadInput: It is no element, or has no common oxidation state (He, Ne, Ar).
    """
    try:
        common = Element(symbol).common_oxidation_states
    except ValueError as error:
        raise BadInput(f"{symbol!r} is no element; give a formula of elements") from error
    if not common:
        raise BadInput(
            f"{symbol}: no common oxidation state is known; leave compositions with it out "
            "of the charge balance"
        )
    return tuple(sorted({*(int(s) for s in common), *((0,) if zero else ())}))


def is_balanced(composition: Composition | str, states: States = RELAXED) -> bool:
    """Whether some assignment of oxidation states makes the composition neutral."""
    return balance(composition, states) is not None


def balance(
    composition: Composition | str, states: States = RELAXED
) -> dict[str, tuple[int, int]] | None:
    """One assignment that balances, as the lowest and highest state of each element.

    Both are equal for an element at one state, and differ for one that lies between two.

    Returns:
        None if no assignment balances.

    Raises:
        BadInput: An element has no known state.
    """
    amounts = _parsed(composition).get_el_amt_dict()
    found = _search(tuple(sorted(amounts.items())), states)
    return None if found is None else dict(found)


def likely_ions(composition: Composition | str) -> tuple[Species, ...]:
    """The ions of a compound by pymatgen's likeliest whole oxidation states.

    Raises:
        BadInput: No states balance it, or only with two valences of one element.
    """
    parsed = _parsed(composition)
    guesses = parsed.element_composition.oxi_state_guesses(max_sites=-1)
    if not guesses or any(state != round(state) for state in guesses[0].values()):
        raise BadInput(
            f"{parsed.formula}: no whole oxidation state for each element balances it; give "
            "its ions, or replace by elements (element_targets)"
        )
    return tuple(Species(symbol, round(state)) for symbol, state in guesses[0].items())


def _parsed(composition: Composition | str) -> Composition:
    try:
        parsed = Composition(composition, strict=True)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{composition!r} is no chemical formula: {error}") from error
    if not parsed:
        raise BadInput("an empty composition has no charges to balance")
    return parsed


_Assignment: TypeAlias = tuple[tuple[str, tuple[int, int]], ...]


@functools.lru_cache(maxsize=200_000)
def _search(amounts: tuple[tuple[str, float], ...], states: States) -> _Assignment | None:
    options = {symbol: states_of(symbol, zero=states.zero) for symbol, _ in amounts}
    return _extend(amounts, options, states, (0.0, 0.0), states.between, ())


def _extend(
    open_: tuple[tuple[str, float], ...],
    options: Mapping[str, tuple[int, ...]],
    states: States,
    charge: tuple[float, float],
    between: int,
    chosen: _Assignment,
) -> _Assignment | None:
    """Depth-first over the elements; leaves a branch that no choice can bring to 0."""
    lowest = charge[0] + sum(n * options[s][0] for s, n in open_)
    highest = charge[1] + sum(n * options[s][-1] for s, n in open_)
    if lowest > 1e-8 or highest < -1e-8:
        return None
    if not open_:
        return chosen if states.metallic or _charged(chosen) else None
    (symbol, n), rest = open_[0], open_[1:]
    for low, high in _spans(options[symbol], between):
        grown = (charge[0] + n * low, charge[1] + n * high)
        left = between - (low != high)
        found = _extend(rest, options, states, grown, left, (*chosen, (symbol, (low, high))))
        if found is not None:
            return found
    return None


def _spans(ordered: tuple[int, ...], between: int) -> list[tuple[int, int]]:
    """Single states first, so that mixed valence is the last resort."""
    single = [(s, s) for s in ordered]
    pairs = list(itertools.pairwise(ordered)) if between else []
    return single + pairs


def _charged(chosen: _Assignment) -> bool:
    """Whether the charges can cancel without all being 0.

    A charge that is fixed and not 0 decides. Otherwise two elements must be able to lie on
    either side of 0: one between 0 and 3 and all others at 0 is no balance of charges.
    """
    if any(low == high != 0 for _, (low, high) in chosen):
        return True
    donors = {symbol for symbol, (_, high) in chosen if high > 0}
    acceptors = {symbol for symbol, (low, _) in chosen if low < 0}
    return bool(donors and acceptors) and len(donors | acceptors) > 1
