"""Frames and registers of the Eurotherm driver, against scripted bytes from the map."""

import asyncio
import os
import tty
from collections.abc import Iterator

import pytest

from alab.clock import VirtualClock
from alab.errors import (
    CommandRejected,
    DeviceFault,
    DeviceUnreachable,
    InterlockError,
    MalformedReply,
)
from alab.lab import DeviceDefinition
from alab.models import Atmosphere, FurnaceMode, Profile, Segment
from drivers.furnaces.eurotherm_2416 import Eurotherm2416, InstrumentSettings, encode
from drivers.furnaces.modbus_line import ModbusLine, signed
from drivers.transport import ReplyLost

PROFILE = Profile(segments=(Segment(ramp_c_per_min=5, temperature_c=800, dwell_s=7200),))
WHOLE_DEGREES = InstrumentSettings(
    decimal_places=0, setpoint_low_c=0, setpoint_high_c=1372, max_segments=16
)


def with_crc(frame: str) -> bytes:
    """Append the checksum, polynomial A001, low byte first, written out bit by bit."""
    data = bytes.fromhex(frame)
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return data + crc.to_bytes(2, "little")


def test_the_checksum_of_these_tests_is_the_published_one() -> None:
    assert with_crc("01 03 00 00 00 0A").hex() == "01030000000ac5cd"


def read(address: int, *values: int, unit: int = 1) -> tuple[bytes, bytes]:
    count = len(values)
    words = "".join(f"{value & 0xFFFF:04X}" for value in values)
    return (
        with_crc(f"{unit:02X}03{address:04X}{count:04X}"),
        with_crc(f"{unit:02X}03{2 * count:02X}{words}"),
    )


def write(address: int, *values: int, unit: int = 1) -> tuple[bytes, bytes]:
    count = len(values)
    words = "".join(f"{value & 0xFFFF:04X}" for value in values)
    head = f"{unit:02X}10{address:04X}{count:04X}"
    return with_crc(f"{head}{2 * count:02X}{words}"), with_crc(head)


class Script:
    """A serial port that expects frames in order and gives the scripted replies."""

    def __init__(self) -> None:
        self._far, self._near = os.openpty()
        tty.setraw(self._near)
        os.set_blocking(self._far, False)
        self.port = os.ttyname(self._near)
        self.exchanges: list[tuple[bytes, bytes]] = []
        self.unexpected: list[bytes] = []

    def play(self, *exchanges: tuple[bytes, bytes]) -> None:
        self.exchanges = list(exchanges)
        asyncio.get_running_loop().add_reader(self._far, self._hear)

    def say(self, data: bytes) -> None:
        os.write(self._far, data)

    def close(self) -> None:
        os.close(self._far)
        os.close(self._near)

    def _hear(self) -> None:
        heard = os.read(self._far, 4096)
        if self.exchanges and self.exchanges[0][0] == heard:
            if reply := self.exchanges.pop(0)[1]:
                self.say(reply)
        else:
            self.unexpected.append(heard)


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()
    yield script
    script.close()


def furnace_on(script: Script, *, timeout_s: float = 0.3) -> Eurotherm2416:
    definition = DeviceDefinition.model_validate(
        {
            "kind": "eurotherm_2416",
            "address": f"serial://{script.port}",
            "class": "box_1200",
            "max_temperature_c": 1150,
            "atmospheres": ["air", "O2"],
        }
    )
    line = ModbusLine(script.port, timeout_s=timeout_s)
    return Eurotherm2416("furnace", definition, line, 1, VirtualClock())


SETTINGS = (read(525, 0), read(111, 1372, 0), read(211, 16))
IDLE = (read(1, 25, 0, 0, 0, 0), read(23, 1), read(75, 0), read(258, 0))
RESET = (write(23, 1), write(2, 0), read(23, 1), read(2, 0))
PROGRAM = (
    write(8328, 1, 30, 1, 1, 1),
    write(8336, 1, 800, 50),
    write(8344, 3, 800, 1200),
    write(8352, 0, 0, 0, 2, 0),
    write(22, 1),
)
READ_BACK = (
    read(8328, 1, 30, 1, 1, 1),
    read(8336, 1, 800, 50),
    read(8344, 3, 800, 1200),
    read(8352, 0, 0, 0, 2, 0),
    read(22, 1),
)
START = (write(23, 2), read(23, 2), read(56, 1))


async def run(script: Script, furnace: Eurotherm2416, work: str, *arguments: object) -> object:
    try:
        return await getattr(furnace, work)(*arguments)
    finally:
        await furnace.close()


async def test_a_firing_frame_by_frame(script: Script) -> None:
    script.play(*SETTINGS, *IDLE, *RESET, *PROGRAM, *READ_BACK, *START)
    await run(script, furnace_on(script), "start_firing", PROFILE, Atmosphere.AIR)
    assert script.exchanges == []
    assert script.unexpected == []


async def test_frames_are_those_of_the_manual(script: Script) -> None:
    assert read(1, 25, 0, 0, 0, 0)[0].hex(" ") == "01 03 00 01 00 05 d4 09"
    assert write(23, 2)[0].hex(" ") == "01 10 00 17 00 01 02 00 02 24 b6"


async def test_a_reading_frame_by_frame(script: Script) -> None:
    script.play(
        read(525, 1),
        read(111, 13720, 0),
        read(211, 16),
        read(1, 6543, 8000, 0, 455, 6550),
        read(23, 2),
        read(75, 0),
        read(258, 0),
        read(56, 3),
        read(36, 125),
    )
    reading = await furnace_on(script).read()
    assert script.unexpected == []
    assert reading.temperature_c == 654.3
    assert reading.setpoint_c == 655.0
    assert reading.mode is FurnaceMode.RUNNING
    assert (reading.segment, reading.seconds_left) == (3, 750.0)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (1, FurnaceMode.IDLE),
        (2, FurnaceMode.RUNNING),
        (4, FurnaceMode.HOLDING),
        (8, FurnaceMode.HOLDBACK),
        (16, FurnaceMode.COMPLETE),
    ],
)
async def test_every_mode_of_the_controller(
    script: Script, mode: int, expected: FurnaceMode
) -> None:
    state = (read(1, 25, 0, 0, 0, 0), read(23, mode), read(75, 0), read(258, 0))
    script.play(*SETTINGS, *state, read(56, 1), read(36, 0))
    assert (await furnace_on(script).read()).mode is expected


async def test_a_mode_the_manual_does_not_have(script: Script) -> None:
    script.play(*SETTINGS, IDLE[0], read(23, 32), *IDLE[2:])
    with pytest.raises(MalformedReply, match="mode 32"):
        await furnace_on(script).read()


@pytest.mark.parametrize(
    "state",
    [
        (read(75, 1 << 5), read(258, 0)),
        (read(75, 0), read(258, 1)),
        (read(75, 1 << 6), read(258, 0)),
    ],
)
async def test_sensor_and_loop_break_are_faults(
    script: Script, state: tuple[tuple[bytes, bytes], ...]
) -> None:
    script.play(*SETTINGS, *IDLE[:2], *state)
    assert (await furnace_on(script).read()).mode is FurnaceMode.FAULT


async def test_below_zero(script: Script) -> None:
    script.play(*SETTINGS, read(1, -5, 0, 0, 0, 0), *IDLE[1:])
    assert (await furnace_on(script).read()).temperature_c == -5
    assert signed(0x8000) == -32768


async def test_another_instrument_is_recognised(script: Script) -> None:
    script.play(read(122, 0x3216))
    with pytest.raises(MalformedReply, match="3216"):
        await run(script, furnace_on(script), "connect")


async def test_a_register_that_kept_another_value_stops_the_start(script: Script) -> None:
    clamped = (READ_BACK[0], read(8336, 1, 750, 50))
    script.play(*SETTINGS, *IDLE, *RESET, *PROGRAM, *clamped)
    with pytest.raises(CommandRejected, match=r"register 8337 holds 750 after 800"):
        await run(script, furnace_on(script), "start_firing", PROFILE, Atmosphere.AIR)
    assert script.unexpected == []  # no RUN


async def test_a_start_that_does_not_take_is_noticed(script: Script) -> None:
    furnace = furnace_on(script)
    stuck = [exchange for _ in range(20) for exchange in (read(23, 4), read(56, 1))]
    script.play(*SETTINGS, *IDLE, *RESET, *PROGRAM, *READ_BACK, write(23, 2), *stuck)
    clock = furnace._clock
    assert isinstance(clock, VirtualClock)
    with pytest.raises(CommandRejected, match="mode 4, segment 1"):
        await clock.run(furnace.start_firing(PROFILE, Atmosphere.AIR))
    await furnace.close()


async def test_a_local_setpoint_that_stays_high_is_no_safe_state(script: Script) -> None:
    script.play(*SETTINGS, write(23, 1), write(2, 0), read(23, 1), read(2, 400))
    with pytest.raises(DeviceFault, match="400 °C"):
        await run(script, furnace_on(script), "make_safe")


async def test_the_controllers_own_limit_counts(script: Script) -> None:
    script.play(read(525, 0), read(111, 700, 0), read(211, 16))
    with pytest.raises(InterlockError, match=r"800 °C.*0 to 700 °C"):
        await run(script, furnace_on(script), "start_firing", PROFILE, Atmosphere.AIR)
    assert script.unexpected == []


async def test_more_segments_than_the_controller_has(script: Script) -> None:
    script.play(read(525, 0), read(111, 1372, 0), read(211, 8))
    ramps = tuple(
        Segment(ramp_c_per_min=5, temperature_c=100.0 * n, dwell_s=60) for n in range(1, 5)
    )
    with pytest.raises(CommandRejected, match=r"needs 9 segments.*has 8"):
        await run(
            script, furnace_on(script), "start_firing", Profile(segments=ramps), Atmosphere.AIR
        )
    assert script.unexpected == []


async def test_no_gas_but_air_whatever_the_lab_file_says(script: Script) -> None:
    script.play()
    with pytest.raises(InterlockError, match="O2"):
        await run(script, furnace_on(script), "start_firing", PROFILE, Atmosphere.O2)
    assert script.unexpected == []


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (with_crc("01 83 02"), CommandRejected),  # illegal data address
        (read(525, 0)[1][:-1] + b"\x00", ReplyLost),  # bad checksum
        (read(525, 0, unit=2)[1], ReplyLost),  # another unit
        (write(525, 0)[1], MalformedReply),  # the answer to a write
        (read(525, 0, 0)[1], MalformedReply),  # two registers
        (b"", ReplyLost),  # silence
    ],
)
async def test_replies_that_are_no_answer(
    script: Script, reply: bytes, error: type[Exception]
) -> None:
    script.play((read(525, 0)[0], reply))
    with pytest.raises(error):
        await run(script, furnace_on(script, timeout_s=0.1), "read")


async def test_a_late_reply_does_not_answer_the_next_request(script: Script) -> None:
    furnace = furnace_on(script, timeout_s=0.1)
    script.play((read(525, 2)[0], b""), *SETTINGS, *IDLE)
    with pytest.raises(ReplyLost):
        await furnace.read()
    script.say(read(525, 2)[1])
    assert (await furnace.read()).temperature_c == 25.0  # not 0.25
    await furnace.close()


async def test_no_such_port() -> None:
    line = ModbusLine("/dev/does-not-exist")
    with pytest.raises(DeviceUnreachable, match="/dev/does-not-exist"):
        await line.connect("furnace")
    await line.close("furnace")


def test_a_long_dwell_is_split_at_900_minutes() -> None:
    dwell_s = 1800.5 * 60
    profile = Profile(
        segments=(Segment(ramp_c_per_min=2.5, temperature_c=900, dwell_s=dwell_s),)
    )
    blocks = encode(profile, WHOLE_DEGREES)
    assert blocks[1:] == [
        (8336, [1, 900, 25]),
        (8344, [3, 900, 9000]),
        (8352, [3, 900, 9000]),
        (8360, [3, 900, 5]),
        (8368, [0, 0, 0, 2, 0]),
    ]


def test_temperatures_carry_the_decimal_point_of_the_instrument() -> None:
    tenths = InstrumentSettings(
        decimal_places=1, setpoint_low_c=0, setpoint_high_c=1372, max_segments=16
    )
    assert encode(PROFILE, tenths)[0] == (8328, [1, 300, 1, 1, 1])
    assert encode(PROFILE, tenths)[1] == (8336, [1, 8000, 50])
    assert encode(PROFILE, tenths)[2] == (8344, [3, 8000, 1200])


def test_no_dwell_needs_no_segment() -> None:
    profile = Profile(segments=(Segment(ramp_c_per_min=5, temperature_c=900, dwell_s=0),))
    assert [block for _, block in encode(profile, WHOLE_DEGREES)[1:]] == [
        [1, 900, 50],
        [0, 0, 0, 2, 0],
    ]


async def test_a_rate_below_its_resolution_is_rejected(script: Script) -> None:
    script.play(*SETTINGS)
    slow = Profile(segments=(Segment(ramp_c_per_min=0.04, temperature_c=60, dwell_s=0),))
    with pytest.raises(CommandRejected, match=r"0.04 °C/min.*0.1 °C/min"):
        await run(script, furnace_on(script), "start_firing", slow, Atmosphere.AIR)
    assert script.unexpected == []
