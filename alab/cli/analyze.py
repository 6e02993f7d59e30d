"""``alab analyze``: the phases in measured patterns, without a laboratory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alab.cli.analysis_shown import show, whole
from alab.cli.options import AsJson
from alab.cli.output import FAILED, say, screen, write_error, write_json
from alab.errors import AlabError, BadInput

if TYPE_CHECKING:
    from analysis.diffraction.profile import Instrument
    from analysis.diffraction.result import Analysis

_NO_PATTERNS = {".html", ".json", ".png", ".toml"}
_OUR_CIF, _CIF_HEAD_BYTES = b"_audit_creation_method 'alab ", 2000
"""Refined structures, as ``--out`` writes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What is asked of every pattern alike."""

    elements: tuple[str, ...]
    target: str | None
    precursors: tuple[str, ...]
    sources: tuple[Path, ...]
    instrument: "Instrument | None"
    options: dict[str, Any]


def analyze(
    patterns: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATTERN...", help="Pattern files (XRDML, XY, …), or folders of them."
        ),
    ],
    elements: Annotated[
        str | None,
        typer.Option(
            help="Elements the powder may hold, with commas between: Ba,Ti,O. Those of the "
            "target and the precursors are added.",
        ),
    ] = None,
    cif: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="Reference structures of your own: a folder of CIFs, a CIF, or a snapshot of "
            "computed ones (.json, .json.gz); may be repeated. They go before those that come "
            "with alab.",
            exists=True,
        ),
    ] = None,
    only_cif: Annotated[
        bool,
        typer.Option("--only-cif", help="Use the structures of --cif and no others."),
    ] = False,
    target: Annotated[
        str | None, typer.Option(help="Formula that was to be made; the verdict is on it.")
    ] = None,
    precursors: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMULA[:MASS]",
            help="What was weighed in, with commas between: BaCO3:1.2,TiO2:0.4. Phases that do "
            "not keep its balance lose credit; masses in any unit, for all or for none.",
        ),
    ] = None,
    instrument: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Instrument file of the diffractometer, made by alab calibrate.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    particle_um: Annotated[
        float | None,
        typer.Option(
            "--particle-um",
            help="Diameter of the particles in µm, for microabsorption; 0 leaves that out. "
            "2 unless the instrument file tells another.",
            min=0.0,
            max=1000.0,
            show_default=False,
        ),
    ] = None,
    spike: Annotated[
        str | None,
        typer.Option(
            metavar="FORMULA:SHARE",
            help="Crystalline standard that was mixed in, and its share of the weight: "
            "Al2O3:0.10. It tells how much is amorphous.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write into this folder, for each pattern: NAME.json with everything, "
            "pictures NAME.html and NAME.png, and NAME-PHASE.cif of each refined structure.",
            file_okay=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the phases in diffraction patterns and refine their weight fractions.

    In a folder a file that cannot be read is told and passed over; the command then
    ends with 1.
    """
    files = _files(patterns)
    question = _question(
        elements, target, precursors, _sources(cif or (), only_cif), instrument, particle_um
    )
    if spike is not None:
        question.options["spike"] = spike
    names = _names(files)
    if out is not None:
        _make_folder(out)
    done: list[dict[str, Any]] = []
    for file, analysis in _analysed(files, question):
        done.append({"file": str(file), "target": target, **whole(analysis, target)})
        if not as_json:
            show(file, analysis, target)
        if out is not None:
            done[-1]["files"] = _write_files(analysis, out, names[file])
            if not as_json:
                say(f"Wrote {len(done[-1]['files'])} files, {out / names[file]}*")
    if as_json:
        write_json(done[0] if len(files) == 1 else done)
    if len(done) < len(files):
        raise typer.Exit(FAILED)


def _files(given: Sequence[Path]) -> list[Path]:
    files: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.is_file() and not _is_ours(p))
            if not inside:
                raise BadInput(f"there is no file in {path} that may be a pattern")
            files += inside
        elif path.is_file():
            files.append(path)
        else:
            raise BadInput(f"there is no file {path}")
    return list(dict.fromkeys(files))


def _is_ours(path: Path) -> bool:
    """Whether a file is none that a diffractometer writes: hidden, or written by alab."""
    if path.name.startswith(".") or path.suffix.lower() in _NO_PATTERNS:
        return True
    if path.suffix.lower() != ".cif":
        return False
    try:
        with path.open("rb") as file:
            return _OUR_CIF in file.read(_CIF_HEAD_BYTES)
    except OSError:
        return False  # reading it as a pattern will say why


def _names(files: Sequence[Path]) -> dict[Path, str]:
    """What files for each pattern begin with; endings stay where stems are alike."""
    stems = [file.stem for file in files]
    names: dict[Path, str] = {}
    for file in files:
        name = file.stem if stems.count(file.stem) == 1 else file.name
        if name in names.values():
            raise BadInput(f"two patterns are called {name}; analyse their folders one by one")
        names[file] = name
    return names


def _sources(cif: Sequence[Path], only: bool) -> tuple[Path, ...]:
    from analysis.diffraction.library import DEFAULT_SOURCES

    if only and not cif:
        raise BadInput("--only-cif leaves no structures; name some with --cif")
    return tuple(cif) if only else (*cif, *DEFAULT_SOURCES)


def _question(
    elements: str | None,
    target: str | None,
    precursors: Sequence[str] | None,
    sources: tuple[Path, ...],
    instrument: Path | None,
    particle_um: float | None,
) -> _Question:
    from analysis.diffraction.instrument import read_instrument

    weighed = [w.strip() for text in precursors or () for w in text.split(",") if w.strip()]
    named = [] if elements is None else _elements(elements)
    formulas = [word.partition(":")[0] for word in weighed] + ([target] if target else [])
    named += sorted({symbol for formula in formulas for symbol in _elements_of(formula)})
    if not named:
        raise BadInput(
            "which elements may the powder hold? Name them with --elements Ba,Ti,O, or with "
            "--target or --precursors"
        )
    made = read_instrument(instrument) if instrument is not None else None
    if particle_um is None and made is not None:
        particle_um = made.particle_diameter_um
    return _Question(
        elements=tuple(dict.fromkeys(named)),
        target=target,
        precursors=tuple(weighed),
        sources=sources,
        instrument=made.to_instrument() if made is not None else None,
        options={} if particle_um is None else {"particle_diameter_um": particle_um},
    )


def _elements(text: str) -> list[str]:
    from pymatgen.core import Element

    symbols = [word.strip() for word in text.replace(" ", ",").split(",") if word.strip()]
    if not symbols:
        raise BadInput("--elements names none; write --elements Ba,Ti,O")
    if wrong := [symbol for symbol in symbols if not Element.is_valid_symbol(symbol)]:
        raise BadInput(f"{', '.join(wrong)}: no element; write --elements Ba,Ti,O")
    return symbols


def _elements_of(formula: str) -> set[str]:
    """Elements of a formula; what only looks like one (Zx2) is refused too."""
    from pymatgen.core import Element

    from analysis.diffraction.library import elements_of

    symbols = set(elements_of(formula))
    if not symbols or not all(map(Element.is_valid_symbol, symbols)):
        raise BadInput(f"{formula!r} is no chemical formula; write it like BaTiO3")
    return symbols


def _analysed(files: Sequence[Path], question: _Question) -> "Iterator[tuple[Path, Analysis]]":
    """Analyse one by one; on a terminal it is seen how far that is."""
    from analysis.diffraction.analyze import analyze as analyse_pattern
    from analysis.diffraction.pattern import read_pattern

    for number, file in enumerate(files):
        try:
            with _working(file, number, len(files)):
                pattern = read_pattern(file)
                found = analyse_pattern(
                    pattern,
                    elements=question.elements,
                    target=question.target,
                    sources=question.sources,
                    precursors=question.precursors,
                    instrument=question.instrument,
                    **question.options,
                )
        except AlabError as error:
            if len(files) == 1:
                raise
            write_error(_in(file, error))
        else:
            yield file, found


def _in(file: Path, error: AlabError) -> AlabError:
    """The error with the name of the file, where it does not say it."""
    return error if file.name in str(error) else type(error)(f"{file.name}: {error}")


@contextmanager
def _working(file: Path, done: int, total: int) -> Iterator[None]:
    """A spinner on standard error if that is a terminal, and a bar if there are many."""
    console = screen(errors=True)
    if not console.is_terminal:
        yield
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    columns: list[Any] = [SpinnerColumn()]
    if total > 1:
        columns += [BarColumn(), MofNCompleteColumn()]
    text = f"Analysing {file.name}"
    if done == 0:
        text += " (what is compiled at first takes some seconds)"
    # Standard output may go elsewhere: it must not be drawn through this one.
    with Progress(
        *columns,
        TextColumn("{task.description}"),
        console=console,
        transient=True,
        redirect_stdout=False,
    ) as progress:
        progress.add_task(text, total=total, completed=done)
        yield


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"cannot make {out}: {error.strerror}; choose a folder that you may write to"
        ) from error


def _write_files(analysis: "Analysis", out: Path, name: str) -> list[str]:
    from analysis.diffraction.plot import write_html, write_png
    from analysis.diffraction.write_cif import write_cifs

    named = replace(analysis, sample=analysis.sample or name)
    numbers = out / f"{name}.json"
    try:
        numbers.write_text(named.to_json(), encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"cannot write {numbers}: {error.strerror}; choose a folder that you may write to"
        ) from error
    pictures = out / f"{name}.html", out / f"{name}.png"
    write_html(named, pictures[0])
    write_png(named, pictures[1])
    return [str(path) for path in (numbers, *pictures, *write_cifs(named, out, name))]
