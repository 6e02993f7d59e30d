"""Proposals by substitution in a bounded space."""

from dataclasses import replace

import pytest

from planners.stability.candidates.lineage import Kind
from planners.stability.candidates.substitution import Rules
from planners.stability.crystals import formula_of
from planners.stability.flywheel.substituted import SubstitutionGenerator
from planners.stability.references.entries import Entry
from planners.stability.references.snapshot import Snapshot, snapshot_of
from tests.unit.planners.stability.flywheel.conftest import l12

SPACE = frozenset({"Cu", "Ag", "Au", "Ni", "Pd", "Pt"})


@pytest.fixture
def reference() -> Snapshot:
    rows = [("Au", "Cu", -0.05), ("Pt", "Ni", -0.1), ("Ag", "Pd", 0.3)]
    return snapshot_of(
        "by hand",
        [
            Entry(
                formula=formula_of(crystal.elements),
                formation_energy_ev_per_atom=energy,
                source="hand",
                entry_id=f"{corner}{face}3",
                crystal=crystal,
            )
            for corner, face, energy in rows
            for crystal in [l12(corner, face)]
        ],
    )


@pytest.fixture
def generator() -> SubstitutionGenerator:
    return SubstitutionGenerator(elements=SPACE)


def test_proposals_stay_in_the_space_and_are_new(
    reference: Snapshot, generator: SubstitutionGenerator
) -> None:
    proposals = generator.propose(reference, 1, 0)
    assert len(proposals) > 10
    for one in proposals:
        assert set(one.crystal.elements) <= SPACE
        assert formula_of(one.crystal.elements) not in reference.by_formula
    assert len({one.key for one in proposals}) == len(proposals)


def test_parents_are_nearly_stable(
    reference: Snapshot, generator: SubstitutionGenerator
) -> None:
    assert {p.parent for p in generator.propose(reference, 1, 0)} == {"AuCu3", "PtNi3"}
    bold = replace(generator, parents_within_ev_per_atom=0.5)
    assert "AgPd3" in {p.parent for p in bold.propose(reference, 1, 0)}
    tiny = replace(generator, most_atoms=3)
    assert not tiny.propose(reference, 1, 0)


def test_single_orbits_are_replaced_only_if_asked(
    reference: Snapshot, generator: SubstitutionGenerator
) -> None:
    # relaxed parents of one orbit for each element have no proper partial substitutions
    assert {p.kind for p in generator.propose(reference, 1, 0)} == {Kind.SUBSTITUTION}
    pure = Entry(
        formula="CuPd",
        formation_energy_ev_per_atom=-0.2,
        source="hand",
        entry_id="layers",
        crystal=_layers(),
    )
    layered = snapshot_of("layers", [*reference.entries, pure])
    kinds = {p.kind for p in generator.propose(layered, 1, 0)}
    assert kinds == {Kind.SUBSTITUTION, Kind.PARTIAL}
    whole = replace(generator, partial=False)
    assert {p.kind for p in whole.propose(layered, 1, 0)} == {Kind.SUBSTITUTION}


def _layers():
    """Cu on two orbits: corners and a plane between, which Pd makes different."""
    crystal = l12("Cu", "Cu")
    return type(crystal)(
        lattice_ang=(crystal.lattice_ang[0], crystal.lattice_ang[1], (0.0, 0.0, 7.5)),
        elements=("Cu", "Cu", "Pd"),
        fractional=((0.0, 0.0, 0.0), (0.5, 0.5, 0.25), (0.0, 0.0, 0.5)),
    )


def test_what_is_above_the_cap_is_left_out_by_lot(
    reference: Snapshot, generator: SubstitutionGenerator
) -> None:
    everything = {p.key for p in generator.propose(reference, 1, 0)}
    few = replace(generator, most=7)
    drawn = [[p.key for p in few.propose(reference, r, s)] for r, s in ((1, 0), (2, 0), (1, 1))]
    assert all(len(keys) == 7 and set(keys) <= everything for keys in drawn)
    assert drawn[0] == [p.key for p in few.propose(reference, 1, 0)]
    assert drawn[0] != drawn[1] != drawn[2] != drawn[0]
    balanced = replace(generator, of_a_parent=3)
    parents = [p.parent for p in balanced.propose(reference, 1, 0)]
    assert sorted(parents) == 3 * ["AuCu3"] + 3 * ["PtNi3"]


def test_rules_decide_what_is_proposed(
    reference: Snapshot, generator: SubstitutionGenerator
) -> None:
    def formulas(chosen: SubstitutionGenerator) -> set[str]:
        return {formula_of(p.crystal.elements) for p in chosen.propose(reference, 1, 0)}

    floored = formulas(generator)
    strict = replace(generator, rules=Rules(threshold=0.05))
    assert formulas(strict) < floored
    assert formulas(replace(generator, rules=Rules(lambda_floor=None))) != floored


def test_settings_are_in_the_name(generator: SubstitutionGenerator) -> None:
    others = [
        replace(generator, most=1),
        replace(generator, of_a_parent=1),
        replace(generator, partial=False),
        replace(generator, elements=frozenset({"Cu"})),
        replace(generator, rules=Rules(lambda_floor=None)),
        replace(generator, most_atoms=5),
        replace(generator, parents_within_ev_per_atom=0.01),
    ]
    assert len({generator.name, *(o.name for o in others)}) == 8


def test_elements_that_the_substitution_model_lacks_stay(
    generator: SubstitutionGenerator,
) -> None:
    neon = Entry(
        formula="CuNe3",
        formation_energy_ev_per_atom=-0.1,
        source="hand",
        entry_id="CuNe3",
        crystal=_with_neon(),
    )
    proposals = generator.propose(snapshot_of("neon", [neon]), 1, 0)
    assert proposals == [] or all("Ne" in p.crystal.elements for p in proposals)


def _with_neon():
    crystal = l12("Cu", "Ag")
    return type(crystal)(
        lattice_ang=crystal.lattice_ang,
        elements=("Cu", "Ne", "Ne", "Ne"),
        fractional=crystal.fractional,
    )
