"""What an analysis gives: phases with amounts, every refined parameter, and the curves."""

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from alab.models import Outcome, PhaseAmount, Verdict
from analysis.diffraction.arrays import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One refined number.

    Attributes:
        name: What it is, in words.
        value: Its value.
        esd: One standard deviation; 0 where it was held.
        unit: Unit of both, empty for a pure number.
    """

    name: str
    value: float
    esd: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One independent atom of a refined phase.

    Attributes:
        label: Element and a number.
        element: Symbol.
        position: Fractional coordinates, as in the reference structure.
        multiplicity: How many of it are in the cell.
        occupancy: Share of its place that it takes.
        b_iso_ang2: Displacement factor B of the reference, with what was refined beyond it.
    """

    label: str
    element: str
    position: tuple[float, float, float]
    multiplicity: int
    occupancy: float
    b_iso_ang2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """One identified phase in the pattern.

    Attributes:
        reference: Stem of its reference structure.
        formula: Its formula.
        counts: What it contributes at each point of the analysis, shape (n,).
        ticks_deg: 2θ of its strongest lines for Kα₁, rising.
        cell: Refined a, b, c in ångström and angles in degrees.
        strain_percent: Mean change of d-spacings from the reference structure.
        size_nm: Apparent crystallite size from the Lorentzian width; None above 300 nm.
        density_g_per_cm3: X-ray density.
        parameters: Everything refined for this phase.
        cell_esds: One standard deviation of each of ``cell``; 0 where symmetry fixes it. Made
            of those of the strains as if these were independent.
        space_group: International symbol in the setting of the operations.
        number: Number of the space group.
        operations: Symmetry operations, as ``x,y,z``.
        sites: The independent atoms.
    """

    reference: str
    formula: str
    counts: Array
    ticks_deg: tuple[float, ...]
    cell: tuple[float, ...]
    strain_percent: float
    size_nm: float | None
    density_g_per_cm3: float
    parameters: tuple[Parameter, ...] = ()
    cell_esds: tuple[float, ...] = (0.0,) * 6
    space_group: str = ""
    number: int = 0
    operations: tuple[str, ...] = ()
    sites: tuple[Site, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """A pattern with its refinement; all arrays have the same length n.

    Attributes:
        outcome: Phases, figures of merit and verdict.
        two_theta_deg: Even axis; the measured points, binned.
        observed: Counts; a straight line where nothing was measured.
        calculated: Refined pattern.
        background: Its smooth part.
        contributions: One for each phase, in the order of ``outcome.phases``.
        displacement_mm: Refined displacement of the sample.
        sample: Name the instrument gave the sample.
        origin: File the pattern came from.
        candidates: How many reference structures were compared.
        parameters: What was refined for all phases together.
        unexplained_two_theta_deg: Where the strongest peaks of unknown phases stand.
        traces: Phases that may be there too, too weak to be sure of, in words.
    """

    outcome: Outcome
    two_theta_deg: Array
    observed: Array
    calculated: Array
    background: Array
    contributions: tuple[Contribution, ...]
    displacement_mm: float
    sample: str
    origin: str
    candidates: int
    parameters: tuple[Parameter, ...] = ()
    unexplained_two_theta_deg: tuple[float, ...] = ()
    traces: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Everything as compact JSON.

        All numbers are written in full but those of the curves: counts to one digit after the
        point, the axis to 1e-6 degrees. What :meth:`from_json` reads writes the same again.
        """
        step = (self.two_theta_deg[-1] - self.two_theta_deg[0]) / (len(self.observed) - 1)
        return json.dumps(
            {
                "outcome": asdict(self.outcome),
                "start_two_theta_deg": round(float(self.two_theta_deg[0]), 6),
                "step_two_theta_deg": round(float(step), 9),
                "observed": _rounded(self.observed),
                "calculated": _rounded(self.calculated),
                "background": _rounded(self.background),
                "contributions": [
                    asdict(part) | {"counts": _rounded(part.counts)}
                    for part in self.contributions
                ],
                "displacement_mm": self.displacement_mm,
                "sample": self.sample,
                "origin": self.origin,
                "candidates": self.candidates,
                "parameters": [asdict(parameter) for parameter in self.parameters],
                "unexplained_two_theta_deg": list(self.unexplained_two_theta_deg),
                "traces": list(self.traces),
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> "Analysis":
        """Read what :meth:`to_json` wrote."""
        table: dict[str, Any] = json.loads(text)
        observed = np.array(table["observed"], dtype=float)
        axis = table["start_two_theta_deg"] + table["step_two_theta_deg"] * np.arange(
            len(observed)
        )
        return cls(
            outcome=_outcome(table["outcome"]),
            two_theta_deg=axis,
            observed=observed,
            calculated=np.array(table["calculated"], dtype=float),
            background=np.array(table["background"], dtype=float),
            contributions=tuple(_contribution(part) for part in table["contributions"]),
            displacement_mm=table["displacement_mm"],
            sample=table["sample"],
            origin=table["origin"],
            candidates=table["candidates"],
            parameters=_parameters(table),
            unexplained_two_theta_deg=tuple(table.get("unexplained_two_theta_deg", ())),
            traces=tuple(table.get("traces", ())),
        )


def _rounded(values: Array) -> list[float]:
    return [float(value) for value in np.round(values, 1)]


def _parameters(table: dict[str, Any]) -> tuple[Parameter, ...]:
    return tuple(Parameter(**parameter) for parameter in table.get("parameters", ()))


def _contribution(table: dict[str, Any]) -> Contribution:
    return Contribution(
        **table
        | {
            "counts": np.array(table["counts"], dtype=float),
            "ticks_deg": tuple(table["ticks_deg"]),
            "cell": tuple(table["cell"]),
            "parameters": _parameters(table),
            "cell_esds": tuple(table.get("cell_esds", (0.0,) * 6)),
            "operations": tuple(table.get("operations", ())),
            "sites": tuple(
                Site(**site | {"position": tuple(site["position"])})
                for site in table.get("sites", ())
            ),
        }
    )


def _outcome(table: dict[str, Any]) -> Outcome:
    phases = tuple(
        PhaseAmount(**phase | {"interval90": tuple(phase.get("interval90", (0.0, 1.0)))})
        for phase in table["phases"]
    )
    return Outcome(
        **table
        | {
            "verdict": Verdict(table["verdict"]),
            "phases": phases,
            "competing": tuple(table["competing"]),
            "reasons": tuple(table["reasons"]),
        }
    )
