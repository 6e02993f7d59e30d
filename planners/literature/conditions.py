"""Firing conditions as the literature would choose them: temperature, time, gas, regrinding.

A fitted network places a target with its powders among the text-mined procedures that it was
fitted to, and these vote, the near ones most (neighbourhood components analysis: Goldberger et
al., NIPS 17, 513 (2004); with a deep embedding: Ye et al., ICLR (2025), ModernNCA)::

    w_j ∝ exp(−|e(x) − e_j|)

Temperature and dwell are the medians of the votes, gas and regrinding their shares. The
temperature's interval runs from the votes' 10 % to their 90 % quantile, stretched about the
median by the factor that made 80 % of the validation procedures fall inside (conformal quantile
regression: Romano et al., NeurIPS 32 (2019)).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alab.errors import BadInput
from alab.models import Atmosphere
from planners.literature.arrays import Floats, Ints
from planners.literature.features import describe
from planners.literature.firing import GAS_CLASSES, STEPS, Route
from planners.literature.model_file import read_model, write_model
from planners.literature.vocabulary import shares_of

MODEL_FILE = "conditions.npz"
COVERAGE = 0.8
NARROWEST_C = 10.0
"""Each end of the interval lies at least this far from the median."""

CALCINATION = Route(step="calcination")

_GAS_CLASS: Mapping[Atmosphere, str] = MappingProxyType(
    {
        Atmosphere.AIR: "air",
        Atmosphere.O2: "O2",
        Atmosphere.N2: "inert",
        Atmosphere.AR: "inert",
        Atmosphere.VACUUM: "inert",
        Atmosphere.AR_H2: "reducing",
    }
)

_FARTHEST = 6.0
"""Inputs further from their mean, in standard deviations, count as this far."""
_LEAST_SQUARE = 1e-6
_AT_ONCE = 256
_TAILS = ((1 - COVERAGE) / 2, 0.5, (1 + COVERAGE) / 2)


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


@dataclass(frozen=True, eq=False, kw_only=True)  # no slots: its orders are cached
class Reported:
    """What procedures report; NaN and −1 stand for what a paper does not give.

    Attributes:
        temperature_c: (n,) setpoints.
        log_dwell_h: (n,) natural logarithms of the dwell in hours.
        gas: (n,) place in ``GAS_CLASSES``.
        reground: (n,) 0 or 1.
    """

    temperature_c: Floats
    log_dwell_h: Floats
    gas: Ints
    reground: Ints

    @cached_property
    def by_temperature(self) -> Ints:
        """Procedures that give a temperature, the coldest first."""
        return _order(self.temperature_c)

    @cached_property
    def by_dwell(self) -> Ints:
        """Procedures that give a dwell, the shortest first."""
        return _order(self.log_dwell_h)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FiringModel:
    """A network and the procedures that vote.

    Attributes:
        elements: Symbols that a target may hold.
        powders: Compositions of the common powders.
        network: Weights, as ``fit_conditions.fit`` returns them.
        places: (n, d) where the network places each procedure.
        reported: What each reports.
        factor: Stretches the interval.
    """

    elements: tuple[str, ...]
    powders: tuple[str, ...]
    network: Mapping[str, NDArray[Any]]
    places: Floats
    reported: Reported
    factor: float

    @property
    def procedures(self) -> int:
        """How many vote."""
        return len(self.places)

    def answer(self, inputs: Floats) -> list[Conditions]:
        """Conditions for each row of (n, inputs) descriptions with the step's name."""
        parts = range(0, len(inputs), _AT_ONCE)
        return [row for at in parts for row in self._some(inputs[at : at + _AT_ONCE])]

    def _some(self, inputs: Floats) -> list[Conditions]:
        votes = votes_of(placed(self.network, inputs), self.places)
        reported = self.reported
        low_c, middle_c, high_c = _quantiles(
            reported.temperature_c, reported.by_temperature, votes, _TAILS
        ).T
        log_dwell_h = _quantiles(reported.log_dwell_h, reported.by_dwell, votes, (0.5,))[:, 0]
        gases = _shares(reported.gas, votes, len(GAS_CLASSES))
        reground = _shares(reported.reground, votes, 2)[:, 1]
        below_c = self.factor * np.maximum(middle_c - low_c, NARROWEST_C)
        above_c = self.factor * np.maximum(high_c - middle_c, NARROWEST_C)
        return [
            Conditions(
                temperature_c=float(middle_c[i]),
                temperature_low_c=float(middle_c[i] - below_c[i]),
                temperature_high_c=float(middle_c[i] + above_c[i]),
                dwell_h=math.exp(log_dwell_h[i]),
                atmosphere_probabilities=dict(zip(GAS_CLASSES, gases[i].tolist(), strict=True)),
                regrinds=float(reground[i]),
            )
            for i in range(len(inputs))
        ]


def predict_conditions(
    target: str,
    precursors: Sequence[str],
    *,
    route: Route = CALCINATION,
    model: FiringModel | None = None,
) -> Conditions:
    """How the literature would fire a target from some powders.

    Args:
        target: Formula as a person types it.
        precursors: Formulas of the powders.
        route: What is decided already. A calcination makes the powder; a sintering also
            densifies it and is hotter. Of a gas that is told the answer is no news, nor is
            regrinding once it is told that no firing came before.
        model: What to ask; the project's own if not given.

    Raises:
        BadInput: If a formula is none, or the target holds an element not learnt from.
    """
    for name, value, known in (("step", route.step, STEPS), ("gas", route.gas, GAS_CLASSES)):
        if value is not None and value not in known:
            raise BadInput(f"{name} is {value!r}; it must be one of {', '.join(known)}")
    chosen = model or shipped_model()
    described = describe(shares_of(target), precursors, route, chosen.elements, chosen.powders)
    return chosen.answer(described[None])[0]


def loose_powder(atmosphere: Atmosphere) -> Route:
    """The route of this laboratory's first firing: loose powder in a crucible, in a gas."""
    gas = _GAS_CLASS.get(atmosphere)
    return Route(step="calcination", pressed=False, fired_before=False, gas=gas)


@cache
def shipped_model() -> FiringModel:
    """The project's own model."""
    return load_model(Path(str(files("planners.literature") / MODEL_FILE)))


def load_model(path: Path) -> FiringModel:
    """Read a model from a file.

    Raises:
        BadInput: If the file is missing or no such model.
    """
    stored = read_model(path)
    try:
        return FiringModel(
            elements=tuple(str(e) for e in stored["elements"]),
            powders=tuple(str(p) for p in stored["powders"]),
            network={n.removeprefix("network/"): a for n, a in stored.items() if "/" in n},
            places=stored["places"],
            reported=Reported(
                temperature_c=stored["temperature_c"],
                log_dwell_h=stored["log_dwell_h"],
                gas=stored["gas"],
                reground=stored["reground"],
            ),
            factor=float(stored["factor"]),
        )
    except KeyError as error:
        raise BadInput(f"{path} holds no {error}; it is no model of firings") from error


def save_model(model: FiringModel, path: Path) -> None:
    """Write a model to a file."""
    reported = model.reported
    write_model(
        path,
        {
            "elements": np.array(model.elements),
            "powders": np.array(model.powders),
            "places": model.places.astype(np.float32),
            "temperature_c": reported.temperature_c.astype(np.float32),
            "log_dwell_h": reported.log_dwell_h.astype(np.float32),
            "gas": reported.gas.astype(np.int8),
            "reground": reported.reground.astype(np.int8),
            "factor": np.array(model.factor),
            **{f"network/{name}": weights for name, weights in model.network.items()},
        },
    )


def placed(
    network: Mapping[str, Any],
    inputs: Any,
    *,
    xp: Any = np,
    drop: Callable[[int, Any], Any] = lambda _, hidden: hidden,
) -> Any:
    """Where a network places descriptions.

    Args:
        network: Weights.
        inputs: (n, inputs) descriptions.
        xp: numpy, or what stands in for it.
        drop: What happens to the hidden numbers of each layer while learning.

    Returns:
        (n, d) coordinates.
    """
    scaled = (inputs - network["centre"][None]) / network["spread"][None]
    scaled = xp.clip(scaled, -_FARTHEST, _FARTHEST)
    hidden = drop(0, _silu(scaled @ network["layer_0"] + network["bias_0"][None], xp))
    further = _silu(hidden @ network["layer_1"] + network["bias_1"][None], xp)
    return scaled @ network["straight"] + drop(1, hidden + further) @ network["layer_2"]


def distances(asked: Any, places: Any, *, xp: Any = np) -> Any:
    """Distances (m, n) of m places from n; never quite 0, where a root has no slope."""
    squares = (asked**2).sum(axis=1)[:, None] + (places**2).sum(axis=1)[None, :]
    return xp.sqrt(xp.maximum(squares - 2 * asked @ places.T, _LEAST_SQUARE))


def votes_of(asked: Floats, places: Floats) -> Floats:
    """Weights (m, n) of n procedures for m descriptions, by place; rows add up to 1."""
    apart = distances(asked, places)
    votes = np.exp(apart.min(axis=1, keepdims=True) - apart)
    return votes / votes.sum(axis=1, keepdims=True)


def _silu(x: Any, xp: Any) -> Any:
    return x * 0.5 * (1 + xp.tanh(0.5 * x))


def _order(values: Floats) -> Ints:
    known = np.flatnonzero(~np.isnan(values))
    return known[np.argsort(values[known], kind="stable")]


def _quantiles(values: Floats, order: Ints, votes: Floats, shares: Sequence[float]) -> Floats:
    """Weighted quantiles (m, shares) of the values that are given, by their order."""
    summed = np.cumsum(votes[:, order], axis=1)
    at = [(summed < share * summed[:, -1:]).sum(axis=1) for share in shares]
    return values[order][np.minimum(np.stack(at, axis=1), len(order) - 1)]


def _shares(classes: Ints, votes: Floats, count: int) -> Floats:
    """Shares (m, count) of the votes for each class."""
    sums = np.stack([votes[:, classes == one].sum(axis=1) for one in range(count)], axis=1)
    return sums / sums.sum(axis=1, keepdims=True)
