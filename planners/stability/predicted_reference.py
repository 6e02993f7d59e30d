"""The reference of a discovery that has no data: predictions for what is known.

Measured enthalpies and computed energies must not share a hull, and computed data sets cannot
be shipped. So the known compounds of a system are predicted by the same ensemble in the same
way as the candidates: errors that both share cancel, and both gain alike from the choice of the
lowest of several structures. Elements are 0 by definition.

A known composition is tried in its known structures and in the likeliest other types, for not
every known structure is at hand; the lowest prediction stands for it. Guesses on which the
members disagree are left out, as they are among the candidates.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from planners.stability.candidates.generation import Proposal
from planners.stability.candidates.prototypes import KnownStructure
from planners.stability.crystals import Crystal
from planners.stability.formulas import elements_of
from planners.stability.models.augmentation import predict_over_volumes
from planners.stability.models.prediction import StructurePredictor
from planners.stability.references.entries import Entry
from planners.stability.references.snapshot import MissingReferenceError, Snapshot, snapshot_of

Report = Callable[[str, int, int], None]
"""Told of progress: stage, how many are done, of how many."""

GUESSES_OF_A_FORMULA = 10
"""Types in which a known composition is tried beside its known structures."""

WIDE_EV_PER_ATOM = 0.100
"""An interquartile range beyond it says that the ensemble does not know: over compositions held
back, where half of the errors are below 0.02, so wide a range is rare."""

_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """A crystal at its best volume with its energy.

    Attributes:
        crystal: At that volume.
        energy_ev_per_atom: Median of the ensemble's formation energies.
        interquartile_ev_per_atom: Calibrated width.
    """

    crystal: Crystal
    energy_ev_per_atom: float
    interquartile_ev_per_atom: float

    @property
    def agreed(self) -> bool:
        """Whether the members agree well enough for the energy to mean something."""
        return self.interquartile_ev_per_atom <= WIDE_EV_PER_ATOM


def predicted_reference(
    system: Sequence[str],
    known: Iterable[KnownStructure],
    guesses: Iterable[Proposal],
    predictor: StructurePredictor,
    *,
    predictor_name: str,
    volumes: Sequence[float],
    report: Report,
) -> Snapshot:
    """Predict the known compounds of a system.

    Args:
        system: Its elements.
        known: Real structures of compounds that lie in the system.
        guesses: Decorations of known compositions, likeliest first.
        predictor: Predicts formation energies.
        predictor_name: What sources call it.
        volumes: Ratios to the given volume at which it is asked.
        report: Told of progress.

    Raises:
        MissingReferenceError: If nothing is known of the system, or of one of its elements.
    """
    rows: list[tuple[str, str, Crystal]] = [
        (one.formula, one.name, Crystal.of(one.structure)) for one in known
    ]
    real = len(rows)
    tried: dict[str, int] = {}
    for guess in guesses:
        tried[guess.formula] = tried.get(guess.formula, 0) + 1
        if tried[guess.formula] <= GUESSES_OF_A_FORMULA:
            where = f"structure guessed in the type of {guess.words}"
            rows.append((guess.formula, where, Crystal.of(guess.structure)))
    _check(system, {formula for formula, *_ in rows})
    predicted = predict(
        [crystal for *_, crystal in rows],
        predictor,
        volumes=volumes,
        report=report,
        stage="predicting known compounds",
    )
    return snapshot_of(
        f"predictions of known {'-'.join(system)} compounds",
        (
            Entry(
                formula=formula,
                formation_energy_ev_per_atom=one.energy_ev_per_atom,
                source=f"predicted by {predictor_name}: {where}",
                crystal=one.crystal,
            )
            for i, ((formula, where, _), one) in enumerate(zip(rows, predicted, strict=True))
            if i < real or one.agreed  # what exists stays, however little is known of its like
        ),
    )


def predict(
    crystals: Sequence[Crystal],
    predictor: StructurePredictor,
    *,
    volumes: Sequence[float],
    report: Report,
    stage: str,
) -> list[Predicted]:
    """Predict crystals in blocks, telling how far it is."""
    found: list[Predicted] = []
    report(stage, 0, len(crystals))
    for start in range(0, len(crystals), _AT_ONCE):
        block = crystals[start : start + _AT_ONCE]
        best = predict_over_volumes(predictor, block, volumes)
        found += [
            Predicted(
                crystal=crystal,
                energy_ev_per_atom=float(energy),
                interquartile_ev_per_atom=float(width),
            )
            for crystal, energy, width in zip(
                best.crystals,
                best.prediction.median_ev_per_atom,
                best.prediction.interquartile_ev_per_atom,
                strict=True,
            )
        ]
        report(stage, len(found), len(crystals))
    return found


def _check(system: Sequence[str], formulas: set[str]) -> None:
    held = {symbol for formula in formulas for symbol in elements_of(formula)}
    if missing := [symbol for symbol in system if symbol not in held]:
        raise MissingReferenceError(
            f"no known compound of {', '.join(missing)} with other elements of "
            f"{'-'.join(system)} is at hand, so nothing would compete with its candidates; "
            "name a reference that has some with --reference (see 'alab data')"
        )
