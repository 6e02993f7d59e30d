"""A reference: the compounds against which stability is judged, and where each came from.

Several energies of one composition are kept side by side (Materials Project, OQMD, own
calculations); the lowest counts, as in Merchant et al., Nature 624, 80 (2023). All are
formation energies, so an element in its reference state is 0 by definition and needs no
entry. Measured enthalpies and computed energies never share a reference: they differ by
about 0.1 eV/atom, more than a hull distance.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from alab.errors import BadInput
from planners.stability.formulas import elements_of, reduced_formula
from planners.stability.references.entries import Entry, digest_of, lines_of


class MissingReferenceError(BadInput):
    """A reference cannot answer: empty, mixed, or ignorant of an element."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Snapshot:
    """A reference that does not change.

    Attributes:
        name: What it is called in reports.
        entries: All energies, in the order in which they were added.
        version: Counts up each time entries are appended.
        digest: SHA-256 over the content of all versions up to this one.
    """

    name: str
    entries: tuple[Entry, ...]
    version: int
    digest: str

    def __post_init__(self) -> None:
        if not self.entries:
            raise MissingReferenceError(
                f"the reference {self.name} has no entries; import some first"
            )
        kinds = {entry.measured: entry for entry in self.entries}
        if len(kinds) > 1:
            raise MissingReferenceError(
                f"{self.name} mixes measured enthalpies ({kinds[True].source}) and computed "
                f"energies ({kinds[False].source}), which differ by about 0.1 eV/atom; keep "
                "them in two references"
            )

    @cached_property
    def by_formula(self) -> Mapping[str, tuple[Entry, ...]]:
        """All entries of each reduced formula, the lowest energy first."""
        found: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            found[entry.formula].append(entry)
        return {
            formula: tuple(sorted(rows, key=lambda row: row.formation_energy_ev_per_atom))
            for formula, rows in found.items()
        }

    @cached_property
    def elements(self) -> frozenset[str]:
        """Elements that occur in any entry."""
        return frozenset().union(*self._by_system)

    @cached_property
    def sources(self) -> Mapping[str, int]:
        """Number of entries from each source."""
        return dict(Counter(entry.source for entry in self.entries))

    @cached_property
    def _by_system(self) -> Mapping[frozenset[str], tuple[Entry, ...]]:
        found: defaultdict[frozenset[str], list[Entry]] = defaultdict(list)
        for formula, rows in self.by_formula.items():
            found[frozenset(elements_of(formula))].append(rows[0])
        return {system: tuple(rows) for system, rows in found.items()}

    def lowest(self, formula: str) -> Entry | None:
        """Entry of lowest energy of a composition, None if there is none."""
        rows = self.by_formula.get(reduced_formula(formula))
        return rows[0] if rows else None

    def within(self, elements: Iterable[str]) -> tuple[Entry, ...]:
        """The lowest entry of each composition that holds no other elements.

        Raises:
            MissingReferenceError: If an element occurs in no entry at all, so that nothing is
                known of what would compete.
        """
        symbols = sorted(set(elements))
        if unknown := [symbol for symbol in symbols if symbol not in self.elements]:
            raise MissingReferenceError(
                f"no entry of {self.name} (version {self.version}) holds "
                f"{', '.join(unknown)}, so its stability cannot be judged; append entries "
                "with it"
            )
        return tuple(
            entry
            for count in range(1, len(symbols) + 1)
            for chosen in combinations(symbols, count)
            for entry in self._by_system.get(frozenset(chosen), ())
        )


def snapshot_of(name: str, entries: Iterable[Entry]) -> Snapshot:
    """A first version in memory, with the digest that writing it gives."""
    rows = tuple(entries)
    return Snapshot(name=name, entries=rows, version=1, digest=digest_of("", lines_of(rows)))
