"""Measured patterns of weighed mixtures: identity must be exact, amounts about right.

The data are not part of the project: they are looked for in the folder ALAB_DATA, or in
shared/data beside the repository.
"""

import os
from pathlib import Path

import pytest

from analysis.diffraction.analyze import analyze
from analysis.diffraction.library import same_formula
from analysis.diffraction.pattern import read_pattern

DATA = Path(os.environ.get("ALAB_DATA", Path(__file__).parents[3] / "shared" / "data")) / "xrd"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"measured patterns are not in {DATA}; set ALAB_DATA"
)

# Weighed wt %; TiO2 is anatase with some rutile, and the sum is scored.
MIXTURES = {
    "In2O3_0p5002-MnCO3_0p5000--8min": {"In2O3": 50.0, "MnCO3": 50.0},
    "NiO_0p2030-Li2CO3_0p2999-TiO2_0p5025--2min": {"NiO": 20.2, "Li2CO3": 29.8, "TiO2": 50.0},
    "V2O5_0p2013-La(OH)3_0p5000-ZrO2_0p3001--8min": {
        "V2O5": 20.1,
        "La(OH)3": 49.9,
        "ZrO2": 30.0,
    },
    "TiO2_0p4009-ZnO_0p6010--2min": {"TiO2": 40.0, "ZnO": 60.0},
}
TOLERANCE_WT = 5.0


@pytest.mark.parametrize("name", MIXTURES)
@pytest.mark.parametrize("pool", ["folder", "embedded"])
def test_weighed_in_phases_are_found(name: str, pool: str) -> None:
    truth = MIXTURES[name]
    if pool == "embedded" and "In2O3" in truth:
        pytest.skip("the embedded library has no In2O3: the laboratory has none on its shelf")
    pattern = read_pattern(DATA / "dara_precursor_mixtures" / f"{name}.xrdml")
    folder = DATA / "reference_cifs" if pool == "folder" else None
    elements = {"In2O3": "In", "MnCO3": "Mn", "NiO": "Ni", "Li2CO3": "Li", "TiO2": "Ti"} | {
        "V2O5": "V",
        "La(OH)3": "La",
        "ZrO2": "Zr",
        "ZnO": "Zn",
    }
    found = analyze(pattern, elements=[elements[formula] for formula in truth], sources=folder)
    for phase in found.outcome.phases:
        assert any(same_formula(phase.formula, formula) for formula in truth), phase
    for formula, weight in truth.items():
        share = sum(
            phase.weight_fraction
            for phase in found.outcome.phases
            if same_formula(phase.formula, formula)
        )
        assert 100 * share == pytest.approx(weight, abs=TOLERANCE_WT), formula


def test_a_phase_without_reference_leaves_unknown_peaks() -> None:
    pattern = read_pattern(
        DATA / "dara_precursor_mixtures" / "In2O3_0p5002-MnCO3_0p5000--8min.xrdml"
    )
    outcome = analyze(pattern, elements=["Mn", "In"]).outcome
    assert outcome.verdict.value == "inconclusive"
    assert outcome.unexplained_fraction > 0.25


def test_every_diffractometer_file_is_read_or_refused_in_words() -> None:
    from alab.errors import BadInput

    read, refused = 0, []
    for path in sorted((DATA / "formats").iterdir()):
        try:
            read_pattern(path)
            read += 1
        except BadInput as error:
            refused.append(str(error))
    assert read >= 17
    assert all(len(message) > 30 for message in refused)
