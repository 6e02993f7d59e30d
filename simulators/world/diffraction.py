"""The pattern a powder gives on the simulated benchtop diffractometer.

    y(2θ) = B(2θ) + K Σⱼ τⱼ vⱼ/μ̄ Σ_hkl S(θ) I(hkl) φ(2θ − 2θ_hkl),   N ~ Poisson(y)

with the volume fraction vⱼ of each phase, the mean absorption μ̄ = Σ vⱼ μⱼ, microabsorption τ,
surface roughness S, and profiles φ of unit area; a little Kβ comes through the filter. Lines
lie at 2 asin(λq/4π) − (2 s cosθ / R)(180°/π) for a specimen displaced by s.
Displacement, roughness, cell, size, strain, texture and particles are drawn for each sample
and phase.
"""

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition

from simulators.world.diffraction_surface import (
    MOST_ROUGH,
    microabsorption,
    particle_diameter_um,
    roughness,
)
from simulators.world.matter import Powder, reduced
from simulators.world.world import World
from simulators.world.xray_lines import Lines, lines_of
from simulators.world.xray_profiles import (
    KA1_ANG,
    KA2_ANG,
    KA2_RATIO,
    RADIUS_MM,
    DrawnLines,
    Grains,
    optics,
)
from simulators.world.xrdml import Program, write_xrdml

Array = NDArray[np.float64]

PROGRAMS: Mapping[str, Program] = MappingProxyType(
    {
        "alab_8min": Program(
            start_deg=10.00943322,
            end_deg=99.99442286,
            points=8282,
            duration_s=487.0,
            counting_time_s=12.495,
        ),
        "alab_2min": Program(
            start_deg=10.02173288,
            end_deg=99.99585608,
            points=2071,
            duration_s=124.0,
            counting_time_s=10.965,
        ),
    }
)
"""Programs stored on the instrument."""

SCALE = 2_400.0
"""K per second of counting: counts·degree·Å⁶·cm⁻¹/e² of Kα₁."""

KB_ANG = 1.392234
KB_RATIO = 0.004
"""Kβ over Kα₁ behind the nickel filter; its lines have the shape of those of Kα₁."""

_WEAKEST_IN_KB = 0.02  # of the strongest line of a phase
_BACKGROUND_PER_S = 45.0
_AIR_SCATTER_PER_S = 140.0
_GLASS_PER_S = 95.0
_GLASS_TWO_THETA_DEG = 24.0
_GLASS_WIDTH_DEG = 5.0
_FLUORESCENCE_PER_S: Mapping[str, float] = MappingProxyType(
    {"Fe": 160.0, "Co": 190.0, "Mn": 60.0}
)
"""What pure metal atoms would add: Cu Kα excites them, the discriminator stops most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """What mounting a sample decides.

    Attributes:
        displacement_mm: Height of the surface over the axis, down is positive.
        background: Factor on the background.
        rough: Roughness p of the surface.
    """

    displacement_mm: float
    background: float
    rough: float


def scan(
    world: World, powder: Powder, *, sample: str, program: str, started_at: datetime
) -> bytes:
    """Measure a powder.

    Args:
        world: Source of structures and of randomness.
        powder: What lies in the holder.
        sample: Sample identifier; the mount is drawn for it.
        program: Name of a stored program.
        started_at: Aware stamp; counting noise is drawn for it.

    Returns:
        The file the instrument writes.

    Raises:
        KeyError: If there is no such program.
        ValueError: If a structure file cannot be used.
    """
    stored = PROGRAMS[program]
    expected = expected_counts(world, powder, sample=sample, program=stored)
    stamp = started_at.isoformat()
    noise = world.rng("scan", sample, stamp)
    return write_xrdml(
        sample=sample,
        program=stored,
        counts=noise.poisson(expected),
        started_at=started_at,
        record=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{world.seed}/{sample}/{stamp}")).upper(),
    )


def mount_of(world: World, sample: str) -> Mount:
    """How a sample came to lie in its holder."""
    rng = world.rng("mount", sample)
    return Mount(
        displacement_mm=float(rng.normal(0.0, 0.035)),
        background=float(math.exp(rng.normal(0.0, 0.1))),
        rough=float(rng.uniform(0.0, MOST_ROUGH)),
    )


def expected_counts(world: World, powder: Powder, *, sample: str, program: Program) -> Array:
    """Counts without noise, shape (points,).

    Args:
        world: Source of structures and of randomness.
        powder: What lies in the holder.
        sample: Sample identifier.
        program: What is measured.
    """
    mount = mount_of(world, sample)
    weights = powder.weight_fractions()
    structures = {reduced(formula): path for formula, path in world.cifs.items()}
    drawn = {f: lines_of(structures[f]) for f in weights if f in structures}
    hidden = powder.amorphous_fraction + sum(
        share for formula, share in weights.items() if formula not in drawn
    )
    counts = _background(mount, weights, hidden, program)
    if not drawn:
        return counts
    volumes = {f: weights[f] / lines.density_g_per_cm3 for f, lines in drawn.items()}
    volumes = {f: v * (1.0 - hidden) / sum(volumes.values()) for f, v in volumes.items()}
    absorption_per_cm = sum(
        volumes[f] * lines.absorption_per_cm for f, lines in drawn.items()
    ) / max(1.0 - hidden, 1e-6)
    for formula, lines in drawn.items():
        strength = SCALE * program.counting_time_s * volumes[formula] / absorption_per_cm
        strength *= microabsorption(
            lines.absorption_per_cm - absorption_per_cm,
            particle_diameter_um(world, sample, formula),
        )
        character = world.rng("grains", sample, formula)
        _draw_phase(counts, program, lines, strength, mount, character)
    return counts


def _draw_phase(
    counts: Array,
    program: Program,
    lines: Lines,
    strength: float,
    mount: Mount,
    rng: np.random.Generator,
) -> None:
    stretch = 1.0 + float(rng.normal(0.0, 4e-4))
    march = float(np.clip(math.exp(rng.normal(0.0, 0.07)), 0.8, 1.25))
    profiles = optics().profiles(
        Grains(
            size_nm=float(110.0 * math.exp(rng.normal(0.0, 0.35))),
            strain_percent=float(rng.uniform(0.01, 0.08)),
        )
    )
    areas = strength * lines.textured(march)
    q_per_ang = lines.q_per_ang / stretch
    strong = areas > _WEAKEST_IN_KB * areas.max()
    for wavelength_ang, share, shape_ang, shown in (
        (KA1_ANG, 1.0, KA1_ANG, areas > 0.0),
        (KA2_ANG, KA2_RATIO, KA2_ANG, areas > 0.0),
        (KB_ANG, KB_RATIO, KA1_ANG, strong),
    ):
        sine = q_per_ang * wavelength_ang / (4.0 * math.pi)
        seen = (sine < 0.999) & shown
        theta = np.arcsin(sine[seen])
        shift = -2.0 * mount.displacement_mm * np.cos(theta) / RADIUS_MM
        profiles.draw(
            counts,
            program.start_deg,
            program.step_deg,
            DrawnLines(
                wavelength_ang=shape_ang,
                two_theta_deg=np.degrees(2.0 * theta + shift),
                area=areas[seen] * share * roughness(mount.rough, sine[seen]),
            ),
        )


def _background(
    mount: Mount, weights: Mapping[str, float], hidden: float, program: Program
) -> Array:
    """Air scatter, diffuse and fluorescent background, and the hump of what is glass."""
    two_theta_deg = np.linspace(program.start_deg, program.end_deg, program.points)
    fluorescence = sum(
        share * Composition(formula).get_wt_fraction(metal) * rate
        for formula, share in weights.items()
        for metal, rate in _FLUORESCENCE_PER_S.items()
    )
    air = _AIR_SCATTER_PER_S * np.exp(-(two_theta_deg - 10.0) / 9.0)
    tilt = 1.25 - 0.005 * (two_theta_deg - 10.0)
    hump = (two_theta_deg - _GLASS_TWO_THETA_DEG) / _GLASS_WIDTH_DEG
    glass = _GLASS_PER_S * hidden * np.exp(-0.5 * hump**2)
    per_s = mount.background * (air + (_BACKGROUND_PER_S + fluorescence) * tilt) + glass
    return per_s * program.counting_time_s
