"""What an arm does in the world, and what its server answers."""

import pytest

from alab import programs
from simulators.arms.ur_dashboard import UrDashboard


@pytest.fixture
def arm(stage) -> UrDashboard:
    return UrDashboard(stage.world, stage.lab, "arm")


def play(stage, arm, program: str) -> None:
    assert arm.answer(b"load " + program.encode()).startswith(b"Loading program: ")
    assert arm.answer(b"play") == b"Starting program\n"
    stage.wait(60.0, 1.0)


def test_it_stores_the_programs_that_its_places_need(stage, arm) -> None:
    stored = set(arm._gripper.stored)
    assert {programs.pick("rack.4"), programs.place("rack.4")} <= stored
    assert {programs.pick("crucibles"), programs.mount_head(2)} <= stored
    assert {programs.fill_holder("xrd_holders.2"), programs.empty_holder("xrd_holders.2")} <= (
        stored
    )
    assert programs.place("crucibles") not in stored
    assert programs.pick("xrd_holders.1") not in stored
    assert programs.pick("archive.1") not in stored  # out of its reach
    assert programs.mount_head(3) not in stored


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (b"running", b"Program running: false\n"),
        (b"programState", b"STOPPED\n"),
        (b"robotmode", b"Robotmode: RUNNING\n"),
        (b"safetystatus", b"Safetystatus: NORMAL\n"),
        (b"is in remote control", b"true\n"),
        (b"get loaded program", b"No program loaded\n"),
        (b"load dance.urp", b"File not found: dance.urp\n"),
        (b"play", b"Failed to execute: play\n"),
        (b"stop", b"Failed to execute: stop\n"),
        (b"pause", b"Failed to execute: pause\n"),
        (b"sing", b"could not understand: 'sing'\n"),
    ],
)
def test_answers_as_the_dashboard_does(arm, request_, reply) -> None:
    assert arm.answer(request_) == reply


def test_a_program_takes_20_to_60_seconds(stage, arm) -> None:
    durations_s = []
    for _ in range(30):
        stage.world.gripped.clear()
        arm.answer(b"load pick_crucibles.urp")
        arm.answer(b"play")
        began_s = stage.now_s
        while arm.answer(b"running") == b"Program running: true\n":
            stage.wait(1.0)
        durations_s.append(stage.now_s - began_s)
    assert min(durations_s) >= 20.0
    assert max(durations_s) <= 61.0
    assert max(durations_s) - min(durations_s) > 20.0


def test_the_gripper_acts_half_way(stage, arm) -> None:
    crucible = stage.put("rack.1")
    arm.answer(b"load pick_rack_1.urp")
    arm.answer(b"play")
    stage.wait(10.0)
    assert stage.world.crucibles == {"rack.1": crucible}
    while "arm" not in stage.world.gripped:
        stage.wait(0.5)
    assert arm.answer(b"programState") == b"PLAYING pick_rack_1.urp\n"


def test_a_holder_is_filled_from_the_gripped_crucible_and_emptied(stage, arm) -> None:
    stage.put("rack.1").powder.add("TiO2", 500.0)
    play(stage, arm, programs.pick("rack.1"))
    play(stage, arm, programs.fill_holder("xrd_holders.2"))
    assert stage.world.holders["xrd_holders.2"].mass_mg == pytest.approx(200.0)
    assert stage.world.gripped["arm"].powder.mass_mg == pytest.approx(300.0)
    play(stage, arm, programs.place("rack.1"))
    play(stage, arm, programs.empty_holder("xrd_holders.2"))
    assert stage.world.holders == {}


@pytest.mark.parametrize(
    ("prepare", "program", "met"),
    [
        ((), programs.pick("rack.1"), "nothing to grip in rack.1"),
        ((), programs.place("rack.1"), "gripper lost its grip"),
        ((), programs.fill_holder("xrd_holders.1"), "gripper lost its grip"),
        (("gripped",), programs.pick("crucibles"), "gripper holds C0001 already"),
        (("gripped",), programs.mount_head(1), "gripper is not empty"),
        (("gripped", "rack.1"), programs.place("rack.1"), "C0002 stands in rack.1"),
        (("gripped",), programs.place("chamber_a.1"), "door_a is shut"),
        (("chamber_a.1",), programs.pick("chamber_a.1"), "door_a is shut"),
    ],
)
def test_a_collision_is_a_protective_stop(stage, arm, prepare, program, met) -> None:
    for where in prepare:
        if where == "gripped":
            stage.world.gripped["arm"] = stage.world.new_crucible()
        else:
            stage.put(where)
    play(stage, arm, program)
    assert arm.answer(b"safetystatus") == b"Safetystatus: PROTECTIVE_STOP\n"
    assert arm.answer(b"running") == b"Program running: false\n"
    assert arm.answer(b"programState") == f"PAUSED {program}\n".encode()
    assert arm.answer(b"play") == b"Failed to execute: play\n"
    assert arm.collided_with == met


def test_an_open_door_lets_it_in(stage, arm) -> None:
    stage.world.open_doors.add("door_a")
    crucible = stage.put("chamber_a.2")
    play(stage, arm, programs.pick("chamber_a.2"))
    assert stage.world.gripped == {"arm": crucible}


def test_pause_holds_and_play_goes_on(stage, arm) -> None:
    arm.answer(b"load pick_crucibles.urp")
    arm.answer(b"play")
    assert arm.answer(b"pause") == b"Pausing program\n"
    stage.wait(100.0)
    assert stage.world.gripped == {}
    assert arm.answer(b"play") == b"Starting program\n"
    stage.wait(60.0)
    assert "arm" in stage.world.gripped


def test_a_person_clears_the_stop_and_ends_the_program(stage, arm) -> None:
    play(stage, arm, programs.pick("rack.1"))
    assert arm.answer(b"unlock protective stop") == b"Protective stop releasing\n"
    assert arm.answer(b"stop") == b"Stopped\n"
    assert arm.answer(b"programState") == b"STOPPED pick_rack_1.urp\n"


def test_an_emergency_stop_halts_the_program(stage, arm) -> None:
    arm.answer(b"load pick_crucibles.urp")
    arm.answer(b"play")
    arm.safety = "ROBOT_EMERGENCY_STOP"
    stage.wait(100.0)
    assert stage.world.gripped == {}


class TestTwoArms:
    """Both reach the rack; only the first reaches the mixer."""

    @pytest.fixture
    def other(self, stage, arm) -> UrDashboard:
        places = {"rack": stage.lab.places["rack"].model_copy(update={"arms": ("other",)})}
        lab = stage.lab.model_copy(update={"places": places})
        return UrDashboard(stage.world, lab, "other")

    @pytest.mark.parametrize("paused", [True, False])
    def test_that_reach_into_one_place_collide(self, stage, arm, other, *, paused) -> None:
        stage.put("rack.1")
        stage.put("rack.2")
        begin(arm, programs.pick("rack.1"))
        stage.wait(1.0)
        if paused:
            arm.answer(b"pause")
        begin(other, programs.pick("rack.2"))
        assert [arm.safety, other.safety] == ["PROTECTIVE_STOP"] * 2
        assert arm.collided_with == "other over rack"
        assert other.collided_with == "arm over rack"
        stage.wait(100.0)
        assert stage.world.gripped == {}

    def test_pass_where_one_works_elsewhere(self, stage, arm, other) -> None:
        stage.put("mixer_cup")
        stage.put("rack.2")
        begin(arm, programs.pick("mixer_cup"))
        begin(other, programs.pick("rack.2"))
        stage.wait(60.0)
        assert set(stage.world.gripped) == {"arm", "other"}

    def test_pass_one_after_the_other(self, stage, arm, other) -> None:
        stage.put("rack.1")
        stage.put("rack.2")
        begin(arm, programs.pick("rack.1"))
        stage.wait(61.0)
        begin(other, programs.pick("rack.2"))
        stage.wait(61.0)
        assert set(stage.world.gripped) == {"arm", "other"}


def begin(arm, program: str) -> None:
    assert arm.answer(b"load " + program.encode()).startswith(b"Loading program: ")
    assert arm.answer(b"play") == b"Starting program\n"


def test_an_arm_without_power_forgets_its_program(stage, arm) -> None:
    stage.put("rack.1")
    begin(arm, programs.pick("rack.1"))
    arm.lose_power()
    stage.wait(100.0)
    assert stage.world.gripped == {}
    assert arm.answer(b"programState") == b"STOPPED\n"
    assert arm.answer(b"robotmode") == b"Robotmode: POWER_OFF\n"
