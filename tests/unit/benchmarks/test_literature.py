"""The literature benchmark: its floor and its counting by hand, its figures where data are."""

import os
from pathlib import Path

import pytest

from benchmarks.literature import DEPTHS, hits, measure, places, popularity
from planners.literature.corpus import Procedure
from planners.literature.firing import Firing

DATA = Path(os.environ.get("ALAB_DATA", Path(__file__).parents[3].parent / "shared" / "data"))
CORPUS = DATA / "recipes/text_mined/solid-state_dataset_2019-12-03.json.xz"


def made(target: str, shares: dict[str, float], *powders: str) -> Procedure:
    return Procedure(
        doi="10.1/x",
        target=target,
        substitution="",
        shares=shares,
        keys=frozenset(),
        precursors=powders,
        firing=Firing(),
    )


TITANATE = {"Ba": 0.2, "Ti": 0.2, "O": 0.6}
BOTH = made("BaTiO3", TITANATE, "BaCO3", "TiO2")
NITRATE = made("BaTiO3", TITANATE, "Ba(NO3)2", "TiO2")


def test_the_floor_multiplies_how_often_each_powder_is_used():
    ranking = popularity([BOTH, BOTH, NITRATE])
    assert ranking(BOTH)[:2] == [("BaCO3", "TiO2"), ("Ba(NO3)2", "TiO2")]


def test_foreign_elements_stay_out_of_the_floor():
    other = made("LiTiO2", {"Li": 0.25, "Ti": 0.25, "O": 0.5}, "Li2TiO3")
    assert popularity([BOTH, other, other])(BOTH) == [("BaCO3", "TiO2")]


def test_a_set_is_right_if_it_is_one_of_those_reported():
    targets = [[BOTH, NITRATE], [BOTH], [NITRATE]]
    found = places(lambda _: [("TiO2",), ("Ba(NO3)2", "TiO2"), ("BaCO3", "TiO2")], targets)
    assert found == [1, 2, 1]
    assert hits(found) == {1: 0.0, 3: 100.0, 5: 100.0, 10: 100.0}
    assert places(lambda _: [("BaTiO3",)], targets[:1]) == [float("inf")]


def test_the_projects_models_beat_their_floors_on_held_out_targets():
    if not CORPUS.is_file():
        pytest.skip(f"no text-mined reactions at {CORPUS}; set ALAB_DATA to the data folder")
    figures = measure(CORPUS, quick=True)
    shares = [figures[f"precursor_top{k}"].value for k in DEPTHS]
    assert all(share is not None for share in shares)
    assert shares[2] > 80
    assert shares == sorted(shares)
    error_c = figures["temperature_mae_c_sintering"].value
    assert error_c is not None
    assert error_c < 105
