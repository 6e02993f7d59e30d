"""How well the structural ensemble predicts energies, how honest its spread is, how fast it is.

Judged are crystals whose composition falls on the judging side of the hash split; no network
learnt from such a composition, whichever file it comes from. Floors are fitted in the same run
on the crystals that were learnt from: the mean, a line in atomic fractions, and a ridge
regression on pairs of elements (fractions x_i and products x_i x_j).
"""

import json
import lzma
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import lsqr

from benchmarks.figures import Figure
from planners.stability.crystals import Crystal
from planners.stability.models import calibration
from planners.stability.models.graphs import SPECIES, graph_of
from planners.stability.models.prediction import Prediction
from planners.stability.models.structure_data import Examples, examples_of
from planners.stability.models.structure_ensemble import StructureEnsemble
from planners.stability.models.structure_training import fractions
from planners.stability.models.train_structures import read

FloatArray = NDArray[np.float64]
RIDGE = 0.1
REPEATS = 3
SPEED_CRYSTALS, QUICK_CRYSTALS = 4000, 1000
STATED_RIDGE_MEV, STATED_SMALL_NETWORK_MEV = 160, 69


def accuracy(
    ensemble: StructureEnsemble, judged: Sequence[Path], learnt: Sequence[Path]
) -> dict[str, Figure]:
    """Error and coverage on the crystals of files, beside floors.

    Args:
        ensemble: The networks.
        judged: Files of JSON lines with structures.
        learnt: Files that the networks learnt from; the ridge is fitted to them. Empty leaves
            the floor out.
    """
    everything = examples_of(read(judged), ensemble.architecture.cutoff_ang)
    test = everything.judging
    said = ensemble.predict_graphs(test.graphs)
    floor = f"pairwise ridge {STATED_RIDGE_MEV} stated"
    if learnt:
        known = examples_of(read(learnt), ensemble.architecture.cutoff_ang).learnt
        floor = f"pairwise ridge {1e3 * mae(ridge(known, test), test):.0f} in this run"
    alone = [
        float(np.abs(m - test.energies_ev_per_atom).mean()) for m in said.members_ev_per_atom
    ]
    whole = mae(ensemble.predict_graphs(everything.graphs).median_ev_per_atom, everything)
    factor = said.interquartile_scale
    return {
        "mp26k_mae_mev": Figure(
            value=1e3 * mae(said.median_ev_per_atom, test),
            unit="meV/atom",
            goal=60,
            better="lower",
            peer=f"{floor}; small network {STATED_SMALL_NETWORK_MEV} stated; one member "
            f"{1e3 * np.mean(alone):.1f}; {len(test.graphs)} crystals",
        ),
        "iqr_coverage": Figure(
            value=100 * calibration.coverage(said, test.energies_ev_per_atom, factor),
            unit="%",
            goal=45,
            better="higher",
            peer="50 ± 5 % wanted; uncalibrated "
            f"{100 * calibration.coverage(said, test.energies_ev_per_atom, 1.0):.0f} %; "
            + curve(ensemble, said, test),
        ),
        "MAE of all crystals of the file": Figure(
            value=1e3 * whole,
            unit="meV/atom",
            goal=60,
            better="lower",
            peer=f"{len(everything.graphs)} crystals, learnt ones among them if it is MP26k",
        ),
    }


def curve(ensemble: StructureEnsemble, said: Prediction, test: Examples) -> str:
    """Coverage found for each share that was calibrated, in words."""
    found = {
        share: calibration.coverage(said, test.energies_ev_per_atom, factor)
        for share, factor in ensemble.card.factors.items()
    }
    return ", ".join(f"{100 * s:.0f}→{100 * c:.0f}" for s, c in found.items())


def mae(predicted_ev_per_atom: FloatArray, examples: Examples) -> float:
    """Mean absolute error in eV per atom."""
    return float(np.abs(predicted_ev_per_atom - examples.energies_ev_per_atom).mean())


def ridge(known: Examples, test: Examples) -> FloatArray:
    """Energies by a ridge regression on fractions and products of two fractions."""
    features = [_pairs(fractions(part.graphs)) for part in (known, test)]
    mean = known.energies_ev_per_atom.mean()
    weights = lsqr(features[0], known.energies_ev_per_atom - mean, damp=RIDGE, iter_lim=2000)[0]
    return features[1] @ weights + mean


def _pairs(rows: FloatArray) -> sparse.csr_matrix:
    first, second = np.triu_indices(SPECIES, 1)
    here = sparse.csr_matrix(rows)
    products = [
        here[:, first[i : i + 500]].multiply(here[:, second[i : i + 500]])
        for i in range(0, len(first), 500)
    ]
    return sparse.csr_matrix(sparse.hstack([here, *[4.0 * p for p in products]]))


def speeds(ensemble: StructureEnsemble, file: Path, *, quick: bool) -> dict[str, Figure]:
    """Graphs built on one core and crystals predicted on all, a second."""
    crystals = _crystals(file, QUICK_CRYSTALS if quick else SPEED_CRYSTALS)
    graphs = [graph_of(crystal) for crystal in crystals]
    one = ensemble.member(0)
    own = _rate(lambda: [graph_of(c) for c in crystals], len(crystals))
    pairs = np.mean([len(g.senders) for g in graphs])
    return {
        "graphs_per_s": Figure(
            value=own,
            unit="crystals/s",
            goal=_matscipy_rate(crystals) or 10_000,
            better="higher",
            peer="goal is matscipy in this run; 3,000–10,000 stated; "
            f"{pairs:.0f} pairs a crystal",
        ),
        "inference_per_s": Figure(
            value=_rate(lambda: one.predict_graphs(graphs), len(graphs)),
            unit="crystals/s",
            goal=2000,
            better="higher",
            peer=f"one network of width {one.architecture.width}; all {ensemble.members}: "
            f"{_rate(lambda: ensemble.predict_graphs(graphs), len(graphs)):.0f}/s; "
            "450–1,362 stated",
        ),
    }


def _matscipy_rate(crystals: Sequence[Crystal]) -> float | None:
    try:
        from matscipy.neighbours import neighbour_list
    except ImportError:
        return None

    def build(crystal: Crystal) -> object:
        cell = np.array(crystal.lattice_ang)
        positions = np.array(crystal.fractional) @ cell
        return neighbour_list("ijD", positions=positions, cell=cell, pbc=[1, 1, 1], cutoff=4.0)

    return _rate(lambda: [build(crystal) for crystal in crystals], len(crystals))


def _rate(work: Callable[[], object], count: int) -> float:
    """Items a second, the best of three after a first go that compiles."""
    work()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return count / min(seconds)


def _crystals(file: Path, count: int) -> list[Crystal]:
    with lzma.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line, _ in zip(lines, range(count), strict=False)]
    return [
        Crystal(lattice_ang=r["lat"], elements=tuple(r["el"]), fractional=r["frac"])
        for r in rows
    ]
