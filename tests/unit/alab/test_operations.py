"""What operators ask: wishes, priorities, answers, and why something waits."""

from itertools import product

import pytest
from sqlalchemy import select

from alab.claims import Claim, ClaimCancelled
from alab.clock import VirtualClock
from alab.errors import BadInput, TransitionError
from alab.laboratory import REMOVED, Laboratory
from alab.life import CONTROLS, TERMINAL, Control, Event, Status, Wish
from alab.operations import Operator
from alab.store.codec import encode
from alab.store.records import ask
from alab.store.tables import FiringRow, IntentRow, QuestionRow, SampleRow, SlotRow
from tests.fakes import Bench
from tests.one_sample import RECIPE, SAMPLE, bring, texts


@pytest.fixture
def operator(laboratory: Laboratory) -> Operator:
    return Operator(laboratory)


@pytest.mark.parametrize("status", Status)
def test_wish_in_every_state(
    laboratory: Laboratory, operator: Operator, status: Status
) -> None:
    bring(laboratory, status)
    for control, wish in product(Control, Wish):
        with laboratory.store.begin() as session:
            session.get_one(SampleRow, SAMPLE).control = control
        before = texts(laboratory, SAMPLE)
        after = CONTROLS[control].get(wish)
        allowed = (
            status not in TERMINAL
            and after is not None
            and (wish is not Wish.HOLD or status is Status.QUEUED)
        )
        if allowed:
            assert operator.wish(SAMPLE, wish, by="anna") is after
            assert texts(laboratory, SAMPLE) == [*before, f"{wish} asked for"]
        else:
            with pytest.raises(TransitionError):
                operator.wish(SAMPLE, wish, by="anna")
            assert texts(laboratory, SAMPLE) == before
        row = laboratory.sample(SAMPLE)
        assert row.control == (after if allowed else control), (control, wish)
        assert row.status == status


async def test_held_sample_goes_on_when_released(
    laboratory: Laboratory, operator: Operator, clock: VirtualClock
) -> None:
    operator.wish(SAMPLE, Wish.HOLD, by="anna")

    async def main() -> bool:
        going = clock.spawn(laboratory.go_ahead(SAMPLE), name="goes")
        await clock.sleep(60)
        assert not going.done()
        operator.wish(SAMPLE, Wish.RELEASE, by="anna")
        await clock.join(going)
        assert going.result() is True
        operator.wish(SAMPLE, Wish.CANCEL, by="anna")
        return await laboratory.go_ahead(SAMPLE)

    assert await clock.run(main()) is False


async def test_pause_takes_back_what_the_sample_waits_for(
    laboratory: Laboratory, operator: Operator, clock: VirtualClock
) -> None:
    claims = laboratory.claims

    async def main() -> None:
        arm = frozenset({"arm"})
        lease = await claims.acquire(Claim(owner="other", stage="prepare", devices=arm))
        claim = Claim(owner=SAMPLE, stage="prepare", devices=arm)
        waits = clock.spawn(claims.acquire(claim), name="waits")
        await clock.sleep(60)
        (said,) = operator.why(SAMPLE)
        assert "to prepare, for: arm, held by other (prepare)" in said
        operator.wish(SAMPLE, Wish.PAUSE, by="anna")
        await clock.join(waits)
        assert "pause by anna" in str(waits.exception())
        claims.release(lease)

    await clock.run(main())


def test_priority_of_an_ended_sample_means_nothing(
    laboratory: Laboratory, operator: Operator
) -> None:
    operator.set_priority(SAMPLE, 9, by="anna")
    assert laboratory.sample(SAMPLE).priority == 9
    laboratory.happened(SAMPLE, Event.CANCEL)
    with pytest.raises(BadInput, match="is cancelled: its priority"):
        operator.set_priority(SAMPLE, 1, by="anna")


def test_stopping_a_campaign_cancels_what_is_open(
    laboratory: Laboratory, operator: Operator
) -> None:
    ended = laboratory.add_sample("c", "BaTiO3", RECIPE, 0)
    laboratory.happened(ended, Event.FAIL)
    laboratory.start_campaign("d", {"MgO": 0}, max_attempts=1)
    other = laboratory.add_sample("d", "MgO", RECIPE, 0)
    assert operator.stop_campaign("c", by="anna") == [SAMPLE]
    assert laboratory.sample(SAMPLE).control == Control.CANCELLING
    assert laboratory.sample(other).control == Control.RUN
    with pytest.raises(BadInput, match="is stopping already"):
        operator.stop_campaign("c", by="anna")
    with pytest.raises(BadInput, match="no campaign 'nope'"):
        operator.stop_campaign("nope", by="anna")


def test_question_is_answered_once_with_one_of_its_answers(
    laboratory: Laboratory, operator: Operator
) -> None:
    with laboratory.store.begin() as session:
        question = ask(session, laboratory.clock.now(), SAMPLE, "Where?", ["here"])
        session.flush()
        number = question.id
    with pytest.raises(BadInput, match=r"'there' is no answer .* possible: here"):
        operator.answer(number, "there", by="anna")
    operator.answer(number, "here", by="anna")
    assert texts(laboratory, SAMPLE)[-1] == "answered: here"
    for wrong in (number, 999):
        with pytest.raises(BadInput, match=f"no open question {wrong}"):
            operator.answer(wrong, "here", by="anna")
    with laboratory.store.begin() as session:
        row = session.get_one(QuestionRow, number)
    assert (row.answer, row.answered_by) == ("here", "anna")
    assert row.answered_at == laboratory.clock.now()


def test_lost_crucible_blocks_its_slot_until_a_person_took_it(
    laboratory: Laboratory, operator: Operator
) -> None:
    with laboratory.store.begin() as session:
        session.get_one(SlotRow, "cup").sample = SAMPLE
        session.get_one(SlotRow, "rack.2").reserved_by = SAMPLE
    laboratory.ask_to_clear(SAMPLE)
    with laboratory.store.begin() as session:
        assert session.get_one(SlotRow, "cup").unknown
        assert session.get_one(SlotRow, "rack.2").reserved_by is None
        question = session.scalars(select(QuestionRow)).one()
    assert "lost at cup" in question.text
    operator.answer(question.id, REMOVED, by="anna")
    with laboratory.store.begin() as session:
        cup = session.get_one(SlotRow, "cup")
        assert (cup.sample, cup.unknown) == (None, False)


def why(operator: Operator) -> str:
    return " ".join(operator.why(SAMPLE))


def test_why_of_a_sample_whose_arm_is_kept_out(
    laboratory: Laboratory, operator: Operator
) -> None:
    laboratory.gateway.kept_out[SAMPLE] = "arm_fire to leave rack"
    assert "It waits for arm_fire to leave rack." in operator.why(SAMPLE)


def test_why_of_an_ended_sample(laboratory: Laboratory, operator: Operator) -> None:
    laboratory.happened(SAMPLE, Event.FAIL, "the jar was empty")
    assert why(operator) == "It waits for nothing: it is failed. the jar was empty"


def test_why_of_a_held_and_of_a_prepared_sample(
    laboratory: Laboratory, operator: Operator
) -> None:
    operator.wish(SAMPLE, Wish.HOLD, by="anna")
    assert "The operator wants it held" in why(operator)
    bring(laboratory, Status.PREPARED)
    assert "company in one (at most 3 h). Busy furnaces: none." in why(operator)


def set_in_furnace(laboratory: Laboratory, status: str) -> None:
    bring(laboratory, Status.FIRING)
    with laboratory.store.begin() as session:
        session.add(
            FiringRow(
                furnace="furnace",
                status=status,
                profile=encode(RECIPE.profile),
                atmosphere="air",
                slots={SAMPLE: "chamber.1"},
                created_at=laboratory.clock.now(),
            )
        )


async def test_why_of_a_sample_in_a_furnace(
    laboratory: Laboratory, operator: Operator, bench: Bench, clock: VirtualClock
) -> None:
    set_in_furnace(laboratory, "heating")
    bench.furnace.temperature_c = 642.0
    await clock.run(laboratory.gateway.furnaces.read("furnace"))
    assert "It is in furnace at 642 °C; firing 1 is heating." in why(operator)


@pytest.mark.parametrize(
    ("subject", "its_own"),
    [
        (SAMPLE, True),
        (f"{SAMPLE}/prepare/to mixer/pick", True),
        ("c-BaTiO3-10/prepare/mix", False),
        ("c-BaTiO3-10", False),
    ],
)
def test_why_tells_open_questions_of_this_sample_only(
    laboratory: Laboratory, operator: Operator, subject: str, its_own: bool
) -> None:
    with laboratory.store.begin() as session:
        ask(session, laboratory.clock.now(), subject, "Where?", ["here"])
    assert ("Question 1 is open: Where?" in why(operator)) is its_own


async def why_while_waiting(laboratory: Laboratory, clock: VirtualClock, claim: Claim) -> str:
    claims = laboratory.claims

    async def main() -> str:
        waits = clock.spawn(claims.acquire(claim), name="waits")
        await clock.sleep(60)
        said = why(Operator(laboratory))
        claims.withdraw(claim.owner, "told")
        await clock.join(waits)
        assert isinstance(waits.exception(), ClaimCancelled)
        return said

    return await clock.run(main())


async def test_why_tells_what_the_firing_of_a_sample_waits_for(
    laboratory: Laboratory, clock: VirtualClock
) -> None:
    set_in_furnace(laboratory, "unloading")
    laboratory.gateway.states.declare("arm", "quarantined", "it squeaks", by="anna")
    claim = Claim(owner="firing 1", stage="recover", devices=frozenset({"arm"}))
    said = await why_while_waiting(laboratory, clock, claim)
    assert "It is in furnace; firing 1 is unloading. Its firing waits since" in said
    assert "to recover, for: arm, which is quarantined: it squeaks." in said


async def test_why_begins_with_the_emergency_stop(
    laboratory: Laboratory, operator: Operator, clock: VirtualClock
) -> None:
    await clock.run(laboratory.gateway.emergency_stop("smoke", by="anna"))
    said = operator.why(SAMPLE)
    assert said[0] == (
        "Emergency stop: smoke, by anna; nothing starts before 'alab device reset-stop'."
    )
    laboratory.gateway.reset_stop(by="anna")
    assert "Emergency stop" not in why(operator)


@pytest.mark.parametrize(("lost_at", "in_the_way"), [("pan", True), ("rack.1", False)])
async def test_why_tells_the_question_about_a_crucible_in_the_way(
    laboratory: Laboratory, clock: VirtualClock, lost_at: str, in_the_way: bool
) -> None:
    with laboratory.store.begin() as session:
        session.get_one(SlotRow, lost_at).sample = "other"
    laboratory.ask_to_clear("other")
    laboratory.gateway.states.declare("arm", "quarantined", "it squeaks", by="anna")
    claim = Claim(
        owner=SAMPLE,
        stage="prepare",
        devices=frozenset({"arm"}),
        places={"pan": 1, "rack": 1},
    )
    said = await why_while_waiting(laboratory, clock, claim)
    assert ("1 more free slot(s) of pan" in said) is in_the_way
    assert ("Question 1 is open: other is lost at pan." in said) is in_the_way
    assert ("Question" in said) is in_the_way


async def test_why_tells_the_question_about_an_act_on_a_device_it_needs(
    laboratory: Laboratory, clock: VirtualClock
) -> None:
    other = laboratory.add_sample("c", "BaTiO3", RECIPE, 0)
    key = f"{other}/prepare/to mixer"
    with laboratory.store.begin() as session:
        intent = IntentRow(
            key=key,
            device="arm",
            command="play",
            arguments={},
            owner=other,
            status="unknown",
            issued_at=clock.now(),
        )
        session.add(intent)
        ask(session, clock.now(), key, "Did the arm move?", ["it was done"])
    laboratory.gateway.states.declare("arm", "quarantined", "seen to", by="anna")
    claim = Claim(owner=SAMPLE, stage="retire", devices=frozenset({"arm"}))
    said = await why_while_waiting(laboratory, clock, claim)
    assert "Question 1 is open: Did the arm move?" in said


def test_why_of_a_prepared_sample_tells_of_a_crucible_lost_in_a_furnace(
    laboratory: Laboratory, operator: Operator
) -> None:
    bring(laboratory, Status.PREPARED)
    with laboratory.store.begin() as session:
        session.get_one(SlotRow, "chamber.1").sample = "other"
    laboratory.ask_to_clear("other")
    assert "Question 1 is open: other is lost at chamber.1." in why(operator)
