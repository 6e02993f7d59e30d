"""Files of a round: whole or not there, hashed, and the same whenever they are written."""

import hashlib
import json
import lzma
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from alab.errors import BadInput
from planners.stability.candidates.lineage import Kind
from planners.stability.crystals import Crystal
from planners.stability.flywheel.parts import Proposal
from planners.stability.whole_files import write_whole

Model = TypeVar("Model", bound=BaseModel)


class RoundError(BadInput):
    """A round cannot be resumed: its inputs or files changed."""


class _ProposalRow(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    kind: Kind
    parent: str | None
    lat: tuple[tuple[float, float, float], ...]
    el: tuple[str, ...]
    frac: tuple[tuple[float, float, float], ...]


def write_model(path: Path, model: BaseModel) -> None:
    """Write a model as JSON, complete or not at all."""
    text = json.dumps(model.model_dump(mode="json"), indent=1, ensure_ascii=False)
    write_whole(path, f"{text}\n".encode())


def read_model(path: Path, kind: type[Model]) -> Model:
    """Read what ``write_model`` wrote.

    Raises:
        RoundError: If it was changed into something else.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise RoundError(
            f"{path} cannot be read ({error}); restore it, or remove the round's folder and "
            "run the round again"
        ) from error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content.

    Raises:
        RoundError: If it is gone.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise RoundError(f"{path} cannot be read ({error}); restore it from a copy") from error


def write_proposals(path: Path, proposals: Iterable[Proposal]) -> None:
    """Write proposals as compressed JSON lines."""
    rows = (
        _ProposalRow(
            key=p.key,
            kind=p.kind,
            parent=p.parent,
            lat=p.crystal.lattice_ang,
            el=p.crystal.elements,
            frac=p.crystal.fractional,
        )
        for p in proposals
    )
    text = "".join(f"{row.model_dump_json()}\n" for row in rows)
    write_whole(path, lzma.compress(text.encode(), preset=2))


def read_proposals(path: Path) -> list[Proposal]:
    """Read what ``write_proposals`` wrote.

    Raises:
        RoundError: If the file is damaged.
    """
    try:
        lines = lzma.decompress(path.read_bytes()).splitlines()
        rows = [_ProposalRow.model_validate_json(line) for line in lines]
    except (OSError, lzma.LZMAError, ValidationError) as error:
        raise RoundError(
            f"{path} cannot be read ({error}); remove the round's folder and run it again"
        ) from error
    return [
        Proposal(
            key=row.key,
            crystal=Crystal(lattice_ang=row.lat, elements=row.el, fractional=row.frac),
            kind=row.kind,
            parent=row.parent,
        )
        for row in rows
    ]
