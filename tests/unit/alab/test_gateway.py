"""The gateway: an act happens once, and nothing unsafe is sent."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from alab import programs
from alab.claims import Claim, Lease
from alab.clock import VirtualClock
from alab.commands import Command, Dose, MeasureScan, Mix, OpenDoor, RunProgram, StartFiring
from alab.errors import (
    CommandRejected,
    DeviceFault,
    DeviceUnreachable,
    InterlockError,
    UnknownOutcome,
)
from alab.gateway import DONE, NOT_DONE, Gateway
from alab.laboratory import Laboratory
from alab.models import Atmosphere, FurnaceMode, Profile, Segment
from alab.store.tables import AlarmRow, DeviceRow, IntentRow, QuestionRow, ReadingRow, SlotRow
from tests.fakes import Bench

ALL = frozenset({"doser", "mixer", "arm", "furnace", "door", "xrd"})
PROFILE = Profile(segments=(Segment(ramp_c_per_min=5, temperature_c=900, dwell_s=3600),))
FIRE = StartFiring(profile=PROFILE, atmosphere=Atmosphere.AIR)
DOSE = Dose(substance="BaCO3", mass_mg=250.0, tolerance_percent=1.0, before_mg=11_500.0)
MIX = Mix(speed_rpm=2000.0, duration_s=540.0)
SCAN = MeasureScan(sample="s", position=1, program="alab_8min")
PICK = RunProgram(program=programs.pick("rack.1"), takes_from="rack.1")

ACTS: list[tuple[str, Command[Any]]] = [
    ("doser", DOSE),
    ("mixer", MIX),
    ("arm", PICK),
    ("furnace", FIRE),
    ("xrd", SCAN),
]
IDS = [device for device, _ in ACTS]


@pytest.fixture
def gateway(small_laboratory: Laboratory) -> Gateway:
    put(small_laboratory, "rack.1", "s")
    return small_laboratory.gateway


def put(
    laboratory: Laboratory, slot: str, sample: str | None, *, unknown: bool = False
) -> None:
    with laboratory.store.begin() as session:
        row = session.get_one(SlotRow, slot)
        row.sample, row.unknown = sample, unknown


def whole_lab(laboratory: Laboratory) -> Awaitable[Lease]:
    return laboratory.claims.acquire(Claim(owner="s", stage="test", devices=ALL))


def restarted(laboratory: Laboratory, bench: Bench) -> Laboratory:
    """The same laboratory in a new process: only store and devices are left."""
    return Laboratory(
        laboratory.lab, laboratory.kinds, bench.devices, laboratory.store, laboratory.clock
    )


def status_of(laboratory: Laboratory, key: str = "act") -> str:
    with laboratory.store.begin() as session:
        return session.scalars(select(IntentRow.status).where(IntentRow.key == key)).one()


def open_questions(laboratory: Laboratory) -> list[QuestionRow]:
    with laboratory.store.begin() as session:
        return list(session.scalars(select(QuestionRow).where(QuestionRow.answer.is_(None))))


def state_of(laboratory: Laboratory, device: str) -> str:
    with laboratory.store.begin() as session:
        return session.get_one(DeviceRow, device).state


@pytest.mark.parametrize(("device", "command"), ACTS, ids=IDS)
async def test_act_with_the_same_key_is_never_repeated(
    device: str,
    command: Command[Any],
    gateway: Gateway,
    small_laboratory: Laboratory,
    bench: Bench,
    clock: VirtualClock,
) -> None:
    effects: list[dict[str, Any]] = []

    async def main() -> None:
        lease = await whole_lab(small_laboratory)
        for _ in range(3):
            await gateway.perform(
                "act", device, command, lease=lease, effect=lambda _, r: effects.append(r)
            )
        small_laboratory.claims.release(lease)
        again = restarted(small_laboratory, bench)
        lease = await whole_lab(again)
        await again.gateway.perform("act", device, command, lease=lease)

    await clock.run(main())
    assert len(bench.devices[device].acts) == 1
    assert len(effects) == 1


@pytest.mark.parametrize(("device", "command"), ACTS, ids=IDS)
@pytest.mark.parametrize("instant_s", [0.0, 5.0])
async def test_killed_laboratory_re_attaches(
    device: str,
    command: Command[Any],
    instant_s: float,
    gateway: Gateway,
    small_laboratory: Laboratory,
    bench: Bench,
    clock: VirtualClock,
) -> None:
    """Killed right after the send (``pending``) and while it runs (``running``)."""
    fake = bench.devices[device]

    async def main() -> dict[str, Any]:
        lease = await whole_lab(small_laboratory)
        first = clock.spawn(
            gateway.perform("act", device, command, lease=lease), name="first life"
        )
        await clock.sleep(instant_s)
        first.cancel()
        await clock.join(first)
        with small_laboratory.store.begin() as session:
            intent = session.scalars(select(IntentRow)).one()
            if instant_s == 0.0 and intent.status != "done":
                intent.status = "pending"  # the last write was lost with the process
        again = restarted(small_laboratory, bench)
        return await again.gateway.perform("act", device, command, lease=await whole_lab(again))

    await clock.run(main())
    assert len(fake.acts) == 1
    assert status_of(small_laboratory) == "done"


async def test_dose_is_measured_against_the_mass_before_it_whatever_a_second_run_says(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    async def main() -> dict[str, Any]:
        lease = await whole_lab(small_laboratory)
        bench.doser.fails_at_end = "dead"
        with pytest.raises(DeviceUnreachable):
            await gateway.perform("act", "doser", DOSE, lease=lease)
        later = replace(DOSE, before_mg=bench.doser.gross_mg)  # weighed again by the flow
        return await gateway.perform("act", "doser", later, lease=lease)

    assert await clock.run(main()) == {"dosed_mg": 250.0}
    assert len(bench.doser.acts) == 1


@pytest.mark.parametrize("failure", ["lost", "garbled"])
@pytest.mark.parametrize(("device", "command"), ACTS, ids=IDS)
async def test_lost_reply_of_an_act_that_runs_is_found_out(
    device: str,
    command: Command[Any],
    failure: str,
    gateway: Gateway,
    small_laboratory: Laboratory,
    bench: Bench,
    clock: VirtualClock,
) -> None:
    bench.devices[device].fails = failure

    async def main() -> None:
        lease = await whole_lab(small_laboratory)
        await gateway.perform("act", device, command, lease=lease)

    await clock.run(main())
    assert len(bench.devices[device].acts) == 1
    assert open_questions(small_laboratory) == []


@pytest.mark.parametrize(
    ("answer", "acts"), [(DONE, 0), (NOT_DONE, 1), ("discard the sample", 0)]
)
@pytest.mark.parametrize(("device", "command"), ACTS[:3], ids=IDS[:3])
async def test_unknown_outcome_is_asked_and_each_answer_obeyed(
    device: str,
    command: Command[Any],
    answer: str,
    acts: int,
    gateway: Gateway,
    small_laboratory: Laboratory,
    bench: Bench,
    clock: VirtualClock,
) -> None:
    fake = bench.devices[device]
    fake.fails = "vanished"

    async def main() -> None:
        lease = await whole_lab(small_laboratory)
        for _ in range(2):  # asking twice puts one question
            with pytest.raises(UnknownOutcome):
                await gateway.perform("act", device, command, lease=lease)
        (question,) = open_questions(small_laboratory)
        assert question.subject == "act"
        assert command.word in question.text
        small_laboratory.answer(question.id, answer, by="anna")
        if answer == "discard the sample":
            with pytest.raises(DeviceFault, match="discarded by the operator"):
                await gateway.perform("act", device, command, lease=lease)
        else:
            await gateway.perform("act", device, command, lease=lease)
            assert status_of(small_laboratory) == "done"

    await clock.run(main())
    assert len(fake.acts) == acts


async def test_answer_serves_for_one_question_only(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    async def main() -> None:
        lease = await whole_lab(small_laboratory)
        bench.mixer.fails = "vanished"
        with pytest.raises(UnknownOutcome):
            await gateway.perform("act", "mixer", MIX, lease=lease)
        small_laboratory.answer(open_questions(small_laboratory)[0].id, NOT_DONE, by="anna")
        bench.mixer.fails = "lost"
        bench.mixer.turning = False
        bench.mixer.happens = lambda what: None  # type: ignore[method-assign]
        for _ in range(2):  # lost again: yesterday's answer says nothing about today
            with pytest.raises(UnknownOutcome):
                await gateway.perform("act", "mixer", MIX, lease=lease)

    await clock.run(main())
    assert len(bench.mixer.acts) == 1
    assert len(open_questions(small_laboratory)) == 1


async def test_act_sent_anew_passes_the_interlocks_again(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    bench.arm.fails = "vanished"

    async def main() -> None:
        lease = await whole_lab(small_laboratory)
        with pytest.raises(UnknownOutcome):
            await gateway.perform("act", "arm", PICK, lease=lease)
        small_laboratory.answer(open_questions(small_laboratory)[0].id, NOT_DONE, by="anna")
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


@pytest.mark.parametrize("failure", ["dead", "rejects"])
async def test_act_that_never_began_may_be_sent_again(
    failure: str,
    gateway: Gateway,
    small_laboratory: Laboratory,
    bench: Bench,
    clock: VirtualClock,
) -> None:
    bench.mixer.fails = failure

    async def main() -> None:
        lease = await whole_lab(small_laboratory)
        with pytest.raises((DeviceUnreachable, CommandRejected)):
            await gateway.perform("act", "mixer", MIX, lease=lease)
        assert status_of(small_laboratory) == "not_started"
        assert state_of(small_laboratory, "mixer") == (
            "offline" if failure == "dead" else "ready"
        )
        await gateway.perform("act", "mixer", MIX, lease=lease)

    await clock.run(main())
    assert bench.mixer.acts == ["mix"]
    assert state_of(small_laboratory, "mixer") == "ready"


async def test_fault_while_it_runs_is_final_and_quarantines(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    bench.arm.fails_at_end = "faults"

    async def main() -> None:
        lease = await whole_lab(small_laboratory)
        for _ in range(2):
            with pytest.raises(DeviceFault):
                await gateway.perform("act", "arm", PICK, lease=lease)

    await clock.run(main())
    assert len(bench.arm.acts) == 1
    assert state_of(small_laboratory, "arm") == "quarantined"


async def test_effect_that_fails_leaves_the_act_to_be_booked(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    booked: list[dict[str, Any]] = []

    def breaks(session: Any, result: dict[str, Any]) -> None:
        session.get_one(SlotRow, "rack.1").sample = None
        raise KeyError("no such row")

    async def main() -> None:
        lease = await whole_lab(small_laboratory)
        with pytest.raises(KeyError):
            await gateway.perform("act", "doser", DOSE, lease=lease, effect=breaks)
        with small_laboratory.store.begin() as session:
            assert session.get_one(SlotRow, "rack.1").sample == "s"
        await gateway.perform(
            "act", "doser", DOSE, lease=lease, effect=lambda _, r: booked.append(r)
        )

    await clock.run(main())
    assert booked == [{"dosed_mg": 250.0}]
    assert len(bench.doser.acts) == 1


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
            gateway.set_device("mixer", "quarantined", "it squeaks", by="anna")
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


async def test_over_temperature_quarantines_and_raises_one_alarm(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    bench.furnace.temperature_c = 1115.0

    async def main() -> None:
        await gateway.read_furnace("furnace")
        assert bench.furnace.made_safe == 0
        bench.furnace.temperature_c = 1116.0
        await gateway.read_furnace("furnace")
        assert bench.furnace.made_safe == 1
        await gateway.read_furnace("furnace")

    await clock.run(main())
    assert state_of(small_laboratory, "furnace") == "quarantined"
    with small_laboratory.store.begin() as session:
        (alarm,) = session.scalars(select(AlarmRow)).all()
    assert "1116 °C is above 1115 °C" in alarm.text


async def test_furnace_that_cannot_be_made_safe_is_quarantined_all_the_same(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    bench.furnace.mode = FurnaceMode.FAULT
    bench.furnace.unsafe = DeviceUnreachable("furnace", "no answer")

    async def main() -> None:
        with pytest.raises(DeviceUnreachable):
            await gateway.read_furnace("furnace")

    await clock.run(main())
    assert state_of(small_laboratory, "furnace") == "quarantined"
    with small_laboratory.store.begin() as session:
        assert session.scalar(select(func.count()).select_from(AlarmRow)) == 1


async def test_watch_takes_a_silent_furnace_off_and_back(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    async def main() -> None:
        clock.spawn(gateway.watch("furnace", 60), name="watch")
        bench.furnace.off = True
        await clock.sleep(130)
        assert state_of(small_laboratory, "furnace") == "ready"
        await clock.sleep(180)
        assert state_of(small_laboratory, "furnace") == "offline"
        bench.furnace.off = False
        await clock.sleep(60)

    await clock.run(main())
    assert state_of(small_laboratory, "furnace") == "ready"
    with small_laboratory.store.begin() as session:
        (alarm,) = session.scalars(select(AlarmRow)).all()
    assert "does not answer any more" in alarm.text


async def test_heating_curve_keeps_what_is_new(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    async def main() -> None:
        for temperature_c in (25.0, 27.0, 40.0, 41.0, 47.0):
            bench.furnace.temperature_c = temperature_c
            await gateway.read_furnace("furnace")
            await clock.sleep(60)
        await clock.sleep(3600)
        await gateway.read_furnace("furnace")

    await clock.run(main())
    with small_laboratory.store.begin() as session:
        kept = session.scalars(select(ReadingRow.temperature_c).order_by(ReadingRow.id)).all()
    assert kept == [25.0, 40.0, 47.0, 47.0]


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
    assert clock.monotonic_s() == 1.0  # all at once


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
    gateway.set_device("mixer", "quarantined", "it squeaks", by="anna")
    offline = await clock.run(gateway.connect())
    assert offline == {"xrd": "xrd: no answer within 1 s"}
    assert state_of(small_laboratory, "xrd") == "offline"
    assert state_of(small_laboratory, "arm") == "ready"
    assert state_of(small_laboratory, "mixer") == "quarantined"
    await gateway.close()
