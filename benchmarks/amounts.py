"""Amounts of phases that are known to be there, ours and the peer's, against the balance."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from rich.console import Console
from rich.table import Table

from alab.models import PhaseAmount
from analysis.diffraction.analyze import quantify
from benchmarks.figures import Figure
from benchmarks.measured import (
    ROUND_ROBIN_MONOCHROMATOR_DEG,
    ROUND_ROBIN_RADIUS_MM,
    Sample,
    attempted,
)

BENCHTOP_RADIUS_MM = 145.0
WORSE_IN_2_MIN_WT = 0.3
"""How much worse than the 8-minute scans the 2-minute scans may be."""

_SIGMAS_90 = 1.645
_NOT_STATED = (0.0, 1.0)
"""An interval that says nothing must not count as one that covers: the deviation is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """One phase of one sample, in weight percent of the crystalline part.

    Attributes:
        sample: Name of the sample.
        kind: Figure that it counts in.
        formula: The phase; its polymorphs count together.
        weighed: By the balance.
        found: By this engine; 0 where it failed.
        low: Lower end of its 90 % interval.
        high: Upper end.
        peer: By the peer; None where it failed or was not asked.
    """

    sample: str
    kind: str
    formula: str
    weighed: float
    found: float
    low: float
    high: float
    peer: float | None = None

    @property
    def error(self) -> float:
        """Found minus weighed."""
        return self.found - self.weighed

    @property
    def covered(self) -> bool:
        """Whether the interval holds what was weighed."""
        return self.low <= self.weighed <= self.high


def interval90(phases: Sequence[PhaseAmount]) -> tuple[float, float, float]:
    """Amount of phases together with the ends of its 90 % interval, in weight percent.

    Half widths of several polymorphs add in quadrature.
    """
    total = sum(phase.weight_fraction for phase in phases)
    below = above = 0.0
    for phase in phases:
        low, high = _ends(phase)
        below += (phase.weight_fraction - low) ** 2
        above += (high - phase.weight_fraction) ** 2
    low, high = max(total - below**0.5, 0.0), min(total + above**0.5, 1.0)
    return 100 * total, 100 * low, 100 * high


def _ends(phase: PhaseAmount) -> tuple[float, float]:
    if phase.interval90 != _NOT_STATED:
        return phase.interval90
    half = _SIGMAS_90 * phase.weight_fraction_esd
    return max(phase.weight_fraction - half, 0.0), min(phase.weight_fraction + half, 1.0)


def measure(samples: Sequence[Sample]) -> tuple[list[Amount], list[str]]:
    """Amounts of the phases of each weighed sample, and what failed in words."""
    amounts: list[Amount] = []
    failures: list[str] = []
    for sample in samples:
        found = attempted(sample.name, lambda sample=sample: _phases(sample))
        if isinstance(found, str):
            failures.append(found)
            found = ()
        for part in sample.parts:
            if part.weight_percent is None:
                continue
            mine = [phase for phase in found if part.is_formula(phase.formula)]
            total, low, high = interval90(mine)
            amounts.append(
                Amount(
                    sample=sample.name,
                    kind=sample.kind,
                    formula=part.formula,
                    weighed=part.weight_percent,
                    found=total,
                    low=low,
                    high=high,
                )
            )
    return amounts, failures


def _phases(sample: Sample) -> tuple[PhaseAmount, ...]:
    pattern, instrument = sample.read()
    return quantify(pattern, sample.cifs(), instrument=instrument).outcome.phases


def with_peer(
    amounts: Sequence[Amount], samples: Sequence[Sample]
) -> tuple[list[Amount], list[str]]:
    """The amounts with rietx's beside them, and where rietx failed in words."""
    from benchmarks.rietx_peer import weight_fractions

    peer: dict[tuple[str, str], float] = {}
    failures: list[str] = []
    for sample in samples:
        robin = sample.is_round_robin
        shares = attempted(
            f"rietx, {sample.name}",
            lambda sample=sample, robin=robin: weight_fractions(
                sample.path,
                sample.cifs(),
                radius_mm=ROUND_ROBIN_RADIUS_MM if robin else BENCHTOP_RADIUS_MM,
                monochromator_deg=ROUND_ROBIN_MONOCHROMATOR_DEG if robin else None,
            ),
        )
        if isinstance(shares, str):
            failures.append(shares)
            continue
        rest = iter(shares)
        for part in sample.parts:
            share = sum(next(rest) for _ in part.cifs)
            peer[sample.name, part.formula] = 100 * share
    beside = [replace(a, peer=peer.get((a.sample, a.formula))) for a in amounts]
    return beside, failures


def errors(amounts: Sequence[Amount], kind: str) -> np.ndarray:
    """Absolute errors of one kind in weight percent, shape (n,)."""
    return np.array([abs(a.error) for a in amounts if a.kind == kind])


def figures(amounts: Sequence[Amount]) -> dict[str, Figure]:
    """The figures of amounts; those without data are left out."""
    made: dict[str, Figure] = {}
    goals = (
        ("cpd1_mae_wt", "cpd1", np.mean, 0.45, "published 0.58 on a–h"),
        ("cpd1_rms_wt", "cpd1", _rms, 0.55, "published 0.69 on a–h"),
        ("cpd1_max_wt", "cpd1", np.max, 1.2, "published 1.37 on a–h"),
        ("mixtures8_mae_wt", "mixtures8", np.mean, 2.3, "published 2.91 on 20 mixtures"),
        ("mixtures8_median_wt", "mixtures8", np.median, 1.3, "published 1.65 on 20 mixtures"),
        ("mixtures2_mae_wt", "mixtures2", np.mean, 2.6, "no published figure"),
    )
    for name, kind, statistic, goal, published in goals:
        ours = errors(amounts, kind)
        if not len(ours):
            continue
        theirs = [
            abs(a.peer - a.weighed) for a in amounts if a.kind == kind and a.peer is not None
        ]
        here = f"{float(statistic(np.array(theirs))):.2f} in this run" if theirs else "not run"
        made[name] = Figure(
            value=float(statistic(ours)),
            unit="wt %",
            goal=goal,
            better="lower",
            peer=f"rietx {here}; {published}",
        )
    if {"mixtures2_mae_wt", "mixtures8_mae_wt"} <= made.keys():
        longer = made["mixtures8_mae_wt"].value or 0.0
        made["mixtures2_mae_wt"] = replace(
            made["mixtures2_mae_wt"], goal=round(longer + WORSE_IN_2_MIN_WT, 3)
        )
    covered = [a.covered for a in amounts if a.kind in ("mixtures8", "mixtures2")]
    if covered:
        made["interval90_coverage"] = Figure(
            value=float(np.mean(covered)),
            unit="of amounts",
            goal=0.85,
            better="higher",
            peer=f"honest: 0.85 to 0.95; {len(covered)} amounts",
        )
    return made


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def show_amounts(amounts: Sequence[Amount], kind: str) -> None:
    """Print each amount of a kind beside the peer's."""
    table = Table(title=f"Amounts, phases given: {kind}", title_justify="left")
    for heading in ("Sample", "Phase", "Weighed", "Found", "90 %", "Error", "rietx", "Better"):
        table.add_column(heading)
    last = ""
    for a in (a for a in amounts if a.kind == kind):
        peer = None if a.peer is None else a.peer - a.weighed
        better = "–" if peer is None else "ours" if abs(a.error) <= abs(peer) else "rietx"
        table.add_row(
            "" if a.sample == last else a.sample,
            a.formula,
            f"{a.weighed:.2f}",
            f"{a.found:.2f}",
            f"{a.low:.1f}–{a.high:.1f}{'' if a.covered else ' ✗'}",
            f"{a.error:+.2f}",
            "–" if peer is None else f"{peer:+.2f}",
            better,
        )
        last = a.sample
    Console(width=150).print(table)
