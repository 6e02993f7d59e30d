"""What firings teach: which powders, which temperature, and how sure that is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.special import expit

from alab.models import Atmosphere, Attempt, FiringLimits, NextStep, Outcome, Recipe, Verdict
from planners.optimizer.batches import ranked
from planners.optimizer.belief import Belief, Seen, believe, graded
from planners.optimizer.intermediates import expected
from planners.optimizer.observations import Observations
from planners.optimizer.observed import Evidence, Observation
from planners.optimizer.phase_informed import PhaseInformed
from planners.optimizer.strategy import Situation, powders
from planners.optimizer.usual import Typical
from tests.unit.planners.optimizer.firings import TARGET, outcome, recipe

USUAL = Typical(temperature_c=900.0, sd_c=100.0)
LIMITS = FiringLimits(
    max_temperature_c=1300, max_ramp_c_per_min=20, atmospheres=tuple(Atmosphere)
)
BARIUM = ("BaO", "BaO2", "BaCO3", "Ba2Cu3O6")
YTTRIUM = ("Y2O3", "Y2(CO3)3")
COPPER = ("CuO", "CuCO3", "Cu2O")
SETS = [(b, y, c) for b in BARIUM for y in YTTRIUM for c in COPPER]
PURE, NOTHING = 1.0, 0.0


def made_of(names: Sequence[str], temperature_c: float = 900.0, score: float = 0.0) -> Recipe:
    return recipe(dict.fromkeys(names, 1.0), temperature_c, score=score)


def fired(one: Recipe, share: float | None, verdict: Verdict | None = None) -> Attempt:
    """A firing that gave so much target; what else it gave is not told."""
    found = None if share is None else told(share, verdict)
    return Attempt(
        sample=f"S{one.max_temperature_c:g}{powders(one)}", recipe=one, outcome=found
    )


def told(share: float, verdict: Verdict | None = None) -> Outcome:
    return outcome({}, target_fraction=share, verdict=verdict)


def judged(
    candidates: Sequence[Recipe],
    attempts: Sequence[Attempt] = (),
    typical: Typical | None = USUAL,
) -> Belief:
    return believe(candidates, graded(attempts), typical, Observations())


def situation(candidates: Sequence[Recipe], attempts: Sequence[Attempt] = ()) -> Situation:
    return Situation(
        target=TARGET,
        attempts=tuple(attempts),
        candidates=tuple(candidates),
        limits=LIMITS,
        closed=True,
        typical=USUAL,
    )


# what is learnt of powders


def test_sets_with_a_powder_that_always_failed_rank_last():
    bad = [made_of(names) for names in SETS if "BaCO3" in names]
    good = [made_of(names) for names in SETS if "BaO" in names]
    attempts = [fired(one, NOTHING) for one in bad[:3]] + [fired(one, PURE) for one in good[:3]]
    left = [made_of(names) for names in SETS if "BaCO3" in names or "BaO" in names]
    left = [one for one in left if powders(one) not in {powders(a.recipe) for a in attempts}]
    order = [recipe for recipe, _ in ranked(situation(left, attempts), left)]
    worst = order[-3:]
    assert all("BaCO3" in powders(one) for one in worst)
    assert all("BaO" in powders(one) for one in order[:3])


def test_what_failed_is_learnt_and_not_that_it_is_a_carbonate():
    """The same firings the other way round: now the oxide goes last."""
    oxide = [made_of(names) for names in SETS if "BaO" in names]
    carbonate = [made_of(names) for names in SETS if "BaCO3" in names]
    attempts = [fired(one, NOTHING) for one in oxide[:3]]
    attempts += [fired(one, PURE) for one in carbonate[:3]]
    left = [*oxide[3:], *carbonate[3:]]
    order = [one for one, _ in ranked(situation(left, attempts), left)]
    assert all("BaCO3" in powders(one) for one in order[:3])


def test_powders_that_leave_the_same_are_alike_before_anything_was_run():
    """CuCO3 is CuO long before: what its CO2 adds to the driving force counts for nothing."""
    oxide = made_of(("BaO", "Y2O3", "CuO"), score=0.2)
    carbonate = made_of(("BaO", "Y2O3", "CuCO3"), score=0.9)
    cuprate = made_of(("Ba2Cu3O6", "Y2O3", "CuO"), score=0.5)
    promise = judged([oxide, carbonate, cuprate]).promise
    assert promise[0] == promise[1] < promise[2]


def test_a_failure_tells_as_much_of_the_twin_as_a_failure_can():
    twin, other = made_of(("BaO", "Y2O3", "CuCO3")), made_of(("BaO", "Y2O3", "Cu2O"))
    attempts = [fired(made_of(("BaO", "Y2O3", "CuO")), NOTHING)]
    promise = judged([twin, other], attempts).promise
    assert promise[0] < promise[1]
    success = [fired(made_of(("BaO", "Y2O3", "CuO")), PURE)]
    promise = judged([twin, other], success).promise
    assert promise[0] > promise[1]


def test_twins_rank_next_to_each_other_after_many_firings():
    attempts = [
        fired(made_of(names), PURE if "BaO" in names and "Cu2O" in names else 0.1 * i)
        for i, names in enumerate(SETS[:6])
    ]
    left = [made_of(names) for names in SETS[6:] if "Y2O3" in names]
    order = [powders(one) for one, _ in ranked(situation(left, attempts), left)]
    for barium in ("BaO2", "BaCO3"):
        places = [order.index(frozenset({barium, "Y2O3", c})) for c in ("CuO", "CuCO3")]
        assert abs(places[0] - places[1]) == 1


def test_a_success_makes_its_neighbours_promising():
    near, far = made_of(("BaO", "Y2O3", "Cu2O")), made_of(("BaCO3", "Y2(CO3)3", "Cu2O"))
    before = judged([near, far]).promise
    after = judged([near, far], [fired(made_of(("BaO", "Y2O3", "CuO")), PURE)]).promise
    assert (after > before).all()
    assert after[0] - before[0] > after[1] - before[1]
    assert after[0] > 0.4


def test_firings_far_in_temperature_teach_less():
    candidates = [made_of(SETS[1], at_c) for at_c in (900.0, 700.0)]
    before = judged(candidates).mean
    after = judged(candidates, [fired(made_of(SETS[0], 900.0), NOTHING)]).mean
    fallen = before - after
    assert fallen[0] > fallen[1] > 0


def test_another_gas_is_another_firing():
    air = made_of(SETS[1])
    argon = replace(air, atmosphere=Atmosphere.AR)
    failed = [fired(made_of(SETS[0]), NOTHING)]
    fallen = judged([air, argon]).mean - judged([air, argon], failed).mean
    assert fallen[0] > fallen[1] > 0


def test_half_a_success_is_between_failure_and_success():
    one, others = made_of(SETS[1]), [made_of(names) for names in SETS[-4:]]
    rest = [fired(others[0], PURE), *(fired(other, NOTHING) for other in others[1:])]
    promises = [
        float(judged([one], [*rest, fired(made_of(SETS[0]), share)]).promise[0])
        for share in (0.0, 0.7, 1.0)
    ]
    assert promises[0] < promises[1] < promises[2]


# what is not learnt


def test_an_outcome_that_is_not_there_teaches_nothing():
    attempts = [fired(made_of(SETS[0]), None), fired(made_of(SETS[1]), None)]
    assert graded(attempts) == []
    candidates = [made_of(names) for names in SETS[2:6]]
    seen = fired(made_of(SETS[7]), PURE)
    alone, among = judged(candidates, [seen]), judged(candidates, [attempts[0], seen])
    assert np.array_equal(alone.mean, among.mean)
    assert np.array_equal(alone.sd, among.sd)


def test_an_inconclusive_outcome_weighs_less():
    one = made_of(SETS[1])
    prior = judged([one])
    sure = judged([one], [fired(made_of(SETS[0]), NOTHING, Verdict.FAILED)])
    doubtful = judged([one], [fired(made_of(SETS[0]), NOTHING, Verdict.INCONCLUSIVE)])
    assert sure.mean[0] < doubtful.mean[0] < prior.mean[0]
    assert sure.sd[0] < doubtful.sd[0] < prior.sd[0]


def test_the_verdict_of_a_success_stands_whatever_its_share():
    (seen,) = graded([fired(made_of(SETS[0]), 0.6, Verdict.SUCCESS)])
    assert seen.grade == 1.0
    best, good = graded(
        [fired(made_of(SETS[0]), 0.95), fired(made_of(SETS[1]), 0.6, Verdict.SUCCESS)]
    )
    assert good.grade == 1.0
    assert best.grade == pytest.approx(0.95)  # the best so far, but no success


def test_the_middling_is_no_success():
    """Where every powder gives half, the few that give all stand out."""
    shares = [0.5, 0.5, 0.5, 0.7, 0.9]
    grades = [
        seen.grade
        for seen in graded(
            [fired(made_of(names), s) for names, s in zip(SETS[:5], shares, strict=True)]
        )
    ]
    assert grades[:3] == [0.0, 0.0, 0.0]
    assert grades[3] == pytest.approx(((0.7 - 0.62) / (0.9 - 0.62)) ** 2)
    assert grades[4] == pytest.approx(0.9)


def test_a_poor_best_is_no_success():
    seen = graded([fired(made_of(SETS[0]), 0.28), fired(made_of(SETS[1]), 0.02)])
    assert seen[0].grade == pytest.approx(0.28)


def test_nothing_anywhere_is_a_failure_everywhere():
    assert [s.grade for s in graded([fired(made_of(names), 0.0) for names in SETS[:3]])] == [
        0.0,
        0.0,
        0.0,
    ]


# how sure it is


def test_uncertainty_shrinks_near_data():
    near, far = made_of(SETS[1]), made_of(("BaCO3", "Y2(CO3)3", "Cu2O"), 600.0)
    same = made_of(SETS[0])
    before = judged([same, near, far]).sd
    after = judged([same, near, far], [fired(same, NOTHING)]).sd
    shrunk = before - after
    assert (after <= before).all()
    assert shrunk[0] > shrunk[1] > shrunk[2] >= 0


def test_each_repetition_makes_surer():
    one = made_of(SETS[0])
    sds = [judged([one], [fired(one, NOTHING)] * n).sd[0] for n in range(5)]
    assert all(later < earlier for earlier, later in pairwise(sds))


@pytest.mark.parametrize("label", [0.0, 0.3, 1.0])
def test_the_posterior_is_that_of_brute_force(label: float):
    """One candidate that was run itself: the log odds are one number with a known prior."""
    one = made_of(SETS[0])
    prior = judged([one])
    mean, sd = float(prior.mean[0]), float(prior.sd[0])
    z = np.linspace(mean - 8 * sd, mean + 8 * sd, 40_001)
    log = -0.5 * ((z - mean) / sd) ** 2
    log += label * np.log(expit(z)) + (1 - label) * np.log(expit(-z))
    density = np.exp(log - log.max())
    density /= density.sum()
    exact_mean = float(density @ z)
    exact_sd = float(np.sqrt(density @ (z - exact_mean) ** 2))
    peak = int(log.argmax())
    step = z[1] - z[0]
    curvature = -(log[peak - 1] - 2 * log[peak] + log[peak + 1]) / step**2

    found = believe([one], [Seen(recipe=one, grade=label, weight=1.0)], USUAL, Observations())
    assert found.mean[0] == pytest.approx(z[peak], abs=2 * step)
    assert found.sd[0] == pytest.approx(curvature**-0.5, rel=1e-3)
    assert found.mean[0] == pytest.approx(exact_mean, abs=0.1 * sd)
    assert found.sd[0] == pytest.approx(exact_sd, rel=0.07)
    exact_promise = float(density @ expit(z))
    assert found.promise[0] == pytest.approx(exact_promise, abs=0.02)


# orders


def test_before_any_firing_the_usual_temperature_then_rank_decides():
    temperatures_c = (700.0, 800.0, 900.0, 1000.0)
    candidates = [made_of(("BaO", "Y2O3", "CuO"), at_c) for at_c in temperatures_c]
    belief = judged(candidates)
    assert int(belief.promise.argmax()) == 2
    order = np.argsort(-belief.promise)
    assert [temperatures_c[i] for i in order] == [900.0, 1000.0, 800.0, 700.0]
    behind, ahead = ("BaO", "Y2O3", "CuO"), ("Ba2Cu3O6", "Y2O3", "CuO")
    scored = [made_of(behind, score=0.1), made_of(ahead, score=0.4)]
    assert judged(scored).promise.argmax() == 1


def test_a_carbonate_that_stays_starts_behind():
    promise = judged([made_of(("BaCO3", "Y2O3", "CuO")), made_of(("BaO", "Y2O3", "CuO"))])
    assert promise.promise[0] < promise.promise[1]


def test_where_nobody_knows_a_temperature_the_hottest_goes_first():
    candidates = [made_of(SETS[0], at_c) for at_c in (600.0, 900.0, 750.0)]
    assert judged(candidates, typical=None).promise.argmax() == 1


def test_equal_candidates_get_equal_promise():
    candidates = [made_of(("BaO", "Y2O3", "CuO"))] * 3
    promise = judged(candidates, [fired(made_of(SETS[4]), 0.4)]).promise
    assert promise[0] == promise[1] == promise[2]
    assert np.isfinite(promise).all()


def test_a_candidate_alone_is_judged():
    (only,) = ranked(situation([made_of(SETS[0])]), [made_of(SETS[0])])
    assert 0 < only[1] < 1


def test_no_candidates_no_ranks():
    assert ranked(situation([]), []) == []


def test_a_known_sluggish_last_step_costs_promise():
    """Fe3O4 seen to become Fe2O3 leaves ZnO less than 50 meV/atom; MgO stands aside."""
    ferrite = recipe({"ZnO": 1.0, "Fe3O4": 2 / 3}, 900, target="ZnFe2O4")
    aside = recipe({"MgO": 1.0, "Al2O3": 1.0}, 900, target="MgAl2O4")
    oxidises = Observation(
        reactants=("Fe3O4",),
        products=("Fe2O3",),
        above_c=None,
        by_c=700.0,
        atmosphere=Atmosphere.AIR,
        weight=0.9,
        evidence=Evidence(sample="S0", temperature_c=700.0, dwell_s=4 * 3600.0),
    )
    known = Observations((oxidises,))
    force = expected(ferrite, known).force_left_ev_per_atom
    assert force is not None
    assert 0 < force < 0.05
    free = believe([ferrite, aside], [], USUAL, Observations())
    held = believe([ferrite, aside], [], USUAL, known)
    assert free.mean[0] - held.mean[0] == pytest.approx(1 - force / 0.05)
    assert held.mean[1] == free.mean[1]


# properties

SHARES = st.sampled_from([None, 0.0, 0.05, 0.3, 0.31, 0.5, 0.99, 1.0])
RECIPES = st.builds(
    made_of,
    st.sampled_from(SETS),
    st.sampled_from([300.0, 600.0, 750.0, 900.0, 1200.0]),
    st.floats(-10, 10),
)
FIRINGS = st.lists(
    st.builds(fired, RECIPES, SHARES, st.sampled_from([None, Verdict.INCONCLUSIVE])), max_size=6
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    candidates=st.lists(RECIPES, min_size=1, max_size=5),
    attempts=FIRINGS,
    typical=st.sampled_from([None, USUAL, Typical(temperature_c=1500.0, sd_c=76.0)]),
)
def test_promise_is_a_probability(
    candidates: list[Recipe], attempts: list[Attempt], typical: Typical | None
):
    belief = judged(candidates, attempts, typical)
    for values in (belief.mean, belief.sd, belief.promise):
        assert values.shape == (len(candidates),)
        assert np.isfinite(values).all()
    assert (belief.sd > 0).all()
    assert ((belief.promise > 0) & (belief.promise < 1)).all()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(candidates=st.lists(RECIPES, min_size=1, max_size=5), attempts=FIRINGS, data=st.data())
def test_the_order_of_firings_does_not_matter(
    candidates: list[Recipe], attempts: list[Attempt], data: st.DataObject
):
    again = data.draw(st.permutations(attempts))
    one, other = judged(candidates, attempts), judged(candidates, again)
    assert other.mean == pytest.approx(one.mean, abs=1e-5)
    assert other.sd == pytest.approx(one.sd, abs=1e-5)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(candidates=st.lists(RECIPES, min_size=1, max_size=5), attempts=FIRINGS, data=st.data())
def test_the_order_of_candidates_does_not_matter(
    candidates: list[Recipe], attempts: list[Attempt], data: st.DataObject
):
    places = data.draw(st.permutations(range(len(candidates))))
    one = judged(candidates, attempts)
    other = judged([candidates[i] for i in places], attempts)
    assert other.promise == pytest.approx(one.promise[list(places)], abs=1e-6)


# whole campaigns in made-up systems


def firings_to_pure(
    share: Callable[[frozenset[str], float], float],
    typical: Typical,
    temperatures_c: Sequence[float],
) -> int:
    """Firings until the first pure one, on a table of every set at every temperature."""
    scores: Mapping[frozenset[str], float] = {
        frozenset(names): float(-i) for i, names in enumerate(SETS)
    }
    candidates = [
        made_of(names, at_c, scores[frozenset(names)])
        for names in SETS
        for at_c in temperatures_c
    ]
    attempts: list[Attempt] = []
    while True:
        now = replace(situation(candidates, attempts), typical=typical)
        (decision,) = PhaseInformed().next_batch(now, 1)
        assert decision.step is NextStep.NEW_RECIPE
        assert decision.recipe is not None
        one = decision.recipe
        found = share(powders(one), one.max_temperature_c)
        attempts.append(fired(one, found))
        if found >= 0.999:
            return len(attempts)


def bell(at_c: float, best_c: float, width_c: float) -> float:
    return float(np.exp(-0.5 * ((at_c - best_c) / width_c) ** 2))


TEMPERATURES_C = (600.0, 700.0, 800.0, 900.0, 1000.0, 1100.0, 1200.0)


def test_a_usual_temperature_that_is_a_little_off_costs_few_firings():
    """Pure at 1000 °C alone, a hundred degrees above the usual."""

    def share(names: frozenset[str], at_c: float) -> float:
        return bell(at_c, 1000.0, 60.0) * (1.0 if "BaO" in names else 0.9)

    typical = Typical(temperature_c=900.0, sd_c=100.0)
    assert firings_to_pure(share, typical, TEMPERATURES_C) <= 8


def test_a_target_that_decomposes_hotter_is_found_within_few_firings():
    """Pure at 700 °C from any set with BaO2; usual is 1000 °C, where nothing is left of it."""

    def share(names: frozenset[str], at_c: float) -> float:
        return bell(at_c, 700.0, 100.0) * (1.0 if "BaO2" in names else 0.8)

    typical = Typical(temperature_c=1000.0, sd_c=150.0)
    assert firings_to_pure(share, typical, TEMPERATURES_C) <= 14


def test_a_target_that_needs_the_hottest_is_found_within_few_firings():
    """Pure at 1200 °C alone, from any set with BaO; usual is 800 °C."""

    def share(names: frozenset[str], at_c: float) -> float:
        return bell(at_c, 1200.0, 120.0) * (1.0 if "BaO" in names else 0.8)

    typical = Typical(temperature_c=800.0, sd_c=150.0)
    assert firings_to_pure(share, typical, TEMPERATURES_C) <= 14


def test_a_target_made_where_it_is_usual_is_found_at_once():
    def share(names: frozenset[str], at_c: float) -> float:
        return bell(at_c, 900.0, 80.0) * (0.7 if "BaCO3" in names else 1.0)

    typical = Typical(temperature_c=900.0, sd_c=100.0)
    assert firings_to_pure(share, typical, TEMPERATURES_C) <= 2
