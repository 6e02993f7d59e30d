"""What ``alab analyze`` tells of a pattern, for people and as JSON."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alab.cli.output import percent, show_facts, show_rows
from alab.report.words import interval, probability

if TYPE_CHECKING:
    from alab.models import Outcome
    from analysis.diffraction.result import Analysis, Contribution

_CELL = ("a", "b", "c", "α", "β", "γ")


def whole(analysis: "Analysis", target: str | None) -> dict[str, Any]:
    """All numbers of an analysis; the curves are in the files of --out."""
    from alab.store.codec import encode

    structures = [
        {key: value for key, value in asdict(part).items() if key != "counts"}
        for part in analysis.contributions
    ]
    return {
        **encode(analysis.outcome),
        **({} if target else {"verdict": None}),
        "unexplained_two_theta_deg": list(analysis.unexplained_two_theta_deg),
        "traces": list(analysis.traces),
        "candidates": analysis.candidates,
        "parameters": [asdict(parameter) for parameter in analysis.parameters],
        "structures": structures,
    }


def show(file: Path, analysis: "Analysis", target: str | None) -> None:
    """Write what was found in a pattern; a verdict only if there was a target."""
    outcome = analysis.outcome
    show_facts(
        {
            "Pattern": str(file),
            "Verdict": outcome.verdict if target else "",
            "Because": " ".join(outcome.reasons),
            "Competing": " ".join(outcome.competing),
            "Amorphous": _amorphous(outcome),
            "R_wp": f"{outcome.r_wp_percent:.2f} %",
            "Unexplained": f"{percent(outcome.unexplained_fraction)} % of the net counts",
            "Compared": f"{analysis.candidates} reference structures",
        }
    )
    show_rows(
        [
            {
                "formula": phase.formula,
                "space_group": phase.space_group,
                "weight": f"{percent(phase.weight_fraction)} ± "
                f"{percent(phase.weight_fraction_esd)}",
                "interval": interval(phase.interval90),
                "probability": probability(phase.probability),
                "cell": _cell(part),
                "size": f"{part.size_nm:.0f}" if part.size_nm is not None else "> 300",
                "reference": phase.reference,
            }
            for phase, part in zip(outcome.phases, analysis.contributions, strict=True)
        ],
        [
            ("Phase", "formula"),
            ("Space group", "space_group"),
            ("wt %", "weight"),
            ("90 % interval", "interval"),
            ("Probability", "probability"),
            ("Cell / Å, °", "cell"),
            ("Size / nm", "size"),
            ("Reference", "reference"),
        ],
        empty="No crystalline phase was found.",
    )


def _amorphous(outcome: "Outcome") -> str:
    share, esd = outcome.amorphous_fraction, outcome.amorphous_fraction_esd
    if share is not None:
        return f"{percent(share)} ± {percent(esd)} wt % of the sample, by the standard"
    return "suspected" if outcome.amorphous_suspected else ""


def _cell(part: "Contribution") -> str:
    """What is free in a cell, with standard deviations, a line each: ``a 4.0012(3)``."""
    from analysis.diffraction.write_cif import with_esd

    shown: list[str] = []
    for i, (name, value, esd) in enumerate(zip(_CELL, part.cell, part.cell_esds, strict=True)):
        told = part.cell[3 * (i // 3) : i]
        if esd > 0 and not any(abs(value - other) < 1e-6 for other in told):
            shown.append(f"{name} {with_esd(value, esd)}")
    return "\n".join(shown)
