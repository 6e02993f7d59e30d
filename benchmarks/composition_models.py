"""How well a composition model predicts energies and stability, beside published peers.

The peers' predictions are columns of the same file (Bartel et al., npj Comput. Mater. 6, 97
(2020)), held out by five-fold cross-validation, and are judged here on the same rows. Two ways
to judge stability:

- *displaced*: the published decomposition energy, moved by the error of the formation energy,
  Ed + (Ef predicted − Ef). Competing phases keep their computed energies, as they have them
  when a new compound is proposed.
- *rebuilt*: a hull of computed energies of the rows for training and predicted energies of all
  rows judged, each judged without itself. Errors of competing phases count too. The
  publication predicts all rows; a model that learnt from some cannot do so honestly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alab.errors import BadInput
from planners.stability.models.composition_data import CompositionTable, in_family
from planners.stability.models.prediction import CompositionPredictor
from planners.stability.references.entries import Entry
from planners.stability.references.snapshot import Snapshot, snapshot_of
from planners.stability.references.stability import assess

FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One model on one set of compositions.

    Attributes:
        name: The model, or the peer.
        count: Compositions judged.
        mae_ev_per_atom: Mean absolute error of the formation energy.
        median_ev_per_atom: Median absolute error.
        displaced_f1: Of "stable", displaced.
        rebuilt_f1: Of "stable" on the rebuilt hull, None if it was not asked for.
        stable: How many are stable.
        claimed: How many the model calls stable, displaced.
        found: How many of the stable ones are among them.
        rebuilt_claimed: How many it calls stable on the rebuilt hull, None if not asked.
        rebuilt_found: How many of the stable ones are among them, None if not asked.
    """

    name: str
    count: int
    mae_ev_per_atom: float
    median_ev_per_atom: float
    displaced_f1: float
    stable: int
    claimed: int
    found: int
    rebuilt_f1: float | None = None
    rebuilt_claimed: int | None = None
    rebuilt_found: int | None = None


def validation_rows(table: CompositionTable) -> CompositionTable:
    """Rows to judge: those not marked for training; all, if none is marked."""
    return table.where([part != "train" for part in table.parts])


def judge(
    predictor: CompositionPredictor,
    judged: CompositionTable,
    known: CompositionTable | None = None,
    *,
    name: str = "this model",
    peers: Sequence[str] = (),
) -> list[Judged]:
    """Judge a model and its peers on the same rows.

    Args:
        predictor: The model.
        judged: Rows it did not learn from.
        known: Rows with computed energies that compete with them; the rebuilt hull is left
            out if None.
        name: Of the model.
        peers: Columns of ``judged`` to judge likewise.
    """
    said = {name: predictor.predict(judged.formulas).median_ev_per_atom}
    said |= {peer: judged.peers[peer] for peer in peers}
    true = decomposition_energies(judged)
    return [_judged(who, judged, energies, true, known) for who, energies in said.items()]


def family_rows(table: CompositionTable) -> tuple[CompositionTable, CompositionTable]:
    """Members of the Li-Mn-transition-metal family that was left out, and all other rows."""
    member = np.array([in_family(formula) for formula in table.formulas])
    return table.where(member), table.where(~member)


def decomposition_energies(table: CompositionTable) -> FloatArray:
    """Published ones where the table has them, else by the hull of its own energies."""
    published = table.decomposition_energies_ev_per_atom
    if np.isfinite(published).all():
        return published
    hull = _snapshot(table.formulas, table.energies_ev_per_atom)
    judged = assess(hull, table.formulas, table.energies_ev_per_atom.tolist())
    own = judged.decomposition_energies_ev_per_atom
    return np.where(np.isfinite(published), published, own)


def rebuilt(
    judged: CompositionTable, predicted_ev_per_atom: FloatArray, known: CompositionTable
) -> FloatArray:
    """Decomposition energies on a hull of known computed and judged predicted energies."""
    formulas = (*known.formulas, *judged.formulas)
    energies = np.concatenate([known.energies_ev_per_atom, predicted_ev_per_atom])
    reference = _snapshot(formulas, energies)
    answer = assess(reference, judged.formulas, predicted_ev_per_atom.tolist())
    return answer.decomposition_energies_ev_per_atom


def f1(stable: Flags, claimed: Flags) -> float:
    """Harmonic mean of precision and recall."""
    return float(2 * (stable & claimed).sum() / max(stable.sum() + claimed.sum(), 1))


def _judged(
    name: str,
    judged: CompositionTable,
    predicted: FloatArray,
    true: FloatArray,
    known: CompositionTable | None,
) -> Judged:
    errors = predicted - judged.energies_ev_per_atom
    if not np.isfinite(errors).all():
        raise BadInput(f"{name} has no energy for {np.isnan(errors).sum()} compositions")
    stable, claimed = true <= 0, true + errors <= 0
    again = None if known is None else rebuilt(judged, predicted, known) <= 0
    return Judged(
        name=name,
        count=len(errors),
        mae_ev_per_atom=float(np.abs(errors).mean()),
        median_ev_per_atom=float(np.median(np.abs(errors))),
        displaced_f1=f1(stable, claimed),
        stable=int(stable.sum()),
        claimed=int(claimed.sum()),
        found=int((stable & claimed).sum()),
        rebuilt_f1=None if again is None else f1(stable, again),
        rebuilt_claimed=None if again is None else int(again.sum()),
        rebuilt_found=None if again is None else int((stable & again).sum()),
    )


def _snapshot(formulas: Sequence[str], energies: FloatArray) -> Snapshot:
    return snapshot_of(
        "compositions",
        [
            Entry(formula=formula, formation_energy_ev_per_atom=float(e), source="benchmark")
            for formula, e in zip(formulas, energies, strict=True)
        ],
    )
