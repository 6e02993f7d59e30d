"""The service over a furnished laboratory on a virtual clock."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from alab.claims import Claim
from alab.clock import Clock, VirtualClock
from alab.errors import DeviceUnreachable
from alab.lab import LabDefinition
from alab.laboratory import Laboratory
from alab.service.app import make_app
from alab.store.store import Store
from alab.store.tables import CampaignRow, EventRow, TargetRow
from drivers.catalog import KINDS

PREFECT = "http://127.0.0.1:4200"
SR, CA, MG = "titanates-SrTiO3-1", "titanates-CaTiO3-1", "titanates-MgTiO3-1"
BY = {"by": "mira"}


class SlowDevice:
    """A device that needs laboratory time to become safe, and may be off."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.off = False
        self.safe_after_s: float | None = None
        self.time_stood_still = False
        self._clock = clock

    async def connect(self) -> str:
        await self._clock.sleep(5.0)
        if self.off:
            raise DeviceUnreachable(self.name, "no answer within 2 s; is it switched on?")
        return "slow 1.0"

    async def close(self) -> None:
        return

    async def make_safe(self) -> None:
        await self._clock.sleep(40.0)
        self.safe_after_s = self._clock.monotonic_s()
        self._clock.signal().set()
        for _ in range(20):  # wire traffic: it must cost no laboratory time
            await asyncio.sleep(0)
        self.time_stood_still = self._clock.monotonic_s() == self.safe_after_s


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def doser(clock: VirtualClock) -> SlowDevice:
    return SlowDevice("doser", clock)


@pytest.fixture
def laboratory(
    lab: LabDefinition, store: Store, clock: VirtualClock, doser: SlowDevice
) -> Laboratory:
    devices = {"doser": doser, "xrd": SlowDevice("xrd", clock)}
    return Laboratory(lab, KINDS, devices, store, clock)


@pytest.fixture
def app(laboratory: Laboratory) -> FastAPI:
    async def start_campaign(name: str, targets: dict[str, int], max_attempts: int) -> None:
        laboratory.start_campaign(name, targets, max_attempts=max_attempts)

    return make_app(laboratory, start_campaign=start_campaign, prefect_url=PREFECT)


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


def logged(store: Store, actor: str) -> list[tuple[str, str]]:
    with store.begin() as session:
        rows = session.query(EventRow).filter_by(actor=actor).order_by(EventRow.id)
        return [(row.subject, row.text) for row in rows]


@pytest.mark.parametrize(
    "path",
    [
        "lab",
        "floor",
        "floor?since=3",
        "campaigns",
        "campaigns/titanates",
        "targets?campaign=titanates",
        "samples",
        "samples?status=queued",
        f"samples/{SR}",
        f"samples/{SR}/why",
        "samples/titanates-BaTiO3-1/patterns/1",
        f"cancellation?sample={SR}&sample={MG}",
        "queue",
        "devices",
        "devices/furnace_a",
        "stock",
        "places",
        "firings",
        "firings?furnace=furnace_a",
        "firings/1",
        "alarms",
        "alarms?standing=true",
        "questions",
        "questions?open_only=true",
        "decisions",
        "events?since=2&limit=3",
    ],
)
async def test_reading_answers_and_changes_nothing(
    http: httpx.AsyncClient, store: Store, path: str
) -> None:
    with store.begin() as session:
        before = session.query(EventRow).count()
    answer = await http.get(f"/api/{path}")
    assert answer.status_code == 200, answer.text
    assert answer.json()
    with store.begin() as session:
        assert session.query(EventRow).count() == before


async def test_every_route_that_acts_is_a_post_that_wants_a_name(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    assert {method for verbs in paths.values() for method in verbs} == {"get", "post"}
    schemas = app.openapi()["components"]["schemas"]
    posts = [verbs["post"] for verbs in paths.values() if "post" in verbs]
    assert len(posts) >= 11
    for post in posts:
        reference = post["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        assert "by" in schemas[reference.split("/")[-1]]["required"], post


async def test_the_floor_has_what_the_page_draws(http: httpx.AsyncClient) -> None:
    floor = (await http.get("/api/floor")).json()
    assert floor["lab"]["name"] == "A-Lab"
    assert floor["lab"]["simulated"] is True
    assert floor["lab"]["prefect_url"] == PREFECT
    assert [furnace["name"] for furnace in floor["furnaces"]] == [
        "furnace_a",
        "furnace_b",
        "furnace_c",
        "furnace_d",
    ]
    assert len(floor["furnaces"][0]["curve"]["elapsed_s"]) == 30
    archive = next(place for place in floor["places"] if place["place"] == "archive")
    assert (archive["total"], archive["occupied"], archive["slots"]) == (600, 1, [])
    assert [row["title"] for row in floor["devices"][:1]] == ["Mettler Toledo Quantos"]


async def test_the_floor_sends_only_new_events(http: httpx.AsyncClient) -> None:
    last = (await http.get("/api/floor")).json()["last_event"]
    await http.post(f"/api/samples/{MG}/wish", json={"wish": "hold", **BY})
    floor = (await http.get(f"/api/floor?since={last}")).json()
    assert [(e["actor"], e["text"]) for e in floor["events"]] == [("mira", "hold asked for")]
    assert floor["last_event"] == last + 1


@pytest.mark.parametrize(
    ("sample", "wishes", "control"),
    [
        (MG, ["hold"], "held"),
        (MG, ["hold", "release"], "run"),
        (SR, ["pause"], "paused"),
        (SR, ["pause", "resume"], "run"),
        (SR, ["cancel"], "cancelling"),
    ],
)
async def test_wishes_are_granted_and_signed(
    http: httpx.AsyncClient, store: Store, sample: str, wishes: list[str], control: str
) -> None:
    for wish in wishes:
        answer = await http.post(f"/api/samples/{sample}/wish", json={"wish": wish, **BY})
    assert answer.json() == {"sample": sample, "control": control}
    assert logged(store, "mira") == [(sample, f"{wish} asked for") for wish in wishes]


@pytest.mark.parametrize(
    ("path", "body", "status", "title", "says"),
    [
        ("samples/x/wish", {"wish": "hold"}, 400, "BadInput", "no sample 'x'"),
        (f"samples/{SR}/wish", {"wish": "hold"}, 409, "TransitionError", "'pause' stops"),
        (f"samples/{SR}/wish", {"wish": "explode"}, 422, "BadInput", "wish: "),
        (f"samples/{SR}/priority", {"priority": 9999}, 422, "BadInput", "1000"),
        ("devices/x/ready", {}, 400, "BadInput", "no device 'x'"),
        ("alarms/99/acknowledge", {}, 400, "BadInput", "no alarm 99"),
        ("questions/1/answer", {"answer": "maybe"}, 400, "BadInput", "possible: yes, no"),
        ("questions/7/answer", {"answer": "yes"}, 400, "BadInput", "no open question 7"),
        ("campaigns/x/stop", {}, 400, "BadInput", "no campaign 'x'"),
        ("campaigns", {"name": "a/b"}, 422, "BadInput", "name: "),
        ("campaigns", {"name": "empty"}, 400, "BadInput", "no target is listed"),
        ("targets", {"targets": [{"formula": "KrO2"}]}, 400, "TargetError", "noble gas"),
        ("targets/remove", {"formulas": ["CaO"]}, 400, "BadInput", "not on the list: CaO"),
        ("stop/reset", {}, 400, "BadInput", "not stopped"),
        ("stop", {"reason": "x", "colour": "red"}, 422, "BadInput", "colour"),
    ],
)
async def test_a_refusal_is_problem_json(
    http: httpx.AsyncClient, path: str, body: dict[str, Any], status: int, title: str, says: str
) -> None:
    answer = await http.post(f"/api/{path}", json={**BY, **body})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == title
    assert says in answer.json()["detail"]


async def test_an_unsigned_request_is_refused(http: httpx.AsyncClient, store: Store) -> None:
    answer = await http.post(f"/api/samples/{MG}/wish", json={"wish": "hold", "by": "  "})
    assert answer.status_code == 422
    with store.begin() as session:
        texts = [row.text for row in session.query(EventRow)]
    assert "hold asked for" not in texts


async def test_priority_moves_a_sample_up(http: httpx.AsyncClient) -> None:
    await http.post(f"/api/samples/{MG}/priority", json={"priority": 50, **BY})
    queue = (await http.get("/api/queue")).json()
    assert [row["name"] for row in queue] == [MG, CA, SR]


async def test_targets_are_normalised_listed_and_taken_into_a_campaign(
    http: httpx.AsyncClient, store: Store
) -> None:
    listed = await http.post(
        "/api/targets", json={"targets": [{"formula": "TiSrO3", "priority": 3}], **BY}
    )
    assert listed.json() == [{"formula": "SrTiO3", "priority": 3, "note": ""}]
    started = await http.post("/api/campaigns", json={"name": "next", **BY})
    assert started.json()["targets"] == {"SrTiO3": 3}
    assert (await http.get("/api/targets")).json() == []
    with store.begin() as session:
        assert session.get_one(CampaignRow, "next").max_attempts == 5
        row = session.query(TargetRow).filter_by(campaign="next").one()
    assert (row.formula, row.status, row.priority) == ("SrTiO3", "open", 3)
    assert logged(store, "mira")[-1] == ("next", "started")


async def test_a_second_campaign_of_a_name_leaves_the_list_alone(
    http: httpx.AsyncClient,
) -> None:
    await http.post("/api/targets", json={"targets": [{"formula": "SrTiO3"}], **BY})
    answer = await http.post("/api/campaigns", json={"name": "titanates", **BY})
    assert answer.status_code == 400
    assert len((await http.get("/api/targets")).json()) == 1


async def test_stopping_a_campaign_cancels_what_is_open(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/campaigns/titanates/stop", json=BY)
    assert sorted(answer.json()["cancelling"]) == sorted([SR, CA, MG])


async def test_an_alarm_is_acknowledged_once(http: httpx.AsyncClient) -> None:
    assert (await http.post("/api/alarms/1/acknowledge", json=BY)).is_success
    again = await http.post("/api/alarms/1/acknowledge", json={"by": "noor"})
    assert again.json()["detail"] == "alarm 1 is acknowledged by mira"
    assert (await http.get("/api/alarms?standing=true")).json() == []


async def test_a_question_is_answered_and_signed(http: httpx.AsyncClient) -> None:
    await http.post("/api/questions/1/answer", json={"answer": "yes", **BY})
    (question,) = (await http.get("/api/questions")).json()
    assert (question["answer"], question["answered_by"]) == ("yes", "mira")


async def test_devices_are_locked_out_and_let_in_again(http: httpx.AsyncClient) -> None:
    await http.post("/api/devices/xrd/quarantine", json={"note": "leaks", **BY})
    assert (await http.get("/api/devices/xrd")).json()["note"] == "leaks"
    await http.post("/api/devices/xrd/ready", json=BY)
    assert (await http.get("/api/devices/xrd")).json()["state"] == "ready"


async def test_an_offline_device_is_connected_before_it_is_ready(
    http: httpx.AsyncClient, laboratory: Laboratory, doser: SlowDevice, store: Store
) -> None:
    laboratory.gateway.states.declare("doser", "offline", "", by="test")
    doser.off = True
    refused = await http.post("/api/devices/doser/ready", json=BY)
    assert refused.status_code == 502
    assert refused.json()["title"] == "DeviceUnreachable"
    assert (await http.get("/api/devices/doser")).json()["state"] == "offline"
    doser.off = False
    assert (await http.post("/api/devices/doser/ready", json=BY)).is_success
    assert (await http.get("/api/devices/doser")).json()["state"] == "ready"


async def test_an_emergency_stop_takes_laboratory_time_and_stays(
    http: httpx.AsyncClient, doser: SlowDevice
) -> None:
    answer = await http.post("/api/stop", json={"reason": "smoke", **BY})
    assert "smoke" in answer.json()["stopped"]
    assert doser.safe_after_s == pytest.approx(40.0)
    assert (await http.get("/api/lab")).json()["stopped"]
    assert (await http.post("/api/stop/reset", json=BY)).json() == {"stopped": ""}


async def test_reset_grants_what_waited(
    http: httpx.AsyncClient, laboratory: Laboratory, clock: VirtualClock
) -> None:
    await http.post("/api/stop", json=BY)
    wanted = Claim(owner=SR, stage="test", devices=frozenset({"xrd"}))
    task = clock.spawn(laboratory.claims.acquire(wanted), name="waits")
    await http.post("/api/alarms/1/acknowledge", json=BY)
    assert not task.done()
    await http.post("/api/stop/reset", json=BY)
    assert (await task).claim == wanted


async def test_what_waits_for_devices_takes_its_turn_among_the_others(
    http: httpx.AsyncClient, clock: VirtualClock, doser: SlowDevice
) -> None:
    async def tick() -> None:
        for _ in range(100):
            await clock.sleep(1.0)

    ticking = clock.spawn(tick(), name="tick")
    assert (await http.post("/api/stop", json=BY)).is_success
    assert doser.time_stood_still
    await ticking
    assert clock.monotonic_s() == pytest.approx(100.0)


async def test_the_page_needs_nothing_from_elsewhere(http: httpx.AsyncClient) -> None:
    page = await http.get("/")
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    texts = [page.text]
    for name in ("lab.js", "ask.js", "curve.js", "dom.js", "sample.js", "lab.css"):
        answer = await http.get(f"/page/{name}")
        assert answer.status_code == 200
        texts.append(answer.text)
    everything = "".join(texts).replace("http://www.w3.org/2000/svg", "")
    assert "http://" not in everything
    assert "https://" not in everything


async def test_a_foreign_host_name_is_refused(app: FastAPI) -> None:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://evil.test") as client:
        assert (await client.get("/api/lab")).status_code == 400


async def test_a_form_from_another_site_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post(
        "/api/stop",
        content='{"by": "x", "reason": "y"}',
        headers={"content-type": "text/plain"},
    )
    assert answer.status_code == 422
    assert not (await http.get("/api/lab")).json()["stopped"]
