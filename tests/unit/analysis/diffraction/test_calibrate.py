"""Calibration, against profiles drawn here (true Voigts) and the certified measurement."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from scipy.special import voigt_profile

from alab.errors import BadInput
from analysis.diffraction.calibrate import Calibrated, _task, calibrate
from analysis.diffraction.pattern import Pattern, read_pattern
from analysis.diffraction.profile import Instrument
from analysis.diffraction.standards import CERTIFICATES, own_standard, standard

FORMATS = (
    Path(os.environ.get("ALAB_DATA", Path(__file__).parents[5] / "shared" / "data"))
    / "xrd"
    / "formats"
)
measured = pytest.mark.skipif(
    not FORMATS.is_dir(), reason=f"measured patterns are not in {FORMATS}; set ALAB_DATA"
)
NOW = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)

A_ANG = 4.156826
RADIUS_MM, ZERO_DEG, DISPLACEMENT_MM, RATIO = 200.0, 0.021, -0.06, 0.47
U, V, W, X, Y = 0.003, -0.002, 0.0035, 0.015, 0.012
SQUARES = [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 20, 21, 22, 24]
"""h² + k² + l² of a primitive cubic cell, up to 125°."""
HEIGHTS = [54, 100, 41, 22, 45, 23, 8, 22, 14, 10, 2, 7, 10, 2, 8, 6, 5, 5, 9, 7, 9]
"""About those of LaB6."""


def widths_deg(theta: float) -> tuple[float, float]:
    tan, cos = np.tan(theta), np.cos(theta)
    return float(np.sqrt(U * tan**2 + V * tan + W)), float(X * tan + Y / cos)


def place_deg(square: int, wavelength_ang: float) -> float:
    theta = np.arcsin(wavelength_ang * np.sqrt(square) / (2 * A_ANG))
    shift = np.degrees(2 * DISPLACEMENT_MM * np.cos(theta) / RADIUS_MM)
    return float(np.degrees(2 * theta) + ZERO_DEG - shift)


def drawn(end_deg: float = 122.0, scale: float = 300.0, step_deg: float = 0.015) -> Pattern:
    """LaB6 as Voigt functions: not the pseudo-Voigts of the project."""
    angle = np.arange(18.0, end_deg, step_deg)
    counts = np.full(len(angle), 60.0) + 800 / angle
    for square, height in zip(SQUARES, HEIGHTS, strict=True):
        for wavelength, share in ((1.5405929, 1.0), (1.5444274, RATIO)):
            theta = np.arcsin(1.5405929 * np.sqrt(square) / (2 * A_ANG))
            gauss, lorentz = widths_deg(theta)
            x = angle - place_deg(square, wavelength)
            sigma = gauss / np.sqrt(8 * np.log(2))
            counts += share * scale * height * 0.1 * voigt_profile(x, sigma, lorentz / 2)
    counts = np.random.default_rng(2).poisson(counts).astype(float)
    return Pattern(
        two_theta_deg=angle,
        counts=counts,
        esd=np.sqrt(np.maximum(counts, 1)),
        wavelength_stated=True,
        anode="Cu",
        radius_mm=RADIUS_MM,
        origin="drawn.xy (xy)",
    )


@pytest.fixture(scope="module")
def found() -> Calibrated:
    return calibrate(drawn(), standard("LaB6"), name="drawn", made_at=NOW)


def test_zero_and_displacement_come_back(found: Calibrated) -> None:
    path, made = found.instrument.goniometer, found.instrument.calibration
    assert made is not None
    assert path.zero_deg == pytest.approx(ZERO_DEG, abs=0.003)
    assert made.displacement_mm == pytest.approx(DISPLACEMENT_MM, abs=0.006)
    assert found.instrument.radiation.ratio == pytest.approx(RATIO, abs=0.02)
    assert found.instrument.radiation.kbeta_ratio < 0.001


def test_widths_come_back_at_every_line(found: Calibrated) -> None:
    for line in found.lines:
        gauss, lorentz = widths_deg(np.radians(line.two_theta_deg / 2))
        # Olivero & Longbothum, J. Quant. Spectrosc. 17 (1977) 233: within 0.02 %.
        true = 0.5346 * lorentz + np.sqrt(0.2166 * lorentz**2 + gauss**2)
        assert line.fwhm_deg == pytest.approx(true, rel=0.05), line


@pytest.mark.parametrize("step_deg", [0.015, 0.0015])
def test_lines_keep_their_tails_whatever_the_step(step_deg: float) -> None:
    pattern = drawn(end_deg=70.0, step_deg=step_deg)
    task = _task(pattern, standard("LaB6"), Instrument())
    assert task.half_window * task.grid.step_deg == pytest.approx(2.0, abs=0.05)
    assert task.grid.start_deg + task.points * task.grid.step_deg > pattern.two_theta_deg[-1]
    assert task.on_points(np.ones((1, task.points))).shape == (len(pattern.counts), 1)


def test_lines_and_residual_are_told(found: Calibrated) -> None:
    made = found.instrument.calibration
    assert made is not None
    assert made.standard == "SRM 660c LaB6"
    assert made.lines >= 18
    assert [line.hkl for line in found.lines[:2]] in (
        [(1, 0, 0), (1, 1, 0)],
        [tuple(sorted(line.hkl, reverse=True)) for line in found.lines[:2]],
    )
    places = [line.two_theta_deg for line in found.lines]
    assert places == sorted(places)
    assert places[0] == pytest.approx(place_deg(1, 1.5405929), abs=0.003)
    best = 100 * np.sqrt(len(found.observed) / np.sum(found.observed))
    assert made.r_wp_percent < 1.15 * best  # the pseudo-Voigt is nearly a Voigt
    assert found.esds["zero_deg"] < 0.003


@pytest.mark.parametrize("name", ["Si", "676a"])
def test_another_powder_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="is not a pattern of SRM"):
        calibrate(drawn(), standard(name), name="x", made_at=NOW)


def test_too_few_lines_are_refused() -> None:
    with pytest.raises(BadInput, match="needs 5"):
        calibrate(drawn(end_deg=42.0), standard("660c"), name="x", made_at=NOW)
    with pytest.raises(BadInput, match=r"lines of SRM|not a pattern"):
        calibrate(drawn(scale=0.05), standard("660c"), name="x", made_at=NOW)


def test_a_short_range_keeps_the_zero() -> None:
    found = calibrate(drawn(end_deg=76.0), standard("660c"), name="x", made_at=NOW)
    assert found.instrument.goniometer.zero_deg == 0.0
    assert any("cannot be told apart" in warning for warning in found.warnings)


def test_what_is_not_known_is_told() -> None:
    unknown = replace(drawn(end_deg=76.0), radius_mm=None, wavelength_stated=False)
    warnings = calibrate(unknown, standard("660c"), name="x", made_at=NOW).warnings
    assert any("145 mm was assumed" in warning for warning in warnings)
    assert any("Cu Kα was assumed" in warning for warning in warnings)


def test_standards_by_number_and_formula(tmp_path: Path) -> None:
    assert standard("SRM 660a").crystal.cell[0] == 4.1569162
    assert standard("si").name == "SRM 640f Si"
    assert standard("Al2O3").crystal.cell.tolist() == [
        4.759091, 4.759091, 12.991779, 90, 90, 120,
    ]  # fmt: skip
    # Densities of the handbooks: LaB6 4.71, Si 2.329, corundum 3.987 g/cm³.
    for number in CERTIFICATES:
        density = standard(number).crystal.density_g_per_cm3
        assert min(abs(density - known) for known in (4.711, 2.329, 3.987)) < 0.006
    with pytest.raises(BadInput, match="660c"):
        standard("granite")
    with pytest.raises(BadInput):
        own_standard(tmp_path / "none.cif")


@measured
def test_the_certified_measurement_gives_its_own_displacement() -> None:
    """NIST\'s own scan of SRM 660c: its file states −0.07877 mm, and has no zero error."""
    found = calibrate(
        read_pattern(FORMATS / "nist_srm660c_100a.cif"),
        standard("660c"),
        name="NIST",
        made_at=NOW,
    )
    made = found.instrument.calibration
    assert made is not None
    assert made.displacement_mm == pytest.approx(-0.0788, abs=0.005)
    assert found.instrument.goniometer.zero_deg == pytest.approx(0.0, abs=0.005)
    assert found.instrument.goniometer.monochromator_two_theta_deg == 26.6
    assert made.r_wp_percent < 9.5
    assert found.instrument.profile.fwhm_deg(49.0) == pytest.approx(0.062, abs=0.006)
