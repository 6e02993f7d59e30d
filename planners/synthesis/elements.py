"""Gibbs energies of the elements: what turns a table's ΔfG(T) into an apparent energy.

Tables give the formation energy from the elements *at the same temperature*; our apparent
energies have the elements at 298.15 K as their zero. The difference is what the elements
themselves do on heating::

    G(T) = ΔfG(T) + Σ n_i·g_i(T),   g_i(T) = G_i(T) − H_i(298.15 K)

with g_i(T) from pymatgen's ``g_els.json`` (FactSage, 300 to 2000 K, as in Bartel et al.,
Nat. Commun. 9, 4168, 2018). They belong to the states NIST-JANAF takes as its reference.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from pymatgen.core import Composition

FloatArray = NDArray[np.float64]

GRID_K: FloatArray = np.arange(300.0, 2001.0, 100.0)
"""Temperatures at which tables are given: 300, 400, … 2000 K."""

GASEOUS = frozenset({"H", "N", "O", "F", "Cl", "He", "Ne", "Ar", "Kr", "Xe", "Rn"})
LIQUID = frozenset({"Br", "Hg"})
"""Elements that are no solids at 25 °C."""


@cache
def element_energies_ev() -> Mapping[str, FloatArray]:
    """Apparent Gibbs energy of each element, eV per atom on ``GRID_K``."""
    # the file itself: the module of pymatgen that reads it takes three seconds to import
    text = (files("pymatgen.core") / "data" / "g_els.json").read_bytes()
    content = TypeAdapter(dict[str, dict[str, float]]).validate_json(text)
    rows = [content[f"{t:.0f}"] for t in GRID_K]
    return MappingProxyType({s: np.array([row[s] for row in rows]) for s in rows[0]})


def covers(composition: Composition) -> bool:
    """Whether every element of a composition is tabulated."""
    return all(symbol in element_energies_ev() for symbol in composition.get_el_amt_dict())


def elements_ev(composition: Composition) -> FloatArray:
    """Σ n·g(T) of a composition's elements, eV per formula on ``GRID_K``.

    Raises:
        KeyError: If an element is not tabulated; see :func:`covers`.
    """
    total = np.zeros_like(GRID_K)
    for symbol, count in composition.get_el_amt_dict().items():
        total += count * element_energies_ev()[symbol]
    return total


def solid_elements() -> frozenset[str]:
    """Elements with an energy that are solid at 25 °C."""
    return frozenset(element_energies_ev()) - GASEOUS - LIQUID
