"""The exact frames: request 04 (21|20) 02 cc vvvvv 03 [05], reply 02 cc value [03]."""

import pytest

from alab.errors import (
    CommandRejected,
    DeviceFault,
    DeviceUnreachable,
    InterlockError,
    MalformedReply,
    UnknownOutcome,
)
from drivers.mixers.hauschild_smartdac import HauschildSmartdac


def read(code: int, value: int):
    return (b"\x04\x20\x02%02d00000\x03" % code, b"\x02%02d%05d" % (code, value))


def write(code: int, value: int, answer: int | None = None):
    answer = value if answer is None else answer
    return (b"\x04\x21\x02%02d%05d\x03" % (code, value), b"\x02%02d%05d" % (code, answer))


NO_ERROR, TURNS, STANDS = read(20, 0), read(19, 1), read(19, 0)
FIT = (NO_ERROR, STANDS, read(18, 1))
SET_2000_RPM = (
    (b"\x04\x21\x021602000\x03", b"\x021602000"),
    (b"\x04\x20\x021600000\x03", b"\x021602000"),
    write(14, 10),
    read(14, 10),
    write(15, 10),
    read(15, 10),
)
START = (*FIT, *SET_2000_RPM, (b"\x04\x21\x021100001\x03", b"\x021100001"))
STOP = (b"\x04\x21\x021200001\x03", b"\x021200001")


@pytest.fixture
def mixer(transcript, clock):
    def make(*conversation):
        line = transcript(*conversation)
        return HauschildSmartdac("mixer", line, clock), line

    return make


async def test_mixing_from_begin_to_end(mixer, run, clock) -> None:
    device, line = mixer(
        *START, NO_ERROR, TURNS, NO_ERROR, TURNS, NO_ERROR, STOP, TURNS, STANDS, NO_ERROR
    )

    async def work() -> None:
        await device.start_mixing(speed_rpm=2000.0, duration_s=12.0)
        await device.finish_mixing()

    await run(work())
    line.assert_over()
    assert clock.monotonic_s() == 13.0


@pytest.mark.parametrize(
    ("speed_rpm", "duration_s", "limit"),
    [
        (2501.0, 10.0, "1 to 2500 rpm"),
        (0.0, 10.0, "1 to 2500 rpm"),
        (2000.0, 901.0, "0 to 900 s"),
        (2000.0, 0.0, "0 to 900 s"),
    ],
)
async def test_out_of_range_nothing_is_sent(mixer, run, speed_rpm, duration_s, limit) -> None:
    device, line = mixer()
    with pytest.raises(InterlockError, match=limit):
        await run(device.start_mixing(speed_rpm=speed_rpm, duration_s=duration_s))
    assert line.sent == []


@pytest.mark.parametrize(
    ("conversation", "error", "reason"),
    [
        ((read(20, 5),), DeviceFault, "latched error 5"),
        ((NO_ERROR, TURNS), CommandRejected, "turns already"),
        ((NO_ERROR, STANDS, read(18, 0)), CommandRejected, "close the lid"),
        (
            (*FIT, (write(16, 2000)[0], b"\x020000001")),
            CommandRejected,
            "remote program 0 is not selected",
        ),
        ((*FIT, (write(16, 2000)[0], b"\x020000002")), CommandRejected, "no valid code"),
        ((*FIT, (write(16, 2000)[0], b"\x020000003")), CommandRejected, "still runs"),
        ((*FIT, write(16, 2000), read(16, 1999)), CommandRejected, "reads 1999"),
        ((*FIT, *SET_2000_RPM, write(11, 1, 0)), CommandRejected, "answered 0"),
    ],
)
async def test_a_mixer_that_is_not_fit_is_not_started(
    mixer, run, conversation, error, reason
) -> None:
    device, line = mixer(*conversation)
    with pytest.raises(error, match=reason):
        await run(device.start_mixing(speed_rpm=2000.0, duration_s=540.0))
    line.assert_over()


@pytest.mark.parametrize("reply", [None, b"\x02xx", b"\x021600001"])
async def test_a_lost_reply_to_the_start_is_an_unknown_outcome(mixer, run, reply) -> None:
    device, line = mixer(*START[:-1], (START[-1][0], reply))
    with pytest.raises(UnknownOutcome, match="do not send it again"):
        await run(device.start_mixing(speed_rpm=2000.0, duration_s=540.0))
    line.assert_over()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"", MalformedReply),
        (b"\x02190000", None),
        (b"1900001", MalformedReply),
        (b"\x0219", MalformedReply),
        (b"\x022000000", MalformedReply),  # the answer to another question
        (None, DeviceUnreachable),
    ],
)
async def test_only_a_frame_with_our_code_is_an_answer(mixer, run, reply, error) -> None:
    device, _ = mixer((STANDS[0], reply))
    if error is None:
        assert await run(device.is_mixing()) is False
    else:
        with pytest.raises(error):
            await run(device.is_mixing())


async def test_a_mixer_that_stops_by_itself_is_a_fault(mixer, run) -> None:
    device, line = mixer(*START, NO_ERROR, STANDS)

    async def work() -> None:
        await device.start_mixing(speed_rpm=2000.0, duration_s=540.0)
        await device.finish_mixing()

    with pytest.raises(DeviceFault, match="540 s too early"):
        await run(work())
    line.assert_over()


async def test_a_mixer_that_does_not_stop_is_a_fault(mixer, run) -> None:
    device, _ = mixer(*START, NO_ERROR, STOP, *[TURNS] * 70)

    async def work() -> None:
        await device.start_mixing(speed_rpm=2000.0, duration_s=5.0)
        await device.finish_mixing()

    with pytest.raises(DeviceFault, match="cut its power"):
        await run(work())


async def test_another_process_lets_it_turn_long_enough_and_stops_it(mixer, run, clock) -> None:
    device, line = mixer(
        NO_ERROR, TURNS, *[NO_ERROR, TURNS] * 179, NO_ERROR, STOP, STANDS, NO_ERROR
    )
    await run(device.finish_mixing())
    line.assert_over()
    assert clock.monotonic_s() == 900.0


async def test_another_process_that_finds_it_at_rest_cannot_tell(mixer, run) -> None:
    device, line = mixer(NO_ERROR, STANDS)
    with pytest.raises(UnknownOutcome, match="nobody knows when"):
        await run(device.finish_mixing())
    line.assert_over()


async def test_make_safe_stops_it(mixer, run) -> None:
    device, line = mixer(STOP)
    await run(device.make_safe())
    line.assert_over()
