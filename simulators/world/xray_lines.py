"""Reflections of a structure, with xrayutilities' structure factors.

    I(hkl) = m |F|² · LP / V²,   LP = (1 + cos²2θ) / (2 sin²θ cosθ)

per volume of the phase and before absorption, F with dispersion (f′, f″) and thermal motion;
the Lorentz-polarisation factor is the engine's own, without monochromator.
"""

import math
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xrayutilities as xu
from numpy.typing import NDArray
from xrayutilities.simpack import Powder as EnginePowder, PowderDiffraction

Array = NDArray[np.float64]

KA1_ANG = 1.5405929
KA1_EV = 8047.8
HIGHEST_TWO_THETA_DEG = 101.5
DEFAULT_B_ANG2 = 0.45
"""Isotropic thermal factor where the structure file gives none."""

_WEAKEST = 5e-4
_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Reflections of one phase, symmetry equivalents one by one.

    Attributes:
        q_per_ang: Length of the scattering vector of each group, shape (groups,).
        strength: |F|²·LP/V² of each member, e²/Å⁶, shape (members,).
        direction: Unit vectors in the crystal, shape (members, 3).
        group: Group of each member, shape (members,).
        texture_axis: Direction that plates or needles lie along, unit vector.
        density_g_per_cm3: Density of the crystal.
        absorption_per_cm: Linear absorption for Cu Kα₁.
    """

    q_per_ang: Array
    strength: Array
    direction: Array
    group: NDArray[np.int_]
    texture_axis: Array
    density_g_per_cm3: float
    absorption_per_cm: float

    def textured(self, march: float) -> Array:
        """Strength of each group with March–Dollase texture, shape (groups,).

        Args:
            march: Parameter r; 1 for none, below 1 for plates.
        """
        cosine = self.direction @ self.texture_axis
        sine2 = 1.0 - cosine**2
        weight = ((march * cosine) ** 2 + sine2 / march) ** -1.5
        return np.bincount(self.group, self.strength * weight, len(self.q_per_ang)).astype(
            np.float64
        )


@lru_cache(maxsize=256)
def lines_of(cif: Path) -> Lines:
    """Read a structure and compute its reflections for Cu Kα₁ up to 101.5° 2θ.

    Args:
        cif: Structure file.

    Raises:
        ValueError: If the file holds no structure.
    """
    with _LOCK:
        crystal = _crystal(cif)
        engine = PowderDiffraction(
            EnginePowder(crystal, 1.0),
            en=KA1_EV,
            tt_cutoff=HIGHEST_TWO_THETA_DEG,
            enable_simulation=False,
        )
        raw = engine.reflection_strength(HIGHEST_TWO_THETA_DEG)
    q_vectors = np.array([crystal.Q(*hkl) for hkl in raw["hkl"]], dtype=float)
    q = raw["q"].astype(float)
    theta_deg = np.degrees(np.arcsin(np.clip(q * KA1_ANG / (4 * math.pi), 0.0, 1.0)))
    strength = raw["r"] * engine.correction_factor(theta_deg)
    if all(atom[3] == 0 for atom in crystal.lattice.base()):
        strength = strength * np.exp(-2.0 * DEFAULT_B_ANG2 * (q / (4 * math.pi)) ** 2)
    order = np.argsort(q, kind="stable")
    q, q_vectors, strength = q[order], q_vectors[order], strength[order]
    group = np.concatenate([[0], np.cumsum(np.diff(q) > 1e-6 * q[1:])]).astype(int)
    keep = np.bincount(group, strength) >= _WEAKEST * np.bincount(group, strength).max()
    kept = keep[group]
    axis = np.array(crystal.Q(0, 0, 1), dtype=float)
    return Lines(
        q_per_ang=(np.bincount(group, q) / np.bincount(group))[keep],
        strength=strength[kept],
        direction=(q_vectors / q[:, None])[kept],
        group=(np.cumsum(keep) - 1)[group][kept],
        texture_axis=axis / np.linalg.norm(axis),
        density_g_per_cm3=float(crystal.density) / 1000.0,
        absorption_per_cm=1e4 / _absorption_length_um(crystal),
    )


def _crystal(cif: Path) -> xu.materials.Crystal:
    """Structure with its cell filled by the operations in the file.

    The engine's own space-group tables know standard settings only: in P2₁/n they forbid
    reflections that are there.
    """
    xu.config.VERBOSITY = 0
    file = xu.materials.CIFFile(str(cif))
    if file.default_dataset is None or not file.data[file.default_dataset].has_atoms:
        raise ValueError(f"{cif} holds no atoms; give a CIF with atom sites")
    return xu.materials.Crystal(cif.stem, file.SGLattice(use_p1=True))


def _absorption_length_um(crystal: Any) -> float:
    return float(crystal.absorption_length(KA1_EV))  # its annotation says str
