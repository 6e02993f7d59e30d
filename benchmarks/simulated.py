"""How the analysis does on simulated mixtures, in all and by hazard."""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from alab.models import Outcome, PhaseAmount
from analysis.diffraction.analyze import analyze
from analysis.diffraction.library import STRUCTURES, same_formula
from analysis.diffraction.pattern import Pattern
from benchmarks.figures import Figure
from benchmarks.measured import attempted, space_group_number
from benchmarks.mixture_patterns import patterns
from benchmarks.mixtures import TRACE_WEIGHT, Grown, Mixture, cif_of, draw_mixtures

SIMULATED = 200
_Z_95 = 1.96
_UNKNOWN_WORDS = ("unknown peak", "no known phase")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What was said about one simulated mixture.

    Attributes:
        mixture: What it was.
        found: Stems or formulas of the phases found.
        wrong: How many of them are not in it.
        missed: Shares of the visible phases that were not found, 0 to 1.
        errors_wt: Absolute error of each visible and each wrong phase, of the visible part.
        flagged: Whether unknown peaks were told of.
        seconds: Wall time of the analysis.
        failure: Why there is no answer, empty if there is one.
    """

    mixture: Mixture
    found: tuple[str, ...] = ()
    wrong: int = 0
    missed: tuple[float, ...] = ()
    errors_wt: tuple[float, ...] = ()
    flagged: bool = False
    seconds: float = 0.0
    failure: str = ""

    @property
    def exact(self) -> bool:
        """Whether all visible phases were found and no other."""
        return not (self.failure or self.wrong or self.missed)

    @property
    def exact_above_trace(self) -> bool:
        """The same, where phases below 2 wt % may be missed."""
        return not (self.failure or self.wrong) and all(w < TRACE_WEIGHT for w in self.missed)


def score_mixtures(count: int, seed: int) -> list[Scored]:
    """Make and analyse the first mixtures of a series."""
    with tempfile.TemporaryDirectory() as folder:
        return [
            _scored(mixture, pattern, Path(folder))
            for mixture, pattern in patterns(draw_mixtures(count, seed))
        ]


def _scored(mixture: Mixture, pattern: Pattern | str, folder: Path) -> Scored:
    if isinstance(pattern, str):
        return Scored(mixture=mixture, failure=pattern)
    began = time.perf_counter()
    outcome = attempted(f"mixture {mixture.number}", lambda: _outcome(mixture, pattern, folder))
    seconds = time.perf_counter() - began
    if isinstance(outcome, str):
        # As if nothing had been found.
        weights = [phase.weight for phase in mixture.visible]
        return Scored(
            mixture=mixture,
            missed=tuple(weights),
            errors_wt=tuple(100 * weight / sum(weights) for weight in weights),
            seconds=seconds,
            failure=outcome,
        )
    return compared(mixture, outcome, seconds)


def _outcome(mixture: Mixture, pattern: Pattern, folder: Path) -> Outcome:
    pool = None
    if mixture.hidden is not None:
        pool = folder / str(mixture.number)
        pool.mkdir()
        for reference in mixture.candidates():
            (pool / f"{reference.stem}.cif").symlink_to(cif_of(reference))
    return analyze(
        pattern,
        elements=sorted(mixture.elements),
        sources=pool or STRUCTURES,
        particle_diameter_um=0.0,  # the engines that made the patterns know no microabsorption
        cache_dir=folder,
    ).outcome


def compared(mixture: Mixture, outcome: Outcome, seconds: float = 0.0) -> Scored:
    """What an outcome says beside what the mixture was."""
    visible = mixture.visible
    total = sum(phase.weight for phase in visible)
    errors: list[float] = []
    missed: list[float] = []
    for phase in visible:
        mine = [found for found in outcome.phases if _same(found, phase)]
        share = sum(found.weight_fraction for found in mine)
        errors.append(100 * abs(share - phase.weight / total))
        if not mine:
            missed.append(phase.weight)
    wrong = [f for f in outcome.phases if not any(_same(f, phase) for phase in visible)]
    errors += [100 * found.weight_fraction for found in wrong]
    told = " ".join(outcome.reasons).lower()
    return Scored(
        mixture=mixture,
        found=tuple(found.reference for found in outcome.phases),
        wrong=len(wrong),
        missed=tuple(missed),
        errors_wt=tuple(errors),
        flagged=any(words in told for words in _UNKNOWN_WORDS),
        seconds=seconds,
    )


def _same(found: PhaseAmount, phase: Grown) -> bool:
    if found.reference == phase.reference.stem:
        return True
    number = space_group_number(found.space_group)
    same_group = number == phase.reference.number
    return same_group and same_formula(found.formula, phase.reference.formula)


def figures(scored: Sequence[Scored]) -> dict[str, Figure]:
    """The figures of simulated mixtures; their goals are our own."""
    count = len(scored)
    hidden = [one for one in scored if one.mixture.hidden is not None]
    alarms = [one for one in scored if one.mixture.hidden is None]
    above = share_of(scored, lambda one: one.exact_above_trace)
    false = false_discoveries(scored)
    made = {
        "simulated_exact_rate": Figure(
            value=share_of(scored, lambda one: one.exact)[0],
            unit="share",
            goal=0.7,
            better="higher",
            peer=f"no peer; {count} patterns; {above[0]:.2f} without phases below 2 wt %",
        ),
        "simulated_mae_wt": Figure(
            value=mean_error(scored)[0],
            unit="wt %",
            goal=3.0,
            better="lower",
            peer=f"no peer; ± {mean_error(scored)[1]:.1f}; false discoveries {false:.3f}",
        ),
    }
    if hidden:
        told = share_of(hidden, lambda one: one.flagged)
        alarm = share_of(alarms, lambda one: one.flagged)[0] if alarms else float("nan")
        made["unknown_recall"] = Figure(
            value=told[0],
            unit="share",
            goal=0.9,
            better="higher",
            peer=f"no peer; {len(hidden)} patterns; false alarms {alarm:.2f} of {len(alarms)}",
        )
    return made


def share_of(
    scored: Sequence[Scored], true: Callable[[Scored], bool]
) -> tuple[float, float, float]:
    """Share for which something is true, and its 95 % interval (Wilson, 1927)."""
    n = len(scored)
    if not n:
        return float("nan"), 0.0, 1.0
    p = sum(true(one) for one in scored) / n
    middle = (p + _Z_95**2 / (2 * n)) / (1 + _Z_95**2 / n)
    half = _Z_95 * (p * (1 - p) / n + _Z_95**2 / (4 * n**2)) ** 0.5 / (1 + _Z_95**2 / n)
    return p, max(middle - half, 0.0), min(middle + half, 1.0)


def mean_error(scored: Sequence[Scored]) -> tuple[float, float]:
    """Mean absolute error in weight percent, and half of its 95 % interval.

    The interval is over mixtures, whose errors are independent; those of one are not.
    """
    errors = [error for one in scored for error in one.errors_wt]
    each = [float(np.mean(one.errors_wt)) for one in scored if one.errors_wt]
    if not errors:
        return float("nan"), float("nan")
    spread = float(np.std(each, ddof=1)) / len(each) ** 0.5 if len(each) > 1 else float("nan")
    return float(np.mean(errors)), _Z_95 * spread


def false_discoveries(scored: Sequence[Scored]) -> float:
    """Wrong phases over all phases found; 0 if none was found."""
    found = sum(len(one.found) for one in scored)
    return sum(one.wrong for one in scored) / found if found else 0.0


def show_hazards(scored: Sequence[Scored]) -> None:
    """Print the scores by hazard, with 95 % intervals."""
    seconds = float(np.median([one.seconds for one in scored]))
    table = Table(
        title=f"Simulated mixtures by hazard; {seconds:.2f} s a pattern (median)",
        title_justify="left",
    )
    for heading in ("Hazard", "Patterns", "Exact", "Error wt %", "False", "Unknown told"):
        table.add_column(heading)
    names = sorted({name for one in scored for name in one.mixture.hazards})
    for name in ["all", *names]:
        some = [one for one in scored if name == "all" or name in one.mixture.hazards]
        exact, error = share_of(some, lambda one: one.exact), mean_error(some)
        hidden = [one for one in some if one.mixture.hidden is not None]
        told = share_of(hidden, lambda one: one.flagged)
        table.add_row(
            name,
            str(len(some)),
            f"{exact[0]:.2f} ({exact[1]:.2f}–{exact[2]:.2f})",
            f"{error[0]:.1f} ± {error[1]:.1f}",
            f"{false_discoveries(some):.3f}",
            f"{told[0]:.2f} ({told[1]:.2f}–{told[2]:.2f})" if hidden else "–",
        )
    Console(width=120).print(table)
    failed = Counter(one.failure.partition(": ")[2] for one in scored if one.failure)
    for failure, times in failed.items():
        print(f"{times} × {failure}")


def show_each(scored: Sequence[Scored]) -> None:
    """Print one line for each mixture."""
    for one in scored:
        held = ", ".join(
            f"{phase.reference.stem} {100 * phase.weight:.1f}"
            + (" hidden" if index == one.mixture.hidden else "")
            for index, phase in enumerate(one.mixture.phases)
        )
        verdict = one.failure or ("exact" if one.exact else f"found {', '.join(one.found)}")
        print(f"{one.mixture.number}: {held} → {verdict}{'; unknown' if one.flagged else ''}")
