"""The trained structural networks: read from one file, asked for any number of crystals."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path

import jax
import jax.numpy as jnp
import jraph
import numpy as np
from jax import Array
from pydantic import BaseModel, ConfigDict

from planners.stability.crystals import Crystal, CrystalError
from planners.stability.models import batching, calibration, weights
from planners.stability.models.batching import Budget
from planners.stability.models.graphs import Graph, graph_of, species_of
from planners.stability.models.prediction import Prediction
from planners.stability.models.structure_data import Examples
from planners.stability.models.structure_model import (
    Architecture,
    Parameters,
    energies,
    shapes,
)
from planners.stability.models.structure_training import Scale

ROOMS = (
    Budget(nodes=450, edges=5000, graphs=40),
    Budget(nodes=4096, edges=120_000, graphs=8),
)
"""Batches of two sizes are compiled: one for usual cells, one for large ones."""


class Card(BaseModel):
    """What the file says of its networks.

    Attributes:
        architecture: Size of the networks.
        references_ev_per_atom: Of the linear fit, by atomic number.
        deviation_ev_per_atom: Multiplies what a network says.
        factors: Share of the errors -> multiple of half the spread that holds it.
        elements: Atomic numbers that occur in the training data.
        structures: How many were learnt from.
        source: Data set, and which part of it.
        epochs: How often each was seen.
        held_back_mae_ev_per_atom: Of the median, on compositions that were not learnt from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: dict[str, float]
    references_ev_per_atom: tuple[float, ...]
    deviation_ev_per_atom: float
    factors: dict[float, float] = {}
    elements: tuple[int, ...]
    structures: int
    source: str
    epochs: int
    held_back_mae_ev_per_atom: float | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class StructureEnsemble:
    """Networks of one architecture, and what they were trained on.

    Attributes:
        card: What the file says of them.
        stacked: Parameters, each with a first axis of members.
    """

    card: Card
    stacked: Parameters

    @classmethod
    def read(cls, path: Path) -> "StructureEnsemble":
        """Read an ensemble from a file.

        Raises:
            BadInput: If the file is missing, is none of ours, or its arrays do not have the
                shape that it names.
        """
        card, arrays = weights.read(path, Card)
        weights.check(arrays, shapes(_architecture(card)), str(path))
        return cls(card=card, stacked={name: jnp.asarray(a) for name, a in arrays.items()})

    def write(self, path: Path) -> None:
        """Write the ensemble, in half precision."""
        weights.write(path, self.card, {n: np.asarray(a) for n, a in self.stacked.items()})

    @property
    def architecture(self) -> Architecture:
        """Size of the networks."""
        return _architecture(self.card)

    @property
    def members(self) -> int:
        """How many networks there are."""
        return len(self.stacked["species"])

    def member(self, index: int) -> "StructureEnsemble":
        """One network alone, whose spread is nothing."""
        part = {name: array[index : index + 1] for name, array in self.stacked.items()}
        return StructureEnsemble(card=self.card, stacked=part)

    def predict(self, crystals: Sequence[Crystal]) -> Prediction:
        """Formation energies, in the order of ``crystals``.

        Raises:
            CrystalError: If atoms overlap, or an element was never learnt from.
            BadInput: If a cell is too large.
        """
        self._refuse_unknown(crystals)
        cutoff_ang = self.architecture.cutoff_ang
        return self.predict_graphs([graph_of(crystal, cutoff_ang) for crystal in crystals])

    def predict_graphs(self, graphs: Sequence[Graph]) -> Prediction:
        """Formation energies of crystals whose graphs are built already."""
        standard = np.zeros((self.members, len(graphs)))
        with jax.enable_x64(False):  # noqa: FBT003 - whatever else runs in this process
            network = _all_members(self.architecture)
            for chosen, batch in batching.batches(graphs, ROOMS):
                standard[:, chosen] = np.asarray(network(self._on_device, batch))[
                    :, : len(chosen)
                ]
        linear = self._scale.linear(graphs) if graphs else np.zeros(0)
        return Prediction(
            members_ev_per_atom=standard * self.card.deviation_ev_per_atom + linear,
            interquartile_scale=self.card.factors.get(0.5, 1.0),
        )

    def calibrated(self, held_back: Examples) -> "StructureEnsemble":
        """The same networks, with their spread calibrated on what they did not learn from."""
        said = self.predict_graphs(held_back.graphs)
        errors = np.abs(said.median_ev_per_atom - held_back.energies_ev_per_atom)
        found = {
            "factors": calibration.factors(said, held_back.energies_ev_per_atom),
            "held_back_mae_ev_per_atom": float(errors.mean()),
        }
        return StructureEnsemble(card=self.card.model_copy(update=found), stacked=self.stacked)

    @cached_property
    def _on_device(self) -> Parameters:
        return {name: jnp.asarray(array, jnp.float32) for name, array in self.stacked.items()}

    @cached_property
    def _scale(self) -> Scale:
        return Scale(
            references_ev_per_atom=np.array(self.card.references_ev_per_atom),
            deviation_ev_per_atom=self.card.deviation_ev_per_atom,
        )

    def _refuse_unknown(self, crystals: Sequence[Crystal]) -> None:
        known = frozenset(self.card.elements)
        for crystal in crystals:
            symbols = sorted(set(crystal.elements))
            odd = [
                s for s, z in zip(symbols, species_of(symbols), strict=True) if z not in known
            ]
            if odd:
                raise CrystalError(
                    f"the structure model never learnt from {', '.join(odd)}; leave such "
                    "crystals out, or train it on a data set that holds them"
                )


def card_of(
    examples: Examples, scale: Scale, *, architecture: Architecture, source: str, epochs: int
) -> Card:
    """Say what networks were trained on."""
    seen = np.unique(np.concatenate([g.species for g in examples.graphs]))
    return Card(
        architecture=asdict(architecture),
        references_ev_per_atom=tuple(scale.references_ev_per_atom.tolist()),
        deviation_ev_per_atom=scale.deviation_ev_per_atom,
        elements=tuple(seen.tolist()),
        structures=len(examples.graphs),
        source=source,
        epochs=epochs,
    )


def _architecture(card: Card) -> Architecture:
    sizes = {
        name: int(value) if name in {"width", "layers", "gaussians", "directions"} else value
        for name, value in card.architecture.items()
    }
    return Architecture(**sizes)  # type: ignore[arg-type]


@cache
def _all_members(
    architecture: Architecture,
) -> Callable[[Parameters, jraph.GraphsTuple], Array]:
    def every(stacked: Parameters, graphs: jraph.GraphsTuple) -> Array:
        return jax.lax.map(lambda one: energies(architecture, one, graphs), stacked)

    return jax.jit(every)
