"""Refinement of patterns that rietx drew, and the parts of the search around it."""

import numpy as np
import pytest

from analysis.diffraction.crystal import read_crystal
from analysis.diffraction.library import default_cifs
from analysis.diffraction.measured import POINTS, Measured, baseline, prepare
from analysis.diffraction.pattern import Pattern
from analysis.diffraction.profile import (
    EXTRA_B,
    KBETA,
    LOG_MARCH,
    PHASE_PARAMETERS,
    ROUGHNESS,
    SHARED_PARAMETERS,
    Grid,
    Instrument,
    batch,
    draw,
)
from analysis.diffraction.proof import proven
from analysis.diffraction.refine import (
    SLOTS,
    Fit,
    parameter_esds,
    refine,
    start,
    tolerant,
    with_phase,
)
from analysis.diffraction.reflections import Lines, lines_of_many
from analysis.diffraction.screen import STRAINS_TRIED, Screen
from analysis.diffraction.search import search
from analysis.diffraction.texture import axes_of, oriented

FORMULAS = ("ZnO", "TiO2", "NiO", "Fe3O4")
STEP_DEG, START_DEG, COUNT = 0.03, 18.0, 2400


@pytest.fixture(scope="module")
def lines() -> list[Lines]:
    crystals = [read_crystal(default_cifs()[formula]) for formula in FORMULAS]
    return lines_of_many(crystals, wavelength_ang=1.5405929, max_two_theta_deg=95.0)


def drawn(
    lines: list[Lines],
    amounts: dict[int, float],
    *,
    shared: dict[int, float] | None = None,
    phase: dict[int, float] | None = None,
    axis: tuple[float, float, float] = (0.0, 0.0, 1.0),
    bump_deg: float | None = None,
) -> Measured:
    """A pattern with noise. Only what refinement must undo is asked of it here; that the
    profile itself is right is tested against other engines in test_analyze."""
    phases = np.zeros((SLOTS, PHASE_PARAMETERS))
    phases[:, 6:9] = 0.03
    for k, value in (phase or {}).items():
        phases[:, k] = value
    common = np.zeros(SHARED_PARAMETERS)
    common[1:3] = 0.03, 0.06
    for k, value in (shared or {}).items():
        common[k] = value
    profile = np.asarray(
        draw(
            batch(lines, [np.array(axis)] * len(lines), ghosts=True),
            phases,
            common,
            Instrument(),
            Grid(START_DEG, STEP_DEG),
            slots=SLOTS,
            points=COUNT,
        )
    )
    net = np.sum([share * profile[i] for i, share in amounts.items()], axis=0)
    angle = START_DEG + STEP_DEG * np.arange(COUNT)
    expected = 8000 * net / net.max() + 100 + 2000 / angle
    if bump_deg is not None:
        expected += 3000 * np.exp(-(((angle - bump_deg) / 0.08) ** 2))
    counts = np.random.default_rng(3).poisson(expected).astype(float)
    pattern = Pattern(two_theta_deg=angle, counts=counts, esd=np.sqrt(np.maximum(counts, 1)))
    return prepare(pattern, Instrument())


def fitted(measured: Measured, lines: list[Lines]) -> Fit:
    return refine(measured, start(measured, lines), 40)


def test_roughness_and_residual_lines_are_told_from_the_pattern(lines: list[Lines]) -> None:
    measured = drawn(lines, {0: 0.5, 1: 0.5}, shared={ROUGHNESS: 0.1, KBETA: 0.01})
    fit = fitted(measured, lines[:2])
    esds = parameter_esds(fit)[1]
    assert fit.shared[ROUGHNESS] == pytest.approx(0.1, abs=4 * esds[ROUGHNESS] + 0.01)
    assert fit.shared[KBETA] == pytest.approx(0.01, abs=4 * esds[KBETA] + 0.001)
    assert fit.amounts / fit.amounts.sum() == pytest.approx([0.5, 0.5], abs=0.015)


def test_texture_finds_its_axis(lines: list[Lines]) -> None:
    measured = drawn(lines, {0: 1.0}, phase={LOG_MARCH: -0.35}, axis=(1.0, 0.0, 0.0))
    fit = oriented(measured, fitted(measured, lines[:1]))
    fit = refine(measured, fit, 40)
    assert fit.axes[0].tolist() in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    assert fit.phases[0, LOG_MARCH] == pytest.approx(-0.35, abs=0.05)


def test_equivalent_axes_are_tried_once(lines: list[Lines]) -> None:
    assert len(axes_of(lines[FORMULAS.index("NiO")])) == 3  # 100, 110, 111 of a cube


def test_an_unusual_value_is_believed_when_the_pattern_insists(lines: list[Lines]) -> None:
    measured = drawn(lines, {2: 1.0}, phase={EXTRA_B: 1.8})
    assert fitted(measured, lines[2:3]).phases[0, EXTRA_B] == pytest.approx(1.8, abs=0.15)


def test_a_phase_that_is_not_there_has_no_lines_of_its_own(lines: list[Lines]) -> None:
    measured = drawn(lines, {0: 0.9, 1: 0.1})
    fit = fitted(measured, lines[:2])
    assert proven(measured, fit, 0)
    assert proven(measured, fit, 1)
    more = refine(measured, with_phase(measured, fit, lines[3]), 10)
    assert not proven(measured, more, 2)


def test_peaks_of_an_unknown_phase_lose_their_weight(lines: list[Lines]) -> None:
    measured = drawn(lines, {0: 1.0}, bump_deg=45.0)
    fit = fitted(measured, lines[:1])
    held, share = tolerant(measured, fit)
    at = round((45.0 - measured.grid.start_deg) / measured.grid.step_deg)
    assert 0.0 < share < 0.02
    assert held.weights[at] < 0.1 * measured.weights[at]
    away = at + 200
    assert held.weights[away] == measured.weights[away]


def test_the_screen_tells_strain_and_what_pays(lines: list[Lines]) -> None:
    measured = drawn(lines, {0: 1.0}, phase={0: 0.009})
    screen = Screen(measured, lines)
    empty = start(measured, [])
    displacement_mm, _ = screen.share_out(empty)
    screen.place(displacement_mm)
    gains = screen.gains(empty)
    assert int(np.argmax(gains.chi2)) == 0
    step = np.diff(STRAINS_TRIED).min()
    assert gains.strain[0] == pytest.approx(0.009, abs=2 * step)


def test_a_search_finds_three_of_four_and_is_sure(lines: list[Lines]) -> None:
    measured = drawn(lines, {0: 0.3, 1: 0.3, 2: 0.4})
    found = search(measured, lines)
    assert sorted(found.members) == [0, 1, 2]
    assert min(found.probabilities[:3]) > 0.99


def test_a_prior_decides_between_what_looks_alike(lines: list[Lines]) -> None:
    twice = [*lines, lines[2]]

    def against(members: object, amounts: object) -> float:
        return 15.0 if 2 in set(members) else 0.0  # type: ignore[call-overload]

    measured = drawn(lines, {2: 1.0})
    assert search(measured, twice, prior=against).members == (4,)


def test_long_patterns_are_summed_without_losing_counts() -> None:
    angle = np.arange(10.0, 100.0, 0.01)
    counts = np.random.default_rng(0).poisson(50, len(angle)).astype(float)
    pattern = Pattern(two_theta_deg=angle, counts=counts, esd=np.sqrt(np.maximum(counts, 1)))
    measured = prepare(pattern, Instrument())
    assert measured.used == POINTS
    assert measured.counts.sum() == pytest.approx(counts.sum())
    assert measured.two_theta_deg[[0, -1]] == pytest.approx([10.0, 99.99], abs=0.02)


def test_a_baseline_runs_under_peaks() -> None:
    x = np.arange(1000.0)
    smooth = 200 + 0.1 * x
    peak = 5000 * np.exp(-(((x - 500) / 8) ** 2))
    assert np.abs(baseline(smooth + peak, 60) - smooth).max() < 25
