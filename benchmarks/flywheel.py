"""Three rounds of active learning in a bounded space, judged by a potential.

The space: compounds of 49 metals, metalloids, P and As whose energies the Materials Project
does not correct, so that its releases, and the potential, agree; by how much is printed. The
reference is every such compound at hand (MP-20, MPTS-52 and the energies that Bartel et al.
collected), as published. Proposals descend from those with at most six atoms and from what
earlier rounds verified; compositions of the reference are never proposed. A hit lies on or
below the hull of all that is known, earlier rounds included.

The model is the shipped ensemble, trained on before each round on all that was verified so far.
Ablations differ from the full flywheel in one thing each and share the oracle's answers through
a file.
"""

import csv
import json
import lzma
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from pymatgen.core import Element
from rich.console import Console
from rich.table import Table

from planners.stability.candidates.substitution import Rules
from planners.stability.crystals import Crystal, formula_of
from planners.stability.flywheel.folder import start
from planners.stability.flywheel.manifest import RoundManifest
from planners.stability.flywheel.parts import Generator, Retrainer
from planners.stability.flywheel.retraining import GraphRetrainer
from planners.stability.flywheel.rounds import Flywheel, run_round
from planners.stability.flywheel.selection import Screen
from planners.stability.flywheel.substituted import SubstitutionGenerator
from planners.stability.formulas import elements_of, reduced_formula
from planners.stability.models.shipped import structure_ensemble
from planners.stability.models.structure_training import Plan
from planners.stability.oracles.formation import read_element_energies
from planners.stability.oracles.nequix import nequix
from planners.stability.oracles.oracle import Oracle
from planners.stability.oracles.relaxation import Limits
from planners.stability.oracles.remembered import RememberedOracle
from planners.stability.references.entries import Entry

CORRECTED = ("H", "N", "O", "F", "Si", "S", "Cl", "Se", "Br", "Sb", "Te", "I")
ELEMENTS = frozenset(
    e.symbol
    for e in map(Element.from_Z, range(3, 84))
    if e.symbol not in (*CORRECTED, "B", "C", "Tc") and not e.is_noble_gas
    if not e.is_lanthanoid or e.symbol == "La"
)
PARENT_ATOMS = 6
COMPARED = 30
LIMITS = Limits(force_ev_per_ang=0.03, steps=60)
ROUNDS = 3
SEED = 0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A flywheel, or one with something left out.

    Attributes:
        name: What is left out.
        generator: Proposes.
        retrainer: Trains.
        screen: Selects.
    """

    name: str
    generator: Generator
    retrainer: Retrainer
    screen: Screen


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Rounds of one variant."""

    name: str
    rounds: tuple[RoundManifest, ...]

    @property
    def hit_rates(self) -> tuple[float, ...]:
        """Hit rate of each round."""
        return tuple(r.hit_rate for r in self.rounds)


def nequix_oracle(data: Path, answers: Path) -> RememberedOracle:
    """Nequix-OAM-1 under a data folder, with its answers kept in a file."""
    elements = read_element_energies(data / "discovery" / "mp_elem_ref_entries.json.gz")
    return RememberedOracle(
        nequix(elements, weights=data / "models" / "nequix-oam-1.nqx", limits=LIMITS), answers
    )


def reference(data: Path) -> list[Entry]:
    """Compounds of the space as published; the small ones with their crystals."""
    folder = data / "discovery"
    crystals = (_crystals(folder / f"{stem}.jsonl.xz") for stem in ("mp20bt", "mpts52"))
    return [*chain(*crystals), *_energies(folder / "bartel_critexam_trainval.csv.xz")]


def compare(entries: Sequence[Entry], oracle: Oracle, say: Say) -> None:
    """Say by how much the oracle differs from what is published."""
    apart = []
    crystals = [(e, e.crystal) for e in entries if e.crystal]
    for entry, crystal in crystals[:: max(1, len(crystals) // COMPARED)]:
        (found,) = oracle.relax([crystal])
        energy = found.formation_energy_ev_per_atom
        if energy is not None and found.converged:
            apart.append(1000 * (energy - entry.formation_energy_ev_per_atom))
    say(
        f"reference: {len(entries)} compounds, {len(crystals)} of them parents; the oracle is "
        f"{np.mean(apart):+.0f} meV/atom from {len(apart)}, mean absolute "
        f"{np.mean(np.abs(apart)):.0f}"
    )


def trained_on(members: int) -> GraphRetrainer:
    """Trains the shipped ensemble on, or one of its networks."""
    shipped = structure_ensemble()
    return GraphRetrainer(
        begin=shipped if members > 1 else shipped.member(0),
        plan=Plan(epochs=30, rate=3e-4, warm_steps=20),
    )


def variants(quick: bool, retrainer: Callable[[int], Retrainer]) -> list[Variant]:
    """The full flywheel first, then the ablations."""
    generator = SubstitutionGenerator(
        elements=ELEMENTS, most=600 if quick else 6000, most_atoms=PARENT_ATOMS
    )
    screen = Screen(verify_most=10 if quick else 100, volumes=(0.88, 0.94, 1.0, 1.06, 1.12))
    full = Variant(name="full", generator=generator, retrainer=retrainer(10), screen=screen)
    floorless = replace(generator, rules=Rules(lambda_floor=None))
    return [
        full,
        replace(full, name="no λ floor", generator=floorless),
        replace(full, name="no SAPS", generator=replace(generator, partial=False)),
        replace(full, name="no augmentation", screen=replace(screen, volumes=(1.0,))),
        replace(full, name="single model", retrainer=retrainer(1)),
    ]


def turn(
    variant: Variant, entries: Sequence[Entry], oracle: Oracle, folder: Path, say: Say
) -> Outcome:
    """Run all rounds of a variant; what is in the folder already is not run again."""
    if not (folder / "reference" / "manifest.json").exists():
        start(folder, entries, name="the space")
    parts = Flywheel(
        generator=variant.generator,
        retrainer=variant.retrainer,
        oracle=oracle,
        screen=variant.screen,
        seed=SEED,
    )
    rounds = []
    for _ in range(ROUNDS):
        rounds.append(run_round(folder, parts))
        say(f"{variant.name}: {_words(rounds[-1])}")
    return Outcome(name=variant.name, rounds=tuple(rounds))


def flywheel(
    data: Path,
    *,
    quick: bool = False,
    answers: Path | None = None,
    retrainer: Callable[[int], Retrainer] | None = None,
    only_full: bool = False,
    say: Say = lambda _: None,
) -> list[Outcome]:
    """Run the benchmark.

    Args:
        data: Folder with ``discovery/`` and ``models/``.
        quick: Fewer proposals and verifications, no ablations.
        answers: File of the oracle's answers, kept between runs; a temporary one if None.
        retrainer: Makes a retrainer of so many members; of ``trained_on`` if None.
        only_full: Leave the ablations out.
        say: Told of each step.
    """
    with tempfile.TemporaryDirectory() as scratch:
        oracle = nequix_oracle(data, answers or Path(scratch) / "answers.jsonl")
        entries = reference(data)
        compare(entries, oracle, say)
        chosen = variants(quick, retrainer or trained_on)[: 1 if quick or only_full else None]
        return [
            turn(variant, entries, oracle, Path(scratch) / f"{number}", say)
            for number, variant in enumerate(chosen)
        ]


def figures(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Hit rates of the full flywheel, by name."""
    rates = outcomes[0].hit_rates
    return {f"flywheel_hit_rate_{i}": rate for i, rate in enumerate(rates, 1)}


def show(outcomes: Sequence[Outcome], console: Console) -> None:
    """Print a table: a row for each round of each variant."""
    table = Table(
        "variant", "round", "new", "passed", "verified", "hits", "≤ 50 meV", "together"
    )
    table.add_column("error, meV/atom")
    for outcome in outcomes:
        for number, done in enumerate(outcome.rounds, 1):
            counts, error = done.counts, done.prediction_mae_ev_per_atom
            table.add_row(
                outcome.name if number == 1 else "",
                str(number),
                str(counts.new),
                str(counts.compositions),
                str(counts.selected),
                f"{counts.hits} ({done.hit_rate:.0%})",
                str(counts.within_50_mev),
                str(counts.stable_together),
                "–" if error is None else f"{1000 * error:.0f}",
            )
    console.print(table)


def _crystals(path: Path) -> Iterator[Entry]:
    with lzma.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if _in_space(set(row["el"])):
                crystal = Crystal(
                    lattice_ang=tuple((a, b, c) for a, b, c in row["lat"]),
                    elements=tuple(row["el"]),
                    fractional=tuple((a, b, c) for a, b, c in row["frac"]),
                )
                formula = formula_of(crystal.elements)
                small = len(crystal.elements) <= PARENT_ATOMS
                yield _entry(formula, row["ef"], path, row["id"], crystal if small else None)


def _energies(path: Path) -> Iterator[Entry]:
    with lzma.open(path, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            formula = reduced_formula(row["formula"])
            if _in_space(set(elements_of(formula))):
                yield _entry(formula, float(row["Ef"]), path, formula, None)


def _in_space(symbols: set[str]) -> bool:
    return len(symbols) > 1 and symbols <= ELEMENTS


def _entry(
    formula: str, energy: float, path: Path, name: str, crystal: Crystal | None
) -> Entry:
    source = path.name.partition(".")[0]
    return Entry(
        formula=formula,
        formation_energy_ev_per_atom=energy,
        source=f"{source}, Materials Project",
        entry_id=f"{source} {name}",
        crystal=crystal,
    )


def _words(done: RoundManifest) -> str:
    counts, error = done.counts, done.prediction_mae_ev_per_atom
    return (
        f"round {done.inputs.round}: {counts.new} new of {counts.generated}, "
        f"{counts.passed} passed, {counts.compositions} compositions, "
        f"{counts.selected} verified, {counts.hits} hits ({done.hit_rate:.0%}), "
        f"{counts.within_50_mev} within 50 meV, {counts.stable_together} together, "
        f"{counts.refused} refused, {counts.unconverged} unconverged, "
        f"error {'–' if error is None else f'{1000 * error:.0f} meV'}"
    )
