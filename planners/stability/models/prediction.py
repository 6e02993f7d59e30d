"""What an ensemble says: every member's energy, the median, and how far to trust it.

The median predicts and the interquartile range is the uncertainty (Merchant et al.,
Nature 624, 80 (2023), methods).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from planners.stability.crystals import Crystal

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Formation energies of n compounds by m members.

    Attributes:
        members_ev_per_atom: Shape (m, n).
        interquartile_scale: Calibrated over raw interquartile range: members of one ensemble
            resemble each other more than they resemble the truth.
    """

    members_ev_per_atom: FloatArray
    interquartile_scale: float = 1.0

    @property
    def median_ev_per_atom(self) -> FloatArray:
        """What is predicted, shape (n,)."""
        return np.median(self.members_ev_per_atom, axis=0)

    @property
    def interquartile_ev_per_atom(self) -> FloatArray:
        """Calibrated width, shape (n,): half of all errors are within ± half of it."""
        low, high = np.quantile(self.members_ev_per_atom, (0.25, 0.75), axis=0)
        return self.interquartile_scale * (high - low)


class StructurePredictor(Protocol):
    """Anything that predicts formation energies of crystals."""

    def predict(self, crystals: Sequence[Crystal]) -> Prediction:
        """Formation energies, in the order of ``crystals``."""
        ...


class CompositionPredictor(Protocol):
    """Anything that predicts the lowest formation energy of compositions."""

    def predict(self, formulas: Sequence[str]) -> Prediction:
        """Formation energies, in the order of ``formulas``."""
        ...
