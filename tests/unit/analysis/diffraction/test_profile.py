import jax
import numpy as np
import pytest

from analysis.diffraction.crystal import read_crystal
from analysis.diffraction.library import default_cifs
from analysis.diffraction.profile import (
    GLOBAL_PARAMETERS,
    PHASE_PARAMETERS,
    SIZE,
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
    phase[:, SIZE : SIZE + 3] = [0.05, 0.04, 0.2]
    return phase, np.array([0.03, 0.04])


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
        drawn = np.asarray(
            draw(
                batch([one]),
                np.zeros((SLOTS, PHASE_PARAMETERS)),
                np.array([displacement_mm, 0.05]),
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
    arguments = (batch(phases), phase, shared)

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


@pytest.mark.parametrize("column", range(PHASE_PARAMETERS + GLOBAL_PARAMETERS))
def test_slopes_are_finite_differences(phases: list[Lines], column: int) -> None:
    phase, shared = parameters()
    lines, instrument, delta = batch(phases), Instrument(), 1e-7

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
