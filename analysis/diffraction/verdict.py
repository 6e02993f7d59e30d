"""What a refined pattern says of a synthesis, with reasons a scientist can check.

Success is a target weight fraction of at least one half of the crystalline part, as the
A-Lab counts (Szymanski et al., Nature 624 (2023) 86), in a fit that explains the pattern.
"""

from dataclasses import dataclass

from alab.models import Outcome, PhaseAmount, Verdict
from analysis.diffraction.glass import NO_HUMP, Absolute, Hump, Spike
from analysis.diffraction.library import same_formula

SUCCESS_FRACTION = 0.5
"""Share of the target in the crystalline part from which a synthesis counts as done."""
MOST_UNEXPLAINED = 0.25
"""Share of the net counts that no phase explains, above which nothing is concluded."""
MOST_MISFIT = 0.45
"""Root-mean-square misfit of the net pattern, as a share of it, that is still a fit."""
MOST_UNKNOWN_BESIDE_HUMP = 0.1
"""Share of unexplained net counts above which a hump may be peaks of unknown phases."""
LEAST_SIGNAL = 5.0
"""Standard deviations by which the strongest peak must stand out of the noise."""
NOTABLE_UNEXPLAINED = 0.04
"""Share of unexplained net counts that is worth a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that a verdict rests on.

    Attributes:
        phases: Everything identified, largest first.
        r_wp_percent: Residual of the refinement.
        misfit: √(Σ w (y − y_c)² / Σ w (y − background)²), 0 to about 1.
        unexplained_fraction: Share of the net counts no phase explains.
        unexplained_two_theta_deg: Where the strongest unexplained peaks stand.
        hump: Broad hump under the lines.
        signal: Net counts over their standard deviation; small in a flat pattern.
        target_known: Whether a reference structure of the target was among the candidates.
        competing: Other explanations, in words.
        target_rivals: Those of them that would take the place of the target.
        remarks: What to be careful with, in sentences.
        assumptions: What had to be assumed, in sentences.
        traces: Phases that may be there too, too weak to be sure of, in words.
        spike: Internal standard; None without.
        absolute: Amounts by the standard; None without one, or if it was not found.
    """

    phases: tuple[PhaseAmount, ...]
    r_wp_percent: float
    misfit: float
    unexplained_fraction: float
    unexplained_two_theta_deg: tuple[float, ...]
    signal: float
    target_known: bool
    competing: tuple[str, ...] = ()
    target_rivals: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()
    hump: Hump = NO_HUMP
    spike: Spike | None = None
    absolute: Absolute | None = None

    @property
    def amounts(self) -> tuple[PhaseAmount, ...]:
        """Of the sample: on the absolute scale where there is one."""
        return self.absolute.phases if self.absolute else self.phases

    @property
    def glassy(self) -> bool:
        """Whether part of the sample seems to be glass.

        Peaks of unknown phases make humps too, so nothing is said where there are many.
        """
        if self.absolute:
            return self.absolute.amorphous > 2 * self.absolute.amorphous_esd
        return self.hump.suspected and self.unexplained_fraction <= MOST_UNKNOWN_BESIDE_HUMP


def judge(evidence: Evidence, target: str | None) -> Outcome:
    """Turn evidence into an outcome.

    Args:
        evidence: What was found.
        target: Formula that was to be made; None if nothing was.
    """
    wanted = [p for p in evidence.amounts if target and same_formula(p.formula, target)]
    fraction = sum(phase.weight_fraction for phase in wanted)
    esd = sum(phase.weight_fraction_esd**2 for phase in wanted) ** 0.5
    verdict, reasons = _verdict(evidence, target, fraction, esd)
    absolute = evidence.absolute
    return Outcome(
        verdict=verdict,
        target_weight_fraction=fraction,
        target_weight_fraction_esd=esd,
        phases=evidence.amounts,
        r_wp_percent=evidence.r_wp_percent,
        unexplained_fraction=evidence.unexplained_fraction,
        amorphous_suspected=evidence.glassy,
        competing=evidence.competing,
        reasons=(*reasons, *_remarks(evidence), *evidence.remarks, *evidence.assumptions),
        target=target,
        amorphous_fraction=absolute.amorphous if absolute else None,
        amorphous_fraction_esd=absolute.amorphous_esd if absolute else None,
    )


def _verdict(
    evidence: Evidence, target: str | None, fraction: float, esd: float
) -> tuple[Verdict, list[str]]:
    if doubt := _doubt(evidence, target):
        return Verdict.INCONCLUSIVE, doubt
    if target is None:
        return Verdict.INCONCLUSIVE, [
            "No target was named, so no synthesis is judged: the phases are the result."
        ]
    whole = "sample" if evidence.absolute else "crystalline part"
    share = f"{100 * fraction:.1f} ± {100 * esd:.1f} wt % of the {whole}"
    limit = 100 * SUCCESS_FRACTION
    if fraction >= SUCCESS_FRACTION:
        if evidence.target_rivals:
            return Verdict.INCONCLUSIVE, [
                f"{target} would be {share}, but something else may stand in its place.",
                *evidence.target_rivals,
            ]
        return Verdict.SUCCESS, [f"{target} is {share}, at least {limit:.0f}."]
    if fraction > 0:
        return Verdict.PARTIAL, [
            f"{target} is {share}, below {limit:.0f}.",
            *(f"Even that is not sure: {rival}" for rival in evidence.target_rivals),
        ]
    return Verdict.FAILED, [f"{target} was looked for and is not in the pattern."]


def _doubt(evidence: Evidence, target: str | None) -> list[str]:
    """Why nothing can be concluded; empty if something can."""
    if evidence.signal < LEAST_SIGNAL:
        return ["The pattern shows no peak that stands out of its noise."]
    if not evidence.phases:
        return ["No reference structure explains the peaks."]
    doubt: list[str] = []
    if evidence.unexplained_fraction > MOST_UNEXPLAINED:
        doubt.append(
            f"{100 * evidence.unexplained_fraction:.0f} % of the net counts belong to no known "
            f"phase (limit {100 * MOST_UNEXPLAINED:.0f} %)."
        )
    if evidence.misfit > MOST_MISFIT:
        doubt.append(
            f"The calculated pattern misses the net measured one by "
            f"{100 * evidence.misfit:.0f} % (limit {100 * MOST_MISFIT:.0f} %)."
        )
    if evidence.spike and evidence.absolute is None:
        doubt.append(
            f"The internal standard {evidence.spike.formula} was not found: is it in the "
            "sample?"
        )
    if evidence.absolute and not evidence.absolute.consistent:
        doubt.append(
            f"The internal standard contradicts the amounts: {_glass(evidence.absolute)} "
            "cannot be. Check its weighed share and crystallinity, microabsorption, texture."
        )
    if target and not evidence.target_known:
        doubt.append(f"There is no reference structure of {target}; add its CIF.")
    return doubt


def _remarks(evidence: Evidence) -> list[str]:
    remarks: list[str] = []
    if evidence.unexplained_fraction > NOTABLE_UNEXPLAINED:
        places = ", ".join(f"{angle:.2f}°" for angle in evidence.unexplained_two_theta_deg)
        remarks.append(
            f"Unknown peaks remain: {100 * evidence.unexplained_fraction:.0f} % of the net "
            f"counts{f', strongest at {places}' if places else ''}."
        )
    if evidence.absolute and evidence.absolute.consistent:
        remarks.append(
            f"By the internal standard the sample holds {_glass(evidence.absolute)}."
        )
    elif evidence.glassy:
        hump = evidence.hump
        remarks.append(
            f"The background has a broad hump at {hump.two_theta_deg:.0f}° with "
            f"{100 * hump.share:.0f} % of the net counts: part of the sample may be amorphous, "
            "and the fractions are of the crystalline part only."
        )
    if evidence.traces:
        remarks.append(f"Possibly there as a trace: {'; '.join(evidence.traces)}.")
    return remarks


def _glass(absolute: Absolute) -> str:
    return f"{100 * absolute.amorphous:.1f} ± {100 * absolute.amorphous_esd:.1f} wt % of glass"
