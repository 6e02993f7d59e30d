"""The volume that suits a crystal best."""

from collections.abc import Sequence

import numpy as np
import pytest

from alab.errors import BadInput
from planners.stability.crystals import Crystal
from planners.stability.models.augmentation import predict_over_volumes, resized
from planners.stability.models.prediction import Prediction
from tests.unit.planners.stability.models.crystals_for_models import random_crystals


class Bowl:
    """Two members whose energies rise with the distance from 20 and 21 Å³ per atom."""

    def predict(self, crystals: Sequence[Crystal]) -> Prediction:
        volumes = np.array(
            [abs(np.linalg.det(c.lattice_ang)) / len(c.elements) for c in crystals]
        )
        return Prediction(
            members_ev_per_atom=np.array([(volumes - 20) ** 2, (volumes - 21) ** 2]) / 100
        )


def at(volume_per_atom: float, seed: int) -> Crystal:
    one = random_crystals(1, seed)[0]
    own = abs(np.linalg.det(one.lattice_ang)) / len(one.elements)
    return resized(one, volume_per_atom / own)


def test_the_lowest_volume_is_found() -> None:
    given = [at(22, 0), at(20.5, 1), at(40, 2)]
    best = predict_over_volumes(Bowl(), given)
    found = np.array([22, 20.5, 40]) * best.volume_ratios
    assert found[:2] == pytest.approx([20.5, 20.5], abs=0.3)
    assert best.volume_ratios[2] == pytest.approx(0.8)  # the end of the range
    again = Bowl().predict(best.crystals)
    assert best.prediction.members_ev_per_atom == pytest.approx(again.members_ev_per_atom)
    assert [c.elements for c in best.crystals] == [c.elements for c in given]


def test_resizing_multiplies_the_volume() -> None:
    one = random_crystals(1, 3)[0]
    ratio = np.linalg.det(resized(one, 1.1).lattice_ang) / np.linalg.det(one.lattice_ang)
    assert ratio == pytest.approx(1.1)


@pytest.mark.parametrize("volumes", [[], [0.9, 0.0]])
def test_volumes_must_be_positive(volumes: list[float]) -> None:
    with pytest.raises(BadInput, match="positive ratios"):
        predict_over_volumes(Bowl(), [at(20, 0)], volumes)
