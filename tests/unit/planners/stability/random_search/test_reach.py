from collections.abc import Sequence

import numpy as np
import pytest

from alab.errors import BadInput
from planners.stability.formulas import fractions_in
from planners.stability.models.prediction import Prediction
from planners.stability.random_search.reach import within_reach
from planners.stability.references.entries import Entry
from planners.stability.references.snapshot import MissingReferenceError, Snapshot, snapshot_of

KNOWN = {"MgO": -3.0, "Al2O3": -3.4, "MgAl2O4": -3.3}
ELEMENTS = ("Al", "Mg", "O")


class PairwiseModel:
    """Energies linear in products of fractions, fitted to the known ones."""

    def __init__(self) -> None:
        rows = np.array([self._features(formula) for formula in KNOWN])
        self.weights = np.linalg.lstsq(rows, np.array(list(KNOWN.values())), rcond=None)[0]

    def predict(self, formulas: Sequence[str]) -> Prediction:
        energies = np.array([self._features(f) @ self.weights for f in formulas])
        return Prediction(members_ev_per_atom=np.stack([energies - 0.01, energies, energies]))

    @staticmethod
    def _features(formula: str) -> np.ndarray:
        al, mg, o = fractions_in(formula, ELEMENTS)
        return np.array([al * o, mg * o, al * mg])


@pytest.fixture
def snapshot() -> Snapshot:
    return snapshot_of(
        "oxides",
        (
            Entry(formula=f, formation_energy_ev_per_atom=e, source="test")
            for f, e in KNOWN.items()
        ),
    )


def test_chooses_by_the_predicted_decomposition_energy(snapshot: Snapshot) -> None:
    model = PairwiseModel()
    asked = ["Mg2O2", "MgO3", "MgO", "Al2O3", "Mg2Al2O5"]
    # by the model MgO3 has −3 × 4 × 3/16 = −2.25, the hull of MgO and O2 −1.5
    assert within_reach(asked, model, snapshot, -0.76) == ["MgO", "Al2O3"]
    assert within_reach(asked, model, snapshot, -0.74) == ["MgO", "MgO3", "Al2O3"]
    everything = within_reach(asked, model, snapshot, margin_ev_per_atom=10.0)
    assert everything == ["MgO", "MgO3", "Al2O3", "Mg2Al2O5"]
    assert within_reach(asked, model, snapshot, margin_ev_per_atom=-10.0) == []
    assert within_reach([], model, snapshot) == []


def test_bad_input(snapshot: Snapshot) -> None:
    with pytest.raises(BadInput, match="margin of nan"):
        within_reach(["MgO"], PairwiseModel(), snapshot, float("nan"))
    with pytest.raises(BadInput, match=r"empty formula|no chemical"):
        within_reach([""], PairwiseModel(), snapshot)


def test_an_element_without_reference(snapshot: Snapshot) -> None:
    class Zero:
        def predict(self, formulas: Sequence[str]) -> Prediction:
            return Prediction(members_ev_per_atom=np.zeros((1, len(formulas))))

    with pytest.raises(MissingReferenceError, match="Ca"):
        within_reach(["CaO"], Zero(), snapshot)
