"""POST: what people can ask of a running laboratory. Every request says who asks.

Handlers run in the laboratory's event loop, but are no participants of its virtual clock.
What only writes is called as it is; what waits for devices goes through :func:`on_clock`.
"""

import asyncio
import unicodedata
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from sqlalchemy import delete

from alab.clock import on_clock
from alab.errors import BadInput
from alab.laboratory import Laboratory
from alab.life import Wish
from alab.operations import Operator
from alab.readiness import make_ready
from alab.service import targets as listing
from alab.service.reading import RowNumber
from alab.store.records import log_event
from alab.store.tables import AlarmRow, DeviceRow, TargetRow
from alab.views import Table

StartCampaign = Callable[[str, dict[str, int], int], Awaitable[Any]]
"""``start_campaign(name, targets, max_attempts)``: writes it down and starts its flow."""

Priority = Annotated[int, Field(ge=-1000, le=1000)]
CONTROLS = ("Cc", "Zl", "Zp")
"""Unicode's control characters, line and paragraph separators."""
CampaignName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]


def _one_line(text: str) -> str:
    if any(unicodedata.category(sign) in CONTROLS for sign in text):
        raise ValueError("write one line, without control characters")
    return text


Line = Annotated[str, AfterValidator(_one_line)]
"""Text for the log, which has one line an event."""


class Signed(BaseModel):
    """A request with the name of the person behind it."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    by: Line = Field(min_length=1, max_length=80)


class WishRequest(Signed):
    """An operator's wish for a sample."""

    wish: Wish


class PriorityRequest(Signed):
    """Another place in the queue."""

    priority: Priority


class TargetEntry(BaseModel):
    """A target to list."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    formula: str = Field(min_length=1, max_length=80)
    priority: Priority = 0
    note: str = Field("", max_length=500)
    origin: str = Field("", max_length=200)


class TargetsRequest(Signed):
    """Targets to list."""

    targets: list[TargetEntry] = Field(min_length=1, max_length=10_000)


class UnlistRequest(Signed):
    """Targets to take off the list."""

    formulas: list[str] = Field(min_length=1)


class CampaignRequest(Signed):
    """A campaign to start; without targets it takes the whole list."""

    name: CampaignName
    targets: list[str] | None = None
    max_attempts: int = Field(5, ge=1, le=100)


class NoteRequest(Signed):
    """A word on a device."""

    note: Line = Field("", max_length=500)


class AnswerRequest(Signed):
    """An answer to a question."""

    answer: str


class StopRequest(Signed):
    """An emergency stop."""

    reason: str = Field("asked for", min_length=1, max_length=500)


Unit = Literal["mg", "pieces"]
MOST_IN_STOCK = 1e7
"""10 kg of a powder; more is a slip of the keyboard."""


class RefillRequest(Signed):
    """More of a consumable: milligrams of a powder, or pieces."""

    amount: float = Field(gt=0, le=MOST_IN_STOCK, allow_inf_nan=False)
    unit: Unit


class CountRequest(Signed):
    """How much of a consumable there is."""

    amount: float = Field(ge=0, le=MOST_IN_STOCK, allow_inf_nan=False)
    unit: Unit


def acting_routes(laboratory: Laboratory, start_campaign: StartCampaign) -> APIRouter:
    """Every POST route."""
    routes = APIRouter(prefix="/api")
    routes.include_router(_work_routes(laboratory, start_campaign))
    routes.include_router(_floor_routes(laboratory))
    return routes


def _work_routes(laboratory: Laboratory, start_campaign: StartCampaign) -> APIRouter:
    routes = APIRouter()
    operator = Operator(laboratory)

    @routes.post("/samples/{name}/wish")
    async def wish(name: str, request: WishRequest) -> Table:
        control = operator.wish(name, request.wish, by=request.by)
        return {"sample": name, "control": control}

    @routes.post("/samples/{name}/priority")
    async def priority(name: str, request: PriorityRequest) -> Table:
        operator.set_priority(name, request.priority, by=request.by)
        return {"sample": name, "priority": request.priority}

    @routes.post("/targets")
    async def add_targets(request: TargetsRequest) -> list[Table]:
        wanted = [listing.WantedTarget(**entry.model_dump()) for entry in request.targets]
        checked = await _checked(laboratory, wanted)
        with laboratory.store.begin() as session:
            listing.list_targets(session, checked)
            formulas = ", ".join(target.formula for target in checked)
            now = laboratory.clock.now()
            log_event(session, now, request.by, "targets", f"listed {formulas}")
        return [
            {"formula": target.formula, "priority": target.priority, "note": target.note}
            for target in checked
        ]

    @routes.post("/targets/remove")
    async def remove_targets(request: UnlistRequest) -> list[str]:
        with laboratory.store.begin() as session:
            listing.unlist_targets(session, request.formulas)
            text = f"took {', '.join(request.formulas)} off the list"
            log_event(session, laboratory.clock.now(), request.by, "targets", text)
        return request.formulas

    @routes.post("/campaigns")
    async def start(request: CampaignRequest) -> Table:
        chosen = await _chosen(laboratory, request.targets)
        await start_campaign(request.name, chosen, request.max_attempts)
        with laboratory.store.begin() as session:
            session.execute(
                delete(TargetRow).where(
                    TargetRow.campaign.is_(None), TargetRow.formula.in_(chosen)
                )
            )
            log_event(session, laboratory.clock.now(), request.by, request.name, "started")
        return {"name": request.name, "targets": chosen, "max_attempts": request.max_attempts}

    @routes.post("/campaigns/{name}/stop")
    async def stop(name: str, request: Signed) -> Table:
        return {"name": name, "cancelling": operator.stop_campaign(name, by=request.by)}

    return routes


def _floor_routes(laboratory: Laboratory) -> APIRouter:
    routes = APIRouter()
    operator = Operator(laboratory)

    @routes.post("/stock/{item}/refill")
    async def refill(item: str, request: RefillRequest) -> Table:
        left = operator.refill(item, request.amount, request.unit, by=request.by)
        return {"item": item, "left": left, "unit": request.unit}

    @routes.post("/stock/{item}/count")
    async def count(item: str, request: CountRequest) -> Table:
        operator.count(item, request.amount, request.unit, by=request.by)
        return {"item": item, "left": request.amount, "unit": request.unit}

    gateway = laboratory.gateway

    @routes.post("/devices/{name}/quarantine")
    async def quarantine(name: str, request: NoteRequest) -> Table:
        _check_device(laboratory, name)
        note = request.note or f"by {request.by}"
        gateway.states.declare(name, "quarantined", note, by=request.by)
        return {"name": name, "state": "quarantined"}

    @routes.post("/devices/{name}/ready")
    async def ready(name: str, request: NoteRequest) -> Table:
        _check_device(laboratory, name)
        asked = make_ready(laboratory, name, request.note, by=request.by)
        await on_clock(laboratory.clock, asked)
        return {"name": name, "state": "ready"}

    @routes.post("/alarms/{number}/acknowledge")
    async def acknowledge(number: RowNumber, request: Signed) -> Table:
        with laboratory.store.begin() as session:
            alarm = session.get(AlarmRow, number)
            if alarm is None:
                raise BadInput(f"there is no alarm {number}; see 'alab alarms list'")
            if alarm.acknowledged_at is not None:
                raise BadInput(f"alarm {number} is acknowledged by {alarm.acknowledged_by}")
            now = laboratory.clock.now()
            alarm.acknowledged_by, alarm.acknowledged_at = request.by, now
            log_event(session, now, request.by, alarm.device, f"alarm {number} acknowledged")
        return {"id": number, "acknowledged_by": request.by}

    @routes.post("/questions/{number}/answer")
    async def answer(number: RowNumber, request: AnswerRequest) -> Table:
        operator.answer(number, request.answer, by=request.by)
        return {"id": number, "answer": request.answer, "answered_by": request.by}

    @routes.post("/stop")
    async def emergency_stop(request: StopRequest) -> Table:
        await on_clock(laboratory.clock, gateway.emergency_stop(request.reason, by=request.by))
        laboratory.changed.set()
        return {"stopped": gateway.stopped}

    @routes.post("/stop/reset")
    async def reset(request: Signed) -> Table:
        if not gateway.stopped:
            raise BadInput("the laboratory is not stopped; there is nothing to reset")
        gateway.reset_stop(by=request.by)
        laboratory.claims.grant()
        laboratory.changed.set()
        return {"stopped": gateway.stopped}

    return routes


def _check_device(laboratory: Laboratory, name: str) -> None:
    with laboratory.store.begin() as session:
        row = session.get(DeviceRow, name)
    if row is None or name not in laboratory.lab.devices:
        raise BadInput(f"there is no device {name!r}; see 'alab device list'")


async def _checked(
    laboratory: Laboratory, wanted: list[listing.WantedTarget]
) -> list[listing.WantedTarget]:
    """Checked in a thread, as it balances reactions; the laboratory works on meanwhile."""
    return await asyncio.to_thread(listing.check_targets, wanted, laboratory.shelf())


async def _chosen(laboratory: Laboratory, formulas: list[str] | None) -> dict[str, int]:
    """Formula → priority of what a campaign is to make."""
    with laboratory.store.begin() as session:
        listed = listing.priorities(session)
    if formulas is None:
        if not listed:
            raise BadInput("no target is listed; 'alab targets add FORMULA' lists one")
        return listed
    wanted = [listing.WantedTarget(formula=formula) for formula in formulas]
    checked = await _checked(laboratory, wanted)
    return {target.formula: listed.get(target.formula, 0) for target in checked}
