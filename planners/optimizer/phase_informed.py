"""The laboratory's own strategy: argue from the phases found and the energy left.

In this order: nothing measured → repeat; no verdict → regrind, then another recipe;
an element evaporated or the target decomposed → cooler; an inert phase took the driving
force → powders that avoid it; otherwise the reaction is unfinished → hotter, by Jander's
law, refiring the same powder once the target grows in it; nothing left → give up.
"""

from dataclasses import dataclass, replace

from alab.models import (
    Attempt,
    Decision,
    NextStep,
    Outcome,
    Recipe,
    Verdict,
)
from planners.optimizer.batches import filled, next_batch
from planners.optimizer.evidence import Evidence, read
from planners.optimizer.kinetics import activation_kj_per_mol, temperature_for
from planners.optimizer.moves import (
    EXTRA_EXCESS,
    another,
    avoiding,
    enriched,
    firing,
    is_new,
    refire,
    reheated,
)
from planners.optimizer.strategy import (
    Situation,
    dwell_s,
    fingerprint,
    powders,
    target_fraction,
)
from planners.synthesis.conditions import (
    DWELL_S,
    GRID_C,
    LOWEST_FIRING_C,
    ceiling,
    snap,
)
from planners.synthesis.pathways import SLUGGISH_EV_PER_ATOM
from planners.synthesis.reactions import metals, uncertainty_ev_per_atom
from planners.synthesis.thermo import find, written

GROWN = 0.15
"""From this weight fraction of target on, the same powder is worth refiring."""

_MOST_REGRINDS = 2
_LONG_DWELL_S = 12 * 3600.0
_WANTED_CONVERSION = 0.95
_LARGEST_STEP_C = 300.0
_LEAST_GAIN = 0.05
_GLASSY_FRACTION = 0.3
_NOTABLE_DROP = 0.10
_LARGEST_LOSS = 0.5
_PURE_ENOUGH = 0.5
"""From this weight fraction on, a look-alike is a question for another method."""


@dataclass(frozen=True, slots=True)
class PhaseInformed:
    """Strategy that reasons about phases, kinetics and volatility; has no state."""

    def next_batch(self, situation: Situation, size: int) -> tuple[Decision, ...]:
        """Choose what to do after the newest attempt, and what to fire beside it."""
        if situation.closed:
            return next_batch(situation, size)
        first = self._next(situation) if situation.attempts else _first(situation)
        return filled(situation, first, size)

    def _next(self, situation: Situation) -> Decision:
        outcome = situation.last.outcome
        if outcome is None:
            return _nothing_measured(situation)
        if outcome.verdict is Verdict.INCONCLUSIVE:
            return _inconclusive(situation, outcome)
        evidence = read(situation.last.recipe, outcome)
        notes = _notes(evidence)
        for rule in (_evaporated, _overheated, _unstable, _inert_intermediate):
            if (decision := rule(situation, evidence)) is not None:
                return replace(decision, reasons=(*decision.reasons, *notes))
        decision = _unfinished(situation, evidence)
        return replace(decision, reasons=(*decision.reasons, *notes))


def _first(situation: Situation) -> Decision:
    best = situation.candidates[0]
    return Decision(
        step=NextStep.NEW_RECIPE,
        recipe=best,
        reasons=("First attempt: the highest ranked recipe.", *best.reasons),
    )


def _nothing_measured(situation: Situation) -> Decision:
    last = situation.last
    losses = sum(
        a.outcome is None and fingerprint(a.recipe) == fingerprint(last.recipe)
        for a in situation.attempts
    )
    if losses < 2:
        return Decision(
            step=NextStep.NEW_RECIPE,
            recipe=replace(last.recipe, regrinds=0),
            reasons=(
                f"{last.sample} was never measured, so nothing was learnt; the same recipe "
                "again with fresh powder.",
            ),
        )
    return another(situation, f"two samples of this recipe were lost ({last.sample} last)")


def _inconclusive(situation: Situation, outcome: Outcome) -> Decision:
    recipe, sample = situation.last.recipe, situation.last.sample
    if outcome.competing and outcome.target_weight_fraction >= _PURE_ENOUGH:
        return Decision(
            step=NextStep.GIVE_UP,
            reasons=(
                f"{sample} may be {situation.target}, but {'; '.join(outcome.competing)}. "
                "Another firing gives the same pattern: its composition has to be measured "
                "by another method.",
            ),
        )
    said = (
        f"The pattern of {sample} decides nothing (R_wp {outcome.r_wp_percent:.0f} %, "
        f"{outcome.unexplained_fraction * 100:.0f} % of the intensity unexplained)"
    )
    before = situation.attempts[-2:-1]
    again = (
        bool(before)
        and before[0].outcome is not None
        and (
            before[0].outcome.verdict is Verdict.INCONCLUSIVE
            and powders(before[0].recipe) == powders(recipe)
        )
    )
    if again or recipe.regrinds >= _MOST_REGRINDS:
        return another(situation, f"{said}, as before")
    top_c, _ = ceiling(situation.target, situation.limits)
    glassy = outcome.amorphous_suspected or outcome.unexplained_fraction > _GLASSY_FRACTION
    temperature_c = recipe.max_temperature_c
    if glassy:
        temperature_c = snap(temperature_c + 2 * GRID_C, situation.limits, top_c)
        temperature_c = max(temperature_c, recipe.max_temperature_c)
        why = f"{said}; glass or an unknown phase should crystallise or react when hotter"
    else:
        why = f"{said}; regrinding evens out the powder and the next pattern decides"
    hotter = temperature_c > recipe.max_temperature_c
    return refire(
        situation, temperature_c, DWELL_S if hotter else max(DWELL_S, dwell_s(recipe)), why
    )


def _evaporated(situation: Situation, evidence: Evidence) -> Decision | None:
    # an element that stands in an unreacted powder, or is mostly gone, did not evaporate:
    # it waits, or hides in a glass
    waiting = frozenset[str]().union(*(metals(name) for name in evidence.unreacted))
    if not evidence.lost or waiting & set(evidence.lost):
        return None
    if max(evidence.lost.values()) > _LARGEST_LOSS:
        return None
    recipe = situation.last.recipe
    at_c = recipe.max_temperature_c
    loss = " and ".join(f"{f * 100:.0f} % of the {e}" for e, f in evidence.lost.items())
    for temperature_c in (at_c - 2 * GRID_C, at_c - GRID_C):
        cooler = enriched(
            reheated(recipe, max(temperature_c, LOWEST_FIRING_C), 2 * DWELL_S, situation),
            frozenset(evidence.lost),
        )
        if temperature_c >= LOWEST_FIRING_C and is_new(situation, cooler):
            return Decision(
                step=NextStep.NEW_RECIPE,
                recipe=cooler,
                reasons=(
                    f"{loss} is missing from the phases found after {firing(recipe)}: it "
                    f"evaporated. Fresh powder at {temperature_c:g} °C with "
                    f"{EXTRA_EXCESS * 100:.0f} % more of it.",
                ),
            )
    return None


def _overheated(situation: Situation, evidence: Evidence) -> Decision | None:
    recipe = situation.last.recipe
    cooler = [
        a
        for a in situation.attempts[:-1]
        if a.outcome is not None
        and powders(a.recipe) == powders(recipe)
        and a.recipe.max_temperature_c < recipe.max_temperature_c
        and target_fraction(a) > evidence.target_fraction + _NOTABLE_DROP
    ]
    if not cooler:
        return None
    best = max(cooler, key=target_fraction)
    said = (
        f"{written(situation.target)} fell from {target_fraction(best) * 100:.0f} wt % at "
        f"{best.recipe.max_temperature_c:g} °C to {evidence.target_fraction * 100:.0f} wt % at "
        f"{recipe.max_temperature_c:g} °C: it decomposes or loses an element when too hot"
    )
    middle_c = snap(
        (best.recipe.max_temperature_c + recipe.max_temperature_c) / 2, situation.limits
    )
    for temperature_c in (middle_c, best.recipe.max_temperature_c):
        gentler = reheated(recipe, temperature_c, _LONG_DWELL_S, situation)
        if temperature_c < recipe.max_temperature_c and is_new(situation, gentler):
            return Decision(
                step=NextStep.NEW_RECIPE,
                recipe=gentler,
                reasons=(
                    f"{said}. Fresh powder at {temperature_c:g} °C for "
                    f"{_LONG_DWELL_S / 3600:g} h.",
                ),
            )
    return another(situation, said)


def _unstable(situation: Situation, evidence: Evidence) -> Decision | None:
    """What was found is more stable than the target.

    Believed where the energy says so beyond its uncertainty, or where it says so at all
    and the target is known to decompose below the firing temperature.
    """
    reaction, force = evidence.remaining, evidence.remaining_ev_per_atom
    if reaction is None or force is None or force >= 0:
        return None
    recipe = situation.last.recipe
    if any(
        powders(a.recipe) == powders(recipe)
        and a.recipe.max_temperature_c != recipe.max_temperature_c
        for a in situation.attempts
    ):
        return None  # another temperature did not help: the table is not to be trusted
    compound = find(situation.target)
    known_c = None if compound is None else compound.decomposes_c
    decomposed = known_c is not None and known_c < situation.last.recipe.max_temperature_c
    if not decomposed and force > -uncertainty_ev_per_atom(reaction):
        return None
    said = (
        f"{reaction} is uphill by {-force * 1000:.0f} meV/atom at "
        f"{recipe.max_temperature_c:g} °C in {recipe.atmosphere}: what was found is the "
        "more stable"
    )
    cooler = reheated(recipe, recipe.max_temperature_c - 2 * GRID_C, _LONG_DWELL_S, situation)
    if cooler.max_temperature_c >= LOWEST_FIRING_C and is_new(situation, cooler):
        return Decision(
            step=NextStep.NEW_RECIPE,
            recipe=cooler,
            reasons=(f"{said}. Cooler, at {cooler.max_temperature_c:g} °C, for longer.",),
        )
    return another(situation, said)


def _inert_intermediate(situation: Situation, evidence: Evidence) -> Decision | None:
    inert = sum(evidence.intermediates.values())
    force = evidence.remaining_ev_per_atom
    if inert < GROWN or inert <= sum(evidence.unreacted.values()):
        return None
    if force is None or force >= SLUGGISH_EV_PER_ATOM:
        return None
    recipe = situation.last.recipe
    culprit = max(evidence.intermediates, key=lambda name: evidence.intermediates[name])
    found = avoiding(situation, culprit)
    if found is None:
        return None
    other, force_there = found
    kept = "" if force_there is None else f", which keeps {force_there * 1000:.0f} meV/atom"
    return Decision(
        step=NextStep.NEW_RECIPE,
        recipe=other,
        reasons=(
            f"{evidence.intermediates[culprit] * 100:.0f} wt % {written(culprit)} formed after "
            f"{firing(recipe)} and leaves only {force * 1000:.0f} meV/atom for the step to "
            f"{written(situation.target)} (slow below {SLUGGISH_EV_PER_ATOM * 1000:.0f}).",
            f"{' + '.join(p.formula for p in other.precursors)} should avoid it{kept}.",
        ),
    )


def _unfinished(situation: Situation, evidence: Evidence) -> Decision:
    recipe = situation.last.recipe
    if _stalled(situation):
        return another(
            situation,
            f"regrinding and refiring gained less than {_LEAST_GAIN * 100:.0f} wt %",
            hotter_only=True,
        )
    top_c, top_why = _top(situation)
    wanted_c = _wanted_c(situation, evidence)
    temperature_c = snap(wanted_c, situation.limits, top_c)
    grown = evidence.target_fraction >= GROWN
    left = _left(evidence, recipe)
    if temperature_c <= recipe.max_temperature_c:
        if recipe.regrinds >= _MOST_REGRINDS:
            return another(
                situation,
                f"{left}, after {recipe.regrinds} regrindings and as hot as {top_why} permits",
                hotter_only=True,
            )
        why = f"{left}; {temperature_c:g} °C is as hot as {top_why} permits"
        return refire(situation, temperature_c, _LONG_DWELL_S, why)
    why = f"{left}; by Jander's law {min(wanted_c, 1999):.0f} °C would finish it in 4 h"
    if wanted_c > top_c:
        why += f", but {top_why} permits no more"
    if grown and recipe.regrinds < _MOST_REGRINDS:
        return refire(situation, temperature_c, DWELL_S, why)
    hotter = reheated(recipe, temperature_c, DWELL_S, situation)
    if not is_new(situation, hotter):
        return another(situation, left, hotter_only=True)
    return Decision(
        step=NextStep.NEW_RECIPE,
        recipe=hotter,
        reasons=(f"{why} → fresh powder at {temperature_c:g} °C.",),
    )


def _top(situation: Situation) -> tuple[float, str]:
    """Highest sensible temperature for the next firing, in °C, and what sets it.

    The first step beyond the usual range of temperatures is taken from its end, not from
    below: what melts or decomposes there is in no table for most targets.
    """
    top_c, why = ceiling(situation.target, situation.limits)
    usual, at_c = situation.typical, situation.last.recipe.max_temperature_c
    if usual is None:
        return top_c, why
    end_c = usual.temperature_c + usual.sd_c
    if at_c + GRID_C <= end_c < top_c:
        return end_c, f"the range of temperatures that papers take (to {end_c:.0f} °C)"
    return top_c, why


def _wanted_c(situation: Situation, evidence: Evidence) -> float:
    """Where the reaction should finish, at least one and at most six grid steps hotter."""
    recipe = situation.last.recipe
    at_c = recipe.max_temperature_c
    same = [a for a in situation.attempts if powders(a.recipe) == powders(recipe)]
    seen = [
        (a.recipe.max_temperature_c, dwell_s(a.recipe), target_fraction(a))
        for a in same
        if a.outcome is not None and a.recipe.regrinds == 0
    ]
    wanted_c = temperature_for(
        wanted=_WANTED_CONVERSION,
        wanted_s=DWELL_S,
        converted=evidence.target_fraction,
        temperature_c=at_c,
        dwell_s=_heated_s(same),
        activation_kj_per_mol=activation_kj_per_mol(seen),
    )
    # nucleation slows as 1/ΔG²: with little driving force, one step is not worth a firing
    force = evidence.remaining_ev_per_atom
    steps = 2 if force is not None and force < 2 * SLUGGISH_EV_PER_ATOM else 1
    return min(max(wanted_c, at_c + steps * GRID_C), at_c + _LARGEST_STEP_C)


def _heated_s(same: list[Attempt]) -> float:
    """Time the newest powder has spent at temperature, earlier firings of it included."""
    total_s = 0.0
    for attempt in reversed(same):
        total_s += dwell_s(attempt.recipe)
        if attempt.recipe.regrinds == 0:
            break
    return max(total_s, 60.0)


def _stalled(situation: Situation) -> bool:
    if len(situation.attempts) < 2 or situation.last.recipe.regrinds == 0:
        return False
    before = situation.attempts[-2]
    if (
        situation.last.recipe.regrinds < _MOST_REGRINDS
        and target_fraction(situation.last) >= 2 * GROWN
    ):
        return False  # near enough for one more, longer firing
    if before.outcome is None or powders(before.recipe) != powders(situation.last.recipe):
        return False
    return target_fraction(situation.last) - target_fraction(before) < _LEAST_GAIN


def _left(evidence: Evidence, recipe: Recipe) -> str:
    """``38 wt % of BaCO3 and TiO2 are left after 4 h at 800 °C; 61 meV/atom remain``."""
    others = evidence.unreacted or evidence.intermediates
    weight = sum(others.values())
    names = " and ".join(written(name) for name in sorted(others)) or "other phases"
    kind = "unreacted " if evidence.unreacted else ""
    share = weight if others else 1 - evidence.target_fraction
    text = f"{share * 100:.0f} wt % {kind}{names} left after {firing(recipe)}"
    text += f", with {evidence.target_fraction * 100:.0f} wt % target"
    force = evidence.remaining_ev_per_atom
    if force is None:
        return text
    if force <= 0:
        return f"{text}; by the table no driving force remains"
    return f"{text}; {force * 1000:.0f} meV/atom of driving force remain"


def _notes(evidence: Evidence) -> list[str]:
    if not evidence.foreign:
        return []
    return [
        f"{', '.join(map(written, evidence.foreign))} holds an element nobody put in: "
        "contamination or a wrong match; it was not argued from."
    ]
