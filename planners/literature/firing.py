"""The firing in a text-mined procedure: its hottest heating step and what goes with it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

LOWEST_FIRING_C, HIGHEST_FIRING_C = 500.0, 1800.0
"""Below is drying and burning out of binders, above misread numbers and floating zones."""

SHORTEST_H, LONGEST_H = 0.1, 240.0

GAS_CLASSES = ("air", "O2", "inert", "reducing")
"""What a firing's gas does to the powder: N2 and Ar are inert, H2, CO and carbon reduce."""

STEPS = ("sintering", "calcination", "annealing", "firing")
"""What the hottest step is called; everything that is none of the first three is a firing."""

_REDUCING = frozenset({"hydrogen", "carbon monoxide", "thermal carbon", "ammonia"})
_INERT = frozenset({"nitrogen", "argon", "helium", "vacuum"})
_GRINDING = frozenset({"Mixing", "LiquidGrinding"})
_FIRING = "HeatingOperation"
_PRESSING = "ShapingOperation"


class _Values(BaseModel):
    model_config = ConfigDict(extra="ignore")
    values: list[float] = []
    max_value: float | None = None

    def largest(self) -> float | None:
        return max(self.values, default=self.max_value)


class _Conditions(BaseModel):
    model_config = ConfigDict(extra="ignore")
    heating_temperature: list[_Values] | None = None
    heating_time: list[_Values] | None = None
    heating_atmosphere: list[str] | None = None


class Operation(BaseModel):
    """One step of a procedure, as the text miner found it."""

    model_config = ConfigDict(extra="ignore")
    type: str
    token: str = ""
    conditions: _Conditions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What is decided of a firing before its temperature; None where it is left open.

    Attributes:
        step: What the firing is called, one of ``STEPS``.
        pressed: Whether the powder was pressed to pellets before.
        fired_before: Whether a cooler firing came before.
        gas: One of ``GAS_CLASSES``.
    """

    step: str | None = None
    pressed: bool | None = None
    fired_before: bool | None = None
    gas: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """The hottest firing of a procedure; None where the paper gives nothing.

    Attributes:
        temperature_c: Setpoint.
        route: How the powder came to it.
        dwell_h: Time at the setpoint.
        reground: Whether the powder was ground between two firings; None without a firing.
    """

    temperature_c: float | None = None
    route: Route = Route()
    dwell_h: float | None = None
    reground: bool | None = None


def read_firing(operations: Sequence[Operation]) -> Firing:
    """Find the hottest firing among the steps of a procedure."""
    firings = [step for step in operations if step.type == _FIRING and step.conditions]
    hot = [step for step in firings if _temperatures(step)]
    if not hot:
        route = Route(gas=_gas(firings))
        return Firing(route=route, reground=_reground(operations) if firings else None)
    step = max(hot, key=lambda one: max(_temperatures(one)))
    before = operations[: operations.index(step)]
    return Firing(
        temperature_c=max(_temperatures(step)),
        route=Route(
            step=step_name(step.token),
            pressed=any(one.type == _PRESSING for one in before),
            fired_before=step is not hot[0],
            gas=_gas([step]) or _gas(firings),
        ),
        dwell_h=_dwell(step),
        reground=_reground(operations),
    )


def step_name(word: str) -> str:
    """Which of ``STEPS`` a paper's word for a heating step means."""
    marks = {"sinter": "sintering", "calcin": "calcination", "anneal": "annealing"}
    return next((name for mark, name in marks.items() if mark in word.lower()), "firing")


def _temperatures(step: Operation) -> list[float]:
    given = (step.conditions and step.conditions.heating_temperature) or []
    return [
        value
        for entry in given
        if (value := entry.largest()) and LOWEST_FIRING_C <= value <= HIGHEST_FIRING_C
    ]


def _dwell(step: Operation) -> float | None:
    given = (step.conditions and step.conditions.heating_time) or []
    times = [v for entry in given if (v := entry.largest()) and SHORTEST_H <= v <= LONGEST_H]
    return max(times, default=None)


def _gas(steps: Sequence[Operation]) -> str | None:
    """The gas class: reducing before O2 before inert before air, as one rules the other."""
    named = {gas for step in steps for gas in _gases(step)}
    if named & _REDUCING:
        return "reducing"
    if named & {"air", "ambient"}:
        return "air"
    if "oxygen" in named:
        return "O2"
    return "inert" if named & _INERT else None


def _gases(step: Operation) -> Iterator[str]:
    yield from (step.conditions and step.conditions.heating_atmosphere) or ()


def _reground(operations: Sequence[Operation]) -> bool:
    fired = False
    ground = False
    for step in operations:
        if step.type == _FIRING:
            if fired and ground:
                return True
            fired, ground = True, False
        elif step.type in _GRINDING and fired:
            ground = True
    return False
