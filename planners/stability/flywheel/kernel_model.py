"""A small model for a bounded space: kernel ridge regression, trained in a second.

A crystal is described by averages over its atoms and over its pairs: tabulated properties of
the elements, and the distances of pairs over the sum of their radii, plain and weighted by
how the two elements differ. The kernel is a Gaussian; its width and the ridge are those with
the least error when each crystal is left out in turn. It learns from hundreds of energies
what a graph network needs thousands for, and knows nothing outside its space.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element

from alab.errors import BadInput
from planners.stability.crystals import Crystal
from planners.stability.flywheel.parts import Evidence, Trained
from planners.stability.models.graphs import graph_of
from planners.stability.models.prediction import Prediction
from planners.stability.models.species import properties_of_species

FloatArray = NDArray[np.float64]

_REACH_ANG = 5.0
_CENTRES = np.linspace(0.6, 1.8, 9)
"""Distances over the sum of two atomic radii; bonds are at about 1."""
_CONTINUOUS = 7
"""Columns of the elements' table that are no marks of a block."""
_WIDTHS = (0.3, 0.6, 1.2, 2.4)
_RIDGES = (1e-4, 1e-3, 1e-2, 1e-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelPredictor:
    """Members that saw different samples of the same energies.

    Attributes:
        described: Standardised descriptions of what was learnt from, shape (n, f).
        mean: Of the descriptions, shape (f,).
        deviation: Of the descriptions, shape (f,).
        linear: Coefficients by fraction of each atomic number, shape (100,).
        weights: Of each crystal in each member, shape (m, n).
        width: Of the Gaussian, in mean distances of two crystals.
    """

    described: FloatArray
    mean: FloatArray
    deviation: FloatArray
    linear: FloatArray
    weights: FloatArray
    width: float

    def predict(self, crystals: Sequence[Crystal]) -> Prediction:
        """Formation energies, in the order of ``crystals``.

        Raises:
            CrystalError: If two atoms overlap, or an element is beyond the table.
        """
        if not crystals:
            return Prediction(members_ev_per_atom=np.zeros((len(self.weights), 0)))
        rows = np.array([describe(crystal) for crystal in crystals])
        standard = (rows - self.mean) / self.deviation
        kernel = _gaussian(standard, self.described, self.width)
        linear = np.array([_fractions(c) for c in crystals]) @ self.linear
        return Prediction(members_ev_per_atom=self.weights @ kernel.T + linear)


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelRetrainer:
    """Trains from nothing on all energies, each time.

    Attributes:
        members: Of the ensemble.
    """

    members: int = 10

    @property
    def name(self) -> str:
        """What it trains."""
        return f"kernel ridge regression, {self.members} members"

    def train(self, evidence: Sequence[Evidence], seed: int) -> Trained:
        """Train on relaxed crystals, and on candidates with the energy they relaxed to.

        Raises:
            BadInput: If there are fewer than ten energies.
        """
        if len(evidence) < 10:
            raise BadInput(
                f"{len(evidence)} energies are too few to learn from; give 10 or more"
            )
        pairs = [(e.relaxed, e.formation_energy_ev_per_atom) for e in evidence]
        pairs += [(e.asked, e.formation_energy_ev_per_atom) for e in evidence if e.asked]
        predictor = _fitted([c for c, _ in pairs], np.array([y for _, y in pairs]), self, seed)
        return Trained(predictor=predictor, digest=_digest(predictor))


def describe(crystal: Crystal) -> FloatArray:
    """What the kernel compares: averages over atoms and over pairs, shape (f,)."""
    graph = graph_of(crystal, _REACH_ANG)
    table = properties_of_species().astype(np.float64)[:, :_CONTINUOUS]
    own = table[graph.species]
    first, second = own[graph.receivers], own[graph.senders]
    radii = _radii()[graph.species]
    apart = np.linalg.norm(graph.displacements_ang.astype(np.float64), axis=1)
    ratio = apart / (radii[graph.receivers] + radii[graph.senders])
    near = np.exp(-0.5 * ((ratio[:, None] - _CENTRES) / 0.12) ** 2)
    weights = np.column_stack((np.ones(len(ratio)), np.abs(first - second), first * second))
    shells = near.T @ weights[:, [0, 2, 3, 5, 9, 10]] / len(own)
    return np.concatenate((own.mean(axis=0), own.std(axis=0), shells.ravel()))


@cache
def _radii() -> FloatArray:
    """Atomic radius by atomic number, 1.5 Å where pymatgen has none."""
    radii = [Element.from_Z(z).atomic_radius for z in range(1, 100)]
    return np.array([1.5, *(float(r) if r else 1.5 for r in radii)])


def _fractions(crystal: Crystal) -> FloatArray:
    numbers = [Element(symbol).Z for symbol in crystal.elements]
    return np.bincount(numbers, minlength=100) / len(numbers)


def _gaussian(a: FloatArray, b: FloatArray, width: float) -> FloatArray:
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.exp(-np.maximum(squares, 0.0) / (2 * a.shape[1] * width**2))


def _fitted(
    crystals: Sequence[Crystal], energies: FloatArray, settings: KernelRetrainer, seed: int
) -> KernelPredictor:
    rows = np.array([describe(crystal) for crystal in crystals])
    mean, deviation = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-6)
    standard = (rows - mean) / deviation
    x = np.array([_fractions(crystal) for crystal in crystals])
    linear = np.linalg.solve(x.T @ x + 0.1 * np.eye(x.shape[1]), x.T @ energies).astype(float)
    rest = energies - x @ linear
    width, ridge = _best(standard, rest)
    kernel = _gaussian(standard, standard, width)
    draw = np.random.default_rng(seed)
    members = [_member(kernel, rest, ridge, draw) for _ in range(settings.members)]
    return KernelPredictor(
        described=standard,
        mean=mean,
        deviation=deviation,
        linear=linear,
        weights=np.array(members),
        width=width,
    )


def _best(standard: FloatArray, rest: FloatArray) -> tuple[float, float]:
    """Width and ridge of the least absolute error, each crystal left out in turn."""

    def left_out(width: float, ridge: float) -> float:
        inverse = np.linalg.inv(
            _gaussian(standard, standard, width) + ridge * np.eye(len(rest))
        )
        return float(np.abs(inverse @ rest / np.diag(inverse)).mean())

    return min(product(_WIDTHS, _RIDGES), key=lambda pair: left_out(*pair))


def _member(
    kernel: FloatArray, rest: FloatArray, ridge: float, draw: np.random.Generator
) -> FloatArray:
    """Weights of a fit to a sample drawn with replacement; zero for those not drawn."""
    times = np.bincount(draw.integers(0, len(rest), len(rest)), minlength=len(rest))
    drawn = np.flatnonzero(times)
    weights = np.zeros(len(rest))
    noise = np.diag(ridge / times[drawn])
    weights[drawn] = np.linalg.solve(kernel[np.ix_(drawn, drawn)] + noise, rest[drawn])
    return weights


def _digest(predictor: KernelPredictor) -> str:
    arrays = (predictor.described, predictor.linear, predictor.weights)
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()
