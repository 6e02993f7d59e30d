"""Entries added to a reference on disk, without those that it holds already."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from planners.stability.references.entries import Entry
from planners.stability.references.snapshot import Snapshot
from planners.stability.references.snapshot_files import MANIFEST, append, read


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What came of adding.

    Attributes:
        snapshot: The reference afterwards.
        added: Number of entries that are new; none makes no new version.
        known: Number of entries that were there, or given twice.
    """

    snapshot: Snapshot
    added: int
    known: int


def held(folder: Path) -> Snapshot | None:
    """The reference in a folder, its hashes checked; None if there is none.

    Raises:
        SnapshotError: If it is damaged.
    """
    return read(folder) if (folder / MANIFEST).exists() else None


def add(folder: Path, entries: Iterable[Entry]) -> Added:
    """Add the entries that are new as a version; equal in all, they are not.

    Raises:
        BadInput: If one has the name of another entry and a different energy, or nothing at
            all is given.
        SnapshotError: If the folder is damaged, or another process is writing to it.
    """
    given = list(entries)
    before = held(folder)
    there = set(before.entries) if before else set()
    new = [entry for entry in dict.fromkeys(given) if entry not in there]
    if before is not None and not new:
        return Added(snapshot=before, added=0, known=len(given))
    after = append(folder, new, name=folder.resolve().name)
    return Added(snapshot=after, added=len(new), known=len(given) - len(new))
