"""A laboratory: what it holds, its campaigns and samples, and its time."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from alab.clock import VirtualClock
from alab.errors import BadInput, TargetError, TransitionError
from alab.lab import Capability, DeviceKind, LabDefinition
from alab.laboratory import CRUCIBLES, Laboratory, remember_time, remembered_time
from alab.life import Event, Status
from alab.models import (
    Atmosphere,
    Decision,
    NextStep,
    Outcome,
    Profile,
    Recipe,
    Segment,
    Verdict,
)
from alab.operations import Operator
from alab.store.codec import encode
from alab.store.tables import (
    AlarmRow,
    AttemptRow,
    CampaignRow,
    EventRow,
    QuestionRow,
    SlotRow,
    StockRow,
)
from tests.fakes import Bench
from tests.one_sample import RECIPE, SAMPLE, bring, texts


def table_sizes(laboratory: Laboratory) -> list[int | None]:
    with laboratory.store.begin() as session:
        return [
            session.scalar(select(func.count()).select_from(table))
            for table in (SlotRow, StockRow, EventRow)
        ]


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


def test_a_recipe_that_no_furnace_runs_is_not_queued(laboratory: Laboratory) -> None:
    hotter = replace(
        RECIPE,
        profile=Profile(
            segments=(Segment(ramp_c_per_min=5.0, temperature_c=1101.0, dwell_s=60.0),)
        ),
    )
    with pytest.raises(TargetError, match=r"no furnace fires BaTiO3 at 1101 °C in air; they"):
        laboratory.add_sample("c", "BaTiO3", hotter, 0)


def test_unknown_sample_is_bad_input(laboratory: Laboratory) -> None:
    for ask_for in (laboratory.sample, Operator(laboratory).why):
        with pytest.raises(BadInput, match="no sample 'nope'"):
            ask_for("nope")


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


def test_nothing_to_clear_asks_nothing(laboratory: Laboratory) -> None:
    laboratory.ask_to_clear(SAMPLE)
    with laboratory.store.begin() as session:
        assert session.scalars(select(QuestionRow)).all() == []


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
    operator = Operator(small_laboratory)
    assert operator.refill(item, 500.0, "mg", by="ada") == left_mg + 500.0
    with pytest.raises(BadInput, match="no 'unobtainium' in stock"):
        operator.refill("unobtainium", 1.0, "mg", by="ada")


@pytest.mark.parametrize(
    ("item", "wrong", "kept"), [("BaCO3", "pieces", "mg"), ("crucibles", "mg", "pieces")]
)
def test_stock_in_another_unit_is_refused(small_laboratory, item, wrong, kept):
    operator = Operator(small_laboratory)
    before = operator.refill(item, 1.0, kept, by="ada")
    for act in (operator.refill, operator.count):
        with pytest.raises(BadInput, match=f"{item} is kept in {kept}, not in {wrong}"):
            act(item, 3000.0, wrong, by="ada")
    assert operator.refill(item, 1.0, kept, by="ada") == before + 1.0


def test_a_count_corrects_the_books_and_says_what_they_said(small_laboratory):
    operator = Operator(small_laboratory)
    wrong = operator.refill("crucibles", 3000.0, "pieces", by="ada")
    operator.count("crucibles", 14.0, "pieces", by="bo")
    with small_laboratory.store.begin() as session:
        assert session.get_one(StockRow, "crucibles").amount == 14.0
        latest = session.scalars(select(EventRow).order_by(EventRow.id.desc())).first()
    assert (latest.actor, latest.subject) == ("bo", "crucibles")
    assert latest.text == f"counted: 14 pieces, where the books said {wrong:g}"
