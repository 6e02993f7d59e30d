"""How a report puts values into words and marks."""

import re
from datetime import datetime

from markupsafe import Markup, escape

from alab.models import Outcome, Profile


def formula(text: str) -> Markup:
    """A chemical formula with its numbers set low: BaTiO<sub>3</sub>."""
    low = re.sub(r"(?<=[A-Za-z)\]])(\d+(?:\.\d+)?)", r"<sub>\1</sub>", str(escape(text)))
    return Markup(low)  # noqa: S704 - escaped above


def program(profile: Profile) -> str:
    """A heating program in one line: 5 °C/min to 900 °C, 12 h."""
    return "; ".join(
        f"{s.ramp_c_per_min:g} °C/min to {s.temperature_c:g} °C"
        + (f", {duration(s.dwell_s)}" if s.dwell_s else "")
        for s in profile.segments
    )


def duration(seconds: float) -> str:
    """A time span as people say it: 8 min, 12 h, 3.5 d."""
    if seconds < 3600:
        return f"{seconds / 60:.3g} min"
    if seconds < 72 * 3600:
        return f"{seconds / 3600:.3g} h"
    return f"{seconds / 86400:.3g} d"


def target_share(outcome: Outcome) -> str:
    """Target in the crystalline part with one standard deviation: 83.4 ± 1.2 wt %."""
    return share(outcome.target_weight_fraction, outcome.target_weight_fraction_esd)


def share(fraction: float, esd: float) -> str:
    """A weight fraction and its standard deviation in wt %, as exact as the latter."""
    digits = 1 if 100 * esd < 9.5 else 0
    return f"{100 * fraction:.{digits}f} ± {100 * esd:.{digits}f}"


def interval(ends: tuple[float, float]) -> str:
    """Lower and upper end of weight fractions, in wt %."""
    return f"{100 * ends[0]:.1f} – {100 * ends[1]:.1f}"


def probability(value: float) -> str:
    """A probability, never rounded to certainty."""
    return "> 99.9 %" if value > 0.999 else f"{100 * value:.1f} %"


def stamp(at: datetime) -> str:
    """A stamp of laboratory time, UTC."""
    return f"{at:%Y-%m-%d %H:%M}"
