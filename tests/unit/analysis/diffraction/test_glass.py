import numpy as np
import pytest

from alab.errors import BadInput
from alab.models import PhaseAmount
from analysis.diffraction.analyze import instrument_of
from analysis.diffraction.glass import (
    NO_HUMP,
    Hump,
    Spike,
    hump_of,
    on_absolute_scale,
    spike_of,
)
from analysis.diffraction.measured import prepare
from analysis.diffraction.pattern import Pattern

ANGLE = np.arange(10.0, 95.0, 0.03)


def hump_under_lines(glass: float, place_deg: float, seed: int, air: float = 2.5) -> Hump:
    """The hump found where a share of the net counts is glass, the lines being known."""
    rng = np.random.default_rng(seed)
    lines = np.zeros(len(ANGLE))
    for centre in np.sort(rng.uniform(22.0, 90.0, 30)):
        height = 4000.0 * rng.random() ** 2
        lines += height / (1 + ((ANGLE - centre) / 0.06) ** 2)
    smooth = 250.0 * (1.2 - 0.004 * ANGLE + air * np.exp(-(ANGLE - 10.0) / 8.0))
    hump = np.exp(-0.5 * ((ANGLE - place_deg) / 3.8) ** 2)
    added = lines.sum() * glass / (1 - glass) * hump / hump.sum()
    counts = rng.poisson(lines + smooth + added).astype(float)
    pattern = Pattern(two_theta_deg=ANGLE, counts=counts, esd=np.sqrt(np.maximum(counts, 1.0)))
    measured = prepare(pattern, instrument_of(pattern))
    assert measured.used == len(ANGLE)
    # A refinement knows the lines; where the rest belongs is the question.
    return hump_of(measured, lines + smooth, smooth)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("air", [0.0, 2.5, 8.0])
def test_no_glass_where_there_is_none(seed: int, air: float) -> None:
    found = hump_under_lines(0.0, 26.0, seed, air)
    assert not found.suspected
    assert found.share < 0.05


@pytest.mark.parametrize("place_deg", [22.0, 26.0, 31.0])
@pytest.mark.parametrize("glass", [0.2, 0.4])
def test_a_hump_is_found_in_place_and_size(place_deg: float, glass: float) -> None:
    found = hump_under_lines(glass, place_deg, seed=11)
    assert found.suspected
    assert found.two_theta_deg == pytest.approx(place_deg, abs=2.0)
    assert found.share == pytest.approx(glass, rel=0.35)


def test_too_short_a_pattern_has_no_hump() -> None:
    angle = np.arange(30.0, 40.0, 0.02)
    pattern = Pattern(
        two_theta_deg=angle, counts=np.full(len(angle), 100.0), esd=np.full(len(angle), 10.0)
    )
    measured = prepare(pattern, instrument_of(pattern))
    flat = np.full(measured.used, 100.0)
    assert hump_of(measured, flat, flat) == NO_HUMP


def phase(formula: str, fraction: float, esd: float = 0.01) -> PhaseAmount:
    return PhaseAmount(
        formula=formula,
        reference=formula,
        space_group="P1",
        weight_fraction=fraction,
        weight_fraction_esd=esd,
    )


def test_glass_by_an_internal_standard() -> None:
    """20 % corundum in a sample of 30 % glass, 42 % A, 28 % B: 0.2 / 0.76 of the crystals."""
    found = on_absolute_scale(
        [
            phase("BaTiO3", 0.336 / 0.76),
            phase("TiO2", 0.224 / 0.76),
            phase("Al2O3", 0.2 / 0.76),
        ],
        Spike(formula="Al2O3", share=0.2),
    )
    assert found is not None
    assert found.amorphous == pytest.approx(0.3)
    assert [p.formula for p in found.phases] == ["BaTiO3", "TiO2"]
    assert [p.weight_fraction for p in found.phases] == pytest.approx([0.42, 0.28])
    # dW/dw' = w_s / (w'² (1 − w_s)), w' = 0.263
    assert found.amorphous_esd == pytest.approx(0.2 / 0.8 / (0.2 / 0.76) ** 2 * 0.01)
    assert found.consistent
    total = found.amorphous + sum(p.weight_fraction for p in found.phases)
    assert total == pytest.approx(1.0)


def test_less_standard_than_was_weighed_in_is_not_clipped() -> None:
    found = on_absolute_scale(
        [phase("BaTiO3", 0.85), phase("Al2O3", 0.15)], Spike(formula="Al2O3", share=0.2)
    )
    assert found is not None
    assert found.amorphous == pytest.approx((1 - 0.2 / 0.15) / 0.8)
    assert not found.consistent
    assert found.phases[0].weight_fraction > 1


def test_an_interval_is_never_upside_down() -> None:
    """Where the standard contradicts the amounts, a whole interval may lie above 1."""
    found = on_absolute_scale(
        [phase("BaTiO3", 0.5), phase("Al2O3", 0.5)], Spike(formula="Al2O3", share=0.9)
    )
    assert found is not None
    assert found.phases[0].weight_fraction == pytest.approx(9.0)
    assert found.phases[0].interval90 == (1.0, 1.0)


def test_a_standard_that_was_not_found() -> None:
    assert on_absolute_scale([phase("BaTiO3", 1.0)], Spike(formula="Al2O3", share=0.2)) is None


def test_a_standard_is_read_or_refused() -> None:
    assert spike_of("Al2O3:0.10") == Spike(formula="Al2O3", share=0.1)
    for text in ("Al2O3", "Al2O3:10", "Al2O3:1.0", "Al2O3:0.0", "Al2O3:-0.1", "Al2O3:ten"):
        with pytest.raises(BadInput, match=r"write it like Al2O3:0\.10"):
            spike_of(text)
    with pytest.raises(BadInput, match="no chemical formula"):
        spike_of("?!:0.1")
