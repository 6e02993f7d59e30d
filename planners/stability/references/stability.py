"""Energy above the hull and signed decomposition energy of candidates.

::

    energy above hull       max(0, Ef − E_hull)            0 for what is stable
    decomposition energy    Ef − E_hull(other phases)      negative for what is stable

The second is Bartel's (npj Comput. Mater. 6, 97, 2020): for a composition that lies on the
hull the phases of the same composition are left out, so that it says by how much the compound
is stable. What lies above another entry of its own composition is judged by the whole hull,
as in pymatgen's ``get_phase_separation_energy``.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from alab.errors import BadInput
from planners.stability.formulas import (
    FloatArray,
    elements_of,
    fractions_in,
    reduced_formula,
)
from planners.stability.references.hull import Hull, hull_of
from planners.stability.references.snapshot import Snapshot

_SAME_EV = 1e-9
"""Rounding within which two energies are one: a corner and its hull, an entry and itself."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stability:
    """What the reference says of candidates, in the order in which they were given.

    Attributes:
        energies_above_hull_ev_per_atom: Not negative, shape (m,).
        decomposition_energies_ev_per_atom: Signed; negative is stable, shape (m,).
        reference: Name, version and digest of the snapshot.
    """

    energies_above_hull_ev_per_atom: FloatArray
    decomposition_energies_ev_per_atom: FloatArray
    reference: str

    @property
    def stable(self) -> np.ndarray:
        """Whether each candidate lies on the hull or below, shape (m,)."""
        return self.decomposition_energies_ev_per_atom <= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decomposition:
    """What one composition would become without itself.

    Attributes:
        energy_ev_per_atom: Energy of the products.
        products: Share of the atoms in each phase, by reduced formula.
    """

    energy_ev_per_atom: float
    products: dict[str, float]


def assess(
    snapshot: Snapshot, formulas: Sequence[str], formation_energies_ev_per_atom: Sequence[float]
) -> Stability:
    """Judge candidates against a reference; candidates do not compete with each other.

    Args:
        snapshot: The reference.
        formulas: Of the candidates; known ones are judged with their own entries left out.
        formation_energies_ev_per_atom: Of the candidates.

    Raises:
        BadInput: If numbers of formulas and energies differ, or an energy is not finite.
        MissingReferenceError: If the reference knows nothing of an element.
    """
    energies = np.asarray(formation_energies_ev_per_atom, dtype=np.float64)
    if energies.shape != (len(formulas),):
        raise BadInput(f"{len(formulas)} formulas with energies of shape {energies.shape}")
    if not np.isfinite(energies).all():
        first = int(np.flatnonzero(~np.isfinite(energies))[0])
        raise BadInput(f"the energy of {formulas[first]} is {energies[first]}; predict it anew")
    signed = np.empty_like(energies)
    for elements, members in _systems(formulas):
        hull = hull_of(snapshot, elements)
        names = [reduced_formula(formulas[i]) for i in members]
        signed[members] = _signed(hull, names, energies[members])
    return Stability(
        energies_above_hull_ev_per_atom=np.maximum(signed, 0.0),
        decomposition_energies_ev_per_atom=signed,
        reference=f"{snapshot.name}, version {snapshot.version}, {snapshot.digest[:12]}",
    )


def decompose(snapshot: Snapshot, formula: str) -> Decomposition:
    """What a composition decomposes to if it is not its own product.

    Raises:
        BadInput: If it is an element, which decomposes to nothing else.
        MissingReferenceError: If the reference knows nothing of an element.
    """
    elements = elements_of(formula)
    if len(elements) == 1:
        raise BadInput(f"{formula} is an element and has nothing to decompose to")
    others = hull_of(snapshot, elements).without(reduced_formula(formula))
    x = fractions_in(formula, elements)
    return Decomposition(energy_ev_per_atom=others.energy_at(x), products=others.products_at(x))


def _systems(formulas: Sequence[str]) -> Iterator[tuple[tuple[str, ...], list[int]]]:
    """Candidates by chemical system, in alphabetical order."""
    found: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, formula in enumerate(formulas):
        found[elements_of(formula)].append(i)
    yield from sorted(found.items())


def _signed(hull: Hull, names: list[str], energies: FloatArray) -> FloatArray:
    places = {formula: i for i, formula in enumerate(hull.formulas)}
    fractions = np.array([fractions_in(name, hull.elements) for name in names])
    on_hull = hull.energies_at(fractions)
    signed = energies - on_hull
    for i, name in enumerate(names):
        known = places.get(name)
        if known is None or energies[i] > hull.energies_ev_per_atom[known] + _SAME_EV:
            continue
        # leaving out a phase above the hull changes nothing
        if hull.energies_ev_per_atom[known] <= on_hull[i] + _SAME_EV:
            signed[i] = energies[i] - hull.without(name).energy_at(fractions[i])
    return signed
