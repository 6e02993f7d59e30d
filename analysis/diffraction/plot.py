"""Pictures of a refinement: observed, calculated, background, difference, ticks of each phase.

``figure`` draws for the browser (Plotly), ``write_png`` for paper (matplotlib), both from the
same :class:`Analysis`. Counts can be drawn by their square root, in which equal heights are
equally sure, and weak lines show.
"""

from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from alab.errors import BadInput
from analysis.diffraction.arrays import Array
from analysis.diffraction.result import Analysis

MOST_POINTS = 3100
"""Points drawn for each curve, so that reports stay small."""

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#555")
_OBSERVED, _CALCULATED, _BACKGROUND, _DIFFERENCE = "#4a5560", "#c1121f", "#8a94a0", "#333"
_UNKNOWN = "#b5179e"
_UNKNOWN_WIDTH_DEG = 0.15
_MAIN_PX, _ROW_PX, _DIFFERENCE_PX, _GAP_PX = 330, 17, 90, 8
_MARGIN_PX = {"l": 70, "r": 16, "t": 64, "b": 44}


def figure(analysis: Analysis, *, switch: bool = True) -> go.Figure:
    """Draw an analysis.

    Args:
        analysis: What to draw.
        switch: Whether to put in buttons for counts and their square root; these carry the
            curves twice.

    Returns:
        Counts above, a row of ticks for each phase, and the difference below. The first
        traces are observed, calculated, background and difference.
    """
    every = _decimated(len(analysis.two_theta_deg))
    angle = np.round(analysis.two_theta_deg[every], 3).astype(np.float32)
    counts = [
        _whole(curve[every])
        for curve in (analysis.observed, analysis.calculated, analysis.background)
    ]
    drawn = go.Figure()
    looks: list[dict[str, Any]] = [
        {"name": "observed", "mode": "markers", "marker": {"size": 3, "color": _OBSERVED}},
        {"name": "calculated", "line": {"width": 1.2, "color": _CALCULATED}},
        {"name": "background", "line": {"width": 1, "color": _BACKGROUND, "dash": "dot"}},
    ]
    for curve, look in zip(counts, looks, strict=True):
        drawn.add_scatter(x=angle, y=curve, hovertemplate="%{x:.2f}°: %{y:.0f}", **look)
    drawn.add_scatter(
        x=angle,
        y=counts[0] - counts[1],
        name="difference",
        line={"width": 0.8, "color": _DIFFERENCE},
        yaxis="y3",
        showlegend=False,
        hovertemplate="%{x:.2f}°: %{y:.0f}",
    )
    _draw_ticks(drawn, analysis)
    marked = _unknown(analysis)
    if marked is not None:
        drawn.add_scatter(
            x=marked[0],
            y=_whole(marked[1]),
            name="unknown peak",
            mode="markers",
            marker={"symbol": "triangle-down", "size": 11, "color": _UNKNOWN},
            hovertemplate="unknown peak at %{x:.2f}°",
        )
    _lay_out(drawn, analysis)
    if switch:
        drawn.update_layout(updatemenus=[_scale_buttons(drawn)])
    return drawn


def write_html(analysis: Analysis, path: Path) -> None:
    """Write the figure as a page of its own, which needs no network.

    Raises:
        BadInput: If it cannot be written there.
    """
    try:
        figure(analysis).write_html(path, include_plotlyjs=True, config={"displaylogo": False})
    except OSError as error:
        raise _unwritable(path, error) from error


def write_png(analysis: Analysis, path: Path, *, square_root: bool = True) -> None:
    """Write the picture as PNG, 2,000 pixels wide.

    Args:
        analysis: What to draw.
        path: The file.
        square_root: Whether to draw counts by their square root.

    Raises:
        BadInput: If it cannot be written there.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = max(1, len(analysis.contributions))
    heights = [4.0, 0.22 * rows + 0.06, 1.1]
    page = Figure(figsize=(10, sum(heights) + 1.1), layout="constrained")
    FigureCanvasAgg(page)
    top, ticks, below = page.subplots(
        3, 1, sharex=True, gridspec_kw={"height_ratios": heights, "hspace": 0.02}
    )
    angle = analysis.two_theta_deg
    top.plot(angle, analysis.observed, ".", color=_OBSERVED, ms=2, label="observed")
    top.plot(angle, analysis.calculated, color=_CALCULATED, lw=0.9, label="calculated")
    top.plot(angle, analysis.background, ":", color=_BACKGROUND, lw=1, label="background")
    marked = _unknown(analysis)
    if marked is not None:
        top.plot(*marked, "v", color=_UNKNOWN, ms=7, label="unknown peak")
    if square_root:
        top.set_yscale("function", functions=(_root, np.square))
    top.set_ylim(max(0.0, 0.8 * float(np.min(analysis.observed))), None)
    top.set_ylabel("counts (√ scale)" if square_root else "counts")
    top.set_title(_title(analysis), fontsize=10, loc="left")
    top.legend(fontsize=8, frameon=False, ncols=4, loc="upper right")
    for i, part in enumerate(analysis.contributions):
        colour = _COLOURS[i % len(_COLOURS)]
        ticks.plot(part.ticks_deg, [-i] * len(part.ticks_deg), "|", color=colour, ms=9)
    ticks.set_yticks(range(0, -len(analysis.contributions), -1), labels=_labels(analysis))
    ticks.set_ylim(0.6 - rows, 0.6)
    ticks.tick_params(axis="y", length=0, labelsize=8)
    below.plot(angle, analysis.observed - analysis.calculated, color=_DIFFERENCE, lw=0.6)
    below.axhline(0.0, color=_BACKGROUND, lw=0.6)
    below.set_ylabel("difference")
    below.set_xlabel("2θ (°)")
    below.set_xlim(float(angle[0]), float(angle[-1]))
    try:
        page.savefig(path, dpi=200, format="png")
    except OSError as error:
        raise _unwritable(path, error) from error


def _draw_ticks(drawn: go.Figure, analysis: Analysis) -> None:
    for i, (part, label) in enumerate(
        zip(analysis.contributions, _labels(analysis), strict=True)
    ):
        drawn.add_scatter(
            x=part.ticks_deg,
            y=[-i] * len(part.ticks_deg),
            name=label,
            mode="markers",
            marker={
                "symbol": "line-ns-open",
                "size": 9,
                "line": {"width": 1.3},
                "color": _COLOURS[i % len(_COLOURS)],
            },
            yaxis="y2",
            showlegend=False,
            hovertemplate=f"{part.reference} %{{x:.2f}}°<extra></extra>",
        )


def _lay_out(drawn: go.Figure, analysis: Analysis) -> None:
    rows = max(1, len(analysis.contributions))
    ticks_px = _ROW_PX * rows + 6
    inner_px = _MAIN_PX + ticks_px + _DIFFERENCE_PX + 2 * _GAP_PX
    difference_top = _DIFFERENCE_PX / inner_px
    ticks_foot = (_DIFFERENCE_PX + _GAP_PX) / inner_px
    ticks_top = (_DIFFERENCE_PX + _GAP_PX + ticks_px) / inner_px
    axis = {"showline": True, "linecolor": "#9aa3ad", "ticks": "outside", "zeroline": False}
    drawn.update_layout(
        template="plotly_white",
        title={"text": _title(analysis), "font": {"size": 14}, "y": 0.985, "yanchor": "top"},
        xaxis={
            **axis,
            "title": {"text": "2θ (°)"},
            "anchor": "y3",
            "range": [float(analysis.two_theta_deg[0]), float(analysis.two_theta_deg[-1])],
        },
        yaxis={
            **axis,
            "title": {"text": "counts"},
            "domain": [ticks_top + _GAP_PX / inner_px, 1],
        },
        yaxis2={
            "domain": [ticks_foot, ticks_top],
            "range": [0.6 - rows, 0.6],
            "tickvals": [-i for i in range(len(analysis.contributions))],
            "ticktext": _labels(analysis),
            "tickfont": {"size": 11},
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
            "automargin": True,
        },
        yaxis3={
            **axis,
            "title": {"text": "difference", "font": {"size": 11}, "standoff": 6},
            "automargin": True,
            "domain": [0, difference_top],
            "zeroline": True,
            "zerolinecolor": "#9aa3ad",
        },
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.0, "yanchor": "bottom"},
        margin=_MARGIN_PX,
        height=inner_px + _MARGIN_PX["t"] + _MARGIN_PX["b"],
        hovermode="closest",
    )


def _scale_buttons(drawn: go.Figure) -> dict[str, Any]:
    """Buttons for counts and their square root, with ticks labelled in counts."""
    traces: tuple[Any, ...] = tuple(drawn.data)
    which = [i for i, trace in enumerate(traces) if trace.yaxis is None]
    plain = [np.asarray(traces[i].y) for i in which]
    rooted = [_root(y).astype(np.float32) for y in plain]
    marks = _round_counts(float(max(y.max(initial=1.0) for y in plain)))
    square = {
        "yaxis.title.text": "counts (√ scale)",
        "yaxis.tickvals": [float(np.sqrt(mark)) for mark in marks],
        "yaxis.ticktext": [f"{mark:,.0f}" for mark in marks],
    }
    linear = {
        "yaxis.title.text": "counts",
        "yaxis.tickvals": None,
        "yaxis.ticktext": None,
    }
    fit = {"yaxis.autorange": True}
    hover = ["%{x:.2f}°: %{y:.0f}", "%{x:.2f}°: √counts %{y:.1f}"]
    return {
        "type": "buttons",
        "direction": "left",
        "x": 0,
        "xanchor": "left",
        "y": 1.0,
        "yanchor": "bottom",
        "pad": {"b": 4},
        "font": {"size": 11},
        "buttons": [
            {
                "label": label,
                "method": "update",
                "args": [{"y": ys, "hovertemplate": h}, axis, which],
            }
            for label, ys, h, axis in (
                ("counts", plain, hover[0], linear | fit),
                ("√ counts", rooted, hover[1], square | fit),
            )
        ],
    }


def _round_counts(top: float) -> list[float]:
    """Counts 1, 2, 5 or 8 times a power of ten, about evenly spaced by their square root."""
    marks: list[float] = [0.0]
    for share in (0.01, 0.04, 0.16, 0.36, 0.64, 1.0):
        power = 10.0 ** np.floor(np.log10(max(share * top, 1.0)))
        mark = float(max(k for k in (1, 2, 5, 8) if k == 1 or k * power <= share * top) * power)
        if mark > marks[-1]:
            marks.append(mark)
    return marks


def _unknown(analysis: Analysis) -> tuple[Array, Array] | None:
    """Where to put the marks of unknown peaks: their angles, and heights above them."""
    places = np.array(analysis.unexplained_two_theta_deg, dtype=float)
    if not len(places):
        return None
    near = np.abs(analysis.two_theta_deg[None] - places[:, None]) <= _UNKNOWN_WIDTH_DEG
    heights = np.max(np.where(near, analysis.observed[None], 0.0), axis=1)
    return places, heights * 1.04


def _labels(analysis: Analysis) -> list[str]:
    return [
        f"{phase.formula} {100 * phase.weight_fraction:.1f} wt %"
        for phase in analysis.outcome.phases
    ]


def _title(analysis: Analysis) -> str:
    name = analysis.sample or analysis.origin
    return f"{name}: R_wp {analysis.outcome.r_wp_percent:.1f} %"


def _root(counts: Array) -> Array:
    return np.sqrt(np.maximum(counts, 0.0))


def _whole(counts: Array) -> NDArray[np.int32]:
    """Whole counts: half the bytes in a report."""
    return np.round(counts).astype(np.int32)


def _decimated(points: int) -> NDArray[np.intp]:
    return np.arange(0, points, -(-points // MOST_POINTS))


def _unwritable(path: Path, error: OSError) -> BadInput:
    return BadInput(
        f"cannot write {path}: {error.strerror}; choose a folder that you may write to"
    )
