import itertools

import pytest
from pymatgen.core import Lattice, Structure

from alab.errors import BadInput
from planners.stability.candidates.encoding import orbit_elements, reduced_formulas
from planners.stability.candidates.oxidation import is_balanced
from planners.stability.candidates.parents import read_parent
from planners.stability.candidates.saps import (
    Caps,
    balanced_only,
    count_proper_subsets,
    groupings,
    likely_targets,
    partial_substitutions,
)

ON_AXIS = [[0, 0, z] for z in (0, 0.21, 0.39, 0.61, 0.83)]
BESIDE = [[x, y, 0.52] for x in (0.25, 0.75) for y in (0.22, 0.78)]
CHAIN = read_parent(
    Structure(
        Lattice.orthorhombic(8, 9, 18),
        ["Li"] * 9 + ["O", "O"],
        [*ON_AXIS, *BESIDE, [0.5, 0.5, 0.1], [0.5, 0.5, 0.68]],
    ),
    number=7,
    name="chain",
)
ALL = Caps(groupings_per_level=10_000)


def long_chain(count: int):
    cell = Lattice.orthorhombic(4, 5, 3.0 * count + 2)
    at = [[0, 0, (i + 0.1 * (i * i % 7) / 7) / count] for i in range(count)]
    return read_parent(Structure(cell, ["Na"] * count, at), number=0, name="long")


def test_every_set_of_orbits_is_found_without_caps() -> None:
    found = groupings(CHAIN, "Li", caps=ALL, alike=False)
    orbits = CHAIN.orbits_of("Li")
    wanted = {s for n in range(1, len(orbits) + 1) for s in itertools.combinations(orbits, n)}
    assert {g.orbits for g in found} == wanted
    assert all(g.atoms == sum(CHAIN.orbits[i].multiplicity for i in g.orbits) for g in found)


def test_alike_orbits_give_one_grouping_for_each_signature() -> None:
    def signature(orbits: tuple[int, ...]) -> tuple[tuple[int, str], ...]:
        chosen = (CHAIN.orbits[i] for i in orbits)
        return tuple(sorted((o.multiplicity, o.site_symmetry) for o in chosen))

    every = groupings(CHAIN, "Li", caps=ALL, alike=False)
    unique = groupings(CHAIN, "Li", caps=ALL)
    signatures = [signature(g.orbits) for g in unique]
    assert len(set(signatures)) == len(signatures) < len(every)
    assert set(signatures) == {signature(g.orbits) for g in every}


def test_one_orbit_of_four_ranks_before_four_of_one() -> None:
    assert [CHAIN.orbits[i].multiplicity for i in CHAIN.orbits_of("Li")] == [1] * 5 + [4]
    level = [g for g in groupings(CHAIN, "Li", caps=ALL) if g.atoms == 4]
    assert [len(g.orbits) for g in level] == [1, 4]


@pytest.mark.parametrize("cap", [1, 2, 3])
def test_caps_cut_by_rank_alone(cap: int) -> None:
    every = groupings(CHAIN, "Li", caps=ALL, alike=False)
    kept = groupings(CHAIN, "Li", caps=Caps(groupings_per_level=cap), alike=False)
    assert kept == [g for g in every if g.rank < cap]
    assert {g.atoms for g in kept} == {g.atoms for g in every}
    for first, second in itertools.pairwise(every):
        if first.atoms == second.atoms:
            assert len(first.orbits) <= len(second.orbits)


def test_a_cell_of_60_orbits_is_no_explosion() -> None:
    parent = long_chain(60)
    assert len(parent.orbits) == 60
    assert count_proper_subsets(parent) == 2**60 - 2
    assert len(groupings(parent, "Na")) == 60
    assert len(groupings(parent, "Na", alike=False)) < 60 * 4
    assert len(groupings(parent, "Na", caps=Caps(proper=True))) == 59


def test_partial_substitutions_touch_one_ion_only() -> None:
    records = partial_substitutions(CHAIN, {"Li": ["Na", "K"], "O": ["S"]})
    elements = orbit_elements(CHAIN, records)
    changed = elements != CHAIN.atomic_numbers
    assert changed.any(axis=1).all()
    for row, mask in zip(elements, changed, strict=True):
        assert len({CHAIN.orbits[i].element for i in mask.nonzero()[0]}) == 1
        assert len(set(row[mask].tolist())) == 1
    assert len(records) == 2 * len(groupings(CHAIN, "Li")) + len(groupings(CHAIN, "O"))


def test_caps_on_targets_and_bad_targets() -> None:
    targets = likely_targets(CHAIN)
    assert targets["Li"][0] == "Na"
    assert len(targets["Li"]) == Caps().targets
    one = partial_substitutions(CHAIN, {"Li": targets["Li"]}, caps=Caps(targets=1))
    assert len(one) == len(groupings(CHAIN, "Li"))
    with pytest.raises(BadInput, match="not Fe"):
        partial_substitutions(CHAIN, {"Fe": ["Na"]})
    with pytest.raises(BadInput, match="Na are given twice"):
        partial_substitutions(CHAIN, {"Li": ["Na", "Na"]})
    with pytest.raises(BadInput, match="symbols of elements"):
        partial_substitutions(CHAIN, {"Li": ["Qq"]})
    with pytest.raises(BadInput, match="leave nothing"):
        Caps(targets=0)


def test_charge_balance_is_a_choice() -> None:
    records = partial_substitutions(CHAIN, {"Li": ["Na", "K"], "O": ["Mg", "S"]})
    kept = balanced_only(CHAIN, records)
    formulas = reduced_formulas(CHAIN, kept)
    assert 0 < len(kept) < len(records)
    assert all(is_balanced(f) for f in formulas)
    assert not any("O" not in f and "S" not in f for f in formulas)
