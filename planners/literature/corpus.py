"""The user's copy of the text-mined solid-state reactions, read as procedures.

The file is the release of 2019-12-03 of Kononova et al., Sci. Data 6, 203 (2019); it is
never part of the project. A reaction may stand for a range of compositions, and then the
composition with the most elements, and of these the middle one, stands for it. Dopants
named apart (``SrAl2O4: Eu2+``) belong to the target if a powder brings them. What cannot be
read is skipped and counted, by reason.
"""

import json
import lzma
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pymatgen.core import Composition

from alab.errors import BadInput
from planners.literature.firing import Firing, Operation, Route, read_firing
from planners.literature.formulas import (
    GAS_ELEMENTS,
    FormulaError,
    composition_key,
    evaluate,
    fractions,
    names_in,
    plain_atoms,
    positive_atoms,
)

_T = TypeVar("_T")

VARIABLE = "ALAB_LITERATURE"
"""Environment variable with the path of the user's copy."""

UNSTATED_DOPANT = 0.03
"""Atoms of a dopant per formula where the paper gives none: the median of those given."""

_DOPANT = re.compile(r"(?P<before>\d*\.\d+)?\s*(?P<element>[A-Z][a-z]?)(?P<after>\d*\.\d+)?")


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")
    formula: str
    elements: dict[str, str]
    amount: str = "1"


class _Material(BaseModel):
    model_config = ConfigDict(extra="ignore")
    material_string: str
    composition: list[_Part] = Field(min_length=1)
    additives: list[str] = []


class _Balance(BaseModel):
    model_config = ConfigDict(extra="ignore")
    element_substitution: dict[str, str] = {}


class _Entry(BaseModel):
    model_config = ConfigDict(extra="ignore")
    doi: str
    targets_string: list[str]
    reaction: _Balance
    target: _Material
    precursors: list[_Material] = Field(min_length=1)
    operations: list[Operation] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """How one paper made one target.

    Attributes:
        doi: The paper.
        target: The target as the paper writes it; variables stand for a range.
        substitution: Which elements its letters stand for: ``RE = Tb``; empty without.
        shares: Atomic fractions of the composition that stands for the target.
        keys: Every composition the reaction covers (see ``composition_key``).
        precursors: Reduced formulas of the powders, sorted, without water of hydration.
        firing: The hottest firing; its fields are None where the paper gives nothing.
    """

    doi: str
    target: str
    substitution: str
    shares: Mapping[str, float]
    keys: frozenset[str]
    precursors: tuple[str, ...]
    firing: Firing

    @property
    def key(self) -> str:
        """The composition that stands for the target."""
        return composition_key(self.shares)

    def with_open_route(self) -> "Procedure":
        """The same with nothing told of the route but the step's name."""
        route = Route(step=self.firing.route.step)
        return replace(self, firing=replace(self.firing, route=route))


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """All procedures of a file.

    Attributes:
        procedures: In the file's order.
        written: How papers write each powder most often, by reduced formula.
        skipped: How many reactions were left out, by reason.
    """

    procedures: tuple[Procedure, ...]
    written: Mapping[str, str]
    skipped: Mapping[str, int]


def corpus_path(given: Path | None = None) -> Path:
    """Where the user's copy is: as given, else as the environment says.

    Raises:
        BadInput: If neither names a file.
    """
    text = os.environ.get(VARIABLE, "")
    path = given or (Path(text) if text else None)
    if path is None:
        raise BadInput(
            "the text-mined reactions are not at hand; download "
            "solid-state_dataset_2019-12-03.json.xz of "
            f"CederGroupHub/text-mined-synthesis_public and name the file in {VARIABLE}"
        )
    if not path.is_file():
        raise BadInput(f"{path} is no file; name the text-mined reactions in {VARIABLE}")
    return path


@cache
def read_corpus(path: Path) -> Corpus:
    """Read a copy of the text-mined reactions, ``.json`` or ``.json.xz``.

    Raises:
        BadInput: If the file is no such data set.
    """
    procedures: list[Procedure] = []
    skipped: Counter[str] = Counter()
    spellings: dict[str, Counter[str]] = {}
    for raw in _reactions(path):
        try:
            entry = _Entry.model_validate(raw)
            procedures.append(_procedure(entry, spellings))
        except ValidationError:
            skipped["fields missing"] += 1
        except FormulaError as error:
            skipped[str(error.__notes__[0])] += 1
    if not procedures:
        raise BadInput(f"{path} holds no reaction that can be read; check that it is whole")
    written = {
        powder: min(counts, key=lambda text: (-counts[text], text))
        for powder, counts in spellings.items()
    }
    return Corpus(procedures=tuple(procedures), written=written, skipped=dict(skipped))


def _reactions(path: Path) -> list[Any]:
    try:
        packed = path.read_bytes()
        data = json.loads(lzma.decompress(packed) if path.suffix == ".xz" else packed)
        return list(data["reactions"])
    except (OSError, lzma.LZMAError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{path} is no copy of the text-mined reactions ({error}); it must be JSON with a "
            "list under 'reactions'"
        ) from error


def _procedure(entry: _Entry, spellings: dict[str, Counter[str]]) -> Procedure:
    substitution = entry.reaction.element_substitution
    precursors = _noted("precursor formula", lambda: _powders(entry, spellings))
    brought = frozenset[str]().union(*precursors.values())
    targets = _noted("target formula", lambda: _target_atoms(entry, brought))
    targets = [_doped(atoms, entry.target.additives, brought) for atoms in targets]
    most = max(len(atoms) for atoms in targets)
    widest = [atoms for atoms in targets if len(atoms) == most]
    return Procedure(
        doi=entry.doi,
        target=entry.target.material_string,
        substitution=", ".join(f"{k} = {v}" for k, v in sorted(substitution.items())),
        shares=fractions(widest[len(widest) // 2]),
        keys=frozenset(composition_key(atoms) for atoms in targets),
        precursors=tuple(sorted(precursors)),
        firing=read_firing(entry.operations),
    )


def _noted(reason: str, read: Callable[[], _T]) -> _T:
    try:
        return read()
    except FormulaError as error:
        error.add_note(reason)
        raise


def _doped(
    atoms: Mapping[str, float], additives: Sequence[str], brought: frozenset[str]
) -> Mapping[str, float]:
    """Add the dopants that a powder brings and the formula does not hold."""
    doped = dict(atoms)
    for text in additives:
        found = _DOPANT.search(text)
        if found and found["element"] in brought and found["element"] not in atoms:
            amount = float(found["before"] or found["after"] or UNSTATED_DOPANT)
            doped[found["element"]] = amount
    return doped


def _target_atoms(entry: _Entry, brought: frozenset[str]) -> list[Mapping[str, float]]:
    """Every composition listed; the middle of the range if they lack what powders bring."""
    plain: list[Mapping[str, float]] = []
    for text in entry.targets_string:
        try:
            plain.append(plain_atoms(text))
        except FormulaError:
            continue
    substitution = entry.reaction.element_substitution
    written = {
        substitution.get(e, e) for part in entry.target.composition for e in part.elements
    }
    if any(brought & written <= set(atoms) | GAS_ELEMENTS for atoms in plain):
        return plain
    return [*plain, _middle(entry.target.composition, substitution)]


def _middle(parts: Sequence[_Part], substitution: Mapping[str, str]) -> Mapping[str, float]:
    """Atoms in the middle of the range that variables without a value can take.

    Amounts are linear in the variables; they all run together from 0 to where the first
    amount would turn negative, 1 at most.
    """
    variables = frozenset[str]().union(
        *(names_in(t) for part in parts for t in (*part.elements.values(), part.amount))
    )
    none, one = (_sum(parts, substitution, dict.fromkeys(variables, t)) for t in (0.0, 1.0))
    ends = [none[e] / (none[e] - one[e]) for e in none if one[e] < min(none[e], 0.0)]
    middle = dict.fromkeys(variables, min([*ends, 1.0]) / 2)
    return positive_atoms(_sum(parts, substitution, middle), str(parts))


def _sum(
    parts: Sequence[_Part], substitution: Mapping[str, str], variables: Mapping[str, float]
) -> dict[str, float]:
    atoms: dict[str, float] = {}
    for part in parts:
        scale = evaluate(part.amount, variables)
        for name, amount in part.elements.items():
            element = substitution.get(name, name)
            atoms[element] = atoms.get(element, 0.0) + scale * evaluate(amount, variables)
    return atoms


def _powders(entry: _Entry, spellings: dict[str, Counter[str]]) -> dict[str, frozenset[str]]:
    """Reduced formulas of the powders without water of hydration, with their elements."""
    powders: dict[str, frozenset[str]] = {}
    for material in entry.precursors:
        dry = [part for part in material.composition if set(part.elements) != {"H", "O"}]
        parts = dry or material.composition
        total = _sum(parts, entry.reaction.element_substitution, {})
        atoms = positive_atoms(total, material.material_string)
        powder = Composition(atoms).reduced_formula
        powders[powder] = frozenset(atoms)
        if len(parts) == 1 and not entry.reaction.element_substitution:
            spellings.setdefault(powder, Counter())[parts[0].formula] += 1
    return powders
