"""A laboratory: samples, operators' wishes, questions, and why something waits."""

from itertools import product
from typing import Any

import pytest
from sqlalchemy import func, select

from alab.claims import Claim
from alab.clock import VirtualClock
from alab.errors import BadInput, TransitionError
from alab.lab import Capability, DeviceKind, LabDefinition
from alab.laboratory import CRUCIBLES, REMOVED, Laboratory, remember_time, remembered_time
from alab.life import CONTROLS, TERMINAL, TRANSITIONS, Control, Event, Status, Wish
from alab.models import (
    Atmosphere,
    Decision,
    NextStep,
    Outcome,
    PrecursorAmount,
    Profile,
    Recipe,
    Segment,
    Verdict,
)
from alab.store.codec import encode
from alab.store.records import ask
from alab.store.tables import (
    AlarmRow,
    AttemptRow,
    CampaignRow,
    EventRow,
    FiringRow,
    QuestionRow,
    SampleRow,
    SlotRow,
    StockRow,
)
from tests.fakes import Bench

SAMPLE = "c-BaTiO3-1"
RECIPE = Recipe(
    target="BaTiO3",
    precursors=(PrecursorAmount(formula="BaCO3", moles=1.0, mass_mg=423.1),),
    reaction="BaCO3 + TiO2 → BaTiO3 + CO2",
    profile=Profile(segments=(Segment(ramp_c_per_min=5, temperature_c=900, dwell_s=3600),)),
)


def way_to(goal: Status) -> list[Event]:
    """The shortest way from the queue to a status."""
    ways: dict[Status, list[Event]] = {Status.QUEUED: []}
    new = [Status.QUEUED]
    while goal not in ways:
        status = new.pop(0)
        for event, after in TRANSITIONS[status].items():
            if after not in ways:
                ways[after] = [*ways[status], event]
                new.append(after)
    return ways[goal]


@pytest.fixture
def laboratory(small_laboratory: Laboratory) -> Laboratory:
    """With one campaign of one target and one queued sample."""
    small_laboratory.start_campaign("c", {"BaTiO3": 2}, max_attempts=4)
    assert small_laboratory.add_sample("c", "BaTiO3", RECIPE, 2) == SAMPLE
    return small_laboratory


def bring(laboratory: Laboratory, status: Status) -> None:
    for event in way_to(status):
        laboratory.happened(SAMPLE, event)


def texts(laboratory: Laboratory, subject: str) -> list[str]:
    with laboratory.store.begin() as session:
        rows = session.scalars(
            select(EventRow.text).where(EventRow.subject == subject).order_by(EventRow.id)
        )
        return list(rows)


def table_sizes(laboratory: Laboratory) -> list[int | None]:
    with laboratory.store.begin() as session:
        return [
            session.scalar(select(func.count()).select_from(table))
            for table in (SlotRow, StockRow, EventRow)
        ]


# ---- what there is ---------------------------------------------------------------


def test_furnishing_twice_changes_nothing(
    laboratory: Laboratory,
    small_lab: LabDefinition,
    small_kinds: dict[str, DeviceKind],
    bench: Bench,
) -> None:
    with laboratory.store.begin() as session:
        session.get_one(StockRow, "TiO2").amount = 17.0
        session.get_one(SlotRow, "rack.1").sample = SAMPLE
    before = table_sizes(laboratory)
    again = Laboratory(
        small_lab, small_kinds, bench.devices, laboratory.store, laboratory.clock
    )
    assert table_sizes(again) == before
    assert again.shelf() == {"BaCO3": 10_000.0, "TiO2": 17.0}
    with again.store.begin() as session:
        assert session.get_one(SlotRow, "rack.1").sample == SAMPLE
        assert session.get_one(StockRow, CRUCIBLES).amount == 20
        assert session.get_one(SlotRow, "arm").place == "arm"  # a gripper is a place


def test_limits_are_the_best_furnaces(laboratory: Laboratory) -> None:
    assert laboratory.named(Capability.FURNACE) == ["furnace"]
    assert laboratory.limits().max_temperature_c == 1100
    assert laboratory.limits().atmospheres == (Atmosphere.AIR, Atmosphere.O2)


def test_unknown_sample_is_bad_input(laboratory: Laboratory) -> None:
    for ask_for in (laboratory.sample, laboratory.why):
        with pytest.raises(BadInput, match="no sample 'nope'"):
            ask_for("nope")


# ---- campaigns and samples -------------------------------------------------------


def test_campaign_is_written_whole_or_not_at_all(laboratory: Laboratory) -> None:
    with pytest.raises(BadInput, match="a campaign 'c' already"):
        laboratory.start_campaign("c", {"MgO": 0}, max_attempts=1)
    with pytest.raises(BadInput, match="at least one target"):
        laboratory.start_campaign("d", {}, max_attempts=1)
    with laboratory.store.begin() as session:
        assert session.scalars(select(CampaignRow.name)).all() == ["c"]


def test_samples_are_numbered_by_target(laboratory: Laboratory) -> None:
    assert laboratory.add_sample("c", "BaTiO3", RECIPE, 0) == "c-BaTiO3-2"
    assert laboratory.add_sample("c", "NaZr2(PO4)3", RECIPE, 0) == "c-NaZr2(PO4)3-1"


def test_refused_event_changes_nothing(laboratory: Laboratory) -> None:
    before = texts(laboratory, SAMPLE)
    with pytest.raises(TransitionError):
        laboratory.happened(SAMPLE, Event.UNLOAD, "out of order", home_slot="rack.1")
    assert laboratory.sample(SAMPLE).home_slot is None
    assert texts(laboratory, SAMPLE) == before


def test_refiring_is_another_round_of_the_same_sample(laboratory: Laboratory) -> None:
    bring(laboratory, Status.CHARACTERISED)
    hotter = Recipe(
        target="BaTiO3",
        precursors=RECIPE.precursors,
        reaction=RECIPE.reaction,
        profile=Profile(
            segments=(Segment(ramp_c_per_min=5, temperature_c=1100, dwell_s=3600),)
        ),
    )
    outcome = Outcome(
        verdict=Verdict.PARTIAL,
        target_weight_fraction=0.4,
        target_weight_fraction_esd=0.02,
        phases=(),
        r_wp_percent=9.0,
        unexplained_fraction=0.1,
    )
    decision = Decision(step=NextStep.REFIRE, recipe=hotter, reasons=("It was too cold.",))
    with laboratory.store.begin() as session:
        session.scalars(select(AttemptRow)).one().outcome = encode(outcome)
    laboratory.record_decision(SAMPLE, decision)
    laboratory.refire(SAMPLE, hotter)
    row = laboratory.sample(SAMPLE)
    assert (row.status, row.round) == (Status.REGRINDING, 2)
    first, second = laboratory.attempts("c", "BaTiO3")
    assert (first.recipe, first.outcome) == (RECIPE, outcome)
    assert (second.recipe, second.outcome) == (hotter, None)
    assert any("decided: refire. It was too cold." in t for t in texts(laboratory, SAMPLE))


# ---- the operator ----------------------------------------------------------------


@pytest.mark.parametrize("status", Status)
def test_wish_in_every_state(laboratory: Laboratory, status: Status) -> None:
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
            assert laboratory.wish(SAMPLE, wish, by="anna") is after
            assert texts(laboratory, SAMPLE) == [*before, f"{wish} asked for"]
        else:
            with pytest.raises(TransitionError):
                laboratory.wish(SAMPLE, wish, by="anna")
            assert texts(laboratory, SAMPLE) == before
        row = laboratory.sample(SAMPLE)
        assert row.control == (after if allowed else control), (control, wish)
        assert row.status == status


async def test_held_sample_goes_on_when_released(
    laboratory: Laboratory, clock: VirtualClock
) -> None:
    laboratory.wish(SAMPLE, Wish.HOLD, by="anna")

    async def main() -> bool:
        going = clock.spawn(laboratory.go_ahead(SAMPLE), name="goes")
        await clock.sleep(60)
        assert not going.done()
        laboratory.wish(SAMPLE, Wish.RELEASE, by="anna")
        await clock.join(going)
        assert going.result() is True
        laboratory.wish(SAMPLE, Wish.CANCEL, by="anna")
        return await laboratory.go_ahead(SAMPLE)

    assert await clock.run(main()) is False


async def test_pause_takes_back_what_the_sample_waits_for(
    laboratory: Laboratory, clock: VirtualClock
) -> None:
    claims = laboratory.claims

    async def main() -> None:
        arm = frozenset({"arm"})
        lease = await claims.acquire(Claim(owner="other", stage="prepare", devices=arm))
        claim = Claim(owner=SAMPLE, stage="prepare", devices=arm)
        waits = clock.spawn(claims.acquire(claim), name="waits")
        await clock.sleep(60)
        (said,) = laboratory.why(SAMPLE)
        assert "to prepare, for: arm, held by other (prepare)" in said
        laboratory.wish(SAMPLE, Wish.PAUSE, by="anna")
        await clock.join(waits)
        assert "pause by anna" in str(waits.exception())
        claims.release(lease)

    await clock.run(main())


def test_priority_of_an_ended_sample_means_nothing(laboratory: Laboratory) -> None:
    laboratory.set_priority(SAMPLE, 9, by="anna")
    assert laboratory.sample(SAMPLE).priority == 9
    laboratory.happened(SAMPLE, Event.CANCEL)
    with pytest.raises(BadInput, match="is cancelled: its priority"):
        laboratory.set_priority(SAMPLE, 1, by="anna")


def test_stopping_a_campaign_cancels_what_is_open(laboratory: Laboratory) -> None:
    ended = laboratory.add_sample("c", "BaTiO3", RECIPE, 0)
    laboratory.happened(ended, Event.FAIL)
    laboratory.start_campaign("d", {"MgO": 0}, max_attempts=1)
    other = laboratory.add_sample("d", "MgO", RECIPE, 0)
    assert laboratory.stop_campaign("c", by="anna") == [SAMPLE]
    assert laboratory.sample(SAMPLE).control == Control.CANCELLING
    assert laboratory.sample(other).control == Control.RUN
    with pytest.raises(BadInput, match="is stopping already"):
        laboratory.stop_campaign("c", by="anna")
    with pytest.raises(BadInput, match="no campaign 'nope'"):
        laboratory.stop_campaign("nope", by="anna")


def test_question_is_answered_once_with_one_of_its_answers(laboratory: Laboratory) -> None:
    with laboratory.store.begin() as session:
        question = ask(session, laboratory.clock.now(), SAMPLE, "Where?", ["here"])
        session.flush()
        number = question.id
    with pytest.raises(BadInput, match=r"'there' is no answer .* possible: here"):
        laboratory.answer(number, "there", by="anna")
    laboratory.answer(number, "here", by="anna")
    assert texts(laboratory, SAMPLE)[-1] == "answered: here"
    for wrong in (number, 999):
        with pytest.raises(BadInput, match=f"no open question {wrong}"):
            laboratory.answer(wrong, "here", by="anna")
    with laboratory.store.begin() as session:
        row = session.get_one(QuestionRow, number)
    assert (row.answer, row.answered_by) == ("here", "anna")
    assert row.answered_at == laboratory.clock.now()


def test_lost_crucible_blocks_its_slot_until_a_person_took_it(laboratory: Laboratory) -> None:
    with laboratory.store.begin() as session:
        session.get_one(SlotRow, "cup").sample = SAMPLE
        session.get_one(SlotRow, "rack.2").reserved_by = SAMPLE
    laboratory.ask_to_clear(SAMPLE)
    with laboratory.store.begin() as session:
        assert session.get_one(SlotRow, "cup").unknown
        assert session.get_one(SlotRow, "rack.2").reserved_by is None
        question = session.scalars(select(QuestionRow)).one()
    assert "lost at cup" in question.text
    laboratory.answer(question.id, REMOVED, by="anna")
    with laboratory.store.begin() as session:
        cup = session.get_one(SlotRow, "cup")
        assert (cup.sample, cup.unknown) == (None, False)


def test_nothing_to_clear_asks_nothing(laboratory: Laboratory) -> None:
    laboratory.ask_to_clear(SAMPLE)
    with laboratory.store.begin() as session:
        assert session.scalars(select(QuestionRow)).all() == []


# ---- why -------------------------------------------------------------------------


def why(laboratory: Laboratory) -> str:
    return " ".join(laboratory.why(SAMPLE))


def test_why_of_an_ended_sample(laboratory: Laboratory) -> None:
    laboratory.happened(SAMPLE, Event.FAIL, "the jar was empty")
    assert why(laboratory) == "It waits for nothing: it is failed. the jar was empty"


def test_why_of_a_held_and_of_a_prepared_sample(laboratory: Laboratory) -> None:
    laboratory.wish(SAMPLE, Wish.HOLD, by="anna")
    assert "The operator wants it held" in why(laboratory)
    bring(laboratory, Status.PREPARED)
    assert "company in one (at most 3 h). Busy furnaces: none." in why(laboratory)


async def test_why_of_a_sample_in_a_furnace(
    laboratory: Laboratory, bench: Bench, clock: VirtualClock
) -> None:
    bring(laboratory, Status.FIRING)
    with laboratory.store.begin() as session:
        session.add(
            FiringRow(
                furnace="furnace",
                status="heating",
                profile=encode(RECIPE.profile),
                atmosphere="air",
                slots={SAMPLE: "chamber.1"},
                created_at=clock.now(),
            )
        )
    bench.furnace.temperature_c = 642.0
    await clock.run(laboratory.gateway.furnaces.read("furnace"))
    assert "It is in furnace at 642 °C; firing 1 is heating." in why(laboratory)


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
    laboratory: Laboratory, subject: str, its_own: bool
) -> None:
    with laboratory.store.begin() as session:
        ask(session, laboratory.clock.now(), subject, "Where?", ["here"])
    assert ("Question 1 is open: Where?" in why(laboratory)) is its_own


async def test_laboratory_time_is_remembered(
    laboratory: Laboratory, clock: VirtualClock
) -> None:
    latest = remembered_time(laboratory.store)
    assert latest == clock.now()
    await clock.run(clock.sleep(7200))
    assert remembered_time(laboratory.store) == latest
    remember_time(laboratory.store, clock)
    assert remembered_time(laboratory.store) == clock.now()


def test_fresh_store_remembers_no_time(empty_store: Any) -> None:
    assert remembered_time(empty_store) is None


def test_a_shortage_alarms_once_and_a_refill_is_booked(small_laboratory):
    item = next(iter(small_laboratory.shelf()))
    left_mg = small_laboratory.shelf()[item]
    for sample in ("S1", "S2"):
        small_laboratory.warn_of_shortage(sample, {item: left_mg + 1.0})
    with small_laboratory.store.begin() as session:
        alarms = session.scalars(select(AlarmRow).where(AlarmRow.device == item)).all()
    assert len(alarms) == 1
    assert f"alab stock refill {item}" in alarms[0].text
    assert small_laboratory.refill(item, 500.0, by="ada") == left_mg + 500.0
    with pytest.raises(BadInput, match="no 'unobtainium' in stock"):
        small_laboratory.refill("unobtainium", 1.0, by="ada")
