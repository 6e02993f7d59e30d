"""The exact lines, from "Dashboard Server e-Series" (Universal Robots)."""

import pytest

from alab.errors import (
    CommandRejected,
    DeviceFault,
    DeviceUnreachable,
    InterlockError,
    MalformedReply,
    UnknownOutcome,
)
from drivers.arms.ur_dashboard import UrDashboard

PROGRAM = "pick_rack_7.urp"
SAFE = (b"safetystatus", b"Safetystatus: NORMAL")
REMOTE = (b"is in remote control", b"true")
ON = (b"robotmode", b"Robotmode: RUNNING")
STATE = b"programState"
STANDS = (STATE, b"STOPPED pick_rack_7.urp")
PLAYS = (STATE, b"PLAYING pick_rack_7.urp")
LOAD = (b"load pick_rack_7.urp", b"Loading program: /programs/pick_rack_7.urp")
LOADED = (b"get loaded program", b"Loaded program: /programs/pick_rack_7.urp")
FIT = (SAFE, REMOTE, ON, STANDS)
START = (*FIT, LOAD, LOADED, (b"play", b"Starting program"))


@pytest.fixture
def arm(transcript, clock):
    def make(*conversation):
        line = transcript(*conversation)
        return UrDashboard("arm", line, clock), line

    return make


async def test_connecting_reads_banner_and_model(arm, run) -> None:
    device, line = arm((b"get robot model", b"UR5"), (b"get serial number", b"20195501234"))
    line.banner = b"Connected: Universal Robots Dashboard Server"
    assert await run(device.connect()) == "Universal Robots UR5, serial number 20195501234"


async def test_another_server_is_no_arm(arm, run) -> None:
    device, line = arm()
    line.banner = b"SSH-2.0-OpenSSH_9.6"
    with pytest.raises(MalformedReply, match="no Dashboard server"):
        await run(device.connect())


async def test_a_program_from_load_to_end(arm, run, clock) -> None:
    device, line = arm(
        *START, PLAYS, PLAYS, SAFE, REMOTE, PLAYS, SAFE, REMOTE, STANDS, SAFE, ON
    )

    async def work() -> None:
        await device.start_program(PROGRAM)
        await device.finish_program(PROGRAM)

    await run(work())
    line.assert_over()
    assert clock.monotonic_s() == 2.0 + 2 * 3.0


@pytest.mark.parametrize(
    ("conversation", "error", "reason"),
    [
        (((SAFE[0], b"Safetystatus: PROTECTIVE_STOP"),), DeviceFault, "PROTECTIVE_STOP"),
        (((SAFE[0], b"Safetystatus: ROBOT_EMERGENCY_STOP"),), DeviceFault, "EMERGENCY"),
        (((SAFE[0], b"could not understand"),), MalformedReply, "safetystatus"),
        ((SAFE, (REMOTE[0], b"false")), CommandRejected, "remote control"),
        ((SAFE, (REMOTE[0], b"perhaps")), MalformedReply, "perhaps"),
        ((SAFE, REMOTE, (ON[0], b"Robotmode: IDLE")), CommandRejected, "release the brakes"),
        ((SAFE, REMOTE, ON, (STATE, b"PLAYING a.urp")), CommandRejected, "a.urp is playing"),
        ((SAFE, REMOTE, ON, (STATE, b"PAUSED a.urp")), CommandRejected, "a.urp is paused"),
        ((SAFE, REMOTE, ON, (STATE, b"Program running")), MalformedReply, "programState"),
        (
            (*FIT, (LOAD[0], b"File not found: pick_rack_7.urp")),
            CommandRejected,
            "is it on the controller",
        ),
        (
            (*FIT, (LOAD[0], b"Error while loading program: pick_rack_7.urp")),
            CommandRejected,
            "declined to load",
        ),
        (
            (*FIT, LOAD, (LOADED[0], b"Loaded program: /programs/pick_rack_17.urp")),
            DeviceFault,
            "nothing was played",
        ),
        ((*FIT, LOAD, (LOADED[0], b"No program loaded")), DeviceFault, "nothing was played"),
        (
            (*FIT, LOAD, LOADED, (b"play", b"Failed to execute: play")),
            CommandRejected,
            "declined to play",
        ),
        ((*FIT, (LOAD[0], None)), DeviceUnreachable, "no reply"),
    ],
)
async def test_what_keeps_a_program_from_starting(
    arm, run, conversation, error, reason
) -> None:
    device, line = arm(*conversation)
    with pytest.raises(error, match=reason):
        await run(device.start_program(PROGRAM))
    line.assert_over()
    assert (b"play" in line.sent) == (conversation[-1][0] == b"play")


async def test_a_lost_reply_to_play_is_an_unknown_outcome(arm, run) -> None:
    device, line = arm(*FIT, LOAD, LOADED, (b"play", None))
    with pytest.raises(UnknownOutcome, match="do not send it again"):
        await run(device.start_program(PROGRAM))
    line.assert_over()


@pytest.mark.parametrize("name", ["", " ", "a.urp\nplay", "a.urp\r"])
async def test_a_name_cannot_smuggle_a_command(arm, run, name) -> None:
    device, line = arm()
    with pytest.raises(InterlockError):
        await run(device.start_program(name))
    assert line.sent == []


@pytest.mark.parametrize(
    ("conversation", "reason"),
    [
        (((STATE, b"PAUSED a.urp"), (SAFE[0], b"Safetystatus: PROTECTIVE_STOP")), "PROTECTIVE"),
        (((STATE, b"STOPPED a.urp"), (SAFE[0], b"Safetystatus: FAULT")), "FAULT"),
        (((STATE, b"PAUSED a.urp"), SAFE, REMOTE), "paused half-way"),
        (((STATE, b"PLAYING a.urp"), SAFE, (REMOTE[0], b"false")), "local control"),
    ],
)
async def test_an_interrupted_program_is_a_fault_and_nothing_is_cleared(
    arm, run, conversation, reason
) -> None:
    device, line = arm(*conversation)
    with pytest.raises(DeviceFault, match=reason):
        await run(device.finish_program(PROGRAM))
    line.assert_over()  # no unlock, no play, no stop


async def test_a_program_that_ends_at_once_is_a_fault(arm, run) -> None:
    device, line = arm(*START, STANDS, SAFE)

    async def work() -> None:
        await device.start_program(PROGRAM)
        await device.finish_program(PROGRAM)

    with pytest.raises(DeviceFault, match="too soon to have moved anything"):
        await run(work())
    line.assert_over()


async def test_a_program_that_never_ends_is_a_fault_after_600_s(arm, run, clock) -> None:
    device, _ = arm(*[PLAYS, SAFE, REMOTE] * 202)
    with pytest.raises(DeviceFault, match="within 600 s"):
        await run(device.finish_program(PROGRAM))
    assert 600.0 < clock.monotonic_s() < 605.0


async def test_another_process_finds_the_program_ended(arm, run) -> None:
    device, line = arm(STANDS, SAFE, ON)
    await run(device.finish_program(PROGRAM))
    line.assert_over()


@pytest.mark.parametrize(
    ("state", "mode", "found"),
    [
        (b"STOPPED", b"Robotmode: RUNNING", "with nothing loaded"),
        (b"STOPPED home.urp", b"Robotmode: RUNNING", "with home.urp loaded"),
        (b"STOPPED pick_rack_7.urp", b"Robotmode: POWER_OFF", "POWER_OFF"),
    ],
)
async def test_an_arm_that_stands_for_another_reason_has_not_ended_it(
    arm, run, state, mode, found
) -> None:
    device, line = arm((STATE, state), SAFE, (ON[0], mode))
    with pytest.raises(UnknownOutcome, match=found):
        await run(device.finish_program(PROGRAM))
    line.assert_over()


@pytest.mark.parametrize(
    ("reply", "program"),
    [
        (b"STOPPED pick_rack_7.urp", None),
        (b"STOPPED", None),
        (b"PLAYING /programs/pick_rack_7.urp", PROGRAM),
        (b"PAUSED pick_rack_7.urp", PROGRAM),
    ],
)
async def test_the_running_program_has_a_name(arm, run, reply, program) -> None:
    device, _ = arm((STATE, reply))
    assert await run(device.running_program()) == program


@pytest.mark.parametrize("reply", [b"Pausing program", b"Failed to execute: pause"])
async def test_make_safe_pauses(arm, run, reply) -> None:
    device, line = arm((b"pause", reply))
    await run(device.make_safe())
    line.assert_over()
