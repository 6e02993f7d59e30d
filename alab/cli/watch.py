"""Progress of a campaign on the terminal while it runs."""

import threading
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from alab.cli.output import coloured, moment, screen
from alab.client import LabClient

PERIOD_S = 1.0
OPEN = ("running", "stopping")


def watch_campaign(client: LabClient, name: str) -> Any:
    """Show progress and what happens, on standard error, until a campaign has ended.

    Returns:
        The campaign as it ended.
    """
    pause = threading.Event()
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}"),
        console=screen(errors=True),
        transient=True,
    )
    last = None
    with progress:
        task = progress.add_task(escape(name), total=None, state="")
        while True:
            found = client.get(f"campaigns/{name}")
            last = _tell_events(client, progress, name, last)
            time = client.get("lab")["laboratory_time"]
            counts = found["targets"]
            progress.update(
                task,
                completed=sum(counts.values()) - counts.get("open", 0),
                total=sum(counts.values()),
                state=f"{moment(time)}  {_states(found['samples'])}",
            )
            if found["status"] not in OPEN:
                return found
            pause.wait(PERIOD_S)


def _tell_events(
    client: LabClient, progress: Progress, name: str, last: int | None
) -> int | None:
    """Print what happened to the campaign and its samples since event ``last``."""
    events = client.get("events", since=last, limit=500 if last is not None else 20)
    for event in events:
        if event["subject"].startswith(name):
            progress.console.print(
                f"[dim]{moment(event['at'])}[/] {escape(event['subject'])}: "
                f"{coloured(event['text'])}"
            )
    return events[-1]["id"] if events else last


def _states(samples: dict[str, int]) -> str:
    return ", ".join(f"{number} {status}" for status, number in sorted(samples.items()))
