"""What is known of an element before any compound of it has been seen.

Network weights start from these numbers, so that elements seen seldom resemble their
neighbours in the periodic table.
"""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element

from planners.stability.models.composition_encoding import SPECIES

_BLOCKS = "spdf"
_FARTHEST = 3.0
"""Deviations beyond which a property is cut: hydrogen's are far from all others."""

_PROPERTIES: tuple[Callable[[Element], object], ...] = (
    lambda e: e.row,
    lambda e: e.group,
    lambda e: e.mendeleev_no,
    lambda e: float(e.atomic_mass) ** 0.5,
    lambda e: e.X,
    lambda e: e.electron_affinity,
    lambda e: e.ionization_energies[0],
    lambda e: e.ionization_energies[1],
    lambda e: e.ionization_energies[2],
    lambda e: e.atomic_radius,
    lambda e: e.van_der_waals_radius,
    lambda e: e.metallic_radius,
    lambda e: e.average_ionic_radius,
    lambda e: e.average_cationic_radius,
    lambda e: e.average_anionic_radius,
    lambda e: max(e.common_oxidation_states),
    lambda e: min(e.common_oxidation_states),
    lambda e: e.molar_volume,
    lambda e: e.melting_point,
    lambda e: _electrons(e, "d"),
    lambda e: _electrons(e, "f"),
    *[lambda e, block=block: e.block == block for block in _BLOCKS],
)


def element_properties() -> NDArray[np.float32]:
    """Tabulated properties of the elements, from pymatgen.

    Returns:
        Shape (SPECIES, p); each column has mean 0 and deviation 1, is cut at ±3, and is 0
        where pymatgen knows no value. Row 0, the empty place, is 0.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns of every value it lacks
        rows = [
            [_known(of, Element.from_Z(z)) for of in _PROPERTIES] for z in range(1, SPECIES)
        ]
    values = np.array(rows)
    scaled = (values - np.nanmean(values, axis=0)) / np.nanstd(values, axis=0)
    table = np.zeros((SPECIES, len(_PROPERTIES)), dtype=np.float32)
    table[1:] = np.clip(np.nan_to_num(scaled, nan=0.0), -_FARTHEST, _FARTHEST)
    return table


def _known(of: Callable[[Element], object], element: Element) -> float:
    try:
        value = of(element)
    except (AttributeError, IndexError, KeyError, ValueError):
        return np.nan
    return np.nan if value is None else float(value)  # type: ignore[arg-type]


def _electrons(element: Element, orbital: str) -> int:
    """Electrons in the outermost shells of one kind, beyond the last noble gas."""
    return sum(n for _, kind, n in element.full_electronic_structure[-4:] if kind == orbital)
