"""The instrument file: what one diffractometer makes of a line, calibrated with a standard.

A TOML (or JSON) file, written by ``alab calibrate`` and read by the analysis. Limits are those
of laboratory diffractometers; what lies outside is a slip of the pen.
"""

import json
import math
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from alab.errors import BadInput
from analysis.diffraction.beam import beta_of
from analysis.diffraction.profile import Instrument

_WIDTHS_CHECKED_DEG = range(5, 156, 5)
_Wavelength = Annotated[float, Field(ge=0.2, le=3.0)]
_Share = Annotated[float, Field(ge=0.0, le=0.2)]
_Lorentz = Annotated[float, Field(ge=0.0, le=1.0)]
_Aperture = Annotated[float, Field(ge=0.0, le=0.2)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Radiation(_Table):
    """The tube.

    Attributes:
        anode: Symbol of the element; empty at a synchrotron.
        wavelength1_ang: Kα₁.
        wavelength2_ang: Kα₂; the same for monochromatic radiation.
        ratio: Intensity of Kα₂ over Kα₁; 0 for monochromatic radiation.
        kbeta_ratio: Intensity of residual Kβ over that of Kα₁ and Kα₂.
        wlalpha_ratio: Intensity of W Lα, from tungsten on the anode, over the same.
    """

    anode: str = "Cu"
    wavelength1_ang: _Wavelength = 1.5405929
    wavelength2_ang: _Wavelength = 1.5444274
    ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    kbeta_ratio: _Share = 0.0
    wlalpha_ratio: _Share = 0.0


class Goniometer(_Table):
    """The path of the beam.

    Attributes:
        geometry: Flat plate in reflection, or transmission, which is drawn as reflection and
            told.
        radius_mm: From sample to detector.
        monochromator_two_theta_deg: 2θ of a crystal behind the sample (26.6 for graphite and
            Cu Kα); 0 without one.
        divergence_slit: Fixed, or automatic: lighting a constant length of the sample.
        axial_sl: Axial aperture of the beam over the radius, S/L.
        axial_hl: That of the detector, H/L.
        zero_deg: Zero of 2θ, to be added to calculated angles.
    """

    geometry: Literal["bragg_brentano", "transmission"] = "bragg_brentano"
    radius_mm: Annotated[float, Field(ge=50.0, le=2000.0)] = 145.0
    monochromator_two_theta_deg: Annotated[float, Field(ge=0.0, le=90.0)] = 0.0
    divergence_slit: Literal["fixed", "automatic"] = "fixed"
    axial_sl: _Aperture = 0.03
    axial_hl: _Aperture = 0.03
    zero_deg: Annotated[float, Field(ge=-1.0, le=1.0)] = 0.0


class Profile(_Table):
    """Full widths: H_G² = U tan²θ + V tanθ + W + P/cos²θ, H_L = X tanθ + Y/cosθ.

    Attributes:
        u_deg2: U.
        v_deg2: V.
        w_deg2: W.
        p_deg2: P.
        x_deg: X.
        y_deg: Y.
    """

    u_deg2: Annotated[float, Field(ge=-0.5, le=0.5)] = 0.002
    v_deg2: Annotated[float, Field(ge=-0.5, le=0.5)] = -0.001
    w_deg2: Annotated[float, Field(ge=-0.5, le=0.5)] = 0.002
    p_deg2: Annotated[float, Field(ge=-0.5, le=0.5)] = 0.0
    x_deg: _Lorentz = 0.01
    y_deg: _Lorentz = 0.02

    @model_validator(mode="after")
    def _positive(self) -> "Profile":
        for two_theta in _WIDTHS_CHECKED_DEG:
            gauss2, lorentz = self.widths(two_theta)
            if gauss2 < 0 or gauss2 + lorentz <= 0:
                raise ValueError(
                    f"the widths at {two_theta}° of 2θ are no widths: Gaussian {gauss2:.3g} "
                    "deg² must not be negative"
                )
        return self

    def widths(self, two_theta_deg: float) -> tuple[float, float]:
        """Squared Gaussian full width in deg², and Lorentzian full width in degrees."""
        theta = math.radians(two_theta_deg / 2)
        tan, cos = math.tan(theta), math.cos(theta)
        gauss2 = self.u_deg2 * tan**2 + self.v_deg2 * tan + self.w_deg2 + self.p_deg2 / cos**2
        return gauss2, self.x_deg * tan + self.y_deg / cos

    def fwhm_deg(self, two_theta_deg: float) -> float:
        """Full width at half maximum of a line (Thompson, Cox & Hastings, 1987)."""
        gauss2, q = self.widths(two_theta_deg)
        g = math.sqrt(gauss2)
        terms = (1.0, 2.69269, 2.42843, 4.47163, 0.07842, 1.0)
        return sum(a * g ** (5 - k) * q**k for k, a in enumerate(terms)) ** 0.2


class Calibration(_Table):
    """Where the numbers come from.

    Attributes:
        standard: What was measured (``SRM 660c LaB6``).
        pattern: File name of its pattern.
        made_at: When the calibration was made, UTC.
        r_wp_percent: Weighted residual of its refinement.
        lines: How many lines it rests on.
        two_theta_range_deg: First and last angle used.
        displacement_mm: Of that sample, taken out of the zero.
    """

    standard: str
    pattern: str
    made_at: datetime
    r_wp_percent: Annotated[float, Field(ge=0.0, le=100.0)]
    lines: Annotated[int, Field(ge=1)]
    two_theta_range_deg: tuple[float, float]
    displacement_mm: float = 0.0


class InstrumentFile(_Table):
    """One diffractometer.

    Attributes:
        name: What the laboratory calls it.
        radiation: The tube.
        goniometer: The path of the beam.
        profile: The widths of lines.
        particle_diameter_um: Usual diameter of particles, for microabsorption (Brindley);
            None where it is not known.
        calibration: Where the numbers come from; None for a file written by hand.
    """

    name: Annotated[str, Field(min_length=1)]
    radiation: Radiation = Radiation()
    goniometer: Goniometer = Goniometer()
    profile: Profile = Profile()
    particle_diameter_um: Annotated[float, Field(gt=0.0, le=1000.0)] | None = None
    calibration: Calibration | None = None

    def to_instrument(self) -> Instrument:
        """The instrument as the profile functions take it."""
        tube, path, widths = self.radiation, self.goniometer, self.profile
        return Instrument(
            wavelength1_ang=tube.wavelength1_ang,
            wavelength2_ang=tube.wavelength2_ang,
            ratio=tube.ratio,
            radius_mm=path.radius_mm,
            monochromator_two_theta_deg=path.monochromator_two_theta_deg,
            u_deg2=widths.u_deg2,
            v_deg2=widths.v_deg2,
            w_deg2=widths.w_deg2,
            x_deg=widths.x_deg,
            y_deg=widths.y_deg,
            p_deg2=widths.p_deg2,
            axial=path.axial_sl + path.axial_hl,
            zero_deg=path.zero_deg,
            kbeta_ratio=tube.kbeta_ratio,
            wlalpha_ratio=tube.wlalpha_ratio,
            wavelength_beta_ang=beta_of(tube.wavelength1_ang),
            automatic_slit=path.divergence_slit == "automatic",
            transmission=path.geometry == "transmission",
        )


def read_instrument(path: Path) -> InstrumentFile:
    """Read an instrument file, TOML or (by its ending) JSON.

    Raises:
        BadInput: Naming the file and every key that is wrong, its value and the limit.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"cannot read instrument file {path}: {error}; make one with 'alab calibrate'"
        ) from error
    try:
        table = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise BadInput(f"{path.name}: no {kind}: {error}; correct it there") from error
    try:
        return InstrumentFile.model_validate(table)
    except ValidationError as error:
        raise BadInput("\n".join(_mistake(path, one) for one in error.errors())) from error


def _mistake(path: Path, error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"]) or "the file"
    if error["type"] == "missing":
        return f"{path.name}: {key} is missing; add it"
    if error["type"] == "extra_forbidden":
        return f"{path.name}: {key} is unknown; correct its spelling or take it out"
    said = error["msg"].removeprefix("Value error, ")
    given = error["input"]
    if isinstance(given, dict):
        return f"{path.name}: {key}: {said}"
    return f"{path.name}: {key} = {given!r}: {said[:1].lower()}{said[1:]}"


def write_instrument(instrument: InstrumentFile, path: Path) -> None:
    """Write an instrument file, TOML or (by its ending) JSON.

    Raises:
        BadInput: If it cannot be written there.
    """
    table = instrument.model_dump(exclude_none=True)
    text = instrument.model_dump_json(indent=2) if path.suffix == ".json" else _toml(table)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"cannot write {path}: {error.strerror}; choose a folder that you may write to"
        ) from error


def _toml(table: dict[str, Any]) -> str:
    """Tables of one level, as this file has them; Python reads TOML but writes none."""
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    lines = [f"{key} = {_toml_value(value)}" for key, value in plain.items()]
    for name, inner in table.items():
        if isinstance(inner, dict):
            lines += ["", f"[{name}]"]
            lines += [f"{key} = {_toml_value(value)}" for key, value in inner.items()]
    return "\n".join(lines) + "\n"


def _toml_value(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    if isinstance(value, tuple):
        return f"[{', '.join(_toml_value(one) for one in value)}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
