"""A crystal's energy at the volume that suits it best.

A candidate keeps its parent's geometry and has a guessed volume. Its energy is predicted at
twenty volumes from 80 to 120 % and the lowest counts (Merchant et al., Nature 624, 80 (2023),
methods: test-time augmentation). Networks learnt from relaxed crystals only, and far from those
some err by electronvolts; the lowest of twenty would look for such errors. So the volume is
chosen by the median plus the interquartile range: where members disagree, an energy is no
bargain.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alab.errors import BadInput
from planners.stability.crystals import Crystal
from planners.stability.models.prediction import FloatArray, Prediction, StructurePredictor

VOLUMES = tuple(np.linspace(0.8, 1.2, 20).tolist())
"""Volumes at which a candidate is looked at, relative to its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestVolume:
    """The lowest energy of each crystal over its volumes.

    Attributes:
        prediction: At the volume of the lowest median plus interquartile range.
        crystals: At that volume.
        volume_ratios: That volume over the one given, shape (n,).
    """

    prediction: Prediction
    crystals: tuple[Crystal, ...]
    volume_ratios: FloatArray


def predict_over_volumes(
    predictor: StructurePredictor,
    crystals: Sequence[Crystal],
    volumes: Sequence[float] = VOLUMES,
) -> BestVolume:
    """Predict every crystal at every volume and keep the lowest.

    Raises:
        BadInput: If there is no volume, or one is not positive.
    """
    if not volumes or min(volumes) <= 0:
        raise BadInput(f"volumes {list(volumes)} must be positive ratios, such as 0.8 to 1.2")
    tried = [resized(crystal, ratio) for ratio in volumes for crystal in crystals]
    said = predictor.predict(tried)
    shape = (len(volumes), len(crystals))
    cautious = said.median_ev_per_atom + said.interquartile_ev_per_atom
    best = cautious.reshape(shape).argmin(axis=0)
    kept = best * len(crystals) + np.arange(len(crystals))
    return BestVolume(
        prediction=Prediction(
            members_ev_per_atom=said.members_ev_per_atom[:, kept],
            interquartile_scale=said.interquartile_scale,
        ),
        crystals=tuple(tried[i] for i in kept),
        volume_ratios=np.array(volumes)[best],
    )


def resized(crystal: Crystal, volume_ratio: float) -> Crystal:
    """The same crystal with its volume multiplied."""
    lattice = np.array(crystal.lattice_ang) * volume_ratio ** (1 / 3)
    a, b, c = (tuple(row) for row in lattice.tolist())
    return Crystal(
        lattice_ang=(a, b, c), elements=crystal.elements, fractional=crystal.fractional
    )
