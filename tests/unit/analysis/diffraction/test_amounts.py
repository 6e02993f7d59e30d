"""Weight fractions: microabsorption against a direct integral, intervals against samples."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.diffraction.amounts import amounts_of
from analysis.diffraction.crystal import read_crystal
from analysis.diffraction.library import default_cifs
from analysis.diffraction.measured import Measured, prepare
from analysis.diffraction.pattern import Pattern
from analysis.diffraction.profile import LOG_MARCH, Instrument
from analysis.diffraction.refine import Fit, start
from analysis.diffraction.reflections import lines_of_many


@pytest.fixture(scope="module")
def measured() -> Measured:
    angle = np.arange(20.0, 60.0, 0.03)
    counts = np.random.default_rng(1).poisson(400, len(angle)).astype(float)
    pattern = Pattern(two_theta_deg=angle, counts=counts, esd=np.sqrt(counts))
    return prepare(pattern, Instrument())


@pytest.fixture(scope="module")
def fit(measured: Measured) -> Fit:
    crystals = [read_crystal(default_cifs()[formula]) for formula in ("Bi2O3", "Li2CO3")]
    lines = lines_of_many(crystals, wavelength_ang=1.5406, max_two_theta_deg=70.0)
    return replace(start(measured, lines), amounts=np.array([0.4, 0.6]))


def sphere_tau(contrast_per_cm: float, diameter_um: float) -> float:
    """Mean of exp(−Δµ · 2x) over chords x to the surface, in a sphere, by sampling."""
    rng = np.random.default_rng(5)
    points = rng.normal(size=(200_000, 3))
    points *= (rng.random(200_000) ** (1 / 3) / np.linalg.norm(points, axis=1))[:, None]
    height = np.sqrt(1 - points[:, 0] ** 2 - points[:, 1] ** 2) - points[:, 2]
    return float(np.mean(np.exp(-contrast_per_cm * diameter_um / 2 * 1e-4 * 2 * height)))


def test_a_strong_absorber_holds_more_mass_than_it_shows(fit: Fit) -> None:
    found = amounts_of(fit, particle_diameter_um=2.0)
    density = np.array([lines.density_g_per_cm3 for lines in fit.lines])
    absorption = np.array([lines.absorption_per_cm for lines in fit.lines])
    volumes = found.fractions / density
    mean = (absorption * volumes).sum() / volumes.sum()
    tau = [sphere_tau(mu - mean, 2.0) for mu in absorption]
    # The closed form takes one chord for both ways of the ray: 1 % off at such a contrast.
    assert found.tau == pytest.approx(tau, abs=0.012)
    shown = found.fractions * np.array(tau)
    assert shown / shown.sum() == pytest.approx([0.4, 0.6], abs=5e-3)
    assert found.fractions[0] > 0.44


def test_without_particles_the_shown_fractions_stay(fit: Fit) -> None:
    found = amounts_of(fit, particle_diameter_um=0.0)
    assert found.fractions == pytest.approx([0.4, 0.6])
    assert not found.coarse.any()


def test_coarse_heavy_particles_are_told(fit: Fit) -> None:
    assert amounts_of(fit, particle_diameter_um=2.0).coarse.tolist() == [True, False]


def test_texture_and_contrast_widen_the_interval(fit: Fit) -> None:
    plain = amounts_of(fit, particle_diameter_um=0.0)
    textured = fit.phases.copy()
    textured[0, LOG_MARCH] = -0.5
    wide = amounts_of(replace(fit, phases=textured), particle_diameter_um=0.0)
    contrasted = amounts_of(fit, particle_diameter_um=2.0)
    for other in (wide, contrasted):
        assert (other.esd**2 - plain.esd**2 > 0.02**2).all()


def test_intervals_lie_about_their_fractions(fit: Fit) -> None:
    found = amounts_of(fit)
    low, high = found.intervals90.T
    assert (low >= 0).all()
    assert (high <= 1).all()
    assert (low < found.fractions).all()
    assert (found.fractions < high).all()
    assert found.fractions.sum() == pytest.approx(1.0)
