"""Entries from tables, folders of structures, JSON lines and Materials Project entries.

A row that is no number or no formula stops the import: the file is wrong. A structure that
cannot be used is refused with its reason and the others are taken: in a data set of
thousands a few always are.
"""

import csv
import gzip
import lzma
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ValidationError
from pymatgen.core import Structure
from pymatgen.entries.computed_entries import ComputedEntry, ComputedStructureEntry

from alab.errors import BadInput
from planners.stability.crystals import Crystal, CrystalError, check, formula_of, known_element
from planners.stability.formulas import reduced_formula
from planners.stability.references.entries import Entry
from planners.synthesis.computed import corrected, lowest, read_entries
from planners.synthesis.experimental import read_json

ENERGY_COLUMN = "energy_ev_per_atom"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A structure that was not taken.

    Attributes:
        name: File, or identifier in the file.
        reason: Why, and what can be done.
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import found.

    Attributes:
        entries: Ready to append to a snapshot.
        refused: What was left out.
    """

    entries: tuple[Entry, ...]
    refused: tuple[Refused, ...] = ()


class StructureLine(BaseModel):
    """One structure with its formation energy; other keys are ignored.

    Attributes:
        id: Identifier in the source.
        lat: Lattice vectors as rows, in Å.
        el: Element of each site.
        frac: Fractional coordinates of each site.
        ef: Formation energy in eV per atom.
    """

    id: str
    lat: tuple[tuple[float, float, float], ...]
    el: tuple[str, ...]
    frac: tuple[tuple[float, float, float], ...]
    ef: float


def energy_table(
    path: Path,
    *,
    source: str,
    formula_column: str = "formula",
    energy_column: str = ENERGY_COLUMN,
    id_column: str | None = None,
    measured: bool = False,
) -> Imported:
    """Read formulas with formation energies from a CSV file, also .xz or .gz.

    Args:
        path: The table.
        source: What is written to each entry, with the data set's version.
        formula_column: Name of the column of formulas.
        energy_column: Name of the column of formation energies in eV per atom.
        id_column: Name of the column of identifiers, None if there is none.
        measured: Whether these are enthalpies from experiment.

    Raises:
        BadInput: If a column is missing, or a row has no energy or no formula.
    """
    wanted = (formula_column, energy_column, *((id_column,) if id_column else ()))
    return Imported(
        entries=tuple(
            Entry(
                formula=_formula(row[formula_column], where),
                formation_energy_ev_per_atom=_number(row[energy_column], where, energy_column),
                source=source,
                measured=measured,
                entry_id=row[id_column] if id_column else None,
            )
            for where, row in _rows(path, wanted)
        )
    )


def structure_folder(
    folder: Path, *, source: str, table: str = "energies.csv", isolated_allowed: bool = False
) -> Imported:
    """Read the structure files that a table of a folder names, with their energies.

    Args:
        folder: CIF, POSCAR or any other files that pymatgen reads.
        source: What is written to each entry.
        table: CSV file in the folder with columns ``file`` and ``energy_ev_per_atom``.
        isolated_allowed: Whether atoms without neighbours are meant.

    Raises:
        BadInput: If the table is missing or wrong, or every structure is refused.
    """
    entries: list[Entry] = []
    refused: list[Refused] = []
    for where, row in _rows(folder / table, ("file", ENERGY_COLUMN)):
        energy = _number(row[ENERGY_COLUMN], where, ENERGY_COLUMN)
        try:
            structure = _read_structure(folder, row["file"])
            crystal = Crystal.of(structure)
            check(structure, isolated_allowed=isolated_allowed)
        except CrystalError as error:
            refused.append(Refused(name=row["file"], reason=str(error)))
            continue
        entries.append(_entry(crystal, energy, source, row["file"]))
    return _some(entries, refused, folder)


def structure_lines(path: Path, *, source: str, isolated_allowed: bool = False) -> Imported:
    """Read structures with formation energies from JSON lines, also .xz or .gz.

    Each line is an object with the keys of ``StructureLine``.

    Raises:
        BadInput: If a line is no such object, or every structure is refused.
    """
    entries: list[Entry] = []
    refused: list[Refused] = []
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            row = _structure_line(line, f"{path.name}, line {number}")
            try:
                crystal = _crystal(row, isolated_allowed=isolated_allowed)
            except CrystalError as error:
                refused.append(Refused(name=row.id, reason=str(error)))
                continue
            entries.append(_entry(crystal, row.ef, source, row.id))
    return _some(entries, refused, path)


def computed_entries(path: Path, *, source: str, references: Path | None = None) -> Imported:
    """Read the Materials Project's ComputedEntry objects, corrected by its 2020 scheme.

    Ef = (E − Σ n_i·E_i(lowest entry of the element)) / atoms.

    Args:
        path: JSON, or gzipped JSON, of a list of entries.
        source: What is written to each entry, with the database's version.
        references: Entries of the elements, if ``path`` lacks them; a list or an object
            ``{element: entry}``.

    Raises:
        BadInput: If there are none, or an element's entry is missing.
    """
    everything = read_entries(path)
    compatible = corrected(everything)
    elements = lowest(
        entry
        for entry in (*compatible, *(_references(references) if references else ()))
        if entry.composition.is_element
    )
    kept = {entry.entry_id for entry in compatible}
    return _some(
        [_computed(entry, elements, source, path) for entry in compatible],
        [
            Refused(
                name=str(entry.entry_id),
                reason="its settings do not fit MaterialsProject2020Compatibility; recalculate",
            )
            for entry in everything
            if entry.entry_id not in kept
        ],
        path,
    )


def _computed(
    entry: ComputedEntry, elements: Mapping[str, ComputedEntry], source: str, path: Path
) -> Entry:
    amounts = entry.composition.get_el_amt_dict()
    names = {symbol: reduced_formula(symbol) for symbol in amounts}
    if lacking := sorted(symbol for symbol, name in names.items() if name not in elements):
        raise BadInput(
            f"{path} lacks entries of {', '.join(lacking)}, the references of "
            f"{entry.composition.reduced_formula}; store them with it, or name a file of them"
        )
    zero_ev = sum(n * elements[names[symbol]].energy_per_atom for symbol, n in amounts.items())
    with_cell = isinstance(entry, ComputedStructureEntry)
    return Entry(
        formula=reduced_formula(entry.composition.formula.replace(" ", "")),
        formation_energy_ev_per_atom=(entry.energy - zero_ev) / entry.composition.num_atoms,
        source=source,
        entry_id=None if entry.entry_id is None else str(entry.entry_id),
        crystal=Crystal.of(entry.structure) if with_cell else None,
    )


def _references(path: Path) -> list[ComputedEntry]:
    content = read_json(path)
    if not isinstance(content, dict) or "entries" in content:
        return read_entries(path)
    try:
        return corrected(ComputedEntry.from_dict(row) for row in content.values())
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            f"{path} is neither a list of entries nor an object of one entry an element"
        ) from error


def _rows(path: Path, columns: Iterable[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a table with where they stand."""
    with _open(path) as file:
        reader = csv.DictReader(file)
        present = reader.fieldnames or ()
        if lacking := [name for name in columns if name not in present]:
            raise BadInput(
                f"{path} has no column {', '.join(lacking)}; it has {', '.join(present) or '-'}"
            )
        for row in reader:
            yield f"{path.name}, line {reader.line_num}", row


def _open(path: Path) -> IO[str]:
    openers = {".xz": lzma.open, ".gz": gzip.open}
    try:
        return openers.get(path.suffix, open)(path, "rt", encoding="utf-8", newline="")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error


def _formula(text: str | None, where: str) -> str:
    try:
        return reduced_formula((text or "").strip())
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from error


def _number(text: str | None, where: str, column: str) -> float:
    try:
        return float(text or "")
    except ValueError as error:
        raise BadInput(
            f"{where}: '{text or ''}' in {column} is no number; remove the row or compute it"
        ) from error


def _read_structure(folder: Path, name: str) -> Structure:
    path = folder / name
    if not path.is_file():
        raise CrystalError(f"{path} does not exist; correct the table")
    with warnings.catch_warnings():
        # rounded coordinates and the like; what matters is checked afterwards
        warnings.simplefilter("ignore")
        try:
            return Structure.from_file(path)
        except (ValueError, TypeError, LookupError, ArithmeticError, AssertionError) as error:
            raise CrystalError(f"{path} is no structure file ({error})") from error


def _structure_line(line: str, where: str) -> StructureLine:
    try:
        return StructureLine.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "line"
        raise BadInput(
            f"{where}: {first['msg']} ({field}); give id, lat, el, frac, ef"
        ) from error


def _crystal(row: StructureLine, *, isolated_allowed: bool) -> Crystal:
    if len(row.lat) != 3 or len(row.el) != len(row.frac) or not row.el:
        raise CrystalError(
            f"{len(row.lat)} lattice vectors, {len(row.el)} elements and {len(row.frac)} "
            "coordinates make no crystal; give three vectors and one element a coordinate"
        )
    crystal = Crystal(
        lattice_ang=row.lat,
        elements=tuple(known_element(symbol) for symbol in row.el),
        fractional=row.frac,
    )
    check(crystal.structure(), isolated_allowed=isolated_allowed)
    return crystal


def _entry(crystal: Crystal, energy: float, source: str, name: str) -> Entry:
    return Entry(
        formula=formula_of(crystal.elements),
        formation_energy_ev_per_atom=energy,
        source=source,
        entry_id=name,
        crystal=crystal,
    )


def _some(entries: list[Entry], refused: list[Refused], path: Path) -> Imported:
    if not entries:
        why = f"; the first: {refused[0].name}: {refused[0].reason}" if refused else ""
        raise BadInput(f"{path} gave no entry, {len(refused)} were refused{why}")
    return Imported(entries=tuple(entries), refused=tuple(refused))
