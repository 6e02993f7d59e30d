"""A crystal structure as a CIF states it, expanded to the whole unit cell."""

from dataclasses import dataclass, replace
from pathlib import Path

import gemmi
import numpy as np
import spglib
import spglib.error
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.symmetry.groups import sg_symbol_from_int_number

from alab.errors import BadInput
from analysis.diffraction.arrays import Array

spglib.error.OLD_ERROR_HANDLING = False  # raise; the old way warns at every call

DEFAULT_B_ISO_ANG2 = 0.6
"""Displacement factor of a site whose CIF gives none: usual for an oxide at 25 °C."""

_OCCUPANCY_TOLERANCE = 0.02
_SAME_SITE_ANG = 0.3
_SYMPREC_ANG = 0.01
_MOST_ATOMS = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class Crystal:
    """One unit cell.

    Attributes:
        stem: File name without its ending; names the structure everywhere.
        formula: Reduced formula.
        space_group: International symbol.
        number: Number of the space group, 1 to 230.
        cell: a, b, c in ångström; alpha, beta, gamma in degrees; shape (6,).
        elements: Element of each atom; length n.
        positions: Fractional coordinates, shape (n, 3).
        occupancies: Shape (n,).
        b_iso_ang2: Isotropic displacement factors B, shape (n,).
        rotations: Rotation parts of the symmetry operations, shape (m, 3, 3).
    """

    stem: str
    formula: str
    space_group: str
    number: int
    cell: Array
    elements: tuple[str, ...]
    positions: Array
    occupancies: Array
    b_iso_ang2: Array
    rotations: Array

    def named(self, stem: str) -> "Crystal":
        """The same under another stem."""
        return replace(self, stem=stem)

    @property
    def volume_ang3(self) -> float:
        """Volume of the unit cell."""
        return float(gemmi.UnitCell(*self.cell).volume)

    @property
    def mass_g_per_mol(self) -> float:
        """Mass of the content of the unit cell (Z·M), hydrogen included."""
        weights = [gemmi.Element(symbol).weight for symbol in self.elements]
        return float(np.dot(weights, self.occupancies))

    @property
    def density_g_per_cm3(self) -> float:
        """X-ray density."""
        return self.mass_g_per_mol / self.volume_ang3 / 0.602214076


def read_crystal(path: Path, formula: str | None = None) -> Crystal:
    """Read a CIF.

    Args:
        path: The file.
        formula: How to write the formula; by default the reduced one of its content.

    Raises:
        BadInput: Naming the file, what is wrong with it, and the way out.
    """
    try:
        document = gemmi.cif.read(str(path))
        blocks = [gemmi.make_small_structure_from_block(block) for block in document]
    except (OSError, ValueError, RuntimeError, IndexError) as error:
        raise BadInput(
            f"{path.name}: not a CIF that can be read ({error}); export it anew"
        ) from error
    structures = [block for block in blocks if block.sites and block.cell.volume >= 1.0]
    if not structures:
        raise BadInput(f"{path.name}: the CIF holds no unit cell with atoms; export it anew")
    if len(structures) > 1:
        raise BadInput(
            f"{path.name}: the CIF holds {len(structures)} structures; make a file of each"
        )
    small = structures[0]
    group = small.spacegroup
    if group is None:
        raise BadInput(
            f"{path.name}: unknown space group {small.spacegroup_hm!r}; give symmetry "
            "operations or an International symbol"
        )
    _refuse_bad_sites(path, small)
    atoms = small.get_all_unit_cell_sites()
    _refuse_many(path.name, len(atoms))
    elements = tuple(atom.element.name for atom in atoms)
    occupancies = np.array([atom.occ for atom in atoms])
    positions = np.array([atom.fract.tolist() for atom in atoms])
    number, symbol, rotations = _symmetry(small, elements, positions, occupancies)
    b_iso = np.array([8 * np.pi**2 * atom.u_iso for atom in atoms])
    crystal = Crystal(
        stem=path.stem,
        formula=formula or _reduced_formula(elements, occupancies),
        space_group=symbol,
        number=number,
        cell=np.array(small.cell.parameters),
        elements=elements,
        positions=positions,
        occupancies=occupancies,
        b_iso_ang2=np.where((b_iso > 0) & (b_iso < 8), b_iso, DEFAULT_B_ISO_ANG2),
        rotations=rotations,
    )
    _refuse_overfull(path.name, crystal)
    return crystal


def crystal_of(structure: Structure, *, stem: str, formula: str | None = None) -> Crystal:
    """A pymatgen structure in its conventional cell; partial occupancies stay.

    Args:
        structure: Ordered or disordered; charges of its ions are dropped.
        stem: Its name here.
        formula: How to write the formula; by default the reduced one of its content.

    Raises:
        BadInput: Naming the structure and what is wrong with it.
    """
    sites = [_content(stem, site.species) for site in structure]
    kinds = list(dict.fromkeys(sites))
    _refuse_many(stem, len(sites))
    types = [kinds.index(site) for site in sites]
    cell = (structure.lattice.matrix.tolist(), structure.frac_coords.tolist(), types)
    try:
        cell = spglib.standardize_cell(cell, symprec=_SYMPREC_ANG) or cell
        dataset = spglib.get_symmetry_dataset(cell, symprec=_SYMPREC_ANG)
    except spglib.error.SpglibError as error:
        raise BadInput(f"{stem}: no symmetry can be found ({error}); leave it out") from error
    if dataset is None:
        raise BadInput(f"{stem}: no symmetry can be found; leave it out")
    lattice, places, found = np.array(cell[0]), np.array(cell[1]), np.array(cell[2])
    atoms = [
        (element, occupancy, place)
        for kind, place in zip(found.tolist(), places, strict=True)
        for element, occupancy in kinds[kind]
    ]
    elements = tuple(element for element, _, _ in atoms)
    occupancies = np.array([occupancy for _, occupancy, _ in atoms])
    crystal = Crystal(
        stem=stem,
        formula=formula or _reduced_formula(elements, occupancies),
        space_group=dataset.international,
        number=dataset.number,
        cell=np.array(Lattice(lattice).parameters),
        elements=elements,
        positions=np.array([place for _, _, place in atoms]),
        occupancies=occupancies,
        b_iso_ang2=np.full(len(atoms), DEFAULT_B_ISO_ANG2),
        rotations=np.unique(dataset.rotations, axis=0).astype(float),
    )
    _refuse_overfull(stem, crystal)
    return crystal


def structure_of(crystal: Crystal) -> Structure:
    """The crystal for pymatgen: atoms that share a place make one site."""
    shared: dict[tuple[int, ...], dict[str, float]] = {}
    places: dict[tuple[int, ...], Array] = {}
    for element, place, occupancy in zip(
        crystal.elements, crystal.positions, crystal.occupancies.tolist(), strict=True
    ):
        key = tuple(np.round((place % 1.0) * 500).astype(int) % 500)
        content = shared.setdefault(key, {})
        content[element] = min(1.0, content.get(element, 0.0) + round(occupancy, 2))
        places.setdefault(key, place)
    lattice = Lattice.from_parameters(*crystal.cell.tolist())
    return Structure(lattice, list(shared.values()), [places[key] for key in shared])


def _content(stem: str, species: Composition) -> tuple[tuple[str, float], ...]:
    """Elements of a site with their occupancies, by name."""
    content: dict[str, float] = {}
    for kind, occupancy in species.items():
        symbol = str(getattr(kind, "symbol", kind))
        if gemmi.Element(symbol).atomic_number == 0:
            raise BadInput(f"{stem}: {symbol!r} is no element; leave it out")
        content[symbol] = content.get(symbol, 0.0) + float(occupancy)
    return tuple(sorted(content.items()))


def _refuse_many(name: str, atoms: int) -> None:
    if atoms > _MOST_ATOMS:
        raise BadInput(
            f"{name}: {atoms} atoms in the cell, at most {_MOST_ATOMS} are handled; "
            "give the smallest cell"
        )


def _refuse_bad_sites(path: Path, small: gemmi.SmallStructure) -> None:
    for site in small.sites:
        if site.element.atomic_number == 0:
            raise BadInput(
                f"{path.name}: site {site.label}: {site.type_symbol!r} is no element"
            )
        if not 0 < site.occ <= 1 + _OCCUPANCY_TOLERANCE:
            raise BadInput(
                f"{path.name}: site {site.label} is occupied {site.occ:g} times; "
                "an occupancy lies above 0 and at most at 1"
            )
        if not np.all(np.isfinite(site.fract.tolist())):
            raise BadInput(f"{path.name}: site {site.label} has no coordinates")


def _refuse_overfull(name: str, crystal: Crystal) -> None:
    """Refuse two atoms in one place, unless they share it by occupancy."""
    cell = gemmi.UnitCell(*crystal.cell)
    orthogonal = np.array(cell.orth.mat.tolist())
    delta = crystal.positions[:, None] - crystal.positions[None]
    distances = np.linalg.norm((delta - np.round(delta)) @ orthogonal.T, axis=-1)
    shared = (distances < _SAME_SITE_ANG) @ crystal.occupancies
    if np.any(shared > 1 + _OCCUPANCY_TOLERANCE):
        atom = int(np.argmax(shared))
        raise BadInput(
            f"{name}: the place of {crystal.elements[atom]} at "
            f"{np.round(crystal.positions[atom], 4).tolist()} holds {shared[atom]:.2f} atoms; "
            "at most 1 fits. Check the symmetry operations and occupancies"
        )


def _reduced_formula(elements: tuple[str, ...], occupancies: Array) -> str:
    content: dict[str, float] = {}
    for element, occupancy in zip(elements, occupancies, strict=True):
        content[element] = content.get(element, 0.0) + float(occupancy)
    amounts = Composition({element: round(n, 3) for element, n in content.items()})
    return amounts.get_integer_formula_and_factor(max_denominator=100)[0]


def _symmetry(
    small: gemmi.SmallStructure, elements: tuple[str, ...], positions: Array, occupancies: Array
) -> tuple[int, str, Array]:
    """Number, symbol and rotations of the space group; found anew where the CIF says P1.

    Programs often export every atom of the cell with no symmetry. The rotations decide how
    the cell may change in a refinement, so they are worth finding.
    """
    group = small.spacegroup
    rotations: Array = (
        np.array([np.array(op.rot) for op in group.operations().sym_ops], dtype=float) / 24
    )
    number, symbol = group.number, sg_symbol_from_int_number(group.number)
    if number > 1:
        return number, symbol, rotations
    kinds = {
        key: i for i, key in enumerate(dict.fromkeys(zip(elements, occupancies, strict=True)))
    }
    types = [kinds[key] for key in zip(elements, occupancies, strict=True)]
    lattice = np.array(small.cell.orth.mat.tolist()).T
    cell = (lattice.tolist(), positions.tolist(), types)
    try:
        dataset = spglib.get_symmetry_dataset(cell, symprec=_SYMPREC_ANG)
    except spglib.error.SpglibError:
        dataset = None
    if dataset is None:
        return number, symbol, rotations
    return (
        dataset.number,
        dataset.international,
        np.unique(dataset.rotations, axis=0).astype(float),
    )
