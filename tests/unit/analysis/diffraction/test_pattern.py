import io
import os
import re
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from alab.errors import AlabError, BadInput
from analysis.diffraction.pattern import Pattern, parse_pattern, read_pattern
from tests.pattern_files import (
    CALM,
    SCAN,
    SWITCHED,
    ras,
    rasx,
    rows,
    xrdml,
    xrdml_scan,
    xy,
)

FORMATS = (
    Path(os.environ.get("ALAB_DATA", Path(__file__).parents[5] / "shared" / "data"))
    / "xrd"
    / "formats"
)
measured = pytest.mark.skipif(
    not FORMATS.is_dir(), reason=f"measured patterns are not in {FORMATS}; set ALAB_DATA"
)

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


ANGLE = np.linspace(10, 60, 501)
COUNTS = np.full(501, 100.0)


def test_two_columns() -> None:
    pattern = parse_pattern(xy(ANGLE, COUNTS), "plain.xy")
    assert pattern.two_theta_deg == pytest.approx(ANGLE)
    assert pattern.esd == pytest.approx(np.full(501, 10.0))
    assert not pattern.wavelength_stated
    assert (pattern.wavelength_ang, pattern.wavelength2_ang) == (1.5405929, 1.5444274)
    assert pattern.ratio == 0.5
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


# ---- columns of text ---------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        rows(" ", SCAN, CALM).encode(),
        rows("\t", SCAN, CALM).encode(),
        rows(",", SCAN, CALM).encode(),
        rows(", ", SCAN, CALM).encode(),
        rows(";", SCAN, CALM, comma=True).encode(),
        rows("\t", SCAN, CALM, comma=True).encode(),
        rows(" ", SCAN, CALM, comma=True).encode(),
        rows(" ", SCAN, CALM).replace("\n", "\r\n").encode("utf-16"),
        b"\xef\xbb\xbf" + rows(",", SCAN, CALM).encode(),
        ("2theta,intensity\n" + rows(",", SCAN, CALM)).encode(),
        ("[Measurement]\nSample,x 3\nAngle,Intensity\n" + rows(",", SCAN, CALM)).encode(),
        ("No;2\u03b8 / deg;cps\n" + rows(";", np.arange(500), SCAN, CALM)).encode("utf-8"),
        ("counts\tTwoTheta\n" + rows("\t", CALM, SCAN)).encode(),
        rows(" ", SCAN[::-1], CALM[::-1]).encode(),
    ],
)
def test_every_export_of_columns_is_the_same_pattern(content: bytes) -> None:
    pattern = parse_pattern(content, "export.csv")
    assert pattern.two_theta_deg == pytest.approx(SCAN)
    assert pattern.counts == pytest.approx(CALM)
    assert pattern.esd == pytest.approx(np.sqrt(CALM))
    assert pattern.warnings == ()


@pytest.mark.parametrize(
    "content",
    [
        "1.540593\n" + rows(" ", SCAN, CALM, np.sqrt(CALM)),
        "1.540593 0.5\n" + rows(" ", SCAN, CALM),
        "# wavelength = 1.540593\n" + rows(" ", SCAN, CALM),
        "K-Alpha1 wavelength,1.540593\nAngle,Intensity\n" + rows(",", SCAN, CALM),
    ],
)
def test_a_wavelength_above_the_columns_is_no_point(content: str) -> None:
    pattern = parse_pattern(content.encode(), "scan.xye")
    assert pattern.wavelength_stated
    assert pattern.wavelength_ang == pytest.approx(1.540593)
    assert pattern.two_theta_deg == pytest.approx(SCAN)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (rows(",", SCAN, CALM + 0.5, comma=True), "cannot be told apart"),
        ("Q (1/A),intensity\n" + rows(",", SCAN, CALM), "not 2θ"),
        ("d_spacing;counts\n" + rows(";", SCAN, CALM), "not 2θ"),
        ("Energy_keV counts\n" + rows(" ", SCAN, CALM), "not 2θ"),
        ("omega counts\n" + rows(" ", SCAN, CALM), "not 2θ"),
        ("# The X-axis unit is: d-Spacing\n" + rows(" ", SCAN, CALM), "d-spacing"),
        ("' The X-axis unit is: Time-of-flight\n" + rows(" ", SCAN * 100, CALM), "flight"),
        (rows(" ", SCAN / 5, CALM), "without a heading"),
        (rows("\t", SCAN, CALM).replace("\t4", "\t4,"), "thousands"),
    ],
)
def test_what_can_be_read_two_ways_is_refused(content: str, said: str) -> None:
    with pytest.raises(BadInput, match=r"odd\.csv: ") as caught:
        parse_pattern(content.encode(), "odd.csv")
    assert said in str(caught.value)


def test_lines_that_are_no_points_are_told() -> None:
    lines = rows(" ", SCAN, CALM).splitlines()
    lines[100:100] = ["detector restarted"]
    assert "1 lines among" in parse_pattern("\n".join(lines).encode(), "a.xy").warnings[0]


# ---- esds and detectors ------------------------------------------------------------


def test_counts_per_second_get_esds_from_their_noise() -> None:
    """Counts of 400 s as cps: σ = √(cps/400), not √cps."""
    rate = np.random.default_rng(3).poisson(np.full(500, 80_000.0)) / 400 + 0.0001
    pattern = parse_pattern(rows(" ", SCAN, rate).encode(), "cps.xy")
    assert pattern.esd == pytest.approx(np.sqrt(rate / 400), rel=0.25)
    assert "noise" in pattern.warnings[0]


def test_counts_multiplied_by_a_factor_get_larger_esds() -> None:
    counts = np.random.default_rng(3).poisson(np.full(500, 100.0)) * 25.0
    pattern = parse_pattern(rows(" ", SCAN, counts).encode(), "scaled.xy")
    assert pattern.esd == pytest.approx(25 * np.sqrt(counts / 25), rel=0.25)
    assert "not as counted" in pattern.warnings[0]


def test_a_third_column_that_is_a_background_is_no_esd() -> None:
    pattern = parse_pattern(rows(" ", SCAN, CALM, CALM + 3).encode(), "three.xy")
    assert pattern.esd == pytest.approx(np.sqrt(CALM))
    assert "left aside" in pattern.warnings[0]


def test_a_detector_at_its_ceiling_is_flagged() -> None:
    clipped = np.minimum(CALM, 2500.0)
    pattern = parse_pattern(rows(" ", SCAN, clipped).encode(), "clipped.xy")
    assert re.search(r"ceiling of 2500 counts at 2[45]\.\d\d°", pattern.warnings[-1])
    assert parse_pattern(rows(" ", SCAN, CALM).encode(), "whole.xy").warnings == ()


@pytest.mark.parametrize(
    ("head", "alpha1_ang"),
    [
        ("wavelength: 1.54", 1.5405929),
        ("wavelength: 1.541", 1.5405929),
        ("wavelength: 0.71", 0.70931715),
        ("wavelength: 0.56", 0.55942178),
        ("wavelength: 1.54125, anode Cu", 1.5405929),
        ("wavelength: 0.22897 nm", 2.2897),
        ("wavelength [nm]: 0.154", 1.5405929),
    ],
)
def test_a_rounded_wavelength_is_that_of_a_tube(head: str, alpha1_ang: float) -> None:
    pattern = parse_pattern(f"# {head}\n{rows(' ', SCAN, CALM)}".encode(), "a.xy")
    assert pattern.wavelength_ang == pytest.approx(alpha1_ang)
    assert pattern.ratio == 0.5
    assert pattern.wavelength2_ang > pattern.wavelength_ang
    assert len(pattern.warnings) == ("nm" not in head or "0.154" in head)


@pytest.mark.parametrize("head", ["wavelength: 0.7085", "wavelength: 0.8, anode: Cu"])
def test_a_wavelength_of_no_tube_is_told(head: str) -> None:
    pattern = parse_pattern(f"# {head}\n{rows(' ', SCAN, CALM)}".encode(), "a.xy")
    assert (pattern.ratio, pattern.anode) == (0.0, "")
    assert "taken as the only wavelength" in pattern.warnings[0]


def test_a_huge_file_is_refused_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    huge = tmp_path / "huge.xy"
    with huge.open("wb") as file:
        file.truncate(20 * 2**30)  # sparse: it takes no room
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    with pytest.raises(BadInput, match=r"20480 MB; .* at most 64 MB"):
        read_pattern(huge)


def test_no_room_for_temporary_files_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(AlabError, match=r"a\.xy: .*gone.*TMPDIR"):
        parse_pattern(xy(SCAN, CALM), "a.xy")


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("2theta,corundum,mix", "which of corundum, mix are the counts"),
        ("2theta,sqrt(I)", r"sqrt\(I\) is neither"),
        ("2theta,log10(counts)", r"log10\(counts\) is neither"),
        ("2theta (rad),counts", r"2theta \(rad\) is neither"),
    ],
)
def test_columns_that_are_not_2theta_and_counts_are_refused(head: str, says: str) -> None:
    columns = [SCAN] + [CALM] * head.count(",")
    with pytest.raises(BadInput, match=says):
        parse_pattern(f"{head}\n{rows(',', *columns)}".encode(), "a.csv")


def test_the_column_taken_for_counts_is_told() -> None:
    text = "2theta,d,Iobs,counts_b\n" + rows(",", SCAN, 60 / SCAN, CALM, 2 * CALM)
    pattern = parse_pattern(text.encode(), "a.csv")
    assert pattern.counts == pytest.approx(CALM)
    assert "Of the columns 2theta, d, Iobs, counts_b, Iobs was taken." in pattern.warnings


def test_a_mean_wavelength_is_no_line() -> None:
    text = "# wavelength: 1.5418\n" + rows(" ", SCAN, CALM)
    pattern = parse_pattern(text.encode(), "mean.xy")
    assert pattern.wavelength_ang == pytest.approx(1.5405929)
    assert pattern.wavelength2_ang == pytest.approx(1.5444274)
    assert "mean Cu Kα" in pattern.warnings[0]


def test_a_synchrotron_has_one_line() -> None:
    text = "# wavelength: 0.41245\n" + rows(" ", SCAN / 3, CALM)
    pattern = parse_pattern(text.encode(), "synchrotron.xy")
    assert (pattern.wavelength_ang, pattern.ratio) == (0.41245, 0.0)


# ---- XRDML -------------------------------------------------------------------------


def test_xrdml_names_beam_filter_and_geometry() -> None:
    optics = '<filter><material>Ni</material></filter><monochromator name="graphite"/>'
    content = xrdml(xrdml_scan(20, CALM), attributes='sampleMode="Transmission"', optics=optics)
    pattern = parse_pattern(content, "a.xrdml")
    assert (pattern.wavelength2_ang, pattern.ratio) == (1.544426, 0.48)
    assert pattern.wavelength_beta_ang == pytest.approx(1.39225)
    assert (pattern.anode, pattern.beta_filter) == ("Cu", "Ni")
    assert (pattern.geometry, pattern.monochromator) == ("transmission", "graphite")


def test_ranges_are_joined_and_averaged_by_counting_time() -> None:
    noise = np.random.default_rng(1)
    first = noise.poisson(np.full(500, 100.0)).astype(float)  # 20 to 29.98°, 1 s
    second = noise.poisson(np.full(500, 400.0)).astype(float)  # 28 to 37.98°, 4 s
    pattern = parse_pattern(
        xrdml(xrdml_scan(20, first), xrdml_scan(28, second, time_s=4.0)), "two.xrdml"
    )
    assert pattern.two_theta_deg == pytest.approx(20 + 0.02 * np.arange(900))
    assert pattern.counts[:400] == pytest.approx(first[:400])
    assert pattern.counts[400:500] == pytest.approx((first[400:] + second[:100]) / 5)
    assert pattern.counts[500:] == pytest.approx(second[100:] / 4)
    assert pattern.esd[500:] == pytest.approx(np.sqrt(second[100:]) / 4)
    assert pattern.esd[400:500] == pytest.approx(np.sqrt(first[400:] + second[:100]) / 5)
    assert pattern.counting_time_s == 1.0
    assert "2 scans were joined." in pattern.warnings


def test_overlap_on_other_points_keeps_the_longer_count() -> None:
    level = np.full(500, 400.0)
    content = xrdml(xrdml_scan(20, level / 4), xrdml_scan(28.01, level, time_s=4.0))
    pattern = parse_pattern(content, "two.xrdml")
    assert np.all(np.diff(pattern.two_theta_deg) > 0.005)
    assert pattern.esd[-500:] == pytest.approx(np.full(500, 5.0))
    assert pattern.counts == pytest.approx(np.full(len(pattern.counts), 100.0))


@pytest.mark.parametrize(
    ("scans", "said"),
    [
        ([xrdml_scan(20, CALM), xrdml_scan(20, CALM * 3)], "other slits"),
        ([xrdml_scan(20, CALM), xrdml_scan(30, CALM, time_s=None)], "state a counting time"),
        ([xrdml_scan(20, CALM, axis="Omega")], "rocking curve"),
        ([xrdml_scan(20 + i, CALM) for i in range(70)], "a map or a series"),
    ],
)
def test_scans_that_do_not_belong_together_are_refused(scans: list[str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        parse_pattern(xrdml(*scans), "scans.xrdml")


def test_a_mesh_is_refused_as_what_it_is() -> None:
    content = xrdml(
        xrdml_scan(20, CALM),
        attributes='measurementType="Area measurement" measurementStepAxis="Omega"',
    )
    with pytest.raises(BadInput, match="a map of scans on Omega"):
        parse_pattern(content, "mesh.xrdml")


def test_scans_over_other_axes_are_left_out_and_told() -> None:
    pattern = parse_pattern(
        xrdml(xrdml_scan(20, CALM, axis="Omega"), xrdml_scan(20, CALM)), "two.xrdml"
    )
    assert pattern.counts == pytest.approx(CALM)
    assert "1 of 2 scans are not over 2θ" in pattern.warnings[0]


def test_an_attenuated_point_keeps_the_esd_of_what_was_counted() -> None:
    factors = np.ones(500)
    factors[250] = 100.0
    counts = np.where(factors > 1, 36.0, CALM)
    more = f"<beamAttenuationFactors>{' '.join(map(str, factors))}</beamAttenuationFactors>"
    pattern = parse_pattern(xrdml(xrdml_scan(20, counts, more=more)), "foil.xrdml")
    assert (pattern.counts[250], pattern.esd[250]) == (3600.0, 600.0)
    assert pattern.esd[0] == pytest.approx(np.sqrt(CALM[0]))


def test_points_counted_longer_are_not_stronger() -> None:
    """Variable counting time: counts/t is the pattern."""
    times = np.where(np.arange(500) < 250, 1.0, 4.0)
    flat = np.random.default_rng(5).poisson(100 * times).astype(float)
    more = f"<countingTimes unit='seconds'>{' '.join(map(str, times))}</countingTimes>"
    pattern = parse_pattern(xrdml(xrdml_scan(20, flat, time_s=None, more=more)), "v.xrdml")
    left, right = pattern.counts[:250].mean(), pattern.counts[250:].mean()
    assert left == pytest.approx(right, rel=0.03)
    assert pattern.esd[300] < 0.7 * pattern.esd[100]


# ---- Rigaku ------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "name"), [(ras, "a.ras"), (rasx, "a.rasx")])
def test_rigakus_attenuator_is_seen_where_it_switches(make, name: str) -> None:
    peak = np.round(200 + 4000 * np.exp(-(((SCAN - 25) / 0.1) ** 2)), 2)
    for stored in (np.round(peak / SWITCHED, 4), peak):  # attenuated, and corrected
        pattern = parse_pattern(make(stored, SWITCHED), name)
        assert pattern.counts == pytest.approx(peak, rel=1e-3)
        assert pattern.geometry == "bragg_brentano"
        assert pattern.wavelength_beta_ang == pytest.approx(1.392246)
    # A constant factor changes nothing, whether 0, 1 or more.
    assert parse_pattern(make(CALM, SCAN * 0), name).counts == pytest.approx(CALM)


def test_an_attenuator_that_explains_no_step_is_refused() -> None:
    factors = np.where(np.arange(500) % 100 < 50, 3.0, 1.0)
    with pytest.raises(BadInput, match="does not say whether"):
        parse_pattern(ras(CALM / np.sqrt(factors), factors), "a.ras")


def test_ras_names_its_filter_and_refuses_a_rocking_curve() -> None:
    assert parse_pattern(ras(CALM, SCAN * 0 + 1), "a.ras").beta_filter == "Cu_K-beta"
    with pytest.raises(BadInput, match="rocking curve"):
        parse_pattern(ras(CALM, SCAN * 0 + 1, axis="Omega"), "a.ras")


# ---- anything at all ---------------------------------------------------------------


def test_what_would_take_minutes_is_refused_at_once() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Data0/Profile0.txt", b"1 2 3\n" * 3_000_000)
    for content, said in (
        (out.getvalue(), "17 MB"),
        (b"1 2\n" * 600_000, "600000 lines"),
        (bytes(65 * 2**20), "65 MB"),
    ):
        with pytest.raises(BadInput, match=said):
            parse_pattern(b"\x01" + content if said == "65 MB" else content, "large.rasx")


# ---- measured files ----------------------------------------------------------------


@measured
def test_two_ranges_of_a_measured_raw_file() -> None:
    """Kaolinite: 10 to 90° at 4 s and 80 to 150° at 12 s, of the same 12.2 counts/s at 85°."""
    pattern = read_pattern(FORMATS / "keokuk_kaolinite.RAW")
    assert pattern.two_theta_deg[[0, -1]] == pytest.approx([10, 150])
    assert len(pattern.counts) == 7001
    joint = (pattern.two_theta_deg > 80) & (pattern.two_theta_deg < 90)
    assert pattern.counts[joint].mean() / 4 == pytest.approx(12.2, abs=0.1)


@measured
@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("aeris_powder.xrdml", {"beta_filter": "Ni", "radius_mm": 145.0, "ratio": 0.5}),
        ("panalytical_attenuator.xrdml", {"ratio": 0.0, "radius_mm": 320.0}),
        ("nist_srm660c_100a.cif", {"monochromator_two_theta_deg": 26.6, "radius_mm": 217.5}),
        ("D5000_1.RAW", {"anode": "Co", "wavelength_ang": 1.78897}),
        ("bruker_absorber.brml", {"wavelength2_ang": 1.54439, "radius_mm": 300.0}),
        ("CPD-1A.xye", {"wavelength_ang": 1.540593, "wavelength_stated": True}),
        ("HoB21.ras", {"geometry": "bragg_brentano", "warnings": ()}),
    ],
)
def test_what_measured_files_say_of_the_beam(name: str, facts: dict[str, object]) -> None:
    pattern = read_pattern(FORMATS / name)
    assert {key: getattr(pattern, key) for key in facts} == facts


@measured
def test_measured_attenuated_points_are_as_the_raw_file_says() -> None:
    """The substrate peak: 1877 counts behind a foil of 188."""
    pattern = read_pattern(FORMATS / "panalytical_attenuator.xrdml")
    top = int(np.argmax(pattern.counts))
    assert pattern.counts[top] == pytest.approx(1877 * 188)
    assert pattern.esd[top] == pytest.approx(np.sqrt(1877) * 188)
    raw = read_pattern(FORMATS / "D5000_1.RAW")
    assert raw.counts == pytest.approx(read_pattern(FORMATS / "D5000_1.xy").counts)


def test_defaults_of_a_pattern_are_an_unstated_copper_tube() -> None:
    pattern = Pattern(two_theta_deg=ANGLE, counts=COUNTS, esd=np.sqrt(COUNTS))
    assert (pattern.geometry, pattern.warnings, pattern.wavelength_stated) == (
        "unknown",
        (),
        False,
    )
