"""Mettler Toledo XPE balances with a Quantos dosing module.

Protocol: "MT-SICS Interface Commands" (11781363) and the Quantos command set; ASCII lines
ending in CR LF, 9600 8N1. An action answers ``… B`` at once and ``… A`` or ``… I error``
when it has ended, in between the answers to other requests. The balance is therefore never
waited for on the wire: while it acts we ask a harmless question from time to time, and since
the stream is ordered, the end of an act comes before the answer to a question asked later.

The draft door is shut only while the balance weighs or doses and open otherwise, so that an
arm can always reach the pan.
"""

import logging
import re
from typing import NoReturn

from alab.clock import Clock
from alab.errors import (
    CommandRejected,
    DeviceFault,
    InterlockError,
    MalformedReply,
    UnknownOutcome,
)
from alab.lab import Address, DeviceDefinition
from alab.models import Weighing
from drivers.balances.quantos_dialogue import (
    DOSE,
    MOVE_DOOR,
    MOVE_PIN,
    Answer,
    QuantosDialogue,
)
from drivers.transport import Lines, LineTransport, ReplyLost

log = logging.getLogger(__name__)

STABLE_REPLY_TIMEOUT_S = 40.0
"""``S`` may take the balance this long before it answers that the load is not stable."""

STABLE_WITHIN_S = 90.0
DOSING_WITHIN_S = 900.0
MOTION_WITHIN_S = 30.0
POLL_S = 2.0
MOTION_POLL_S = 1.0

LEAST_DOSE_MG, LARGEST_DOSE_MG = 0.10, 250_000.0
LEAST_TOLERANCE_PERCENT, LARGEST_TOLERANCE_PERCENT = 0.1, 40.0
LEAST_TOLERANCE_MG = 0.5
AT_REST_WITHIN_MG = 0.2
"""Two stable readings this close, one poll apart, mean that no powder flows."""

DOOR_STATE = b"QRD 2 3 7"
HEAD_DATA = b"QRD 2 4 11"
STOP_DOSING = b"QRA 61 4"
DOOR_SHUT, DOOR_OPEN = 2, 3
PIN_RELEASED, PIN_LOCKED = 3, 4

_MG = {b"g": 1000.0, b"mg": 1.0, b"kg": 1e6}
_FAULTS = frozenset({3, 6, 7, 9, 13})
_NAMES = re.compile(rb"<Substance>\s*(.*?)\s*</Substance>")


class MettlerQuantos:
    """A dosing balance on a serial line.

    Args:
        name: Name of the device in the lab file.
        line: The line it answers on.
        clock: Laboratory time.
        min_dose_mg: Smallest dose the laboratory trusts this head type with.
    """

    def __init__(
        self, name: str, line: LineTransport, clock: Clock, *, min_dose_mg: float
    ) -> None:
        self._name = name
        self._line = line
        self._dialogue = QuantosDialogue(name, line)
        self._clock = clock
        self._min_dose_mg = max(LEAST_DOSE_MG, min_dose_mg)

    @property
    def name(self) -> str:
        """Name of the device in the lab file."""
        return self._name

    async def connect(self) -> str:
        """Ask for model and serial number, and check that a Quantos is fitted."""
        await self._line.connect()
        model = await self._dialogue.ask_text(b"I2")
        number = await self._dialogue.ask_text(b"I4")
        await self._door_state()
        return f"{model}, serial number {number}"

    async def close(self) -> None:
        """Release the line."""
        await self._line.close()

    async def make_safe(self) -> None:
        """Stop dosing (``QRA 61 4``); harmless if none runs."""
        await self._dialogue.ask(STOP_DOSING)

    async def weigh(self) -> Weighing:
        """Shut the draft door, wait for a stable reading, open the door again.

        A door that is shut already means that a dose or weighing was interrupted and may
        be under way: then the reading is waited for as long as a dose may take.

        Raises:
            CommandRejected: On overload or underload.
            DeviceFault: If the load does not come to rest within 90 s, or 900 s.
        """
        interrupted = await self._door_state() == DOOR_SHUT
        await self._move(MOVE_DOOR, DOOR_SHUT)
        within_s = DOSING_WITHIN_S if interrupted else STABLE_WITHIN_S
        try:
            mass_mg = await self._stable_mg(within_s)
        except CommandRejected:
            await self._move(MOVE_DOOR, DOOR_OPEN)  # so that the load can be taken off
            raise
        await self._move(MOVE_DOOR, DOOR_OPEN)
        return Weighing(mass_mg=mass_mg)

    async def mounted_substance(self) -> str | None:
        """Read the substance from the head's tag (``QRD 2 4 11``)."""
        answer, xml = await self._dialogue.ask_block(HEAD_DATA)
        if answer.error == 1:
            return None
        if answer.status != b"A":
            self._refuse("read the dosing head", answer)
        if (found := _NAMES.search(xml)) is None:
            raise MalformedReply(self._name, f"head data without a substance: {xml!r}")
        return found[1].decode("ascii", errors="replace") or None

    async def start_dose(self, *, mass_mg: float, tolerance_percent: float) -> None:
        """Shut the door, lock the head, set target and tolerance, and begin (``QRA 61 1``).

        The tolerance is widened to 0.5 mg where it would be less: finer ones make the head
        search for ever.

        Raises:
            InterlockError: If mass or tolerance are out of range; nothing was sent.
            CommandRejected: If the doser declines (no head, busy).
            UnknownOutcome: If the reply to the start was lost.
        """
        self._check_mass(mass_mg)
        tolerance_percent = max(tolerance_percent, 100.0 * LEAST_TOLERANCE_MG / mass_mg)
        self._check_tolerance(mass_mg, tolerance_percent)
        await self._move(MOVE_DOOR, DOOR_SHUT)
        await self._move(MOVE_PIN, PIN_LOCKED)
        await self._set(b"QRD 1 1 5", b"%.2f" % mass_mg)
        await self._set(b"QRD 1 1 6", b"%.1f" % tolerance_percent)
        await self._set(b"QRD 1 1 7", b"0")
        self._dialogue.ends.pop(DOSE, None)
        try:
            answer = await self._dialogue.ask(DOSE)
        except ReplyLost as error:
            raise UnknownOutcome(
                self._name,
                f"sent the start of a dose of {mass_mg:g} mg and lost the reply; weigh, "
                "and do not send it again",
            ) from error
        if answer.status not in (b"A", b"B"):
            self._refuse(f"dose {mass_mg:g} mg", answer)
        self._dialogue.unbroken = True
        if answer.status == b"A":
            self._dialogue.ends[DOSE] = answer

    async def finish_dose(self) -> None:
        """Wait for the end of the dose, release the head and open the door.

        The end is the line ``QRA 61 1 A`` (or ``I error``). Where it cannot be relied on,
        because another process began the dose or the line broke since, or where it does not
        come in time, the pan is asked: a dosing balance answers ``S I``, and two stable
        readings that agree mean that nothing flows any more.

        Raises:
            DeviceFault: If the doser gave up, or has not ended after 900 s.
        """
        end = await self._end_of_dose()
        await self._move(MOVE_PIN, PIN_RELEASED)
        await self._move(MOVE_DOOR, DOOR_OPEN)
        self._dialogue.ends.pop(DOSE, None)  # kept until now: whoever has to try again needs it
        self._dialogue.unbroken = False
        if end.status != b"A":
            raise DeviceFault(
                self._name,
                f"dosing ended with {end.reason}; weigh what was dosed, then see to the head",
            )

    # ---- dosing -----------------------------------------------------------------

    def _check_mass(self, mass_mg: float) -> None:
        if not self._min_dose_mg <= mass_mg <= LARGEST_DOSE_MG:
            raise InterlockError(
                self._name,
                f"refused to dose {mass_mg:g} mg: outside {self._min_dose_mg:g} to "
                f"{LARGEST_DOSE_MG:g} mg; scale the recipe",
            )

    def _check_tolerance(self, mass_mg: float, tolerance_percent: float) -> None:
        if not LEAST_TOLERANCE_PERCENT <= tolerance_percent <= LARGEST_TOLERANCE_PERCENT:
            raise InterlockError(
                self._name,
                f"refused to dose {mass_mg:g} mg within {tolerance_percent:g} %: the "
                f"tolerance must be {LEAST_TOLERANCE_PERCENT:g} to "
                f"{LARGEST_TOLERANCE_PERCENT:g} %",
            )

    async def _end_of_dose(self) -> Answer:
        started_s = self._clock.monotonic_s()
        last_mg: float | None = None
        while self._clock.monotonic_s() - started_s < DOSING_WITHIN_S:
            if (end := await self._heard_end()) is not None:
                return end
            if not self._dialogue.unbroken:
                now_mg = await self._reading_mg()
                if _at_rest(now_mg, last_mg):
                    return Answer(status=b"A")
                last_mg = now_mg
            await self._clock.sleep(POLL_S)
        if await self._reading_mg() is not None:
            log.warning("%s: the end of a dose was never reported", self._name)
            return Answer(status=b"A")
        await self._dialogue.ask(STOP_DOSING)
        raise DeviceFault(
            self._name,
            f"dosing had not ended after {DOSING_WITHIN_S:g} s and was stopped; weigh what "
            "was dosed, then see to the head",
        )

    async def _heard_end(self) -> Answer | None:
        """Ask something harmless, and see whether the end of the dose came before."""
        await self._door_state()
        return self._dialogue.ends.get(DOSE)

    # ---- weighing ---------------------------------------------------------------

    async def _stable_mg(self, within_s: float) -> float:
        started_s = self._clock.monotonic_s()
        while (mass_mg := await self._reading_mg()) is None:
            waited_s = self._clock.monotonic_s() - started_s
            if waited_s >= within_s:
                raise DeviceFault(
                    self._name,
                    f"no stable reading in {waited_s:.0f} s; look for draught, vibration "
                    "or something touching the pan",
                )
            await self._clock.sleep(POLL_S)
        return mass_mg

    async def _reading_mg(self) -> float | None:
        """One stable reading (``S``), None while the balance is busy or restless."""
        line = await self._dialogue.ask_line(b"S", timeout_s=STABLE_REPLY_TIMEOUT_S)
        match line.split():
            case [b"S", b"S", value, unit] if unit in _MG and _is_number(value):
                return float(value) * _MG[unit]
            case [b"S", b"S", b"Error", number]:
                raise DeviceFault(
                    self._name, f"weighing cell reports error {number.decode()}; call service"
                )
            case [b"S", b"I"]:
                return None
            case [b"S", b"+"]:
                raise CommandRejected(self._name, "overload: take the load off the pan")
            case [b"S", b"-"]:
                raise CommandRejected(self._name, "underload: is the pan in its place?")
            case _:
                raise MalformedReply(
                    self._name,
                    f"'S' was answered by {line!r}; set the weighing unit to g or mg",
                )

    # ---- commands ---------------------------------------------------------------

    async def _move(self, command: bytes, target: int) -> None:
        """Bring door or pin to ``target`` and wait until it is there."""
        if command == MOVE_DOOR and await self._door_state() == target:
            return
        self._dialogue.ends.pop(command, None)
        end = await self._dialogue.ask(command, b"%d" % target)
        started_s = self._clock.monotonic_s()
        while end is None or end.status == b"B":
            if self._clock.monotonic_s() - started_s > MOTION_WITHIN_S:
                raise DeviceFault(
                    self._name,
                    f"{command.decode()} {target} had not ended after {MOTION_WITHIN_S:g} s; "
                    "look for something in the way of door or head",
                )
            await self._clock.sleep(MOTION_POLL_S)
            door = await self._door_state()
            end = self._dialogue.ends.pop(command, None)
            if command == MOVE_DOOR and door == target:
                return
        if end.status != b"A" and not (command == MOVE_PIN and self._releases(target, end)):
            self._refuse(f"{command.decode()} {target}", end)

    @staticmethod
    def _releases(target: int, end: Answer) -> bool:
        """Whether there was no head to release: as good as released."""
        return target == PIN_RELEASED and end.error == 1

    async def _door_state(self) -> int:
        answer = await self._dialogue.ask(DOOR_STATE)
        if answer.status != b"A" or len(answer.values) != 1 or not answer.values[0].isdigit():
            self._refuse("read the door", answer)
        return int(answer.values[0])

    async def _set(self, parameter: bytes, value: bytes) -> None:
        answer = await self._dialogue.ask(parameter, value)
        if answer.status != b"A":
            self._refuse(f"set {parameter.decode()} to {value.decode()}", answer)

    def _refuse(self, attempt: str, answer: Answer) -> NoReturn:
        kind = DeviceFault if answer.error in _FAULTS else CommandRejected
        raise kind(self._name, f"declined to {attempt}: {answer.reason}")


def _at_rest(now_mg: float | None, last_mg: float | None) -> bool:
    return (
        now_mg is not None
        and last_mg is not None
        and abs(now_mg - last_mg) <= AT_REST_WITHIN_MG
    )


def _is_number(word: bytes) -> bool:
    return re.fullmatch(rb"[+-]?\d+(\.\d*)?", word) is not None


def make(name: str, definition: DeviceDefinition, lines: Lines, clock: Clock) -> MettlerQuantos:
    """Build the driver; opens no line."""
    line = lines.serial(Address.parse(definition.address), device=name, baudrate=9600)
    return MettlerQuantos(name, line, clock, min_dose_mg=definition.min_dose_mg)
