"""A picture of a refinement: observed, calculated, difference, ticks for each phase."""

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from analysis.diffraction.arrays import Array
from analysis.diffraction.result import Analysis

MOST_POINTS = 3000
"""Points drawn for each curve, so that reports stay small."""

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#555")


def figure(analysis: Analysis) -> go.Figure:
    """Draw an analysis.

    Args:
        analysis: What to draw.

    Returns:
        A figure with the counts above, a row of ticks for each phase, and the difference.
    """
    every = _decimated(len(analysis.two_theta_deg))
    angle = np.round(analysis.two_theta_deg[every], 3).astype(np.float32)
    observed = _whole(analysis.observed[every])
    calculated = _whole(analysis.calculated[every])
    top = float(np.max(analysis.observed)) if len(analysis.observed) else 1.0
    row = 0.04 * top
    below = -row * (len(analysis.contributions) + 1)
    difference = observed - calculated
    offset = below - 1.1 * float(np.max(difference, initial=0.0))

    drawn = go.Figure()
    drawn.add_scatter(
        x=angle,
        y=observed,
        name="observed",
        mode="markers",
        marker={"size": 3, "color": "#888"},
    )
    drawn.add_scatter(
        x=angle, y=calculated, name="calculated", line={"width": 1.2, "color": "#c00"}
    )
    drawn.add_scatter(
        x=angle,
        y=_whole(analysis.background[every]),
        name="background",
        line={"width": 1, "color": "#999", "dash": "dot"},
    )
    drawn.add_scatter(
        x=angle,
        y=_whole(difference + offset),
        name="difference",
        line={"width": 0.8, "color": "#333"},
    )
    for i, (phase, part) in enumerate(
        zip(analysis.outcome.phases, analysis.contributions, strict=True)
    ):
        drawn.add_scatter(
            x=part.ticks_deg,
            y=[-row * (i + 1)] * len(part.ticks_deg),
            name=f"{phase.formula} {100 * phase.weight_fraction:.1f} wt %",
            mode="markers",
            marker={
                "symbol": "line-ns-open",
                "size": 9,
                "color": _COLOURS[i % len(_COLOURS)],
            },
            hovertemplate=f"{part.reference} %{{x:.2f}}°<extra></extra>",
        )
    name = analysis.sample or analysis.origin
    drawn.update_layout(
        template="plotly_white",
        title=f"{name}: R_wp {analysis.outcome.r_wp_percent:.1f} %",
        xaxis_title="2θ (°)",
        yaxis_title="counts",
        legend={"orientation": "h", "y": -0.18},
        margin={"l": 60, "r": 20, "t": 50, "b": 60},
        height=480,
    )
    return drawn


def _whole(counts: Array) -> NDArray[np.int32]:
    """Whole counts: half the bytes in a report."""
    return np.round(counts).astype(np.int32)


def _decimated(points: int) -> NDArray[np.intp]:
    return np.arange(0, points, -(-points // MOST_POINTS))
