"""How few firings recipes need: ``python -m benchmarks.recipes [--quick] [--json FILE]``.

* ``ybco_…``, ``ntmo_best``: firings a strategy needs in tables of finished experiments, the
  mean over seeds (see benchmarks.recipe_tables); every strategy runs side by side.
  ``--table FILE [--target FORMULA]`` runs them on another table instead; its figures keep
  these names, so that whoever reads them need not know the table.
* ``precursor_top…``, ``temperature_mae_c``: the models learnt from the literature, on targets
  held out (see benchmarks.literature).
* ``plan_seconds``: one target from a shelf of 200 compounds (see benchmarks.plan_speed).
* ``simulated_targets_made_ratio``: targets made in the simulated laboratory's chemistry
  within a budget, ours over ARROWS3's (see benchmarks.chemistry_campaigns).

Data comes from ``--data DIR``, by default ``recipes`` in ALAB_DATA, or shared/data beside the
repository; figures without data are left out, with a line that says so.
"""

import argparse
import csv
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from alab.errors import BadInput
from benchmarks import chemistry_campaigns, literature, plan_speed
from benchmarks.experiment_tables import (
    ExperimentTable,
    blurred,
    hottest_first,
    read_table,
    shuffled,
)
from benchmarks.figures import Figure, show, write
from benchmarks.recipe_tables import Run, mean_of, run
from planners.optimizer.arrows3 import Arrows3
from planners.optimizer.orders import DrivingForceOrder, RandomOrder
from planners.optimizer.phase_informed import PhaseInformed
from planners.optimizer.strategy import Strategy
from planners.optimizer.usual import usual_firing
from planners.synthesis.screen import check_formula
from planners.synthesis.thermo import reduced

DEFAULT_DATA = (
    Path(os.environ.get("ALAB_DATA", Path(__file__).parents[2] / "shared" / "data")) / "recipes"
)
PARTS = ("tables", "literature", "plan", "campaigns")
SEEDS, QUICK_SEEDS = 50, 10
BATCH = 8
YBCO, NTMO = "YBa2Cu3O7", "Na2Te3Mo3O16"
OURS, PUBLISHED = "phase-informed (ours)", "ARROWS3"


@dataclass(frozen=True, slots=True)
class Contestant:
    """A strategy in the race.

    Attributes:
        name: How it is called in the table.
        strategy: Makes it from a seed.
        table: Puts the experiments in the order in which they are offered.
        seeded: Whether a seed changes it; else one run tells all.
    """

    name: str
    strategy: Callable[[int], Strategy]
    table: Callable[[ExperimentTable, int], ExperimentTable] = blurred
    seeded: bool = True


def main() -> None:
    """Measure, print, and write; a table that cannot be read ends it with 2."""
    try:
        _measure(_options())
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _measure(options: argparse.Namespace) -> None:
    seeds = QUICK_SEEDS if options.quick else SEEDS
    figures: dict[str, Figure] = {}
    measurements: dict[str, Callable[[], dict[str, Figure]]] = {
        "tables": lambda: _tables(options.data, seeds),
        "literature": lambda: _literature(options.data, quick=options.quick),
        "plan": _plan,
        "campaigns": lambda: chemistry_campaigns.measure(quick=options.quick),
    }
    if options.table:
        measurements = {"tables": lambda: _other_table(options.table, options.target, seeds)}
    for part in options.only:
        if part in measurements:
            figures |= measurements[part]()
            if options.json:  # after each part: the whole takes a while
                write(figures, options.json)
    show("How few firings recipes need", figures)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SEEDS} seeds, less data")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--data", type=Path, metavar="DIR", default=DEFAULT_DATA)
    parser.add_argument("--table", type=Path, metavar="FILE", help="another measured table")
    parser.add_argument("--target", metavar="FORMULA", help="of --table")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    return parser.parse_args()


def _tables(data: Path, seeds: int) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    for path, target, figures_of in (
        (data / "arrows_ybco" / "ybco_target_yield.csv", YBCO, _ybco_figures),
        (data / "arrows_ntmo" / "ntmo_target_yield.csv", NTMO, _ntmo_figures),
    ):
        try:
            table = read_table(path, target)
        except BadInput as error:
            print(f"Figures of {target} are left out: {error}")
            continue
        figures |= figures_of(race(table, path.parent, seeds))
    return figures


def _other_table(path: Path, target: str | None, seeds: int) -> dict[str, Figure]:
    if target is not None:
        check_formula(target)
    formula = target or _product(path.parent)
    table = read_table(path, formula)
    if formula is None:
        print(
            f"{path}: no target is named; {table.target} stands in. Name it with "
            "--target FORMULA."
        )
    if not any(e.fraction for e in table.experiments):
        print(f"Figures of {path} are left out: no firing gave any {table.target} to find.")
        return {}
    runs = race(table, path.parent, seeds)
    figures = _best_figures("ntmo", runs)
    if not table.pure:
        print(f"Figures of pure firings are left out: no firing of {path} gave a pure target.")
        return figures
    return _pure_figures("ybco", runs, {}) | figures


def race(table: ExperimentTable, folder: Path, seeds: int) -> dict[str, list[Run]]:
    """Run every strategy over all seeds, print the comparison, and return the runs."""
    typical = usual_firing(table.target, [e.recipe for e in table.experiments])
    energy_ev = _energies(folder, table.target)
    contestants = (
        Contestant("random", RandomOrder),
        Contestant(
            "ΔG order, cold to hot",
            lambda _: DrivingForceOrder(),
            lambda t, _: t,
            seeded=False,
        ),
        Contestant(
            "hottest first, random",
            lambda _: DrivingForceOrder(),
            lambda t, seed: hottest_first(shuffled(t, seed)),
        ),
        Contestant(
            "hottest first, ΔG order",
            lambda _: DrivingForceOrder(),
            lambda t, _: hottest_first(t),
            seeded=False,
        ),
        Contestant(
            PUBLISHED,
            lambda _: Arrows3(energy_ev=energy_ev) if energy_ev else Arrows3(),
            lambda t, _: t,
            seeded=False,
        ),
        Contestant(OURS, lambda _: PhaseInformed()),
    )
    runs: dict[str, list[Run]] = {}
    batched: dict[str, list[Run]] = {}
    for contestant in contestants:
        what = f"{table.name}: {contestant.name}"
        for seed in track(range(seeds if contestant.seeded else 1), what, transient=True):
            drawn = contestant.table(table, seed)
            strategy = contestant.strategy(seed)
            runs.setdefault(contestant.name, []).append(run(drawn, strategy, typical=typical))
            batched.setdefault(contestant.name, []).append(
                run(drawn, strategy, typical=typical, size=BATCH)
            )
    _print_race(table, runs, batched)
    return runs


def _print_race(
    table: ExperimentTable, runs: Mapping[str, list[Run]], batched: Mapping[str, list[Run]]
) -> None:
    total, length = table.pure, len(table.experiments)
    shown = Table(
        title=f"{table.name}: {length} firings, {total} of them pure; means over seeds",
        title_justify="left",
    )
    headings = ("Strategy", "First pure", f"{min(5, total)} pure", f"All {total}")
    headings += ("> 50 %", "Best", "Area", "Pruned", f"Batches of {BATCH}")
    for heading in headings:
        shown.add_column(heading)
    for name, some in runs.items():
        shown.add_row(
            name,
            *(_told(mean_of([r.firings_to_pure(n) for r in some])) for n in (1, min(5, total))),
            _told(mean_of([r.firings_to_pure(total) for r in some])),
            _told(mean_of([r.firings_to_over(0.5) for r in some])),
            _told(mean_of([r.firings_to_best() for r in some])),
            f"{mean_of([r.area(min(length, 50)) for r in some]) or 0:.3f}",
            _told(mean_of([r.wrong_prunes for r in some])),
            _told(mean_of([r.batches_to_pure(total) for r in batched[name]])),
        )
    Console(width=110).print(shown)


def _told(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _ybco_figures(runs: Mapping[str, list[Run]]) -> dict[str, Figure]:
    goals = {"first_pure": 3.0, "five_pure": 20.0, "all_pure": 38.0}
    return _pure_figures("ybco", runs, goals)


def _pure_figures(
    name: str, runs: Mapping[str, list[Run]], goals: Mapping[str, float]
) -> dict[str, Figure]:
    ours = runs[OURS]
    total = sum(found >= 0.995 for found in ours[0].fractions)
    counts = {"first_pure": 1, "five_pure": 5, "all_pure": total}
    if total < 5:
        print(f"{name}_five_pure is left out: {total} of the firings gave a pure target.")
        del counts["five_pure"]
    figures = {
        f"{name}_{what}": _figure(runs, lambda r, n=n: r.firings_to_pure(n), goals.get(what))
        for what, n in counts.items()
    }
    figures[f"{name}_first_over_50"] = _figure(runs, lambda r: r.firings_to_over(0.5), None)
    figures[f"{name}_wrong_prunes"] = _figure(runs, lambda r: r.wrong_prunes, 0.0)
    return figures


def _ntmo_figures(runs: Mapping[str, list[Run]]) -> dict[str, Figure]:
    return _best_figures("ntmo", runs, 7.0)


def _best_figures(
    name: str, runs: Mapping[str, list[Run]], goal: float | None = None
) -> dict[str, Figure]:
    return {f"{name}_best": _figure(runs, lambda r: r.firings_to_best(), goal)}


def _figure(
    runs: Mapping[str, list[Run]], of: Callable[[Run], float | None], goal: float | None
) -> Figure:
    """Ours beside the others; without a goal of its own, the published strategy is it."""
    means = {name: mean_of([of(r) for r in some]) for name, some in runs.items()}
    return Figure(
        value=means[OURS],
        unit="firings",
        goal=(means[PUBLISHED] or 0.0) if goal is None else goal,
        better="lower",
        peer="; ".join(f"{name} {_told(v)}" for name, v in means.items() if name != OURS),
    )


def _energies(folder: Path, target: str) -> Callable[[str, float], float | None] | None:
    """Energies beside a table, ``*_compound_energies*.csv``; None where there are none."""
    energies: dict[str, float] = {}
    for path in sorted(folder.glob("*compound_energies*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                energies[reduced(row["formula"])] = float(row["energy_eV_per_formula_unit"])
    if not energies:
        return None
    product = _product(folder)
    if product is not None and reduced(target) not in energies:
        energies |= dict(_with_more_oxygen(energies, reduced(product), reduced(target)))
    return lambda formula, _temperature_c: energies.get(reduced(formula))


def _with_more_oxygen(
    energies: Mapping[str, float], known: str, wanted: str
) -> Iterator[tuple[str, float]]:
    """The same compound with another oxygen content, in equilibrium with the gas."""
    from pymatgen.core import Composition

    more = Composition(wanted)["O"] - Composition(known)["O"]
    if known in energies and "O2" in energies:
        yield wanted, energies[known] + more / 2 * energies["O2"]


def _product(folder: Path) -> str | None:
    """The solid product that ``Rxn_TD.csv`` names."""
    path = folder / "Rxn_TD.csv"
    if not path.exists():
        return None
    with path.open(newline="", encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    return row["Products"].split(" + ")[0].replace(" ", "")


def _literature(data: Path, *, quick: bool) -> dict[str, Figure]:
    corpus = data / "text_mined" / "solid-state_dataset_2019-12-03.json.xz"
    try:
        return literature.measure(corpus, quick)
    except BadInput as error:
        print(f"Figures of the literature are left out: {error}")
        return {}


def _plan() -> dict[str, Figure]:
    measured = plan_speed.measure()
    longest = measured["longest_plan_seconds"]
    assert isinstance(longest, float)  # noqa: S101 - the module says so
    return {
        "plan_seconds": Figure(
            value=longest,
            unit="s",
            goal=5.0,
            better="lower",
            peer=f"longest of several targets, {measured['compounds']} compounds on the shelf",
        )
    }


if __name__ == "__main__":
    main()
