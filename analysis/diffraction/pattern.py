"""Measured powder patterns: read what a diffractometer wrote, refuse what is unsafe."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rietx

from alab.errors import BadInput
from analysis.diffraction.arrays import Array

CU_KALPHA1_ANG = 1.5405929
"""Cu Kα₁, Hölzer et al., Phys. Rev. A 56 (1997) 4554; taken where a file gives none."""

_MIN_POINTS = 50
_MIN_SPAN_DEG = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A powder pattern on a 2θ axis.

    Attributes:
        two_theta_deg: Scattering angle, strictly increasing, shape (n,).
        counts: Counts at each angle, none negative, shape (n,).
        esd: One standard deviation of ``counts``, all positive, shape (n,).
        wavelength_ang: Kα₁ (or the only) wavelength.
        wavelength_stated: Whether the file gave it; otherwise Cu Kα₁ is assumed.
        counting_time_s: Time a step; None where the file does not say.
        sample: Name of the sample as the instrument wrote it, possibly empty.
        origin: File name, and the format it was read as.
        radius_mm: Radius of the goniometer; None where the file does not say.
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


def read_pattern(path: Path) -> Pattern:
    """Read a pattern file of any known format (see docs/analysis.md).

    Raises:
        BadInput: If there is no such file, or it cannot be used safely.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"cannot read pattern {path}: {error.strerror}; check the path"
        ) from error
    return parse_pattern(content, path.name)


def parse_pattern(content: bytes, filename: str) -> Pattern:
    """Read the content of a pattern file.

    Args:
        content: The file, byte for byte.
        filename: Its name; its ending helps to tell some formats apart.

    Raises:
        BadInput: Naming the file, what is wrong with it, and the way out.
    """
    if not content.strip():
        raise BadInput(f"{filename}: the file is empty; measure or export it again")
    with tempfile.TemporaryDirectory() as folder:
        # rietx reads files only, and looks at their ending.
        path = Path(folder) / Path(filename).name
        path.write_bytes(content)
        try:
            data = rietx.read_pattern(path)
        except (ValueError, KeyError, IndexError, OSError, SyntaxError) as error:
            raise BadInput(
                f"{filename}: cannot be read as a powder pattern: "
                f"{str(error).replace(str(path), filename)}; export it as .xy (2θ in "
                "degrees, counts)"
            ) from error
    if data.two_theta is None:
        raise BadInput(
            f"{filename}: a time-of-flight pattern; only angle-dispersive ones can be analysed"
        )
    pattern = _pattern(
        np.array(data.two_theta, dtype=float),
        np.array(data.intensity, dtype=float),
        None if data.sigma is None else np.array(data.sigma, dtype=float),
        data.metadata,
        filename,
    )
    _refuse_unsafe(pattern, filename)
    return pattern


def _pattern(
    two_theta_deg: Array,
    counts: Array,
    sigma: Array | None,
    metadata: dict[str, str],
    filename: str,
) -> Pattern:
    usable = sigma is not None and np.all(np.isfinite(sigma)) and np.ptp(sigma) > 0
    poisson = np.sqrt(np.maximum(counts, 1.0))
    esd = np.where(sigma > 0, sigma, poisson) if usable and sigma is not None else poisson
    wavelength = _number(metadata.get("wavelength"))
    return Pattern(
        two_theta_deg=two_theta_deg,
        counts=counts,
        esd=esd,
        wavelength_ang=wavelength or CU_KALPHA1_ANG,
        wavelength_stated=wavelength is not None,
        counting_time_s=_number(metadata.get("count_time_s")),
        sample=metadata.get("sample", ""),
        radius_mm=_number(metadata.get("goniometer_radius_mm")),
        origin=f"{filename} ({metadata.get('format', 'unknown format')})",
    )


def _number(text: str | None) -> float | None:
    found = re.search(r"\d+\.?\d*(?:[eE][-+]?\d+)?", text or "")
    return float(found[0]) if found and float(found[0]) > 0 else None


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
            "negative. Export the raw counts, without background subtraction"
        )
    if not 0.2 <= pattern.wavelength_ang <= 3.0:
        raise BadInput(
            f"{filename}: wavelength {pattern.wavelength_ang:g} Å lies outside 0.2 to 3 Å; "
            "correct it in the file"
        )
