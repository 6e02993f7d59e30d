import json
import math

import pytest
from monty.json import MontyEncoder
from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.entries.computed_entries import ComputedEntry, ComputedStructureEntry

from alab.errors import BadInput
from planners.synthesis.compounds import MissingThermoError
from planners.synthesis.computed import (
    ComputedSource,
    corrected,
    formation_enthalpy_ev_per_atom,
    lowest,
    read_entries,
)
from planners.synthesis.sources import Anchored, OwnTable
from tests.unit.planners.synthesis.thermo_data import need

SETTINGS = {"run_type": "GGA", "hubbards": {}, "is_hubbard": False}
POTENTIALS = {"Mg": "Mg_pv", "Ti": "Ti_pv", "O": "O"}


def cell(formula, volume_ang3):
    atoms = [el for el, n in Composition(formula).items() for _ in range(int(n))]
    places = [[i / len(atoms)] * 3 for i in range(len(atoms))]
    return Structure(Lattice.cubic(volume_ang3 ** (1 / 3)), atoms, places)


def entry(formula, energy_ev, volume_ang3, name):
    elements = Composition(formula).get_el_amt_dict()
    return ComputedStructureEntry(
        cell(formula, volume_ang3),
        energy_ev,
        parameters={
            **SETTINGS,
            "potcar_symbols": [f"PBE {POTENTIALS[symbol]}" for symbol in elements],
        },
        data={"oxide_type": "oxide" if "O" in elements and len(elements) > 1 else "None"},
        entry_id=name,
    )


ENTRIES = (
    entry("Mg", -1.6, 23.0, "mg"),
    entry("Ti", -7.9, 17.1, "ti"),
    entry("O2", -9.9, 27.0, "o"),
    entry("MgO", -11.9, 19.0, "periclase"),
    entry("MgO", -11.5, 18.0, "wurtzite-like"),
    entry("TiO2", -27.0, 31.0, "rutile"),
    entry("MgTiO3", -39.3, 52.0, "geikielite"),
)


@pytest.fixture
def store(tmp_path):
    def write(entries):
        path = tmp_path / "mgtio_entries.json"
        path.write_text(json.dumps(entries, cls=MontyEncoder))
        return path

    return write


def test_raw_entries_get_the_corrections_of_2020_and_corrected_ones_keep_theirs():
    once = corrected(ENTRIES)
    rutile = next(e for e in once if e.entry_id == "rutile")
    # Wang et al. 2021, table 1: −0.687 eV per oxide ion
    assert rutile.correction == pytest.approx(2 * -0.687)
    twice = corrected(once)
    assert sorted(e.energy for e in twice) == pytest.approx(sorted(e.energy for e in once))


def test_formation_enthalpy_is_that_of_the_phase_diagram():
    best = lowest(corrected(ENTRIES))
    diagram = PhaseDiagram(list(best.values()))
    assert best["MgO"].entry_id == "periclase"
    for formula in ("MgO", "TiO2", "MgTiO3"):
        expected = diagram.get_form_energy_per_atom(best[formula])
        assert formation_enthalpy_ev_per_atom(formula, best) == pytest.approx(expected)


@pytest.mark.parametrize("temperature_k", [300, 900, 1800])
def test_the_descriptor_is_equation_4_of_bartel(store, temperature_k):
    source = ComputedSource(store(ENTRIES))
    curve = source.curve("MgO")
    assert curve is not None
    volume, mass = 19.0 / 2, 24.305 * 15.999 / (24.305 + 15.999)
    delta = (-2.48e-4 * math.log(volume) - 8.94e-5 * mass / volume) * temperature_k
    delta += 0.181 * math.log(temperature_k) - 0.882
    enthalpy = formation_enthalpy_ev_per_atom("MgO", source.entries)
    # the elements cancel: what is left is apparent by itself
    assert curve.at_ev(temperature_k) / 2 == pytest.approx(enthalpy + delta, abs=1e-4)
    assert curve.source.startswith("periclase")


def test_it_ends_where_the_descriptor_was_trained(store):
    curve = ComputedSource(store(ENTRIES)).curve("MgO")
    assert curve is not None
    with pytest.raises(MissingThermoError, match="trained up to 1800 K"):
        curve.at_ev(1900)


def test_a_volume_stands_in_for_the_structure(store):
    plain = [
        ComputedEntry(
            e.composition,
            e.uncorrected_energy,
            parameters=e.parameters,
            data={**e.data, "volume": e.structure.volume},
            entry_id=e.entry_id,
        )
        for e in ENTRIES
    ]
    with_volume = ComputedSource(store(plain)).curve("MgTiO3")
    with_structure = ComputedSource(store(ENTRIES)).curve("MgTiO3")
    assert with_volume is not None
    assert with_structure is not None
    assert with_volume.at_ev(1000) == pytest.approx(with_structure.at_ev(1000))
    for one in plain:
        del one.data["volume"]
    with pytest.raises(MissingThermoError, match="neither a structure nor"):
        ComputedSource(store(plain)).curve("MgTiO3")


def test_elements_and_gases_are_no_computed_solids(store):
    source = ComputedSource(store(ENTRIES))
    assert set(source.solids()) == {"MgO", "TiO2", "MgTiO3"}
    assert source.curve("Mg") is None
    assert source.curve("Al2O3") is None


def test_what_lies_far_above_the_hull_is_no_known_solid(store):
    unlikely = entry("Mg2TiO4", -30.0, 70.0, "never made")
    assert "Mg2TiO4" not in ComputedSource(store([*ENTRIES, unlikely])).solids()


def test_files_that_cannot_serve_say_why(store, tmp_path):
    with pytest.raises(BadInput, match="lacks entries of Ti"):
        _ = ComputedSource(store([e for e in ENTRIES if e.entry_id != "ti"])).entries
    with pytest.raises(BadInput, match="no list of computed entries"):
        read_entries(store([]))
    with pytest.raises(BadInput, match="holds a Composition"):
        read_entries(store([Composition("MgO")]))
    foreign = [ComputedEntry("MgO", -11.9, parameters={"run_type": "SCAN"})]
    with pytest.raises(BadInput, match="none of 1 entries fits"):
        corrected(foreign)


def test_an_oxide_is_moved_by_what_its_oxides_are_off(store):
    source, own = ComputedSource(store(ENTRIES)), OwnTable(estimated=False)
    anchored = Anchored(source, (own,))
    moved, plain = anchored.curve("MgTiO3"), source.curve("MgTiO3")
    assert moved is not None
    assert plain is not None
    off = 0.0
    for oxide in ("MgO", "TiO2"):
        computed, measured = source.curve(oxide), own.curve(oxide)
        assert computed is not None
        assert measured is not None
        off += measured.at_ev(1200) - computed.at_ev(1200)
        there = anchored.curve(oxide)
        assert there is not None
        assert there.at_ev(1200) == pytest.approx(measured.at_ev(1200), abs=1e-6)
    assert moved.at_ev(1200) == pytest.approx(plain.at_ev(1200) + off, abs=1e-6)
    assert moved.uncertainty_ev_per_atom < plain.uncertainty_ev_per_atom
    assert "on measured oxides" in moved.source


def test_another_valence_keeps_the_wider_uncertainty(store):
    entries = [*ENTRIES, entry("Ti2O3", -42.0, 52.0, "corundum-like")]
    source = ComputedSource(store(entries))
    moved, plain = (
        Anchored(source, (OwnTable(estimated=False),)).curve("Ti2O3"),
        source.curve("Ti2O3"),
    )
    assert moved is not None
    assert plain is not None
    assert moved.uncertainty_ev_per_atom == plain.uncertainty_ev_per_atom


def test_real_entries_come_close_to_measured_titanates_once_anchored():
    (path,) = need("piro_mp_ba-o-ti.json.gz")
    source, own = ComputedSource(path), OwnTable(estimated=False)
    anchored = Anchored(source, (own,))
    for formula in ("BaTiO3", "Ba2TiO4"):
        measured, near, far = own.curve(formula), anchored.curve(formula), source.curve(formula)
        atoms = Composition(formula).num_atoms
        assert measured is not None
        assert near is not None
        assert far is not None
        off_ev = abs(near.at_ev(1173) - measured.at_ev(1173)) / atoms
        assert off_ev < 2 * near.uncertainty_ev_per_atom
        assert off_ev < abs(far.at_ev(1173) - measured.at_ev(1173)) / atoms
    assert "BaTi2O5" in source.solids()
