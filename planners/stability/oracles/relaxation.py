"""Relaxation of cell and positions under any ASE calculator.

L-BFGS on positions and the logarithm of the deformation gradient (ASE's FrechetCellFilter).
Substituted small cells start near a minimum: 2 to 25 steps, a quarter to a third of what
FIRE takes.
"""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from planners.stability.crystals import OVERLAP_ANG, Crystal, CrystalError, check, formula_of

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a relaxation ends, and when it is not believed.

    Attributes:
        force_ev_per_ang: On every atom, and of the cell as ASE's filter defines it.
        steps: Most steps.
        volume_ratio: Largest factor, up or down, by which the volume may change.
    """

    force_ev_per_ang: float = 0.02
    steps: int = 150
    volume_ratio: float = 3.0


USUAL = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxed:
    """A relaxed cell.

    Attributes:
        crystal: Where it ended.
        total_ev: Total energy of the cell.
        converged: Whether forces fell below the limit.
        steps: Steps taken.
    """

    crystal: Crystal
    total_ev: float
    converged: bool
    steps: int


def relax(crystal: Crystal, calculator: "Calculator", limits: Limits) -> Relaxed:
    """Relax one crystal.

    Raises:
        CrystalError: If the crystal cannot be used, or falls apart or together on the way.
    """
    from ase.filters import FrechetCellFilter
    from ase.optimize import LBFGS

    check(crystal.structure(), isolated_allowed=True)
    atoms = _atoms(crystal)
    atoms.calc = calculator
    before_ang3 = atoms.get_volume()
    optimizer = LBFGS(FrechetCellFilter(atoms), logfile=None)  # pyright: ignore[reportArgumentType]
    steps = 0
    converged = False
    with warnings.catch_warnings():
        # ASE's filter takes matrix logarithms, which warn of rounding
        warnings.simplefilter("ignore", RuntimeWarning)
        for ended in optimizer.irun(fmax=limits.force_ev_per_ang, steps=limits.steps):
            converged, steps = bool(ended), optimizer.nsteps
            _check_volume(crystal, atoms.get_volume() / before_ang3, limits)
    return Relaxed(
        crystal=_crystal(atoms),
        total_ev=_believable(float(atoms.get_potential_energy()), atoms),
        converged=converged,
        steps=steps,
    )


def _check_volume(crystal: Crystal, ratio: float, limits: Limits) -> None:
    if not 1 / limits.volume_ratio < ratio < limits.volume_ratio:
        raise CrystalError(
            f"{formula_of(crystal.elements)}: the volume became {ratio:.2f} of what it was, "
            f"beyond a factor of {limits.volume_ratio:g}; it fell apart, or started far from a "
            "minimum"
        )


def _believable(total_ev: float, atoms: "Atoms") -> float:
    """An energy, unless it is not finite or atoms have collapsed."""
    distances_ang = atoms.get_all_distances(mic=True)
    np.fill_diagonal(distances_ang, np.inf)
    if not np.isfinite(total_ev) or distances_ang.min() < OVERLAP_ANG:
        raise CrystalError(
            f"{atoms.get_chemical_formula()}: relaxed to {total_ev:g} eV with atoms "
            f"{distances_ang.min():.2f} Å apart; the potential does not hold there"
        )
    return total_ev


def _atoms(crystal: Crystal) -> "Atoms":
    from ase import Atoms

    return Atoms(
        list(crystal.elements),
        cell=np.array(crystal.lattice_ang),
        scaled_positions=np.array(crystal.fractional),
        pbc=True,
    )


def _crystal(atoms: "Atoms") -> Crystal:
    lattice = [tuple(float(x) for x in row) for row in atoms.cell.array]
    places = [tuple(float(x) for x in row) for row in atoms.get_scaled_positions()]
    return Crystal(
        lattice_ang=tuple((a, b, c) for a, b, c in lattice),
        elements=tuple(atoms.get_chemical_symbols()),
        fractional=tuple((a, b, c) for a, b, c in places),
    )
