"""The journal of intents: an act happens once, whatever is lost on the way."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from alab.clock import VirtualClock
from alab.commands import Command
from alab.errors import CommandRejected, DeviceFault, DeviceUnreachable, UnknownOutcome
from alab.gateway import Gateway
from alab.intents import DONE, NOT_DONE
from alab.laboratory import Laboratory
from alab.operations import Operator
from alab.store.tables import IntentRow, SlotRow
from tests.acts import (
    ACTS,
    DOSE,
    IDS,
    MIX,
    PICK,
    open_questions,
    restarted,
    state_of,
    whole_lab,
)
from tests.fakes import Bench


def status_of(laboratory: Laboratory, key: str = "act") -> str:
    with laboratory.store.begin() as session:
        return session.scalars(select(IntentRow.status).where(IntentRow.key == key)).one()


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


@pytest.mark.parametrize("said", [DONE, NOT_DONE])
@pytest.mark.parametrize(("device", "command"), [("mixer", MIX), ("arm", PICK)])
async def test_act_found_standing_after_a_power_cut_is_asked_about(
    device: str,
    command: Command[Any],
    said: str,
    gateway: Gateway,
    small_laboratory: Laboratory,
    bench: Bench,
    clock: VirtualClock,
) -> None:
    fake = bench.devices[device]

    async def main() -> None:
        lease = await whole_lab(small_laboratory)
        first = clock.spawn(
            gateway.perform("act", device, command, lease=lease), name="first life"
        )
        await clock.sleep(1.0)
        first.cancel()
        await clock.join(first)
        fake.lose_power()  # type: ignore[attr-defined]
        again = restarted(small_laboratory, bench)
        lease = await whole_lab(again)
        for _ in range(2):
            with pytest.raises(UnknownOutcome):
                await again.gateway.perform("act", device, command, lease=lease)
        (question,) = open_questions(again)
        Operator(again).answer(question.id, said, by="anna")
        await again.gateway.perform("act", device, command, lease=lease)

    await clock.run(main())
    assert len(fake.acts) == (1 if said == DONE else 2)
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
        Operator(small_laboratory).answer(question.id, answer, by="anna")
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
        (question,) = open_questions(small_laboratory)
        Operator(small_laboratory).answer(question.id, NOT_DONE, by="anna")
        bench.mixer.fails = "lost"
        bench.mixer.turning = False
        bench.mixer.happens = lambda what: None  # type: ignore[method-assign]
        for _ in range(2):  # lost again: yesterday's answer says nothing about today
            with pytest.raises(UnknownOutcome):
                await gateway.perform("act", "mixer", MIX, lease=lease)

    await clock.run(main())
    assert len(bench.mixer.acts) == 1
    assert len(open_questions(small_laboratory)) == 1


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
            "offline" if failure == "dead" else "quarantined"
        )
        gateway.states.declare("mixer", "ready", "looked at", by="anna")
        await gateway.perform("act", "mixer", MIX, lease=lease)

    await clock.run(main())
    assert bench.mixer.acts == ["mix"]
    assert state_of(small_laboratory, "mixer") == "ready"


async def test_fault_while_it_runs_is_final_and_quarantines(
    gateway: Gateway, small_laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    bench.mixer.fails_at_end = "faults"

    async def main() -> None:
        lease = await whole_lab(small_laboratory)
        for _ in range(2):
            with pytest.raises(DeviceFault):
                await gateway.perform("act", "mixer", MIX, lease=lease)

    await clock.run(main())
    assert len(bench.mixer.acts) == 1
    assert state_of(small_laboratory, "mixer") == "quarantined"


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
