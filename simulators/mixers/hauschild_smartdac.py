"""A simulated Hauschild SmartDAC centrifugal mixer.

Frames, 19200 8N1: a request is ``04 (21 write | 20 read) 02 cc vvvvv 03 05``, a reply
``02 cc value 03``, with code and value in decimal ASCII. Reply code 00 is a fault:
1 remote program not selected, 2 no valid code, 3 program still running. The protocol has
no duration: the mixer turns from start (11) to stop (12).
"""

import math
from dataclasses import dataclass

from alab.lab import LabDefinition
from simulators.wire import SerialLine
from simulators.world.remembered import Remembered
from simulators.world.world import World

FASTEST_RPM = 2500.0
REFERENCE_RPM = 2000.0
HOMOGENISING_S = 180.0
"""Time constant of mixing at the reference speed: 95 % after the usual nine minutes."""

FAULT_NO_VALID_CODE = 2
FAULT_STILL_RUNNING = 3


@dataclass(slots=True, kw_only=True)
class Rotor:
    """A cup that speeds up, turns and slows down.

    Attributes:
        setpoint_rpm: Speed asked for.
        ramp_up_s: Time to reach it.
        ramp_down_s: Time to come to rest.
        speed_rpm: Speed now.
        driven: Whether the motor drives, as opposed to brakes.
        dose_s: Seconds at the reference speed since it last stood still.
    """

    setpoint_rpm: float = 0.0
    ramp_up_s: float = 10.0
    ramp_down_s: float = 10.0
    speed_rpm: float = 0.0
    driven: bool = False
    dose_s: float = 0.0
    rate_rpm_per_s: float = 0.0

    def advance(self, dt_s: float) -> None:
        """Turn for ``dt_s`` seconds; mixing goes with the square of the speed."""
        goal_rpm = self.setpoint_rpm if self.driven else 0.0
        if self.rate_rpm_per_s > 0.0:
            ramp_s = min(dt_s, abs(goal_rpm - self.speed_rpm) / self.rate_rpm_per_s)
        else:
            ramp_s = 0.0
        step_rpm = math.copysign(self.rate_rpm_per_s * ramp_s, goal_rpm - self.speed_rpm)
        after_rpm = goal_rpm if ramp_s < dt_s else self.speed_rpm + step_rpm
        mean_square = (self.speed_rpm**2 + self.speed_rpm * after_rpm + after_rpm**2) / 3.0
        self.dose_s += (ramp_s * mean_square + (dt_s - ramp_s) * after_rpm**2) / (
            REFERENCE_RPM**2
        )
        self.speed_rpm = after_rpm

    def drive(self) -> None:
        """Speed up to the setpoint."""
        self.driven = True
        self.rate_rpm_per_s = self.setpoint_rpm / self.ramp_up_s

    def brake(self) -> None:
        """Slow down to rest."""
        self.driven = False
        self.rate_rpm_per_s = max(self.speed_rpm, 1.0) / self.ramp_down_s

    @property
    def turns(self) -> bool:
        """Whether it moves or is about to."""
        return self.driven or self.speed_rpm > 0.0


class HauschildSmartdac(Remembered):
    """Answers SmartDAC frames.

    Attributes:
        rotor: The physics.
        error: Latched error code of the mixer (code 20), 0 for none.
        frozen: Whether it answers nothing.
    """

    remembered = ("rotor", "error", "frozen", "_now_s")
    greeting = b""
    due_s = math.inf

    def __init__(self, world: World, place: str) -> None:
        self.rotor = Rotor()
        self.error = 0
        self.frozen = False
        self._world = world
        self._place = place
        self._now_s = world.now_s()
        world.register(place, self)

    def advance(self, now_s: float) -> None:
        """Turn until ``now_s``; powder is as mixed as it will be once the cup rests."""
        was_turning = self.rotor.turns
        if self.error and self.rotor.driven:
            self.rotor.brake()
        self.rotor.advance(now_s - self._now_s)
        self._now_s = now_s
        if was_turning and not self.rotor.turns:
            self._world.mark(self._place)
            crucible = self._world.crucibles.get(self._place)
            if crucible is not None:
                crucible.powder.mix(1.0 - math.exp(-self.rotor.dose_s / HOMOGENISING_S))
            self.rotor.dose_s = 0.0

    def lose_power(self) -> None:
        """Run out; it does not go on when the power is back."""
        self.rotor.brake()
        self._world.mark(self._place)

    def unasked(self) -> bytes:
        """Nothing: the mixer only answers."""
        return b""

    def answer(self, request: bytes) -> bytes:
        """Answer one frame, handed over without its last byte."""
        if self.frozen:
            return b""
        well_formed = (
            len(request) == 11
            and request[:1] == b"\x04"
            and request[1:2] in (b"\x20", b"\x21")
            and request[2:3] == b"\x02"
            and request[3:10].isdigit()
            and request[10:] == b"\x03"
        )
        if not well_formed:
            return _reply(0, FAULT_NO_VALID_CODE)
        code, value = int(request[3:5]), int(request[5:10])
        return self._write(code, value) if request[1] == 0x21 else self._read(code)

    def _read(self, code: int) -> bytes:
        rotor = self.rotor
        values = {
            14: rotor.ramp_up_s,
            15: rotor.ramp_down_s,
            16: rotor.setpoint_rpm,
            18: not rotor.turns and not self.error,
            19: rotor.turns,
            20: self.error,
        }
        if code not in values:
            return _reply(0, FAULT_NO_VALID_CODE)
        return _reply(code, int(values[code]))

    def _write(self, code: int, value: int) -> bytes:
        self._world.mark(self._place)
        rotor = self.rotor
        if code == 12:
            if rotor.driven:
                rotor.brake()
            return _reply(code, 1)
        if code == 20:
            self.error = 0
            return _reply(code, 0)
        if rotor.turns and code in (11, 14, 15, 16):
            return _reply(0, FAULT_STILL_RUNNING)
        if code == 11 and not self.error:
            rotor.drive()
            return _reply(code, 1)
        if code in (14, 15) and 5 <= value <= 30:
            name = "ramp_up_s" if code == 14 else "ramp_down_s"
            setattr(rotor, name, float(value))
            return _reply(code, value)
        if code == 16 and value <= FASTEST_RPM:
            rotor.setpoint_rpm = float(value)
            return _reply(code, value)
        return _reply(0, FAULT_NO_VALID_CODE)


def _reply(code: int, value: int) -> bytes:
    return b"\x02%02d%05d\x03" % (code, value)


def line(world: World, lab: LabDefinition, names: list[str]) -> SerialLine:
    """The serial port of one mixer."""
    (name,) = names
    return SerialLine(world, HauschildSmartdac(world, lab.place_at(name)), b"\x05")
