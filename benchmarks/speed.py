"""Stick patterns a second, ours and pymatgen's, of the same structures in the same run."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pymatgen.analysis.diffraction.xrd import XRDCalculator
from pymatgen.core import Structure

from analysis.diffraction.crystal import Crystal, read_crystal
from analysis.diffraction.library import STRUCTURES
from analysis.diffraction.pattern import CU_KALPHA1_ANG
from analysis.diffraction.reflections import stick_patterns
from benchmarks.figures import Figure
from benchmarks.measured import attempted

SITES = 57
"""Sites in the cell of the structures that the goal was stated for."""
PEER_WAVELENGTH = "CuKa1"
LOWEST_DEG, HIGHEST_DEG = 10.0, 90.0

_LARGEST_DIFFERENCE = 10


def stick_patterns_per_s(count: int) -> Figure | str:
    """Stick patterns a second from 10 to 90°, or why there are none.

    Args:
        count: How many patterns we compute; their cells differ, so that nothing is reused.
    """
    return attempted("stick patterns", lambda: _measured(count))


def _measured(count: int) -> Figure:
    chosen = _typical()
    crystals = [read_crystal(path) for path in chosen]
    many = [_stretched(crystals[i % len(crystals)], 1 + 1e-5 * i) for i in range(count)]
    _sticks(many)  # the compilation
    ours = count / _seconds(lambda: _sticks([_stretched(c, 1.001) for c in many]))
    structures = [Structure.from_file(path) for path in chosen]
    calculator = XRDCalculator(wavelength=PEER_WAVELENGTH)
    theirs = len(structures) / _seconds(
        lambda: [
            calculator.get_pattern(structure, two_theta_range=(LOWEST_DEG, HIGHEST_DEG))
            for structure in structures
        ]
    )
    sites = [len(crystal.elements) for crystal in crystals]
    return Figure(
        value=ours,
        unit="1/s",
        goal=1500,
        better="higher",
        peer=f"pymatgen {theirs:.1f}/s in this run, published 11–17; {min(sites)}–{max(sites)} "
        f"sites, ×{ours / theirs:.0f}",
    )


def _typical() -> list[Path]:
    """Embedded structures of about 57 sites."""
    sized = [(len(read_crystal(cif).elements), cif) for cif in sorted(STRUCTURES.glob("*.cif"))]
    return [cif for sites, cif in sized if abs(sites - SITES) <= _LARGEST_DIFFERENCE]


def _stretched(crystal: Crystal, factor: float) -> Crystal:
    cell = crystal.cell.copy()
    cell[:3] *= factor
    return replace(crystal, cell=cell)


def _sticks(crystals: Sequence[Crystal]) -> object:
    return stick_patterns(
        crystals,
        wavelength_ang=CU_KALPHA1_ANG,
        min_two_theta_deg=LOWEST_DEG,
        max_two_theta_deg=HIGHEST_DEG,
    )


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
