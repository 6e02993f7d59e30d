import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pymatgen.core import Composition, Species
from pymatgen.core.structure_prediction.substitution_probability import SubstitutionPredictor
from pymatgen.core.structure_prediction.substitutor import Substitutor

from alab.errors import BadInput
from planners.stability.candidates.oxidation import likely_ions
from planners.stability.candidates.substitution import (
    GNOME,
    PYMATGEN,
    Rules,
    element_probabilities,
    element_targets,
    list_probability,
    pair_table,
    substitutions,
)

PARENTS = [["Na+", "Cl-"], ["Ba2+", "Ti4+", "O2-"], ["Li+", "Fe2+", "P5+", "O2-"]]


def one_ion_targets(lambda_floor: float | None) -> float:
    """Mean number of other species above the threshold, per species."""
    likely = pair_table(lambda_floor).probability > GNOME.threshold
    likely &= ~np.eye(len(likely), dtype=bool)
    return float(likely.sum(axis=1).mean())


def test_flooring_widens_one_ion_targets_from_94_to_219_of_229() -> None:
    assert len(pair_table().species) == 230
    assert one_ion_targets(None) == pytest.approx(94.17, abs=0.01)
    assert one_ion_targets(0.0) == pytest.approx(218.75, abs=0.01)


def test_each_row_is_a_distribution() -> None:
    for floor in (None, 0.0):
        np.testing.assert_allclose(pair_table(floor).probability.sum(axis=1), 1.0)


@pytest.mark.parametrize("originals", PARENTS, ids=lambda ions: "".join(ions))
def test_without_changes_it_is_pymatgens_substitutor(originals: list[str]) -> None:
    theirs = {
        tuple(p["substitutions"][Species.from_str(s)] for s in originals): p["probability"]
        for p in Substitutor(threshold=1e-3).pred_from_list(originals)
    }
    found = substitutions(originals, PYMATGEN)
    ours = {tuple(found.mapping(i).values()): found.probability[i] for i in range(len(found))}
    assert ours.keys() == theirs.keys()
    assert len(ours) > 50
    for ions, probability in theirs.items():
        assert ours[ions] == pytest.approx(probability, rel=1e-12)


def test_distinct_ions_as_pymatgens_predictor() -> None:
    originals = ["Ba2+", "Ti4+", "O2-"]
    theirs = SubstitutionPredictor(threshold=1e-3).list_prediction(originals)
    rules = Rules(lambda_floor=None, differing_only=False, distinct=True)
    found = substitutions(originals, rules)
    ours = {tuple(found.species[i] for i in row) for row in found.replaced}
    assert ours == {tuple(p["substitutions"]) for p in theirs}
    merged = substitutions(originals, PYMATGEN)
    assert len(merged) > len(found)


@given(st.lists(st.integers(0, 229), min_size=2, max_size=2, unique=True))
@settings(max_examples=20, deadline=None)
def test_branch_and_bound_misses_nothing(pair: list[int]) -> None:
    table = pair_table(0.0)
    first, second = (table.probability[i].copy() for i in pair)
    first[pair[0]] = second[pair[1]] = 1.0
    brute = {
        (a, b)
        for a, b in itertools.product(range(230), repeat=2)
        if a != b and first[a] * second[b] > 1e-3 and (a, b) != tuple(pair)
    }
    found = substitutions([table.species[i] for i in pair])
    assert {tuple(row) for row in found.replaced.tolist()} == brute


def test_only_ions_that_change_count() -> None:
    one = list_probability(["Na+", "Cl-"], ["K+", "Cl-"])
    table = pair_table()
    assert one == table.probability[table.index("Na+"), table.index("K+")]
    both = list_probability(["Na+", "Cl-"], ["K+", "Cl-"], PYMATGEN)
    raw = pair_table(None)
    kept = raw.probability[raw.index("Cl-"), raw.index("Cl-")]
    swapped = raw.probability[raw.index("Na+"), raw.index("K+")]
    assert both == pytest.approx(kept * swapped, rel=1e-12)


def test_lists_are_ranked_and_leave_the_parent_out() -> None:
    found = substitutions(["Ba2+", "Ti4+", "O2-"])
    assert (np.diff(found.probability) <= 0).all()
    assert (found.probability > GNOME.threshold).all()
    assert all(
        new != old
        for m in map(found.mapping, range(len(found)))
        for old, new in [(tuple(m), tuple(m.values()))]
    )


def test_balanced_lists_keep_the_charge() -> None:
    composition = Composition("BaTiO3")
    ions = likely_ions(composition)
    found = substitutions(ions)
    amounts = {ion: composition[ion.symbol] for ion in ions}
    kept = found.balanced(amounts)
    assert 0 < len(kept) < len(found)
    for row in range(len(kept)):
        new = kept.mapping(row)
        assert sum(new[ion].oxi_state * amounts[ion] for ion in ions) == 0
    assert {ions[0]: Species("Sr", 2), ions[1]: ions[1], ions[2]: ions[2]} in [
        kept.mapping(row) for row in range(len(kept))
    ]


def test_elements_without_known_charges_have_targets() -> None:
    targets = element_targets("Fe")
    likely = element_probabilities("Fe")
    assert targets[:4] == ("Mn", "Cr", "Co", "Ni")
    assert sum(likely.values()) < 1
    assert "Fe" not in targets
    assert [likely[t] for t in targets] == sorted(likely.values(), reverse=True)
    assert len(element_targets("Cl", rules=PYMATGEN)) < len(element_targets("Cl"))


@pytest.mark.parametrize("ion", ["He2+", "Xe9+", "Fe9+"])
def test_unknown_species_are_named(ion: str) -> None:
    with pytest.raises(BadInput, match=r"not among the 230 species.*Leave the parent out"):
        substitutions([ion, "O2-"])


def test_other_bad_input_is_named() -> None:
    with pytest.raises(BadInput, match="no species; write element"):
        substitutions(["iron", "O2-"])
    with pytest.raises(BadInput, match="each of the parent's ions once"):
        substitutions(["O2-", "O2-"])
    with pytest.raises(BadInput, match="1 ions cannot become 2"):
        list_probability(["O2-"], ["S2-", "O2-"])
    with pytest.raises(BadInput, match="Ne: the substitution model holds no ion"):
        element_targets("Ne")
    with pytest.raises(BadInput, match=r"threshold 1\.5"):
        Rules(threshold=1.5)
    with pytest.raises(BadInput, match=r"no amount for Cl-"):
        substitutions(["Na+", "Cl-"]).balanced({Species("Na", 1): 1})
