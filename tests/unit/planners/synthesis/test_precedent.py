"""How usual sets are, which one papers would take, and what a recipe says of it."""

import numpy as np
import pytest

from alab.models import Atmosphere, FiringLimits
from planners.synthesis import recipes as module
from planners.synthesis.enumeration import enumerate_sets
from planners.synthesis.precedent import (
    likeliest_set,
    precedent_reasons,
    precedent_risks,
    precedents,
    usual_by_family,
    usual_sets,
)
from planners.synthesis.recipes import propose
from tests.unit.planners.literature.corpora import heating, reaction, write

LIMITS = FiringLimits(
    max_temperature_c=1150.0, max_ramp_c_per_min=15.0, atmospheres=(Atmosphere.AIR,)
)
NEVER_USED = "Ba2Ti9O20"
"""A powder that the model has not learnt."""


@pytest.fixture(autouse=True)
def no_corpus(monkeypatch):
    monkeypatch.delenv("ALAB_LITERATURE", raising=False)


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    entries = [
        reaction("BaTiO3", ["BaCO3", "TiO2"], [heating(1200, 4)], "10.1/titanate"),
        reaction("BaTiO3", ["BaCO3", "TiO2"], [heating(1300, 4)], "10.1/titanate"),
        reaction("BaTiO3", ["BaCO3", "TiO2"], [heating(1100.4, 4)], "10.1/again"),
        reaction("SrTiO3", ["SrCO3", "TiO2"], [], "10.1/other"),
        reaction("SrTiO3", ["SrCO3", "TiO2"], [], "10.1/another"),
        reaction("MgAl2O4", ["MgO", "Al2O3"], [heating(1400, 4)], "10.1/spinel"),
    ]
    monkeypatch.setenv("ALAB_LITERATURE", str(write(entries, tmp_path / "c.json")))


def shelf(*powders):
    return dict.fromkeys(powders, 1e5)


def rows(sets):
    return {frozenset(sets.names(row)): row for row in range(len(sets))}


def test_sets_are_as_usual_as_papers_take_them():
    sets = enumerate_sets("BaTiO3", ["BaCO3", "BaO", "TiO2"])
    usual, place = usual_sets(sets), rows(sets)
    common = usual[place[frozenset({"BaCO3", "TiO2"})]]
    rarer = usual[place[frozenset({"BaO", "TiO2"})]]
    assert common == pytest.approx(1.0)
    assert 0 < rarer < 0.5


def test_a_set_no_paper_could_use_is_told_by_its_families_and_stays_behind():
    sets = enumerate_sets("BaTiO3", ["BaCO3", "TiO2", NEVER_USED])
    usual, families, place = usual_sets(sets), usual_by_family(sets), rows(sets)
    odd = place[frozenset({"BaCO3", NEVER_USED})]
    assert families[odd] == pytest.approx((0.7 + 0.3) / 2)  # a carbonate and a mixed oxide
    assert 0 < usual[odd] < families[odd] < usual[place[frozenset({"BaCO3", "TiO2"})]]


def test_a_hydrate_counts_as_its_salt():
    dry, wet = (
        usual_sets(enumerate_sets("LiFePO4", ["Li2CO3", "NH4H2PO4", oxalate]))
        for oxalate in ("FeC2O4", "FeC2O4(H2O)2")
    )
    np.testing.assert_allclose(wet, dry)
    assert dry[0] > 0.9


def test_the_likeliest_set_is_found_on_the_shelf():
    powders = ["FeC2O4(H2O)2", "Li2CO3", "LiOH", "FePO4", "NH4H2PO4", "Fe2O3"]
    sets = enumerate_sets("LiFePO4", powders)
    row = likeliest_set(sets)
    assert row is not None
    assert set(sets.names(row)) == {"FeC2O4(H2O)2", "Li2CO3", "NH4H2PO4"}


def test_no_set_is_likeliest_where_papers_take_none():
    assert likeliest_set(enumerate_sets("BaTiO3", ["BaCO3", NEVER_USED])) is None
    assert likeliest_set(enumerate_sets("BaTiO3", ["Ba(NO3)2", "Ti2O3"])) is None


def test_what_papers_take_is_a_reason_and_what_they_do_not_a_risk():
    first, later, odd, rare = precedents(
        "BaTiO3",
        [("BaCO3", "TiO2"), ("BaO", "TiO2"), ("BaCO3", NEVER_USED), ("Ba(NO3)2", "Ti2O3")],
    )
    (words,) = precedent_reasons(first)
    assert words == f"Papers take these powders: likeliest of {first.named} sets (89 %)."
    (words,) = precedent_reasons(later)
    assert "2nd likeliest" in words
    assert "the likeliest is BaCO3 + TiO2 (89 %)" in words
    assert precedent_risks(first) == precedent_risks(later) == []
    assert precedent_reasons(odd) == precedent_reasons(rare) == []
    (words,) = precedent_risks(odd)
    assert words.startswith(
        "At most one paper learnt from uses Ba2Ti9O20; the likeliest set is"
    )
    assert precedent_risks(rare)[0].startswith("Hardly a paper makes such targets")


def test_citations_name_each_paper_and_each_other_target_once(corpus):
    (found,) = precedents("BaTiO3", [("BaCO3", "TiO2")])
    assert found.note == ""
    assert [p.doi for p in found.similar] == ["10.1/titanate", "10.1/again", "10.1/other"]
    assert (
        "Nearest procedures: BaTiO3 from BaCO3 + TiO2 at 1200 °C (doi 10.1/titanate), "
        "at 1100 °C (doi 10.1/again); SrTiO3 from SrCO3 + TiO2 (doi 10.1/other)."
    ) in precedent_reasons(found)


def test_without_or_with_a_broken_copy_a_note_says_so(monkeypatch, tmp_path):
    (found,) = precedents("BaTiO3", [("BaCO3", "TiO2")])
    assert found.similar == ()
    assert "name the file in ALAB_LITERATURE" in found.note
    (tmp_path / "broken.json").write_text("{")
    monkeypatch.setenv("ALAB_LITERATURE", str(tmp_path / "broken.json"))
    (found,) = precedents("BaTiO3", [("BaCO3", "TiO2")])
    assert "is no copy of the text-mined reactions" in found.note


def test_recipes_cite_and_hold_the_set_of_the_literature(corpus):
    powders = shelf("BaCO3", "BaO", "BaO2", "Ba(OH)2", "TiO2", "Ti2O3", "Ba2TiO4", "Ba(NO3)2")
    recipes = propose("BaTiO3", shelf=powders, limits=LIMITS, count=2)
    literature = [r for r in recipes if {p.formula for p in r.precursors} == {"BaCO3", "TiO2"}]
    assert "doi 10.1/titanate" in " ".join(literature[0].reasons)
    scores = [recipe.score for recipe in recipes]
    assert scores == sorted(scores, reverse=True)


def test_an_uphill_set_of_the_literature_stays_beside_downhill_ones_and_says_so(monkeypatch):
    powders = shelf("BaCO3", "BaO", "TiO2")
    plain = module.assess

    def uphill_from_carbonate(reaction, firing, atmosphere, usual):
        candidate = plain(reaction, firing, atmosphere, usual)
        if "BaCO3" not in reaction.reactants:
            return candidate
        assert candidate.pathway is not None
        pathway = module.replace(candidate.pathway, total_ev_per_atom=-0.02)
        return module.replace(candidate, pathway=pathway, score=-5.0)

    monkeypatch.setattr(module, "assess", uphill_from_carbonate)
    recipes = propose("BaTiO3", shelf=powders, limits=LIMITS)
    uphill = [r for r in recipes if "uphill by 20" in " ".join(r.reasons)]
    assert {p.formula for p in uphill[0].precursors} == {"BaCO3", "TiO2"}
    assert "By the known energies this reaction does not run; papers report it." in (
        uphill[0].risks
    )
