"""The table of pair reactions as ARROWS3 keeps it: known or not, with a temperature range.

Steps 4 and 5 of Szymanski et al., Nat. Commun. 14, 6956 (2023), unweighted: products that
one reaction alone explains make that reaction known; phases that stayed side by side are
inert up to that temperature. Unlike :mod:`planners.optimizer.inference`, every balanced
reaction of a pair counts as an explanation, sums of two others among them, as in the
published method; and what is known of other sets is not used to explain a firing, except
that inert pairs are left out.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain, combinations

from planners.optimizer.pair_reactions import PairReaction, balance_with_gases, molar_mass_g
from planners.synthesis.reactions import metals

GROWTH_TOLERANCE = 0.01
"""Growth in weight fraction from which a phase counts as formed, as published."""

Pair = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the table.

    Attributes:
        reaction: What happens; None if only that nothing does, up to ``above_c``.
        above_c: Temperature up to which nothing happened; −inf if unknown.
        by_c: Temperature by which it had; inf if unknown.
    """

    reaction: PairReaction | None
    above_c: float
    by_c: float


@dataclass(slots=True)
class PairTable:
    """What is known of pairs; grows with each firing, in the order they were done."""

    entries: dict[Pair, list[Entry]] = field(default_factory=dict)

    def knows(self, a: str, b: str) -> bool:
        """Whether anything is known of two phases."""
        return frozenset((a, b)) in self.entries

    def learn(
        self,
        start: Mapping[str, float],
        found: Mapping[str, float],
        temperature_c: float,
    ) -> list[PairReaction]:
        """Take in what one firing shows.

        Args:
            start: Weight fraction of each phase before, as far as it is known.
            found: Weight fraction of each phase found.
            temperature_c: Highest temperature of the firing.

        Returns:
            The reactions this firing made known.
        """
        formed = tuple(sorted(name for name in found if _formed(name, start, found)))
        suspected = [
            reaction
            for reaction in suspected_reactions(tuple(sorted(start)), formed)
            if not self._inert(frozenset(reaction.reactants), temperature_c)
        ]
        touched = {frozenset(reaction.reactants) for reaction in suspected}
        for pair in map(frozenset, combinations(sorted(start), 2)):
            if pair <= found.keys() and pair not in touched:
                self._add_inert(pair, temperature_c)
        ways = Counter(phase for reaction in suspected for phase in reaction.products)
        known = [
            reaction
            for reaction in suspected
            if any(ways[phase] == 1 for phase in reaction.products)
        ]
        for reaction in known:
            self._add(reaction, temperature_c)
        return known

    def evolve(self, moles: Mapping[str, float], top_c: float) -> dict[str, float]:
        """Predict what powders become on the way to a temperature.

        The earliest known reaction runs until its limiting reactant is used up, again and
        again. It stops where a pair is unknown, where two reactions are known by the same
        temperature, or where the same phases come again.

        Args:
            moles: Amount of each powder.
            top_c: Highest temperature reached.

        Returns:
            Amount of each phase left, in the same moles.
        """
        state, passed = dict(moles), set[Pair]()
        while (phases := frozenset(state)) not in passed:
            passed.add(phases)
            entry = self._first(phases)
            if entry is None or entry.reaction is None or entry.by_c > top_c:
                break
            state = advanced(state, entry.reaction)
        return state

    def _first(self, phases: Pair) -> Entry | None:
        """The earliest reaction among phases all of whose pairs are known."""
        pairs = [frozenset(pair) for pair in combinations(sorted(phases), 2)]
        if any(pair not in self.entries for pair in pairs):
            return None
        groups = chain((frozenset((phase,)) for phase in sorted(phases)), pairs)
        earliest = [
            min(reacting, key=lambda entry: entry.by_c)
            for group in groups
            if (reacting := [e for e in self.entries.get(group, []) if e.reaction])
        ]
        if not earliest:
            return None
        first_c = min(entry.by_c for entry in earliest)
        firsts = [entry for entry in earliest if entry.by_c == first_c]
        return firsts[0] if len(firsts) == 1 else None

    def _inert(self, reactants: Pair, temperature_c: float) -> bool:
        entries = self.entries.get(reactants)
        return entries is not None and all(e.above_c >= temperature_c for e in entries)

    def _add_inert(self, pair: Pair, temperature_c: float) -> None:
        entries = self.entries.setdefault(
            pair, [Entry(reaction=None, above_c=temperature_c, by_c=math.inf)]
        )
        for index, entry in enumerate(entries):
            if entry.above_c < temperature_c < entry.by_c:
                entries[index] = replace(entry, above_c=temperature_c)

    def _add(self, reaction: PairReaction, temperature_c: float) -> None:
        entries = self.entries.setdefault(frozenset(reaction.reactants), [])
        for index, entry in enumerate(entries):
            if entry.reaction is None:
                entries[index] = replace(entry, reaction=reaction, by_c=temperature_c)
                return
            if entry.reaction.products.keys() == reaction.products.keys():
                by_c = min(entry.by_c, temperature_c)
                entries[index] = replace(entry, by_c=by_c)
                return
        above_c = max((entry.by_c for entry in entries), default=-math.inf)
        entries.append(Entry(reaction=reaction, above_c=above_c, by_c=temperature_c))


@cache
def suspected_reactions(
    start: tuple[str, ...], formed: tuple[str, ...]
) -> tuple[PairReaction, ...]:
    """Every reaction of one or two phases, of those before and those formed, to new ones.

    Args:
        start: Phases before, sorted.
        formed: Phases that are new or grew, sorted.
    """
    pool = sorted({*start, *formed})
    return tuple(
        reaction
        for reactants in _subsets(pool, 2)
        for products in _subsets(_made_of(reactants, formed), len(formed))
        for reaction in balance_with_gases(reactants, products)
    )


def advanced(moles: Mapping[str, float], reaction: PairReaction) -> dict[str, float]:
    """Amounts after a reaction has run until its limiting reactant is used up."""
    extent = min(moles[phase] / float(need) for phase, need in reaction.reactants.items())
    after = dict(moles)
    for phase, need in reaction.reactants.items():
        after[phase] -= extent * float(need)
    for phase, made in reaction.products.items():
        after[phase] = after.get(phase, 0.0) + extent * float(made)
    least = 1e-3 * sum(after.values())
    return {phase: amount for phase, amount in after.items() if amount > least}


def weight_fractions(moles: Mapping[str, float]) -> dict[str, float]:
    """Weight fraction of each phase."""
    grams = {name: amount * molar_mass_g(name) for name, amount in moles.items()}
    total = sum(grams.values())
    return {name: mass / total for name, mass in grams.items()}


def _formed(name: str, start: Mapping[str, float], found: Mapping[str, float]) -> bool:
    return name not in start or found[name] > start[name] + GROWTH_TOLERANCE


def _made_of(reactants: Iterable[str], formed: Sequence[str]) -> list[str]:
    elements = frozenset[str]().union(*map(metals, reactants))
    return [phase for phase in formed if metals(phase) and metals(phase) <= elements]


def _subsets(phases: Sequence[str], most: int) -> Iterator[tuple[str, ...]]:
    return chain.from_iterable(combinations(phases, size) for size in range(1, most + 1))
