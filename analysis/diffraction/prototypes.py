"""Structure types of the AFLOW encyclopedia, as pymatgen carries them, and their decorations.

Mehl et al., Comput. Mater. Sci. 136 (2017) S1; 161 (2019) S1. Each type comes as a real
compound with its own cell. A decoration puts other elements on its sites, in proportions that
common oxidation states can balance, and scales the cell until bond valences fit the charges.
"""

import gzip
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.util import find_spec
from itertools import permutations, product
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
from pymatgen.core import Element, Structure
from scipy.optimize import root_scalar

from analysis.diffraction.arrays import Array
from analysis.diffraction.crystal import Crystal, crystal_of
from analysis.diffraction.snapshot import elements_of_dict

_SHORTEST = 0.75
"""A distance below this share of the sum of covalent radii is a mistake of the collection."""
_NOT_SOLID = frozenset({"O2", "N2", "Cl2", "CO", "H3N", "H3S", "CNCl", "SiF4", "Hg"})
_NOT_REAL = ("pressure", "theoretical", "used to distinguish", "stable at", "bct5")
_MISPLACED = frozenset({"A2B_tI12_141_e_a", "AB4C_tI12_82_c_g_a"})
"""Anatase, whose titanium has four neighbours, and BPO4, whose phosphorus no valence."""
_MOST_SITES = 60
_VALENCE_SOFTNESS_ANG = 0.31
_MOST_VALENCE_MISFIT = 0.5


def prototype_file() -> Path:
    """Where pymatgen keeps them; found without importing that package, which takes seconds."""
    spec = find_spec("pymatgen.analysis")
    (folder, *_) = (spec.submodule_search_locations or []) if spec else []
    return Path(folder) / "prototypes" / "aflow_prototypes.json.gz"


def prototypes(elements: frozenset[str]) -> list[Crystal]:
    """The compounds of the collection that hold no other elements than these.

    Left out are what is no solid at room temperature and pressure, models that name
    themselves so, and cells with impossible distances (brookite's, for one).
    """
    return [
        _named(_structure(n), _tag(item))
        for n, item in enumerate(_collection())
        if elements_of_dict(item["snl"]) <= elements and _usable(n)
    ]


def decorations(elements: frozenset[str]) -> list[Crystal]:
    """Structure types with these elements, where charges and bond valences balance."""
    found: list[Crystal] = []
    for n, item in enumerate(_collection()):
        own = sorted(elements_of_dict(item["snl"]))
        if not 2 <= len(own) <= len(elements) or not _fits(n):
            continue
        for others in permutations(sorted(elements), len(own)):
            if list(others) == own:
                continue  # the real compound is a prototype itself
            swap = dict(zip(own, others, strict=True))
            crystal = _decorated(_structure(n), swap, _tag(item))
            if crystal is not None:
                found.append(crystal)
    return found


def _decorated(structure: Structure, swap: Mapping[str, str], tag: str) -> Crystal | None:
    amounts = structure.composition.get_el_amt_dict()
    content = {swap[element]: amount for element, amount in amounts.items()}
    for charges in _balanced(content):
        replaced = structure.copy()
        replaced.replace_species({Element(old): Element(new) for old, new in swap.items()})
        scaled = _scaled_by_valence(replaced, charges)
        if scaled is not None and _possible(scaled):
            return _named(scaled, tag)
    return None


def _balanced(content: Mapping[str, float]) -> Iterator[dict[str, int]]:
    """Choices of one common oxidation state for each element that make the sum zero."""
    states = [Element(element).common_oxidation_states for element in content]
    amounts = np.array(list(content.values()))
    for choice in product(*states):
        if abs(float(np.dot(choice, amounts))) < 1e-6:
            yield dict(zip(content, choice, strict=True))


def _scaled_by_valence(structure: Structure, charges: Mapping[str, int]) -> Structure | None:
    """The structure at the volume where bond valences add up to the charges.

    s = exp((R − d) / 0.31), with R after O'Keeffe & Brese, J. Am. Chem. Soc. 113 (1991) 3226,
    between ions of opposite charge. None where an atom's sum is far from its charge then.
    """
    from pymatgen.analysis.bond_valence import BV_PARAMS

    symbols = [str(site.specie.symbol) for site in structure]
    charge = np.array([charges[symbol] for symbol in symbols], dtype=float)
    if any(Element(symbol) not in BV_PARAMS for symbol in charges):
        return None
    sizes = np.array([BV_PARAMS[Element(symbol)]["r"] for symbol in symbols])
    pulls = np.sqrt([BV_PARAMS[Element(symbol)]["c"] for symbol in symbols])
    reach = 3.0 * (structure.volume / len(structure)) ** (1 / 3)
    first, second, _, distances = structure.get_neighbor_list(reach)
    opposite = charge[first] * charge[second] < 0
    first, second, distances = first[opposite], second[opposite], distances[opposite]
    product_of_sizes = sizes[first] * sizes[second] * (pulls[first] - pulls[second]) ** 2
    weighted = pulls[first] ** 2 * sizes[first] + pulls[second] ** 2 * sizes[second]
    bond = sizes[first] + sizes[second] - product_of_sizes / weighted

    def sums(factor: float) -> Array:
        valences = np.exp((bond - factor * distances) / _VALENCE_SOFTNESS_ANG)
        return np.bincount(first, weights=valences, minlength=len(charge)).astype(float)

    def excess(log_factor: float) -> float:
        return float(np.log(sums(np.exp(log_factor)).sum() / np.abs(charge).sum()))

    if not len(first) or excess(-1.0) * excess(1.0) > 0:
        return None
    factor = float(np.exp(root_scalar(excess, bracket=(-1.0, 1.0)).root))
    strain = np.abs(sums(factor) / np.abs(charge) - 1)
    if np.max(strain) > _MOST_VALENCE_MISFIT:
        return None
    scaled = structure.copy()
    scaled.scale_lattice(structure.volume * factor**3)
    return scaled


def _named(structure: Structure, tag: str) -> Crystal:
    crystal = crystal_of(structure, stem=tag)
    return crystal.named(f"{crystal.formula}_{crystal.number}_{tag}")


def _tag(item: Mapping[str, Any]) -> str:
    return str(item["tags"]["aflow"])


@lru_cache(maxsize=1)
def _collection() -> list[dict[str, Any]]:
    return json.loads(gzip.decompress(prototype_file().read_bytes()))


@lru_cache(maxsize=512)
def _structure(n: int) -> Structure:
    snl = _collection()[n]["snl"]
    return Structure.from_dict({key: snl[key] for key in ("lattice", "sites", "charge")})


@lru_cache(maxsize=512)
def _fits(n: int) -> bool:
    """Whether a type is small and sound enough to be decorated."""
    item = _collection()[n]
    sound = _tag(item) not in _MISPLACED and _possible(_structure(n))
    return sound and len(item["snl"]["sites"]) <= _MOST_SITES


@lru_cache(maxsize=512)
def _usable(n: int) -> bool:
    structure, tags = _structure(n), _collection()[n]["tags"]
    words = f"{tags['mineral']} {tags['strukturbericht']}".lower()
    return (
        structure.composition.reduced_formula not in _NOT_SOLID
        and tags["aflow"] not in _MISPLACED
        and not any(word in words for word in _NOT_REAL)
        and _possible(structure)
    )


def _possible(structure: Structure) -> bool:
    radii = np.array([gemmi.Element(str(s.specie.symbol)).covalent_r for s in structure])
    distances = structure.distance_matrix + 10.0 * np.eye(len(radii))
    return bool(np.all(distances > _SHORTEST * (radii[:, None] + radii[None])))
