"""Certified standards of line position and shape, with their cells.

Certificates of the National Institute of Standards and Technology, at 22.5 °C, on the scale
of Cu Kα₁ 1.5405929 Å. The structures in ``standard_structures/`` only give which lines there
are and about how strong; their intensities are refined.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from alab.errors import BadInput
from analysis.diffraction.crystal import Crystal, read_crystal

_FOLDER = Path(__file__).with_name("standard_structures")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """A powder whose cell is known.

    Attributes:
        name: As on the bottle.
        crystal: Structure with the certified cell.
    """

    name: str
    crystal: Crystal


_CUBIC_ANG = {
    "660": ("LaB6", 4.15695),
    "660a": ("LaB6", 4.1569162),
    "660b": ("LaB6", 4.15691),
    "660c": ("LaB6", 4.156826),
    "640a": ("Si", 5.430825),
    "640b": ("Si", 5.430940),
    "640c": ("Si", 5.4311946),
    "640d": ("Si", 5.43123),
    "640e": ("Si", 5.431179),
    "640f": ("Si", 5.431144),
}
_CORUNDUM_ANG = {"676a": (4.759091, 12.991779), "1976": (4.758846, 12.993060)}
_NEWEST = {"lab6": "660c", "si": "640f", "al2o3": "676a", "corundum": "676a"}

CERTIFICATES = (*_CUBIC_ANG, *_CORUNDUM_ANG)
"""Numbers of the reference materials known here."""


def standard(name: str) -> Standard:
    """A certified standard.

    Args:
        name: Number of the certificate (``660c``, ``SRM 640e``), or a formula for the newest.

    Raises:
        BadInput: If it is not known here.
    """
    key = name.lower().replace("srm", "").replace("nist", "").strip(" -_")
    key = _NEWEST.get(key, key)
    if key in _CUBIC_ANG:
        formula, a = _CUBIC_ANG[key]
        cell = np.array([a, a, a, 90.0, 90.0, 90.0])
    elif key in _CORUNDUM_ANG:
        formula, (a, c) = "Al2O3", _CORUNDUM_ANG[key]
        cell = np.array([a, a, c, 90.0, 90.0, 120.0])
    else:
        raise BadInput(
            f"{name!r} is no standard known here; name LaB6, Si, Al2O3 or one of "
            f"{', '.join(CERTIFICATES)}, or give its structure with --cif"
        )
    crystal = replace(read_crystal(_FOLDER / f"{formula}.cif"), cell=cell)
    return Standard(name=f"SRM {key} {formula}", crystal=crystal)


def own_standard(path: Path) -> Standard:
    """A standard of one's own: a CIF with the cell that is known of it.

    Raises:
        BadInput: If the CIF cannot be read.
    """
    crystal = read_crystal(path)
    return Standard(name=f"{crystal.formula} ({path.name})", crystal=crystal)
