"""ARROWS3 as published: a peer to measure other strategies against.

Szymanski et al., Nat. Commun. 14, 6956 (2023), steps 1 to 7. The set with the largest
driving force is run from low to high temperature; what is learnt of its pair reactions
predicts how other sets evolve, and they are ranked anew by what would be left for the
target. A set that shows, or should show, the phases of an earlier one is passed over.

Two things differ, so that it can be run to the end and told apart from its code: sets
passed over come last instead of never, and a firing in which nothing reacted, or a success
foreseen but not yet run, is no error. Driving forces are weighted by amount.
"""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from alab.models import Atmosphere, Attempt, Decision, NextStep, Recipe, Verdict
from planners.optimizer.inference import look
from planners.optimizer.mixture_energy import EnergyEv, reaction_ev_per_atom, table_energy_ev
from planners.optimizer.pair_reactions import PairReaction
from planners.optimizer.pair_table import PairTable, advanced, weight_fractions
from planners.optimizer.strategy import Situation, fingerprint, give_up, powders
from planners.synthesis.compounds import reduced, units_of, written
from planners.synthesis.reactions import try_balance

SAME_PHASES_TOLERANCE = 0.1
"""Weight fractions this near, phase by phase, count as the same mixture."""

PURE = 0.99
"""Share of the target from which a mixture counts as pure."""

SetKey = tuple[frozenset[str], Atmosphere]


@dataclass(frozen=True, slots=True, kw_only=True)
class PowderSet:
    """The candidates of one set of powders in one gas.

    Attributes:
        key: The powders and the gas.
        recipes: One a temperature, coldest first.
        rank: Place among the sets by score, 0 for the best.
        moles: Amount of each powder.
    """

    key: SetKey
    recipes: tuple[Recipe, ...]
    rank: int
    moles: Mapping[str, float]

    @property
    def top_c(self) -> float:
        """Highest temperature on offer."""
        return self.recipes[-1].max_temperature_c


@dataclass(slots=True, kw_only=True)
class _Learnt:
    """What the attempts so far amount to.

    Attributes:
        table: Known pair reactions.
        started: Sets that were fired, in order.
        mixtures: Weight fractions at the lowest temperature of sets not passed over.
        pruned: Sets that showed, when fired, what an earlier one had shown.
        done: Sets that gave the pure target.
        own: Reactions that each set's own firings made known, with the temperature in °C.
    """

    table: PairTable = field(default_factory=PairTable)
    started: dict[SetKey, None] = field(default_factory=dict)
    mixtures: list[Mapping[str, float]] = field(default_factory=list)
    pruned: set[SetKey] = field(default_factory=set)
    done: set[SetKey] = field(default_factory=set)
    own: dict[SetKey, list[tuple[float, PairReaction]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Arrows3:
    """The published strategy.

    Attributes:
        energy_ev: Energies of solids and gases, for the driving force left.
        partial_yield: Whether a predicted target beside other phases counts too; as
            published, only a pure one does.
    """

    energy_ev: EnergyEv = table_energy_ev
    partial_yield: bool = False

    def next_batch(self, situation: Situation, size: int) -> tuple[Decision, ...]:
        """The next temperature of the sets begun, then the best sets at their lowest."""
        done = {fingerprint(attempt.recipe) for attempt in situation.attempts}
        chosen: list[Decision] = []
        for recipe, why in self._order(situation, done):
            chosen.append(Decision(step=NextStep.NEW_RECIPE, recipe=recipe, reasons=(why,)))
            if len(chosen) == size:
                break
        return tuple(chosen) or (give_up(situation.attempts, "every candidate was run"),)

    def pruned(self, situation: Situation) -> tuple[frozenset[str], ...]:
        """Powders of the sets that are passed over for now, in the order of their rank.

        They are fired after all others. A set passed over only for its predicted phases
        may come back when more is known.
        """
        sets = powder_sets(situation)
        learnt = _learn(situation, sets)
        return tuple(
            one.key[0]
            for one in sets.values()
            if one.key in learnt.pruned
            or (one.key not in learnt.started and self._foreseen(one, learnt))
        )

    def _order(
        self, situation: Situation, done: Container[object]
    ) -> Iterator[tuple[Recipe, str]]:
        """Untried candidates, each with the reason for its place: one a set, then the rest."""
        sets = powder_sets(situation)
        learnt = _learn(situation, sets)
        left = {
            key: [recipe for recipe in one.recipes if fingerprint(recipe) not in done]
            for key, one in sets.items()
        }
        begun = [
            key
            for key in learnt.started
            if left.get(key) and key not in learnt.pruned | learnt.done
        ]
        ranked = self._ranked([s for s in sets.values() if s.key not in learnt.started], learnt)
        fresh = [one.key for one in ranked if not self._foreseen(one, learnt)]
        for key in (*begun, *fresh):
            yield left[key][0], _why(left[key][0], len(fresh), begun=key in begun)
        for key in (*begun, *fresh):
            for recipe in left[key][1:]:
                yield recipe, _why(recipe, len(fresh), begun=True)
        for key in sets:
            for recipe in () if key in (*begun, *fresh) else left[key]:
                yield recipe, "Last: its powders succeeded, or show what others showed."

    def _ranked(self, sets: list[PowderSet], learnt: _Learnt) -> list[PowderSet]:
        return sorted(sets, key=lambda one: self._standing(one, learnt))

    def _standing(self, one: PowderSet, learnt: _Learnt) -> tuple[float, float, int, int]:
        """Predicted yield, ΔG′ and unknown interfaces, the best set smallest."""
        target = reduced(one.recipes[0].target)
        phases = learnt.table.evolve(one.moles, one.top_c)
        share = weight_fractions(phases).get(target, 0.0)
        predicted = share if share >= PURE or self.partial_yield else 0.0
        unknown = sum(not learnt.table.knows(a, b) for a, b in combinations(phases, 2))
        return -predicted, self._remaining_ev(one, phases), -unknown, one.rank

    def _remaining_ev(self, one: PowderSet, phases: Mapping[str, float]) -> float:
        """ΔG′ per atom to the target; the initial ΔG, or −score, where energies lack."""
        target = one.recipes[0].target
        if reduced(target) in phases:
            return 0.0
        for start in (phases, one.moles):
            change = reaction_ev_per_atom(start, target, one.top_c, self.energy_ev)
            if change is not None:
                return change
        return -one.recipes[0].score

    def _foreseen(self, one: PowderSet, learnt: _Learnt) -> bool:
        """Whether a set should turn into a mixture that was seen at a lowest temperature."""
        phases = learnt.table.evolve(one.moles, one.top_c)
        mixture = weight_fractions(phases)
        return any(same_mixture(mixture, seen) for seen in learnt.mixtures)


def powder_sets(situation: Situation) -> dict[SetKey, PowderSet]:
    """Candidates by their powders and gas, in the order of the best of each."""
    groups: dict[SetKey, list[Recipe]] = {}
    for recipe in situation.candidates:
        groups.setdefault((powders(recipe), recipe.atmosphere), []).append(recipe)
    return {
        key: PowderSet(
            key=key,
            recipes=tuple(sorted(recipes, key=lambda r: r.max_temperature_c)),
            rank=rank,
            moles=_balanced_moles(recipes[0]),
        )
        for rank, (key, recipes) in enumerate(groups.items())
    }


def same_mixture(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether two mixtures have the same phases in nearly the same weight fractions."""
    return one.keys() == other.keys() and all(
        abs(one[phase] - other[phase]) <= SAME_PHASES_TOLERANCE for phase in one
    )


def _balanced_moles(recipe: Recipe) -> dict[str, float]:
    """Amounts of the powders by the balanced reaction; as weighed where it is not unique."""
    weighed = _weighed_moles(recipe)
    reaction = try_balance(tuple(weighed), recipe.target)
    if reaction is None:
        return weighed
    return {name: float(moles) for name, moles in reaction.reactants.items()}


def _weighed_moles(recipe: Recipe) -> dict[str, float]:
    """Amounts of the powders as weighed in, excess and all."""
    return {
        reduced(precursor.formula): precursor.moles * units_of(precursor.formula)
        for precursor in recipe.precursors
    }


def _learn(situation: Situation, sets: Mapping[SetKey, PowderSet]) -> _Learnt:
    """Replay the attempts in their order."""
    learnt = _Learnt()
    for attempt in situation.attempts:
        key = powders(attempt.recipe), attempt.recipe.atmosphere
        learnt.started.setdefault(key)
        if attempt.outcome is None:
            continue
        if attempt.outcome.verdict is Verdict.SUCCESS:
            learnt.done.add(key)
        found = _found(attempt)
        if found:
            _take_in(learnt, attempt.recipe, key, found)
        one = sets.get(key)
        if found and one is not None and _at_lowest(attempt.recipe, one):
            _compare(learnt, key, found)
    return learnt


def _take_in(learnt: _Learnt, recipe: Recipe, key: SetKey, found: Mapping[str, float]) -> None:
    """Learn from one firing, which began with what its set was seen to become before."""
    temperature_c = recipe.max_temperature_c
    own = learnt.own.setdefault(key, [])
    state = _weighed_moles(recipe)
    for by_c, reaction in sorted(own, key=lambda known: known[0]):
        if by_c <= temperature_c and reaction.reactants.keys() <= state.keys():
            state = advanced(state, reaction)
    known = learnt.table.learn(weight_fractions(state), found, temperature_c)
    own.extend((temperature_c, reaction) for reaction in known)


def _compare(learnt: _Learnt, key: SetKey, found: Mapping[str, float]) -> None:
    if any(same_mixture(found, seen) for seen in learnt.mixtures):
        learnt.pruned.add(key)
    else:
        learnt.mixtures.append(found)


def _at_lowest(recipe: Recipe, one: PowderSet) -> bool:
    return recipe.max_temperature_c == one.recipes[0].max_temperature_c


def _found(attempt: Attempt) -> dict[str, float]:
    """Weight fractions of the phases that can come from the powders."""
    assert attempt.outcome is not None  # noqa: S101
    usable = look(attempt.sample, attempt.recipe, attempt.outcome)
    found: dict[str, float] = {}
    for phase in usable.phases:
        name = reduced(phase.formula)
        found[name] = found.get(name, 0.0) + phase.weight_fraction
    return found


def _why(recipe: Recipe, fresh: int, *, begun: bool) -> str:
    names = " + ".join(written(precursor.formula) for precursor in recipe.precursors)
    where = f"{names} at {recipe.max_temperature_c:g} °C"
    if begun:
        return f"ARROWS3: next temperature of the set begun, {where}."
    return f"ARROWS3: first of {fresh} sets by predicted yield and ΔG′ left, {where}."
