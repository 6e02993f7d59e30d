"""What the headers of vendors' files say of the beam, beyond what rietx hands on.

rietx reads the points; it names neither Kα₂'s share, Kβ, the geometry nor the filter, and
for pdCIF not even the wavelength. Element and key names are those of the files themselves.
"""

import re
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import gemmi
import numpy as np

from alab.errors import BadInput
from analysis.diffraction.arrays import Array
from analysis.diffraction.beam import Beam, Geometry

KELVIN_AT_0_C = 273.15

_BETA_FILTER = re.compile("beta|β|ni", re.IGNORECASE)
_LARGEST_MEMBER = 64 * 1024 * 1024


def beam_of(path: Path, form: str, filename: str) -> Beam:
    """What the header of a pattern file says of the beam.

    Args:
        path: The file; rietx could read it.
        form: rietx's name of its format.
        filename: Its name for messages.

    Raises:
        BadInput: If the file holds something else than one powder scan.
    """
    if form == "xrdml":
        return _xrdml(ET.parse(path).getroot(), filename)  # noqa: S314 - rietx parsed it
    if form == "ras":
        return _ras(path)
    if form == "rasx":
        return _rasx(path)
    if form == "brml":
        return _brml(path)
    if form == "pdcif":
        return _pdcif(path)
    return Beam()


# ---- XRDML -------------------------------------------------------------------------


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _all(root: ET.Element, *names: str) -> Iterator[ET.Element]:
    """Descendants along a path of local names; the name space holds the schema's version."""
    for child in root:
        if _local(child) == names[0]:
            if len(names) == 1:
                yield child
            else:
                yield from _all(child, *names[1:])


def _text(root: ET.Element, *names: str) -> str:
    return next(((found.text or "").strip() for found in _all(root, *names)), "")


def number(text: str | None) -> float | None:
    """The positive number that a text begins with, or None."""
    found = re.match(r"\s*(\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)", text or "")
    value = float(found[1]) if found else 0.0
    return value if 0 < value < np.inf else None


def _xrdml(root: ET.Element, filename: str) -> Beam:
    first = next(_all(root, "xrdMeasurement"), None)
    if first is None:
        raise ValueError("no measurement in it")
    kind = first.get("measurementType") or ""
    if "area" in kind.lower():
        raise BadInput(
            f"{filename}: an {kind.lower()}, a map of scans on "
            f"{first.get('measurementStepAxis')}; no powder pattern. Export one θ–2θ scan"
        )
    used = next(_all(first, "usedWavelength"), None)
    wave = ET.Element("none") if used is None else used
    behind = [*_all(first, "diffractedBeamPath", "monochromator")]
    ratio = _text(wave, "ratioKAlpha2KAlpha1")
    told = [
        f"A scan of the file was {scan.get('status', '').lower()} before its end."
        for scan in _all(root, "xrdMeasurement", "scan")
        if (scan.get("status") or "Completed") not in ("Completed", "")
    ]
    filters = (
        _text(optic, "material")
        for where in ("incidentBeamPath", "diffractedBeamPath")
        for optic in _all(first, where, "filter")
    )
    return Beam(
        alpha1_ang=number(_text(wave, "kAlpha1")),
        alpha2_ang=number(_text(wave, "kAlpha2")),
        beta_ang=number(_text(wave, "kBeta")),
        ratio=float(ratio) if re.fullmatch(r"[01](\.\d+)?", ratio) else None,
        anode=_text(first, "incidentBeamPath", "xRayTube", "anodeMaterial"),
        geometry=_xrdml_geometry(first),
        radius_mm=number(_text(first, "incidentBeamPath", "radius")),
        incident_monochromator=any(
            True for _ in _all(first, "incidentBeamPath", "monochromator")
        ),
        monochromator=" ".join(
            filter(
                None, (_text(crystal, "crystal") or crystal.get("name") for crystal in behind)
            )
        ),
        beta_filter=next(filter(None, filters), ""),
        measured_at=_stamp(_text(first, "scan", "header", "startTimeStamp")),
        warnings=tuple(dict.fromkeys(told)),
    )


def _xrdml_geometry(measurement: ET.Element) -> Geometry:
    if (measurement.get("sampleMode") or "").lower() == "transmission":
        return "transmission"
    scan = next(_all(measurement, "scan"), ET.Element("none"))
    # "2Theta" moves the detector alone: the incidence stays, and so does the footprint.
    return "fixed_incidence" if scan.get("scanAxis") == "2Theta" else "bragg_brentano"


def _stamp(text: str) -> datetime | None:
    try:
        stamp = datetime.fromisoformat(text)
    except ValueError:
        return None
    return stamp.astimezone(UTC) if stamp.tzinfo else None


def counting_times_s(path: Path, form: str, scan: int, points: int) -> Array | None:
    """Time at each point of an XRDML scan that counted some points longer; else None.

    rietx hands on the counts as they are: a peak that was counted twice as long would be
    twice as strong.
    """
    if form != "xrdml":
        return None
    scans = [*_all(ET.parse(path).getroot(), "xrdMeasurement", "scan")]  # noqa: S314
    listed = _text(scans[scan], "dataPoints", "countingTimes").split()
    times = np.array(listed, dtype=float)
    if len(times) != points or not np.all(np.isfinite(times) & (times > 0)):
        return None
    backwards = _text(scans[scan], "dataPoints", "positions", "startPosition")
    end = _text(scans[scan], "dataPoints", "positions", "endPosition")
    falling = backwards and end and float(backwards) > float(end)
    return times[::-1] if falling else times


# ---- Rigaku ------------------------------------------------------------------------


def _ras(path: Path) -> Beam:
    header = dict(re.findall(r'^\*(\S+)\s+"(.*)"', path.read_text("latin-1"), re.MULTILINE))
    axes = {
        header[key]: header.get(key.replace("AXIS_NAME_INTERNAL", "AXIS_POSITION"), "")
        for key in header
        if key.startswith("MEAS_COND_AXIS_NAME_INTERNAL-")
    }
    return _rigaku(axes, header.get("MEAS_SCAN_AXIS_X_INTERNAL", "")).or_else(
        Beam(beta_ang=number(header.get("HW_XG_WAVE_LENGTH_BETA")))
    )


def _rasx(path: Path) -> Beam:
    with zipfile.ZipFile(path) as archive:
        name = next((n for n in archive.namelist() if "Conditions0.xml" in n), None)
        root = ET.fromstring(_member(archive, name)) if name else ET.Element("none")  # noqa: S314
    words = {_local(element): (element.text or "").strip() for element in root.iter()}
    axes = {
        element.get("Name", ""): element.get("Position", "")
        for element in root.iter()
        if _local(element) == "Axis"
    }
    axis = next((e.text or "" for e in root.iter() if _local(e) == "AxisName"), "")
    return _rigaku(axes, axis.strip()).or_else(
        Beam(beta_ang=number(words.get("WavelengthKbeta")))
    )


def _rigaku(axes: dict[str, str], scan_axis: str) -> Beam:
    """From the positions of the exchangeable optics, by Rigaku's internal names."""
    named = {name: value for name, value in axes.items() if value and value != "None"}
    filters = [
        named.get(name, "") for name in ("Filter", "Filter1", "Filter2", "DetectorFilter")
    ]
    crystals = [named.get(n, "") for n in ("CounterMonochromator", "DetectorMonochromator")]
    geometries: dict[str, Geometry] = {
        "TwoThetaTheta": "bragg_brentano",
        "TwoThetaOmega": "bragg_brentano",
        "TwoTheta": "fixed_incidence",
    }
    return Beam(
        geometry=geometries.get(scan_axis, "unknown"),
        beta_filter=next((text for text in filters if _BETA_FILTER.search(text)), ""),
        monochromator=next(filter(None, crystals), ""),
    )


def attenuation_factors(path: Path, form: str, scan: int) -> Array | None:
    """Third column of a Rigaku scan in rising order of 2θ; None where there is none."""
    if form == "ras":
        text = path.read_text("latin-1")
        blocks = re.findall(r"\*RAS_INT_START(.*?)\*RAS_INT_END", text, re.DOTALL)
        rows = [line.split() for line in blocks[scan].strip().splitlines()]
    else:
        with zipfile.ZipFile(path) as archive:
            lines = _member(archive, f"Data{scan}/Profile{scan}.txt").decode("utf-8-sig")
        rows = [line.split() for line in lines.splitlines() if line.strip()]
    if not rows or any(len(row) < 3 for row in rows):
        return None
    table = np.array([row[:3] for row in rows], dtype=float)
    return table[np.argsort(table[:, 0], kind="stable"), 2]


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as member:
        return member.read(_LARGEST_MEMBER)


# ---- Bruker ------------------------------------------------------------------------


def _brml(path: Path) -> Beam:
    with zipfile.ZipFile(path) as archive:
        name = next((n for n in archive.namelist() if re.search(r"RawData\d+\.xml$", n)), None)
        root = ET.fromstring(_member(archive, name)) if name else ET.Element("none")  # noqa: S314

    def value(name: str) -> float | None:
        found = (e.get("Value") for e in root.iter() if _local(e) == name and e.get("Value"))
        return number(next(found, None))

    return Beam(
        alpha1_ang=value("WaveLengthAlpha1"),
        alpha2_ang=value("WaveLengthAlpha2"),
        beta_ang=value("WaveLengthBeta"),
        ratio=value("WaveLengthRatio"),
        radius_mm=_brml_radius(root),
    )


def _brml_radius(root: ET.Element) -> float | None:
    """Distance from sample to detector: optics may stand the tube off further."""
    for track in root.iter():
        if track.get("LogicName") == "SecondaryTrack":
            for found in _all(track, "Radius"):
                return number(found.get("Value"))
    return None


# ---- pdCIF -------------------------------------------------------------------------


def _pdcif(path: Path) -> Beam:
    """Wavelength, instrument and temperature, in whichever data block they stand."""
    document = gemmi.cif.read(str(path))

    def said(*tags: str) -> str:
        for tag in tags:
            for block in document:
                value = block.find_value(tag)
                if value and value not in ("?", "."):
                    return gemmi.cif.as_string(value).strip()
        return ""

    waves = sorted(
        number(gemmi.cif.as_string(value)) or 0.0
        for block in document
        for value in block.find_values("_diffrn_radiation_wavelength")
    )
    waves = [wave for wave in dict.fromkeys(waves) if wave > 0]
    single = said("_diffrn_radiation_wavelength")
    behind = said("_pd_instr_monochr_post_spec", "_diffrn_radiation_monochromator")
    angle = re.search(r"(\d+(?:\.\d+)?)\s*(?:°|deg)", behind)
    kelvin = number(said("_diffrn_ambient_temperature", "_cell_measurement_temperature"))
    celsius = said("_pd_spec_temperature")
    shape = said("_pd_instr_geometry").lower()
    geometry: Geometry = "unknown"
    if "brentano" in shape:
        geometry = "bragg_brentano"
    elif "debye" in shape or "transmission" in shape:
        geometry = "transmission"
    return Beam(
        alpha1_ang=waves[0] if waves else number(single),
        alpha2_ang=waves[1] if len(waves) > 1 and waves[1] / waves[0] < 1.01 else None,
        anode=said("_diffrn_radiation_type", "_diffrn_source_target"),
        geometry=geometry,
        radius_mm=number(said("_pd_instr_dist_spec/detc")),
        monochromator=behind,
        monochromator_two_theta_deg=float(angle[1]) if angle else None,
        temperature_c=kelvin - KELVIN_AT_0_C if kelvin else number(celsius),
    )
