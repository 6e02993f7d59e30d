"""Entries of chemical systems from the Materials Project.

Asked for are the thermo documents of the hull ``GGA_GGA+U``: one a material, with its
relaxed structure and its formation energy on energies corrected by the 2020 scheme (Wang et
al., Sci. Rep. 11, 15496, 2021). They come from ``materials/thermo/`` over REST. What
mp-api's ``get_entries_in_chemsys`` asks for by default, the hull mixed with r2SCAN, lies as
finished phase diagrams in a bucket, and its energies hold within one system only.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from pydantic import BaseModel, ValidationError
from pymatgen.core import Element, Structure

from alab.errors import BadInput
from planners.stability.crystals import Crystal, check, formula_of
from planners.stability.references.entries import Entry
from planners.stability.references.imports import Refused
from planners.stability.references.materials_project_service import (
    MaterialsProjectError,
    Service,
    thermo_client,
)
from planners.stability.references.snapshot import MissingReferenceError, Snapshot

DATABASE = "Materials Project"
HULL = "GGA_GGA+U"
FIELDS = [
    "material_id",
    "energy_type",
    "formation_energy_per_atom",
    "entries",
    "builder_meta",
]
MOST_ELEMENTS = 9
"""The subsystems of ten no longer fit into one address."""

Progress = Callable[[int, int], None]
"""Called with the number of materials that are here, and of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """What the Materials Project gave.

    Attributes:
        database_version: Of the whole pull.
        systems: Chemical systems that were asked for, subsystems among them.
        entries: One a material.
        refused: Materials that were left out.
    """

    database_version: str
    systems: tuple[str, ...]
    entries: tuple[Entry, ...]
    refused: tuple[Refused, ...]


class _Meta(BaseModel):
    license: str | None = None


class _Energy(BaseModel):
    structure: dict[str, Any]


class _Document(BaseModel):
    """The part of a thermo document that is used; other keys are ignored."""

    material_id: str
    energy_type: str
    formation_energy_per_atom: float | None = None
    entries: dict[str, _Energy]
    builder_meta: _Meta | None = None


@dataclass(slots=True)
class _Taken:
    """What has come so far, by material."""

    version: str
    entries: dict[str, Entry] = field(default_factory=dict)
    refused: dict[str, Refused] = field(default_factory=dict)
    documents: int = 0

    def take(self, row: Mapping[str, Any]) -> None:
        self.documents += 1
        name = str(row.get("material_id"))
        try:
            self.entries[name] = _entry(row, self.version)
        except BadInput as error:
            self.refused[name] = Refused(name=name, reason=str(error))

    @property
    def materials(self) -> int:
        return len(self.entries) + len(self.refused)


def subsystems(systems: Iterable[str]) -> tuple[str, ...]:
    """Chemical systems with all their subsystems, elements first: ``Li``, ``O``, ``Li-O``.

    Args:
        systems: Elements joined by hyphens, as in ``Li-Mn-O``.

    Raises:
        BadInput: If one holds no element, something else, or too many.
    """
    found = {
        "-".join(chosen)
        for system in systems
        for count in range(1, MOST_ELEMENTS + 1)
        for chosen in combinations(_elements(system), count)
    }
    if not found:
        raise BadInput("no chemical system is named; name one such as Li-Mn-O")
    if len(found) >= 2**MOST_ELEMENTS:
        raise BadInput(
            f"{len(found)} systems and subsystems are asked for, and {2**MOST_ELEMENTS - 1} "
            "can be at once; pull them one after the other into the same folder"
        )
    return tuple(sorted(found, key=lambda name: (name.count("-"), name)))


def pull(
    systems: Sequence[str],
    service: Service,
    *,
    into: Snapshot | None = None,
    progress: Progress | None = None,
) -> Pulled:
    """Ask for all materials of chemical systems and their subsystems; nothing is written.

    Args:
        systems: Elements joined by hyphens.
        service: Where to ask, and as whom.
        into: What the entries shall be added to; refused if it holds another release.
        progress: Told after each subsystem.

    Raises:
        BadInput: If a system is none, or an element occurs in no material.
        MissingReferenceError: If ``into`` cannot take the entries.
        KeyRefused: If the key is not accepted.
        MaterialsProjectError: If the service cannot be reached, or sends less than it has.
    """
    names = subsystems(systems)
    with thermo_client(service, FIELDS) as client:
        if not client.db_version:
            raise MaterialsProjectError(
                f"{client.base_endpoint} does not tell its database version, so it could "
                "not be said where the energies come from; try again later"
            )
        taken = _Taken(version=str(client.db_version))
        if into is not None:
            check_fits(into, taken.version)
        _take_all(client, names, service.page, taken, progress)
    _check_elements(names, taken)
    return Pulled(
        database_version=taken.version,
        systems=names,
        entries=tuple(taken.entries.values()),
        refused=tuple(taken.refused.values()),
    )


def source_of(database_version: str, license_name: str | None = None) -> str:
    """What is written to each entry: database, version, functional, corrections."""
    source = f"{DATABASE} {database_version}, GGA(+U), MP2020"
    return f"{source}, CC BY-NC" if license_name == "BY-NC" else source


def check_fits(snapshot: Snapshot, database_version: str) -> None:
    """Whether a release of the database may be added to a reference.

    Raises:
        MissingReferenceError: If the snapshot holds measured enthalpies, or another release:
            some energies differ between releases by tenths of an eV per atom.
    """
    if snapshot.entries[0].measured:
        raise MissingReferenceError(
            f"{snapshot.name} holds measured enthalpies, which never share a reference with "
            "computed energies; pull into another folder"
        )
    fitting = {source_of(database_version), source_of(database_version, "BY-NC")}
    for source in snapshot.sources:
        if source.startswith(f"{DATABASE} ") and source not in fitting:
            raise MissingReferenceError(
                f"{snapshot.name} holds '{source}', and the database is now at "
                f"{database_version}; some energies differ between releases by tenths of an "
                "eV per atom, so pull all systems into a new folder"
            )


def _elements(system: str) -> list[str]:
    symbols = sorted({word.strip() for word in system.split("-")})
    if odd := [symbol for symbol in symbols if not Element.is_valid_symbol(symbol)]:
        raise BadInput(
            f"'{system}' holds {', '.join(repr(x) for x in odd)}, no element of the periodic "
            "table; write a chemical system as Li-Mn-O"
        )
    if len(symbols) > MOST_ELEMENTS:
        raise BadInput(
            f"{system} has {len(symbols)} elements; pull systems of at most {MOST_ELEMENTS}"
        )
    return symbols


def _take_all(
    thermo: Any, names: Sequence[str], page: int, taken: _Taken, progress: Progress | None
) -> None:
    """Ask for one system after the other, and count: pages may be lost or come twice."""
    expected = thermo.count({"chemsys": ",".join(names), "thermo_types": HULL})
    for name in names:
        for row in thermo.search(
            chemsys=name, thermo_types=[HULL], all_fields=False, fields=FIELDS, chunk_size=page
        ):
            taken.take(row)
        if progress is not None:
            progress(taken.documents, expected)
    if not taken.materials == taken.documents == expected:
        raise MaterialsProjectError(
            f"the Materials Project has {expected} materials in {', '.join(names)}, and sent "
            f"{taken.documents}, {taken.materials} of them different; try again"
        )


def _entry(row: Mapping[str, Any], version: str) -> Entry:
    document = _document(row)
    if document.formation_energy_per_atom is None:
        raise BadInput("it has no formation energy")
    if document.energy_type not in document.entries:
        raise BadInput(
            f"its energy is of type {document.energy_type}, and its entries are of "
            f"{', '.join(document.entries) or 'none'}"
        )
    structure = _structure(document.entries[document.energy_type].structure)
    crystal = Crystal.of(structure)
    # solid noble gases are meant
    check(structure, isolated_allowed=True)
    return Entry(
        formula=formula_of(crystal.elements),
        formation_energy_ev_per_atom=document.formation_energy_per_atom,
        source=source_of(version, document.builder_meta and document.builder_meta.license),
        entry_id=document.material_id,
        crystal=crystal,
    )


def _document(row: Mapping[str, Any]) -> _Document:
    try:
        return _Document.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(
            f"its document is not understood: {first['msg']} "
            f"({'.'.join(map(str, first['loc']))})"
        ) from error


def _structure(row: dict[str, Any]) -> Structure:
    try:
        return Structure.from_dict(row)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"its structure is not understood ({error!r})") from error


def _check_elements(names: Iterable[str], taken: _Taken) -> None:
    held = {s for e in taken.entries.values() if e.crystal for s in e.crystal.elements}
    asked = [name for name in names if "-" not in name]
    if lacking := [symbol for symbol in asked if symbol not in held]:
        first = next(iter(taken.refused.values()), None)
        raise MissingReferenceError(
            f"the Materials Project gave no usable material with {', '.join(lacking)}, so no "
            "stability could be judged there; leave it out"
            + (f" (refused: {first.name}: {first.reason})" if first else "")
        )
