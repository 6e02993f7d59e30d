"""Figures beside a goal and a peer: the table that every benchmark prints."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured figure.

    Attributes:
        value: What was measured; None if it was left out.
        unit: Its unit.
        goal: What it should be.
        better: ``lower`` or ``higher``.
        peer: The peer or floor it stands beside, with its figure.
    """

    value: float | None
    unit: str
    goal: float
    better: str
    peer: str

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached, None if it was not measured."""
        if self.value is None:
            return None
        return self.value <= self.goal if self.better == "lower" else self.value >= self.goal


def show(title: str, figures: dict[str, Figure]) -> None:
    """Print the table."""
    table = Table(title=title, title_justify="left")
    for heading in ("Figure", "Measured", "Goal", "", "Peer or floor"):
        table.add_column(heading)
    words = {True: "[green]reached[/]", False: "[red]missed[/]", None: "not measured"}
    for name, figure in figures.items():
        sign = "≤" if figure.better == "lower" else "≥"
        measured = "–" if figure.value is None else f"{figure.value:.4g} {figure.unit}"
        goal = f"{sign} {figure.goal:g} {figure.unit}"
        table.add_row(name, measured, goal, words[figure.reached], figure.peer)
    Console().print(table)


def write(figures: dict[str, Figure], path: Path) -> None:
    """Write ``{figure: {value, unit, goal, better, peer}}``."""
    path.write_text(json.dumps({n: asdict(f) for n, f in figures.items()}, indent=2) + "\n")
