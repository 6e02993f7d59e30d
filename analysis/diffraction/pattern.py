"""Measured powder patterns: read what a diffractometer wrote, refuse what is unsafe."""

import io
import re
import struct
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from rietx.io.readers import identify_format, read_pattern as rietx_read
from rietx.schemas.common import Diagnostic
from rietx.schemas.pattern import PatternData

from alab.errors import AlabError, BadInput
from analysis.diffraction.arrays import Array
from analysis.diffraction.beam import CU_KALPHA1_ANG, Beam, Geometry, wavelengths
from analysis.diffraction.columns import Columns, plain
from analysis.diffraction.counting import are_whole, attenuator, esds, poisson, saturated
from analysis.diffraction.headers import (
    KELVIN_AT_0_C,
    attenuation_factors,
    beam_of,
    counting_times_s,
    number,
)
from analysis.diffraction.ranges import MOST_SCANS, Scan, join

__all__ = ["CU_KALPHA1_ANG", "Pattern", "parse_pattern", "read_pattern"]

LARGEST_FILE_MB = 64
LARGEST_MEMBER_MB = 16
"""Of a zipped file, unpacked."""
MOST_LINES = 500_000

_MIN_POINTS = 50
_MIN_SPAN_DEG = 2.0
_LOWEST_UNSTATED_END_DEG = 20.0
"""Bare columns that end below this are rather Q in 1/Å, d in Å or s than 2θ of a tube."""
_UNREADABLE = (
    ValueError,
    LookupError,
    OSError,
    SyntaxError,
    ArithmeticError,
    TypeError,
    AttributeError,
    RuntimeError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)
"""What rietx and the libraries below it raise for a file that is not what it seems."""
_ANY_THIRD_COLUMN = {"xy", "chi"}
"""Formats whose third column may be anything; elsewhere esds are what the format says."""
_PASSED_ON = {
    "PATTERN_X_AXIS_ASSUMED",
    "PATTERN_X_AXIS_IMPLAUSIBLE",
    "PATTERN_DUPLICATE_POINTS",
    "PATTERN_ROWS_DROPPED",
    "PATTERN_DEAD_CHANNELS",
}
"""Diagnostics of rietx that whoever reads the result should know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A powder pattern on a 2θ axis.

    Attributes:
        two_theta_deg: Scattering angle, strictly increasing, shape (n,).
        counts: Counts at each angle, none negative, shape (n,).
        esd: One standard deviation of ``counts``, all positive, shape (n,).
        wavelength_ang: Kα₁ (or the only) wavelength.
        wavelength_stated: Whether the file gave it or the anode; else Cu Kα₁ is assumed.
        counting_time_s: Time a step; None where the file does not say.
        sample: Name of the sample as the instrument wrote it, possibly empty.
        origin: File name, and the format it was read as.
        radius_mm: Radius of the goniometer; None where the file does not say.
        wavelength2_ang: Kα₂; None where nothing is known of it.
        ratio: Intensity of Kα₂ over Kα₁, 0 for monochromatic radiation; None if unknown.
        wavelength_beta_ang: Kβ; None where the anode is unknown.
        anode: Symbol of the anode, possibly empty.
        geometry: How sample and detector moved.
        monochromator: Crystal behind the sample, as the file names it, possibly empty.
        monochromator_two_theta_deg: Its 2θ; None without one, or where it is not stated.
        beta_filter: Kβ filter (``Ni``): some Kβ is left. Empty where none is named.
        temperature_c: Temperature of the sample; None where the file does not say.
        measured_at: Start of the measurement; None where the file does not say.
        warnings: What is doubtful about the pattern, in sentences.
    """

    two_theta_deg: Array
    counts: Array
    esd: Array
    wavelength_ang: float = CU_KALPHA1_ANG
    wavelength_stated: bool = False
    counting_time_s: float | None = None
    sample: str = ""
    origin: str = ""
    radius_mm: float | None = None
    wavelength2_ang: float | None = None
    ratio: float | None = None
    wavelength_beta_ang: float | None = None
    anode: str = ""
    geometry: Geometry = "unknown"
    monochromator: str = ""
    monochromator_two_theta_deg: float | None = None
    beta_filter: str = ""
    temperature_c: float | None = None
    measured_at: datetime | None = None
    warnings: tuple[str, ...] = ()


def read_pattern(path: Path) -> Pattern:
    """Read a pattern file of any known format (see docs/analysis.md).

    Raises:
        BadInput: If there is no such file, or it cannot be used safely.
        AlabError: If there is no room for temporary files.
    """
    try:
        _refuse_size(path.stat().st_size, path.name)
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise BadInput(
            f"cannot read pattern {path}: {getattr(error, 'strerror', error)}; check the path"
        ) from error
    return parse_pattern(content, path.name)


def parse_pattern(content: bytes, filename: str) -> Pattern:
    """Read the content of a pattern file.

    Args:
        content: The file, byte for byte.
        filename: Its name; its ending helps to tell some formats apart.

    Raises:
        BadInput: Naming the file, what is wrong with it, and the way out.
        AlabError: If there is no room for temporary files.
    """
    if not content.strip():
        raise BadInput(f"{filename}: the file is empty; measure or export it again")
    _refuse_large(content, filename)
    with _copy(content, filename) as path, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy, about files that are refused anyway
        try:
            pattern = _read(path, content, filename)
        except _UNREADABLE as error:
            said = str(error).replace(str(path), filename).replace(path.name, filename)
            raise BadInput(
                f"{filename}: cannot be read as a powder pattern: {said[:500]}; export it as "
                ".xy (2θ in degrees, counts)"
            ) from error
    _refuse_unsafe(pattern, filename)
    return pattern


@contextmanager
def _copy(content: bytes, filename: str) -> Iterator[Path]:
    """A temporary file: rietx reads files only, and looks at their ending."""
    ending = re.sub(r"[^\w.]", "", Path(filename).suffix, flags=re.ASCII)[:12]
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            path = Path(folder) / f"pattern{ending}"
            path.write_bytes(content)
        except OSError as error:
            folder = tempfile.tempdir or "the folder for temporary files"
            raise AlabError(
                f"{filename}: cannot be copied to {folder}: {error.strerror or error}; make "
                "room there, or name another folder with TMPDIR"
            ) from error
        yield path


def _refuse_size(size_bytes: int, filename: str, most_mb: int = LARGEST_FILE_MB) -> None:
    if size_bytes > most_mb * 2**20:
        raise BadInput(
            f"{filename}: {size_bytes / 2**20:.0f} MB; a powder pattern has at most {most_mb} "
            "MB. Export one scan"
        )


def _refuse_large(content: bytes, filename: str) -> None:
    """Refuse what would keep a reader busy for minutes, a small archive of much included."""
    _refuse_size(len(content), filename)
    if content.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = [member.file_size for member in archive.infolist()]
        except _UNREADABLE:
            members = []  # the reader will say why
        _refuse_size(max(members, default=0), filename, LARGEST_MEMBER_MB)
    if (lines := content.count(b"\n")) > MOST_LINES:
        raise BadInput(
            f"{filename}: {lines} lines; a powder pattern has at most {MOST_LINES}. Export one "
            "scan"
        )


def _read(path: Path, content: bytes, filename: str) -> Pattern:
    form = identify_format(path)
    told: list[str] = []
    columns = None
    if form.name == "xy":
        columns = plain(content, filename)
        path.write_text(columns.text, encoding="utf-8")
        told += columns.warnings
        beam = columns.beam
    else:
        beam = beam_of(path, form.name, filename)
    found = _scans(path, form.name, filename, told)
    scan, joined = join([one for one, _ in found], filename)
    metadata = found[0][1]
    lines = wavelengths(beam.or_else(_beam(metadata)))
    if columns is not None:
        _refuse_other_axis(scan.two_theta_deg, columns, lines.stated, filename)
    if np.any(scan.counts < 0) or not np.all(np.isfinite(scan.counts)):
        esd, doubts = poisson(np.nan_to_num(scan.counts)), ()  # refused below, in words
    else:
        esd, doubts = scan.esd, ()
        if esd is None or not np.all(esd > 0) or form.name in _ANY_THIRD_COLUMN:
            esd, doubts = esds(scan.counts, scan.esd)
    if beam.geometry != "unknown":  # the axis was named after all
        told = [text for text in told if "not one this reader recognises" not in text]
    return Pattern(
        two_theta_deg=scan.two_theta_deg,
        counts=scan.counts,
        esd=esd,
        wavelength_ang=lines.alpha1_ang,
        wavelength_stated=lines.stated,
        counting_time_s=None if scan.time_s is None else float(np.median(scan.time_s)),
        sample=metadata.get("sample", "").strip(),
        origin=f"{filename} ({form.name})",
        radius_mm=beam.radius_mm or number(metadata.get("goniometer_radius_mm")),
        wavelength2_ang=lines.alpha2_ang,
        ratio=lines.ratio,
        wavelength_beta_ang=lines.beta_ang,
        anode=lines.anode,
        geometry=beam.geometry,
        monochromator=beam.monochromator,
        monochromator_two_theta_deg=beam.monochromator_two_theta_deg,
        beta_filter=beam.beta_filter,
        temperature_c=beam.temperature_c or _celsius(metadata),
        measured_at=beam.measured_at,
        warnings=(
            *lines.warnings,
            *(text.replace(path.name, filename) for text in dict.fromkeys(told)),
            *joined,
            *doubts,
            *saturated(scan.two_theta_deg, scan.counts),
        ),
    )


def _scans(
    path: Path, form: str, filename: str, told: list[str]
) -> list[tuple[Scan, dict[str, str]]]:
    """Every scan of the file whose axis is 2θ, with its metadata; at least one."""
    read: list[tuple[Scan, dict[str, str]]] = []
    refused: list[Exception] = []
    count, index = 1, 0
    while index < count:
        notes: list[Diagnostic] = []
        try:
            data = rietx_read(path, diagnostics=notes, scan=index)
        except ValueError as error:
            refused.append(error)
            if not read and index == 0:
                count = min(_count(path), MOST_SCANS + 1)
        else:
            count = int(data.metadata.get("scan_count", "1"))
            read.append((_scan(path, form, data, index, filename), data.metadata))
        if count > MOST_SCANS:
            raise BadInput(
                f"{filename}: {count} scans or more, a map or a series; at most {MOST_SCANS} "
                "make one pattern. Export one scan"
            )
        told += [note.message for note in notes if note.code in _PASSED_ON]
        index += 1
    if not read:
        raise refused[0]
    if refused:
        told.append(f"{len(refused)} of {count} scans are not over 2θ and were left out.")
    return read


def _count(path: Path) -> int:
    """How many scans a file holds whose first one cannot be read."""
    form = identify_format(path)
    try:
        return 1 if form.scans is None else len(form.scans(path))
    except ValueError:
        return 1


def _scan(path: Path, form: str, data: PatternData, index: int, filename: str) -> Scan:
    if data.two_theta is None:
        raise BadInput(
            f"{filename}: a time-of-flight pattern; only angle-dispersive ones can be analysed"
        )
    counts = np.array(data.intensity, dtype=float)
    esd = None if data.sigma is None else np.array(data.sigma, dtype=float)
    if form in ("ras", "rasx"):
        counts, esd = _unattenuated(path, form, index, counts, esd, filename)
    time_s = number(data.metadata.get("count_time_s"))
    times = None if time_s is None else np.full(len(counts), time_s)
    rate = form != "xrdml" or data.metadata.get("intensity_unit") == "cps"
    if time_s and rate and not are_whole(counts) and are_whole(counts * time_s):
        # Counts per second, whatever the header calls them; the esds are of what was counted.
        counts, esd = np.round(counts * time_s), None
    if times is None:
        times = counting_times_s(path, form, index, len(counts))
    return Scan(
        np.array(data.two_theta, dtype=float),
        counts,
        esd,
        times,
        number(data.metadata.get("temperature_k")),
    )


def _unattenuated(
    path: Path, form: str, index: int, counts: Array, esd: Array | None, filename: str
) -> tuple[Array, Array | None]:
    """Counts corrected for the attenuator, with their esds.

    rietx leaves the factors of Rigaku's third column alone, for nothing says whether they
    are applied; whether the counts jump where it switches does.
    """
    factors = attenuation_factors(path, form, index)
    if factors is None or len(factors) != len(counts) or np.any(factors <= 0):
        return counts, esd
    state = attenuator(counts, factors)
    if state == "unknown":
        raise BadInput(
            f"{filename}: the attenuator switches between {factors.min():g} and "
            f"{factors.max():g}, and the file does not say whether the counts are corrected "
            "for it; export them corrected"
        )
    counted = counts if state == "raw" else counts / factors
    if np.ptp(factors) == 0:
        return counts, esd
    return counted * factors, poisson(counted) * factors


def _beam(metadata: dict[str, str]) -> Beam:
    """What rietx found of the beam."""
    second = metadata.get("wavelength_alpha2")
    none = second is not None and number(second) is None
    return Beam(
        alpha1_ang=number(metadata.get("wavelength")),
        alpha2_ang=0.0 if none else number(second),
        anode=metadata.get("anode", ""),
    )


def _celsius(metadata: dict[str, str]) -> float | None:
    kelvin = number(metadata.get("temperature_k"))
    return None if kelvin is None else kelvin - KELVIN_AT_0_C


def _refuse_other_axis(
    two_theta_deg: Array, columns: Columns, wavelength_stated: bool, filename: str
) -> None:
    end = two_theta_deg[-1]
    if len(two_theta_deg) < _MIN_POINTS:
        return  # refused for that
    if end < _LOWEST_UNSTATED_END_DEG and not (columns.stated or wavelength_stated):
        raise BadInput(
            f"{filename}: columns from {two_theta_deg[0]:g} to {end:g} without a heading: Q, d "
            "or 2θ? Head them '2theta counts', or state the wavelength in a first line"
        )


def _refuse_unsafe(pattern: Pattern, filename: str) -> None:
    """Refuse a pattern whose analysis would mislead."""
    angle, counts = pattern.two_theta_deg, pattern.counts
    if not (np.all(np.isfinite(angle)) and np.all(np.isfinite(counts))):
        raise BadInput(f"{filename}: holds values that are no numbers; export it again")
    if len(angle) < _MIN_POINTS or angle[-1] - angle[0] < _MIN_SPAN_DEG:
        raise BadInput(
            f"{filename}: {len(angle)} points over {angle[-1] - angle[0]:.2f}° are too few "
            f"(at least {_MIN_POINTS} over {_MIN_SPAN_DEG:g}°); was the file cut off?"
        )
    if np.any(np.diff(angle) <= 0):
        first = int(np.argmax(np.diff(angle) <= 0))
        raise BadInput(
            f"{filename}: 2θ falls back after {angle[first]:g}°; several ranges or a wrong "
            "column. Export one range with rising 2θ"
        )
    if angle[0] < 0 or angle[-1] > 180:
        raise BadInput(
            f"{filename}: the axis runs from {angle[0]:g} to {angle[-1]:g}, outside 0 to "
            "180° of 2θ; export 2θ in degrees, not d or Q"
        )
    if np.any(counts < 0):
        worst = int(np.argmin(counts))
        raise BadInput(
            f"{filename}: {counts[worst]:g} counts at {angle[worst]:g}°; counts cannot be "
            "negative: background was subtracted, or the numbers are scrambled. Export the "
            "raw counts"
        )
    if not 0.2 <= pattern.wavelength_ang <= 3.0:
        raise BadInput(
            f"{filename}: wavelength {pattern.wavelength_ang:g} Å lies outside 0.2 to 3 Å; "
            "correct it in the file"
        )
