"""Which compositions a model learns from, and which judge it.

A composition goes by the MD5 hash of its reduced formula, so that the split needs no list
and no seed, and all structures of one composition fall on one side (Merchant et al.,
Nature 624, 80 (2023), methods)::

    bucket = int(md5(reduced formula), 16) mod 100,   train if bucket < 85

The hash decides a split, it protects nothing: that MD5 is broken does not matter here.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import TypeVar

from pymatgen.core import Composition

from alab.errors import BadInput
from planners.stability.formulas import atoms_of, reduced_formula

Row = TypeVar("Row")

BUCKETS = 100
TRAIN_BUCKETS = 85
HELD_BACK_BUCKETS = 5
"""The last training buckets: nothing learns from them; they choose sizes and calibrate."""


def whole_formula(composition: str | Composition) -> str:
    """Reduced formula of a composition in whole numbers of atoms.

    Raises:
        BadInput: It is no formula, or its amounts are not whole: a fractional composition
            has no one reduced formula, so that it could stand on both sides.
    """
    amounts = atoms_of(composition) if isinstance(composition, str) else composition
    whole = {str(species): round(amount) for species, amount in amounts.items()}
    if any(abs(amount - whole[str(species)]) > 1e-6 for species, amount in amounts.items()):
        raise BadInput(
            f"{composition}: amounts must be whole numbers to be split; "
            "multiply the formula until they are"
        )
    return reduced_formula(Composition(whole))


def bucket_of(formula: str) -> int:
    """Bucket from 0 to 99 of a formula that is already reduced."""
    digest = hashlib.md5(formula.encode(), usedforsecurity=False).hexdigest()
    return int(digest, 16) % BUCKETS


def is_train(composition: str | Composition, *, train_buckets: int = TRAIN_BUCKETS) -> bool:
    """Whether a composition is learnt from; the others judge."""
    return bucket_of(whole_formula(composition)) < train_buckets


def split(
    rows: Iterable[Row], composition_of: Callable[[Row], str | Composition]
) -> tuple[list[Row], list[Row]]:
    """Part rows into those learnt from and those judged on, in their order."""
    train: list[Row] = []
    test: list[Row] = []
    for row in rows:
        (train if is_train(composition_of(row)) else test).append(row)
    return train, test
