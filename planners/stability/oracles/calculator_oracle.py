"""An oracle made of an ASE calculator, reference energies and corrections."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from pymatgen.core import Element

from alab.errors import BadInput
from planners.stability.crystals import Crystal
from planners.stability.oracles.formation import Correction, ElementEnergies
from planners.stability.oracles.oracle import Verified
from planners.stability.oracles.relaxation import USUAL, Limits, Relaxed, relax

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator


@dataclass(frozen=True, slots=True, kw_only=True)
class CalculatorOracle:
    """Relaxes with an ASE calculator; energies from the elements.

    Attributes:
        name: What results call it.
        calculator: Energies, forces and stresses.
        weights_digest: SHA-256 of what the calculator computes with.
        elements: Reference energies on the calculator's scale.
        correction: What is added to total energies.
        limits: When a relaxation ends.
        known: Atomic numbers the calculator was made for.
    """

    name: str
    calculator: "Calculator" = field(repr=False)
    weights_digest: str
    elements: ElementEnergies
    correction: Correction
    limits: Limits
    known: frozenset[int]

    @property
    def digest(self) -> str:
        """SHA-256 of weights, references, correction and limits."""
        parts = {
            "weights": self.weights_digest,
            "elements": self.elements.digest,
            "correction": self.correction.__name__,
            "limits": asdict(self.limits),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def relax(self, crystals: Sequence[Crystal]) -> list[Verified]:
        """Relax crystals one by one; what cannot be is refused with the reason."""
        return [self._verify(crystal) for crystal in crystals]

    def formation_energy_ev_per_atom(self, crystal: Crystal, total_ev: float) -> float:
        """Formation energy of a cell with a total energy.

        Raises:
            BadInput: If an element has no reference energy.
        """
        zero_ev = self.elements.of_cell(crystal.elements)
        corrected_ev = total_ev + self.correction(crystal.structure(), total_ev)
        return (corrected_ev - zero_ev) / len(crystal.elements)

    def _verify(self, crystal: Crystal) -> Verified:
        try:
            self._check_elements(crystal)
            found = relax(crystal, self.calculator, self.limits)
            energy = self.formation_energy_ev_per_atom(found.crystal, found.total_ev)
        except BadInput as error:
            return Verified(asked=crystal, refused=str(error))
        return _verified(crystal, found, energy)

    def _check_elements(self, crystal: Crystal) -> None:
        self.elements.of_cell(crystal.elements)
        symbols = sorted(set(crystal.elements))
        if unknown := [s for s in symbols if Element(s).Z not in self.known]:
            raise BadInput(
                f"{self.name} was not trained on {', '.join(unknown)}; leave the crystal out, "
                "or ask another oracle"
            )


def _verified(asked: Crystal, found: Relaxed, energy: float) -> Verified:
    return Verified(
        asked=asked,
        relaxed=found.crystal,
        formation_energy_ev_per_atom=energy,
        converged=found.converged,
        steps=found.steps,
    )


def own_element_energies(
    calculator: "Calculator",
    structures: Mapping[str, Crystal],
    *,
    limits: Limits = USUAL,
    source: str,
) -> ElementEnergies:
    """Energies of the elements by the calculator itself, relaxed.

    For a potential that is on no database's scale. Anions need no correction then only if
    the potential is right for both their molecules and their compounds.

    Args:
        calculator: The potential.
        structures: Reference structure of each element, by symbol.
        limits: Of the relaxation.
        source: What errors call the table.

    Raises:
        BadInput: If a structure is not of its element alone.
        CrystalError: If one cannot be relaxed.
    """
    energies: dict[str, float] = {}
    for symbol, crystal in sorted(structures.items()):
        if set(crystal.elements) != {symbol}:
            raise BadInput(
                f"the reference structure of {symbol} holds "
                f"{', '.join(sorted(set(crystal.elements)))}; give one of {symbol} alone"
            )
        energies[symbol] = relax(crystal, calculator, limits).total_ev / len(crystal.elements)
    return ElementEnergies(ev_per_atom=energies, source=source)
