"""Procedures of the user's copy, kept between runs: reading the copy anew takes ten seconds.

They lie as JSON in the user's folder for what can be computed again, under the SHA-256 of the
copy and of the code that reads it. A file that is missing or damaged is written anew; a
folder that cannot be written to keeps nothing.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from planners.literature import corpus, firing, formulas
from planners.literature.corpus import Procedure, read_corpus
from planners.literature.firing import Firing, Route


@cache
def procedures_of(path: Path) -> tuple[Procedure, ...]:
    """The procedures of a copy of the text-mined reactions.

    Raises:
        BadInput: If the file is no such data set.
    """
    kept = _folder() / f"literature-{_key(path)}.json"
    with suppress(OSError, ValueError, TypeError, KeyError):
        return tuple(map(_procedure, json.loads(kept.read_text(encoding="utf-8"))))
    procedures = read_corpus(path).procedures
    with suppress(OSError):
        _write(procedures, kept)
    return procedures


def _folder() -> Path:
    """``$ALAB_CACHE_DIR``, or else ``alab`` in ``$XDG_CACHE_HOME``, or ``~/.cache/alab``."""
    if own := os.environ.get("ALAB_CACHE_DIR"):
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "alab"


def _key(path: Path) -> str:
    digest = hashlib.sha256(path.read_bytes())
    for module in (corpus, firing, formulas):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:32]


def _write(procedures: Iterable[Procedure], kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    unfinished = kept.with_suffix(f".{os.getpid()}")
    text = json.dumps([_row(procedure) for procedure in procedures], ensure_ascii=False)
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(kept)


def _row(procedure: Procedure) -> dict[str, Any]:
    return {
        "doi": procedure.doi,
        "target": procedure.target,
        "substitution": procedure.substitution,
        "shares": dict(procedure.shares),
        "keys": sorted(procedure.keys),
        "precursors": procedure.precursors,
        "firing": asdict(procedure.firing),
    }


def _procedure(row: dict[str, Any]) -> Procedure:
    return Procedure(
        doi=row["doi"],
        target=row["target"],
        substitution=row["substitution"],
        shares=row["shares"],
        keys=frozenset(row["keys"]),
        precursors=tuple(row["precursors"]),
        firing=Firing(**{**row["firing"], "route": Route(**row["firing"]["route"])}),
    )
