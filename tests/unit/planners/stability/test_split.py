import json
import lzma
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from alab.errors import BadInput
from planners.stability.formulas import reduced_formula
from planners.stability.split import bucket_of, is_train, split, whole_formula

DATA = Path(os.environ.get("ALAB_DATA", Path(__file__).parents[4].parent / "shared" / "data"))
AMOUNTS = st.dictionaries(
    st.sampled_from(["Li", "Na", "Fe", "O", "P", "Si", "H", "C", "Cl", "N", "Ba", "S"]),
    st.integers(1, 9),
    min_size=1,
    max_size=5,
)


def written(amounts: dict[str, int]) -> str:
    return "".join(f"{symbol}{count}" for symbol, count in amounts.items())


def test_buckets_are_md5_of_the_reduced_formula() -> None:
    # printf NaCl | md5sum gives 4643d082402ba04afaf0e2d82452ac69;
    # this and the other two modulo 100:
    assert [bucket_of(f) for f in ("NaCl", "LiFePO4", "BaTiO3")] == [73, 6, 72]


@given(AMOUNTS, st.integers(2, 7), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_no_composition_crosses(amounts: dict[str, int], times: int, random) -> None:
    symbols = list(amounts)
    random.shuffle(symbols)
    again = {symbol: times * amounts[symbol] for symbol in symbols}
    assert reduced_formula(written(amounts)) == reduced_formula(written(again))
    train, test = split([written(amounts), written(again)], str)
    assert sorted((len(train), len(test))) == [0, 2]


def test_about_85_in_100_are_learnt_from() -> None:
    formulas = [
        f"Li{a}Fe{b}O{c}" for a in range(1, 13) for b in range(1, 13) for c in (1, 2, 3)
    ]
    distinct = {reduced_formula(f) for f in formulas}
    share = sum(is_train(f) for f in distinct) / len(distinct)
    assert 0.80 < share < 0.90


def test_noble_gases_and_elements_have_a_side() -> None:
    assert reduced_formula("He2") == "He"
    assert reduced_formula("O8") == "O2"
    assert is_train("O8") == is_train("O2")


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("Li0.5CoO2", "whole numbers"),
        ("", "no chemical formula"),
        ("Nonsense2", "no chemical formula"),
    ],
)
def test_what_has_no_one_reduced_formula_is_refused(formula: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        whole_formula(formula)


@pytest.mark.skipif(not (DATA / "discovery").exists(), reason=f"needs {DATA}/discovery")
def test_counts_on_the_materials_project_subset() -> None:
    formula_of: dict[str, str] = {}
    for name in ("mp20bt", "mpts52"):
        with lzma.open(DATA / "discovery" / f"{name}.jsonl.xz", "rt") as file:
            for line in file:
                row = json.loads(line)
                formula_of.setdefault(row["id"], written(Counter(row["el"])))
    train, test = split(formula_of.values(), str)
    assert (len(train), len(test)) == (22_001, 3_984)
    assert not {reduced_formula(f) for f in train} & {reduced_formula(f) for f in test}
