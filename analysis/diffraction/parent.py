"""The disordered parent of an ordered structure: what remains if like cations mix.

Cations of like charge and radius often share their sites at random where a calculation puts
each on a site of its own (Leeman et al., PRX Energy 3 (2024) 011002). The parent has the
symmetry that the structure gains when their difference is forgotten.
"""

import itertools
from dataclasses import dataclass, replace

import numpy as np
import spglib
from numpy.typing import NDArray
from pymatgen.core import Composition, Element, Structure

from analysis.diffraction.arrays import Array
from analysis.diffraction.crystal import Crystal, crystal_of, structure_of

MOST_CHARGE = 2.0
"""Difference of charge up to which cations are known to mix, as Fe³⁺ and Nb⁵⁺ do."""
MOST_RADIUS = 0.29
"""Difference of Shannon's radii, as a share of their mean, up to which they do: In and Sb share
sites of the pyrochlore Pb2(In,Sb)2O6.5."""
MOST_RADIUS_SAME_CHARGE = 0.31
"""The same for cations of one charge, as of sodium and potassium."""

_TOLERANCES_ANG = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5)
_NEVER = frozenset({"H", "C", "N", "P", "S"})  # the centres of molecules and their hydrogen
_COORDINATIONS = ("VI", "VIII", "IV", "XII", "V", "VII", "IX")

_MOST_CASES = 5000
_SAME_CHARGE = 0.01

Content = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """An ordered structure with its order taken away.

    Attributes:
        crystal: The parent in its conventional cell.
        average: The same content and places in the cell of the ordered structure.
        mixed: Elements that share a site, for each site that is shared anew.
    """

    crystal: Crystal
    average: Crystal
    mixed: tuple[tuple[str, ...], ...]

    @property
    def words(self) -> str:
        """As ``disordered MgTiO3 (R-3c, Mg/Ti mixed)``."""
        shared = " and ".join("/".join(elements) for elements in self.mixed)
        return f"disordered {self.crystal.formula} ({self.crystal.space_group}, {shared} mixed)"


def disordered_parents(crystal: Crystal) -> list[Parent]:
    """The parents of a structure; none where no cations mix or none of them are ordered.

    There is one for each two cations that may mix, and one for each larger group: order of
    manganese is no proof of order of the magnesium and nickel beside it.
    """
    structure = structure_of(crystal)
    contents = [_content(site.species) for site in structure]
    found: list[Parent] = []
    for group in mixing_cations(crystal.formula):
        parent = _without_order(crystal, structure, contents, group)
        if parent is not None and parent.mixed not in [other.mixed for other in found]:
            found.append(parent)
    if len(found) == 1:
        return found
    return [
        replace(parent, crystal=parent.crystal.named(f"{parent.crystal.stem}-{n}"))
        for n, parent in enumerate(found, start=1)
    ]


def _without_order(
    crystal: Crystal, structure: Structure, contents: list[Content], group: frozenset[str]
) -> Parent | None:
    """The parent if these elements mix.

    The symmetry is looked for with rising tolerance, so that the shifts that order brings
    with it are forgiven, and the first parent found is taken.
    """
    labels = _labels(contents, group)
    if len(set(labels)) == len(set(contents)):
        return None
    lattice, places = structure.lattice.matrix, structure.frac_coords
    for tolerance_ang in _TOLERANCES_ANG:
        cell = (lattice.tolist(), places.tolist(), labels)
        try:
            dataset = spglib.get_symmetry_dataset(cell, symprec=tolerance_ang)
        except spglib.error.SpglibError:
            continue
        if dataset is None:
            continue
        shared = _shared(contents, dataset.crystallographic_orbits)
        mixed = _mixed(contents, shared)
        if not group <= {element for elements in mixed for element in elements}:
            continue
        places = _symmetrised(places, labels, dataset.rotations, dataset.translations)
        return _parent(crystal, lattice, places, shared, mixed, tolerance_ang)
    return None


def mixing_cations(formula: str) -> list[frozenset[str]]:
    """Cations of a formula that plausibly share sites: two by two, then larger groups."""
    charges = _charges(formula)
    cations = [e for e, charge in charges.items() if charge > 0 and e not in _NEVER]
    pairs = [
        frozenset(pair)
        for pair in itertools.combinations(cations, 2)
        if _alike(pair[0], charges[pair[0]], pair[1], charges[pair[1]])
    ]
    groups: list[frozenset[str]] = []
    for pair in pairs:
        joined = pair.union(*(group for group in groups if group & pair))
        groups = [group for group in groups if not group & pair] + [joined]
    return pairs + [group for group in groups if group not in pairs]


def _charges(formula: str) -> dict[str, float]:
    """Charges that balance, usual ones where that is possible; empty if none do.

    The most electronegative element has its lowest charge, one other takes what is left, and
    the rest have common ones: few cases, whatever the size of the formula.
    """
    amounts = Composition(formula).get_el_amt_dict()
    anion = max(amounts, key=lambda symbol: Element(symbol).X)
    others = [symbol for symbol in amounts if symbol != anion]
    lowest = min(Element(anion).common_oxidation_states, default=0)
    best: tuple[int, dict[str, float]] = (0, {})
    if lowest >= 0:
        return {}
    for free in others:
        rest = [symbol for symbol in others if symbol != free]
        usual = [Element(symbol).common_oxidation_states for symbol in rest]
        for states in itertools.islice(itertools.product(*usual), _MOST_CASES):
            charges = {anion: float(lowest), **dict(zip(rest, map(float, states), strict=True))}
            left = -sum(charge * amounts[symbol] for symbol, charge in charges.items())
            charges[free] = left / amounts[free]
            score = _usual(free, charges[free])
            if score > best[0]:
                best = score, charges
    return best[1]


def _usual(symbol: str, charge: float) -> int:
    """How usual a charge is: 3 common, 2 known, 1 between known ones, 0 never."""
    element = Element(symbol)
    if any(abs(charge - state) < _SAME_CHARGE for state in element.common_oxidation_states):
        return 3
    known = element.oxidation_states
    if any(abs(charge - state) < _SAME_CHARGE for state in known):
        return 2
    return int(bool(known) and 0 < charge < max(known))


def _alike(one: str, charge: float, other: str, other_charge: float) -> bool:
    radii = _radius_ang(one, charge), _radius_ang(other, other_charge)
    if radii[0] is None or radii[1] is None:
        return False
    apart = abs(radii[0] - radii[1]) / ((radii[0] + radii[1]) / 2)
    if abs(charge - other_charge) < 0.5:
        return apart <= MOST_RADIUS_SAME_CHARGE
    return abs(charge - other_charge) <= MOST_CHARGE and apart <= MOST_RADIUS


def _radius_ang(element: str, charge: float) -> float | None:
    """Shannon's ionic radius, six-coordinated and of high spin where there is such a one."""
    radii = Element(element).data.get("Shannon radii") or {}
    for whole in dict.fromkeys((round(charge), int(np.floor(charge)), int(np.ceil(charge)))):
        by_coordination = radii.get(str(whole), {})
        for coordination in _COORDINATIONS:
            if by_spin := by_coordination.get(coordination):
                spin = next((s for s in ("", "High Spin") if s in by_spin), min(by_spin))
                return float(by_spin[spin]["ionic_radius"])
    return None


def _content(species: Composition) -> Content:
    return tuple(sorted((str(kind), float(n)) for kind, n in species.items()))


def _labels(contents: list[Content], group: frozenset[str]) -> list[int]:
    """A number for each site, the same for all that hold cations of the group."""
    keys = [() if group & {e for e, _ in content} else content for content in contents]
    kinds = list(dict.fromkeys(keys))
    return [kinds.index(key) for key in keys]


def _shared(contents: list[Content], orbits: NDArray[np.intc]) -> list[Content]:
    """Content of each site, averaged over the sites of its orbit."""
    means: dict[int, Content] = {}
    for orbit in np.unique(orbits).tolist():
        sites = [contents[i] for i in np.flatnonzero(orbits == orbit)]
        total: dict[str, float] = {}
        for content in sites:
            for element, n in content:
                total[element] = total.get(element, 0.0) + n / len(sites)
        means[orbit] = tuple(sorted((e, round(n, 6)) for e, n in total.items()))
    return [means[orbit] for orbit in orbits.tolist()]


def _mixed(contents: list[Content], shared: list[Content]) -> tuple[tuple[str, ...], ...]:
    changed = {
        tuple(element for element, _ in new)
        for old, new in zip(contents, shared, strict=True)
        if dict(old).keys() != dict(new).keys()
        or any(abs(dict(old)[e] - n) > 0.02 for e, n in new)
    }
    return tuple(sorted(changed))


def _symmetrised(
    places: Array, labels: list[int], rotations: NDArray[np.intc], translations: Array
) -> Array:
    """Each place as the mean of what the operations carry to it, shape (n, 3)."""
    different = np.not_equal.outer(labels, labels)
    total = np.zeros_like(places)
    for rotation, translation in zip(rotations, translations, strict=True):
        moved = places @ rotation.T + translation
        apart = moved[:, None] - places[None]
        apart -= np.round(apart)
        distance = np.linalg.norm(apart, axis=-1) + 10.0 * different
        onto = np.argmin(distance, axis=1)
        total[onto] += places[onto] + apart[np.arange(len(places)), onto]
    return total / len(rotations)


def _parent(
    crystal: Crystal,
    lattice: Array,
    places: Array,
    shared: list[Content],
    mixed: tuple[tuple[str, ...], ...],
    tolerance_ang: float,
) -> Parent | None:
    kinds = list(dict.fromkeys(shared))
    cell = (lattice.tolist(), places.tolist(), [kinds.index(content) for content in shared])
    try:
        standard = spglib.standardize_cell(cell, symprec=tolerance_ang)
    except spglib.error.SpglibError:
        return None
    if standard is None:
        return None
    structure = Structure(standard[0], [dict(kinds[k]) for k in standard[2]], standard[1])
    stem = f"{crystal.stem}-disordered"
    parent = crystal_of(structure, stem=stem, formula=crystal.formula)
    atoms = [
        (element, occupancy, place)
        for content, place in zip(shared, places, strict=True)
        for element, occupancy in content
    ]
    average = replace(
        crystal,
        elements=tuple(element for element, _, _ in atoms),
        positions=np.array([place for _, _, place in atoms]),
        occupancies=np.array([occupancy for _, occupancy, _ in atoms]),
    )
    return Parent(
        crystal=_with_b(parent, crystal), average=_with_b(average, crystal), mixed=mixed
    )


def _with_b(crystal: Crystal, source: Crystal) -> Crystal:
    """With the mean displacement factor that each element has in another crystal."""
    b_iso = {
        element: float(np.mean(source.b_iso_ang2[[e == element for e in source.elements]]))
        for element in set(source.elements)
    }
    return replace(crystal, b_iso_ang2=np.array([b_iso[e] for e in crystal.elements]))
