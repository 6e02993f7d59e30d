"""What the verified crystals of a round turn out to be.

A hit is the lowest verified structure of a composition, converged, with a decomposition
energy of at most 0 on the hull of the reference that the round began with; all energies are
from one oracle. Those hits compete with one another too: how many stay stable then is
counted apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from planners.stability.flywheel.selection import Chosen, prediction_error_ev_per_atom
from planners.stability.oracles.oracle import Verified
from planners.stability.references.entries import Entry
from planners.stability.references.snapshot import Snapshot
from planners.stability.references.stability import Stability, assess

NEARLY_STABLE_EV_PER_ATOM = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Outcome of a round.

    Attributes:
        entries: What is added to the reference: all that converged.
        hits: Those that are stable.
        within_50_mev: Compositions at most 50 meV/atom above stability.
        refused: Crystals without an energy.
        unconverged: Crystals not at a minimum.
        prediction_mae_ev_per_atom: Of the model that chose them.
    """

    entries: tuple[Entry, ...]
    hits: tuple[Entry, ...]
    within_50_mev: int
    refused: int
    unconverged: int
    prediction_mae_ev_per_atom: float | None

    def stable_together(self, reference: Snapshot) -> int:
        """How many hits are stable against a reference that holds them all."""
        if not self.hits:
            return 0
        return int(_decomposition(reference, self.hits).stable.sum())


def judge(
    reference: Snapshot, chosen: Sequence[Chosen], answers: Sequence[Verified], source: str
) -> Verdict:
    """Judge what the oracle said, in the order of ``chosen``."""
    entries = tuple(
        entry
        for candidate, answer in zip(chosen, answers, strict=True)
        if (entry := _entry(candidate, answer, source))
    )
    lowest: dict[str, Entry] = {}
    for entry in sorted(entries, key=_energy_and_name):
        lowest.setdefault(entry.formula, entry)
    best = tuple(lowest.values())
    signed = (
        _decomposition(reference, best).decomposition_energies_ev_per_atom.tolist()
        if best
        else []
    )
    return Verdict(
        entries=entries,
        hits=tuple(e for e, d in zip(best, signed, strict=True) if d <= 0),
        within_50_mev=sum(d <= NEARLY_STABLE_EV_PER_ATOM for d in signed),
        refused=sum(bool(answer.refused) for answer in answers),
        unconverged=sum(not answer.refused and not answer.converged for answer in answers),
        prediction_mae_ev_per_atom=prediction_error_ev_per_atom(
            chosen, [a.formation_energy_ev_per_atom if a.converged else None for a in answers]
        ),
    )


def _decomposition(reference: Snapshot, entries: Sequence[Entry]) -> Stability:
    return assess(
        reference,
        [entry.formula for entry in entries],
        [entry.formation_energy_ev_per_atom for entry in entries],
    )


def _energy_and_name(entry: Entry) -> tuple[float, str]:
    return entry.formation_energy_ev_per_atom, str(entry.entry_id)


def _entry(candidate: Chosen, answer: Verified, source: str) -> Entry | None:
    energy = answer.formation_energy_ev_per_atom
    if energy is None or not answer.converged:
        return None
    return Entry(
        formula=candidate.formula,
        formation_energy_ev_per_atom=energy,
        source=source,
        entry_id=candidate.proposal.key,
        crystal=answer.relaxed,
    )
