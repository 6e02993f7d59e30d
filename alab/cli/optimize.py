"""``alab optimize``: what to fire next, from what was fired."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alab.cli.bench import Bench, read_bench
from alab.cli.options import AsJson, DataDir
from alab.cli.output import say, show_facts, show_rows, write_json
from alab.cli.reach import data_directory, opened
from alab.cli.recipes import Lab, MaxTemperature, firing_words
from alab.models import NextStep, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alab.models import Attempt, Decision, Recipe
    from planners.optimizer import Strategy
    from planners.optimizer.observations import Observations


class StrategyName(StrEnum):
    """The ways to choose."""

    PHASE_INFORMED = "phase-informed"
    ARROWS3 = "arrows3"
    DRIVING_FORCE = "driving-force"
    RANDOM = "random"


MOST_CANDIDATES = 20


def optimize(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Formula to make.")],
    tried: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What was fired: a CSV file with precursors, temperature_c, "
            "target_wt_percent and phases. Else what the laboratory of --data-dir fired.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    batch: Annotated[
        int, typer.Option(help="Firings to choose, to fill a furnace.", min=1, max=100)
    ] = 1,
    strategy: Annotated[
        StrategyName, typer.Option(help="How to choose.")
    ] = StrategyName.PHASE_INFORMED,
    made_from: Annotated[
        float,
        typer.Option(
            "--made-from",
            metavar="PERCENT",
            help="Share of target from which it counts as made.",
            min=1.0,
            max=100.0,
        ),
    ] = 50.0,
    shelf: Annotated[
        str | None,
        typer.Option(
            metavar="FORMULA,…|FILE", help="Powders to choose from, as for alab recipes."
        ),
    ] = None,
    lab: Lab = None,
    max_temperature_c: MaxTemperature = None,
    seed: Annotated[int, typer.Option(help="For --strategy random.", min=0)] = 0,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Choose what to fire next for a target, from what was fired so far, and say why.

    What any sample of the laboratory showed of its phases counts, whatever its target.
    Nothing is queued.
    """
    from planners.optimizer import decide_batch
    from planners.synthesis.recipes import propose
    from planners.synthesis.screen import check_formula

    target = check_formula(target)
    bench = read_bench(shelf, lab)
    if max_temperature_c is not None:
        bench = replace(bench, limits=bench.limits.ending_at(max_temperature_c))
    attempts, seen = _history(target, tried, made_from / 100, bench, data_dir)
    candidates = propose(
        target,
        shelf=bench.shelf,
        limits=bench.limits,
        count=MOST_CANDIDATES,
        dose_resolution_mg=bench.dose_resolution_mg,
        min_dose_mg=bench.min_dose_mg,
    )
    decisions = decide_batch(
        target,
        attempts,
        candidates=candidates,
        limits=bench.limits,
        size=batch,
        max_attempts=len(attempts) + batch,
        strategy=_strategy(strategy, seed),
        observations=seen,
    )
    if as_json:
        write_json(_data(attempts, decisions, seen))
        return
    _show(target, attempts, decisions, seen)


def _history(
    target: str, tried: Path | None, made_from: float, bench: Bench, data_dir: Path | None
) -> "tuple[list[Attempt], Observations]":
    """What was fired for the target, and what is known of reactions."""
    from planners.optimizer.memory import all_attempts, remembered
    from planners.optimizer.observations import Observations
    from planners.optimizer.tried import read_tried
    from planners.synthesis.thermo import reduced

    attempts = (
        read_tried(tried, target, bench.limits, made_from=made_from)
        if tried is not None
        else []
    )
    if tried is not None and data_dir is None:
        return attempts, Observations.from_attempts(attempts)
    folder = data_directory(data_dir)
    with opened(folder, read_only=True) as store, store.begin() as session:
        seen = remembered(session, folder, target=target)
        if tried is None:
            attempts = [
                _judged_anew(attempt, made_from)
                for attempt in all_attempts(session, target=target)
                if reduced(attempt.recipe.target) == reduced(target)
            ]
    return attempts, Observations.from_attempts(attempts).merged(seen)


def _judged_anew(attempt: "Attempt", made_from: float) -> "Attempt":
    """The same firing by the share of target that is asked for here."""
    outcome = attempt.outcome
    if outcome is None or outcome.verdict not in (Verdict.SUCCESS, Verdict.PARTIAL):
        return attempt
    made = outcome.target_weight_fraction >= made_from
    verdict = Verdict.SUCCESS if made else Verdict.PARTIAL
    return replace(attempt, outcome=replace(outcome, verdict=verdict))


def _strategy(name: StrategyName, seed: int) -> "Strategy":
    from planners.optimizer import DrivingForceOrder, RandomOrder
    from planners.optimizer.arrows3 import Arrows3
    from planners.optimizer.phase_informed import PhaseInformed

    made: dict[StrategyName, Strategy] = {
        StrategyName.PHASE_INFORMED: PhaseInformed(),
        StrategyName.ARROWS3: Arrows3(),
        StrategyName.DRIVING_FORCE: DrivingForceOrder(),
        StrategyName.RANDOM: RandomOrder(seed),
    }
    return made[name]


def _show(
    target: str,
    attempts: "Sequence[Attempt]",
    decisions: "Sequence[Decision]",
    seen: "Observations",
) -> None:
    measured = sum(attempt.outcome is not None for attempt in attempts)
    say(f"{target}: {len(attempts)} fired, {measured} measured.")
    recipes = [d.recipe for d in decisions if d.recipe is not None]
    if recipes:
        show_rows(
            [_row(number, recipe) for number, recipe in enumerate(recipes, start=1)],
            [("", "rank"), ("Precursors", "powders"), ("Firing", "firing")],
            empty="",
            title="To fire next",
        )
    words = {
        NextStep.DONE: "Done",
        NextStep.GIVE_UP: "Given up",
        NextStep.REFIRE: "Regrind, refire",
    }
    show_facts(
        {
            words.get(decision.step, f"Why {number}"): "\n".join(decision.reasons)
            for number, decision in enumerate(decisions, start=1)
        }
    )
    for flag in seen.flagged:
        say(f"Not argued from: {flag.formula} in {flag.evidence.sample}: {flag.why}")
    for contradiction in seen.contradictions():
        say(f"Observations disagree: {contradiction.why}")


def _row(number: int, recipe: "Recipe") -> dict[str, Any]:
    return {
        "rank": number,
        "powders": " + ".join(p.formula for p in recipe.precursors),
        "firing": firing_words(recipe),
    }


def _data(
    attempts: "Sequence[Attempt]", decisions: "Sequence[Decision]", seen: "Observations"
) -> dict[str, Any]:
    from planners.synthesis.recipe_file import recipe_data

    return {
        "fired": len(attempts),
        "decisions": [
            {
                "step": str(decision.step),
                "recipe": None if decision.recipe is None else recipe_data(decision.recipe),
                "reasons": list(decision.reasons),
            }
            for decision in decisions
        ],
        "not_argued_from": [
            {"sample": f.evidence.sample, "formula": f.formula, "why": f.why}
            for f in seen.flagged
        ],
        "contradictions": [contradiction.why for contradiction in seen.contradictions()],
    }
