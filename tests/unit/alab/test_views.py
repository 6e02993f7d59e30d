import json
from datetime import UTC, datetime

import pytest

from alab import views
from alab.claims import STOP
from alab.errors import BadInput
from alab.life import Status
from alab.store.records import ask, write_setting
from alab.store.store import Store
from alab.store.tables import ReadingRow
from alab.views.floor import CURVE_POINTS

SR = "titanates-SrTiO3-1"
BA = "titanates-BaTiO3-1"
CA = "titanates-CaTiO3-1"
MG = "titanates-MgTiO3-1"


def test_a_campaign_counts_its_targets_and_samples(store: Store) -> None:
    with store.begin() as session:
        found = views.campaign(session, "titanates")
    assert found["targets"] == {"open": 4}
    assert found["samples"] == {"finished": 1, "firing": 1, "queued": 1, "unknown": 1}
    assert [t["formula"] for t in found["target_list"]] == [
        "BaTiO3",
        "SrTiO3",
        "CaTiO3",
        "MgTiO3",
    ]


def test_the_queue_holds_what_has_not_ended_by_priority(store: Store) -> None:
    with store.begin() as session:
        assert [row["name"] for row in views.queue(session)] == [CA, SR, MG]


def test_a_sample_row_says_where_it_stands_and_what_came_of_it(store: Store) -> None:
    with store.begin() as session:
        rows = {row["name"]: row for row in views.samples(session, campaign="titanates")}
    assert rows[SR]["at"] == ["chamber_a.1"]
    assert rows[SR]["verdict"] is None
    assert rows[BA]["at"] == ["archive.1"]
    assert rows[BA]["verdict"] == "success"
    assert rows[BA]["target_weight_fraction"] == pytest.approx(0.87)


def test_samples_can_be_asked_for_by_status(store: Store) -> None:
    with store.begin() as session:
        assert [row["name"] for row in views.samples(session, status="unknown")] == [CA]
        with pytest.raises(BadInput, match="'lost' is no status; possible: queued"):
            views.samples(session, status="lost")


def test_one_sample_tells_its_whole_story(store: Store) -> None:
    with store.begin() as session:
        found = views.sample(session, BA)
    assert found["doses"][0]["deviation_percent"] == pytest.approx((847.1 / 846.3 - 1) * 100)
    (attempt,) = found["attempts"]
    assert attempt["outcome"]["verdict"] == "success"
    assert attempt["decision"]["step"] == "done"
    assert attempt["has_pattern"]
    assert found["events"][0]["text"] == "queued"


def test_a_question_on_a_longer_name_is_not_this_samples(store: Store) -> None:
    with store.begin() as session:
        ask(session, datetime(2026, 1, 5, tzinfo=UTC), f"{CA}0/prepare", "Where is it?", ["a"])
        assert [q["id"] for q in views.sample(session, CA)["questions"]] == [1]
        assert views.sample(session, MG)["questions"] == []


def test_a_pattern_comes_as_the_analysis_wrote_it(store: Store) -> None:
    with store.begin() as session:
        assert views.pattern(session, BA, 1)["observed"] == [5.0, 6.0, 90.0, 7.0]
        with pytest.raises(BadInput, match="no analysed pattern of round 2"):
            views.pattern(session, BA, 2)


def test_an_unknown_name_says_where_to_look(store: Store) -> None:
    with store.begin() as session:
        with pytest.raises(BadInput, match="no sample 'x'; see 'alab sample list'"):
            views.sample(session, "x")
        with pytest.raises(BadInput, match="no campaign 'x'; see 'alab campaign list'"):
            views.campaign(session, "x")
        with pytest.raises(BadInput, match="no device 'x'; see 'alab device list'"):
            views.device(session, "x")


@pytest.mark.parametrize(
    ("sample", "possible", "means"),
    [
        (BA, False, "nothing: it has ended (finished)"),
        (SR, True, "furnace_a keeps heating: firing 1 goes on; "),
        (CA, True, "it stops where it is"),
        (MG, True, "it leaves the queue; no powder was used"),
    ],
)
def test_a_cancellation_says_what_it_means(
    store: Store, sample: str, possible: bool, means: str
) -> None:
    with store.begin() as session:
        (found,) = views.cancellation(session, [sample])
    assert found["possible"] is possible
    assert found["means"].startswith(means)
    assert Status(found["status"])


def test_devices_have_their_latest_temperature_and_state(store: Store) -> None:
    with store.begin() as session:
        rows = {row["name"]: row for row in views.devices(session)}
    assert rows["furnace_a"]["temperature_c"] == pytest.approx(25.0 + 10.0 * 87 - 3.0)
    assert rows["mixer"]["state"] == "quarantined"
    assert rows["mixer"]["temperature_c"] is None


def test_a_device_knows_its_firing(store: Store) -> None:
    with store.begin() as session:
        assert views.device(session, "furnace_a")["firing"]["slots"] == {SR: "chamber_a.1"}
        assert views.device(session, "furnace_b")["firing"] is None


def test_a_heating_curve_counts_from_its_start(store: Store) -> None:
    with store.begin() as session:
        curve = views.firing(session, 1)["curve"]
    assert curve["elapsed_s"][:3] == [0.0, 180.0, 360.0]
    assert curve["temperature_c"][1] == pytest.approx(52.0)
    assert curve["setpoint_c"][1] == pytest.approx(55.0)
    assert len(curve["elapsed_s"]) == len(curve["temperature_c"]) == len(curve["setpoint_c"])


def test_a_long_curve_is_thinned_and_keeps_its_last_point(store: Store) -> None:
    from datetime import UTC, datetime, timedelta

    start = datetime(2026, 1, 1, tzinfo=UTC)
    with store.begin() as session:
        session.add_all(
            ReadingRow(
                device="furnace_d",
                at=start + timedelta(minutes=n),
                temperature_c=float(n),
                setpoint_c=None,
            )
            for n in range(1001)
        )
        curve = views.curve(session, "furnace_d", start, None)
    assert CURVE_POINTS <= len(curve["elapsed_s"]) < 2 * CURVE_POINTS
    assert curve["temperature_c"][-1] == pytest.approx(1000.0)


def test_places_count_what_stands_in_them(store: Store) -> None:
    with store.begin() as session:
        places = {place["place"]: place for place in views.places(session)}
    assert (places["rack"]["total"], places["rack"]["reserved"]) == (64, 1)
    assert (places["chamber_a"]["occupied"], places["chamber_a"]["total"]) == (1, 8)
    assert places["chamber_a"]["slots"][0]["sample"] == SR
    assert places["arm_prep"]["total"] == 1


def test_stock_has_its_unit_in_the_key(store: Store) -> None:
    with store.begin() as session:
        stock = {row["item"]: row for row in views.stock(session)}
    assert stock["BaCO3"]["remaining_mg"] == pytest.approx(100_000.0)
    assert stock["crucibles"]["remaining_pieces"] == 600


def test_alarms_and_questions_can_be_narrowed_to_the_open_ones(store: Store) -> None:
    with store.begin() as session:
        assert len(views.alarms(session, standing_only=True)) == 1
        (question,) = views.questions(session, open_only=True)
    assert question["options"] == ["yes", "no"]


def test_events_since_one_leave_nothing_out(store: Store) -> None:
    with store.begin() as session:
        everything = views.events(session, limit=1000)
        first = views.events(session, since=0, limit=5)
        rest = views.events(session, since=first[-1]["id"], limit=1000)
        latest = views.events(session, limit=3)
    assert [*first, *rest] == everything
    assert latest == everything[-3:]


def test_decisions_carry_their_reasons(store: Store) -> None:
    with store.begin() as session:
        (decision,) = views.decisions(session)
    assert decision["step"] == "done"
    assert decision["reasons"] == ["The target is the majority phase."]
    assert decision["verdict"] == "success"


def test_why_without_a_running_laboratory_says_so(store: Store) -> None:
    with store.begin() as session:
        words = views.why(session, CA)
    assert any("Question 1 is open" in sentence for sentence in words)
    assert "No laboratory runs" in words[-1]


def test_every_view_is_json(store: Store) -> None:
    with store.begin() as session:
        everything = [
            views.campaigns(session),
            views.campaign(session, "titanates"),
            views.targets(session),
            views.samples(session),
            views.sample(session, BA),
            views.queue(session),
            views.ended(session, 5),
            views.devices(session),
            views.places(session),
            views.stock(session),
            views.firings(session),
            views.firing(session, 1),
            views.alarms(session),
            views.questions(session),
            views.events(session),
            views.decisions(session),
            views.overview(session),
        ]
    assert json.loads(json.dumps(everything, allow_nan=False)) == everything


def test_why_without_a_laboratory_begins_with_the_emergency_stop(store: Store) -> None:
    with store.begin() as session:
        write_setting(session, STOP, "smoke, by mira")
        said = views.why(session, MG)
        assert views.overview(session)["stopped"] == "smoke, by mira"
    assert said[0] == (
        "Emergency stop: smoke, by mira; nothing starts before 'alab device reset-stop'."
    )
