"""Structure types of the AFLOW encyclopedia, as pymatgen carries them, and their decorations.

Mehl et al., Comput. Mater. Sci. 136 (2017) S1; 161 (2019) S1. Each type comes as a real
compound with its own cell. A decoration puts other elements on its sites, in proportions that
common oxidation states can balance, and scales the cell by predicted bond lengths (data-mined
lattice scaling: Chu et al., Comput. Mater. Sci. 146 (2018) 184).
"""

import gzip
import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from itertools import permutations, product
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
from pymatgen.core import Composition, Element, Structure

from analysis.diffraction.crystal import Crystal, crystal_of
from analysis.diffraction.snapshot import elements_of_dict

_SHORTEST = 0.75
"""A distance below this share of the sum of covalent radii is a mistake of the collection."""
_NOT_SOLID = frozenset({"O2", "N2", "Cl2", "CO", "H3N", "H3S", "CNCl", "SiF4", "Hg"})
_NOT_REAL = ("pressure", "theoretical", "used to distinguish", "stable at", "bct5")
_MOST_SITES = 60


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
    """Structure types with these elements on their sites, of all that charges balance in."""
    found: list[Crystal] = []
    for n, item in enumerate(_collection()):
        own = sorted(elements_of_dict(item["snl"]))
        if not 2 <= len(own) <= len(elements) or not _fits(n):
            continue
        for others in permutations(sorted(elements), len(own)):
            swap = dict(zip(own, others, strict=True))
            crystal = _decorated(_structure(n), swap, _tag(item)) if others != own else None
            if crystal is not None:
                found.append(crystal)
    return found


def _decorated(structure: Structure, swap: Mapping[str, str], tag: str) -> Crystal | None:
    amounts = structure.composition.get_el_amt_dict()
    content = {swap[element]: amount for element, amount in amounts.items()}
    if not _balanced(content):
        return None
    from pymatgen.analysis.structure_prediction.volume_predictor import DLSVolumePredictor

    replaced = structure.copy()
    replaced.replace_species({Element(old): Element(new) for old, new in swap.items()})
    try:
        scaled = DLSVolumePredictor().get_predicted_structure(replaced)
    except (ValueError, RuntimeError, KeyError):
        return None  # no bond length is known for a pair
    return _named(scaled, tag) if _possible(scaled) else None


def _balanced(content: Mapping[str, float]) -> bool:
    """Whether one common oxidation state for each element makes the sum zero."""
    states = [Element(element).common_oxidation_states for element in content]
    amounts = np.array(list(content.values()))
    return any(abs(float(np.dot(choice, amounts))) < 1e-6 for choice in product(*states))


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
    return len(_collection()[n]["snl"]["sites"]) <= _MOST_SITES and _possible(_structure(n))


@lru_cache(maxsize=512)
def _usable(n: int) -> bool:
    structure, tags = _structure(n), _collection()[n]["tags"]
    words = f"{tags['mineral']} {tags['strukturbericht']}".lower()
    return (
        Composition(structure.composition).reduced_formula not in _NOT_SOLID
        and not any(word in words for word in _NOT_REAL)
        and _possible(structure)
    )


def _possible(structure: Structure) -> bool:
    radii = np.array([gemmi.Element(str(s.specie.symbol)).covalent_r for s in structure])
    distances = structure.distance_matrix + 10.0 * np.eye(len(radii))
    return bool(np.all(distances > _SHORTEST * (radii[:, None] + radii[None])))
