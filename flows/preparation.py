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
from flows.pictures import shown
from flows.stage import leased, stage

TOLERANCE_PERCENT = 1.0
MOST_TOP_UPS = 3
ABSOLUTE_TOLERANCE_MG = 0.5
LARGEST_SHORTFALL_PERCENT = 10.0
"""What may be missing where it is too little to be dosed; more is no sample of its recipe."""

LEAST_CREDIBLE_MG = -1.0
LARGEST_OVERSHOOT_PERCENT, LARGEST_OVERSHOOT_MG = 20.0, 5.0
"""A dose beyond both together was not a dose: the pan was touched, or its zero was lost."""


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
    """Dose one precursor; whatever is missing by weight is topped up, never guessed.

    Raises:
        DeviceFault: If it cannot be weighed in; the doser is quarantined then.
    """
    formula, wanted_mg = precursor.formula, precursor.mass_mg
    device = laboratory.gateway.device(doser)
    assert isinstance(device, Doser)  # noqa: S101
    tolerated_mg = max(wanted_mg * TOLERANCE_PERCENT / 100, ABSOLUTE_TOLERANCE_MG)
    smallest_mg = laboratory.lab.devices[doser].min_dose_mg
    for attempt in range(1 + MOST_TOP_UPS):
        missing_mg = wanted_mg - _dosed_mg(laboratory, sample, formula)
        if missing_mg <= tolerated_mg:
            return
        if attempt and missing_mg < smallest_mg:
            break
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
        effect = _Dosed(sample, precursor, dose.mass_mg, laboratory.clock.now())
        result = await laboratory.gateway.perform(key, doser, dose, lease=lease, effect=effect)
        if not _is_credible(result["dosed_mg"], dose.mass_mg):
            raise _distrusted(
                laboratory,
                doser,
                f"a dose of {dose.mass_mg:g} mg {formula} weighed {result['dosed_mg']:g} mg, "
                f"which cannot be: was its zero lost, or the pan touched? {dose.mass_mg:g} mg "
                f"were booked off the shelf; look at the balance, then 'alab stock count "
                f"{formula}'",
            )
    missing_mg = wanted_mg - _dosed_mg(laboratory, sample, formula)
    largest_mg = min(smallest_mg, wanted_mg * LARGEST_SHORTFALL_PERCENT / 100)
    if missing_mg > max(tolerated_mg, largest_mg):
        head = laboratory.lab.precursors[formula].head
        raise _distrusted(
            laboratory,
            doser,
            f"{missing_mg:.1f} mg of {wanted_mg:g} mg {formula} are missing after the last "
            f"top-up; see whether head {head} is empty or blocked",
        )


def _is_credible(dosed_mg: float, asked_mg: float) -> bool:
    """Whether a difference of two weighings can be what a head gave."""
    overshoot_mg = asked_mg * LARGEST_OVERSHOOT_PERCENT / 100 + LARGEST_OVERSHOOT_MG
    return LEAST_CREDIBLE_MG <= dosed_mg <= asked_mg + overshoot_mg


def _distrusted(laboratory: Laboratory, doser: str, text: str) -> DeviceFault:
    """Keep a doser out of use until a person has looked; returns what to raise."""
    error = DeviceFault(doser, text)
    laboratory.gateway.states.failed(doser, error)
    return error


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
        text = f"head {head} should hold {formula}, but says {mounted}; check it"
        raise _distrusted(laboratory, doser, text)


class _Dosed:
    """Books what was weighed: onto the sample, off the shelf.

    Of a weighing that cannot be right only what was asked for is booked, off the shelf.
    """

    def __init__(
        self, sample: str, precursor: PrecursorAmount, asked_mg: float, at: datetime
    ) -> None:
        self._sample, self._precursor = sample, precursor
        self._asked_mg, self._at = asked_mg, at

    def __call__(self, session: Session, result: dict[str, Any]) -> None:
        formula = self._precursor.formula
        if not _is_credible(result["dosed_mg"], self._asked_mg):
            session.get_one(StockRow, formula).amount -= self._asked_mg
            return
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
    await shown(
        acreate_table_artifact(
            key=artifact_key("recipe", sample),
            table=table,
            description=f"**{row.target}**: {recipe.reaction}\n\n" + " ".join(recipe.reasons),
        )
    )


def artifact_key(kind: str, sample: str) -> str:
    """Prefect allows lower-case letters, digits and dashes in a key."""
    plain = "".join(c if c.isalnum() else "-" for c in sample.lower())
    return f"{kind}-{plain}"
