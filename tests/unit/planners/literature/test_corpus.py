import pytest

from alab.errors import BadInput
from planners.literature.corpus import UNSTATED_DOPANT, corpus_path, read_corpus
from planners.literature.firing import Firing, Route
from planners.literature.formulas import (
    FormulaError,
    composition_key,
    evaluate,
    plain_atoms,
    reduced_formula,
    typed_atoms,
)
from tests.unit.planners.literature.corpora import heating, material, reaction, write


def read(tmp_path, *entries):
    return read_corpus(write(list(entries), tmp_path / "corpus.json"))


def test_a_procedure_is_read_with_its_hottest_firing(tmp_path):
    steps = [
        heating(900, 4),
        {"type": "Mixing", "token": "reground", "conditions": None},
        heating(1300, 2, "oxygen", "sintered"),
        {"type": "ShapingOperation", "token": "cut", "conditions": None},
    ]
    (found,) = read(tmp_path, reaction("BaTiO3", ["BaCO3", "TiO2"], steps)).procedures
    assert found.precursors == ("BaCO3", "TiO2")
    assert found.shares == pytest.approx({"Ba": 0.2, "O": 0.6, "Ti": 0.2})
    assert found.firing == Firing(
        temperature_c=1300,
        route=Route(step="sintering", pressed=False, fired_before=True, gas="O2"),
        dwell_h=2,
        reground=True,
    )


def test_pellets_are_pressed_before_the_hottest_firing(tmp_path):
    pressing = {"type": "ShapingOperation", "token": "pressed", "conditions": None}
    steps = [pressing, heating(1300, 2), heating(900, 20, word="annealed")]
    (found,) = read(tmp_path, reaction("BaTiO3", ["BaCO3", "TiO2"], steps)).procedures
    route = Route(step="calcination", pressed=True, fired_before=False, gas="air")
    assert found.firing.route == route


def test_drying_and_misread_heat_are_no_firings(tmp_path):
    steps = [heating(120, 2), heating(4700, 1)]
    (found,) = read(tmp_path, reaction("BaTiO3", ["BaCO3", "TiO2"], steps)).procedures
    assert found.firing.temperature_c is None


def test_forming_gas_reduces_whatever_else_is_named(tmp_path):
    step = heating(1200, 4)
    step["conditions"]["heating_atmosphere"] = ["air", "hydrogen", "argon"]
    (found,) = read(tmp_path, reaction("SrTiO3", ["SrCO3", "TiO2"], [step])).procedures
    assert found.firing.route.gas == "reducing"


def test_water_of_hydration_and_spelling_make_no_other_powder(tmp_path):
    entry = reaction("Ba2TiO4", ["TiO2"], [])
    wet = material("Ba(OH)2")
    wet["composition"].append(
        {"formula": "H2O", "elements": {"H": "2", "O": "1"}, "amount": "8"}
    )
    entry["precursors"].append(wet)
    corpus = read(tmp_path, entry)
    assert corpus.procedures[0].precursors == (reduced_formula("Ba(OH)2"), "TiO2")
    assert corpus.written[reduced_formula("Ba(OH)2")] == "Ba(OH)2"


def test_a_range_is_its_middle_composition_with_most_elements(tmp_path):
    entry = reaction("BaTiO3", ["BaCO3", "SrCO3", "TiO2"], [])
    entry["targets_string"] = ["BaTiO3", "Ba0.9Sr0.1TiO3", "Ba0.5Sr0.5TiO3", "Ba0.2Sr0.8TiO3"]
    (found,) = read(tmp_path, entry).procedures
    assert found.shares["Ba"] == found.shares["Sr"] == pytest.approx(0.1)
    assert composition_key({"Ba": 1, "Ti": 1, "O": 3}) in found.keys


def test_variables_without_values_take_the_middle_of_their_range(tmp_path):
    entry = reaction("BaTiO3", ["BaCO3", "SrCO3", "TiO2"], [])
    entry["targets_string"] = ["Ba1-2*xSr2*xTiO3"]
    elements = {"Ba": "1-2*x", "Sr": "2*x", "Ti": "1", "O": "3-del_O"}
    entry["target"]["composition"] = [{"formula": "?", "elements": elements, "amount": "1"}]
    (found,) = read(tmp_path, entry).procedures
    assert found.shares["Ba"] == pytest.approx(found.shares["Sr"])


def test_a_dopant_named_apart_belongs_to_the_target_if_a_powder_brings_it(tmp_path):
    stated = reaction("SrTiO3", ["SrCO3", "TiO2", "Rh2O3"], [])
    stated["target"]["additives"] = ["0.05Rh3+"]
    silent = reaction("SrTiO3", ["SrCO3", "TiO2", "Eu2O3"], [])
    silent["target"]["additives"] = ["Eu", "Mn"]
    one, two = read(tmp_path, stated, silent).procedures
    assert one.shares["Rh"] == pytest.approx(0.05 / 5.05)
    assert two.shares["Eu"] == pytest.approx(UNSTATED_DOPANT / (5 + UNSTATED_DOPANT))
    assert "Mn" not in two.shares


def test_letters_stand_for_elements(tmp_path):
    entry = reaction("BaTiO3", ["TiO2"], [])
    entry["targets_string"] = []
    entry["reaction"]["element_substitution"] = {"A": "Ba"}
    elements = {"A": "1", "Ti": "1", "O": "3"}
    entry["target"]["composition"] = [{"formula": "ATiO3", "elements": elements, "amount": "1"}]
    (found,) = read(tmp_path, entry).procedures
    assert "Ba" in found.shares
    assert found.substitution == "A = Ba"


def test_what_cannot_be_read_is_counted_by_reason(tmp_path):
    good = reaction("BaTiO3", ["BaCO3", "TiO2"], [])
    odd = reaction("BaTiO3", ["BaCO3"], [])
    odd["precursors"][0]["composition"][0]["elements"] = {"Ba": "1", "Q": "2"}
    wrong = reaction("BaTiO3", ["BaCO3"], [])
    wrong["targets_string"] = []
    wrong["target"]["composition"][0]["elements"] = {"Ba": "x**2"}
    corpus = read(tmp_path, good, odd, wrong, {"doi": "10.1/y"})
    assert len(corpus.procedures) == 1
    assert corpus.skipped == {"precursor formula": 1, "target formula": 1, "fields missing": 1}


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "corpus.json"
    path.write_text("[1, 2]")
    with pytest.raises(BadInput, match="no copy of the text-mined reactions"):
        read_corpus(path)
    with pytest.raises(BadInput, match="holds no reaction"):
        read_corpus(write([], tmp_path / "empty.json"))


def test_without_a_copy_the_way_to_one_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("ALAB_LITERATURE", raising=False)
    with pytest.raises(BadInput, match="name the file in ALAB_LITERATURE"):
        corpus_path()
    monkeypatch.setenv("ALAB_LITERATURE", str(tmp_path / "none"))
    with pytest.raises(BadInput, match="is no file"):
        corpus_path()


def test_formulas_are_read_or_refused():
    assert plain_atoms("Sr0.2La0.8MnO3") == {"Sr": 0.2, "La": 0.8, "Mn": 1, "O": 3}
    assert typed_atoms("NaZr2(PO4)3")["O"] == 12
    assert reduced_formula("Ba2Ti2O6") == "BaTiO3"
    for text in ("Sr(OH)2", "SrXyO3", "", "Sr0"):
        with pytest.raises(FormulaError):
            plain_atoms(text)
    with pytest.raises(FormulaError, match="no formula"):
        typed_atoms("?!")


def test_arithmetic_is_all_that_is_worked_out():
    assert evaluate("0.5-0.5*x", {"x": 0.2}) == pytest.approx(0.4)
    assert evaluate("-(1/3)", {}) == pytest.approx(-1 / 3)
    for text in ("__import__('os')", "2**9", "y", "1/0", "1 +"):
        with pytest.raises(FormulaError):
            evaluate(text, {"x": 1.0})
