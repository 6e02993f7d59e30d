"""``alab analyze``: the phases in measured patterns, without a laboratory."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alab.cli.options import AsJson
from alab.cli.output import FAILED, percent, say, screen, show_facts, show_rows, write_error
from alab.errors import AlabError, BadInput

if TYPE_CHECKING:
    from analysis.diffraction.result import Analysis


def analyze(
    patterns: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATTERN...", help="Pattern files (XRDML, XY, …), or folders of them."
        ),
    ],
    elements: Annotated[
        str, typer.Option(help="Elements the powder may hold, with commas between: Ba,Ti,O.")
    ],
    cif: Annotated[
        Path | None,
        typer.Option(
            help="Folder of reference structures (CIF), beside those that come with alab.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Formula that was to be made; the verdict is on it.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write the refined pattern to this HTML file; one pattern only."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the phases in diffraction patterns and refine their weight fractions.

    In a folder a file that cannot be read is told and passed over; the command then
    ends with 1.
    """
    files = _files(patterns)
    if html is not None and len(files) > 1:
        raise BadInput(f"--html takes one pattern, not {len(files)}; give one file")
    chosen = _elements(elements)
    done: list[dict[str, Any]] = []
    for file, analysis in _analysed(files, chosen, cif, target, bar=as_json):
        row = {"file": str(file), "target": target, **_summary(analysis)}
        done.append(row)
        if not as_json:
            _write(row)
        if html is not None:
            _write_html(analysis, html)
    if as_json:
        _write_json(done, alone=len(files) == 1)
    elif html is not None:
        say(f"Wrote {html}")
    if len(done) < len(files):
        raise typer.Exit(FAILED)


def _files(given: Sequence[Path]) -> list[Path]:
    files: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.is_file() and p.name[0] != ".")
            if not inside:
                raise BadInput(f"there is no file in {path}")
            files += inside
        elif path.is_file():
            files.append(path)
        else:
            raise BadInput(f"there is no file {path}")
    return files


def _elements(text: str) -> list[str]:
    from pymatgen.core import Element

    symbols = [word.strip() for word in text.replace(" ", ",").split(",") if word.strip()]
    if not symbols:
        raise BadInput("--elements names none; write --elements Ba,Ti,O")
    if wrong := [symbol for symbol in symbols if not Element.is_valid_symbol(symbol)]:
        raise BadInput(f"{', '.join(wrong)}: no element; write --elements Ba,Ti,O")
    return symbols


def _analysed(
    files: Sequence[Path],
    elements: Sequence[str],
    cif: Path | None,
    target: str | None,
    *,
    bar: bool,
) -> "Iterator[tuple[Path, Analysis]]":
    """Analyse one by one, with a bar on standard error where the results are no progress."""
    from rich.progress import track

    from analysis.diffraction.analyze import analyze as analyse_pattern
    from analysis.diffraction.pattern import read_pattern

    console = screen(errors=True)
    hidden = not (bar and console.is_terminal)
    for file in track(files, "Analysing", console=console, transient=True, disable=hidden):
        try:
            pattern = read_pattern(file)
            found = analyse_pattern(pattern, elements=elements, target=target, sources=cif)
        except AlabError as error:
            if len(files) == 1:
                raise
            write_error(error)
        else:
            yield file, found


def _summary(analysis: "Analysis") -> dict[str, Any]:
    from alab.store.codec import encode

    return encode(analysis.outcome)


def _write(row: dict[str, Any]) -> None:
    show_facts(
        {
            "Pattern": row["file"],
            "Verdict": row["verdict"] if row["target"] else "",
            "R_wp %": f"{row['r_wp_percent']:.2f}",
            "Unexplained %": percent(row["unexplained_fraction"]),
            "Amorphous suspected": "yes" if row["amorphous_suspected"] else "",
            "Because": " ".join(row["reasons"]),
            "Competing": " ".join(row["competing"]),
        }
    )
    show_rows(
        row["phases"],
        [
            ("Phase", "formula"),
            ("Space group", "space_group"),
            ("wt %", lambda phase: percent(phase["weight_fraction"])),
            ("± wt %", lambda phase: percent(phase["weight_fraction_esd"])),
            ("Reference", "reference"),
        ],
        empty="No crystalline phase was found.",
    )


def _write_json(done: list[dict[str, Any]], *, alone: bool) -> None:
    from alab.cli.output import write_json

    write_json(done[0] if alone else done)


def _write_html(analysis: "Analysis", path: Path) -> None:
    from analysis.diffraction.plot import figure

    try:
        figure(analysis).write_html(path, include_plotlyjs=True)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from error
