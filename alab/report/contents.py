"""What a campaign report says: values worked out, nothing read or drawn."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from alab.models import Atmosphere, Decision, Outcome, Profile, Recipe, Verdict
from alab.store.tables import AlarmRow, EventRow, QuestionRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A powder of a sample, as wanted and as weighed.

    Attributes:
        formula: As on the jar.
        moles: Moles per mole of target.
        wanted_mg: Mass of the recipe.
        weighed_mg: Mass found by weighing; None if it was not dosed.
    """

    formula: str
    moles: float
    wanted_mg: float
    weighed_mg: float | None

    @property
    def off_percent(self) -> float | None:
        """Weighed against wanted, in percent of wanted."""
        if self.weighed_mg is None or self.wanted_mg == 0:
            return None
        return 100.0 * (self.weighed_mg / self.wanted_mg - 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """One run of a furnace.

    Attributes:
        number: Its number in the laboratory.
        furnace: Where.
        status: How far it is.
        profile: What was asked of the furnace.
        atmosphere: Gas.
        samples: Everything that stood in it, of other campaigns too.
        slots: Crucibles the chamber takes; 0 where unknown.
        heated_from: When the program started.
        ended_at: When it was cool enough to be opened.
        note: What the laboratory wrote about it.
    """

    number: int
    furnace: str
    status: str
    profile: Profile
    atmosphere: Atmosphere
    samples: tuple[str, ...]
    slots: int
    heated_from: datetime | None
    ended_at: datetime | None
    note: str

    def hours(self, now: datetime) -> float:
        """Hours from the start of the program to the end, or to ``now``."""
        if self.heated_from is None:
            return 0.0
        return ((self.ended_at or now) - self.heated_from).total_seconds() / 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Measured course of a firing.

    Attributes:
        hours: Time since the program started, h.
        temperature_c: Measured.
        setpoint_c: Working setpoint; None where no program ran.
    """

    hours: tuple[float, ...]
    temperature_c: tuple[float, ...]
    setpoint_c: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One firing of a sample with what came of it.

    Attributes:
        sample: Name of the sample.
        number: 1 for fresh powder, 2 after a regrind, and so on.
        recipe: What was to be done.
        powders: Powders as weighed.
        firing: The furnace run; None before it.
        outcome: What was found; None before the analysis.
        decision: What was decided then; None before it.
        decided_at: When.
        scan_filename: The pattern's file; None before the scan.
        attempt: Row of the attempt, to load its analysis from.
        status: Where the sample is in its life now.
        note: What the laboratory wrote about the sample.
    """

    sample: str
    number: int
    recipe: Recipe
    powders: tuple[Weighed, ...]
    firing: Firing | None
    outcome: Outcome | None
    decision: Decision | None
    decided_at: datetime | None
    scan_filename: str | None
    attempt: int
    status: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetStory:
    """A target and everything that was tried for it.

    Attributes:
        formula: The target.
        status: open, made, given_up, cancelled.
        reason: Why it ended so.
        rounds: In the order they were decided on.
        events: The log of its samples.
        questions: Put to the operator about its samples.
    """

    formula: str
    status: str
    reason: str
    rounds: tuple[Round, ...]
    events: tuple[EventRow, ...]
    questions: tuple[QuestionRow, ...]

    @property
    def best(self) -> Round | None:
        """The round with most target, successes first; None before any outcome."""
        found = [r for r in self.rounds if r.outcome is not None]
        return max(found, key=_merit, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class FurnaceUse:
    """How well the furnaces were filled.

    Attributes:
        firings: Runs that held samples of this campaign.
        crucibles: Crucibles in them, of other campaigns too.
        places: Crucibles they could have taken.
        furnace_hours: Hours from program start until cool enough to open, summed.
        least_firings: Fewest runs that could have held the same crucibles, as only equal
            profiles in equal atmospheres share one: Σ ⌈crucibles / places⌉.
    """

    firings: int
    crucibles: int
    places: int
    furnace_hours: float
    least_firings: int

    @property
    def fill_percent(self) -> float:
        """Crucibles against places."""
        return 100.0 * self.crucibles / self.places if self.places else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Everything a report says.

    Attributes:
        campaign: Its name.
        status: running, stopping, stopped, finished.
        started_at: When it was written down.
        ended_at: When it ended, or the latest thing known of it.
        max_attempts: Attempts allowed per target.
        targets: In the order of the campaign.
        firings: Furnace runs that held its samples.
        use: How well they were filled.
        alarms: Raised while it ran.
        questions: Open while it ran, about devices and firings rather than a sample.
    """

    campaign: str
    status: str
    started_at: datetime
    ended_at: datetime
    max_attempts: int
    targets: tuple[TargetStory, ...]
    firings: tuple[Firing, ...]
    use: FurnaceUse
    alarms: tuple[AlarmRow, ...]
    questions: tuple[QuestionRow, ...]

    @property
    def made(self) -> int:
        """How many targets were made."""
        return sum(target.status == "made" for target in self.targets)

    @property
    def attempts(self) -> int:
        """Rounds over all targets."""
        return sum(len(target.rounds) for target in self.targets)

    @property
    def hours(self) -> float:
        """Laboratory time from the start of the campaign, in hours."""
        return (self.ended_at - self.started_at).total_seconds() / 3600


def furnace_use(firings: Sequence[Firing], now: datetime) -> FurnaceUse:
    """How well furnaces were filled, against the fewest runs that would have done."""
    run = [f for f in firings if f.heated_from is not None]
    alike: dict[tuple[Profile, Atmosphere], list[Firing]] = defaultdict(list)
    for firing in run:
        alike[firing.profile, firing.atmosphere].append(firing)
    return FurnaceUse(
        firings=len(run),
        crucibles=sum(len(f.samples) for f in run),
        places=sum(max(f.slots, len(f.samples)) for f in run),
        furnace_hours=sum(f.hours(now) for f in run),
        least_firings=sum(
            math.ceil(
                sum(len(f.samples) for f in group)
                / max(max(f.slots, len(f.samples)) for f in group)
            )
            for group in alike.values()
            if any(f.samples for f in group)
        ),
    )


def _merit(found: Round) -> tuple[bool, float]:
    outcome = found.outcome
    assert outcome is not None  # noqa: S101
    return outcome.verdict is Verdict.SUCCESS, outcome.target_weight_fraction
