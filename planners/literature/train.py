"""Train the models: ``python -m planners.literature.train CORPUS --out DIR``.

The same corpus gives the same models, up to the last digits of the machine's arithmetic.
Held-out targets are never read for anything here.
"""

import argparse
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from alab.errors import BadInput
from planners.literature import conditions, fit_conditions, fit_precursors, precursors
from planners.literature.conditions import FiringModel
from planners.literature.corpus import Corpus, Procedure, read_corpus
from planners.literature.speller import Speller
from planners.literature.split import split

log = logging.getLogger(__name__)


def train_precursors(
    corpus: Corpus, plan: fit_precursors.Plan | None = None, seed: int = 0
) -> Speller:
    """Fit the recommender to the training targets of a corpus."""
    learnt = split(corpus.procedures).train
    vocabulary = fit_precursors.learn_vocabulary(learnt, corpus.written)
    answers = fit_precursors.spell_all(vocabulary, learnt)
    chosen = plan or fit_precursors.Plan()
    return Speller(vocabulary, fit_precursors.fit(vocabulary, answers, chosen, seed))


def train_conditions(
    corpus: Corpus, plan: fit_conditions.Plan | None = None, seed: int = 0
) -> FiringModel:
    """Fit the firing model to the training targets, its interval to the validation ones.

    Raises:
        BadInput: If no training procedure gives a temperature, a dwell or a gas.
    """
    parts = split(corpus.procedures)
    learnt = [p for p in parts.train if p.firing.temperature_c is not None]
    for answer, given in (
        ("temperature", bool(learnt)),
        ("dwell", any(p.firing.dwell_h for p in learnt)),
        ("gas", any(p.firing.route.gas for p in learnt)),
    ):
        if not given:
            raise BadInput(
                f"no {answer} of a firing is given by the {len(parts.train)} training "
                "procedures; a model of firings needs all of temperature, dwell and gas"
            )
    elements = tuple(sorted({e for p in learnt for e in p.shares}))
    powders = fit_conditions.common_powders(learnt)
    data = fit_conditions.examples(learnt, elements, powders)
    network = fit_conditions.fit(data, len(powders), plan or fit_conditions.Plan(), seed)
    bare = FiringModel(
        elements=elements,
        powders=powders,
        network=network,
        places=conditions.placed(network, data.inputs).astype(np.float32),
        reported=data.reported,
        factor=1.0,
    )
    return replace(bare, factor=_factor(bare, parts.validation))


def _factor(model: FiringModel, procedures: tuple[Procedure, ...]) -> float:
    """How far the interval is stretched for 80 % of procedures to fall inside.

    Each is asked for with its route and with the route left open.
    """
    known = [
        p
        for p in procedures
        if p.firing.temperature_c is not None and p.shares.keys() <= set(model.elements)
    ]
    data = fit_conditions.examples(
        [*known, *(p.with_open_route() for p in known)], model.elements, model.powders
    )
    pairs = zip(data.reported.temperature_c, model.answer(data.inputs), strict=True)
    needed = [
        (t - a.temperature_c) / (a.temperature_high_c - a.temperature_c)
        if t > a.temperature_c
        else (a.temperature_c - t) / (a.temperature_c - a.temperature_low_c)
        for t, a in pairs
    ]
    return float(np.quantile(needed, conditions.COVERAGE))


def main() -> None:
    """Read the command line, train, write both models."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path, help="solid-state_dataset_2019-12-03.json.xz")
    parser.add_argument("--out", type=Path, required=True, help="folder for the models")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    corpus = read_corpus(given.corpus)
    log.info("%d procedures; skipped %s", len(corpus.procedures), dict(corpus.skipped))
    given.out.mkdir(parents=True, exist_ok=True)
    precursors.save_model(train_precursors(corpus), given.out / precursors.MODEL_FILE)
    log.info("wrote %s", given.out / precursors.MODEL_FILE)
    conditions.save_model(train_conditions(corpus), given.out / conditions.MODEL_FILE)
    log.info("wrote %s", given.out / conditions.MODEL_FILE)


if __name__ == "__main__":
    main()
