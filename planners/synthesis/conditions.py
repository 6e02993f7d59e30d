"""Temperature, time and excess for a set of precursors; :mod:`atmosphere` has the gas.

The firing temperature is what papers would take, learnt from text-mined procedures
(``planners.literature.conditions``; mean absolute error in docs/literature.md). It is then
kept below melting, decomposition and strong evaporation, above the temperature where the
reaction runs downhill, and inside the furnace, on a grid that lets samples share a firing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

from alab.errors import BadInput, TargetError
from alab.models import Atmosphere, FiringLimits, Profile, Segment
from planners.literature.conditions import (
    Conditions,
    loose_powder,
    predict_conditions,
    shipped_model,
)
from planners.synthesis.compounds import heat_limit
from planners.synthesis.reactions import Reaction, atoms, driving_force_ev_per_atom, metals
from planners.synthesis.thermo import MissingThermoError, reduced, written

GRID_C = 50.0
"""Setpoints are multiples of this, so that samples share furnaces."""

LOWEST_FIRING_C = 500.0
DWELL_S = 4 * 3600.0
"""The first dwell: what is incomplete then is ground and refired, which does more than time."""

LONGER_H = 8.0
"""Papers that hold a firing this long hold it much longer than the first dwell."""

SHORTEST_DWELL_H, LONGEST_DWELL_H = 2.0, 24.0
SLOW_RAMP_C_PER_MIN, SLOW_RAMP_UNTIL_C = 2.0, 300.0
"""Gases of salts leave below here; faster heating throws powder out of the crucible."""

FAST_RAMP_C_PER_MIN = 15.0
_BELOW_MELTING_C = 100.0
_LEAST_DRIVING_FORCE_EV_PER_ATOM = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Volatility:
    """When an element leaves a powder.

    Attributes:
        onset_c: Losses are noticed above this.
        ceiling_c: Above this no excess makes up for them.
        excess_per_100_c: Extra fraction weighed in for each 100 °C above the onset.
    """

    onset_c: float
    ceiling_c: float
    excess_per_100_c: float


VOLATILE: Mapping[str, Volatility] = MappingProxyType(
    {
        "Li": Volatility(onset_c=750, ceiling_c=1100, excess_per_100_c=0.02),
        "Na": Volatility(onset_c=850, ceiling_c=1150, excess_per_100_c=0.02),
        "K": Volatility(onset_c=800, ceiling_c=1050, excess_per_100_c=0.02),
        "Bi": Volatility(onset_c=750, ceiling_c=900, excess_per_100_c=0.02),
        "Mo": Volatility(onset_c=750, ceiling_c=950, excess_per_100_c=0.01),
        "Zn": Volatility(onset_c=1050, ceiling_c=1300, excess_per_100_c=0.01),
        "P": Volatility(onset_c=1050, ceiling_c=1300, excess_per_100_c=0.01),
        "Pb": Volatility(onset_c=900, ceiling_c=1200, excess_per_100_c=0.01),
        "Te": Volatility(onset_c=700, ceiling_c=1000, excess_per_100_c=0.01),
        "Cd": Volatility(onset_c=800, ceiling_c=1150, excess_per_100_c=0.01),
        "Sb": Volatility(onset_c=750, ceiling_c=1100, excess_per_100_c=0.01),
        "As": Volatility(onset_c=800, ceiling_c=1000, excess_per_100_c=0.01),
        "Tl": Volatility(onset_c=750, ceiling_c=1000, excess_per_100_c=0.01),
        "Rb": Volatility(onset_c=750, ceiling_c=1100, excess_per_100_c=0.01),
        "Cs": Volatility(onset_c=750, ceiling_c=1000, excess_per_100_c=0.01),
        "B": Volatility(onset_c=800, ceiling_c=1100, excess_per_100_c=0.01),
        "Re": Volatility(onset_c=900, ceiling_c=1200, excess_per_100_c=0.01),
        "Se": Volatility(onset_c=700, ceiling_c=1000, excess_per_100_c=0.0),
        "S": Volatility(onset_c=700, ceiling_c=1000, excess_per_100_c=0.0),
        "F": Volatility(onset_c=750, ceiling_c=1100, excess_per_100_c=0.0),
        "Cl": Volatility(onset_c=800, ceiling_c=1000, excess_per_100_c=0.0),
        "Br": Volatility(onset_c=700, ceiling_c=850, excess_per_100_c=0.0),
        "I": Volatility(onset_c=550, ceiling_c=850, excess_per_100_c=0.0),
    }
)
"""Elements that leave as vapour, oxide or halide.

Li, Na, K, Bi, Mo, Zn and P are by common practice. The others are the quartiles of the
text-mined firings of targets with more than 5 at.% of the element, to 50 °C: a quarter of
the papers stay below the onset, a quarter go above the ceiling, often in closed vessels.
"""

LARGEST_EXCESS = 0.10

BOILS_C: Mapping[str, float] = MappingProxyType(
    {
        reduced(powder): boils_c
        for powder, boils_c in {
            "S": 445, "Se": 685, "Te": 988, "P": 431, "P2S5": 514, "As": 614, "I2": 184,
            "Hg": 357,
        }.items()
    }
)  # fmt: skip
"""Powders that leave an open crucible before they react, with their boiling or sublimation
points (CRC Handbook); papers seal them in ampoules."""

_KEEPS_HYDROGEN = frozenset(map(reduced, ("Ca5(PO4)3OH", "Sr5(PO4)3OH", "Ba5(PO4)3OH")))
"""Hydroxyapatites hold their water to above 1000 °C in room air."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FiringChoice:
    """A temperature with what it rests on.

    Attributes:
        temperature_c: Setpoint on the grid (or the furnace's limit).
        temperature_low_c: Lower end of what 80 % of papers would take, before any bound.
        temperature_high_c: Upper end.
        highest_c: The hottest that another firing of the same powders may be.
        papers_dwell_h: How long papers would hold it, within 2 to 24 h.
        papers_regrind: Probability that papers grind the powder and fire it again.
        reasons: Why, in sentences.
        risks: What it does not rule out, in sentences.
    """

    temperature_c: float
    temperature_low_c: float
    temperature_high_c: float
    highest_c: float
    papers_dwell_h: float
    papers_regrind: float
    reasons: tuple[str, ...]
    risks: tuple[str, ...]


def check_dry(target: str) -> None:
    """Refuse a target that loses its hydrogen in a furnace.

    Raises:
        TargetError: If it does.
    """
    if "H" in atoms(target) and reduced(target) not in _KEEPS_HYDROGEN:
        raise TargetError(
            f"{written(target)} holds hydrogen, which leaves a furnace as water or ammonia; "
            "give a target without it, or make this one from solution"
        )


def choose_temperature(
    reaction: Reaction, atmosphere: Atmosphere, limits: FiringLimits
) -> FiringChoice:
    """Choose the firing temperature of a reaction (see the top of the module).

    Raises:
        TargetError: If the furnace cannot even reach the lowest firing temperature, the
            target does not stand it, or no procedure was learnt from with one of its elements.
    """
    ceiling_c, ceiling_why = _ceiling_above_lowest(reaction.product, limits)
    learnt = _learnt(reaction, atmosphere)
    rule_c = learnt.temperature_c
    why = (
        f"as papers fire loose powder in {atmosphere} "
        f"(learnt from {shipped_model().procedures} procedures: "
        f"{rule_c:.0f} °C, 80 % within {learnt.temperature_low_c:.0f} to "
        f"{learnt.temperature_high_c:.0f} °C)"
    )
    temperature_c = snap(min(rule_c, ceiling_c), limits, ceiling_c)
    reasons = [f"{temperature_c:g} °C: {why}"]
    risks: list[str] = []
    if rule_c > ceiling_c:
        reasons[0] += f", kept below {ceiling_c:.0f} °C by {ceiling_why}"
        if "furnace" in ceiling_why and rule_c > ceiling_c + GRID_C:
            risks.append(
                f"papers would take {rule_c:.0f} °C, hotter than the furnace goes; "
                "the reaction may stay incomplete"
            )
    highest_c = ceiling_c
    if not heat_limit(reaction.product).known:  # papers are all that tells what it stands
        highest_c = max(min(ceiling_c, learnt.temperature_high_c), temperature_c)
    downhill_c = _first_downhill_c(reaction, temperature_c, highest_c, atmosphere)
    if downhill_c is not None and downhill_c > temperature_c:
        temperature_c = snap(downhill_c, limits, highest_c)
        reasons.append(f"raised to {temperature_c:g} °C, where the reaction runs downhill")
    dwell_h = min(max(learnt.dwell_h, SHORTEST_DWELL_H), LONGEST_DWELL_H)
    reasons.append(_dwell_words(dwell_h, learnt.regrinds))
    return FiringChoice(
        temperature_c=temperature_c,
        temperature_low_c=learnt.temperature_low_c,
        temperature_high_c=learnt.temperature_high_c,
        highest_c=highest_c,
        papers_dwell_h=dwell_h,
        papers_regrind=learnt.regrinds,
        reasons=tuple(reasons),
        risks=tuple(risks),
    )


def ceiling(target: str, limits: FiringLimits) -> tuple[float, str]:
    """Highest sensible temperature for a target, in °C, and what sets it."""
    bounds = [(limits.max_temperature_c, "the furnace")]
    stands = heat_limit(target)
    if stands.melts_c is not None:
        bounds.append((stands.melts_c - _BELOW_MELTING_C, f"melting at {stands.melts_c:g} °C"))
    if stands.decomposes_c is not None:
        bounds.append((stands.decomposes_c, f"decomposition at {stands.decomposes_c:g} °C"))
    bounds += [
        (VOLATILE[element].ceiling_c, f"evaporation of {element}")
        for element in sorted(metals(target))
        if element in VOLATILE
    ]
    return min(bounds)


def _ceiling_above_lowest(target: str, limits: FiringLimits) -> tuple[float, str]:
    """As :func:`ceiling`.

    Raises:
        TargetError: If the furnace does not reach, or the target does not stand, the lowest
            firing temperature.
    """
    if limits.max_temperature_c < LOWEST_FIRING_C:
        raise TargetError(
            f"{written(target)} needs at least {LOWEST_FIRING_C:g} °C; the furnace "
            f"ends at {limits.max_temperature_c:g} °C; name a hotter one"
        )
    ceiling_c, why = ceiling(target, limits)
    if ceiling_c < LOWEST_FIRING_C:
        raise TargetError(
            f"{written(target)} would be kept below {ceiling_c:g} °C by {why}, and no firing "
            f"here is below {LOWEST_FIRING_C:g} °C; make it from solution or in a closed vessel"
        )
    return ceiling_c, why


def snap(temperature_c: float, limits: FiringLimits, ceiling_c: float | None = None) -> float:
    """Round to the grid, inside the furnace and below ``ceiling_c``."""
    top_c = min(limits.max_temperature_c, ceiling_c or limits.max_temperature_c)
    snapped_c = round(temperature_c / GRID_C) * GRID_C
    if snapped_c > top_c:
        snapped_c = top_c // GRID_C * GRID_C
    return min(max(snapped_c, LOWEST_FIRING_C), limits.max_temperature_c)


def excess_fraction(element: str, temperature_c: float) -> float:
    """Extra fraction of a volatile element to weigh in for a firing temperature."""
    volatility = VOLATILE.get(element)
    if volatility is None or temperature_c <= volatility.onset_c:
        return 0.0
    steps = (temperature_c - volatility.onset_c) / 100
    return min(LARGEST_EXCESS, round(volatility.excess_per_100_c * (1 + steps), 3))


def profile(temperature_c: float, limits: FiringLimits, *, dwell_s: float = DWELL_S) -> Profile:
    """Heat slowly while gases leave, then fast to the setpoint, and dwell."""
    fast = min(FAST_RAMP_C_PER_MIN, limits.max_ramp_c_per_min)
    slow = min(SLOW_RAMP_C_PER_MIN, limits.max_ramp_c_per_min)
    until_c = min(SLOW_RAMP_UNTIL_C, temperature_c)
    return Profile(
        segments=(
            Segment(ramp_c_per_min=slow, temperature_c=until_c, dwell_s=0.0),
            Segment(ramp_c_per_min=fast, temperature_c=temperature_c, dwell_s=dwell_s),
        )
    )


def _dwell_words(papers_dwell_h: float, regrind: float) -> str:
    papers = f"papers hold about {papers_dwell_h:.0f} h and {regrind * 100:.0f} % regrind"
    if papers_dwell_h < LONGER_H:
        return f"{DWELL_S / 3600:g} h: {papers}"
    return f"{DWELL_S / 3600:g} h first: {papers}; what stays incomplete is ground and refired"


def _learnt(reaction: Reaction, atmosphere: Atmosphere) -> Conditions:
    """What papers would take for loose powder, and whether they would then go on."""
    route = loose_powder(atmosphere)
    ask = partial(predict_conditions, reaction.product, tuple(reaction.reactants))
    try:
        return replace(
            ask(route=route), regrinds=ask(route=replace(route, fired_before=None)).regrinds
        )
    except BadInput as error:
        raise TargetError(
            f"no firing temperature for {written(reaction.product)}: {error}"
        ) from error


def _first_downhill_c(
    reaction: Reaction, from_c: float, to_c: float, atmosphere: Atmosphere
) -> float | None:
    """Lowest temperature on the grid where the reaction runs; None if unknown or never."""
    temperature_c = from_c
    try:
        while temperature_c <= to_c + 1e-6:
            force = driving_force_ev_per_atom(reaction, temperature_c, atmosphere)
            if force > _LEAST_DRIVING_FORCE_EV_PER_ATOM:
                return temperature_c
            temperature_c += GRID_C
    except MissingThermoError:
        return None
    return None
