from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import ValidationError

from planners.stability.candidates.lineage import (
    Descent,
    Kind,
    Lineage,
    LineageError,
    append,
    read,
)

REFERENCE = Descent(child="mp-1", round=0, kind=Kind.REFERENCE, formula="NaCl")
FIRST = Descent(child="a", parent="mp-1", round=1, kind=Kind.SUBSTITUTION)
SECOND = Descent(child="b", parent="a", round=2, kind=Kind.PARTIAL)


def lineage(*descents: Descent) -> Lineage:
    made = Lineage()
    made.add(descents)
    return made


def test_a_discovery_traces_to_its_reference() -> None:
    made = lineage(SECOND, FIRST, REFERENCE)
    assert made.trace("b") == (SECOND, FIRST, REFERENCE)
    assert made.order() == [REFERENCE, FIRST, SECOND]
    assert made.origins() == {"mp-1": "mp-1", "a": "mp-1", "b": "mp-1"}


@given(st.lists(st.integers(0, 10**6), max_size=40), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_any_tree_in_any_order_is_sorted(draws: list[int], random) -> None:
    parents = [draw % (i + 1) for i, draw in enumerate(draws)]
    descents = [Descent(child="0", round=0, kind=Kind.REFERENCE)]
    for i, parent in enumerate(parents, start=1):
        above = descents[parent]
        kind = Kind.PARTIAL
        descents.append(
            Descent(child=str(i), parent=above.child, round=above.round + 1, kind=kind)
        )
    random.shuffle(descents)
    made = lineage(*descents)
    seen: set[str] = set()
    for descent in made.order():
        assert descent.parent is None or descent.parent in seen
        seen.add(descent.child)
    assert len(seen) == len(descents)
    assert set(made.origins().values()) == {"0"}
    assert all(len(made.trace(d.child)) == d.round + 1 for d in descents)


def test_cycles_and_missing_parents_are_named() -> None:
    with pytest.raises(LineageError, match=r"b comes from a, which is not recorded"):
        lineage(SECOND).order()
    with pytest.raises(LineageError, match="a comes from mp-1, which is not recorded"):
        lineage(SECOND, FIRST).trace("b")
    back = Descent(child="a", parent="b", round=2, kind=Kind.PARTIAL)
    with pytest.raises(LineageError, match="a cycle of descents"):
        lineage(SECOND, back).order()
    with pytest.raises(LineageError, match="a cycle of descents: a ← b ← a"):
        lineage(SECOND, back).trace("a")
    with pytest.raises(LineageError, match="z: not among the 1 structures"):
        lineage(REFERENCE).trace("z")
    early = Descent(child="c", parent="b", round=1, kind=Kind.PARTIAL)
    with pytest.raises(LineageError, match="a parent's round is never later"):
        lineage(REFERENCE, FIRST, SECOND, early).order()


def test_records_are_never_changed() -> None:
    made = lineage(REFERENCE, FIRST)
    made.add([FIRST])
    assert len(made) == 2
    with pytest.raises(LineageError, match="records are never changed"):
        made.add([Descent(child="a", parent="mp-1", round=3, kind=Kind.PARTIAL)])


@pytest.mark.parametrize(
    "fields", [{"kind": "partial"}, {"kind": "reference", "parent": "a"}, {"kind": "guess"}]
)
def test_a_kind_says_whether_there_is_a_parent(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Descent.model_validate({"child": "x", "round": 0, **fields})


def test_files_are_appended_to_and_read_in_any_order(tmp_path: Path) -> None:
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    append(one, [SECOND])
    append(two, [REFERENCE])
    append(two, [FIRST])
    assert read([one, two]).trace("b") == (SECOND, FIRST, REFERENCE)
    assert len(two.read_text().splitlines()) == 2


def test_a_line_cut_off_is_told(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    append(path, [REFERENCE, FIRST])
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(LineageError, match=r"one\.jsonl, line 2: no record of descent"):
        read([path])
    with pytest.raises(LineageError, match="the last line is cut off"):
        append(path, [SECOND])
