"""A user's own energies, from a CSV.

Columns: ``formula``, ``temperature_k``, ``energy_ev_per_atom``, ``uncertainty_ev_per_atom``
and ``source``; ``volume_ang3_per_atom`` is optional. Without a volume, the energy is ΔfG(T)
per atom from the elements at the same temperature, as tables give it, in two rows or more.
With a volume, it is the formation enthalpy of one row, at 0 or 298 K, and the temperature
comes from the descriptor of Bartel et al. (see :mod:`planners.synthesis.computed`).
"""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedStructureEntry
from scipy.interpolate import PchipInterpolator

from alab.errors import BadInput
from planners.synthesis.compounds import reduced
from planners.synthesis.computed import cell_of, descriptor_curve
from planners.synthesis.curves import LOWEST_K, Curve
from planners.synthesis.elements import GRID_K, covers, elements_ev


class SuppliedRow(BaseModel):
    """One line of the CSV.

    Attributes:
        formula: Formula of the solid.
        temperature_k: Temperature of the energy.
        energy_ev_per_atom: ΔfG(T), or ΔHf where a volume is given.
        uncertainty_ev_per_atom: One standard deviation.
        source: Where the number comes from.
        volume_ang3_per_atom: Cell volume per atom, None for tabulated energies.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    formula: str
    temperature_k: float = Field(ge=0, le=GRID_K[-1])
    energy_ev_per_atom: float = Field(allow_inf_nan=False)
    uncertainty_ev_per_atom: float = Field(gt=0, allow_inf_nan=False)
    source: str = Field(min_length=1)
    volume_ang3_per_atom: float | None = Field(default=None, gt=0)

    @field_validator("formula")
    @classmethod
    def _is_formula(cls, text: str) -> str:
        composition = Composition(text)
        if composition.is_element or not covers(composition):
            raise ValueError(f"{text} is no compound of elements with known Gibbs energies")
        return text


@dataclass(frozen=True, eq=False)
class SuppliedSource:
    """A user's energies, by reduced formula."""

    name: str
    curves: Mapping[str, Curve]

    def curve(self, formula: str) -> Curve | None:
        """The curve of a compound by reduced formula, None if the file lacks it."""
        return self.curves.get(formula)

    def solids(self) -> tuple[str, ...]:
        """Reduced formulas in the file."""
        return tuple(self.curves)


def read_supplied(path: Path) -> SuppliedSource:
    """Read a user's CSV.

    Raises:
        BadInput: Naming the line and what is wrong with it.
    """
    try:
        lines = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error}") from error
    rows: dict[str, list[SuppliedRow]] = defaultdict(list)
    for number, line in enumerate(lines, 2):
        row = _row(line, f"{path}:{number}")
        rows[reduced(row.formula)].append(row)
    if not rows:
        raise BadInput(f"{path} has no rows; it needs a header and one line an energy")
    return SuppliedSource(
        name=path.name,
        curves={formula: _curve(formula, found, path) for formula, found in rows.items()},
    )


def _row(line: Mapping[str, str], place: str) -> SuppliedRow:
    try:
        return SuppliedRow.model_validate({key: text for key, text in line.items() if text})
    except ValidationError as error:
        first = error.errors()[0]
        column = ".".join(map(str, first["loc"]))
        raise BadInput(f"{place}: {column}: {first['msg']}") from error


def _curve(formula: str, rows: Sequence[SuppliedRow], path: Path) -> Curve:
    source = f"{rows[0].source} ({path.name})"
    if rows[0].volume_ang3_per_atom is not None:
        if len(rows) > 1:
            raise BadInput(f"{path}: {formula} has a volume, so one row of it is enough")
        return _from_enthalpy(formula, rows[0], rows[0].volume_ang3_per_atom, source)
    rows = sorted(rows, key=lambda row: row.temperature_k)
    temperatures_k = np.array([row.temperature_k for row in rows])
    if len(rows) < 2 or np.any(np.diff(temperatures_k) <= 0) or temperatures_k[0] < LOWEST_K:
        raise BadInput(
            f"{path}: {formula} needs two or more temperatures from {LOWEST_K:g} K up, each "
            "once, or one row with volume_ang3_per_atom to be extended by the descriptor"
        )
    composition = Composition(formula)
    elements = PchipInterpolator(GRID_K, elements_ev(composition))(temperatures_k)
    formation_ev = composition.num_atoms * np.array([row.energy_ev_per_atom for row in rows])
    return Curve(
        formula=formula,
        temperatures_k=temperatures_k,
        energies_ev=formation_ev + elements,
        uncertainty_ev_per_atom=max(row.uncertainty_ev_per_atom for row in rows),
        source=source,
        ends_because="the file ends there",
    )


def _from_enthalpy(
    formula: str, row: SuppliedRow, volume_ang3_per_atom: float, source: str
) -> Curve:
    composition = Composition(formula)
    cell = cell_of(composition, volume_ang3_per_atom * composition.num_atoms)
    return descriptor_curve(
        ComputedStructureEntry(cell, 0.0, entry_id=source),
        row.energy_ev_per_atom,
        row.uncertainty_ev_per_atom,
    )
