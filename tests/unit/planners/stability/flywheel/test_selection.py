"""Which proposals are verified."""

from dataclasses import replace

import numpy as np
import pytest

from alab.errors import BadInput
from planners.stability.candidates.lineage import Kind
from planners.stability.crystals import Crystal
from planners.stability.flywheel.parts import Proposal
from planners.stability.flywheel.selection import (
    Screen,
    prediction_error_ev_per_atom,
    select,
)
from planners.stability.models.prediction import Prediction
from planners.stability.references.entries import Entry
from planners.stability.references.snapshot import Snapshot, snapshot_of
from tests.unit.planners.stability.flywheel.conftest import l12

STRICT = Screen(filling_within_ev_per_atom=0.0)


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


def test_what_is_predicted_stable_passes(reference: Snapshot) -> None:
    proposals = [
        proposal("a", l12("Au", "Cu")),
        proposal("b", l12("Cu", "Au")),
        proposal("c", l12("Al", "Ni")),
    ]
    prediction = said([-0.15, -0.09, -0.30])
    found = select(proposals, prediction, reference, STRICT)
    energies = {c.proposal.key: c.predicted_decomposition_ev_per_atom for c in found.chosen}
    assert energies == pytest.approx({"a": -0.05, "c": -0.05})
    assert (found.sure, found.passed, found.compositions) == (3, 2, 2)
    bold = select(proposals, prediction, reference, Screen(stable_within_ev_per_atom=0.02))
    assert bold.passed == 3


def test_doubt_is_added_to_the_energy(reference: Snapshot) -> None:
    proposals = [proposal("a", l12("Au", "Cu")), proposal("b", l12("Cu", "Au"))]
    # quartiles of three members lie half way between them: widths of 0.06 and 0.02
    prediction = said([-0.21, -0.17], [-0.15, -0.15], [-0.09, -0.13])
    found = select(proposals, prediction, reference, STRICT)
    assert [c.proposal.key for c in found.chosen] == ["b"]
    doubled = replace(STRICT, interquartiles_added=3.0)
    assert not select(proposals, prediction, reference, doubled).chosen
    assert select(proposals, prediction, reference, Screen(interquartiles_added=0)).passed == 2


def test_the_nearest_fill_a_round(reference: Snapshot) -> None:
    crystals = [l12("Au", "Cu"), l12("Al", "Ni"), l12("Ni", "Al"), l12("Cu", "Au")]
    proposals = [proposal(key, crystal) for key, crystal in zip("abcd", crystals, strict=True)]
    prediction = said([-0.07, -0.24, -0.19, -0.15])  # 0.03, 0.01, 0.06 above; d is stable
    found = select(proposals, prediction, reference, Screen())
    assert [c.proposal.key for c in found.chosen] == ["d", "b", "a"]
    assert (found.passed, found.compositions) == (1, 1)
    short = select(proposals, prediction, reference, Screen(verify_most=2))
    assert [c.proposal.key for c in short.chosen] == ["d", "b"]


def test_the_lot_decides_what_there_is_no_time_for(reference: Snapshot) -> None:
    crystals = [l12(a, b) for a in ("Au", "Cu") for b in ("Au", "Cu") if a != b]
    crystals += [l12("Al", "Ni"), l12("Ni", "Al")]
    first = [proposal(f"{i}", crystal) for i, crystal in enumerate(crystals)]
    prediction = said([-0.9, -0.8, -0.7, -0.6])
    chosen = [
        [c.proposal.key for c in select(first, prediction, reference, screen).chosen]
        for screen in (Screen(verify_most=2), Screen(verify_most=4))
    ]
    assert len(chosen[0]) == 2
    assert chosen[1][:2] == chosen[0]
    renamed = [proposal(f"again {i}", crystal) for i, crystal in enumerate(crystals)]
    again = select(renamed, prediction, reference, Screen()).chosen
    assert [c.proposal.key.split()[1] for c in again] != chosen[1]


def test_members_that_disagree_are_not_believed(reference: Snapshot) -> None:
    proposals = [proposal("a", l12("Au", "Cu")), proposal("b", l12("Cu", "Au"))]
    prediction = said([-3.0, -0.2], [-1.0, -0.2], [-0.5, -0.2])
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
    prediction = said([-0.3, -0.2, -0.15])
    one = select(proposals, prediction, reference, Screen())
    assert [c.proposal.key for c in one.chosen] == ["best"]
    two = select(proposals, prediction, reference, Screen(of_a_composition=2))
    assert {c.proposal.key for c in two.chosen} == {"best", "other"}


def test_order_does_not_matter(reference: Snapshot) -> None:
    proposals = [proposal(k, l12("Au", "Cu")) for k in "dcab"]
    found = select(proposals, said([-0.2] * 4), reference, Screen())
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
    chosen = select(proposals, said([-0.2, -0.2]), reference, Screen()).chosen
    assert prediction_error_ev_per_atom(chosen, [-0.3, None]) == pytest.approx(0.1)
    assert prediction_error_ev_per_atom(chosen, [None, None]) is None
