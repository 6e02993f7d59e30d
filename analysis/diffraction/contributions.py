"""What each refined phase looks like: its lines, its cell, and its parameters in words."""

import numpy as np

from analysis.diffraction.arrays import Array
from analysis.diffraction.library import Reference
from analysis.diffraction.measured import Measured
from analysis.diffraction.profile import (
    AXIAL,
    DISPLACEMENT,
    EXTRA_B,
    GAUSS,
    GAUSS_SIZE,
    KBETA,
    LOG_MARCH,
    MICROSTRAIN,
    ROUGHNESS,
    SIZE,
    WLALPHA,
)
from analysis.diffraction.refine import Fit, parameter_esds
from analysis.diffraction.reflections import STRAINS, Lines
from analysis.diffraction.result import Contribution, Parameter

_TICKS = 120
_LARGEST_NM = 300.0


def contribution(
    measured: Measured, reference: Reference, fit: Fit, index: int, counts: Array
) -> Contribution:
    """Describe one phase of a fit.

    Args:
        measured: What was fitted.
        reference: The structure of the phase.
        fit: The refined phases.
        index: Which of them.
        counts: What it contributes at each point, shape (used points,).
    """
    lines, parameters = fit.lines[index], fit.phases[index]
    crystal = reference.crystal()
    cell = lines.strained_cell(crystal, parameters)
    size_nm = _size_nm(parameters, measured.instrument.wavelength1_ang)
    return Contribution(
        reference=reference.stem,
        formula=reference.formula,
        counts=counts,
        ticks_deg=_ticks_deg(measured, fit, lines, parameters),
        cell=tuple(float(round(v, 5)) for v in cell),
        strain_percent=float(round(100 * parameters[0], 4)),
        size_nm=float(round(size_nm, 1)) if size_nm < _LARGEST_NM else None,
        density_g_per_cm3=round(lines.density_g_per_cm3, 4),
        parameters=_phase_parameters(fit, index),
    )


def shared_parameters(fit: Fit) -> tuple[Parameter, ...]:
    """What was refined for all phases together."""
    _, esds = parameter_esds(fit)
    names = {
        DISPLACEMENT: ("displacement of the sample", "mm"),
        GAUSS: ("Gaussian width of all lines", "deg"),
        AXIAL: ("axial aperture S/L + H/L", ""),
        ROUGHNESS: ("surface roughness q", ""),
        KBETA: ("intensity of Kβ over Kα", ""),
        WLALPHA: ("intensity of W Lα over Kα", ""),
    }
    return tuple(
        Parameter(name=name, value=float(fit.shared[k]), esd=float(esds[k]), unit=unit)
        for k, (name, unit) in names.items()
    )


def _phase_parameters(fit: Fit, index: int) -> tuple[Parameter, ...]:
    values, esds = fit.phases[index], parameter_esds(fit)[0][index]
    modes = range(fit.lines[index].strain_modes)
    named = [
        *((k, f"cell strain, mode {k + 1}", "") for k in modes),
        (SIZE, "Lorentzian size broadening", "deg"),
        (MICROSTRAIN, "strain broadening", "deg"),
        (GAUSS_SIZE, "Gaussian size broadening", "deg"),
        (EXTRA_B, "B beyond the reference structure's", "Å²"),
        (LOG_MARCH, "logarithm of March's r", ""),
    ]
    parameters = [
        Parameter(name=name, value=float(values[k]), esd=float(esds[k]), unit=unit)
        for k, name, unit in named
    ]
    amount = Parameter(
        name="amount",
        value=float(fit.amounts[index]),
        esd=float(np.sqrt(max(fit.amounts_covariance[index, index], 0.0))),
        unit="relative mass",
    )
    return (amount, *parameters)


def _size_nm(parameters: Array, wavelength_ang: float) -> float:
    """Apparent size after Scherrer, K = 0.9, from the Lorentzian and Gaussian widths."""
    width_rad = np.radians(np.hypot(parameters[SIZE], parameters[GAUSS_SIZE]))
    return 0.9 * wavelength_ang / 10 / width_rad if width_rad > 0 else np.inf


def _ticks_deg(
    measured: Measured, fit: Fit, lines: Lines, parameters: Array
) -> tuple[float, ...]:
    instrument = measured.instrument
    inverse_d2 = lines.inverse_d2 + lines.strain @ parameters[:STRAINS]
    sin = np.sqrt(np.maximum(inverse_d2, 0)) * instrument.wavelength1_ang / 2
    theta = np.arcsin(np.clip(sin, 0, 1))
    shift = 2 * fit.shared[DISPLACEMENT] * np.cos(theta) / instrument.radius_mm
    ticks = np.degrees(2 * theta - shift) + instrument.zero_deg
    strength = lines.intensity / np.maximum(sin**2, 1e-6)
    strongest = np.sort(np.argsort(-strength, kind="stable")[:_TICKS])
    inside = (ticks >= measured.two_theta_deg[0]) & (ticks <= measured.two_theta_deg[-1])
    return tuple(float(round(ticks[i], 3)) for i in strongest if inside[i])
