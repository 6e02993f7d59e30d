"""Prepare: dose each precursor by weighed mass, mix, set down in the rack. And regrind."""

from datetime import datetime
from typing import Any

from prefect.artifacts import acreate_table_artifact
from sqlalchemy import select
from sqlalchemy.orm import Session

from alab import programs
from alab.claims import Claim, Lease
from alab.commands import Dose, Mix, RunProgram
from alab.errors import DeviceFault
from alab.lab import Capability
from alab.laboratory import CRUCIBLES, Laboratory
from alab.life import Event, Status
from alab.models import PrecursorAmount, Recipe
from alab.protocols import Doser
from alab.store.codec import decode
from alab.store.tables import DoseRow, SampleRow, StockRow
from flows.context import current_laboratory
from flows.moves import keep_slot, move
from flows.stage import leased, stage

TOLERANCE_PERCENT = 1.0
MOST_TOP_UPS = 3
ABSOLUTE_TOLERANCE_MG = 0.5


@stage("prepare")
async def prepare(sample: str) -> None:
    """Weigh, mix and rack a sample; re-attaches to a preparation that was broken off."""
    laboratory = current_laboratory()
    row = laboratory.sample(sample)
    recipe = decode(Recipe, row.recipe)
    doser, mixer, arm = _station(laboratory)
    pan, cup = laboratory.lab.place_at(doser), laboratory.lab.place_at(mixer)
    fresh = Status(row.status) is Status.QUEUED
    needed = {CRUCIBLES: 1, **{p.formula: p.mass_mg for p in recipe.precursors}}
    if fresh:
        laboratory.warn_of_shortage(sample, needed)
    claim = Claim(
        owner=sample,
        stage="prepare",
        devices=frozenset({doser, mixer, arm}),
        places={pan: 1, cup: 1, laboratory.lab.rack: 1} if fresh else {},
        stock=needed if fresh else {},
        priority=row.priority,
    )
    async with leased(laboratory, claim) as lease:
        if fresh:
            home = lease.slot(laboratory.lab.rack)
            keep_slot(laboratory, home, sample)
            laboratory.happened(sample, Event.PREPARE, home_slot=home)
        home = laboratory.sample(sample).home_slot
        assert home is not None  # noqa: S101
        key = f"{sample}/prepare"
        dispenser = laboratory.lab.crucible_dispenser
        await move(laboratory, f"{key}/crucible", sample, dispenser, pan, lease)
        for precursor in recipe.precursors:
            await _dose(laboratory, sample, precursor, doser, arm, lease)
        await move(laboratory, f"{key}/to mixer", sample, pan, cup, lease)
        mix = Mix(speed_rpm=recipe.mixing_speed_rpm, duration_s=recipe.mixing_s)
        await laboratory.gateway.perform(f"{key}/mix", mixer, mix, lease=lease)
        await move(laboratory, f"{key}/to rack", sample, cup, home, lease)
    laboratory.happened(sample, Event.PREPARED)
    await _recipe_table(laboratory, sample, recipe)


@stage("regrind")
async def regrind(sample: str) -> None:
    """Mix a fired powder again, in its crucible."""
    laboratory = current_laboratory()
    row = laboratory.sample(sample)
    recipe = decode(Recipe, row.recipe)
    _, mixer, arm = _station(laboratory)
    cup, home = laboratory.lab.place_at(mixer), row.home_slot
    assert home is not None  # noqa: S101
    claim = Claim(
        owner=sample,
        stage="regrind",
        devices=frozenset({mixer, arm}),
        priority=row.priority,
    )
    async with leased(laboratory, claim) as lease:
        key = f"{sample}/regrind {row.round}"
        await move(laboratory, f"{key}/to mixer", sample, home, cup, lease)
        mix = Mix(speed_rpm=recipe.mixing_speed_rpm, duration_s=recipe.mixing_s)
        await laboratory.gateway.perform(f"{key}/mix", mixer, mix, lease=lease)
        await move(laboratory, f"{key}/to rack", sample, cup, home, lease)
    laboratory.happened(sample, Event.REGROUND)


def _station(laboratory: Laboratory) -> tuple[str, str, str]:
    """The doser, the mixer, and the arm that serves both."""
    doser = laboratory.named(Capability.DOSER)[0]
    mixer = laboratory.named(Capability.MIXER)[0]
    places = [laboratory.lab.place_at(doser), laboratory.lab.place_at(mixer)]
    return doser, mixer, laboratory.lab.arm_for(*places, f"{laboratory.lab.rack}.1")


async def _dose(
    laboratory: Laboratory,
    sample: str,
    precursor: PrecursorAmount,
    doser: str,
    arm: str,
    lease: Lease,
) -> None:
    """Dose one precursor; whatever is missing by weight is topped up, never guessed."""
    formula, wanted_mg = precursor.formula, precursor.mass_mg
    device = laboratory.gateway.device(doser)
    assert isinstance(device, Doser)  # noqa: S101
    for attempt in range(1 + MOST_TOP_UPS):
        missing_mg = wanted_mg - _dosed_mg(laboratory, sample, formula)
        tolerated_mg = max(wanted_mg * TOLERANCE_PERCENT / 100, ABSOLUTE_TOLERANCE_MG)
        smallest_mg = laboratory.lab.devices[doser].min_dose_mg
        if missing_mg <= tolerated_mg or (attempt and missing_mg < smallest_mg):
            return
        key = f"{sample}/prepare/dose {formula}/{attempt}"
        progress = laboratory.gateway.status(key)
        if progress not in ("pending", "running"):
            await _mount(laboratory, key, formula, doser, arm, lease)
        dose = Dose(
            substance=formula,
            mass_mg=round(missing_mg, 1),
            tolerance_percent=TOLERANCE_PERCENT,
            # a dose that runs is measured from the mass that stands in its intent
            before_mg=0.0 if progress == "running" else (await device.weigh()).mass_mg,
        )
        effect = _Dosed(sample, precursor, laboratory.clock.now())
        await laboratory.gateway.perform(key, doser, dose, lease=lease, effect=effect)


async def _mount(
    laboratory: Laboratory, key: str, formula: str, doser: str, arm: str, lease: Lease
) -> None:
    """Have the head of a powder on the doser, and the arm out of its way."""
    device = laboratory.gateway.device(doser)
    assert isinstance(device, Doser)  # noqa: S101
    head = laboratory.lab.precursors[formula].head
    key = f"{key}/head"
    arm_moves = laboratory.gateway.status(key) in ("pending", "running", "unknown")
    if not arm_moves and await device.mounted_substance() == formula:
        return
    mount = RunProgram(program=programs.mount_head(head))
    await laboratory.gateway.perform(key, arm, mount, lease=lease)
    mounted = await device.mounted_substance()
    if mounted != formula:
        raise DeviceFault(
            doser, f"head {head} should hold {formula}, but says {mounted}; check it"
        )


class _Dosed:
    """Books what was weighed: onto the sample, off the shelf."""

    def __init__(self, sample: str, precursor: PrecursorAmount, at: datetime) -> None:
        self._sample, self._precursor, self._at = sample, precursor, at

    def __call__(self, session: Session, result: dict[str, Any]) -> None:
        formula = self._precursor.formula
        row = session.scalar(
            select(DoseRow).where(DoseRow.sample == self._sample, DoseRow.formula == formula)
        )
        if row is None:
            row = DoseRow(
                sample=self._sample,
                formula=formula,
                wanted_mg=self._precursor.mass_mg,
                dosed_mg=0.0,
                dosed_at=self._at,
            )
            session.add(row)
        row.dosed_mg = round(row.dosed_mg + result["dosed_mg"], 4)
        session.get_one(StockRow, formula).amount -= result["dosed_mg"]


def _dosed_mg(laboratory: Laboratory, sample: str, formula: str) -> float:
    with laboratory.store.begin() as session:
        dosed = session.scalar(
            select(DoseRow.dosed_mg).where(DoseRow.sample == sample, DoseRow.formula == formula)
        )
    return dosed or 0.0


async def _recipe_table(laboratory: Laboratory, sample: str, recipe: Recipe) -> None:
    with laboratory.store.begin() as session:
        row = session.get_one(SampleRow, sample)
        doses = session.scalars(select(DoseRow).where(DoseRow.sample == sample)).all()
    table = [
        {"precursor": d.formula, "wanted / mg": d.wanted_mg, "weighed / mg": d.dosed_mg}
        for d in doses
    ]
    await acreate_table_artifact(
        key=artifact_key("recipe", sample),
        table=table,
        description=f"**{row.target}**: {recipe.reaction}\n\n" + " ".join(recipe.reasons),
    )


def artifact_key(kind: str, sample: str) -> str:
    """Prefect allows lower-case letters, digits and dashes in a key."""
    plain = "".join(c if c.isalnum() else "-" for c in sample.lower())
    return f"{kind}-{plain}"
