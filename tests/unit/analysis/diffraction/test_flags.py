from dataclasses import replace

import numpy as np
import pytest

from analysis.diffraction.amounts import Amounts, amounts_of
from analysis.diffraction.analyze import instrument_of
from analysis.diffraction.contributions import contribution
from analysis.diffraction.flags import flags_of
from analysis.diffraction.library import Reference, embedded
from analysis.diffraction.measured import Measured, prepare
from analysis.diffraction.pattern import Pattern
from analysis.diffraction.profile import LOG_MARCH, SIZE
from analysis.diffraction.refine import Fit, profiles, start
from analysis.diffraction.reflections import lines_of

ANGLE = np.arange(15.0, 70.0, 0.03)


def reference(stem: str) -> Reference:
    return next(one for one in embedded() if one.stem == stem)


def fit_of(*stems: str) -> tuple[Measured, list[Reference], Fit]:
    """Phases in equal amounts, not refined: flags look at parameters only."""
    counts = np.random.default_rng(1).poisson(500.0, len(ANGLE)).astype(float)
    pattern = Pattern(two_theta_deg=ANGLE, counts=counts, esd=np.sqrt(counts))
    measured = prepare(pattern, instrument_of(pattern))
    present = [reference(stem) for stem in stems]
    lines = [
        lines_of(one.crystal(), wavelength_ang=1.5405929, max_two_theta_deg=80.0)
        for one in present
    ]
    fit = start(measured, lines)
    return measured, present, replace(fit, amounts=np.full(len(stems), 1.0))


def flags(
    measured: Measured,
    present: list[Reference],
    fit: Fit,
    particle_diameter_um: float = 0.0,
    amounts: Amounts | None = None,
) -> str:
    drawn = profiles(measured, fit)
    parts = {i: contribution(measured, one, fit, i, drawn[i]) for i, one in enumerate(present)}
    amounts = amounts or amounts_of(fit, particle_diameter_um)
    return " ".join(flags_of(fit, amounts, present, parts, particle_diameter_um))


def changed(fit: Fit, index: int, parameter: int, value: float) -> Fit:
    phases = fit.phases.copy()
    phases[index, parameter] = value
    return replace(fit, phases=phases)


def test_nothing_is_said_of_what_is_usual() -> None:
    assert flags(*fit_of("NiO_225", "ZnO_186")) == ""


def test_coarse_particles_that_absorb_unequally() -> None:
    """Magnetite beside corundum and zircon, as in the round robin's sample 4."""
    said = flags(*fit_of("Fe3O4_227", "Al2O3_167", "ZrSiO4_141"), particle_diameter_um=10.0)
    assert "unreliable by microabsorption" in said
    assert "Fe3O4 (factor 0." in said
    # µ of Fe3O4 for Cu Kα is about 1,150 /cm: µR = 0.05 at a diameter of 0.9 µm.
    assert "smaller than 0.9 µm" in said
    assert "microabsorption" not in flags(*fit_of("NiO_225"), particle_diameter_um=10.0)


@pytest.mark.parametrize(
    ("log_march", "form"), [(-0.5, "plates along 0 0 1"), (0.5, "needles")]
)
def test_strong_texture(log_march: float, form: str) -> None:
    measured, present, fit = fit_of("Mg(OH)2_164", "MgO_225")
    said = flags(measured, present, changed(fit, 0, LOG_MARCH, log_march))
    assert "Mg(OH)2 is strongly textured" in said
    assert form in said
    assert "textured" not in flags(measured, present, changed(fit, 0, LOG_MARCH, 0.2))


def test_small_crystallites() -> None:
    measured, present, fit = fit_of("NiO_225", "ZnO_186")
    # Scherrer, K = 0.9: 0.9 · 0.154 nm / 0.0262 rad = 5.3 nm.
    said = flags(measured, present, changed(fit, 0, SIZE, 1.5))
    assert "crystallites of NiO are small, 5 nm" in said


def test_cells_that_differ() -> None:
    measured, present, fit = fit_of("NiO_225", "ZnO_186")
    said = flags(measured, present, changed(fit, 0, 0, 0.012))
    assert "The cell of NiO differs from NiO_225 (a +1.2 %)" in said
    assert "solid solution" in said
    assert flags(measured, present, changed(fit, 0, 0, 0.005)) == ""
    said = flags(measured, present, changed(fit, 0, 0, -0.035))
    assert "-3.5 %, the most that is tried" in said


def test_light_phases_beside_heavy_ones() -> None:
    said = flags(*fit_of("Li2CO3_15", "Bi2O3_14"))
    assert "Li2CO3 has light elements only and scatters 9 times less" in said
    assert "light" not in flags(*fit_of("Li2CO3_15", "MgO_225"))
