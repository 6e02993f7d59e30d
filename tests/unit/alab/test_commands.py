"""Commands: what is stored with an intent is the whole command."""

import json
from typing import Any

import pytest

from alab.clock import VirtualClock
from alab.commands import (
    Command,
    Dose,
    MeasureScan,
    Mix,
    OpenDoor,
    RunProgram,
    ShutDoor,
    StartFiring,
)
from alab.models import Atmosphere, FurnaceMode, Profile, Segment
from alab.store.codec import decode
from tests.fakes import Bench

PROFILE = Profile(segments=(Segment(ramp_c_per_min=5, temperature_c=900, dwell_s=3600),))
COMMANDS: list[Command[Any]] = [
    Dose(substance="BaCO3", mass_mg=250.0, tolerance_percent=1.0, before_mg=11_500.0),
    Mix(speed_rpm=2000.0, duration_s=540.0),
    RunProgram(program="pick_rack_1.urp", takes_from="rack.1"),
    StartFiring(profile=PROFILE, atmosphere=Atmosphere.O2),
    MeasureScan(sample="s", position=3, program="alab_8min"),
    OpenDoor(),
    ShutDoor(),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.word)
def test_arguments_are_json_and_give_the_command_back(command: Command[Any]) -> None:
    stored = json.loads(json.dumps(command.arguments))
    assert decode(type(command), stored) == command


def test_words_are_unique_and_only_doors_restate() -> None:
    assert len({command.word for command in COMMANDS}) == len(COMMANDS)
    assert {c.word for c in COMMANDS if c.restatable} == {"open_door", "shut_door"}


@pytest.mark.parametrize(
    ("mode", "profile", "began"),
    [
        (FurnaceMode.IDLE, PROFILE, False),
        (FurnaceMode.RUNNING, PROFILE, True),
        (FurnaceMode.HOLDBACK, PROFILE, True),
        (FurnaceMode.COMPLETE, PROFILE, True),
        (FurnaceMode.RUNNING, None, None),  # somebody else's program
        (FurnaceMode.HOLDING, PROFILE, None),
        (FurnaceMode.FAULT, PROFILE, None),
    ],
)
async def test_furnace_tells_whether_it_fires(
    bench: Bench, mode: FurnaceMode, profile: Profile | None, began: bool | None
) -> None:
    bench.furnace.mode, bench.furnace.profile = mode, profile
    command = StartFiring(profile=PROFILE, atmosphere=Atmosphere.AIR)
    assert await command.was_started(bench.furnace) is began


async def test_still_arm_and_mixer_cannot_tell(bench: Bench) -> None:
    pick = RunProgram(program="pick_rack_1.urp")
    assert await pick.was_started(bench.arm) is None
    bench.arm.playing = "another.urp"
    assert await pick.was_started(bench.arm) is None
    assert await Mix(speed_rpm=1.0, duration_s=1.0).was_started(bench.mixer) is None


@pytest.mark.parametrize(("gained_mg", "began"), [(0.0, False), (0.9, False), (1.1, True)])
async def test_powder_on_the_pan_tells(bench: Bench, gained_mg: float, began: bool) -> None:
    bench.doser.gross_mg = 11_500.0 + gained_mg
    command = Dose(substance="BaCO3", mass_mg=250.0, tolerance_percent=1.0, before_mg=11_500.0)
    assert await command.was_started(bench.doser) is began


async def test_scan_comes_back_as_text(bench: Bench, clock: VirtualClock) -> None:
    command = MeasureScan(sample="s", position=3, program="alab_8min")

    async def main() -> dict[str, Any]:
        await command.start(bench.xrd)
        assert await command.was_started(bench.xrd)
        return await command.finish(bench.xrd)

    result = await clock.run(main())
    assert result == {"filename": "s.xrdml", "content": "<xrdMeasurements/>"}
