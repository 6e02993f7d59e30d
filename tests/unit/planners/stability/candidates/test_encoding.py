import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pymatgen.core import Element, Lattice, Structure
from pymatgen.core.structure_matcher import StructureMatcher

from alab.errors import BadInput
from planners.stability.candidates.encoding import (
    RECORD,
    encode,
    keys,
    materialise,
    normal,
    orbit_elements,
    reduced_formulas,
    unique,
    whole,
    whole_substitutions,
    without_known,
)
from planners.stability.candidates.parents import ParentError, read_parent
from planners.stability.candidates.substitution import substitutions

CSCL = read_parent(
    Structure(Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    number=0,
    name="CsCl",
)
CHAIN = read_parent(
    Structure(
        Lattice.orthorhombic(4, 5, 18),
        ["Li", "Li", "Li", "O", "O", "S"],
        [[0, 0, 0], [0, 0, 0.21], [0, 0, 0.39], [0.5, 0.5, 0.1], [0.5, 0.5, 0.57], [0, 0, 0.7]],
    ),
    number=7,
    name="chain",
)
MASKS = st.lists(st.integers(0, 63), min_size=1, max_size=20)
NEW = st.lists(st.sampled_from([0, 3, 8, 11, 16, 26]), min_size=3, max_size=3)


def test_a_candidate_takes_20_bytes() -> None:
    assert RECORD.itemsize == 20


@given(MASKS, NEW)
@settings(max_examples=60, deadline=None)
def test_round_trip_through_a_structure(masks: list[int], new: list[int]) -> None:
    rows = np.tile(np.array(new, dtype=np.uint8), (len(masks), 1))
    records = encode(CHAIN, np.array(masks, dtype=np.uint64), rows)
    assert (normal(CHAIN, records) == records).all()
    again = np.frombuffer(records.tobytes(), dtype=RECORD)
    elements = orbit_elements(CHAIN, again)
    for at, mask in enumerate(masks):
        structure = materialise(CHAIN, again[at], volume_ang3=360.0)
        for index, orbit in enumerate(CHAIN.orbits):
            wanted = new[CHAIN.elements.index(orbit.element)] if mask >> index & 1 else 0
            wanted = wanted or Element(orbit.element).Z
            assert elements[at, index] == wanted
            assert {structure[s].specie.Z for s in orbit.sites} == {wanted}
    formulas = reduced_formulas(CHAIN, again)
    assert formulas == [
        materialise(CHAIN, r, volume_ang3=360.0).composition.reduced_formula for r in again
    ]


def test_what_has_no_effect_leaves_no_trace() -> None:
    idle = encode(
        CHAIN, np.array([0], dtype=np.uint64), np.array([[26, 26, 26]], dtype=np.uint8)
    )
    same = encode(
        CHAIN, np.array([63], dtype=np.uint64), np.array([[3, 8, 16]], dtype=np.uint8)
    )
    for records in (idle, same):
        assert records["orbits"].tolist() == [0]
        assert not records["elements"].any()
        assert not len(unique(CHAIN, records))


@given(MASKS, NEW)
@settings(max_examples=60, deadline=None)
def test_unique_keeps_one_of_each_and_never_the_parent(
    masks: list[int], new: list[int]
) -> None:
    rows = np.tile(np.array(new, dtype=np.uint8), (len(masks), 1))
    records = encode(CHAIN, np.array(masks, dtype=np.uint64), rows)
    kept = unique(CHAIN, records)
    found = {tuple(r) for r in orbit_elements(CHAIN, records).tolist()}
    found.discard(tuple(CHAIN.atomic_numbers.tolist()))
    assert len(kept) == len(found)
    assert len(set(keys(CHAIN, kept))) == len(kept)


def test_both_sides_of_cscl_are_one_crystal() -> None:
    pairs = [{"Cs": "K", "Cl": "Br"}, {"Cs": "Br", "Cl": "K"}, {"Cs": "Cl", "Cl": "Cs"}]
    records = np.concatenate([whole(CSCL, pair) for pair in pairs])
    first, second, swapped = (materialise(CSCL, r, volume_ang3=60.0) for r in records)
    assert StructureMatcher().fit(first, second)
    assert StructureMatcher().fit(swapped, CSCL.structure)
    assert len(set(keys(CSCL, records))) == 2
    assert len(unique(CSCL, records)) == 1


def test_likely_lists_become_records() -> None:
    lists = substitutions(["Cs+", "Cl-"])
    records = whole_substitutions(CSCL, lists)
    assert 0 < len(records) <= len(lists)
    best = lists.mapping(0)
    assert reduced_formulas(CSCL, records[:1]) == reduced_formulas(
        CSCL, whole(CSCL, {old.symbol: new.symbol for old, new in best.items()})
    )
    fewer = without_known(CSCL, records, {"RbCl", "CsBr"})
    assert len(records) - len(fewer) == 2
    with pytest.raises(ParentError, match="give one ion for each element"):
        whole_substitutions(CSCL, substitutions(["Na+", "Cl-"]))


def test_a_larger_ion_asks_for_a_larger_cell() -> None:
    smaller = materialise(CSCL, whole(CSCL, {"Cs": "Na"})[0])
    assert smaller.volume < CSCL.structure.volume
    back = read_parent(smaller, number=0, name="NaCl")
    assert materialise(back, whole(back, {"Na": "Cs"})[0]).volume == pytest.approx(
        CSCL.structure.volume
    )


def test_without_a_radius_a_volume_is_asked_for() -> None:
    record = whole(CSCL, {"Cs": "Xe"})[0]
    with pytest.raises(ParentError, match="no atomic radius for Xe"):
        materialise(CSCL, record)
    assert materialise(CSCL, record, volume_ang3=80.0).volume == pytest.approx(80.0)


def test_records_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadInput, match="group them by parent"):
        orbit_elements(CHAIN, whole(CSCL, {"Cs": "K"}))
    with pytest.raises(BadInput, match="orbit beyond 2"):
        encode(CSCL, np.array([4], dtype=np.uint64), np.array([[3, 0]], dtype=np.uint8))
    with pytest.raises(BadInput, match="atomic number 119"):
        encode(CSCL, np.array([1], dtype=np.uint64), np.array([[119, 0]], dtype=np.uint8))
    with pytest.raises(BadInput, match=r"give \(1, 2\)"):
        encode(CSCL, np.array([1], dtype=np.uint64), np.array([[3]], dtype=np.uint8))
    with pytest.raises(BadInput, match="holds Cl, Cs, not Na"):
        whole(CSCL, {"Na": "K"})
