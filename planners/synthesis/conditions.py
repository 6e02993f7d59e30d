"""Temperature, time, atmosphere and excess for a set of precursors.

The firing temperature is what papers would take, learnt from text-mined procedures
(``planners.literature.conditions``; mean absolute error in docs/literature.md). It is then
kept below melting, decomposition and strong evaporation, above the temperature where the
reaction runs downhill, and inside the furnace, on a grid that lets samples share a firing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

from pymatgen.core import Composition, Element

from alab.errors import BadInput, TargetError
from alab.models import Atmosphere, FiringLimits, Profile, Segment
from planners.literature.conditions import (
    Conditions,
    loose_powder,
    predict_conditions,
    shipped_model,
)
from planners.synthesis.reactions import Reaction, driving_force_ev_per_atom, metals
from planners.synthesis.thermo import MissingThermoError, find, written

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

_FIXED_VALENCES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "Li": (1, 1), "Na": (1, 1), "K": (1, 1), "Mg": (2, 2), "Ca": (2, 2), "Sr": (2, 2),
        "Ba": (2, 2), "Al": (3, 3), "Si": (4, 4), "Ti": (4, 4), "Zr": (4, 4), "Y": (3, 3),
        "La": (3, 3), "V": (5, 5), "Cr": (3, 3), "Mn": (2.0, 4), "Fe": (3, 3),
        "Co": (2, 3), "Ni": (2, 2), "Cu": (2, 2), "Zn": (2, 2), "Mo": (6, 6), "W": (6, 6),
        "Bi": (3, 3), "Nb": (5, 5), "Sn": (4, 4), "P": (5, 5), "H": (1, 1), "C": (4, 4),
    }
)  # fmt: skip
"""Valences that survive a firing in air, lowest and highest."""

_OXIDISED: Mapping[str, float] = MappingProxyType({"Ni": 3, "Cu": 3, "Cr": 6, "Fe": 4, "Co": 4})
_REDUCED: Mapping[str, float] = MappingProxyType({"Fe": 2, "Cu": 1, "Mn": 2, "Sn": 2, "V": 3})
_HYDROGEN: Mapping[str, float] = MappingProxyType(
    {**_REDUCED, "Mo": 4, "W": 4, "Nb": 4, "Eu": 2, "Ce": 3, "Co": 2, "Re": 4, "U": 4}
)
"""Valences that forming gas gives near 1000 °C, by common practice: MoO2, WO2, NbO2 and V2O3
are made in it, Eu²⁺ and Ce³⁺ are what phosphors are fired in it for; TiO and NbO are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FiringChoice:
    """A temperature with what it rests on.

    Attributes:
        temperature_c: Setpoint on the grid (or the furnace's limit).
        temperature_low_c: Lower end of what 80 % of papers would take, before any bound.
        temperature_high_c: Upper end.
        papers_dwell_h: How long papers would hold it, within 2 to 24 h.
        papers_regrind: Probability that papers grind the powder and fire it again.
        reasons: Why, in sentences.
        risks: What it does not rule out, in sentences.
    """

    temperature_c: float
    temperature_low_c: float
    temperature_high_c: float
    papers_dwell_h: float
    papers_regrind: float
    reasons: tuple[str, ...]
    risks: tuple[str, ...]


def choose_atmosphere(target: str, limits: FiringLimits) -> tuple[Atmosphere, str]:
    """Find the gas in which the target's metals keep their valence, and say why.

    Valences are bounded by charge balance against O²⁻, so no guess of each is needed.

    Raises:
        TargetError: If no gas on offer keeps them, or no gas can.
    """
    amounts = Composition(target).get_el_amt_dict()
    charge = 2 * amounts.get("O", 0.0)
    low = sum(n * _valence(e)[0] for e, n in amounts.items() if e != "O")
    high = sum(n * _valence(e)[1] for e, n in amounts.items() if e != "O")
    name = written(target)
    if low - 1e-6 <= charge <= high + 1e-6 or not _is_oxide(amounts):
        wanted: tuple[Atmosphere, ...] = (Atmosphere.AIR, Atmosphere.O2)
        why = "all valences of the target are stable in air"
    elif charge < low:
        wanted = _without_oxygen(amounts, charge)
        if not wanted:
            raise TargetError(
                f"{name}: its metals are more reduced than N2, Ar or Ar/H2 can keep them; it "
                "needs a getter in a closed vessel, which this laboratory does not offer"
            )
        why = f"{_changing(amounts, _HYDROGEN)} would oxidise in air, so it is fired without O2"
    else:
        if charge > sum(
            n * max(_OXIDISED.get(e, 0), _valence(e)[1]) for e, n in amounts.items() if e != "O"
        ):
            raise TargetError(
                f"{name}: its metals would need valences above what O2 at 1 bar gives; "
                "check the formula"
            )
        wanted = (Atmosphere.O2,)
        why = f"{_changing(amounts, _OXIDISED)} needs O2 to stay oxidised"
    for gas in wanted:
        if gas in limits.atmospheres:
            return gas, why
    raise TargetError(
        f"{name} needs {' or '.join(wanted)} ({why}); the furnaces offer "
        f"{', '.join(limits.atmospheres) or 'no gas'}; add one to the lab file"
    )


def choose_temperature(
    reaction: Reaction, atmosphere: Atmosphere, limits: FiringLimits
) -> FiringChoice:
    """Choose the firing temperature of a reaction (see the top of the module).

    Raises:
        TargetError: If the furnace cannot even reach the lowest firing temperature, or no
            procedure was learnt from with one of the target's elements.
    """
    if limits.max_temperature_c < LOWEST_FIRING_C:
        raise TargetError(
            f"{written(reaction.product)} needs at least {LOWEST_FIRING_C:g} °C; the furnace "
            f"ends at {limits.max_temperature_c:g} °C; name a hotter one"
        )
    learnt = _learnt(reaction, atmosphere)
    rule_c = learnt.temperature_c
    why = (
        f"as papers fire loose powder in {atmosphere} "
        f"(learnt from {shipped_model().procedures} procedures: "
        f"{rule_c:.0f} °C, 80 % within {learnt.temperature_low_c:.0f} to "
        f"{learnt.temperature_high_c:.0f} °C)"
    )
    ceiling_c, ceiling_why = ceiling(reaction.product, limits)
    temperature_c = snap(min(rule_c, ceiling_c), limits, ceiling_c)
    reasons = [f"{temperature_c:g} °C: {why}"]
    risks: list[str] = []
    if rule_c > ceiling_c:
        reasons[0] += f", kept below {ceiling_c:.0f} °C by {ceiling_why}"
        if "furnace" in ceiling_why and rule_c > ceiling_c + GRID_C:
            risks.append(
                f"papers would take {rule_c:.0f} °C; at {temperature_c:g} °C "
                "the reaction may stay incomplete"
            )
    downhill_c = _first_downhill_c(reaction, temperature_c, ceiling_c, atmosphere)
    if downhill_c is not None and downhill_c > temperature_c:
        temperature_c = snap(downhill_c, limits, ceiling_c)
        reasons.append(f"raised to {temperature_c:g} °C, where the reaction runs downhill")
    dwell_h = min(max(learnt.dwell_h, SHORTEST_DWELL_H), LONGEST_DWELL_H)
    reasons.append(_dwell_words(dwell_h, learnt.regrinds))
    return FiringChoice(
        temperature_c=temperature_c,
        temperature_low_c=learnt.temperature_low_c,
        temperature_high_c=learnt.temperature_high_c,
        papers_dwell_h=dwell_h,
        papers_regrind=learnt.regrinds,
        reasons=tuple(reasons),
        risks=tuple(risks),
    )


def ceiling(target: str, limits: FiringLimits) -> tuple[float, str]:
    """Highest sensible temperature for a target, in °C, and what sets it."""
    bounds = [(limits.max_temperature_c, "the furnace")]
    compound = find(target)
    if compound is not None and compound.melts_c is not None:
        bounds.append(
            (compound.melts_c - _BELOW_MELTING_C, f"melting at {compound.melts_c:g} °C")
        )
    if compound is not None and compound.decomposes_c is not None:
        bounds.append((compound.decomposes_c, f"decomposition at {compound.decomposes_c:g} °C"))
    bounds += [
        (VOLATILE[element].ceiling_c, f"evaporation of {element}")
        for element in sorted(metals(target))
        if element in VOLATILE
    ]
    ceiling_c, why = min(bounds)
    return max(ceiling_c, min(LOWEST_FIRING_C, limits.max_temperature_c)), why


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


def _without_oxygen(amounts: Mapping[str, float], charge: float) -> tuple[Atmosphere, ...]:
    """Gases that keep metals as reduced as the charge balance asks, mildest first."""

    def lowest(table: Mapping[str, float]) -> float:
        return sum(n * table.get(e, _valence(e)[0]) for e, n in amounts.items() if e != "O")

    if charge >= lowest(_REDUCED) - 1e-6:
        return Atmosphere.N2, Atmosphere.AR, Atmosphere.AR_H2
    return (Atmosphere.AR_H2,) if charge >= lowest(_HYDROGEN) - 1e-6 else ()


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


def _valence(element: str) -> tuple[float, float]:
    if element in _FIXED_VALENCES:
        return _FIXED_VALENCES[element]
    positive = [v for v in Element(element).common_oxidation_states if v > 0]
    return (min(positive), max(positive)) if positive else (0.0, 8.0)


def _is_oxide(amounts: Mapping[str, float]) -> bool:
    return "O" in amounts and not any(
        element in amounts for element in ("F", "Cl", "Br", "I", "S", "Se", "N")
    )


def _changing(amounts: Mapping[str, float], table: Mapping[str, float]) -> str:
    return " and ".join(element for element in amounts if element in table) or "a metal"
