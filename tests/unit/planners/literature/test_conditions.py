import numpy as np
import pytest

from alab.errors import BadInput
from alab.models import Atmosphere
from planners.literature import conditions, fit_conditions
from planners.literature.conditions import loose_powder, predict_conditions
from planners.literature.corpus import read_corpus
from planners.literature.features import kind
from planners.literature.firing import Route
from planners.literature.formulas import FormulaError
from planners.literature.split import split
from planners.literature.train import train_conditions
from tests.unit.planners.literature.corpora import spinels_and_perovskites, write

SMALL = fit_conditions.Plan(hidden=24, dimensions=8, dropout=0.0, batch=32, epochs=40)


@pytest.fixture(scope="module")
def small_corpus(tmp_path_factory):
    return read_corpus(
        write(spinels_and_perovskites(), tmp_path_factory.mktemp("corpus") / "c.json")
    )


@pytest.fixture(scope="module")
def small_model(small_corpus):
    return train_conditions(small_corpus, SMALL)


def test_a_fitted_model_finds_the_rule_on_held_out_targets(small_corpus, small_model):
    held_out = split(small_corpus.procedures).test
    asked = fit_conditions.examples(held_out, small_model.elements, small_model.powders)
    answers = small_model.answer(asked.inputs)
    error_c = [
        abs(a.temperature_c - t)
        for a, t in zip(answers, asked.reported.temperature_c, strict=True)
    ]
    assert np.mean(error_c) < 25
    said = [
        max(a.atmosphere_probabilities, key=a.atmosphere_probabilities.__getitem__)
        for a in answers
    ]
    right = [gas == p.firing.route.gas for gas, p in zip(said, held_out, strict=True)]
    assert np.mean(right) > 0.9
    assert "inert" in said
    assert np.median([a.dwell_h for a in answers]) == pytest.approx(6.0, rel=0.05)
    assert max(a.regrinds for a in answers) < 0.1


def test_the_interval_holds_its_share_of_the_validation_targets(tmp_path):
    entries = spinels_and_perovskites()
    for i, entry in enumerate(entries):
        for heated in entry["operations"][0]["conditions"]["heating_temperature"]:
            heated["values"] = [heated["values"][0] + 37 * i % 200]
    scattered = read_corpus(write(entries, tmp_path / "c.json"))
    model = train_conditions(scattered, SMALL)
    chosen_on = split(scattered.procedures).validation
    data = fit_conditions.examples(chosen_on, model.elements, model.powders)
    inside = [
        a.temperature_low_c <= t <= a.temperature_high_c
        for a, t in zip(model.answer(data.inputs), data.reported.temperature_c, strict=True)
    ]
    assert np.mean(inside) == pytest.approx(0.8, abs=1.01 / len(inside))


@pytest.fixture(scope="module")
def pressed_or_not(tmp_path_factory):
    """A model of papers that fire pellets 300 °C hotter, in oxygen, as all others do in air."""
    pressing = {"type": "ShapingOperation", "token": "pressed", "conditions": None}
    entries = spinels_and_perovskites()
    for entry in entries[::2]:
        (heated,) = entry["operations"]
        (given,) = heated["conditions"]["heating_temperature"]
        given["values"] = [given["values"][0] + 300]
        heated["conditions"]["heating_atmosphere"] = ["oxygen"]
        entry["operations"] = [pressing, heated]
    folder = tmp_path_factory.mktemp("pressed")
    return train_conditions(read_corpus(write(entries, folder / "c.json")), SMALL)


def test_what_is_decided_before_moves_the_temperature(pressed_or_not):
    def asked(**route):
        told = Route(step="calcination", **route)
        return predict_conditions(
            "Sr0.35Al2O4", ["SrCO3", "Al2O3"], route=told, model=pressed_or_not
        )

    assert asked(pressed=False).temperature_c == pytest.approx(1000, abs=30)
    assert asked(pressed=True).temperature_c == pytest.approx(1300, abs=30)
    assert asked(gas="air").temperature_c == pytest.approx(1000, abs=30)
    assert asked(gas="O2").temperature_c == pytest.approx(1300, abs=30)
    assert asked(pressed=True).atmosphere_probabilities["O2"] > 0.8
    assert asked(pressed=False).atmosphere_probabilities["O2"] < 0.2
    left_open = asked()
    assert left_open.temperature_high_c - left_open.temperature_low_c > 150


def test_the_laboratorys_own_route_is_loose_powder_fired_once():
    assert loose_powder(Atmosphere.AR) == Route(
        step="calcination", pressed=False, fired_before=False, gas="inert"
    )
    assert loose_powder(Atmosphere.CO2).gas is None


@pytest.mark.parametrize(
    ("blank", "said"),
    [
        ({"heating_time": []}, "no dwell"),
        ({"heating_atmosphere": []}, "no gas"),
        ({"heating_temperature": []}, "no temperature"),
    ],
)
def test_a_corpus_without_an_answer_teaches_nothing(tmp_path, blank, said):
    entries = spinels_and_perovskites()
    for entry in entries:
        entry["operations"][0]["conditions"] |= blank
    with pytest.raises(BadInput, match=said):
        train_conditions(read_corpus(write(entries, tmp_path / "c.json")), SMALL)


def test_the_same_corpus_gives_the_same_model(small_corpus, small_model):
    again = train_conditions(small_corpus, SMALL)
    for name, values in small_model.network.items():
        np.testing.assert_array_equal(values, again.network[name])
    np.testing.assert_array_equal(small_model.places, again.places)


def test_a_saved_model_answers_as_before(small_model, tmp_path):
    conditions.save_model(small_model, tmp_path / "m.npz")
    loaded = conditions.load_model(tmp_path / "m.npz")
    before, after = (
        predict_conditions("Ba0.35Al2O4", ["BaCO3", "Al2O3"], model=m)
        for m in (small_model, loaded)
    )
    assert after.temperature_c == pytest.approx(before.temperature_c, abs=5)
    assert loaded.procedures == small_model.procedures
    with pytest.raises(BadInput, match="no model of the literature"):
        conditions.load_model(tmp_path / "none.npz")


def test_the_projects_model_orders_what_chemists_order():
    titanate = predict_conditions("BaTiO3", ["BaCO3", "TiO2"])
    cathode = predict_conditions("LiMn2O4", ["Li2CO3", "MnO2"])
    assert cathode.temperature_c < titanate.temperature_c
    assert titanate.temperature_low_c < titanate.temperature_c < titanate.temperature_high_c
    denser = predict_conditions("BaTiO3", ["BaCO3", "TiO2"], route=Route(step="sintering"))
    assert denser.temperature_c > titanate.temperature_c
    olivine = predict_conditions("LiFePO4", ["Li2CO3", "FeC2O4", "NH4H2PO4"])
    assert olivine.atmosphere_probabilities["air"] < 0.2
    assert sum(olivine.atmosphere_probabilities.values()) == pytest.approx(1)


def test_what_was_not_learnt_is_refused():
    with pytest.raises(FormulaError, match="no firing with it was learnt from"):
        predict_conditions("Cf2O3", ["TiO2"])
    with pytest.raises(BadInput, match=r"gas is 'steam'; it must be one of air, O2"):
        predict_conditions("BaTiO3", ["BaCO3", "TiO2"], route=Route(gas="steam"))
    with pytest.raises(BadInput, match="step is 'baking'"):
        predict_conditions("BaTiO3", ["BaCO3", "TiO2"], route=Route(step="baking"))


def test_powders_are_told_apart_by_kind():
    powders = {
        "TiO2": "oxide", "BaCO3": "carbonate", "Mg(OH)2": "hydroxide", "Sr(NO3)2": "nitrate",
        "NH4H2PO4": "ammonium", "LiF": "halide", "Fe": "metal", "BaTiO3": "compound",
    }  # fmt: skip
    assert {powder: kind(powder) for powder in powders} == powders
