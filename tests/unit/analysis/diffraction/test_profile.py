import jax
import numpy as np
import pytest

from analysis.diffraction.crystal import read_crystal
from analysis.diffraction.library import default_cifs
from analysis.diffraction.profile import (
    AXIAL,
    GAUSS,
    PHASE_PARAMETERS,
    SHARED_PARAMETERS,
    SIZE,
    Batch,
    Grid,
    Instrument,
    batch,
    draw,
    draw_with_slopes,
)
from analysis.diffraction.reflections import Lines, lines_of

GRID = Grid(20.0, 0.03)
POINTS, SLOTS = 1024, 2


@pytest.fixture(scope="module")
def phases() -> list[Lines]:
    return [
        lines_of(
            read_crystal(default_cifs()[formula]), wavelength_ang=1.5406, max_two_theta_deg=55
        )
        for formula in ("ZnO", "CaTiO3")
    ]


def parameters() -> tuple[np.ndarray, np.ndarray]:
    phase = np.zeros((SLOTS, PHASE_PARAMETERS))
    phase[:, :3] = [2e-4, -1e-4, 1e-4]
    phase[:, SIZE:] = [0.05, 0.04, 0.03, 0.2, -0.1]
    return phase, np.array([0.03, 0.04, 0.05, 0.1, 0.01, 0.005])


def joined(phases: list[Lines], *, ghosts: bool = False) -> Batch:
    return batch(phases, [np.array([0.0, 0.0, 1.0])] * len(phases), ghosts=ghosts)


def test_a_line_of_unit_area_stands_where_bragg_says(phases: list[Lines]) -> None:
    """ZnO 100: d = 2.8143 Å, Kα₁ 31.77° (ICDD 36-1451), moved by the displacement."""
    alone = phases[0]
    first = int(np.argmin(np.abs(1 / np.sqrt(alone.inverse_d2) - 2.8143)))
    one = Lines(
        **{name: getattr(alone, name) for name in alone.__slots__}
        | {"intensity": np.eye(len(alone.intensity))[first]}
    )
    instrument = Instrument(ratio=0.0)
    for displacement_mm in (0.0, 0.1):
        shared = np.zeros(SHARED_PARAMETERS)
        shared[:2] = displacement_mm, 0.05
        drawn = np.asarray(
            draw(
                joined([one]),
                np.zeros((SLOTS, PHASE_PARAMETERS)),
                shared,
                instrument,
                GRID,
                slots=SLOTS,
                points=POINTS,
            )
        )[0]
        angle = GRID.start_deg + GRID.step_deg * np.arange(POINTS)
        centre = (angle * drawn).sum() / drawn.sum()
        shift = np.degrees(2 * displacement_mm * np.cos(np.radians(31.77 / 2)) / 145.0)
        assert centre == pytest.approx(31.770 - shift, abs=0.01)
        sin = np.sin(np.radians(31.77 / 2))
        factor = (1 + (1 - 2 * sin**2) ** 2) / (2 * sin**2 * np.sqrt(1 - sin**2))
        # The window cuts some of the Lorentzian tails off.
        assert drawn.sum() * GRID.step_deg == pytest.approx(factor, rel=0.02)


def test_kalpha2_and_monochromator(phases: list[Lines]) -> None:
    phase, shared = parameters()
    arguments = (joined(phases), phase, shared)

    def total(instrument: Instrument) -> np.ndarray:
        drawn = draw(*arguments, instrument, GRID, slots=SLOTS, points=POINTS)
        return np.asarray(drawn)[0]

    plain, double = total(Instrument(ratio=0.0)), total(Instrument(ratio=0.5))
    assert double.sum() / plain.sum() == pytest.approx(1.5, rel=0.01)
    angle = GRID.start_deg + GRID.step_deg * np.arange(POINTS)
    filtered = total(Instrument(ratio=0.0, monochromator_two_theta_deg=26.6))
    p, at = np.cos(np.radians(26.6)) ** 2, int(np.argmax(plain))
    c2 = np.cos(np.radians(angle[at])) ** 2
    assert filtered[at] / plain[at] == pytest.approx(
        (1 + p * c2) / (1 + p) / ((1 + c2) / 2), rel=1e-2
    )


@pytest.mark.parametrize("column", range(PHASE_PARAMETERS + SHARED_PARAMETERS))
def test_slopes_are_finite_differences(phases: list[Lines], column: int) -> None:
    phase, shared = parameters()
    lines, instrument, delta = joined(phases, ghosts=True), Instrument(), 1e-7

    def at(offset: float) -> np.ndarray:
        moved, moved_shared = phase.copy(), shared.copy()
        if column < PHASE_PARAMETERS:
            moved[:, column] += offset
        else:
            moved_shared[column - PHASE_PARAMETERS] += offset
        return np.asarray(
            draw(lines, moved, moved_shared, instrument, GRID, slots=SLOTS, points=POINTS)
        )

    with jax.numpy_dtype_promotion("strict"):
        slopes = draw_with_slopes(
            lines,
            jax.numpy.asarray(phase),
            jax.numpy.asarray(shared),
            instrument,
            GRID,
            slots=SLOTS,
            points=POINTS,
        )
    slopes = np.asarray(slopes)
    numeric = (at(delta) - at(-delta)) / (2 * delta)
    assert slopes[..., 0] == pytest.approx(at(0.0))
    scale = np.abs(numeric).max() + 1e-12
    assert np.abs(slopes[..., 1 + column] - numeric).max() / scale < 2e-3


def test_axial_divergence_moves_low_lines_down_and_keeps_their_area(
    phases: list[Lines],
) -> None:
    """The mean of h² is (S/L + H/L)²/6, so a line moves by that over 2 tan 2θ on average."""
    lines = phases[0]
    one = Lines(
        **{name: getattr(lines, name) for name in lines.__slots__}
        | {"intensity": np.eye(len(lines.intensity))[0]}
    )
    grid, centres, areas = Grid(29.0, 0.02), [], []
    for axial in (0.0, 0.08):
        shared = np.zeros(SHARED_PARAMETERS)
        shared[GAUSS], shared[AXIAL] = 0.1, axial
        instrument = Instrument(ratio=0.0, x_deg=0.0, y_deg=0.0)
        drawn = np.asarray(
            draw(
                joined([one]),
                np.zeros((SLOTS, PHASE_PARAMETERS)),
                shared,
                instrument,
                grid,
                slots=SLOTS,
                points=POINTS,
            )
        )[0]
        angle = grid.start_deg + grid.step_deg * np.arange(POINTS)
        areas.append(drawn.sum())
        centres.append((angle * drawn).sum() / drawn.sum())
    expected = np.degrees(0.08**2 / 6 / (2 * np.tan(np.radians(centres[0]))))
    assert centres[0] - centres[1] == pytest.approx(expected, rel=0.03)
    assert areas[1] == pytest.approx(areas[0], rel=1e-3)


def test_march_dollase_of_plates_follows_its_formula(phases: list[Lines]) -> None:
    """ZnO 002 lies along the axis: its factor is r⁻³; 100 across it: r^(3/2)."""
    lines = phases[0]
    d_ang = 1 / np.sqrt(lines.inverse_d2)
    along, across = (int(np.argmin(np.abs(d_ang - d))) for d in (2.6033, 2.8143))
    for index, power in ((along, -3.0), (across, 1.5)):
        one = Lines(
            **{name: getattr(lines, name) for name in lines.__slots__}
            | {"intensity": np.eye(len(lines.intensity))[index]}
        )
        phase, shared = parameters()
        flat = phase.copy()
        flat[:, -1] = 0.0
        textured, plain = (
            np.asarray(
                draw(joined([one]), p, shared, Instrument(), GRID, slots=SLOTS, points=POINTS)
            )[0].sum()
            for p in (phase, flat)
        )
        assert textured / plain == pytest.approx(np.exp(-0.1) ** power, rel=1e-6)


def test_residual_kbeta_stands_where_its_wavelength_says(phases: list[Lines]) -> None:
    """Cu Kβ, 1.3922 Å: ZnO 101 (d = 2.4759 Å) gives a ghost at 32.66°."""
    phase, shared = parameters()
    phase[:], shared[:] = 0.0, 0.0
    shared[GAUSS] = 0.1
    lines = phases[0]
    strongest = int(np.argmin(np.abs(1 / np.sqrt(lines.inverse_d2) - 2.4759)))
    one = Lines(
        **{name: getattr(lines, name) for name in lines.__slots__}
        | {"intensity": np.eye(len(lines.intensity))[strongest]}
    )

    def drawn(kbeta: float) -> np.ndarray:
        given = shared.copy()
        given[-2] = kbeta
        arguments = (joined([one], ghosts=True), phase, given, Instrument(), GRID)
        return np.asarray(draw(*arguments, slots=SLOTS, points=POINTS))[0]

    ghost = drawn(0.02) - drawn(0.0)
    angle = GRID.start_deg + GRID.step_deg * np.arange(POINTS)
    assert (angle * ghost).sum() / ghost.sum() == pytest.approx(32.66, abs=0.03)
    assert ghost.sum() / drawn(0.0).sum() == pytest.approx(0.02 * 1.26, rel=0.05)


def test_an_automatic_slit_takes_a_sine_off(phases: list[Lines]) -> None:
    """ZnO 100 at 2θ = 31.77°: sin θ = 0.2737."""
    phase, shared = parameters()
    lines = phases[0]
    first = int(np.argmin(np.abs(1 / np.sqrt(lines.inverse_d2) - 2.8143)))
    one = Lines(
        **{name: getattr(lines, name) for name in lines.__slots__}
        | {"intensity": np.eye(len(lines.intensity))[first]}
    )
    automatic, fixed = (
        np.asarray(
            draw(
                joined([one]),
                phase,
                shared,
                Instrument(automatic_slit=automatic),
                GRID,
                slots=SLOTS,
                points=POINTS,
            )
        )[0].sum()
        for automatic in (True, False)
    )
    assert automatic / fixed == pytest.approx(0.2737, rel=1e-3)


def test_ghosts_are_of_a_tube_without_monochromator() -> None:
    assert Instrument().has_ghosts
    assert not Instrument(monochromator_two_theta_deg=26.6).has_ghosts
    assert not Instrument(ratio=0.0).has_ghosts
    assert not Instrument(wavelength_beta_ang=0.0).has_ghosts
