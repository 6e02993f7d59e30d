"""``alab calibrate``: what it writes, and what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.diffraction.instrument import read_instrument

A_ANG = 5.431144
HEIGHTS = {3: 100, 8: 60, 11: 35, 16: 8, 19: 13, 24: 17, 27: 9, 32: 5, 35: 9}
"""h² + k² + l² of silicon, with heights about right."""


@pytest.fixture
def silicon(tmp_path: Path) -> Path:
    """A scan of silicon, 25 to 116°, lines 0.08° wide."""
    angle = np.arange(25.0, 116.0, 0.02)
    counts = np.full(len(angle), 100.0)
    for square, height in HEIGHTS.items():
        for wavelength, share in ((1.5405929, 1.0), (1.5444274, 0.5)):
            place = np.degrees(2 * np.arcsin(wavelength * np.sqrt(square) / (2 * A_ANG)))
            counts += (
                100 * height * share * np.exp(-4 * np.log(2) * ((angle - place) / 0.08) ** 2)
            )
    counts = np.random.default_rng(1).poisson(counts)
    rows = (f"{a:.2f} {c}" for a, c in zip(angle, counts, strict=True))
    path = tmp_path / "si.xy"
    path.write_text("1.5405929\n" + "\n".join(rows))
    return path


def test_it_writes_an_instrument_file(shell: Any, silicon: Path, tmp_path: Path) -> None:
    out = tmp_path / "aeris.toml"
    words = ("calibrate", silicon, "--phase", "Si", "--radius", "145", "--out", out)
    ended = shell(*words, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.json["instrument"]["name"] == "aeris"
    assert len(ended.json["lines"]) == len(HEIGHTS)
    assert ended.json["lines"][0]["fwhm_deg"] == pytest.approx(0.08, abs=0.012)
    assert ended.json["lines"][0]["hkl"] == [1, 1, 1]
    written = read_instrument(out)
    assert written.goniometer.radius_mm == 145
    assert written.goniometer.zero_deg == pytest.approx(0.0, abs=0.005)

    again = shell(*words)
    assert again.code == 2
    assert "there already" in again.err
    table = shell(*words, "--yes")
    assert table.code == 0
    assert "R_wp" in table.out
    assert "FWHM" in table.out
    assert "1 1 1" in table.out
    assert f"Wrote {out}" in table.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "--phase LaB6"),
        (("--phase", "granite"), "granite"),
        (("--phase", "Si", "--cif", "x.cif"), "--phase LaB6"),
        (("--phase", "LaB6"), "is not a pattern of SRM 660c"),
        (("--cif", "none.cif"), "none.cif"),
    ],
)
def test_it_refuses_bad_input(
    shell: Any, silicon: Path, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    ended = shell("calibrate", silicon, *words)
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err
    assert not (tmp_path / "instrument.toml").exists()
