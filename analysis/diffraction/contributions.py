"""What each refined phase looks like: its lines, its cell, and its parameters in words."""

import numpy as np

from analysis.diffraction.arrays import Array
from analysis.diffraction.asymmetric_unit import asymmetric_unit, group_name
from analysis.diffraction.crystal import Crystal
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
_SMALL_STRAIN = 1e-5
_FIXED = 1e-9  # a relative standard deviation below this is rounding


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
    operations, sites = asymmetric_unit(crystal, float(parameters[EXTRA_B]))
    symbol, number = group_name(operations) or (crystal.space_group, crystal.number)
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
        cell_esds=_cell_esds(fit, index, crystal),
        space_group=symbol,
        number=number,
        operations=operations,
        sites=sites,
    )


def shared_parameters(fit: Fit) -> tuple[Parameter, ...]:
    """What was refined for all phases together, and what the instrument held fixed."""
    _, esds = parameter_esds(fit)
    names = {
        DISPLACEMENT: ("displacement of the sample", "mm"),
        GAUSS: ("Gaussian width of all lines", "deg"),
        AXIAL: ("axial aperture S/L + H/L", ""),
        ROUGHNESS: ("surface roughness q", ""),
        KBETA: ("intensity of Kβ over Kα", ""),
        WLALPHA: ("intensity of W Lα over Kα", ""),
    }
    refined = tuple(
        Parameter(name=name, value=float(fit.shared[k]), esd=float(esds[k]), unit=unit)
        for k, (name, unit) in names.items()
    )
    used = fit.instrument
    held = (
        ("wavelength Kα₁", used.wavelength1_ang, "Å"),
        ("wavelength Kα₂", used.wavelength2_ang, "Å"),
        ("intensity of Kα₂ over Kα₁", used.ratio, ""),
        ("zero of 2θ", used.zero_deg, "deg"),
        ("radius of the goniometer", used.radius_mm, "mm"),
        ("2θ of the monochromator", used.monochromator_two_theta_deg, "deg"),
    )
    return refined + tuple(
        Parameter(name=name, value=float(value), esd=0.0, unit=unit)
        for name, value, unit in held
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


def _cell_esds(fit: Fit, index: int, crystal: Crystal) -> tuple[float, ...]:
    """Standard deviations of the refined cell, from those of its strains."""
    lines, values = fit.lines[index], fit.phases[index]
    esds = parameter_esds(fit)[0][index][: lines.strain_modes]
    middle = lines.strained_cell(crystal, values)
    variance = np.zeros(6)
    for mode, esd in enumerate(esds):
        moved = values.copy()
        moved[mode] += _SMALL_STRAIN
        slope = (lines.strained_cell(crystal, moved) - middle) / _SMALL_STRAIN
        variance += (slope * esd) ** 2
    esd6 = np.sqrt(variance)
    return tuple(float(e) if e > _FIXED * c else 0.0 for e, c in zip(esd6, middle, strict=True))


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
