"""Where compounds melt or decompose, as far as the tables tell."""

import csv
from importlib.resources import files

import pytest

from planners.synthesis.compounds import HeatLimit, find, heat_limit, reduced


def rows():
    text = (files("planners.synthesis") / "melting_points.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@pytest.mark.parametrize(
    ("formula", "melts_c", "decomposes_c"),
    [
        ("NaVO3", 630, None), ("Li2MoO4", 701, None), ("LiB3O5", None, 834),
        ("YBa2Cu3O7", None, 1010), ("NaCl", 802, None), ("Na2MoO4", 687, None),
    ],
)  # fmt: skip
def test_low_melting_targets_are_known(formula, melts_c, decomposes_c):
    assert heat_limit(formula) == HeatLimit(melts_c=melts_c, decomposes_c=decomposes_c)
    assert heat_limit(formula).known


def test_what_no_table_tells_is_unknown():
    assert not heat_limit("PbZrO3").known
    assert not heat_limit("LiFeO2").known  # its energies are known, its melting point is not


def test_every_compound_stands_in_one_table_once_with_a_source():
    names = [reduced(row["formula"]) for row in rows()]
    assert len(set(names)) == len(names)
    assert not [name for name in names if find(name) is not None]
    for row in rows():
        told = [float(row[c]) for c in ("melts_c", "decomposes_c") if row[c]]
        assert len(told) == 1, row["formula"]
        assert 100 < told[0] < 1600, row["formula"]
        assert row["source"]
