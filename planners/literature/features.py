"""Numbers that describe a target and its powders for the firing conditions.

Shares of the elements, the spread of elemental properties over the target, melting points
of the constituent oxides (diffusion sets in at a fixed part of them, Tammann's rule), and
what the powders are: oxides melt, carbonates and nitrates decompose, metals burn; and which.
And what is decided of the firing already: pressed pellets, a firing before, the gas.
"""

import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType

import numpy as np
from pymatgen.core import Element

from planners.literature.arrays import Floats
from planners.literature.firing import GAS_CLASSES, STEPS, Route
from planners.literature.formulas import (
    GAS_ELEMENTS,
    FormulaError,
    composition_key,
    typed_atoms,
)

OXIDE_MELTS_C: Mapping[str, float] = MappingProxyType(
    {
        "Li": 1438, "Na": 1134, "K": 740, "Rb": 500, "Cs": 495, "Be": 2578, "Mg": 2825,
        "Ca": 2613, "Sr": 2531, "Ba": 1972, "Sc": 2489, "Y": 2439, "La": 2304, "Ce": 2480,
        "Pr": 2183, "Nd": 2233, "Sm": 2269, "Eu": 2291, "Gd": 2339, "Tb": 2303, "Dy": 2228,
        "Ho": 2330, "Er": 2344, "Tm": 2341, "Yb": 2355, "Lu": 2427, "Th": 3350, "U": 2847,
        "Ti": 1912, "Zr": 2710, "Hf": 2800, "V": 681, "Nb": 1512, "Ta": 1875, "Cr": 2432,
        "Mo": 802, "W": 1472, "Mn": 1567, "Re": 327, "Fe": 1539, "Ru": 1300, "Os": 500,
        "Co": 1830, "Rh": 1100, "Ir": 1100, "Ni": 1957, "Pd": 750, "Pt": 450, "Cu": 1227,
        "Ag": 827, "Zn": 1974, "Cd": 1500, "Hg": 500, "B": 450, "Al": 2053, "Ga": 1807,
        "In": 1912, "Tl": 834, "Si": 1722, "Ge": 1116, "Sn": 1630, "Pb": 887, "P": 580,
        "As": 274, "Sb": 655, "Bi": 817, "S": 450, "Se": 340, "Te": 733, "Au": 150,
    }
)  # fmt: skip
"""Melting point of each element's usual oxide; where it decomposes first, that point.

Entered from general knowledge and not compared with a handbook: as an input of a fitted
model, an error costs accuracy and nothing else.
"""

PROPERTIES = ("X", "atomic_mass", "row", "group", "mendeleev_no", "atomic_radius", "melts_c")
KINDS = (
    "oxide",
    "carbonate",
    "hydroxide",
    "nitrate",
    "ammonium",
    "halide",
    "metal",
    "compound",
)

_HALOGENS = frozenset({"F", "Cl", "Br", "I"})


ROUTE: Mapping[str, slice] = MappingProxyType(
    {"pressed": slice(0, 2), "fired_before": slice(2, 4), "gas": slice(4, 4 + len(GAS_CLASSES))}
)
"""Where, from the first input that may be left open, each part of the route is; 0 if open."""

ROUTE_INPUTS = max(part.stop for part in ROUTE.values())


def describe(
    shares: Mapping[str, float],
    powders: Sequence[str],
    route: Route,
    elements: Sequence[str],
    common: Sequence[str],
) -> Floats:
    """One row of inputs.

    Args:
        shares: Atomic fractions of the target.
        powders: Formulas of the precursors.
        route: What is decided of the firing: ``ROUTE_INPUTS`` inputs before the powders' own.
        elements: Elements the model knows.
        common: Compositions of powders that have an input of their own, the last ones.

    Raises:
        FormulaError: If the target holds another element.
    """
    if unknown := sorted(set(shares) - set(elements)):
        raise FormulaError(
            f"{' and '.join(unknown)}: no firing with it was learnt from; the model knows "
            f"{', '.join(elements)}"
        )
    held = np.array([shares.get(element, 0.0) for element in elements])
    kinds = [kind(powder) for powder in powders]
    counted = [sum(k == name for k in kinds) / max(len(kinds), 1) for name in KINDS]
    held_powders = {powder_key(powder) for powder in powders}
    metals = {e: share for e, share in shares.items() if e not in GAS_ELEMENTS}
    return np.concatenate(
        [
            held,
            np.sqrt(held),
            held > 0,
            _spread(shares),
            _spread(metals or shares),
            counted,
            [len(powders), len(metals), sum(metals.values())],
            [route.step == name for name in STEPS],
            [route.pressed is said for said in (True, False)],
            [route.fired_before is said for said in (True, False)],
            [route.gas == gas for gas in GAS_CLASSES],
            [powder in held_powders for powder in common],
        ]
    ).astype(np.float64)


def _spread(shares: Mapping[str, float]) -> Floats:
    """Mean, deviation, smallest and largest of each property over atoms."""
    weights = np.array(list(shares.values())) / sum(shares.values())
    table = np.array([properties(element) for element in shares])
    mean = weights @ table
    deviation = np.sqrt(weights @ (table - mean) ** 2)
    return np.concatenate([mean, deviation, table.min(axis=0), table.max(axis=0)])


@cache
def properties(element: str) -> tuple[float, ...]:
    """Elemental properties in the order of ``PROPERTIES``."""
    data = Element(element)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns where a noble gas has no value
        known = (
            float(data.X), float(data.atomic_mass), data.row, data.group, data.mendeleev_no,
            float(data.atomic_radius or data.atomic_radius_calculated or 0.0),
        )  # fmt: skip
    return (*(0.0 if np.isnan(v) else float(v) for v in known), OXIDE_MELTS_C.get(element, 0.0))


@cache
def powder_key(powder: str) -> str:
    """The composition of a powder, however it is written."""
    return composition_key(typed_atoms(powder))


@cache
def kind(powder: str) -> str:
    """What sort of powder a formula is, one of ``KINDS``."""
    atoms = set(typed_atoms(powder))
    metals = atoms - GAS_ELEMENTS - _HALOGENS
    if atoms & _HALOGENS:
        return "halide"
    if {"N", "H"} <= atoms:
        return "ammonium"
    for marks, name in (({"N", "O"}, "nitrate"), ({"C", "O"}, "carbonate")):
        if marks <= atoms:
            return name
    if {"H", "O"} <= atoms and len(metals) == 1:
        return "hydroxide"
    if len(metals) > 1:
        return "compound"
    return "oxide" if "O" in atoms else "metal"
