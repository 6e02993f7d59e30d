import lzma

import numpy as np
import pytest

from alab.errors import BadInput
from planners.stability.formulas import reduced_formula
from planners.stability.models.composition_data import (
    FAMILY_METALS,
    held_back,
    in_family,
    learnt_before,
    learnt_from,
    read_table,
)
from planners.stability.split import HELD_BACK_BUCKETS, TRAIN_BUCKETS, bucket_of, is_train

ROWS = """formula,Ef,crabnet_split,Ed,Ef_Roost
O3Sr1Ti1,-3.45,train,-0.1,-3.4
Li2Mn1O8Ti3,-3.1,train,0.0,-3.0
Cl1Na1,-2.1,val,-2.1,-2.0
O4Fe6,-1.5,train,,
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(ROWS)
    return read_table(path)


class TestReading:
    def test_columns(self, table):
        assert table.formulas == ("SrTiO3", "Li2Ti3MnO8", "NaCl", "Fe3O2")
        assert table.energies_ev_per_atom.tolist() == [-3.45, -3.1, -2.1, -1.5]
        np.testing.assert_equal(
            table.decomposition_energies_ev_per_atom, [-0.1, 0.0, -2.1, np.nan]
        )
        np.testing.assert_equal(table.peers["Roost"], [-3.4, -3.0, -2.0, np.nan])
        assert table.parts == ("train", "train", "val", "train")

    def test_compressed_is_the_same(self, table, tmp_path):
        path = tmp_path / "rows.csv.xz"
        path.write_bytes(lzma.compress(ROWS.encode()))
        assert read_table(path).formulas == table.formulas

    def test_only_formula_and_energy_are_needed(self, tmp_path):
        path = tmp_path / "rows.csv"
        path.write_text("formula,Ef\nNaCl,-2.1\n")
        table = read_table(path)
        assert np.isnan(table.decomposition_energies_ev_per_atom).all()
        assert table.parts == ("",)
        assert table.peers == {}

    def test_energies_may_be_called_target(self, tmp_path):
        path = tmp_path / "rows.csv"
        path.write_text("formula,target,split\nNaCl,-2.1,val\n")
        assert read_table(path).energies_ev_per_atom.tolist() == [-2.1]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("formula,Ef\n", "holds no rows"),
            ("formula,Ef\nNaCl,\n", r"row 2: Field required \(Ef\)"),
            ("formula,Ef\nNaCl,-2.1\nKCl,nan\n", r"row 3: .*\(Ef\)"),
            ("formula,Ef\nNaCl,much\n", r"row 2: .*\(Ef\)"),
            ("formula,energy\nNaCl,-2.1\n", r"row 2: Field required \(Ef\)"),
            ("formula,Ef\nNaXx,-2.1\n", "NaXx"),
        ],
    )
    def test_refuses(self, tmp_path, text, said):
        path = tmp_path / "rows.csv"
        path.write_text(text)
        with pytest.raises(BadInput, match=said):
            read_table(path)

    def test_no_file(self, tmp_path):
        with pytest.raises(BadInput, match="is no file"):
            read_table(tmp_path / "absent.csv")


class TestParts:
    def test_family(self):
        assert in_family("Li2MnTi3O8")
        assert all(in_family(f"LiMn{metal}O4") for metal in FAMILY_METALS)
        others = ["LiMnO2", "LiMnPO4", "LiMnTiCoO6", "LiFeTiO4", "LiMnAlO4"]
        assert not any(in_family(formula) for formula in others)

    def test_only_what_judges_nothing_is_learnt_from(self, table):
        assert bucket_of("SrTiO3") >= TRAIN_BUCKETS  # judges by its hash
        assert bucket_of("Li2Ti3MnO8") < TRAIN_BUCKETS  # is of the family
        assert bucket_of("NaCl") < TRAIN_BUCKETS  # is marked for validation
        assert bucket_of("Fe3O2") < TRAIN_BUCKETS
        assert learnt_from(table).formulas == ("Fe3O2",)

    def test_nothing_is_in_two_parts(self, tmp_path):
        formulas = [f"Na{a}Cl{b}" for a in range(1, 25) for b in range(1, 25)]
        path = tmp_path / "rows.csv"
        path.write_text("formula,Ef\n" + "".join(f"{f},-1\n" for f in formulas))
        kept, back = held_back(learnt_from(read_table(path)))
        first = TRAIN_BUCKETS - HELD_BACK_BUCKETS
        assert {bucket_of(f) for f in kept.formulas} < set(range(first))
        assert {bucket_of(f) for f in back.formulas} == set(range(first, TRAIN_BUCKETS))
        both = {*kept.formulas, *back.formulas}
        assert both == {reduced_formula(f) for f in formulas if is_train(f)}


class TestAnotherDatabase:
    def test_teaches_what_judges_nothing(self, tmp_path):
        names = [f"Na{n}Cl{m}" for n in range(1, 12) for m in range(1, 12)]
        path = tmp_path / "rows.csv"
        path.write_text(
            "formula,target\n"
            + "".join(f"{name},-1.0\n{name},-2.0\n" for name in names)
            + "LiMnTiO4,-3.0\nKCl,-2.0\n"
        )
        judging = {reduced_formula(name) for name in names[:60]}
        before = learnt_before(read_table(path), judging, {"Na", "Cl", "Li", "Mn", "Ti", "O"})
        assert set(before.formulas) == {
            f
            for f in map(reduced_formula, names)
            if f not in judging and bucket_of(f) < TRAIN_BUCKETS - HELD_BACK_BUCKETS
        }
        assert len(before.formulas) == len(set(before.formulas)) > 10
        assert set(before.energies_ev_per_atom.tolist()) == {-2.0}
