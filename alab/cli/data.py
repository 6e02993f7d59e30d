"""``alab data``: the references that stability is judged against."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alab.cli.data_shown import added_data, show_added, show_snapshot, snapshot_data, versions
from alab.cli.options import AsJson, example
from alab.cli.output import screen, write_json
from alab.errors import BadInput

if TYPE_CHECKING:
    from planners.stability.references.imports import Imported

app = typer.Typer(no_args_is_help=True)

KEY = "MP_API_KEY"
ENDPOINT = "MP_API_ENDPOINT"
"""What the Materials Project's own client reads its address from."""

Into = Annotated[
    Path,
    typer.Option(
        metavar="FOLDER",
        help="Reference to add to; made if it is not there.",
        file_okay=False,
        show_default=False,
    ),
]


@app.command(epilog=example("alab data pull --chemsys Li-Mn-O --into reference"))
def pull(
    chemsys: Annotated[
        list[str],
        typer.Option(
            metavar="ELEMENTS",
            help="Chemical system, its subsystems included: Li-Mn-O. May be given again.",
            show_default=False,
        ),
    ],
    into: Into,
    key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"File that holds nothing but your key; else it is read from ${KEY}.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Pull structures and formation energies of chemical systems from the Materials Project.

    This needs a key, free at https://materialsproject.org/api, and alab's extra "discovery".
    Nothing is written before all is here. MP_API_ENDPOINT names another server with the same
    interface.
    """
    from planners.stability.references.additions import add, held
    from planners.stability.references.materials_project import pull as pulled
    from planners.stability.references.materials_project_service import Service

    service = Service(key=_key(key_file), endpoint=os.environ.get(ENDPOINT) or None)
    before = held(into)
    with _counted(f"Materials of {', '.join(chemsys)}") as progress:
        found = pulled(chemsys, service, into=before, progress=progress)
    with _to_the_end():
        added = add(into, found.entries)
    data = {
        "chemical_systems": list(found.systems),
        "database_version": found.database_version,
        **added_data(into, added, found.refused),
    }
    if as_json:
        write_json(data)
        return
    show_added(data, f"Materials Project {found.database_version}")


@app.command(
    "import",
    epilog=example(
        'alab data import energies.csv --source "OQMD 1.6" --into reference',
        'alab data import relaxed/ --source "own runs, PBE" --into reference',
    ),
)
def import_(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|FOLDER",
            help="Table (CSV), structures as JSON lines, computed entries (JSON), a folder of "
            "structures with energies.csv, or another reference.",
            exists=True,
        ),
    ],
    into: Into,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Where the energies come from, with the version; only a reference says it "
            "itself.",
            show_default=False,
        ),
    ] = None,
    formula_column: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of a table: formulas; 'formula' unless given."),
    ] = None,
    energy_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of a table: formation energies in eV/atom; 'energy_ev_per_atom' unless "
            "given.",
        ),
    ] = None,
    id_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of a table: names in its source.")
    ] = None,
    measured: Annotated[
        bool, typer.Option("--measured", help="The table holds enthalpies from experiment.")
    ] = False,
    isolated_atoms: Annotated[
        bool,
        typer.Option(
            "--isolated-atoms",
            help="Take structures in which no two atoms are within 4 Å, too.",
        ),
    ] = False,
    elements: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Computed entries of the elements, if the file lacks them.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import formation energies and structures of your own, or of another data set.

    What a file is, is told by what is in it; .xz and .gz are read, too. A structure that
    cannot be used is refused with its reason, and the others are taken.
    """
    from planners.stability.references.additions import add

    with _counted(f"Reading {path.name}"):
        imported, kind = _imported(
            path,
            source,
            {
                "formula_column": formula_column,
                "energy_column": energy_column,
                "id_column": id_column,
                "measured": measured,
                "isolated_allowed": isolated_atoms,
                "references": elements,
            },
        )
    with _to_the_end():
        added = add(into, imported.entries)
    data = {"file": str(path), "kind": kind, **added_data(into, added, imported.refused)}
    if as_json:
        write_json(data)
        return
    show_added(data, f"{path} ({kind})")


@app.command(epilog=example("alab data show", "alab data show reference --version 2"))
def show(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help="A reference; the one that alab brings along unless given.",
            exists=True,
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    version: Annotated[
        int | None,
        typer.Option(help="Show an older version; the newest unless given.", min=1),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a reference holds, where each energy came from, and whether it is unharmed."""
    from planners.stability.references.embedded import default_snapshot
    from planners.stability.references.snapshot_files import read

    if folder is None and version is not None:
        raise BadInput("the reference that alab brings along has one version; name a FOLDER")
    snapshot = default_snapshot() if folder is None else read(folder, version)
    data = snapshot_data(snapshot) | {
        "folder": None if folder is None else str(folder),
        "versions": [] if folder is None else versions(folder, snapshot.version),
    }
    if as_json:
        write_json(data)
        return
    show_snapshot(data)


def _key(path: Path | None) -> str:
    """The user's key, from a file or the environment."""
    if path is None:
        if key := os.environ.get(KEY, "").strip():
            return key
        raise BadInput(
            f"no key for the Materials Project; set {KEY}, or name a file that holds it with "
            "--key-file. It is free at https://materialsproject.org/api"
        )
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{path} cannot be read as a key; write the key into it and nothing else"
        ) from error


@contextmanager
def _counted(text: str) -> "Iterator[Callable[[int, int], None]]":
    """A bar on standard error if that is a terminal."""
    console = screen(errors=True)
    if not console.is_terminal:
        yield lambda _here, _all: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as progress:
        task = progress.add_task(text, total=None)
        yield lambda here, all_: progress.update(task, completed=here, total=all_)


@contextmanager
def _to_the_end() -> Iterator[None]:
    """Finish what is written before Ctrl-C is obeyed: a reference is added to whole."""
    asked: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: asked.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if asked:
        raise KeyboardInterrupt


def _imported(
    path: Path, source: str | None, options: Mapping[str, Any]
) -> "tuple[Imported, str]":
    """Read a file or folder with the import for its kind.

    Raises:
        BadInput: If an option does not apply, the source is missing, or the content is wrong.
    """
    from planners.stability.references import imports
    from planners.stability.references.kinds import Kind, kind_of
    from planners.stability.references.snapshot_files import read

    reading: dict[Kind, tuple[Callable[..., Imported], tuple[str, ...]]] = {
        Kind.TABLE: (
            imports.energy_table,
            ("formula_column", "energy_column", "id_column", "measured"),
        ),
        Kind.STRUCTURES: (imports.structure_folder, ("isolated_allowed",)),
        Kind.LINES: (imports.structure_lines, ("isolated_allowed",)),
        Kind.ENTRIES: (imports.computed_entries, ("references",)),
        Kind.REFERENCE: (lambda folder: imports.Imported(entries=read(folder).entries), ()),
    }
    kind = kind_of(path)
    read_it, allowed = reading[kind]
    given = {name: value for name, value in options.items() if value}
    if odd := [_OPTIONS[name] for name in given if name not in allowed]:
        raise BadInput(f"{path} is a {kind}; {', '.join(odd)} does not apply to it")
    if kind is Kind.REFERENCE:
        if source is not None:
            raise BadInput(f"{path} is a reference and names its sources; leave --source out")
        return read_it(path), str(kind)
    if source is None or not source.strip():
        raise BadInput(
            f'{path} does not say where its energies come from; name it: --source "OQMD 1.6"'
        )
    return read_it(path, source=source, **given), str(kind)


_OPTIONS = {
    "formula_column": "--formula-column",
    "energy_column": "--energy-column",
    "id_column": "--id-column",
    "measured": "--measured",
    "isolated_allowed": "--isolated-atoms",
    "references": "--elements",
}
