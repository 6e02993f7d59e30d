"""Interlocks look at what is true now, and at how old it is."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alab.commands import Mix, OpenDoor, RunProgram, ShutDoor, StartFiring
from alab.interlocks import STALE_AFTER_S, Situation, TimedReading, overheated, refusal
from alab.lab import LabDefinition
from alab.models import Atmosphere, DoorState, FurnaceMode, FurnaceReading, Profile, Segment

NOW = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
FIRE = StartFiring(
    profile=Profile(segments=(Segment(ramp_c_per_min=5, temperature_c=1100, dwell_s=60),)),
    atmosphere=Atmosphere.O2,
)
INTO_CHAMBER = RunProgram(program="place_chamber_1.urp", puts_into="chamber.1")


def reading(
    temperature_c: float = 25.0, mode: FurnaceMode = FurnaceMode.IDLE
) -> FurnaceReading:
    return FurnaceReading(temperature_c=temperature_c, setpoint_c=None, mode=mode)


def situation(lab: LabDefinition, age_s: float = 0.0, **changes: Any) -> Situation:
    timed = TimedReading(reading=reading(), at=NOW - timedelta(seconds=age_s))
    usual: dict[str, Any] = {
        "lab": lab,
        "now": NOW,
        "stopped": "",
        "readings": {"furnace": timed},
        "doors": {"door": DoorState.CLOSED},
        "occupied": {"arm": "s", "chamber.1": None},
        "unknown": frozenset(),
    }
    return Situation(**usual | changes)


def test_nothing_is_refused_that_is_in_order(small_lab: LabDefinition) -> None:
    assert refusal(FIRE, "furnace", situation(small_lab)) is None
    assert refusal(OpenDoor(), "door", situation(small_lab)) is None
    is_open = situation(small_lab, doors={"door": DoorState.OPEN})
    assert refusal(INTO_CHAMBER, "arm", is_open) is None
    assert refusal(Mix(speed_rpm=1.0, duration_s=1.0), "mixer", situation(small_lab)) is None


@pytest.mark.parametrize(
    ("device", "command"), [("furnace", FIRE), ("door", OpenDoor()), ("arm", INTO_CHAMBER)]
)
def test_stale_temperature_refuses(small_lab: LabDefinition, device: str, command: Any) -> None:
    doors = {"door": DoorState.OPEN if device == "arm" else DoorState.CLOSED}
    fresh = situation(small_lab, STALE_AFTER_S, doors=doors)
    assert refusal(command, device, fresh) is None
    stale = situation(small_lab, STALE_AFTER_S + 1, doors=doors)
    assert "121 s old, over 120 s" in (refusal(command, device, stale) or "")
    never = situation(small_lab, readings={}, doors=doors)
    assert "no temperature of furnace is known" in (refusal(command, device, never) or "")


def test_shutting_a_door_is_refused_by_the_emergency_stop_only(
    small_lab: LabDefinition,
) -> None:
    odd = situation(small_lab, readings={}, quarantined="it squeaks")
    assert refusal(ShutDoor(), "door", odd) is None
    assert refusal(ShutDoor(), "door", situation(small_lab, stopped="smoke")) is not None


@pytest.mark.parametrize("found", [reading(20.0, FurnaceMode.FAULT), reading(math.nan)])
@pytest.mark.parametrize(("device", "command"), [("door", OpenDoor()), ("arm", INTO_CHAMBER)])
def test_furnace_that_cannot_be_believed_is_not_opened_however_cold_it_looks(
    small_lab: LabDefinition, device: str, command: Any, found: FurnaceReading
) -> None:
    now = situation(
        small_lab,
        readings={"furnace": TimedReading(reading=found, at=NOW)},
        doors={"door": DoorState.OPEN},
    )
    assert "furnace cannot be believed to be cool" in (refusal(command, device, now) or "")


@pytest.mark.parametrize("mode", list(FurnaceMode))
def test_program_starts_only_where_none_is_under_way(
    small_lab: LabDefinition, mode: FurnaceMode
) -> None:
    timed = TimedReading(reading=reading(mode=mode), at=NOW)
    refused = refusal(FIRE, "furnace", situation(small_lab, readings={"furnace": timed}))
    assert (refused is None) == (mode in (FurnaceMode.IDLE, FurnaceMode.COMPLETE))


@pytest.mark.parametrize(
    ("found", "hot"),
    [
        (reading(1100.0, FurnaceMode.RUNNING), False),
        (reading(1115.0, FurnaceMode.RUNNING), False),
        (reading(1115.1, FurnaceMode.RUNNING), True),
        (reading(25.0, FurnaceMode.FAULT), True),
        (reading(math.nan), True),
        (reading(-math.inf), True),
    ],
)
def test_overheated_is_above_limit_and_overshoot(
    small_lab: LabDefinition, found: FurnaceReading, hot: bool
) -> None:
    assert (overheated("furnace", found, small_lab) is not None) is hot
