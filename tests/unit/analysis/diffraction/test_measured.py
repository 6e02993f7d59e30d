"""A pattern as the refinement takes it: its axis, its gaps."""

import numpy as np
import pytest

from analysis.diffraction.measured import POINTS, gaps_deg, prepare
from analysis.diffraction.pattern import Pattern
from analysis.diffraction.profile import Instrument
from analysis.diffraction.refine import r_wp_percent
from analysis.diffraction.residue import misfit, signal, unexplained


def pattern(angle: np.ndarray, level: float = 100.0) -> Pattern:
    counts = np.random.default_rng(0).poisson(level, len(angle)).astype(float)
    return Pattern(two_theta_deg=angle, counts=counts, esd=np.sqrt(np.maximum(counts, 1)))


@pytest.mark.parametrize("step_deg", [0.03, 0.01])
def test_a_gap_has_no_weight_and_leaves_the_step(step_deg: float) -> None:
    angle = np.arange(20.0, 80.0, step_deg)
    outside = (angle < 40.0) | (angle > 50.0)
    whole = prepare(pattern(angle), Instrument())
    cut = prepare(pattern(angle[outside]), Instrument())
    assert cut.grid == pytest.approx(whole.grid, abs=1e-6)
    assert cut.used == whole.used <= POINTS
    hidden = (cut.two_theta_deg > 40.05) & (cut.two_theta_deg < 49.95)
    assert np.all(cut.weights[: cut.used][hidden] == 0)
    assert not np.isin(np.flatnonzero(hidden), cut.seen).any()
    assert len(cut.seen) == pytest.approx(cut.used * 5 / 6, abs=4)
    assert len(whole.seen) == whole.used


def test_what_lies_in_a_gap_says_nothing() -> None:
    angle = np.arange(20.0, 80.0, 0.03)
    cut = prepare(pattern(angle[(angle < 40.0) | (angle > 50.0)]), Instrument())
    flat = np.full(cut.used, 100.0)
    peak = 5000 * np.exp(-(((cut.two_theta_deg - 45.0) / 0.1) ** 2))
    assert r_wp_percent(cut, flat + peak) == r_wp_percent(cut, flat)
    assert misfit(cut, flat + peak, flat) < 0.1
    assert unexplained(cut, flat + peak, flat)[0] < 0.01
    assert signal(cut) < 5


def test_gaps_are_named_and_uneven_steps_are_none() -> None:
    angle = np.concatenate([np.arange(20, 30, 0.02), np.arange(35, 40, 0.02)])
    assert gaps_deg(angle) == [pytest.approx((29.98, 35.0))]
    assert gaps_deg(np.cumsum(np.linspace(0.02, 0.04, 500))) == []
