"""What the periodic table says of an element, as standardised numbers.

Elements that a network saw seldom resemble their neighbours in this table from the start.
"""

import warnings
from functools import cache

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element

from planners.stability.models.graphs import SPECIES

_BLOCKS = "spdf"
PROPERTIES = 11
"""Columns of the table."""


@cache
def properties_of_species() -> NDArray[np.float32]:
    """Period, group, electronegativity, radius, mass, block and filling of each element.

    Returns:
        Shape (SPECIES, PROPERTIES), each column with mean 0 and deviation 1 over the elements;
        row 0, the padding, is 0. Radii and electronegativities are those of pymatgen; where it
        has none, the mean stands.
    """
    rows = np.array([_row(Element.from_Z(z)) for z in range(1, SPECIES)])
    known = np.where(np.isfinite(rows), rows, np.nan)
    means = np.nanmean(known, axis=0)
    filled = np.where(np.isfinite(known), known, means)
    table = np.zeros((SPECIES, PROPERTIES), dtype=np.float32)
    table[1:] = (filled - means) / np.maximum(filled.std(axis=0), 1e-6)
    return table


def _row(element: Element) -> list[float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen tells of each value that it lacks
        radii = [element.atomic_radius, element.atomic_radius_calculated]
        negativity = float(element.X)
    return [
        float(element.row),
        float(element.group),
        negativity,
        *[float(radius) if radius else np.nan for radius in radii],
        float(np.log(element.Z)),
        float(element.mendeleev_no),
        *[float(element.block == block) for block in _BLOCKS],
    ]
