"""Firing conditions as the literature would choose them: temperature, time, gas, regrinding.

Networks fitted to the text-mined procedures answer together (their mean). The interval is
conformal: b, the error a network expects of itself, times the factor that made 80 % of the
validation procedures fall inside (Papadopoulos et al., ECML 2002, normalised residuals).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alab.errors import BadInput
from planners.literature.arrays import Floats
from planners.literature.features import describe
from planners.literature.firing import GAS_CLASSES, STEPS
from planners.literature.model_file import read_model, write_model
from planners.literature.vocabulary import shares_of

MODEL_FILE = "conditions.npz"
COVERAGE = 0.8
TEMPERATURE_SCALE_C = 250.0
"""About the spread of firing temperatures: makes the networks' answers of order one."""

NARROWEST, WIDEST = -3.0, 2.0
"""Bounds of ln(b / 250 °C): 12 to 1850 °C."""

_LARGEST_EXPONENT = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How a paper would fire a target.

    Attributes:
        temperature_c: Setpoint, the median of what papers would take.
        temperature_low_c: Lower end of the interval that holds 80 % of them.
        temperature_high_c: Upper end.
        dwell_h: Time at the setpoint, median.
        atmosphere_probabilities: Of each gas class; see ``firing.GAS_CLASSES``.
        regrinds: Probability that the powder is ground between two firings.
    """

    temperature_c: float
    temperature_low_c: float
    temperature_high_c: float
    dwell_h: float
    atmosphere_probabilities: Mapping[str, float]
    regrinds: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FiringModel:
    """Fitted networks.

    Attributes:
        elements: Symbols that a target may hold.
        networks: Weights of each, as ``fit_conditions.fit`` returns them.
        factor: Half the interval's width over the expected error.
        procedures: How many temperatures were learnt from.
    """

    elements: tuple[str, ...]
    networks: tuple[Mapping[str, NDArray[Any]], ...]
    factor: float
    procedures: int

    def answer(self, inputs: Floats) -> list[Conditions]:
        """Conditions for each row of (n, inputs) descriptions with the step's name."""
        outs = np.mean([_forward(network, inputs) for network in self.networks], axis=0)
        return [self._conditions(row) for row in outs]

    def _conditions(self, row: Floats) -> Conditions:
        half_c = self.factor * float(row[1])
        gases = row[3:-1].tolist()
        return Conditions(
            temperature_c=float(row[0]),
            temperature_low_c=float(row[0]) - half_c,
            temperature_high_c=float(row[0]) + half_c,
            dwell_h=float(np.exp(row[2])),
            atmosphere_probabilities=dict(zip(GAS_CLASSES, gases, strict=True)),
            regrinds=float(row[-1]),
        )


def predict_conditions(
    target: str,
    precursors: Sequence[str],
    *,
    step: str = "calcination",
    model: FiringModel | None = None,
) -> Conditions:
    """How the literature would fire a target from some powders.

    Args:
        target: Formula as a person types it.
        precursors: Formulas of the powders.
        step: Which firing is asked for, one of ``firing.STEPS``: a calcination makes the
            powder, a sintering also densifies it and is hotter.
        model: Networks to ask; those of the project if not given.

    Raises:
        BadInput: If a formula is none, or the target holds an element not learnt from.
    """
    if step not in STEPS:
        raise BadInput(f"step is {step!r}; it must be one of {', '.join(STEPS)}")
    chosen = model or shipped_model()
    described = describe(shares_of(target), precursors, chosen.elements)
    called = [float(step == name) for name in STEPS]
    return chosen.answer(np.concatenate([described, called])[None])[0]


@cache
def shipped_model() -> FiringModel:
    """The project's own networks."""
    return load_model(Path(str(files("planners.literature") / MODEL_FILE)))


def load_model(path: Path) -> FiringModel:
    """Read networks from a file.

    Raises:
        BadInput: If the file is missing or no such model.
    """
    stored = read_model(path)
    try:
        networks: list[dict[str, NDArray[Any]]] = [{} for _ in range(int(stored["networks"]))]
        for i, network in enumerate(networks):
            mark = f"{i}/"
            network |= {n[len(mark) :]: a for n, a in stored.items() if n.startswith(mark)}
        return FiringModel(
            elements=tuple(str(e) for e in stored["elements"]),
            networks=tuple(networks),
            factor=float(stored["factor"]),
            procedures=int(stored["procedures"]),
        )
    except KeyError as error:
        raise BadInput(f"{path} holds no {error}; it is no model of firings") from error


def save_model(model: FiringModel, path: Path) -> None:
    """Write networks to a file."""
    weights = {f"{i}/{k}": a for i, n in enumerate(model.networks) for k, a in n.items()}
    write_model(
        path,
        {
            "elements": np.array(model.elements),
            "networks": np.array(len(model.networks)),
            "factor": np.array(model.factor),
            "procedures": np.array(model.procedures),
            **weights,
        },
    )


def _forward(n: Mapping[str, NDArray[Any]], inputs: Floats) -> Floats:
    """Rows of temperature, expected error, log of the dwell, gas shares, regrinding."""
    scaled = (inputs - n["centre"]) / n["spread"]
    first = _silu(scaled @ n["layer_0"] + n["bias_0"])
    second = first + _silu(first @ n["layer_1"] + n["bias_1"])
    out = second @ n["layer_2"] + n["bias_2"]
    powers = np.exp(out[:, 3:-1] - out[:, 3:-1].max(axis=1, keepdims=True))
    return np.column_stack(
        [
            out[:, 0] * TEMPERATURE_SCALE_C + n["middle_c"],
            np.exp(np.clip(out[:, 1], NARROWEST, WIDEST)) * TEMPERATURE_SCALE_C,
            out[:, 2] + n["middle_log"],
            powers / powers.sum(axis=1, keepdims=True),
            _sigmoid(out[:, -1]),
        ]
    )


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(x, -_LARGEST_EXPONENT, _LARGEST_EXPONENT)))


def _silu(x: Floats) -> Floats:
    return x * _sigmoid(x)
