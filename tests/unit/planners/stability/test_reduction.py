"""Copies are joined, polymorphs are not, and leaving pairs out changes nothing."""

from itertools import combinations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.core.structure_matcher import ElementComparator, StructureMatcher
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from alab.errors import BadInput
from planners.stability.crystals import CrystalError
from planners.stability.reduction import Candidate, Reduction, distinct

RUTILE = Structure.from_spacegroup(
    "P4_2/mnm",
    Lattice.tetragonal(4.594, 2.959),
    ["Ti", "O"],
    [[0, 0, 0], [0.305, 0.305, 0]],
)
ANATASE = Structure.from_spacegroup(
    "I4_1/amd", Lattice.tetragonal(3.785, 9.514), ["Ti", "O"], [[0, 0, 0], [0, 0, 0.208]]
)
ROCK_SALT = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.21), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)


def distorted(structure: Structure, seed: int, rattle_ang: float = 0.03) -> Structure:
    """The same crystal: moved, strained by 1 %, in another cell, sites in another order."""
    rng = np.random.default_rng(seed)
    copy = structure.copy()
    copy.translate_sites(list(range(len(copy))), rng.uniform(size=3), to_unit_cell=True)
    copy.apply_strain(rng.uniform(-0.01, 0.01, 3))
    copy.perturb(rattle_ang, seed=seed)
    copy.make_supercell([[1, 1, 0], [0, 1, 0], [0, 0, 1]])
    order = rng.permutation(len(copy))
    return Structure.from_sites([copy[i] for i in order])


def named(structures: list[Structure], seed: int = 0) -> list[Candidate]:
    energies = np.random.default_rng(seed).uniform(-3.5, -3.0, len(structures))
    return [
        Candidate(name=f"c{i}", structure=structure, energy_ev_per_atom=float(energy))
        for i, (structure, energy) in enumerate(zip(structures, energies, strict=True))
    ]


def groups(reduction: Reduction) -> set[frozenset[str]]:
    return {
        frozenset(member.name for member in (cluster.representative, *cluster.copies))
        for cluster in reduction.clusters
    }


def every_pair(candidates: list[Candidate]) -> set[frozenset[str]]:
    """Components of the whole graph, as the paper describes it."""
    matcher = StructureMatcher(comparator=ElementComparator())
    ranked = sorted(candidates, key=lambda c: (c.energy_ev_per_atom, c.name))
    links = [
        (i, j)
        for i, j in combinations(range(len(ranked)), 2)
        if matcher.fit(ranked[i].structure, ranked[j].structure)
    ]
    ends = np.array(links, dtype=int).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(ranked),) * 2)
    labels = connected_components(graph, directed=False)[1]
    return {
        frozenset(c.name for c, label in zip(ranked, labels, strict=True) if label == chosen)
        for chosen in set(labels.tolist())
    }


def test_copies_of_two_polymorphs_become_two() -> None:
    candidates = named(
        [distorted(RUTILE, i) for i in range(4)] + [distorted(ANATASE, i) for i in range(3)]
    )
    found = distinct(candidates)
    assert groups(found) == {
        frozenset({"c0", "c1", "c2", "c3"}),
        frozenset({"c4", "c5", "c6"}),
    }
    for cluster in found.clusters:
        lowest = cluster.representative.energy_ev_per_atom
        assert all(copy.energy_ev_per_atom >= lowest for copy in cluster.copies)
        assert cluster.formula == "TiO2"
    assert found.matched < found.pairs == 21


def test_fewer_questions_give_the_same_components() -> None:
    shapes = [RUTILE, ANATASE]
    for rattle in range(1, 5):
        shapes += [distorted(RUTILE, rattle, 0.15 * rattle)]
        shapes += [distorted(ANATASE, rattle, 0.15 * rattle)]
    sheared = RUTILE.copy()
    sheared.apply_strain([0.25, 0.0, -0.1])
    candidates = named([*shapes, sheared, distorted(sheared, 9)])
    found = distinct(candidates)
    assert groups(found) == every_pair(candidates)
    assert 2 < len(found.clusters) < len(candidates)
    assert found.matched < found.pairs / 2


def test_only_the_lowest_of_a_composition_are_compared() -> None:
    candidates = named([distorted(RUTILE, i) for i in range(5)])
    found = distinct(candidates, most=2)
    ranked = sorted(candidates, key=lambda c: c.energy_ev_per_atom)
    assert found.pairs == 1
    assert {c.name for c in found.left_out} == {c.name for c in ranked[2:]}
    assert found.clusters[0].representative == ranked[0]


def test_compositions_are_apart() -> None:
    found = distinct(named([RUTILE, ROCK_SALT, distorted(ROCK_SALT, 1)]))
    assert [cluster.formula for cluster in found.clusters] == ["MgO", "TiO2"]
    assert found.pairs == 1


def test_oxidation_states_do_not_tell_crystals_apart() -> None:
    charged = RUTILE.copy()
    charged.add_oxidation_state_by_element({"Ti": 4, "O": -2})
    assert len(distinct(named([RUTILE, charged])).clusters) == 1


def test_a_noble_gas_is_a_crystal_too() -> None:
    argon = Structure.from_spacegroup("Fm-3m", Lattice.cubic(6.1), ["Ar"], [[0, 0, 0]])
    assert len(distinct(named([argon, distorted(argon, 1)])).clusters) == 1


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(BadInput, match="called c0"):
        distinct(named([RUTILE]) * 2)
    with pytest.raises(BadInput, match="nan"):
        distinct([Candidate(name="x", structure=RUTILE, energy_ev_per_atom=float("nan"))])
    with pytest.raises(BadInput, match="1 or more"):
        distinct(named([RUTILE]), most=0)
    disordered = Structure(Lattice.cubic(3.0), [{"Fe": 0.5, "Ni": 0.5}], [[0, 0, 0]])
    with pytest.raises(CrystalError, match="partly occupied"):
        distinct(named([disordered]))
    twice = Structure(Lattice.cubic(4.0), ["Mg", "Mg", "O"], [[0, 0, 0], [0, 0, 0], [0.5] * 3])
    with pytest.raises(CrystalError, match=r"0\.00 Å apart"):
        distinct(named([twice]))
    dummy = Structure(Lattice.cubic(3.0), ["X"], [[0, 0, 0]])
    with pytest.raises(CrystalError, match="no element"):
        distinct(named([dummy]))
