"""A laboratory in the middle of its work, for views, service and command line."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.event import listen

from alab.clock import VirtualClock
from alab.gateway import Gateway
from alab.lab import LabDefinition, load_lab
from alab.laboratory import Laboratory
from alab.life import Event
from alab.models import (
    Decision,
    NextStep,
    Outcome,
    PhaseAmount,
    PrecursorAmount,
    Profile,
    Recipe,
    Segment,
    Verdict,
)
from alab.store.codec import encode, pack
from alab.store.records import ask, raise_alarm, set_device_state
from alab.store.store import Store
from alab.store.tables import AttemptRow, DoseRow, FiringRow, ReadingRow, SampleRow, SlotRow
from drivers.catalog import KINDS
from tests.acts import put
from tests.one_sample import RECIPE, SAMPLE

LAB_FILE = Path(__file__).parents[3] / "alab" / "data" / "lab.toml"
RAMP_C_PER_MIN = 10.0
PATTERN = {
    "start_two_theta_deg": 20.0,
    "step_two_theta_deg": 0.1,
    "observed": [5.0, 6.0, 90.0, 7.0],
    "calculated": [5.5, 6.5, 88.0, 6.0],
}


def recipe_of(target: str, oxide: str, carbonate: str) -> Recipe:
    profile = Profile(
        segments=(Segment(ramp_c_per_min=RAMP_C_PER_MIN, temperature_c=1000.0, dwell_s=7200.0),)
    )
    return Recipe(
        target=target,
        precursors=(
            PrecursorAmount(formula=carbonate, moles=1.0, mass_mg=846.3),
            PrecursorAmount(formula=oxide, moles=1.0, mass_mg=342.5),
        ),
        reaction=f"{carbonate} + {oxide} → {target} + CO2",
        profile=profile,
        reasons=("The reaction runs downhill by 95 meV per atom at 1000 °C.",),
    )


def outcome_of(target: str, fraction: float) -> Outcome:
    return Outcome(
        verdict=Verdict.SUCCESS if fraction >= 0.5 else Verdict.PARTIAL,
        target_weight_fraction=fraction,
        target_weight_fraction_esd=0.012,
        phases=(
            PhaseAmount(
                formula=target,
                reference="ref-1",
                space_group="Pm-3m",
                weight_fraction=fraction,
                weight_fraction_esd=0.012,
            ),
        ),
        r_wp_percent=7.4,
        unexplained_fraction=0.02,
        reasons=(f"{target} is {fraction:.0%} of the crystalline part.",),
    )


def furnish(lab: LabDefinition, store: Store) -> None:
    """Fill a store: one sample made, one in a furnace, one lost, one waiting."""
    clock = VirtualClock()
    laboratory = Laboratory(lab, KINDS, {}, store, clock)
    laboratory.start_campaign(
        "titanates", {"BaTiO3": 5, "SrTiO3": 0, "CaTiO3": 0, "MgTiO3": -1}, max_attempts=4
    )
    names = [
        laboratory.add_sample(
            "titanates", target, recipe_of(target, "TiO2", carbonate), priority
        )
        for target, carbonate, priority in (
            ("BaTiO3", "BaCO3", 5),
            ("SrTiO3", "SrCO3", 0),
            ("CaTiO3", "CaCO3", 0),
            ("MgTiO3", "MgO", -1),
        )
    ]
    barium, strontium, calcium, _ = names
    _finish(laboratory, barium)
    _fire(laboratory, strontium)
    laboratory.happened(calcium, Event.PREPARE)
    laboratory.happened(calcium, Event.LOSE, "the arm lost its reply")
    now = clock.now()
    with store.begin() as session:
        for device in lab.devices:
            set_device_state(session, now, device, "ready", note="", identity=f"{device} 1.0")
        set_device_state(
            session, now, "mixer", "quarantined", note="lid open", identity="mixer 1.0"
        )
        raise_alarm(session, now, "mixer", "lid open")
        ask(session, now, calcium, f"Is {calcium} in the gripper?", ["yes", "no"])


def _finish(laboratory: Laboratory, sample: str) -> None:
    for event in (Event.PREPARE, Event.PREPARED, Event.LOAD, Event.UNLOAD, Event.CHARACTERISE):
        laboratory.happened(sample, event)
    now = laboratory.clock.now()
    with laboratory.store.begin() as session:
        session.add_all(
            DoseRow(
                sample=sample, formula=formula, wanted_mg=wanted, dosed_mg=dosed, dosed_at=now
            )
            for formula, wanted, dosed in (("BaCO3", 846.3, 847.1), ("TiO2", 342.5, 342.2))
        )
        attempt = session.query(AttemptRow).filter_by(sample=sample).one()
        attempt.outcome = encode(outcome_of("BaTiO3", 0.87))
        attempt.analysis = pack(json.dumps(PATTERN))
        attempt.scan_filename = f"{sample}.xrdml"
        session.get_one(SlotRow, "archive.1").sample = sample
    laboratory.happened(sample, Event.CHARACTERISED)
    decision = Decision(step=NextStep.DONE, reasons=("The target is the majority phase.",))
    laboratory.record_decision(sample, decision)
    laboratory.happened(sample, Event.FINISH)


def _fire(laboratory: Laboratory, sample: str) -> None:
    for event in (Event.PREPARE, Event.PREPARED, Event.LOAD):
        laboratory.happened(sample, event)
    start = laboratory.clock.now() - timedelta(minutes=90)
    with laboratory.store.begin() as session:
        recipe = session.get_one(SampleRow, sample).recipe
        firing = FiringRow(
            furnace="furnace_a",
            status="heating",
            profile=recipe["profile"],
            atmosphere="air",
            slots={sample: "chamber_a.1"},
            created_at=start,
            heated_from=start,
        )
        session.add(firing)
        session.get_one(SlotRow, "chamber_a.1").sample = sample
        session.get_one(SlotRow, "rack.1").reserved_by = sample
        session.add_all(
            ReadingRow(
                device="furnace_a",
                at=start + timedelta(minutes=minute),
                temperature_c=25.0 + RAMP_C_PER_MIN * minute - 3.0,
                setpoint_c=25.0 + RAMP_C_PER_MIN * minute,
            )
            for minute in range(0, 90, 3)
        )


@pytest.fixture(scope="session")
def lab() -> LabDefinition:
    return load_lab(LAB_FILE, KINDS)


@pytest.fixture(scope="session")
def furnished_dir(tmp_path_factory: pytest.TempPathFactory, lab: LabDefinition) -> Path:
    """A data directory to copy; making one takes half a second."""
    folder = tmp_path_factory.mktemp("furnished")
    store = Store.in_directory(folder)

    async def fill() -> None:
        furnish(lab, store)

    asyncio.run(fill())
    store.close()
    shutil.copyfile(LAB_FILE, folder / "lab.toml")
    return folder


@pytest.fixture
def data_dir(tmp_path: Path, furnished_dir: Path) -> Path:
    return Path(shutil.copytree(furnished_dir, tmp_path / "lab"))


@pytest.fixture
def store(data_dir: Path) -> Iterator[Store]:
    opened = Store.in_directory(data_dir)
    yield opened
    opened.close()


@pytest.fixture
def gateway(small_laboratory: Laboratory) -> Gateway:
    put(small_laboratory, "rack.1", "s")
    return small_laboratory.gateway


@pytest.fixture
def locked(small_laboratory: Laboratory) -> Iterator[sqlite3.Connection]:
    """Somebody else keeps the lab database from being written, as a full disk would."""
    engine = small_laboratory.store.engine
    listen(engine, "checkout", lambda c, *_: c.execute("PRAGMA busy_timeout = 0"))
    other = sqlite3.connect(str(engine.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


@pytest.fixture
def laboratory(small_laboratory: Laboratory) -> Laboratory:
    """With one campaign of one target and one queued sample."""
    small_laboratory.start_campaign("c", {"BaTiO3": 2}, max_attempts=4)
    assert small_laboratory.add_sample("c", "BaTiO3", RECIPE, 2) == SAMPLE
    return small_laboratory
