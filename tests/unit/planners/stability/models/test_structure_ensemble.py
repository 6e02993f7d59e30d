"""The ensemble of structural networks: its file, its answers and its refusals."""

from pathlib import Path

import jax
import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from alab.errors import BadInput
from planners.stability.crystals import CrystalError
from planners.stability.models import structure_training, weights
from planners.stability.models.structure_ensemble import Card, StructureEnsemble, card_of
from tests.unit.planners.stability.models.crystals_for_models import (
    ROCK_SALT,
    SMALL,
    crystal,
    drawn,
    examples,
    random_crystals,
)

DATA = examples(40, 2)


@pytest.fixture(scope="module")
def ensemble() -> StructureEnsemble:
    """Three networks with drawn parameters."""
    scale = structure_training.scale_of(DATA.graphs, DATA.energies_ev_per_atom)
    card = card_of(DATA, scale, architecture=SMALL, source="made up", epochs=0)
    stacked = jax.tree.map(
        lambda a: np.stack([np.asarray(a) * f for f in (0.9, 1.0, 1.1)]), drawn(SMALL)
    )
    return StructureEnsemble(card=card, stacked=stacked)


def test_crystals_of_any_size_are_answered_in_their_order(ensemble: StructureEnsemble) -> None:
    crystals = [*random_crystals(5, 9), crystal(ROCK_SALT * (4, 4, 2)), *random_crystals(2, 11)]
    together = ensemble.predict(crystals).members_ev_per_atom
    for i in (0, 5, 7):
        alone = ensemble.predict([crystals[i]]).members_ev_per_atom[:, 0]
        assert together[:, i] == pytest.approx(alone, abs=1e-4)
    assert ensemble.predict([]).members_ev_per_atom.shape == (3, 0)


def test_the_median_predicts_and_the_range_is_scaled(ensemble: StructureEnsemble) -> None:
    said = ensemble.calibrated(DATA).predict(random_crystals(4, 3))
    members = said.members_ev_per_atom
    assert said.median_ev_per_atom == pytest.approx(np.sort(members, axis=0)[1])
    spread = np.quantile(members, 0.75, axis=0) - np.quantile(members, 0.25, axis=0)
    assert said.interquartile_ev_per_atom == pytest.approx(said.interquartile_scale * spread)
    assert said.interquartile_scale != 1.0


def test_a_file_gives_the_same_energies(ensemble: StructureEnsemble, tmp_path: Path) -> None:
    ensemble.write(tmp_path / "w.npz")
    again = StructureEnsemble.read(tmp_path / "w.npz")
    crystals = random_crystals(4, 3)
    assert again.card == ensemble.card
    assert again.predict(crystals).members_ev_per_atom == pytest.approx(
        ensemble.predict(crystals).members_ev_per_atom, abs=0.05
    )


def test_one_member_alone(ensemble: StructureEnsemble) -> None:
    crystals = random_crystals(3, 4)
    one = ensemble.member(2).predict(crystals).members_ev_per_atom
    assert one[0] == pytest.approx(ensemble.predict(crystals).members_ev_per_atom[2])


def test_an_element_never_learnt_from_is_named(ensemble: StructureEnsemble) -> None:
    salt = crystal(Structure(Lattice.cubic(4), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]))
    with pytest.raises(CrystalError, match="never learnt from Cs"):
        ensemble.predict([salt])


def test_weights_of_another_shape_are_refused(
    ensemble: StructureEnsemble, tmp_path: Path
) -> None:
    stacked = {n: np.asarray(a) for n, a in ensemble.stacked.items()}
    stacked["read_bias"] = np.zeros((3, 5))
    weights.write(tmp_path / "odd.npz", ensemble.card, stacked)
    with pytest.raises(BadInput, match=r"read_bias \(5,\) for \(8,\)"):
        StructureEnsemble.read(tmp_path / "odd.npz")


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_file_that_is_none_of_ours_is_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=r"w\.npz"):
        weights.read(path, Card)
