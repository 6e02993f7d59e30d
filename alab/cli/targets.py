"""``alab targets``: the list of compounds that wait for a campaign."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alab.cli.options import AsJson, By, DataDir, complete_listed, example, signed
from alab.cli.output import show_result, show_rows, write_json
from alab.cli.reach import data_directory, look, opened
from alab.client import LabClient, find_service
from alab.errors import BadInput

if TYPE_CHECKING:
    from alab.service.targets import WantedTarget

app = typer.Typer(no_args_is_help=True)


@app.command(
    epilog=example(
        "alab targets add BaTiO3 LiCoO2",
        "alab targets add targets.csv",
        "alab targets add --from discovery.json",
    )
)
def add(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FORMULA|CSV...",
            help="Formulas, or CSV files with a column 'formula' and, if wanted, "
            "'priority' and 'note'.",
            show_default=False,
        ),
    ] = None,
    priority: Annotated[
        int, typer.Option(help="Larger goes first; for the formulas, not for CSV files.")
    ] = 0,
    discovery: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Instead of formulas: the best candidates that 'alab discover' wrote.",
            dir_okay=False,
        ),
    ] = None,
    top: Annotated[int, typer.Option(help="With --from: most candidates to list.", min=1)] = 5,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="With --from: those that failed a screen too.")
    ] = False,
    campaign: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="With --from: start a campaign of this name with them."
        ),
    ] = None,
    data_dir: DataDir = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """List compounds to make, checked against the powders on the shelf; all or none.

    With --from, candidates are taken by their rank: what failed a screen or cannot be made
    from this shelf is refused by name, what is listed already is left as it is, and their
    structures are written into the folder 'structures' of the data directory.
    """
    folder = data_directory(data_dir)
    if discovery is not None:
        if what:
            raise BadInput("give formulas or --from FILE, not both")
        from alab.cli.discovered import Wish, add_discovered

        wish = Wish(file=discovery, top=top, anyway=anyway, campaign=campaign)
        add_discovered(wish, folder, priority, by=by, as_json=as_json)
        return
    if not what:
        raise BadInput("name formulas or a CSV file, or a discovery with --from FILE")
    if anyway or campaign:
        raise BadInput(
            "--anyway and --campaign go with --from FILE; a campaign of formulas is started by "
            "'alab campaign start NAME --targets'"
        )
    wanted = _wanted(what, priority)
    if url := find_service(folder):
        with LabClient(url) as client:
            listed = client.post("targets", by=signed(by), targets=target_entries(wanted))
    else:
        listed = add_to_store(folder, wanted)
    names = ", ".join(target["formula"] for target in listed)
    show_result(listed, f"Listed {len(listed)}: {names}", as_json=as_json)


def _wanted(what: Sequence[str], priority: int) -> "list[WantedTarget]":
    from alab.service.targets import WantedTarget, read_targets

    wanted: list[WantedTarget] = []
    for word in what:
        if word.lower().endswith(".csv"):
            wanted += read_targets(Path(word))
        else:
            wanted.append(WantedTarget(formula=word, priority=priority))
    return wanted


def target_entries(wanted: "Sequence[WantedTarget]") -> list[dict[str, Any]]:
    """Targets as the service takes them."""
    from dataclasses import asdict

    return [asdict(target) for target in wanted]


def add_to_store(folder: Path, wanted: "Sequence[WantedTarget]") -> list[dict[str, Any]]:
    """List targets where no service runs; nobody else writes the list then."""
    from alab.service.targets import check_targets, list_targets, shelf

    with opened(folder, read_only=False) as store:
        with store.begin() as session:
            shelf_mg = shelf(session) or _shelf_of_lab_file(folder)
        checked = check_targets(wanted, shelf_mg)
        with store.begin() as session:
            list_targets(session, checked)
    return [
        {"formula": target.formula, "priority": target.priority, "note": target.note}
        for target in checked
    ]


def _shelf_of_lab_file(folder: Path) -> dict[str, float]:
    from alab.lab import load_lab
    from alab.settings import read_settings
    from drivers.catalog import KINDS

    lab = load_lab(read_settings(folder).lab_file, KINDS)
    return {formula: precursor.mass_g * 1000.0 for formula, precursor in lab.precursors.items()}


@app.command("list", epilog=example("alab targets list"))
def list_(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show the compounds that wait for a campaign."""
    rows = look(data_directory(data_dir), "targets", lambda views, s: views.targets(s))
    if as_json:
        write_json(rows)
        return
    show_rows(
        rows,
        [("Target", "formula"), ("Priority", "priority"), ("Note", "note")],
        empty="No target is listed; 'alab targets add FORMULA' lists one.",
    )


@app.command(epilog=example("alab targets remove BaTiO3"))
def remove(
    formulas: Annotated[
        list[str], typer.Argument(help="Listed formulas.", autocompletion=complete_listed)
    ],
    data_dir: DataDir = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Take compounds off the list; running campaigns keep theirs."""
    folder = data_directory(data_dir)
    if url := find_service(folder):
        with LabClient(url) as client:
            client.post("targets/remove", by=signed(by), formulas=formulas)
    else:
        from alab.service.targets import unlist_targets

        with opened(folder, read_only=False) as store, store.begin() as session:
            unlist_targets(session, formulas)
    show_result(formulas, f"Took {', '.join(formulas)} off the list", as_json=as_json)
