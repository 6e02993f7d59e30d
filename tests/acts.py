"""Acts to carry out in the small laboratory, and what to look at afterwards."""

from collections.abc import Awaitable
from typing import Any

from sqlalchemy import select

from alab import programs
from alab.claims import Claim, Lease
from alab.commands import Command, Dose, MeasureScan, Mix, RunProgram, StartFiring
from alab.laboratory import Laboratory
from alab.models import Atmosphere, Profile, Segment
from alab.store.tables import AlarmRow, DeviceRow, QuestionRow, SlotRow
from tests.fakes import Bench

ALL = frozenset({"doser", "mixer", "arm", "furnace", "door", "xrd"})
PROFILE = Profile(segments=(Segment(ramp_c_per_min=5, temperature_c=900, dwell_s=3600),))
FIRE = StartFiring(profile=PROFILE, atmosphere=Atmosphere.AIR)
DOSE = Dose(substance="BaCO3", mass_mg=250.0, tolerance_percent=1.0, before_mg=11_500.0)
MIX = Mix(speed_rpm=2000.0, duration_s=540.0)
SCAN = MeasureScan(sample="s", position=1, program="alab_8min")
PICK = RunProgram(program=programs.pick("rack.1"), takes_from="rack.1")

ACTS: list[tuple[str, Command[Any]]] = [
    ("doser", DOSE),
    ("mixer", MIX),
    ("arm", PICK),
    ("furnace", FIRE),
    ("xrd", SCAN),
]
IDS = [device for device, _ in ACTS]


def put(
    laboratory: Laboratory, slot: str, sample: str | None, *, unknown: bool = False
) -> None:
    with laboratory.store.begin() as session:
        row = session.get_one(SlotRow, slot)
        row.sample, row.unknown = sample, unknown


def whole_lab(laboratory: Laboratory) -> Awaitable[Lease]:
    return laboratory.claims.acquire(Claim(owner="s", stage="test", devices=ALL))


def restarted(laboratory: Laboratory, bench: Bench) -> Laboratory:
    """The same laboratory in a new process: only store and devices are left."""
    return Laboratory(
        laboratory.lab, laboratory.kinds, bench.devices, laboratory.store, laboratory.clock
    )


def open_questions(laboratory: Laboratory) -> list[QuestionRow]:
    with laboratory.store.begin() as session:
        return list(session.scalars(select(QuestionRow).where(QuestionRow.answer.is_(None))))


def state_of(laboratory: Laboratory, device: str) -> str:
    with laboratory.store.begin() as session:
        return session.get_one(DeviceRow, device).state


def alarms_of(laboratory: Laboratory, device: str) -> list[str]:
    """Texts of all alarms about a device, in the order they were raised."""
    with laboratory.store.begin() as session:
        query = select(AlarmRow.text).where(AlarmRow.device == device).order_by(AlarmRow.id)
        return list(session.scalars(query))
