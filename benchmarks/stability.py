"""How well stability is predicted: ``python -m benchmarks.stability [--quick] [--json FILE]``.

* ``mp26k_mae_mev``, ``iqr_coverage``: the structural ensemble that ships, on the crystals of
  ``mp20bt`` and ``mpts52`` whose composition it could not learn from. ``--structures FILE``
  judges it on another file of that form instead.
* ``bartel_mae_mev``, ``bartel_f1``, ``limn_found``: the composition ensemble that ships, on
  the validation rows of Bartel's comparison and on the family left out.
  ``--compositions FILE`` judges it on another file of that form instead.
* ``graphs_per_s``, ``inference_per_s``: speed, one core and all cores.
* ``flywheel_hit_rate_1`` to ``_3``: three rounds against the Nequix oracle, with ablations.

Data comes from ``--data DIR``, by default ALAB_DATA, or shared/data beside the repository;
figures without data are left out, with a line that says so.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from alab.errors import AlabError
from benchmarks import composition_models, flywheel, structure_models
from benchmarks.composition_models import Judged
from benchmarks.figures import Figure, show, write
from planners.stability.models.composition_data import read_table
from planners.stability.models.shipped import composition_ensemble, structure_ensemble

DEFAULT_DATA = Path(os.environ.get("ALAB_DATA", Path(__file__).parents[2] / "shared" / "data"))
PARTS = ("structures", "compositions", "speed", "flywheel")
MP26K = ("mp20bt.jsonl.xz", "mpts52.jsonl.xz")
BARTEL, FAMILY = "bartel_critexam_trainval.csv.xz", "bartel_LiMnTMO_267.csv"
OURS = "ours"


def main() -> None:
    """Measure, print, and write."""
    options = _options()
    figures: dict[str, Figure] = {}
    measurements = _measurements(options)
    for part in options.only:
        if part not in measurements:
            continue
        try:
            figures |= measurements[part]()
        except (AlabError, FileNotFoundError) as error:
            print(f"Figures of {part} are left out: {error}")
            continue
        if options.json:  # after each part: the whole takes a while
            write(figures, options.json)
    show("How well stability is predicted", figures)


def _measurements(options: argparse.Namespace) -> dict[str, Callable[[], dict[str, Figure]]]:
    discovery: Path = options.data / "discovery"
    mp26k = [discovery / name for name in MP26K]
    given: dict[str, Callable[[], dict[str, Figure]]] = {}
    if options.structures:
        learnt = mp26k if all(path.exists() for path in mp26k) else []
        given["structures"] = lambda: structure_models.accuracy(
            structure_ensemble(), [options.structures], learnt
        )
    if options.compositions:
        given["compositions"] = lambda: _compositions(
            options.compositions, discovery / BARTEL, None
        )
    if given:
        return given
    return {
        "structures": lambda: structure_models.accuracy(structure_ensemble(), mp26k, mp26k),
        "compositions": lambda: _compositions(
            discovery / BARTEL, discovery / BARTEL, discovery / FAMILY
        ),
        "speed": lambda: structure_models.speeds(
            structure_ensemble(), mp26k[0], quick=options.quick
        ),
        "flywheel": lambda: _flywheel(options.data, options.answers, quick=options.quick),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="smaller rounds, no ablations")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--data", type=Path, metavar="DIR", default=DEFAULT_DATA)
    parser.add_argument(
        "--structures", type=Path, metavar="FILE", help="JSON lines to judge on"
    )
    parser.add_argument("--compositions", type=Path, metavar="FILE", help="CSV to judge on")
    parser.add_argument(
        "--answers", type=Path, metavar="FILE", help="keep the oracle's answers"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    return parser.parse_args()


def _compositions(file: Path, known_file: Path, family: Path | None) -> dict[str, Figure]:
    table = read_table(file)
    judged = composition_models.validation_rows(table)
    known = read_table(known_file) if known_file.exists() else None
    learnt = known.where([part == "train" for part in known.parts]) if known else None
    rows = composition_models.judge(
        composition_ensemble(), judged, learnt, name=OURS, peers=sorted(judged.peers)
    )
    _print("Compositions not learnt from", rows)
    ours, peers = rows[0], rows[1:]
    figures = {
        "bartel_mae_mev": Figure(
            value=1e3 * ours.mae_ev_per_atom,
            unit="meV/atom",
            goal=56,
            better="lower",
            peer=_words(peers, lambda row: f"{1e3 * row.mae_ev_per_atom:.1f}")
            + f"; {ours.count} rows",
        ),
        "bartel_f1": Figure(
            value=ours.displaced_f1,
            unit="",
            goal=0.77,
            better="higher",
            peer=_words(peers, lambda row: f"{row.displaced_f1:.3f}"),
        ),
    }
    return figures | (_family(family, learnt) if family and learnt else {})


def _family(file: Path, known: composition_models.CompositionTable) -> dict[str, Figure]:
    table = read_table(file)
    others = composition_models.family_rows(known)[1]
    rows = composition_models.judge(
        composition_ensemble(), table, others, name=OURS, peers=sorted(table.peers)
    )
    _print("Li-Mn-transition-metal oxides, left out of training", rows)
    ours, peers = rows[0], rows[1:]
    return {
        "limn_found": Figure(
            value=ours.rebuilt_found,
            unit=f"of {ours.stable}",
            goal=5,
            better="higher",
            peer=_words(peers, lambda row: f"{row.rebuilt_found}")
            + f"; {ours.rebuilt_claimed} claimed stable of {ours.count}, CGCNN sees structures",
        )
    }


def _print(title: str, rows: list[Judged]) -> None:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for heading in (
        "model",
        "MAE, meV/atom",
        "median",
        "displaced F1",
        "claimed",
        "found",
        "rebuilt F1",
        "claimed",
        "found",
    ):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            row.name,
            f"{1e3 * row.mae_ev_per_atom:.1f}",
            f"{1e3 * row.median_ev_per_atom:.1f}",
            f"{row.displaced_f1:.3f}",
            str(row.claimed),
            f"{row.found} of {row.stable}",
            "–" if row.rebuilt_f1 is None else f"{row.rebuilt_f1:.3f}",
            "–" if row.rebuilt_claimed is None else str(row.rebuilt_claimed),
            "–" if row.rebuilt_found is None else f"{row.rebuilt_found} of {row.stable}",
        )
    Console().print(table)


def _words(peers: list[Judged], told: Callable[[Judged], str]) -> str:
    return ", ".join(f"{row.name} {told(row)}" for row in peers)


def _flywheel(data: Path, answers: Path | None, *, quick: bool) -> dict[str, Figure]:
    console = Console()
    outcomes = flywheel.flywheel(data, quick=quick, answers=answers, say=console.print)
    flywheel.show(outcomes, console)
    rates = outcomes[0].hit_rates
    others = "; ".join(
        f"{o.name} {', '.join(f'{100 * r:.0f}' for r in o.hit_rates)}" for o in outcomes[1:]
    )
    return {
        f"flywheel_hit_rate_{number}": Figure(
            value=100 * rate,
            unit="%",
            goal=6 if number == 1 else 100 * rates[number - 2],
            better="higher",
            peer="GNoME from < 6 to > 80 in six rounds; " + (others or "no ablations"),
        )
        for number, rate in enumerate(rates, 1)
    }


if __name__ == "__main__":
    main()
