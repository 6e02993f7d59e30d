"""Which prepared samples share a furnace, and when to stop waiting for company.

Samples fit together when they want the same profile in the same atmosphere. A batch goes
when it fills a chamber, when its first sample has waited its longest, or when nobody else
who would fit is on the way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from alab.models import Atmosphere, FiringLimits, Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class FiringWish:
    """One sample's wish for a firing.

    Attributes:
        sample: Its name.
        profile: Heating program it wants.
        atmosphere: Gas it wants.
        priority: Larger goes first.
        since: When it became ready; None while it is still being prepared.
    """

    sample: str
    profile: Profile
    atmosphere: Atmosphere
    priority: int
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chamber:
    """A furnace that is free now.

    Attributes:
        furnace: Its name.
        limits: What it can do.
        slots: How many crucibles it takes.
    """

    furnace: str
    limits: FiringLimits
    slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Samples to fire together.

    Attributes:
        furnace: Where.
        samples: Who, most urgent first.
        profile: Heating program.
        atmosphere: Gas.
    """

    furnace: str
    samples: tuple[str, ...]
    profile: Profile
    atmosphere: Atmosphere


def _abilities(chamber: Chamber) -> tuple[int, float, str]:
    limits = chamber.limits
    return len(limits.atmospheres), limits.max_temperature_c, chamber.furnace


def next_batch(
    wishes: Sequence[FiringWish],
    chambers: Sequence[Chamber],
    now: datetime,
    longest_wait_s: float,
) -> Batch | None:
    """The batch to fire now, None while it is better to wait.

    Args:
        wishes: Samples that are ready, and those on the way (``since`` None).
        chambers: Furnaces that are free.
        now: Laboratory time.
        longest_wait_s: How long a ready sample waits for company.
    """
    groups: dict[tuple[Profile, Atmosphere], list[FiringWish]] = {}
    for wish in wishes:
        groups.setdefault((wish.profile, wish.atmosphere), []).append(wish)
    best: tuple[tuple[int, float], Batch] | None = None
    for (profile, atmosphere), members in groups.items():
        ready = sorted(
            (w for w in members if w.since is not None),
            key=lambda w: (-w.priority, w.since, w.sample),
        )
        fitting = [c for c in chambers if c.limits.permits(profile, atmosphere)]
        if not ready or not fitting:
            continue
        # keep the furnaces that can do more for those that need them
        chamber = min(fitting, key=_abilities)
        waited_s = max((now - w.since).total_seconds() for w in ready if w.since)
        on_the_way = len(members) > len(ready)
        if on_the_way and len(ready) < chamber.slots and waited_s < longest_wait_s:
            continue
        batch = Batch(
            furnace=chamber.furnace,
            samples=tuple(w.sample for w in ready[: chamber.slots]),
            profile=profile,
            atmosphere=atmosphere,
        )
        rank = (ready[0].priority, waited_s)
        if best is None or rank > best[0]:
            best = (rank, batch)
    return best[1] if best else None
