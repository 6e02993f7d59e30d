"""A compound's apparent Gibbs energy as a curve over temperature.

Tables are given every 100 K. Between, the *apparent* energy is interpolated (monotone cubic,
Fritsch & Carlson, SIAM J. Numer. Anal. 17, 238, 1980): unlike ΔfG(T) it has no kinks where
an element melts or boils, for −dG/dT is the compound's own entropy.
"""

from dataclasses import dataclass

import numpy as np

from planners.synthesis.compounds import MissingThermoError
from planners.synthesis.elements import FloatArray

LOWEST_K = 273.15
_ROOM_K = 300.0
"""Curves that begin here are continued to 0 °C: 27 K, less than 1 meV per atom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Apparent Gibbs energy of one reduced formula unit.

    Attributes:
        formula: Reduced formula.
        temperatures_k: Where it is known, ascending, shape (n,), n ≥ 2.
        energies_ev: Apparent Gibbs energy per formula unit, shape (n,).
        uncertainty_ev_per_atom: One standard deviation.
        source: Where the numbers come from.
        ends_because: Why there is nothing beyond the last temperature.
    """

    formula: str
    temperatures_k: FloatArray
    energies_ev: FloatArray
    uncertainty_ev_per_atom: float
    source: str
    ends_because: str = "the table ends there"

    def at_ev(self, temperature_k: float) -> float:
        """Apparent Gibbs energy per formula unit, eV.

        Raises:
            MissingThermoError: If the temperature lies outside the curve.
        """
        low_k, high_k = float(self.temperatures_k[0]), float(self.temperatures_k[-1])
        reach_k = LOWEST_K if low_k <= _ROOM_K else low_k
        if not reach_k <= temperature_k <= high_k + 1e-6:
            raise MissingThermoError(
                f"{self.source} has {self.formula} from {reach_k:g} to {high_k:g} K, not at "
                f"{temperature_k:g} K; {self.ends_because}"
            )
        # scipy takes a second to import, and our own table does without it
        from scipy.interpolate import PchipInterpolator

        return float(PchipInterpolator(self.temperatures_k, self.energies_ev)(temperature_k))


def entropies_ev_per_k(temperatures_k: FloatArray, energies_ev: FloatArray) -> FloatArray:
    """Mean entropy −ΔG/ΔT of each interval, eV/K per formula, shape (n − 1,)."""
    return -np.diff(energies_ev) / np.diff(temperatures_k)
