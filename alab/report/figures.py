"""The figures of a report, as plotly's JSON."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

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
            "color": [f.profile.max_temperature_c for f in run],
            "colorscale": [[0, "#f6c28b"], [0.5, "#dd6b2a"], [1, "#7a1f0b"]],
            "line": {"color": "white", "width": 1},
        },
    }
    layout = _layout("laboratory time / d", "", 90 + 34 * max(1, len(rows)))
    layout["yaxis"] |= {"categoryorder": "array", "categoryarray": rows, "showgrid": False}
    layout |= {"hovermode": "closest", "uniformtext": {"mode": "hide", "minsize": 9}}
    return {"data": [trace], "layout": layout}


def slim(figure: Mapping[str, Any]) -> Figure:
    """A figure of plotly's without its theme, and with its arrays in single precision.

    Seven digits are more than a pixel needs, and a report holds hundreds of patterns.
    """
    layout = {key: value for key, value in figure["layout"].items() if key != "template"}
    layout |= {"font": _FONT, "paper_bgcolor": "white", "plot_bgcolor": "white"}
    return {"data": [_slim(trace) for trace in figure["data"]], "layout": _slim(layout)}


def _slim(value: Any) -> Any:
    match value:
        case np.ndarray():
            return _packed(value) if value.dtype.kind == "f" else value.tolist()
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
    """Numbers as plotly.js reads typed arrays: base64 of little-endian float32."""
    content = np.asarray(values, dtype="<f4").tobytes()
    return {"dtype": "f4", "bdata": base64.b64encode(content).decode("ascii")}


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
