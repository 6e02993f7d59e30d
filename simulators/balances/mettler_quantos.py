"""A simulated Mettler Toledo XPE balance with a Quantos dosing module.

Written from the MT-SICS manual (11781363) and the Quantos command set: ASCII lines, CR LF.
``PowderDoser`` is the physics: a pan that settles, powder that flows. ``MettlerQuantos``
is the instrument that answers.
"""

import math
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np

from alab.lab import LabDefinition
from simulators.wire import SerialLine
from simulators.world.remembered import Remembered
from simulators.world.world import Crucible, World

CAPACITY_MG = 220_000.0
READING_NOISE_MG = 0.02
DRAUGHT_NOISE_MG = 0.2
"""Noise of a reading while the draft door is not shut."""
SETTLING_S = 4.0
STEP_MG = 0.05
"""A change of load that the reading has to settle from."""

COARSE_MASS_FRACTION = 0.92
COARSE_TIME_FRACTION = 0.4
FLOW_SPREAD = 0.35
"""Spread of the logarithm of flow among powders."""
LONGEST_DOSING_S = 600.0
CLUMPS_PER_DOSE = 0.04
NO_WEIGHT_GAIN_S = 30.0
"""The doser gives up if the pan gains nothing for this long."""

DOOR_S = 3.0
PIN_S = 2.0


@dataclass(slots=True, kw_only=True)
class Dosing:
    """One dose under way.

    Attributes:
        started_s: When it began.
        duration_s: How long it takes undisturbed.
        final_mg: What it will have delivered.
        delivered_mg: What has left the head.
        jams_at_s: World time at which the powder stops to flow; infinite if it flows.
    """

    started_s: float
    duration_s: float
    final_mg: float
    delivered_mg: float = 0.0
    jams_at_s: float = math.inf

    def due_mg(self, now_s: float) -> float:
        """What has left the head by ``now_s``: coarse to 92 %, then fine."""
        passed = min(1.0, (now_s - self.started_s) / self.duration_s)
        if passed < COARSE_TIME_FRACTION:
            return self.final_mg * COARSE_MASS_FRACTION * passed / COARSE_TIME_FRACTION
        fine = (passed - COARSE_TIME_FRACTION) / (1.0 - COARSE_TIME_FRACTION)
        return self.final_mg * (COARSE_MASS_FRACTION + (1.0 - COARSE_MASS_FRACTION) * fine)

    @property
    def ends_s(self) -> float:
        """When it ends undisturbed."""
        return self.started_s + self.duration_s


class PowderDoser(Remembered):
    """A pan, a head above it, and powder between the two.

    Attributes:
        jams: How many of the next doses jam at four fifths of their time.
        drifts: Whether the pan never comes to rest (vibration).
    """

    remembered = (
        "jams",
        "drifts",
        "dosing",
        "_readings",
        "_doses",
        "_load_mg",
        "_rests_from_s",
    )

    def __init__(self, world: World, name: str, place: str) -> None:
        self.jams = 0
        self.drifts = False
        self._world = world
        self._name = name
        self._place = place
        self._readings = 0
        self._doses = 0
        self._load_mg = 0.0
        self._rests_from_s = 0.0
        self.dosing: Dosing | None = None

    @property
    def crucible(self) -> Crucible | None:
        """What stands on the pan."""
        return self._world.crucibles.get(self._place)

    @property
    def load_mg(self) -> float:
        """True mass on the pan."""
        return self.crucible.gross_mass_mg if self.crucible else 0.0

    def advance(self, now_s: float) -> int | None:
        """Let powder flow and the pan settle until ``now_s``.

        Returns:
            The Quantos error a dose ended with, 0 for a good end, None if none ended.
        """
        ended = self._flow(now_s)
        if abs(self.load_mg - self._load_mg) > STEP_MG:
            self._load_mg = self.load_mg
            if self.dosing is None:
                self._world.mark(self._name)
            self._rests_from_s = now_s + SETTLING_S
        return ended

    def reading_mg(self, *, draught: bool) -> float:
        """One reading, with noise."""
        self._readings += 1
        self._world.mark(self._name)
        noise_mg = DRAUGHT_NOISE_MG if draught else READING_NOISE_MG
        draw = self._world.rng(self._name, "reading", self._readings)
        return self.load_mg + draw.normal(0.0, noise_mg)

    def is_stable(self, now_s: float) -> bool:
        """Whether the pan has come to rest."""
        return not self.drifts and self.dosing is None and now_s >= self._rests_from_s

    def begin(self, now_s: float, *, target_mg: float, tolerance_mg: float) -> None:
        """Start a dose; all its chances are drawn now."""
        self._doses += 1
        self._world.mark(self._name)
        substance = self._world.heads[self._world.mounted[self._name]].substance
        flow = self._world.rng("flow", substance).lognormal(0.0, FLOW_SPREAD)
        draw = self._world.rng(self._name, "dose", self._doses)
        usual_s = (60.0 + 10.0 * math.sqrt(target_mg)) * flow**-0.25
        duration_s = min(LONGEST_DOSING_S, usual_s * draw.lognormal(0.0, 0.08))
        jams_at_s = now_s + 0.8 * duration_s if self.jams else math.inf
        self.jams -= self.jams > 0
        if self.crucible is None:
            jams_at_s = now_s + NO_WEIGHT_GAIN_S
        self.dosing = Dosing(
            started_s=now_s,
            duration_s=duration_s,
            final_mg=_delivered_mg(draw, target_mg, tolerance_mg),
            jams_at_s=jams_at_s,
        )

    def _flow(self, now_s: float) -> int | None:
        if (dosing := self.dosing) is None:
            return None
        head = self._world.heads.get(self._world.mounted.get(self._name, 0))
        wanted_mg = dosing.due_mg(min(now_s, dosing.jams_at_s)) - dosing.delivered_mg
        given_mg = min(max(0.0, wanted_mg), head.mass_mg if head else 0.0)
        dosing.delivered_mg += given_mg
        if head is not None and given_mg > 0.0:
            head.mass_mg -= given_mg
            if self.crucible is not None:  # else it falls beside the vial
                self.crucible.powder.add(head.substance, given_mg)
        jammed = now_s >= dosing.jams_at_s or given_mg < wanted_mg
        if not jammed and now_s < dosing.ends_s:
            return None
        self.dosing = None
        self._world.mark(self._name)
        return 7 if jammed else 0


def _delivered_mg(draw: np.random.Generator, target_mg: float, tolerance_mg: float) -> float:
    """What a dose delivers: the last grains scatter, and now and then a clump falls."""
    scatter_mg = draw.normal(0.0, min(1.0, max(0.05, 0.3 * tolerance_mg)))
    clumps = draw.poisson(CLUMPS_PER_DOSE)
    clump_mg = clumps * 0.03 * target_mg * draw.lognormal(0.0, 0.5)
    return max(0.05, target_mg + max(-tolerance_mg, scatter_mg) + clump_mg)


class MettlerQuantos(Remembered):
    """Answers MT-SICS and Quantos lines.

    Attributes:
        doser: The physics behind the panel.
        frozen: Whether the firmware hangs and answers nothing.
    """

    remembered = (
        "doser",
        "frozen",
        "_tare_mg",
        "_target_mg",
        "_tolerance_percent",
        "_door",
        "_pin_locked",
        "_motion",
        "_says",
        "_now_s",
    )
    greeting = b""
    model = "XPE206DRQ"

    def __init__(self, world: World, name: str, place: str) -> None:
        self.doser = PowderDoser(world, name, place)
        self.frozen = False
        self._world = world
        self._name = name
        number = int(world.rng(name, "serial").integers(10**8, 10**9))
        self._serial_number = f"B{number}"
        self._tare_mg = 0.0
        self._target_mg = 0.0
        self._tolerance_percent = 1.0
        self._door = 3
        self._pin_locked = False
        self._motion: tuple[float, str, int] | None = None  # when it ends, command, argument
        self._says: list[str] = []
        self._now_s = 0.0
        world.register(name, self, place)

    @property
    def due_s(self) -> float:
        """When it will next say something unasked."""
        if self._says:
            return -math.inf
        dosing = self.doser.dosing
        return min(
            self._motion[0] if self._motion else math.inf,
            min(dosing.ends_s, dosing.jams_at_s) if dosing else math.inf,
        )

    def advance(self, now_s: float) -> None:
        """Let doors, pins, powder and pan catch up."""
        self._now_s = now_s
        if self._motion is not None and now_s >= self._motion[0]:
            _, command, argument = self._motion
            self._motion = None
            self._world.mark(self._name)
            if command == "QRA 60 7":
                self._door = argument
            else:
                self._pin_locked = argument == 4
            self._says.append(f"{command} A")
        error = self.doser.advance(now_s)
        if error is not None:
            self._says.append("QRA 61 1 A" if error == 0 else f"QRA 61 1 I {error}")

    def unasked(self) -> bytes:
        """Ends of actions that have come."""
        if self.frozen:
            return b""
        if self._says:
            self._world.mark(self._name)
        lines, self._says = self._says, []
        return _wire(lines)

    def answer(self, request: bytes) -> bytes:
        """Answer one line."""
        if self.frozen or not request:
            return b""
        text = request.decode("ascii", errors="replace")
        if text.startswith(("QRD ", "QRA ")):
            return _wire(self._quantos(text.split(" ")))
        return _wire([self._sics(text)])

    def _sics(self, text: str) -> str:
        fixed = {
            "@": f'I4 A "{self._serial_number}"',
            "I2": f'I2 A "{self.model} Quantos {CAPACITY_MG / 1000:.5f} g"',
            "I3": 'I3 A "6.20 1.36"',
            "I4": f'I4 A "{self._serial_number}"',
        }
        if text in fixed:
            return fixed[text]
        if text in ("S", "SI", "T", "TI", "Z", "ZI"):
            return self._weigh(text)
        if text == "TA":
            return f"TA A {self._tare_mg / 1000:10.5f} g"
        if text == "TAC":
            self._tare_mg = 0.0
            self._world.mark(self._name)
            return "TAC A"
        return "ES"

    def _weigh(self, command: str) -> str:
        immediate = command.endswith("I")
        stable = self.doser.is_stable(self._now_s)
        if self.doser.load_mg > CAPACITY_MG:
            return f"{command[0]} +"
        if self.doser.dosing is not None or not (stable or immediate):
            return f"{command} I" if command != "SI" else "S I"
        gross_mg = self.doser.reading_mg(draught=self._door != 2)
        sign = "S" if stable else "D"
        if command[0] == "S":
            return f"S {sign} {(gross_mg - self._tare_mg) / 1000:10.5f} g"
        self._tare_mg = gross_mg
        if command[0] == "T":
            return f"{command} {sign} {gross_mg / 1000:10.5f} g"
        return f"{command} A" if command == "Z" else f"ZI {sign}"

    def _quantos(self, words: list[str]) -> list[str]:
        if words[:3] == ["QRD", "1", "1"] and len(words) >= 5:
            return [" ".join(words[:4]) + " " + self._set(words[3], words[4])]
        path = " ".join(words)
        if path == "QRD 2 3 7":
            return [f"{path} {9 if self._moves('QRA 60 7') else self._door} A"]
        if path == "QRD 2 3 8":
            return [f"{path} I 4"]
        if path == "QRD 2 4 11":
            return self._head_data(path)
        if words[0] == "QRA":
            return self._act(path, words)
        return ["ES"]

    def _set(self, parameter: str, value: str) -> str:
        if self._is_busy():
            return "I 2"
        try:
            number = float(value)
        except ValueError:
            return "L"
        limits = {
            "5": (0.10, 250_000.0),
            "6": (0.1, 40.0),
            "7": (0.0, 1.0),
            "9": (0.0, 0.0),
            "14": (0.0, 1.0),
        }
        lowest, highest = limits.get(parameter, (math.inf, -math.inf))
        if not lowest <= number <= highest:
            return "L"
        self._world.mark(self._name)
        if parameter == "5":
            self._target_mg = number
        elif parameter == "6":
            self._tolerance_percent = number
        return "A"

    def _head_data(self, path: str) -> list[str]:
        head = self._world.heads.get(self._world.mounted.get(self._name, 0))
        if self._is_busy():
            return [f"{path} I 2"]
        if head is None:
            return [f"{path} I 1"]
        return [
            f"{path} B",
            "<Info_head>",
            f"<Head_ID>{head.number:06d}</Head_ID>",
            f"<Substance>{escape(head.substance)}</Substance>",
            f'<Rem._quantity Unit="mg">{head.mass_mg:.1f}</Rem._quantity>',
            "</Info_head>",
            f"{path} A",
        ]

    def _act(self, path: str, words: list[str]) -> list[str]:
        if path == "QRA 61 4":
            return self._stop()
        command = " ".join(words[:3])
        if self._is_busy():
            return [f"{command} I 2"]
        if path == "QRA 61 1":
            return self._start()
        if path in ("QRA 60 7 2", "QRA 60 7 3"):
            return self._move(command, int(words[3]), DOOR_S)
        if path in ("QRA 60 2 3", "QRA 60 2 4"):
            if self._name not in self._world.mounted:
                return [f"{command} I 1"]
            return self._move(command, int(words[3]), PIN_S)
        if command == "QRA 60 8":
            return [f"{command} I 4"]
        return [f"{command} L"]

    def _move(self, command: str, argument: int, duration_s: float) -> list[str]:
        self._world.mark(self._name)
        self._motion = (self._now_s + duration_s, command, argument)
        return [f"{command} B"]

    def _start(self) -> list[str]:
        if self._name not in self._world.mounted:
            return ["QRA 61 1 I 1"]
        if self._door != 2 or not self._pin_locked or self._target_mg <= 0.0:
            return ["QRA 61 1 I 5"]
        self.doser.begin(
            self._now_s,
            target_mg=self._target_mg,
            tolerance_mg=self._target_mg * self._tolerance_percent / 100.0,
        )
        return ["QRA 61 1 B"]

    def _stop(self) -> list[str]:
        lines = ["QRA 61 4 A"]
        self._world.mark(self._name)
        if self.doser.dosing is not None:
            self.doser.dosing = None
            lines.append("QRA 61 1 I 8")
        return lines

    def _moves(self, command: str) -> bool:
        return self._motion is not None and self._motion[1] == command

    def _is_busy(self) -> bool:
        return self.doser.dosing is not None or self._motion is not None


def _wire(lines: list[str]) -> bytes:
    return b"".join(line.encode("ascii") + b"\r\n" for line in lines)


def line(world: World, lab: LabDefinition, names: list[str]) -> SerialLine:
    """The serial port of one doser."""
    (name,) = names
    return SerialLine(world, MettlerQuantos(world, name, lab.place_at(name)), b"\n")
