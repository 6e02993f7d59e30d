"""How likely one ion takes another's place in a crystal.

The data-mined model of Hautier et al., Inorg. Chem. 50, 656 (2011), with pymatgen's table
of pair weights λ::

    p(new | old) = exp λ(new, old) / Σ_s exp λ(s, old),   p(list) = Π p(new_i | old_i)

A pair that was never seen together has λ = α = −5. Merchant et al., Nature 624, 80 (2023)
widen it: every λ is floored at 0, so that a rare pair is not worse than an unknown one,
and the product runs only over the ions that change. ``PYMATGEN`` is the model without
either change.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element, Species
from pymatgen.core.structure_prediction.substitution_probability import (
    SubstitutionProbability,
)

from alab.errors import BadInput

THRESHOLD = 0.001
UNSEEN_LAMBDA = -5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How substitutions are weighed and which are kept.

    Attributes:
        threshold: Least probability of a list of substitutions, exclusive.
        lambda_floor: Least pair weight λ; None keeps the table's own, negative ones too.
        differing_only: Let only ions that change count, and drop the unchanged list.
        distinct: Ask that different ions of the parent become different ions.
    """

    threshold: float = THRESHOLD
    lambda_floor: float | None = 0.0
    differing_only: bool = True
    distinct: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise BadInput(
                f"threshold {self.threshold:g}: a probability between 0 and 1 is needed, "
                f"such as {THRESHOLD:g}"
            )


GNOME = Rules()
PYMATGEN = Rules(lambda_floor=None, differing_only=False, distinct=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTable:
    """Probabilities of all ordered pairs of species.

    Attributes:
        species: The species, by atomic number and oxidation state.
        probability: p(new | old), shape (old, new); each row sums to 1.
        weight: Σ exp λ of each row, in proportion to how often an ion occurs, shape (old,).
        rows: Row of each species.
    """

    species: tuple[Species, ...]
    probability: NDArray[np.float64]
    weight: NDArray[np.float64]
    rows: Mapping[Species, int]

    def index(self, species: Species | str) -> int:
        """Row of a species.

        Raises:
            BadInput: The model holds no such species.
        """
        ion = as_species(species)
        try:
            return self.rows[ion]
        except KeyError:
            known = [str(s) for s in self.species if s.element == ion.element]
            instead = f"it knows {', '.join(known)}" if known else "it knows no ion of it"
            raise BadInput(
                f"{ion}: not among the {len(self.species)} species of the substitution "
                f"model; {instead}. Leave the parent out or give other oxidation states"
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitutions:
    """Lists of ions that may replace a parent's, most probable first.

    Attributes:
        originals: The parent's ions.
        species: All species of the model.
        replaced: Index of the new species, shape (lists, originals).
        probability: Shape (lists,).
    """

    originals: tuple[Species, ...]
    species: tuple[Species, ...]
    replaced: NDArray[np.int64]
    probability: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.probability)

    def mapping(self, row: int) -> dict[Species, Species]:
        """New ion of each of the parent's, for one list."""
        new = (self.species[i] for i in self.replaced[row])
        return dict(zip(self.originals, new, strict=True))

    def balanced(self, amounts: Mapping[Species, float]) -> "Substitutions":
        """Those whose charges cancel, given the amount of each of the parent's ions."""
        missing = [str(ion) for ion in self.originals if ion not in amounts]
        if missing:
            raise BadInput(f"no amount for {', '.join(missing)}: give one per original ion")
        charges = np.array([s.oxi_state for s in self.species], dtype=float)
        weights = np.array([amounts[ion] for ion in self.originals])
        keep = np.abs(charges[self.replaced] @ weights) < 1e-8
        return Substitutions(
            originals=self.originals,
            species=self.species,
            replaced=self.replaced[keep],
            probability=self.probability[keep],
        )


def as_species(species: Species | str) -> Species:
    """A species with its oxidation state, from pymatgen's own or from text as Fe3+."""
    if isinstance(species, Species):
        return Species(species.symbol, species.oxi_state)
    try:
        return Species.from_str(species)
    except (ValueError, TypeError, AttributeError) as error:
        raise BadInput(
            f"{species!r} is no species; write element, oxidation state and sign, as Fe3+"
        ) from error


@functools.cache
def pair_table(lambda_floor: float | None = 0.0, alpha: float = UNSEEN_LAMBDA) -> PairTable:
    """The table of pair probabilities, with weights floored or as they are.

    Args:
        lambda_floor: Least λ, None for none.
        alpha: λ of a pair that was never seen.
    """
    source = SubstitutionProbability()
    species = tuple(sorted(source.species, key=lambda s: (s.Z, s.oxi_state)))
    rows = {s: i for i, s in enumerate(species)}
    weights = np.full((len(species), len(species)), alpha)
    for pair, weight in source.as_dict()["init_args"]["lambda_table"].items():
        at = [rows[s] for s in pair]
        weights[at[0], at[-1]] = weights[at[-1], at[0]] = weight
    if lambda_floor is not None:
        weights = np.maximum(weights, lambda_floor)
    seen = np.exp(weights)
    return PairTable(
        species=species,
        probability=seen / seen.sum(axis=1, keepdims=True),
        weight=seen.sum(axis=1),
        rows=rows,
    )


def list_probability(
    originals: Sequence[Species | str],
    replaced: Sequence[Species | str],
    rules: Rules = GNOME,
) -> float:
    """Probability that one list of ions takes another's place.

    Raises:
        BadInput: The lists differ in length, or an ion is unknown to the model.
    """
    if len(originals) != len(replaced):
        raise BadInput(
            f"{len(originals)} ions cannot become {len(replaced)}: give one new ion for each"
        )
    table = pair_table(rules.lambda_floor)
    rows = _factors(table, [table.index(s) for s in originals], rules)
    return float(np.prod([rows[i][table.index(s)] for i, s in enumerate(replaced)]))


def substitutions(originals: Sequence[Species | str], rules: Rules = GNOME) -> Substitutions:
    """All lists of ions that replace a parent's above the threshold.

    Branch and bound over the ions in turn: a partial list is dropped as soon as its
    probability times the best factors of the ions still open is not above the threshold.

    Args:
        originals: Species of the parent, each once.
        rules: Weights, threshold and what is kept.

    Raises:
        BadInput: No or a repeated ion, or one unknown to the model.
    """
    table = pair_table(rules.lambda_floor)
    indices = [table.index(s) for s in originals]
    if not indices or len(set(indices)) < len(indices):
        raise BadInput(f"{[str(s) for s in originals]}: give each of the parent's ions once")
    factors = _factors(table, indices, rules)
    replaced, probability = _branch_and_bound(factors, rules)
    if rules.differing_only:
        changed = (replaced != np.array(indices)).any(axis=1)
        replaced, probability = replaced[changed], probability[changed]
    order = np.lexsort((*replaced.T[::-1], -probability))
    return Substitutions(
        originals=tuple(table.species[i] for i in indices),
        species=table.species,
        replaced=replaced[order],
        probability=probability[order],
    )


@functools.cache
def element_targets(element: str, *, rules: Rules = GNOME) -> tuple[str, ...]:
    """Elements that may take an element's place, likeliest first.

    Parents whose oxidation states nobody knows (intermetallics) have targets this way too.

    Args:
        element: The parent's element.
        rules: Weights and threshold.

    Raises:
        BadInput: The model holds no ion of the element: a noble gas, for one.
    """
    likely = element_probabilities(element, rules=rules)
    return tuple(sorted(likely, key=lambda symbol: (-likely[symbol], Element(symbol).Z)))


def element_probabilities(element: str, *, rules: Rules = GNOME) -> dict[str, float]:
    """Probability that another element takes an element's place, where above the threshold.

    The model summed over the ions of both, s of the old element and s' of the new::

        p(new | old) = Σ_s Σ_s' exp λ(s', s) / Σ_s Σ_all exp λ

    Raises:
        BadInput: The model holds no ion of the element.
    """
    table = pair_table(rules.lambda_floor)
    rows = [i for i, s in enumerate(table.species) if s.symbol == element]
    if not rows:
        raise BadInput(
            f"{element}: the substitution model holds no ion of it; leave the parent out"
        )
    summed: dict[str, float] = {}
    share = table.weight[rows] / table.weight[rows].sum()
    for ion, p in zip(table.species, share @ table.probability[rows], strict=True):
        summed[ion.symbol] = summed.get(ion.symbol, 0.0) + float(p)
    return {s: p for s, p in summed.items() if s != element and p > rules.threshold}


def _factors(table: PairTable, originals: list[int], rules: Rules) -> NDArray[np.float64]:
    """Factor of each new species for each original, shape (originals, species)."""
    factors = table.probability[originals].copy()
    if rules.differing_only:
        factors[np.arange(len(originals)), originals] = 1.0
    return factors


def _branch_and_bound(
    factors: NDArray[np.float64], rules: Rules
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    count = len(factors)
    open_best = np.append(np.cumprod(factors.max(axis=1)[::-1])[::-1], 1.0)
    lists = np.empty((1, 0), dtype=np.int64)
    reached = np.ones(1)
    for position in range(count):
        grown = reached[:, None] * factors[position]
        alive = grown * open_best[position + 1] > rules.threshold
        if rules.distinct:
            alive[np.arange(len(lists))[:, None], lists] = False
        at, new = np.nonzero(alive)
        lists = np.column_stack((lists[at], new))
        reached = grown[at, new]
    return lists, reached
