"""The exact lines, from the MT-SICS manual (11781363) and the Quantos command set."""

import pytest

from alab.errors import (
    CommandRejected,
    DeviceFault,
    DeviceUnreachable,
    InterlockError,
    MalformedReply,
    UnknownOutcome,
)
from drivers.balances.mettler_quantos import MettlerQuantos
from drivers.balances.quantos_dialogue import Answer, parse_answer

DOOR = b"QRD 2 3 7"
IS_OPEN = (DOOR, b"QRD 2 3 7 3 A")
IS_SHUT = (DOOR, b"QRD 2 3 7 2 A")
SHUT_DOOR = (
    IS_OPEN,
    (b"QRA 60 7 2", b"QRA 60 7 B"),
    (DOOR, b"QRD 2 3 7 9 A"),
    (DOOR, b"QRA 60 7 A", b"QRD 2 3 7 2 A"),
)
OPEN_DOOR = (
    IS_SHUT,
    (b"QRA 60 7 3", b"QRA 60 7 B"),
    (DOOR, b"QRA 60 7 A", b"QRD 2 3 7 3 A"),
)
LOCK_HEAD = (
    (b"QRA 60 2 4", b"QRA 60 2 B"),
    IS_SHUT,
    (DOOR, b"QRA 60 2 A", b"QRD 2 3 7 2 A"),
)
RELEASE_HEAD = ((b"QRA 60 2 3", b"QRA 60 2 B"), (DOOR, b"QRA 60 2 A", b"QRD 2 3 7 2 A"))
SET_50_MG = (
    (b"QRD 1 1 5 50.00", b"QRD 1 1 5 A"),
    (b"QRD 1 1 6 2.0", b"QRD 1 1 6 A"),
    (b"QRD 1 1 7 0", b"QRD 1 1 7 A"),
)
START = (*SHUT_DOOR, *LOCK_HEAD, *SET_50_MG)
REST = (*RELEASE_HEAD, *OPEN_DOOR)


@pytest.fixture
def doser(transcript, clock):
    def make(*conversation):
        line = transcript(*conversation)
        return MettlerQuantos("doser", line, clock, min_dose_mg=5.0), line

    return make


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"QRA 61 1 A", Answer(status=b"A")),
        (b"QRA 61 1 B", Answer(status=b"B")),
        (b"QRA 61 1 L", Answer(status=b"L")),
        (b"QRA 61 1 I", Answer(status=b"I")),
        (b"QRA 61 1 I 1", Answer(status=b"I", error=1)),
        (b"QRA 61 1 I 13", Answer(status=b"I", error=13)),
        (b"QRA  61  1   I  10", Answer(status=b"I", error=10)),
        (b"QRA 61 11 A", None),
        (b"QRA 61 1", None),
        (b"QRA 61 1 hello", None),
        (b"", None),
    ],
)
def test_a_line_is_taken_apart_by_words(line, answer) -> None:
    assert parse_answer(b"QRA 61 1", line) == answer


def test_a_query_returns_its_values() -> None:
    assert parse_answer(DOOR, b"QRD 2 3 7 9 A") == Answer(status=b"A", values=(b"9",))


async def test_connecting_asks_who_is_there(doser, run) -> None:
    balance, line = doser(
        (b"I2", b'I2 A "XPE206DRQ Quantos 220.0000 g"'), (b"I4", b'I4 A "B123456789"'), IS_OPEN
    )
    assert await run(balance.connect()) == (
        "XPE206DRQ Quantos 220.0000 g, serial number B123456789"
    )
    line.assert_over()


async def test_a_balance_without_quantos_is_refused(doser, run) -> None:
    balance, _ = doser((b"I2", b'I2 A "XPE206 220 g"'), (b"I4", b'I4 A "B1"'), (DOOR, b"ES"))
    with pytest.raises(CommandRejected, match="is a Quantos fitted"):
        await run(balance.connect())


@pytest.mark.parametrize(
    ("reply", "mass_mg"),
    [
        (b"S S     11.50234 g", 11_502.34),
        (b"S S      -0.00123 g", -1.23),  # a parser of \d+ would say 0
        (b"S S 12.5 mg", 12.5),
        (b"S S  +0.100 kg", 100_000.0),
    ],
)
async def test_weigh_keeps_sign_decimals_and_unit(doser, run, reply, mass_mg) -> None:
    balance, line = doser(IS_OPEN, *SHUT_DOOR, (b"S", reply), *OPEN_DOOR)
    assert (await run(balance.weigh())).mass_mg == pytest.approx(mass_mg)
    line.assert_over()


async def test_weigh_waits_until_the_load_rests(doser, run, clock) -> None:
    balance, line = doser(
        IS_OPEN,
        *SHUT_DOOR,
        (b"S", b"S I"),
        (b"S", b"S I"),
        (b"S", b"S S 1.0 g"),
        *OPEN_DOOR,
    )
    assert (await run(balance.weigh())).mass_mg == 1000.0
    assert clock.monotonic_s() == pytest.approx(2 * 2.0 + 3 * 1.0)
    line.assert_over()


async def test_a_load_that_never_rests_is_a_fault_after_90_s(doser, run, clock) -> None:
    balance, _ = doser(IS_OPEN, *SHUT_DOOR, *[(b"S", b"S I")] * 46)
    with pytest.raises(DeviceFault, match=r"no stable reading in 90 s; look for draught"):
        await run(balance.weigh())
    assert clock.monotonic_s() < 100.0


async def test_a_door_found_shut_is_waited_for_as_long_as_a_dose(doser, run, clock) -> None:
    balance, line = doser(
        IS_SHUT,
        IS_SHUT,
        *[(b"S", b"S I")] * 100,
        (b"S", b"QRA 61 1 A", b"S S 1.0 g"),
        *OPEN_DOOR,
    )
    assert (await run(balance.weigh())).mass_mg == 1000.0
    assert clock.monotonic_s() >= 200.0
    line.assert_over()


@pytest.mark.parametrize(
    ("reply", "error", "reason"),
    [
        (b"S D  1.00 g", MalformedReply, "answered by b'S D"),
        (b"S S  1.00 oz", MalformedReply, "weighing unit"),
        (b"S S  1.0.0 g", MalformedReply, "answered"),
        (b"S S Error 10b", DeviceFault, "error 10b"),
        (b"ES", CommandRejected, "syntax error"),
        (b"ET", CommandRejected, "transmission error"),
        (b"EL", CommandRejected, "logical error"),
        (b"\xff\x01S", DeviceUnreachable, "unexpected"),
        (None, DeviceUnreachable, "no reply"),
    ],
)
async def test_other_readings_are_errors(doser, run, reply, error, reason) -> None:
    balance, _ = doser(IS_OPEN, *SHUT_DOOR, (b"S", reply), *OPEN_DOOR)
    with pytest.raises(error, match=reason):
        await run(balance.weigh())


@pytest.mark.parametrize(("reply", "word"), [(b"S +", "overload"), (b"S -", "underload")])
async def test_a_wrong_load_can_be_taken_off(doser, run, reply, word) -> None:
    balance, line = doser(IS_OPEN, *SHUT_DOOR, (b"S", reply), *OPEN_DOOR)
    with pytest.raises(CommandRejected, match=word):
        await run(balance.weigh())
    line.assert_over()


async def test_a_dose_from_begin_to_end(doser, run, clock) -> None:
    balance, line = doser(
        *START,
        (b"QRA 61 1", b"QRA 61 1 B"),
        IS_SHUT,
        IS_SHUT,
        (DOOR, b"QRA 61 1 A", b"QRD 2 3 7 2 A"),
        *REST,
    )

    async def work() -> None:
        await balance.start_dose(mass_mg=50.0, tolerance_percent=2.0)
        await balance.finish_dose()

    await run(work())
    line.assert_over()
    assert line.sent.count(b"QRA 61 1") == 1
    assert clock.monotonic_s() < 15.0


@pytest.mark.parametrize("code", range(1, 14))
async def test_a_refused_start_names_the_reason(doser, run, code) -> None:
    balance, _ = doser(*START, (b"QRA 61 1", b"QRA 61 1 I %d" % code))
    with pytest.raises((CommandRejected, DeviceFault), match=rf"error {code}, \w+"):
        await run(balance.start_dose(mass_mg=50.0, tolerance_percent=2.0))


async def test_a_wrong_parameter_is_rejected_before_the_dose(doser, run) -> None:
    balance, line = doser(*SHUT_DOOR, *LOCK_HEAD, (b"QRD 1 1 5 50.00", b"QRD 1 1 5 L"))
    with pytest.raises(CommandRejected, match=r"set QRD 1 1 5 to 50\.00: wrong parameter"):
        await run(balance.start_dose(mass_mg=50.0, tolerance_percent=2.0))
    line.assert_over()


async def test_a_missing_head_is_rejected_before_the_dose(doser, run) -> None:
    balance, line = doser(*SHUT_DOOR, (b"QRA 60 2 4", b"QRA 60 2 I 1"))
    with pytest.raises(CommandRejected, match="no dosing head"):
        await run(balance.start_dose(mass_mg=50.0, tolerance_percent=2.0))
    line.assert_over()


async def test_a_lost_reply_to_the_start_is_an_unknown_outcome(doser, run) -> None:
    balance, line = doser(*START, (b"QRA 61 1", None))
    with pytest.raises(UnknownOutcome, match="do not send it again"):
        await run(balance.start_dose(mass_mg=50.0, tolerance_percent=2.0))
    line.assert_over()


async def test_a_lost_reply_before_the_start_may_be_retried(doser, run) -> None:
    balance, _ = doser(*SHUT_DOOR, *LOCK_HEAD, (b"QRD 1 1 5 50.00", None))
    with pytest.raises(DeviceUnreachable) as caught:
        await run(balance.start_dose(mass_mg=50.0, tolerance_percent=2.0))
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("mass_mg", "tolerance_percent", "limit"),
    [(4.9, 1.0, "5 to 250000 mg"), (250_001.0, 1.0, "250000 mg"), (50.0, 41.0, "0.1 to 40 %")],
)
async def test_out_of_range_nothing_is_sent(
    doser, run, mass_mg, tolerance_percent, limit
) -> None:
    balance, line = doser()
    with pytest.raises(InterlockError, match=limit):
        await run(balance.start_dose(mass_mg=mass_mg, tolerance_percent=tolerance_percent))
    assert line.sent == []


@pytest.mark.parametrize("mass_mg", [0.0, -3.0, float("nan")])
async def test_what_is_left_of_a_dose_is_never_dosed_at_zero_or_less(
    doser, run, mass_mg
) -> None:
    balance, line = doser()
    with pytest.raises(InterlockError):
        await run(balance.start_dose(mass_mg=mass_mg, tolerance_percent=1.0))
    assert line.sent == []


async def test_a_tolerance_below_half_a_milligram_is_widened(doser, run) -> None:
    balance, line = doser(
        *SHUT_DOOR,
        *LOCK_HEAD,
        (b"QRD 1 1 5 10.00", b"QRD 1 1 5 A"),
        (b"QRD 1 1 6 5.0", b"QRD 1 1 6 A"),
        (b"QRD 1 1 7 0", b"QRD 1 1 7 A"),
        (b"QRA 61 1", b"QRA 61 1 B"),
    )
    await run(balance.start_dose(mass_mg=10.0, tolerance_percent=1.0))
    line.assert_over()


async def started(doser, run, *after):
    balance, line = doser(*START, (b"QRA 61 1", b"QRA 61 1 B"), *after)
    await run(balance.start_dose(mass_mg=50.0, tolerance_percent=2.0))
    return balance, line


@pytest.mark.parametrize("code", range(1, 14))
async def test_a_failed_dose_is_a_fault_and_leaves_the_pan_reachable(doser, run, code) -> None:
    end = (DOOR, b"QRA 61 1 I %d" % code, b"QRD 2 3 7 2 A")
    balance, line = await started(doser, run, end, *REST)
    with pytest.raises(DeviceFault, match=rf"dosing ended with error {code}, "):
        await run(balance.finish_dose())
    line.assert_over()


async def test_how_a_dose_ended_survives_a_lost_reply_afterwards(doser, run) -> None:
    end = (DOOR, b"QRA 61 1 I 7", b"QRD 2 3 7 2 A")
    balance, line = await started(doser, run, end, (b"QRA 60 2 3", None), IS_SHUT, *REST)
    with pytest.raises(DeviceUnreachable):
        await run(balance.finish_dose())
    with pytest.raises(DeviceFault, match="powder flow"):
        await run(balance.finish_dose())
    line.assert_over()


async def test_begun_is_not_done(doser, run) -> None:
    balance, line = await started(
        doser, run, (DOOR, b"QRA 61 1 B", b"QRD 2 3 7 2 A"), (DOOR, None)
    )
    with pytest.raises(DeviceUnreachable):
        await run(balance.finish_dose())
    line.assert_over()


async def test_a_late_answer_does_not_answer_the_next_question(doser, run) -> None:
    late = (DOOR, b"QRD 1 1 7 A", b"garbage", b"QRD 2 3 7 2 A")
    balance, line = await started(doser, run, late, (DOOR, b"QRA 61 1 A", IS_SHUT[1]), *REST)
    await run(balance.finish_dose())
    line.assert_over()


async def test_after_a_lost_line_the_pan_is_asked(doser, run) -> None:
    balance, line = await started(
        doser,
        run,
        (DOOR, None),
        IS_SHUT,
        (b"S", b"S I"),
        IS_SHUT,
        (b"S", b"S S 11.55010 g"),
        IS_SHUT,
        (b"S", b"S S 11.55002 g"),
        *REST,
    )
    with pytest.raises(DeviceUnreachable):
        await run(balance.finish_dose())
    await run(balance.finish_dose())
    line.assert_over()


async def test_another_process_can_finish_a_dose(doser, run) -> None:
    balance, line = doser(
        IS_SHUT,
        (b"S", b"S S 11.54000 g"),
        IS_SHUT,
        (b"S", b"S S 11.55010 g"),  # still moves
        IS_SHUT,
        (b"S", b"S S 11.55009 g"),
        *REST,
    )
    await run(balance.finish_dose())
    line.assert_over()


async def test_another_process_hears_the_end_if_it_listens(doser, run) -> None:
    balance, line = doser(
        IS_SHUT,
        (b"S", b"S I"),
        (DOOR, b"QRA 61 1 I 7", b"QRD 2 3 7 2 A"),
        *REST,
    )
    with pytest.raises(DeviceFault, match="powder flow"):
        await run(balance.finish_dose())
    line.assert_over()


async def test_a_dose_without_end_is_stopped(doser, run, clock) -> None:
    balance, line = await started(
        doser, run, *[IS_SHUT] * 450, (b"S", b"S I"), (b"QRA 61 4", b"QRA 61 4 A")
    )
    with pytest.raises(DeviceFault, match="had not ended after 900 s and was stopped"):
        await run(balance.finish_dose())
    line.assert_over()


async def test_an_end_that_was_never_reported_is_seen_on_the_pan(doser, run) -> None:
    balance, line = await started(doser, run, *[IS_SHUT] * 450, (b"S", b"S S 1 g"), *REST)
    await run(balance.finish_dose())
    line.assert_over()


async def test_make_safe_stops_the_dose(doser, run) -> None:
    balance, line = doser((b"QRA 61 4", b"QRA 61 4 A"))
    await run(balance.make_safe())
    line.assert_over()


async def test_the_head_says_what_it_holds(doser, run) -> None:
    balance, _ = doser(
        (
            b"QRD 2 4 11",
            b"QRD 2 4 11 B",
            b"<Info_head>",
            b"<Substance>(NH4)2HPO4</Substance>",
            b'<Rem._quantity Unit="mg">99000.0</Rem._quantity>',
            b"</Info_head>",
            b"QRD 2 4 11 A",
        )
    )
    assert await run(balance.mounted_substance()) == "(NH4)2HPO4"


async def test_no_head_holds_nothing(doser, run) -> None:
    balance, _ = doser((b"QRD 2 4 11", b"QRD 2 4 11 I 1"))
    assert await run(balance.mounted_substance()) is None


@pytest.mark.parametrize(
    ("replies", "error"),
    [
        ((b"QRD 2 4 11 I 2",), CommandRejected),
        ((b"QRD 2 4 11 B", b"<Info_head></Info_head>", b"QRD 2 4 11 A"), MalformedReply),
        ((b"QRD 2 4 11 B", b"<Info_head>", None), DeviceUnreachable),
    ],
)
async def test_a_head_that_cannot_be_read_is_an_error(doser, run, replies, error) -> None:
    balance, _ = doser((b"QRD 2 4 11", *replies))
    with pytest.raises(error):
        await run(balance.mounted_substance())


async def test_a_blocked_door_is_a_fault(doser, run) -> None:
    balance, _ = doser(
        IS_OPEN, IS_OPEN, (b"QRA 60 7 2", b"QRA 60 7 B"), *[(DOOR, b"QRD 2 3 7 9 A")] * 31
    )
    with pytest.raises(DeviceFault, match="in the way of door"):
        await run(balance.weigh())
