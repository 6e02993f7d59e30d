"""An analysis as JSON: all of it, and the same again."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from alab.models import Outcome, PhaseAmount, Verdict
from analysis.diffraction.result import Analysis, Contribution, Parameter, Site

POINTS = 3072
RNG = np.random.default_rng(5)
ANGLE = 10.013 + 0.0292968 * np.arange(POINTS)


def curve() -> np.ndarray:
    return RNG.gamma(2.0, 800.0, POINTS)


ANALYSIS = Analysis(
    outcome=Outcome(
        verdict=Verdict.PARTIAL,
        target_weight_fraction=1 / 3,
        target_weight_fraction_esd=0.0123456789,
        phases=(
            PhaseAmount(
                formula="BaTiO3",
                reference="BaTiO3_99",
                space_group="P4mm",
                weight_fraction=1.0,
                weight_fraction_esd=0.017,
                interval90=(0.97, 1.0),
                probability=0.98765,
            ),
        ),
        r_wp_percent=7.1234567,
        unexplained_fraction=0.031,
        competing=("one explains as much as another",),
        reasons=("because",),
    ),
    two_theta_deg=ANGLE,
    observed=curve(),
    calculated=curve(),
    background=curve(),
    contributions=(
        Contribution(
            reference="BaTiO3_99",
            formula="BaTiO3",
            counts=curve(),
            ticks_deg=(22.039, 31.496),
            cell=(3.99461, 3.99461, 4.03346, 90.0, 90.0, 90.0),
            strain_percent=0.01,
            size_nm=None,
            density_g_per_cm3=6.0129,
            parameters=(Parameter(name="amount", value=0.1 + 0.2, esd=1e-5, unit="mass"),),
            cell_esds=(0.00031, 0.00031, 0.00052, 0.0, 0.0, 0.0),
            space_group="P 4 m m",
            number=99,
            operations=("x,y,z", "-x,-y,z"),
            sites=(
                Site(
                    label="Ba1",
                    element="Ba",
                    position=(0.0, 0.0, 0.0),
                    multiplicity=1,
                    occupancy=1.0,
                    b_iso_ang2=0.41,
                ),
            ),
        ),
    ),
    displacement_mm=-0.0245,
    sample="S1",
    origin="scan.xrdml",
    candidates=17,
    parameters=(Parameter(name="zero", value=0.0, esd=0.0, unit="deg"),),
    unexplained_two_theta_deg=(28.42, 31.67),
    traces=("BaCO3 (Pmcn), 0.8 wt %",),
)
CURVES = ("two_theta_deg", "observed", "calculated", "background")


def scalars(analysis: Analysis) -> dict[str, object]:
    """All but the curves."""
    table = asdict(analysis)
    for name in CURVES:
        del table[name]
    for part in table["contributions"]:
        del part["counts"]
    return table


def test_everything_comes_back_from_json() -> None:
    text = ANALYSIS.to_json()
    again = Analysis.from_json(text)
    assert scalars(again) == scalars(ANALYSIS)
    assert again.two_theta_deg == pytest.approx(ANGLE, abs=3e-6)
    for name in CURVES[1:]:
        assert np.max(np.abs(getattr(again, name) - getattr(ANALYSIS, name))) <= 0.0501
    assert again.to_json() == text


def test_what_was_read_is_written_alike_over_and_over() -> None:
    text = ANALYSIS.to_json()
    for start_deg in (5.0000004, 9.9999997, 20.1 + 1e-7):
        moved = replace(ANALYSIS, two_theta_deg=start_deg + 90 / 7 / 3071 * np.arange(POINTS))
        text = moved.to_json()
        once = Analysis.from_json(text)
        assert once.to_json() == text
        assert np.array_equal(
            Analysis.from_json(once.to_json()).two_theta_deg, once.two_theta_deg
        )


def test_every_parameter_has_a_value_an_esd_and_a_unit() -> None:
    table = json.loads(ANALYSIS.to_json())
    for parameter in [*table["parameters"], *table["contributions"][0]["parameters"]]:
        assert set(parameter) == {"name", "value", "esd", "unit"}
    assert len(table["contributions"][0]["cell_esds"]) == 6
    assert table["outcome"]["phases"][0]["interval90"] == [0.97, 1.0]
    assert table["outcome"]["phases"][0]["probability"] == 0.98765
    assert table["traces"] == ["BaCO3 (Pmcn), 0.8 wt %"]


def test_an_analysis_kept_before_there_were_atoms_is_read() -> None:
    table = json.loads(ANALYSIS.to_json())
    for key in ("parameters", "unexplained_two_theta_deg", "traces"):
        del table[key]
    for key in ("parameters", "cell_esds", "space_group", "number", "operations", "sites"):
        del table["contributions"][0][key]
    old = Analysis.from_json(json.dumps(table))
    assert old.contributions[0].sites == ()
    assert old.traces == ()
    assert old.outcome == ANALYSIS.outcome
