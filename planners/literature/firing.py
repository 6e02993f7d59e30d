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
class Firing:
    """The hottest firing of a procedure; None where the paper gives nothing.

    Attributes:
        temperature_c: Setpoint.
        step: What the paper calls the step, one of ``STEPS``.
        dwell_h: Time at the setpoint.
        gas: One of ``GAS_CLASSES``.
        reground: Whether the powder was ground between two firings; None without a firing.
    """

    temperature_c: float | None = None
    step: str | None = None
    dwell_h: float | None = None
    gas: str | None = None
    reground: bool | None = None


def read_firing(operations: Sequence[Operation]) -> Firing:
    """Find the hottest firing among the steps of a procedure."""
    firings = [step for step in operations if step.type == _FIRING and step.conditions]
    hot = [(max(_temperatures(step)), step) for step in firings if any(_temperatures(step))]
    if not hot:
        return Firing(gas=_gas(firings), reground=_reground(operations) if firings else None)
    temperature_c, step = max(hot, key=lambda pair: pair[0])
    return Firing(
        temperature_c=temperature_c,
        step=step_name(step.token),
        dwell_h=_dwell(step),
        gas=_gas([step]) or _gas(firings),
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
