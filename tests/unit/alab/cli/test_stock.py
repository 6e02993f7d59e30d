"""``alab stock``: what people put on the shelf, and what they find there."""

from pathlib import Path
from typing import Any

import pytest


def left(shell: Any, data_dir: Path, item: str) -> float:
    rows = shell("stock", "list", "--json", "--data-dir", data_dir).json
    (row,) = [row for row in rows if row["item"] == item]
    return row.get("remaining_mg", row.get("remaining_pieces"))


def test_a_refill_is_added(shell: Any, served: Path) -> None:
    before_mg = left(shell, served, "BaCO3")
    ended = shell("stock", "refill", "BaCO3", "--grams", "2.5", "--data-dir", served)
    assert ended.out == f"BaCO3: {before_mg / 1000 + 2.5:.2f} g\n"
    assert left(shell, served, "BaCO3") == before_mg + 2500.0


def test_a_count_replaces_what_the_books_say(shell: Any, served: Path) -> None:
    shell("stock", "refill", "crucibles", "--pieces", 3000, "--data-dir", served)
    ended = shell("stock", "count", "crucibles", "--pieces", "118", "--data-dir", served)
    assert ended.out == "crucibles: 118 pieces\n"
    assert left(shell, served, "crucibles") == 118
    shell("stock", "count", "BaCO3", "--grams", "0", "--data-dir", served)
    assert left(shell, served, "BaCO3") == 0.0


@pytest.mark.parametrize(
    ("item", "words", "says"),
    [
        ("crucibles", ("--grams", "3"), "crucibles is kept in pieces, not in mg"),
        ("BaCO3", ("--pieces", "3"), "BaCO3 is kept in mg, not in pieces"),
        ("BaCO3", ("--grams", "inf"), "Invalid value for '--grams'"),
        ("BaCO3", ("--grams", "nan"), "Invalid value for '--grams'"),
        ("BaCO3", ("--grams", "20000"), "Invalid value for '--grams'"),
        ("BaCO3", (), "say how much"),
        ("BaCO3", ("--grams", "1", "--pieces", "1"), "say how much"),
        ("BaCO4", ("--grams", "1"), "no 'BaCO4' in stock"),
    ],
)
@pytest.mark.parametrize("act", ["refill", "count"])
def test_what_makes_no_sense_is_refused(
    shell: Any, served: Path, act: str, item: str, words: tuple[str, ...], says: str
) -> None:
    before_mg = left(shell, served, "BaCO3")
    ended = shell("stock", act, item, *words, "--data-dir", served)
    assert ended.code == 2
    assert says in " ".join(ended.err.split())
    assert left(shell, served, "BaCO3") == before_mg
