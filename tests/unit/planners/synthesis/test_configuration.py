import json
import os

import numpy as np
import pytest
from pymatgen.core import Composition

from alab.errors import BadInput
from planners.synthesis.compounds import KJ_PER_MOL_PER_EV, find
from planners.synthesis.configuration import configured, installed_folder, read_sources
from planners.synthesis.elements import GRID_K, elements_ev

HEADER = "formula,temperature_k,energy_ev_per_atom,uncertainty_ev_per_atom,source\n"


def write_table(path, *formulas):
    rows = {}
    for formula in formulas:
        apparent = np.array([find(formula).gibbs_kj_per_mol(t) for t in GRID_K])
        formation = apparent / KJ_PER_MOL_PER_EV - elements_ev(Composition(formula))
        rows[formula] = {f"{t:.0f}": e for t, e in zip(GRID_K, formation, strict=True)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows))


def test_own_means_nothing_else(monkeypatch):
    monkeypatch.setenv("ALAB_THERMO", "own")
    assert {source.name for source in configured().in_order} == {
        "our own table",
        "pymatgen's g_els.json",
    }


def test_the_installed_package_is_read_and_never_run(monkeypatch, tmp_path):
    package = tmp_path / "rxn_network"
    write_table(package / "data" / "freed" / "compounds.json", "MgO", "TiO2")
    write_table(package / "data" / "nist" / "compounds.json", "MgO")
    (package / "data" / "mu_elements.json").write_text("[]")
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("ALAB_THERMO")
    assert installed_folder() == package / "data"
    assert [table.name for table in configured().tables] == ["NIST-JANAF", "FREED"]


def test_without_package_and_setting_our_own_table_is_all(monkeypatch):
    monkeypatch.delenv("ALAB_THERMO")
    monkeypatch.setattr("planners.synthesis.configuration.PACKAGE", "no_such_package_here")
    assert configured().tables == ()


def test_folders_and_files_are_named_like_a_path(monkeypatch, tmp_path):
    write_table(tmp_path / "tables" / "my_freed.json", "MgO")
    mine = tmp_path / "mine.csv"
    mine.write_text(HEADER + "NaNbO3,300,-2.8,0.02,me\nNaNbO3,900,-2.4,0.02,me\n")
    monkeypatch.setenv("ALAB_THERMO", os.pathsep.join([str(tmp_path / "tables"), str(mine)]))
    names = [source.name for source in configured().in_order]
    # a user's own file before everything, tables between our measured and estimated rows
    assert names == [
        "mine.csv",
        "our own table",
        "FREED",
        "our own table",
        "pymatgen's g_els.json",
    ]


def test_what_cannot_be_read_is_said(tmp_path):
    with pytest.raises(BadInput, match="does not exist"):
        read_sources([tmp_path / "nowhere"])
    (tmp_path / "notes.json").write_text("{}")
    with pytest.raises(BadInput, match=r"holds no \*.csv"):
        read_sources([tmp_path])
