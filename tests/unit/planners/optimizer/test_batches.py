"""Batches: what shares a firing, what is worth its hours, and the reasons given."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from alab.models import (
    Atmosphere,
    Attempt,
    Decision,
    FiringLimits,
    NextStep,
    PhaseAmount,
    Profile,
    Recipe,
    Segment,
    Verdict,
)
from benchmarks.experiment_tables import read_table
from benchmarks.recipe_tables import run
from planners.optimizer import (
    DrivingForceOrder,
    RandomOrder,
    Situation,
    Strategy,
    decide,
    decide_batch,
)
from planners.optimizer.batches import furnace_hours, known, next_batch
from planners.optimizer.moves import another
from planners.optimizer.observations import Observations
from planners.optimizer.phase_informed import PhaseInformed
from planners.optimizer.residues import residues
from planners.optimizer.strategy import fingerprint, powders
from planners.optimizer.usual import Typical, usual_firing
from planners.synthesis.thermo import reduced
from tests.unit.planners.optimizer import firings
from tests.unit.planners.optimizer.firings import TARGET, outcome, recipe

USUAL = Typical(temperature_c=900.0, sd_c=100.0)
LIMITS = FiringLimits(
    max_temperature_c=1200, max_ramp_c_per_min=20, atmospheres=tuple(Atmosphere)
)
BARIUM = ("BaO", "BaO2", "BaCO3", "Ba2Cu3O6")
COPPER = ("CuO", "CuCO3", "Cu2O")
SETS = [(b, "Y2O3", c) for b in BARIUM for c in COPPER]


def made_of(names: tuple[str, ...], at_c: float = 900.0, score: float = 0.0) -> Recipe:
    return recipe(dict.fromkeys(names, 1.0), at_c, score=score)


TABLE = tuple(made_of(names, at_c) for names in SETS for at_c in (700.0, 800.0, 900.0))


def fired(one: Recipe, share: float | None, number: int = 1) -> Attempt:
    found = None if share is None else outcome({}, target_fraction=share)
    return Attempt(sample=f"S{number}", recipe=one, outcome=found)


def situation(
    *attempts: Attempt, candidates: tuple[Recipe, ...] = TABLE, closed: bool = True
) -> Situation:
    return Situation(
        target=TARGET,
        attempts=attempts,
        candidates=candidates,
        limits=LIMITS,
        closed=closed,
        typical=USUAL,
    )


def recipes(decisions: tuple[Decision, ...]) -> list[Recipe]:
    found = [decision.recipe for decision in decisions]
    assert all(decision.step is NextStep.NEW_RECIPE for decision in decisions)
    return [one for one in found if one is not None]


def on(one: Recipe, *segments: tuple[float, float, float]) -> Recipe:
    """A recipe with other segments: °C/min, °C, minutes."""
    return replace(
        one,
        profile=Profile(
            segments=tuple(
                Segment(ramp_c_per_min=ramp, temperature_c=at_c, dwell_s=60 * minutes)
                for ramp, at_c, minutes in segments
            )
        ),
    )


# what a batch holds


@pytest.mark.parametrize("size", [1, 2, 8, 12, 40])
def test_a_batch_shares_one_firing_and_repeats_nothing(size: int):
    attempts = [fired(TABLE[2], 0.3), fired(TABLE[5], 0.0, 2)]
    found = recipes(PhaseInformed().next_batch(situation(*attempts), size))
    assert 1 <= len(found) <= size
    assert len({fingerprint(one) for one in found}) == len(found)
    assert len({(one.profile, one.atmosphere) for one in found}) == 1
    assert not {fingerprint(one) for one in found} & {fingerprint(a.recipe) for a in attempts}


def test_a_batch_is_as_large_as_its_firing_has_recipes():
    """Twelve sets at 900 °C, two of which were fired there."""
    attempts = [fired(TABLE[2], 0.9), fired(TABLE[5], 0.8, 2)]
    found = recipes(next_batch(situation(*attempts), 40))
    assert {one.max_temperature_c for one in found} == {900.0}
    assert len(found) == 10
    assert len(recipes(next_batch(situation(*attempts), 7))) == 7


def test_all_of_a_table_is_run_in_batches():
    attempts: list[Attempt] = []
    for _ in range(20):
        decisions = next_batch(situation(*attempts), 5)
        if decisions[0].step is NextStep.GIVE_UP:
            break
        attempts += [
            fired(one, 0.01 * i, len(attempts) + i) for i, one in enumerate(recipes(decisions))
        ]
    assert {fingerprint(a.recipe) for a in attempts} == {fingerprint(one) for one in TABLE}
    assert len(attempts) == len(TABLE)


@pytest.mark.parametrize("strategy", [PhaseInformed(), DrivingForceOrder(), RandomOrder(1)])
@pytest.mark.parametrize("closed", [True, False])
def test_an_experiment_that_is_offered_twice_is_run_once(strategy: Strategy, closed: bool):
    """With 5 % more of a powder it is still the same experiment."""
    richer = replace(
        TABLE[2],
        precursors=tuple(replace(p, moles=1.05 * p.moles) for p in TABLE[2].precursors),
    )
    offered = (TABLE[2], richer, TABLE[5])
    now = situation(candidates=offered, closed=closed)
    found = recipes(strategy.next_batch(now, 3))
    assert {powders(one) for one in found} == {powders(one) for one in offered}
    assert len(found) == 2


def test_gives_up_when_everything_was_run_and_names_the_best():
    attempts = [fired(one, 0.4 if i == 4 else 0.1, i) for i, one in enumerate(TABLE)]
    (decision,) = PhaseInformed().next_batch(situation(*attempts), 8)
    assert decision.step is NextStep.GIVE_UP
    assert decision.recipe is None
    assert "every candidate was run" in decision.reasons[0]
    assert "40 wt %" in decision.reasons[1]
    assert "S4, fired at 800 °C" in decision.reasons[1]


def test_different_gases_are_different_firings():
    argon = tuple(replace(one, atmosphere=Atmosphere.AR) for one in TABLE[:6])
    found = recipes(next_batch(situation(candidates=(*TABLE, *argon)), 30))
    assert len({one.atmosphere for one in found}) == 1


def test_a_batch_is_no_eight_times_the_same_gamble():
    """Eight sets that are one to the reaction, ranked first, and four of other powders."""
    twins = [
        (b, y, c)
        for b in ("BaO", "BaO2")
        for y in ("Y2O3", "Y2(CO3)3")
        for c in ("CuO", "CuCO3")
    ]
    others = [
        ("BaO", "Y2Cu2O5"),
        ("Ba2Cu3O6", "Y2O3", "Cu2O"),
        ("BaCuO2", "Y2O3", "Cu2O"),
        ("BaS", "Y2O3", "Cu2O"),
    ]
    table = [made_of(names, score=0.5) for names in twins]
    table += [made_of(names, score=0.4) for names in others]
    assert len({residues(one) for one in table[:8]}) == 1
    found = recipes(next_batch(situation(candidates=tuple(table)), 4))
    assert len({residues(one) for one in found}) >= 2


# what a firing costs


def test_furnace_hours_by_hand():
    """137.5 + 40 + 240 min on the way, and 875 °C down at 5 °C/min: 175 min."""
    usual = on(TABLE[0], (2, 300, 0), (15, 900, 240))
    assert furnace_hours(usual) == pytest.approx((137.5 + 40 + 240 + 175) / 60)


def test_furnace_hours_of_a_program_that_steps_down():
    """87.5 + 60 min, 60 + 120 min at 600 °C, and 115 min from there."""
    annealed = on(TABLE[0], (10, 900, 60), (5, 600, 120))
    assert furnace_hours(annealed) == pytest.approx((87.5 + 60 + 60 + 120 + 115) / 60)


def test_of_two_firings_alike_the_shorter_is_chosen():
    quick = [on(made_of(names), (10, 900, 240)) for names in SETS[:4]]
    slow = [on(made_of(names), (10, 900, 2400)) for names in SETS[:4]]
    found = recipes(next_batch(situation(candidates=(*slow, *quick)), 4))
    assert {furnace_hours(one) for one in found} == {furnace_hours(quick[0])}


def test_the_fuller_furnace_is_worth_more_than_the_better_recipe():
    """The likeliest set stands alone in its gas; four others share a firing."""
    best = replace(made_of(SETS[0], score=2.0), atmosphere=Atmosphere.O2)
    others = [made_of(names, score=0.1) for names in SETS[1:5]]
    now = situation(candidates=(best, *others))
    assert recipes(next_batch(now, 1)) == [best]
    assert len(recipes(next_batch(now, 4))) == 4


# what is said


def test_reasons_tell_odds_hours_and_what_each_powder_did():
    attempts = [fired(made_of(("BaO", "Y2O3", "CuO")), 0.82)]
    attempts += [fired(made_of(("BaO", "Y2O3", "Cu2O")), 0.4, 2)]
    candidate = made_of(("BaO2", "Y2O3", "CuCO3"))
    (decision,) = next_batch(situation(*attempts, candidates=(candidate,)), 1)
    told, powders_told = decision.reasons
    assert re.fullmatch(
        r"BaO2 \+ Y2O3 \+ CuCO3 at 900 °C promises \d+ % of a success, "
        r"for 8 furnace-hours\.",
        told,
    )
    assert powders_told == (
        "BaO2 (as BaO) in 2 firings, at best 82 wt % target; "
        "CuCO3 (as CuO) in 1 firing, at best 82 wt % target; "
        "Y2O3 in 2 firings, at best 82 wt % target."
    )


def test_powders_that_nobody_tried_are_told_so():
    attempts = (fired(made_of(("BaO", "Y2O3", "CuO")), None),)
    assert known(attempts, made_of(("BaCO3", "Y2O3"))) == (
        "BaCO3 not tried yet; Y2O3 not tried yet."
    )


# beside a decision in an open laboratory


def test_beside_the_first_decision_other_sets_are_fired():
    options = tuple(made_of(names, score=-i) for i, names in enumerate(SETS))
    decisions = decide_batch(TARGET, [], candidates=options, limits=LIMITS, size=5)
    found = recipes(decisions)
    assert found[0] == options[0]
    assert len({powders(one) for one in found}) == 5
    assert decisions[:1] == (decide(TARGET, [], candidates=options, limits=LIMITS),)


def test_only_firings_alike_are_said_to_share_a_furnace():
    options = (made_of(SETS[0], 900), made_of(SETS[4], 1000), made_of(SETS[1], 900))
    decisions = decide_batch(TARGET, [], candidates=options, limits=LIMITS, size=3)
    for decision in decisions[1:]:
        assert decision.recipe is not None
        shares = decision.recipe.profile == options[0].profile
        assert ("shared by the batch" in decision.reasons[0]) == shares


def test_a_refired_powder_gets_company_of_other_sets():
    options = tuple(made_of(names, score=-i) for i, names in enumerate(SETS))
    found = {"BaCO3": 0.4, "CuO": 0.2, TARGET: 0.4}
    attempts = [Attempt(sample="S1", recipe=options[0], outcome=outcome(found))]
    decisions = decide_batch(TARGET, attempts, candidates=options, limits=LIMITS, size=3)
    assert decisions[0].step is NextStep.REFIRE
    assert [d.step for d in decisions[1:]] == [NextStep.NEW_RECIPE] * 2
    sets = [powders(d.recipe) for d in decisions if d.recipe is not None]
    assert len(set(sets)) == 3


def test_no_batch_is_larger_than_the_attempts_that_are_left():
    options = tuple(made_of(names) for names in SETS)
    attempts = [fired(options[0], 0.0), fired(options[1], 0.0, 2)]
    decisions = decide_batch(
        TARGET, attempts, candidates=options, limits=LIMITS, size=8, max_attempts=5
    )
    assert len(decisions) == 3


def test_a_batch_needs_room_for_one():
    options = tuple(made_of(names) for names in SETS)
    for size in (0, -3):
        with pytest.raises(ValueError, match=f"size is {size}; it must be 1 or more"):
            decide_batch(TARGET, [], candidates=options, limits=LIMITS, size=size)


def test_a_success_ends_all_batches():
    options = tuple(made_of(names) for names in SETS)
    (decision,) = decide_batch(
        TARGET, [fired(options[3], 1.0)], candidates=options, limits=LIMITS, size=8
    )
    assert decision.step is NextStep.DONE


class Listening:
    """A strategy that keeps what it was told."""

    def __init__(self) -> None:
        self.situations: list[Situation] = []
        self.sizes: list[int] = []

    def next_batch(self, situation: Situation, size: int) -> tuple[Decision, ...]:
        self.situations.append(situation)
        self.sizes.append(size)
        return (Decision(step=NextStep.NEW_RECIPE, recipe=situation.candidates[0]),)


def test_strategies_are_told_what_is_usual_and_what_others_saw():
    mine = Attempt(
        sample="S1",
        recipe=recipe({"BaO": 2.0, "TiO2": 1.0}, 800, target="BaTiO3"),
        outcome=outcome({"Ba2TiO4": 1.0}, target="BaTiO3"),
    )
    theirs = Attempt(
        sample="T1",
        recipe=recipe({"MgO": 1.0, "TiO2": 1.0}, 800, target="MgTiO3"),
        outcome=outcome({"MgTiO3": 1.0}, target="MgTiO3"),
    )
    options = (recipe({"BaCO3": 1.0, "TiO2": 1.0}, 1000, target="BaTiO3"),)
    listening = Listening()
    decide_batch(
        "BaTiO3",
        [mine],
        candidates=options,
        limits=LIMITS,
        size=4,
        strategy=listening,
        observations=Observations.from_attempts([theirs]),
    )
    (told,) = listening.situations
    assert listening.sizes == [4]
    assert told.typical == usual_firing("BaTiO3", options)
    assert told.typical is not None
    assert not told.closed
    assert told.observations.of("BaO", "TiO2", atmosphere=Atmosphere.AIR)
    assert told.observations.of("MgO", "TiO2", atmosphere=Atmosphere.AIR)


def test_candidates_beyond_the_furnace_are_passed_over():
    cold = replace(LIMITS, max_temperature_c=850.0)
    listening = Listening()
    decide_batch(TARGET, [], candidates=TABLE, limits=cold, strategy=listening)
    (told,) = listening.situations
    assert {one.max_temperature_c for one in told.candidates} == {700.0, 800.0}


# other powders


def test_other_powders_are_those_that_the_firings_speak_for():
    """Ranked next is a set of the powder that failed; the one that worked is chosen."""
    options = tuple(made_of(names, score=-0.01 * i) for i, names in enumerate(SETS))
    attempts = [
        fired(made_of(("BaO", "Y2O3", "CuO")), 0.0),
        fired(made_of(("BaO", "Y2O3", "Cu2O")), 0.0, 2),
        fired(made_of(("Ba2Cu3O6", "Y2O3", "Cu2O")), 0.8, 3),
    ]
    now = situation(*attempts, candidates=options, closed=False)
    decision = another(now, "nothing formed")
    assert decision.recipe is not None
    assert reduced("Ba2Cu3O6") in powders(decision.recipe)
    assert decision.reasons[0].startswith("Nothing formed. Next: ")
    assert re.search(r"at 900 °C, \d+ % promise\.$", decision.reasons[0])
    assert "at best 80 wt % target" in decision.reasons[1]


def test_a_slow_reaction_is_not_tried_again_colder():
    options = tuple(made_of(SETS[0], at_c) for at_c in (700.0, 800.0, 900.0, 1000.0))
    now = situation(fired(options[2], 0.1), candidates=options, closed=False)
    hotter = another(now, "too slow", hotter_only=True)
    assert hotter.recipe == options[3]
    done = situation(fired(options[3], 0.1), candidates=options, closed=False)
    over = another(done, "too slow", hotter_only=True)
    assert over.step is NextStep.GIVE_UP
    assert "too slow, and no other powders or hotter firing is left" in over.reasons[0]
    assert another(done, "too slow").step is NextStep.NEW_RECIPE


# closed tables


def test_a_table_is_asked_only_for_what_it_holds():
    """What an open laboratory would regrind and refire is another row here."""
    grown = outcome({TARGET: 0.4, "BaCO3": 0.4, "CuO": 0.2})
    attempts = (Attempt(sample="S1", recipe=TABLE[2], outcome=grown),)
    opened = PhaseInformed().next_batch(situation(*attempts, closed=False), 1)
    assert opened[0].step is NextStep.REFIRE
    (found,) = recipes(PhaseInformed().next_batch(situation(*attempts), 1))
    assert found in TABLE


def test_successes_do_not_end_the_search_of_a_table():
    phases = (
        PhaseAmount(
            formula=TARGET,
            reference="",
            space_group="",
            weight_fraction=1.0,
            weight_fraction_esd=0.0,
        ),
    )
    pure = replace(outcome({TARGET: 1.0}), phases=phases)
    assert pure.verdict is Verdict.SUCCESS
    attempts = (Attempt(sample="S1", recipe=TABLE[2], outcome=pure),)
    found = recipes(PhaseInformed().next_batch(situation(*attempts), 3))
    assert len(found) == 3
    assert TABLE[2] not in found


def test_the_published_table_needs_few_firings():
    """188 firings of YBa2Cu3O7, ten of them pure (Szymanski et al., 2023)."""
    firings.needs_ybco()
    table = read_table(Path(firings.YBCO) / "ybco_target_yield.csv", "YBa2Cu3O7")
    usual = usual_firing(table.target, [e.recipe for e in table.experiments])
    found = run(table, PhaseInformed(), typical=usual)
    first, all_of_them = found.firings_to_pure(1), found.firings_to_pure(table.pure)
    assert table.pure == 10
    assert first is not None
    assert all_of_them is not None
    assert first <= 5
    assert all_of_them <= 45
    assert found.wrong_prunes == 0
