import gzip
import json
import os
from pathlib import Path

import pytest
from pymatgen.core import Composition

from alab.models import Atmosphere
from planners.synthesis.thermo import (
    KJ_PER_MOL_PER_EV,
    MissingThermoError,
    find,
    gas_potential_kj_per_mol,
    gibbs_ev_per_atom,
    gibbs_kj_per_mol,
    reduced,
    table,
    written,
)

DATA = Path(os.environ.get("ALAB_DATA", Path(__file__).parents[4].parent / "shared" / "data"))
THERMO = DATA / "recipes" / "thermo"

PHASES = [
    "Li2CO3", "Na2CO3", "K2CO3", "MgO", "CaCO3", "SrCO3", "BaCO3", "Al2O3", "SiO2", "TiO2",
    "ZrO2", "Y2O3", "La2O3", "V2O5", "Cr2O3", "MnO2", "Mn2O3", "Fe2O3", "Co3O4", "NiO", "CuO",
    "ZnO", "MoO3", "WO3", "Bi2O3", "Nb2O5", "SnO2", "NH4H2PO4", "(NH4)2HPO4", "Mg(OH)2",
    "Li2O", "Na2O", "CaO", "SrO", "BaO", "MnO", "Mn3O4", "Fe3O4", "CoO", "La(OH)3", "Ba2TiO4",
    "Sr2TiO4", "LiPO3", "NaPO3", "Na3PO4", "Li2MnO3", "LiVO3", "Zn3(PO4)2", "Mg3(PO4)2",
    "Ca3(PO4)2", "Zn2P2O7", "Mg2P2O7", "Ca2P2O7", "CaAl2O4", "SrAl2O4", "BaAl2O4", "Li2SiO3",
    "CaSiO3", "MgSiO3", "NaFeO2", "Li2ZrO3", "LiCrO2", "Y4Al2O9", "Ca2SiO4", "BaO2",
    "LiFePO4",
]  # fmt: skip

DISPUTED = {
    # other tables differ from the calorimetry our rows cite, by more than either's error
    ("freed", "CoFe2O4"), ("freed", "LaFeO3"), ("freed", "LaPO4"), ("freed", "K2O"),
    ("freed", "NiAl2O4"), ("freed", "MgTiO3"), ("freed", "MgSiO3"), ("freed", "SnO2"),
    ("janaf", "Mg3(PO4)2"), ("janaf", "MgWO4"),
    # their rows go over to another state: liquid water, vapour, MgO + steam
    ("freed", "H2O"), ("freed", "NH3"), ("freed", "P2O5"), ("janaf", "P2O5"),
    ("freed", "Mg(OH)2"),
}  # fmt: skip


@pytest.mark.parametrize("formula", PHASES)
def test_every_shelf_powder_and_intermediate_has_a_row(formula):
    assert find(formula) is not None


def test_rows_are_complete_and_say_where_they_come_from():
    for key, compound in table().items():
        assert reduced(compound.formula) == key
        assert compound.source, key
        assert compound.uncertainty_kj_per_mol > 0, key
        if key not in {"O2", "N2"}:
            assert compound.formation_enthalpy_kj_per_mol < 0, key
        assert 5 < compound.entropy_j_per_mol_k / Composition(key).num_atoms < 110, key
        if compound.estimated:
            assert compound.uncertainty_kj_per_mol >= 6, key


@pytest.mark.parametrize(
    ("formula", "kj_per_mol"),
    [("CO2", -393.5), ("Al2O3", -1675.7), ("BaTiO3", -1659.8), ("CaCO3", -1207.4)],
)
def test_published_formation_enthalpies(formula, kj_per_mol):
    compound = find(formula)
    assert compound is not None
    assert compound.formation_enthalpy_kj_per_mol == pytest.approx(kj_per_mol, abs=0.6)


@pytest.mark.parametrize(
    ("formula", "j_per_mol_k"),
    # CODATA / Robie & Hemingway 1995, heat capacity at 298.15 K
    [("Al2O3", 79.0), ("MgO", 37.1), ("TiO2", 55.1), ("CaCO3", 83.5), ("Fe2O3", 103.9)],
)
def test_published_heat_capacities(formula, j_per_mol_k):
    compound = find(formula)
    assert compound is not None
    a, b, c = compound.heat_capacity
    at_298 = a + b * 1e-3 * 298.15 + c * 1e5 / 298.15**2
    assert at_298 == pytest.approx(j_per_mol_k, rel=0.025)


def crossing_c(change, low_c, high_c):
    """Temperature at which a reaction energy falls through zero, by bisection."""
    assert change(low_c) > 0 > change(high_c)
    while high_c - low_c > 0.5:
        middle_c = (low_c + high_c) / 2
        low_c, high_c = (middle_c, high_c) if change(middle_c) > 0 else (low_c, middle_c)
    return low_c


def test_calcite_decomposes_at_890_c_under_1_bar():
    def change(t):
        return sum(gibbs_kj_per_mol(f, t) for f in ("CaO", "CO2")) - gibbs_kj_per_mol(
            "CaCO3", t
        )

    assert crossing_c(change, 600, 1200) == pytest.approx(890, abs=12)


def test_cobalt_oxide_gives_off_oxygen_in_air_near_900_c():
    def change(t):
        oxygen = gas_potential_kj_per_mol("O2", t, Atmosphere.AIR)
        return 6 * gibbs_kj_per_mol("CoO", t) + oxygen - 2 * gibbs_kj_per_mol("Co3O4", t)

    assert crossing_c(change, 600, 1200) == pytest.approx(900, abs=40)


def test_manganese_oxide_gives_off_oxygen_in_air_near_880_c():
    def change(t):
        oxygen = gas_potential_kj_per_mol("O2", t, Atmosphere.AIR)
        return 4 * gibbs_kj_per_mol("Mn3O4", t) + oxygen - 6 * gibbs_kj_per_mol("Mn2O3", t)

    assert crossing_c(change, 600, 1200) == pytest.approx(880, abs=40)


def test_a_formula_counts_as_written():
    assert gibbs_kj_per_mol("P4O10", 25) == pytest.approx(2 * gibbs_kj_per_mol("P2O5", 25))
    assert gibbs_ev_per_atom("Ti2O4", 800) == pytest.approx(gibbs_ev_per_atom("TiO2", 800))
    assert gibbs_ev_per_atom("MgO", 25) == pytest.approx(
        gibbs_kj_per_mol("MgO", 25) / KJ_PER_MOL_PER_EV / 2
    )


def test_melting_adds_its_entropy_and_no_jump():
    below, above = gibbs_kj_per_mol("V2O5", 680.9), gibbs_kj_per_mol("V2O5", 681.1)
    assert below == pytest.approx(above, abs=0.2)
    slope_below = gibbs_kj_per_mol("V2O5", 670) - gibbs_kj_per_mol("V2O5", 680)
    slope_above = gibbs_kj_per_mol("V2O5", 685) - gibbs_kj_per_mol("V2O5", 695)
    assert (slope_above - slope_below) / 10 * 1000 == pytest.approx(64500 / 954, rel=0.15)


def test_missing_data_is_said_and_never_zero():
    assert find("Ba3Ti7O99") is None
    with pytest.raises(MissingThermoError, match=r"Ba3Ti7O99.*formation_energies.csv"):
        gibbs_kj_per_mol("Ba3Ti7O99", 800)
    with pytest.raises(MissingThermoError, match="2500 °C is outside"):
        gibbs_kj_per_mol("MgO", 2500)
    with pytest.raises(MissingThermoError, match="none of the gases"):
        gas_potential_kj_per_mol("SO3", 800, Atmosphere.AIR)


def test_thin_gas_has_the_lower_potential():
    air = gas_potential_kj_per_mol("O2", 1000, Atmosphere.AIR)
    pure = gas_potential_kj_per_mol("O2", 1000, Atmosphere.O2)
    argon = gas_potential_kj_per_mol("O2", 1000, Atmosphere.AR)
    # R·T·ln(0.21) at 1273.15 K
    assert air - pure == pytest.approx(-16.52, abs=0.05)
    assert argon < air < pure


def test_ammonia_answers_to_its_usual_name():
    assert written("H3N") == "NH3"
    assert gas_potential_kj_per_mol("NH3", 500, Atmosphere.AIR) < gibbs_kj_per_mol("NH3", 500)


@pytest.mark.parametrize(
    ("name", "file"),
    [("freed", "freed_compounds.json.gz"), ("janaf", "nist_janaf_compounds.json.gz")],
)
def test_agrees_with_the_experimental_tables(name, file):
    if not (THERMO / file).exists():
        pytest.skip(f"no {file} under {THERMO}; set ALAB_DATA to the data folder")
    with gzip.open(THERMO / file) as stream:
        theirs = json.load(stream)
    elements = json.loads((THERMO / "mu_elements.json").read_text())
    disputed = {reduced(formula) for table_name, formula in DISPUTED if table_name == name}
    far: list[str] = []
    compared = 0
    for formula, compound in table().items():
        key = next((k for k in (compound.formula, formula) if k in theirs), None)
        if key is None or formula in disputed:
            continue
        for temperature_k in ("300", "900", "1200"):
            if temperature_k not in theirs[key]:
                continue
            ours = gibbs_kj_per_mol(key, float(temperature_k) - 273.15)
            ours -= KJ_PER_MOL_PER_EV * sum(
                n * elements[temperature_k][e]
                for e, n in Composition(key).get_el_amt_dict().items()
            )
            off = ours - KJ_PER_MOL_PER_EV * theirs[key][temperature_k]
            atoms = Composition(key).num_atoms
            # 15 meV/atom and twice our own uncertainty
            allowed = 1.45 * atoms + 2 * compound.uncertainty_kj_per_mol
            compared += 1
            if abs(off) > allowed:
                far.append(f"{key} at {temperature_k} K: {off:+.1f} of {allowed:.1f} kJ/mol")
    assert compared > 60
    assert not far, "\n".join(far)
