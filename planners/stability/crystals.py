"""A crystal as lists of numbers, and what makes one unusable.

Files hold crystals as lattice, elements and fractional coordinates; pymatgen's Structure is
built where something is asked of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pymatgen.core import Element, Lattice, Structure

from alab.errors import BadInput
from planners.stability.formulas import reduced_formula

OVERLAP_ANG = 0.5
"""Two atoms closer than this are one atom written twice; H2 has its atoms 0.74 Å apart."""

NEIGHBOUR_ANG = 4.0
"""Reach of a bond in the graphs of GNoME's structure model (Merchant et al., 2023)."""


class CrystalError(BadInput):
    """A structure cannot be used: disordered, overlapping, or without neighbours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crystal:
    """One ordered crystal.

    Attributes:
        lattice_ang: Rows are the lattice vectors, in Å.
        elements: Symbol of each site.
        fractional: Fractional coordinates of each site.
    """

    lattice_ang: tuple[tuple[float, float, float], ...]
    elements: tuple[str, ...]
    fractional: tuple[tuple[float, float, float], ...]

    @classmethod
    def of(cls, structure: Structure) -> "Crystal":
        """Take the numbers of an ordered structure.

        Raises:
            CrystalError: If a site is partly occupied or holds no element.
        """
        if not structure.is_ordered:
            raise CrystalError(
                f"{structure.formula} has partly occupied sites, and an energy belongs to one "
                "ordered cell; order it first (pymatgen's OrderDisorderedStructure"
                "Transformation)"
            )
        return cls(
            lattice_ang=_triples(structure.lattice.matrix),
            elements=tuple(known_element(str(site.specie)) for site in structure),
            fractional=_triples(structure.frac_coords),
        )

    def structure(self) -> Structure:
        """The same as pymatgen's Structure."""
        return Structure(Lattice(self.lattice_ang), self.elements, self.fractional)


def known_element(symbol: str) -> str:
    """Element of a species such as ``Fe3+``.

    Raises:
        CrystalError: If it is no element of the periodic table.
    """
    name = symbol.rstrip("0123456789+-.")
    if not Element.is_valid_symbol(name):
        raise CrystalError(
            f"'{symbol}' is no element of the periodic table; correct the structure"
        )
    return Element(name).symbol


def check(structure: Structure, *, isolated_allowed: bool = False) -> None:
    """Refuse a structure whose energy can mean nothing.

    Args:
        structure: An ordered structure.
        isolated_allowed: Whether it is meant that no two atoms are within ``NEIGHBOUR_ANG``,
            as in solid xenon.

    Raises:
        CrystalError: If atoms overlap, or none has a neighbour.
    """
    distances_ang = structure.get_neighbor_list(NEIGHBOUR_ANG)[3]
    if not len(distances_ang) and not isolated_allowed:
        raise CrystalError(
            f"no two atoms of {structure.formula} are within {NEIGHBOUR_ANG} Å; check that "
            "lengths are in Å, or allow isolated atoms"
        )
    if len(distances_ang) and distances_ang.min() < OVERLAP_ANG:
        raise CrystalError(
            f"{structure.formula} has atoms {distances_ang.min():.2f} Å apart, closer than "
            f"{OVERLAP_ANG} Å; remove the site that is written twice"
        )


def formula_of(elements: Sequence[str]) -> str:
    """Reduced formula of a list of sites."""
    return reduced_formula("".join(f"{s}{elements.count(s)}" for s in sorted(set(elements))))


def _triples(rows: np.ndarray) -> tuple[tuple[float, float, float], ...]:
    return tuple((float(a), float(b), float(c)) for a, b, c in rows)
