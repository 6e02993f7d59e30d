"""Records of what phases were seen to do in a furnace, each with its evidence."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from pymatgen.core import Composition

from alab.errors import BadInput
from alab.models import Atmosphere
from planners.optimizer.pair_reactions import balance_pair
from planners.synthesis.compounds import reduced, written

Fraction01 = Annotated[float, Field(ge=0, le=1)]
Temperature = Annotated[float, Field(ge=-273.15, le=4000)]
Formula = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseSeen:
    """One phase of the pattern an observation rests on.

    Attributes:
        formula: Formula, as the analysis wrote it.
        weight_fraction: Share found, 0 to 1.
        probability: That it is there at all, all doubts included, 0 to 1.
    """

    formula: Formula
    weight_fraction: Fraction01
    probability: Fraction01


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The firing and the pattern an observation rests on.

    Attributes:
        sample: Name of the sample; with its laboratory where it was imported.
        temperature_c: Highest temperature of the firing.
        dwell_s: Time at that temperature.
        regrinds: How often the powder had been reground and fired before.
        phases: What was found.
    """

    sample: str
    temperature_c: Temperature
    dwell_s: Annotated[float, Field(ge=0)]
    regrinds: Annotated[int, Field(ge=0)] = 0
    phases: tuple[PhaseSeen, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one phase or two touching phases did in one firing.

    Attributes:
        reactants: Reduced formulas, one or two, sorted.
        products: Reduced formulas, sorted; empty where the reactants stayed as they were.
        above_c: Temperature up to which they did not react; None if unknown.
        by_c: Temperature by which they had; None where they did not.
        atmosphere: Gas of the firing.
        weight: How sure this is, 0 to 1: that the phases are there, and that no other
            reaction explains them.
        evidence: What it rests on.
    """

    reactants: Annotated[tuple[Formula, ...], Field(min_length=1, max_length=2)]
    products: tuple[Formula, ...]
    above_c: Temperature | None
    by_c: Temperature | None
    atmosphere: Atmosphere
    weight: Fraction01
    evidence: Evidence

    @property
    def inert(self) -> bool:
        """Whether they were seen side by side, unchanged."""
        return not self.products

    def __str__(self) -> str:
        """Write it out: ``BaCO3 + TiO2 → BaTiO3 + CO2 by 900 °C``."""
        left = " + ".join(map(written, self.reactants))
        if self.inert:
            return f"{left} inert up to {self.above_c:g} °C"
        reaction = balance_pair(self.reactants, self.products)
        told = reaction or f"{left} → {' + '.join(map(written, self.products))}"
        above = "" if self.above_c is None else f"above {self.above_c:g} °C, "
        return f"{told} {above}by {self.by_c:g} °C"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flagged:
    """A finding that cannot be argued from, kept so that someone looks at it.

    Attributes:
        formula: The phase in question.
        why: What is wrong with it, and what to check.
        evidence: Where it was seen.
    """

    formula: str
    why: str
    evidence: Evidence


def phase_name(formula: str) -> str:
    """The reduced formula under which a phase is kept.

    Raises:
        BadInput: If it is no formula.
    """
    try:
        if Composition(formula).valid and Composition(formula).num_atoms > 0:
            return reduced(formula)
    except ValueError:
        pass
    raise BadInput(f"{formula!r} is no formula; write it like BaTiO3")
