import numpy as np
import pytest

from analysis.diffraction.analyze import instrument_of
from analysis.diffraction.measured import Measured, prepare
from analysis.diffraction.pattern import Pattern
from analysis.diffraction.residue import misfit, signal, unexplained

ANGLE = np.arange(15.0, 75.0, 0.03)


def peak(centre: float, height: float) -> np.ndarray:
    return height / (1 + ((ANGLE - centre) / 0.06) ** 2)


def counted(expected: np.ndarray, seed: int = 1) -> Measured:
    counts = np.random.default_rng(seed).poisson(expected).astype(float)
    pattern = Pattern(two_theta_deg=ANGLE, counts=counts, esd=np.sqrt(np.maximum(counts, 1.0)))
    return prepare(pattern, instrument_of(pattern))


FLAT = np.full(len(ANGLE), 100.0)


@pytest.mark.parametrize("height", [60.0, 300.0, 10_000.0])
def test_noise_alone_is_no_misfit(height: float) -> None:
    model = FLAT + peak(30.0, height) + peak(45.0, height / 2)
    assert misfit(counted(model), model, FLAT) < 0.1


def test_a_missing_half_is_a_misfit_of_its_size() -> None:
    """Two like peaks, one of them missed: half of the squared net counts, √½ = 0.71."""
    whole = FLAT + peak(30.0, 5000.0) + peak(45.0, 5000.0)
    assert misfit(counted(whole), FLAT + peak(30.0, 5000.0), FLAT) == pytest.approx(
        0.71, abs=0.02
    )


def test_unknown_peaks_are_placed_and_measured() -> None:
    known = FLAT + peak(30.0, 5000.0)
    share, places = unexplained(counted(known + peak(45.0, 1500.0)), known, FLAT)
    assert share == pytest.approx(1500 / 6500, abs=0.08)
    assert places[0] == pytest.approx(45.0, abs=0.1)
    share, places = unexplained(counted(known), known, FLAT)
    assert share < 0.01


def test_signal_tells_a_peak_from_noise() -> None:
    assert signal(counted(FLAT)) < 5
    assert signal(counted(FLAT + peak(30.0, 300.0))) > 10
