"""A simulated Eurotherm 2416 programmer/controller.

Written from the 2000 series communications handbook (HA026230): one program of sixteen
segments, Modbus RTU with function codes 3, 6 and 16. Registers that the handbook does not
list answer exception 2, read-only ones and values out of range exception 3.
``ModbusRtuLine`` is the wire: several units on one pseudo-terminal.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from alab.lab import Address, LabDefinition
from simulators.furnaces.chamber import Chamber
from simulators.furnaces.modbus_rtu import ModbusRtuLine, RegisterError
from simulators.furnaces.programmer import STEP_S, Programmer, ProgramState, Step
from simulators.world.remembered import Remembered
from simulators.world.world import World

SEGMENTS = 16
PROGRAM_BASE = 8328
SEGMENT_BASE = 8336
IDENTITY = 0x2460
"""Series 2000, range 2400, size 1/16 DIN, PID."""

_MODES = {
    ProgramState.RESET: 1,
    ProgramState.RUN: 2,
    ProgramState.HOLD: 4,
    ProgramState.HOLDBACK: 8,
    ProgramState.COMPLETE: 16,
}
_SECONDS_OF_UNIT = {0: 1.0, 1: 60.0, 2: 3600.0}
_END, _RATE, _TIME, _DWELL, _STEP = range(5)
_END_DWELL, _END_RESET = 0, 1
_LOOP_BREAK_S = 600.0


def _blank_registers() -> dict[int, int]:
    """Non-volatile parameters as delivered."""
    stored = {2: 0, 22: 1, 111: 1372, 112: 0, 211: SEGMENTS, 525: 0, 122: IDENTITY}
    stored |= {PROGRAM_BASE + offset: value for offset, value in enumerate((0, 20, 0, 0, 1))}
    for segment in range(SEGMENTS):
        stored |= {SEGMENT_BASE + 8 * segment + offset: 0 for offset in range(6)}
    return stored


@dataclass(slots=True, eq=False)
class Eurotherm2416(Remembered):
    """One controller with the furnace behind it.

    Attributes:
        chamber: The furnace; its faults are set there.
        programmer: The program under way.
        at_s: Laboratory time that the physics has reached.
        stored: Non-volatile parameters by register.
        stuck_registers: Fault: registers that keep this value whatever is written.
        lost_replies: Fault: writes, as register and value, that are carried out once and
            not answered.
    """

    remembered = (
        "chamber",
        "programmer",
        "at_s",
        "stored",
        "stuck_registers",
        "lost_replies",
        "_starved_s",
    )

    chamber: Chamber
    programmer: Programmer = field(default_factory=Programmer)
    at_s: float = 0.0
    stored: dict[int, int] = field(default_factory=_blank_registers)
    stuck_registers: dict[int, int] = field(default_factory=dict)
    lost_replies: set[tuple[int, int]] = field(default_factory=set)
    _starved_s: float = 0.0

    def advance(self, now_s: float) -> None:
        """Catch up with laboratory time, in whole steps."""
        steps = int((now_s - self.at_s) // STEP_S)
        if steps <= 0:
            return
        if self.chamber.is_cold and self._control_setpoint_c() is None:
            self.chamber.advance(steps * STEP_S, None)
        else:
            for _ in range(steps):
                self._advance_step()
        self.at_s += steps * STEP_S

    def _advance_step(self) -> None:
        self.programmer.advance(STEP_S, self.chamber.measured_c)
        setpoint_c = self._control_setpoint_c()
        self.chamber.advance(STEP_S, setpoint_c)
        starved = self.chamber.limiter_tripped and setpoint_c is not None
        self._starved_s = self._starved_s + STEP_S if starved else 0.0

    def hold_at_panel(self) -> None:
        """Somebody presses HOLD."""
        self.chamber.mark()
        self.programmer.held = True
        if self.programmer.is_active:
            self.programmer.state = ProgramState.HOLD

    def release_at_panel(self) -> None:
        """Somebody presses RUN."""
        self.chamber.mark()
        self.programmer.held = False
        if self.programmer.state is ProgramState.HOLD:
            self.programmer.state = ProgramState.RUN

    def read(self, address: int) -> int:
        """Value of one holding register.

        Raises:
            RegisterError: If there is no such register.
        """
        if address in _LIVE:
            return _LIVE[address](self)
        if address not in self.stored:
            raise RegisterError(2)
        return self.stored[address]

    def write(self, address: int, value: int) -> None:
        """Write one holding register.

        Raises:
            RegisterError: If there is none, it is read-only, or the value is refused.
        """
        self.chamber.mark()
        if address == 23:
            self._command(value)
            return
        if address in (111, 112, 122, 211, 525) or (address in _LIVE and address != 2):
            raise RegisterError(3)
        if address not in self.stored:
            raise RegisterError(2)
        if address >= PROGRAM_BASE and self.programmer.is_active:
            raise RegisterError(3)
        if address == 2 and not self.stored[112] <= value <= self.stored[111]:
            raise RegisterError(3)
        self.stored[address] = self.stuck_registers.get(address, value)

    @property
    def _scale(self) -> float:
        return 10.0 ** self.stored[525]

    def _control_setpoint_c(self) -> float | None:
        """What the loop controls at: the program, or in reset the local setpoint."""
        if self.programmer.state is ProgramState.RESET:
            local_c = self.stored[2] / self._scale
            return local_c if local_c > 0 else None
        return self.programmer.setpoint_c

    def _shown(self, temperature_c: float) -> int:
        return round(temperature_c * self._scale)

    def _working_setpoint(self) -> int:
        return self._shown(self._control_setpoint_c() or 0.0)

    def _status_word(self) -> int:
        """Summary status: bit 5 sensor broken, bit 6 loop broken, bit 9 program ended."""
        return (
            (1 << 5) * self.chamber.sensor_break
            | (1 << 6) * (self._starved_s >= _LOOP_BREAK_S)
            | (1 << 9) * (self.programmer.state is ProgramState.COMPLETE)
        )

    def _command(self, value: int) -> None:
        if value == 1:
            self.programmer.reset()
        elif value == 4:
            self.hold_at_panel()
        elif value == 2 and self.programmer.state is ProgramState.HOLD:
            self.release_at_panel()
        elif value == 2 and not self.programmer.is_active:
            self._run()
        elif value != 2:
            raise RegisterError(3)

    def _run(self) -> None:
        steps, end_type = self._steps()
        if not steps or self.stored[22] != 1:
            raise RegisterError(3)
        holdback = self.stored[PROGRAM_BASE] in (1, 3)
        self.programmer.holdback_c = (
            self.stored[PROGRAM_BASE + 1] / self._scale if holdback else None
        )
        self.programmer.stay_on = end_type == _END_DWELL
        self.programmer.run(steps, self.chamber.measured_c)

    def _steps(self) -> tuple[list[Step], int]:
        ramp_unit_s = _SECONDS_OF_UNIT.get(self.stored[PROGRAM_BASE + 2], 60.0)
        dwell_unit_s = _SECONDS_OF_UNIT.get(self.stored[PROGRAM_BASE + 3], 60.0)
        steps: list[Step] = []
        at_c = self.chamber.measured_c
        for number in range(SEGMENTS):
            kind, target, value, end_type = (
                self.stored[SEGMENT_BASE + 8 * number + offset] for offset in range(4)
            )
            target_c = target / self._scale
            if kind == _END:
                return steps, end_type
            if kind == _RATE and value > 0:
                steps.append(Step(target_c=target_c, rate_c_per_s=value / 10 / ramp_unit_s))
            elif kind == _TIME and value > 0:
                rate = abs(target_c - at_c) / (value / 10 * dwell_unit_s)
                steps.append(Step(target_c=target_c, rate_c_per_s=rate))
            elif kind == _DWELL:
                steps.append(Step(duration_s=value / 10 * dwell_unit_s))
            else:
                steps.append(Step(target_c=target_c))
            at_c = at_c if kind == _DWELL else target_c
        return steps, _END_RESET


_LIVE: dict[int, Callable[[Eurotherm2416], int]] = {
    1: lambda unit: unit._shown(unit.chamber.measured_c),  # noqa: SLF001
    2: lambda unit: unit.stored[2],
    3: lambda unit: round(unit.chamber.output_percent * 10),
    4: lambda unit: round(unit.chamber.output_percent * 10),
    5: lambda unit: unit._working_setpoint(),  # noqa: SLF001
    23: lambda unit: _MODES[unit.programmer.state],
    36: lambda unit: round(unit.programmer.step_left_s / 6),
    56: lambda unit: unit.programmer.step,
    58: lambda unit: round(unit.programmer.time_left_s() / 6),
    75: lambda unit: unit._status_word(),  # noqa: SLF001
    258: lambda unit: int(unit.chamber.sensor_break),
}


def line(world: World, lab: LabDefinition, names: Sequence[str]) -> ModbusRtuLine:
    """Make every controller on one RS-485 line."""
    units: dict[int, Eurotherm2416] = {}
    for name in names:
        address = Address.parse(lab.devices[name].address)
        unit = Eurotherm2416(Chamber(world, lab, name))
        unit.at_s = world.now_s()
        world.register(name, unit, *unit.chamber.reach)
        units[int(address.option("unit", "1"))] = unit
    return ModbusRtuLine(world, units)
