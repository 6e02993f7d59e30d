"""Writes a campaign report: one HTML file that needs nothing but itself.

plotly.js is inlined once. Heating curves are stored once a firing and patterns once an
attempt, as JSON in single precision; the page draws a figure when its sample is opened,
so that a campaign of hundreds of samples opens as quickly as one of five.
"""

import json
import logging
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from alab.errors import BadInput
from alab.models import NextStep, PhaseAmount
from alab.report import words
from alab.report.contents import Contents
from alab.report.figures import Figure, furnace_days, heating_curve, slim
from alab.report.reading import read_analysis, read_contents, read_curve
from alab.store.store import Store

log = logging.getLogger(__name__)

HERE = Path(__file__).parent

STEPS = {
    NextStep.DONE: "Done",
    NextStep.NEW_RECIPE: "Next: another recipe, fresh powder",
    NextStep.REFIRE: "Next: grind this powder again and fire it once more",
    NextStep.GIVE_UP: "Given up",
}


def write_report(store: Store, campaign: str, path: Path) -> Path:
    """Write the report of a campaign, finished or not, as one HTML file.

    Args:
        store: The lab database.
        campaign: Name of the campaign.
        path: Where to; folders are made, and an older report there is replaced whole.

    Returns:
        The path, absolute.

    Raises:
        BadInput: If there is no such campaign, or ``path`` cannot be written.
    """
    contents = read_contents(store, campaign)
    curves, shared = _curves(store, contents)
    if contents.use.firings:
        started, ended = contents.started_at, contents.ended_at
        shared["furnace-days"] = _json(furnace_days(contents.firings, started, ended))
    page = (
        _environment()
        .get_template("report.html")
        .render(
            c=contents,
            curves=curves,
            shared=shared,
            patterns=_patterns(store, contents),
            steps=STEPS,
            plotly=_script(get_plotlyjs()),
            js=_script(_text("report.js")),
            css=Markup(_text("report.css")),  # noqa: S704 - our own file
            version=version("alab"),
        )
    )
    return _write_whole(path.absolute(), page)


def _curves(store: Store, contents: Contents) -> tuple[dict[int, str], dict[str, Markup]]:
    """Name of the heating curve of each attempt, and each curve once."""
    names: dict[int, str] = {}
    figures: dict[str, Markup] = {}
    for firing in contents.firings:
        curve = read_curve(store, firing, contents.ended_at)
        if curve is not None:
            figures[f"curve-{firing.number}"] = _json(heating_curve(curve))
    for target in contents.targets:
        for tried in target.rounds:
            if tried.firing and (name := f"curve-{tried.firing.number}") in figures:
                names[tried.attempt] = name
    return names, figures


def _patterns(store: Store, contents: Contents) -> dict[int, Markup]:
    """Refined pattern of each attempt that has one."""
    figures: dict[int, Markup] = {}
    for target in contents.targets:
        for tried in target.rounds:
            analysis = read_analysis(store, tried.attempt) if tried.outcome else None
            if analysis is not None and (figure := _pattern(analysis)) is not None:
                figures[tried.attempt] = _json(figure)
    return figures


def _pattern(analysis: Any) -> Figure | None:
    """Draw a stored analysis; None if another version of alab wrote it."""
    from analysis.diffraction.plot import figure
    from analysis.diffraction.result import Analysis

    text = analysis if isinstance(analysis, str) else json.dumps(analysis)
    try:
        refined = Analysis.from_json(text)
    except (KeyError, TypeError, ValueError) as error:
        log.warning("a stored analysis cannot be drawn: %r", error)
        return None
    return slim(figure(refined, switch=False).to_plotly_json())  # report.js has one


def _json(figure: Figure) -> Markup:
    """A figure as JSON that may stand inside a script element."""
    text = json.dumps(figure, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 - no '<' is left to end it


def _script(text: str) -> Markup:
    """JavaScript that may stand inside a script element."""
    return Markup(text.replace("</script", "<\\/script"))  # noqa: S704 - our own files


def _text(filename: str) -> str:
    return (HERE / filename).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "formula": words.formula,
        "program": words.program,
        "duration": words.duration,
        "stamp": words.stamp,
        "target_share": words.target_share,
        "phase_share": _phase_share,
        "interval": words.interval,
        "probability": words.probability,
    }
    return environment


def _phase_share(phase: PhaseAmount) -> str:
    return words.share(phase.weight_fraction, phase.weight_fraction_esd)


def _write_whole(path: Path, page: str) -> Path:
    """Write beside the goal, then rename: a reader never sees half a report."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(page, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise BadInput(
            f"cannot write the report {path}: {error.strerror}; choose another path"
        ) from error
    return path
