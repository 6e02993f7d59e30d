"""What a screen says of a candidate: passed, failed or unknown, with the number and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What came of a screen.

    Unknown is never passed: the data to judge by are missing, and the reason says which.
    """

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """One screen of one candidate.

    Attributes:
        name: What was asked: ``energy above hull``, ``air: O2``.
        verdict: What came of it.
        reason: Why, in words, with the numbers.
        value_ev_per_atom: The number that decided, None where it is no energy or unknown.
        limit_ev_per_atom: Where the verdict turns.
        decides: Whether a failure keeps the candidate from becoming a target; otherwise the
            screen informs only.
    """

    name: str
    verdict: Verdict
    reason: str
    value_ev_per_atom: float | None = None
    limit_ev_per_atom: float | None = None
    decides: bool = True


def failed(screens: Iterable[Screen]) -> tuple[Screen, ...]:
    """The screens that keep a candidate from becoming a target."""
    return tuple(s for s in screens if s.decides and s.verdict is Verdict.FAILED)


def unknown(screens: Iterable[Screen]) -> tuple[Screen, ...]:
    """The screens for which data are missing."""
    return tuple(s for s in screens if s.decides and s.verdict is Verdict.UNKNOWN)
