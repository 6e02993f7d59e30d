"""``alab questions`` and ``alab alarms``: what the laboratory wants of people."""

from typing import Annotated

import typer

from alab.cli.options import AsJson, By, DataDir, example, signed
from alab.cli.output import moment, show_result, show_rows, write_json
from alab.cli.reach import data_directory, look
from alab.client import LabClient

questions_app = typer.Typer(no_args_is_help=True)
alarms_app = typer.Typer(no_args_is_help=True)

All = Annotated[bool, typer.Option("--all", help="Also those that are settled.")]


@questions_app.command("list", epilog=example("alab questions list"))
def questions_list(
    everything: All = False, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Show what no sensor could tell."""
    open_only = not everything
    rows = look(
        data_directory(data_dir),
        "questions",
        lambda views, s: views.questions(s, open_only=open_only),
        open_only=open_only,
    )
    if as_json:
        write_json(rows)
        return
    show_rows(
        rows,
        [
            ("Number", "id"),
            ("Question", "text"),
            ("Possible answers", lambda row: " | ".join(row["options"])),
            ("Answer", "answer"),
            ("By", "answered_by"),
            ("Asked (UTC)", lambda row: moment(row["asked_at"])),
        ],
        empty="No question is open.",
    )


@questions_app.command("answer", epilog=example('alab questions answer 3 "it was done"'))
def questions_answer(
    number: Annotated[int, typer.Argument(help="Number of the question.")],
    answer: Annotated[str, typer.Argument(help="One of its possible answers.")],
    data_dir: DataDir = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Answer a question, after a look at the laboratory; signed and logged."""
    with LabClient.on(data_directory(data_dir)) as client:
        done = client.post(f"questions/{number}/answer", by=signed(by), answer=answer)
    show_result(done, f"Question {number} is answered: {answer}", as_json=as_json)


@alarms_app.command("list", epilog=example("alab alarms list"))
def alarms_list(
    everything: All = False, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Show alarms that nobody has acknowledged."""
    standing = not everything
    rows = look(
        data_directory(data_dir),
        "alarms",
        lambda views, s: views.alarms(s, standing_only=standing),
        standing=standing,
    )
    if as_json:
        write_json(rows)
        return
    show_rows(
        rows,
        [
            ("Number", "id"),
            ("Device", "device"),
            ("Alarm", "text"),
            ("Raised (UTC)", lambda row: moment(row["raised_at"])),
            ("Acknowledged by", "acknowledged_by"),
        ],
        empty="No alarm stands.",
    )


@alarms_app.command("acknowledge", epilog=example("alab alarms acknowledge 2"))
def alarms_acknowledge(
    number: Annotated[int, typer.Argument(help="Number of the alarm.")],
    data_dir: DataDir = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Say that you have seen an alarm; signed and logged."""
    with LabClient.on(data_directory(data_dir)) as client:
        done = client.post(f"alarms/{number}/acknowledge", by=signed(by))
    show_result(done, f"Alarm {number} is acknowledged", as_json=as_json)
