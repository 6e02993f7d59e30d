"""Candidates of one chemical system, from known structures, encoded until they are needed.

Two of the ways of Merchant et al., Nature 624, 80 (2023), aimed at a system of 2 to 6
elements:

- *whole substitutions*: every known structure with elements of the system on its sites, in
  every order, for every subset of the system;
- *partial substitutions* (SAPS) of compounds that lie in the system, and of the likeliest whole
  substitutions, which lie near it.

Structure types are few and systems are small, so nothing is cut by a probability. The order is:
compositions with ordinary charges, then the mean of log p(new | old) of the
substitution model over the elements that change.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import permutations

import numpy as np
from pymatgen.core import Element, Structure

from alab.errors import BadInput
from planners.stability.candidates.encoding import (
    RECORD,
    Records,
    encode,
    keys,
    materialise,
    orbit_elements,
    reduced_formulas,
    unique,
)
from planners.stability.candidates.lineage import Kind
from planners.stability.candidates.oxidation import RELAXED, States, is_balanced
from planners.stability.candidates.parents import Parent, ParentError, read_parent
from planners.stability.candidates.prototypes import KnownStructure
from planners.stability.candidates.saps import Caps, partial_substitutions
from planners.stability.candidates.substitution import THRESHOLD, element_probabilities
from planners.stability.formulas import elements_of

FEWEST_ELEMENTS, MOST_ELEMENTS = 2, 6

MOST_NEAR_PARENTS = 40
"""Whole substitutions that are taken apart again by SAPS, the likeliest."""

ORDINARY = States(zero=False, between=1)
"""Common oxidation states that cancel, one element of mixed valence allowed: LiMn2O4 passes,
LiO3 does not."""

CAPS = Caps(targets=MOST_ELEMENTS)
"""Of the partial substitutions; every element of the system is a target."""

SAME_TYPE = 2
"""Candidates of one formula whose elements sit on orbits of the same site symmetries: mostly
copies by different parents; two are kept in case the types differ in their coordinates."""


@dataclass(frozen=True, kw_only=True, eq=False)  # no slots: the structure is cached
class Proposal:
    """A candidate that waits for its energy.

    Attributes:
        key: What lineage calls it.
        formula: Reduced formula.
        parent: Whose orbits it decorates.
        words: What people call the parent.
        record: The decoration.
        kind: Whole or partial substitution.
        likelihood: Mean log-probability of its substitutions.
        type_label: Space group of the parent and the site symmetries of each element.
    """

    key: str
    formula: str
    parent: Parent
    words: str
    record: np.void = field(repr=False)
    kind: Kind
    likelihood: float
    type_label: str

    @cached_property
    def structure(self) -> Structure:
        """The candidate in its parent's geometry, at the volume that atomic radii suggest."""
        return materialise(self.parent, self.record)

    @property
    def change(self) -> str:
        """What replaces what: ``Co → Mn`` or ``2 of 4 Mn → Li``."""
        old, new = self.parent.atomic_numbers, self._new
        sites = self.parent.multiplicities
        found = dict.fromkeys(zip(old.tolist(), new.tolist(), strict=True))
        return ", ".join(
            _part(a, b, int(sites[(old == a) & (new == b)].sum()), int(sites[old == a].sum()))
            for a, b in found
            if a != b
        )

    @property
    def _new(self) -> np.ndarray:
        return orbit_elements(self.parent, np.array([self.record], dtype=RECORD))[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What generation gave.

    Attributes:
        new: Candidates of unknown compositions, likeliest first.
        known: Decorations whose composition is known, likeliest first.
        left_out: How many were left out, by reason.
        parents: How many structures were taken apart.
        lineage: Parent of each proposal that is itself a candidate: its key and structure.
    """

    new: tuple[Proposal, ...]
    known: tuple[Proposal, ...]
    left_out: Counter[str]
    parents: int
    lineage: dict[str, Proposal]


def chemical_system(text: str) -> tuple[str, ...]:
    """Elements of a system as people write it: ``Li-Mn-O``.

    Raises:
        BadInput: An unknown or repeated element, or not 2 to 6 of them.
    """
    symbols = [word.strip() for word in text.replace(",", "-").split("-") if word.strip()]
    if unknown := [s for s in symbols if not Element.is_valid_symbol(s)]:
        raise BadInput(
            f"{text!r} names {', '.join(map(repr, unknown))}, no element of the periodic "
            "table; write symbols with hyphens, like Li-Mn-O"
        )
    if repeated := [s for s, times in Counter(symbols).items() if times > 1]:
        raise BadInput(f"{text!r} names {', '.join(repeated)} twice; name each element once")
    if not FEWEST_ELEMENTS <= len(symbols) <= MOST_ELEMENTS:
        raise BadInput(
            f"{text!r} names {len(symbols)} element(s); a system of {FEWEST_ELEMENTS} to "
            f"{MOST_ELEMENTS} can be searched: an element alone has no compounds, and beyond "
            f"{MOST_ELEMENTS} there are more subsystems than a budget can serve"
        )
    return tuple(sorted(symbols))


def generate(
    system: Sequence[str],
    known: Sequence[KnownStructure],
    known_formulas: AbstractSet[str],
    *,
    balanced: bool = True,
    caps: Caps = CAPS,
    near_parents: int = MOST_NEAR_PARENTS,
) -> Generated:
    """All candidates of a system that known structures suggest.

    Args:
        system: Its elements.
        known: Structures of any elements.
        known_formulas: Reduced formulas that are no discovery.
        balanced: Whether charges must be able to cancel, with relaxed oxidation states.
        caps: Of the partial substitutions.
        near_parents: How many whole substitutions are partially substituted in turn.
    """
    left_out: Counter[str] = Counter()
    parents = list(_parents(known, left_out))
    sieve = _Sieve(known_formulas, balanced, left_out)
    whole = [
        proposal
        for parent, one in parents
        for proposal in sieve.proposals(parent, one.words, _whole(parent, system))
    ]
    likeliest = sorted(whole, key=_order)[:near_parents]
    bases = [(p, one.words) for p, one in parents if set(p.elements) <= set(system)]
    near: dict[str, Proposal] = {}
    for number, proposal in enumerate(likeliest, start=len(parents)):
        base = _again(proposal, number)
        if base is not None:
            near[base.name] = proposal
            bases.append((base, f"{proposal.formula} in the type of {proposal.words}"))
    partial = [
        proposal
        for parent, words in bases
        for proposal in sieve.proposals(
            parent, words, _partial(parent, system, caps), kind=Kind.PARTIAL
        )
    ]
    kept = _without_copies([*whole, *partial], left_out)
    return Generated(
        new=tuple(p for p in kept if p.formula not in known_formulas),
        known=tuple(p for p in kept if p.formula in known_formulas),
        left_out=left_out,
        parents=len(bases) + len(parents),
        lineage=near,
    )


@dataclass(frozen=True, slots=True)
class _Sieve:
    """Turns records into proposals and counts what cannot be one."""

    known_formulas: AbstractSet[str]
    balanced: bool
    left_out: Counter[str]

    def proposals(
        self, parent: Parent, words: str, records: Records, kind: Kind = Kind.SUBSTITUTION
    ) -> Iterator[Proposal]:
        if not len(records):
            return
        names = keys(parent, records)
        formulas = reduced_formulas(parent, records)
        elements = orbit_elements(parent, records)
        for i, formula in enumerate(formulas):
            if self._refused(formula):
                continue
            yield Proposal(
                key=names[i].hex(),
                formula=formula,
                parent=parent,
                words=words,
                record=records[i],
                kind=kind,
                likelihood=_likelihood(parent, elements[i]),
                type_label=_type_label(parent, elements[i]),
            )

    def _refused(self, formula: str) -> bool:
        if len(elements_of(formula)) < FEWEST_ELEMENTS:
            return True  # an element is no compound
        if formula in self.known_formulas or not self.balanced:
            return False
        if not charges_balance(formula, RELAXED):
            self.left_out["charges cannot balance"] += 1
            return True
        return False


def _parents(
    known: Iterable[KnownStructure], left_out: Counter[str]
) -> Iterator[tuple[Parent, KnownStructure]]:
    number = 0
    for one in known:
        try:
            parent = read_parent(one.structure, number=number, name=one.name)
        except ParentError:
            left_out["a known structure that cannot be a parent"] += 1
            continue
        number += 1
        yield parent, one


def _again(proposal: Proposal, number: int) -> Parent | None:
    """A candidate as the parent of others; None where its symmetry cannot be found."""
    try:
        return read_parent(proposal.structure, number=number, name=proposal.key)
    except ParentError:
        return None


def _whole(parent: Parent, system: Sequence[str]) -> Records:
    """Every way to put elements of the system on all sites of a parent."""
    size = len(parent.elements)
    if size > len(system):
        return np.zeros(0, dtype=RECORD)
    chosen = list(permutations(sorted(system), size))
    new = np.array([[Element(symbol).Z for symbol in row] for row in chosen], dtype=np.uint8)
    every = np.full(len(new), (1 << len(parent.orbits)) - 1, dtype=np.uint64)
    return unique(parent, encode(parent, every, new))


def _partial(parent: Parent, system: Sequence[str], caps: Caps) -> Records:
    targets = {el: [s for s in sorted(system) if s != el] for el in parent.elements}
    return partial_substitutions(parent, targets, caps=caps)


def charges_balance(formula: str, states: States) -> bool:
    """Whether charges can cancel; never, where an element has no known state (noble gases)."""
    try:
        return is_balanced(formula, states)
    except BadInput:
        return False


def _likelihood(parent: Parent, elements: np.ndarray) -> float:
    pairs = {
        (int(old), int(new))
        for old, new in zip(parent.atomic_numbers, elements, strict=True)
        if old != new
    }
    return sum(_log_probability(*pair) for pair in pairs) / max(len(pairs), 1)


@lru_cache(maxsize=20_000)
def _log_probability(old: int, new: int) -> float:
    """Log p(new | old); pairs below the model's threshold, or unknown to it, just below it."""
    unlikely = THRESHOLD / 2
    try:
        likely = element_probabilities(Element.from_Z(old).symbol)
    except BadInput:
        return math.log(unlikely)
    return math.log(likely.get(Element.from_Z(new).symbol, unlikely))


def _type_label(parent: Parent, elements: np.ndarray) -> str:
    # not Wyckoff letters: which of two alike positions is a and which b is a matter of origin
    symmetries: defaultdict[int, list[str]] = defaultdict(list)
    for orbit, number in zip(parent.orbits, elements, strict=True):
        symmetries[int(number)].append(orbit.site_symmetry)
    each = (f"{z}:{','.join(sorted(found))}" for z, found in sorted(symmetries.items()))
    return f"{parent.space_group} {' '.join(each)}"


def _without_copies(found: Sequence[Proposal], left_out: Counter[str]) -> list[Proposal]:
    kept: list[Proposal] = []
    seen: Counter[tuple[str, str]] = Counter()
    names: set[str] = set()
    for proposal in sorted(found, key=_order):
        place = (proposal.formula, proposal.type_label)
        seen[place] += 1
        if seen[place] > SAME_TYPE or proposal.key in names:
            left_out["the same structure type from another parent"] += 1
            continue
        names.add(proposal.key)
        kept.append(proposal)
    return kept


def _order(proposal: Proposal) -> tuple[bool, float, str, str]:
    """Compositions of ordinary charges first, then the likeliest substitutions."""
    odd = not charges_balance(proposal.formula, ORDINARY)
    return odd, -proposal.likelihood, proposal.formula, proposal.key


def _part(old: int, new: int, replaced: int, total: int) -> str:
    share = "" if replaced == total else f"{replaced} of {total} "
    return f"{share}{Element.from_Z(old).symbol} → {Element.from_Z(new).symbol}"
