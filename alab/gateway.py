"""The gateway: the only one that commands devices.

For every physical command it checks the lease and the interlocks, writes an intent,
sends, and writes the outcome together with what it changed in the world. The same act is
never carried out twice: after a crash, or when a reply was lost, the device is asked.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from alab.claims import STOP, Claims, Lease
from alab.clock import Clock, Signal
from alab.commands import Command, OpenDoor, RunProgram, ShutDoor, StartFiring
from alab.device_states import DeviceStates, quarantine_note
from alab.errors import (
    DeviceError,
    DeviceUnreachable,
    InterlockError,
    MalformedReply,
    StoreError,
    UnknownOutcome,
)
from alab.furnace_watch import FurnaceWatch
from alab.intents import Effect, Intents, places_in_doubt
from alab.interlocks import Situation, refusal
from alab.lab import LabDefinition
from alab.protocols import Device, Door, Furnace
from alab.store.records import log_event, raise_alarm, read_setting, write_setting
from alab.store.store import Store
from alab.store.tables import IntentRow, SlotRow
from alab.zones import in_the_way

log = logging.getLogger(__name__)


class Gateway:
    """Commands the devices of one laboratory.

    Args:
        lab: The lab definition.
        devices: Driver of each device.
        store: The lab database.
        clock: Laboratory time.
        claims: Who may command what.
        changed: Set whenever people have changed anything; and here, when an arm may leave.

    Attributes:
        states: What the laboratory makes of each device.
        furnaces: The watch over the furnaces.
        stopped: Why the emergency stop is latched; empty if it is not.
        kept_out: What owners of a claim wait for whose arm may not enter a place yet.
    """

    def __init__(
        self,
        lab: LabDefinition,
        devices: Mapping[str, Device],
        store: Store,
        clock: Clock,
        claims: Claims,
        changed: Signal,
    ) -> None:
        self._lab = lab
        self._devices = devices
        self._store = store
        self._clock = clock
        self._claims = claims
        self._intents = Intents(store, clock)
        self._changed = changed
        self._stops = 0
        self.kept_out: dict[str, str] = {}
        self.states = DeviceStates(store, clock, claims)
        self.furnaces = FurnaceWatch(
            lab, devices, store, clock, self.states, stopped=lambda: self.stopped
        )
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
        identities, offline = await self._greet(self._devices)
        for name in self._devices:
            if name in offline:
                self.states.fell_silent(name, offline[name])
            else:
                self.states.answers(name, identities[name])
        return offline

    async def reconnect(self) -> None:
        """Try the devices that fell silent again; those that answer are ready."""
        identities, silent = await self._greet(sorted(self.states.silent))
        log.debug("still silent: %s", silent)
        for name, identity in identities.items():
            self.states.answers(name, identity)

    async def _greet(self, names: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Connect devices; while the stop is latched each is made safe at once.

        Returns:
            What each device says it is, and why for those that do not answer.
        """
        identities: dict[str, str] = {}
        silent: dict[str, str] = {}
        for name in names:
            try:
                identity = await self._devices[name].connect()
                if self.stopped:
                    await self._devices[name].make_safe()
            except DeviceError as error:
                silent[name] = str(error)
            else:
                identities[name] = identity
        return identities, silent

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
        intent = self._intents.find(key)
        if intent is not None and intent.status == "done":
            return intent.result or {}
        if not self._claims.is_valid(lease, device):
            raise InterlockError(
                device,
                f"{lease.claim.owner} holds no lease in force on it (token {lease.token})",
            )
        driver = self._devices[device]
        begun = await self._intents.recall(intent, driver, command)
        try:
            if intent is None or begun is None:
                await self._clear_to_start(command, device, lease.claim.owner)
                intent = self._intents.write(key, device, command, lease)
                begun = command
                await self._start(intent, driver, begun)
            result = await self._finish(intent, driver, begun)
            self._intents.settle(intent, "done", result=result, effect=effect)
        finally:
            if self.kept_out:
                self._changed.set()
        self.states.answers_again(device)
        return result

    def status(self, key: str) -> str | None:
        """How far an act has come, perhaps in an earlier process; None if it never began."""
        intent = self._intents.find(key)
        return None if intent is None else intent.status

    async def emergency_stop(self, reason: str, *, by: str) -> None:
        """Latch the stop, bring every device into its safe state, then write it down.

        What is being started meanwhile is made safe by :meth:`_send`, what is silent by
        :meth:`reconnect` and by the watch over the furnaces, as soon as it answers.

        Raises:
            StoreError: It was done, and will be forgotten if the laboratory is restarted.
        """
        self.stopped = f"{reason}, by {by}"
        self._stops += 1
        await self._make_safe(*self._devices)
        text = f"emergency stop: {reason}"
        try:
            with self._store.begin() as session:
                write_setting(session, STOP, self.stopped)
                raise_alarm(session, self._clock.now(), "laboratory", text)
                log_event(session, self._clock.now(), by, "laboratory", text)
        except SQLAlchemyError as error:
            raise StoreError(
                "the stop is latched and every device was told, but it could not be written "
                f"down ({error}); free the lab database, do not restart the laboratory, and "
                "stop it again"
            ) from error

    def reset_stop(self, *, by: str) -> None:
        """Release the latched stop; a person has looked."""
        with self._store.begin() as session:
            write_setting(session, STOP, "")
            log_event(session, self._clock.now(), by, "laboratory", "emergency stop reset")
        self.stopped = ""

    async def _make_safe(self, *names: str) -> None:
        """Bring devices into their safe state; one that cannot be is in quarantine.

        It also counts as silent, so that :meth:`reconnect` tries again.
        """
        safe = {
            name: self._clock.spawn(self._devices[name].make_safe(), name=f"make {name} safe")
            for name in names
        }
        await self._clock.join(*safe.values())  # all at once: a silent one delays no other
        for name, made in safe.items():
            if error := made.exception():
                self._note_unsafe(name, error)

    def _note_unsafe(self, name: str, error: BaseException) -> None:
        log.error("%s could not be made safe: %s", name, error)
        try:
            self.states.fell_silent(name, str(error))
            self.states.quarantine(name, f"could not be made safe: {error}")
            self.states.alarm(
                name,
                f"could not be made safe ({error}); it is tried again while the stop is "
                "latched, but do not wait: switch it off",
            )
        except SQLAlchemyError:
            log.exception("and that could not be written down")

    # ---- the way of a command --------------------------------------------------

    async def _clear_to_start(self, command: Command[Any], device: str, owner: str) -> None:
        """Check the interlocks, again whenever another arm was in the way and has left.

        Nothing is awaited between the last look and the intent, which keeps others out.
        """
        try:
            while True:
                await self._check(command, device)
                with self._store.begin() as session:
                    waits_for = in_the_way(session, self._lab, device, _slots_of(command))
                if waits_for is None:
                    return
                self.kept_out[owner] = waits_for
                await self._changed.wait()
        finally:
            self.kept_out.pop(owner, None)

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
                await self.furnaces.read(furnace)
        doors = {d for f in furnaces if (d := self._lab.devices[f].door)}
        states = {}
        for name in sorted(doors):
            door = self._devices[name]
            if isinstance(door, Door):
                states[name] = await door.state()
        with self._store.begin() as session:
            named = SlotRow.slot.in_([*slots, device])  # a gripper is named like its arm
            rows = session.scalars(select(SlotRow).where(named)).all()
            unknown = {row.slot for row in rows if row.unknown}
            unknown |= places_in_doubt(session)
            quarantined = quarantine_note(session, device)
        return Situation(
            lab=self._lab,
            now=self._clock.now(),
            stopped=self.stopped,
            readings=self.furnaces.latest,
            doors=states,
            occupied={row.slot: row.sample for row in rows},
            unknown=frozenset(unknown),
            quarantined=quarantined,
        )

    def _furnace_at(self, slot: str) -> str | None:
        place = self._lab.places.get(self._lab.place_of(slot))
        device = place.device if place else None
        return device if device and isinstance(self._devices[device], Furnace) else None

    async def _start(self, intent: IntentRow, driver: Device, command: Command[Any]) -> None:
        """Send; if the reply was lost, ask the device instead of sending again."""
        try:
            await self._send(intent.device, driver, command)
        except (UnknownOutcome, MalformedReply) as error:
            if not await self._ask_device(driver, command):
                raise self._intents.leave_open(intent, str(error)) from error
            log.warning("%s: reply lost, but it had started: %s", intent.key, error)
        except DeviceError as error:
            self._intents.settle(intent, "not_started", error=str(error))
            self.states.failed(intent.device, error)
            raise
        self._intents.settle(intent, "running")

    async def _send(self, device: str, driver: Device, command: Command[Any]) -> None:
        """Send, and make the device safe again if the stop came before it was sent whole.

        A start takes a while (writing a program, loading another), and its last bytes may
        go out after the stop has passed. The stops are counted, as one may have been reset
        by then.
        """
        stops = self._stops
        try:
            await command.start(driver)
        finally:
            if self._stops != stops:
                await self._make_safe(device)
        if self._stops != stops:
            raise UnknownOutcome(
                device, f"was being told to {command.word} when it was stopped"
            )

    async def _finish(
        self, intent: IntentRow, driver: Device, command: Command[Any]
    ) -> dict[str, Any]:
        """Wait for the end; a lost link leaves the act running, to be re-attached to.

        An arm that fails half-way may have its crucible anywhere, and what stands still
        after a power cut may have done nothing: the operator is asked, and believed.
        """
        try:
            return await command.finish(driver)
        except DeviceError as error:
            cannot_tell = isinstance(error, UnknownOutcome)
            if cannot_tell and intent.status == "unknown":
                return {}  # that it was done is the operator's word
            self.states.failed(intent.device, error)
            if error.retryable:
                raise
            if cannot_tell or isinstance(command, RunProgram):
                raise self._intents.leave_open(intent, str(error)) from error
            self._intents.settle(intent, "failed", error=str(error))
            raise

    async def _ask_device(self, driver: Device, command: Command[Any]) -> bool:
        try:
            return bool(await command.was_started(driver))
        except DeviceUnreachable:
            return False


def _slots_of(command: Command[Any]) -> list[str]:
    if not isinstance(command, RunProgram):
        return []
    return [s for s in (command.takes_from, command.puts_into, command.reaches_into) if s]
