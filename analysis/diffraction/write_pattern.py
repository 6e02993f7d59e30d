"""Write measured patterns as columns or as XRDML, so that any program reads them back."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np

from alab.errors import BadInput
from analysis.diffraction.arrays import Array
from analysis.diffraction.counting import are_whole, poisson
from analysis.diffraction.pattern import Pattern

XRDML_VERSION = "1.5"

_NAMESPACE = f"http://www.xrdml.com/XRDMeasurement/{XRDML_VERSION}"
_EVEN_STEP = 1e-6
"""Steps that differ by no more than this many degrees are written as start and end."""
_POISSON = 1e-3
_SCAN_AXES = {"fixed_incidence": "2Theta"}


def write_xy(pattern: Pattern, path: Path) -> None:
    """Write 2θ, counts and esds in three columns, the wavelength in the first line.

    Raises:
        BadInput: If the file cannot be written.
    """
    heads = []
    if pattern.wavelength_stated:
        heads.append(f"{pattern.wavelength_ang:.7f}")
    if pattern.sample:
        heads.append(f"# sample: {' '.join(pattern.sample.split())}")
    heads.append("# 2theta_deg counts esd")
    rows = [
        f"{angle:.8g} {counts:.10g} {esd:.8g}"
        for angle, counts, esd in zip(
            pattern.two_theta_deg, pattern.counts, pattern.esd, strict=True
        )
    ]
    _write(path, "\n".join([*heads, *rows]) + "\n")


def write_xrdml(pattern: Pattern, path: Path) -> None:
    """Write a pattern as a PANalytical XRDML file, schema 1.5.

    The schema has no place for esds. Where they are not √N, ``beamAttenuationFactors`` holds
    esd²/counts: what a count was multiplied by, as an attenuator multiplies it.

    Raises:
        BadInput: If the file cannot be written.
    """
    root = ET.Element("xrdMeasurements", xmlns=_NAMESPACE, status="Completed")
    sample = ET.SubElement(root, "sample", type="To be analyzed")
    ET.SubElement(sample, "id").text = _printable(pattern.sample)
    mode = "Transmission" if pattern.geometry == "transmission" else "Reflection"
    measurement = ET.SubElement(
        root, "xrdMeasurement", measurementType="Scan", status="Completed", sampleMode=mode
    )
    _write_beam(pattern, measurement)
    axis = _SCAN_AXES.get(pattern.geometry, "Gonio")
    scan = ET.SubElement(
        measurement,
        "scan",
        appendNumber="0",
        mode="Continuous",
        scanAxis=axis,
        status="Completed",
    )
    if pattern.measured_at is not None:
        header = ET.SubElement(scan, "header")
        ET.SubElement(header, "startTimeStamp").text = pattern.measured_at.isoformat()
    _write_points(pattern, ET.SubElement(scan, "dataPoints"))
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    _write(path, f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n')


def _write_beam(pattern: Pattern, measurement: ET.Element) -> None:
    if pattern.wavelength_stated:
        single = pattern.ratio == 0
        used = ET.SubElement(
            measurement, "usedWavelength", intended="K-Alpha 1" if single else "K-Alpha"
        )
        lines = [("kAlpha1", pattern.wavelength_ang)]
        if pattern.wavelength2_ang:
            lines.append(("kAlpha2", pattern.wavelength2_ang))
        if pattern.wavelength_beta_ang:
            lines.append(("kBeta", pattern.wavelength_beta_ang))
        for name, wavelength_ang in lines:
            ET.SubElement(used, name, unit="Angstrom").text = f"{wavelength_ang:.7f}"
        if pattern.ratio is not None:
            ET.SubElement(used, "ratioKAlpha2KAlpha1").text = f"{pattern.ratio:.4f}"
    incident = ET.SubElement(measurement, "incidentBeamPath")
    if pattern.radius_mm is not None:
        ET.SubElement(incident, "radius", unit="mm").text = f"{pattern.radius_mm:.2f}"
    if pattern.anode:
        tube = ET.SubElement(incident, "xRayTube")
        ET.SubElement(tube, "anodeMaterial").text = pattern.anode
    behind = ET.SubElement(measurement, "diffractedBeamPath")
    if pattern.beta_filter:
        beta = ET.SubElement(behind, "filter")
        ET.SubElement(beta, "material").text = _printable(pattern.beta_filter)
    if pattern.monochromator:
        crystal = ET.SubElement(behind, "monochromator")
        ET.SubElement(crystal, "crystal").text = _printable(pattern.monochromator)


def _write_points(pattern: Pattern, points: ET.Element) -> None:
    angle, counts = pattern.two_theta_deg, pattern.counts
    positions = {"2Theta": angle}
    if pattern.geometry in ("bragg_brentano", "transmission"):
        positions["Omega"] = angle / 2
    even = np.ptp(np.diff(angle)) < _EVEN_STEP
    for name, places in positions.items():
        axis = ET.SubElement(points, "positions", axis=name, unit="deg")
        if even:
            ET.SubElement(axis, "startPosition").text = f"{places[0]:.8f}"
            ET.SubElement(axis, "endPosition").text = f"{places[-1]:.8f}"
        else:
            ET.SubElement(axis, "listPositions").text = _joined(places)
    time_s = pattern.counting_time_s
    if time_s is not None:
        ET.SubElement(points, "commonCountingTime", unit="seconds").text = f"{time_s:g}"
    plain = np.allclose(pattern.esd, poisson(counts), rtol=_POISSON)
    if not plain:
        # As it is read back: √max(y/s, 1)·s.
        factors = np.where(
            counts >= pattern.esd, pattern.esd**2 / np.maximum(counts, 1e-300), pattern.esd
        )
        ET.SubElement(points, "beamAttenuationFactors").text = _joined(factors)
    written = [f"{round(c)}" for c in counts] if are_whole(counts) else _joined(counts).split()
    ET.SubElement(points, "intensities", unit="counts").text = " ".join(written)


def _joined(values: Array) -> str:
    return " ".join(f"{value:.9g}" for value in values)


def _printable(text: str) -> str:
    """Without the control characters that XML forbids."""
    return "".join(sign for sign in text if sign.isprintable())


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"cannot write {path}: {error.strerror}; choose a folder that you may write to"
        ) from error
