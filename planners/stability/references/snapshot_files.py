"""Snapshots on disk: a folder of parts that are only ever added to, and a manifest.

::

    reference/
      manifest.json           versions, counts, sources and hashes
      entries-0001.jsonl.xz   what version 1 added
      entries-0002.jsonl.xz   what version 2 added; version 2 is both

Hashes are of the uncompressed lines (``xzcat entries-0001.jsonl.xz | sha256sum``), so they do
not depend on the compressor. Each version's digest covers the one before: a changed old part
is noticed whatever version is read.
"""

import hashlib
import json
import lzma
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from alab.errors import BadInput
from planners.stability.references.entries import Entry, digest_of, entry_of, lines_of
from planners.stability.references.snapshot import Snapshot
from planners.stability.whole_files import locked, write_whole

MANIFEST = "manifest.json"


class SnapshotError(BadInput):
    """A stored reference is damaged, or has no such version."""


class Version(BaseModel):
    """What one version added.

    Attributes:
        version: Counts from 1.
        file: Name of the part in the folder.
        sha256: Of the part's uncompressed lines.
        entries: Number of lines.
        sources: Number of lines from each source.
        digest: Of this version and all before.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int
    file: str
    sha256: str
    entries: int
    sources: dict[str, int]
    digest: str


class Manifest(BaseModel):
    """Table of contents of a snapshot's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["alab-reference-1"] = "alab-reference-1"
    name: str
    versions: tuple[Version, ...]


def append(folder: Path, entries: Iterable[Entry], *, name: str | None = None) -> Snapshot:
    """Add entries as a new version; nothing that is there is changed.

    Args:
        folder: Where the snapshot is, or shall be.
        entries: What to add.
        name: Of a new snapshot; the folder's name if left out. An old one keeps its own.

    Raises:
        BadInput: If an entry is there already, or measured and computed would mix.
        SnapshotError: If the folder is damaged.
        FolderBusyError: If another process is writing to it.
    """
    added = tuple(entries)
    if not added:
        raise BadInput("no entries to append; a version without entries says nothing")
    with locked(folder):
        return _append(folder, added, name)


def _append(folder: Path, added: tuple[Entry, ...], name: str | None) -> Snapshot:
    before = read(folder) if (folder / MANIFEST).exists() else None
    manifest = _manifest(folder) if before else Manifest(name=name or folder.name, versions=())
    _check_new(added, before)
    content = lines_of(added)
    version = len(manifest.versions) + 1
    after = Snapshot(
        name=manifest.name,
        entries=(*(before.entries if before else ()), *added),
        version=version,
        digest=digest_of(before.digest if before else "", content),
    )
    part = folder / f"entries-{version:04}.jsonl.xz"
    # a part that the manifest does not know is left from a process that was cut off
    write_whole(part, lzma.compress(content, preset=2))
    record = Version(
        version=version,
        file=part.name,
        sha256=hashlib.sha256(content).hexdigest(),
        entries=len(added),
        sources=dict(sorted(Counter(entry.source for entry in added).items())),
        digest=after.digest,
    )
    _write_manifest(
        folder, manifest.model_copy(update={"versions": (*manifest.versions, record)})
    )
    return after


def read(folder: Path, version: int | None = None) -> Snapshot:
    """Read a version of a snapshot, the newest if none is named.

    Raises:
        SnapshotError: If there is none, no such version, or a hash is wrong.
    """
    manifest = _manifest(folder)
    last = len(manifest.versions) if version is None else version
    if not 1 <= last <= len(manifest.versions):
        raise SnapshotError(
            f"{folder} has no version {version}; it has 1 to {len(manifest.versions)}"
        )
    entries: list[Entry] = []
    digest = ""
    for record in manifest.versions[:last]:
        content = _read_part(folder, record)
        digest = digest_of(digest, content)
        if digest != record.digest:
            raise SnapshotError(
                f"{folder / MANIFEST}: version {record.version} does not follow from the "
                "versions before it (digest differs); restore the folder from a copy"
            )
        lines = content.decode().splitlines()
        entries += [entry_of(x, f"{record.file}, line {i}") for i, x in enumerate(lines, 1)]
    return Snapshot(name=manifest.name, entries=tuple(entries), version=last, digest=digest)


def _check_new(added: tuple[Entry, ...], before: Snapshot | None) -> None:
    seen = {_key(entry) for entry in before.entries} if before else set()
    for entry in added:
        if _key(entry) in seen:
            raise BadInput(
                f"{entry.entry_id or entry.formula} of {entry.source} is in the reference "
                "already; leave it out, or name the new calculation's source differently"
            )
        seen.add(_key(entry))


def _key(entry: Entry) -> tuple[str, str, float | None]:
    """Entries without a name are the same if their energies are."""
    if entry.entry_id is not None:
        return entry.source, entry.entry_id, None
    return entry.source, entry.formula, entry.formation_energy_ev_per_atom


def _manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise SnapshotError(
            f"{folder} holds no {MANIFEST}, so it is no snapshot; import entries first"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise SnapshotError(
            f"{path}: {first['msg']} ({'.'.join(map(str, first['loc'])) or 'file'}); restore "
            "it from a copy"
        ) from error
    if [record.version for record in manifest.versions] != list(
        range(1, len(manifest.versions) + 1)
    ):
        raise SnapshotError(f"{path}: versions do not count from 1; restore it from a copy")
    return manifest


def _read_part(folder: Path, record: Version) -> bytes:
    path = folder / Path(record.file).name
    try:
        content = lzma.decompress(path.read_bytes())
    except (OSError, lzma.LZMAError) as error:
        raise SnapshotError(f"{path} cannot be read ({error}); restore it") from error
    found = hashlib.sha256(content).hexdigest()
    if found != record.sha256:
        raise SnapshotError(
            f"{path} has SHA-256 {found[:12]}… and not {record.sha256[:12]}… as the manifest "
            "says: it was changed after it was written; restore it from a copy"
        )
    return content


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    text = json.dumps(manifest.model_dump(), indent=1, ensure_ascii=False) + "\n"
    write_whole(folder / MANIFEST, text.encode())
