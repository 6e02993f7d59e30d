"""An oracle that is never asked twice: answers are kept in a file by crystal and oracle."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from planners.stability.crystals import Crystal
from planners.stability.oracles.oracle import Oracle, Verified
from planners.stability.oracles.verified_lines import line_of, verified_of


@dataclass(slots=True)
class RememberedOracle:
    """Looks an answer up before it asks.

    One process may write to a file at a time. A last line that was cut off is dropped.

    Attributes:
        oracle: Who is asked what is not known.
        path: Append-only file of answers.
        asked: How many crystals the oracle itself was asked since this was made.
    """

    oracle: Oracle
    path: Path
    asked: int = 0
    _answers: dict[str, Verified] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path.exists():
            self._answers = read_answers(self.path)

    @property
    def name(self) -> str:
        """The oracle's."""
        return self.oracle.name

    @property
    def digest(self) -> str:
        """The oracle's."""
        return self.oracle.digest

    def relax(self, crystals: Sequence[Crystal]) -> list[Verified]:
        """Answers in the order of crystals; each new one is on disk before the next."""
        return [self._one(crystal) for crystal in crystals]

    def _one(self, crystal: Crystal) -> Verified:
        key = key_of(self.oracle, crystal)
        if key not in self._answers:
            (answer,) = self.oracle.relax([crystal])
            self.asked += 1
            append_line(self.path, line_of(key, answer))
            self._answers[key] = answer
        return self._answers[key]


def key_of(oracle: Oracle, crystal: Crystal) -> str:
    """SHA-256 of the oracle and every number of the crystal."""
    numbers = [crystal.lattice_ang, crystal.elements, crystal.fractional]
    return hashlib.sha256((oracle.digest + json.dumps(numbers)).encode()).hexdigest()


def append_line(path: Path, line: str) -> None:
    """Append a line and wait until it is on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())


def read_answers(path: Path) -> dict[str, Verified]:
    """Answers by key, in the order of the file; a cut last line is removed from it.

    Raises:
        BadInput: If a whole line is no answer.
    """
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    lines = whole.splitlines()
    return dict(verified_of(line, f"{path}, line {i}") for i, line in enumerate(lines, 1))
