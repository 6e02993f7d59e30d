"""``alab init`` and ``alab lab``: the data directory and the lab file."""

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from alab.cli.options import AsJson, DataDir, example
from alab.cli.output import BAD_INPUT, show_result, write_error, write_json
from alab.errors import LabFileError, StoreError

app = typer.Typer(no_args_is_help=True)

EXAMPLE_LAB = Path(__file__).parents[1] / "data" / "lab.toml"


@app.callback()
def _lab() -> None:
    """Check the definition of a laboratory."""


def init(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Make a data directory with a lab file to start from; keeps whatever is there."""
    from alab.settings import read_settings
    from alab.store.store import FILENAME, Store

    settings = read_settings(data_dir)
    Store.in_directory(settings.data_dir).close()
    kept = settings.lab_file.exists()
    if not kept:
        try:
            settings.lab_file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(EXAMPLE_LAB, settings.lab_file)
        except OSError as error:
            raise StoreError(f"cannot write {settings.lab_file}: {error.strerror}") from error
    done = {
        "data_dir": str(settings.data_dir.resolve()),
        "database": str((settings.data_dir / FILENAME).resolve()),
        "lab_file": str(settings.lab_file.resolve()),
        "lab_file_kept": kept,
    }
    told = "kept as it is" if kept else "an example; put your devices' addresses in"
    show_result(
        done,
        f"Data directory {settings.data_dir}, lab file {settings.lab_file} ({told}).\n"
        f"Next:\n  alab lab check {settings.lab_file}\n"
        f"  alab up --data-dir {settings.data_dir}\n"
        f"  alab targets add BaTiO3 --data-dir {settings.data_dir}\n"
        "To try alab without devices, take another folder: alab up --simulate --data-dir trial",
        as_json=as_json,
    )


@app.command(epilog=example("alab lab check my-lab/lab.toml"))
def check(
    file: Annotated[
        Path | None,
        typer.Argument(help="Lab file.", show_default="lab.toml in the data directory"),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Check a lab file; every mistake is told with line and key."""
    from alab.lab import load_lab
    from alab.settings import read_settings
    from drivers.catalog import KINDS

    path = file or read_settings(data_dir).lab_file
    try:
        lab = load_lab(path, KINDS)
    except LabFileError as error:
        if as_json:
            mistakes = str(error).splitlines()
            write_json({"file": str(path), "ok": False, "mistakes": mistakes})
        write_error(error)
        raise typer.Exit(BAD_INPUT) from error
    told: dict[str, Any] = {
        "file": str(path),
        "ok": True,
        "name": lab.name,
        "devices": len(lab.devices),
        "places": len(lab.places),
        "precursors": len(lab.precursors),
        "mistakes": [],
    }
    text = (
        f"{path}: {lab.name} is in order: {told['devices']} devices, {told['places']} places, "
        f"{told['precursors']} powders"
    )
    show_result(told, text, as_json=as_json)
