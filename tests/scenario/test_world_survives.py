"""A simulated laboratory is stopped or killed in mid-act; its world is still there after.

No flows: one participant drives the devices through the gateway. Its acts have keys, so
that running it again after a restart re-attaches to what was under way.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alab import programs
from alab.claims import Claim, Lease
from alab.clock import on_clock
from alab.commands import Command, Dose, OpenDoor, RunProgram, ShutDoor, StartFiring
from alab.errors import StoreError
from alab.laboratory import Laboratory
from alab.models import Atmosphere, FurnaceMode, Profile, Segment
from alab.runtime import Simulation, running
from alab.simulated import FILENAME
from alab.store.tables import IntentRow

LAB = """\
name = "one furnace"
crucibles = 4
[devices]
doser = { kind = "mettler_quantos", address = "serial:///dev/ttyUSB0" }
arm = { kind = "ur_dashboard", address = "tcp://10.0.0.21:29999" }
door_a = { kind = "arduino_door", address = "tcp://10.0.0.40:8888?door=A" }
[devices.furnace_a]
kind = "eurotherm_2416"
address = "serial:///dev/ttyUSB2?unit=1"
class = "box_1200"
max_temperature_c = 1150
door = "door_a"
[places]
crucibles = { arms = ["arm"] }
rack = { slots = 2, arms = ["arm"] }
archive = { slots = 2, arms = ["arm"] }
doser_pan = { device = "doser", arms = ["arm"] }
chamber_a = { slots = 2, device = "furnace_a", arms = ["arm"] }
[precursors]
CaCO3 = { mass_g = 10, head = 1 }
"""
SEED = 11
PROFILE = Profile(segments=(Segment(ramp_c_per_min=10.0, temperature_c=900.0, dwell_s=7200.0),))


class Work:
    """A dose of CaCO3 is burnt to CaO, and weighed before and after."""

    def __init__(self, laboratory: Laboratory) -> None:
        self.laboratory = laboratory
        self.gateway, self.clock = laboratory.gateway, laboratory.clock
        self.furnace_modes: list[FurnaceMode] = []
        self.lease: Lease | None = None

    async def whole(self) -> tuple[float, float]:
        """All of it; returns mass dosed and mass lost, in mg."""
        self.lease = await self.laboratory.claims.acquire(
            Claim(
                owner="work",
                stage="all",
                devices=frozenset({"doser", "arm", "door_a", "furnace_a"}),
            )
        )
        await self._arm("crucible", programs.pick("crucibles"))
        await self._arm("onto pan", programs.place("doser_pan"))
        await self._arm("head", programs.mount_head(1))
        dose = Dose(
            substance="CaCO3",
            mass_mg=300.0,
            tolerance_percent=2.0,
            before_mg=self._before_mg() or await self._weigh(),
        )
        dosed_mg = (await self._do("dose", "doser", dose))["dosed_mg"]
        await self._arm("off pan", programs.pick("doser_pan"))
        await self._do("open", "door_a", OpenDoor())
        await self._arm("in", programs.place("chamber_a.1"))
        await self._do("shut", "door_a", ShutDoor())
        start = StartFiring(profile=PROFILE, atmosphere=Atmosphere.AIR)
        await self._do("fire", "furnace_a", start)
        await self._fired()
        await self._do("open again", "door_a", OpenDoor())
        await self._arm("out", programs.pick("chamber_a.1"))
        await self._arm("onto pan again", programs.place("doser_pan"))
        return dosed_mg, dose.before_mg + dosed_mg - await self._weigh()

    async def _fired(self) -> None:
        while True:
            reading = await self.gateway.furnaces.read("furnace_a")
            self.furnace_modes.append(reading.mode)
            if reading.mode is FurnaceMode.COMPLETE and reading.temperature_c < 150.0:
                return
            await self.clock.sleep(300.0)

    async def _weigh(self) -> float:
        doser: Any = self.gateway.device("doser")
        return (await doser.weigh()).mass_mg

    def _before_mg(self) -> float | None:
        row = self.intent("dose")
        return row.arguments["before_mg"] if row else None

    def intent(self, key: str) -> IntentRow | None:
        with self.laboratory.store.begin() as session:
            return session.query(IntentRow).filter_by(key=key).one_or_none()

    async def _arm(self, key: str, program: str) -> None:
        await self._do(key, "arm", RunProgram(program=program))

    async def _do(self, key: str, device: str, command: Command[Any]) -> dict[str, Any]:
        assert self.lease is not None
        return await self.gateway.perform(key, device, command, lease=self.lease)


def _runs(work: Work, key: str) -> bool:
    row = work.intent(key)
    return row is not None and row.status == "running"


def _glows(work: Work) -> bool:
    latest = work.gateway.furnaces.latest.get("furnace_a")
    return latest is not None and latest.reading.temperature_c > 500.0


POINTS: dict[str, Callable[[Work], bool]] = {
    "dosing": lambda work: _runs(work, "dose"),
    "placing": lambda work: _runs(work, "in"),
    "firing": _glows,
}


def _simulation() -> Simulation:
    return Simulation(seed=SEED)


async def _until(work: Work, point: str) -> None:
    while not POINTS[point](work):
        await work.clock.sleep(7.0)


async def _stopped_at(
    data_dir: Path, lab_file: Path, point: str, end: Callable[[], None]
) -> None:
    """Work until ``point``, then end."""
    async with running(data_dir, lab_file, simulation=_simulation()) as runtime:
        work = Work(runtime.laboratory)
        task = work.clock.spawn(work.whole(), name="work")
        await on_clock(work.clock, _until(work, point))
        end()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _finished(data_dir: Path, lab_file: Path) -> tuple[Work, tuple[float, float]]:
    async with running(data_dir, lab_file, simulation=_simulation()) as runtime:
        work = Work(runtime.laboratory)
        return work, await on_clock(work.clock, work.whole())


def _killed(data_dir: Path, lab_file: Path, point: str) -> None:
    """A process of its own that dies by SIGKILL at ``point``."""
    root = Path(__file__).parents[2]
    dead = subprocess.run(
        [sys.executable, __file__, str(data_dir), str(lab_file), point],
        env=os.environ | {"PYTHONPATH": str(root), "PREFECT_HOME": str(data_dir / "prefect")},
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )
    assert dead.returncode == -signal.SIGKILL, dead.stderr


@pytest.fixture(scope="module")
def lab_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lab") / "lab.toml"
    path.write_text(LAB)
    return path


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, lab_file: Path
) -> tuple[float, float]:
    """Dosed and lost of a laboratory that ran through."""
    return asyncio.run(_finished(tmp_path_factory.mktemp("through"), lab_file))[1]


def _check(work: Work, found: tuple[float, float], undisturbed: tuple[float, float]) -> None:
    dosed_mg, lost_mg = found
    assert dosed_mg == pytest.approx(300.0, rel=0.1)
    assert lost_mg / dosed_mg == pytest.approx(0.44, abs=0.01), "CaCO3 loses 44 % as CaO"
    assert found == pytest.approx(undisturbed, abs=0.15)  # the pan's noise
    assert FurnaceMode.IDLE not in work.furnace_modes, "the program was gone"


@pytest.mark.parametrize("point", POINTS)
async def test_stopped_and_started_again(point, tmp_path, lab_file, undisturbed) -> None:
    await _stopped_at(tmp_path, lab_file, point, end=lambda: None)
    work, found = await _finished(tmp_path, lab_file)
    _check(work, found, undisturbed)
    if point == "firing":
        assert work.furnace_modes[0] is FurnaceMode.RUNNING


@pytest.mark.parametrize("point", ["dosing", "firing"])
async def test_killed_and_started_again(point, tmp_path, lab_file, undisturbed) -> None:
    await asyncio.to_thread(_killed, tmp_path, lab_file, point)
    work, found = await _finished(tmp_path, lab_file)
    _check(work, found, undisturbed)
    if point == "firing":
        assert work.furnace_modes[0] is FurnaceMode.RUNNING


async def test_a_damaged_world_is_told_at_the_start(tmp_path, lab_file) -> None:
    await _stopped_at(tmp_path, lab_file, "dosing", end=lambda: None)
    world = tmp_path / FILENAME
    content = bytearray(world.read_bytes())
    content[-1] ^= 0xFF
    world.write_bytes(bytes(content))
    with pytest.raises(StoreError, match=r"cannot be read.*--data-dir"):
        await _finished(tmp_path, lab_file)


if __name__ == "__main__":
    asyncio.run(
        _stopped_at(
            Path(sys.argv[1]),
            Path(sys.argv[2]),
            sys.argv[3],
            end=lambda: os.kill(os.getpid(), signal.SIGKILL),
        )
    )
