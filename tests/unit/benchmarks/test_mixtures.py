"""Simulated mixtures: what is drawn, and that two engines draw the same powder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("xrayutilities")

from analysis.diffraction.library import embedded
from benchmarks.mixture_patterns import STEP_DEG, broadened, pattern_of
from benchmarks.mixtures import (
    HIDDEN_WEIGHT,
    LEAST_CANDIDATES,
    LEAST_WEIGHT,
    MOST_DISPLACEMENT_MM,
    MOST_STRAIN,
    MOST_WEIGHT,
    Mixture,
    draw_mixtures,
)

DRAWN = draw_mixtures(150, seed=5)


def test_everything_drawn_is_within_its_limits() -> None:
    for mixture in DRAWN:
        weights = [phase.weight for phase in mixture.phases]
        assert sum(weights) == pytest.approx(1.0)
        if len(weights) > 1:
            assert LEAST_WEIGHT <= min(weights) <= max(weights) <= MOST_WEIGHT
        assert abs(mixture.displacement_mm) <= MOST_DISPLACEMENT_MM
        assert 0 <= mixture.glass <= 0.4
        for phase in mixture.phases:
            assert abs(phase.strain) <= MOST_STRAIN
            assert 5 <= phase.size_nm <= 300
        if mixture.hidden is not None:
            assert weights[mixture.hidden] >= HIDDEN_WEIGHT


def test_hidden_phases_are_no_candidates_and_the_others_are() -> None:
    assert any(mixture.hidden is not None for mixture in DRAWN)
    for mixture in DRAWN:
        stems = {reference.stem for reference in mixture.candidates()}
        assert {phase.reference.stem for phase in mixture.visible} <= stems
        if mixture.hidden is not None:
            assert mixture.phases[mixture.hidden].reference.stem not in stems
        assert len(stems) >= LEAST_CANDIDATES - 1


def test_every_hazard_occurs() -> None:
    seen = frozenset().union(*(mixture.hazards for mixture in DRAWN))
    assert seen >= {
        "displaced over 0.1 mm", "strained over 1 %", "below 15 nm", "textured", "Kβ", "glass",
        "below 2 wt %", "missing phase", "drawn by rietx", "1 phases", "5 phases",
    }  # fmt: skip


def test_a_seed_draws_the_same_again_and_another_differs() -> None:
    assert draw_mixtures(5, seed=5) == DRAWN[:5]
    assert draw_mixtures(5, seed=6) != DRAWN[:5]


def _alone(stem: str, engine: str, size_nm: float, weight: float = 1.0) -> Mixture:
    reference = next(r for r in embedded() if r.stem == stem)
    model = DRAWN[0]
    grown = replace(
        model.phases[0],
        reference=reference,
        weight=weight,
        size_nm=size_nm,
        strain=0.01,
        microstrain_percent=0.02,
        march=1.0,
    )
    return replace(
        model,
        engine=engine,
        phases=(grown,),
        hidden=None,
        displacement_mm=0.1,
        kbeta=0.0,
        glass=0.0,
        strongest=1e7,
        background=0.0,
    )


def _both(first: str, second: str, engine: str) -> np.ndarray:
    one, other = _alone(first, engine, 40.0, 0.5), _alone(second, engine, 40.0, 0.5)
    pattern = pattern_of(replace(one, phases=(*one.phases, *other.phases)))
    assert not isinstance(pattern, str), pattern
    return pattern.counts


@pytest.mark.parametrize(("first", "second"), [("NiO_225", "Al2O3_167")])
def test_two_engines_weigh_a_mixture_alike(first: str, second: str) -> None:
    one, other = (_both(first, second, engine) for engine in ("xrayutilities", "rietx"))
    assert np.corrcoef(one, other)[0, 1] > 0.99
    assert one.sum() / one.max() == pytest.approx(other.sum() / other.max(), rel=0.15)
    # NiO 200 at 42.8° and corundum 116 at 43.1° overlap; 104 at 34.8° is corundum alone.
    alone = slice(round(24.0 / STEP_DEG), round(25.6 / STEP_DEG))
    assert one[alone].sum() / one.sum() == pytest.approx(
        other[alone].sum() / other.sum(), rel=0.1
    )


def test_small_crystals_widen_lines_as_scherrer_says() -> None:
    axis = np.arange(20.0, 60.0, 0.01)
    sharp = np.exp(-0.5 * ((axis - 40.0) / 0.02) ** 2)
    wide = broadened(axis, sharp, size_nm=10.0)
    width_deg = 0.01 * np.count_nonzero(wide > wide.max() / 2)
    expected_deg = np.degrees(0.9 * 1.5405929 / (100.0 * np.cos(np.radians(20.0))))
    assert width_deg == pytest.approx(expected_deg, rel=0.05)
    assert wide.sum() == pytest.approx(sharp.sum(), rel=0.05)


def test_an_engine_that_fails_says_so_in_words() -> None:
    mixture = _alone("NiO_225", "xrayutilities", 40.0)
    lost = replace(mixture.phases[0].reference, stem="absent", path=Path("absent.cif"))
    broken = replace(mixture, phases=(replace(mixture.phases[0], reference=lost),))
    assert "mixture 0" in str(pattern_of(broken))
