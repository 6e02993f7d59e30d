"""Calibrated spreads."""

import numpy as np
import pytest

from alab.errors import BadInput
from planners.stability.models.calibration import SHARES, coverage, factors
from planners.stability.models.prediction import Prediction


def said(count: int, seed: int) -> tuple[Prediction, np.ndarray]:
    """Members that lie four times closer to each other than to the truth."""
    draw = np.random.default_rng(seed)
    width = draw.uniform(0.01, 0.1, count)
    truth = draw.normal(-2, 1, count)
    shared = truth + 4 * width * draw.normal(size=count)
    members = shared + width * draw.normal(size=(10, count))
    return Prediction(members_ev_per_atom=members), truth


def test_half_of_new_errors_lie_within_half_the_calibrated_range() -> None:
    learnt = factors(*said(4000, 0))
    prediction, truth = said(4000, 1)
    for share in SHARES:
        assert coverage(prediction, truth, learnt[share]) == pytest.approx(share, abs=0.03)
    calibrated = Prediction(
        members_ev_per_atom=prediction.members_ev_per_atom, interquartile_scale=learnt[0.5]
    )
    errors = np.abs(calibrated.median_ev_per_atom - truth)
    inside = errors <= 0.5 * calibrated.interquartile_ev_per_atom
    assert inside.mean() == pytest.approx(0.5, abs=0.03)


def test_without_calibration_the_range_is_too_narrow() -> None:
    prediction, truth = said(4000, 2)
    assert coverage(prediction, truth, 1.0) < 0.3


def test_members_that_agree_exactly_do_not_divide_by_zero() -> None:
    flat = Prediction(members_ev_per_atom=np.zeros((10, 30)))
    assert all(np.isfinite(list(factors(flat, np.full(30, 0.1)).values())))


def test_too_few_compounds_are_refused() -> None:
    with pytest.raises(BadInput, match="19 compounds"):
        factors(*said(19, 0))
