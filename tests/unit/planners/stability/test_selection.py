"""Which candidates are predicted: composition filter, distances, budget."""

from collections import Counter
from dataclasses import replace

import pytest
from pymatgen.core import Lattice, Structure

from planners.stability.candidates.generation import Generated, generate
from planners.stability.candidates.prototypes import closest_of_radii
from planners.stability.references.entries import Entry
from planners.stability.references.snapshot import Snapshot, snapshot_of
from planners.stability.selection import (
    CLOSEST_CANDIDATE,
    COMPOSITION_MARGIN_EV_PER_ATOM,
    MOST_OF_A_FORMULA,
    apart,
    by_composition,
    composition_levels,
    simple_formulas,
    within_budget,
)
from tests.crystal_predictor import linear_compositions, own_structures

SYSTEM = ("Li", "Mn", "O")


@pytest.fixture(scope="module")
def made() -> Generated:
    small = [one for one in own_structures() if len(one.structure) <= 8]
    return generate(SYSTEM, small, {"Li2O", "MnO2"})


@pytest.fixture
def reference() -> Snapshot:
    energies = {"Li2O": -2.8, "MnO": -2.6, "MnO2": -3.0, "Li2MnO3": -3.2}
    return snapshot_of(
        "test",
        [
            Entry(formula=f, formation_energy_ev_per_atom=e, source="test")
            for f, e in energies.items()
        ],
    )


def test_the_budget_is_kept_and_nothing_is_lost(made: Generated) -> None:
    left_out: Counter[str] = Counter()
    chosen = within_budget(made.new, 30, left_out)
    assert len(chosen) == 30
    assert len(made.new) == 30 + left_out.total()
    assert min(closest_of_radii(p.structure) for p in chosen) >= CLOSEST_CANDIDATE
    assert [p.key for p in chosen] == [p.key for p in made.new if p in chosen]


def test_one_composition_does_not_take_the_whole_budget(made: Generated) -> None:
    one = next(p for p in made.new if closest_of_radii(p.structure) > 0.8)
    many = [replace(one, key=str(n)) for n in range(MOST_OF_A_FORMULA + 5)]
    left_out: Counter[str] = Counter()
    assert len(within_budget(many, 1000, left_out)) == MOST_OF_A_FORMULA
    assert left_out.total() == 5


def test_atoms_too_close_are_left_out(made: Generated) -> None:
    class Squeezed:
        def __init__(self, proposal: object) -> None:
            self._proposal = proposal

        def __getattr__(self, name: str) -> object:
            return getattr(self._proposal, name)

        @property
        def structure(self) -> object:
            squeezed = self._proposal.structure.copy()  # type: ignore[attr-defined]
            squeezed.scale_lattice(squeezed.volume / 20)
            return squeezed

    left_out: Counter[str] = Counter()
    assert within_budget([Squeezed(made.new[0])], 5, left_out) == []  # type: ignore[list-item]
    assert left_out == {"atoms too close to each other": 1}


def test_hydrogen_is_kept_apart_at_the_smallest_volume() -> None:
    def pair(distance_ang: float) -> Structure:
        sites = [[0, 0, 0], [0, 0, distance_ang / 5], [0.5, 0.5, 0.5]]
        return Structure(Lattice.cubic(5), ["H", "H", "O"], sites)

    # 0.5 Å at 80 % of the volume is 0.539 Å at the full one
    assert not apart(pair(0.53))
    assert apart(pair(0.55))


def test_the_composition_model_orders_and_cuts(made: Generated, reference: Snapshot) -> None:
    left_out: Counter[str] = Counter()
    model = linear_compositions()
    kept = by_composition(made.new, model, reference, left_out)
    levels = composition_levels({p.formula for p in made.new}, model, reference)
    assert {p.formula for p in kept} == {
        f for f, level in levels.items() if level <= COMPOSITION_MARGIN_EV_PER_ATOM
    }
    assert left_out.total() == len(made.new) - len(kept) > 0
    common = [levels[p.formula] for p in kept if p.formula in simple_formulas(SYSTEM, set())]
    assert common == sorted(common)


def test_simple_formulas_balance_and_are_unknown() -> None:
    found = simple_formulas(SYSTEM, {"Li2MnO3"})
    assert {"Li2O", "MnO2", "LiMnO2", "Li4MnO4"} <= set(found)
    assert not {"Li2MnO3", "LiO3", "LiMn", "O2"} & set(found)
