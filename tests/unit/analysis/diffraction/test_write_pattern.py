from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from alab.errors import BadInput
from analysis.diffraction.pattern import Pattern, read_pattern
from analysis.diffraction.write_pattern import write_xrdml, write_xy

ANGLE = np.linspace(10.0093, 39.9942, 1501)
COUNTS = np.random.default_rng(4).poisson(50 + 3000 * np.exp(-(((ANGLE - 25) / 0.1) ** 2)))
PATTERN = Pattern(
    two_theta_deg=ANGLE,
    counts=COUNTS.astype(float),
    esd=np.sqrt(np.maximum(COUNTS, 1.0)),
    wavelength_ang=1.788996,
    wavelength_stated=True,
    counting_time_s=12.5,
    sample="BaTiO3 <7> & co",
    radius_mm=145.0,
    wavelength2_ang=1.792835,
    ratio=0.49,
    wavelength_beta_ang=1.620826,
    anode="Co",
    geometry="bragg_brentano",
    monochromator="graphite",
    beta_filter="Fe",
    measured_at=datetime(2026, 1, 5, 8, 30, tzinfo=UTC),
)


def changed(**fields: object) -> Pattern:
    kept = {name: getattr(PATTERN, name) for name in Pattern.__slots__}
    return Pattern(**kept | fields)


def test_xrdml_comes_back_whole(tmp_path: Path) -> None:
    write_xrdml(PATTERN, tmp_path / "a.xrdml")
    back = read_pattern(tmp_path / "a.xrdml")
    assert back.two_theta_deg == pytest.approx(ANGLE, abs=1e-7)
    assert np.array_equal(back.counts, PATTERN.counts)
    assert np.array_equal(back.esd, PATTERN.esd)
    for name in set(Pattern.__slots__) - {"two_theta_deg", "counts", "esd", "origin"}:
        assert getattr(back, name) == getattr(PATTERN, name), name


@pytest.mark.parametrize(
    "pattern",
    [
        changed(esd=np.sqrt(np.maximum(COUNTS, 1.0)) * np.linspace(0.7, 4, 1501)),
        changed(counts=COUNTS / 12.5, esd=np.sqrt(np.maximum(COUNTS, 1.0)) / 12.5),
        changed(two_theta_deg=ANGLE + 0.004 * np.sin(np.arange(1501))),
        changed(ratio=0.0, wavelength2_ang=1.788996, geometry="fixed_incidence"),
        changed(geometry="transmission", sample="", radius_mm=None, counting_time_s=None),
    ],
    ids=["own esds", "rates", "uneven steps", "monochromatic", "little known"],
)
@pytest.mark.parametrize("write", [write_xy, write_xrdml])
def test_odd_patterns_come_back(tmp_path: Path, pattern: Pattern, write) -> None:
    path = tmp_path / ("a.xye" if write is write_xy else "a.xrdml")
    write(pattern, path)
    back = read_pattern(path)
    assert back.two_theta_deg == pytest.approx(pattern.two_theta_deg, abs=1e-6)
    assert back.counts == pytest.approx(pattern.counts, rel=1e-7)
    assert back.esd == pytest.approx(pattern.esd, rel=1e-5)
    assert back.wavelength_ang == pytest.approx(1.788996)
    if write is write_xrdml:
        assert (back.ratio, back.geometry) == (pattern.ratio, pattern.geometry)


def test_another_reader_reads_the_xrdml(tmp_path: Path) -> None:
    xrayutilities = pytest.importorskip("xrayutilities")
    write_xrdml(PATTERN, tmp_path / "a.xrdml")
    scan = xrayutilities.io.XRDMLFile(str(tmp_path / "a.xrdml")).scan
    assert np.asarray(scan.ddict["2Theta"]) == pytest.approx(ANGLE, abs=1e-6)
    assert np.asarray(scan.ddict["detector"]) == pytest.approx(COUNTS / 12.5)


def test_an_unstated_wavelength_stays_unstated(tmp_path: Path) -> None:
    unstated = changed(wavelength_stated=False, anode="", wavelength_ang=1.5405929)
    for write, name in ((write_xy, "a.xy"), (write_xrdml, "a.xrdml")):
        write(unstated, tmp_path / name)
        assert not read_pattern(tmp_path / name).wavelength_stated


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot write"):
        write_xy(PATTERN, tmp_path / "none" / "a.xy")
