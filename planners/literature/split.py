"""Which targets a model learns from, is chosen on, and is judged on.

A target is a composition, to a thousandth of each atomic fraction, however it is written.
Targets go by the SHA-256 hash of it, so that the split needs no list and no seed: the
first are held out, the next serve the choice of models, the others are learnt from. No two
parts share a composition. The share held out is the one that gives 3,761 targets in the
release of 2019-12-03, as many as a fifth of its 18,807 written target formulas.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from planners.literature.corpus import Procedure

HELD_OUT = 0.2098
VALIDATION = 0.08


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Procedures by their use.

    Attributes:
        train: To learn from.
        validation: To choose among models.
        test: To be judged on.
    """

    train: tuple[Procedure, ...]
    validation: tuple[Procedure, ...]
    test: tuple[Procedure, ...]


def split(procedures: Sequence[Procedure]) -> Split:
    """Part procedures by the hash of their target's composition."""
    keys = sorted({procedure.key for procedure in procedures}, key=_hash)
    held_out = round(HELD_OUT * len(keys))
    chosen_on = held_out + round(VALIDATION * len(keys))
    test, validation = set(keys[:held_out]), set(keys[held_out:chosen_on])
    return Split(
        train=tuple(p for p in procedures if p.key not in test | validation),
        validation=tuple(p for p in procedures if p.key in validation),
        test=tuple(p for p in procedures if p.key in test),
    )


def by_target(procedures: Sequence[Procedure]) -> dict[str, list[Procedure]]:
    """Procedures of each target, by its composition."""
    targets: dict[str, list[Procedure]] = {}
    for procedure in procedures:
        targets.setdefault(procedure.key, []).append(procedure)
    return targets


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
