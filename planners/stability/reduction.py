"""One representative for all copies of a crystal.

As in Merchant et al., Nature 624, 80 (2023): the structures of lowest energy of a composition
(at most 100), every pair asked of pymatgen's StructureMatcher, the connected components of
the graph of matches, and the member of lowest energy for each component.

Most pairs need not be asked, and leaving them out changes no component:

- *primitive cells of different size* never match (no supercells are tried);
- *lattices too different*: a cell can be laid onto a target only by lattice vectors at most
  (1 + ltol) as long as the target's, so each successive minimum of its lattice, at equal
  volume, is at most (1 + ltol) times the target's edge of the same rank;
- *pairs joined already* by other matches add nothing to their component. Pairs of
  similar lattice and density are asked first, so that copies join early.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from pymatgen.core import Structure
from pymatgen.core.structure_matcher import ElementComparator, StructureMatcher
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from alab.errors import BadInput
from planners.stability.crystals import Crystal, check, formula_of
from planners.stability.formulas import FloatArray

MOST_OF_A_COMPOSITION = 100

_SLACK = 1e-3
"""Niggli reduction is rounded; a lattice this close to the bound is still asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A structure with its predicted or calculated energy.

    Attributes:
        name: Unique among what is reduced together.
        structure: Ordered.
        energy_ev_per_atom: Of any zero that all of a composition share.
    """

    name: str
    structure: Structure
    energy_ev_per_atom: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Copies of one crystal.

    Attributes:
        formula: Reduced formula.
        representative: The member of lowest energy.
        copies: The other members, by energy.
    """

    formula: str
    representative: Candidate
    copies: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction:
    """What became of a set of candidates.

    Attributes:
        clusters: By formula, then energy.
        left_out: Candidates beyond the lowest of their composition, never compared.
        pairs: Number of pairs among those compared.
        matched: Number of pairs that StructureMatcher was asked about.
    """

    clusters: tuple[Cluster, ...]
    left_out: tuple[Candidate, ...]
    pairs: int
    matched: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """A primitive cell; edges and successive minima in units of volume^(1/3), sorted."""

    structure: Structure
    edges: FloatArray
    minima: FloatArray
    density: float


@dataclass(slots=True)
class _Islands:
    """Which members are joined so far (union–find)."""

    parent: list[int]
    links: list[tuple[int, int]] = field(default_factory=list)

    def root(self, i: int) -> int:
        while self.parent[i] != i:
            self.parent[i] = i = self.parent[self.parent[i]]
        return i

    def join(self, i: int, j: int) -> None:
        self.parent[self.root(j)] = self.root(i)
        self.links.append((i, j))


def distinct(
    candidates: Iterable[Candidate],
    *,
    most: int = MOST_OF_A_COMPOSITION,
    length_tolerance: float = 0.2,
    site_tolerance: float = 0.3,
    angle_tolerance_deg: float = 5.0,
) -> Reduction:
    """Find the distinct crystals among candidates.

    Args:
        candidates: Of any compositions.
        most: How many of a composition are compared, the lowest in energy.
        length_tolerance: Relative difference of lattice lengths that still match.
        site_tolerance: Distance of sites that still match, in (volume per atom)^(1/3).
        angle_tolerance_deg: Difference of lattice angles that still match.

    Raises:
        BadInput: If ``most`` is below 1, names repeat, or an energy is not finite.
        CrystalError: If a structure is disordered or has overlapping atoms.
    """
    if most < 1:
        raise BadInput(
            f"at most {most} structures of a composition leaves none; give 1 or more"
        )
    matcher = StructureMatcher(
        length_tolerance, site_tolerance, angle_tolerance_deg, comparator=ElementComparator()
    )
    clusters: list[Cluster] = []
    left_out: list[Candidate] = []
    pairs = matched = 0
    for formula, members in sorted(_by_formula(candidates).items()):
        ranked = sorted(members, key=lambda c: (c.energy_ev_per_atom, c.name))
        kept = ranked[:most]
        left_out += ranked[most:]
        links, asked = _links(kept, matcher)
        clusters += _clusters(formula, kept, links)
        pairs += len(kept) * (len(kept) - 1) // 2
        matched += asked
    return Reduction(
        clusters=tuple(clusters), left_out=tuple(left_out), pairs=pairs, matched=matched
    )


def _by_formula(candidates: Iterable[Candidate]) -> dict[str, list[Candidate]]:
    found: defaultdict[str, list[Candidate]] = defaultdict(list)
    names: set[str] = set()
    for candidate in candidates:
        if candidate.name in names:
            raise BadInput(f"two candidates are called {candidate.name}; name each once")
        if not np.isfinite(candidate.energy_ev_per_atom):
            raise BadInput(
                f"the energy of {candidate.name} is {candidate.energy_ev_per_atom}; predict "
                "it before reducing"
            )
        names.add(candidate.name)
        elements = Crystal.of(candidate.structure).elements
        check(candidate.structure, isolated_allowed=True)
        found[formula_of(elements)].append(candidate)
    return found


def _links(
    members: Sequence[Candidate], matcher: StructureMatcher
) -> tuple[list[tuple[int, int]], int]:
    """Matches that join all components, and how many pairs were asked for them."""
    if len(members) < 2:
        return [], 0
    prepared = [_prepare(member.structure) for member in members]
    islands = _Islands(list(range(len(members))))
    asked = 0
    for i, j in _likeliest_first(prepared):
        if islands.root(i) == islands.root(j):
            continue
        if not _may_match(prepared[i], prepared[j], matcher.ltol):
            continue
        asked += 1
        first, second = prepared[i].structure, prepared[j].structure
        if matcher.fit(first, second, skip_structure_reduction=True):
            islands.join(i, j)
    return islands.links, asked


def _prepare(structure: Structure) -> _Prepared:
    """The primitive Niggli cell, as StructureMatcher would find it, and its invariants."""
    primitive = structure.get_reduced_structure("niggli").get_primitive_structure()
    unit_ang = primitive.volume ** (1 / 3)
    niggli = primitive.lattice.get_niggli_reduced_lattice()
    return _Prepared(
        structure=primitive,
        edges=np.sort(primitive.lattice.abc) / unit_ang,
        minima=np.sort(niggli.abc) / unit_ang,
        density=float(primitive.density),
    )


def _likeliest_first(prepared: Sequence[_Prepared]) -> list[tuple[int, int]]:
    def difference(pair: tuple[int, int]) -> float:
        a, b = prepared[pair[0]], prepared[pair[1]]
        shape = float(np.abs(a.minima - b.minima).sum())
        return shape + abs(math.log(a.density / b.density))

    return sorted(combinations(range(len(prepared)), 2), key=difference)


def _may_match(a: _Prepared, b: _Prepared, tolerance: float) -> bool:
    if len(a.structure) != len(b.structure):
        return False
    reach = 1 + tolerance + _SLACK
    # either may be the target that the other is laid onto
    return bool((a.minima <= reach * b.edges).all() or (b.minima <= reach * a.edges).all())


def _clusters(
    formula: str, members: Sequence[Candidate], links: Sequence[tuple[int, int]]
) -> list[Cluster]:
    size = len(members)
    ends = np.array(links, dtype=np.intp).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(size, size))
    labels = connected_components(graph, directed=False)[1]
    groups: defaultdict[int, list[Candidate]] = defaultdict(list)
    for label, member in zip(labels.tolist(), members, strict=True):
        groups[label].append(member)
    return [
        Cluster(formula=formula, representative=group[0], copies=tuple(group[1:]))
        for group in groups.values()
    ]
