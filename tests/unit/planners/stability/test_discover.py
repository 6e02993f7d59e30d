"""A search from system to ranking, with a small ensemble that really predicts."""

from collections import Counter
from dataclasses import replace
from functools import cache

import pytest

from alab.errors import BadInput
from alab.models import Atmosphere, FiringLimits
from planners.stability.candidates.lineage import Kind
from planners.stability.candidates.prototypes import KnownStructure
from planners.stability.candidates.random_guesses import random_guesses
from planners.stability.crystals import Crystal
from planners.stability.discover import discover
from planners.stability.discovery import Discovery, Models, Request
from planners.stability.explanation import mixture, screen_line, why
from planners.stability.lowest import COMPARED, Guess
from planners.stability.models.augmentation import predict_over_volumes
from planners.stability.references.embedded import default_snapshot
from planners.stability.references.entries import Entry
from planners.stability.references.snapshot import MissingReferenceError, snapshot_of
from planners.stability.references.stability import assess, decompose
from planners.stability.screens.composition import BenchLimits
from planners.stability.selection import composition_levels, simple_formulas
from tests.crystal_predictor import linear_compositions, linear_ensemble, own_structures

SYSTEM = ("Li", "Mn", "O")
BENCH = BenchLimits(
    shelf={"Li2CO3": 1e6, "MnO2": 1e6, "Mn2O3": 1e6},
    limits=FiringLimits(
        max_temperature_c=1100.0, max_ramp_c_per_min=10.0, atmospheres=(Atmosphere.AIR,)
    ),
)


def known() -> list[KnownStructure]:
    """Few and small, and all that lie in the system."""
    return [
        one
        for one in own_structures()
        if one.elements <= set(SYSTEM) or (len(one.structure) <= 6 and "O" in one.elements)
    ]


def models(*, compositions: bool = False) -> Models:
    return Models(
        structure=linear_ensemble(),
        name="linear",
        volumes=(1.0,),
        composition=linear_compositions() if compositions else None,
    )


def search(**changed: object) -> Discovery:
    asked = {"system": SYSTEM, "budget": 25, "top": 6, **changed}
    return discover(Request(**asked), known(), models(), BENCH)  # type: ignore[arg-type]


@cache
def found() -> Discovery:
    return search()


def test_every_candidate_is_counted_once() -> None:
    result = found()
    of_structures = (
        "beyond the budget",
        "atoms too close to each other",
        "more than 20 structures of a composition",
        "more than 60 atoms in the cell",
    )
    lost = sum(result.left_out.get(reason, 0) for reason in of_structures)
    assert result.predicted == 25
    assert result.generated == result.predicted + lost
    assert len(result.found) == 6


def test_the_reference_is_what_is_known_predicted_alike() -> None:
    result = found()
    assert result.reference_predicted
    here = {one.formula for one in known() if one.elements <= set(SYSTEM)}
    # LiMnO2 is in the table of measured compounds and has no crystal here
    assert set(result.reference.by_formula) == here | {"LiMnO2"}
    spinel = next(one for one in known() if one.formula == "LiMn2O4")
    predicted = linear_ensemble().predict([Crystal.of(spinel.structure)]).median_ev_per_atom
    entry = next(e for e in result.reference.entries if "CIF LiMn2O4" in e.source)
    assert entry.formation_energy_ev_per_atom == pytest.approx(float(predicted[0]))
    assert entry.source == "predicted by linear: CIF LiMn2O4_227"
    guessed = result.reference.by_formula["LiMnO2"][0]
    assert "structure guessed in the type of" in guessed.source


def test_no_candidate_is_known_and_all_are_ranked() -> None:
    result = found()
    formulas = [one.formula for one in result.found]
    assert len(set(formulas)) == len(formulas)
    assert not set(formulas) & set(result.reference.by_formula)
    ranks = [(not one.passed, one.decomposition_energy_ev_per_atom) for one in result.found]
    assert ranks == sorted(ranks)


def test_energies_are_the_ensembles_and_the_hulls() -> None:
    result = found()
    one = result.found[0]
    again = linear_ensemble().predict([one.crystal])
    assert one.formation_energy_ev_per_atom == pytest.approx(float(again.median_ev_per_atom[0]))
    assert one.interquartile_ev_per_atom == pytest.approx(
        float(again.interquartile_ev_per_atom[0])
    )
    judged = assess(result.reference, [one.formula], [one.formation_energy_ev_per_atom])
    assert one.decomposition_energy_ev_per_atom == pytest.approx(
        float(judged.decomposition_energies_ev_per_atom[0])
    )
    assert one.products == decompose(result.reference, one.formula).products
    # more rivals never make a compound more stable
    assert one.joint_energy_ev_per_atom >= one.decomposition_energy_ev_per_atom - 1e-9


def test_every_candidate_traces_back_to_a_known_structure() -> None:
    names = {one.name for one in known()}
    for one in found().found:
        assert one.lineage[0].child == one.key
        assert one.lineage[-1].kind is Kind.REFERENCE
        assert one.lineage[-1].child in names


def test_every_candidate_passes_all_screens_with_a_reason() -> None:
    for one in found().found:
        assert [s.name for s in one.screens] == [
            "energy above hull", "air: O2", "air: CO2", "air: H2O",
            "elements", "furnace", "precursors", "charge balance",
        ]  # fmt: skip
        assert all(s.reason for s in one.screens)


def test_the_same_search_gives_the_same_answer() -> None:
    again = search()
    assert [one.key for one in again.found] == [one.key for one in found().found]
    assert again.reference.digest == found().reference.digest


def test_the_limit_of_the_hull_is_the_users() -> None:
    wide = search(hull_limit_ev_per_atom=0.9)
    assert all(one.screens[0].verdict == "passed" for one in wide.found)


def test_unsure_is_what_the_width_could_turn_around() -> None:
    limit = found().request.hull_limit_ev_per_atom
    for one in found().found:
        near = abs(one.decomposition_energy_ev_per_atom - limit)
        assert one.unsure == (
            near < one.interquartile_ev_per_atom / 2 or one.interquartile_ev_per_atom > 0.1
        )


def test_words_hold_the_numbers() -> None:
    one = found().found[0]
    said = "\n".join(why(one))
    assert f"{abs(one.decomposition_energy_ev_per_atom) * 1000:.0f} meV/atom" in said
    assert mixture(one.products) in said
    assert one.lineage[-1].child in said
    assert mixture({"O": 0.25, "Li2O": 0.75}) == "75 % Li2O + 25 % O2"
    assert mixture({"MnO": 1.0}) == "MnO"
    assert screen_line(one.screens[0]).startswith("passed  energy above hull: ")


def test_few_crystals_of_a_composition_are_compared() -> None:
    assert all(len(one.polymorphs) < COMPARED for one in found().found)


def test_the_users_reference_decides_if_one_is_given() -> None:
    mine = snapshot_of(
        "mine",
        [
            Entry(formula="Li2O", formation_energy_ev_per_atom=-3.0, source="DFT"),
            Entry(formula="MnO", formation_energy_ev_per_atom=-3.0, source="DFT"),
            Entry(formula="Mn5O9", formation_energy_ev_per_atom=-9.0, source="DFT"),
        ],
    )
    result = discover(
        Request(system=SYSTEM, budget=20, top=3), known(), models(), BENCH, reference=mine
    )
    assert not result.reference_predicted
    assert result.reference is mine
    assert any("Mn5O9" in one.products for one in result.found)
    assert result.found[0].decomposition_energy_ev_per_atom > 0
    assert result.found[0].screens[0].verdict == "failed"


def test_measured_enthalpies_are_no_reference_for_predictions() -> None:
    with pytest.raises(MissingReferenceError, match="measured enthalpies"):
        discover(Request(system=SYSTEM), known(), models(), BENCH, reference=default_snapshot())


def test_an_empty_reference_is_refused() -> None:
    other = Entry(formula="NaCl", formation_energy_ev_per_atom=-2.0, source="DFT")
    salts = snapshot_of("salts", [other])
    with pytest.raises(MissingReferenceError, match="holds Li"):
        discover(Request(system=SYSTEM), known(), models(), BENCH, reference=salts)
    with pytest.raises(MissingReferenceError, match="no known compound of Rb"):
        discover(Request(system=("K", "O", "Rb")), known(), models(), BENCH)


def test_a_reference_without_a_compound_of_the_system_is_refused() -> None:
    apart = [
        Entry(formula=f, formation_energy_ev_per_atom=-1.0, source="DFT")
        for f in ("LiF", "MnS", "CaO")
    ]
    with pytest.raises(MissingReferenceError, match="holds no compound of Li-Mn-O"):
        discover(
            Request(system=SYSTEM),
            known(),
            models(),
            BENCH,
            reference=snapshot_of("apart", apart),
        )


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"budget": 0}, "a budget of 0"),
        ({"top": 0}, "0 candidates"),
        ({"hull_limit_ev_per_atom": -0.01}, "-10 meV/atom"),
        ({"hull_limit_ev_per_atom": float("nan")}, "nan meV/atom"),
    ],
)
def test_a_request_for_nothing_is_refused(asked: dict[str, float], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        Request(system=SYSTEM, **asked)  # type: ignore[arg-type]


def test_nothing_left_says_why_and_what_to_do() -> None:
    silver = [one for one in own_structures() if one.formula == "LiCoO2"]
    reference = snapshot_of(
        "alloys", [Entry(formula="AlNi", formation_energy_ev_per_atom=-0.6, source="DFT")]
    )
    with pytest.raises(BadInput, match="--any-charge"):
        discover(Request(system=("Al", "Ni")), silver, models(), BENCH, reference=reference)


def test_the_best_volume_is_asked_for_everyone() -> None:
    volumes = (0.9, 1.0, 1.1)
    ensemble = replace(linear_ensemble(), interquartile_scale=0.0)
    one, several = (
        Models(structure=ensemble, name="linear", volumes=v) for v in ((1.0,), volumes)
    )
    request = Request(system=SYSTEM, budget=10, top=2)
    alone = discover(request, known(), one, BENCH)
    result = discover(request, known(), several, BENCH)
    crystals = [e.crystal for e in result.reference.entries if e.crystal is not None]
    given = [e.crystal for e in alone.reference.entries if e.crystal is not None]
    best = predict_over_volumes(ensemble, given, volumes)
    assert crystals == list(best.crystals)
    assert set(best.volume_ratios) == set(volumes)
    best_found = result.found[0]
    again = ensemble.predict([best_found.crystal]).median_ev_per_atom
    assert best_found.formation_energy_ev_per_atom == pytest.approx(float(again[0]))


def test_what_the_networks_disagree_on_is_counted_and_left_out() -> None:
    wide = replace(linear_ensemble(), interquartile_scale=100.0)
    request = Request(system=SYSTEM, budget=10)
    result = discover(
        request, known(), Models(structure=wide, name="wide", volumes=(1.0,)), BENCH
    )
    assert result.found == ()
    assert result.left_out["networks disagree by more than 100 meV/atom"] == result.predicted
    real = {one.formula for one in known() if one.elements <= set(SYSTEM)}
    assert {e.formula for e in result.reference.entries} <= real


def test_progress_is_told_stage_by_stage() -> None:
    told: list[tuple[str, int, int]] = []
    discover(
        Request(system=SYSTEM, budget=20, top=1),
        known(),
        models(),
        BENCH,
        report=lambda *step: told.append(step),
    )
    ended = [stage for stage, done, total in told if done == total]
    assert ended == [
        "generating",
        "predicting known compounds",
        "predicting candidates",
        "comparing crystals",
        "screening",
    ]


def test_random_structures_are_drawn_where_the_composition_model_points() -> None:
    reference = found().reference
    formulas = simple_formulas(SYSTEM, set(reference.by_formula))
    levels = composition_levels(formulas, linear_compositions(), reference)
    left_out: Counter[str] = Counter()

    def draw() -> list[Guess]:
        return random_guesses(
            Request(system=SYSTEM, budget=10, seed=3),
            formulas,
            linear_compositions(),
            reference,
            left_out,
            lambda *_: None,
        )

    drawn = draw()
    lowest = min(levels, key=lambda formula: (levels[formula], formula))
    assert {one.formula for one in drawn} == {lowest}
    assert len(drawn) + left_out.total() == 3  # three tenths of the budget
    assert {one.kind for one in drawn} == {Kind.RANDOM}
    assert [one.key for one in draw()] == [one.key for one in drawn]


def test_nothing_is_drawn_where_no_composition_is_near_stable() -> None:
    deep = snapshot_of(
        "deep",
        [
            Entry(formula=f, formation_energy_ev_per_atom=-9.0, source="test")
            for f in ("Li2O", "MnO2")
        ],
    )
    request = Request(system=SYSTEM, budget=10)
    model = linear_compositions()
    drawn = random_guesses(request, ["LiMnO2"], model, deep, Counter(), lambda *_: None)
    assert drawn == []
