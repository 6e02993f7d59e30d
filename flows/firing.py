"""Firing: gather samples into batches, load, heat, cool, unload.

The dispatcher serves the whole laboratory: samples of any campaign that want the same
profile share a furnace.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache, partial

from prefect import flow
from sqlalchemy import select

from alab.batching import Chamber, FiringWish, next_batch
from alab.claims import ACTIVE_FIRING, Claim, Lease
from alab.commands import OpenDoor, ShutDoor, StartFiring
from alab.duties import kept_up
from alab.errors import AlabError, DeviceError, UnknownOutcome
from alab.lab import Capability
from alab.laboratory import REMOVED, Laboratory
from alab.life import Control, Event, Status
from alab.models import Atmosphere, Profile, Recipe
from alab.store.codec import decode, encode
from alab.store.records import ask, log_event
from alab.store.store import Store
from alab.store.tables import AttemptRow, DeviceRow, FiringRow, IntentRow, SampleRow, SlotRow
from flows.context import current_laboratory
from flows.heating import give_up_heat, heating_curve, until_cool, until_done
from flows.moves import move
from flows.stage import RETRY_AFTER_S, ending_with_us, leased, stage, until_answered

log = logging.getLogger(__name__)

COMING = (Status.QUEUED, Status.PREPARING, Status.REGRINDING)


async def dispatch(laboratory: Laboratory) -> None:
    """Start firings for ever: the participant that fills the furnaces."""
    running: set[asyncio.Task[object]] = set()

    def start(number: int) -> None:
        task = laboratory.clock.spawn(_see_through(laboratory, number), name=f"firing {number}")
        running.add(task)
        task.add_done_callback(running.discard)

    for number in _active(laboratory):
        start(number)
    async with ending_with_us(running):
        await kept_up(laboratory, "dispatch", partial(_fill_furnaces, laboratory, start))


async def _fill_furnaces(laboratory: Laboratory, start: Callable[[int], None]) -> None:
    while True:
        if number := _plan(laboratory):
            start(number)
        else:
            await _something_new(laboratory)


async def _see_through(laboratory: Laboratory, firing: int) -> None:
    """Run a firing to its end; what breaks its flow off, a silent Prefect, only delays it."""
    error, told = "", ""
    while True:
        try:
            if _row(laboratory, firing).status not in ACTIVE_FIRING:
                return
            if error != told:
                _alarm(laboratory, firing, f"was broken off and is taken up again: {error}")
                told = error
            await fire(firing)
        except Exception as broken:  # whatever it is: the furnace may be hot
            log.warning("firing %d was broken off", firing, exc_info=broken)
            error = repr(broken)
            await laboratory.clock.sleep(RETRY_AFTER_S)


async def _something_new(laboratory: Laboratory) -> None:
    """Wait for a change, or until a waiting sample's patience ends."""
    alarm: asyncio.Task[object] | None = None
    if (patience_s := _patience_s(laboratory)) is not None:
        alarm = laboratory.clock.spawn(_ring(laboratory, patience_s), name="batch deadline")
    try:
        await laboratory.changed.wait()
    finally:
        if alarm is not None:
            alarm.cancel()


async def _ring(laboratory: Laboratory, after_s: float) -> None:
    await laboratory.clock.sleep(after_s)
    laboratory.changed.set()


def _patience_s(laboratory: Laboratory) -> float | None:
    """Time until the longest-waiting sample waits no longer, None if none waits."""
    longest = timedelta(hours=laboratory.lab.longest_wait_h)
    now = laboratory.clock.now()
    ends = [w.since + longest for w in _wishes(laboratory) if w.since]
    later = [(end - now).total_seconds() for end in ends if end > now]
    return min(later) if later else None


def _plan(laboratory: Laboratory) -> int | None:
    """Write the next firing down, if there is one to start now."""
    if laboratory.gateway.stopped:
        return None
    batch = next_batch(
        _wishes(laboratory),
        _free_chambers(laboratory),
        laboratory.clock.now(),
        laboratory.lab.longest_wait_h * 3600,
    )
    if batch is None:
        return None
    slots = laboratory.lab.slots(laboratory.lab.place_at(batch.furnace))
    with laboratory.store.begin() as session:
        row = FiringRow(
            furnace=batch.furnace,
            status="loading",
            profile=encode(batch.profile),
            atmosphere=batch.atmosphere,
            slots=dict(zip(batch.samples, slots, strict=False)),
            created_at=laboratory.clock.now(),
        )
        session.add(row)
        session.flush()
        for sample in batch.samples:
            round_ = session.get_one(SampleRow, sample).round
            attempt = session.scalars(
                select(AttemptRow).where(
                    AttemptRow.sample == sample, AttemptRow.round == round_
                )
            ).one()
            attempt.firing = row.id
            laboratory.happened_in(session, sample, Event.LOAD, f"for {batch.furnace}")
        return row.id


def _wishes(laboratory: Laboratory) -> list[FiringWish]:
    with laboratory.store.begin() as session:
        rows = session.execute(
            select(
                SampleRow.name,
                SampleRow.round,
                SampleRow.status,
                SampleRow.status_at,
                SampleRow.priority,
            )
            .where(
                SampleRow.status.in_((Status.PREPARED, *COMING)),
                SampleRow.control == Control.RUN,
            )
            .order_by(SampleRow.name)
        ).all()
    wishes: list[FiringWish] = []
    for row in rows:
        profile, atmosphere = _wanted(laboratory.store, row.name, row.round)
        wishes.append(
            FiringWish(
                sample=row.name,
                profile=profile,
                atmosphere=atmosphere,
                priority=row.priority,
                since=row.status_at if row.status == Status.PREPARED else None,
            )
        )
    return wishes


@lru_cache(maxsize=4096)
def _wanted(store: Store, sample: str, round_: int) -> tuple[Profile, Atmosphere]:
    """Profile and atmosphere of a round; its recipe is fixed once it is written."""
    with store.begin() as session:
        written = session.scalars(
            select(AttemptRow.recipe).where(
                AttemptRow.sample == sample, AttemptRow.round == round_
            )
        ).one()
    recipe = decode(Recipe, written)
    return recipe.profile, recipe.atmosphere


def _free_chambers(laboratory: Laboratory) -> list[Chamber]:
    with laboratory.store.begin() as session:
        busy = set(
            session.scalars(
                select(FiringRow.furnace).where(FiringRow.status.in_(ACTIVE_FIRING))
            )
        )
        ready = set(session.scalars(select(DeviceRow.name).where(DeviceRow.state == "ready")))
        taken = set(
            session.scalars(
                select(SlotRow.place).where(SlotRow.sample.is_not(None) | SlotRow.unknown)
            )
        )
    chambers: list[Chamber] = []
    for furnace in laboratory.named(Capability.FURNACE):
        place, door = laboratory.lab.place_at(furnace), laboratory.lab.devices[furnace].door
        needed = {furnace, *([door] if door else [])}
        if furnace in busy or place in taken or not needed <= ready:
            continue
        chambers.append(
            Chamber(
                furnace=furnace,
                limits=laboratory.lab.firing_limits(furnace),
                slots=laboratory.lab.places[place].slots,
            )
        )
    return chambers


def _active(laboratory: Laboratory) -> list[int]:
    with laboratory.store.begin() as session:
        return list(
            session.scalars(
                select(FiringRow.id)
                .where(FiringRow.status.in_(ACTIVE_FIRING))
                .order_by(FiringRow.id)
            )
        )


@flow(name="fire", flow_run_name="firing {firing}", persist_result=False)
async def fire(firing: int) -> None:
    """One run of a furnace, from wherever it is; samples that it loses are failed."""
    laboratory = current_laboratory()
    told = ""
    while True:
        status = _row(laboratory, firing).status
        try:
            match status:
                case "loading":
                    await load(firing)
                case "heating" | "cooling":
                    await heat(firing)
                case "unloading":
                    await recover(firing)
                case _:
                    return
        except UnknownOutcome as error:
            await until_answered(laboratory, error, f"firing {firing}")
        except AlabError as error:
            if not error.retryable:
                await _give_up(laboratory, firing, error)
                return
            if str(error) != told:  # nothing is lost: it goes on once its devices answer
                told = str(error)
                _alarm(laboratory, firing, f"waits: {error}")


@stage("load")
async def load(firing: int) -> None:
    """Open the door, set every crucible in, shut it, start the program."""
    laboratory = current_laboratory()
    row = _row(laboratory, firing)
    async with leased(laboratory, _claim(laboratory, row, "load")) as lease:
        await _door(laboratory, row, lease, OpenDoor())
        for sample, slot in row.slots.items():
            home = laboratory.sample(sample).home_slot
            assert home is not None  # noqa: S101
            key = f"firing {firing}/load {sample}"
            await move(laboratory, key, sample, home, slot, lease)
        await _door(laboratory, row, lease, ShutDoor())
        start = StartFiring(
            profile=decode(Profile, row.profile), atmosphere=Atmosphere(row.atmosphere)
        )
        key = f"firing {firing}/start"
        await laboratory.gateway.perform(key, row.furnace, start, lease=lease)
    _set(laboratory, firing, status="heating", heated_from=_started_at(laboratory, key))


@stage("heat")
async def heat(firing: int) -> None:
    """Watch the program to its end, and the furnace down to its door limit."""
    laboratory = current_laboratory()
    row = _row(laboratory, firing)
    if row.status == "heating":
        note = await until_done(laboratory, row)
        _set(laboratory, firing, status="cooling", note=note)
    await until_cool(laboratory, _row(laboratory, firing))
    _set(laboratory, firing, status="unloading", ended_at=laboratory.clock.now())
    await heating_curve(laboratory, _row(laboratory, firing))


@stage("recover")
async def recover(firing: int) -> None:
    """Open the door, take every crucible home, shut it.

    Samples whose program was broken off are lost: nobody may learn from them what their
    recipe gives.
    """
    laboratory = current_laboratory()
    row = _row(laboratory, firing)
    async with leased(laboratory, _claim(laboratory, row, "recover")) as lease:
        await _door(laboratory, row, lease, OpenDoor(), again="unload")
        for sample, slot in row.slots.items():
            sample_row = laboratory.sample(sample)
            if Status(sample_row.status) is not Status.FIRING or sample_row.home_slot is None:
                continue
            key = f"firing {firing}/unload {sample}"
            await move(laboratory, key, sample, slot, sample_row.home_slot, lease)
            laboratory.happened(sample, Event.FAIL if row.note else Event.UNLOAD, row.note)
        await _door(laboratory, row, lease, ShutDoor(), again="unload")
    _set(laboratory, firing, status="finished")


def _claim(laboratory: Laboratory, row: FiringRow, stage_name: str) -> Claim:
    chamber = laboratory.lab.place_at(row.furnace)
    arm = laboratory.lab.arm_for(f"{laboratory.lab.rack}.1", f"{chamber}.1")
    door = laboratory.lab.devices[row.furnace].door
    with laboratory.store.begin() as session:
        priority = max(session.get_one(SampleRow, s).priority for s in row.slots)
    return Claim(
        owner=f"firing {row.id}",
        stage=stage_name,
        devices=frozenset({row.furnace, arm, *([door] if door else [])}),
        priority=priority + (stage_name == "recover"),
    )


async def _door(
    laboratory: Laboratory,
    row: FiringRow,
    lease: Lease,
    command: OpenDoor | ShutDoor,
    again: str = "load",
) -> None:
    if door := laboratory.lab.devices[row.furnace].door:
        key = f"firing {row.id}/{again}/{command.word}"
        await laboratory.gateway.perform(key, door, command, lease=lease)


async def _give_up(laboratory: Laboratory, firing: int, error: AlabError) -> None:
    """The furnace failed: its samples are failed, and a person has to empty it."""
    row = _row(laboratory, firing)
    heat = await give_up_heat(laboratory, row.furnace)
    _set(laboratory, firing, status="failed", note=str(error), ended_at=laboratory.clock.now())
    why = str(error) if isinstance(error, DeviceError) else f"{row.furnace}: {error}"
    for sample, slot in row.slots.items():
        if Status(laboratory.sample(sample).status) is Status.FIRING:
            laboratory.happened(sample, Event.FAIL, why)
            _ask_to_empty(laboratory, sample, slot, heat)
            laboratory.ask_to_clear(sample)
    _alarm(laboratory, firing, f"failed: {error}")
    laboratory.changed.set()


def _alarm(laboratory: Laboratory, firing: int, text: str) -> None:
    furnace = _row(laboratory, firing).furnace
    laboratory.gateway.states.alarm(furnace, f"firing {firing} {text}")


def _ask_to_empty(laboratory: Laboratory, sample: str, slot: str, heat: str) -> None:
    """Ask for a crucible that stands in a furnace; says how hot it is there."""
    with laboratory.store.begin() as session:
        if session.get_one(SlotRow, slot).sample == sample:
            text = f"{sample} is lost at {slot}. {heat} Take its crucible away by hand."
            ask(session, laboratory.clock.now(), sample, text, [REMOVED])


def _started_at(laboratory: Laboratory, key: str) -> datetime:
    """When a furnace was told to start, perhaps by an earlier process."""
    with laboratory.store.begin() as session:
        return session.scalars(select(IntentRow.issued_at).where(IntentRow.key == key)).one()


def _row(laboratory: Laboratory, firing: int) -> FiringRow:
    with laboratory.store.begin() as session:
        return session.get_one(FiringRow, firing)


def _set(laboratory: Laboratory, firing: int, **fields: object) -> None:
    with laboratory.store.begin() as session:
        row = session.get_one(FiringRow, firing)
        for column, value in fields.items():
            setattr(row, column, value)
        if "status" in fields:
            log_event(
                session,
                laboratory.clock.now(),
                "laboratory",
                row.furnace,
                f"firing {firing}: {fields['status']}",
            )
    laboratory.claims.grant()
    laboratory.changed.set()
