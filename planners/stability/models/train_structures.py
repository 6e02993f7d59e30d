"""Train the structural ensemble: ``python -m planners.stability.models.train_structures``.

Needs the extra ``discovery``. May be stopped and started again at any time: each member goes
on from its last epoch, and members that are done are not trained again.
"""

import argparse
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np

from alab.errors import AlabError
from planners.stability.models import structure_training
from planners.stability.models.structure_data import Examples, examples_of
from planners.stability.models.structure_ensemble import StructureEnsemble, card_of
from planners.stability.models.structure_model import Architecture
from planners.stability.models.structure_training import Plan, Progress
from planners.stability.references.entries import Entry
from planners.stability.references.imports import structure_lines

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).with_name("weights_structure.npz")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, calibrate and write."""
    asked = _parser().parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    log.setLevel(logging.INFO)  # its own lines only: Orbax and JAX tell much
    architecture = Architecture(
        width=asked.width, layers=asked.layers, directions=asked.directions
    )
    try:
        examples = examples_of(read(asked.structures), architecture.cutoff_ang)
        ensemble = train(
            examples,
            source=asked.source or ", ".join(path.name for path in asked.structures),
            seeds=range(asked.seed, asked.seed + asked.members),
            architecture=architecture,
            plan=Plan(epochs=asked.epochs, rate=asked.rate),
            checkpoints=asked.checkpoints,
            together=asked.together,
            say=log.info,
        )
        ensemble.write(asked.into)
    except AlabError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    log.info("%s: %.2f MB", asked.into, asked.into.stat().st_size / 1e6)
    return 0


def read(paths: Sequence[Path]) -> list[Entry]:
    """Entries of several files of JSON lines, each material once."""
    found: dict[str, Entry] = {}
    for path in paths:
        lines = structure_lines(path, source=path.name, isolated_allowed=True)
        for entry in lines.entries:
            found.setdefault(entry.entry_id or str(len(found)), entry)
    return list(found.values())


def train(
    examples: Examples,
    *,
    source: str,
    seeds: Sequence[int],
    architecture: Architecture | None = None,
    plan: Plan | None = None,
    checkpoints: Path | None = None,
    together: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> StructureEnsemble:
    """Train an ensemble on the compositions that may be learnt from, and calibrate it.

    Args:
        examples: Crystals; what is held back and what judges is left out here.
        source: Written to the card.
        seeds: One for each member.
        architecture: Size of the networks, the default one if None.
        plan: How they are trained, the default if None.
        checkpoints: Folder of the states, one folder a training.
        together: Whether all members are trained at once, on the same batches, over all
            devices; else one after another, each in an order of its own.
        say: Told of every epoch.
    """
    architecture, plan = architecture or Architecture(), plan or Plan()
    learnt, held_back = examples.learnt, examples.held_back
    scale = structure_training.scale_of(learnt.graphs, learnt.energies_ev_per_atom)
    card = card_of(learnt, scale, architecture=architecture, source=source, epochs=plan.epochs)
    say(f"{len(learnt.graphs)} crystals to learn from, {len(held_back.graphs)} held back")
    groups = [list(seeds)] if together else [[seed] for seed in seeds]
    trained = [
        structure_training.train(
            learnt.graphs,
            learnt.energies_ev_per_atom,
            scale,
            seeds=group,
            architecture=architecture,
            plan=plan,
            checkpoints=checkpoints / f"member-{group[0]:02d}" if checkpoints else None,
            devices=jax.devices() if together else None,
            report=_teller(group, learnt, say),
        )
        for group in groups
    ]
    stacked = jax.tree.map(lambda *parts: np.concatenate(parts), *trained)
    whole = StructureEnsemble(card=card, stacked=stacked).calibrated(held_back)
    mae_mev = 1e3 * (whole.card.held_back_mae_ev_per_atom or 0.0)
    say(f"ensemble: {mae_mev:.1f} meV/atom held back, scale {whole.card.factors[0.5]:.2f}")
    return whole


def _teller(
    group: Sequence[int], learnt: Examples, say: Callable[[str], None]
) -> Callable[[Progress], None]:
    last = [time.perf_counter()]

    def tell(progress: Progress) -> None:
        now = time.perf_counter()
        rate = len(learnt.graphs) * len(group) / (now - last[0])
        last[0] = now
        told = ", ".join(f"{1e3 * e:.1f}" for e in progress.errors_ev_per_atom)
        say(
            f"member {group[0]}, epoch {progress.epoch}: {told} meV/atom, {rate:.0f} crystals/s"
        )

    return tell


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("structures", nargs="+", type=Path, help="JSON lines with structures")
    parser.add_argument("--into", type=Path, default=SHIPPED)
    parser.add_argument("--source", help="name of the data set, for the card")
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the first member")
    parser.add_argument("--epochs", type=int, default=Plan().epochs)
    parser.add_argument("--rate", type=float, default=Plan().rate)
    parser.add_argument("--width", type=int, default=Architecture().width)
    parser.add_argument("--layers", type=int, default=Architecture().layers)
    parser.add_argument("--directions", type=int, default=Architecture().directions)
    parser.add_argument("--checkpoints", type=Path, help="folder from which to go on")
    parser.add_argument(
        "--together", action="store_true", help="all members at once (for accelerators)"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
