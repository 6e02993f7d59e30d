import numpy as np
import pytest
from pymatgen.core import Composition

from alab.models import Atmosphere
from simulators.world.matter import reduced
from simulators.world.phases import GASES, phase_table
from simulators.world.reactions import System, build_system


def system(*formulas: str) -> System:
    return build_system([phase_table()[reduced(formula)] for formula in formulas])


@pytest.mark.parametrize(
    ("formula", "enthalpy_kj_per_mol"),
    [("BaTiO3", -1652.0), ("ZnFe2O4", -1189.0), ("MgAl2O4", -2299.0), ("Mg2SiO4", -2174.0)],
)
def test_compounds_have_their_published_heat_of_formation(formula, enthalpy_kj_per_mol):
    phase = phase_table()[reduced(formula)]
    assert phase.enthalpy_kj_per_mol == pytest.approx(enthalpy_kj_per_mol, abs=12.0)


def equilibrium_c(parts: tuple[str, str], atmosphere: Atmosphere = Atmosphere.AIR) -> float:
    reaction = system(*parts)
    temperatures_c = np.arange(100.0, 1500.0, 5.0)
    gibbs = [float(reaction.gibbs_kj(t, atmosphere)[0]) for t in temperatures_c]
    return float(temperatures_c[int(np.argmin(np.abs(gibbs)))])


@pytest.mark.parametrize(
    ("parts", "lowest_c", "highest_c"),
    [
        (("MnO2", "Mn2O3"), 400.0, 560.0),
        (("Mn2O3", "Mn3O4"), 830.0, 950.0),
        (("Co3O4", "CoO"), 880.0, 980.0),
        (("BaO2", "BaO"), 600.0, 850.0),
        (("CaCO3", "CaO"), 580.0, 700.0),
        (("Mg(OH)2", "MgO"), 120.0, 300.0),
    ],
)
def test_decompositions_lie_where_the_literature_has_them(parts, lowest_c, highest_c):
    assert lowest_c < equilibrium_c(parts) < highest_c


def test_less_oxygen_lowers_the_reduction():
    reduced_oxide = ("Mn2O3", "Mn3O4")
    in_nitrogen_c = equilibrium_c(reduced_oxide, Atmosphere.N2)
    assert in_nitrogen_c < equilibrium_c(reduced_oxide) - 100.0
    assert equilibrium_c(reduced_oxide, Atmosphere.O2) > equilibrium_c(reduced_oxide)


def test_every_reaction_conserves_every_element():
    phases = ("Na2CO3", "ZrO2", "NH4H2PO4", "P2O5", "ZrP2O7", "NaPO3", "NaZr2(PO4)3")
    found = system(*phases)
    assert len(found.circuits) > 10
    for row, gas in zip(found.circuits, found.gas_mol, strict=True):
        atoms: dict[str, float] = {}
        for phase, cations, share in zip(found.phases, found.cations_per_mol, row, strict=True):
            for element, count in phase.elements.items():
                atoms[element] = atoms.get(element, 0.0) + share * count / cations
        for name, moles in zip(GASES, gas, strict=True):
            for element, count in Composition(name).items():
                atoms[element.symbol] = atoms.get(element.symbol, 0.0) + moles * count
        assert all(abs(surplus) < 1e-9 for surplus in atoms.values())


def test_lithium_sits_tighter_in_a_compound_than_in_its_oxide():
    found = system("Li2O", "LiMn2O4", "Mn2O3", "Li2MnO3")
    binding = dict(
        zip(
            (found.phases[int(np.argmin(row))].formula for row in found.losses),
            found.binding_kj(1000.0, Atmosphere.AIR),
            strict=True,
        )
    )
    assert binding["Li2O"] == pytest.approx(0.0, abs=1e-9)
    assert binding["LiMn2O4"] > 30.0
