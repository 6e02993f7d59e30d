"""Interface reaction hulls: by hand, and beside pymatgen's."""

import numpy as np
import pytest
from pymatgen.analysis.interface_reactions import GrandPotentialInterfacialReactivity
from pymatgen.analysis.phase_diagram import GrandPotentialPhaseDiagram, PDEntry, PhaseDiagram
from pymatgen.core import Composition, Element

from alab.errors import BadInput
from alab.models import Atmosphere
from planners.synthesis import interface_hull as module
from planners.synthesis.grand_potential import (
    grand_potential_ev_per_metal_atom,
    metal_atoms,
    metal_fractions,
    rivals,
    solids_within,
)
from planners.synthesis.interface_hull import interface_hull
from planners.synthesis.reactions import (
    atoms,
    balance,
    driving_force_ev_per_atom,
    metals,
    try_balance,
)
from planners.synthesis.thermo import (
    KJ_PER_MOL_PER_EV,
    MissingThermoError,
    gas_potential_kj_per_mol,
    gibbs_kj_per_mol,
)

AIR = Atmosphere.AIR


def energies(hull):
    return {(r.products, round(r.ratio, 6)): r.energy_ev_per_metal_atom for r in hull.reactions}


def test_one_reaction_has_the_energy_of_its_balance():
    hull = interface_hull("BaO", "TiO2", 1000.0, AIR)
    force = driving_force_ev_per_atom(balance(("BaO", "TiO2"), "BaTiO3"), 1000.0, AIR)
    found = energies(hull)[("BaTiO3",), 0.5]
    assert found == pytest.approx(-force * 5 / 2)  # 5 atoms, 2 of them metal


def test_gas_is_part_of_the_energy():
    carbonate, oxide = (interface_hull(f, "TiO2", 1000.0, AIR) for f in ("BaCO3", "BaO"))
    lost = driving_force_ev_per_atom(balance(("BaCO3",), "BaO"), 1000.0, AIR) * 2
    difference = energies(carbonate)[("BaTiO3",), 0.5] - energies(oxide)[("BaTiO3",), 0.5]
    assert difference == pytest.approx(-lost / 2)  # half the metal atoms are Ba


def by_metals(share, first_per_atom, second_per_atom):
    """A share of the second phase by all its atoms, counted by metal atoms."""
    second = share * second_per_atom
    return second / (second + (1 - share) * first_per_atom)


@pytest.mark.parametrize(
    ("first", "second"),
    [("BaO", "TiO2"), ("MgO", "TiO2"), ("Li2O", "Mn3O4"), ("CaO", "SiO2"), ("Na3PO4", "ZrO2"),
     ("BaTiO3", "Y2O3"), ("Li3PO4", "Fe2O3"), ("LiFeO2", "P2O5")],
)  # fmt: skip
def test_kinks_are_pymatgens(first, second):
    """Energies and mixing ratios, open to oxygen alone: the solids here hold no other gas."""
    at_c = 900.0
    elements = metals(first) | metals(second)
    oxides = [f for f in solids_within(elements) if not atoms(f).keys() & {"C", "H", "N"}]
    entries = [
        PDEntry(Composition(f), gibbs_kj_per_mol(f, at_c) / KJ_PER_MOL_PER_EV) for f in oxides
    ]
    entries += [PDEntry(Composition(e), 0.0) for e in (*elements, "O2") if e not in oxides]
    oxygen_ev = gas_potential_kj_per_mol("O2", at_c, AIR) / 2 / KJ_PER_MOL_PER_EV
    open_to = {Element("O"): oxygen_ev}
    theirs = GrandPotentialInterfacialReactivity(
        Composition(second),
        Composition(first),
        GrandPotentialPhaseDiagram(entries, open_to),
        pd_non_grand=PhaseDiagram(entries),
        norm=True,
        include_no_mixing_energy=False,
        use_hull_energy=False,
    )
    ours = interface_hull(first, second, at_c, AIR)
    per_atom = [metal_atoms(f) / Composition(f).num_atoms for f in (first, second)]
    kinks = sorted((by_metals(x, *per_atom), e) for _, x, e, _, _ in theirs.get_kinks())
    for ratio, energy in kinks:
        assert ours.energy_at(ratio) == pytest.approx(energy, abs=1e-6)
    mine = [k.ratio for k in ours.kinks if 0 < k.ratio < 1]
    assert all(min(abs(ratio - x) for x, _ in kinks) < 1e-6 for ratio in mine)


def by_hand(monkeypatch, energies):
    """Let formulas have these grand potentials per metal atom."""

    def potential(formula, _temperature_c, _atmosphere):
        return energies[formula]

    monkeypatch.setattr(module, "grand_potential_ev_per_metal_atom", potential)
    monkeypatch.setattr(
        module, "rivals", lambda *_a, without, **_k: sorted(set(energies) - set(without))
    )
    return module.interface_hull.__wrapped__


def test_a_binary_line_by_hand(monkeypatch):
    """A = MgO at 0, B = TiO2 at 0; corners at 1/3, 1/2 and 2/3, of which 1/2 lies above."""
    hull = by_hand(
        monkeypatch,
        {"MgO": 0.0, "TiO2": 0.0, "Mg2TiO4": -0.3, "MgTiO3": -0.25, "MgTi2O5": -0.36},
    )("MgO", "TiO2", 900.0, AIR)
    assert [k.products for k in hull.kinks] == [(), ("Mg2TiO4",), ("MgTi2O5",), ()]
    assert [k.ratio for k in hull.kinks] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert hull.energy_at(0.5) == pytest.approx(-0.33)
    assert hull.energy_at(1 / 6) == pytest.approx(-0.15)
    assert hull.minimum.products == ("MgTi2O5",)


def test_two_products_on_a_ternary_line_by_hand(monkeypatch):
    """LiFeO2 | P2O5: LiPO3 + FePO4 has its only point where Li : Fe : P is 1 : 1 : 2."""
    hull = by_hand(
        monkeypatch,
        {"LiFeO2": 0.0, "P2O5": 0.0, "LiPO3": -1.0, "FePO4": -0.5, "Li3PO4": -0.8,
         "Fe2O3": -0.1},
    )("LiFeO2", "P2O5", 900.0, AIR)  # fmt: skip
    found = energies(hull)
    # LiFeO2 + P2O5 → LiPO3 + FePO4: of 4 metal atoms 2 in LiPO3, 2 in FePO4
    assert found[("FePO4", "LiPO3"), 0.5] == pytest.approx(-0.75)
    # 3 LiFeO2 + 1/2 P2O5 → Li3PO4 + 3/2 Fe2O3: P is 1 of 7
    assert found[("Fe2O3", "Li3PO4"), round(1 / 7, 6)] == pytest.approx(
        4 / 7 * -0.8 + 3 / 7 * -0.1
    )


def test_a_phase_that_decomposes_starts_the_hull_below_zero():
    hull = interface_hull("BaCO3", "TiO2", 1100.0, AIR)
    assert hull.kinks[0].products == ("BaO",)
    assert hull.kinks[0].energy_ev_per_metal_atom < 0


@pytest.mark.parametrize(
    ("first", "second"), [("BaCO3", "TiO2"), ("Na2CO3", "ZrP2O7"), ("NH4H2PO4", "Fe2O3")]
)
def test_every_equation_conserves_every_atom(first, second):
    hull = interface_hull(first, second, 800.0, AIR)
    assert hull.reactions
    for reaction in hull.reactions:
        left, right = (side.split(" + ") for side in hull.equation(reaction).split(" → "))
        total = [sum((_count(term) for term in side), Composition()) for side in (left, right)]
        assert total[0].almost_equals(total[1], rtol=1e-9)


def _count(term):
    amount, _, formula = term.rpartition(" ")
    return Composition(formula) * float(amount or 1)


def test_every_single_product_that_balances_is_found():
    hull = interface_hull("Li2CO3", "Fe2O3", 900.0, AIR)
    products = {r.products for r in hull.reactions if 0 < r.ratio < 1}
    lowest = rivals(frozenset({"Li", "Fe"}), 900.0, AIR)
    balanced = {(f,) for f in lowest if try_balance(("Li2CO3", "Fe2O3"), f) is not None}
    assert products == balanced
    assert ("LiFeO2",) in products


def test_the_target_stays_though_another_oxide_is_lower():
    at = {"first": "Li2CO3", "second": "MnO2", "temperature_c": 700.0, "atmosphere": AIR}
    assert all("MnO" not in r.products for r in interface_hull(**at).reactions)
    assert any("MnO" in r.products for r in interface_hull(**at, also=("MnO",)).reactions)


def test_rivals_are_the_lowest_of_each_ratio():
    manganese = frozenset({"Mn"})
    (best,) = rivals(manganese, 700.0, AIR)
    potentials = {
        f: grand_potential_ev_per_metal_atom(f, 700.0, AIR) for f in solids_within(manganese)
    }
    assert best == min(potentials, key=lambda f: potentials[f]) == "Mn2O3"
    assert rivals(manganese, 1000.0, AIR) == ("Mn3O4",)  # Mn2O3 gives off oxygen above 950 °C


def test_fractions_sum_to_one():
    shares = metal_fractions(["NaZr2(PO4)3", "Na2CO3"], ["Na", "P", "Zr"])
    assert np.allclose(shares, [[1 / 6, 3 / 6, 2 / 6], [1, 0, 0]])


def test_no_line_between_phases_of_the_same_metals():
    with pytest.raises(BadInput, match="same ratio"):
        interface_hull("BaCO3", "BaO", 900.0, AIR)


@pytest.mark.parametrize("pair", [("O2", "TiO2"), ("TiO2", "C"), ("CO2", "H2O")])
def test_a_gas_has_no_interface(pair):
    with pytest.raises(BadInput, match=r"counts as no powder; .* name the gas"):
        interface_hull(*pair, 900.0, AIR)


def test_an_unknown_phase_is_an_error():
    with pytest.raises(MissingThermoError, match="Ba2YCu3O7"):
        interface_hull("Ba2YCu3O7", "BaO", 900.0, AIR)


def test_too_many_products_are_refused(monkeypatch):
    monkeypatch.setattr(module, "MOST_PRODUCT_SETS", 3)
    with pytest.raises(BadInput, match="at most 3 are looked at"):
        module.interface_hull.__wrapped__("Na3PO4", "ZrO2", 901.0, AIR)


def test_ammonium_salts_cannot_grow():
    solids = solids_within(frozenset({"P", "Ba"}))
    assert {"BaO", "BaCO3", "P2O5"} <= set(solids)
    assert not [f for f in solids if "N" in atoms(f)]
