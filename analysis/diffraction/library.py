"""Which reference structures there are: embedded ones, prototypes, CIFs, and snapshots."""

import csv
import warnings
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache, lru_cache
from pathlib import Path

from pymatgen.core import Composition, Element

from alab.errors import BadInput
from analysis.diffraction import prototypes as aflow
from analysis.diffraction.crystal import Crystal, read_crystal
from analysis.diffraction.duplicates import deduplicated, hand_free
from analysis.diffraction.snapshot import read_snapshot

STRUCTURES = Path(__file__).with_name("structures")
"""The embedded structures; as a source it means all that the index there says of them."""
PROTOTYPES = aflow.prototype_file()
"""The real compounds of the AFLOW prototypes in pymatgen, as a source."""
DEFAULT_SOURCES = (STRUCTURES, PROTOTYPES)
"""Everything that comes with the laboratory."""


_HARMLESS = (
    "rounded to ideal values",  # 0.3333 for a third
    "type key found. Spacegroup from",  # a symbol instead of operations
    "Cannot determine chemical composition",  # no formula to compare with
)
"""What pymatgen remarks on most CIFs, and on good ones."""


class Source(StrEnum):
    """Where a reference structure comes from."""

    EMBEDDED = "embedded"
    CIF = "CIF"
    SNAPSHOT = "computed"
    PROTOTYPE = "prototype"
    DECORATION = "decorated prototype"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One reference structure.

    Attributes:
        stem: Its name: that of the file without its ending, or formula, space group and
            identifier; unique in a list of references.
        formula: Formula as the laboratory writes it.
        space_group: International symbol.
        number: Number of the space group.
        path: The CIF, or None for a structure that has none.
        default: Whether this is the polymorph that the laboratory normally has or gets.
        measured: Whether the coordinates were measured; otherwise only the cell was, and the
            atoms were placed by bond valence, or all was computed: intensities are rough.
        source: Where it comes from.
        energy_above_hull_ev_per_atom: Of a computed structure, where known.
    """

    stem: str
    formula: str
    space_group: str
    number: int
    path: Path | None
    default: bool = True
    measured: bool = True
    source: Source = Source.EMBEDDED
    energy_above_hull_ev_per_atom: float | None = None
    _held: Crystal | None = field(default=None, repr=False, compare=False)

    def crystal(self) -> Crystal:
        """The structure; a CIF is read once, and again when it has changed."""
        if self._held is not None:
            return self._held.named(self.stem)
        if self.path is None:
            raise BadInput(f"{self.stem} has neither a CIF nor a structure; give it one")
        stamp = self.path.stat().st_mtime_ns
        return _read(self.path, self.formula, stamp).named(self.stem)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What pymatgen finds doubtful in its CIF."""
        if self.path is None or self.source is Source.EMBEDDED:
            return ()
        return _doubts(self.path, self.path.stat().st_mtime_ns)

    @property
    def elements(self) -> frozenset[str]:
        """Symbols of its elements."""
        return elements_of(self.formula)


def elements_of(formula: str) -> frozenset[str]:
    """Symbols of the elements in a formula.

    Raises:
        BadInput: If it is no formula.
    """
    try:
        symbols = frozenset(Composition(formula).get_el_amt_dict())
    except (ValueError, KeyError) as error:
        raise BadInput(f"{formula!r} is no chemical formula; write it like BaTiO3") from error
    if unknown := sorted(s for s in symbols if not Element.is_valid_symbol(s)):
        raise BadInput(f"{formula!r} holds {', '.join(unknown)}, no element; write BaTiO3")
    return symbols


def same_formula(one: str, other: str) -> bool:
    """Whether two formulas mean the same composition, however they are written."""
    shares = Composition(other).fractional_composition
    return bool(Composition(one).fractional_composition.almost_equals(shares, rtol=1e-3))


@cache
def embedded() -> tuple[Reference, ...]:
    """Every reference structure that comes with the laboratory."""
    with (STRUCTURES / "index.csv").open(encoding="utf-8", newline="") as table:
        return tuple(
            Reference(
                stem=row["stem"],
                formula=row["formula"],
                space_group=row["space_group"],
                number=int(row["number"]),
                path=STRUCTURES / f"{row['stem']}.cif",
                default=row["default"] == "1",
                measured=row["measured"] == "1",
            )
            for row in csv.DictReader(table)
        )


def default_cifs() -> dict[str, Path]:
    """The CIF of each phase that the laboratory normally has or gets.

    Returns:
        Formula → file. Where pymatgen writes the reduced formula differently (``Zn(FeO2)2``
        for ``ZnFe2O4``), both spellings lead to the file.
    """
    found: dict[str, Path] = {}
    for reference in embedded():
        if reference.default and reference.path is not None:
            found[reference.formula] = reference.path
            found.setdefault(Composition(reference.formula).reduced_formula, reference.path)
    return found


def references(
    elements: Collection[str], sources: Path | Sequence[Path] | None = None
) -> list[Reference]:
    """Reference structures made of some of these elements and of no others.

    The same structure is given once, by the source that stands first, and by a measured one
    before a computed one.

    Args:
        elements: Symbols of the elements that the sample may hold.
        sources: Folders of CIFs, CIFs, snapshots (.json, .json.gz), ``STRUCTURES`` and
            ``PROTOTYPES``, the most trusted first; ``STRUCTURES`` alone without.

    Raises:
        BadInput: If an element does not exist, a source is missing, holds nothing or is of an
            unknown kind, or a structure in it cannot be used (all of them are named).
    """
    allowed = _checked(elements)
    if sources is None:
        sources = (STRUCTURES,)
    elif isinstance(sources, Path):
        sources = (sources,)
    if not sources:
        raise BadInput("no source of reference structures; name a folder of CIFs")
    return list(_found(allowed, tuple((source, _stamps(source)) for source in sources)))


def _stamps(source: Path) -> tuple[tuple[str, int], ...]:
    """Names and times of the files of a source, so that changed ones are read again."""
    if source in (STRUCTURES, PROTOTYPES):
        return ()
    files = sorted(source.glob("*.cif")) if source.is_dir() else [source]
    return tuple((file.name, file.stat().st_mtime_ns) for file in files if file.is_file())


@lru_cache(maxsize=64)
def _found(
    allowed: frozenset[str], sources: tuple[tuple[Path, tuple[tuple[str, int], ...]], ...]
) -> tuple[Reference, ...]:
    found = [reference for source, _ in sources for reference in _from(source, allowed)]
    alone = [source for source, _ in sources] == [STRUCTURES]
    return tuple(found if alone else _unique(found))


def decorations(elements: Collection[str]) -> list[Reference]:
    """Structure types with these elements on their sites: guesses, to be asked for expressly.

    Common oxidation states balance, and bond valences fit them.

    Raises:
        BadInput: If an element does not exist.
    """
    return _unique(_decorated(_checked(elements)))


def with_decorations(known: Sequence[Reference], elements: Collection[str]) -> list[Reference]:
    """Known references, and the decorations that are none of them."""
    return _unique([*known, *_decorated(_checked(elements))])


@lru_cache(maxsize=8)
def _decorated(elements: frozenset[str]) -> tuple[Reference, ...]:
    return tuple(
        _held(crystal, Source.DECORATION, measured=False)
        for crystal in aflow.decorations(elements)
    )


def _checked(elements: Collection[str]) -> frozenset[str]:
    for symbol in elements:
        if not Element.is_valid_symbol(symbol):
            raise BadInput(f"{symbol!r} is no element; write them like Ba,Ti,O")
    return frozenset(elements)


def _unique(found: Iterable[Reference]) -> list[Reference]:
    """Without duplicates, measured ones first among equals, and each with a stem of its own."""
    listed = _without_doubles_of_prototypes(list(found))
    trusted = sorted(listed, key=lambda reference: not reference.measured)
    kept = {id(reference) for reference in deduplicated(trusted)}
    taken: set[str] = set()
    named: list[Reference] = []
    for reference in listed:
        if id(reference) not in kept:
            continue
        stem, n = reference.stem, 1
        while stem in taken:
            n += 1
            stem = f"{reference.stem}-{n}"
        taken.add(stem)
        named.append(reference if n == 1 else replace(reference, stem=stem))
    return named


def _without_doubles_of_prototypes(listed: list[Reference]) -> list[Reference]:
    """Without the prototypes of which there is another structure in the same space group.

    Some cells of the collection hold misplaced atoms (those of its anatase are), so another
    source is taken wherever there is one.
    """

    def kind(reference: Reference) -> tuple[str, int]:
        formula = Composition(reference.formula).reduced_formula
        return formula, hand_free(reference.number)

    better = {
        kind(one) for one in listed if one.measured and one.source is not Source.PROTOTYPE
    }
    return [
        one for one in listed if one.source is not Source.PROTOTYPE or kind(one) not in better
    ]


def _from(source: Path, allowed: frozenset[str]) -> list[Reference]:
    if source == PROTOTYPES:
        return list(_prototypes(allowed))
    if source == STRUCTURES:
        pool = embedded()
    elif source.is_dir():
        pool = _folder(source)
    elif not source.exists():
        raise BadInput(f"{source} is no folder or file; name a folder that holds CIFs")
    elif source.suffix.lower() == ".cif":
        pool = _read_folder(((source, source.stat().st_mtime_ns),))
    elif source.name.lower().endswith((".json", ".json.gz")):
        return list(_snapshot(source, source.stat().st_mtime_ns, allowed))
    else:
        raise BadInput(
            f"{source.name} is no source of structures; give .cif, .json or .json.gz"
        )
    return [reference for reference in pool if reference.elements <= allowed]


@lru_cache(maxsize=64)
def _prototypes(allowed: frozenset[str]) -> tuple[Reference, ...]:
    return tuple(_held(crystal, Source.PROTOTYPE) for crystal in aflow.prototypes(allowed))


@lru_cache(maxsize=16)
def _snapshot(path: Path, _stamp: int, allowed: frozenset[str]) -> tuple[Reference, ...]:
    return tuple(
        replace(
            _held(entry.crystal, Source.SNAPSHOT, measured=False),
            energy_above_hull_ev_per_atom=entry.energy_above_hull_ev_per_atom,
        )
        for entry in read_snapshot(path, allowed)
    )


def _held(crystal: Crystal, source: Source, *, measured: bool = True) -> Reference:
    return Reference(
        stem=crystal.stem,
        formula=crystal.formula,
        space_group=crystal.space_group,
        number=crystal.number,
        path=None,
        default=False,
        measured=measured,
        source=source,
        _held=crystal,
    )


def _folder(cif_dir: Path) -> tuple[Reference, ...]:
    files = sorted(cif_dir.glob("*.cif"))
    if not files:
        raise BadInput(f"{cif_dir} holds no .cif file; name the folder that holds the CIFs")
    return _read_folder(tuple((file, file.stat().st_mtime_ns) for file in files))


@cache
def _read_folder(files: tuple[tuple[Path, int], ...]) -> tuple[Reference, ...]:
    found: list[Reference] = []
    mistakes: list[str] = []
    for file, stamp in files:
        try:
            crystal = _read(file, None, stamp)
        except BadInput as error:
            mistakes.append(str(error))
            continue
        found.append(_reference(crystal, file))
    if mistakes:
        raise BadInput("\n".join([*mistakes, "Correct these files or take them out"]))
    return tuple(found)


def reference_of(file: Path) -> Reference:
    """The structure in one CIF.

    Raises:
        BadInput: If it cannot be used.
    """
    if not file.is_file():
        raise BadInput(f"{file} is no file; name a CIF")
    return _reference(_read(file, None, file.stat().st_mtime_ns), file)


def _reference(crystal: Crystal, file: Path) -> Reference:
    return Reference(
        stem=crystal.stem,
        formula=crystal.formula,
        space_group=crystal.space_group,
        number=crystal.number,
        path=file,
        source=Source.CIF,
    )


@lru_cache(maxsize=4096)
def _read(path: Path, formula: str | None, _stamp: int) -> Crystal:
    return read_crystal(path, formula)


@lru_cache(maxsize=4096)
def _doubts(path: Path, _stamp: int) -> tuple[str, ...]:
    from pymatgen.io.cif import CifParser

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            CifParser(path).parse_structures(primitive=False)
        except (ValueError, KeyError, IndexError, AssertionError, TypeError) as error:
            return (f"{path.name}: pymatgen cannot read it: {error}",)
    said = (" ".join(str(warning.message).split()) for warning in heard)
    return tuple(
        f"{path.name}: {text}"
        for text in dict.fromkeys(said)
        if not any(harmless in text for harmless in _HARMLESS)
    )
