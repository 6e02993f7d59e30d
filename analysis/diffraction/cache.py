"""Named arrays kept between runs, in one SQLite file a folder.

Processes may read and write together: SQLite locks the file, and a record is written whole or
not at all. A file or a record that is damaged counts as missing.
"""

import json
import os
import sqlite3
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.diffraction.arrays import Array

_FILE = "reflections.sqlite"
_WAIT_S = 10.0
_MOST_BYTES = 1_000_000_000
_AT_ONCE = 500  # SQLite's own limit of variables is 999 in old builds


def user_folder() -> Path:
    """Where this user's programs keep what can be computed again.

    ``$ALAB_CACHE_DIR``, or else ``alab`` in ``$XDG_CACHE_HOME``, or else ``~/.cache/alab``.
    """
    own = os.environ.get("ALAB_CACHE_DIR")
    if own:
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "alab"


def load_arrays(folder: Path, keys: Iterable[str]) -> dict[str, dict[str, Array]]:
    """What is kept under these keys; those that are missing or damaged are left out."""
    wanted = list(dict.fromkeys(keys))
    found: dict[str, dict[str, Array]] = {}
    if not (folder / _FILE).is_file():
        return found
    try:
        with _opened(folder) as database:
            for start in range(0, len(wanted), _AT_ONCE):
                part = wanted[start : start + _AT_ONCE]
                marks = ",".join("?" * len(part))
                query = f"SELECT key, arrays FROM kept WHERE key IN ({marks})"  # noqa: S608 - marks
                for key, packed in database.execute(query, part):
                    if (arrays := _unpacked(packed)) is not None:
                        found[key] = arrays
    except sqlite3.Error:
        return found
    return found


def store_arrays(folder: Path, arrays: Mapping[str, Mapping[str, NDArray]]) -> None:
    """Keep arrays under their keys; what is there is replaced.

    A folder that cannot be written to, or one that is full, keeps nothing: the arrays are
    computed anew next time. A damaged file is replaced.
    """
    if not arrays:
        return
    rows = [(key, _packed(value)) for key, value in arrays.items()]
    for _ in range(2):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _opened(folder) as database, database:
                if (folder / _FILE).stat().st_size > _MOST_BYTES:
                    database.execute("DELETE FROM kept")
                database.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?)", rows)
        except sqlite3.OperationalError:
            return
        except sqlite3.DatabaseError:
            (folder / _FILE).unlink(missing_ok=True)
        except OSError:
            return
        else:
            return


@contextmanager
def _opened(folder: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(folder / _FILE, timeout=_WAIT_S)) as database:
        database.execute("PRAGMA synchronous = OFF")  # what is lost is computed again
        database.execute("CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, arrays BLOB)")
        yield database


def _packed(arrays: Mapping[str, NDArray]) -> bytes:
    """A checksum, the length of a JSON heading, the heading, and the arrays' bytes."""
    names = [(name, value.dtype.str, value.shape) for name, value in arrays.items()]
    heading = json.dumps(names).encode()
    values = b"".join(np.ascontiguousarray(value).tobytes() for value in arrays.values())
    rest = struct.pack("<I", len(heading)) + heading + values
    return struct.pack("<I", zlib.crc32(rest)) + rest


def _unpacked(packed: bytes) -> dict[str, Array] | None:
    if len(packed) < 8 or zlib.crc32(packed[4:]) != struct.unpack_from("<I", packed)[0]:
        return None
    start = 8 + struct.unpack_from("<I", packed, 4)[0]
    arrays: dict[str, Array] = {}
    for name, kind, shape in json.loads(packed[8:start]):
        count = prod(shape)
        arrays[name] = np.frombuffer(packed, kind, count, start).reshape(shape).copy()
        start += count * np.dtype(kind).itemsize
    return arrays
