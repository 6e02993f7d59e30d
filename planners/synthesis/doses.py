"""Masses to weigh out for a reaction, within the doser's and the stock's limits."""

from collections.abc import Mapping
from dataclasses import dataclass

from alab.errors import RecipeError
from alab.models import PrecursorAmount
from planners.synthesis.conditions import excess_fraction
from planners.synthesis.reactions import Reaction, metals, molar_mass_g

_LARGEST_SCALE_UP = 2.0
"""A batch may grow by this factor so that its smallest powder can be dosed."""


class DoseError(RecipeError):
    """Masses that the doser or the stock cannot give."""


@dataclass(frozen=True, slots=True)
class Doses:
    """What the doser and the stock allow.

    Attributes:
        shelf: Milligrams available of each precursor, by formula.
        batch_mass_mg: Mass of product that a full reaction gives.
        resolution_mg: Masses are multiples of this.
        min_dose_mg: Smallest mass the doser delivers.
    """

    shelf: Mapping[str, float]
    batch_mass_mg: float
    resolution_mg: float
    min_dose_mg: float

    def amounts(self, reaction: Reaction, temperature_c: float) -> tuple[PrecursorAmount, ...]:
        """Masses of each powder, excess of volatile elements included.

        Raises:
            DoseError: If a powder is too little to dose or not in stock.
        """
        moles = {
            powder: float(n)
            * (1 + max(excess_fraction(e, temperature_c) for e in metals(powder)))
            for powder, n in reaction.reactants.items()
        }
        per_mole_mg = self.batch_mass_mg / molar_mass_g(reaction.product)
        masses_mg = {p: n * molar_mass_g(p) * per_mole_mg for p, n in moles.items()}
        least = min(masses_mg, key=lambda powder: masses_mg[powder])
        scale = max(1.0, self.min_dose_mg / masses_mg[least])
        if scale > _LARGEST_SCALE_UP:
            raise DoseError(
                f"{masses_mg[least]:.2f} mg {least} is below the doser's "
                f"{self.min_dose_mg:g} mg; ask for a larger batch"
            )
        amounts = tuple(
            PrecursorAmount(formula=p, moles=n, mass_mg=self._rounded(masses_mg[p] * scale))
            for p, n in moles.items()
        )
        for amount in amounts:
            if amount.mass_mg > self.shelf[amount.formula]:
                raise DoseError(
                    f"{amount.mass_mg:g} mg {amount.formula} are needed and "
                    f"{self.shelf[amount.formula]:g} mg are on the shelf; refill the jar"
                )
        return amounts

    def _rounded(self, mass_mg: float) -> float:
        steps = round(mass_mg / self.resolution_mg)
        while steps * self.resolution_mg < self.min_dose_mg:
            steps += 1
        return round(steps * self.resolution_mg, 6)
