"""What a round says of itself: its inputs, what each stage left, and how many were hits."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Inputs(_Frozen):
    """All that decides what a round finds. A round is resumed with the same inputs only.

    Attributes:
        round: Counts from 1.
        seed: Of generator and training.
        reference_version: Version of the reference that proposals are judged by.
        reference_digest: SHA-256 of that version.
        evidence_sha256: Of the energies that the model is trained on.
        generator: Name with settings.
        retrainer: Name with settings.
        oracle: Name.
        oracle_digest: SHA-256 of weights, references and limits.
        screen: Limits of the selection.
    """

    format: Literal["alab-round-1"] = "alab-round-1"
    round: int
    seed: int
    reference_version: int
    reference_digest: str
    evidence_sha256: str
    generator: str
    retrainer: str
    oracle: str
    oracle_digest: str
    screen: dict[str, float | tuple[float, ...]]


class Counts(_Frozen):
    """How many each stage left.

    Attributes:
        generated: Proposals of the generator.
        new: Those whose composition is neither in the reference nor was tried before.
        sure: Those within the interquartile limit.
        passed: Those of them that are predicted stable.
        compositions: Compositions among these.
        selected: Sent to the oracle.
        refused: Without an energy.
        unconverged: With an energy, but not at a minimum.
        hits: Verified, and stable against the reference of this round.
        within_50_mev: Verified, and at most 50 meV/atom unstable.
        stable_together: Hits that stay stable when all found in the round compete.
    """

    generated: int
    new: int
    sure: int
    passed: int
    compositions: int
    selected: int
    refused: int
    unconverged: int
    hits: int
    within_50_mev: int
    stable_together: int


class RoundManifest(_Frozen):
    """A round that is complete.

    Attributes:
        inputs: What it was given.
        model_digest: SHA-256 of the model that chose.
        counts: What each stage left.
        hit_rate: Hits over proposals sent to the oracle, 0 if none was.
        prediction_mae_ev_per_atom: Predicted against verified energy, None without any.
        reference_version: Version of the reference with what was verified.
        reference_digest: SHA-256 of that version.
        files: SHA-256 of the files in the round's folder.
    """

    inputs: Inputs
    model_digest: str
    counts: Counts
    hit_rate: float
    prediction_mae_ev_per_atom: float | None
    reference_version: int
    reference_digest: str
    files: dict[str, str]


class ChosenRow(_Frozen):
    """One selected proposal in a file."""

    key: str
    formula: str
    predicted_ev_per_atom: float
    interquartile_ev_per_atom: float
    predicted_decomposition_ev_per_atom: float


class SelectionFile(_Frozen):
    """What the filter left."""

    model_digest: str
    candidates_sha256: str
    generated: int
    new: int
    sure: int
    passed: int
    compositions: int
    chosen: tuple[ChosenRow, ...]
