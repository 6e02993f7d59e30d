"""What a powder's grains and its surface do to the strength of its lines.

Grains that absorb more than their surroundings show less than their volume (microabsorption).
The factor is the mean of what survives the way through a grain,

    τ = ⟨exp(−(µ − µ̄) x)⟩,

x being the path of the ray inside a sphere, in and out again, from the points of an even grid
in it. A rough surface takes away from lines at low angles (Pitschke, Hermann & Mattern, Powder
Diffr. 8 (1993) 74):

    S(θ) = (1 − p (1/sin θ − q/sin² θ)) / (1 − p (1 − q))
"""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from simulators.world.world import World

Array = NDArray[np.float64]

PARTICLE_DIAMETER_UM = 2.0
"""Median diameter of the particles of a mixed and fired powder."""
MOST_ROUGH = 0.03
"""Largest p of a surface that the arm has pressed."""

_SPREAD = 0.25
_ROUGH_Q = 0.04
_GRID = 15
_TWO_THETA_DEG = 50.0  # of the path; the factor hardly changes with it


def particle_diameter_um(world: World, sample: str, formula: str) -> float:
    """Diameter of the particles of a phase in a sample."""
    rng = world.rng("particles", sample, formula)
    return PARTICLE_DIAMETER_UM * math.exp(float(rng.normal(0.0, _SPREAD)))


def microabsorption(excess_per_cm: float, diameter_um: float) -> float:
    """Factor on the lines of a phase.

    Args:
        excess_per_cm: Its linear absorption less the mean of the powder.
        diameter_um: Diameter of its particles.
    """
    radius_cm = diameter_um / 2 * 1e-4
    return float(np.mean(np.exp(-excess_per_cm * radius_cm * _paths())))


def roughness(rough: float, sine: Array) -> Array:
    """Factor on lines.

    Args:
        rough: p of the surface.
        sine: sin θ of each line.
    """
    return (1.0 - rough * (1.0 / sine - _ROUGH_Q / sine**2)) / (1.0 - rough * (1.0 - _ROUGH_Q))


@cache
def _paths() -> Array:
    """Paths through a sphere of radius 1 to points of a grid in it and out again."""
    axis = (np.arange(_GRID) + 0.5) / _GRID * 2.0 - 1.0
    points = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    points = points[np.sum(points**2, axis=1) < 1.0]
    theta = math.radians(_TWO_THETA_DEG / 2)
    to_tube = np.array([-math.cos(theta), math.sin(theta), 0.0])
    to_detector = np.array([math.cos(theta), math.sin(theta), 0.0])
    return _to_surface(points, to_tube) + _to_surface(points, to_detector)


def _to_surface(points: Array, direction: Array) -> Array:
    """Distance from points in a sphere of radius 1 to its surface along a unit vector."""
    along = points @ direction
    return np.sqrt(along**2 + 1.0 - np.sum(points**2, axis=1)) - along
