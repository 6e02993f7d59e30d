"""``alab reactions``: what phases were seen to do, over all samples of a laboratory."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alab.cli.options import AsJson, DataDir, example
from alab.cli.output import say, show_result, show_rows, write_json
from alab.cli.reach import data_directory, opened
from alab.errors import BadInput

if TYPE_CHECKING:
    from planners.optimizer.observations import Observations

app = typer.Typer(no_args_is_help=True)


@app.command(
    "list",
    epilog=example("alab reactions list BaCO3 TiO2", "alab reactions list --contradictions"),
)
def list_(
    phases: Annotated[
        list[str] | None,
        typer.Argument(metavar="FORMULA...", help="Only reactions of all these phases."),
    ] = None,
    inert: Annotated[
        bool, typer.Option("--inert", help="Show pairs that stayed unchanged, too.")
    ] = False,
    contradictions: Annotated[
        bool, typer.Option("--contradictions", help="Only observations that disagree.")
    ] = False,
    least_weight: Annotated[
        float,
        typer.Option(help="Leave out what is less sure than this, 0 to 1.", min=0.0, max=1.0),
    ] = 0.0,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show which phases reacted to what, at which temperatures, and how sure that is."""
    known = _known(data_directory(data_dir))
    if contradictions:
        _show_contradictions(known, as_json=as_json)
        return
    rows = _chosen(known, phases or [], least_weight, inert=inert)
    if as_json:
        write_json(rows)
        return
    show_rows(
        rows,
        [
            ("Reaction", "reaction"),
            ("Gas", "atmosphere"),
            ("Weight", lambda row: f"{row['weight']:.2f}"),
            ("Sample", "sample"),
            ("Fired", lambda row: f"{row['dwell_h']:g} h at {row['temperature_c']:g} °C"),
        ],
        empty="No reaction was seen; they follow from samples with identified phases.",
    )
    _tell_the_rest(known)


@app.command(
    epilog=example("alab reactions export ours.json", "alab reactions export table.csv")
)
def export(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A table ending in .csv, or .json for another laboratory.",
            dir_okay=False,
        ),
    ],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write all observations with their evidence to a file."""
    ending = file.suffix.lower()
    if ending not in (".csv", ".json"):
        raise BadInput(f"{file} ends in {ending or 'nothing'}; name it .csv or .json")
    known = _known(data_directory(data_dir))
    if ending == ".csv":
        known.to_csv(file)
    else:
        known.to_json(file)
    done = {"file": str(file.resolve()), "observations": len(known)}
    show_result(done, f"Wrote {len(known)} observations to {file}", as_json=as_json)


@app.command("import", epilog=example("alab reactions import theirs.json --laboratory north"))
def import_(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="What 'alab reactions export' wrote there."),
    ],
    laboratory: Annotated[
        str, typer.Option(metavar="NAME", help="Whose it is; its samples carry the name.")
    ],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take in what another laboratory saw; its earlier file is replaced."""
    folder = data_directory(data_dir)
    from planners.optimizer.memory import take_in

    with opened(folder, read_only=True):
        theirs = take_in(folder, file, laboratory)
    done = {"laboratory": laboratory, "observations": len(theirs)}
    show_result(done, f"Took in {len(theirs)} observations of {laboratory}", as_json=as_json)


def _known(folder: Path) -> "Observations":
    from planners.optimizer.memory import remembered

    with opened(folder, read_only=True) as store, store.begin() as session:
        return remembered(session, folder)


def _chosen(
    known: "Observations", phases: list[str], least_weight: float, *, inert: bool
) -> list[dict[str, Any]]:
    from planners.optimizer.observation_files import as_row
    from planners.optimizer.observed import phase_name

    wanted = {phase_name(formula) for formula in phases}
    return [
        as_row(o)
        for o in known.records
        if (inert or not o.inert)
        and o.weight >= least_weight
        and wanted <= {*o.reactants, *o.products}
    ]


def _show_contradictions(known: "Observations", *, as_json: bool) -> None:
    from planners.optimizer.observation_files import as_row

    found = known.contradictions()
    if as_json:
        write_json(
            [
                {
                    "why": c.why,
                    "one": [as_row(o) for o in c.one],
                    "other": [as_row(o) for o in c.other],
                }
                for c in found
            ]
        )
        return
    for contradiction in found:
        say(contradiction.why)
    if not found:
        say("No convincing observations disagree.")


def _tell_the_rest(known: "Observations") -> None:
    for flag in known.flagged:
        say(f"Not argued from, {flag.evidence.sample}: {flag.why}.")
    if count := len(known.contradictions()):
        say(f"{count} disagreements; see alab reactions list --contradictions.")
