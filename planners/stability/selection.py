"""Which candidates are worth the ensemble: composition filter, sane distances, the budget."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set as AbstractSet
from itertools import combinations, product
from math import gcd

from pymatgen.core import Composition, Structure

from planners.stability.candidates.generation import ORDINARY, Proposal, charges_balance
from planners.stability.candidates.parents import ParentError
from planners.stability.candidates.prototypes import MOST_SITES, closest_of_radii
from planners.stability.crystals import CrystalError, check
from planners.stability.formulas import reduced_formula
from planners.stability.models.augmentation import VOLUMES
from planners.stability.models.prediction import CompositionPredictor
from planners.stability.references.snapshot import Snapshot
from planners.stability.references.stability import assess

COMPOSITION_MARGIN_EV_PER_ATOM = 0.2
"""Compositions that the composition model puts further above the hull are left out: three
times its error of about 60 meV/atom (Merchant et al., 2023)."""

MOST_OF_A_FORMULA = 20
"""Structures of one composition that are predicted, the likeliest."""

CLOSEST_CANDIDATE = 0.6
"""Atoms closer than this share of the sum of their covalent radii are no start for a crystal;
O2 has 0.91, the peroxide ion 1.1."""

_LARGEST_COUNT = 6
_MOST_ATOMS = 12


def by_composition(
    proposals: Sequence[Proposal],
    predictor: CompositionPredictor,
    reference: Snapshot,
    left_out: Counter[str],
) -> list[Proposal]:
    """Candidates whose composition may be stable, the lowest predicted first.

    The composition model gives the lowest formation energy of each composition; what it puts
    ``COMPOSITION_MARGIN_EV_PER_ATOM`` above the reference's hull is left out. Compositions
    without ordinary charges (LiO3) come after all others.
    """
    level = composition_levels({p.formula for p in proposals}, predictor, reference)
    kept = [p for p in proposals if level[p.formula] <= COMPOSITION_MARGIN_EV_PER_ATOM]
    left_out["far above the hull by the composition model"] += len(proposals) - len(kept)
    # stable: likeliest first within a composition
    return sorted(
        kept, key=lambda p: (not charges_balance(p.formula, ORDINARY), level[p.formula])
    )


def composition_levels(
    formulas: Iterable[str], predictor: CompositionPredictor, reference: Snapshot
) -> dict[str, float]:
    """Decomposition energy of each composition by the composition model, eV per atom."""
    named = sorted(set(formulas))
    if not named:
        return {}
    energies = predictor.predict(named).median_ev_per_atom.tolist()
    judged = assess(reference, named, energies).decomposition_energies_ev_per_atom
    return dict(zip(named, judged.tolist(), strict=True))


def within_budget(
    proposals: Iterable[Proposal], budget: int, left_out: Counter[str]
) -> list[Proposal]:
    """The first candidates that can be crystals, as many as the budget allows."""
    chosen: list[Proposal] = []
    of_formula: Counter[str] = Counter()
    for proposal in proposals:
        if len(chosen) >= budget:
            left_out["beyond the budget"] += 1
            continue
        if of_formula[proposal.formula] >= MOST_OF_A_FORMULA:
            left_out[f"more than {MOST_OF_A_FORMULA} structures of a composition"] += 1
            continue
        if reason := _no_crystal(proposal):
            left_out[reason] += 1
            continue
        of_formula[proposal.formula] += 1
        chosen.append(proposal)
    return chosen


def simple_formulas(system: Sequence[str], known: AbstractSet[str]) -> tuple[str, ...]:
    """Unknown compositions of small whole numbers with ordinary charges."""
    return tuple(
        sorted(
            {
                formula
                for counts in _counts(system)
                if (formula := _formula(counts)) not in known
                and charges_balance(formula, ORDINARY)
            }
        )
    )


def _no_crystal(proposal: Proposal) -> str:
    if len(proposal.parent.structure) > MOST_SITES:
        return f"more than {MOST_SITES} atoms in the cell"
    try:
        structure = proposal.structure
    except ParentError:
        return "no atomic radius to guess a volume by"
    return "" if apart(structure) else "atoms too close to each other"


def apart(structure: Structure) -> bool:
    """Whether atoms keep a distance, also where the smallest volume is tried."""
    if closest_of_radii(structure) < CLOSEST_CANDIDATE:
        return False
    squeezed = structure.copy()
    squeezed.scale_lattice(min(VOLUMES) * structure.volume)
    try:
        check(squeezed, isolated_allowed=True)
    except CrystalError:
        return False
    return True


def _counts(system: Sequence[str]) -> Iterator[Mapping[str, int]]:
    for size in range(2, len(system) + 1):
        for chosen in combinations(system, size):
            for amounts in product(range(1, _LARGEST_COUNT + 1), repeat=size):
                if sum(amounts) <= _MOST_ATOMS and gcd(*amounts) == 1:
                    yield dict(zip(chosen, amounts, strict=True))


def _formula(counts: Mapping[str, int]) -> str:
    return reduced_formula(Composition(dict(counts)).formula.replace(" ", ""))
