"""The watch over the furnaces: the interlock that never sleeps."""

import logging
import math
from collections.abc import Callable, Mapping

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from alab.clock import Clock
from alab.device_states import DeviceStates
from alab.errors import DeviceError, DeviceFault, DeviceUnreachable, InterlockError
from alab.interlocks import AT_REST, TimedReading, overheated, runs_on
from alab.lab import LabDefinition
from alab.models import FurnaceReading
from alab.protocols import Device, Furnace
from alab.store.store import Store
from alab.store.tables import AlarmRow, ReadingRow

log = logging.getLogger(__name__)

LOOKS_IN_VAIN = 3
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
        self._tripped: dict[str, str] = {}

    @property
    def latest(self) -> Mapping[str, TimedReading]:
        """The latest reading of each furnace that was looked at."""
        return self._latest

    async def read(self, name: str) -> FurnaceReading:
        """Look at a furnace now, make it safe if it is out of bounds, and record it.

        Raises:
            DeviceFault: If it says itself that it cannot be believed; it is made safe by then.
        """
        furnace = self._devices[name]
        if not isinstance(furnace, Furnace):
            raise InterlockError(name, "is no furnace")
        stopped = self._stopped()  # before the look: one that is under way may be old
        try:
            reading = await furnace.read()
        except DeviceFault as error:
            await self._trip(name, str(error))
            raise
        timed = TimedReading(reading=reading, at=self._clock.now())
        self._latest[name] = timed
        self._misses[name] = 0
        try:
            if reason := overheated(name, reading, self._lab) or runs_on(reading, stopped):
                await self._trip(name, reason)
        finally:
            self._write_down(name, timed)
        return reading

    async def watch(self, furnace: str, period_s: float) -> None:
        """Look at a furnace for ever, whatever goes wrong.

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
            try:
                await self._look(furnace)
            except Exception:
                log.exception("the watch over %s goes on", furnace)

    async def _look(self, furnace: str) -> None:
        """Read a furnace; one that is read in vain three times in a row is taken off.

        If it is not silent, but nothing that it says makes sense, it is made safe as well.
        """
        missed = self._misses.get(furnace, 0) + 1
        try:
            await self.read(furnace)
        except DeviceFault as error:
            log.warning("%s was made safe: %s", furnace, error)
        except DeviceUnreachable as error:
            if missed == LOOKS_IN_VAIN:
                self._states.fell_silent(furnace, str(error))
                self._states.alarm(furnace, f"does not answer any more: {error}")
            self._misses[furnace] = missed  # last: what could not be told is told next time
        except Exception as error:
            log.exception("look %d at %s in vain", missed, furnace)
            self._misses[furnace] = missed
            if missed >= LOOKS_IN_VAIN:
                await self._trip(furnace, f"nothing it says can be believed: {error}")

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
        """Make a furnace safe and quarantine it, at every look that finds it out of bounds."""
        self._tripped[furnace] = f"{reason}; it could not be made safe, switch it off"
        try:
            await self._devices[furnace].make_safe()
            self._tripped[furnace] = f"{reason}; its program is reset"
        except DeviceError as error:  # why it was tripped matters more to whoever reads
            log.warning("%s could not be made safe: %s", furnace, error)
        finally:
            self._write_down(furnace)

    def _write_down(self, furnace: str, timed: TimedReading | None = None) -> None:
        """Write what was found and done; a trip that cannot be written is kept for later."""
        try:
            self._write_trip(furnace)
            if timed is not None:
                self._states.answers_again(furnace)
                self._record(furnace, timed)
        except SQLAlchemyError:
            log.exception("a look at %s could not be written down", furnace)

    def _write_trip(self, furnace: str) -> None:
        """The alarm is raised once for as long as it is not acknowledged."""
        if furnace not in self._tripped:
            return
        with self._store.begin() as session:
            standing = session.scalar(
                select(AlarmRow.id).where(
                    AlarmRow.device == furnace,
                    AlarmRow.text.startswith(TRIPPED),
                    AlarmRow.acknowledged_at.is_(None),
                )
            )
        self._states.quarantine(furnace, self._tripped[furnace])
        if standing is None:
            self._states.alarm(furnace, f"{TRIPPED}{self._tripped[furnace]}")
        del self._tripped[furnace]

    def _record(self, name: str, timed: TimedReading) -> None:
        """Keep a point of the heating curve where it says something new."""
        last = self._recorded.get(name)
        reading = timed.reading
        if last is not None and not _is_new(last, timed):
            return
        with self._store.begin() as session:
            session.add(
                ReadingRow(
                    device=name,
                    at=timed.at,
                    temperature_c=reading.temperature_c,
                    setpoint_c=reading.setpoint_c,
                )
            )
        self._recorded[name] = timed


def _is_new(last: TimedReading, timed: TimedReading) -> bool:
    age_s = (timed.at - last.at).total_seconds()
    moved_c = abs(timed.reading.temperature_c - last.reading.temperature_c)
    changed = timed.reading.mode is not last.reading.mode
    return changed or moved_c >= 5.0 or (age_s >= 900.0 and moved_c >= 1.0) or age_s >= 3600.0
