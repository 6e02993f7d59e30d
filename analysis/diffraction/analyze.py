"""From a pattern and a list of elements to phases, amounts and a verdict."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alab.errors import BadInput
from alab.models import PhaseAmount
from analysis.diffraction.amounts import PARTICLE_DIAMETER_UM, Amounts, amounts_of
from analysis.diffraction.beam import beta_of
from analysis.diffraction.cache import user_folder
from analysis.diffraction.chemistry import chemistry, weighed_in
from analysis.diffraction.contributions import contribution, shared_parameters
from analysis.diffraction.crystal import Crystal
from analysis.diffraction.flags import flags_of
from analysis.diffraction.glass import Spike, hump_of, on_absolute_scale, spike_of
from analysis.diffraction.library import (
    DEFAULT_SOURCES,
    Reference,
    elements_of,
    reference_of,
    references,
    same_formula,
)
from analysis.diffraction.measured import Measured, gaps_deg, prepare
from analysis.diffraction.ordering import Ordering, claims_of, ordering, with_parents
from analysis.diffraction.pattern import CU_KALPHA1_ANG, Pattern
from analysis.diffraction.profile import DISPLACEMENT, Instrument
from analysis.diffraction.refine import (
    ITERATIONS,
    SLOTS,
    background_of,
    profiles,
    r_wp_percent as weighted_residual,
    refine,
    start,
)
from analysis.diffraction.reflections import Lines, lines_of_many
from analysis.diffraction.residue import misfit, signal, unexplained
from analysis.diffraction.result import Analysis
from analysis.diffraction.search import Found, search
from analysis.diffraction.texture import oriented
from analysis.diffraction.verdict import Evidence, judge

EXTRA_ELEMENTS = ("O", "C", "H")
"""Elements that air brings into any sample."""
_OF_AIR = frozenset({"O", "C", "H", "N"})
"""What is made of these alone burns off: no candidate, unless nothing else is asked for."""

_RANGE_STEP_DEG = 10.0
_LEAST_POINTS = 50
_KALPHA_RATIO = 1.5444274 / CU_KALPHA1_ANG
_GAPS_NAMED = 3
_SAME_LAMBDA_ANG = 0.002
_AS_FLAT_PLATE = (
    "the intensities of a flat plate in θ–2θ reflection were assumed, so amounts are less sure"
)


def analyze(
    pattern: Pattern,
    *,
    elements: Collection[str],
    target: str | None = None,
    sources: Path | Sequence[Path] | None = None,
    precursors: Sequence[str] = (),
    extra_elements: Collection[str] = EXTRA_ELEMENTS,
    instrument: Instrument | None = None,
    particle_diameter_um: float = PARTICLE_DIAMETER_UM,
    cache_dir: Path | None = None,
    spike: str | None = None,
    test_order: bool = False,
) -> Analysis:
    """Find the phases of a pattern, their amounts, and what that says of the target.

    Args:
        pattern: What was measured.
        elements: Elements the sample may hold.
        target: Formula that was to be made.
        sources: Folders of CIFs and snapshots to take candidates from, the most trusted
            first; by default what comes with the laboratory.
        precursors: What was weighed in, as ``TiO2`` or, with its mass, ``TiO2:0.40``. Sets of
            phases that do not keep the balance lose credit; none switches that off.
        extra_elements: Elements that may have come in besides. No candidate is made of these
            alone; and as they come with the air, as oxygen, water and CO₂, none holds the
            others without oxygen.
        instrument: The diffractometer; by default one with Cu Kα₁ and Kα₂, without
            monochromator, of the radius that the file states or 145 mm.
        particle_diameter_um: Diameter of the powder's particles, for microabsorption; 0
            leaves that out.
        cache_dir: Where to keep computed reflections between runs; by default the user's
            cache folder.
        spike: Crystalline standard that was mixed in, and its share of the weight of the
            mixture, as ``Al2O3:0.10``. It tells how much is amorphous; all amounts are then
            shares of the sample without it.
        test_order: Whether to test each found phase against its disordered parent; the
            target always is.

    Raises:
        BadInput: If the pattern holds what counts cannot be, states another radiation than
            the instrument's, an element or the target is none, a CIF cannot be read, or there
            is no reference structure of these elements.
    """
    _refuse_unusable(pattern)
    _refuse_other_radiation(pattern, instrument)
    standard = _standard(spike, target)
    named = {*elements}
    for formula in (target, standard.formula if standard else None):
        named |= elements_of(formula) if formula is not None else set()
    listed = _candidates(named, {*extra_elements} - named, sources)
    known, claims = with_parents(listed, _named(listed, target))
    wanted = _named(known, target)
    measured = prepare(pattern, instrument or instrument_of(pattern))
    lines = _lines(known, measured, cache_dir)
    required = (*wanted, *_named(known, standard.formula if standard else None))
    prior = chemistry(known, weighed_in(precursors))
    found = search(measured, lines, required=required, prior=prior)
    if test_order:
        others = [i for i in found.members if i not in wanted]
        claims += claims_of(known, others)

    def lines_of(crystal: Crystal) -> Lines:
        return _of_crystals([crystal], measured, cache_dir)[0]

    order = ordering(measured, found, known, claims, wanted, lines_of)
    sample = _Sample(
        pattern=pattern,
        known=known,
        target=target,
        wanted=wanted,
        particle_diameter_um=particle_diameter_um,
        spike=standard,
        candidates=len(listed),
    )
    return _report(sample, measured, found, order)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """What was asked of a pattern, and what it is compared with."""

    pattern: Pattern
    known: list[Reference]
    target: str | None = None
    wanted: tuple[int, ...] = ()
    particle_diameter_um: float
    spike: Spike | None = None
    candidates: int


def _refuse_unusable(pattern: Pattern) -> None:
    """Refuse arrays that no file would have been read into."""
    name = pattern.origin or pattern.sample or "pattern"
    angle, counts, esd = pattern.two_theta_deg, pattern.counts, pattern.esd
    if not len(angle) == len(counts) == len(esd) or len(angle) < _LEAST_POINTS:
        raise BadInput(
            f"{name}: {len(angle)} angles, {len(counts)} counts and {len(esd)} standard "
            f"deviations; as many of each are needed, at least {_LEAST_POINTS}"
        )
    if not all(np.all(np.isfinite(values)) for values in (angle, counts, esd)):
        raise BadInput(f"{name}: holds values that are no numbers; take these points out")
    if np.any(np.diff(angle) <= 0) or angle[0] < 0 or angle[-1] > 180:
        raise BadInput(
            f"{name}: the axis runs from {angle[0]:g} to {angle[-1]:g} and must rise within 0 "
            "to 180° of 2θ at every point; sort the points, and give 2θ in degrees"
        )
    if np.min(counts) < 0 or np.min(esd) < 0:
        raise BadInput(
            f"{name}: least counts {np.min(counts):g}, least standard deviation "
            f"{np.min(esd):g}; neither can be negative: give raw counts"
        )
    if not np.any(counts):
        raise BadInput(f"{name}: every count is 0; was the shutter closed? Measure again")


def _refuse_other_radiation(pattern: Pattern, instrument: Instrument | None) -> None:
    if instrument is None or not pattern.wavelength_stated:
        return
    name = pattern.origin or pattern.sample or "pattern"
    apart = abs(pattern.wavelength_ang - instrument.wavelength1_ang)
    doublet, expected = pattern.ratio is None or pattern.ratio > 0, instrument.ratio > 0
    if apart > _SAME_LAMBDA_ANG or doublet != expected:
        raise BadInput(
            f"{name}: measured with {_radiation(pattern.wavelength_ang, doublet)}, and the "
            f"instrument is for {_radiation(instrument.wavelength1_ang, expected)}; "
            "give the instrument file of that diffractometer"
        )


def _radiation(wavelength_ang: float, doublet: bool) -> str:
    return f"{wavelength_ang:.5f} Å {'and its Kα₂' if doublet else 'alone'}"


def _standard(spike: str | None, target: str | None) -> Spike | None:
    standard = spike_of(spike) if spike is not None else None
    if standard and target and same_formula(standard.formula, target):
        raise BadInput(
            f"{target} is both the target and the internal standard; spike with another phase"
        )
    return standard


def _named(known: Sequence[Reference], formula: str | None) -> tuple[int, ...]:
    """Which references have a formula."""
    return tuple(
        i for i, ref in enumerate(known) if formula and same_formula(ref.formula, formula)
    )


def _candidates(
    named: set[str], extra: set[str], sources: Path | Sequence[Path] | None
) -> list[Reference]:
    allowed = named | extra
    listed = references(allowed, DEFAULT_SOURCES if sources is None else sources)
    known = [
        reference
        for reference in listed
        if reference.elements & (named - _OF_AIR or named)
        and ("O" in reference.elements or not reference.elements & extra)
    ]
    if not known:
        raise BadInput(
            f"no reference structure holds only {', '.join(sorted(allowed))}; name more "
            "elements or a folder with CIFs"
        )
    return known


def quantify(
    pattern: Pattern,
    cifs: Sequence[Path],
    *,
    instrument: Instrument | None = None,
    particle_diameter_um: float = PARTICLE_DIAMETER_UM,
    cache_dir: Path | None = None,
) -> Analysis:
    """Amounts of phases that are known to be there.

    Args:
        pattern: What was measured.
        cifs: The structure of each phase.
        instrument: The diffractometer, as in :func:`analyze`.
        particle_diameter_um: As in :func:`analyze`.
        cache_dir: As in :func:`analyze`.

    Raises:
        BadInput: If the pattern holds what counts cannot be or states another radiation than
            the instrument's, a CIF cannot be read, or none or too many are given.
    """
    if not 1 <= len(cifs) <= SLOTS:
        raise BadInput(f"{len(cifs)} phases were given; 1 to {SLOTS} can be refined together")
    _refuse_unusable(pattern)
    _refuse_other_radiation(pattern, instrument)
    known = [reference_of(cif) for cif in cifs]
    measured = prepare(pattern, instrument or instrument_of(pattern))
    lines = _lines(known, measured, cache_dir)
    fit = refine(measured, start(measured, lines), ITERATIONS)
    fit = refine(measured, oriented(measured, fit), ITERATIONS)
    found = Found(fit=fit, members=tuple(range(len(known))))
    sample = _Sample(
        pattern=pattern,
        known=known,
        particle_diameter_um=particle_diameter_um,
        candidates=len(known),
    )
    return _report(sample, measured, found, Ordering())


def instrument_of(pattern: Pattern) -> Instrument:
    """The diffractometer as far as the pattern's file tells of it."""
    usual = Instrument()
    first = pattern.wavelength_ang
    return usual._replace(
        wavelength1_ang=first,
        wavelength2_ang=pattern.wavelength2_ang or first * _KALPHA_RATIO,
        ratio=usual.ratio if pattern.ratio is None else pattern.ratio,
        radius_mm=pattern.radius_mm or usual.radius_mm,
        monochromator_two_theta_deg=pattern.monochromator_two_theta_deg or 0.0,
        wavelength_beta_ang=pattern.wavelength_beta_ang or beta_of(first),
        transmission=pattern.geometry == "transmission",
    )


def _lines(
    known: Sequence[Reference], measured: Measured, cache_dir: Path | None
) -> list[Lines]:
    return _of_crystals([reference.crystal() for reference in known], measured, cache_dir)


def _of_crystals(
    crystals: Sequence[Crystal], measured: Measured, cache_dir: Path | None
) -> list[Lines]:
    # Rounded up, so that patterns of one instrument share what was computed.
    end = measured.two_theta_deg[-1] + 1.0
    highest = min(np.ceil(end / _RANGE_STEP_DEG) * _RANGE_STEP_DEG, 170.0)
    return lines_of_many(
        crystals,
        wavelength_ang=round(measured.instrument.wavelength1_ang, 6),
        max_two_theta_deg=float(highest),
        cache_dir=cache_dir or user_folder(),
    )


def _report(sample: _Sample, measured: Measured, found: Found, order: Ordering) -> Analysis:
    fit, known = found.fit, sample.known
    drawn = profiles(measured, fit)
    background = background_of(measured, fit)
    calculated = drawn.sum(0) + background
    amounts = None
    if np.any(fit.amounts > 0):
        with_traces = found.quantified or fit
        amounts = amounts_of(with_traces, sample.particle_diameter_um, len(fit.lines))
    rows = _rows(amounts)
    parts = {i: contribution(measured, known[found.members[i]], fit, i, drawn[i]) for i in rows}
    phases = _phase_amounts(sample, found, amounts, rows)
    absolute = on_absolute_scale(phases, sample.spike) if sample.spike else None
    hump = hump_of(measured, calculated, background)
    # The refined background is too stiff for a hump, which is no peak of an unknown phase.
    smooth = hump.smooth if hump.suspected else background
    unknown, places = unexplained(measured, calculated - background + smooth, smooth)
    traces = tuple(
        f"{known[i].formula} ({known[i].space_group}), {100 * share:.1f} wt %"
        for i, share in found.traces
    )
    competing, of_target = _rivals(sample, found)
    flags = ()
    if amounts is not None:
        present = [known[i] for i in found.members]
        flags = flags_of(fit, amounts, present, parts, sample.particle_diameter_um)
    evidence = Evidence(
        phases=phases,
        r_wp_percent=weighted_residual(measured, calculated),
        misfit=misfit(measured, calculated, background),
        unexplained_fraction=unknown,
        unexplained_two_theta_deg=places,
        hump=hump,
        signal=signal(measured),
        target_known=bool(sample.wanted),
        competing=(*competing, *order.rivals),
        target_rivals=(*of_target, *order.target_rivals),
        remarks=(*order.remarks, *flags),
        assumptions=_assumptions(
            sample.pattern, measured.instrument, [known[m] for m in found.members]
        ),
        traces=traces,
        spike=sample.spike,
        absolute=absolute,
    )
    kept = [i for i, phase in zip(rows, phases, strict=True) if not _is_spike(sample, phase)]
    return Analysis(
        outcome=judge(evidence, sample.target),
        two_theta_deg=measured.two_theta_deg,
        observed=measured.counts[: measured.used],
        calculated=calculated,
        background=background,
        contributions=tuple(parts[i] for i in (kept if absolute else rows)),
        parameters=shared_parameters(fit),
        displacement_mm=float(fit.shared[DISPLACEMENT]),
        sample=sample.pattern.sample,
        origin=sample.pattern.origin,
        candidates=sample.candidates,
        unexplained_two_theta_deg=places,
        traces=traces,
    )


def _is_spike(sample: _Sample, phase: PhaseAmount) -> bool:
    return sample.spike is not None and same_formula(phase.formula, sample.spike.formula)


def _rivals(sample: _Sample, found: Found) -> tuple[list[str], list[str]]:
    """Groups of structures that explain the same peaks, and those that touch the target.

    Between a target and its disordered parent the test of order decides.
    """
    groups: dict[int, list[int]] = {}
    for position, rival in found.rivals:
        own = found.members[position]
        if not (own in sample.wanted and rival in sample.wanted):
            groups.setdefault(position, []).append(rival)
    said, of_target = [], []
    for position, rivals in groups.items():
        own = found.members[position]
        names = " or ".join(sample.known[i].stem for i in dict.fromkeys(rivals))
        sentence = (
            f"{names} explains the peaks of {sample.known[own].stem} nearly as well: the "
            f"latter is {100 * found.probabilities[position]:.0f} % probable."
        )
        said.append(sentence)
        if own in sample.wanted:
            of_target.append(sentence)
    return said, of_target


def _assumptions(
    pattern: Pattern, instrument: Instrument, present: list[Reference]
) -> tuple[str, ...]:
    told: list[str] = []
    if not pattern.wavelength_stated:
        told.append("The file states no wavelength: Cu Kα was assumed.")
    if instrument.transmission or pattern.geometry == "transmission":
        told.append(f"Measured in transmission: {_AS_FLAT_PLATE}.")
    if pattern.geometry == "fixed_incidence":
        told.append(f"Measured at fixed incidence: {_AS_FLAT_PLATE}.")
    if pattern.monochromator and instrument.monochromator_two_theta_deg == 0:
        told.append(
            f"The 2θ of the monochromator {pattern.monochromator} is not known: polarisation "
            "without one was assumed. Give it in an instrument file."
        )
    gaps = gaps_deg(pattern.two_theta_deg)
    if gaps:
        places = ", ".join(f"{low:.2f}° to {high:.2f}°" for low, high in gaps[:_GAPS_NAMED])
        more = f" and in {len(gaps) - _GAPS_NAMED} gaps more" if len(gaps) > _GAPS_NAMED else ""
        told.append(
            f"Nothing was measured from {places}{more}: what phases show there is not known."
        )
    if rough := [reference.stem for reference in present if not reference.measured]:
        told.append(
            f"The atoms of {', '.join(rough)} were placed by bond valence in the published "
            "cell, or computed: amounts are rough."
        )
    for reference in present:
        told += [f"{reference.stem}: {warning}" for warning in reference.warnings]
    return (*told, *pattern.warnings)


def _rows(amounts: Amounts | None) -> list[int]:
    """Phases that are there, largest first."""
    if amounts is None:
        return []
    order = np.argsort(-amounts.fractions, kind="stable")
    return [int(i) for i in order if amounts.fractions[i] > 0]


def _phase_amounts(
    sample: _Sample, found: Found, amounts: Amounts | None, rows: list[int]
) -> tuple[PhaseAmount, ...]:
    if amounts is None:
        return ()
    phases = []
    for i in rows:
        reference = sample.known[found.members[i]]
        is_target = found.members[i] in sample.wanted
        low, high = amounts.intervals90[i]
        phases.append(
            PhaseAmount(
                formula=sample.target if sample.target and is_target else reference.formula,
                reference=reference.stem,
                space_group=reference.space_group,
                weight_fraction=float(amounts.fractions[i]),
                weight_fraction_esd=float(amounts.esd[i]),
                interval90=(float(low), float(high)),
                probability=found.probabilities[i],
            )
        )
    return tuple(phases)
