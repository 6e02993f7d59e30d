"""A small flywheel of real parts: alloys under effective-medium theory, a linear model."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("ase", reason="needs ase, which the discovery and oracle extras bring")
from ase.calculators.emt import EMT
from ase.data import atomic_numbers

from planners.stability.crystals import Crystal, formula_of
from planners.stability.flywheel.folder import start
from planners.stability.flywheel.parts import Evidence, Trained
from planners.stability.flywheel.rounds import Flywheel
from planners.stability.flywheel.selection import Screen
from planners.stability.flywheel.substituted import SubstitutionGenerator
from planners.stability.models.prediction import Prediction
from planners.stability.oracles.calculator_oracle import (
    CalculatorOracle,
    own_element_energies,
)
from planners.stability.oracles.formation import uncorrected
from planners.stability.oracles.relaxation import USUAL
from planners.stability.references.entries import Entry

METALS = {"Al": 4.05, "Cu": 3.61, "Ag": 4.09, "Au": 4.08, "Ni": 3.52, "Pd": 3.89, "Pt": 3.92}
KNOWN = [("Au", "Cu"), ("Cu", "Au"), ("Al", "Ni"), ("Pd", "Ag"), ("Pt", "Cu"), ("Al", "Pd")]


def l12(corner: str, face: str, a_ang: float | None = None) -> Crystal:
    """The structure of Cu3Au, at Vegard's lattice constant if none is given."""
    a_ang = a_ang or (METALS[corner] + 3 * METALS[face]) / 4
    return Crystal(
        lattice_ang=((a_ang, 0.0, 0.0), (0.0, a_ang, 0.0), (0.0, 0.0, a_ang)),
        elements=(corner, face, face, face),
        fractional=((0.0, 0.0, 0.0), (0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0)),
    )


def products(crystal: Crystal) -> NDArray[np.float64]:
    """Atomic fractions and their products: a regular solution."""
    symbols = sorted(METALS)
    x = np.array([crystal.elements.count(s) for s in symbols]) / len(crystal.elements)
    return np.concatenate((x, np.outer(x, x)[np.triu_indices(len(x), 1)]))


@dataclass(frozen=True, slots=True)
class LinearPredictor:
    coefficients: NDArray[np.float64]

    def predict(self, crystals: Sequence[Crystal]) -> Prediction:
        return Prediction(
            members_ev_per_atom=self.coefficients @ np.array([products(c) for c in crystals]).T
        )


@dataclass(slots=True)
class LinearRetrainer:
    """Ridge regressions on resampled energies."""

    name: str = "regular solution, 5 members"
    trained: int = 0

    def train(self, evidence: Sequence[Evidence], seed: int) -> Trained:
        self.trained += 1
        rows = np.array([products(e.relaxed) for e in evidence])
        energies = np.array([e.formation_energy_ev_per_atom for e in evidence])
        members = []
        for member in range(5):
            chosen = np.random.default_rng((seed, member)).integers(0, len(rows), len(rows))
            x, y = rows[chosen], energies[chosen]
            members.append(np.linalg.solve(x.T @ x + 0.05 * np.eye(x.shape[1]), x.T @ y))
        coefficients = np.array(members)
        digest = hashlib.sha256(coefficients.tobytes()).hexdigest()
        return Trained(predictor=LinearPredictor(coefficients), digest=digest)


@pytest.fixture(scope="session")
def oracle() -> CalculatorOracle:
    fcc = {symbol: l12(symbol, symbol) for symbol in METALS}
    return CalculatorOracle(
        name="EMT",
        calculator=EMT(),
        weights_digest="ase",
        elements=own_element_energies(EMT(), fcc, source="fcc by EMT"),
        correction=uncorrected,
        limits=USUAL,
        known=frozenset(atomic_numbers[s] for s in METALS),
    )


@pytest.fixture(scope="session")
def known(oracle: CalculatorOracle) -> tuple[Entry, ...]:
    entries = []
    for corner, face in KNOWN:
        (found,) = oracle.relax([l12(corner, face)])
        assert found.formation_energy_ev_per_atom is not None
        entries.append(
            Entry(
                formula=formula_of((corner, face, face, face)),
                formation_energy_ev_per_atom=found.formation_energy_ev_per_atom,
                source="EMT",
                entry_id=f"{corner}{face}3",
                crystal=found.relaxed,
            )
        )
    return tuple(entries)


@pytest.fixture
def parts(oracle: CalculatorOracle) -> Flywheel:
    return Flywheel(
        generator=SubstitutionGenerator(
            elements=frozenset(METALS), most=25, parents_within_ev_per_atom=0.2
        ),
        retrainer=LinearRetrainer(),
        oracle=oracle,
        screen=Screen(
            verify_most=4,
            interquartile_most_ev_per_atom=0.5,
            stable_within_ev_per_atom=0.3,
            interquartiles_added=0.0,
        ),
        seed=3,
    )


@pytest.fixture
def begin(known: tuple[Entry, ...]) -> Callable[[Path], Path]:
    def begin_in(folder: Path) -> Path:
        start(folder, known, name="alloys")
        return folder

    return begin_in


def content_of(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, by name; the lock holds nothing."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
