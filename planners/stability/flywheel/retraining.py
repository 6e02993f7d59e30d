"""Retraining of the structural networks: from nothing, or on from an ensemble.

Networks see each relaxed crystal, and each verified candidate as it was proposed with the
energy that it relaxed to: what they are asked about next are crystals that nobody has
relaxed (Gibson et al., npj Comput. Mater. 8, 211, 2022).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from planners.stability.crystals import Crystal, formula_of
from planners.stability.flywheel.parts import Evidence, Trained
from planners.stability.models.graphs import graph_of
from planners.stability.models.structure_data import Examples
from planners.stability.models.structure_ensemble import StructureEnsemble, card_of
from planners.stability.models.structure_model import Architecture, Parameters
from planners.stability.models.structure_training import Plan, Scale, scale_of, train
from planners.stability.split import bucket_of


@dataclass(frozen=True, kw_only=True)
class GraphRetrainer:
    """Trains an ensemble of graph networks on all energies, each time from the same start.

    Attributes:
        architecture: Of networks that start from nothing; else that of ``begin``.
        plan: Epochs, rate and batches.
        members: Networks that start from nothing; else those of ``begin``.
        begin: An ensemble to go on from. It keeps its own scale, and learns from candidates
            alone: it knows relaxed crystals already, and thousands more of them drown what is
            new.
    """

    architecture: Architecture = field(default_factory=Architecture)
    plan: Plan = field(default_factory=Plan)
    members: int = 10
    begin: StructureEnsemble | None = None

    @property
    def name(self) -> str:
        """What it trains, from what, and how."""
        if self.begin is None:
            return f"{self.members} graph networks, {self.architecture}, {self.plan}"
        digest = _digest(self.begin.stacked)[:12]
        return f"{self.begin.members} graph networks from {digest}, {self.plan}"

    def train(self, evidence: Sequence[Evidence], seed: int) -> Trained:
        """Train on relaxed crystals and on candidates.

        An ensemble to go on from comes back as it is before anything was verified.

        Raises:
            BadInput: If there is too little to learn from, or the extra is missing.
        """
        if self.begin:
            evidence = [e for e in evidence if e.asked]
            if not evidence:
                return Trained(predictor=self.begin, digest=_digest(self.begin.stacked))
        architecture = self.begin.architecture if self.begin else self.architecture
        examples = examples_of_evidence(evidence, architecture.cutoff_ang)
        scale = self._scale(examples)
        members = self.begin.members if self.begin else self.members
        stacked = train(
            examples.graphs,
            examples.energies_ev_per_atom,
            scale,
            seeds=[seed * members + i for i in range(members)],
            architecture=architecture,
            plan=self.plan,
            start=self.begin.stacked if self.begin else None,
        )
        card = card_of(
            examples,
            scale,
            architecture=architecture,
            source="energies verified by an oracle",
            epochs=self.plan.epochs,
        )
        if self.begin:
            elements = {*card.elements, *self.begin.card.elements}
            card = card.model_copy(update={"elements": tuple(sorted(elements))})
        return Trained(
            predictor=StructureEnsemble(card=card, stacked=stacked), digest=_digest(stacked)
        )

    def _scale(self, examples: Examples) -> Scale:
        if self.begin is None:
            return scale_of(examples.graphs, examples.energies_ev_per_atom)
        card = self.begin.card
        return Scale(
            references_ev_per_atom=np.array(card.references_ev_per_atom),
            deviation_ev_per_atom=card.deviation_ev_per_atom,
        )


def examples_of_evidence(evidence: Sequence[Evidence], cutoff_ang: float) -> Examples:
    """Graphs of relaxed crystals, then of candidates, all with relaxed energies."""
    pairs: list[tuple[Crystal, float]] = [
        *((e.relaxed, e.formation_energy_ev_per_atom) for e in evidence),
        *((e.asked, e.formation_energy_ev_per_atom) for e in evidence if e.asked),
    ]
    return Examples(
        graphs=tuple(graph_of(crystal, cutoff_ang) for crystal, _ in pairs),
        energies_ev_per_atom=np.array([energy for _, energy in pairs]),
        buckets=np.array([bucket_of(formula_of(crystal.elements)) for crystal, _ in pairs]),
    )


def _digest(stacked: Parameters) -> str:
    parts = (np.asarray(stacked[name]).tobytes() for name in sorted(stacked))
    return hashlib.sha256(b"".join(parts)).hexdigest()
