"""The convex hull of one chemical system, asked for thousands of compositions at once.

The hull energy at composition x is the least energy of a mixture of known phases::

    E(x) = min Σ w_i E_i   with   Σ w_i x_i = x,  w_i ≥ 0          (amounts, primal)
         = max μ·x         with   μ·x_i ≤ E_i for every phase i    (potentials, dual)

Every facet of the lower hull gives one vector of chemical potentials μ, so that the energies
of m compositions are one product of matrices and a maximum over facets. An answer counts
only if the amounts on its facet are not negative: primal and dual then agree and the answer
is the optimum. What is not confirmed so, and systems of too many elements for facets, goes to
a linear programme (HiGHS).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.spatial import ConvexHull

from alab.errors import AlabError
from planners.stability.formulas import FloatArray, fractions_in
from planners.stability.references.snapshot import Snapshot

IntArray = NDArray[np.int64]

FEWEST_FOR_FACETS: Mapping[int, int] = MappingProxyType({1: 1, 2: 1, 3: 1, 4: 2, 5: 10, 6: 50})
"""Compositions, by number of elements, from which finding facets pays; measured on systems of
400 phases (docs/discovery-stability.md). Of more elements there are too many facets."""

_SMALL = 1e-9
_FLAT_DETERMINANT = 1e-10
_NEGATIVE_AMOUNT = 1e-8
_BLOCK = 4_000_000
"""Numbers in one product of matrices, 32 MB."""


class HullError(AlabError):
    """The hull could not be solved; a fault of the numbers, not of the question."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Hull:
    """Phases of one chemical system, one a composition, elements first.

    Attributes:
        elements: Sorted symbols.
        formulas: Reduced formula of each phase, shape (n,).
        fractions: Atomic fractions, shape (n, d).
        energies_ev_per_atom: Formation energies, shape (n,).
    """

    elements: tuple[str, ...]
    formulas: tuple[str, ...]
    fractions: FloatArray
    energies_ev_per_atom: FloatArray

    def without(self, formula: str) -> "Hull":
        """The hull of all other phases; an element is never taken out."""
        keep = np.array([known != formula for known in self.formulas])
        keep[: len(self.elements)] = True
        return Hull(
            elements=self.elements,
            formulas=tuple(f for f, kept in zip(self.formulas, keep, strict=True) if kept),
            fractions=self.fractions[keep],
            energies_ev_per_atom=self.energies_ev_per_atom[keep],
        )

    def by_facets(self, count: int) -> bool:
        """Whether so many compositions are looked up on facets, else solved one by one."""
        return count >= FEWEST_FOR_FACETS.get(len(self.elements), math.inf)

    @cached_property
    def facets(self) -> IntArray:
        """Phases at the corners of each facet of the lower hull, shape (f, d)."""
        d = len(self.elements)
        corners = self.energies_ev_per_atom[:d]
        # above the plane through the elements nothing can be a corner
        depth = self.energies_ev_per_atom - self.fractions @ corners
        low = np.flatnonzero(depth < -_SMALL)
        if d == 1 or not len(low):
            return np.arange(d)[None, :]
        used = np.concatenate([np.arange(d), low])
        points = np.column_stack([self.fractions[used, 1:], np.append(np.zeros(d), depth[low])])
        # a point far above keeps the body from being flat
        apex = np.append(np.full(d - 1, 1 / d), 1.0 - depth[low].min())
        simplices = ConvexHull(np.vstack([points, apex])).simplices
        lower = used[simplices[(simplices < len(used)).all(axis=1)]]
        return self._supporting(lower)

    def _supporting(self, simplices: IntArray) -> IntArray:
        """Facets that have a volume and lie below every phase."""
        steep = np.abs(np.linalg.det(self.fractions[simplices])) > _FLAT_DETERMINANT
        simplices = simplices[steep]
        potentials = self._potentials(simplices)
        violation = (self.fractions @ potentials.T - self.energies_ev_per_atom[:, None]).max(0)
        return simplices[violation < _NEGATIVE_AMOUNT]

    def _potentials(self, facets: IntArray) -> FloatArray:
        corners, energies = self.fractions[facets], self.energies_ev_per_atom[facets]
        solved = np.linalg.solve(corners, energies[..., None])[..., 0]
        return np.asarray(solved, dtype=np.float64)

    @cached_property
    def potentials_ev(self) -> FloatArray:
        """Chemical potential of each element on each facet, shape (f, d)."""
        return self._potentials(self.facets)

    @cached_property
    def _inverses(self) -> FloatArray:
        return np.asarray(np.linalg.inv(self.fractions[self.facets]), dtype=np.float64)

    def energies_at(self, fractions: FloatArray) -> FloatArray:
        """Hull energy at compositions.

        Args:
            fractions: Atomic fractions in the order of ``elements``, shape (m, d).

        Returns:
            Energies in eV per atom, shape (m,).
        """
        if not self.by_facets(len(fractions)):
            return np.array([self._solve(x)[0] for x in fractions])
        block = max(1, _BLOCK // max(1, len(self.facets)))
        parts = [
            self._looked_up(fractions[i : i + block]) for i in range(0, len(fractions), block)
        ]
        return np.concatenate(parts) if parts else np.empty(0)

    def _looked_up(self, fractions: FloatArray) -> FloatArray:
        if not len(self.facets):
            return np.array([self._solve(x)[0] for x in fractions])
        planes = fractions @ self.potentials_ev.T
        facet = planes.argmax(axis=1)
        energies = planes[np.arange(len(fractions)), facet]
        amounts = np.einsum("md,mdk->mk", fractions, self._inverses[facet])
        for i in np.flatnonzero(amounts.min(axis=1) < -_NEGATIVE_AMOUNT):
            energies[i] = self._confirmed(fractions[i], planes[i])
        return energies

    def _confirmed(self, x: FloatArray, planes: FloatArray) -> float:
        """Energy where facets tie, as coplanar ones do; else that of the programme."""
        tied = np.flatnonzero(planes > planes.max() - _SMALL)
        amounts = np.einsum("d,tdk->tk", x, self._inverses[tied])
        if amounts.min(axis=1).max() >= -_NEGATIVE_AMOUNT:
            return float(planes.max())
        return self._solve(x)[0]

    def products_at(self, x: FloatArray) -> dict[str, float]:
        """Phases that a composition decomposes to, with the share of atoms in each."""
        amounts = self._solve(x)[1]
        return {
            self.formulas[i]: float(amounts[i])
            for i in np.flatnonzero(amounts > _NEGATIVE_AMOUNT)
        }

    def energy_at(self, x: FloatArray) -> float:
        """Hull energy of one composition by linear programme, without finding facets."""
        return self._solve(x)[0]

    def _solve(self, x: FloatArray) -> tuple[float, FloatArray]:
        answer = linprog(
            self.energies_ev_per_atom,
            A_eq=self.fractions.T,
            b_eq=x,
            method="highs-ds",
            options={
                "primal_feasibility_tolerance": 1e-10,
                "dual_feasibility_tolerance": 1e-10,
            },
        )
        if answer.status != 0:
            raise HullError(
                f"no decomposition of {dict(zip(self.elements, x.tolist(), strict=True))} "
                f"among {len(self.formulas)} phases ({answer.message}); check that fractions "
                "are not negative and sum to 1"
            )
        return float(answer.fun), np.asarray(answer.x, dtype=np.float64)


def hull_of(snapshot: Snapshot, elements: Sequence[str]) -> Hull:
    """The hull of a chemical system, from the lowest entry of each composition.

    An element is 0 unless the reference has a lower form of it.

    Raises:
        MissingReferenceError: If an element occurs in no entry.
    """
    symbols = tuple(sorted(set(elements)))
    found = snapshot.within(symbols)
    pure = dict.fromkeys(symbols, 0.0)
    compounds: dict[str, float] = {}
    rows: list[FloatArray] = []
    for entry in found:
        x = fractions_in(entry.formula, symbols)
        if x.max() == 1.0:
            symbol = symbols[int(x.argmax())]
            pure[symbol] = min(pure[symbol], entry.formation_energy_ev_per_atom)
        else:
            compounds[entry.formula] = entry.formation_energy_ev_per_atom
            rows.append(x)
    return Hull(
        elements=symbols,
        formulas=(*symbols, *compounds),
        fractions=np.vstack([np.eye(len(symbols)), *rows]),
        energies_ev_per_atom=np.array([*pure.values(), *compounds.values()]),
    )
