"""What no honest client sends: numbers and names that the service must refuse."""

import httpx
import pytest
from fastapi import FastAPI

from alab.clock import VirtualClock
from alab.lab import LabDefinition
from alab.laboratory import Laboratory
from alab.service.app import make_app
from alab.store.store import Store
from drivers.catalog import KINDS

HUGE = 10**23
BY = {"by": "mira"}


@pytest.fixture
def app(lab: LabDefinition, store: Store) -> FastAPI:
    async def start_campaign(name: str, targets: dict[str, int], max_attempts: int) -> None:
        raise AssertionError(name, targets, max_attempts)

    laboratory = Laboratory(lab, KINDS, {}, store, VirtualClock())
    return make_app(laboratory, start_campaign=start_campaign, prefect_url="http://127.0.0.1")


async def answer_to(app: FastAPI, method: str, path: str, body: object) -> httpx.Response:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.request(method, f"/api/{path}", json=body)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"floor?since={HUGE}", None),
        ("GET", f"events?since={HUGE}", None),
        ("GET", f"firings/{HUGE}", None),
        ("GET", f"samples/titanates-BaTiO3-1/patterns/{HUGE}", None),
        ("POST", f"alarms/{HUGE}/acknowledge", BY),
        ("POST", f"questions/{HUGE}/answer", {**BY, "answer": "yes"}),
    ],
)
async def test_a_number_that_no_row_can_have_is_refused(
    app: FastAPI, method: str, path: str, body: object
) -> None:
    answer = await answer_to(app, method, path, body)
    assert answer.status_code == 422
    assert "less than or equal to 2147483647" in answer.json()["detail"]


@pytest.mark.parametrize("sign", ["\n", "\r", "\x1b", "\x85", "\u2028"])
async def test_what_would_split_a_line_of_the_log_is_refused(app: FastAPI, sign: str) -> None:
    for body in ({"by": f"mira{sign}2026 fake: line"}, {**BY, "note": f"wet{sign}dry"}):
        answer = await answer_to(app, "POST", "devices/xrd/quarantine", body)
        assert answer.status_code == 422
        assert "write one line" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["mira", "Zoë Ångström", "O'Neil, J. (night)", "王 小明"])
async def test_names_of_people_are_taken(app: FastAPI, name: str) -> None:
    answer = await answer_to(app, "POST", "devices/xrd/quarantine", {"by": name})
    assert answer.status_code == 200
