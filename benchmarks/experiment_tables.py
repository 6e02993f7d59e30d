"""Tables of finished experiments on one target.

A table has a row for each set of precursors and temperature: ``precursors`` (formulas with
commas), ``temperature_C``, and ``target_wt_pct``, or ``target_composition_wt_pct``. Beside it
may stand ``Rxn_TD.csv`` (driving forces in meV/atom, as ARROWS3 writes them) and
``*_products_from_log.csv`` (the phases found); without the former, the project's own energies
stand in as far as they reach.

Temperatures at which not every set was fired are left out, so that no strategy is
favoured by where the experimenters looked.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np
from pymatgen.core import Composition

from alab.errors import BadInput
from alab.models import (
    Atmosphere,
    Outcome,
    PrecursorAmount,
    Profile,
    Recipe,
    Segment,
)
from planners.optimizer.strategy import powders
from planners.optimizer.tried import outcome_of_shares
from planners.synthesis.reactions import metals, try_balance
from planners.synthesis.screen import check_formula
from planners.synthesis.thermo import (
    KJ_PER_MOL_PER_EV,
    MissingThermoError,
    gas_potential_kj_per_mol,
    gibbs_kj_per_mol,
    reduced,
)

PURE = 0.995
"""Weight fraction from which on a result counts as pure; the tables give whole percent."""

ENERGY_ERROR_MEV_PER_ATOM = 20.0
"""A seed draws every driving force anew within this error, which is a usual one of computed
reaction energies between oxides (Hautier et al., Phys. Rev. B 85, 155208, 2012: 24)."""

_YIELDS = ("target_wt_pct", "target_composition_wt_pct")
_DWELL_S = 12 * 3600.0
_ENERGIES_AT_C = 800.0
RAMP_C_PER_MIN = 10.0
_ESD = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One row: a recipe, and what came of it."""

    recipe: Recipe
    outcome: Outcome

    @property
    def fraction(self) -> float:
        """Weight fraction of the target."""
        return self.outcome.target_weight_fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentTable:
    """Finished experiments on one target.

    Attributes:
        name: Name of the file.
        target: Formula of the target.
        experiments: One a row, by driving force, the coldest of a set first.
    """

    name: str
    target: str
    experiments: tuple[Experiment, ...]

    @property
    def pure(self) -> int:
        """How many experiments gave the pure target."""
        return sum(e.fraction >= PURE for e in self.experiments)

    @property
    def hottest_c(self) -> float:
        """Highest temperature of the table."""
        return max(e.recipe.max_temperature_c for e in self.experiments)


def read_table(path: Path, target: str | None = None) -> ExperimentTable:
    """Read a table of experiments on one target.

    Args:
        path: A CSV file with a heading.
        target: Formula of the target; where nobody names it, an oxide of all metals of the
            table stands in.

    Raises:
        BadInput: If a column is missing, a value is no number (names the row), or no row
            holds a yield.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} cannot be read: {error}; name a CSV file") from error
    headings = set(reader.fieldnames or ()) if rows else set[str]()
    column = next((name for name in _YIELDS if name in headings), None)
    if column is None or not {"precursors", "temperature_C"} <= headings:
        raise BadInput(
            f"{path}: a table needs rows with the columns precursors, temperature_C and "
            f"{' or '.join(_YIELDS)}"
        )
    yields: dict[tuple[frozenset[str], float], list[float]] = {}
    spelt: dict[frozenset[str], tuple[str, ...]] = {}
    for number, row in rows:
        try:
            names, at_c, fraction = _read_row(row, column)
        except BadInput as error:
            raise BadInput(f"{path}, line {number}: {error}; correct the row") from error
        if fraction is not None:
            key = frozenset(map(reduced, names))
            spelt.setdefault(key, names)
            yields.setdefault((key, at_c), []).append(fraction)
    if not yields:
        raise BadInput(f"{path}: no row holds a yield in {column}; add what was measured")
    target = target or _oxide_of(path, spelt)
    known = _reactions(path.parent) or _by_energies(target, spelt.values())
    found = _phases(path.parent)
    experiments = []
    for (key, at_c), fractions in yields.items():
        recipe = _recipe(target, spelt[key], at_c, known)
        outcome = outcome_of_shares(
            target,
            fmean(fractions),
            dict(found.get((key, at_c), ())),
            made_from=PURE,
            esd=_ESD,
        )
        experiments.append(Experiment(recipe=recipe, outcome=outcome))
    kept = _everywhere(experiments)
    kept.sort(key=lambda e: (-e.recipe.score, sorted(powders(e.recipe)), _at_c(e)))
    return ExperimentTable(name=path.stem, target=target, experiments=tuple(kept))


def _oxide_of(path: Path, sets: Iterable[frozenset[str]]) -> str:
    held = frozenset[str]().union(*(metals(name) for names in sets for name in names))
    if not held:
        raise BadInput(f"{path}: no precursor holds a metal; name powders")
    return f"{''.join(sorted(held))}O{len(held)}"


def hottest_first(table: ExperimentTable) -> ExperimentTable:
    """Put the hottest firings of all sets before the next cooler ones."""
    return replace(table, experiments=tuple(sorted(table.experiments, key=lambda e: -_at_c(e))))


def shuffled(table: ExperimentTable, seed: int) -> ExperimentTable:
    """Draw the order of the experiments by lot."""
    order = np.random.default_rng(seed).permutation(len(table.experiments))
    return replace(table, experiments=tuple(table.experiments[i] for i in order))


def blurred(table: ExperimentTable, seed: int) -> ExperimentTable:
    """Draw the driving forces anew within their error."""
    draw = np.random.default_rng(seed)
    errors: dict[frozenset[str], float] = {}
    for experiment in table.experiments:
        if powders(experiment.recipe) not in errors:
            errors[powders(experiment.recipe)] = draw.normal() * ENERGY_ERROR_MEV_PER_ATOM
    moved = [
        replace(e, recipe=replace(e.recipe, score=e.recipe.score + errors[powders(e.recipe)]))
        for e in table.experiments
    ]
    moved.sort(key=lambda e: (-e.recipe.score, sorted(powders(e.recipe)), _at_c(e)))
    return replace(table, experiments=tuple(moved))


def _read_row(
    row: Mapping[str, str | None], column: str
) -> tuple[tuple[str, ...], float, float | None]:
    """Powders, temperature in °C, and weight fraction of target, None if not measured.

    Raises:
        BadInput: If a value is missing or impossible; names it.
    """
    if row[column] is None:
        raise BadInput("the row is too short")
    names = tuple(check_formula(word) for word in (row["precursors"] or "").split(","))
    try:
        at_c = float(row["temperature_C"] or "nan")
        percent = float(row[column] or "nan")
    except ValueError as error:
        raise BadInput(str(error)) from error
    if not 0 < at_c < 3000:
        raise BadInput(f"a temperature of {at_c:g} °C is none of a furnace")
    if not (row[column] or "").strip():
        return names, at_c, None
    if not 0 <= percent <= 100:
        raise BadInput(f"{percent:g} % is outside 0 to 100")
    return names, at_c, percent / 100


@dataclass(frozen=True, slots=True)
class _Reaction:
    """What ``Rxn_TD.csv`` says of a set: moles of each powder, driving force in meV/atom."""

    moles: Mapping[str, float]
    force_mev_per_atom: float


def _recipe(
    target: str, names: Sequence[str], at_c: float, known: Mapping[frozenset[str], _Reaction]
) -> Recipe:
    reaction = known.get(frozenset(reduced(name) for name in names))
    # a set without an energy is one that nobody could rank: it stands in the middle
    middle = fmean([r.force_mev_per_atom for r in known.values()] or [0.0])
    moles = reaction.moles if reaction is not None else _balanced(names, target)
    return Recipe(
        target=target,
        precursors=tuple(
            PrecursorAmount(
                formula=name,
                moles=moles.get(reduced(name), 1.0),
                mass_mg=1000 * moles.get(reduced(name), 1.0) * Composition(name).weight,
            )
            for name in names
        ),
        reaction=f"{' + '.join(names)} → {target}",
        profile=Profile(
            segments=(
                Segment(ramp_c_per_min=RAMP_C_PER_MIN, temperature_c=at_c, dwell_s=_DWELL_S),
            )
        ),
        score=reaction.force_mev_per_atom if reaction is not None else middle,
    )


def _balanced(names: Sequence[str], target: str) -> dict[str, float]:
    reaction = try_balance(names, target)
    if reaction is None:
        return {}
    return {reduced(name): float(moles) for name, moles in reaction.reactants.items()}


def _by_energies(
    target: str, sets: Iterable[tuple[str, ...]]
) -> dict[frozenset[str], _Reaction]:
    """Driving forces from the project's own energies, up to a constant of the target."""
    found: dict[frozenset[str], _Reaction] = {}
    for names in sets:
        reaction = try_balance(names, target)
        if reaction is None:
            continue
        try:
            change_kj = sum(
                float(n) * gas_potential_kj_per_mol(gas, _ENERGIES_AT_C, Atmosphere.AIR)
                for gas, n in reaction.gases.items()
            ) - sum(
                float(n) * gibbs_kj_per_mol(powder, _ENERGIES_AT_C)
                for powder, n in reaction.reactants.items()
            )
        except MissingThermoError:
            continue
        size = Composition(target).num_atoms * KJ_PER_MOL_PER_EV / 1000
        found[frozenset(map(reduced, names))] = _Reaction(
            moles=_balanced(names, target), force_mev_per_atom=-change_kj / size
        )
    return found


def _reactions(folder: Path) -> dict[frozenset[str], _Reaction]:
    path = folder / "Rxn_TD.csv"
    if not path.exists():
        return {}
    found: dict[frozenset[str], _Reaction] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            names = [reduced(p) for p in row["Precursors"].split(" + ")]
            amounts = [float(amount) for amount in row["Amounts"].split(" + ")]
            solids = {n: m for n, m in zip(names, amounts, strict=True) if n != "O2"}
            found[frozenset(solids)] = _Reaction(
                moles=solids, force_mev_per_atom=-float(row["Reaction energy (meV/atom)"])
            )
    return found


def _phases(folder: Path) -> dict[tuple[frozenset[str], float], list[tuple[str, float]]]:
    found: dict[tuple[frozenset[str], float], list[tuple[str, float]]] = {}
    for path in sorted(folder.glob("*_products_from_log.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                key = frozenset(reduced(p.strip()) for p in row["precursors"].split(","))
                shares = [float(share) for share in row["weight_fractions"].split(";")]
                names = [
                    Composition(p.strip()).reduced_formula for p in row["products"].split(";")
                ]
                found[key, float(row["temperature_C"])] = list(zip(names, shares, strict=True))
    return found


def _everywhere(experiments: Sequence[Experiment]) -> list[Experiment]:
    """Experiments at temperatures at which every set was fired; all, if there is none."""
    sets = {powders(e.recipe) for e in experiments}
    fired = Counter(at_c for at_c, _ in {(_at_c(e), powders(e.recipe)) for e in experiments})
    kept = [e for e in experiments if fired[_at_c(e)] == len(sets)]
    return kept or list(experiments)


def _at_c(experiment: Experiment) -> float:
    return experiment.recipe.max_temperature_c


def experiment_key(recipe: Recipe) -> tuple[frozenset[str], float]:
    """What tells experiments of a table apart: powders and temperature in °C."""
    return powders(recipe), recipe.max_temperature_c
