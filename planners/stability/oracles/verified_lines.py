"""What an oracle said, as a line of a file."""

import json

from pydantic import BaseModel, ConfigDict, ValidationError

from alab.errors import BadInput
from planners.stability.crystals import Crystal
from planners.stability.oracles.oracle import Verified


class CrystalRow(BaseModel):
    """A crystal in a line: rows of the lattice in Å, symbols, fractional coordinates."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lat: tuple[tuple[float, float, float], ...]
    el: tuple[str, ...]
    frac: tuple[tuple[float, float, float], ...]

    @classmethod
    def of(cls, crystal: Crystal) -> "CrystalRow":
        """Take a crystal's numbers."""
        return cls(lat=crystal.lattice_ang, el=crystal.elements, frac=crystal.fractional)

    def crystal(self) -> Crystal:
        """The crystal."""
        return Crystal(lattice_ang=self.lat, elements=self.el, fractional=self.frac)


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    asked: CrystalRow
    relaxed: CrystalRow | None
    formation_energy_ev_per_atom: float | None
    converged: bool
    steps: int
    refused: str


def line_of(key: str, verified: Verified) -> str:
    """Write one answer; the same answer gives the same line."""
    relaxed = verified.relaxed
    row = _Row(
        key=key,
        asked=CrystalRow.of(verified.asked),
        relaxed=None if relaxed is None else CrystalRow.of(relaxed),
        formation_energy_ev_per_atom=verified.formation_energy_ev_per_atom,
        converged=verified.converged,
        steps=verified.steps,
        refused=verified.refused,
    )
    return json.dumps(row.model_dump(), ensure_ascii=False, separators=(",", ":")) + "\n"


def verified_of(line: str | bytes, where: str) -> tuple[str, Verified]:
    """Read the key and the answer of a line.

    Raises:
        BadInput: If the line is none that ``line_of`` wrote.
    """
    try:
        row = _Row.model_validate_json(line)
        verified = Verified(
            asked=row.asked.crystal(),
            relaxed=None if row.relaxed is None else row.relaxed.crystal(),
            formation_energy_ev_per_atom=row.formation_energy_ev_per_atom,
            converged=row.converged,
            steps=row.steps,
            refused=row.refused,
        )
    except (ValidationError, ValueError) as error:
        raise BadInput(
            f"{where}: no answer of an oracle ({error}); the file is written by the program, "
            "remove the line to have it computed again"
        ) from error
    return row.key, verified
