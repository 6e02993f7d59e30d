"""Proposals by substitution within a bounded set of elements.

Parents are the entries of the reference that are stable or nearly so, with what earlier
rounds added. Whole substitutions take lists of elements whose probability is above the
threshold; partial ones go by Wyckoff orbit. A parent gives as many of each kind as any other;
what is above a cap is left out by lot.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pymatgen.core import Element

from alab.errors import BadInput
from planners.stability.candidates.encoding import (
    Records,
    encode,
    keys,
    materialise,
    unique,
    without_known,
)
from planners.stability.candidates.lineage import Kind
from planners.stability.candidates.parents import Parent, ParentError, read_parent
from planners.stability.candidates.saps import Caps, partial_substitutions
from planners.stability.candidates.substitution import GNOME, Rules, element_probabilities
from planners.stability.crystals import Crystal
from planners.stability.flywheel.parts import Proposal
from planners.stability.references.entries import Entry
from planners.stability.references.snapshot import Snapshot
from planners.stability.references.stability import assess


@dataclass(frozen=True, slots=True, kw_only=True)
class SubstitutionGenerator:
    """Replaces elements of known crystals by likely others.

    Attributes:
        elements: The new ones come from these.
        most: Proposals of a round.
        of_a_parent: Proposals of a kind that a parent gives.
        parents_within_ev_per_atom: How unstable a parent may be.
        most_atoms: Largest cell of a parent.
        rules: Weights and threshold of the substitution model.
        partial: Whether single orbits are replaced too.
    """

    elements: frozenset[str]
    most: int = 2000
    of_a_parent: int = 50
    parents_within_ev_per_atom: float = 0.05
    most_atoms: int = 20
    rules: Rules = GNOME
    partial: bool = True

    @property
    def name(self) -> str:
        """What it does, with all settings."""
        return (
            f"substitutions in {'-'.join(sorted(self.elements))}, at most {self.most}, "
            f"{self.of_a_parent} of a parent and kind, "
            f"parents of {self.most_atoms} atoms within {self.parents_within_ev_per_atom:g} "
            f"eV/atom, partial {self.partial}, {self.rules}"
        )

    def propose(self, reference: Snapshot, round_number: int, seed: int) -> Sequence[Proposal]:
        """Proposals of compositions that the reference does not hold."""
        found: dict[str, tuple[Parent, np.void, Kind]] = {}
        for parent in self._parents(reference):
            draw = np.random.default_rng([seed, round_number, *parent.name.encode()])
            for kind, records in self._records(parent):
                drawn = draw.permutation(records)[: self.of_a_parent]
                new = without_known(parent, drawn, reference.by_formula.keys())
                for key, record in zip(keys(parent, new), new, strict=True):
                    found.setdefault(key.hex(), (parent, record, kind))
        proposals = (
            proposal
            for key in _drawn(sorted(found), round_number, seed)
            if (proposal := _proposal(key, *found[key]))
        )
        return [p for _, p in zip(range(self.most), proposals, strict=False)]

    def _parents(self, reference: Snapshot) -> Iterator[Parent]:
        entries = [e for e in reference.entries if e.crystal and e.entry_id]
        judged = assess(
            reference,
            [e.formula for e in entries],
            [e.formation_energy_ev_per_atom for e in entries],
        )
        for number, entry in enumerate(entries):
            signed = judged.decomposition_energies_ev_per_atom[number]
            if signed <= self.parents_within_ev_per_atom and (p := self._read(entry, number)):
                yield p

    def _read(self, entry: Entry, number: int) -> Parent | None:
        crystal = entry.crystal
        assert crystal is not None  # noqa: S101 - chosen for having one
        if len(crystal.elements) > self.most_atoms:
            return None
        try:
            return read_parent(crystal.structure(), number=number, name=str(entry.entry_id))
        except ParentError:
            return None  # no symmetry found, or too many orbits: it gives no candidates

    def _records(self, parent: Parent) -> Iterator[tuple[Kind, Records]]:
        likely = {symbol: self._likely(symbol) for symbol in parent.elements}
        yield Kind.SUBSTITUTION, _whole(parent, likely, self.rules.threshold)
        if self.partial:
            ranked = {s: sorted(t, key=lambda new: (-t[new], new)) for s, t in likely.items()}
            wanted = {symbol: targets for symbol, targets in ranked.items() if targets}
            yield Kind.PARTIAL, partial_substitutions(parent, wanted, caps=Caps(proper=True))

    def _likely(self, symbol: str) -> dict[str, float]:
        try:
            likely = element_probabilities(symbol, rules=self.rules)
        except BadInput:
            return {}  # the model holds no ion of it
        return {new: p for new, p in likely.items() if new in self.elements}


def _whole(
    parent: Parent, likely: Mapping[str, Mapping[str, float]], threshold: float
) -> Records:
    """Every list of elements, one for each of the parent's, above the threshold."""
    rows, probabilities = np.empty((1, 0), dtype=np.uint8), np.ones(1)
    for symbol in parent.elements:
        options = {symbol: 1.0, **likely[symbol]}
        new = np.array([Element(name).Z for name in options], dtype=np.uint8)
        grown = np.outer(probabilities, np.array(list(options.values())))
        grown[(rows[:, :, None] == new).any(axis=1)] = 0.0  # two elements never become one
        before, chosen = np.nonzero(grown > threshold)
        rows = np.column_stack((rows[before], new[chosen]))
        probabilities = grown[before, chosen]
    mask = np.full(len(rows), (1 << len(parent.orbits)) - 1, dtype=np.uint64)
    return unique(parent, encode(parent, mask, rows))


def _drawn(names: list[str], round_number: int, seed: int) -> Iterator[str]:
    order = np.random.default_rng((seed, round_number)).permutation(len(names))
    return (names[i] for i in order)


def _proposal(key: str, parent: Parent, record: np.void, kind: Kind) -> Proposal | None:
    try:
        structure = materialise(parent, record)
    except ParentError:
        return None  # no atomic radius to guess the volume from
    return Proposal(key=key, crystal=Crystal.of(structure), kind=kind, parent=parent.name)
