"""``alab queue``: the samples that have not ended, and what the operator wants of them."""

from typing import Annotated, Any

import typer

from alab.cli.device import tell_of_stop
from alab.cli.options import (
    AsJson,
    By,
    DataDir,
    SampleName,
    SampleNames,
    Yes,
    example,
    signed,
)
from alab.cli.output import moment, show_result, show_rows, write_json
from alab.cli.reach import data_directory, look
from alab.client import LabClient
from alab.errors import BadInput

app = typer.Typer(no_args_is_help=True)


@app.command("list", epilog=example("alab queue list"))
def list_(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show what is under way and what waits, most urgent first."""
    rows = look(data_directory(data_dir), "queue", lambda views, s: views.queue(s))
    if as_json:
        write_json(rows)
        return
    tell_of_stop(data_dir)
    show_rows(
        rows,
        [
            ("Sample", "name"),
            ("Target", "target"),
            ("Status", "status"),
            ("Wanted", lambda row: "" if row["control"] == "run" else row["control"]),
            ("Priority", "priority"),
            ("Round", "round"),
            ("At", "at"),
            ("Since (UTC)", lambda row: moment(row["status_at"])),
        ],
        empty="The queue is empty; 'alab campaign start NAME' fills it.",
    )


@app.command(epilog=example("alab queue hold titanates-BaTiO3-1"))
def hold(
    samples: SampleNames, data_dir: DataDir = None, by: By = None, as_json: AsJson = False
) -> None:
    """Keep queued samples from starting, until they are released."""
    _wish("hold", samples, data_dir, by, as_json=as_json)


@app.command(epilog=example("alab queue release titanates-BaTiO3-1"))
def release(
    samples: SampleNames, data_dir: DataDir = None, by: By = None, as_json: AsJson = False
) -> None:
    """Let held samples start."""
    _wish("release", samples, data_dir, by, as_json=as_json)


@app.command(epilog=example("alab queue pause titanates-BaTiO3-1"))
def pause(
    samples: SampleNames, data_dir: DataDir = None, by: By = None, as_json: AsJson = False
) -> None:
    """Stop samples where their stage ends, until they are resumed."""
    _wish("pause", samples, data_dir, by, as_json=as_json)


@app.command(epilog=example("alab queue resume titanates-BaTiO3-1"))
def resume(
    samples: SampleNames, data_dir: DataDir = None, by: By = None, as_json: AsJson = False
) -> None:
    """Let paused samples go on."""
    _wish("resume", samples, data_dir, by, as_json=as_json)


@app.command(epilog=example("alab queue cancel titanates-BaTiO3-1"))
def cancel(
    samples: SampleNames,
    yes: Yes = False,
    data_dir: DataDir = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """End samples for good; shows what that means, and asks, before it does."""
    with LabClient.on(data_directory(data_dir)) as client:
        confirm_cancellation(client, samples, yes=yes, as_json=as_json)
    _wish("cancel", samples, data_dir, by, as_json=as_json)


@app.command(epilog=example("alab queue priority titanates-BaTiO3-1 10"))
def priority(
    sample: SampleName,
    value: Annotated[int, typer.Argument(help="Larger goes first; 0 is usual.")],
    data_dir: DataDir = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Give a sample another place in the queue, from its next stage on."""
    with LabClient.on(data_directory(data_dir)) as client:
        done = client.post(f"samples/{sample}/priority", by=signed(by), priority=value)
    show_result(done, f"{sample} has priority {value}", as_json=as_json)


def confirm_cancellation(
    client: LabClient, samples: list[str], *, yes: bool, as_json: bool
) -> None:
    """Show what cancelling means and ask, unless the person said yes already.

    Raises:
        BadInput: If JSON is wanted, so that nobody can be asked, and ``--yes`` is missing.
        typer.Abort: If the person does not want it.
    """
    if not samples:
        return
    meanings: list[dict[str, Any]] = client.get("cancellation", sample=samples)
    if yes:
        return
    if as_json:
        raise BadInput("with --json nobody is asked: add --yes to cancel")
    show_rows(
        meanings,
        [("Sample", "sample"), ("Status", "status"), ("If cancelled", "means")],
        empty="",
    )
    typer.confirm("Cancel?", abort=True)


def _wish(
    wish: str, samples: list[str], data_dir: Any, by: str | None, *, as_json: bool
) -> None:
    """Send one wish for every sample; the first that is refused ends the command."""
    who = signed(by)
    done: list[dict[str, Any]] = []
    with LabClient.on(data_directory(data_dir)) as client:
        for sample in dict.fromkeys(samples):
            done.append(client.post(f"samples/{sample}/wish", by=who, wish=wish))  # noqa: PERF401
    told = ", ".join(f"{row['sample']}: {row['control']}" for row in done)
    show_result(done, told, as_json=as_json)
