"""From the phases of a pattern to the reactions that made them.

Phases that are new or have grown are explained by reactions of one phase or two among what
was there before: the phases of the same powders after a colder firing, or the powders. One
explanation is knowledge; several share the weight (Szymanski et al., Nat. Commun. 14, 6956,
2023). An explanation that needs a phase nobody saw before the firing is a guess at a hidden
step and weighs half. Phases that were there before and still are, in no explanation, are
inert together up to that temperature.

Amounts are compared as shares of metal atoms, since a gas that leaves makes everything else
a larger part of the weight.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from alab.errors import BadInput
from alab.models import Atmosphere, Attempt, Outcome, PhaseAmount, Recipe, Verdict
from planners.optimizer.observed import Evidence, Flagged, Observation, PhaseSeen, phase_name
from planners.optimizer.pair_reactions import (
    PairReaction,
    explanations,
    metal_atoms,
    molar_mass_g,
)
from planners.synthesis.compounds import reduced
from planners.synthesis.reactions import GAS_ELEMENTS, atoms, metals

LEAST_GROWTH = 0.05
"""Growth in share of metals below which a phase counts as unchanged: automated amounts of
mixtures are rarely better (Szymanski et al., Nature 624, 86, 2023, and its correction)."""

INDIRECT_WEIGHT = 0.5
"""Weight of what rests on a phase that was not seen before the firing."""

INCONCLUSIVE_WEIGHT = 0.5
"""Weight of what rests on a pattern that nobody could judge."""

REFUTED_WEIGHT = 0.1
"""How an explanation stands against others if its reactants were inert in another sample, as
hot or hotter. Where it is the only one it holds, and the contradiction is told."""

_LEAST_PROBABILITY = 0.05

InertPairs = Mapping[tuple[tuple[str, ...], Atmosphere], Sequence[tuple[str, float]]]
"""Reactants and gas → samples in which they were inert, with the temperature in °C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A firing with the phases that can be argued from.

    Attributes:
        recipe: What was done.
        evidence: The firing and the probability of each phase.
        probabilities: That each phase is there.
        shares: Share of the metal atoms that each phase holds.
        esds: One standard deviation of each share.
        powders: Share of the metal atoms that each precursor brought.
        phases: The phases as they were found.
        flagged: Phases that cannot come from these powders.
    """

    recipe: Recipe
    evidence: Evidence
    probabilities: Mapping[str, float]
    shares: Mapping[str, float]
    esds: Mapping[str, float]
    powders: Mapping[str, float]
    phases: tuple[PhaseAmount, ...]
    flagged: tuple[Flagged, ...]

    @property
    def temperature_c(self) -> float:
        """Highest temperature of the firing."""
        return self.evidence.temperature_c


def infer(attempts: Sequence[Attempt]) -> tuple[list[Observation], list[Flagged]]:
    """Everything these firings show, whatever order they come in.

    Attempts without an outcome or without phases show nothing. A first pass finds what
    stayed inert; the second holds that against explanations by the same phases elsewhere.
    """
    seen = [look(a.sample, a.recipe, a.outcome) for a in attempts if a.outcome is not None]
    fired = [one for one in seen if one.probabilities]
    before = [_before(one, fired) for one in fired]
    first = [o for one, b in zip(fired, before, strict=True) for o in _explain(one, b, {})]
    inert = _inert_pairs(first)
    found = [o for one, b in zip(fired, before, strict=True) for o in _explain(one, b, inert)]
    return found, [flag for one in seen for flag in one.flagged]


def look(sample: str, recipe: Recipe, outcome: Outcome) -> Seen:
    """Sort out what a pattern shows and how sure each phase is."""
    good: list[PhaseAmount] = []
    bad: list[tuple[PhaseAmount, str]] = []
    for phase in outcome.phases:
        why = _impossible(phase, recipe)
        if why is None:
            good.append(phase)
        else:
            bad.append((phase, why))
    sure: dict[str, float] = {}
    for phase in good:
        name = reduced(phase.formula)
        sure[name] = max(sure.get(name, 0.0), _probability(phase, outcome))
    kept = {name: p for name, p in sure.items() if p >= _LEAST_PROBABILITY and metals(name)}
    phases = tuple(phase for phase in good if reduced(phase.formula) in kept)
    shares, esds = _shares(phases)
    evidence = Evidence(
        sample=sample,
        temperature_c=recipe.max_temperature_c,
        dwell_s=sum(
            s.dwell_s
            for s in recipe.profile.segments
            if s.temperature_c == recipe.max_temperature_c
        ),
        regrinds=recipe.regrinds,
        phases=tuple(_phase_seen(phase, outcome) for phase in outcome.phases),
    )
    return Seen(
        recipe=recipe,
        evidence=evidence,
        probabilities=kept,
        shares=shares,
        esds=esds,
        powders=powder_shares(recipe),
        phases=phases,
        flagged=tuple(
            Flagged(formula=phase.formula, why=why, evidence=evidence) for phase, why in bad
        ),
    )


def _phase_seen(phase: PhaseAmount, outcome: Outcome) -> PhaseSeen:
    return PhaseSeen(
        formula=phase.formula,
        weight_fraction=min(max(0.0, phase.weight_fraction), 1.0),
        probability=_probability(phase, outcome),
    )


def powder_shares(recipe: Recipe) -> dict[str, float]:
    """Share of the metal atoms that each precursor brings."""
    moles: dict[str, float] = {}
    for precursor in recipe.precursors:
        name = reduced(precursor.formula)
        brought = precursor.moles * metal_atoms(precursor.formula)
        moles[name] = moles.get(name, 0.0) + brought
    total = sum(moles.values())
    return {name: amount / total for name, amount in moles.items()} if total > 0 else moles


def _impossible(phase: PhaseAmount, recipe: Recipe) -> str | None:
    """Why a phase cannot come from these powders; None if it can."""
    try:
        elements = frozenset(atoms(phase_name(phase.formula)))
    except BadInput as error:
        return str(error)
    if not 0.0 <= phase.weight_fraction <= 1.0:
        return (
            f"{phase.formula} is said to be {phase.weight_fraction:g} of the powder, which is "
            "no fraction of 0 to 1; look at the refinement"
        )
    put_in = GAS_ELEMENTS.union(*(atoms(p.formula) for p in recipe.precursors))
    if foreign := sorted(elements - put_in):
        return (
            f"{phase.formula} holds {' and '.join(foreign)}, which no powder of "
            f"{' + '.join(p.formula for p in recipe.precursors)} brought: contamination or a "
            "wrong match; look at the pattern"
        )
    return None


def _probability(phase: PhaseAmount, outcome: Outcome) -> float:
    """That a phase is there: by the analysis, by its amount, by what is unexplained."""
    if not phase.weight_fraction > 0:
        return 0.0
    esd = phase.weight_fraction_esd
    above_zero = 1.0 if esd == 0 else math.erf(phase.weight_fraction / esd / math.sqrt(2))
    if not above_zero > 0:
        return 0.0  # an uncertainty that is none
    judged = INCONCLUSIVE_WEIGHT if outcome.verdict is Verdict.INCONCLUSIVE else 1.0
    explained = 1.0 - min(max(outcome.unexplained_fraction, 0.0), 1.0)
    return phase.probability * above_zero * judged * explained


def _shares(phases: Sequence[PhaseAmount]) -> tuple[dict[str, float], dict[str, float]]:
    shares: dict[str, float] = {}
    esds: dict[str, float] = {}
    for phase in phases:
        name = reduced(phase.formula)
        per_weight = metal_atoms(name) / molar_mass_g(name)
        shares[name] = shares.get(name, 0.0) + phase.weight_fraction * per_weight
        esds[name] = math.hypot(esds.get(name, 0.0), phase.weight_fraction_esd * per_weight)
    total = sum(shares.values()) or 1.0
    return (
        {name: share / total for name, share in shares.items()},
        {name: esd / total for name, esd in esds.items()},
    )


def _before(one: Seen, fired: Sequence[Seen]) -> Seen | None:
    """The firing whose products this one started from, as far as that was seen.

    A refired powder is what its last pattern showed; a fresh one went through what the
    same powders showed at the hottest of the colder firings, whenever those were done.
    """
    if one.evidence.regrinds > 0:
        rounds = [
            e
            for e in fired
            if e.evidence.sample == one.evidence.sample
            and e.evidence.regrinds < one.evidence.regrinds
        ]
        return max(rounds, key=lambda e: e.evidence.regrinds, default=None)
    colder = [
        e
        for e in fired
        if e.powders.keys() == one.powders.keys()
        and e.recipe.atmosphere == one.recipe.atmosphere
        and e.evidence.regrinds == 0
        and e.temperature_c < one.temperature_c
    ]
    return max(colder, key=lambda e: (e.temperature_c, e.evidence.sample), default=None)


def _explain(one: Seen, before: Seen | None, inert: InertPairs) -> list[Observation]:
    start = one.powders if before is None else before.shares
    new = tuple(sorted(name for name in one.shares if _grown(name, one, before)))
    suspected = _suspected(one, start, new, inert)
    touched = {frozenset(reaction.reactants) for reaction, _ in suspected}
    happened = [_reaction(one, before, reaction, share) for reaction, share in suspected]
    return [*happened, *_stayed(one, before, touched)]


def _grown(name: str, one: Seen, before: Seen | None) -> bool:
    start = one.powders if before is None else before.shares
    if name not in start:
        refired = before is not None and one.evidence.regrinds > 0
        return refired or name not in one.powders
    return _changed(name, one, before) > 0


def _changed(name: str, one: Seen, before: Seen | None) -> float:
    """Change of a phase's share of the metals; 0 within the uncertainty."""
    start = one.powders if before is None else before.shares
    esd = math.hypot(one.esds[name], 0.0 if before is None else before.esds[name])
    change = one.shares[name] - start[name]
    return change if abs(change) > max(LEAST_GROWTH, 2 * esd) else 0.0


def _suspected(
    one: Seen, start: Iterable[str], new: tuple[str, ...], inert: InertPairs
) -> list[tuple[PairReaction, float]]:
    """Reactions that may have made the new phases, with the share each one has."""
    seen = set(start)
    pool = tuple(sorted(seen | set(one.powders) | set(new)))
    possible = explanations(pool, new, _absorbable(one.recipe))
    plausible = [_plausible(tuple(sorted(r.reactants)), one, inert) for r in possible]
    shares: dict[int, float] = {}
    for phase in new:
        making = [i for i, reaction in enumerate(possible) if phase in reaction.products]
        direct = [i for i in making if possible[i].reactants.keys() <= seen]
        total = sum(plausible[i] for i in direct or making)
        for i in direct or making:
            share = (1.0 if direct else INDIRECT_WEIGHT) * plausible[i] / total
            shares[i] = max(shares.get(i, 0.0), share)
    return [(possible[i], share) for i, share in sorted(shares.items())]


def _absorbable(recipe: Recipe) -> frozenset[str]:
    """Gases a powder may have taken up: oxygen, and CO2 of the air or of a carbonate."""
    carbon = recipe.atmosphere in (Atmosphere.AIR, Atmosphere.CO2) or any(
        "C" in atoms(p.formula) for p in recipe.precursors
    )
    nitrogen = recipe.atmosphere is Atmosphere.N2
    return frozenset({"O2", *(["CO2"] if carbon else []), *(["N2"] if nitrogen else [])})


def _plausible(reactants: tuple[str, ...], one: Seen, inert: InertPairs) -> float:
    """How an explanation stands against its rivals before the pattern is looked at."""
    refuted = any(
        sample != one.evidence.sample and temperature_c >= one.temperature_c
        for sample, temperature_c in inert.get((reactants, one.recipe.atmosphere), ())
    )
    return REFUTED_WEIGHT if refuted else 1.0


def _inert_pairs(observations: Iterable[Observation]) -> InertPairs:
    found: dict[tuple[tuple[str, ...], Atmosphere], list[tuple[str, float]]] = {}
    for o in observations:
        if o.inert and o.above_c is not None and o.weight > INDIRECT_WEIGHT:
            key = (o.reactants, o.atmosphere)
            found.setdefault(key, []).append((o.evidence.sample, o.above_c))
    return found


def _reaction(
    one: Seen, before: Seen | None, reaction: PairReaction, share: float
) -> Observation:
    weight = share * math.prod(one.probabilities[phase] for phase in reaction.products)
    above_c: float | None = None
    if before is not None and reaction.reactants.keys() <= before.shares.keys():
        weight *= math.prod(before.probabilities[phase] for phase in reaction.reactants)
        begun = before.shares.keys() & reaction.products.keys()
        if not begun and before.temperature_c < one.temperature_c:
            above_c = before.temperature_c
    return Observation(
        reactants=tuple(sorted(reaction.reactants)),
        products=tuple(sorted(reaction.products)),
        above_c=above_c,
        by_c=one.temperature_c,
        atmosphere=one.recipe.atmosphere,
        weight=weight,
        evidence=one.evidence,
    )


def _stayed(one: Seen, before: Seen | None, touched: set[frozenset[str]]) -> list[Observation]:
    """Phases, alone and in pairs, that no explanation needs to have reacted.

    What is there but has become less was used up by something: it says nothing alone, and
    nothing of a partner that has become less too.
    """
    start = set(one.powders if before is None else before.shares)
    less = {phase for phase in start & one.shares.keys() if _changed(phase, one, before) < 0}
    found: list[Observation] = []
    for size in (1, 2):
        for group in combinations(sorted(one.shares), size):
            there_before = start.issuperset(group)
            if frozenset(group) in touched or (size == 1 and not there_before):
                continue
            if less.issuperset(group):
                continue
            sure = math.prod(one.probabilities[phase] for phase in group)
            found.append(
                Observation(
                    reactants=group,
                    products=(),
                    above_c=one.temperature_c,
                    by_c=None,
                    atmosphere=one.recipe.atmosphere,
                    weight=sure * (1.0 if there_before else INDIRECT_WEIGHT),
                    evidence=one.evidence,
                )
            )
    return found
