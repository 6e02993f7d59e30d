"""What the dashboard shows: small line drawings, as SVG in a data address."""

import base64
import logging
from collections.abc import Awaitable, Sequence

log = logging.getLogger(__name__)

WIDTH, HEIGHT, MARGIN = 720, 300, 48
COLOURS = ("#1f6feb", "#d1242f", "#8c959f", "#1a7f37")


def curve(
    x: Sequence[float], series: Sequence[Sequence[float]], *, x_title: str, y_title: str
) -> str:
    """Draw one or more curves over a common axis.

    Returns:
        A ``data:`` address of the SVG.
    """
    low, high = min(map(min, series)), max(map(max, series))
    x_span, y_span = (x[-1] - x[0]) or 1.0, (high - low) or 1.0

    def place(at: float, value: float) -> str:
        across = MARGIN + (at - x[0]) / x_span * (WIDTH - 2 * MARGIN)
        up = HEIGHT - MARGIN - (value - low) / y_span * (HEIGHT - 2 * MARGIN)
        return f"{across:.1f},{up:.1f}"

    lines = [
        f'<polyline fill="none" stroke="{COLOURS[i % len(COLOURS)]}" stroke-width="1.2" '
        f'points="{" ".join(place(a, v) for a, v in zip(x, values, strict=True))}"/>'
        for i, values in enumerate(series)
    ]
    labels = [
        (MARGIN, HEIGHT - 12, f"{x[0]:.4g}"),
        (WIDTH - MARGIN, HEIGHT - 12, f"{x[-1]:.4g} {x_title}"),
        (MARGIN, MARGIN - 14, f"{high:.4g} {y_title}"),
        (6, HEIGHT - MARGIN, f"{low:.4g}"),
    ]
    words = [f'<text x="{a}" y="{b}" font-size="13">{text}</text>' for a, b, text in labels]
    frame = (
        f'<rect x="{MARGIN}" y="{MARGIN}" width="{WIDTH - 2 * MARGIN}" '
        f'height="{HEIGHT - 2 * MARGIN}" fill="none" stroke="#d0d7de"/>'
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 60} {HEIGHT}" '
        f'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>'
        f"{frame}{''.join(lines)}{''.join(words)}</svg>"
    )
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


async def shown(artifact: Awaitable[object]) -> None:
    """Put an artifact on the dashboard, if it can be reached: the work goes on without."""
    try:
        await artifact
    except Exception as error:  # noqa: BLE001 (Prefect lets errors of many libraries through)
        log.warning("The dashboard does not show what it should: %s", error)
