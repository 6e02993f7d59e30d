"""GET: what can be asked of a running laboratory. Nothing here changes anything."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from pydantic import Field
from sqlalchemy.orm import Session

from alab import views
from alab.laboratory import Laboratory
from alab.operations import Operator
from alab.service import floor
from alab.views import Table

MOST_EVENTS = 1000
RowNumber = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""Number of a row; databases have no larger ones."""


def reading_routes(laboratory: Laboratory, prefect_url: str) -> APIRouter:
    """Every GET route.

    Plain functions run in threads, so that a long look at the store does not keep the
    laboratory from working; they touch the store only, and values that change in one step.
    """
    routes = APIRouter(prefix="/api")
    operator = Operator(laboratory)

    @contextmanager
    def reading() -> Iterator[Session]:
        with laboratory.store.begin() as session:
            yield session

    @routes.get("/lab")
    def lab() -> Table:
        with reading() as session:
            return floor.header(laboratory, session, prefect_url)

    @routes.get("/floor")
    def whole_floor(since: RowNumber | None = None) -> Table:
        with reading() as session:
            return floor.floor(laboratory, session, prefect_url, since)

    @routes.get("/campaigns")
    def campaigns() -> list[Table]:
        with reading() as session:
            return views.campaigns(session)

    @routes.get("/campaigns/{name}")
    def campaign(name: str) -> Table:
        with reading() as session:
            return views.campaign(session, name)

    @routes.get("/targets")
    def targets(campaign: str | None = None) -> list[Table]:
        with reading() as session:
            return views.targets(session, campaign)

    @routes.get("/samples")
    def samples(campaign: str | None = None, status: str | None = None) -> list[Table]:
        with reading() as session:
            return views.samples(session, campaign=campaign, status=status)

    @routes.get("/samples/{name}")
    def sample(name: str) -> Table:
        with reading() as session:
            return views.sample(session, name)

    @routes.get("/samples/{name}/why")
    async def why(name: str) -> list[str]:
        return operator.why(name)  # in the loop: it looks at claims, which live there

    @routes.get("/samples/{name}/patterns/{round_number}")
    def pattern(name: str, round_number: RowNumber) -> Any:
        with reading() as session:
            return views.pattern(session, name, round_number)

    @routes.get("/cancellation")
    def cancellation(sample: Annotated[list[str], Query()]) -> list[Table]:
        with reading() as session:
            return views.cancellation(session, sample)

    @routes.get("/queue")
    def queue() -> list[Table]:
        with reading() as session:
            return views.queue(session)

    @routes.get("/devices")
    def devices() -> list[Table]:
        with reading() as session:
            return floor.live_devices(laboratory, session)

    @routes.get("/devices/{name}")
    def device(name: str) -> Table:
        with reading() as session:
            return floor.live_device(laboratory, views.device(session, name))

    @routes.get("/stock")
    def stock() -> list[Table]:
        with reading() as session:
            return views.stock(session)

    @routes.get("/places")
    def places() -> list[Table]:
        with reading() as session:
            return views.places(session)

    @routes.get("/firings")
    def firings(furnace: str | None = None) -> list[Table]:
        with reading() as session:
            return views.firings(session, furnace=furnace)

    @routes.get("/firings/{number}")
    def firing(number: RowNumber) -> Table:
        with reading() as session:
            return views.firing(session, number)

    @routes.get("/alarms")
    def alarms(*, standing: bool = False) -> list[Table]:
        with reading() as session:
            return views.alarms(session, standing_only=standing)

    @routes.get("/questions")
    def questions(*, open_only: bool = False) -> list[Table]:
        with reading() as session:
            return views.questions(session, open_only=open_only)

    @routes.get("/decisions")
    def decisions(limit: Annotated[int, Query(ge=1, le=MOST_EVENTS)] = 20) -> list[Table]:
        with reading() as session:
            return views.decisions(session, limit)

    @routes.get("/events")
    def events(
        since: RowNumber | None = None,
        subject: str | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST_EVENTS)] = 200,
    ) -> list[Table]:
        with reading() as session:
            return views.events(session, since=since, subject=subject, limit=limit)

    @routes.get("/campaigns/{name}/report")
    def report(name: str) -> HTMLResponse:
        from alab.report.report import write_report  # plotly: only when asked for

        with reading() as session:
            views.campaign(session, name)
        with tempfile.TemporaryDirectory(prefix="alab-report-") as folder:
            written = write_report(laboratory.store, name, Path(folder) / "report.html")
            return HTMLResponse(written.read_text(encoding="utf-8"))

    return routes
