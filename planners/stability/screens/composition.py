"""Screens that need the formula, the hull and the bench: no thermochemistry."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pymatgen.core import Element

from alab.errors import BadInput
from alab.models import Atmosphere, FiringLimits
from planners.stability.candidates.oxidation import RELAXED, STRICT, balance
from planners.stability.formulas import elements_of
from planners.stability.screens.verdict import Screen, Verdict
from planners.synthesis.hazards import toxic_elements
from planners.synthesis.recipes import propose

HULL_LIMIT_EV_PER_ATOM = 0.010
"""Highest energy above the hull of a target by default."""

LOWEST_FIRING_C = 600.0
"""A furnace below it hardly makes an oxide in hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchLimits:
    """What the laboratory has.

    Attributes:
        shelf: Milligrams of each powder.
        limits: What its furnaces can do.
        forbidden_elements: Symbols that it does not handle.
    """

    shelf: Mapping[str, float]
    limits: FiringLimits
    forbidden_elements: Collection[str] = ()


def near_hull(energy_above_hull_ev_per_atom: float, limit_ev_per_atom: float) -> Screen:
    """Whether a candidate lies on the hull, or near enough to be made."""
    value, limit = energy_above_hull_ev_per_atom, limit_ev_per_atom
    passed = value <= limit
    return Screen(
        name="energy above hull",
        verdict=Verdict.PASSED if passed else Verdict.FAILED,
        reason=f"{value * 1000:.0f} meV/atom, at most {limit * 1000:g}",
        value_ev_per_atom=value,
        limit_ev_per_atom=limit,
    )


def charges(formula: str) -> Screen:
    """Whether common oxidation states cancel; informs only."""
    try:
        common = balance(formula, STRICT)
        relaxed = common or balance(formula, RELAXED)
    except BadInput as error:
        return _charges(Verdict.UNKNOWN, str(error))
    if common:
        return _charges(Verdict.PASSED, _states(common))
    if relaxed:
        return _charges(Verdict.PASSED, f"with a relaxed state: {_states(relaxed)}")
    return _charges(Verdict.FAILED, "no oxidation states cancel")


def handled(formula: str, forbidden_elements: Collection[str] = ()) -> Screen:
    """Whether the laboratory may handle the elements."""
    symbols = elements_of(formula)
    radioactive = [s for s in symbols if Element(s).is_radioactive]
    noble = [s for s in symbols if Element(s).is_noble_gas]
    grave = [s for s in symbols if any(c.penalty >= 1.0 for c in toxic_elements(s))]
    notes = [c.text.rstrip(".") for s in symbols for c in toxic_elements(s)]
    for found, why in (
        (radioactive, "radioactive"),
        (noble, "a noble gas"),
        ([s for s in symbols if s in forbidden_elements], "forbidden in this laboratory"),
        (grave, "too toxic as dust for a laboratory without a glove box"),
    ):
        if found:
            return Screen(
                name="elements",
                verdict=Verdict.FAILED,
                reason=f"{', '.join(found)}: {why}",
            )
    return Screen(
        name="elements",
        verdict=Verdict.PASSED,
        reason=f"allowed; note: {'; '.join(notes)}" if notes else "allowed",
    )


def furnace(limits: FiringLimits) -> Screen:
    """Whether the furnaces reach the range in which oxides are made, in air."""
    gases = ", ".join(limits.atmospheres)
    enough = (
        limits.max_temperature_c >= LOWEST_FIRING_C and Atmosphere.AIR in limits.atmospheres
    )
    return Screen(
        name="furnace",
        verdict=Verdict.PASSED if enough else Verdict.FAILED,
        reason=f"up to {limits.max_temperature_c:g} °C in {gases}; air and "
        f"{LOWEST_FIRING_C:g} °C are needed",
    )


def in_stock(formula: str, bench: BenchLimits) -> Screen:
    """Whether powders on the shelf balance to the candidate, and a recipe can be fired."""
    try:
        (recipe, *_) = propose(
            formula,
            shelf=bench.shelf,
            limits=bench.limits,
            count=1,
            forbidden_elements=bench.forbidden_elements,
        )
    except BadInput as error:
        return Screen(name="precursors", verdict=Verdict.FAILED, reason=str(error))
    return Screen(
        name="precursors",
        verdict=Verdict.PASSED,
        reason=f"{recipe.reaction}, {recipe.max_temperature_c:g} °C in {recipe.atmosphere}",
    )


def _charges(verdict: Verdict, reason: str) -> Screen:
    return Screen(name="charge balance", verdict=verdict, reason=reason, decides=False)


def _states(found: Mapping[str, tuple[int, int]]) -> str:
    each = (
        f"{symbol} {low:+d}" if low == high else f"{symbol} {low:+d} to {high:+d}"
        for symbol, (low, high) in found.items()
    )
    return ", ".join(each)
