"""What a command writes: tables for people, JSON for programs, errors for both."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from alab.errors import AlabError, BadInput, ServiceUnreachable

OK, FAILED, BAD_INPUT, NO_SERVICE, INTERRUPTED = 0, 1, 2, 3, 130
PIPED_WIDTH = 160
"""Columns of a table that is not written to a terminal."""

Column = tuple[str, str | Callable[[Mapping[str, Any]], object]]
"""Heading, and the key of the row or how to make the cell from the row."""

COLOURS = {
    "ready": "green",
    "success": "green",
    "made": "green",
    "finished": "green",
    "running": "cyan",
    "firing": "yellow",
    "partial": "yellow",
    "inconclusive": "yellow",
    "held": "yellow",
    "paused": "yellow",
    "unknown": "magenta",
    "offline": "red",
    "quarantined": "red",
    "failed": "red",
    "given_up": "red",
    "cancelled": "bright_black",
}


def screen(*, errors: bool = False) -> Console:
    """Standard output (or error) as it is now; wide where it is no terminal."""
    stream = sys.stderr if errors else sys.stdout
    width = None if stream.isatty() else PIPED_WIDTH
    return Console(file=stream, width=width, highlight=False)


def write_json(data: Any) -> None:
    """Write JSON to standard output."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def say(text: str) -> None:
    """Write a line for people."""
    screen().print(escape(text))


def show_rows(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], *, empty: str, title: str = ""
) -> None:
    """Write rows as a table, or say that there are none.

    Args:
        rows: What to show.
        columns: Heading and content of every column.
        empty: What to say without rows; names the next step.
        title: Stands above the table.
    """
    if not rows:
        say(empty)
        return
    table = Table(title=title or None, title_justify="left", header_style="bold")
    for heading, _ in columns:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row, content) for _, content in columns))
    screen().print(table)


def show_facts(facts: Mapping[str, object]) -> None:
    """Write names with their values, one a line; empty ones are left out."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value not in (None, "", []):
            table.add_row(name, coloured(value))
    screen().print(table)


def show_result(data: Any, text: str, *, as_json: bool) -> None:
    """Write what came of an action: JSON, or one line for people."""
    if as_json:
        write_json(data)
    else:
        say(text)


def coloured(value: object) -> str:
    """A value as rich text; words that name a state get its colour."""
    if value is None or value == "":
        return ""
    text = escape(", ".join(map(str, value)) if isinstance(value, list) else str(value))
    colour = COLOURS.get(text)
    return f"[{colour}]{text}[/]" if colour else text


def _cell(row: Mapping[str, Any], content: str | Callable[[Mapping[str, Any]], object]) -> str:
    return coloured(row.get(content) if isinstance(content, str) else content(row))


def moment(at: str | None) -> str:
    """A stamp for people: ``2026-01-05 08:00`` (UTC)."""
    return at[:16].replace("T", " ") if at else ""


def percent(fraction: float | None) -> str:
    """A weight fraction for people."""
    return "" if fraction is None else f"{fraction * 100:.1f}"


def exit_code(error: AlabError) -> int:
    """What a command ends with after an error."""
    if isinstance(error, BadInput):
        return BAD_INPUT
    return NO_SERVICE if isinstance(error, ServiceUnreachable) else FAILED


def write_error(error: AlabError) -> None:
    """One clear message on standard error, without a stack trace."""
    screen(errors=True).print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
