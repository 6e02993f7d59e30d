"""Which phases a pattern holds, out of candidates, against what is known to be in it."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from rich.console import Console
from rich.table import Table

from alab.models import PhaseAmount
from analysis.diffraction.analyze import EXTRA_ELEMENTS, Analysis, analyze
from analysis.diffraction.library import STRUCTURES
from benchmarks.decoys import PREFIX, described, write_decoys
from benchmarks.measured import (
    DEFAULT_DATA,
    Part,
    Sample,
    attempted,
    space_group_number,
)

ISOSTRUCTURES, PERTURBED = 30, 12
"""Decoys a pattern gets, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """What was said about one sample.

    Attributes:
        sample: What was measured.
        candidates: How many structures were compared.
        seconds: Wall time of the analysis.
        right: Compounds that were found and are there, polymorphs apart.
        wrong: Phases that were found and are not there.
        missed: Phases that must be there and were not found.
        polymorphs: Phases of a right formula in a wrong space group; they are in ``wrong``.
        error_wt: Mean absolute error of the amounts of weighed phases; None without.
        probabilities: Stated probability of each phase found, and whether it was right.
        failure: Why there is no answer, empty if there is one.
    """

    sample: Sample
    candidates: int = 0
    seconds: float = 0.0
    right: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    polymorphs: tuple[str, ...] = ()
    error_wt: float | None = None
    probabilities: tuple[tuple[float, bool], ...] = ()
    failure: str = ""

    @property
    def exact(self) -> bool:
        """Whether all phases were found and no other, space groups counted."""
        return not (self.failure or self.wrong or self.missed)

    @property
    def exact_by_formula(self) -> bool:
        """Whether the formulas are right, in whatever space groups."""
        excused = {text.split(" ")[0] for text in self.polymorphs}
        missed = [formula for formula in self.missed if formula not in excused]
        return not self.failure and not missed and len(self.polymorphs) == len(self.wrong)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A sample with the folder of its candidates."""

    sample: Sample
    folder: Path
    elements: frozenset[str]


def closed_pool(samples: Iterable[Sample], into: Path, *, hint: bool) -> list[Task]:
    """Tasks whose candidates are the folder that the CIFs of the samples lie in.

    Args:
        samples: What was measured.
        into: Folder for the folders of candidates.
        hint: Whether the elements of each sample are told; otherwise those of all candidates.
    """
    chosen = list(samples)
    files = {file for s in chosen for part in s.parts for cif in part.cifs
             for file in cif.parent.glob("*.cif")}  # fmt: skip
    folder = _linked(files, into / "closed")
    everything = frozenset().union(*(found[2] for f in files if (found := described(f))))
    return [
        Task(sample=s, folder=folder, elements=s.elements if hint else everything)
        for s in chosen
    ]


def merged_pools(samples: Iterable[Sample], data: Path, into: Path) -> list[Task]:
    """Tasks whose candidates are all pools together and decoys of the allowed elements."""
    folders = [STRUCTURES]
    for name in ("reference_cifs", "autoanalyzer_example/cif"):
        folders += [f for f in dict.fromkeys([data / name, DEFAULT_DATA / name]) if f.is_dir()]
    files = {file for folder in folders for file in folder.glob("*.cif")}
    tasks: list[Task] = []
    for number, sample in enumerate(samples):
        files |= {cif for part in sample.parts for cif in part.cifs}
        allowed = sample.elements | set(EXTRA_ELEMENTS)
        inside = [f for f in files if (found := described(f)) and found[2] <= allowed]
        folder = _linked(inside, into / f"merged{number}")
        # One mixture has the same decoys however long it was measured.
        seed = sum(map(ord, "".join(sorted(part.formula for part in sample.parts))))
        write_decoys(
            folder, files, allowed, isostructures=ISOSTRUCTURES, perturbed=PERTURBED, seed=seed
        )
        tasks.append(Task(sample=sample, folder=folder, elements=sample.elements))
    return tasks


def _linked(files: Iterable[Path], folder: Path) -> Path:
    """A folder that links to the usable ones of many CIFs, each under a name of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(files):
        if described(file) is None:
            continue
        link = folder / f"{file.stem}__{file.parent.name}.cif"
        if not link.exists():
            link.symlink_to(file.resolve())
    return folder


def identify(tasks: Sequence[Task]) -> list[Identified]:
    """Analyse each sample and compare with what is known."""
    return [_one(task) for task in tasks]


def _one(task: Task) -> Identified:
    began = time.perf_counter()
    found = attempted(task.sample.name, lambda: _analysed(task))
    seconds = time.perf_counter() - began
    if isinstance(found, str):
        return Identified(
            sample=task.sample,
            seconds=seconds,
            missed=tuple(part.formula for part in task.sample.parts),
            failure=found.removeprefix(f"{task.sample.name}: "),
        )
    return replace(_compared(task, found), seconds=seconds)


def _analysed(task: Task) -> Analysis:
    pattern, instrument = task.sample.read()
    return analyze(
        pattern, elements=sorted(task.elements), sources=task.folder, instrument=instrument
    )


def _compared(task: Task, analysis: Analysis) -> Identified:
    parts, phases = task.sample.parts, analysis.outcome.phases
    truly: list[tuple[PhaseAmount, Part | None]] = [
        (phase, next((part for part in parts if _same(task, phase, part)), None))
        for phase in phases
    ]
    wrong = [phase for phase, part in truly if part is None]
    weighed = [part for part in parts if part.weight_percent is not None]
    errors = [
        abs(
            100 * sum(p.weight_fraction for p, its in truly if its is part)
            - (part.weight_percent or 0.0)
        )
        for part in weighed
    ]
    return Identified(
        sample=task.sample,
        candidates=analysis.candidates,
        right=_named_once(phase for phase, part in truly if part is not None),
        wrong=tuple(_written(phase) for phase in wrong),
        missed=tuple(part.formula for part in parts if not _main_found(task, part, phases)),
        polymorphs=tuple(
            _written(phase)
            for phase in wrong
            if not _decoy(phase) and any(part.is_formula(phase.formula) for part in parts)
        ),
        error_wt=float(np.mean(errors)) if errors else None,
        probabilities=tuple((phase.probability, part is not None) for phase, part in truly),
    )


def _named_once(phases: Iterable[PhaseAmount]) -> tuple[str, ...]:
    """Formulas, one for each compound and space group: pools hold some structures twice."""
    named = {(space_group_number(phase.space_group), phase.formula) for phase in phases}
    return tuple(formula for _, formula in sorted(named))


def _decoy(phase: PhaseAmount) -> bool:
    return phase.reference.startswith(PREFIX)


def _written(phase: PhaseAmount) -> str:
    return f"{phase.formula} ({'decoy' if _decoy(phase) else phase.space_group})"


def _same(task: Task, phase: PhaseAmount, part: Part) -> bool:
    """Whether a phase found is a part of the sample.

    Composition and space group must agree; another space group is allowed where pymatgen's
    structure matcher finds the same arrangement of atoms, since one structure may be written
    in a subgroup.
    """
    if _decoy(phase) or not part.is_formula(phase.formula):
        return False
    file = task.folder / f"{phase.reference}.cif"
    return part.matches(phase) or any(_isostructural(file, cif) for cif in part.cifs)


def _main_found(task: Task, part: Part, phases: Sequence[PhaseAmount]) -> bool:
    """Whether the first of the space groups of a part was found."""
    main = replace(part, numbers=part.numbers[:1], cifs=part.cifs[:1])
    return any(_same(task, phase, main) for phase in phases)


@cache
def _isostructural(one: Path, other: Path) -> bool:
    def compare() -> bool:
        return StructureMatcher().fit(Structure.from_file(one), Structure.from_file(other))

    return attempted("compare", compare) is True


def false_discovery_rate(found: Sequence[Identified]) -> float | None:
    """Wrong phases over all phases reported; None if none was reported."""
    wrong = sum(len(one.wrong) for one in found)
    reported = wrong + sum(len(one.right) for one in found)
    return wrong / reported if reported else None


def calibration_error(found: Sequence[Identified], bins: int = 5) -> float | None:
    """Expected calibration error of stated probabilities; None where nothing was found.

    Σ |mean stated − share right| over equal bins of probability, weighted by their phases.
    """
    stated = np.array([pair for one in found for pair in one.probabilities])
    if not len(stated):
        return None
    place = np.minimum((stated[:, 0] * bins).astype(int), bins - 1)
    total = 0.0
    for number in np.unique(place):
        inside = stated[place == number]
        total += len(inside) * abs(float(inside[:, 0].mean() - inside[:, 1].mean()))
    return total / len(stated)


def median_seconds(
    tasks: Sequence[Task], call: Callable[[Task], object] | None = None
) -> float:
    """Median wall time of tasks that were run before."""
    spent: list[float] = []
    for task in tasks:
        began = time.perf_counter()
        attempted(task.sample.name, lambda task=task: (call or _analysed)(task))
        spent.append(time.perf_counter() - began)
    return float(np.median(spent))


def show_identified(title: str, found: Sequence[Identified]) -> None:
    """Print what was said about each sample."""
    table = Table(title=title, title_justify="left")
    for heading in ("Sample", "Candidates", "s", "Found", "Wrong", "Missed", "Error", ""):
        table.add_column(heading)
    for one in found:
        verdict = "exact" if one.exact else "formulas" if one.exact_by_formula else "not exact"
        table.add_row(
            one.sample.short_name,
            str(one.candidates),
            f"{one.seconds:.1f}",
            ", ".join(one.right),
            one.failure or ", ".join(one.wrong),
            ", ".join(one.missed),
            "–" if one.error_wt is None else f"{one.error_wt:.1f}",
            verdict,
        )
    Console(width=170).print(table)
