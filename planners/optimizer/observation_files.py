"""Observations as files: a table to read, and JSON to hand to another laboratory."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from alab.errors import BadInput
from planners.optimizer.observed import Flagged, Observation, phase_name
from planners.optimizer.pair_reactions import balance_pair
from planners.synthesis.compounds import written

Record = TypeVar("Record", Observation, Flagged)

COLUMNS: tuple[str, ...] = (
    "reactants", "products", "reaction", "above_c", "by_c", "atmosphere", "weight",
    "sample", "temperature_c", "dwell_h", "regrinds", "phases",
)  # fmt: skip


class ObservationsFile(BaseModel):
    """What a file of observations holds."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["alab observations"] = "alab observations"
    version: Literal[1] = 1
    observations: tuple[Observation, ...]
    flagged: tuple[Flagged, ...] = ()


def as_row(o: Observation) -> dict[str, Any]:
    """One observation as a line of a table; no products means that nothing happened."""
    return {
        "reactants": " + ".join(map(written, o.reactants)),
        "products": " + ".join(map(written, o.products)),
        "reaction": str(o),
        "above_c": o.above_c,
        "by_c": o.by_c,
        "atmosphere": str(o.atmosphere),
        "weight": round(o.weight, 4),
        "sample": o.evidence.sample,
        "temperature_c": o.evidence.temperature_c,
        "dwell_h": round(o.evidence.dwell_s / 3600, 4),
        "regrinds": o.evidence.regrinds,
        "phases": "; ".join(
            f"{phase.formula} {phase.weight_fraction:.3f}" for phase in o.evidence.phases
        ),
    }


def write_csv(path: Path, observations: Sequence[Observation]) -> None:
    """Write a table, one observation a line.

    Raises:
        BadInput: If the file cannot be written.
    """
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            table.writerows(map(as_row, observations))
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from error


def write_json(
    path: Path, observations: Sequence[Observation], flagged: Sequence[Flagged]
) -> None:
    """Write everything, evidence included, for another laboratory.

    Raises:
        BadInput: If the file cannot be written.
    """
    content = ObservationsFile(observations=tuple(observations), flagged=tuple(flagged))
    try:
        path.write_text(content.model_dump_json(indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from error


def read_json(
    path: Path, laboratory: str
) -> tuple[tuple[Observation, ...], tuple[Flagged, ...]]:
    """Read what another laboratory saw, checked in every value.

    Args:
        path: File written by :func:`write_json`.
        laboratory: Put before the names of samples, so that they are nobody else's.

    Raises:
        BadInput: If it cannot be read, or a value is wrong; names the value and the limit.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read observations from {path}: {error}") from error
    try:
        content = ObservationsFile.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise BadInput(
            f"{path}: {place}: {first['msg']} ({error.error_count()} wrong in all); correct "
            "it, or export it anew with 'alab reactions export FILE.json'"
        ) from error
    for number, observation in enumerate(content.observations):
        if why := _wrong(observation):
            raise BadInput(f"{path}: observations.{number}: {why}")
    return (
        tuple(_named(observation, laboratory) for observation in content.observations),
        tuple(_named(flag, laboratory) for flag in content.flagged),
    )


def _wrong(o: Observation) -> str | None:
    """What no laboratory can have seen; None if nothing."""
    for formula in (*o.reactants, *o.products):
        try:
            name = phase_name(formula)
        except BadInput as error:
            return str(error)
        if name != formula:
            return f"{formula!r} is no reduced formula; it is {name}"
    if o.inert and o.above_c is None:
        return "nothing happened, but up to what temperature (above_c) is not told"
    if not o.inert and o.by_c is None:
        return "something formed, but by what temperature (by_c) is not told"
    if tuple(sorted(set(o.reactants))) != o.reactants:
        return f"reactants {', '.join(o.reactants)} are not different and in order"
    if o.products and balance_pair(o.reactants, tuple(sorted(o.products))) is None:
        return (
            f"{' + '.join(o.reactants)} → {' + '.join(o.products)} cannot be balanced in one "
            "way with gases of C, H, N and O"
        )
    return None


def _named(record: Record, laboratory: str) -> Record:
    evidence = replace(record.evidence, sample=f"{laboratory}{record.evidence.sample}")
    return replace(record, evidence=evidence)
