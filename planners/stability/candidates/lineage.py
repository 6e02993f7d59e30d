"""Where every candidate comes from, back to its reference structure.

Records are only ever appended, one JSON line each, by shards in any order; a child may
stand before its parent. A topological sort puts every parent before its children, and
tells of cycles and of parents that nobody recorded.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from alab.errors import BadInput


class Kind(StrEnum):
    """How a structure came to be."""

    REFERENCE = "reference"
    SUBSTITUTION = "substitution"
    PARTIAL = "partial"
    RANDOM = "random"


_ROOTS = frozenset({Kind.REFERENCE, Kind.RANDOM})


class LineageError(BadInput):
    """Records that contradict one another, a cycle, or a parent that is missing."""


class Descent(BaseModel):
    """One record: a structure, what it was made from, when and how.

    Attributes:
        child: Key of the structure.
        parent: Key of what it was made from; None for references and random structures.
        round: Round of active learning, 0 for the references.
        kind: How it came to be.
        formula: Its reduced formula, for readers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    child: str = Field(min_length=1)
    parent: str | None = Field(default=None, min_length=1)
    round: int = Field(ge=0)
    kind: Kind
    formula: str | None = None

    @model_validator(mode="after")
    def _parent_fits_kind(self) -> "Descent":
        if (self.kind in _ROOTS) != (self.parent is None):
            need = "has no parent" if self.kind in _ROOTS else "needs a parent"
            raise ValueError(f"{self.child}: a structure of kind {self.kind} {need}")
        return self


@dataclass(slots=True)
class Lineage:
    """Descents by child; grows only."""

    _descents: dict[str, Descent] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._descents)

    def __iter__(self) -> Iterator[Descent]:
        return iter(self._descents.values())

    def __contains__(self, child: str) -> bool:
        return child in self._descents

    def add(self, descents: Iterable[Descent]) -> None:
        """Add records; one that is known already changes nothing.

        Raises:
            LineageError: A child is recorded with another origin.
        """
        for descent in descents:
            known = self._descents.setdefault(descent.child, descent)
            if known != descent:
                raise LineageError(
                    f"{descent.child}: recorded from {known.parent} in round {known.round}, "
                    f"and now from {descent.parent} in round {descent.round}; records are "
                    "never changed, so give a new structure a new key"
                )

    def find(self, child: str) -> Descent:
        """The record of a structure.

        Raises:
            LineageError: There is none.
        """
        try:
            return self._descents[child]
        except KeyError:
            raise LineageError(
                f"{child}: not among the {len(self)} structures recorded; add its descent, "
                "or add the shard that holds it"
            ) from None

    def order(self) -> list[Descent]:
        """All records, every parent before its children, otherwise as they were added.

        Raises:
            LineageError: A cycle, a missing parent, or a child of an earlier round.
        """
        self._check_parents()
        graph = {d.child: ([] if d.parent is None else [d.parent]) for d in self}
        try:
            return [self._descents[key] for key in TopologicalSorter(graph).static_order()]
        except CycleError as error:
            raise LineageError(
                f"a cycle of descents: {' ← '.join(map(str, error.args[1]))}; one of these "
                "records is wrong, remove its shard and write it again"
            ) from error

    def trace(self, child: str) -> tuple[Descent, ...]:
        """The way from a structure back to its reference, the structure first.

        Raises:
            LineageError: Unknown structure, missing parent, or a cycle.
        """
        way = [self.find(child)]
        seen = {child}
        while (parent := way[-1].parent) is not None:
            if parent in seen:
                names = " ← ".join(d.child for d in way)
                raise LineageError(f"a cycle of descents: {names} ← {parent}")
            seen.add(parent)
            way.append(self._parent_of(way[-1]))
        return tuple(way)

    def origins(self) -> dict[str, str]:
        """Key of the reference (or random) structure that each structure traces back to."""
        root: dict[str, str] = {}
        for descent in self.order():
            root[descent.child] = (
                descent.child if descent.parent is None else root[descent.parent]
            )
        return root

    def _check_parents(self) -> None:
        for descent in self:
            if descent.parent is None:
                continue
            parent = self._parent_of(descent)
            if parent.round > descent.round:
                raise LineageError(
                    f"{descent.child} of round {descent.round} comes from {parent.child} of "
                    f"round {parent.round}; a parent's round is never later"
                )

    def _parent_of(self, descent: Descent) -> Descent:
        if descent.parent not in self._descents:
            raise LineageError(
                f"{descent.child} comes from {descent.parent}, which is not recorded; add "
                "the shard or the references that hold it"
            )
        return self._descents[descent.parent]


def append(path: Path, descents: Iterable[Descent]) -> None:
    """Append records to a file and wait until they are on disk.

    Raises:
        LineageError: The file ends within a line: its last writer was cut off.
    """
    text = "".join(d.model_dump_json(exclude_none=True) + "\n" for d in descents)
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                raise LineageError(
                    f"{path}: the last line is cut off; remove it and append again"
                )
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def read(paths: Iterable[Path]) -> Lineage:
    """Read the files of all shards.

    Raises:
        LineageError: A line is no record, or two contradict one another.
    """
    lineage = Lineage()
    for path in paths:
        lineage.add(_records(path))
    return lineage


def _records(path: Path) -> Iterator[Descent]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield Descent.model_validate_json(line)
            except ValidationError as error:
                reason = error.errors()[0]["msg"]
                raise LineageError(
                    f"{path}, line {number}: no record of descent ({reason}); remove the "
                    "line, or write the shard again"
                ) from error
