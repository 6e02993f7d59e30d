"""A small ensemble that really predicts formation energies: ridge on fractions and distances.

Features of a crystal: the share of each element, and for each of some distances the Gaussian
weight of all pairs there, per atom, alone and times the squared difference of
electronegativities. Each member is fitted to a bootstrap of the same crystals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element

from planners.stability.candidates.prototypes import KnownStructure, structures_in
from planners.stability.crystals import Crystal, formula_of
from planners.stability.formulas import atoms_of
from planners.stability.models.prediction import Prediction
from planners.stability.references.embedded import default_snapshot

CIFS = Path(__file__).parents[1] / "analysis" / "diffraction" / "structures"
"""The project's own crystals, of which 100 have a measured enthalpy."""

DISTANCES_ANG = np.linspace(1.5, 4.0, 6)
RIDGE = 0.3
MEMBERS = 6

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class LinearEnsemble:
    """Members' weights, shape (members, features)."""

    weights: FloatArray
    interquartile_scale: float = 0.1

    def predict(self, crystals: Sequence[Crystal]) -> Prediction:
        rows = np.array([features(crystal) for crystal in crystals])
        return Prediction(
            members_ev_per_atom=self.weights @ rows.T,
            interquartile_scale=self.interquartile_scale,
        )


@dataclass(frozen=True)
class LinearCompositions:
    """The same without distances: shares of elements and products of two shares."""

    weights: FloatArray

    def predict(self, formulas: Sequence[str]) -> Prediction:
        rows = np.array([shares(formula) for formula in formulas])
        return Prediction(members_ev_per_atom=self.weights @ rows.T)


def features(crystal: Crystal) -> FloatArray:
    structure = crystal.structure()
    share = np.bincount([Element(s).Z for s in crystal.elements], minlength=100) / len(
        crystal.elements
    )
    first, second, _, distances = structure.get_neighbor_list(4.5)
    pull = np.array([Element(symbol).X for symbol in crystal.elements])
    polar = (pull[first] - pull[second]) ** 2
    near = np.exp(-(((distances[:, None] - DISTANCES_ANG) / 0.4) ** 2))
    pairs = np.concatenate([near.sum(axis=0), (near * polar[:, None]).sum(axis=0)])
    return np.concatenate([share, 0.1 * pairs / len(structure), [1.0]])


def shares(formula: str) -> FloatArray:
    amounts = atoms_of(formula)
    x = np.zeros(100)
    for symbol, n in amounts.items():
        x[Element(symbol).Z] = n / sum(amounts.values())
    return np.concatenate([x, x * x[8], [1.0]])


def fit(rows: FloatArray, energies: FloatArray, seed: int) -> FloatArray:
    random = np.random.default_rng(seed)
    weights = []
    for _ in range(MEMBERS):
        chosen = random.integers(len(rows), size=len(rows))
        a, b = rows[chosen], energies[chosen]
        normal = a.T @ a + RIDGE * np.eye(a.shape[1])
        weights.append(np.linalg.solve(normal, a.T @ b))
    return np.array(weights)


@cache
def own_structures() -> tuple[KnownStructure, ...]:
    return structures_in(CIFS)


@cache
def measured_crystals() -> tuple[tuple[Crystal, ...], FloatArray]:
    table = default_snapshot()
    pairs = [
        (Crystal.of(one.structure), entry.formation_energy_ev_per_atom)
        for one in own_structures()
        if (entry := table.lowest(one.formula)) is not None
    ]
    return tuple(crystal for crystal, _ in pairs), np.array([energy for _, energy in pairs])


@cache
def linear_ensemble(seed: int = 0) -> LinearEnsemble:
    crystals, energies = measured_crystals()
    return LinearEnsemble(fit(np.array([features(c) for c in crystals]), energies, seed))


@cache
def linear_compositions(seed: int = 0) -> LinearCompositions:
    crystals, energies = measured_crystals()
    rows = np.array([shares(formula_of(crystal.elements)) for crystal in crystals])
    return LinearCompositions(fit(rows, energies, seed))
