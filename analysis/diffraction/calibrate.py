"""Calibration of a diffractometer with a standard: zero, widths, divergence, extra lines.

The cell of the standard is fixed at its certified value. Refined are zero and displacement
(which the range of a standard tells apart: one is constant, the other goes with cos θ),
U, V, W, X, Y, the axial aperture, and the shares of Kα₂, Kβ and W Lα; the intensity of every
line is free, so that neither texture nor the structure matters. Size and strain of the
standard are taken as part of the instrument: choose one with narrow lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from alab.errors import BadInput
from analysis.diffraction.arrays import Array
from analysis.diffraction.beam import ANODES
from analysis.diffraction.instrument import (
    Calibration,
    Goniometer,
    InstrumentFile,
    Profile,
    Radiation,
)
from analysis.diffraction.pattern import Pattern
from analysis.diffraction.profile import (
    Grid,
    Instrument,
    batch,
)
from analysis.diffraction.reflections import Lines, lines_of
from analysis.diffraction.standard_fit import (
    REFINED,
    Bounds,
    Solved,
    Task,
    chosen,
    refine,
    solve,
)
from analysis.diffraction.standards import Standard

FEWEST_LINES = 5
"""Fewer lines do not determine widths over 2θ."""
LARGEST_MISFIT = 0.3
"""Residual over net counts, both weighted, above which a pattern is not of the standard."""

_HOPELESS_MISFIT = 0.75
"""The same with lines of a guessed width, which are not worth refining then."""
_ASSUMED_RADIUS_MM = 145.0
_ZERO_SPAN_DEG = 60.0
"""Over a shorter range zero and displacement cannot be told apart; the zero stays 0."""
_SEARCHED_DEG = np.arange(-0.4, 0.41, 0.04)
_SEARCH_WIDTH_DEG = 0.12
_TOGETHER_DEG = 0.08
"""Lines closer than this share one intensity, divided as in the structure."""
_REACH_DEG = 2.0
_SIGNIFICANT = 6.0
_ALIKE = 0.8
"""Least cosine between measured and calculated intensities, texture allowed for."""
_HIGH_R_WP_PERCENT = 15.0
_STEP_SHARE = 0.2
_FINEST_DEG = 0.0049
"""Lines are drawn no finer, or their windows would not reach _REACH_DEG."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardLine:
    """A line of the standard.

    Attributes:
        hkl: Indices.
        two_theta_deg: Where Kα₁ stands in the pattern.
        fwhm_deg: Its full width at half maximum.
        counts: Its net counts, Kα₁ and Kα₂.
    """

    hkl: tuple[int, int, int]
    two_theta_deg: float
    fwhm_deg: float
    counts: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """What a calibration found.

    Attributes:
        instrument: To be written to the instrument file.
        lines: The lines it rests on, rising in 2θ.
        esds: Standard deviation of each refined number, by its name.
        two_theta_deg: Measured angles, shape (n,).
        observed: Counts, shape (n,).
        calculated: Shape (n,).
        warnings: What is doubtful.
    """

    instrument: InstrumentFile
    lines: tuple[StandardLine, ...]
    esds: dict[str, float]
    two_theta_deg: Array
    observed: Array
    calculated: Array
    warnings: tuple[str, ...]


def calibrate(
    pattern: Pattern,
    standard: Standard,
    *,
    name: str,
    made_at: datetime,
    radius_mm: float | None = None,
    monochromator_two_theta_deg: float | None = None,
) -> Calibrated:
    """Calibrate the diffractometer that measured a standard.

    Args:
        pattern: Of the standard.
        standard: What it is.
        name: Of the diffractometer.
        made_at: Now.
        radius_mm: Of the goniometer, where the pattern does not state it.
        monochromator_two_theta_deg: Of a crystal behind the sample, likewise.

    Raises:
        BadInput: If the pattern is not of the standard, or shows too few of its lines.
    """
    told: list[str] = []
    radius = radius_mm or pattern.radius_mm
    if radius is None:
        radius = _ASSUMED_RADIUS_MM
        told.append(f"The radius is not known: {radius:g} mm was assumed (--radius).")
    if not pattern.wavelength_stated:
        told.append("The file states no wavelength: Cu Kα was assumed.")
    monochromator = monochromator_two_theta_deg
    if monochromator is None:
        monochromator = pattern.monochromator_two_theta_deg or 0.0
    anode = ANODES.get(pattern.anode)
    monochromatic = pattern.ratio == 0
    start = Instrument(
        # Of one anode there is one Kα₁; the files' tables differ by some 1e-5 Å.
        wavelength1_ang=anode.alpha1_ang if anode else pattern.wavelength_ang,
        wavelength2_ang=(
            anode.alpha2_ang
            if anode and not monochromatic
            else pattern.wavelength2_ang or pattern.wavelength_ang
        ),
        ratio=0.0 if monochromatic else 0.5,
        radius_mm=radius,
        monochromator_two_theta_deg=monochromator,
        wavelength_beta_ang=anode.beta_ang if anode else 0.0,
    )
    task = _task(pattern, standard, start)
    fixed: list[str] = []
    span = pattern.two_theta_deg[-1] - pattern.two_theta_deg[0]
    if span < _ZERO_SPAN_DEG:
        fixed.append("zero_deg")
        told.append(
            f"Over {span:.0f}° zero and displacement cannot be told apart: the zero is 0."
        )
    if monochromatic:
        fixed.append("ratio")
    if monochromatic or anode is None:
        fixed += ["kbeta_ratio", "wlalpha_ratio"]
    begin = _begin(task, standard, fixed)
    values, esds = _fit(task, begin, fixed)
    if not _are_widths(values):
        # Within the range of the standard V may make up for U; beyond it, it must not.
        told.append("V was fixed at 0: refined, it would leave no width beyond the lines.")
        fixed.append("v_deg2")
        begin["v_deg2"] = 0.0
        values, esds = _fit(task, begin, fixed)
    return _result(task, standard, values, esds, name, made_at, told)


def _are_widths(values: dict[str, float]) -> bool:
    try:
        _profile(values)
    except ValidationError:
        return False
    return True


def _profile(values: dict[str, float]) -> Profile:
    names = ("u_deg2", "v_deg2", "w_deg2", "x_deg", "y_deg")
    return Profile(**{name: values[name] for name in names})


def _task(pattern: Pattern, standard: Standard, start: Instrument) -> Task:
    angle = pattern.two_theta_deg
    highest = min(float(angle[-1]), 170.0)
    found = lines_of(
        standard.crystal, wavelength_ang=start.wavelength1_ang, max_two_theta_deg=highest
    )
    places = _places_deg(found.inverse_d2, start.wavelength1_ang)
    inside = np.flatnonzero((places > angle[0] + 0.2) & (places < angle[-1] - 0.2))
    if len(inside) < FEWEST_LINES:
        raise BadInput(
            f"{standard.name} has {len(inside)} lines between {angle[0]:.1f}° and "
            f"{angle[-1]:.1f}°; a calibration needs {FEWEST_LINES}. Measure a longer range"
        )
    breaks = np.flatnonzero(np.diff(places[inside]) > _TOGETHER_DEG) + 1
    groups = tuple(_take(found, chosen) for chosen in np.split(inside, breaks))
    steps = np.diff(angle)
    step = float(np.median(steps))
    uneven = np.max(np.abs(angle - np.linspace(angle[0], angle[-1], len(angle))))
    even = bool(uneven < 1e-3 and step > _FINEST_DEG)
    points = len(angle)
    if even:
        step = float((angle[-1] - angle[0]) / (len(angle) - 1))
    else:
        step = float(max(steps.min(), step * _STEP_SHARE, _FINEST_DEG))
        points = int((angle[-1] - angle[0]) / step) + 2
    return Task(
        pattern=pattern,
        groups=groups,
        lines=batch(groups, [np.array([0.0, 0.0, 1.0])] * len(groups), ghosts=True),
        grid=Grid(float(angle[0]), step),
        points=points,
        even=even,
        half_window=int(min(np.ceil(_REACH_DEG / step), 400)),
        start=start,
        basis=_background(angle),
    )


def _places_deg(inverse_d2: Array, wavelength_ang: float) -> Array:
    return np.degrees(2 * np.arcsin(np.clip(np.sqrt(inverse_d2) * wavelength_ang / 2, 0, 1)))


def _take(lines: Lines, index: NDArray[np.intp]) -> Lines:
    return replace(
        lines,
        **{
            name: getattr(lines, name)[index]
            for name in ("hkl", "inverse_d2", "strain", "equivalents", "intensity")
        },
    )


def _background(angle: Array) -> Array:
    """Chebyshev polynomials, one for about 8°, and one column that rises as 1/2θ."""
    order = int(np.clip((angle[-1] - angle[0]) / 8, 5, 16))
    x = np.interp(angle, [angle[0], angle[-1]], [-1, 1])
    return np.column_stack([np.polynomial.chebyshev.chebvander(x, order), angle[0] / angle])


def _begin(task: Task, standard: Standard, fixed: Sequence[str]) -> dict[str, float]:
    """Where to start: at the displacement with which broad lines fit best."""
    values = {name: bounds.start for name, bounds in REFINED.items()}
    values |= dict.fromkeys(set(fixed) & {"kbeta_ratio", "wlalpha_ratio"}, 0.0)
    if "ratio" in fixed:
        values["ratio"] = 0.0
    broad = values | {"w_deg2": _SEARCH_WIDTH_DEG**2}
    shifts_mm = np.radians(_SEARCHED_DEG) * task.start.radius_mm / 2
    residuals = [
        float(np.sum(solve(task, _array(broad | {"displacement_mm": shift})).residual ** 2))
        for shift in shifts_mm
    ]
    values["displacement_mm"] = float(shifts_mm[int(np.argmin(residuals))])
    at_best = solve(task, _array(values | {"w_deg2": _SEARCH_WIDTH_DEG**2}))
    if (misfit := _misfit(task, at_best)) > _HOPELESS_MISFIT:
        raise _other_powder(task, standard, misfit, _likeness(task, at_best))
    return values


def _array(values: dict[str, float]) -> Array:
    return np.array([values[name] for name in REFINED])


def _fit(
    task: Task, begin: dict[str, float], fixed: Sequence[str]
) -> tuple[dict[str, float], dict[str, float]]:
    """Refined values and their standard deviations; a few are moved first."""
    values = _array(begin)
    free = ~chosen(*fixed)
    values, _ = refine(task, values, chosen("displacement_mm", "w_deg2", "y_deg"))
    values, esds = refine(task, values, free)
    names = [name for name in REFINED if name not in fixed]
    return (
        dict(zip(REFINED, values.tolist(), strict=True)),
        dict(zip(names, esds.tolist(), strict=True)),
    )


def _result(
    task: Task,
    standard: Standard,
    values: dict[str, float],
    esds: dict[str, float],
    name: str,
    made_at: datetime,
    told: Sequence[str],
) -> Calibrated:
    solved = solve(task, _array(values))
    seen = np.flatnonzero(solved.amounts > _SIGNIFICANT * solved.amount_esds)
    _refuse_other_powder(task, standard, solved, seen)
    counts, weights = task.pattern.counts, task.root_weights**2
    r_wp = np.sqrt(np.sum(solved.residual**2) / np.sum(weights * counts**2))
    start, angle = task.start, task.pattern.two_theta_deg
    profile = _profile(values)
    doubts = [
        f"{key} stands at its limit, {values[key]:.3g}."
        for key in ("displacement_mm", "zero_deg", "w_deg2", "axial", "ratio")
        if key in esds and _at_limit(values[key], REFINED[key])
    ]
    if 100 * r_wp > _HIGH_R_WP_PERCENT:
        doubts.append(
            f"R_wp is {100 * r_wp:.1f} %; a standard of narrow lines gives less than "
            f"{_HIGH_R_WP_PERCENT:g} %. Are the lines broad, or is the sample not flat?"
        )
    return Calibrated(
        instrument=InstrumentFile(
            name=name,
            radiation=Radiation(
                anode=task.pattern.anode,
                wavelength1_ang=start.wavelength1_ang,
                wavelength2_ang=start.wavelength2_ang,
                ratio=values["ratio"],
                kbeta_ratio=values["kbeta_ratio"],
                wlalpha_ratio=values["wlalpha_ratio"],
            ),
            goniometer=Goniometer(
                geometry=(
                    "transmission"
                    if task.pattern.geometry == "transmission"
                    else "bragg_brentano"
                ),
                radius_mm=start.radius_mm,
                monochromator_two_theta_deg=start.monochromator_two_theta_deg,
                axial_sl=values["axial"] / 2,
                axial_hl=values["axial"] / 2,
                zero_deg=values["zero_deg"],
            ),
            profile=profile,
            calibration=Calibration(
                standard=standard.name,
                pattern=task.pattern.origin,
                made_at=made_at,
                r_wp_percent=float(100 * r_wp),
                lines=len(seen),
                two_theta_range_deg=(float(angle[0]), float(angle[-1])),
                displacement_mm=values["displacement_mm"],
            ),
        ),
        lines=tuple(_line(task, solved, values, int(i), profile) for i in seen),
        esds=esds,
        two_theta_deg=angle,
        observed=counts,
        calculated=solved.calculated,
        warnings=(*task.pattern.warnings, *told, *doubts),
    )


def _at_limit(value: float, bounds: Bounds) -> bool:
    near = 1e-3 * bounds.scale
    return min(value - bounds.lowest, bounds.highest - value) < near


def _line(
    task: Task, solved: Solved, values: dict[str, float], index: int, profile: Profile
) -> StandardLine:
    group = task.groups[index]
    strongest = int(np.argmax(group.intensity))
    bragg = float(_places_deg(group.inverse_d2, task.start.wavelength1_ang)[strongest])
    shift = 2 * values["displacement_mm"] * np.cos(np.radians(bragg / 2)) / task.start.radius_mm
    h, k, l = (int(index) for index in group.hkl[strongest])  # noqa: E741 - Miller's
    area = solved.amounts[index] * _polarised(task, group)[strongest]
    return StandardLine(
        hkl=(h, k, l),
        two_theta_deg=float(bragg + values["zero_deg"] - np.degrees(shift)),
        fwhm_deg=profile.fwhm_deg(bragg),
        counts=float(area * group.intensity[strongest] / task.grid.step_deg),
    )


def _polarised(task: Task, group: Lines) -> Array:
    """Lorentz and polarisation factor, as in the profile functions."""
    sin = np.sqrt(group.inverse_d2) * task.start.wavelength1_ang / 2
    p = np.cos(np.radians(task.start.monochromator_two_theta_deg)) ** 2
    return (1 + p * (1 - 2 * sin**2) ** 2) / ((1 + p) * sin**2 * np.sqrt(1 - sin**2))


def _refuse_other_powder(
    task: Task, standard: Standard, solved: Solved, seen: NDArray[np.intp]
) -> None:
    """Refuse a pattern whose peaks or intensities are not those of the standard."""
    misfit, alike = _misfit(task, solved), _likeness(task, solved)
    if misfit > LARGEST_MISFIT or alike < _ALIKE:
        raise _other_powder(task, standard, misfit, alike)
    if len(seen) < FEWEST_LINES:
        raise BadInput(
            f"{task.pattern.origin} shows {len(seen)} lines of {standard.name}; a calibration "
            f"needs {FEWEST_LINES}. Measure a longer range, or longer"
        )


def _misfit(task: Task, solved: Solved) -> float:
    """Weighted residual over weighted net counts."""
    net = (task.pattern.counts - solved.background) * task.root_weights
    return float(np.sqrt(np.sum(solved.residual**2) / max(float(net @ net), 1e-300)))


def _likeness(task: Task, solved: Solved) -> float:
    """Cosine between measured and calculated intensities."""
    expected = np.array([float(np.sum(_polarised(task, g) * g.intensity)) for g in task.groups])
    measured = expected * np.maximum(solved.amounts, 0.0)
    size = np.linalg.norm(expected) * np.linalg.norm(measured)
    return float(expected @ measured / size) if size > 0 else 0.0


def _other_powder(task: Task, standard: Standard, misfit: float, alike: float) -> BadInput:
    return BadInput(
        f"{task.pattern.origin} is not a pattern of {standard.name}: {100 * misfit:.0f} % of "
        f"its net counts do not fit (at most {100 * LARGEST_MISFIT:.0f} %) and its intensities "
        f"are alike by {alike:.2f} (at least {_ALIKE}). Name the right standard"
    )
