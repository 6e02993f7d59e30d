"""What turns in a round: a generator, a model that is retrained, and what each hands over."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from planners.stability.candidates.lineage import Kind
from planners.stability.crystals import Crystal
from planners.stability.models.prediction import StructurePredictor
from planners.stability.references.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A crystal that might be stable.

    Attributes:
        key: Names it in files and in the lineage; the same crystal has the same key.
        crystal: As it would be relaxed.
        kind: How it came to be.
        parent: Entry of the reference it was made from, None for a random structure.
    """

    key: str
    crystal: Crystal
    kind: Kind
    parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One energy to learn from.

    Attributes:
        relaxed: The crystal that has the energy.
        formation_energy_ev_per_atom: Its energy.
        asked: The crystal it was relaxed from, where it was a candidate. What a candidate
            relaxes to is what a model is asked about.
    """

    relaxed: Crystal
    formation_energy_ev_per_atom: float
    asked: Crystal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A model that was trained.

    Attributes:
        predictor: The model.
        digest: SHA-256 of its weights.
    """

    predictor: StructurePredictor
    digest: str


class Generator(Protocol):
    """Anything that proposes crystals; the same arguments give the same proposals."""

    @property
    def name(self) -> str:
        """Says what it does, with all settings: a round is not resumed under another name."""
        ...

    def propose(self, reference: Snapshot, round_number: int, seed: int) -> Sequence[Proposal]:
        """Proposals, each key once."""
        ...


class Retrainer(Protocol):
    """Anything that trains a model on energies; the same arguments give the same weights."""

    @property
    def name(self) -> str:
        """Says what it trains, with all settings."""
        ...

    def train(self, evidence: Sequence[Evidence], seed: int) -> Trained:
        """Train on all that is known."""
        ...
