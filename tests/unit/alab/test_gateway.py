"""The gateway: nothing unsafe is sent, and a stop reaches everything."""

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from alab import programs
from alab.claims import Claim
from alab.clock import VirtualClock
from alab.commands import Command, OpenDoor, RunProgram, StartFiring
from alab.errors import DeviceUnreachable, InterlockError, StoreError, UnknownOutcome
from alab.gateway import Gateway
from alab.intents import DONE, NOT_DONE
from alab.laboratory import Laboratory
from alab.models import Atmosphere, FurnaceMode, Profile, Segment
from alab.operations import Operator
from alab.store.tables import IntentRow
from tests.acts import (
    ACTS,
    FIRE,
    MIX,
    PICK,
    alarms_of,
    open_questions,
    put,
    restarted,
    state_of,
    whole_lab,
)
from tests.fakes import Bench


async def test_act_sent_anew_passes_the_interlocks_again(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    bench.arm.fails = "vanished"

    async def main() -> None:
        lease = await whole_lab(small_laboratory)
        with pytest.raises(UnknownOutcome):
            await gateway.perform("act", "arm", PICK, lease=lease)
        (question,) = open_questions(small_laboratory)
        Operator(small_laboratory).answer(question.id, NOT_DONE, by="anna")
        put(small_laboratory, "arm", "another")
        with pytest.raises(InterlockError, match="gripper still holds another"):
            await gateway.perform("act", "arm", PICK, lease=lease)

    await clock.run(main())
    assert bench.arm.acts == []


async def test_door_is_checked_again_instead_of_re_attached_to(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    bench.door.fails = "dead"

    async def main() -> None:
        lease = await whole_lab(small_laboratory)
        with pytest.raises(DeviceUnreachable):
            await gateway.perform("act", "door", OpenDoor(), lease=lease)
        bench.furnace.temperature_c = 700.0
        with pytest.raises(InterlockError, match="above its door limit"):
            await gateway.perform("act", "door", OpenDoor(), lease=lease)
        bench.furnace.temperature_c = 30.0
        await gateway.perform("act", "door", OpenDoor(), lease=lease)

    await clock.run(main())
    assert bench.door.acts == ["open"]


class TestRefusals:
    """Nothing is sent, and no intent is written."""

    @pytest.fixture
    def refused(
        self,
        gateway: Gateway,
        small_laboratory: Laboratory,
        bench: Bench,
        clock: VirtualClock,
    ) -> Callable[[str, Command[Any], str], Awaitable[None]]:
        async def check(device: str, command: Command[Any], why: str) -> None:
            async def main() -> None:
                lease = await whole_lab(small_laboratory)
                with pytest.raises(InterlockError, match=why):
                    await gateway.perform("act", device, command, lease=lease)

            await clock.run(main())
            assert all(fake.acts == [] for fake in bench.devices.values())
            with small_laboratory.store.begin() as session:
                assert session.scalar(select(func.count()).select_from(IntentRow)) == 0

        return check

    @pytest.mark.parametrize(
        ("segment", "atmosphere", "why"),
        [
            ((5, 1150, 0), "air", "1150 °C is above its limit of 1100 °C"),
            ((12, 900, 0), "air", "ramp of 12 °C/min is above its limit of 10 °C/min"),
            ((5, 900, 0), "N2", "it has no N2; it offers air, O2"),
        ],
    )
    async def test_program_beyond_the_envelope(
        self, refused: Any, segment: tuple[float, float, float], atmosphere: str, why: str
    ) -> None:
        ramp, temperature, dwell = segment
        profile = Profile(
            segments=(Segment(ramp_c_per_min=ramp, temperature_c=temperature, dwell_s=dwell),)
        )
        command = StartFiring(profile=profile, atmosphere=Atmosphere(atmosphere))
        await refused("furnace", command, why)

    @pytest.mark.parametrize("where", ["open", "moving", "unknown"])
    async def test_firing_with_a_door_not_closed(
        self, refused: Any, bench: Bench, where: str
    ) -> None:
        bench.door.where = type(bench.door.where)(where)
        await refused("furnace", FIRE, f"door is {where}, not closed")

    async def test_firing_over_a_program_under_way(self, refused: Any, bench: Bench) -> None:
        bench.furnace.mode = FurnaceMode.HOLDING
        await refused("furnace", FIRE, "its controller is holding")

    async def test_hot_door(self, refused: Any, bench: Bench) -> None:
        bench.furnace.temperature_c = 151.0
        await refused(
            "door", OpenDoor(), "furnace is at 151 °C, above its door limit of 150 °C"
        )

    async def test_door_of_a_furnace_with_an_open_thermocouple(
        self, refused: Any, small_laboratory: Laboratory, bench: Bench
    ) -> None:
        bench.furnace.temperature_c, bench.furnace.mode = 20.0, FurnaceMode.FAULT
        await refused("door", OpenDoor(), "furnace cannot be believed to be cool")
        assert bench.furnace.made_safe == 1
        assert state_of(small_laboratory, "furnace") == "quarantined"

    @pytest.mark.parametrize(
        ("door", "temperature_c", "why"),
        [
            ("closed", 30.0, "an arm needs it open"),
            ("open", 400.0, "above its door limit"),
        ],
    )
    async def test_arm_into_a_chamber(
        self,
        refused: Any,
        bench: Bench,
        small_laboratory: Laboratory,
        door: str,
        temperature_c: float,
        why: str,
    ) -> None:
        bench.door.where = type(bench.door.where)(door)
        bench.furnace.temperature_c = temperature_c
        put(small_laboratory, "chamber.1", "other")
        command = RunProgram(program=programs.pick("chamber.1"), takes_from="chamber.1")
        await refused("arm", command, why)

    async def test_occupied_place(self, refused: Any, small_laboratory: Laboratory) -> None:
        put(small_laboratory, "arm", "s2")
        command = RunProgram(program=programs.place("rack.1"), puts_into="rack.1")
        await refused("arm", command, "rack.1 is occupied by s")

    async def test_empty_source(self, refused: Any) -> None:
        command = RunProgram(program=programs.pick("rack.2"), takes_from="rack.2")
        await refused("arm", command, "rack.2 is empty")

    async def test_full_gripper(self, refused: Any, small_laboratory: Laboratory) -> None:
        put(small_laboratory, "arm", "s2")
        await refused("arm", PICK, "its gripper still holds s2")

    async def test_empty_gripper(self, refused: Any) -> None:
        command = RunProgram(program=programs.place("rack.2"), puts_into="rack.2")
        await refused("arm", command, "its gripper is empty")

    @pytest.mark.parametrize("slot", ["rack.1", "arm"])
    async def test_slot_of_which_nobody_knows(
        self, refused: Any, small_laboratory: Laboratory, slot: str
    ) -> None:
        put(small_laboratory, slot, None, unknown=True)
        await refused("arm", PICK, f"nobody knows what stands in {slot}")

    @pytest.mark.parametrize("slot", ["rack.99", "shelf.1"])
    async def test_slot_that_does_not_exist(
        self, refused: Any, small_laboratory: Laboratory, slot: str
    ) -> None:
        put(small_laboratory, "arm", "s2")
        command = RunProgram(program=programs.place(slot), puts_into=slot)
        await refused("arm", command, f"there is no slot {slot}")

    @pytest.mark.parametrize(("device", "command"), [*ACTS, ("door", OpenDoor())])
    async def test_latched_stop_refuses_everything(
        self, refused: Any, gateway: Gateway, device: str, command: Command[Any]
    ) -> None:
        gateway.stopped = "smoke, by anna"
        await refused(device, command, r"emergency stop is latched \(smoke, by anna\)")

    async def test_quarantined_device(
        self, gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
    ) -> None:
        async def main() -> None:
            lease = await whole_lab(small_laboratory)
            gateway.states.declare("mixer", "quarantined", "it squeaks", by="anna")
            with pytest.raises(InterlockError, match=r"quarantined \(it squeaks\)"):
                await gateway.perform("act", "mixer", MIX, lease=lease)

        await clock.run(main())
        assert bench.mixer.acts == []

    async def test_silent_furnace_lets_no_door_open(
        self, gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
    ) -> None:
        bench.furnace.off = True

        async def main() -> None:
            lease = await whole_lab(small_laboratory)
            with pytest.raises(DeviceUnreachable):
                await gateway.perform("act", "door", OpenDoor(), lease=lease)

        await clock.run(main())
        assert bench.door.acts == []

    async def test_lease_that_does_not_cover_the_device(
        self, gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
    ) -> None:
        async def main() -> None:
            narrow = Claim(owner="s", stage="t", devices=frozenset({"arm"}))
            lease = await small_laboratory.claims.acquire(narrow)
            with pytest.raises(InterlockError, match="holds no lease in force"):
                await gateway.perform("act", "mixer", MIX, lease=lease)
            small_laboratory.claims.release(lease)
            with pytest.raises(InterlockError, match="holds no lease in force"):
                await gateway.perform("act", "arm", PICK, lease=lease)

        await clock.run(main())
        assert bench.mixer.acts == bench.arm.acts == []


async def test_emergency_stop_reaches_every_device(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    bench.doser.unsafe = DeviceUnreachable("doser", "no answer")
    bench.mixer.unsafe = OSError("the adapter was pulled out")
    await clock.run(gateway.emergency_stop("smoke", by="anna"))
    made_safe = {name for name, fake in bench.devices.items() if fake.made_safe}
    assert made_safe == set(bench.devices) - {"doser", "mixer"}
    assert state_of(small_laboratory, "doser") == "quarantined"
    assert state_of(small_laboratory, "mixer") == "quarantined"
    assert state_of(small_laboratory, "arm") == "ready"
    for device in ("doser", "mixer"):
        (alarm,) = alarms_of(small_laboratory, device)
        assert "could not be made safe" in alarm
    assert clock.monotonic_s() == 1.0  # all at once


async def test_stop_makes_safe_although_nothing_can_be_written(
    gateway: Gateway, bench: Bench, clock: VirtualClock, locked: sqlite3.Connection
) -> None:
    bench.arm.unsafe = DeviceUnreachable("arm", "no answer")
    bench.furnace.mode = FurnaceMode.RUNNING
    with pytest.raises(StoreError, match="do not restart the laboratory"):
        await clock.run(gateway.emergency_stop("smoke", by="anna"))
    assert gateway.stopped == "smoke, by anna"
    made_safe = {name for name, fake in bench.devices.items() if fake.made_safe}
    assert made_safe == set(bench.devices) - {"arm"}
    assert gateway.states.silent == {"arm"}  # to be tried again


async def test_reset_that_cannot_be_written_leaves_the_stop_latched(
    gateway: Gateway, clock: VirtualClock, locked: sqlite3.Connection
) -> None:
    gateway.stopped = "smoke, by anna"
    with pytest.raises(OperationalError):
        gateway.reset_stop(by="anna")
    assert gateway.stopped == "smoke, by anna"


async def test_silent_devices_are_made_safe_although_nothing_can_be_written(
    gateway: Gateway, bench: Bench, clock: VirtualClock, locked: sqlite3.Connection
) -> None:
    gateway.stopped = "smoke, by anna"
    with pytest.raises(OperationalError):
        await clock.run(gateway.connect())
    assert all(fake.made_safe for fake in bench.devices.values())


@pytest.mark.parametrize("reset", [False, True])
async def test_nothing_runs_that_was_being_started_when_the_stop_came(
    gateway: Gateway,
    small_laboratory: Laboratory,
    bench: Bench,
    clock: VirtualClock,
    *,
    reset: bool,
) -> None:
    start = bench.furnace.start_firing

    async def slowly(profile: Profile, atmosphere: Atmosphere) -> None:
        await clock.sleep(3)  # writes its program and reads it back
        await start(profile, atmosphere)

    bench.furnace.start_firing = slowly  # type: ignore[method-assign]

    async def main() -> None:
        lease = await whole_lab(small_laboratory)
        act = clock.spawn(gateway.perform("act", "furnace", FIRE, lease=lease), name="act")
        await clock.sleep(1)
        await gateway.emergency_stop("smoke", by="anna")
        if reset:
            gateway.reset_stop(by="anna")
        await clock.join(act)
        assert isinstance(act.exception(), UnknownOutcome)

    await clock.run(main())
    assert bench.furnace.acts == ["fire"]
    assert bench.furnace.mode is FurnaceMode.IDLE
    assert gateway.status("act") == "unknown"
    (question,) = open_questions(small_laboratory)
    assert "start_firing" in question.text


async def test_crucible_of_an_arm_that_stops_half_way_may_be_anywhere(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    place = RunProgram(program=programs.place("rack.1"), puts_into="rack.1")

    async def main() -> None:
        lease = await whole_lab(small_laboratory)
        act = clock.spawn(gateway.perform("act", "arm", PICK, lease=lease), name="act")
        await clock.sleep(1)
        bench.arm.fails_at_end = "faults"  # as a program that was paused half-way does
        await gateway.emergency_stop("smoke", by="anna")
        await clock.join(act)
        assert isinstance(act.exception(), UnknownOutcome)
        assert state_of(small_laboratory, "arm") == "quarantined"
        gateway.reset_stop(by="anna")
        gateway.states.declare("arm", "ready", "looked at", by="anna")
        put(small_laboratory, "arm", "s")
        with pytest.raises(InterlockError, match="nobody knows what stands in arm"):
            await gateway.perform("next", "arm", place, lease=lease)
        put(small_laboratory, "arm", None)
        (question,) = open_questions(small_laboratory)
        assert PICK.program in question.text
        Operator(small_laboratory).answer(question.id, NOT_DONE, by="anna")
        await gateway.perform("act", "arm", PICK, lease=lease)

    await clock.run(main())
    assert bench.arm.acts == [PICK.program, PICK.program]


async def test_answer_that_an_interrupted_program_was_done_is_believed(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    effects: list[dict[str, Any]] = []

    async def main() -> None:
        lease = await whole_lab(small_laboratory)
        bench.arm.fails_at_end = "faults"
        with pytest.raises(UnknownOutcome):
            await gateway.perform("act", "arm", PICK, lease=lease)
        (question,) = open_questions(small_laboratory)
        Operator(small_laboratory).answer(question.id, DONE, by="anna")
        await gateway.perform(
            "act", "arm", PICK, lease=lease, effect=lambda _, r: effects.append(r)
        )

    await clock.run(main())
    assert bench.arm.acts == [PICK.program]
    assert effects == [{}]


async def test_start_that_fails_after_the_stop_is_made_safe_too(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    async def broken(program: str) -> None:
        bench.arm.playing = program
        await gateway.emergency_stop("smoke", by="anna")
        raise DeviceUnreachable("arm", "no answer")

    bench.arm.start_program = broken  # type: ignore[method-assign]

    async def main() -> None:
        lease = await whole_lab(small_laboratory)
        with pytest.raises(DeviceUnreachable):
            await gateway.perform("act", "arm", PICK, lease=lease)

    await clock.run(main())
    assert bench.arm.made_safe == 2  # by the stop, and again after it


async def test_furnace_that_was_silent_at_the_stop_is_made_safe_once_it_answers(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    bench.furnace.mode = FurnaceMode.RUNNING
    bench.furnace.off = True
    bench.furnace.unsafe = DeviceUnreachable("furnace", "no answer within 1 s")

    async def main() -> None:
        await gateway.emergency_stop("smoke", by="anna")
        assert state_of(small_laboratory, "furnace") == "quarantined"
        assert "switch it off" in alarms_of(small_laboratory, "furnace")[0]
        clock.spawn(gateway.furnaces.watch("furnace", 10), name="watch")
        await clock.sleep(100)
        bench.furnace.off, bench.furnace.unsafe = False, None
        await clock.sleep(20)

    await clock.run(main())
    assert bench.furnace.mode is FurnaceMode.IDLE
    assert bench.furnace.made_safe == 1
    assert "the emergency stop is latched" in alarms_of(small_laboratory, "furnace")[-1]


@pytest.mark.parametrize("stopped", [False, True])
async def test_device_that_answers_again_is_made_safe_while_the_stop_is_latched(
    gateway: Gateway,
    small_laboratory: Laboratory,
    bench: Bench,
    clock: VirtualClock,
    *,
    stopped: bool,
) -> None:
    bench.mixer.unsafe = DeviceUnreachable("mixer", "no answer within 1 s")

    async def main() -> None:
        await gateway.emergency_stop("smoke", by="anna")
        await gateway.reconnect()
        assert gateway.states.silent == {"mixer"}
        if not stopped:
            gateway.reset_stop(by="anna")
        bench.mixer.unsafe = None
        await gateway.reconnect()

    await clock.run(main())
    assert gateway.states.silent == set()
    assert bench.mixer.made_safe == stopped
    assert state_of(small_laboratory, "mixer") == "quarantined"


async def test_laboratory_that_starts_while_stopped_makes_every_device_safe(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    gateway.stopped = "smoke, by anna"
    bench.arm.unsafe = DeviceUnreachable("arm", "no answer within 1 s")
    offline = await clock.run(gateway.connect())
    assert set(offline) == gateway.states.silent == {"arm"}
    assert {name for name, fake in bench.devices.items() if fake.made_safe} == {
        "doser", "mixer", "furnace", "door", "xrd",
    }  # fmt: skip


async def test_emergency_stop_outlives_the_process(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    await clock.run(gateway.emergency_stop("smoke", by="anna"))
    again = restarted(small_laboratory, bench)
    assert again.gateway.stopped == "smoke, by anna"
    again.gateway.reset_stop(by="anna")
    assert restarted(small_laboratory, bench).gateway.stopped == ""


async def test_device_that_is_off_at_the_start_is_not_fatal(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    bench.xrd.off = True
    gateway.states.declare("mixer", "quarantined", "it squeaks", by="anna")
    offline = await clock.run(gateway.connect())
    assert offline == {"xrd": "xrd: no answer within 1 s"}
    assert state_of(small_laboratory, "xrd") == "offline"
    assert state_of(small_laboratory, "arm") == "ready"
    assert state_of(small_laboratory, "mixer") == "quarantined"
    await gateway.close()
