"""Hulls against pymatgen's PhaseDiagram, and against what can be worked out by hand."""

import numpy as np
import pytest
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from alab.errors import BadInput
from planners.stability.formulas import fractions_in, reduced_formula
from planners.stability.references.embedded import default_snapshot
from planners.stability.references.entries import Entry
from planners.stability.references.hull import Hull, hull_of
from planners.stability.references.snapshot import MissingReferenceError, Snapshot, snapshot_of
from planners.stability.references.stability import assess, decompose

ELEMENTS = ("Li", "Mn", "Ni", "O", "P", "S", "Ti")


def compound(formula: str, energy: float) -> Entry:
    return Entry(formula=formula, formation_energy_ev_per_atom=energy, source="test")


def random_snapshot(elements: tuple[str, ...], size: int, seed: int) -> Snapshot:
    """Random compounds of two to all elements, most of them near a common hull."""
    rng = np.random.default_rng(seed)
    depth = dict(zip(elements, rng.uniform(0.5, 3, len(elements)), strict=True))
    entries = [compound(symbol, 0.0) for symbol in elements]
    while len(entries) < size:
        chosen = rng.choice(elements, rng.integers(2, len(elements) + 1), replace=False)
        counts = rng.integers(1, 5, len(chosen))
        formula = "".join(f"{s}{n}" for s, n in zip(chosen, counts, strict=True))
        x = counts / counts.sum()
        bowl = -sum(f * (1 - f) * depth[s] for f, s in zip(x, chosen, strict=True))
        entries.append(compound(reduced_formula(formula), bowl + rng.uniform(-0.1, 0.3)))
    return snapshot_of("random", entries)


def diagram(snapshot: Snapshot, elements: tuple[str, ...]) -> PhaseDiagram:
    found = [PDEntry(Composition(s), 0.0) for s in elements]
    for rows in snapshot.by_formula.values():
        for row in rows:
            composition = Composition(row.formula)
            energy = row.formation_energy_ev_per_atom * composition.num_atoms
            found.append(PDEntry(composition, energy))
    return PhaseDiagram(found)


@pytest.mark.parametrize(("count", "size"), [(2, 30), (3, 80), (4, 120), (5, 120)])
def test_energies_above_the_hull_are_those_of_pymatgen(count: int, size: int) -> None:
    elements = ELEMENTS[:count]
    snapshot = random_snapshot(elements, size, seed=count)
    theirs = diagram(snapshot, elements)
    formulas = [entry.formula for entry in snapshot.entries]
    energies = [entry.formation_energy_ev_per_atom for entry in snapshot.entries]
    ours = assess(snapshot, formulas, energies).energies_above_hull_ev_per_atom
    expected = [
        theirs.get_e_above_hull(PDEntry(c := Composition(f), e * c.num_atoms))
        for f, e in zip(formulas, energies, strict=True)
    ]
    assert ours == pytest.approx(expected, abs=1e-6)
    assert 0 < np.count_nonzero(ours < 1e-9) < size


@pytest.mark.parametrize(("count", "size"), [(2, 30), (3, 60), (4, 60)])
def test_decomposition_energies_are_those_of_pymatgen(count: int, size: int) -> None:
    elements = ELEMENTS[:count]
    snapshot = random_snapshot(elements, size, seed=10 + count)
    theirs = diagram(snapshot, elements)
    rows = [e for e in theirs.qhull_entries if not e.is_element]
    ours = assess(
        snapshot,
        [e.composition.reduced_formula for e in rows],
        [e.energy_per_atom for e in rows],
    )
    expected = [theirs.get_phase_separation_energy(entry) for entry in rows]
    signed = ours.decomposition_energies_ev_per_atom
    assert signed == pytest.approx(expected, abs=1e-6)
    assert signed.min() < -0.01
    assert signed.max() > 0.01


def test_candidates_between_the_phases_are_those_of_linear_programmes() -> None:
    hull = hull_of(random_snapshot(ELEMENTS[:5], 150, seed=3), ELEMENTS[:5])
    asked = np.random.default_rng(4).dirichlet(np.ones(5), 100)
    one_by_one = [hull.energy_at(x) for x in asked]
    assert hull.energies_at(asked) == pytest.approx(one_by_one, abs=1e-8)


def test_facets_answer_without_linear_programmes(monkeypatch: pytest.MonkeyPatch) -> None:
    hull = hull_of(random_snapshot(ELEMENTS[:4], 100, seed=12), ELEMENTS[:4])
    asked = np.random.default_rng(12).dirichlet(np.ones(4), 500)
    expected = hull.energies_at(asked)
    monkeypatch.setattr("planners.stability.references.hull.linprog", None)
    monkeypatch.setattr(Hull, "_confirmed", None)
    assert hull.energies_at(asked) == pytest.approx(expected, abs=0)


def test_few_compositions_of_many_elements_need_no_facets() -> None:
    hull = hull_of(random_snapshot(ELEMENTS[:5], 100, seed=6), ELEMENTS[:5])
    asked = np.random.default_rng(6).dirichlet(np.ones(5), 12)
    assert (hull.by_facets(9), hull.by_facets(12)) == (False, True)
    few = [*hull.energies_at(asked[:6]), *hull.energies_at(asked[6:])]
    assert hull.energies_at(asked) == pytest.approx(few, abs=1e-9)


def test_more_elements_than_facets_can_hold_are_solved_one_by_one() -> None:
    elements = ELEMENTS[:7]
    snapshot = random_snapshot(elements, 100, seed=7)
    assert not hull_of(snapshot, elements).by_facets(10**6)
    formula = "LiMnNiO2PSTi"
    theirs = PhaseDiagram(
        [
            PDEntry(c := Composition(e.formula), e.formation_energy_ev_per_atom * c.num_atoms)
            for e in snapshot.entries
        ]
    )
    hull_energy = theirs.get_hull_energy_per_atom(Composition(formula))
    ours = assess(snapshot, [formula], [0.0])
    assert ours.decomposition_energies_ev_per_atom == pytest.approx([-hull_energy], abs=1e-6)


def test_coplanar_phases_tie_without_harm() -> None:
    rng = np.random.default_rng(5)
    fractions = np.vstack([np.eye(3), rng.dirichlet(np.ones(3), 40)])
    plane = fractions @ [-1.0, -2.0, -0.5] * (fractions.max(axis=1) < 1)
    hull = Hull(
        elements=("A", "B", "C"),
        formulas=tuple(f"phase {i}" for i in range(43)),
        fractions=fractions,
        energies_ev_per_atom=plane,
    )
    asked = rng.dirichlet(np.ones(3), 200)
    expected = [hull.energy_at(x) for x in asked]
    assert hull.energies_at(asked) == pytest.approx(expected, abs=1e-8)
    inside = fractions[3:].mean(axis=0)
    assert hull.energies_at(inside[None]) == pytest.approx([inside @ [-1.0, -2.0, -0.5]])


def test_products_balance_and_carry_the_energy() -> None:
    snapshot = random_snapshot(ELEMENTS[:4], 80, seed=8)
    found = decompose(snapshot, "LiMnNiO2")
    elements = tuple(sorted(ELEMENTS[:4]))
    mixed = sum(share * fractions_in(f, elements) for f, share in found.products.items())
    assert mixed == pytest.approx(fractions_in("LiMnNiO2", elements), abs=1e-9)
    energy = sum(
        share * (row.formation_energy_ev_per_atom if (row := snapshot.lowest(f)) else 0.0)
        for f, share in found.products.items()
    )
    assert energy == pytest.approx(found.energy_ev_per_atom, abs=1e-9)


def test_a_stable_compound_is_judged_without_itself() -> None:
    snapshot = snapshot_of("LiO", [compound("Li2O", -2.0), compound("Li2O2", -1.6)])
    judged = assess(snapshot, ["Li2O2", "Li2O2", "LiO2"], [-1.6, -1.5, -1.0])
    # Li2O2 → Li2O + 1/2 O2: three quarters of the atoms become Li2O
    assert judged.decomposition_energies_ev_per_atom == pytest.approx(
        [-0.1, 0.1, -1.0 + 1.6 * 2 / 3]
    )
    assert judged.energies_above_hull_ev_per_atom == pytest.approx([0.0, 0.1, 1.6 * 2 / 3 - 1])
    assert judged.stable.tolist() == [True, False, False]
    assert decompose(snapshot, "Li2O2").products == pytest.approx({"Li2O": 0.75, "O": 0.25})


def test_a_lower_form_of_an_element_moves_the_hull() -> None:
    snapshot = snapshot_of("AlNi", [compound("AlNi", -0.6), compound("Al", -0.1)])
    judged = assess(snapshot, ["Al", "AlNi"], [0.0, -0.6])
    assert judged.decomposition_energies_ev_per_atom == pytest.approx([0.1, -0.55])


def test_the_lower_of_two_energies_counts() -> None:
    two = [
        Entry(formula="MgO", formation_energy_ev_per_atom=-2.9, source="OQMD"),
        Entry(formula="MgO", formation_energy_ev_per_atom=-3.0, source="Materials Project"),
    ]
    for order in (two, two[::-1]):
        snapshot = snapshot_of("two", order)
        assert hull_of(snapshot, ["Mg", "O"]).energies_ev_per_atom.min() == -3.0
        sources = [entry.source for entry in snapshot.by_formula["MgO"]]
        assert sources == ["Materials Project", "OQMD"]


def test_the_default_reference_knows_common_oxides() -> None:
    snapshot = default_snapshot()
    products = decompose(snapshot, "BaTiO3").products
    assert products == pytest.approx({"TiO2": 0.3, "Ba2TiO4": 0.7})
    row = snapshot.lowest("MgO")
    assert row is not None
    # NIST-JANAF: −601.24 kJ/mol for periclase
    assert row.formation_energy_ev_per_atom == pytest.approx(-3.116, abs=0.01)
    assert all(entry.measured and entry.source for entry in snapshot.entries)


def test_an_element_that_the_reference_does_not_know_is_refused() -> None:
    with pytest.raises(MissingReferenceError, match="Xe"):
        assess(default_snapshot(), ["XeO3"], [1.0])


@pytest.mark.parametrize("formula", ["Xx2O3", "Ba+2", "", "nonsense"])
def test_what_is_no_formula_is_refused(formula: str) -> None:
    with pytest.raises(BadInput, match=r"formula|element"):
        assess(default_snapshot(), [formula], [0.0])


def test_energies_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(BadInput, match="MgO is nan"):
        assess(default_snapshot(), ["MgO"], [float("nan")])
    with pytest.raises(BadInput, match="1 formulas"):
        assess(default_snapshot(), ["MgO"], [0.0, 0.0])
    with pytest.raises(BadInput, match="element"):
        decompose(default_snapshot(), "O2")
