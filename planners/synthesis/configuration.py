"""Which sources this process asks: what ``ALAB_THERMO`` names, or what is installed.

``ALAB_THERMO`` names folders and files, separated as in ``PATH``. Without it, the tables of
the package reaction-network are used if it is installed; its files are read and it is never
imported, for that would bring ray, numba and jobflow. ``ALAB_THERMO=own`` means our own
table alone.
"""

import os
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

from alab.errors import BadInput
from planners.synthesis.experimental import (
    ExperimentalTable,
    aligned,
    read_gases,
    read_json,
    read_table,
)
from planners.synthesis.sources import CurveSource, Source, Sources

VARIABLE = "ALAB_THERMO"
OWN = "own"
PACKAGE = "rxn_network"


def configured() -> Sources:
    """Read the sources that ``ALAB_THERMO`` names, or those that are installed.

    Raises:
        BadInput: If a path does not exist, or holds nothing that is understood.
    """
    setting = os.environ.get(VARIABLE, "").strip()
    if setting == OWN:
        return Sources()
    if not setting:
        folder = installed_folder()
        return read_sources([folder]) if folder else Sources()
    return read_sources([Path(part).expanduser() for part in setting.split(os.pathsep) if part])


def installed_folder() -> Path | None:
    """Data folder of the installed package reaction-network, None without it."""
    spec = find_spec(PACKAGE)
    places = spec.submodule_search_locations if spec else None
    folder = Path(next(iter(places))) / "data" if places else None
    return folder if folder and folder.is_dir() else None


def read_sources(paths: Iterable[Path]) -> Sources:
    """Read folders and files into sources.

    In a folder count ``*.csv``, ``*entries*.json``, ``*freed*.json`` and ``*janaf*.json`` (or
    ``compounds.json`` in folders ``freed`` and ``nist``), each gzipped or not; a file that is
    named itself may have any name.

    Raises:
        BadInput: If a path does not exist, or holds nothing that is understood.
    """
    files = [file for path in paths for file in _files_of(path)]
    gases = frozenset(g for f in files if _is_index(f) for g in read_gases(f))
    rest = [file for file in files if file.suffix != ".csv" and not _is_index(file)]
    computed = [file for file in rest if _holds_entries(file)]
    tables = [read_table(file, gases) for file in rest if file not in computed]
    return Sources(
        supplied=_supplied([file for file in files if file.suffix == ".csv"]),
        tables=_in_line(tables),
        computed=_computed(computed),
    )


def _supplied(files: Sequence[Path]) -> Sequence[Source]:
    if not files:
        return ()
    # pymatgen's entries take three seconds to import: only where there are some to read
    from planners.synthesis.supplied import read_supplied

    return [read_supplied(file) for file in files]


def _computed(files: Sequence[Path]) -> Sequence[CurveSource]:
    if not files:
        return ()
    # as above
    from planners.synthesis.computed import ComputedSource

    return [ComputedSource(file) for file in files]


def _holds_entries(file: Path) -> bool:
    """Whether a file is a list, by its name or else its content."""
    return "entries" in file.name or isinstance(read_json(file), list)


def _in_line(tables: Sequence[ExperimentalTable]) -> tuple[ExperimentalTable, ...]:
    """NIST-JANAF first, the others on its reference states."""
    janaf = [table for table in tables if table.name == "NIST-JANAF"]
    others = [table for table in tables if table.name != "NIST-JANAF"]
    return (*janaf, *(aligned(other, janaf[0]) if janaf else other for other in others))


def _files_of(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise BadInput(f"{VARIABLE}: {path} does not exist; name a folder or a file")
    found = sorted(file for file in path.rglob("*") if file.is_file() and _is_ours(file))
    if not found:
        raise BadInput(
            f"{VARIABLE}: {path} holds no *.csv, *entries*.json, *freed*.json or *janaf*.json"
        )
    return found


def _is_ours(file: Path) -> bool:
    name = "/".join(file.parts[-2:]).lower().removesuffix(".gz")
    if _is_index(file) or file.suffix == ".csv":
        return True
    table = "freed" in file.name.lower() or "janaf" in file.name.lower()
    packaged = name in {"freed/compounds.json", "nist/compounds.json"}
    return name.endswith(".json") and (table or packaged or "entries" in file.name)


def _is_index(file: Path) -> bool:
    return "janaf_index" in file.name.lower()
