import re
from pathlib import Path

import numpy as np
import pytest

from alab.errors import BadInput
from analysis.diffraction.pattern import parse_pattern, read_pattern

XRDML = """<?xml version="1.0" encoding="UTF-8"?>
<xrdMeasurements xmlns="http://www.xrdml.com/XRDMeasurement/1.5" status="Completed">
<sample type="To be analyzed"><id>S0007</id></sample>
<xrdMeasurement measurementType="Scan" status="Completed">
<usedWavelength intended="K-Alpha 1"><kAlpha1 unit="Angstrom">1.5405980</kAlpha1>
<kAlpha2 unit="Angstrom">1.5444260</kAlpha2><kBeta unit="Angstrom">1.3922500</kBeta>
<ratioKAlpha2KAlpha1>0.5000</ratioKAlpha2KAlpha1></usedWavelength>
<incidentBeamPath><radius unit="mm">145.00</radius></incidentBeamPath>
<scan appendNumber="0" mode="Continuous" scanAxis="Gonio" status="Completed"><dataPoints>
<positions axis="2Theta" unit="deg"><startPosition>10.0</startPosition>
<endPosition>19.9</endPosition></positions>
<commonCountingTime unit="seconds">0.50</commonCountingTime>
<intensities unit="counts">{counts}</intensities>
</dataPoints></scan></xrdMeasurement></xrdMeasurements>
"""


def xy(two_theta_deg, counts) -> bytes:
    return "\n".join(
        f"{a:.4f} {c:g}" for a, c in zip(two_theta_deg, counts, strict=True)
    ).encode()


ANGLE = np.linspace(10, 60, 501)
COUNTS = np.full(501, 100.0)


def test_two_columns() -> None:
    pattern = parse_pattern(xy(ANGLE, COUNTS), "plain.xy")
    assert pattern.two_theta_deg == pytest.approx(ANGLE)
    assert pattern.esd == pytest.approx(np.full(501, 10.0))
    assert not pattern.wavelength_stated
    assert "plain.xy" in pattern.origin


def test_xrdml_with_all_it_says(tmp_path: Path) -> None:
    text = XRDML.format(counts=" ".join(str(100 + i) for i in range(100)))
    (tmp_path / "scan.xrdml").write_text(text)
    pattern = read_pattern(tmp_path / "scan.xrdml")
    assert pattern.counts[:3].tolist() == [100, 101, 102]
    assert pattern.two_theta_deg[[0, -1]] == pytest.approx([10.0, 19.9])
    assert pattern.wavelength_ang == pytest.approx(1.540598)
    assert pattern.wavelength_stated
    assert pattern.radius_mm == pytest.approx(145)
    assert pattern.counting_time_s == pytest.approx(0.5)
    assert pattern.sample == "S0007"


def changed(values: np.ndarray, at: int, value: float) -> np.ndarray:
    out = values.copy()
    out[at] = value
    return out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (xy(ANGLE[:20], COUNTS[:20]), "too few"),
        (xy(ANGLE, changed(COUNTS, 7, -3)), "cannot be negative"),
        (xy(ANGLE, changed(COUNTS, 7, np.nan)), "no numbers|cannot be read"),
        (xy(changed(ANGLE, 100, 12.0), COUNTS), "cannot be read|falls back"),
        (xy(ANGLE * 10, COUNTS), "180"),
        (b"\x00\x01\x02binary" * 50, "cannot be read"),
        (b"a story about a pattern\nwith no numbers\n" * 30, "cannot be read"),
        (XRDML.format(counts="1 2 3").encode()[:900], "cannot be read"),
    ],
)
def test_unsafe_patterns_are_refused_by_name(content: bytes, said: str) -> None:
    with pytest.raises(BadInput, match=r"bad\.\w+: ") as caught:
        parse_pattern(content, "bad.xrdml" if content.startswith(b"<?xml") else "bad.xy")
    assert re.search(said, str(caught.value)), caught.value


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="check the path"):
        read_pattern(tmp_path / "none.xy")
