"""Watching a furnace: while its program runs, while it cools, and when it is given up."""

from datetime import datetime
from itertools import pairwise

from prefect.artifacts import acreate_image_artifact
from sqlalchemy import select

from alab.errors import DeviceError, DeviceFault
from alab.interlocks import overheated
from alab.laboratory import Laboratory
from alab.models import FurnaceMode, FurnaceReading, Profile
from alab.store.codec import decode
from alab.store.tables import FiringRow, ReadingRow
from flows.pictures import curve, shown

OVERDUE_FACTOR = 1.5
LONGEST_COOLING_S = 48 * 3600.0
LONGEST_SILENCE_S = 600.0
"""A furnace may be silent for so long before a person is told; its program goes on."""

NEAR_C = 30.0
"""Programs wait for a furnace to come this close to a setpoint before they time its dwell."""

LEAST_SHARE = 0.9
"""Of the dwell that a profile asks for."""

ROOM_C = 25.0


async def until_done(laboratory: Laboratory, row: FiringRow) -> str:
    """Wait while the program runs; a furnace held at its panel is not finished.

    Returns:
        Why the samples were not fired as their profile says; empty if they were.

    Raises:
        DeviceFault: If the furnace is out of bounds.
    """
    profile = decode(Profile, row.profile)
    began = row.heated_from or laboratory.clock.now()
    due_s = profile.duration_s() * OVERDUE_FACTOR + 3600
    held = overdue = False
    while True:
        reading = await _look(laboratory, row)
        if reading.mode in (FurnaceMode.IDLE, FurnaceMode.COMPLETE):
            break
        if reading.mode is FurnaceMode.HOLDING and not held:
            held = True
            laboratory.gateway.states.alarm(
                row.furnace, f"firing {row.id} is held at the panel; release it"
            )
        elapsed_s = (laboratory.clock.now() - began).total_seconds()
        if elapsed_s > due_s and not overdue:
            overdue = True
            laboratory.gateway.states.alarm(
                row.furnace, f"firing {row.id} takes longer than expected"
            )
        await laboratory.clock.sleep(laboratory.watch_period_s)
    note = shortfall(profile, reading.mode, _points(laboratory, row, began))
    if note:
        laboratory.gateway.states.alarm(
            row.furnace, f"firing {row.id}: {note}; its samples are lost"
        )
    return note


async def until_cool(laboratory: Laboratory, row: FiringRow) -> None:
    """Wait for a measured temperature, not for a time."""
    limit_c = laboratory.lab.devices[row.furnace].door_limit_c
    began = laboratory.clock.now()
    warned = False
    while (reading := await _look(laboratory, row)).temperature_c > limit_c:
        waited_s = (laboratory.clock.now() - began).total_seconds()
        if waited_s > LONGEST_COOLING_S and not warned:
            warned = True
            laboratory.gateway.states.alarm(
                row.furnace,
                f"still at {reading.temperature_c:.0f} °C after {waited_s / 3600:.0f} h",
            )
        await laboratory.clock.sleep(laboratory.watch_period_s)


def shortfall(profile: Profile, ended: FurnaceMode, points: list[tuple[float, float]]) -> str:
    """Why a firing is not what its profile says; empty if it is.

    A program that has run to its end says so. What says that it is idle was reset: at its
    panel, by a power cut, or by us. A program that says it has ended is believed, unless the
    readings leave no time for its dwell: while nobody watched, it may have heated.

    Args:
        profile: What was to be run.
        ended: What the controller says at the end.
        points: Seconds and °C of the readings, from the start to now.
    """
    top_c = profile.max_temperature_c
    near_c = top_c - NEAR_C
    wanted_s = sum(s.dwell_s for s in profile.segments if s.temperature_c >= near_c)
    fastest_c_per_s = max(s.ramp_c_per_min for s in profile.segments) / 60
    seen_s, possible_s, reached = 0.0, 0.0, False
    for (from_s, from_c), (to_s, to_c) in pairwise([(0.0, ROOM_C), *points]):
        lasted_s = to_s - from_s
        seen_s += lasted_s if min(from_c, to_c) >= near_c else 0.0
        spare_s = lasted_s - max(0.0, near_c - from_c) / fastest_c_per_s
        possible_s += max(0.0, spare_s)
        reached = reached or spare_s >= 0.0 or to_c >= near_c
    if ended is FurnaceMode.COMPLETE and reached and possible_s >= LEAST_SHARE * wanted_s:
        return ""
    hottest_c = max((temperature_c for _, temperature_c in points), default=ROOM_C)
    return (
        f"the program was broken off: it was seen for {seen_s / 60:.0f} of "
        f"{wanted_s / 60:.0f} min near {top_c:.0f} °C, and at {hottest_c:.0f} °C at most"
    )


async def heating_curve(laboratory: Laboratory, row: FiringRow) -> None:
    """Show the temperature of a firing on the dashboard."""
    if row.heated_from is None:
        return
    points = _points(laboratory, row, row.heated_from)
    if not points:
        return
    hours = [at_s / 3600 for at_s, _ in points]
    await shown(
        acreate_image_artifact(
            key=f"heating-curve-firing-{row.id}",
            image_url=curve(hours, [[c for _, c in points]], x_title="time / h", y_title="°C"),
            description=f"Heating curve of {row.furnace}: {', '.join(row.slots)}",
        )
    )


async def give_up_heat(laboratory: Laboratory, furnace: str) -> str:
    """Reset the program of a furnace that is given up.

    Returns:
        How hot it is, for whoever has to reach in.
    """
    try:
        await laboratory.gateway.device(furnace).make_safe()
        reading = await laboratory.gateway.furnaces.read(furnace)
    except DeviceError as error:
        text = f"could not be made safe: {error}"
        laboratory.gateway.states.quarantine(furnace, text)
        laboratory.gateway.states.alarm(furnace, f"{text}; switch it off at its panel")
        return f"{furnace} may be heating: switch it off at its panel, and treat it as hot."
    if overheated(furnace, reading, laboratory.lab):
        return f"{furnace} is out of bounds and its reading may be wrong: treat it as hot."
    return f"{furnace} is at {reading.temperature_c:.0f} °C."


async def _look(laboratory: Laboratory, row: FiringRow) -> FurnaceReading:
    """Read a furnace that should be sound; one that is silent is waited for.

    Raises:
        DeviceFault: If it is out of bounds; the gateway has made it safe by then.
    """
    silent_from, told = laboratory.clock.now(), False
    while True:
        try:
            reading = await laboratory.gateway.furnaces.read(row.furnace)
        except DeviceError as error:
            if not error.retryable:
                raise
            silent_s = (laboratory.clock.now() - silent_from).total_seconds()
            if silent_s >= LONGEST_SILENCE_S and not told:
                told = True
                laboratory.gateway.states.alarm(
                    row.furnace,
                    f"firing {row.id} is {row.status} unwatched, without a reading for "
                    f"{silent_s / 60:.0f} min ({error}); look at the furnace and its line",
                )
            await laboratory.clock.sleep(laboratory.watch_period_s)
        else:
            break
    if reason := overheated(row.furnace, reading, laboratory.lab):
        raise DeviceFault(row.furnace, f"{reason}; its program was reset")
    return reading


def _points(
    laboratory: Laboratory, row: FiringRow, began: datetime
) -> list[tuple[float, float]]:
    """Seconds since the start and °C of every reading that was kept of a firing."""
    ended = row.ended_at or laboratory.clock.now()
    with laboratory.store.begin() as session:
        kept = session.execute(
            select(ReadingRow.at, ReadingRow.temperature_c)
            .where(
                ReadingRow.device == row.furnace,
                ReadingRow.at >= began,
                ReadingRow.at <= ended,
            )
            .order_by(ReadingRow.at)
        ).all()
    return [((at - began).total_seconds(), temperature_c) for at, temperature_c in kept]
