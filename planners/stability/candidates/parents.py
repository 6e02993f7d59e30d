"""A parent crystal, taken apart into Wyckoff orbits.

Candidates are decorations of a parent's orbits. An orbit is what the space group of the
parent makes equivalent, with translations that a cell larger than primitive hides.

Two decorations can be one crystal seen from two sides: in CsCl, swapping both elements
gives CsCl again. The isometries of the sites with their elements erased (the part of the
space group's normalizer that maps the sites onto themselves) tell: each one is a *view*,
the orbit that every site shows after it.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import spglib
import spglib.error
from numpy.typing import NDArray
from pymatgen.core import Element, Structure

from alab.errors import BadInput

spglib.error.OLD_ERROR_HANDLING = False  # raise; the old way warns at every call

SYMPREC_ANG = 0.01
CLOSEST_ANG = 0.5
MOST_ORBITS = 64
MOST_ELEMENTS = 8
MOST_SITES_FOR_VIEWS = 200


class ParentError(BadInput):
    """A structure cannot be a parent: disorder, overlap, no symmetry found, too large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orbit:
    """Symmetry-equivalent sites of one element.

    Attributes:
        element: Symbol.
        sites: Indices of its sites in the parent's cell.
        site_symmetry: Site-symmetry symbol, as spglib writes it.
        wyckoff: Wyckoff letter in spglib's standard setting.
    """

    element: str
    sites: tuple[int, ...]
    site_symmetry: str
    wyckoff: str

    @property
    def multiplicity(self) -> int:
        """Number of sites in the parent's cell."""
        return len(self.sites)


@dataclass(frozen=True, kw_only=True, eq=False)  # no slots: its arrays are cached
class Parent:
    """A crystal whose orbits are decorated anew.

    Attributes:
        number: Its place in the list of parents, which candidates refer to.
        name: What the lineage and the reference data call it.
        structure: Ordered, without oxidation states.
        space_group: International number.
        orbits: In the order of their first site.
        elements: Distinct symbols, by atomic number.
        views: Orbit seen at each kind of site after each isometry of the bare sites, the
            identity first, shape (isometries, kinds of site).
    """

    number: int
    name: str
    structure: Structure
    space_group: int
    orbits: tuple[Orbit, ...]
    elements: tuple[str, ...]
    views: NDArray[np.int64] = field(repr=False)

    @cached_property
    def atomic_numbers(self) -> NDArray[np.uint8]:
        """Atomic number of each orbit."""
        return np.array([Element(o.element).Z for o in self.orbits], dtype=np.uint8)

    @cached_property
    def kinds(self) -> NDArray[np.int64]:
        """Index into ``elements`` for each orbit."""
        return np.array([self.elements.index(o.element) for o in self.orbits])

    @cached_property
    def multiplicities(self) -> NDArray[np.int64]:
        """Sites of each orbit."""
        return np.array([o.multiplicity for o in self.orbits])

    def orbits_of(self, element: str) -> tuple[int, ...]:
        """Indices of the orbits that hold an element.

        Raises:
            ParentError: The parent does not hold it.
        """
        if element not in self.elements:
            raise ParentError(
                f"{self.name}: holds {', '.join(self.elements)}, not {element}; "
                "replace one of those"
            )
        return tuple(i for i, o in enumerate(self.orbits) if o.element == element)


def read_parent(
    structure: Structure, *, number: int, name: str, symprec_ang: float = SYMPREC_ANG
) -> Parent:
    """Take a crystal apart into orbits.

    Args:
        structure: Ordered structure; oxidation states are dropped.
        number: Its place in the list of parents, below 2³².
        name: What lineage and reference data call it.
        symprec_ang: Distance within which spglib takes sites for equivalent.

    Raises:
        ParentError: Disorder, overlapping atoms, no symmetry found, or more orbits or
            elements than a candidate's record holds.
    """
    _check(structure, name)
    bare = structure.copy()
    bare.remove_oxidation_states()
    if bare.site_properties:
        bare = Structure(bare.lattice, bare.species, bare.frac_coords)
    numbers = [site.specie.Z for site in bare]
    try:
        data = spglib.get_symmetry_dataset(
            (bare.lattice.matrix.tolist(), bare.frac_coords.tolist(), numbers),
            symprec=symprec_ang,
        )
    except spglib.error.SpglibError as error:
        data, reason = None, error
    else:
        reason = "spglib found none"
    if data is None:
        raise ParentError(
            f"{name}: no space group within {symprec_ang} Å ({reason}); "
            "check the lattice, or give another symprec_ang"
        )
    orbits = _orbits(bare, data.crystallographic_orbits, data)
    elements = tuple(sorted({o.element for o in orbits}, key=lambda s: Element(s).Z))
    _check_size(name, len(orbits), len(elements))
    return Parent(
        number=number,
        name=name,
        structure=bare,
        space_group=int(data.number),
        orbits=orbits,
        elements=elements,
        views=_views(bare, orbits, symprec_ang),
    )


def _check(structure: Structure, name: str) -> None:
    if not len(structure):
        raise ParentError(f"{name}: holds no atoms")
    if not structure.is_ordered:
        site = next(s for s in structure if not s.is_ordered)
        raise ParentError(
            f"{name}: site {site.frac_coords.round(3)} holds {site.species_string}; only "
            "ordered structures can be parents, so choose an ordering of it first"
        )
    if structure.volume < 1e-3:
        raise ParentError(f"{name}: the cell has {structure.volume:.2g} Å³; check the lattice")
    distances = structure.distance_matrix + np.diag(np.full(len(structure), np.inf))
    closest = float(distances.min())
    if closest < CLOSEST_ANG:
        first, second = np.unravel_index(int(distances.argmin()), distances.shape)
        raise ParentError(
            f"{name}: sites {first} and {second} lie {closest:.3f} Å apart, closer than "
            f"{CLOSEST_ANG} Å; remove the repeated atom"
        )


def _check_size(name: str, orbits: int, elements: int) -> None:
    if orbits > MOST_ORBITS or elements > MOST_ELEMENTS:
        raise ParentError(
            f"{name}: {orbits} orbits and {elements} elements; a candidate's record holds "
            f"{MOST_ORBITS} and {MOST_ELEMENTS}. Leave it out, or symmetrise it"
        )


def _orbits(
    structure: Structure, labels: NDArray[np.int32], data: spglib.SpglibDataset
) -> tuple[Orbit, ...]:
    found = []
    for label in dict.fromkeys(int(i) for i in labels):
        sites = tuple(int(i) for i in np.flatnonzero(labels == label))
        found.append(
            Orbit(
                element=structure[sites[0]].specie.symbol,
                sites=sites,
                site_symmetry=data.site_symmetry_symbols[sites[0]],
                wyckoff=data.wyckoffs[sites[0]],
            )
        )
    return tuple(found)


def _views(
    structure: Structure, orbits: tuple[Orbit, ...], symprec_ang: float
) -> NDArray[np.int64]:
    """Orbits seen at the sites after each isometry of the bare sites.

    Only the identity is returned for large cells: then a repeated candidate may be kept,
    but no two different ones are ever merged.
    """
    count = len(structure)
    orbit_of = np.empty(count, dtype=np.int64)
    for index, orbit in enumerate(orbits):
        orbit_of[list(orbit.sites)] = index
    rows = {tuple(orbit_of.tolist())}
    if len(orbits) > 1 and count <= MOST_SITES_FOR_VIEWS:
        rows |= {tuple(orbit_of[p].tolist()) for p in _permutations(structure, symprec_ang)}
    identity = tuple(orbit_of.tolist())
    ordered = np.array([identity, *sorted(rows - {identity})])
    _, first = np.unique(ordered, axis=1, return_index=True)
    return ordered[:, np.sort(first)]


def _permutations(structure: Structure, symprec_ang: float) -> list[NDArray[np.int64]]:
    """Where each isometry of the sites, elements erased, takes each site."""
    lattice, sites = structure.lattice.matrix, structure.frac_coords
    try:
        cell = (lattice.tolist(), sites.tolist(), [1] * len(sites))
        found = spglib.get_symmetry(cell, symprec=symprec_ang)
    except spglib.error.SpglibError:
        return []
    if found is None:
        return []
    permutations = []
    for rotation, shift in zip(found["rotations"], found["translations"], strict=True):
        apart = (sites @ rotation.T + shift)[:, None, :] - sites
        apart -= np.round(apart)
        image = np.linalg.norm(apart @ lattice, axis=2).argmin(axis=1)
        if len(set(image.tolist())) == len(sites):
            permutations.append(image)
    return permutations
