"""The world is found again as it was left, whenever its process dies."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from alab.errors import StoreError
from alab.lab import LabDefinition
from alab.programs import empty_holder, fill_holder, mount_head, pick, place
from simulators.world import memory as memory_module
from simulators.world.memory import Memory
from simulators.world.world import World
from tests.unit.simulators.kept_floor import BEGAN_AT, PROGRAM, Floor
from tests.unit.simulators.world_pictures import (
    assert_same,
    assert_same_pictures,
    matter_mg,
    picture,
)


@pytest.fixture
def lab(stage) -> LabDefinition:
    """The bench, and a furnace of the other kind with its cover."""
    table = stage.lab.model_dump(by_alias=True)
    table["devices"] |= {
        "furnace_d": {
            "kind": "lads_furnace",
            "address": "opc.tcp://192.168.10.30:4840",
            "class": "box_1200",
            "max_temperature_c": 1150,
            "door": "door_d",
        },
        "door_d": {"kind": "lads_cover", "address": "opc.tcp://192.168.10.30:4840?part=cover"},
    }
    table["places"]["chamber_d"] = {"slots": 2, "device": "furnace_d", "arms": ["arm"]}
    table["places"]["archive"] = {"slots": 2, "arms": ["arm"]}
    return LabDefinition.model_validate(table)


@pytest.fixture
def new_floor(lab, tmp_path) -> Iterator[Callable[..., Floor]]:
    made: list[Floor] = []

    def make(name: str = "world", **options: Any) -> Floor:
        made.append(Floor(lab, tmp_path / name, **options))
        return made[-1]

    yield make
    for floor in made:
        floor.memory.abandon()


@pytest.fixture
def floor(new_floor) -> Floor:
    return new_floor()


def on_the_pan(floor: Floor) -> None:
    floor.play(mount_head(1), pick("crucibles"), place("doser_pan"))
    floor.ask("doser", "QRA 60 7 2")
    floor.wait(5.0)
    floor.ask("doser", "QRA 60 2 4")
    floor.wait(5.0)
    floor.ask("doser", "QRD 1 1 5 400.0", "QRD 1 1 6 1.0")


def dosing(floor: Floor) -> None:
    on_the_pan(floor)
    assert b"QRA 61 1 B" in floor.ask("doser", "QRA 61 1")
    floor.wait(40.0)
    assert 0.0 < floor.world.crucibles["doser_pan"].powder.mass_mg < 390.0


def mixing(floor: Floor) -> None:
    dosing(floor)
    floor.wait(600.0)
    floor.play(pick("doser_pan"), place("mixer_cup"))
    floor.ask("mixer", b"\x04\x21\x021602000\x03", b"\x04\x21\x021100001\x03")
    floor.wait(120.0)
    assert floor.ask("mixer", b"\x04\x20\x021900000\x03") == b"\x021900001\x03"


def opening(floor: Floor) -> None:
    mixing(floor)
    floor.ask("mixer", b"\x04\x21\x021200000\x03")
    floor.wait(60.0)
    floor.play(pick("mixer_cup"))
    floor.ask("door_a", "Open A")
    floor.wait(10.0)
    assert b"RUNNING" in floor.ask("door_a", "Status")


def placing(floor: Floor) -> None:
    opening(floor)
    floor.wait(30.0)
    floor.ask("arm", f"load {place('chamber_a.1')}", "play")
    floor.wait(5.0)
    assert "arm" in floor.world.gripped


def closing(floor: Floor) -> None:
    placing(floor)
    floor.wait(60.0)
    floor.ask("door_a", "Close A")
    floor.wait(10.0)
    assert "door_a" in floor.world.open_doors


def firing(floor: Floor) -> None:
    closing(floor)
    floor.wait(60.0)
    floor.write(PROGRAM | {8355: 2, 23: 2})
    floor.wait(7200.0)
    assert floor.lines["furnace_a"].units[1].read(23) == 2
    assert floor.world.crucibles["chamber_a.1"].powder._closed


def scanning(floor: Floor) -> None:
    firing(floor)
    for _ in range(20):
        floor.wait(3600.0)
    floor.ask("door_a", "Open A")
    floor.wait(60.0)
    floor.play(pick("chamber_a.1"), fill_holder("xrd_holders.1"), place("archive.1"))
    floor.ask("xrd", "@SAMPLE@ADD@SAMPLE_ID=S1@AT=0,1")
    floor.ask("xrd", "@SAMPLE@MEASURE@SAMPLE_ID=S1@APPLICATION=alab_8min")
    floor.wait(200.0)
    assert b"READY=no" in floor.ask("xrd", "@STATUS_REQUEST@UNIT=xrd")


def emptied(floor: Floor) -> None:
    scanning(floor)
    floor.wait(400.0)
    floor.ask("xrd", "@SAMPLE@REMOVE@SAMPLE_ID=S1")
    floor.play(empty_holder("xrd_holders.1"))


ACTS = [on_the_pan, dosing, mixing, opening, placing, closing, firing, scanning, emptied]


@pytest.mark.parametrize("act", ACTS)
def test_a_killed_world_is_found_as_it_was(act, floor) -> None:
    act(floor)
    found = floor.again()
    assert found.now_s == 0.0
    assert_same(found.world, floor.world)
    found.memory.abandon()


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("kills", [1, 3])
def test_it_goes_on_as_if_nothing_had_happened(act, kills, new_floor) -> None:
    left, other = new_floor("left"), new_floor("other")
    act(left)
    act(other)
    for _ in range(kills):
        other = other.again()
    for floor in (left, other):
        for _ in range(4):
            floor.wait(300.0)
    assert_same(other.world, left.world)
    other.memory.abandon()


def interrupted(floor: Floor) -> None:
    """What operators and drivers do when something is not right."""
    dosing(floor)
    floor.ask("doser", "QRA 61 4")
    floor.wait(10.0)
    floor.ask("doser", "S", "TI", "TAC", "QRA 60 7 3")
    floor.wait(5.0)
    assert floor.ask("doser", "I3").startswith(b"QRA 60 7 A")
    floor.ask("doser", "QRD 1 1 5 300.0")
    floor.ask("arm", f"load {pick('rack.4')}", "play")
    floor.wait(5.0)
    floor.ask("arm", "pause", "play", "stop", "play")
    floor.wait(70.0)
    assert floor.ask("arm", "safetystatus") == b"Safetystatus: PROTECTIVE_STOP\n"
    floor.ask("arm", "unlock protective stop", "stop")
    floor.ask("door_a", "Open A")
    floor.wait(40.0)
    floor.write(PROGRAM | {8355: 2, 23: 2})
    floor.write({23: 4})
    floor.lines["furnace_a"].units[1].release_at_panel()
    floor.wait(1000.0)
    floor.write({23: 1, 2: 300})
    floor.ask("mixer", b"\x04\x21\x021602000\x03", b"\x04\x21\x021100001\x03")
    floor.ask("mixer", b"\x04\x21\x021200000\x03")
    floor.wait(60.0)


@pytest.fixture
def looked(floor, tmp_path, monkeypatch) -> list[str]:
    """At every request: what would be found now, had the process died?"""
    times: list[str] = []
    keep = World.keep

    def look(world: World) -> None:
        keep(world)
        if world is floor.world:
            times.append("looked")
            found = floor.again(tmp_path / "copy")
            world.advance()  # devices that advance early have not seen the arm act yet
            assert_same(found.world, world)
            found.memory.abandon()

    monkeypatch.setattr(World, "keep", look)
    return times


@pytest.mark.parametrize("life", [interrupted, emptied])
def test_nothing_that_was_answered_is_forgotten(life, floor, looked) -> None:
    life(floor)
    assert len(looked) > 40


async def test_no_command_of_the_other_furnace_is_forgotten(floor, looked) -> None:
    for act in (
        lambda f, _now: f.take_lock("alab"),
        lambda f, now_s: f.move_cover("Opened", now_s),
        lambda f, _now: f.abort(),
        lambda f, _now: f.clear(),
    ):
        await floor.command("any", act)
        floor.wait(40.0)
    furnace = floor.lines["furnace_d"].furnace
    furnace.hold_at_panel()
    floor.wait(10.0)
    furnace.release_at_panel()
    floor.wait(10.0)
    furnace.chamber.limiter_tripped = True
    furnace.chamber.mark()
    floor.wait(10.0)
    furnace.chamber.reset_limiter()
    floor.wait(1.0)
    assert len(looked) > 10


@pytest.mark.parametrize("act", [dosing, mixing, placing])
def test_matter_is_conserved(act, floor) -> None:
    before_mg = matter_mg(floor.world)
    act(floor)
    found = floor.again()
    found.wait(600.0)
    assert matter_mg(found.world) == pytest.approx(before_mg, abs=1e-3)
    assert picture(found.world)["/crucibles_made"] == 1
    found.memory.abandon()


async def test_the_other_furnace_goes_on_in_its_program_and_its_cover_moves_on(floor) -> None:
    crucible = floor.world.new_crucible()
    crucible.powder.add("BaCO3", 500.0)
    floor.world.crucibles["chamber_d.1"] = crucible
    profile = {"segments": [{"ramp_c_per_min": 10, "temperature_c": 900, "dwell_s": 3600}]}
    given = [f"Profile={json.dumps(profile)}", "Atmosphere=air"]
    await floor.command(
        "StartProgram", lambda f, _now: f.start_program("HeatingProgram", given, "job 1")
    )
    floor.wait(4000.0)
    found = floor.again()
    furnace = found.lines["furnace_d"].furnace
    assert (furnace.job_id, furnace.running_state) == ("job 1", "Execute")
    assert furnace.chamber.temperature_c > 500.0
    assert_same(found.world, floor.world)
    for _ in range(20):
        found.wait(3600.0)
    assert furnace.running_state == "Complete"
    await found.command("Open", lambda f, now_s: f.move_cover("Opened", now_s))
    found.wait(10.0)
    last = found.again()
    assert last.lines["furnace_d"].furnace.cover.state == "Opening"
    last.wait(60.0)
    assert last.lines["furnace_d"].furnace.cover.state == "Opened"
    last.memory.abandon()


def test_a_scan_that_was_running_leaves_its_file(new_floor) -> None:
    left, other = new_floor("left"), new_floor("other")
    scanning(left)
    scanning(other)
    other = other.again()
    for floor in (left, other):
        floor.wait(400.0)
    name = "S1.xrdml"
    patterns = [f.path.with_suffix(".files").joinpath(name).read_bytes() for f in (left, other)]
    assert patterns[0] == patterns[1]
    other.memory.abandon()


def test_a_tripped_limiter_stays_tripped(floor) -> None:
    unit = floor.lines["furnace_a"].units[1]
    unit.chamber.ssr_stuck_on = True
    unit.chamber.mark()
    floor.wait(6 * 3600.0)
    assert unit.chamber.limiter_tripped
    found = floor.again()
    assert found.lines["furnace_a"].units[1].chamber.limiter_tripped
    found.memory.abandon()


def test_no_time_passes_while_the_laboratory_is_down(floor) -> None:
    firing(floor)
    floor.memory.close(floor.world)
    left_at, left_s = floor.at, floor.world.now_s()
    found = Floor(floor.lab, floor.path, at=left_at)
    assert found.world.now_s() == left_s
    assert found.world.epoch == BEGAN_AT
    found.wait(0.0)
    assert_same(found.world, floor.world)
    found.memory.abandon()


def test_a_laboratory_whose_time_fell_behind_does_not_turn_the_world_back(floor) -> None:
    firing(floor)
    floor.memory.abandon()
    earlier = floor.at - timedelta(seconds=1000.0)
    found = Floor(floor.lab, floor.path, at=earlier)
    found.wait(0.0)
    assert found.world.now_s() == floor.world.now_s()
    assert found.world.epoch + timedelta(seconds=found.world.now_s()) == earlier
    assert_same(found.world, floor.world)
    found.memory.abandon()


def test_a_laboratory_that_knows_of_a_later_time_finds_the_world_there(new_floor) -> None:
    left, other = new_floor("left"), new_floor("other")
    firing(left)
    firing(other)
    other.memory.abandon()
    left.wait(1234.0)
    other = Floor(other.lab, other.path, at=left.at)
    other.wait(0.0)
    assert_same(other.world, left.world)
    other.memory.abandon()


def test_a_device_that_is_off_keeps_its_state(floor) -> None:
    dosing(floor)
    floor.memory.abandon()
    world = World(seed=3, now_s=lambda: 0.0, epoch=floor.at)
    memory = Memory(floor.path)
    memory.recall(world)
    memory.open(world)  # and nothing registers
    memory.close(world)
    found = Floor(floor.lab, floor.path, at=floor.at)
    assert found.lines["doser"].instrument.doser.dosing is not None
    found.memory.abandon()


def test_looking_costs_no_journal(floor) -> None:
    firing(floor)
    before_bytes = floor.path.stat().st_size
    for _ in range(50):
        floor.wait(60.0)
        floor.ask("arm", "running", "safetystatus", "programState")
        floor.ask("door_a", "Status")
        floor.ask("xrd", "@STATUS_REQUEST@UNIT=xrd")
    assert floor.path.stat().st_size == before_bytes


def test_a_long_journal_is_replaced_by_a_picture(floor, monkeypatch) -> None:
    monkeypatch.setattr(memory_module, "LARGEST_JOURNAL_BYTES", 20_000)
    for _ in range(300):
        floor.ask("doser", "QRD 1 1 5 400.0")
    assert floor.path.stat().st_size < 40_000
    found = floor.again()
    assert_same(found.world, floor.world)
    found.memory.abandon()


@pytest.mark.parametrize("cut_bytes", [1, 200])
def test_what_a_kill_cut_off_was_told_to_nobody(cut_bytes, floor) -> None:
    dosing(floor)
    before = picture(floor.world)
    floor.ask("arm", f"load {pick('rack.1')}")
    floor.memory.abandon()
    floor.path.write_bytes(floor.path.read_bytes()[:-cut_bytes])
    found = Floor(floor.lab, floor.path, at=floor.at)
    found.wait(0.0)
    assert picture(found.world)["/arm/_loaded"] == before["/arm/_loaded"]
    assert_same_pictures(picture(found.world), before)
    found.memory.abandon()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda content: content[:200] + b"?" + content[201:], "checksum at byte"),
        (lambda content: content[:100], "before its first picture"),
        (lambda content: b"", "does not begin like one"),
        (lambda content: b"SQLite format 3\0" + content, "does not begin like one"),
        (lambda content: content.replace(b"world 0001", b"world 0002"), "format 0002"),
    ],
)
def test_what_is_no_world_of_ours_is_refused(spoil, why, floor) -> None:
    floor.memory.close(floor.world)
    floor.path.write_bytes(spoil(floor.path.read_bytes()))
    with pytest.raises(StoreError, match=why) as refused:
        Floor(floor.lab, floor.path)
    assert str(floor.path) in str(refused.value)
    assert "--data-dir" in str(refused.value)


def test_a_world_of_another_seed_is_refused(floor) -> None:
    floor.memory.close(floor.world)
    with pytest.raises(StoreError, match="seed 3, not 4"):
        Floor(floor.lab, floor.path, seed=4)


def test_a_folder_that_cannot_be_written_is_told(lab, tmp_path) -> None:
    with pytest.raises(StoreError, match="cannot remember"):
        Floor(lab, tmp_path / "missing" / "world")


def test_without_a_keeper_nothing_gathers(stage) -> None:
    stage.world.mark("rack.1")
    stage.world.keep()
    assert not stage.world._marks
