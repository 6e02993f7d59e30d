"""From a pattern and a list of elements to phases, amounts and a verdict."""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from alab.errors import BadInput
from alab.models import Outcome, PhaseAmount, Verdict
from analysis.diffraction.arrays import Array
from analysis.diffraction.crystal import read_crystal
from analysis.diffraction.library import (
    Reference,
    elements_of,
    reference_of,
    references,
    same_formula,
)
from analysis.diffraction.pattern import CU_KALPHA1_ANG, Pattern
from analysis.diffraction.profile import Instrument
from analysis.diffraction.refine import (
    SLOTS,
    Measured,
    background_of,
    baseline,
    prepare,
    profiles,
    r_wp_percent as weighted_residual,
    refine,
    start,
)
from analysis.diffraction.reflections import STRAINS, Lines, lines_of
from analysis.diffraction.search import Found, search
from analysis.diffraction.verdict import Evidence, judge

EXTRA_ELEMENTS = ("O", "C", "H")
"""Elements that air brings into any sample."""
SYSTEMATIC_FRACTION = 0.01
SYSTEMATIC_SPREAD = 0.14
"""Systematic standard deviation of a weight fraction w: 0.01 + 0.14 w (1 − w), from the
differences to weighed-in mixtures; microabsorption and texture make it, not counting."""

_RANGE_STEP_DEG = 10.0
_KALPHA_RATIO = 1.5444274 / CU_KALPHA1_ANG
_UNKNOWN_SIGMAS = 4.0
_TICKS = 120


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
    """

    reference: str
    formula: str
    counts: Array
    ticks_deg: tuple[float, ...]
    cell: tuple[float, ...]
    strain_percent: float
    size_nm: float | None
    density_g_per_cm3: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """A pattern with its refinement; all arrays have the same length n.

    Attributes:
        outcome: Phases, figures of merit and verdict.
        two_theta_deg: Even axis; the measured points, binned.
        observed: Counts.
        calculated: Refined pattern.
        background: Its smooth part.
        contributions: One for each phase, in the order of ``outcome.phases``.
        displacement_mm: Refined displacement of the sample.
        sample: Name the instrument gave the sample.
        origin: File the pattern came from.
        candidates: How many reference structures were compared.
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

    def to_json(self) -> str:
        """Everything as compact JSON; counts to one digit after the point."""
        step = (self.two_theta_deg[-1] - self.two_theta_deg[0]) / (len(self.observed) - 1)
        return json.dumps(
            {
                "outcome": asdict(self.outcome),
                "start_two_theta_deg": float(self.two_theta_deg[0]),
                "step_two_theta_deg": float(step),
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
            contributions=tuple(
                Contribution(
                    **part
                    | {
                        "counts": np.array(part["counts"], dtype=float),
                        "ticks_deg": tuple(part["ticks_deg"]),
                        "cell": tuple(part["cell"]),
                    }
                )
                for part in table["contributions"]
            ),
            displacement_mm=table["displacement_mm"],
            sample=table["sample"],
            origin=table["origin"],
            candidates=table["candidates"],
        )


def _rounded(values: Array) -> list[float]:
    return [float(value) for value in np.round(values, 1)]


def _outcome(table: dict[str, Any]) -> Outcome:
    return Outcome(
        **table
        | {
            "verdict": Verdict(table["verdict"]),
            "phases": tuple(PhaseAmount(**phase) for phase in table["phases"]),
            "competing": tuple(table["competing"]),
            "reasons": tuple(table["reasons"]),
        }
    )


def analyze(
    pattern: Pattern,
    *,
    elements: Collection[str],
    target: str | None = None,
    cif_dir: Path | None = None,
    extra_elements: Collection[str] = EXTRA_ELEMENTS,
    instrument: Instrument | None = None,
    cache_dir: Path | None = None,
) -> Analysis:
    """Find the phases of a pattern, their amounts, and what that says of the target.

    Args:
        pattern: What was measured.
        elements: Elements the sample may hold.
        target: Formula that was to be made.
        cif_dir: Folder of reference CIFs to use instead of the embedded ones.
        extra_elements: Elements that may have come in besides.
        instrument: The diffractometer; by default one with Cu Kα₁ and Kα₂, without
            monochromator, of the radius that the file states or 145 mm.
        cache_dir: Where to keep computed reflections between runs.

    Raises:
        BadInput: If an element or the target is none, a CIF cannot be read, or there is no
            reference structure of these elements.
    """
    allowed = {*elements, *extra_elements}
    if target is not None:
        allowed |= elements_of(target)
    known = references(allowed, cif_dir)
    if not known:
        raise BadInput(
            f"no reference structure holds only {', '.join(sorted(allowed))}; name more "
            "elements or a folder with CIFs"
        )
    instrument = instrument or _instrument(pattern)
    measured = prepare(pattern, instrument)
    candidates = [_lines(reference, measured, cache_dir) for reference in known]
    wanted = tuple(
        i for i, ref in enumerate(known) if target and same_formula(ref.formula, target)
    )
    found = search(measured, candidates, wanted)
    return _report(pattern, measured, known, found, target, wanted)


def quantify(
    pattern: Pattern, cifs: Sequence[Path], *, instrument: Instrument | None = None
) -> Analysis:
    """Amounts of phases that are known to be there.

    Args:
        pattern: What was measured.
        cifs: The structure of each phase.
        instrument: The diffractometer, as in :func:`analyze`.

    Raises:
        BadInput: If a CIF cannot be read, or none or too many are given.
    """
    if not 1 <= len(cifs) <= SLOTS:
        raise BadInput(f"{len(cifs)} phases were given; 1 to {SLOTS} can be refined together")
    known = [reference_of(cif) for cif in cifs]
    measured = prepare(pattern, instrument or _instrument(pattern))
    lines = [_lines(reference, measured, None) for reference in known]
    fit = refine(measured, start(measured, lines), 30)
    found = Found(fit=fit, members=tuple(range(len(known))), rivals=())
    return _report(pattern, measured, known, found, None, ())


def _instrument(pattern: Pattern) -> Instrument:
    return Instrument(
        wavelength1_ang=pattern.wavelength_ang,
        wavelength2_ang=pattern.wavelength_ang * _KALPHA_RATIO,
        radius_mm=pattern.radius_mm or Instrument().radius_mm,
    )


def _lines(reference: Reference, measured: Measured, cache_dir: Path | None) -> Lines:
    # Rounded up, so that patterns of one instrument share what was computed.
    end = measured.two_theta_deg[-1] + 1.0
    highest = min(np.ceil(end / _RANGE_STEP_DEG) * _RANGE_STEP_DEG, 170.0)
    stamp = reference.path.stat().st_mtime_ns
    wavelength = round(measured.instrument.wavelength1_ang, 6)
    return _cached_lines(reference, stamp, wavelength, float(highest), cache_dir)


@lru_cache(maxsize=1024)
def _cached_lines(
    reference: Reference,
    stamp: int,  # noqa: ARG001 - part of the key: a changed file is read again
    wavelength_ang: float,
    highest_deg: float,
    cache_dir: Path | None,
) -> Lines:
    return lines_of(
        read_crystal(reference.path, reference.formula),
        wavelength_ang=wavelength_ang,
        max_two_theta_deg=highest_deg,
        cache_dir=cache_dir,
    )


def _report(
    pattern: Pattern,
    measured: Measured,
    known: list[Reference],
    found: Found,
    target: str | None,
    wanted: tuple[int, ...],
) -> Analysis:
    fit = found.fit
    parts = profiles(measured, fit)
    background = background_of(measured, fit)
    calculated = parts.sum(0) + background
    phases, order = _amounts(known, found, target)
    unexplained, places = _unexplained(measured, calculated, background)
    evidence = Evidence(
        phases=phases,
        r_wp_percent=weighted_residual(measured, calculated),
        misfit=_misfit(measured, calculated, background),
        unexplained_fraction=unexplained,
        unexplained_two_theta_deg=places,
        amorphous_suspected=_has_hump(measured, calculated, background),
        signal=_signal(measured),
        target_known=bool(wanted),
        competing=tuple(
            f"{known[rival].stem} explains the peaks of {known[found.members[i]].stem} nearly "
            "as well"
            for i, rival in found.rivals
        ),
        target_has_rival=any(
            found.members[i] in wanted and rival not in wanted for i, rival in found.rivals
        ),
        assumptions=_assumptions(pattern, [known[m] for m in found.members]),
    )
    return Analysis(
        outcome=judge(evidence, target),
        two_theta_deg=measured.two_theta_deg,
        observed=measured.counts[: measured.used],
        calculated=calculated,
        background=background,
        contributions=tuple(
            _contribution(measured, known[found.members[i]], found, i, parts[i]) for i in order
        ),
        displacement_mm=float(fit.shared[0]),
        sample=pattern.sample,
        origin=pattern.origin,
        candidates=len(known),
    )


def _assumptions(pattern: Pattern, present: list[Reference]) -> tuple[str, ...]:
    told: list[str] = []
    if not pattern.wavelength_stated:
        told.append("The file states no wavelength: Cu Kα was assumed.")
    if rough := [reference.stem for reference in present if not reference.measured]:
        told.append(
            f"The atoms of {', '.join(rough)} were placed by bond valence in the published "
            "cell: amounts are rough."
        )
    return tuple(told)


def _amounts(
    known: list[Reference], found: Found, target: str | None
) -> tuple[tuple[PhaseAmount, ...], list[int]]:
    """Weight fractions with standard deviations, largest first, and their order.

    A phase found alone keeps the systematic part: what lies below the detection limit.
    """
    amounts, covariance = found.fit.amounts, found.fit.amounts_covariance
    total = float(amounts.sum())
    if total <= 0:
        return (), []
    fractions = amounts / total
    slope = (np.eye(len(amounts)) - fractions[:, None]) / total
    statistical = np.sqrt(np.maximum(np.diag(slope @ covariance @ slope.T), 0.0))
    systematic = SYSTEMATIC_FRACTION + SYSTEMATIC_SPREAD * fractions * (1 - fractions)
    order = [int(i) for i in np.argsort(-fractions, kind="stable") if fractions[i] > 0]
    phases = []
    for i in order:
        reference = known[found.members[i]]
        is_target = target is not None and same_formula(reference.formula, target)
        phases.append(
            PhaseAmount(
                formula=target if target is not None and is_target else reference.formula,
                reference=reference.stem,
                space_group=reference.space_group,
                weight_fraction=float(fractions[i]),
                weight_fraction_esd=float(np.hypot(statistical[i], systematic[i])),
            )
        )
    return tuple(phases), order


def _net_spread(measured: Measured) -> Array:
    return 1 / np.sqrt(measured.weights[: measured.used])


def _misfit(measured: Measured, calculated: Array, background: Array) -> float:
    counts, weights = measured.counts[: measured.used], 1 / measured.variance[: measured.used]
    net = np.sum(weights * (counts - background) ** 2)
    return float(np.sqrt(np.sum(weights * (counts - calculated) ** 2) / max(net, 1e-9)))


def _unexplained(
    measured: Measured, calculated: Array, background: Array
) -> tuple[float, tuple[float, ...]]:
    """Share of net counts in peaks that stand out of the residual, and the strongest places.

    The residual is averaged over about a line width; a point counts where that average lies
    ``_UNKNOWN_SIGMAS`` above what counting and a tolerable profile error explain.
    """
    counts = measured.counts[: measured.used]
    width = max(1, round(0.12 / measured.grid.step_deg))
    kernel = np.ones(width) / width
    residual = np.convolve(counts - calculated, kernel, mode="same")
    variance = measured.variance[: measured.used]
    bragg = np.maximum(calculated - background, 0.0)
    near = np.convolve(bragg, np.ones(2 * width + 1) / (2 * width + 1), mode="same")
    spread = np.sqrt(np.convolve(variance, kernel, mode="same") / width + (0.12 * near) ** 2)
    outstanding = np.where(residual > _UNKNOWN_SIGMAS * spread, residual, 0.0)
    outstanding = np.where(residual > 0.03 * near, outstanding, 0.0)
    stripped = counts - np.minimum(
        baseline(counts, round(1.5 / measured.grid.step_deg)), counts
    )
    net = max(float(bragg.sum()), float(stripped.sum()) * 0.5, 1e-9) + outstanding.sum()
    places: list[float] = []
    rest = outstanding.copy()
    for _ in range(5):
        top = int(np.argmax(rest))
        if rest[top] <= 0:
            break
        places.append(float(measured.two_theta_deg[top]))
        rest[max(0, top - 6 * width) : top + 6 * width + 1] = 0.0
    return float(outstanding.sum() / net), tuple(sorted(places))


def _signal(measured: Measured) -> float:
    """How far the strongest peak stands out of the counting noise, in standard deviations."""
    counts = measured.counts[: measured.used]
    stripped = baseline(counts, round(1.5 / measured.grid.step_deg))
    kernel = np.ones(3)
    net = np.convolve(counts - stripped, kernel, mode="valid")
    spread = np.sqrt(np.convolve(measured.variance[: measured.used], kernel, mode="valid"))
    excess = net / spread
    return float(np.max(excess) - 2 * np.median(excess))


def _has_hump(measured: Measured, calculated: Array, background: Array) -> bool:
    """Whether the background rises above its own lower hull as glass makes it."""
    angle = measured.two_theta_deg
    inner = (angle > angle[0] + 3) & (angle < angle[-1] - 3)
    hull = _lower_hull(angle[inner], background[inner])
    area = np.sum(np.maximum(background[inner] - hull, 0.0))
    bragg = np.sum(np.maximum(calculated - background, 0.0))
    height = np.max(background[inner] - hull) / max(float(np.median(background[inner])), 1e-9)
    return bool(area > 0.6 * bragg and height > 0.35)


def _lower_hull(x: Array, y: Array) -> Array:
    hull: list[int] = []
    for i in range(len(x)):
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            if (y[b] - y[a]) * (x[i] - x[a]) < (y[i] - y[a]) * (x[b] - x[a]):
                break
            hull.pop()
        hull.append(i)
    return np.interp(x, x[hull], y[hull])


def _contribution(
    measured: Measured, reference: Reference, found: Found, index: int, counts: Array
) -> Contribution:
    fit, lines = found.fit, found.fit.lines[index]
    parameters = fit.phases[index]
    wavelength = measured.instrument.wavelength1_ang
    inverse_d2 = lines.inverse_d2 + lines.strain @ parameters[:STRAINS]
    sin = np.clip(np.sqrt(np.maximum(inverse_d2, 0)) * wavelength / 2, 0, 1)
    theta = np.arcsin(sin)
    shift = 2 * fit.shared[0] * np.cos(theta) / measured.instrument.radius_mm
    ticks = np.degrees(2 * theta - shift)
    strength = lines.intensity / np.maximum(sin**2, 1e-6)
    strongest = np.sort(np.argsort(-strength, kind="stable")[:_TICKS])
    inside = (ticks >= measured.two_theta_deg[0]) & (ticks <= measured.two_theta_deg[-1])
    crystal = read_crystal(reference.path, reference.formula)
    lorentz_rad = np.radians(parameters[STRAINS])
    size_nm = 0.9 * wavelength / 10 / lorentz_rad if lorentz_rad > 0 else np.inf
    return Contribution(
        reference=reference.stem,
        formula=reference.formula,
        counts=counts,
        ticks_deg=tuple(float(round(ticks[i], 3)) for i in strongest if inside[i]),
        cell=tuple(float(round(v, 5)) for v in lines.strained_cell(crystal, parameters)),
        strain_percent=float(round(100 * parameters[0], 4)),
        size_nm=float(round(size_nm, 1)) if size_nm < 300 else None,
        density_g_per_cm3=round(lines.density_g_per_cm3, 4),
    )
