import math

import numpy as np
import pytest

from alab.errors import BadInput, TargetError
from planners.literature import fit_precursors, precursors
from planners.literature.corpus import read_corpus
from planners.literature.formulas import FormulaError
from planners.literature.precursors import literature_score, literature_scores, recommend
from planners.literature.train import train_precursors
from planners.literature.vocabulary import Vocabulary, lead_element, questions, shares_of
from tests.unit.planners.literature.corpora import reaction, spinels_and_perovskites, write

SMALL = fit_precursors.Plan(embedding=8, hidden=16, dropout=0.0, batch=32, epochs=20)
WORDS = Vocabulary(
    elements=("Ba", "C", "F", "H", "Li", "N", "O", "P", "Ti"),
    powders=("TiO2", "BaCO3", "Li2CO3", "PH6NO4", "LiF", "Li3PO4", "O2"),
    written=("TiO2", "BaCO3", "Li2CO3", "NH4H2PO4", "LiF", "Li3PO4", "O2"),
)


@pytest.fixture(scope="module")
def small_corpus(tmp_path_factory):
    return write(spinels_and_perovskites(), tmp_path_factory.mktemp("corpus") / "c.json")


@pytest.fixture(scope="module")
def small_model(small_corpus):
    return train_precursors(read_corpus(small_corpus), SMALL)


def test_every_powder_answers_for_its_most_electronegative_element():
    assert [lead_element(p) for p in ("LiF", "Li3PO4", "Li2CO3", "O2")] == ["F", "P", "Li", "O"]


def test_a_set_is_spelled_in_one_way_and_back():
    shares = shares_of("Li2PO3F")
    steps = WORDS.spell(shares, ["PH6NO4", "Li2CO3", "LiF"])
    assert steps == WORDS.spell(shares, ["LiF", "Li2CO3", "PH6NO4"])
    assert steps is not None
    assert {t for _, t in steps if t != WORDS.stop} == {2, 3, 4}
    assert [q for q, t in steps if t == WORDS.stop] == questions(WORDS, shares)


@pytest.mark.parametrize(
    "powders",
    [["TiO2"], ["Li2CO3", "TiO2", "BaCO3"], ["PH6NO4"], ["Li2CO3", "V2O5"], []],
    ids=["foreign", "two foreign", "lithium missing", "unknown powder", "none"],
)
def test_what_does_not_bring_the_target_cannot_be_spelled(powders):
    assert WORDS.spell(shares_of("Li3PO4"), powders) is None


def test_a_fitted_network_finds_the_rule_on_targets_it_has_not_seen(small_model):
    for target, powders in (
        ("Ba0.35Al2O4", {"BaCO3", "Al2O3"}),
        ("Zn0.77Ti2O4", {"ZnO", "TiO2"}),
    ):
        best = recommend(target, model=small_model)[0]
        assert set(best.precursors) == powders
        assert best.probability > 0.8


def test_probabilities_of_all_sets_add_up_to_one(small_model):
    found = small_model.search(shares_of("Ba0.35Al2O4"), 10_000)
    assert sum(p for _, p in found) == pytest.approx(1.0, abs=1e-3)
    for tokens, probability in found[:3]:
        powders = [small_model.vocabulary.powders[t] for t in tokens]
        (log,) = small_model.log_probabilities(shares_of("Ba0.35Al2O4"), [powders])
        assert math.exp(log) == pytest.approx(probability, rel=1e-5)


def test_the_same_seed_gives_the_same_weights(small_corpus, small_model):
    again = train_precursors(read_corpus(small_corpus), SMALL)
    for name, values in small_model.network.items():
        np.testing.assert_array_equal(values, again.network[name])


def test_a_saved_model_answers_as_before(small_model, tmp_path):
    precursors.save_model(small_model, tmp_path / "m.npz")
    loaded = precursors.load_model(tmp_path / "m.npz")
    before, after = (recommend("Ba0.35Al2O4", model=m) for m in (small_model, loaded))
    assert [s.precursors for s in after] == [s.precursors for s in before]
    assert after[0].probability == pytest.approx(before[0].probability, abs=0.01)


def test_no_model_file_runs_code(tmp_path):
    path = tmp_path / "m.npz"
    with path.open("wb") as file:
        np.savez(file, elements=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BadInput, match="no model of the literature"):
        precursors.load_model(path)
    np.savez(path, elements=np.array(["O"]))
    with pytest.raises(BadInput, match="holds no 'powders'"):
        precursors.load_model(path)


def test_suggestions_cite_the_procedures_they_resemble(small_model, small_corpus):
    best = recommend("Ba0.35Al2O4", model=small_model, corpus=small_corpus)[0]
    assert best.note == ""
    assert best.similar[0].precursors == ("Al2O3", "BaCO3")
    assert best.similar[0].doi.startswith("10.1/BaAl")
    assert best.similar[0].firing.temperature_c == 1100


def test_without_the_corpus_a_suggestion_says_how_to_cite(monkeypatch):
    monkeypatch.delenv("ALAB_LITERATURE", raising=False)
    best = recommend("BaTiO3")[0]
    assert best.similar == ()
    assert "ALAB_LITERATURE" in best.note


def test_a_named_corpus_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(BadInput, match="is no file"):
        recommend("BaTiO3", corpus=tmp_path / "none.json")


def test_the_projects_model_knows_common_chemistry():
    assert set(recommend("BaTiO3")[0].precursors) == {"BaCO3", "TiO2"}
    first = {s.precursors for s in recommend("LiFePO4", count=5)}
    assert any({"FeC2O4", "Li2CO3", "NH4H2PO4"} == set(p) for p in first)


def test_a_target_is_no_precursor_of_itself():
    for target in ("BaTiO3", "Ba2Ti2O6"):
        assert all("BaTiO3" not in s.precursors for s in recommend(target))


def test_only_available_powders_are_suggested():
    shelf = {"BaO", "Ba(NO3)2", "TiO2", "SrCO3"}
    found = recommend("BaTiO3", available=shelf)
    assert {p for s in found for p in s.precursors} <= shelf
    with pytest.raises(TargetError, match="brings Ti"):
        recommend("BaTiO3", available={"BaCO3"})


def test_wrong_questions_are_refused():
    with pytest.raises(BadInput, match="count is 0"):
        recommend("BaTiO3", count=0)
    with pytest.raises(FormulaError, match="no procedure with it was learnt from"):
        recommend("Cf2O3")


def test_scores_rank_usual_sets_above_odd_ones():
    sets = [("BaCO3", "TiO2"), ("BaO", "TiO2"), ("BaCO3", "SrCO3"), ("Ba2Ti9O20",)]
    usual, possible, foreign, incomplete = literature_scores("BaTiO3", sets)
    assert usual == pytest.approx(1.0)
    assert 0 < possible < usual
    assert foreign == incomplete == 0
    assert literature_score("BaTiO3", sets[1]) == pytest.approx(possible)


def test_a_corpus_without_a_usable_procedure_is_refused(tmp_path):
    corpus = read_corpus(write([reaction("BaTiO3", ["SrCO3"], [])], tmp_path / "c.json"))
    vocabulary = fit_precursors.learn_vocabulary(corpus.procedures, corpus.written)
    with pytest.raises(BadInput, match="no procedure can be learnt from"):
        fit_precursors.spell_all(vocabulary, corpus.procedures)
