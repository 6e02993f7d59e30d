"""The watch over the furnaces: the interlock that never sleeps."""

import math
from collections.abc import Callable, Mapping

from sqlalchemy import select

from alab.clock import Clock
from alab.device_states import DeviceStates
from alab.errors import DeviceError, InterlockError
from alab.interlocks import AT_REST, TimedReading, overheated, runs_on
from alab.lab import LabDefinition
from alab.models import FurnaceReading
from alab.protocols import Device, Furnace
from alab.store.store import Store
from alab.store.tables import AlarmRow, ReadingRow

OFFLINE_AFTER_MISSES = 3
RESTING_BELOW_C = 100.0
RESTING_FACTOR = 10
TRIPPED = "tripped: "


class FurnaceWatch:
    """Looks at the furnaces of one laboratory, and makes safe what is out of bounds.

    Args:
        lab: The lab definition.
        devices: Driver of each device.
        store: The lab database.
        clock: Laboratory time.
        states: What the laboratory makes of each device.
        stopped: Tells why the emergency stop is latched; empty if it is not.
    """

    def __init__(
        self,
        lab: LabDefinition,
        devices: Mapping[str, Device],
        store: Store,
        clock: Clock,
        states: DeviceStates,
        *,
        stopped: Callable[[], str],
    ) -> None:
        self._lab = lab
        self._devices = devices
        self._store = store
        self._clock = clock
        self._states = states
        self._stopped = stopped
        self._latest: dict[str, TimedReading] = {}
        self._recorded: dict[str, TimedReading] = {}
        self._misses: dict[str, int] = {}

    @property
    def latest(self) -> Mapping[str, TimedReading]:
        """The latest reading of each furnace that was looked at."""
        return self._latest

    async def read(self, name: str) -> FurnaceReading:
        """Look at a furnace now, record it, and make it safe if it is out of bounds."""
        furnace = self._devices[name]
        if not isinstance(furnace, Furnace):
            raise InterlockError(name, "is no furnace")
        stopped = self._stopped()  # before the look: one that is under way may be old
        reading = await furnace.read()
        self._states.answers_again(name)
        timed = TimedReading(reading=reading, at=self._clock.now())
        self._latest[name] = timed
        self._misses[name] = 0
        self._record(name, timed)
        if reason := overheated(name, reading, self._lab) or runs_on(reading, stopped):
            await self._trip(name, reason)
        return reading

    async def watch(self, furnace: str, period_s: float) -> None:
        """Look at a furnace for ever.

        A furnace that somebody else just looked at is not asked again, and one that stands
        idle and cold is looked at less often.
        """
        while True:
            resting = self._rests(furnace)
            await self._clock.sleep(
                period_s * (RESTING_FACTOR if resting else 1), background=True
            )
            if not resting and self._age_s(furnace) < period_s / 2:
                continue
            missed = self._misses.get(furnace, 0)
            try:
                await self.read(furnace)
            except DeviceError as error:
                self._misses[furnace] = missed + 1
                if missed + 1 == OFFLINE_AFTER_MISSES:
                    self._states.fell_silent(furnace, str(error))
                    self._states.alarm(furnace, f"does not answer any more: {error}")

    def _rests(self, furnace: str) -> bool:
        timed = self._latest.get(furnace)
        return (
            timed is not None
            and timed.reading.mode in AT_REST
            and timed.reading.temperature_c < RESTING_BELOW_C
        )

    def _age_s(self, furnace: str) -> float:
        timed = self._latest.get(furnace)
        if timed is None:
            return math.inf
        return (self._clock.now() - timed.at).total_seconds()

    async def _trip(self, furnace: str, reason: str) -> None:
        """Quarantine a furnace and make it safe at every look that finds it out of bounds.

        The alarm is raised once for as long as it is not acknowledged.
        """
        with self._store.begin() as session:
            standing = session.scalar(
                select(AlarmRow.id).where(
                    AlarmRow.device == furnace,
                    AlarmRow.text.startswith(TRIPPED),
                    AlarmRow.acknowledged_at.is_(None),
                )
            )
        self._states.quarantine(furnace, reason)
        if standing is None:
            self._states.alarm(furnace, f"{TRIPPED}{reason}; its program is reset")
        await self._devices[furnace].make_safe()

    def _record(self, name: str, timed: TimedReading) -> None:
        """Keep a point of the heating curve where it says something new."""
        last = self._recorded.get(name)
        reading = timed.reading
        if last is not None and not _is_new(last, timed):
            return
        self._recorded[name] = timed
        with self._store.begin() as session:
            session.add(
                ReadingRow(
                    device=name,
                    at=timed.at,
                    temperature_c=reading.temperature_c,
                    setpoint_c=reading.setpoint_c,
                )
            )


def _is_new(last: TimedReading, timed: TimedReading) -> bool:
    age_s = (timed.at - last.at).total_seconds()
    moved_c = abs(timed.reading.temperature_c - last.reading.temperature_c)
    changed = timed.reading.mode is not last.reading.mode
    return changed or moved_c >= 5.0 or (age_s >= 900.0 and moved_c >= 1.0) or age_s >= 3600.0
