import gzip
import json

import numpy as np
import pytest
from pymatgen.core import Composition

from alab.errors import BadInput
from planners.synthesis.compounds import KJ_PER_MOL_PER_EV, MissingThermoError, find, table
from planners.synthesis.elements import GRID_K, elements_ev
from planners.synthesis.experimental import aligned, read_gases, read_table
from tests.unit.planners.synthesis.thermo_data import need, tables

SOME = ("MgO", "TiO2", "BaTiO3", "Mg3(PO4)2", "AlPO4", "LiPO3", "CaCO3", "V2O5")
PHOSPHATES = ("Mg3(PO4)2", "Ca3(PO4)2", "Ca2P2O7", "AlPO4")


def formation_ev(formula):
    """ΔfG of one of our rows on the grid, as a table gives it, eV per formula."""
    row = find(formula)
    assert row is not None
    apparent = np.array([row.gibbs_kj_per_mol(t) for t in GRID_K]) / KJ_PER_MOL_PER_EV
    return apparent - elements_ev(Composition(formula))


def write(path, rows):
    content = {
        f: {f"{t:.0f}": e for t, e in zip(GRID_K, row, strict=True)} for f, row in rows.items()
    }
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    return path


@pytest.fixture
def ours(tmp_path):
    """Our own rows, written as FREED would hold them."""
    return write(tmp_path / "freed.json.gz", {f: formation_ev(f) for f in SOME})


@pytest.mark.parametrize("temperature_k", [298.15, 300, 655, 1200, 1950])
def test_a_table_gives_back_the_apparent_energy_it_was_made_from(ours, temperature_k):
    for formula in SOME:
        if formula == "V2O5" and temperature_k > 900:
            continue  # it melts at 954 K, and the spline rounds that off
        key = Composition(formula).reduced_formula
        curve, row = read_table(ours).curve(key), find(formula)
        assert curve is not None
        assert row is not None
        off_ev = curve.at_ev(temperature_k) - row.gibbs_kj_per_mol(temperature_k) / (
            KJ_PER_MOL_PER_EV
        )
        assert abs(off_ev) / Composition(key).num_atoms < 0.0005


def test_beyond_a_table_is_no_value(ours):
    curve = read_table(ours).curve("MgO")
    assert curve is not None
    with pytest.raises(MissingThermoError, match=r"FREED has MgO from 273\.15 to 2000 K"):
        curve.at_ev(2100)
    with pytest.raises(MissingThermoError, match="not at 200 K"):
        curve.at_ev(200)


def test_a_row_that_goes_over_to_vapour_ends_there(tmp_path):
    rows = {f: formation_ev(f) for f in ("MgO", "TiO2")}
    # evaporates at 1500 K with 120 J/mol/K per atom; falls apart and leaps at 1200 K
    rows["MgO"] = rows["MgO"] - np.maximum(0, GRID_K - 1500) * 0.24 / KJ_PER_MOL_PER_EV
    rows["TiO2"] = rows["TiO2"] + np.where(GRID_K > 1200, 0.5, 0.0)
    both = read_table(write(tmp_path / "freed.json", rows).rename(tmp_path / "f.json.gz"))
    magnesia, rutile = both.curve("MgO"), both.curve("TiO2")
    assert magnesia is not None
    assert rutile is not None
    assert magnesia.temperatures_k[-1] == 1500
    assert rutile.temperatures_k[-1] == 1200
    with pytest.raises(MissingThermoError, match="vapour"):
        magnesia.at_ev(1600)


def test_a_molecule_is_no_solid(tmp_path):
    # YO(g), NIST-like: 234 J/mol/K at 298 K; the crystal would have 40
    yttrium_oxide = formation_ev("TiO2")  # any length of row
    heats = -40.0 - 0.234 * (GRID_K - 298.15)
    yttrium_oxide = heats / KJ_PER_MOL_PER_EV - elements_ev(Composition("YO")) - 0.7
    found = read_table(
        write(tmp_path / "freed.json.gz", {"YO": yttrium_oxide, "MgO": formation_ev("MgO")})
    )
    assert found.solids() == ("MgO",)
    with pytest.raises(MissingThermoError, match="gas only"):
        found.curve("YO")


def test_another_reference_of_an_element_is_found_and_undone(tmp_path, ours):
    good = read_table(ours)
    bend_ev = np.where((GRID_K > 600) & (GRID_K < 1500), 0.08, 0.0)
    phosphorus = ("Mg3(PO4)2", "AlPO4", "LiPO3", "P2O5", "Ca3(PO4)2")
    rows = {f: formation_ev(f) for f in (*SOME, *phosphorus)}
    reference = read_table(write(tmp_path / "a_freed.json.gz", rows))
    off = {f: row + Composition(f)["P"] * bend_ev for f, row in rows.items()}
    shifted = read_table(write(tmp_path / "b_freed.json.gz", off))
    moved = aligned(shifted, reference)
    for formula, energies_ev in moved.energies_ev.items():
        assert energies_ev == pytest.approx(reference.energies_ev[formula], abs=1e-6)
    assert aligned(good, reference).energies_ev["MgO"] == pytest.approx(good.energies_ev["MgO"])


def test_what_is_no_table_is_said(tmp_path):
    path = tmp_path / "freed.json"
    path.write_text('{"MgO": {"300": "much"}}')
    with pytest.raises(BadInput, match="no table of formation energies"):
        read_table(path)
    path.write_text("not JSON")
    with pytest.raises(BadInput, match="cannot be read as JSON"):
        read_table(path)


def test_the_index_tells_gases_from_solids():
    (index,) = need("nist_JANAF_index.txt.gz")
    gases = read_gases(index)
    assert {"CO2", "SO2", "AlO", "BF"} <= gases
    assert not {"Al2O3", "NaCl", "TiO2", "MgO"} & gases


def test_known_traps_of_freed():
    freed = next(t for t in tables().tables if t.name == "FREED")
    for gas in ("ZnSe", "YO", "Ga2O", "SO2", "UF6", "Mo(CO)6"):
        with pytest.raises(MissingThermoError, match="gas only"):
            freed.curve(gas)
    ends_k = {f: freed.curve(f).temperatures_k[-1] for f in ("BaO", "Mg(HO)2", "CaO", "Al2O3")}
    # vapour above 1800 K; MgO and steam above 900 K; the others hold to the end
    assert ends_k == {"BaO": 1800, "Mg(HO)2": 900, "CaO": 1700, "Al2O3": 2000}
    assert {"MgO", "BaTiO3", "CaCO3"} <= set(freed.solids())


def test_no_solid_of_the_tables_loses_entropy_or_boils():
    for one in tables().tables:
        for formula in one.solids():
            curve = one.curve(formula)
            slopes = -np.diff(curve.energies_ev) / np.diff(curve.temperatures_k)
            per_atom_j = slopes * 1000 * KJ_PER_MOL_PER_EV / Composition(formula).num_atoms
            assert np.all(np.diff(per_atom_j) > -5.001), formula
            assert np.all(np.diff(per_atom_j) < 25.001), formula


def test_aligning_brings_the_phosphates_closer():
    freed = next(t for t in tables().tables if t.name == "FREED")
    raw = read_table(need("freed_compounds.json.gz")[0])
    off = {True: 0.0, False: 0.0}
    for formula in PHOSPHATES:
        key = Composition(formula).reduced_formula
        ours_ev = find(formula).gibbs_kj_per_mol(900) / KJ_PER_MOL_PER_EV
        for is_aligned, one in ((True, freed), (False, raw)):
            off[is_aligned] += (
                abs(one.curve(key).at_ev(900) - ours_ev) / Composition(key).num_atoms
            )
    assert off[True] < 0.6 * off[False]


@pytest.mark.parametrize("temperature_k", [300, 900, 1200])
def test_our_measured_rows_agree_with_the_tables(temperature_k):
    for one, typical_ev in zip(tables().tables, (0.003, 0.006), strict=True):
        off_ev = []
        for key, row in table().items():
            try:
                curve = one.curve(key)
                if curve is None or row.estimated:
                    continue
                ours_ev = row.gibbs_kj_per_mol(temperature_k) / KJ_PER_MOL_PER_EV
                off_ev.append(
                    (curve.at_ev(temperature_k) - ours_ev) / Composition(key).num_atoms
                )
            except MissingThermoError:
                continue
        assert len(off_ev) > 30
        assert np.median(np.abs(off_ev)) < typical_ev
        assert np.percentile(np.abs(off_ev), 80) < 0.015
