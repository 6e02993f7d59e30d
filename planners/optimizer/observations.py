"""What pairs of phases were seen to do, over all samples: the laboratory's memory.

The samples are the truth and the observations follow from them; what another laboratory
saw is merged in from its file. Nothing is thrown away: where observations contradict each
other both sides stay and are shown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations, groupby
from pathlib import Path
from typing import Any

from alab.models import Atmosphere, Attempt
from planners.optimizer.inference import infer
from planners.optimizer.observation_files import as_row, read_json, write_csv, write_json
from planners.optimizer.observed import Flagged, Observation
from planners.synthesis.compounds import reduced, written

CONVINCING = 0.5
"""Weight from which an observation is held against another, and a probability from which
a pair counts as known."""

_SUREST = 0.999

PairKey = tuple[tuple[str, ...], Atmosphere]


class PairState(StrEnum):
    """What is known of a pair at a temperature."""

    REACTS = "reacts"
    INERT = "inert"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairKnowledge:
    """What is known of one phase or two at a temperature, in a gas.

    Attributes:
        reactants: Reduced formulas, sorted.
        temperature_c: Temperature asked for.
        atmosphere: Gas asked for.
        state: The likeliest state, ``unknown`` below a probability of one half.
        products: Each set of products seen by that temperature with its probability,
            likeliest first.
        inert: Probability that nothing happens up to that temperature.
        unknown: Probability that none of this holds.
        observations: What it rests on.
    """

    reactants: tuple[str, ...]
    temperature_c: float
    atmosphere: Atmosphere
    state: PairState
    products: tuple[tuple[tuple[str, ...], float], ...]
    inert: float
    unknown: float
    observations: tuple[Observation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """Convincing observations of the same reactants in the same gas that cannot all hold.

    Attributes:
        one: Observations of one fate, coldest first.
        other: Observations of another.
        why: The disagreement in words, with a sample of each side.
    """

    one: tuple[Observation, ...]
    other: tuple[Observation, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Observations:
    """What phases were seen to do; immutable, and the same however it was merged.

    Attributes:
        records: Every observation, in the order of reactants and temperature.
        flagged: Findings that were not argued from.
    """

    records: tuple[Observation, ...] = ()
    flagged: tuple[Flagged, ...] = ()
    _by_reactants: dict[PairKey, tuple[Observation, ...]] = field(
        init=False, repr=False, compare=False
    )
    _answers: dict[tuple[PairKey, float], PairKnowledge] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        records = tuple(sorted(set(self.records), key=_order))
        object.__setattr__(self, "records", records)
        flagged = sorted(set(self.flagged), key=lambda f: (f.evidence.sample, f.formula, f.why))
        object.__setattr__(self, "flagged", tuple(flagged))
        groups = {key: tuple(group) for key, group in groupby(records, key=_key)}
        object.__setattr__(self, "_by_reactants", groups)
        object.__setattr__(self, "_answers", {})

    @classmethod
    def from_attempts(cls, attempts: Sequence[Attempt]) -> "Observations":
        """Infer what firings show; outcomes without phases show nothing.

        Args:
            attempts: Firings of any targets, in any order.
        """
        records, flagged = infer(attempts)
        return cls(tuple(records), tuple(flagged))

    def __len__(self) -> int:
        return len(self.records)

    def merged(self, other: "Observations") -> "Observations":
        """Both together; what both hold stands once."""
        return Observations(self.records + other.records, self.flagged + other.flagged)

    def of(self, *reactants: str, atmosphere: Atmosphere) -> tuple[Observation, ...]:
        """All that was seen of one phase or a pair in a gas, inert or not."""
        return self._by_reactants.get((_sorted(reactants), atmosphere), ())

    def reaction_of_pair(
        self, a: str, b: str, temperature_c: float, atmosphere: Atmosphere
    ) -> PairKnowledge:
        """What two touching phases do up to a temperature.

        Observations from different samples are independent: those of one explanation add
        up as 1 − Π(1 − w), and the explanations compete by their odds::

            p_k = o_k / (1 + Σ o),   o = s / (1 − s),   s = 1 − Π (1 − w)

        so that what is unknown keeps a share that shrinks with the evidence.

        Args:
            a: Formula of one phase.
            b: Formula of the other; the same one asks for its decomposition.
            temperature_c: Highest temperature they see.
            atmosphere: Gas of the firing; observations in other gases do not count.
        """
        reactants = _sorted({reduced(a), reduced(b)})
        question = (reactants, atmosphere), temperature_c
        if question not in self._answers:
            self._answers[question] = self._knowledge(reactants, temperature_c, atmosphere)
        return self._answers[question]

    def _knowledge(
        self, reactants: tuple[str, ...], temperature_c: float, atmosphere: Atmosphere
    ) -> PairKnowledge:
        speaking = [
            o
            for o in self.of(*reactants, atmosphere=atmosphere)
            if _speaks_of(o, temperature_c)
        ]
        odds = {
            products: _odds([o for o in speaking if o.products == products])
            for products in sorted({o.products for o in speaking})
        }
        total = 1.0 + sum(odds.values())
        inert = odds.pop((), 0.0) / total
        likely = sorted(
            ((p, o / total) for p, o in odds.items()), key=lambda entry: (-entry[1], entry[0])
        )
        return PairKnowledge(
            reactants=reactants,
            temperature_c=temperature_c,
            atmosphere=atmosphere,
            state=_state(sum(p for _, p in likely), inert),
            products=tuple(likely),
            inert=inert,
            unknown=1.0 / total,
            observations=tuple(speaking),
        )

    def contradictions(self) -> tuple[Contradiction, ...]:
        """Convincing observations that disagree: reactants, gas and temperatures the same.

        Either a pair was inert at a temperature by which it had reacted elsewhere, or it
        gave different products at one temperature.
        """
        return tuple(
            contradiction
            for group in self._by_reactants.values()
            for one, other in combinations(_fates(group), 2)
            if (contradiction := _disagreement(one, other)) is not None
        )

    def to_rows(self) -> list[dict[str, Any]]:
        """One line of a table an observation, JSON-able."""
        return [as_row(observation) for observation in self.records]

    def to_csv(self, path: Path) -> None:
        """Write the table to a file.

        Raises:
            BadInput: If it cannot be written.
        """
        write_csv(path, self.records)

    def to_json(self, path: Path) -> None:
        """Write all of it to a file another laboratory can read.

        Raises:
            BadInput: If it cannot be written.
        """
        write_json(path, self.records, self.flagged)

    @classmethod
    def from_json(cls, path: Path, *, laboratory: str = "") -> "Observations":
        """Read what another laboratory wrote.

        Args:
            path: Its file.
            laboratory: Its name, put before its samples' names with a slash; without one,
                samples of the same name are taken for the same.

        Raises:
            BadInput: If a value is wrong; the message names it.
        """
        return cls(*read_json(path, f"{laboratory}/" if laboratory else ""))


def _sorted(formulas: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({reduced(formula) for formula in formulas}))


def _key(observation: Observation) -> PairKey:
    return observation.reactants, observation.atmosphere


def _order(o: Observation) -> tuple[object, ...]:
    return (
        o.reactants,
        o.atmosphere,
        o.evidence.temperature_c,
        o.products,
        o.evidence.sample,
        o.evidence.regrinds,
        o.weight,
        o.above_c is not None,
        o.above_c or 0.0,
        repr(o.evidence),
    )


def _speaks_of(o: Observation, temperature_c: float) -> bool:
    if o.inert:
        return o.above_c is not None and o.above_c >= temperature_c
    return o.by_c is not None and o.by_c <= temperature_c


def _odds(observations: Sequence[Observation]) -> float:
    """Odds of an explanation; one sample counts once, with its best weight."""
    best: dict[str, float] = {}
    for o in observations:
        sample = o.evidence.sample
        best[sample] = max(best.get(sample, 0.0), o.weight)
    against = 1.0
    for weight in best.values():
        against *= 1.0 - weight
    support = min(1.0 - against, _SUREST)
    return support / (1.0 - support)


def _state(reacts: float, inert: float) -> PairState:
    if max(reacts, inert) < CONVINCING:
        return PairState.UNKNOWN
    return PairState.REACTS if reacts >= inert else PairState.INERT


def _fates(group: Sequence[Observation]) -> list[tuple[Observation, ...]]:
    """Convincing observations of the same reactants, those of the same products together."""
    convincing = sorted((o for o in group if o.weight >= CONVINCING), key=_fate_order)
    return [tuple(same) for _, same in groupby(convincing, key=lambda o: o.products)]


def _fate_order(o: Observation) -> tuple[tuple[str, ...], float]:
    return o.products, o.evidence.temperature_c


def _disagreement(
    one: Sequence[Observation], other: Sequence[Observation]
) -> Contradiction | None:
    """The observations of two fates that clash with one of the other side; None if none."""
    left = tuple(o for o in one if any(_clash(o, p) for p in other))
    right = tuple(p for p in other if any(_clash(o, p) for o in one))
    if not left or not right:
        return None
    name = " + ".join(map(written, left[0].reactants))
    told = ", but ".join(map(_told, (left, right)))
    why = f"{name} in {left[0].atmosphere}: {told}"
    return Contradiction(one=left, other=right, why=why)


def _clash(one: Observation, other: Observation) -> bool:
    """Whether two observations of different fates cannot both hold."""
    if not one.inert and not other.inert:
        same_firing = one.evidence == other.evidence
        return one.by_c == other.by_c and not same_firing
    inert, reacted = (one, other) if one.inert else (other, one)
    if inert.above_c is None or reacted.by_c is None:
        return False
    return reacted.by_c <= inert.above_c


def _told(side: Sequence[Observation]) -> str:
    best = max(side, key=lambda o: o.weight)
    fate = "inert" if best.inert else f"gave {' + '.join(map(written, best.products))}"
    more = f" and {len(side) - 1} more" if len(side) > 1 else ""
    return (
        f"{fate} at {best.evidence.temperature_c:g} °C in {best.evidence.sample} "
        f"(weight {best.weight:.2f}){more}"
    )
