"""The folder of a flywheel, and what its finished rounds have found.

::

    flywheel/
      reference/              snapshot; version 1 is the start, a round adds one
      lineage-0000.jsonl      the references
      round-0001/
        inputs.json           what decides the round; written first
        candidates.jsonl.xz   generate
        selected.json         filter
        verified.jsonl        verify, line by line
        lineage.jsonl         where each verified crystal comes from
        manifest.json         hashes, counts, hit rate; written last
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from planners.stability.candidates import lineage
from planners.stability.candidates.lineage import Descent, Kind, Lineage
from planners.stability.flywheel.files import (
    RoundError,
    read_model,
    sha256_of,
)
from planners.stability.flywheel.manifest import RoundManifest
from planners.stability.flywheel.parts import Evidence
from planners.stability.oracles.oracle import Verified
from planners.stability.oracles.remembered import read_answers
from planners.stability.references import snapshot_files
from planners.stability.references.entries import Entry
from planners.stability.references.snapshot import Snapshot
from planners.stability.whole_files import locked, write_whole

REFERENCE = "reference"
MANIFEST = "manifest.json"
VERIFIED = "verified.jsonl"
LINEAGE = "lineage.jsonl"
ROOTS = "lineage-0000.jsonl"


@dataclass(frozen=True, slots=True)
class Folder:
    """A flywheel on disk.

    Attributes:
        path: Where it is.
    """

    path: Path

    @property
    def reference(self) -> Path:
        """Folder of the snapshot."""
        return self.path / REFERENCE

    def round(self, number: int) -> Path:
        """Folder of a round."""
        return self.path / f"round-{number:04}"

    def finished(self) -> int:
        """How many rounds are complete."""
        number = 0
        while (self.round(number + 1) / MANIFEST).exists():
            number += 1
        return number

    def manifest(self, number: int) -> RoundManifest:
        """Manifest of a complete round, after checking the hashes of its files.

        Raises:
            RoundError: If a file is gone or was changed.
        """
        folder = self.round(number)
        manifest = read_model(folder / MANIFEST, RoundManifest)
        for name, digest in manifest.files.items():
            if (found := sha256_of(folder / Path(name).name)) != digest:
                raise RoundError(
                    f"{folder / name} has SHA-256 {found[:12]}… and not {digest[:12]}… as "
                    "the manifest says: it was changed after the round; restore it from a copy"
                )
        return manifest

    def snapshot(self, number: int) -> Snapshot:
        """The reference that round ``number`` judges by: the start and all rounds before.

        Raises:
            RoundError: If it is not the one the round before left.
            SnapshotError: If there is none, or it is damaged.
        """
        if number == 1:
            return snapshot_files.read(self.reference, 1)
        before = self.manifest(number - 1)
        found = snapshot_files.read(self.reference, before.reference_version)
        if found.digest != before.reference_digest:
            raise RoundError(
                f"{self.reference}, version {found.version}, is not what round {number - 1} "
                "left; restore it from a copy"
            )
        return found

    def verified(self, number: int) -> dict[str, Verified]:
        """Answers of the oracle in a round, by key."""
        return read_answers(self.round(number) / VERIFIED)

    def tried(self, number: int) -> dict[str, Verified]:
        """Answers of all rounds before one."""
        found: dict[str, Verified] = {}
        for earlier in range(1, number):
            found |= self.verified(earlier)
        return found

    def evidence(self, number: int) -> list[Evidence]:
        """Energies that round ``number`` learns from: the start's, then all verified."""
        start = snapshot_files.read(self.reference, 1)
        known = [
            Evidence(
                relaxed=entry.crystal,
                formation_energy_ev_per_atom=entry.formation_energy_ev_per_atom,
            )
            for entry in start.entries
            if entry.crystal is not None
        ]
        return known + [e for v in self.tried(number).values() if (e := _evidence(v))]

    def lineage(self, rounds: int) -> Lineage:
        """Descents of the references and of the first rounds."""
        shards = [self.round(number) / LINEAGE for number in range(1, rounds + 1)]
        return lineage.read([self.path / ROOTS, *shards])


def start(path: Path, entries: Iterable[Entry], *, name: str) -> Folder:
    """Make a flywheel's folder from the reference it begins with.

    Args:
        path: Where; must not hold a flywheel yet.
        entries: Named, all energies from the oracle that will verify.
        name: Of the reference.

    Raises:
        RoundError: If there is one already, or entries have no names.
    """
    folder = Folder(path)
    rows = tuple(entries)
    if unnamed := [entry.formula for entry in rows if entry.entry_id is None]:
        raise RoundError(
            f"{len(unnamed)} entries without a name ({unnamed[0]} first); lineage needs names"
        )
    with locked(path):
        if (folder.reference / snapshot_files.MANIFEST).exists():
            raise RoundError(f"{path} holds a flywheel already; run its next round instead")
        roots = [
            Descent(
                child=str(entry.entry_id), round=0, kind=Kind.REFERENCE, formula=entry.formula
            )
            for entry in rows
        ]
        write_lineage(path / ROOTS, roots)
        snapshot_files.append(folder.reference, rows, name=name)
    return folder


def write_lineage(path: Path, descents: Iterable[Descent]) -> None:
    """Write a shard of the lineage, complete or not at all."""
    lines = (d.model_dump_json(exclude_none=True) for d in descents)
    write_whole(path, "".join(f"{line}\n" for line in lines).encode())


def digest_of_evidence(evidence: Iterable[Evidence]) -> str:
    """SHA-256 of energies and crystals, in order."""
    return hashlib.sha256(repr(list(evidence)).encode()).hexdigest()


def _evidence(verified: Verified) -> Evidence | None:
    energy = verified.formation_energy_ev_per_atom
    if verified.relaxed is None or energy is None or not verified.converged:
        return None
    return Evidence(
        relaxed=verified.relaxed, formation_energy_ev_per_atom=energy, asked=verified.asked
    )
