"""Eurotherm 2416 programmer/controller over Modbus RTU.

Protocol: 2000 series communications handbook (HA026230). One line carries several units
(``serial:///dev/ttyUSB2?unit=3``). Program 1 is the laboratory's; each firing overwrites
it: ramp-rate and dwell segments, then an end segment with the output off.

Two traps of this controller: in reset it controls at its *local setpoint*, so that one is
brought to its low limit after every reset; and a program that is held answers neither
run nor complete, so only mode 16 counts as finished.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from alab.clock import Clock
from alab.errors import (
    CommandRejected,
    DeviceFault,
    DeviceUnreachable,
    InterlockError,
    MalformedReply,
    UnknownOutcome,
)
from alab.lab import Address, DeviceDefinition
from alab.models import Atmosphere, FurnaceMode, FurnaceReading, Profile
from drivers.furnaces.envelope import check_envelope
from drivers.furnaces.modbus_line import ModbusLine
from drivers.transport import Lines, ReplyLost

PV = 1
TARGET_SETPOINT = 2
PROGRAM_NUMBER = 22
MODE = 23
SEGMENT_TIME_LEFT = 36
SEGMENT = 56
STATUS_WORD = 75
SETPOINT_HIGH, SETPOINT_LOW = 111, 112
IDENTITY = 122
MAX_SEGMENTS = 211
SENSOR_BREAK = 258
DECIMAL_PLACES = 525
PROGRAM = 8328
FIRST_SEGMENT = 8336
SEGMENT_STRIDE = 8

RESET, RUN, HOLD, HOLDBACK, COMPLETE = 1, 2, 4, 8, 16
END, RAMP_RATE, DWELL = 0, 1, 3
END_OUTPUT_OFF = 2
HOLDBACK_LOW = 1
HOLDBACK_C = 30
MINUTES = 1
LONGEST_DWELL_MIN = 900

START_TIMEOUT_S = 10.0

_MODES = {
    RESET: FurnaceMode.IDLE,
    RUN: FurnaceMode.RUNNING,
    HOLD: FurnaceMode.HOLDING,
    HOLDBACK: FurnaceMode.HOLDBACK,
    COMPLETE: FurnaceMode.COMPLETE,
}
_FAULT_BITS = {5: "sensor broken", 6: "loop broken (limiter tripped, element, fuse)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentSettings:
    """What a controller was configured to at its panel.

    Attributes:
        decimal_places: Digits after the point in every temperature register.
        setpoint_low_c: Lowest setpoint it takes.
        setpoint_high_c: Highest setpoint it takes.
        max_segments: Segments of one program, the end segment included.
    """

    decimal_places: int
    setpoint_low_c: float
    setpoint_high_c: float
    max_segments: int

    def counts(self, temperature_c: float) -> int:
        """A temperature as the registers hold it."""
        return round(temperature_c * 10**self.decimal_places)

    def celsius(self, counts: int) -> float:
        """A register as a temperature."""
        return counts / 10**self.decimal_places


def encode(profile: Profile, settings: InstrumentSettings) -> list[tuple[int, list[int]]]:
    """Program 1 as blocks of consecutive registers, in the order to write them.

    A segment block is type, target, rate x 10 or dwell in 0.1 min; the end block is type,
    two unused registers, end type, end power. Dwells are split at 900 min.

    Args:
        profile: Checked against the envelope already.
        settings: Of the controller it is for.

    Returns:
        Pairs of first register and values.
    """
    segments: list[list[int]] = []
    for segment in profile.segments:
        target = settings.counts(segment.temperature_c)
        segments.append([RAMP_RATE, target, round(segment.ramp_c_per_min * 10)])
        left = round(segment.dwell_s / 6)
        while left > 0:
            part = min(left, LONGEST_DWELL_MIN * 10)
            segments.append([DWELL, target, part])
            left -= part
    segments.append([END, 0, 0, END_OUTPUT_OFF, 0])
    header = [HOLDBACK_LOW, settings.counts(HOLDBACK_C), MINUTES, MINUTES, 1]
    return [
        (PROGRAM, header),
        *(
            (FIRST_SEGMENT + SEGMENT_STRIDE * number, block)
            for number, block in enumerate(segments)
        ),
    ]


class Eurotherm2416:
    """A furnace behind a Eurotherm 2416.

    Args:
        name: Name of the device in the lab file.
        definition: Its envelope.
        line: The Modbus line, shared with other units.
        unit: Modbus address of this controller.
        clock: Laboratory time.
    """

    def __init__(
        self, name: str, definition: DeviceDefinition, line: ModbusLine, unit: int, clock: Clock
    ) -> None:
        self.name = name
        self._definition = definition
        self._line = line
        self._unit = unit
        self._clock = clock
        self._settings: InstrumentSettings | None = None

    async def connect(self) -> str:
        """Open the line and check that a 2400 series controller answers."""
        await self._line.connect(self.name)
        identity = (await self._read(IDENTITY))[0] & 0xFFFF
        if identity >> 8 != 0x24:
            raise MalformedReply(
                self.name,
                f"unit {self._unit} says {identity:04X}, a 2400 series controller says 24xx; "
                "check 'unit' in the lab file",
            )
        settings = await self._read_settings()
        return (
            f"Eurotherm {identity:04X}, unit {self._unit}, setpoint "
            f"{settings.setpoint_low_c:g}–{settings.setpoint_high_c:g} °C"
        )

    async def close(self) -> None:
        """Release the line."""
        await self._line.close(self.name)

    async def make_safe(self) -> None:
        """Reset the program with the local setpoint at its low limit, and see it reset."""
        await self._reset(await self._known_settings())

    async def start_firing(self, profile: Profile, atmosphere: Atmosphere) -> None:
        """Check the envelope, write program 1, read it back, run it, see it run."""
        self._check_atmosphere(atmosphere)
        check_envelope(self.name, self._definition, profile, atmosphere)
        settings = await self._read_settings()
        self._check_limits(profile, settings)
        blocks = encode(profile, settings)
        if len(blocks) - 1 > settings.max_segments:
            raise CommandRejected(
                self.name,
                f"the profile needs {len(blocks) - 1} segments with its end, the controller "
                f"has {settings.max_segments}; merge ramps or shorten dwells",
            )
        await self._check_free()
        await self._reset(settings)
        for address, values in [*blocks, (PROGRAM_NUMBER, [1])]:
            await self._line.write(self.name, self._unit, address, values)
        await self._check_written([*blocks, (PROGRAM_NUMBER, [1])])
        await self._run()

    async def runs_profile(self, profile: Profile) -> bool:
        """Tell whether program 1 holds ``profile``."""
        for address, expected in encode(profile, await self._read_settings()):
            if await self._read(address, len(expected)) != expected:
                return False
        return True

    async def read(self) -> FurnaceReading:
        """Measure temperature, setpoint and program state.

        A sensor break or a broken loop reads as ``FurnaceMode.FAULT``; the temperature is
        then whatever the open thermocouple gives.
        """
        settings = await self._known_settings()
        process_value, *_, working_setpoint = await self._read(PV, 5)
        mode = (await self._read(MODE))[0]
        status = (await self._read(STATUS_WORD))[0]
        broken = (await self._read(SENSOR_BREAK))[0] != 0
        if mode not in _MODES:
            raise MalformedReply(
                self.name,
                f"program mode {mode} is none of {sorted(_MODES)} (register {MODE})",
            )
        runs = mode in (RUN, HOLD, HOLDBACK)
        segment = (await self._read(SEGMENT))[0] if runs else 0
        left_s = (await self._read(SEGMENT_TIME_LEFT))[0] * 6.0 if runs else None
        faulty = broken or any(status >> bit & 1 for bit in _FAULT_BITS)
        return FurnaceReading(
            temperature_c=settings.celsius(process_value),
            setpoint_c=settings.celsius(working_setpoint) if runs else None,
            mode=FurnaceMode.FAULT if faulty else _MODES[mode],
            segment=segment,
            seconds_left=left_s,
        )

    def _check_atmosphere(self, atmosphere: Atmosphere) -> None:
        if atmosphere is not Atmosphere.AIR:
            raise InterlockError(
                self.name,
                f"it cannot fire in {atmosphere}: a 2416 switches no gas, only air; use a "
                "furnace with a gas supply",
            )

    def _check_limits(self, profile: Profile, settings: InstrumentSettings) -> None:
        for segment in profile.segments:
            target_c, rate = segment.temperature_c, segment.ramp_c_per_min
            if round(rate * 10) < 1:
                raise CommandRejected(
                    self.name,
                    f"{rate:g} °C/min is finer than the controller's 0.1 °C/min; ramp faster",
                )
            if not settings.setpoint_low_c <= target_c <= settings.setpoint_high_c:
                raise InterlockError(
                    self.name,
                    f"{target_c:g} °C is outside the controller's own setpoint limits, "
                    f"{settings.setpoint_low_c:g} to {settings.setpoint_high_c:g} °C; "
                    "change the profile, or SP L and SP H at the panel",
                )

    async def _check_free(self) -> None:
        reading = await self.read()
        if reading.mode is FurnaceMode.FAULT:
            await self._raise_fault()
        if reading.mode not in (FurnaceMode.IDLE, FurnaceMode.COMPLETE):
            raise CommandRejected(
                self.name,
                f"a program is {reading.mode} in segment {reading.segment} at "
                f"{reading.temperature_c:g} °C; wait for it, or make the furnace safe first",
            )

    async def _raise_fault(self) -> NoReturn:
        status = (await self._read(STATUS_WORD))[0]
        found = [words for bit, words in _FAULT_BITS.items() if status >> bit & 1]
        raise DeviceFault(
            self.name,
            f"{' and '.join(found) or 'sensor broken'} (status word {status & 0xFFFF:04X}); "
            "an operator must look before the next firing",
        )

    async def _reset(self, settings: InstrumentSettings) -> None:
        low = settings.counts(max(0.0, settings.setpoint_low_c))
        await self._line.write(self.name, self._unit, MODE, [RESET])
        await self._line.write(self.name, self._unit, TARGET_SETPOINT, [low])
        mode = (await self._read(MODE))[0]
        local = (await self._read(TARGET_SETPOINT))[0]
        if mode != RESET or local != low:
            raise DeviceFault(
                self.name,
                f"asked to reset, it is in mode {mode} with local setpoint "
                f"{settings.celsius(local):g} °C; reset it at the panel",
            )

    async def _check_written(self, blocks: Sequence[tuple[int, list[int]]]) -> None:
        for address, written in blocks:
            found = await self._read(address, len(written))
            for offset, (ours, theirs) in enumerate(zip(written, found, strict=True)):
                if ours != theirs:
                    raise CommandRejected(
                        self.name,
                        f"register {address + offset} holds {theirs} after {ours} was "
                        "written; the program was not started, check limits and locks at "
                        "the panel",
                    )

    async def _run(self) -> None:
        try:
            await self._line.write(self.name, self._unit, MODE, [RUN])
        except (ReplyLost, MalformedReply) as error:
            raise UnknownOutcome(
                self.name,
                f"RUN was sent and its reply lost ({error}); ask for mode and program, "
                "never send it again",
            ) from error
        await self._see_it_run()

    async def _see_it_run(self) -> None:
        deadline_s = self._clock.monotonic_s() + START_TIMEOUT_S
        while True:
            try:
                mode = (await self._read(MODE))[0]
                segment = (await self._read(SEGMENT))[0]
            except (DeviceUnreachable, MalformedReply) as error:
                raise UnknownOutcome(
                    self.name, f"RUN was accepted, then the link failed ({error})"
                ) from error
            if mode in (RUN, HOLDBACK) and segment >= 1:
                return
            if self._clock.monotonic_s() >= deadline_s:
                raise CommandRejected(
                    self.name,
                    f"RUN was acknowledged, yet after {START_TIMEOUT_S:g} s it is in mode "
                    f"{mode}, segment {segment}; look for HOLD or a logic input at the panel",
                )
            await self._clock.sleep(1.0)

    async def _known_settings(self) -> InstrumentSettings:
        return self._settings or await self._read_settings()

    async def _read_settings(self) -> InstrumentSettings:
        places = (await self._read(DECIMAL_PLACES))[0]
        if places not in (0, 1, 2):
            raise MalformedReply(self.name, f"{places} decimal places (register 525)")
        high, low = await self._read(SETPOINT_HIGH, 2)
        self._settings = InstrumentSettings(
            decimal_places=places,
            setpoint_low_c=low / 10**places,
            setpoint_high_c=high / 10**places,
            max_segments=(await self._read(MAX_SEGMENTS))[0],
        )
        return self._settings

    async def _read(self, address: int, count: int = 1) -> list[int]:
        return await self._line.read(self.name, self._unit, address, count)


def make(name: str, definition: DeviceDefinition, lines: Lines, clock: Clock) -> Eurotherm2416:
    """Make the driver of one unit; opens no line yet."""
    address = Address.parse(definition.address)
    line = lines.share(address.port, lambda: ModbusLine(address.port))
    unit = int(address.option("unit", "1"))
    return Eurotherm2416(name, definition, line, unit, clock)
