"""Which reference structures there are: the embedded ones, and folders of a user's CIFs."""

import csv
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pymatgen.core import Composition, Element

from alab.errors import BadInput
from analysis.diffraction.crystal import Crystal, read_crystal

STRUCTURES = Path(__file__).with_name("structures")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One reference structure.

    Attributes:
        stem: File name without its ending, unique in its folder.
        formula: Formula as the laboratory writes it.
        space_group: International symbol.
        number: Number of the space group.
        path: The CIF.
        default: Whether this is the polymorph that the laboratory normally has or gets.
        measured: Whether the coordinates were measured; otherwise only the cell was, and the
            atoms were placed by bond valence, so that intensities are rough.
    """

    stem: str
    formula: str
    space_group: str
    number: int
    path: Path
    default: bool = True
    measured: bool = True

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
        return frozenset(Composition(formula).get_el_amt_dict())
    except (ValueError, KeyError) as error:
        raise BadInput(f"{formula!r} is no chemical formula; write it like BaTiO3") from error


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
        if reference.default:
            found[reference.formula] = reference.path
            found.setdefault(Composition(reference.formula).reduced_formula, reference.path)
    return found


def references(elements: Collection[str], cif_dir: Path | None = None) -> list[Reference]:
    """Reference structures made of some of these elements and of no others.

    Args:
        elements: Symbols of the elements that the sample may hold.
        cif_dir: A folder of CIFs to use instead of the embedded ones.

    Raises:
        BadInput: If an element does not exist, the folder is missing or holds no CIF, or a
            CIF in it cannot be used (all of them are named).
    """
    allowed = frozenset(elements)
    for symbol in allowed:
        if not Element.is_valid_symbol(symbol):
            raise BadInput(f"{symbol!r} is no element; write them like Ba,Ti,O")
    pool = embedded() if cif_dir is None else _folder(cif_dir)
    return [reference for reference in pool if reference.elements <= allowed]


def _folder(cif_dir: Path) -> tuple[Reference, ...]:
    if not cif_dir.is_dir():
        raise BadInput(f"{cif_dir} is no folder; name the folder that holds the CIFs")
    files = sorted(cif_dir.glob("*.cif"))
    if not files:
        raise BadInput(f"{cif_dir} holds no .cif file; name the folder that holds the CIFs")
    return _read_folder(tuple((file, file.stat().st_mtime_ns) for file in files))


@cache
def _read_folder(files: tuple[tuple[Path, int], ...]) -> tuple[Reference, ...]:
    found: list[Reference] = []
    mistakes: list[str] = []
    for file, _ in files:
        try:
            crystal = read_crystal(file)
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
    return _reference(read_crystal(file), file)


def _reference(crystal: Crystal, file: Path) -> Reference:
    return Reference(
        stem=crystal.stem,
        formula=crystal.formula,
        space_group=crystal.space_group,
        number=crystal.number,
        path=file,
    )
