"""The figures of a report, as plotly's JSON."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alab.report.contents import Curve, Firing

Figure = dict[str, Any]

MEASURED, WANTED, INK, RULE = "#c1440e", "#6b7280", "#1f2933", "#d9dee4"
_FONT = {"family": "Inter, 'Helvetica Neue', Arial, sans-serif", "size": 12, "color": INK}


def heating_curve(curve: Curve) -> Figure:
    """Measured temperature over the hours of a firing, with the working setpoint."""
    hours = _packed(curve.hours)
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "measured",
            "x": hours,
            "y": _packed(curve.temperature_c),
            "line": {"color": MEASURED, "width": 2},
        }
    ]
    if any(setpoint_c is not None for setpoint_c in curve.setpoint_c):
        setpoints = {
            "type": "scatter",
            "mode": "lines",
            "name": "setpoint",
            "x": hours,
            "y": _packed([np.nan if s is None else s for s in curve.setpoint_c]),
            "line": {"color": WANTED, "width": 1.2, "dash": "dash"},
        }
        traces.insert(0, setpoints)
    return {
        "data": traces,
        "layout": _layout("time since the program started / h", "temperature / °C", 280),
    }


def furnace_days(firings: Sequence[Firing], start: datetime, now: datetime) -> Figure:
    """When each furnace ran and how full it was: one bar a firing."""
    run = [f for f in firings if f.heated_from is not None]
    rows = sorted({f.furnace for f in run}, reverse=True)
    days = [(f.heated_from - start).total_seconds() / 86400 for f in run if f.heated_from]
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": [f.furnace for f in run],
        "base": days,
        "x": [f.hours(now) / 24 for f in run],
        "text": [f"{f.profile.max_temperature_c:.0f} °C · {len(f.samples)}" for f in run],
        "textposition": "inside",
        "insidetextanchor": "middle",
        "hovertext": [
            f"firing {f.number}: {len(f.samples)} of {f.slots} crucibles, "
            f"{f.profile.max_temperature_c:.0f} °C in {f.atmosphere}, {f.hours(now):.1f} h"
            for f in run
        ],
        "hoverinfo": "text",
        "marker": {
            "color": [_glow(f.profile.max_temperature_c) for f in run],
            "line": {"color": "white", "width": 1},
        },
    }
    layout = _layout("laboratory time / d", "", 90 + 34 * max(1, len(rows)))
    layout["yaxis"] |= {"categoryorder": "array", "categoryarray": rows, "showgrid": False}
    layout |= {"hovermode": "closest", "uniformtext": {"mode": "hide", "minsize": 9}}
    return {"data": [trace], "layout": layout}


def _glow(temperature_c: float) -> str:
    """The hotter, the darker: from straw at 600 °C to dark red at 1200 °C."""
    share = min(max((temperature_c - 600.0) / 600.0, 0.0), 1.0)
    straw, red = (246, 194, 139), (122, 31, 11)
    red_green_blue = (round(a + share * (b - a)) for a, b in zip(straw, red, strict=True))
    return "rgb({}, {}, {})".format(*red_green_blue)


def slim(figure: Mapping[str, Any]) -> Figure:
    """A figure of plotly's without its theme, and with its arrays in single precision.

    Seven digits are more than a pixel needs, and a report holds hundreds of patterns.
    """
    without = ("template", "title")  # the page has headings of its own
    layout = {key: value for key, value in figure["layout"].items() if key not in without}
    layout |= {"font": _FONT, "paper_bgcolor": "white", "plot_bgcolor": "white"}
    traces = [_slim(_with_even_axis(trace)) for trace in figure["data"]]
    return {"data": traces, "layout": _slim(layout)}


def _with_even_axis(trace: Mapping[str, Any]) -> dict[str, Any]:
    """A trace whose evenly spaced x is told by its first value and its step."""
    x = _numbers(trace.get("x"))
    if x is None or len(x) < 3:
        return dict(trace)
    first, last = float(x[0]), float(x[-1])
    even = np.linspace(first, last, len(x))
    if np.max(np.abs(x - even)) > 0.1 * (last - first) / len(x):
        return dict(trace)
    rest = {key: value for key, value in trace.items() if key != "x"}
    return rest | {"x0": first, "dx": (last - first) / (len(x) - 1)}


def _numbers(value: Any) -> NDArray[Any] | None:
    """An array, packed by plotly or not yet; None of anything else."""
    match value:
        case np.ndarray() if value.dtype.kind in "fiu":
            return value
        case {"dtype": str() as kind, "bdata": str() as content}:
            return np.frombuffer(base64.b64decode(content), dtype=f"<{kind}")
        case _:
            return None


def _slim(value: Any) -> Any:
    if (array := _numbers(value)) is not None:
        return _packed(array)
    match value:
        case np.ndarray():
            return value.tolist()
        case dict():
            return {key: _slim(part) for key, part in value.items()}
        case list() | tuple():
            numbers = len(value) > 16 and all(isinstance(part, float) for part in value)
            return _packed(value) if numbers else [_slim(part) for part in value]
        case np.generic():
            return value.item()
        case _:
            return value


def _packed(values: Any) -> dict[str, str]:
    """Numbers as plotly.js reads typed arrays: base64, little-endian, as short as may be."""
    array = np.asarray(values)
    kind = "f4"
    if array.dtype.kind in "iu":
        kind = "i2" if np.all(np.abs(array) < 2**15) else "i4"
    content = array.astype(f"<{kind}").tobytes()
    return {"dtype": kind, "bdata": base64.b64encode(content).decode("ascii")}


def _layout(x_title: str, y_title: str, height_px: int) -> dict[str, Any]:
    axis = {"gridcolor": RULE, "linecolor": INK, "ticks": "outside", "zeroline": False}
    return {
        "height": height_px,
        "margin": {"l": 64, "r": 16, "t": 16, "b": 48},
        "font": _FONT,
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "hovermode": "x unified",
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
        },
        "xaxis": {**axis, "title": {"text": x_title}},
        "yaxis": {**axis, "title": {"text": y_title}},
    }
