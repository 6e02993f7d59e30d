"""The command ``alab``."""

import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from alab.cli import (
    campaign,
    data,
    device,
    lab,
    observations,
    people,
    queue,
    recipes,
    sample,
    targets,
)
from alab.cli.analyze import analyze
from alab.cli.calibrate import calibrate
from alab.cli.default_command import Predicting
from alab.cli.discover import discover
from alab.cli.optimize import optimize
from alab.cli.options import AsJson, CampaignName, DataDir, example
from alab.cli.output import INTERRUPTED, exit_code, screen, show_result, write_error
from alab.cli.reach import data_directory, opened
from alab.cli.reactions import predict
from alab.errors import AlabError, BadInput

LAZY = {
    "demo": (
        "alab.cli.demo",
        "Run a simulated campaign from nothing, and write its report.",
        example("alab demo"),
    ),
    "up": (
        "alab.cli.up",
        "Start the laboratory: its service with the lab page, Prefect, and the flows.",
        example("alab up --simulate"),
    ),
}
"""Commands whose modules import Prefect: name → module, help, example."""


class LazyCommand(TyperCommand):
    """A command whose module is imported when it is used; its help line is known before."""

    def __init__(self, name: str) -> None:
        self.module, self.line, self.closing = LAZY[name]
        super().__init__(name=name, help=self.line, callback=None)

    def load(self) -> TyperCommand:
        """The command itself."""
        assert self.name is not None  # noqa: S101
        function = getattr(import_module(self.module), self.name)
        alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
        alone.command(self.name, epilog=self.closing)(function)
        command = typer.main.get_command(alone)
        assert isinstance(command, TyperCommand)  # noqa: S101
        return command

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Hand over to the command itself: parsing, help and completion are its own."""
        return self.load().make_context(*args, **kwargs)


class LabGroup(TyperGroup):
    """The group of all commands; those that import much come last in the making."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by its name."""
        if cmd_name in LAZY:
            return LazyCommand(cmd_name)
        return super().get_command(ctx, cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of the help."""
        return [*LAZY, *super().list_commands(ctx)]


app = typer.Typer(
    cls=LabGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done · 1 failed · 2 bad input or usage · 3 no laboratory runs · "
    "130 interrupted (Ctrl-C).  Example: alab demo",
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"alab {version('alab')}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version.", callback=_tell_version, is_eager=True
        ),
    ] = False,
) -> None:
    """An autonomous laboratory for inorganic powders: plan, make, measure, decide.

    Commands that read ask the running laboratory, or else its data directory.
    Commands that act need it running: see alab up.
    """


def report(
    campaign_name: CampaignName,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File to write.",
            show_default="CAMPAIGN.html",
            dir_okay=False,
        ),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write one HTML file of a campaign that you can send: recipes, curves, patterns, why."""
    path = output or Path(f"{campaign_name}.html")
    with opened(data_directory(data_dir), read_only=True) as store:
        from alab import views
        from alab.report.report import write_report

        with store.begin() as session:
            views.campaign(session, campaign_name)
        try:
            written = write_report(store, campaign_name, path)
        except OSError as error:
            raise BadInput(f"cannot write {path}: {error.strerror}") from error
    done = {"campaign": campaign_name, "file": str(written.resolve())}
    show_result(done, f"Wrote {written}", as_json=as_json)


app.command("init", epilog=example("alab init --data-dir my-lab"))(lab.init)
app.add_typer(lab.app, name="lab", help="Check the definition of a laboratory.")
app.add_typer(targets.app, name="targets", help="List compounds to make.")
app.add_typer(campaign.app, name="campaign", help="Start, watch and stop campaigns.")
app.add_typer(queue.app, name="queue", help="Steer the samples that are under way.")
app.add_typer(sample.app, name="sample", help="Look at samples.")
app.command("why", epilog=example("alab why titanates-BaTiO3-1"))(sample.why)
app.add_typer(device.app, name="device", help="Look at devices, lock them out, stop them.")
app.add_typer(device.stock_app, name="stock", help="See and refill powders and crucibles.")
observations.app.command(
    "predict",
    epilog=example("alab reactions BaCO3 TiO2 --target BaTiO3 --temperature 1000"),
)(predict)
app.add_typer(
    observations.app,
    name="reactions",
    cls=Predicting,
    help="Predict what powders do; see what reacted with what, so far.",
)
app.command(
    "optimize",
    epilog=example(
        "alab optimize BaTiO3 --tried fired.csv --batch 4",
        "alab optimize LiMn2O4 --data-dir my-lab",
    ),
)(optimize)
app.add_typer(people.questions_app, name="questions", help="Answer what no sensor can tell.")
app.add_typer(people.alarms_app, name="alarms", help="See and acknowledge alarms.")
app.add_typer(
    recipes.app, name="recipes", help="Plan how to make a compound; check recipe files."
)
app.command(
    "analyze",
    epilog=example("alab analyze scan.xrdml --elements Ba,Ti,O --target BaTiO3"),
)(analyze)
app.command(
    "calibrate",
    epilog=example("alab calibrate lab6.xrdml --phase LaB6 --out aeris.toml"),
)(calibrate)
app.add_typer(data.app, name="data", help="Pull, import and show reference energies.")
app.command(
    "discover",
    epilog=example("alab discover --chemsys Li-Mn-O --budget 1000"),
)(discover)
app.command("report", epilog=example("alab report titanates --output titanates.html"))(report)


def run() -> None:
    """Run ``alab``; errors become one message and an exit code, never a stack trace."""
    try:
        app()
    except AlabError as error:
        write_error(error)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        _tell_interrupted()
        sys.exit(INTERRUPTED)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            _tell_interrupted()
        raise


def _tell_interrupted() -> None:
    screen(errors=True).print("Interrupted.")


if __name__ == "__main__":
    run()
