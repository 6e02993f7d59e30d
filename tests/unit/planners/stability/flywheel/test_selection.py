"""Which proposals are verified."""

import numpy as np
import pytest

from alab.errors import BadInput
from planners.stability.crystals import Crystal
from planners.stability.entries import Entry
from planners.stability.flywheel.parts import Proposal
from planners.stability.flywheel.selection import (
    Screen,
    prediction_error_ev_per_atom,
    select,
)
from planners.stability.lineage import Kind
from planners.stability.models.prediction import Prediction
from planners.stability.snapshot import Snapshot, snapshot_of
from tests.unit.planners.stability.flywheel.conftest import l12


@pytest.fixture
def reference() -> Snapshot:
    """Au–Cu with one compound: the hull at AuCu3 is half of CuAu's energy."""
    return snapshot_of(
        "by hand",
        [
            Entry(formula="CuAu", formation_energy_ev_per_atom=-0.2, source="hand"),
            Entry(formula="AlNi", formation_energy_ev_per_atom=-0.5, source="hand"),
        ],
    )


def proposal(key: str, crystal: Crystal) -> Proposal:
    return Proposal(key=key, crystal=crystal, kind=Kind.RANDOM)


def said(*members: list[float]) -> Prediction:
    return Prediction(members_ev_per_atom=np.array(members))


def stretched(crystal: Crystal) -> Crystal:
    """Another crystal: the cell is no cube any more."""
    a, b, (x, y, z) = crystal.lattice_ang
    return Crystal(
        lattice_ang=(a, b, (x, y, 1.6 * z)),
        elements=crystal.elements,
        fractional=crystal.fractional,
    )


def test_the_most_stable_come_first(reference: Snapshot) -> None:
    proposals = [
        proposal("a", l12("Au", "Cu")),
        proposal("b", l12("Cu", "Au")),
        proposal("c", l12("Al", "Ni")),
    ]
    prediction = said([-0.15, -0.25, -0.30])
    found = select(proposals, prediction, reference, Screen(verify_most=2))
    assert [c.proposal.key for c in found.chosen] == ["b", "a"]
    energies = [c.predicted_decomposition_ev_per_atom for c in found.chosen]
    assert energies == pytest.approx([-0.15, -0.05])
    assert (found.sure, found.compositions) == (3, 3)


def test_members_that_disagree_are_not_believed(reference: Snapshot) -> None:
    proposals = [proposal("a", l12("Au", "Cu")), proposal("b", l12("Cu", "Au"))]
    prediction = said([-3.0, -0.1], [-1.0, -0.1], [0.0, -0.1])
    found = select(proposals, prediction, reference, Screen())
    assert [c.proposal.key for c in found.chosen] == ["b"]
    assert found.sure == 1
    trusting = Screen(interquartile_most_ev_per_atom=2.0)
    assert select(proposals, prediction, reference, trusting).sure == 2


def test_a_composition_is_verified_so_often_and_copies_never(reference: Snapshot) -> None:
    proposals = [
        proposal("best", l12("Au", "Cu")),
        proposal("copy", l12("Au", "Cu")),
        proposal("other", stretched(l12("Au", "Cu"))),
    ]
    prediction = said([-0.3, -0.2, -0.1])
    one = select(proposals, prediction, reference, Screen())
    assert [c.proposal.key for c in one.chosen] == ["best"]
    two = select(proposals, prediction, reference, Screen(of_a_composition=2))
    assert [c.proposal.key for c in two.chosen] == ["best", "other"]


def test_order_does_not_matter(reference: Snapshot) -> None:
    proposals = [proposal(k, l12("Au", "Cu")) for k in "dcab"]
    found = select(proposals, said([-0.1] * 4), reference, Screen())
    assert [c.proposal.key for c in found.chosen] == ["a"]


def test_predictions_belong_to_proposals(reference: Snapshot) -> None:
    with pytest.raises(BadInput, match=r"1 proposals with predictions of shape \(1, 2\)"):
        select([proposal("a", l12("Au", "Cu"))], said([0.0, 0.0]), reference, Screen())


@pytest.mark.parametrize(
    "limits",
    [{"verify_most": 0}, {"of_a_composition": 0}, {"interquartile_most_ev_per_atom": 0.0}],
)
def test_limits_that_leave_nothing_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(BadInput, match=r"leaves none|lets nothing"):
        Screen(**limits)  # type: ignore[arg-type]


def test_the_error_counts_what_was_verified(reference: Snapshot) -> None:
    proposals = [proposal("a", l12("Au", "Cu")), proposal("b", l12("Cu", "Au"))]
    chosen = select(proposals, said([-0.1, -0.4]), reference, Screen()).chosen
    assert prediction_error_ev_per_atom(chosen, [-0.3, None]) == pytest.approx(0.1)
    assert prediction_error_ev_per_atom(chosen, [None, None]) is None
