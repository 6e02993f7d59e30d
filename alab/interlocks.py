"""Interlocks: what the gateway refuses, whoever asks.

They are level-triggered: each looks at what is true now, not at what happened. They are
no safety function (that is the furnace's own limiter, in hardware); they keep a mistake in
a recipe, a flow or a driver from becoming one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from alab.commands import Command, OpenDoor, RunProgram, ShutDoor, StartFiring
from alab.lab import LabDefinition
from alab.models import DoorState, FurnaceMode, FurnaceReading

STALE_AFTER_S = 120.0
"""A reading older than this says nothing about the present."""

AT_REST = (FurnaceMode.IDLE, FurnaceMode.COMPLETE)
"""Modes of a furnace that does not heat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedReading:
    """A furnace reading and when it was taken."""

    reading: FurnaceReading
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is true now, as far as an interlock needs it.

    Attributes:
        lab: The lab definition.
        now: Laboratory time.
        stopped: Why the emergency stop is latched; empty if it is not.
        readings: Latest reading of each furnace.
        doors: State of each door that matters.
        occupied: Sample in each slot that matters; None for an empty slot.
        unknown: Slots of which nobody knows what stands there.
        quarantined: Why the device is in quarantine; empty if it is not.
    """

    lab: LabDefinition
    now: datetime
    stopped: str
    readings: Mapping[str, TimedReading]
    doors: Mapping[str, DoorState]
    occupied: Mapping[str, str | None]
    unknown: frozenset[str]
    quarantined: str = ""


def refusal(command: Command, device: str, situation: Situation) -> str | None:
    """Why ``command`` must not be sent to ``device`` now; None if it may."""
    if situation.stopped:
        return (
            f"the emergency stop is latched ({situation.stopped}); look at the laboratory, "
            "then 'alab device reset-stop'"
        )
    if situation.quarantined and not isinstance(command, ShutDoor):
        return f"it is quarantined ({situation.quarantined}); look at it, then declare it ready"
    match command:
        case StartFiring():
            return _firing(command, device, situation)
        case OpenDoor():
            return _opening(device, situation)
        case ShutDoor():
            return None
        case RunProgram():
            return _moving(command, device, situation)
        case _:
            return None


def overheated(device: str, reading: FurnaceReading, lab: LabDefinition) -> str | None:
    """Why a furnace must be made safe now; None if it is within its envelope."""
    if not math.isfinite(reading.temperature_c):
        return f"its sensor gives {reading.temperature_c} °C, which is no temperature"
    limit_c = (lab.devices[device].max_temperature_c or 0.0) + OVERSHOOT_C
    if reading.temperature_c > limit_c:
        return (
            f"{reading.temperature_c:.0f} °C is above {limit_c:.0f} °C "
            f"(limit and {OVERSHOOT_C:.0f} °C of overshoot)"
        )
    if reading.mode is FurnaceMode.FAULT:
        return "the controller reports a fault (sensor break or latched alarm)"
    return None


def runs_on(reading: FurnaceReading, stopped: str) -> str | None:
    """Why a furnace must be made safe while the emergency stop is latched, if it must."""
    if stopped and reading.mode not in AT_REST:
        return f"its program is {reading.mode} and the emergency stop is latched ({stopped})"
    return None


OVERSHOOT_C = 15.0


def _firing(command: StartFiring, device: str, situation: Situation) -> str | None:
    definition = situation.lab.devices[device]
    profile = command.profile
    limit_c = definition.max_temperature_c or 0.0
    if profile.max_temperature_c > limit_c:
        return (
            f"{profile.max_temperature_c:.0f} °C is above its limit of {limit_c:.0f} °C; "
            "lower the recipe or use another furnace"
        )
    fastest = max(segment.ramp_c_per_min for segment in profile.segments)
    if fastest > definition.max_ramp_c_per_min:
        return (
            f"a ramp of {fastest:g} °C/min is above its limit of "
            f"{definition.max_ramp_c_per_min:g} °C/min"
        )
    if command.atmosphere not in definition.atmospheres:
        return f"it has no {command.atmosphere}; it offers {', '.join(definition.atmospheres)}"
    if definition.door and situation.doors.get(definition.door) is not DoorState.CLOSED:
        return f"{definition.door} is {situation.doors.get(definition.door)}, not closed"
    return _stale(device, situation) or _busy(device, situation)


def _opening(door: str, situation: Situation) -> str | None:
    for furnace, definition in situation.lab.devices.items():
        if definition.door == door:
            return _stale(furnace, situation) or _hot(furnace, situation)
    return None


def _moving(command: RunProgram, arm: str, situation: Situation) -> str | None:
    touched = [s for s in (command.takes_from, command.puts_into, command.reaches_into) if s]
    for slot in touched:
        if slot not in situation.occupied:
            return f"there is no slot {slot} in this laboratory; see its lab file"
    for slot in (arm, *touched):
        if slot in situation.unknown:
            return f"nobody knows what stands in {slot}; answer 'alab questions' first"
        if slot != arm and (chamber := _furnace_of(slot, situation)):
            door = situation.lab.devices[chamber].door
            if door and situation.doors.get(door) is not DoorState.OPEN:
                return f"{door} is {situation.doors.get(door)}: an arm needs it open"
            if reason := _stale(chamber, situation) or _hot(chamber, situation):
                return reason
    gripped = situation.occupied.get(arm)
    if command.takes_from and gripped is not None:
        return f"its gripper still holds {gripped}"
    if command.puts_into and gripped is None:
        return "its gripper is empty"
    dispenser = situation.lab.crucible_dispenser
    source, goal = command.takes_from, command.puts_into
    if source and source != dispenser and situation.occupied.get(source) is None:
        return f"{source} is empty"
    if goal and (resident := situation.occupied.get(goal)) is not None:
        return f"{goal} is occupied by {resident}"
    return None


def _furnace_of(slot: str, situation: Situation) -> str | None:
    device = situation.lab.places[situation.lab.place_of(slot)].device
    if device and situation.lab.devices[device].max_temperature_c is not None:
        return device
    return None


def _busy(furnace: str, situation: Situation) -> str | None:
    mode = situation.readings[furnace].reading.mode
    if mode in AT_REST:
        return None
    return f"its controller is {mode}: a program may only start where none is under way"


def _stale(furnace: str, situation: Situation) -> str | None:
    timed = situation.readings.get(furnace)
    if timed is None:
        return f"no temperature of {furnace} is known"
    age_s = (situation.now - timed.at).total_seconds()
    if age_s > STALE_AFTER_S:
        return f"the temperature of {furnace} is {age_s:.0f} s old, over {STALE_AFTER_S:.0f} s"
    return None


def _hot(furnace: str, situation: Situation) -> str | None:
    reading = situation.readings[furnace].reading
    if reason := overheated(furnace, reading, situation.lab):
        return f"{furnace} cannot be believed to be cool: {reason}"
    limit_c = situation.lab.devices[furnace].door_limit_c
    found_c = reading.temperature_c
    if found_c > limit_c:
        return (
            f"{furnace} is at {found_c:.0f} °C, above its door limit of {limit_c:.0f} °C; "
            "wait until it has cooled"
        )
    return None
