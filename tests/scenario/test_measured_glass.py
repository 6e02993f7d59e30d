"""No glass is suspected in measured mixtures of crystals, and it is where a hump is added."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.diffraction.analyze import quantify
from analysis.diffraction.pattern import Pattern, read_pattern
from analysis.diffraction.result import Analysis

DATA = Path(os.environ.get("ALAB_DATA", Path(__file__).parents[3] / "shared" / "data")) / "xrd"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"measured patterns are not in {DATA}; set ALAB_DATA"
)


def weighed() -> list[dict]:
    if not DATA.is_dir():
        return []
    table = json.loads((DATA / "truth.json").read_text())
    return [row for row in table if row["tier"] == "A_weighed" and "2min" not in row["file"]]


def quantified(row: dict, pattern: Pattern) -> Analysis:
    cifs = {DATA / phase["cif"] for phase in row["phases"]}
    if any(phase["formula"] == "TiO2" for phase in row["phases"]):
        cifs.add(DATA / "reference_cifs" / "TiO2-rutile_136.cif")
    return quantify(pattern, sorted(cifs))


@pytest.mark.parametrize("row", weighed(), ids=lambda row: row["id"])
def test_crystals_are_not_called_glass(row: dict) -> None:
    pattern = read_pattern(DATA / row["file"])
    found = quantified(row, pattern)
    assert not found.outcome.amorphous_suspected
    net = np.sum(found.calculated - found.background)
    # As much glass as half of the crystals: a third of the net counts.
    angle = pattern.two_theta_deg
    hump = np.exp(-0.5 * ((angle - 27.0) / 3.6) ** 2)
    added = 0.5 * net * hump / hump.sum()
    counts = pattern.counts + np.random.default_rng(1).poisson(added)
    glassy = replace(pattern, counts=counts, esd=np.sqrt(pattern.esd**2 + added))
    outcome = quantified(row, glassy).outcome
    assert outcome.amorphous_suspected
    assert "broad hump at 2" in " ".join(outcome.reasons)
