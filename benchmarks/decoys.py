"""Structures that are not in a sample but could be taken for what is.

Two kinds, both of allowed elements only, so that no element filter throws them out:

* *Isostructures of wrong elements.* A prototype of other elements takes allowed ones, metal
  for metal; its cell follows the cube root of the change of Σ r³ over the ions.
* *Perturbed cells.* A structure of the right elements with each independent axis longer or
  shorter by 2 to 4 %.
"""

import random
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from pathlib import Path

import gemmi
from pymatgen.core import Composition, Element

from alab.errors import BadInput
from analysis.diffraction.crystal import read_crystal
from analysis.diffraction.library import same_formula

PREFIX = "decoy-"
LEAST_CHANGE, MOST_CHANGE = 0.02, 0.04

_ANIONS = frozenset({"O", "F", "Cl", "S", "N", "H", "C", "P"})
_EVEN_CELL = 1e-4


@cache
def described(cif: Path) -> tuple[str, int, frozenset[str]] | None:
    """Formula, space group and elements of a structure; None if it cannot be used."""
    try:
        crystal = read_crystal(cif)
    except BadInput:
        return None
    return crystal.formula, crystal.number, frozenset(crystal.elements)


def write_decoys(
    folder: Path,
    prototypes: Iterable[Path],
    allowed: Collection[str],
    *,
    isostructures: int,
    perturbed: int,
    seed: int,
) -> list[Path]:
    """Write decoys for a sample; their names start with ``decoy-``.

    Args:
        folder: Where to.
        prototypes: Structures to make them from.
        allowed: Elements the sample may hold.
        isostructures: How many isostructures of wrong elements, at most.
        perturbed: How many perturbed cells, at most.
        seed: Of the choice.
    """
    rng = random.Random(seed)  # noqa: S311 - a choice of decoys, no secret
    known = [(cif, found) for cif in sorted(prototypes) if (found := described(cif))]
    inside = [(cif, found) for cif, found in known if found[2] <= set(allowed)]
    outside = [(cif, found) for cif, found in known if not found[2] <= set(allowed)]
    taken = [(formula, number) for _, (formula, number, _) in inside]
    written: list[Path] = []
    for cif, (_, number, elements) in rng.sample(outside, len(outside)):
        if len(written) >= isostructures:
            break
        swap = _swap(elements, allowed, rng)
        if swap is None:
            continue
        document, formula = _swapped(cif, swap)
        if any(n == number and same_formula(f, formula) for f, n in taken):
            continue
        target = folder / f"{PREFIX}{formula}_{number}_as_{cif.stem}.cif"
        document.write_file(str(target))
        if (made := described(target)) is None or not same_formula(made[0], formula):
            target.unlink()
            continue
        taken.append((formula, number))
        written.append(target)
    for cif, _ in rng.sample(inside, min(perturbed, len(inside))):
        target = folder / f"{PREFIX}cell_{cif.stem}.cif"
        _perturbed(cif, rng).write_file(str(target))
        written.append(target)
    return written


def _swap(
    elements: frozenset[str], allowed: Collection[str], rng: random.Random
) -> dict[str, str] | None:
    """Another element for each metal that is not allowed; None if there are too few."""
    foreign = sorted(elements - set(allowed))
    if any(symbol in _ANIONS for symbol in foreign):
        return None
    free = sorted(set(allowed) - _ANIONS - elements)
    if len(free) < len(foreign):
        return None
    return dict(zip(foreign, rng.sample(free, len(foreign)), strict=True))


def _swapped(cif: Path, swap: dict[str, str]) -> tuple[gemmi.cif.Document, str]:
    crystal = read_crystal(cif)
    content: dict[str, float] = {}
    for symbol, occupancy in zip(crystal.elements, crystal.occupancies, strict=True):
        content[symbol] = content.get(symbol, 0.0) + float(occupancy)
    before = sum(n * _radius_ang(symbol) ** 3 for symbol, n in content.items())
    after = sum(n * _radius_ang(swap.get(symbol, symbol)) ** 3 for symbol, n in content.items())
    factor = (after / before) ** (1 / 3)
    document = gemmi.cif.read(str(cif))
    block = document.sole_block()
    for row in block.find(["_atom_site_label", "?_atom_site_type_symbol"]):
        symbol = _element(row[1] if row.has(1) else row[0])
        if symbol in swap:
            row[0] = swap[symbol] + "".join(c for c in row[0] if c.isdigit())
            if row.has(1):
                row[1] = swap[symbol]
    _set_axes(block, [axis * factor for axis in crystal.cell[:3]])
    changed = Composition(crystal.formula).as_dict()
    formula = Composition({swap.get(s, s): n for s, n in changed.items()}).reduced_formula
    return document, formula


def _element(label: str) -> str:
    """The element that a label such as ``Ti4+`` or ``O12`` starts with."""
    return gemmi.Element("".join(c for c in label[:2] if c.isalpha())).name


def _set_axes(block: gemmi.cif.Block, axes_ang: Sequence[float]) -> None:
    for axis, length in zip("abc", axes_ang, strict=True):
        block.set_pair(f"_cell_length_{axis}", f"{length:.5f}")


def _radius_ang(symbol: str) -> float:
    return float(Element(symbol).average_ionic_radius) or 1.0


def _perturbed(cif: Path, rng: random.Random) -> gemmi.cif.Document:
    document = gemmi.cif.read(str(cif))
    changed: dict[float, float] = {}
    axes: list[float] = []
    for axis in (float(length) for length in read_crystal(cif).cell[:3]):
        # Equal axes stay equal, as their symmetry demands.
        same = next((old for old in changed if abs(old - axis) < _EVEN_CELL * axis), None)
        if same is None:
            change = rng.uniform(LEAST_CHANGE, MOST_CHANGE) * rng.choice((-1, 1))
            changed[axis] = axis * (1 + change)
        axes.append(changed[axis if same is None else same])
    _set_axes(document.sole_block(), axes)
    return document
