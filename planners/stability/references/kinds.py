"""Which of the imports a file or folder is for, told by what is in it."""

import gzip
import json
import lzma
from enum import StrEnum
from pathlib import Path

from alab.errors import BadInput
from planners.stability.references.snapshot_files import MANIFEST

OPENERS = {".xz": lzma.open, ".gz": gzip.open}


class Kind(StrEnum):
    """What can be imported."""

    REFERENCE = "reference"
    STRUCTURES = "folder of structures"
    LINES = "structures as JSON lines"
    ENTRIES = "computed entries"
    TABLE = "table"


def kind_of(path: Path) -> Kind:
    """Tell the kind of a file or folder.

    A folder with a manifest is a reference, another one holds structures. A file is read as
    text, also from .xz or .gz: a JSON object a line, other JSON, or a table.

    Raises:
        BadInput: If it cannot be read, or is no text.
    """
    if path.is_dir():
        return Kind.REFERENCE if (path / MANIFEST).exists() else Kind.STRUCTURES
    line = _first_line(path)
    if _is_object(line) and '"entries"' not in line:
        return Kind.LINES
    return Kind.ENTRIES if line.startswith(("{", "[")) else Kind.TABLE


def _first_line(path: Path) -> str:
    try:
        with OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8") as file:
            line = next((text for row in file if (text := str(row).strip())), "")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, lzma.LZMAError, EOFError) as error:
        raise BadInput(
            f"{path} is no text and no whole .xz or .gz of one; give a table, JSON, JSON lines "
            "or a folder"
        ) from error
    if not line:
        raise BadInput(f"{path} is empty")
    return line


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
