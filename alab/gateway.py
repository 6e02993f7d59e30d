"""The gateway: the only one that commands devices.

For every physical command it checks the lease and the interlocks, writes an intent,
sends, and writes the outcome together with what it changed in the world. An intent has a
key that names the act (``BaTiO3-1/prepare/1/dose BaCO3``); the same key is never carried
out twice. After a crash, or when a reply was lost, the device is asked; what it cannot
tell becomes a question to the operator.
"""

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from alab.claims import Claims, Lease
from alab.clock import Clock
from alab.commands import Command, OpenDoor, RunProgram, ShutDoor, StartFiring
from alab.errors import (
    DeviceError,
    DeviceFault,
    DeviceUnreachable,
    InterlockError,
    MalformedReply,
    UnknownOutcome,
)
from alab.interlocks import Situation, TimedReading, overheated, refusal
from alab.lab import LabDefinition
from alab.models import FurnaceMode, FurnaceReading
from alab.protocols import Device, Door, Furnace
from alab.store.codec import decode
from alab.store.records import (
    ask,
    log_event,
    raise_alarm,
    read_setting,
    set_device_state,
    write_setting,
)
from alab.store.store import Store
from alab.store.tables import AlarmRow, DeviceRow, IntentRow, QuestionRow, ReadingRow, SlotRow

log = logging.getLogger(__name__)

Effect = Callable[[Session, dict[str, Any]], None]
"""What a finished command changed in the world, written with its outcome."""

DONE, NOT_DONE = "it was done", "it was not done"
OFFLINE_AFTER_MISSES = 3
RESTING_BELOW_C = 100.0
RESTING_FACTOR = 10
STOP = "emergency_stop"
TRIPPED = "tripped: "
ANSWERS = [DONE, NOT_DONE, "discard the sample"]


class Gateway:
    """Commands and watches the devices of one laboratory.

    Args:
        lab: The lab definition.
        devices: Driver of each device.
        store: The lab database.
        clock: Laboratory time.
        claims: Who may command what.
    """

    def __init__(
        self,
        lab: LabDefinition,
        devices: Mapping[str, Device],
        store: Store,
        clock: Clock,
        claims: Claims,
    ) -> None:
        self._lab = lab
        self._devices = devices
        self._store = store
        self._clock = clock
        self._claims = claims
        self._readings: dict[str, TimedReading] = {}
        self._recorded: dict[str, TimedReading] = {}
        self._misses: dict[str, int] = {}
        self._silent: set[str] = set()
        with store.begin() as session:
            self.stopped = read_setting(session, STOP) or ""

    def device(self, name: str) -> Device:
        """The driver of a device, for asking; commands go through :meth:`perform`."""
        return self._devices[name]

    async def connect(self) -> dict[str, str]:
        """Connect every device; one that does not answer is offline, not fatal.

        Returns:
            Why, for each device that is offline.
        """
        offline: dict[str, str] = {}
        for name, device in self._devices.items():
            try:
                identity = await device.connect()
            except DeviceError as error:
                offline[name] = str(error)
                self._silent.add(name)
                self._set_state(name, "offline", note=str(error))
            else:
                self._answers(name, identity)
        return offline

    async def reconnect(self) -> None:
        """Try the devices that fell silent again; those that answer are ready."""
        for name in sorted(self._silent):
            try:
                identity = await self._devices[name].connect()
            except DeviceError as error:
                log.debug("%s is still silent: %s", name, error)
            else:
                self._answers(name, identity)

    @property
    def silent(self) -> frozenset[str]:
        """Devices that did not answer when last asked."""
        return frozenset(self._silent)

    async def close(self) -> None:
        """Release every line."""
        for device in self._devices.values():
            await device.close()

    async def perform(
        self,
        key: str,
        device: str,
        command: Command[Any],
        *,
        lease: Lease,
        effect: Effect | None = None,
    ) -> dict[str, Any]:
        """Carry a command out, once.

        Called again with the same key it returns the recorded result, or re-attaches to
        what is under way; it never repeats the physical act.

        Args:
            key: Name of the act, unique for ever.
            device: Device to command.
            command: What to do.
            lease: A lease in force that covers the device.
            effect: Bookkeeping to commit together with the outcome.

        Raises:
            InterlockError: Refused before anything was sent.
            UnknownOutcome: Nobody can tell whether it ran; the operator is asked.
            DeviceError: Whatever the device said.
        """
        intent = self._find(key)
        if intent is not None and intent.status == "done":
            return intent.result or {}
        if not self._claims.is_valid(lease, device):
            raise InterlockError(
                device,
                f"{lease.claim.owner} holds no lease in force on it (token {lease.token})",
            )
        driver = self._devices[device]
        begun = await self._recall(intent, driver, command)
        if intent is None or begun is None:
            await self._check(command, device)
            intent = self._write(key, device, command, lease)
            begun = command
            await self._start(intent, driver, begun)
        result = await self._finish(intent, driver, begun)
        self._settle(intent, "done", result=result, effect=effect)
        if device in self._silent:
            self._answers(device)
        return result

    def status(self, key: str) -> str | None:
        """How far an act has come, perhaps in an earlier process; None if it never began."""
        intent = self._find(key)
        return None if intent is None else intent.status

    async def read_furnace(self, name: str) -> FurnaceReading:
        """Look at a furnace now, record it, and make it safe if it is out of bounds."""
        furnace = self._devices[name]
        if not isinstance(furnace, Furnace):
            raise InterlockError(name, "is no furnace")
        reading = await furnace.read()
        if name in self._silent:
            self._answers(name)
        timed = TimedReading(reading=reading, at=self._clock.now())
        self._readings[name] = timed
        self._misses[name] = 0
        self._record(name, timed)
        if reason := overheated(name, reading, self._lab):
            await self._trip(name, reason)
        return reading

    def latest(self, furnace: str) -> TimedReading | None:
        """The latest reading of a furnace, None before the first."""
        return self._readings.get(furnace)

    async def watch(self, furnace: str, period_s: float) -> None:
        """Look at a furnace for ever: the interlock that never sleeps.

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
                await self.read_furnace(furnace)
            except DeviceError as error:
                self._misses[furnace] = missed + 1
                if missed + 1 == OFFLINE_AFTER_MISSES:
                    self._silent.add(furnace)
                    self._set_state(furnace, "offline", note=str(error))
                    self._alarm(furnace, f"does not answer any more: {error}")

    def _rests(self, furnace: str) -> bool:
        timed = self._readings.get(furnace)
        return (
            timed is not None
            and timed.reading.mode in (FurnaceMode.IDLE, FurnaceMode.COMPLETE)
            and timed.reading.temperature_c < RESTING_BELOW_C
        )

    def _age_s(self, furnace: str) -> float:
        timed = self._readings.get(furnace)
        if timed is None:
            return math.inf
        return (self._clock.now() - timed.at).total_seconds()

    async def emergency_stop(self, reason: str, *, by: str) -> None:
        """Latch the stop and bring every device into its safe state."""
        self.stopped = f"{reason}, by {by}"
        with self._store.begin() as session:
            write_setting(session, STOP, self.stopped)
            raise_alarm(session, self._clock.now(), "laboratory", f"emergency stop: {reason}")
            log_event(session, self._clock.now(), by, "laboratory", f"emergency stop: {reason}")
        safe = {
            name: self._clock.spawn(device.make_safe(), name=f"make {name} safe")
            for name, device in self._devices.items()
        }
        await self._clock.join(*safe.values())  # all at once: a silent one delays no other
        for name, made in safe.items():
            if error := made.exception():
                self._set_state(name, "quarantined", note=f"could not be made safe: {error}")

    def reset_stop(self, *, by: str) -> None:
        """Release the latched stop; a person has looked."""
        self.stopped = ""
        with self._store.begin() as session:
            write_setting(session, STOP, "")
            log_event(session, self._clock.now(), by, "laboratory", "emergency stop reset")

    def set_device(self, name: str, state: str, note: str, *, by: str) -> None:
        """An operator's word on a device: ``ready`` or ``quarantined``."""
        with self._store.begin() as session:
            log_event(session, self._clock.now(), by, name, f"{state}: {note}")
        self._set_state(name, state, note=note)

    # ---- the life of an intent -------------------------------------------------

    async def _check(self, command: Command[Any], device: str) -> None:
        if reason := refusal(command, device, await self._situation(command, device)):
            raise InterlockError(device, f"refused to {command.word}: {reason}")

    async def _situation(self, command: Command[Any], device: str) -> Situation:
        """Look at what the interlocks of this command need, freshly."""
        slots = _slots_of(command)
        furnaces = {f for slot in slots if (f := self._furnace_at(slot))}
        if isinstance(command, StartFiring):
            furnaces.add(device)
        if isinstance(command, OpenDoor):
            furnaces |= {n for n, d in self._lab.devices.items() if d.door == device}
        if not isinstance(command, ShutDoor):
            for furnace in sorted(furnaces):
                await self.read_furnace(furnace)
        doors = {d for f in furnaces if (d := self._lab.devices[f].door)}
        states = {}
        for name in sorted(doors):
            door = self._devices[name]
            if isinstance(door, Door):
                states[name] = await door.state()
        with self._store.begin() as session:
            named = SlotRow.slot.in_([*slots, device])  # a gripper is named like its arm
            rows = session.scalars(select(SlotRow).where(named)).all()
            quarantine = session.scalar(
                select(DeviceRow.note).where(
                    DeviceRow.name == device, DeviceRow.state == "quarantined"
                )
            )
        return Situation(
            lab=self._lab,
            now=self._clock.now(),
            stopped=self.stopped,
            readings=self._readings,
            doors=states,
            occupied={row.slot: row.sample for row in rows},
            unknown=frozenset(row.slot for row in rows if row.unknown),
            quarantined="" if quarantine is None else quarantine or "no reason given",
        )

    def _furnace_at(self, slot: str) -> str | None:
        place = self._lab.places.get(self._lab.place_of(slot))
        device = place.device if place else None
        return device if device and isinstance(self._devices[device], Furnace) else None

    def _write(self, key: str, device: str, command: Command[Any], lease: Lease) -> IntentRow:
        with self._store.begin() as session:
            intent = session.scalar(select(IntentRow).where(IntentRow.key == key))
            if intent is None:
                intent = IntentRow(key=key)
                session.add(intent)
            intent.device = device
            intent.command = command.word
            intent.arguments = command.arguments
            intent.owner = lease.claim.owner
            intent.status = "pending"
            intent.issued_at = self._clock.now()
            intent.settled_at = intent.result = None
            intent.error = ""
        return intent

    async def _start(self, intent: IntentRow, driver: Device, command: Command[Any]) -> None:
        """Send; if the reply was lost, ask the device instead of sending again."""
        try:
            await command.start(driver)
        except (UnknownOutcome, MalformedReply) as error:
            if not await self._ask_device(driver, command):
                self._settle(intent, "unknown", error=str(error))
                self._ask(intent)
                raise UnknownOutcome(intent.device, _question(intent)) from error
            log.warning("%s: reply lost, but it had started: %s", intent.key, error)
        except DeviceError as error:
            self._settle(intent, "not_started", error=str(error))
            self._note_failure(intent.device, error)
            raise
        self._settle(intent, "running")

    async def _finish(
        self, intent: IntentRow, driver: Device, command: Command[Any]
    ) -> dict[str, Any]:
        """Wait for the end; a lost link leaves the act running, to be re-attached to."""
        try:
            return await command.finish(driver)
        except DeviceError as error:
            if not error.retryable:
                self._settle(intent, "failed", error=str(error))
            self._note_failure(intent.device, error)
            raise

    async def _recall(
        self, intent: IntentRow | None, driver: Device, command: Command[Any]
    ) -> Command[Any] | None:
        """The command of an earlier run that is under way or done; None if none is.

        It comes back as it was first written: what an act did is measured against the
        mass before it, not against what is on the pan by now.
        """
        if intent is None or intent.status == "not_started" or command.restatable:
            return None
        first = decode(type(command), intent.arguments)
        if intent.status == "running":
            return first
        if intent.status == "unknown":
            answer = self._answer(intent)
            if answer is None:
                raise UnknownOutcome(intent.device, _question(intent))
            if answer == NOT_DONE:
                return None
            if answer == DONE:
                return first
            self._settle(intent, "failed", error="discarded by the operator")
            raise DeviceFault(intent.device, f"{intent.key}: discarded by the operator")
        if intent.status == "failed":
            raise DeviceFault(intent.device, f"{intent.key} failed before: {intent.error}")
        started = await first.was_started(driver)
        if started is None:
            self._settle(intent, "unknown", error="found after a restart")
            self._ask(intent)
            raise UnknownOutcome(intent.device, _question(intent))
        if started:
            self._settle(intent, "running")
        return first if started else None

    async def _ask_device(self, driver: Device, command: Command[Any]) -> bool:
        try:
            return bool(await command.was_started(driver))
        except DeviceUnreachable:
            return False

    def _settle(
        self,
        intent: IntentRow,
        status: str,
        *,
        result: dict[str, Any] | None = None,
        effect: Effect | None = None,
        error: str = "",
    ) -> None:
        with self._store.begin() as session:
            row = session.get_one(IntentRow, intent.id)
            row.status = status
            row.error = error
            if status != "running":
                row.settled_at = self._clock.now()
            if result is not None:
                row.result = {k: v for k, v in result.items() if k != "content"}
                if effect is not None:
                    effect(session, result)
        intent.status = status

    def _find(self, key: str) -> IntentRow | None:
        with self._store.begin() as session:
            return session.scalar(select(IntentRow).where(IntentRow.key == key))

    # ---- people ----------------------------------------------------------------

    def _ask(self, intent: IntentRow) -> None:
        with self._store.begin() as session:
            ask(session, self._clock.now(), intent.key, _question(intent), ANSWERS)

    def _answer(self, intent: IntentRow) -> str | None:
        """The answer to the latest question about an act; older ones are used up."""
        with self._store.begin() as session:
            return session.scalar(
                select(QuestionRow.answer)
                .where(QuestionRow.subject == intent.key)
                .order_by(QuestionRow.id.desc())
                .limit(1)
            )

    def _alarm(self, device: str, text: str) -> None:
        with self._store.begin() as session:
            raise_alarm(session, self._clock.now(), device, text)

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
        self._set_state(furnace, "quarantined", note=reason)
        if standing is None:
            self._alarm(furnace, f"{TRIPPED}{reason}; its program is reset")
        await self._devices[furnace].make_safe()

    def _note_failure(self, device: str, error: DeviceError) -> None:
        """A silent device is offline, a faulty one quarantined; a refusal changes nothing."""
        if isinstance(error, DeviceUnreachable):
            self._silent.add(device)
            self._set_state(device, "offline", note=str(error))
        elif isinstance(error, DeviceFault):
            self._set_state(device, "quarantined", note=str(error))
            self._alarm(device, str(error))

    def _set_state(self, name: str, state: str, *, note: str = "", identity: str = "") -> None:
        with self._store.begin() as session:
            set_device_state(
                session, self._clock.now(), name, state, note=note, identity=identity
            )
        self._claims.grant()

    def _answers(self, name: str, identity: str = "") -> None:
        """A device that answers is ready; only people lift a quarantine."""
        self._silent.discard(name)
        with self._store.begin() as session:
            row = session.get(DeviceRow, name)
            quarantined = row is not None and row.state == "quarantined"
        if not quarantined:
            self._set_state(name, "ready", identity=identity)

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


def _slots_of(command: Command[Any]) -> list[str]:
    if not isinstance(command, RunProgram):
        return []
    return [s for s in (command.takes_from, command.puts_into, command.reaches_into) if s]


def _question(intent: IntentRow) -> str:
    at = f"{intent.issued_at:%Y-%m-%d %H:%M:%S}"
    return (
        f"{intent.device} was told at {at} to {intent.command} {intent.arguments} for "
        f"{intent.owner}, and nobody knows whether it did. Please look."
    )
