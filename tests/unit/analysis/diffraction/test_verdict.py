import pytest

from alab.models import PhaseAmount, Verdict
from analysis.diffraction.glass import Hump
from analysis.diffraction.verdict import Evidence, judge

HUMP = Hump(two_theta_deg=26.0, fwhm_deg=8.0, share=0.2, sigmas=20.0)


def phase(formula: str, fraction: float) -> PhaseAmount:
    return PhaseAmount(
        formula=formula,
        reference=f"{formula}_1",
        space_group="P1",
        weight_fraction=fraction,
        weight_fraction_esd=0.03,
    )


def evidence(**changes) -> Evidence:
    usual = {
        "phases": (phase("BaTiO3", 0.7), phase("BaCO3", 0.3)),
        "r_wp_percent": 5.0,
        "misfit": 0.1,
        "unexplained_fraction": 0.0,
        "unexplained_two_theta_deg": (),
        "signal": 100.0,
        "target_known": True,
    }
    return Evidence(**(usual | changes))


@pytest.mark.parametrize(
    ("changes", "verdict", "said"),
    [
        ({}, Verdict.SUCCESS, "70.0 ± 3.0 wt %"),
        ({"phases": (phase("BaCO3", 0.6), phase("TiBaO3", 0.4))}, Verdict.PARTIAL, "below 50"),
        ({"phases": (phase("BaCO3", 1.0),)}, Verdict.FAILED, "is not in the pattern"),
        ({"phases": ()}, Verdict.INCONCLUSIVE, "No reference structure"),
        ({"signal": 2.0}, Verdict.INCONCLUSIVE, "no peak"),
        ({"unexplained_fraction": 0.4}, Verdict.INCONCLUSIVE, "40 %"),
        ({"misfit": 0.6}, Verdict.INCONCLUSIVE, "60 %"),
        ({"target_known": False}, Verdict.INCONCLUSIVE, "add its CIF"),
        ({"target_rivals": ("X explains it too.",)}, Verdict.INCONCLUSIVE, "X explains it too"),
    ],
)
def test_verdicts(changes: dict, verdict: Verdict, said: str) -> None:
    outcome = judge(evidence(**changes), "BaTiO3")
    assert outcome.verdict is verdict
    assert said in " ".join(outcome.reasons)


def test_polymorphs_of_the_target_count_together() -> None:
    outcome = judge(evidence(phases=(phase("TiO2", 0.4), phase("TiO2", 0.3))), "TiO2")
    assert outcome.target_weight_fraction == pytest.approx(0.7)
    assert outcome.verdict is Verdict.SUCCESS


def test_remarks_follow_the_verdict() -> None:
    outcome = judge(
        evidence(
            unexplained_fraction=0.1,
            unexplained_two_theta_deg=(27.4, 41.2),
            hump=HUMP,
        ),
        "BaTiO3",
    )
    assert outcome.verdict is Verdict.SUCCESS
    assert "27.40°, 41.20°" in " ".join(outcome.reasons)
    assert "crystalline part only" in " ".join(outcome.reasons)
