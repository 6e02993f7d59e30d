"""Experimental tables: FREED and NIST-JANAF, as the package reaction-network carries them.

Each is ``{formula: {"T in K": ΔfG in eV per formula}}`` at 300, 400, … 2000 K. The files say
nothing of the state of matter, so three things are worked out here:

- *Gases.* Many rows are molecules (YO, ZnSe, Ga2O). A row is one where NIST-JANAF's index
  knows the formula only as a gas, or where its entropy at 350 K stands too far above what a
  solid has, Σ n·(3/2·R·ln M − 3.9 J/mol/K) (Latimer, J. Am. Chem. Soc. 43, 818, 1921), with
  4 J/mol/K for hydrogen, as water of crystallisation has it.
- *Ends.* A row may go over to vapour, or to what the compound decomposes to. −dG/dT then
  leaps up or down; the curve ends before that.
- *References.* FREED takes phosphorus, calcium, strontium and others in a state other than
  NIST-JANAF above some temperature. The shift is the median over the compounds both have.
"""

import gzip
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError
from pymatgen.core import Composition, Element

from alab.errors import BadInput
from planners.synthesis.compounds import KJ_PER_MOL_PER_EV, MissingThermoError, reduced
from planners.synthesis.curves import Curve, entropies_ev_per_k
from planners.synthesis.elements import GRID_K, FloatArray, covers, elements_ev

Tabulated = Mapping[str, Mapping[str, float]]
"""ΔfG in eV per formula, by formula and temperature in K."""

JANAF_EV_PER_ATOM = 0.010
FREED_EV_PER_ATOM = 0.020
"""One standard deviation: nine in ten of our measured rows lie within 11 to 17 meV/atom of the
first and 12 to 24 of the second, 300 to 1500 K (docs/thermodynamics.md)."""

_EV_PER_K_PER_J = 1 / (1000 * KJ_PER_MOL_PER_EV)
NO_POWDERS = frozenset(
    {"TiCl4", "SiBr4", "H2SO4", "H4SO5", "H2N", "B5H9", "B5H7", "TeF5", "BHO", "BOF"}
)
"""Liquids and molecules whose entropy a solid could have; found by going through the rows."""

_MOST_OVER_LATIMER_J = 60.0
_MOST_OVER_LATIMER_J_PER_ATOM = 15.0
"""Entropy above Latimer's sum from which a row is a gas; set on NIST-JANAF's index."""

_LARGEST_RISE_J_PER_ATOM = 25.0
_LARGEST_FALL_J_PER_ATOM = 5.0
"""Steps of entropy, J/mol/K per atom: melting takes 8 to 20; nothing loses entropy."""

_LEAST_COMMON = 4
_LEAST_AGREEING = 0.35
_LEAST_SHIFT_EV = 0.010
"""An element is realigned if, somewhere, it is off by this much in so many compounds."""

_FILE: TypeAdapter[dict[str, dict[str, float]]] = TypeAdapter(dict[str, dict[str, float]])


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentalTable:
    """One table of formation energies, by reduced formula.

    Attributes:
        name: What it is called: ``NIST-JANAF`` or ``FREED``.
        energies_ev: ΔfG per formula on ``GRID_K``; NaN where the table has nothing.
        uncertainty_ev_per_atom: One standard deviation.
        gases: Formulas that NIST-JANAF's index knows as gases only.
    """

    name: str
    energies_ev: Mapping[str, FloatArray]
    uncertainty_ev_per_atom: float
    gases: frozenset[str]

    def curve(self, formula: str) -> Curve | None:
        """The curve of a solid by reduced formula, None if the table does not have it.

        Raises:
            MissingThermoError: If the table has it as a gas only.
        """
        energies_ev = self.energies_ev.get(formula)
        if energies_ev is None:
            return None
        composition = Composition(formula)
        known = ~np.isnan(energies_ev)
        temperatures_k = GRID_K[known]
        apparent_ev = (energies_ev + elements_ev(composition))[known]
        if formula in self.gases or _is_gas(composition, temperatures_k, apparent_ev):
            raise MissingThermoError(f"{self.name} has {formula} as a gas only")
        end, because = _end_of_solid(temperatures_k, apparent_ev, composition.num_atoms)
        return Curve(
            formula=formula,
            temperatures_k=temperatures_k[:end],
            energies_ev=apparent_ev[:end],
            uncertainty_ev_per_atom=self.uncertainty_ev_per_atom,
            source=self.name,
            ends_because=because,
        )

    def solids(self) -> tuple[str, ...]:
        """Reduced formulas of everything here that is neither gas nor liquid at 25 °C."""
        return tuple(f for f in self.energies_ev if f not in NO_POWDERS and self._has_solid(f))

    def _has_solid(self, formula: str) -> bool:
        try:
            return self.curve(formula) is not None
        except MissingThermoError:
            return False


def read_table(path: Path, gases: Iterable[str] = ()) -> ExperimentalTable:
    """Read a table; it is NIST-JANAF's if the path says ``janaf`` or ``nist``, else FREED's.

    Args:
        path: JSON, or gzipped JSON, of ``{formula: {"T in K": eV per formula}}``.
        gases: Formulas known to be gases only; see :func:`read_gases`.

    Raises:
        BadInput: If the file is not such a table.
    """
    try:
        content = _FILE.validate_python(read_json(path))
    except ValidationError as error:
        raise BadInput(
            f"{path} is no table of formation energies, {{formula: {{T in K: eV}}}}: "
            f"{error.errors()[0]['loc']}: {error.errors()[0]['msg']}"
        ) from error
    named = "/".join(path.parts[-2:]).lower()
    janaf = "janaf" in named or "nist" in named
    return ExperimentalTable(
        name="NIST-JANAF" if janaf else "FREED",
        energies_ev=_on_grid(content),
        uncertainty_ev_per_atom=JANAF_EV_PER_ATOM if janaf else FREED_EV_PER_ATOM,
        gases=frozenset(gases),
    )


def read_json(path: Path) -> object:
    """The content of a JSON file, gzipped or not.

    Raises:
        BadInput: If it cannot be read, or holds no JSON.
    """
    try:
        raw = path.read_bytes()
        return json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    except (OSError, EOFError, ValueError) as error:
        raise BadInput(f"{path} cannot be read as JSON: {error}") from error


def read_gases(index: Path) -> frozenset[str]:
    """Reduced formulas that NIST-JANAF's index lists in the gas phase and in no other.

    Args:
        index: Lines of ``formula | name | phases | table``, gzipped or not.
    """
    raw = index.read_bytes()
    text = (gzip.decompress(raw) if index.suffix == ".gz" else raw).decode("utf-8")
    phases: dict[str, set[str]] = defaultdict(set)
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) >= 3 and fields[0].isalnum():
            phases[fields[0]].add(fields[2])
    states: dict[str, set[str]] = defaultdict(set)
    for formula, found in phases.items():
        if (name := _as_formula(formula)) is not None:
            states[name] |= found
    return frozenset(name for name, found in states.items() if found == {"g"})


def aligned(table: ExperimentalTable, to: ExperimentalTable) -> ExperimentalTable:
    """Move a table to another's reference states of the elements.

    For each element the shift per atom is the median of the differences over the compounds
    that both tables have; an element is left alone unless enough of these lie within 10 meV.
    """
    shifts_ev = _reference_shifts_ev(table, to)
    moved = dict(table.energies_ev)
    for formula, energies_ev in table.energies_ev.items():
        for symbol, count in Composition(formula).get_el_amt_dict().items():
            if symbol in shifts_ev:
                energies_ev = energies_ev - count * shifts_ev[symbol]
        moved[formula] = energies_ev
    return ExperimentalTable(
        name=table.name,
        energies_ev=moved,
        uncertainty_ev_per_atom=table.uncertainty_ev_per_atom,
        gases=table.gases,
    )


def _reference_shifts_ev(
    table: ExperimentalTable, to: ExperimentalTable
) -> Mapping[str, FloatArray]:
    """Shift of each element's reference on ``GRID_K``, eV per atom; 0 where unclear."""
    differences: dict[str, list[FloatArray]] = defaultdict(list)
    for formula in sorted(table.energies_ev.keys() & to.energies_ev.keys()):
        off_ev = table.energies_ev[formula] - to.energies_ev[formula]
        for symbol, count in Composition(formula).get_el_amt_dict().items():
            differences[symbol].append(off_ev / count)
    return {symbol: _agreed_shift_ev(np.array(rows)) for symbol, rows in differences.items()}


def _agreed_shift_ev(differences_ev: FloatArray) -> FloatArray:
    """Median down the compounds, where enough of them lie near it; else 0."""
    shift_ev = np.zeros(differences_ev.shape[1])
    for column, values in enumerate(differences_ev.T):
        known = values[~np.isnan(values)]
        if len(known) < _LEAST_COMMON:
            continue
        median = float(np.median(known))
        if np.mean(np.abs(known - median) < _LEAST_SHIFT_EV) >= _LEAST_AGREEING:
            shift_ev[column] = median
    worth_it = np.max(np.abs(shift_ev)) >= _LEAST_SHIFT_EV
    return shift_ev if worth_it else np.zeros_like(shift_ev)


def _on_grid(content: Tabulated) -> Mapping[str, FloatArray]:
    columns = {f"{t:g}": i for i, t in enumerate(GRID_K)}
    rows: dict[str, FloatArray] = {}
    for formula, values in content.items():
        name = _as_formula(formula)
        # a single value is no curve; a formula met twice is a gas beside its liquid or dimer
        if name is None or len(values) < 2 or (name in rows and formula != name):
            continue
        row = np.full(len(GRID_K), np.nan)
        for temperature, energy_ev in values.items():
            if temperature in columns:
                row[columns[temperature]] = energy_ev
        if np.count_nonzero(~np.isnan(row)) >= 2:
            rows[name] = row
    return rows


@cache
def _as_formula(text: str) -> str | None:
    """Reduced formula, or None for what is none, or has an element without an energy."""
    try:
        composition = Composition(text)
        return reduced(text) if covers(composition) else None
    except ValueError:
        return None


def _is_gas(
    composition: Composition, temperatures_k: FloatArray, energies_ev: FloatArray
) -> bool:
    entropy_j = float(entropies_ev_per_k(temperatures_k, energies_ev)[0]) / _EV_PER_K_PER_J
    over_j = entropy_j - _latimer_j_per_mol_k(composition)
    return (
        over_j > _MOST_OVER_LATIMER_J
        or over_j / composition.num_atoms > _MOST_OVER_LATIMER_J_PER_ATOM
    )


def _latimer_j_per_mol_k(composition: Composition) -> float:
    return sum(
        count * _latimer_of_element(symbol)
        for symbol, count in composition.get_el_amt_dict().items()
    )


@cache
def _latimer_of_element(symbol: str) -> float:
    if symbol == "H":
        return 4.0
    return 1.5 * 8.314462618 * math.log(float(Element(symbol).atomic_mass)) - 3.9


def _end_of_solid(
    temperatures_k: FloatArray, energies_ev: FloatArray, atoms: float
) -> tuple[int, str]:
    """How many leading points belong to the compound itself, and what ends them."""
    entropies_j = entropies_ev_per_k(temperatures_k, energies_ev) / _EV_PER_K_PER_J / atoms
    for i, step_j in enumerate(np.diff(entropies_j)):
        if step_j > _LARGEST_RISE_J_PER_ATOM:
            return i + 2, "above, the table goes over to vapour"
        if step_j < -_LARGEST_FALL_J_PER_ATOM:
            return i + 2, "above, the table goes over to another state"
    return len(temperatures_k), "the table ends there"
