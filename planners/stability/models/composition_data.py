"""Tables of compositions with energies, and which rows of them may be learnt from.

One model serves every comparison, so it learns only from what judges none of them: rows
marked for training, whose hash falls on the training side (``planners.stability.split``), and
no member of the Li-Mn-transition-metal oxides that Bartel et al. (npj Comput. Mater. 6, 97
(2020)) keep apart.
"""

import csv
import lzma
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from alab.errors import BadInput
from planners.stability.formulas import elements_of, reduced_formula
from planners.stability.split import HELD_BACK_BUCKETS, TRAIN_BUCKETS, bucket_of

FloatArray = NDArray[np.float64]

FAMILY = frozenset({"Li", "Mn", "O"})
FAMILY_METALS = frozenset({"Ti", "V", "Cr", "Fe", "Co", "Ni", "Cu"})
"""With each of these, FAMILY makes the quaternary systems that Bartel et al. leave out."""


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore")

    formula: str = Field(min_length=1)
    energy: float = Field(validation_alias=AliasChoices("Ef", "target"), allow_inf_nan=False)
    decomposition: float | None = Field(default=None, alias="Ed", allow_inf_nan=False)
    part: str = Field(default="", alias="crabnet_split")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompositionTable:
    """Compositions with formation energies.

    Attributes:
        formulas: Reduced formulas, shape (n,).
        energies_ev_per_atom: Formation energies of the lowest known structure, shape (n,).
        decomposition_energies_ev_per_atom: Signed, shape (n,); nan where the file has none.
        parts: ``train``, ``val`` or empty, shape (n,).
        peers: Other models' predicted formation energies, by name; nan where missing.
    """

    formulas: tuple[str, ...]
    energies_ev_per_atom: FloatArray
    decomposition_energies_ev_per_atom: FloatArray
    parts: tuple[str, ...]
    peers: dict[str, FloatArray]

    def where(self, kept: Sequence[bool] | NDArray[np.bool_]) -> "CompositionTable":
        """The rows that are kept, in their order."""
        rows = np.flatnonzero(np.asarray(kept, dtype=bool))
        return CompositionTable(
            formulas=tuple(self.formulas[i] for i in rows),
            energies_ev_per_atom=self.energies_ev_per_atom[rows],
            decomposition_energies_ev_per_atom=self.decomposition_energies_ev_per_atom[rows],
            parts=tuple(self.parts[i] for i in rows),
            peers={name: values[rows] for name, values in self.peers.items()},
        )


def read_table(path: Path) -> CompositionTable:
    """Read a CSV file, also .xz: columns ``formula`` and ``Ef`` or ``target`` in eV per atom.

    ``Ed`` (signed decomposition energy), ``crabnet_split`` and ``Ef_<peer>`` may be there.

    Raises:
        BadInput: If the file is missing or empty, or a row has no formula or no energy.
    """
    raw = list(_lines(path))
    if not raw:
        raise BadInput(f"{path} holds no rows; it needs columns formula and Ef")
    rows = [_row(line, f"{path}, row {number}") for number, line in enumerate(raw, start=2)]
    peers = [name for name in raw[0] if name.startswith("Ef_")]
    missing = math.nan
    return CompositionTable(
        formulas=tuple(reduced_formula(row.formula) for row in rows),
        energies_ev_per_atom=np.array([row.energy for row in rows]),
        decomposition_energies_ev_per_atom=np.array(
            [missing if row.decomposition is None else row.decomposition for row in rows]
        ),
        parts=tuple(row.part for row in rows),
        peers={
            name.removeprefix("Ef_"): np.array([float(r[name] or missing) for r in raw])
            for name in peers
        },
    )


def _lines(path: Path) -> Iterator[dict[str, str]]:
    if not path.is_file():
        raise BadInput(f"{path} is no file; give a CSV with columns formula and Ef")
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _row(line: dict[str, str], where: str) -> _Row:
    given = {name: value for name, value in line.items() if value not in ("", None)}
    try:
        return _Row.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(
            f"{where}: {first['msg']} ({'.'.join(map(str, first['loc']))}); a row needs a "
            "formula and Ef, its formation energy in eV per atom"
        ) from error


def in_family(formula: str) -> bool:
    """Whether a composition is Li, Mn, O and one of seven transition metals."""
    elements = frozenset(elements_of(formula))
    return elements > FAMILY and len(elements) == 4 and elements - FAMILY <= FAMILY_METALS


def learnt_from(table: CompositionTable) -> CompositionTable:
    """Rows that judge nothing: marked for training if marked at all, by hash, no family."""
    rows = zip(table.formulas, table.parts, strict=True)
    return table.where([_teaches(formula, part) for formula, part in rows])


def _teaches(formula: str, part: str) -> bool:
    to_learn = part in ("", "train") and bucket_of(formula) < TRAIN_BUCKETS
    return to_learn and not in_family(formula)


def learnt_before(
    other: CompositionTable, judging: Iterable[str], elements: Collection[str]
) -> CompositionTable:
    """Rows of another database that a network may begin with, the lowest of a composition.

    Args:
        other: Compositions with energies of that database.
        judging: Compositions that judge the network, or may.
        elements: Those that the network is to know.
    """
    taken = set(judging)
    kept, _ = held_back(learnt_from(other))
    lowest: dict[str, int] = {}
    for row in np.argsort(kept.energies_ev_per_atom, kind="stable"):
        formula = kept.formulas[row]
        if formula not in taken and set(elements_of(formula)) <= set(elements):
            lowest.setdefault(formula, int(row))
    rows = np.zeros(len(kept.formulas), dtype=bool)
    rows[list(lowest.values())] = True
    return kept.where(rows)


def held_back(table: CompositionTable) -> tuple[CompositionTable, CompositionTable]:
    """Part what may be learnt from into what is, and the buckets that choose and calibrate."""
    last = np.array([bucket_of(f) >= TRAIN_BUCKETS - HELD_BACK_BUCKETS for f in table.formulas])
    return table.where(~last), table.where(last)
