"""``alab campaign``: start, watch and stop a list of targets."""

from typing import Annotated, Any

import typer

from alab.cli.options import AsJson, By, CampaignName, DataDir, Yes, example, signed
from alab.cli.output import (
    moment,
    percent,
    say,
    show_facts,
    show_result,
    show_rows,
    write_json,
)
from alab.cli.reach import data_directory, look
from alab.client import START_TIMEOUT_S, LabClient
from alab.errors import BadInput

app = typer.Typer(no_args_is_help=True)


@app.command(epilog=example("alab campaign start titanates --targets BaTiO3,SrTiO3 --watch"))
def start(
    name: Annotated[str, typer.Argument(help="A new name: letters, digits, - and _.")],
    targets: Annotated[
        str | None,
        typer.Option(
            help="Formulas with commas between; else everything that is listed.",
            show_default="all listed",
        ),
    ] = None,
    max_attempts: Annotated[
        int, typer.Option(min=1, max=100, help="Recipes tried for a target at most.")
    ] = 5,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show progress until the campaign has ended.")
    ] = False,
    data_dir: DataDir = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Start making targets in the running laboratory."""
    folder = data_directory(data_dir)
    with LabClient.on(folder) as client:
        started = client.post(
            "campaigns",
            by=signed(by),
            timeout_s=START_TIMEOUT_S,
            name=name,
            targets=_formulas(targets),
            max_attempts=max_attempts,
        )
        if not watch:
            text = f"Campaign {name} makes {len(started['targets'])} target(s)"
            show_result(started, f"{text}; see 'alab campaign show {name}'", as_json=as_json)
            return
        from alab.cli.watch import watch_campaign

        ended = watch_campaign(client, name)
    if as_json:
        write_json(ended)
    else:
        _write_campaign(ended)


def _formulas(targets: str | None) -> list[str] | None:
    if targets is None:
        return None
    formulas = [word.strip() for word in targets.split(",") if word.strip()]
    if not formulas:
        raise BadInput("--targets names none; write --targets BaTiO3,SrTiO3 or leave it out")
    return formulas


@app.command("list", epilog=example("alab campaign list"))
def list_(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show every campaign and how far it has come."""
    rows = look(data_directory(data_dir), "campaigns", lambda views, s: views.campaigns(s))
    if as_json:
        write_json(rows)
        return
    show_rows(
        rows,
        [
            ("Campaign", "name"),
            ("Status", "status"),
            ("Targets made", made),
            ("Samples", lambda row: sum(row["samples"].values())),
            ("Since (UTC)", lambda row: moment(row["created_at"])),
            ("Ended (UTC)", lambda row: moment(row["finished_at"])),
        ],
        empty="There is no campaign yet; 'alab campaign start NAME' starts one.",
    )


def made(row: Any) -> str:
    """How many targets of a campaign are made, of how many."""
    return f"{row['targets'].get('made', 0)} of {sum(row['targets'].values())}"


@app.command(epilog=example("alab campaign show titanates"))
def show(name: CampaignName, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show a campaign with its targets and samples."""
    found = look(
        data_directory(data_dir), f"campaigns/{name}", lambda views, s: views.campaign(s, name)
    )
    if as_json:
        write_json(found)
    else:
        _write_campaign(found)


def _write_campaign(found: Any) -> None:
    show_facts(
        {
            "Campaign": found["name"],
            "Status": found["status"],
            "Targets made": made(found),
            "Most attempts": found["max_attempts"],
            "Since (UTC)": moment(found["created_at"]),
            "Ended (UTC)": moment(found["finished_at"]),
        }
    )
    show_rows(
        found["target_list"],
        [
            ("Target", "formula"),
            ("Priority", "priority"),
            ("Status", "status"),
            ("Reason", "reason"),
        ],
        empty="It has no targets.",
    )
    show_rows(
        found["sample_list"],
        [
            ("Sample", "name"),
            ("Status", "status"),
            ("Round", "round"),
            ("At", "at"),
            ("Verdict", "verdict"),
            ("Target wt %", lambda row: percent(row["target_weight_fraction"])),
        ],
        empty="It has no samples yet.",
    )


@app.command(epilog=example("alab campaign stop titanates"))
def stop(
    name: CampaignName,
    yes: Yes = False,
    data_dir: DataDir = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Cancel whatever is open of a campaign; firings under way go on to their end."""
    from alab.cli.queue import confirm_cancellation

    with LabClient.on(data_directory(data_dir)) as client:
        found = client.get(f"campaigns/{name}")
        open_samples = [
            row["name"]
            for row in found["sample_list"]
            if row["status"] not in ("finished", "failed", "cancelled")
        ]
        confirm_cancellation(client, open_samples, yes=yes, as_json=as_json)
        stopped = client.post(f"campaigns/{name}/stop", by=signed(by))
    if as_json:
        write_json(stopped)
    else:
        say(f"Campaign {name} stops; {len(stopped['cancelling'])} sample(s) are cancelled")
