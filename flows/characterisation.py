"""Characterise: fill a holder, scan, refine, judge. And retire what is finished with."""

import asyncio
import zlib
from functools import partial
from pathlib import Path
from typing import Any

from prefect.artifacts import acreate_image_artifact, acreate_markdown_artifact
from pymatgen.core import Composition
from sqlalchemy import select
from sqlalchemy.orm import Session

from alab import programs
from alab.claims import Claim
from alab.commands import MeasureScan, RunProgram
from alab.lab import Capability
from alab.laboratory import Laboratory
from alab.life import Event, Status
from alab.models import Outcome, Recipe
from alab.settings import STRUCTURES
from alab.store.codec import decode, encode, pack
from alab.store.tables import AttemptRow, DoseRow, SlotRow
from analysis.diffraction.analyze import analyze
from analysis.diffraction.instrument import read_instrument
from analysis.diffraction.library import DEFAULT_SOURCES
from analysis.diffraction.pattern import parse_pattern
from analysis.diffraction.result import Analysis
from flows.context import current_laboratory
from flows.moves import keep_slot, kept_slot, let_go, move, occupy, pick, put
from flows.pictures import curve, shown
from flows.preparation import artifact_key
from flows.stage import leased, stage

POINTS_IN_PICTURE = 800


@stage("characterise")
async def characterise(sample: str) -> None:
    """Measure a recovered sample, and find out what it is."""
    laboratory = current_laboratory()
    row = laboratory.sample(sample)
    xrd = laboratory.named(Capability.DIFFRACTOMETER)[0]
    in_holder = kept_slot(laboratory, laboratory.lab.place_at(xrd), sample) is not None
    if in_holder or not _scan(laboratory, sample, row.round):
        await _measure(laboratory, sample, row.round)
    attempt = _attempt(laboratory, sample, row.round)
    assert attempt.scan is not None  # noqa: S101
    pattern = parse_pattern(zlib.decompress(attempt.scan), attempt.scan_filename or sample)
    recipe = decode(Recipe, attempt.recipe)
    study = partial(
        analyze,
        pattern,
        elements=_elements(recipe),
        target=recipe.target,
        sources=structure_sources(laboratory.data_dir),
        precursors=_weighed_in(laboratory, sample, recipe),
        **_optics(laboratory.lab.devices[xrd].instrument),
    )
    analysis = await asyncio.to_thread(study)
    with laboratory.store.begin() as session:
        stored = session.get_one(AttemptRow, attempt.id)
        stored.outcome = encode(analysis.outcome)
        stored.analysis = pack(analysis.to_json())
        laboratory.happened_in(
            session, sample, Event.CHARACTERISED, _in_words(recipe.target, analysis.outcome)
        )
    laboratory.announce(sample)
    await _show(sample, analysis)


@stage("retire")
async def retire(sample: str) -> None:
    """Take the crucible of an ended sample to the archive, and free its place in the rack."""
    laboratory = current_laboratory()
    row = laboratory.sample(sample)
    archive, home = laboratory.lab.archive, row.home_slot
    kept = kept_slot(laboratory, archive, sample)
    if home is None or not (kept or _stands_in(laboratory, sample, home)):
        return
    arm = laboratory.lab.arm_for(home, laboratory.lab.slots(archive)[0])
    claim = Claim(
        owner=sample,
        stage="retire",
        devices=frozenset({arm}),
        places={} if kept else {archive: 1},
        priority=row.priority,
    )
    async with leased(laboratory, claim) as lease:
        slot = kept or lease.slot(archive)
        keep_slot(laboratory, slot, sample)
        await move(laboratory, f"{sample}/retire", sample, home, slot, lease)
    for place in (archive, laboratory.lab.rack):
        let_go(laboratory, place, sample)


async def _measure(laboratory: Laboratory, sample: str, round_: int) -> None:
    """Fill a holder from the crucible, scan it, empty it."""
    row = laboratory.sample(sample)
    home = row.home_slot
    assert home is not None  # noqa: S101
    xrd = laboratory.named(Capability.DIFFRACTOMETER)[0]
    holders = laboratory.lab.place_at(xrd)
    arm = laboratory.lab.arm_for(home, laboratory.lab.slots(holders)[0])
    kept = kept_slot(laboratory, holders, sample)
    claim = Claim(
        owner=sample,
        stage="characterise",
        devices=frozenset({xrd, arm}),
        places={} if kept else {holders: 1},
        priority=row.priority,
    )
    async with leased(laboratory, claim) as lease:
        if Status(row.status) is Status.RECOVERED:
            laboratory.happened(sample, Event.CHARACTERISE)
        key = f"{sample}/characterise {round_}"
        holder = kept or lease.slot(holders)
        keep_slot(laboratory, holder, sample)
        await pick(laboratory, f"{key}/pick", sample, home, arm, lease)
        await laboratory.gateway.perform(
            f"{key}/fill",
            arm,
            RunProgram(program=programs.fill_holder(holder), reaches_into=holder),
            lease=lease,
            effect=occupy(holder, sample),
        )
        await put(laboratory, f"{key}/place", sample, home, arm, lease)
        scan = MeasureScan(
            sample=f"{sample}-r{round_}",
            position=laboratory.lab.slots(holders).index(holder) + 1,
            program=laboratory.lab.scan_program,
        )
        await laboratory.gateway.perform(
            f"{key}/scan", xrd, scan, lease=lease, effect=_Scanned(sample, round_)
        )
        await laboratory.gateway.perform(
            f"{key}/empty",
            arm,
            RunProgram(program=programs.empty_holder(holder), reaches_into=holder),
            lease=lease,
            effect=occupy(holder, None),
        )
    let_go(laboratory, holders, sample)


class _Scanned:
    """Keeps the file of a scan with its attempt."""

    def __init__(self, sample: str, round_: int) -> None:
        self._sample, self._round = sample, round_

    def __call__(self, session: Session, result: dict[str, Any]) -> None:
        attempt = session.scalars(
            select(AttemptRow).where(
                AttemptRow.sample == self._sample, AttemptRow.round == self._round
            )
        ).one()
        attempt.scan_filename = result["filename"]
        attempt.scan = zlib.compress(result["content"].encode())


def _stands_in(laboratory: Laboratory, sample: str, slot: str) -> bool:
    with laboratory.store.begin() as session:
        return session.get_one(SlotRow, slot).sample == sample


def _attempt(laboratory: Laboratory, sample: str, round_: int) -> AttemptRow:
    with laboratory.store.begin() as session:
        return session.scalars(
            select(AttemptRow).where(AttemptRow.sample == sample, AttemptRow.round == round_)
        ).one()


def _scan(laboratory: Laboratory, sample: str, round_: int) -> bool:
    return _attempt(laboratory, sample, round_).scan is not None


def _elements(recipe: Recipe) -> set[str]:
    """Everything that was put in, with the air."""
    formulas = [recipe.target, *(p.formula for p in recipe.precursors)]
    put_in = {str(el) for formula in formulas for el in Composition(formula).elements}
    return put_in | {"O"}


def _weighed_in(laboratory: Laboratory, sample: str, recipe: Recipe) -> list[str]:
    """Each precursor with the mass in mg that the doser weighed, as the analysis takes it."""
    with laboratory.store.begin() as session:
        doses = session.scalars(select(DoseRow).where(DoseRow.sample == sample)).all()
        weighed_mg = {dose.formula: dose.dosed_mg for dose in doses}
    masses_mg = {p.formula: weighed_mg.get(p.formula, p.mass_mg) for p in recipe.precursors}
    return [f"{formula}:{mass_mg:.4f}" for formula, mass_mg in masses_mg.items()]


def structure_sources(data_dir: Path | None) -> tuple[Path, ...]:
    """Where phases are looked for: what is known, then the crystals that a search predicted."""
    if data_dir is None or not any((data_dir / STRUCTURES).glob("*.cif")):
        return DEFAULT_SOURCES
    return (*DEFAULT_SOURCES, data_dir / STRUCTURES)


def _optics(file: Path | None) -> dict[str, Any]:
    """What the instrument file of the diffractometer tells the analysis, if there is one."""
    if file is None:
        return {}
    known = read_instrument(file)
    told: dict[str, Any] = {"instrument": known.to_instrument()}
    if known.particle_diameter_um is not None:
        told["particle_diameter_um"] = known.particle_diameter_um
    return told


def _in_words(target: str, outcome: Outcome) -> str:
    return (
        f"{outcome.verdict}: {outcome.target_weight_fraction * 100:.1f} ± "
        f"{outcome.target_weight_fraction_esd * 100:.1f} wt % {target}"
    )


async def _show(sample: str, analysis: Analysis) -> None:
    outcome = analysis.outcome
    phases = "\n".join(
        f"| {p.formula} | {p.space_group} | {p.weight_fraction * 100:.1f} ± "
        f"{p.weight_fraction_esd * 100:.1f} |"
        for p in outcome.phases
    )
    await shown(
        acreate_markdown_artifact(
            key=artifact_key("outcome", sample),
            markdown=f"**{outcome.verdict}** (R_wp {outcome.r_wp_percent:.1f} %)\n\n"
            f"| phase | space group | wt % |\n|---|---|---|\n{phases}\n\n"
            + "\n".join(f"- {reason}" for reason in outcome.reasons),
        )
    )
    step = max(1, len(analysis.two_theta_deg) // POINTS_IN_PICTURE)
    observed = [float(v) for v in analysis.observed[::step]]
    calculated = [float(v) for v in analysis.calculated[::step]]
    await shown(
        acreate_image_artifact(
            key=artifact_key("pattern", sample),
            image_url=curve(
                [float(v) for v in analysis.two_theta_deg[::step]],
                [observed, calculated],
                x_title="2θ / °",
                y_title="counts",
            ),
            description="Measured (blue) and refined (red) pattern",
        )
    )
