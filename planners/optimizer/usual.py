"""Where targets like this one are usually fired: where an optimizer looks first."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from alab.errors import BadInput
from alab.models import Atmosphere, Recipe
from planners.literature.conditions import loose_powder, predict_conditions

_EIGHTY_PERCENT_SDS = 1.2816
_BEST_SD_C = 75.0
"""How far the best temperature of a laboratory lies from what others reported."""


@dataclass(frozen=True, slots=True)
class Typical:
    """The usual firing of a target.

    Attributes:
        temperature_c: The usual firing temperature.
        sd_c: One standard deviation of where the best one may lie.
    """

    temperature_c: float
    sd_c: float


def usual_firing(target: str, candidates: Sequence[Recipe]) -> Typical | None:
    """Ask the model of the literature; None where it has not learnt such targets.

    Args:
        target: Formula of the target.
        candidates: Recipes on offer; the powders and the gas of the first are asked with.
    """
    if not candidates:
        return None
    first = candidates[0]
    return _usual(target, tuple(p.formula for p in first.precursors), first.atmosphere)


@cache
def _usual(target: str, precursors: tuple[str, ...], atmosphere: Atmosphere) -> Typical | None:
    try:
        told = predict_conditions(target, precursors, route=loose_powder(atmosphere))
    except BadInput:
        return None
    half_c = (told.temperature_high_c - told.temperature_low_c) / 2
    sd_c = ((half_c / _EIGHTY_PERCENT_SDS) ** 2 + _BEST_SD_C**2) ** 0.5
    return Typical(temperature_c=told.temperature_c, sd_c=sd_c)
