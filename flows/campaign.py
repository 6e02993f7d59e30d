"""Campaign: pursue every target until it is made, given up or stopped.

A campaign run is disposable. What is true stands in the store; started again, it finds
every target and sample where they are and goes on from there.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from prefect import flow, task
from prefect.artifacts import acreate_markdown_artifact
from prefect.cache_policies import NO_CACHE
from pymatgen.core import Composition
from sqlalchemy import select
from sqlalchemy.orm import Session

from alab.claims import ClaimCancelled
from alab.duties import kept_up
from alab.errors import AlabError, BadInput, UnknownOutcome
from alab.laboratory import Laboratory
from alab.life import TERMINAL, Event, Status
from alab.models import Decision, NextStep, Recipe
from alab.store.codec import decode, encode
from alab.store.records import log_event
from alab.store.tables import AttemptRow, CampaignRow, SampleRow, SlotRow, TargetRow
from flows.characterisation import characterise, retire
from flows.context import current_laboratory
from flows.pictures import shown
from flows.preparation import artifact_key, prepare, regrind
from flows.stage import HeldUp, ending_with_us, until_answered
from planners.optimizer import decide as plan_next
from planners.optimizer.memory import remembered
from planners.optimizer.observations import Observations
from planners.synthesis.recipes import propose

log = logging.getLogger(__name__)

TRIES = 8
"""How often in a row a target may die of a defect: two hours of trying again."""

MOST_LOST_SAMPLES = 2
"""Samples of one target that devices may lose before the target is given up."""


@flow(name="campaign", flow_run_name="campaign {campaign}", persist_result=False)
async def run_campaign(campaign: str) -> None:
    """Pursue all targets of a campaign at once; the furnaces fill across them."""
    laboratory = current_laboratory()
    pursuits = [
        _pursuit(
            laboratory, f"target {formula}", partial(_pursue, laboratory, campaign, formula)
        )
        for formula in _open_targets(laboratory, campaign)
    ]
    pursuits += [
        _pursuit(laboratory, f"retire {name}", partial(run_sample, name))
        for name in _left_behind(laboratory, campaign)
    ]
    async with ending_with_us(pursuits):
        await laboratory.clock.join(*pursuits)
    for pursuit in pursuits:
        pursuit.result()  # a defect in a pursuit is not hidden
    _close(laboratory, campaign)


def _pursuit(
    laboratory: Laboratory, name: str, work: Callable[[], Awaitable[object]]
) -> asyncio.Task[None]:
    kept = kept_up(laboratory, name, work, tries=TRIES)
    return laboratory.clock.spawn(kept, name=name)


async def _pursue(laboratory: Laboratory, campaign: str, formula: str) -> None:
    """Make one target: sample after sample, until the optimizer says enough."""
    lost = 0
    while not _stopping(laboratory, campaign):
        name = _open_sample(laboratory, campaign, formula)
        if name is None:
            try:
                step = await decide(campaign, formula)
            except BadInput as error:
                _end_target(laboratory, campaign, formula, "given_up", str(error))
                return
            if step is None:
                return
            name = step
        await run_sample(name)
        row = laboratory.sample(name)
        if Status(row.status) is Status.FAILED:
            lost += 1
        if Status(row.status) is Status.CANCELLED and not _stopping(laboratory, campaign):
            reason = f"{name} was cancelled: {row.note}"
            _end_target(laboratory, campaign, formula, "cancelled", reason)
            return
        if lost > MOST_LOST_SAMPLES:
            reason = f"{lost} samples were lost to device failures; the last: {row.note}"
            _end_target(laboratory, campaign, formula, "given_up", reason)
            return
    _end_target(laboratory, campaign, formula, "cancelled", "the campaign was stopped")


@flow(name="sample", flow_run_name="{sample}", persist_result=False)
async def run_sample(sample: str) -> None:
    """Take one sample from where it is to its end."""
    laboratory = current_laboratory()
    while True:
        row = laboratory.sample(sample)
        status = Status(row.status)
        if status in TERMINAL:
            break
        if status is not Status.FIRING and not await laboratory.go_ahead(sample):
            laboratory.happened(sample, Event.CANCEL, "by the operator")
            break
        try:
            await _next_stage(laboratory, sample, Status(laboratory.sample(sample).status))
        except (ClaimCancelled, HeldUp):
            continue
        except UnknownOutcome as error:
            await until_answered(laboratory, error, sample)
        except AlabError as error:
            log.warning("%s is lost: %s", sample, error)
            laboratory.happened(sample, Event.FAIL, str(error))
    await _clean_up(laboratory, sample)


async def _next_stage(laboratory: Laboratory, sample: str, status: Status) -> None:
    match status:
        case Status.QUEUED | Status.PREPARING:
            await prepare(sample)
        case Status.RECOVERED | Status.CHARACTERISING:
            await characterise(sample)
        case Status.CHARACTERISED:
            await judge(sample)
        case Status.REGRINDING:
            await regrind(sample)
        case _:  # prepared, in a furnace, or of unknown fate: others act
            await laboratory.sample_changed(sample).wait()


async def _clean_up(laboratory: Laboratory, sample: str) -> None:
    """Bring an ended sample to the archive; what no arm can bring there, a person takes."""
    while True:
        try:
            await retire(sample)
        except HeldUp:
            continue
        except UnknownOutcome as error:
            await until_answered(laboratory, error, sample)
        except AlabError as error:
            log.warning("%s could not be retired: %s", sample, error)
            break
        else:
            break
    laboratory.ask_to_clear(sample)


@task(name="decide", task_run_name="decide {sample}", cache_policy=NO_CACHE)
async def judge(sample: str) -> None:
    """Ask the optimizer what to do after an outcome, and do it."""
    laboratory = current_laboratory()
    row = laboratory.sample(sample)
    decision = _planned(laboratory, row.campaign, row.target)
    laboratory.record_decision(sample, decision)
    await shown(
        acreate_markdown_artifact(
            key=artifact_key("decision", sample),
            markdown=f"**{decision.step}**\n\n" + "\n".join(f"- {r}" for r in decision.reasons),
        )
    )
    if decision.step is NextStep.REFIRE and decision.recipe is not None:
        laboratory.refire(sample, decision.recipe)
        return
    laboratory.happened(sample, Event.FINISH)
    reason = " ".join(decision.reasons)
    if decision.step is NextStep.DONE:
        _end_target(laboratory, row.campaign, row.target, "made", reason)
    elif decision.step is NextStep.GIVE_UP:
        _end_target(laboratory, row.campaign, row.target, "given_up", reason)


@task(name="decide", task_run_name="recipe for {formula}", cache_policy=NO_CACHE)
async def decide(campaign: str, formula: str) -> str | None:
    """Queue the next sample of a target; None if the target is settled.

    Raises:
        TargetError: If the target cannot be made from this shelf.
    """
    laboratory = current_laboratory()
    with laboratory.store.begin() as session:
        target = _target(session, campaign, formula)
        if target.status != "open":
            return None
        priority = target.priority
    recipes = _ranked(laboratory, campaign, formula)
    recipe = _decided_recipe(laboratory, campaign, formula) or recipes[0]
    return laboratory.add_sample(campaign, formula, recipe, priority, label=_flat(formula))


def _flat(formula: str) -> str:
    """A formula without parentheses, for names: ``NaZr2P3O12``."""
    amounts = Composition(formula).get_el_amt_dict()
    return "".join(f"{el}{amount:g}" if amount != 1 else el for el, amount in amounts.items())


def _ranked(laboratory: Laboratory, campaign: str, formula: str) -> list[Recipe]:
    """The ranked recipes of a target, proposed once and kept."""
    with laboratory.store.begin() as session:
        kept = _target(session, campaign, formula).recipes
    if not kept:
        recipes = propose(formula, shelf=laboratory.shelf(), limits=laboratory.limits())
        kept = {"ranked": [encode(recipe) for recipe in recipes]}
        with laboratory.store.begin() as session:
            _target(session, campaign, formula).recipes = kept
    return [decode(Recipe, recipe) for recipe in kept["ranked"]]


def _planned(laboratory: Laboratory, campaign: str, formula: str) -> Decision:
    with laboratory.store.begin() as session:
        most = session.get_one(CampaignRow, campaign).max_attempts
    return plan_next(
        formula,
        laboratory.attempts(campaign, formula),
        candidates=_ranked(laboratory, campaign, formula),
        limits=laboratory.limits(),
        max_attempts=most,
        observations=_seen_before(laboratory, formula),
    )


def _seen_before(laboratory: Laboratory, formula: str) -> Observations | None:
    """What earlier samples and other laboratories saw of the target's metals."""
    with laboratory.store.begin() as session:
        try:
            return remembered(session, laboratory.data_dir, target=formula)
        except BadInput as error:  # a broken file of another laboratory stops no campaign
            log.warning("Observed reactions are left out of the decision: %s", error)
            return None


def _decided_recipe(laboratory: Laboratory, campaign: str, formula: str) -> Recipe | None:
    """The recipe that the latest decision asked for; a lost sample's is used again."""
    with laboratory.store.begin() as session:
        row = session.scalars(
            select(AttemptRow)
            .join(SampleRow, SampleRow.name == AttemptRow.sample)
            .where(SampleRow.campaign == campaign, SampleRow.target == formula)
            .order_by(AttemptRow.id.desc())
        ).first()
        if row is None:
            return None
        if row.decision is None:
            return decode(Recipe, row.recipe)
        return decode(Decision, row.decision).recipe


def _target(session: Session, campaign: str, formula: str) -> TargetRow:
    return session.scalars(
        select(TargetRow).where(TargetRow.campaign == campaign, TargetRow.formula == formula)
    ).one()


def _open_targets(laboratory: Laboratory, campaign: str) -> list[str]:
    with laboratory.store.begin() as session:
        return list(
            session.scalars(
                select(TargetRow.formula)
                .where(TargetRow.campaign == campaign, TargetRow.status == "open")
                .order_by(TargetRow.priority.desc(), TargetRow.id)
            )
        )


def _open_sample(laboratory: Laboratory, campaign: str, formula: str) -> str | None:
    """The sample of a target that is under way, from an earlier run of the campaign."""
    with laboratory.store.begin() as session:
        return session.scalar(
            select(SampleRow.name).where(
                SampleRow.campaign == campaign,
                SampleRow.target == formula,
                SampleRow.status.not_in(TERMINAL),
            )
        )


def _left_behind(laboratory: Laboratory, campaign: str) -> list[str]:
    """Ended samples that an earlier run of the campaign had no time to take away."""
    with laboratory.store.begin() as session:
        return list(
            session.scalars(
                select(SampleRow.name)
                .join(SlotRow, SlotRow.reserved_by == SampleRow.name)
                .where(SampleRow.campaign == campaign, SampleRow.status.in_(TERMINAL))
                .order_by(SampleRow.name)
                .distinct()
            )
        )


def _stopping(laboratory: Laboratory, campaign: str) -> bool:
    with laboratory.store.begin() as session:
        return session.get_one(CampaignRow, campaign).status != "running"


def _end_target(
    laboratory: Laboratory, campaign: str, formula: str, status: str, reason: str
) -> None:
    with laboratory.store.begin() as session:
        row = _target(session, campaign, formula)
        if row.status != "open":
            return
        row.status, row.reason = status, reason
        log_event(
            session, laboratory.clock.now(), "laboratory", campaign, f"{formula}: {status}"
        )
    laboratory.changed.set()


def _close(laboratory: Laboratory, campaign: str) -> None:
    with laboratory.store.begin() as session:
        row = session.get_one(CampaignRow, campaign)
        row.status = "stopped" if row.status == "stopping" else "finished"
        row.finished_at = laboratory.clock.now()
        log_event(session, laboratory.clock.now(), "laboratory", campaign, row.status)
    laboratory.changed.set()
