"""Files as diffractometers write them, made up for tests."""

import io
import zipfile

import numpy as np

SCAN = np.round(np.arange(20.0, 30.0, 0.02), 2)
NOISY = np.random.default_rng(7).poisson(200 + 4000 * np.exp(-(((SCAN - 25) / 0.1) ** 2)))
CALM = NOISY.astype(float)
SWITCHED = np.where(np.abs(SCAN - 25) < 0.07, 20.0, 1.0)


def xy(two_theta_deg, counts) -> bytes:
    return "\n".join(
        f"{a:.4f} {c:g}" for a, c in zip(two_theta_deg, counts, strict=True)
    ).encode()


def rows(separator: str, *columns: np.ndarray, comma: bool = False) -> str:
    lines = [
        separator.join(f"{value:g}" for value in row) for row in zip(*columns, strict=True)
    ]
    text = "\n".join(lines)
    return text.replace(".", ",") if comma else text


def xrdml(*scans: str, attributes: str = "", optics: str = "") -> bytes:
    beam = (
        '<usedWavelength intended="K-Alpha"><kAlpha1 unit="Angstrom">1.540598</kAlpha1>'
        '<kAlpha2 unit="Angstrom">1.544426</kAlpha2><kBeta unit="Angstrom">1.39225</kBeta>'
        "<ratioKAlpha2KAlpha1>0.48</ratioKAlpha2KAlpha1></usedWavelength>"
        '<incidentBeamPath><radius unit="mm">145</radius><xRayTube><anodeMaterial>Cu'
        "</anodeMaterial></xRayTube></incidentBeamPath>"
        f"<diffractedBeamPath>{optics}</diffractedBeamPath>"
    )
    return (
        '<xrdMeasurements xmlns="http://www.xrdml.com/XRDMeasurement/2.1">'
        f"<xrdMeasurement {attributes}>{beam}{''.join(scans)}</xrdMeasurement>"
        "</xrdMeasurements>"
    ).encode()


def xrdml_scan(
    start: float,
    counts: np.ndarray,
    *,
    time_s: float | None = 1.0,
    more: str = "",
    axis="Gonio",
) -> str:
    end = start + 0.02 * (len(counts) - 1)
    time = "" if time_s is None else f"<commonCountingTime>{time_s}</commonCountingTime>"
    return (
        f'<scan scanAxis="{axis}" status="Completed"><dataPoints>'
        f'<positions axis="2Theta" unit="deg"><startPosition>{start}</startPosition>'
        f"<endPosition>{end}</endPosition></positions>{time}{more}"
        f'<counts unit="counts">{" ".join(f"{c:g}" for c in counts)}</counts>'
        "</dataPoints></scan>"
    )


def ras(counts: np.ndarray, factors: np.ndarray, axis: str = "TwoThetaTheta") -> bytes:
    head = {
        "HW_XG_TARGET_NAME": "Cu",
        "HW_XG_WAVE_LENGTH_ALPHA1": "1.540593",
        "HW_XG_WAVE_LENGTH_ALPHA2": "1.544414",
        "HW_XG_WAVE_LENGTH_BETA": "1.392246",
        "MEAS_COND_AXIS_NAME_INTERNAL-1": "Filter",
        "MEAS_COND_AXIS_POSITION-1": "Cu_K-beta",
        "MEAS_SCAN_AXIS_X": axis,
        "MEAS_SCAN_AXIS_X_INTERNAL": axis,
    }
    points = rows(" ", SCAN, counts, factors)
    return (
        "*RAS_DATA_START\n*RAS_HEADER_START\n"
        + "".join(f'*{key} "{value}"\n' for key, value in head.items())
        + f"*RAS_HEADER_END\n*RAS_INT_START\n{points}\n*RAS_INT_END\n*RAS_DATA_END\n"
    ).encode()


def rasx(counts: np.ndarray, factors: np.ndarray) -> bytes:
    manifest = (
        '<Root><Data0 Type="Profile"><ContentHashList Name="Profile0.txt"/>'
        '<ContentHashList Name="MesurementConditions0.xml"/></Data0></Root>'
    )
    conditions = (
        "<C><WavelengthKalpha1>1.540593</WavelengthKalpha1><WavelengthKbeta>1.392246"
        "</WavelengthKbeta><ScanInformation><AxisName>TwoThetaTheta</AxisName>"
        "</ScanInformation></C>"
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("root.xml", manifest)
        archive.writestr("Data0/Profile0.txt", rows("\t", SCAN, counts, factors))
        archive.writestr("Data0/MesurementConditions0.xml", conditions)
    return out.getvalue()
