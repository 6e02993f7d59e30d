"""From a pattern and a list of elements to phases, amounts and a verdict."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from alab.errors import BadInput
from alab.models import PhaseAmount
from analysis.diffraction.amounts import PARTICLE_DIAMETER_UM, amounts_of
from analysis.diffraction.cache import user_folder
from analysis.diffraction.chemistry import chemistry, weighed_in
from analysis.diffraction.contributions import contribution, shared_parameters
from analysis.diffraction.library import (
    DEFAULT_SOURCES,
    Reference,
    elements_of,
    reference_of,
    references,
    same_formula,
)
from analysis.diffraction.measured import Measured, prepare
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
from analysis.diffraction.residue import has_hump, misfit, signal, unexplained
from analysis.diffraction.result import Analysis
from analysis.diffraction.search import Found, search
from analysis.diffraction.texture import oriented
from analysis.diffraction.verdict import Evidence, judge

EXTRA_ELEMENTS = ("O", "C", "H")
"""Elements that air brings into any sample."""

_RANGE_STEP_DEG = 10.0
_KALPHA_RATIO = 1.5444274 / CU_KALPHA1_ANG


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

    Raises:
        BadInput: If an element or the target is none, a CIF cannot be read, or there is no
            reference structure of these elements.
    """
    named = {*elements} | (elements_of(target) if target is not None else set())
    known = _candidates(named, {*extra_elements} - named, sources)
    measured = prepare(pattern, instrument or instrument_of(pattern))
    lines = _lines(known, measured, cache_dir)
    wanted = tuple(
        i for i, ref in enumerate(known) if target and same_formula(ref.formula, target)
    )
    prior = chemistry(known, weighed_in(precursors))
    found = search(measured, lines, required=wanted, prior=prior)
    return _report(pattern, measured, known, found, target, wanted, particle_diameter_um)


def _candidates(
    named: set[str], extra: set[str], sources: Path | Sequence[Path] | None
) -> list[Reference]:
    allowed = named | extra
    listed = references(allowed, DEFAULT_SOURCES if sources is None else sources)
    known = [
        reference
        for reference in listed
        if reference.elements & named
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
        BadInput: If a CIF cannot be read, or none or too many are given.
    """
    if not 1 <= len(cifs) <= SLOTS:
        raise BadInput(f"{len(cifs)} phases were given; 1 to {SLOTS} can be refined together")
    known = [reference_of(cif) for cif in cifs]
    measured = prepare(pattern, instrument or instrument_of(pattern))
    lines = _lines(known, measured, cache_dir)
    fit = refine(measured, start(measured, lines), ITERATIONS)
    fit = refine(measured, oriented(measured, fit), ITERATIONS)
    found = Found(fit=fit, members=tuple(range(len(known))))
    return _report(pattern, measured, known, found, particle_diameter_um=particle_diameter_um)


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
    )


def _lines(
    known: Sequence[Reference], measured: Measured, cache_dir: Path | None
) -> list[Lines]:
    # Rounded up, so that patterns of one instrument share what was computed.
    end = measured.two_theta_deg[-1] + 1.0
    highest = min(np.ceil(end / _RANGE_STEP_DEG) * _RANGE_STEP_DEG, 170.0)
    return lines_of_many(
        [reference.crystal() for reference in known],
        wavelength_ang=round(measured.instrument.wavelength1_ang, 6),
        max_two_theta_deg=float(highest),
        cache_dir=cache_dir or user_folder(),
    )


def _report(
    pattern: Pattern,
    measured: Measured,
    known: list[Reference],
    found: Found,
    target: str | None = None,
    wanted: tuple[int, ...] = (),
    particle_diameter_um: float = PARTICLE_DIAMETER_UM,
) -> Analysis:
    fit = found.fit
    parts = profiles(measured, fit)
    background = background_of(measured, fit)
    calculated = parts.sum(0) + background
    phases, order = _phase_amounts(known, found, particle_diameter_um, target)
    unknown, places = unexplained(measured, calculated, background)
    evidence = Evidence(
        phases=phases,
        r_wp_percent=weighted_residual(measured, calculated),
        misfit=misfit(measured, calculated, background),
        unexplained_fraction=unknown,
        unexplained_two_theta_deg=places,
        amorphous_suspected=has_hump(measured, calculated, background),
        signal=signal(measured),
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
        traces=tuple(
            f"{known[i].formula} ({known[i].space_group}), {100 * share:.1f} wt %"
            for i, share in found.traces
        ),
    )
    return Analysis(
        outcome=judge(evidence, target),
        two_theta_deg=measured.two_theta_deg,
        observed=measured.counts[: measured.used],
        calculated=calculated,
        background=background,
        contributions=tuple(
            contribution(measured, known[found.members[i]], fit, i, parts[i]) for i in order
        ),
        parameters=shared_parameters(fit),
        displacement_mm=float(fit.shared[DISPLACEMENT]),
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
            "cell, or computed: amounts are rough."
        )
    for reference in present:
        told += [f"{reference.stem}: {warning}" for warning in reference.warnings]
    return (*told, *pattern.warnings)


def _phase_amounts(
    known: list[Reference], found: Found, particle_diameter_um: float, target: str | None
) -> tuple[tuple[PhaseAmount, ...], list[int]]:
    """Phases, largest first, and their order."""
    if not np.any(found.fit.amounts > 0):
        return (), []
    amounts = amounts_of(found.fit, particle_diameter_um)
    fractions = amounts.fractions
    order = [int(i) for i in np.argsort(-fractions, kind="stable") if fractions[i] > 0]
    phases = []
    for i in order:
        reference = known[found.members[i]]
        is_target = target is not None and same_formula(reference.formula, target)
        low, high = amounts.intervals90[i]
        phases.append(
            PhaseAmount(
                formula=target if target is not None and is_target else reference.formula,
                reference=reference.stem,
                space_group=reference.space_group,
                weight_fraction=float(fractions[i]),
                weight_fraction_esd=float(amounts.esd[i]),
                interval90=(float(low), float(high)),
                probability=found.probabilities[i],
            )
        )
    return tuple(phases), order
