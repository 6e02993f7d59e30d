"""Computed structures from a file: documents or entries of the Materials Project.

The file is JSON, also gzipped: a list, or an object whose ``data`` or ``entries`` is a list.
Each item holds ``structure`` as pymatgen writes it, with ``material_id`` and
``energy_above_hull`` beside it (a document) or in ``data`` (a ComputedStructureEntry, which
may name itself by ``entry_id``).
"""

import gzip
import json
import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from pymatgen.core import Structure

from alab.errors import BadInput
from analysis.diffraction.crystal import Crystal, crystal_of

_MOST_TOLD = 10


class Entry(NamedTuple):
    """One computed structure.

    Attributes:
        crystal: The structure; its stem is formula, space group and identifier.
        energy_above_hull_ev_per_atom: None where the file gives none.
    """

    crystal: Crystal
    energy_above_hull_ev_per_atom: float | None


def read_snapshot(path: Path, elements: frozenset[str]) -> list[Entry]:
    """Structures of a snapshot that are made of these elements and no others.

    Args:
        path: The file.
        elements: Symbols that may occur; only these structures are looked at closely.

    Raises:
        BadInput: Naming the file and the items that cannot be used.
    """
    found: list[Entry] = []
    mistakes: list[str] = []
    for number, item in enumerate(_items(path, path.stat().st_mtime_ns)):
        try:
            structure = _structure(item)
            if elements_of_dict(structure) <= elements:
                found.append(_entry(item, structure))
        except BadInput as error:
            mistakes.append(f"{path.name}: item {number}: {error}")
    if mistakes:
        more = len(mistakes) - _MOST_TOLD
        rest = [f"and {more} more"] if more > 0 else []
        raise BadInput(
            "\n".join([*mistakes[:_MOST_TOLD], *rest, "Take these out of the snapshot"])
        )
    return found


def elements_of_dict(structure: Mapping[str, Any]) -> frozenset[str]:
    """Elements of a structure as pymatgen writes it, without making it."""
    try:
        return frozenset(
            str(kind["element"]) for site in structure["sites"] for kind in site["species"]
        )
    except (KeyError, TypeError) as error:
        raise BadInput(f"its sites lack {error}; write it with pymatgen") from error


@lru_cache(maxsize=4)
def _items(path: Path, _stamp: int) -> tuple[Any, ...]:
    try:
        raw = path.read_bytes()
        content = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
    except (OSError, EOFError, ValueError) as error:
        raise BadInput(
            f"{path.name}: no snapshot that can be read ({error}); give JSON, or JSON.gz"
        ) from error
    if isinstance(content, dict):
        content = content.get("data", content.get("entries"))
    if not isinstance(content, list) or not content:
        raise BadInput(
            f"{path.name}: holds no list of structures; give a list of documents with "
            "structure, material_id and energy_above_hull"
        )
    return tuple(content)


def _structure(item: object) -> dict[str, Any]:
    structure = item.get("structure") if isinstance(item, dict) else None
    if not isinstance(structure, dict):
        raise BadInput("has no structure; write it with pymatgen")
    return structure


def _entry(item: Mapping[str, Any], raw: Mapping[str, Any]) -> Entry:
    inner = item.get("data")
    data = inner if isinstance(inner, dict) else {}
    name = item.get("material_id") or data.get("material_id") or item.get("entry_id")
    if not name:
        raise BadInput("has neither material_id nor entry_id; give it one")
    try:
        structure = Structure.from_dict(dict(raw))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise BadInput(
            f"{name}: no structure of pymatgen ({error!r}); write it anew"
        ) from error
    crystal = crystal_of(structure, stem=str(name))
    stem = f"{crystal.formula}_{crystal.number}_{name}"
    return Entry(crystal.named(stem), _energy(str(name), item, data))


def _energy(name: str, item: Mapping[str, Any], data: Mapping[str, Any]) -> float | None:
    for holder in (item, data):
        for key in ("energy_above_hull", "e_above_hull"):
            value = holder.get(key)
            if value is None:
                continue
            if not isinstance(value, (int, float)) or not math.isfinite(value) or value < -1e-6:
                raise BadInput(
                    f"{name}: energy above hull {value!r} eV per atom; it is 0 or more"
                )
            return max(0.0, float(value))
    return None
