"""What a pattern file says of the beam: tube, wavelengths, geometry, optics."""

import re
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Literal, NamedTuple

Geometry = Literal["bragg_brentano", "transmission", "fixed_incidence", "unknown"]


class KLines(NamedTuple):
    """K emission lines of an anode, in ångström."""

    alpha1_ang: float
    alpha2_ang: float
    beta_ang: float


ANODES = {
    "Cr": KLines(2.2897260, 2.2936510, 2.0848810),
    "Fe": KLines(1.9360410, 1.9399730, 1.7566040),
    "Co": KLines(1.7889960, 1.7928350, 1.6208260),
    "Cu": KLines(1.5405929, 1.5444274, 1.3922340),
    "Mo": KLines(0.70931715, 0.713607, 0.632303),
    "Ag": KLines(0.55942178, 0.5638131, 0.4970817),
}
"""Cr to Cu: Hölzer et al., Phys. Rev. A 56 (1997) 4554; Mo and Ag: International Tables for
Crystallography C, table 4.2.2.4, after Deslattes & Kessler."""

CU_KALPHA1_ANG = ANODES["Cu"].alpha1_ang
"""Cu Kα₁; taken where a file gives no wavelength."""
KALPHA_RATIO = 0.5
"""Intensity of Kα₂ over Kα₁ of an unfiltered doublet: twice as many 2p₃/₂ electrons."""

_SAME_LINE_ANG = 4e-4
"""Tables of one line differ by this much at most; Kα₁ and the mean Kα by three times it."""
_ROUNDED_ANG, _NAMED_ANG = 0.002, 0.02
"""A wavelength of up to three decimals is a line that it misses by less than the first; one
beside the name of the anode, by less than the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beam:
    """What a file states of the beam; None or empty where it says nothing.

    Attributes:
        alpha1_ang: Kα₁, or the only wavelength.
        alpha2_ang: Kα₂; 0 where the file says that there is none.
        beta_ang: Kβ.
        ratio: Intensity of Kα₂ over Kα₁.
        anode: Symbol of the element.
        geometry: How sample and detector move.
        radius_mm: Radius of the goniometer.
        incident_monochromator: A crystal before the sample, which removes Kα₂ and Kβ.
        monochromator: A crystal behind the sample, as the file names it.
        monochromator_two_theta_deg: Its 2θ.
        beta_filter: Material of a Kβ filter.
        temperature_c: Temperature of the sample.
        measured_at: Start of the measurement.
        warnings: What is doubtful.
    """

    alpha1_ang: float | None = None
    alpha2_ang: float | None = None
    beta_ang: float | None = None
    ratio: float | None = None
    anode: str = ""
    geometry: Geometry = "unknown"
    radius_mm: float | None = None
    incident_monochromator: bool = False
    monochromator: str = ""
    monochromator_two_theta_deg: float | None = None
    beta_filter: str = ""
    temperature_c: float | None = None
    measured_at: datetime | None = None
    warnings: tuple[str, ...] = ()

    def or_else(self, other: "Beam") -> "Beam":
        """This beam, with what it leaves open taken from another account of it."""
        return Beam(
            **{
                field.name: mine if _said(mine := getattr(self, field.name)) else theirs
                for field in fields(self)
                for theirs in [getattr(other, field.name)]
            }
        )


def _said(value: object) -> bool:
    if isinstance(value, bool | str | tuple):
        return bool(value) and value != "unknown"
    return value is not None


class Wavelengths(NamedTuple):
    """The lines to draw.

    Attributes:
        alpha1_ang: Kα₁ or the only wavelength.
        alpha2_ang: Kα₂; the same as Kα₁ where the radiation is monochromatic.
        beta_ang: Kβ; None where the anode is unknown.
        ratio: Kα₂ over Kα₁.
        anode: Symbol, or empty.
        stated: Whether the file gave wavelength or anode.
        warnings: What was corrected or assumed.
    """

    alpha1_ang: float
    alpha2_ang: float
    beta_ang: float | None
    ratio: float
    anode: str
    stated: bool
    warnings: tuple[str, ...]


def wavelengths(beam: Beam) -> Wavelengths:
    """Complete what a file states with the known lines of the anode.

    A stated mean Kα (2 Kα₁ + Kα₂)/3 is not a line; it is replaced by Kα₁, for its cell would
    be wrong by 0.08 %. So is a rounded wavelength (1.54 Å), which would be taken for that of a
    synchrotron, without Kα₂.
    """
    told: list[str] = []
    named = element(beam.anode)
    if beam.alpha1_ang is None:
        anode = named or "Cu"
        lines = ANODES[anode]
        beam = Beam(anode=anode).or_else(beam)
        alpha1, stated = lines.alpha1_ang, bool(named)
    else:
        alpha1, anode, stated = _line(beam.alpha1_ang, named, told), "", True
        anode = anode_of(alpha1)
    if named and anode and named != anode:
        told.append(
            f"The file names a {named} tube but {alpha1:g} Å, the line of {anode}: the "
            "wavelength was taken."
        )
    lines = ANODES.get(anode)
    alone = beam.ratio == 0 or (
        beam.alpha2_ang is not None and beam.alpha2_ang in (0, beam.alpha1_ang)
    )
    if alone or beam.incident_monochromator or lines is None:
        # A synchrotron, or a crystal or file that leaves Kα₁ alone.
        doublet = lines is None and bool(beam.alpha2_ang) and beam.ratio
        alpha2, ratio = (beam.alpha2_ang, beam.ratio) if doublet else (alpha1, 0.0)
        assert alpha2 is not None  # noqa: S101 - either from the file or Kα₁
        assert ratio is not None  # noqa: S101
        if ratio == 0 and not (alone or beam.incident_monochromator):
            told.append(
                f"{alpha1:g} Å is no Kα₁ of {named or 'a usual anode'}: it was taken as the "
                "only wavelength."
            )
    else:
        alpha2 = beam.alpha2_ang or alpha1 * lines.alpha2_ang / lines.alpha1_ang
        ratio = KALPHA_RATIO if beam.ratio is None else beam.ratio
        if not (1 < alpha2 / alpha1 < 1.01 and 0 <= ratio <= 1):
            told.append(
                f"Kα₂ at {alpha2:g} Å with {ratio:g} of Kα₁ is impossible; the usual "
                f"{lines.alpha2_ang:g} Å and {KALPHA_RATIO:g} were taken."
            )
            alpha2, ratio = alpha1 * lines.alpha2_ang / lines.alpha1_ang, KALPHA_RATIO
    beta = beam.beta_ang or (lines.beta_ang if lines else None)
    return Wavelengths(alpha1, alpha2, beta, ratio, anode, stated, (*beam.warnings, *told))


def anode_of(alpha1_ang: float) -> str:
    """Symbol of the anode whose Kα₁ this is; empty where it is none's."""
    return next((a for a, k in ANODES.items() if _same(alpha1_ang, k.alpha1_ang)), "")


def beta_of(alpha1_ang: float) -> float:
    """Kβ in ångström of the anode whose Kα₁ this is; 0 where it is none's."""
    lines = ANODES.get(anode_of(alpha1_ang))
    return lines.beta_ang if lines else 0.0


def element(text: str) -> str:
    """Symbol of the anode that a text names (``CU``, ``Copper Cu-LFF``), or nothing."""
    words = re.findall(r"[A-Za-z]+", text)
    return next((word.capitalize() for word in words if word.capitalize() in ANODES), "")


def _same(one_ang: float, other_ang: float) -> bool:
    return abs(one_ang - other_ang) < _SAME_LINE_ANG


def _line(stated_ang: float, named: str, told: list[str]) -> float:
    """Kα₁ of the anode whose line a stated wavelength is, or else that wavelength."""
    rounded = stated_ang == round(stated_ang, 3)
    for anode, lines in ANODES.items():
        if _same(stated_ang, lines.alpha1_ang):
            return stated_ang
        mean = (2 * lines.alpha1_ang + lines.alpha2_ang) / 3
        apart = min(abs(stated_ang - lines.alpha1_ang), abs(stated_ang - mean))
        near = _NAMED_ANG if anode == named else _ROUNDED_ANG if rounded else 0.0
        if _same(stated_ang, mean) or apart < near:
            what = "the mean" if _same(stated_ang, mean) else "about"
            told.append(
                f"{stated_ang:g} Å is {what} {anode} Kα; Kα₁ {lines.alpha1_ang:g} Å and Kα₂ "
                "were taken."
            )
            return lines.alpha1_ang
    return stated_ang
