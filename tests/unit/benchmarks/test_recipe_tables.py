"""Tables of finished experiments: how they are read, ordered, and gone through."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from alab.errors import BadInput
from alab.models import Atmosphere, Decision, NextStep, Recipe, Verdict
from benchmarks.experiment_tables import (
    ENERGY_ERROR_MEV_PER_ATOM,
    ExperimentTable,
    blurred,
    hottest_first,
    read_table,
    shuffled,
)
from benchmarks.recipe_tables import Run, mean_of, run
from planners.optimizer import DrivingForceOrder, RandomOrder, Situation
from planners.optimizer.arrows3 import Arrows3
from planners.optimizer.phase_informed import PhaseInformed
from planners.optimizer.strategy import fingerprint, powders
from planners.optimizer.usual import Typical
from planners.synthesis.thermo import (
    KJ_PER_MOL_PER_EV,
    gas_potential_kj_per_mol,
    gibbs_kj_per_mol,
)

HEADER = "precursors,temperature_C,target_wt_pct\n"
ROWS = """\
"BaO, TiO2",700,20
"BaO, TiO2",900,100
"BaCO3, TiO2",700,0
"BaCO3, TiO2",900,60
"BaO2, TiO2",700,100
"BaO2, TiO2",900,99.5
"""
ENERGIES = """\
Precursors,Amounts,Products,Reaction energy (meV/atom)
BaO + TiO2,1.0 + 1.0,Ba Ti O3,-150.5
BaCO3 + TiO2,1.0 + 1.0,Ba Ti O3 + CO2,-20.0
BaO2 + TiO2,1.0 + 1.0,Ba Ti O3 + O2,-180.0
"""
PRODUCTS = """\
precursors,temperature_C,products,weight_fractions
"BaCO3, TiO2",900,BaTiO3; Ba2TiO4; TiO2,0.6; 0.3; 0.1
"""


def written(folder: Path, rows: str = ROWS, header: str = HEADER) -> Path:
    path = folder / "yields.csv"
    path.write_text(header + rows, encoding="utf-8")
    return path


@pytest.fixture
def table(tmp_path: Path) -> ExperimentTable:
    """Three sets at two temperatures, with energies and one analysis."""
    (tmp_path / "Rxn_TD.csv").write_text(ENERGIES, encoding="utf-8")
    (tmp_path / "batio3_products_from_log.csv").write_text(PRODUCTS, encoding="utf-8")
    return read_table(written(tmp_path), "BaTiO3")


def told(table: ExperimentTable) -> list[tuple[str, float]]:
    return [
        (e.recipe.precursors[0].formula, e.recipe.max_temperature_c) for e in table.experiments
    ]


# reading


def test_experiments_stand_by_driving_force_then_temperature(table: ExperimentTable):
    assert told(table) == [
        ("BaO2", 700),
        ("BaO2", 900),
        ("BaO", 700),
        ("BaO", 900),
        ("BaCO3", 700),
        ("BaCO3", 900),
    ]
    assert [e.recipe.score for e in table.experiments[::2]] == [180.0, 150.5, 20.0]
    assert table.name == "yields"
    assert table.hottest_c == 900


def test_yields_are_fractions_with_a_verdict(table: ExperimentTable):
    assert [e.fraction for e in table.experiments] == [1.0, 0.995, 0.2, 1.0, 0.0, 0.6]
    verdicts = [e.outcome.verdict for e in table.experiments]
    assert verdicts[:2] == [Verdict.SUCCESS, Verdict.SUCCESS]
    assert verdicts[2] is Verdict.PARTIAL
    assert verdicts[4] is Verdict.FAILED
    assert table.pure == 3


def test_phases_found_stand_with_their_experiment(table: ExperimentTable):
    assert not any(e.outcome.phases for e in table.experiments[:-1])
    found = {p.formula: p.weight_fraction for p in table.experiments[-1].outcome.phases}
    assert found == {"BaTiO3": 0.6, "Ba2TiO4": 0.3, "TiO2": 0.1}


def test_weighed_amounts_are_those_of_the_reaction(table: ExperimentTable):
    amounts = {p.formula: p for p in table.experiments[-1].recipe.precursors}
    assert amounts["BaCO3"].moles == 1.0
    assert amounts["BaCO3"].mass_mg == pytest.approx(197_336, rel=1e-4)


def test_without_energies_amounts_follow_from_the_balance(tmp_path: Path):
    rows = '"Y2O3, BaCO3, CuO",900,10\n'
    table = read_table(written(tmp_path, rows), "YBa2Cu3O7")
    moles = {p.formula: p.moles for p in table.experiments[0].recipe.precursors}
    assert moles["BaCO3"] == pytest.approx(4 * moles["Y2O3"])
    assert moles["CuO"] == pytest.approx(6 * moles["Y2O3"])


def test_without_energies_beside_it_the_projects_own_rank_the_sets(tmp_path: Path):
    """BaO2 stands above BaO by BaO2 → BaO + ½ O2 in air, per atom of the target."""
    table = read_table(written(tmp_path), "BaTiO3")
    scores = {e.recipe.precursors[0].formula: e.recipe.score for e in table.experiments}
    loses_kj = gibbs_kj_per_mol("BaO", 800) - gibbs_kj_per_mol("BaO2", 800)
    loses_kj += 0.5 * gas_potential_kj_per_mol("O2", 800, Atmosphere.AIR)
    gained_mev = -loses_kj / KJ_PER_MOL_PER_EV / 5 * 1000
    assert scores["BaO2"] - scores["BaO"] == pytest.approx(gained_mev)
    assert scores["BaO"] > scores["BaCO3"]


def test_a_set_without_an_energy_stands_in_the_middle(tmp_path: Path):
    (tmp_path / "Rxn_TD.csv").write_text(ENERGIES, encoding="utf-8")
    table = read_table(written(tmp_path, '"Ba(OH)2, TiO2",700,5\n' + ROWS), "BaTiO3")
    scores = {e.recipe.precursors[0].formula: e.recipe.score for e in table.experiments}
    assert scores["Ba(OH)2"] == pytest.approx((150.5 + 20.0 + 180.0) / 3)


def test_repetitions_are_averaged(tmp_path: Path):
    rows = '"BaO, TiO2",700,20\n"BaO2, TiO2",700,1\n"BaO, TiO2",700,30\n'
    table = read_table(written(tmp_path, rows), "BaTiO3")
    fractions = {e.recipe.precursors[0].formula: e.fraction for e in table.experiments}
    assert fractions == {"BaO": pytest.approx(0.25), "BaO2": pytest.approx(0.01)}


def test_the_order_of_the_powders_does_not_matter_to_repetitions(tmp_path: Path):
    rows = '"BaO, TiO2",700,20\n"TiO2, BaO",700,30\n'
    (only,) = read_table(written(tmp_path, rows), "BaTiO3").experiments
    assert only.fraction == pytest.approx(0.25)


def test_rows_without_a_yield_were_not_measured(tmp_path: Path):
    table = read_table(written(tmp_path, ROWS + '"BaO, TiO2",1100,\n'), "BaTiO3")
    assert len(table.experiments) == 6


def test_temperatures_that_not_every_set_saw_are_left_out(tmp_path: Path):
    table = read_table(written(tmp_path, ROWS + '"BaO, TiO2",1100,100\n'), "BaTiO3")
    assert {at_c for _, at_c in told(table)} == {700, 900}


def test_a_table_without_a_common_temperature_is_kept_whole(tmp_path: Path):
    rows = '"BaO, TiO2",700,20\n"BaO2, TiO2",900,30\n'
    assert len(read_table(written(tmp_path, rows), "BaTiO3").experiments) == 2


def test_yields_of_a_composition_are_read_too(tmp_path: Path):
    header = HEADER.replace("target_wt_pct", "target_composition_wt_pct")
    assert read_table(written(tmp_path, header=header), "BaTiO3").pure == 3


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ('"BaO, TiO2",700,20\n"BaO, TiO2",hot,20\n', "line 3: .*'hot'"),
        ('"BaO, TiO2",700,much\n', "line 2: .*'much'"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, rows: str, said: str):
    with pytest.raises(BadInput, match=said):
        read_table(written(tmp_path, rows), "BaTiO3")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ('"BaO, TiO2",700\n', "line 2"),
        ('"",700,20\n', "line 2"),
        ('"BaO, Qq2",700,20\n', "line 2: .*Qq2"),
        ('"BaO, TiO2",700,150\n', "line 2: .*150"),
        ('"BaO, TiO2",700,-4\n', "line 2: .*-4"),
        ('"BaO, TiO2",700,nan\n', "line 2: .*nan"),
        ('"BaO, TiO2",nan,50\n', "line 2: .*nan"),
    ],
)
def test_an_impossible_row_is_named(tmp_path: Path, rows: str, said: str):
    with pytest.raises(BadInput, match=said):
        read_table(written(tmp_path, rows), "BaTiO3")


def test_a_row_that_ends_early_is_named(tmp_path: Path):
    path = written(tmp_path, "700,20\n", "temperature_C,target_wt_pct,precursors\n")
    with pytest.raises(BadInput, match="line 2"):
        read_table(path, "BaTiO3")


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("precursors,temperature_C,yield\n", ROWS),
        ("precursors,celsius,target_wt_pct\n", ROWS),
        (HEADER, ""),
    ],
)
def test_a_table_without_its_columns_names_them(tmp_path: Path, header: str, rows: str):
    with pytest.raises(BadInput, match="columns precursors, temperature_C and target_wt_pct"):
        read_table(written(tmp_path, rows, header), "BaTiO3")


def test_a_missing_file_is_bad_input(tmp_path: Path):
    with pytest.raises(BadInput, match=r"nowhere\.csv cannot be read"):
        read_table(tmp_path / "nowhere.csv", "BaTiO3")


# orders


def test_hottest_first_keeps_the_rank_within_a_temperature(table: ExperimentTable):
    assert told(hottest_first(table)) == [
        (name, at_c) for at_c in (900, 700) for name in ("BaO2", "BaO", "BaCO3")
    ]


def test_a_seed_shuffles_and_loses_nothing(table: ExperimentTable):
    orders = {tuple(told(shuffled(table, seed))) for seed in range(6)}
    assert len(orders) > 3
    assert {frozenset(order) for order in orders} == {frozenset(told(table))}
    assert shuffled(table, 4) == shuffled(table, 4)


def test_a_seed_draws_one_error_a_set(table: ExperimentTable):
    errors = []
    for seed in range(200):
        scores = {name: set[float]() for name, _ in told(table)}
        for e in blurred(table, seed).experiments:
            scores[e.recipe.precursors[0].formula].add(e.recipe.score)
        assert all(len(of_set) == 1 for of_set in scores.values())
        errors.append(scores["BaO"].pop() - 150.5)
    mean = sum(errors) / len(errors)
    spread = (sum((error - mean) ** 2 for error in errors) / len(errors)) ** 0.5
    assert abs(mean) < 4
    assert spread == pytest.approx(ENERGY_ERROR_MEV_PER_ATOM, rel=0.15)
    assert blurred(table, 7) == blurred(table, 7)


def test_blurring_ranks_anew_and_changes_no_outcome(table: ExperimentTable):
    moved = [blurred(table, seed) for seed in range(30)]
    assert len({tuple(told(one)) for one in moved}) > 1
    for one in moved:
        scores = [e.recipe.score for e in one.experiments]
        assert scores == sorted(scores, reverse=True)
        assert {fingerprint(e.recipe): e.outcome for e in one.experiments} == {
            fingerprint(e.recipe): e.outcome for e in table.experiments
        }


# going through a table


@dataclass(slots=True)
class Listed:
    """A strategy that asks for a list of recipes and gives up at its end."""

    recipes: Sequence[Recipe]
    seen: list[Situation] = field(default_factory=list)

    def next_batch(self, situation: Situation, size: int) -> tuple[Decision, ...]:
        self.seen.append(situation)
        done = len(situation.attempts)
        wanted = self.recipes[done : done + size]
        if not wanted:
            return (Decision(step=NextStep.GIVE_UP),)
        return tuple(Decision(step=NextStep.NEW_RECIPE, recipe=one) for one in wanted)


def asking(table: ExperimentTable, *places: int) -> Listed:
    return Listed([table.experiments[i].recipe for i in places])


def test_a_run_ends_with_the_last_pure_experiment(table: ExperimentTable):
    """In order of driving force the third pure one is the fourth."""
    found = run(table, DrivingForceOrder())
    assert found.fractions == (1.0, 0.995, 0.2, 1.0)
    assert found.firings_to_pure(1) == 1
    assert found.firings_to_pure(3) == 4
    assert found.firings_to_pure(4) is None
    assert found.firings_to_pure(0) is None
    assert found.firings_to_over(0.5) == 1
    assert found.firings_to_best() == 1
    assert found.wrong_prunes == 0


def test_a_table_without_pure_experiments_is_run_to_its_end(table: ExperimentTable):
    kept = tuple(e for e in table.experiments if e.fraction < 0.9)
    found = run(replace(table, experiments=kept), DrivingForceOrder())
    assert found.fractions == (0.2, 0.0, 0.6)
    assert found.firings_to_best() == 3
    assert found.firings_to_over(0.6) is None
    assert found.wrong_prunes == 0


def test_what_was_found_is_told_before_the_next_question(table: ExperimentTable):
    strategy = asking(table, 5, 4)
    typical = Typical(temperature_c=800.0, sd_c=90.0)
    run(table, strategy, typical=typical)
    first, second, third = strategy.seen
    assert first.attempts == ()
    assert [a.outcome for a in second.attempts] == [table.experiments[5].outcome]
    assert len(third.attempts) == 2
    assert first.closed
    assert first.typical == typical
    assert len(second.observations) > 0
    assert len(first.candidates) == 6


def test_no_experiment_is_given_out_twice(table: ExperimentTable):
    with pytest.raises(KeyError):
        run(table, asking(table, 4, 4))


@pytest.mark.parametrize("strategy", [PhaseInformed(), RandomOrder(2), DrivingForceOrder()])
@pytest.mark.parametrize("size", [1, 4])
def test_every_strategy_gets_through_asking_once(
    table: ExperimentTable, strategy: PhaseInformed | RandomOrder, size: int
):
    found = run(table, strategy, size=size)
    assert found.firings_to_pure(3) is not None
    assert len(found.fractions) <= 6
    assert found.wrong_prunes == 0


def test_batches_are_counted(table: ExperimentTable):
    told_at: list[int] = []
    found = run(table, asking(table, 4, 5, 2, 0, 1, 3), size=2, told=told_at.append)
    assert found.batches == (1, 1, 2, 2, 3, 3)
    assert told_at == [2, 4, 6]
    assert found.batches_to_pure(1) == 2
    assert found.batches_to_pure(3) == 3
    assert found.batches_to_pure(5) is None


def test_giving_up_early_counts_the_pure_sets_left(table: ExperimentTable):
    """One of the two pure firings with BaO2 was run; the other and that with BaO were not."""
    found = run(table, asking(table, 0, 5))
    assert found.fractions == (1.0, 0.6)
    assert found.wrong_prunes == 2


def test_what_the_published_strategy_passes_over_is_counted(
    table: ExperimentTable, monkeypatch: pytest.MonkeyPatch
):
    """Passed over once and run at the end, because nothing else was left, still counts."""
    oxide = powders(table.experiments[2].recipe)

    def pruned(self: Arrows3, situation: Situation) -> dict[frozenset[str], str]:
        return {oxide: "no force left"}

    def in_order(self: Arrows3, situation: Situation, size: int) -> tuple[Decision, ...]:
        return DrivingForceOrder().next_batch(situation, size)

    monkeypatch.setattr(Arrows3, "pruned", pruned)
    monkeypatch.setattr(Arrows3, "next_batch", in_order)
    found = run(table, Arrows3())
    assert found.firings_to_pure(3) == 4
    assert found.wrong_prunes == 1


def test_the_area_is_the_mean_of_the_best_so_far():
    found = Run(fractions=(0.2, 0.1, 0.6), batches=(1, 2, 3), wrong_prunes=0)
    assert found.area(3) == pytest.approx((0.2 + 0.2 + 0.6) / 3)
    assert found.area(2) == pytest.approx(0.2)
    assert found.area(5) == pytest.approx((0.2 + 0.2 + 3 * 0.6) / 5)


def test_a_mean_over_seeds_needs_all_of_them():
    assert mean_of([3, 4, 8]) == 5
    assert mean_of([3, None, 8]) is None
