"""One formation energy of one compound, in memory and as a line of a file.

A line is a JSON object; lattice, elements and fractional coordinates appear where the
structure is known. The text of an entry is the same on every machine, so hashes agree.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from alab.errors import BadInput
from planners.stability.crystals import Crystal
from planners.stability.formulas import reduced_formula

LARGEST_EV_PER_ATOM = 20.0
"""No formation energy is larger; a total energy in its column is found out by this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One formation energy of one compound.

    Attributes:
        formula: Reduced formula as pymatgen writes it.
        formation_energy_ev_per_atom: From the elements in their reference states.
        source: Data set or calculation it came from, with its version.
        measured: Whether it is an enthalpy from experiment, else computed at 0 K.
        entry_id: Name within the source, None if it has none.
        crystal: The structure that has this energy, None if only the energy is known.
    """

    formula: str
    formation_energy_ev_per_atom: float
    source: str
    measured: bool = False
    entry_id: str | None = None
    crystal: Crystal | None = None

    def __post_init__(self) -> None:
        energy = self.formation_energy_ev_per_atom
        if not abs(energy) <= LARGEST_EV_PER_ATOM:
            raise BadInput(
                f"{self.formula} ({self.entry_id or self.source}): a formation energy of "
                f"{energy} eV/atom is not within ±{LARGEST_EV_PER_ATOM}; give it per atom and "
                "relative to the elements, not as a total energy"
            )
        if not self.source.strip():
            raise BadInput(f"{self.formula} names no source; say where its energy comes from")


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")

    formula: str
    formation_energy_ev_per_atom: float
    source: str
    measured: bool = False
    id: str | None = None
    lat: tuple[tuple[float, float, float], ...] | None = None
    el: tuple[str, ...] | None = None
    frac: tuple[tuple[float, float, float], ...] | None = None


def line_of(entry: Entry) -> str:
    """Write an entry as one line, always the same for the same entry."""
    crystal = entry.crystal
    row: dict[str, object] = {
        "formula": entry.formula,
        "formation_energy_ev_per_atom": entry.formation_energy_ev_per_atom,
        "source": entry.source,
        "measured": entry.measured,
    }
    if entry.entry_id is not None:
        row["id"] = entry.entry_id
    if crystal is not None:
        row |= {"lat": crystal.lattice_ang, "el": crystal.elements, "frac": crystal.fractional}
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def lines_of(entries: Iterable[Entry]) -> bytes:
    """Write entries as the content of a JSONL file."""
    return "".join(f"{line_of(entry)}\n" for entry in entries).encode()


def entry_of(line: str, where: str) -> Entry:
    """Read an entry from a line.

    Args:
        line: A JSON object as ``line_of`` writes it.
        where: File and line number, for errors.

    Raises:
        BadInput: If the line is no entry.
    """
    try:
        row = _Line.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(
            f"{where}: {first['msg']} ({'.'.join(map(str, first['loc'])) or 'line'}); "
            "a snapshot is written by append, not by hand"
        ) from error
    crystal = None
    if row.lat is not None and row.el is not None and row.frac is not None:
        crystal = Crystal(lattice_ang=row.lat, elements=row.el, fractional=row.frac)
    return Entry(
        formula=reduced_formula(row.formula),
        formation_energy_ev_per_atom=row.formation_energy_ev_per_atom,
        source=row.source,
        measured=row.measured,
        entry_id=row.id,
        crystal=crystal,
    )


def digest_of(parent: str, content: bytes) -> str:
    """SHA-256 over the digest of the version before and the lines that were added."""
    return hashlib.sha256(parent.encode() + hashlib.sha256(content).digest()).hexdigest()
