"""Where the tests of thermodynamics find tables that are not in the repository."""

import os
from functools import cache
from pathlib import Path

import pytest

from planners.synthesis.configuration import read_sources
from planners.synthesis.sources import Sources

DATA = Path(os.environ.get("ALAB_DATA", Path(__file__).parents[4].parent / "shared" / "data"))
THERMO = DATA / "recipes" / "thermo"


def need(*names: str) -> list[Path]:
    """Paths of data files; the test is skipped where they are absent."""
    paths = [THERMO / name for name in names]
    for path in paths:
        if not path.exists():
            pytest.skip(f"no {path.name} under {THERMO}; set ALAB_DATA to the data folder")
    return paths


@cache
def sources_of(paths: tuple[Path, ...]) -> Sources:
    """Sources of some files, read once for all tests."""
    return read_sources(paths)


def tables() -> Sources:
    """NIST-JANAF and FREED with the index of phases."""
    names = ("nist_janaf_compounds.json.gz", "freed_compounds.json.gz")
    return sources_of(tuple(need(*names, "nist_JANAF_index.txt.gz")))


def barium_titanates() -> Sources:
    """The tables, and computed entries of Ba-Ti-O."""
    names = ("nist_janaf_compounds.json.gz", "freed_compounds.json.gz")
    return sources_of(tuple(need(*names, "nist_JANAF_index.txt.gz", "piro_mp_ba-o-ti.json.gz")))
