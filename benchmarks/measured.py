"""Measured patterns with known content, as a folder's ``truth.json`` lists them."""

import json
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import gemmi

from alab.errors import BadInput
from alab.models import PhaseAmount
from analysis.diffraction.crystal import read_crystal
from analysis.diffraction.library import elements_of, same_formula
from analysis.diffraction.pattern import Pattern, read_pattern
from analysis.diffraction.profile import Instrument

DEFAULT_DATA = (
    Path(os.environ.get("ALAB_DATA", Path(__file__).parents[2] / "shared" / "data")) / "xrd"
)
ROUND_ROBIN_MONOCHROMATOR_DEG = 26.6
ROUND_ROBIN_RADIUS_MM = 173.0
"""Instrument of the IUCr CPD round robin: Madsen et al., J. Appl. Cryst. 34 (2001) 409."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One phase that is known to be in a sample.

    Attributes:
        formula: Its formula.
        numbers: Its space group, or several: the first must be there, the others may.
        weight_percent: Weighed in; None where only the identity is known.
        cifs: A structure for each space group of which there is a file.
    """

    formula: str
    numbers: tuple[int, ...]
    weight_percent: float | None
    cifs: tuple[Path, ...]

    def is_formula(self, formula: str) -> bool:
        """Whether this is its composition."""
        return same_formula(self.formula, formula)

    def matches(self, phase: PhaseAmount) -> bool:
        """Whether a phase that was found is this one: composition and space group."""
        if not self.is_formula(phase.formula):
            return False
        return not self.numbers or space_group_number(phase.space_group) in self.numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One measured pattern.

    Attributes:
        name: Its identifier.
        path: The file.
        tier: What is known: ``A_weighed``, ``B_single``, ``B_mixture_ids`` and others.
        parts: What it holds.
        note: What a reader of the score should know.
    """

    name: str
    path: Path
    tier: str
    parts: tuple[Part, ...]
    note: str = ""

    @property
    def kind(self) -> str:
        """Which figure it counts in: cpd1, mixtures8, mixtures2, lmto, or other."""
        if self.tier == "B_mixture_ids":
            return "lmto"
        if self.tier != "A_weighed":
            return "other"
        if self.name.lower().startswith("cpd-1"):
            return "cpd1"
        ends = {"--8min": "mixtures8", "--2min": "mixtures2"}
        for end, kind in ends.items():
            if end in self.name or end in self.path.name:
                return kind
        return "other"

    @property
    def is_round_robin(self) -> bool:
        """Whether it was measured for the round robin."""
        return self.name.lower().startswith("cpd")

    @property
    def elements(self) -> frozenset[str]:
        """Elements of what it holds."""
        return frozenset().union(*(elements_of(part.formula) for part in self.parts))

    @property
    def short_name(self) -> str:
        """Its name without the prefix of its series."""
        return self.name.removeprefix("dara-mix-").removeprefix("lmto-mix-")

    def cifs(self) -> list[Path]:
        """Structures of all its phases.

        Raises:
            BadInput: If there is none of a phase.
        """
        for part in self.parts:
            if not part.cifs:
                raise BadInput(
                    f"{self.name}: no structure of {part.formula} was found; put the CIF that "
                    "truth.json names into the data folder"
                )
        return [cif for part in self.parts for cif in part.cifs]

    def read(self) -> tuple[Pattern, Instrument | None]:
        """The pattern, and its instrument where the file cannot tell.

        Raises:
            BadInput: If the file cannot be read.
        """
        pattern = read_pattern(self.path)
        if not self.is_round_robin:
            return pattern, None
        return pattern, Instrument(
            monochromator_two_theta_deg=ROUND_ROBIN_MONOCHROMATOR_DEG,
            radius_mm=ROUND_ROBIN_RADIUS_MM,
        )


def read_truth(folder: Path) -> list[Sample]:
    """What a folder's ``truth.json`` lists.

    Structures that the folder lacks are taken from the default folder.

    Raises:
        BadInput: If there is no such file or it is of another form.
    """
    file = folder / "truth.json"
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
        return [_sample(entry, folder) for entry in table]
    except OSError as error:
        raise BadInput(
            f"cannot read {file}: {error.strerror}; name a folder with a truth.json by --data, "
            "or set ALAB_DATA"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{file} is no list of samples with phases: {error!r}") from error


def _sample(entry: dict[str, Any], folder: Path) -> Sample:
    return Sample(
        name=str(entry["id"]),
        path=folder / entry["file"],
        tier=str(entry["tier"]),
        parts=tuple(_part(phase, folder) for phase in entry.get("phases") or []),
        note=entry.get("note") or "",
    )


def _part(phase: dict[str, Any], folder: Path) -> Part:
    stated = phase.get("sg")
    numbers = stated if isinstance(stated, list) else [] if stated is None else [stated]
    weight = phase.get("wt")
    named = [folder / phase["cif"], DEFAULT_DATA / phase["cif"]] if phase.get("cif") else []
    main = next((cif for cif in named if cif.is_file()), None)
    cifs = [] if main is None else [main, *_polymorphs(main, phase["formula"], numbers[1:])]
    return Part(
        formula=phase["formula"],
        numbers=tuple(int(number) for number in numbers),
        weight_percent=None if weight is None else float(weight),
        cifs=tuple(cifs),
    )


def _polymorphs(beside: Path, formula: str, numbers: list[int]) -> list[Path]:
    """Structures of the same formula in other space groups, in the same folder."""
    found: list[Path] = []
    for number in numbers:
        for cif in sorted(beside.parent.glob("*.cif")):
            described = described_cif(cif)
            if described and described[1] == number and same_formula(described[0], formula):
                found.append(cif)
                break
    return found


@cache
def described_cif(cif: Path) -> tuple[str, int] | None:
    """Formula and space group of a structure; None if it cannot be used."""
    try:
        crystal = read_crystal(cif)
    except BadInput:
        return None
    return crystal.formula, crystal.number


def space_group_number(symbol: str) -> int:
    """Number of a space group; 0 if the symbol is none."""
    group = gemmi.find_spacegroup_by_name(symbol.replace("_", ""))
    return group.number if group else 0


T = TypeVar("T")


def attempted(name: str, call: Callable[[], T]) -> T | str:
    """What a call returns, or in words how it failed: one pattern never ends a benchmark."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()
    except Exception as error:  # noqa: BLE001 - whatever fails is reported in its row
        return f"{name}: {type(error).__name__}: {error}"
