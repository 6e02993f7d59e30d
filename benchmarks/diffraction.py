"""How well patterns are read: ``python -m benchmarks.diffraction [--quick] [--json FILE]``.

Measured patterns come from a folder with a ``truth.json`` (``--data DIR``; by default
``xrd`` in ALAB_DATA, or shared/data beside the repository); figures without data are left
out, with a line that says so. A pattern that fails counts as one in which nothing was found.

* ``cpd1_…``, ``mixtures8_…``, ``mixtures2_…``: amounts with the phases given, in weight
  percent; TiO2 of the mixtures is anatase and rutile, and their sum is scored.
* ``interval90_coverage``: share of the mixtures' amounts inside their 90 % interval.
* ``lmto_exact``: patterns whose set of phases is exact, out of a closed pool of candidates of
  the elements that the sample holds. A phase counts with the right composition and the right
  space group, or another one in which the atoms are arranged in the same way.
* ``mixtures_exact``, ``false_discovery_rate``: the same with all pools merged and decoys
  added. Wrong phases over all phases reported.
* ``seconds_per_pattern``: median of warm runs over the closed pool without element hints.
* ``stick_patterns_per_s``: see benchmarks.speed.
* ``simulated_…``, ``unknown_recall``: see benchmarks.mixtures.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from alab.errors import BadInput
from benchmarks import amounts, identification, simulated
from benchmarks.figures import Figure, show, write
from benchmarks.identification import Identified, Task
from benchmarks.measured import DEFAULT_DATA, Sample, attempted, read_truth
from benchmarks.speed import stick_patterns_per_s

PARTS = ("amounts", "identification", "speed", "simulated")
QUICK_SIMULATED = 20
STICK_PATTERNS = 2000


def main() -> None:
    """Measure, print, and write."""
    options = _options()
    figures: dict[str, Figure] = {}
    samples = _samples(options.data)
    measurements = {
        "amounts": lambda: _amounts(samples, quick=options.quick, verbose=options.verbose),
        "identification": lambda: _identification(
            samples, options.data, everything=not options.quick
        ),
        "speed": lambda: _sticks(options.quick),
        "simulated": lambda: _simulated(options),
    }
    for part in PARTS:
        if part not in options.only:
            continue
        figures |= measurements[part]()
        if options.json:  # after each part: the whole takes a while
            write(figures, options.json)
    show("How well patterns are read", figures)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"{QUICK_SIMULATED} simulated mixtures; rietx on the round robin only",
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--data", type=Path, metavar="DIR", default=DEFAULT_DATA)
    parser.add_argument("--seed", type=int, default=0, help="of the simulated mixtures")
    parser.add_argument("--simulated", type=int, metavar="N", help="how many, instead of 200")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    parser.add_argument("--verbose", action="store_true", help="print every sample")
    return parser.parse_args()


def _samples(data: Path) -> list[Sample]:
    try:
        return read_truth(data)
    except BadInput as error:
        print(f"Figures of measured patterns are left out: {error}")
        return []


def _of(samples: Sequence[Sample], kind: str, figures: str) -> list[Sample]:
    chosen = [sample for sample in samples if sample.kind == kind]
    if not chosen and samples:
        print(f"{figures} left out: truth.json lists no patterns of this kind")
    return chosen


def _amounts(samples: Sequence[Sample], *, quick: bool, verbose: bool) -> dict[str, Figure]:
    chosen = [
        *_of(samples, "cpd1", "cpd1_…"),
        *_of(samples, "mixtures8", "mixtures8_…"),
        *_of(samples, "mixtures2", "mixtures2_…"),
    ]
    other = [s for s in samples if s.kind == "other" and s.tier == "A_weighed"]
    found, failures = amounts.measure([*chosen, *other])
    compared = [s for s in chosen if s.is_round_robin or not quick]
    found, peer_failures = amounts.with_peer(found, compared)
    if verbose:
        for kind in dict.fromkeys(amount.kind for amount in found):
            amounts.show_amounts(found, kind)
    for failure in [*failures, *peer_failures]:
        print(failure)
    for kind in dict.fromkeys(amount.kind for amount in found):
        some = [amount for amount in found if amount.kind == kind]
        covered = np.mean([amount.covered for amount in some])
        error = np.mean([abs(amount.error) for amount in some])
        print(
            f"{kind}: {len(some)} amounts, MAE {error:.2f} wt %, intervals cover {covered:.2f}"
        )
    return amounts.figures(found)


def _identification(
    samples: Sequence[Sample], data: Path, *, everything: bool
) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder)
        if lmto := _of(samples, "lmto", "lmto_exact, seconds_per_pattern"):
            figures |= _closed(lmto, into)
        if mixtures := _of(samples, "mixtures8", "mixtures_exact, false_discovery_rate"):
            figures |= _merged(mixtures, data, into / "8min")
        if everything and (shorter := [s for s in samples if s.kind == "mixtures2"]):
            found = identification.identify(
                identification.merged_pools(shorter, data, into / "2min")
            )
            identification.show_identified("The same, 2-minute scans", found)
            _tell("2-minute scans", found)
    return figures


def _closed(samples: Sequence[Sample], into: Path) -> dict[str, Figure]:
    tasks = identification.closed_pool(samples, into, hint=True)
    found = identification.identify(tasks)
    identification.show_identified("Closed pool of candidates, elements given", found)
    for note in dict.fromkeys(f"{s.short_name}: {s.note}" for s in samples if s.note):
        print(f"{note} (scored by the label)")
    _tell("elements given", found)
    unhinted = identification.closed_pool(samples, into, hint=False)
    without = identification.identify(unhinted)
    _tell("elements of all candidates", without)
    print(f"first pattern, with compilation: {found[0].seconds:.1f} s (goal 30 s)")
    return {
        "lmto_exact": Figure(
            value=sum(one.exact for one in found),
            unit=f"of {len(found)}",
            goal=len(found),
            better="higher",
            peer="published Dara 9, Xerus 7, of 10",
        ),
        "seconds_per_pattern": _seconds(unhinted, without),
    }


def _seconds(tasks: Sequence[Task], found: Sequence[Identified]) -> Figure:
    median = float(np.median([one.candidates for one in found]))
    return Figure(
        value=identification.median_seconds(tasks),
        unit="s",
        goal=3.0,
        better="lower",
        peer=f"published Dara 48–420 s; {median:.0f} candidates, {len(tasks)} patterns, warm",
    )


def _merged(samples: Sequence[Sample], data: Path, into: Path) -> dict[str, Figure]:
    found = identification.identify(identification.merged_pools(samples, data, into))
    identification.show_identified("All pools merged, decoys added, 8-minute scans", found)
    _tell("8-minute scans", found)
    false = identification.false_discovery_rate(found)
    calibration = identification.calibration_error(found)
    told = "none" if calibration is None else f"off by {calibration:.3f} (goal 0.05)"
    return {
        "mixtures_exact": Figure(
            value=sum(one.exact for one in found),
            unit=f"of {len(found)}",
            goal=float(np.floor(0.95 * len(found))),
            better="higher",
            peer="no peer runs on merged pools",
        ),
        "false_discovery_rate": Figure(
            value=false,
            unit="of phases",
            goal=0.02,
            better="lower",
            peer=f"no peer; probabilities: {told}",
        ),
    }


def _tell(what: str, found: Sequence[Identified]) -> None:
    strict = sum(one.exact for one in found)
    lenient = sum(one.exact_by_formula for one in found)
    errors = [one.error_wt for one in found if one.error_wt is not None]
    error = f", MAE {np.mean(errors):.2f} wt %" if errors else ""
    few, many = min(one.candidates for one in found), max(one.candidates for one in found)
    print(
        f"{what}: {strict} of {len(found)} exact, {lenient} by formula alone, "
        f"{few} to {many} candidates{error}"
    )


def _sticks(quick: bool) -> dict[str, Figure]:
    figure = stick_patterns_per_s(STICK_PATTERNS // 10 if quick else STICK_PATTERNS)
    if isinstance(figure, str):
        print(figure)
        return {}
    return {"stick_patterns_per_s": figure}


def _simulated(options: argparse.Namespace) -> dict[str, Figure]:
    count = options.simulated or (QUICK_SIMULATED if options.quick else simulated.SIMULATED)
    scored = attempted(
        "simulated mixtures", lambda: simulated.score_mixtures(count, options.seed)
    )
    if isinstance(scored, str):
        print(scored)
        return {}
    if options.verbose:
        simulated.show_each(scored)
    simulated.show_hazards(scored)
    return simulated.figures(scored)


if __name__ == "__main__":
    main()
