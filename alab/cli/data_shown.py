"""What ``alab data`` shows of references, as JSON and for people."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alab.cli.output import say, show_facts, show_rows

if TYPE_CHECKING:
    from planners.stability.references.additions import Added
    from planners.stability.references.imports import Refused
    from planners.stability.references.snapshot import Snapshot

_MOST_SHOWN = 10


def added_data(into: Path, added: "Added", refused: "Sequence[Refused]") -> dict[str, Any]:
    """What was added to a reference, and what was not."""
    return {
        "into": str(into),
        "added": added.added,
        "already_there": added.known,
        "refused": [{"name": row.name, "reason": row.reason} for row in refused],
        **snapshot_data(added.snapshot),
    }


def snapshot_data(snapshot: "Snapshot") -> dict[str, Any]:
    """What a reference holds."""
    return {
        "name": snapshot.name,
        "version": snapshot.version,
        "digest": snapshot.digest,
        "entries": len(snapshot.entries),
        "compositions": len(snapshot.by_formula),
        "structures": sum(entry.crystal is not None for entry in snapshot.entries),
        "measured": snapshot.entries[0].measured,
        "elements": sorted(snapshot.elements),
        "sources": dict(sorted(snapshot.sources.items())),
    }


def versions(folder: Path, last: int) -> list[dict[str, Any]]:
    """What each version added; its hashes were checked when it was read."""
    from planners.stability.references.snapshot_files import MANIFEST, Manifest

    manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    return [record.model_dump() for record in manifest.versions[:last]]


def show_added(data: dict[str, Any], origin: str) -> None:
    """Write what was added, and the first refusals."""
    refused = data["refused"]
    added = f"{data['added']} from {origin}" if data["added"] else f"nothing new from {origin}"
    show_facts(
        {
            "Added": added,
            "Already there": data["already_there"] or None,
            "Refused": len(refused) or None,
            "Reference": f"{data['into']}, version {data['version']}, {data['entries']} "
            f"entries of {_elements_in_words(data['elements'])}",
            "Digest": data["digest"],
        }
    )
    if refused:
        show_rows(
            refused[:_MOST_SHOWN],
            [("Refused", "name"), ("Because", "reason")],
            empty="",
        )
    if len(refused) > _MOST_SHOWN:
        say(f"{len(refused) - _MOST_SHOWN} more were refused; --json lists all.")
    say(f"See what it holds: alab data show {data['into']}")


def _elements_in_words(symbols: Sequence[str]) -> str:
    return ", ".join(symbols) if len(symbols) <= _MOST_SHOWN else f"{len(symbols)} elements"


def show_snapshot(data: dict[str, Any]) -> None:
    """Write what a reference holds, and from where."""
    kind = "measured enthalpies at 298 K" if data["measured"] else "computed energies"
    show_facts(
        {
            "Reference": data["name"],
            "Folder": data["folder"] or "none; it comes with alab",
            "Version": data["version"],
            "Holds": f"{data['entries']} {kind} of {data['compositions']} compositions, "
            f"{data['structures']} with their structure",
            "Elements": f"{len(data['elements'])}: {', '.join(data['elements'])}",
            "Digest": data["digest"],
            "Hashes": "as in the manifest, of every part" if data["versions"] else None,
        }
    )
    _show_sources(data["sources"])
    if data["versions"]:
        show_rows(
            data["versions"],
            [
                ("Version", "version"),
                ("Added", "entries"),
                ("Part", "file"),
                ("SHA-256", lambda row: row["sha256"][:12]),
                ("Digest", lambda row: row["digest"][:12]),
            ],
            empty="",
        )


def _show_sources(sources: Mapping[str, int]) -> None:
    largest = sorted(sources.items(), key=lambda item: -item[1])
    show_rows(
        [{"source": name, "entries": count} for name, count in largest[:_MOST_SHOWN]],
        [("Source", "source"), ("Entries", "entries")],
        empty="",
    )
    if rest := largest[_MOST_SHOWN:]:
        count = sum(entries for _, entries in rest)
        say(f"{len(rest)} other sources gave {count} more; --json lists all.")
