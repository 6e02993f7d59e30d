"""Train the composition ensemble: ``python -m planners.stability.models.train_composition``.

Needs the extra ``discovery``. May be stopped and started again at any time: each member goes
on from its last epoch, and members that are done are not trained again.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from alab.errors import AlabError, BadInput
from planners.stability.formulas import elements_of
from planners.stability.models.composition_data import (
    CompositionTable,
    held_back,
    learnt_before,
    learnt_from,
    read_table,
)
from planners.stability.models.composition_elements import element_properties
from planners.stability.models.composition_ensemble import (
    CompositionEnsemble,
    card_of,
    ensemble_of,
)
from planners.stability.models.composition_model import Params, Shape, folded
from planners.stability.models.composition_training import (
    Plan,
    Progress,
    samples_of,
    train_member,
)

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).with_name("weights_composition.npz")
_FEWEST_HELD_BACK = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, calibrate and write."""
    asked = _parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    log.setLevel(logging.INFO)  # its own lines only: Orbax and JAX tell much
    try:
        ensemble = train(
            read_table(asked.compositions),
            before=read_table(asked.before) if asked.before else None,
            without=[f for path in asked.without for f in read_table(path).formulas],
            source=asked.source or asked.compositions.name,
            members=asked.members,
            first_seed=asked.seed,
            shape=Shape(width=asked.width, hidden=asked.hidden, layers=asked.layers),
            plan=Plan(
                epochs=asked.epochs,
                epochs_before=asked.epochs_before,
                batch=asked.batch,
                rate=asked.rate,
                decay=asked.decay,
            ),
            checkpoints=asked.checkpoints,
            say=log.info,
        )
        ensemble.write(asked.into)
    except AlabError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    log.info("%s: %.2f MB", asked.into, asked.into.stat().st_size / 1e6)
    return 0


def train(
    table: CompositionTable,
    *,
    source: str,
    members: int,
    before: CompositionTable | None = None,
    without: Sequence[str] = (),
    first_seed: int = 0,
    shape: Shape | None = None,
    plan: Plan | None = None,
    checkpoints: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> CompositionEnsemble:
    """Train an ensemble on the rows of a table that may be learnt from.

    Args:
        table: Compositions with energies; what judges is left out here.
        source: Written to the card.
        members: How many models, seeds counting up from ``first_seed``.
        before: Another database that each network begins with, for want of enough rows; nothing
            that the table holds is learnt from it.
        without: Compositions not to be learnt from ``before`` either.
        first_seed: Of the first member.
        shape: Sizes of the network, the default ones if None.
        plan: How each is trained, the default if None.
        checkpoints: Folder of the states, one folder a member.
        say: Told of every epoch.
    """
    shape, plan = shape or Shape(), plan or Plan()
    kept, rest = held_back(learnt_from(table))
    samples = samples_of(kept.formulas, kept.energies_ev_per_atom, element_properties())
    card = card_of(
        shape=shape,
        scale=samples.scale,
        formulas=kept.formulas,
        source=source,
        epochs=plan.epochs,
    )
    judged = rest.where([_elements_known(f, card.elements) for f in rest.formulas])
    if len(judged.formulas) < _FEWEST_HELD_BACK:
        raise BadInput(
            f"{len(judged.formulas)} compositions of {len(table.formulas)} would be held back, "
            f"too few to calibrate; give a table from which at least {_FEWEST_HELD_BACK} are"
        )
    say(f"{len(kept.formulas)} compositions to learn from, {len(judged.formulas)} held back")

    def tell(progress: Progress) -> None:
        one = ensemble_of([progress.params], card)
        say(
            f"member {progress.seed}, epoch {progress.epoch}: "
            f"{1e3 * progress.error_ev_per_atom:.1f} meV/atom while learning, "
            f"{1e3 * _mae(one, judged):.1f} held back"
        )

    first = None
    if before is not None:
        rows = learnt_before(before, {*table.formulas, *without}, card.elements)
        say(f"{len(rows.formulas)} compositions of another database to begin with")
        first = samples_of(
            rows.formulas, rows.energies_ev_per_atom, samples.properties, scale=samples.scale
        )

    def member(seed: int) -> Params:
        folder = checkpoints / f"member-{seed:02d}" if checkpoints else None
        start = None
        if first is not None:
            start = train_member(
                first,
                seed=seed,
                shape=shape,
                plan=replace(plan, epochs=plan.epochs_before),
                checkpoints=folder / "before" if folder else None,
            )
        last = train_member(
            samples,
            seed=seed,
            shape=shape,
            plan=plan,
            start=start,
            checkpoints=folder / "after" if folder else None,
            report=tell,
        )
        return folded(last, samples.properties)

    trained = [member(seed) for seed in range(first_seed, first_seed + members)]
    ensemble = ensemble_of(trained, card).calibrated(judged)
    say(
        f"ensemble: {1e3 * _mae(ensemble, judged):.1f} meV/atom held back, half of the errors "
        f"within ± half the spread times {ensemble.card.factors[0.5]:.2f}"
    )
    return ensemble


def _mae(ensemble: CompositionEnsemble, table: CompositionTable) -> float:
    predicted = ensemble.predict(table.formulas).median_ev_per_atom
    return float(np.abs(predicted - table.energies_ev_per_atom).mean())


def _elements_known(formula: str, known: Sequence[str]) -> bool:
    return set(elements_of(formula)) <= set(known)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="train_composition", description=__doc__)
    plan, shape = Plan(), Shape()
    parser.add_argument("--compositions", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--before", type=Path, metavar="FILE", help="another database to begin with"
    )
    parser.add_argument(
        "--without",
        type=Path,
        metavar="FILE",
        nargs="*",
        default=[],
        help="compositions not to be learnt from --before",
    )
    parser.add_argument("--source", help="what the weights' card says of the data")
    parser.add_argument("--into", type=Path, default=SHIPPED, metavar="FILE")
    parser.add_argument("--checkpoints", type=Path, metavar="FOLDER")
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the first member")
    parser.add_argument("--width", type=int, default=shape.width, help="of an element's vector")
    parser.add_argument("--hidden", type=int, default=shape.hidden, help="width of one head")
    parser.add_argument("--layers", type=int, default=shape.layers, help="rounds of messages")
    parser.add_argument("--epochs", type=int, default=plan.epochs)
    parser.add_argument("--epochs-before", type=int, default=plan.epochs_before)
    parser.add_argument("--batch", type=int, default=plan.batch)
    parser.add_argument("--rate", type=float, default=plan.rate)
    parser.add_argument("--decay", type=float, default=plan.decay)
    return parser


if __name__ == "__main__":
    sys.exit(main())
