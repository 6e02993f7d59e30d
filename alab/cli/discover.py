"""``alab discover``: compounds of a chemical system that nobody has made yet."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from alab.cli.bench import read_bench
from alab.cli.options import AsJson
from alab.cli.output import say, screen, show_facts, show_rows, write_json
from alab.cli.recipes import Lab

if TYPE_CHECKING:
    from planners.stability.candidates.prototypes import KnownStructure
    from planners.stability.discovery import Discovery, Found, Models
    from planners.stability.predicted_reference import Report
    from planners.stability.screens.composition import BenchLimits

_EXPLAINED = 3


def discover(
    chemsys: Annotated[
        str,
        typer.Option(metavar="A-B-…", help="Two to six elements with hyphens: Li-Mn-O."),
    ],
    budget: Annotated[
        int, typer.Option(help="Candidate structures whose energy is predicted.")
    ] = 1000,
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="Where to write everything; CIFs go beside it.", dir_okay=False
        ),
    ] = Path("discovery.json"),
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Computed energies to compete with (see alab data); else the models' own "
            "predictions for the known compounds.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    hull_limit_mev: Annotated[
        float,
        typer.Option(
            "--hull-limit", metavar="MEV", help="Highest energy above the hull, meV/atom."
        ),
    ] = 10.0,
    top: Annotated[int, typer.Option(help="Most compositions to tell.")] = 20,
    seed: Annotated[int, typer.Option(help="Of random structures.", min=0)] = 0,
    any_charge: Annotated[
        bool,
        typer.Option("--any-charge", help="Keep compositions whose charges cannot cancel."),
    ] = False,
    shelf: Annotated[
        str | None,
        typer.Option(
            metavar="FORMULA,…|FILE",
            help="Powders in stock; else those of --lab, else common powders.",
        ),
    ] = None,
    lab: Lab = None,
    forbid: Annotated[
        str | None,
        typer.Option(metavar="ELEMENT,…", help="Elements that are not handled: Pb,Cd."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Search a chemical system for compounds to make, rank them, and say why.

    Structures are made from known ones by substitution, their energies predicted by an
    ensemble of networks, and judged against the known compounds. What is stable, keeps in
    air and can be weighed in here is listed by 'alab targets add --from discovery.json'.
    """
    from planners.stability.candidates.generation import chemical_system
    from planners.stability.discover import discover as searched
    from planners.stability.discovery import Request
    from planners.stability.discovery_file import check_place, write_discovery
    from planners.stability.references.snapshot_files import read

    request = Request(
        system=chemical_system(chemsys),
        budget=budget,
        seed=seed,
        top=top,
        hull_limit_ev_per_atom=hull_limit_mev / 1000,
        balanced=not any_charge,
    )
    check_place(out)  # before minutes are spent
    bench = _bench(shelf, lab, forbid)
    rivals = read(reference) if reference is not None else None
    with _progress() as report:
        models = _models(report)
        found = searched(
            request, _known(report), models, bench, reference=rivals, report=report
        )
    written = write_discovery(found, out)
    if as_json:
        write_json(written.model_dump(mode="json"))
        return
    show_discovery(found)
    say(f"\nWrote {out} and {len(found.found)} CIFs.")
    if any(one.passed for one in found.found):
        say(f"Those that pass become targets with\n  alab targets add --from {out}")
    else:
        say("None passes every screen, so none becomes a target.")


def show_discovery(discovery: "Discovery") -> None:
    """Write the ranking, the best in words, and what was left out."""
    from planners.stability.explanation import mixture

    say(_introduction(discovery))
    show_rows(
        [
            {
                "rank": rank,
                "formula": one.formula,
                "origin": one.origin,
                "group": one.space_group,
                "ef": f"{one.formation_energy_ev_per_atom:.3f}",
                "ed": _signed_mev(one),
                "rivals": mixture(one.products),
                "screens": screens_in_short(one.screens),
            }
            for rank, one in enumerate(discovery.found, start=1)
        ],
        [
            ("", "rank"),
            ("Formula", "formula"),
            ("Made by", "origin"),
            ("Space group", "group"),
            ("Ef eV/atom", "ef"),
            ("Decomposition meV/atom", "ed"),
            ("Competes with", "rivals"),
            ("Screens", "screens"),
        ],
        empty="Nothing was found.",
        title=f"Candidates of {'-'.join(discovery.request.system)}",
    )
    for rank, one in _worth_words(discovery.found):
        say("")
        _show_found(one, rank)
    say("")
    show_facts({"Left out": _counted(discovery.left_out)})


def screens_in_short(screens: Sequence[Any]) -> str:
    """``passed``, or which screens failed and which could not be judged."""
    deciding = [s for s in screens if s.decides]
    bad = [s.name for s in deciding if s.verdict == "failed"]
    open_ = [s.name for s in deciding if s.verdict == "unknown"]
    parts = [f"failed: {', '.join(bad)}" if bad else "passed"]
    if open_:
        parts.append(f"unknown: {', '.join(open_)}")
    return "; ".join(parts)


def _introduction(discovery: "Discovery") -> str:
    from planners.stability.candidates.prototypes import is_compound_of

    request = discovery.request
    system = "-".join(request.system)

    rivals = [
        entry.formula
        for entry in discovery.reference.within(request.system)
        if is_compound_of(entry.formula, request.system)
    ]
    names = ", ".join(rivals)
    if discovery.reference_predicted:
        source = (
            f"{system} is judged against {len(rivals)} known compounds, predicted by the same "
            f"ensemble ({discovery.predictor}): {names}.\nNo measured or DFT energy is in "
            "this; --reference brings in yours. A candidate may be known elsewhere, and a "
            "known compound that is missing here makes others look stable."
        )
    else:
        source = (
            f"{system} is judged against {len(rivals)} compounds of {discovery.reference.name} "
            f"(version {discovery.reference.version}): {names}."
        )
    return (
        f"{source}\n{discovery.generated} candidates from {discovery.parents} structures, "
        f"{discovery.predicted} predicted; {len(discovery.found)} compositions are told. "
        "'?' marks where the ensemble is unsure.\n"
    )


def _worth_words(found: "Sequence[Found]") -> "list[tuple[int, Found]]":
    """The best that pass; if none does, the best of all."""
    ranked = list(enumerate(found, start=1))
    return [pair for pair in ranked if pair[1].passed][:_EXPLAINED] or ranked[:1]


def _signed_mev(one: "Found") -> str:
    half = one.interquartile_ev_per_atom * 500
    mark = " ?" if one.unsure else ""
    return f"{one.decomposition_energy_ev_per_atom * 1000:+.0f} ± {half:.0f}{mark}"


def _show_found(one: "Found", rank: int) -> None:
    from planners.stability.explanation import screen_line, why

    show_facts(
        {
            f"{rank}. {one.formula}": f"{one.space_group}, {one.origin}",
            "Why": "\n".join(why(one)),
            "Screens": "\n".join(screen_line(s) for s in one.screens),
        }
    )


def _counted(left_out: Mapping[str, int]) -> str:
    ordered = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    return "\n".join(f"{count:>6}  {reason}" for reason, count in ordered)


def _bench(shelf: str | None, lab: Path | None, forbid: str | None) -> "BenchLimits":
    from planners.stability.screens.composition import BenchLimits
    from planners.synthesis.practical import check_forbidden_elements

    bench = read_bench(shelf, lab)
    words = [word.strip() for word in (forbid or "").split(",") if word.strip()]
    return BenchLimits(
        shelf=bench.shelf,
        limits=bench.limits,
        forbidden_elements=check_forbidden_elements(words),
    )


def _models(report: "Report") -> "Models":
    """What ships with the laboratory.

    Raises:
        BadInput: If the weights are not there.
    """
    from planners.stability.discovery import Models
    from planners.stability.models.shipped import composition_ensemble, structure_ensemble

    report("reading the ensembles", 0, 1)
    models = Models(
        structure=structure_ensemble(),
        name="the shipped ensemble",
        composition=composition_ensemble(),
    )
    report("reading the ensembles", 1, 1)
    return models


def _known(report: "Report") -> "tuple[KnownStructure, ...]":
    """The project's own crystals first: where both have a compound, theirs are better."""
    from analysis.diffraction.library import STRUCTURES
    from planners.stability.candidates.prototypes import aflow_prototypes, structures_in

    report("reading known structures", 0, 1)
    known = (*structures_in(STRUCTURES), *aflow_prototypes())
    report("reading known structures", len(known), len(known))
    return known


@contextmanager
def _progress() -> "Iterator[Report]":
    """A bar for the stage under way, and a line for each that is done, on standard error."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=screen(errors=True),
        transient=True,
    )
    started: dict[str, float] = {}
    with bar:
        task = bar.add_task("", total=1)

        def report(stage: str, done: int, total: int) -> None:
            began = started.setdefault(stage, time.monotonic())
            bar.update(task, description=stage, completed=done, total=max(total, 1))
            if done >= total:
                count = f" {total}" if total > 1 else ""
                seconds = time.monotonic() - began
                bar.console.print(f"[dim]{seconds:6.1f} s[/]  {stage}{count}")

        yield report
