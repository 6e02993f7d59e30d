"""A candidate in 20 bytes: a parent, some of its orbits, and what their elements become.

    parent   4 bytes  place of the parent in the list of parents
    orbits   8 bytes  bit i is set if orbit i changes
    elements 8 bytes  new atomic number of each of the parent's elements, 0 if it stays

An orbit becomes the new element of its own one if its bit is set. Whole substitutions set
all bits, partial ones a few. A record has one normal form (no bit and no element without
effect), and a parent's candidates are the same crystal where their *colouring*, the
element at each kind of site, is the same from some view of the parent's bare sites.
"""

import hashlib
from collections.abc import Mapping, Set as AbstractSet

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition, Element, Structure
from pymatgen.core.structure_prediction.volume_predictor import RLSVolumePredictor

from alab.errors import BadInput
from planners.stability.candidates.parents import MOST_ELEMENTS, Parent, ParentError
from planners.stability.candidates.substitution import Substitutions
from planners.stability.split import reduced_formula

RECORD = np.dtype([("parent", "<u4"), ("orbits", "<u8"), ("elements", "u1", (MOST_ELEMENTS,))])
HIGHEST_ATOMIC_NUMBER = 118
KEY_BYTES = 16

Records = NDArray[np.void]


def encode(
    parent: Parent, masks: NDArray[np.uint64], replacements: NDArray[np.uint8]
) -> Records:
    """Records of candidates, one a row, in normal form.

    Args:
        parent: Whose orbits change.
        masks: Bit i set if orbit i changes, shape (candidates,).
        replacements: New atomic number of each of the parent's elements, 0 if it stays,
            shape (candidates, elements).

    Raises:
        BadInput: Shapes, bits or atomic numbers that do not fit the parent.
    """
    if replacements.shape != (len(masks), len(parent.elements)):
        raise BadInput(
            f"{parent.name}: replacements of shape {replacements.shape} for {len(masks)} "
            f"masks; give ({len(masks)}, {len(parent.elements)})"
        )
    records = np.zeros(len(masks), dtype=RECORD)
    records["parent"] = parent.number
    records["orbits"] = masks
    records["elements"][:, : len(parent.elements)] = replacements
    return normal(parent, records)


def whole(parent: Parent, mapping: Mapping[str, str]) -> Records:
    """The one record that replaces elements on all their orbits."""
    unknown = [symbol for symbol in mapping if symbol not in parent.elements]
    if unknown:
        raise BadInput(
            f"{parent.name}: holds {', '.join(parent.elements)}, not {', '.join(unknown)}"
        )
    new = [Element(mapping[s]).Z if s in mapping else 0 for s in parent.elements]
    mask = np.array([(1 << len(parent.orbits)) - 1], dtype=np.uint64)
    return encode(parent, mask, np.array([new], dtype=np.uint8))


def whole_substitutions(parent: Parent, lists: Substitutions) -> Records:
    """Records of lists of ions that replace a parent's, unique, likeliest first.

    Lists that differ in oxidation states alone are one candidate.

    Raises:
        ParentError: The ions are not the parent's elements, each with one valence: orbits
            carry elements, so that two valences of one cannot be told apart.
    """
    symbols = [ion.symbol for ion in lists.originals]
    if sorted(symbols) != sorted(parent.elements):
        raise ParentError(
            f"{parent.name}: holds {', '.join(parent.elements)}, the ions are "
            f"{', '.join(map(str, lists.originals))}; give one ion for each element"
        )
    numbers = np.array([ion.Z for ion in lists.species], dtype=np.uint8)
    columns = [symbols.index(symbol) for symbol in parent.elements]
    every = np.full(len(lists), (1 << len(parent.orbits)) - 1, dtype=np.uint64)
    return unique(parent, encode(parent, every, numbers[lists.replaced][:, columns]))


def orbit_elements(parent: Parent, records: Records) -> NDArray[np.uint8]:
    """Atomic number on each orbit, shape (candidates, orbits).

    Raises:
        BadInput: A record is of another parent, or names an orbit, element or atomic
            number that there is not.
    """
    _check(parent, records)
    bits = np.arange(len(parent.orbits), dtype=np.uint64)
    chosen = (records["orbits"][:, None] >> bits) & np.uint64(1)
    new = records["elements"][:, parent.kinds]
    return np.where((chosen == 1) & (new > 0), new, parent.atomic_numbers)


def normal(parent: Parent, records: Records) -> Records:
    """The same candidates without bits and elements that have no effect."""
    changed = orbit_elements(parent, records) != parent.atomic_numbers
    bits = np.uint64(1) << np.arange(len(parent.orbits), dtype=np.uint64)
    cleaned = records.copy()
    cleaned["orbits"] = (changed * bits).sum(axis=1, dtype=np.uint64)
    for kind in range(len(parent.elements)):
        idle = ~changed[:, parent.kinds == kind].any(axis=1)
        cleaned["elements"][idle, kind] = 0
    return cleaned


def colourings(parent: Parent, records: Records) -> NDArray[np.uint8]:
    """Canonical element of each kind of site, shape (candidates, kinds of site).

    The lexicographically least over all views. Two candidates of a parent are one crystal
    (before relaxation, up to a change of scale) exactly if these are equal.
    """
    elements = orbit_elements(parent, records)
    least = elements[:, parent.views[0]]
    for view in parent.views[1:]:
        other = elements[:, view]
        differs = other != least
        first = differs.argmax(axis=1)[:, None]
        smaller = np.take_along_axis(other, first, 1) < np.take_along_axis(least, first, 1)
        least = np.where(differs.any(axis=1, keepdims=True) & smaller, other, least)
    return least


def unique(parent: Parent, records: Records) -> Records:
    """The first record of each crystal, in order, without the parent itself."""
    unchanged = np.zeros(1, dtype=RECORD)
    unchanged["parent"] = parent.number
    rows = np.concatenate((colourings(parent, unchanged), colourings(parent, records)))
    as_bytes = np.ascontiguousarray(rows).view(f"V{rows.shape[1]}").ravel()
    _, first = np.unique(as_bytes, return_index=True)
    return records[np.sort(first[first > 0]) - 1]


def keys(parent: Parent, records: Records) -> list[bytes]:
    """Key of each crystal in 16 bytes: BLAKE2b of the parent's name and the colouring."""
    name = hashlib.blake2b(parent.name.encode(), digest_size=KEY_BYTES).digest()
    return [
        hashlib.blake2b(row.tobytes(), digest_size=KEY_BYTES, key=name).digest()
        for row in colourings(parent, records)
    ]


def reduced_formulas(parent: Parent, records: Records) -> list[str]:
    """Reduced formula of each candidate; each distinct one is worked out once."""
    counts = _atom_counts(parent, records)
    distinct, back = np.unique(counts, axis=0, return_inverse=True)
    formulas = [_formula(row) for row in distinct]
    return [formulas[i] for i in back.ravel()]


def without_known(parent: Parent, records: Records, known: AbstractSet[str]) -> Records:
    """Candidates whose reduced formula is in no reference database."""
    new = [formula not in known for formula in reduced_formulas(parent, records)]
    return records[np.array(new, dtype=bool)]


def materialise(
    parent: Parent, record: np.void, *, volume_ang3: float | None = None
) -> Structure:
    """The candidate as a structure, in the parent's geometry at a guessed volume.

    The guess scales the parent's lattice by atomic radii (pymatgen's reference lattice
    scaling), as V = V₀ (Σ r n^⅓ / Σ r₀ n₀^⅓)³.

    Args:
        parent: Whose candidate it is.
        record: The candidate.
        volume_ang3: Volume of the cell where it is known better.

    Raises:
        ParentError: An atomic radius is unknown and no volume is given.
    """
    elements = orbit_elements(parent, np.array([record], dtype=RECORD))[0]
    species = [""] * len(parent.structure)
    for orbit, number in zip(parent.orbits, elements, strict=True):
        for site in orbit.sites:
            species[site] = Element.from_Z(int(number)).symbol
    old = parent.structure
    new = Structure(old.lattice, species, old.frac_coords)
    new.scale_lattice(guess_volume_ang3(new, old) if volume_ang3 is None else volume_ang3)
    return new


def guess_volume_ang3(new: Structure, old: Structure) -> float:
    """Volume of a cell from that of one with other elements on the same sites."""
    unknown = {str(el) for el in (*new.elements, *old.elements) if el.atomic_radius is None}
    if unknown:
        raise ParentError(
            f"{new.formula}: no atomic radius for {', '.join(sorted(unknown))}; "
            "give volume_ang3 instead"
        )
    predictor = RLSVolumePredictor(check_isostructural=False, radii_type="atomic")
    return float(predictor.predict(new, old))


def _check(parent: Parent, records: Records) -> None:
    if (records["parent"] != parent.number).any():
        raise BadInput(
            f"{parent.name} is parent {parent.number}, but records name "
            f"{sorted({int(i) for i in records['parent']})[:3]}; group them by parent first"
        )
    beyond = records["orbits"] >> np.uint64(len(parent.orbits) - 1) >> np.uint64(1)
    if beyond.any():
        raise BadInput(f"{parent.name}: a record names an orbit beyond {len(parent.orbits)}")
    if records["elements"][:, len(parent.elements) :].any():
        raise BadInput(f"{parent.name}: a record maps an element it lacks")
    highest = int(records["elements"].max(initial=0))
    if highest > HIGHEST_ATOMIC_NUMBER:
        raise BadInput(
            f"{parent.name}: a record names atomic number {highest}; the highest is "
            f"{HIGHEST_ATOMIC_NUMBER}"
        )


def _atom_counts(parent: Parent, records: Records) -> NDArray[np.int64]:
    """Atoms of each atomic number, shape (candidates, 119)."""
    elements = orbit_elements(parent, records)
    counts = np.zeros((len(records), HIGHEST_ATOMIC_NUMBER + 1), dtype=np.int64)
    rows = np.arange(len(records))
    for orbit, multiplicity in enumerate(parent.multiplicities):
        counts[rows, elements[:, orbit]] += multiplicity
    return counts


def _formula(counts: NDArray[np.int64]) -> str:
    present = np.flatnonzero(counts)
    return reduced_formula(
        Composition({Element.from_Z(int(z)).symbol: int(counts[z]) for z in present})
    )
