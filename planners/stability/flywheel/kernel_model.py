"""A correction by kernel ridge regression, trained in a second on hundreds of energies.

An ensemble that learnt from known compounds has seen almost nothing unstable, and takes its
candidates for too stable. What the oracle says of them corrects it: each member of the base
gets a smooth function of the crystal's description, fitted to what it was wrong by on a sample
of all energies. Far from everything verified the correction is 0 and the base speaks alone.

The kernel is a Gaussian; its width and the ridge are those with the least error when each
crystal is left out in turn.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from alab.errors import BadInput
from planners.stability.crystals import Crystal
from planners.stability.flywheel.description import contrasts, describe
from planners.stability.flywheel.parts import Evidence, Trained
from planners.stability.models.prediction import Prediction, StructurePredictor

FloatArray = NDArray[np.float64]

FEWEST = 10
_WIDTHS = (0.3, 0.6, 1.2, 2.4)
_RIDGES = (1e-3, 1e-2, 1e-1, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MixingPredictor:
    """An energy of mixing: 0 for elements, growing as they differ; one member.

    Attributes:
        coefficients_ev_per_atom: Of the contrasts of a crystal, shape (c,).
    """

    coefficients_ev_per_atom: FloatArray

    def predict(self, crystals: Sequence[Crystal]) -> Prediction:
        """Formation energies, in the order of ``crystals``."""
        rows = np.array([contrasts(crystal) for crystal in crystals])
        shape = (len(crystals), len(self.coefficients_ev_per_atom))
        return Prediction(
            members_ev_per_atom=(rows.reshape(shape) @ self.coefficients_ev_per_atom)[None]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelPredictor:
    """A base and its corrections.

    Attributes:
        base: Predicts what is corrected; its members are taken in turn.
        described: Standardised descriptions of what was learnt from, shape (n, f).
        mean: Of the descriptions, shape (f,).
        deviation: Of the descriptions, shape (f,).
        weights: Of each crystal in each member, shape (m, n).
        width: Of the Gaussian, in root mean squared deviations.
    """

    base: StructurePredictor
    described: FloatArray
    mean: FloatArray
    deviation: FloatArray
    weights: FloatArray
    width: float

    def predict(self, crystals: Sequence[Crystal]) -> Prediction:
        """Formation energies, in the order of ``crystals``.

        Raises:
            CrystalError: If two atoms overlap, or an element is beyond the base's table.
        """
        if not crystals:
            return Prediction(members_ev_per_atom=np.zeros((len(self.weights), 0)))
        rows = np.array([describe(crystal) for crystal in crystals])
        kernel = _gaussian((rows - self.mean) / self.deviation, self.described, self.width)
        said = self.base.predict(crystals)
        return Prediction(
            members_ev_per_atom=_in_turn(said, len(self.weights)) + self.weights @ kernel.T,
            interquartile_scale=said.interquartile_scale,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelRetrainer:
    """Fits corrections anew on all energies, each time.

    Attributes:
        members: Of the ensemble.
        base: What is corrected; None fits an energy of mixing first.
        base_name: Names the base in a round's inputs.
    """

    members: int = 10
    base: StructurePredictor | None = None
    base_name: str = "an energy of mixing"

    @property
    def name(self) -> str:
        """What it trains."""
        return f"kernel ridge correction of {self.base_name}, {self.members} members"

    def train(self, evidence: Sequence[Evidence], seed: int) -> Trained:
        """Train on relaxed crystals, and on candidates with the energy they relaxed to.

        Raises:
            BadInput: If there are fewer than ten energies.
        """
        if len(evidence) < FEWEST:
            raise BadInput(
                f"{len(evidence)} energies are too few to learn from; give {FEWEST} or more"
            )
        asked = [e.asked or e.relaxed for e in evidence]
        also = [e for e in evidence if e.asked]
        crystals = [*asked, *(e.relaxed for e in also)]
        energies = np.array([e.formation_energy_ev_per_atom for e in (*evidence, *also)])
        base = self.base or _mixing(crystals, energies)
        rest = energies - _in_turn(base.predict(crystals), self.members)
        predictor = _fitted(base, crystals, rest, asked=len(asked), seed=seed)
        return Trained(predictor=predictor, digest=_digest(predictor, self.name))


def _mixing(crystals: Sequence[Crystal], energies: FloatArray) -> MixingPredictor:
    x = np.array([contrasts(crystal) for crystal in crystals])
    normal = x.T @ x + 0.1 * np.eye(x.shape[1])
    return MixingPredictor(
        coefficients_ev_per_atom=np.linalg.solve(normal, x.T @ energies).astype(float)
    )


def _in_turn(said: Prediction, members: int) -> FloatArray:
    """Energies of the base's members, repeated to so many, shape (members, n)."""
    count = len(said.members_ev_per_atom)
    return said.members_ev_per_atom[np.arange(members) % count]


def _gaussian(a: FloatArray, b: FloatArray, width: float) -> FloatArray:
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.exp(-np.maximum(squares, 0.0) / (2 * a.shape[1] * width**2))


def _fitted(
    base: StructurePredictor,
    crystals: Sequence[Crystal],
    rest: FloatArray,
    *,
    asked: int,
    seed: int,
) -> KernelPredictor:
    """Fit corrections to ``rest``, shape (members, n); the first ``asked`` choose settings."""
    rows = np.array([describe(crystal) for crystal in crystals])
    mean, deviation = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-6)
    standard = (rows - mean) / deviation
    # a candidate and what it relaxed to are twins: one of them alone may be left out in turn
    width, ridge = _best(standard[:asked], np.median(rest, axis=0)[:asked])
    kernel = _gaussian(standard, standard, width)
    draw = np.random.default_rng(seed)
    return KernelPredictor(
        base=base,
        described=standard,
        mean=mean,
        deviation=deviation,
        weights=np.array([_member(kernel, row, ridge, draw) for row in rest]),
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


def _digest(predictor: KernelPredictor, name: str) -> str:
    arrays = (predictor.described, predictor.weights)
    return hashlib.sha256(name.encode() + b"".join(a.tobytes() for a in arrays)).hexdigest()
