"""Known structures that need no download: the AFLOW prototypes, CIFs, a snapshot's crystals.

They serve twice: as parents of candidates (any structure type will do), and, where they are
real compounds of a chemical system, as what a candidate there competes with.

The prototypes are those of the AFLOW encyclopedia (Mehl et al., Comput. Mater. Sci. 136 (2017)
S1; 161 (2019) S1) as pymatgen carries them, each a real compound with its own cell.
"""

import gzip
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
from pymatgen.core import Structure

from alab.errors import BadInput
from planners.stability.crystals import Crystal, CrystalError, check
from planners.stability.formulas import elements_of, reduced_formula
from planners.stability.references.snapshot import Snapshot

CLOSEST_OF_RADII = 0.75
"""Atoms closer than this share of the sum of their covalent radii are misplaced."""

MOST_SITES = 60
"""Larger cells cost more to predict than they bring as structure types."""

_NOT_SOLID = frozenset({"O2", "N2", "Cl2", "CO", "H3N", "H3S", "CNCl", "SiF4", "Hg"})
_NOT_REAL = ("pressure", "theoretical", "used to distinguish", "stable at", "bct5")
_MISPLACED = frozenset({"A2B_tI12_141_e_a", "AB4C_tI12_82_c_g_a"})
"""Anatase and BPO4 of the collection have wrong coordinates (docs/analysis.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownStructure:
    """An ordered structure of a known compound.

    Attributes:
        name: Unique; what lineage calls it.
        words: What people call it: ``spinel MgAl2O4``.
        formula: Reduced formula.
        structure: Ordered, without oxidation states.
        real: Whether it is the structure of a solid compound at ordinary conditions, so that
            it may compete; otherwise it serves as a structure type only.
    """

    name: str
    words: str
    formula: str
    structure: Structure
    real: bool = True

    @property
    def elements(self) -> frozenset[str]:
        """Symbols of its elements."""
        return frozenset(str(el) for el in self.structure.composition.elements)


@lru_cache(maxsize=1)
def aflow_prototypes() -> tuple[KnownStructure, ...]:
    """The compounds of the collection with possible distances, elements left out."""
    rows = json.loads(gzip.decompress(_collection_file().read_bytes()))
    found: dict[str, KnownStructure] = {}
    for row in rows:
        known = _prototype(row)
        if known is not None:
            found.setdefault(known.name, known)
    return tuple(found.values())


def structures_in(folder: Path) -> tuple[KnownStructure, ...]:
    """Ordered compounds among the CIFs of a folder; disordered ones are left out.

    Raises:
        BadInput: If the folder holds no CIF, or one cannot be read.
    """
    files = sorted(folder.glob("*.cif"))
    if not files:
        raise BadInput(f"{folder} holds no .cif file; name the folder that holds the CIFs")
    structures = ((file, _read_cif(file)) for file in files)
    return tuple(
        KnownStructure(
            name=f"CIF {file.stem}",
            words=reduced_formula(structure.composition.formula.replace(" ", "")),
            formula=reduced_formula(structure.composition.formula.replace(" ", "")),
            structure=structure,
        )
        for file, structure in structures
        if structure.is_ordered and _usable(structure)
    )


def structures_of(reference: Snapshot, system: Iterable[str]) -> tuple[KnownStructure, ...]:
    """The compounds of a system that a reference has with a crystal, the lowest of each."""
    found: list[KnownStructure] = []
    within = frozenset(system)
    for formula, entries in reference.by_formula.items():
        entry = next((e for e in entries if e.crystal is not None), None)
        if entry is None or entry.crystal is None or not set(elements_of(formula)) <= within:
            continue
        structure = entry.crystal.structure()
        if _usable(structure):
            found.append(
                KnownStructure(
                    name=f"{reference.name} {entry.entry_id or formula}",
                    words=formula,
                    formula=formula,
                    structure=structure,
                )
            )
    return tuple(found)


def real_within(
    known: Iterable[KnownStructure], elements: Iterable[str]
) -> tuple[KnownStructure, ...]:
    """Real compounds that hold no other elements."""
    system = frozenset(elements)
    return tuple(one for one in known if one.real and one.elements <= system)


def closest_of_radii(structure: Structure) -> float:
    """Least distance of two atoms over the sum of their covalent radii."""
    radii = np.array([gemmi.Element(str(site.specie.symbol)).covalent_r for site in structure])
    first, second, _, distances = structure.get_neighbor_list(float(2 * radii.max()))
    if not len(distances):
        return float("inf")
    return float((distances / (radii[first] + radii[second])).min())


def _usable(structure: Structure) -> bool:
    if len(structure.composition) < 2 or len(structure) > MOST_SITES:
        return False
    try:
        check(structure)
        Crystal.of(structure)
    except CrystalError:
        return False
    return closest_of_radii(structure) >= CLOSEST_OF_RADII


def _prototype(row: Mapping[str, Any]) -> KnownStructure | None:
    tag = str(row["tags"]["aflow"])
    if tag in _MISPLACED:
        return None
    parts = {key: row["snl"][key] for key in ("lattice", "sites", "charge")}
    structure = Structure.from_dict(parts)
    if not structure.is_ordered or not _usable(structure):
        return None
    formula = reduced_formula(structure.composition.formula.replace(" ", ""))
    called = [row["tags"]["mineral"], row["tags"]["strukturbericht"]]
    said = " ".join(called).lower()
    names = [word for word in called if word not in ("", "None")]
    return KnownStructure(
        name=f"AFLOW {tag} {formula}",
        words=f"{formula} ({', '.join(names)})" if names else formula,
        formula=formula,
        structure=structure,
        real=formula not in _NOT_SOLID and not any(word in said for word in _NOT_REAL),
    )


def _collection_file() -> Path:
    """Where pymatgen keeps them; importing that package takes seconds."""
    spec = find_spec("pymatgen.analysis")
    places: Sequence[str] = list(spec.submodule_search_locations or []) if spec else []
    for place in places:
        path = Path(place) / "prototypes" / "aflow_prototypes.json.gz"
        if path.is_file():
            return path
    raise BadInput(
        "pymatgen brings no AFLOW prototypes here (analysis/prototypes/"
        "aflow_prototypes.json.gz); reinstall pymatgen"
    )


def _read_cif(file: Path) -> Structure:
    with warnings.catch_warnings():
        # rounded coordinates and the like; what matters is checked afterwards
        warnings.simplefilter("ignore")
        try:
            structure = Structure.from_file(file, primitive=True)
        except (ValueError, TypeError, LookupError, ArithmeticError, AssertionError) as error:
            raise BadInput(f"{file} is no CIF of a crystal ({error}); take it out") from error
    structure.remove_oxidation_states()
    return structure


def is_compound_of(formula: str, elements: Iterable[str]) -> bool:
    """Whether a formula is a compound of some of these elements and of no others."""
    symbols = elements_of(formula)
    return len(symbols) > 1 and set(symbols) <= set(elements)
