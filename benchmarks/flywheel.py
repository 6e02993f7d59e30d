"""Three rounds of active learning in a bounded space, judged by a potential.

The space: alkali and alkaline-earth metals, Zn, Cd, Ge, Sn, P and As, cells of at most ten
atoms. None of these elements is corrected in the Materials Project, so that old and new
releases agree. Proposals descend from the compounds in MP-20 (val and test, binaries and
ternaries) as the oracle relaxes them. A hull of these alone has holes, and every compound that
falls into one would be a hit: the reference also holds published energies of Materials Project
compounds of the space (Bartel et al., 72,261 of 85,014 at hand; larger cells of MP-20; MPTS-52)
where the oracle has relaxed no structure. They are calculated, not the oracle's; by how much
the two differ where both are known is printed.

The model is the shipped ensemble, corrected by kernel ridge regression on all that was verified
before; in the first round that is the reference alone, nearly all of it stable. Compositions of
the reference are never proposed. Ablations differ from the full flywheel in one thing each and
share the oracle's answers through a file.
"""

import csv
import json
import lzma
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from planners.stability.crystals import Crystal, formula_of
from planners.stability.entries import Entry
from planners.stability.flywheel.folder import start
from planners.stability.flywheel.kernel_model import KernelRetrainer
from planners.stability.flywheel.manifest import RoundManifest
from planners.stability.flywheel.parts import Generator, Retrainer
from planners.stability.flywheel.rounds import Flywheel, run_round
from planners.stability.flywheel.selection import Screen
from planners.stability.flywheel.substituted import SubstitutionGenerator
from planners.stability.formulas import reduced_formula
from planners.stability.models.shipped import structure_ensemble
from planners.stability.oracles.formation import read_element_energies
from planners.stability.oracles.nequix import nequix
from planners.stability.oracles.oracle import Oracle
from planners.stability.oracles.remembered import RememberedOracle
from planners.stability.substitution import Rules

ELEMENTS = frozenset(("Li", "Na", "K", "Ca", "Sr", "Ba", "Zn", "Cd", "Ge", "Sn", "P", "As"))
MOST_ATOMS = 10
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
        nequix(elements, weights=data / "models" / "nequix-oam-1.nqx"), answers
    )


def reference(data: Path, oracle: Oracle, say: Say) -> list[Entry]:
    """Compounds of the space: relaxed by the oracle, and of the rest the published energy."""
    everything = _rows(data / "discovery" / "mp20bt.jsonl.xz")
    rows = [row for row in everything if len(row[1].elements) <= MOST_ATOMS]
    entries = []
    for done, (name, crystal, _) in enumerate(rows, 1):
        (found,) = oracle.relax([crystal])
        if found.converged and found.formation_energy_ev_per_atom is not None:
            entries.append(
                Entry(
                    formula=formula_of(crystal.elements),
                    formation_energy_ev_per_atom=found.formation_energy_ev_per_atom,
                    source=f"MP-20, relaxed by {oracle.name}",
                    entry_id=name,
                    crystal=found.relaxed,
                )
            )
        if done % 20 == 0:
            say(f"reference: {done} of {len(rows)}")
    known = {entry.formula: entry.formation_energy_ev_per_atom for entry in entries}
    published = list(_published(data / "discovery"))
    both = [
        known[entry.formula] - entry.formation_energy_ev_per_atom
        for entry in published
        if entry.formula in known
    ]
    say(
        f"reference: {len(entries)} relaxed; {len(both)} also published, oracle "
        f"{1000 * np.mean(both):+.0f} meV/atom, mean absolute "
        f"{1000 * np.mean(np.abs(both)):.0f}"
    )
    return entries + [entry for entry in published if entry.formula not in known]


def corrected(members: int) -> KernelRetrainer:
    """Corrections of the shipped ensemble, or of one of its networks."""
    shipped = structure_ensemble()
    base = shipped if members > 1 else shipped.member(0)
    return KernelRetrainer(
        members=members, base=base, base_name=f"the shipped ensemble, {base.members} networks"
    )


def variants(quick: bool, retrainer: Callable[[int], Retrainer]) -> list[Variant]:
    """The full flywheel first, then the ablations."""
    generator = SubstitutionGenerator(
        elements=ELEMENTS, most=300 if quick else 2500, most_atoms=MOST_ATOMS
    )
    screen = Screen(verify_most=10 if quick else 40, volumes=(0.88, 0.94, 1.0, 1.06, 1.12))
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
        retrainer: Makes a retrainer of so many members; of ``corrected`` if None.
        only_full: Leave the ablations out.
        say: Told of each step.
    """
    with tempfile.TemporaryDirectory() as scratch:
        oracle = nequix_oracle(data, answers or Path(scratch) / "answers.jsonl")
        entries = reference(data, oracle, say)
        chosen = variants(quick, retrainer or corrected)[: 1 if quick or only_full else None]
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


def _rows(path: Path) -> Iterator[tuple[str, Crystal, float]]:
    """Names, crystals and published energies of the compounds of the space."""
    with lzma.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if len(set(row["el"])) > 1 and ELEMENTS.issuperset(row["el"]):
                crystal = Crystal(
                    lattice_ang=tuple((a, b, c) for a, b, c in row["lat"]),
                    elements=tuple(row["el"]),
                    fractional=tuple((a, b, c) for a, b, c in row["frac"]),
                )
                yield row["id"], crystal, row["ef"]


def _published(data: Path) -> Iterator[Entry]:
    """Published energies, without structures."""
    for stem in ("mp20bt", "mpts52"):
        for name, crystal, energy in _rows(data / f"{stem}.jsonl.xz"):
            yield _energy(formula_of(crystal.elements), energy, stem, name)
    with lzma.open(data / "bartel_critexam_trainval.csv.xz", "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            formula = row["formula"]
            symbols = "".join(c if c.isalpha() else " " for c in formula).split()
            if ELEMENTS.issuperset(symbols) and len(symbols) > 1:
                yield _energy(reduced_formula(formula), float(row["Ef"]), "Bartel", formula)


def _energy(formula: str, energy: float, source: str, name: str) -> Entry:
    return Entry(
        formula=formula,
        formation_energy_ev_per_atom=energy,
        source=f"{source}, Materials Project",
        entry_id=f"{source} {name}",
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
