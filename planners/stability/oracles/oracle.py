"""What is asked of anything that verifies candidates: relax, and say the energy.

An interatomic potential answers in seconds (Nequix, CHGNet), a density-functional
calculation in hours. Both are asked the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from alab.errors import BadInput
from planners.stability.crystals import Crystal


class OracleError(BadInput):
    """An oracle cannot be used: library, weights or reference energies are missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What an oracle found out about one crystal.

    Attributes:
        asked: The crystal as it was proposed.
        relaxed: The crystal after relaxation, None if there is no energy.
        formation_energy_ev_per_atom: Of the relaxed crystal, None if there is none.
        converged: Whether forces and stress fell below their limits.
        steps: Relaxation steps taken.
        refused: Why there is no energy, empty if there is one.
    """

    asked: Crystal
    relaxed: Crystal | None = None
    formation_energy_ev_per_atom: float | None = None
    converged: bool = False
    steps: int = 0
    refused: str = ""

    def __post_init__(self) -> None:
        whole = self.relaxed is not None and self.formation_energy_ev_per_atom is not None
        if whole == bool(self.refused):
            raise ValueError("a verified crystal has either an energy or a reason for none")


class Oracle(Protocol):
    """Anything that relaxes crystals and knows their formation energies."""

    @property
    def name(self) -> str:
        """What results and manifests call it."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides an answer: weights, references, limits."""
        ...

    def relax(self, crystals: Sequence[Crystal]) -> list[Verified]:
        """Verify crystals, in their order; one that cannot be is refused with the reason."""
        ...
