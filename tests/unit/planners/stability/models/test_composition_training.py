from itertools import combinations, product

import jax
import numpy as np
import pytest
from pymatgen.core import Composition

pytest.importorskip("optax", reason='training needs the extra: pip install "alab[discovery]"')
pytest.importorskip("orbax.checkpoint", reason='the extra: pip install "alab[discovery]"')

from alab.errors import BadInput
from planners.stability.formulas import reduced_formula
from planners.stability.models.composition_data import CompositionTable
from planners.stability.models.composition_elements import element_properties
from planners.stability.models.composition_ensemble import CompositionEnsemble
from planners.stability.models.composition_model import Shape
from planners.stability.models.composition_training import Plan, samples_of, train_member
from planners.stability.models.train_composition import main, train
from planners.stability.split import HELD_BACK_BUCKETS, TRAIN_BUCKETS, bucket_of

SHAPE = Shape(width=8, hidden=8, heads=2, layers=1, readout=8, blocks=1)
PLAN = Plan(epochs=4, batch=16)
ELEMENTS = ("Li", "Na", "Mg", "Ca", "Be", "Al", "N", "O", "S", "F", "Cl")


def ionic_energy(formula: str) -> float:
    """Pauling's: minus the squared differences of electronegativity, weighted by fractions."""
    parts = Composition(formula).fractional_composition.items()
    pairs = combinations([(el.X, x) for el, x in parts], 2)
    return -sum(4 * x * y * (a - b) ** 2 for (a, x), (b, y) in pairs)


def pauling_table() -> CompositionTable:
    formulas = tuple(
        f"{a}{n}{b}{m}{c}"
        for a, b, c in combinations(ELEMENTS, 3)
        for n, m in product((1, 2), (1, 2))
    )
    return CompositionTable(
        formulas=formulas,
        energies_ev_per_atom=np.array([ionic_energy(f) for f in formulas]),
        decomposition_energies_ev_per_atom=np.full(len(formulas), np.nan),
        parts=("",) * len(formulas),
        peers={},
    )


@pytest.fixture(scope="module")
def table():
    return pauling_table()


@pytest.fixture(scope="module")
def samples(table):
    return samples_of(table.formulas, table.energies_ev_per_atom, element_properties())


@pytest.fixture(scope="module")
def once(samples):
    return train_member(samples, seed=1, shape=SHAPE, plan=PLAN)


@pytest.fixture(scope="module")
def ensemble(table):
    return train(
        table,
        source="Pauling",
        members=2,
        shape=SHAPE,
        plan=Plan(epochs=60, batch=16, rate=0.01),
    )


def same(one, other) -> bool:
    return all(
        np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )


class TestTraining:
    def test_the_same_seed_gives_the_same_parameters(self, samples, once):
        assert same(once, train_member(samples, seed=1, shape=SHAPE, plan=PLAN))

    def test_another_seed_gives_others(self, samples, once):
        assert not same(once, train_member(samples, seed=2, shape=SHAPE, plan=PLAN))

    def test_goes_on_from_given_parameters(self, samples, once):
        further = train_member(samples, seed=1, shape=SHAPE, plan=PLAN, start=once)
        errors = []
        for start in (None, once):
            train_member(
                samples, seed=1, shape=SHAPE, plan=PLAN, start=start, report=errors.append
            )
        first, later = errors[0], errors[PLAN.epochs]
        assert later.error_ev_per_atom < first.error_ev_per_atom
        assert not same(once, further)

    def test_a_width_too_rare_for_a_step_sits_out(self, table):
        rare = ("Li2NaMgCaBeAlO8",)
        energies = [*table.energies_ev_per_atom, -1.0]
        both = samples_of((*table.formulas, *rare), energies, element_properties())
        assert [len(w.targets) for w in both.widths] == [len(table.formulas), 1]
        assert both.rows(16) == (16, 0)
        assert both.steps(16) == len(table.formulas) // 16
        train_member(both, seed=1, shape=SHAPE, plan=PLAN)

    def test_goes_on_where_it_stopped(self, samples, once, tmp_path):
        class StoppedError(Exception):
            pass

        def stop(progress):
            if progress.epoch == 3:
                raise StoppedError

        with pytest.raises(StoppedError):
            train_member(
                samples, seed=1, shape=SHAPE, plan=PLAN, checkpoints=tmp_path, report=stop
            )
        seen = []
        resumed = train_member(
            samples, seed=1, shape=SHAPE, plan=PLAN, checkpoints=tmp_path, report=seen.append
        )
        assert [p.epoch for p in seen][-1] == PLAN.epochs
        assert len(seen) < PLAN.epochs
        assert same(once, resumed)

    def test_refuses_a_checkpoint_of_another_shape(self, samples, tmp_path):
        train_member(samples, seed=1, shape=SHAPE, plan=PLAN, checkpoints=tmp_path)
        larger = Shape(width=12, hidden=8, heads=2, layers=1, readout=8, blocks=1)
        with pytest.raises(BadInput, match="of another shape"):
            train_member(samples, seed=1, shape=larger, plan=PLAN, checkpoints=tmp_path)

    @pytest.mark.parametrize("plan", [Plan(epochs=0), Plan(batch=100_000), Plan(batch=0)])
    def test_refuses_a_plan_that_trains_nothing(self, samples, plan):
        with pytest.raises(BadInput, match="train nothing"):
            train_member(samples, seed=1, shape=SHAPE, plan=plan)

    def test_refuses_data_that_teach_nothing(self):
        with pytest.raises(BadInput, match="teach nothing"):
            samples_of(["NaCl", "KCl"], [-1.0, -1.0], element_properties())


class TestEnsemble:
    def test_learns_energies_of_what_it_never_saw(self, ensemble, table):
        spread = np.abs(table.energies_ev_per_atom - table.energies_ev_per_atom.mean()).mean()
        assert ensemble.card.held_back_mae_ev_per_atom < 0.3 * spread

    def test_half_of_the_held_back_errors_are_within(self, ensemble, table):
        raw = ensemble.card.factors[0.5]
        assert raw > 0
        assert ensemble.predict(["NaCl"]).interquartile_scale == raw

    def test_order_and_company_change_nothing(self, ensemble):
        formulas = ["NaCl", "Li2O", "MgAl2O4", "Na", "LiMgAlO3F"]
        forwards = ensemble.predict(formulas).members_ev_per_atom
        backwards = ensemble.predict(formulas[::-1]).members_ev_per_atom
        np.testing.assert_allclose(forwards, backwards[:, ::-1], atol=1e-6)
        alone = ensemble.predict(formulas[2:3]).members_ev_per_atom
        np.testing.assert_allclose(forwards[:, 2:3], alone, atol=1e-6)
        assert forwards.shape == (2, 5)

    def test_multiples_are_one_composition(self, ensemble):
        said = ensemble.predict(["Na2O", "O2Na4"]).members_ev_per_atom
        np.testing.assert_array_equal(said[:, 0], said[:, 1])

    def test_nothing_asked_is_nothing_said(self, ensemble):
        assert ensemble.predict([]).members_ev_per_atom.shape == (2, 0)

    def test_the_file_says_the_same_in_half_precision(self, ensemble, tmp_path):
        path = tmp_path / "weights.npz"
        ensemble.write(path)
        read = CompositionEnsemble.read(path)
        assert read.card == ensemble.card
        formulas = ["NaCl", "Li2O", "MgAl2O4"]
        np.testing.assert_allclose(
            read.predict(formulas).members_ev_per_atom,
            ensemble.predict(formulas).members_ev_per_atom,
            atol=0.005,
        )

    @pytest.mark.parametrize(
        ("formula", "said"),
        [
            (
                "KCl",
                "K, which the composition model never learnt from; it knows Al, Be, Ca, Cl",
            ),
            ("Na0.5Cl0.5", "whole numbers"),
            ("", "formula"),
        ],
    )
    def test_refuses(self, ensemble, formula, said):
        with pytest.raises(BadInput, match=said):
            ensemble.predict(["NaCl", formula])

    def test_refuses_weights_of_another_shape(self, ensemble, tmp_path):
        path = tmp_path / "weights.npz"
        card = ensemble.card.model_copy(update={"shape": ensemble.card.shape | {"width": 16}})
        CompositionEnsemble(card=card, stacked=ensemble.stacked).write(path)
        with pytest.raises(BadInput, match="of another shape"):
            CompositionEnsemble.read(path)


class TestHeldBack:
    def test_too_few_to_calibrate_is_said_before_training(self, table):
        few = table.where(np.arange(len(table.formulas)) < 100)
        with pytest.raises(BadInput, match="too few to calibrate"):
            train(few, source="Pauling", members=1, shape=SHAPE, plan=Plan(epochs=10**9))


class TestCommand:
    def test_a_missing_table_is_said(self, tmp_path, capsys):
        absent = tmp_path / "absent.csv"
        assert main(["--compositions", str(absent), "--into", str(tmp_path / "w.npz")]) == 1
        assert "absent.csv is no file" in capsys.readouterr().err

    def test_trains_and_writes(self, table, tmp_path, caplog):
        formulas = [reduced_formula(formula) for formula in table.formulas]
        rows = list(zip(formulas, table.energies_ev_per_atom, strict=True))
        path, other, without = (tmp_path / name for name in ("rows.csv", "other.csv", "no.csv"))
        path.write_text("formula,Ef\n" + "".join(f"{f},{e}\n" for f, e in rows[:500]))
        other.write_text("formula,target\n" + "".join(f"{f},{e}\n" for f, e in rows))
        without.write_text("formula,target\n" + "".join(f"{f},{e}\n" for f, e in rows[600:]))
        into = tmp_path / "weights.npz"
        asked = ["--members", "1", "--epochs", "1", "--batch", "16", "--into", str(into)]
        size = ["--width", "8", "--hidden", "8", "--layers", "1"]
        first = ["--before", str(other), "--without", str(without), "--epochs-before", "1"]
        assert main(["--compositions", str(path), *first, *asked, *size]) == 0
        new = {f for f, _ in rows[500:600]} - {f for f, _ in rows[:500] + rows[600:]}
        begun = sum(bucket_of(f) < TRAIN_BUCKETS - HELD_BACK_BUCKETS for f in new)
        said = caplog.text
        assert f"{begun} compositions of another database" in said
        assert "member 0, epoch 1" in said
        assert CompositionEnsemble.read(into).members == 1
