"""Tables of firings that a person keeps."""

from pathlib import Path

import pytest

from alab.errors import BadInput
from alab.models import Atmosphere, Attempt, FiringLimits, Verdict
from planners.optimizer.tried import read_tried

LIMITS = FiringLimits(
    max_temperature_c=1200.0, max_ramp_c_per_min=10.0, atmospheres=(Atmosphere.AIR,)
)


def read(
    folder: Path, text: str, target: str = "BaTiO3", made_from: float = 0.5
) -> list[Attempt]:
    file = folder / "tried.csv"
    file.write_text(text, encoding="utf-8")
    return read_tried(file, target, LIMITS, made_from=made_from)


def test_a_line_becomes_a_firing_with_its_phases(tmp_path: Path) -> None:
    (attempt,) = read(
        tmp_path,
        "sample,precursors,temperature_c,dwell_h,atmosphere,phases\n"
        'A1,BaCO3 + TiO2,900,12,O2,"BaTiO3 62, Ba2TiO4: 20; TiO2 18 %"\n',
    )
    assert attempt.sample == "A1"
    assert attempt.recipe.max_temperature_c == 900
    assert attempt.recipe.profile.segments[-1].dwell_s == 12 * 3600
    assert attempt.recipe.atmosphere is Atmosphere.O2
    assert attempt.recipe.reaction == "BaCO3 + TiO2 → BaTiO3 + CO2"
    assert attempt.outcome is not None
    assert attempt.outcome.target_weight_fraction == pytest.approx(0.62)
    assert attempt.outcome.verdict is Verdict.SUCCESS
    assert [(p.formula, p.weight_fraction) for p in attempt.outcome.phases] == [
        ("BaTiO3", 0.62),
        ("Ba2TiO4", 0.20),
        ("TiO2", 0.18),
    ]


@pytest.mark.parametrize(
    ("percent", "made_from", "verdict"),
    [
        ("49", 0.5, Verdict.PARTIAL),
        ("50", 0.5, Verdict.SUCCESS),
        ("89", 0.9, Verdict.PARTIAL),
        ("0", 0.5, Verdict.FAILED),
    ],
)
def test_the_share_decides(
    tmp_path: Path, percent: str, made_from: float, verdict: Verdict
) -> None:
    text = f'precursors,temperature_C,target_wt_pct\n"BaCO3, TiO2",900,{percent}\n'
    (attempt,) = read(tmp_path, text, made_from=made_from)
    assert attempt.outcome is not None
    assert attempt.outcome.verdict is verdict


def test_what_nobody_measured_and_what_decides_nothing(tmp_path: Path) -> None:
    unmeasured, unclear = read(
        tmp_path,
        "precursors,temperature_c,target_wt_percent,inconclusive\n"
        '"BaCO3, TiO2",900,,\n"BaCO3, TiO2",1000,70,yes\n',
    )
    assert unmeasured.sample == "line 2"
    assert unmeasured.outcome is None
    assert unclear.outcome is not None
    assert unclear.outcome.verdict is Verdict.INCONCLUSIVE


def test_two_powders_of_one_metal_share_it(tmp_path: Path) -> None:
    (attempt,) = read(
        tmp_path, 'precursors,temperature_c,target_wt_percent\n"BaCO3, BaO2, TiO2",900,10\n'
    )
    moles = {p.formula: p.moles for p in attempt.recipe.precursors}
    assert moles == pytest.approx({"BaCO3": 0.5, "BaO2": 0.5, "TiO2": 1.0})


def test_columns_of_ones_own_are_passed_over(tmp_path: Path) -> None:
    (attempt,) = read(
        tmp_path,
        "operator, precursors ,temperature_c,target_wt_percent,pure,value_source,growth\n"
        "Ada,BaCO3+TiO2,900,70,0,log,slow\n",
    )
    assert attempt.outcome is not None
    assert attempt.outcome.target_weight_fraction == pytest.approx(0.7)


def test_a_share_and_phases_may_differ_by_rounding(tmp_path: Path) -> None:
    (attempt,) = read(
        tmp_path,
        "precursors,temperature_c,target_wt_percent,phases\n"
        'BaCO3+TiO2,900,62,"Ba2Ti2O6 64.5, TiO2 35.5"\n',
    )
    assert attempt.outcome is not None
    assert attempt.outcome.target_weight_fraction == pytest.approx(0.62)


def test_a_trace_may_stand_beside_better_firings(tmp_path: Path) -> None:
    attempts = read(
        tmp_path,
        "precursors,temperature_c,target_wt_percent,phases\n"
        'BaCO3+TiO2,900,0.5,\nBaCO3+TiO2,1000,60,\nBaCO3+TiO2,600,,"BaTiO3 0"\n',
    )
    assert [a.outcome and a.outcome.target_weight_fraction for a in attempts] == [0.005, 0.6, 0]


@pytest.mark.parametrize(
    ("heading", "said"),
    [
        ("target wt %", "the column 'target wt %' is not known; known are precursors"),
        ("yield", "'yield' is not known"),
        ("target_wt_percent,Phases", "'Phases' is not known"),
        ("target_wt_percent,dwell_min", "'dwell_min' is not known"),
        ("phases,weight_fractions", "'weight_fractions' is not known"),
        ("phases,temperature_C", "temperature_c and temperature_C are one column"),
        ("phases,phases", "phases and phases are one column"),
        (
            "target_wt_percent,target_wt_pct",
            "target_wt_percent and target_wt_pct are one column, target_wt_percent; keep one",
        ),
        ("operator", "add target_wt_percent or phases"),
    ],
)
def test_a_heading_that_would_be_lost_is_refused(
    tmp_path: Path, heading: str, said: str
) -> None:
    with pytest.raises(BadInput, match=r"tried\.csv, line 1: ") as caught:
        read(tmp_path, f"precursors,temperature_c,{heading}\nBaCO3+TiO2,900,80\n")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            ',"BaTiO3 0.3, BaCO3 0.4, TiO2 0.3"',
            "add up to 1 %, so these seem to be shares of 1",
        ),
        (",BaTiO3 1.0", "so these seem to be shares of 1"),
        (',"BaTiO3 1.2.3"', "write formulas with weight percent"),
        (',"BaTiO3 40, Ba2Ti2O6 30"', "name Ba2Ti2O6 twice"),
        (
            ',"BaTiO3 80, TiO2 40"',
            "add up to 120 %, more than 100; correct the percentages",
        ),
        (
            '90,"BaTiO3 10, TiO2 90"',
            "target_wt_percent is 90, but of phases 'BaTiO3 10, TiO2 90' BaTiO3 is 10 %; "
            "at most 3 may lie between them",
        ),
        ("90,BaCO3 80", "BaTiO3 is 0 %"),
        ("nan,", "target_wt_percent is 'nan'"),
        (",BaTiO3 30, BaCO3 70", "more cells than the heading"),
    ],
)
def test_a_result_that_contradicts_itself_is_refused(
    tmp_path: Path, row: str, said: str
) -> None:
    text = "precursors,temperature_c,target_wt_percent,phases\n\nBaCO3+TiO2,900," + row + "\n"
    with pytest.raises(BadInput, match=r"tried\.csv, line 3: ") as caught:
        read(tmp_path, text)
    assert said in str(caught.value)


def test_a_table_of_shares_is_refused(tmp_path: Path) -> None:
    text = "precursors,temperature_c,target_wt_percent\nBaCO3+TiO2,900,0.3\nBaO+TiO2,900,0.9\n"
    with pytest.raises(BadInput, match=r"nowhere above 0\.9, .* write percent"):
        read(tmp_path, text)


def test_a_gas_is_no_powder(tmp_path: Path) -> None:
    text = "precursors,temperature_c,target_wt_percent\nBaCO3+TiO2+O2,900,30\n"
    with pytest.raises(BadInput, match="line 2: O2 holds nothing but O"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no firing"),
        ("precursors,temperature_c\n", "holds no firing"),
        ('precursors,phases\n"BaCO3, TiO2",\n', "line 2: the column temperature_c is missing"),
        ("precursors,temperature_c,phases\nBaCO3+TiO2,hot\n", "temperature_c is 'hot'"),
        ("precursors,temperature_c,phases\nBaCO3+TiO2,9000\n", "less than or equal to 2000"),
        ("precursors,temperature_c,phases\nBaCO3+Tio2,900\n", "'Tio2' is no chemical formula"),
        ("precursors,temperature_c,phases\nBaCO3+ZrO2,900\n", "bring no Ti for BaTiO3"),
        (
            "precursors,temperature_c,target_wt_percent\nBaCO3+TiO2,900,120\n",
            "target_wt_percent is '120'",
        ),
        (
            "precursors,temperature_c,phases\nBaCO3+TiO2,900,BaTiO3 sixty\n",
            "write formulas with weight percent",
        ),
        (
            "precursors,temperature_c,phases,atmosphere\nBaCO3+TiO2,900,,smoke\n",
            "atmosphere is 'smoke'",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInput, match=r"tried\.csv") as caught:
        read(tmp_path, text)
    assert said in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="give a CSV file"):
        read_tried(tmp_path / "nothing.csv", "BaTiO3", LIMITS)
