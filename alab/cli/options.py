"""Options and arguments that many commands share."""

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from alab.cli.reach import data_directory, look
from alab.errors import AlabError, BadInput


def _names(path: str, view: str, key: str) -> Callable[[typer.Context, str], list[str]]:
    """Completion from what there is; a shell that asks must never see an error."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            folder = data_directory(ctx.params.get("data_dir"))
            rows: list[Any] = look(folder, path, lambda views, s: getattr(views, view)(s))
        except AlabError:
            return []
        return [row[key] for row in rows if row[key].startswith(incomplete)]

    return complete


complete_samples = _names("samples", "samples", "name")
complete_campaigns = _names("campaigns", "campaigns", "name")
complete_devices = _names("devices", "devices", "name")
complete_listed = _names("targets", "targets", "formula")

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Data directory of the laboratory; else $ALAB_DATA_DIR, else ./alab-data.",
        file_okay=False,
        show_default=False,
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Write JSON to standard output, and nothing else.")
]
By = Annotated[
    str | None,
    typer.Option(
        "--by",
        envvar="ALAB_OPERATOR",
        help="Who asks, for the log; your login name unless given.",
        show_default=False,
        show_envvar=False,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
SampleName = Annotated[
    str,
    typer.Argument(metavar="SAMPLE", help="Name of a sample.", autocompletion=complete_samples),
]
SampleNames = Annotated[
    list[str],
    typer.Argument(
        metavar="SAMPLE...", help="Names of samples.", autocompletion=complete_samples
    ),
]
CampaignName = Annotated[
    str,
    typer.Argument(
        metavar="CAMPAIGN", help="Name of a campaign.", autocompletion=complete_campaigns
    ),
]
DeviceName = Annotated[
    str,
    typer.Argument(metavar="DEVICE", help="Name of a device.", autocompletion=complete_devices),
]


def example(*lines: str) -> str:
    """The closing line of a command's help."""
    return "Example: " + "  ·  ".join(lines)


def signed(by: str | None) -> str:
    """Who asks.

    Raises:
        BadInput: If nobody can be named.
    """
    if by:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise BadInput("nobody is logged in here; say who asks with --by NAME") from error
