"""Patterns of simulated mixtures, by xrayutilities or by rietx and never by this engine.

    N(2θ) ~ Poisson(B + K Σ_j v_j Σ_hkl I(hkl) φ(2θ − 2θ_hkl) + glass),   v_j ∝ w_j / ρ_j

With xrayutilities the lines carry its fundamental-parameters profiles, and are broadened for
crystallite size afterwards: in s = 2 sinθ/λ that is a convolution of constant width, a
Lorentzian of full width 0.9 / L (Scherrer), done by Fourier transform. With rietx its forward
model draws the lines, with its own profiles, structure factors and texture.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context

import numpy as np
import rietx
from rietx.schemas.instrument import EmissionLine
from rietx.schemas.structure import PreferredOrientation

from analysis.diffraction.arrays import Array
from analysis.diffraction.crystal import read_crystal
from analysis.diffraction.pattern import Pattern
from benchmarks.measured import attempted
from benchmarks.mixtures import Grown, Mixture, cif_of
from simulators.world.xray_lines import lines_of
from simulators.world.xray_profiles import (
    KA1_ANG,
    KA2_ANG,
    KA2_RATIO,
    RADIUS_MM,
    DrawnLines,
    Grains,
    Profiles,
    optics,
)

KBETA_ANG = 1.392234
START_DEG, END_DEG, STEP_DEG = 10.0, 95.0, 0.02
SCHERRER = 0.9

_AXIS = START_DEG + STEP_DEG * np.arange(round((END_DEG - START_DEG) / STEP_DEG) + 1)
_FINE_STEP_DEG = 0.01
_FINE = np.arange(6.0, 101.0, _FINE_STEP_DEG)
_S_POINTS = 2**15
_NARROW_NM = 10_000.0


def patterns(
    mixtures: Sequence[Mixture], workers: int = 2
) -> Iterator[tuple[Mixture, Pattern | str]]:
    """Each mixture with its pattern, or with why there is none; made in other processes."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from zip(mixtures, pool.map(pattern_of, mixtures), strict=True)


def pattern_of(mixture: Mixture) -> Pattern | str:
    """The pattern of a mixture, or why there is none."""
    return attempted(f"mixture {mixture.number}", lambda: _pattern(mixture))


def _pattern(mixture: Mixture) -> Pattern:
    rng = np.random.default_rng(mixture.noise_seed)
    net = (_by_rietx if mixture.engine == "rietx" else _by_xrayutilities)(mixture)
    scale = mixture.strongest / net.max()
    expected = scale * (net + _glass(mixture, net)) + mixture.background * (
        1.2 - 0.004 * _AXIS + 2.5 * np.exp(-(_AXIS - START_DEG) / 8.0)
    )
    counts = rng.poisson(expected).astype(float)
    return Pattern(
        two_theta_deg=_AXIS,
        counts=counts,
        esd=np.sqrt(np.maximum(counts, 1.0)),
        wavelength_ang=KA1_ANG,
        wavelength_stated=True,
        sample=f"mixture {mixture.number}",
        origin=f"simulated by {mixture.engine}",
        radius_mm=RADIUS_MM,
    )


def _glass(mixture: Mixture, net: Array) -> Array:
    """Two humps that scatter per volume what the crystals scatter together."""
    if mixture.glass == 0:
        return np.zeros_like(net)
    first = np.exp(-0.5 * ((_AXIS - mixture.glass_two_theta_deg) / 3.8) ** 2)
    second = 0.3 * np.exp(-0.5 * ((_AXIS - 2.1 * mixture.glass_two_theta_deg) / 8.0) ** 2)
    shape = first + second
    return net.sum() * mixture.glass / (1.0 - mixture.glass) * shape / shape.sum()


def _by_xrayutilities(mixture: Mixture) -> Array:
    net = np.zeros_like(_AXIS)
    for phase in mixture.phases:
        lines = lines_of(cif_of(phase.reference))
        volume = phase.weight / lines.density_g_per_cm3
        areas = volume * lines.textured(phase.march)
        fine = np.zeros_like(_FINE)
        for profile_ang, wavelength_ang, share in (
            (KA1_ANG, KA1_ANG, 1.0),
            (KA2_ANG, KA2_ANG, KA2_RATIO),
            (KA1_ANG, KBETA_ANG, mixture.kbeta),
        ):
            sine = lines.q_per_ang / (1.0 + phase.strain) * wavelength_ang / (4.0 * math.pi)
            seen = sine < 0.999
            theta = np.arcsin(sine[seen])
            shift = -2.0 * mixture.displacement_mm * np.cos(theta) / RADIUS_MM
            _profiles(phase.microstrain_percent).draw(
                fine,
                float(_FINE[0]),
                _FINE_STEP_DEG,
                DrawnLines(
                    wavelength_ang=profile_ang,
                    two_theta_deg=np.degrees(2.0 * theta + shift),
                    area=areas[seen] * share,
                ),
            )
        net += np.interp(_AXIS, _FINE, broadened(_FINE, fine, phase.size_nm))
    return net


@cache
def _profiles(microstrain_percent: float) -> Profiles:
    return optics().profiles(Grains(size_nm=_NARROW_NM, strain_percent=microstrain_percent))


def broadened(two_theta_deg: Array, density: Array, size_nm: float) -> Array:
    """A pattern of large crystals as small ones give it.

    Args:
        two_theta_deg: Axis, shape (n,).
        density: Intensity per degree, shape (n,).
        size_nm: Volume-weighted size L; the full width is 0.9 λ / (L cosθ).
    """
    theta = np.radians(two_theta_deg) / 2.0
    s = 2.0 * np.sin(theta) / KA1_ANG
    degree_per_s = np.degrees(KA1_ANG / np.cos(theta))
    even = np.linspace(s[0], s[-1], _S_POINTS)
    on_s = np.interp(even, s, density * degree_per_s)
    frequency = np.fft.rfftfreq(2 * _S_POINTS, even[1] - even[0])
    width = SCHERRER / (10.0 * size_nm)
    spread = np.fft.irfft(
        np.fft.rfft(on_s, 2 * _S_POINTS) * np.exp(-math.pi * width * frequency)
    )[:_S_POINTS]
    return np.interp(s, even, spread) / degree_per_s


def _by_rietx(mixture: Mixture) -> Array:
    instrument = rietx.Instrument.bragg_brentano(
        radiation="CuKa", goniometer_radius_mm=RADIUS_MM
    )
    for name, value in (("u", 2e-3), ("v", -1e-3), ("w", 2.5e-3), ("x", 0.01), ("y", 0.02)):
        getattr(instrument.profile, name).value = value
    instrument.geometry.sample_displacement.value = mixture.displacement_mm
    instrument.geometry.axial_sl.value = 0.02
    instrument.geometry.axial_hl.value = 0.02
    net = _predicted(mixture, instrument)
    if mixture.kbeta:
        # A run of its own: f′ and f″ differ, and the engine refuses both in one.
        beta = rietx.Parameter(value=KBETA_ANG)
        instrument.source = instrument.source.model_copy(
            update={"lines": [EmissionLine(wavelength=beta)]}
        )
        net += mixture.kbeta * _predicted(mixture, instrument)
    return net


def _predicted(mixture: Mixture, instrument: rietx.Instrument) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        phases = [_rietx_phase(phase, number) for number, phase in enumerate(mixture.phases)]
        model = rietx.Refinement(rietx.Structure(phases=phases), instrument, history=False)
        return np.maximum(np.asarray(model.predict(_AXIS), dtype=float), 0.0)


def _rietx_phase(grown: Grown, number: int) -> rietx.Phase:
    phase = rietx.Structure.from_cif(cif_of(grown.reference)).phases[0]
    crystal = read_crystal(cif_of(grown.reference))
    phase.name = f"phase {number}"
    for axis in ("a", "b", "c"):
        getattr(phase.cell, axis).value *= 1.0 + grown.strain
    # W ∝ S·Z·M·V (Hill & Howard, J. Appl. Cryst. 20 (1987) 467).
    phase.scale.value = grown.weight / (crystal.mass_g_per_mol * crystal.volume_ang3)
    phase.lor_size.value = math.degrees(SCHERRER * KA1_ANG / (10.0 * grown.size_nm))
    phase.lor_strain.value = 2.0 * math.degrees(grown.microstrain_percent / 100.0)
    phase.preferred_orientation = PreferredOrientation(
        axis=(0, 0, 1), r=rietx.Parameter(value=grown.march)
    )
    return phase
