"""The trained composition models: read from one file, asked for any number of formulas."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from pydantic import BaseModel, ConfigDict

from alab.errors import BadInput
from planners.stability.formulas import elements_of
from planners.stability.models import calibration, weights
from planners.stability.models.composition_data import CompositionTable
from planners.stability.models.composition_encoding import SPECIES, Mixtures, by_width
from planners.stability.models.composition_model import (
    Params,
    Shape,
    energies,
    folded,
    initial,
)
from planners.stability.models.composition_training import Scale
from planners.stability.models.prediction import FloatArray, Prediction

BLOCK = 512
"""Compositions computed at once; the last block of a width is filled up."""


class Card(BaseModel):
    """What the file says of its models.

    Attributes:
        shape: Sizes of the network.
        mean_ev_per_atom: Added to what the network says.
        deviation_ev_per_atom: Multiplies it.
        factors: Share of the errors -> multiple of half the spread that holds it.
        elements: Those that occur in the training data.
        compositions: How many were learnt from.
        source: Data set, and which part of it.
        epochs: How often each was seen.
        held_back_mae_ev_per_atom: Of the median, on compositions that were not learnt from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    shape: dict[str, int]
    mean_ev_per_atom: float
    deviation_ev_per_atom: float
    factors: dict[float, float] = {}
    elements: tuple[str, ...]
    compositions: int
    source: str
    epochs: int
    held_back_mae_ev_per_atom: float | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class CompositionEnsemble:
    """Members of one shape, and what they were trained on.

    Attributes:
        card: What the file says of them.
        stacked: Parameters, each array with a first axis of members.
    """

    card: Card
    stacked: Params

    @classmethod
    def read(cls, path: Path) -> "CompositionEnsemble":
        """Read an ensemble from a file.

        Raises:
            BadInput: If the file is missing, is none of ours, or its arrays do not have the
                shape that it names.
        """
        card, arrays = weights.read(path, Card)
        skeleton = _skeleton(Shape(**card.shape))
        expected = {name: leaf.shape for name, leaf in _named(skeleton)}
        weights.check(arrays, expected, str(path))
        leaves = [arrays[name] for name in expected]
        return cls(card=card, stacked=jax.tree.unflatten(jax.tree.structure(skeleton), leaves))

    def write(self, path: Path) -> None:
        """Write the ensemble, in half precision."""
        weights.write(path, self.card, dict(_named(self.stacked)))

    @property
    def members(self) -> int:
        """How many models there are."""
        return len(jax.tree.leaves(self.stacked)[0])

    def predict(self, formulas: Sequence[str]) -> Prediction:
        """Formation energies of the lowest structures, in the order of ``formulas``.

        Raises:
            BadInput: If a formula is none, is empty or fractional, or holds an element that
                was never learnt from.
        """
        self._refuse_unknown(formulas)
        standard = np.zeros((self.members, len(formulas)))
        with jax.enable_x64(False):  # noqa: FBT003 - whatever else runs in this process
            for group in by_width(formulas):
                for start in range(0, len(group.places), BLOCK):
                    part = slice(start, start + BLOCK)
                    rows = group.mixtures.part(part)
                    standard[:, group.places[part]] = self._block(rows)
        card = self.card
        return Prediction(
            members_ev_per_atom=standard * card.deviation_ev_per_atom + card.mean_ev_per_atom,
            interquartile_scale=card.factors.get(0.5, 1.0),
        )

    def calibrated(self, held_back: CompositionTable) -> "CompositionEnsemble":
        """The same models, with their spread calibrated on what they did not learn from."""
        said = self.predict(held_back.formulas)
        truth = held_back.energies_ev_per_atom
        found = {
            "factors": calibration.factors(said, truth),
            "held_back_mae_ev_per_atom": float(np.abs(said.median_ev_per_atom - truth).mean()),
        }
        return CompositionEnsemble(
            card=self.card.model_copy(update=found), stacked=self.stacked
        )

    def _block(self, rows: Mixtures) -> FloatArray:
        """One block, filled up with hydrogen so that nothing is compiled anew."""
        count = len(rows.species)
        species = np.zeros((BLOCK, rows.species.shape[1]), dtype=np.int32)
        fractions = np.zeros(species.shape, dtype=np.float32)
        species[:, 0], fractions[:, 0] = 1, 1.0
        species[:count], fractions[:count] = rows.species, rows.fractions
        filled = Mixtures(species=species, fractions=fractions)
        return np.asarray(_all_members(self._on_device, filled), dtype=np.float64)[:, :count]

    @cached_property
    def _on_device(self) -> Params:
        return jax.tree.map(jnp.asarray, self.stacked)

    def _refuse_unknown(self, formulas: Sequence[str]) -> None:
        known = frozenset(self.card.elements)
        for formula in formulas:
            if unknown := [e for e in elements_of(formula) if e not in known]:
                raise BadInput(
                    f"{formula} holds {', '.join(unknown)}, which the composition model never "
                    f"learnt from; it knows {', '.join(self.card.elements)}"
                )


def ensemble_of(members: Sequence[Params], card: Card) -> CompositionEnsemble:
    """Stack trained members."""
    return CompositionEnsemble(
        card=card, stacked=jax.tree.map(lambda *a: np.stack(a), *members)
    )


def card_of(
    *,
    shape: Shape,
    scale: Scale,
    formulas: Sequence[str],
    source: str,
    epochs: int,
) -> Card:
    """Say what members were trained on."""
    return Card(
        shape=asdict(shape),
        mean_ev_per_atom=scale.mean_ev_per_atom,
        deviation_ev_per_atom=scale.deviation_ev_per_atom,
        elements=tuple(sorted({e for formula in formulas for e in elements_of(formula)})),
        compositions=len(formulas),
        source=source,
        epochs=epochs,
    )


@jax.jit
def _all_members(stacked: Params, mixtures: Mixtures) -> Array:
    return jax.vmap(energies, in_axes=(0, None))(stacked, mixtures)


def _skeleton(shape: Shape) -> Any:
    """Parameters of one member as shapes, without drawing them."""
    with jax.enable_x64(False):  # noqa: FBT003 - as they were trained
        return jax.eval_shape(
            lambda key: folded(initial(key, shape, 0), np.zeros((SPECIES, 0), np.float32)),
            jax.random.key(0),
        )


def _named(params: Any) -> list[tuple[str, Any]]:
    """Arrays with names such as ``layers/0/own/weight``."""
    return [
        (jax.tree_util.keystr(place, simple=True, separator="/"), leaf)
        for place, leaf in jax.tree_util.tree_leaves_with_path(params)
    ]
