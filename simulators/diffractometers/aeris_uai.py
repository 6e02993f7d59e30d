"""A simulated Malvern Panalytical Aeris behind its automation interface (UAI).

Messages over TCP are fields between ``@``, ended by ``@END``. Samples are registered at a
location ``0,n``; location ``0,0`` is the goniometer. A measurement takes the holder in,
scans, brings it back, and leaves ``<sample>.xrdml`` in the result share.
"""

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from alab.lab import LabDefinition
from simulators.wire import TcpLine
from simulators.world.matter import Powder
from simulators.world.remembered import Remembered
from simulators.world.world import World

SCAN_S = 487.0
"""Length of the eight-minute scan, from the stamps of 352 files of such an instrument."""

CHANGE_S = (24.0, 40.0)
"""Taking a holder in and bringing it back, together."""


class Measure(Protocol):
    """Makes the file of a scan."""

    def __call__(
        self, world: World, powder: Powder, *, sample: str, program: str, started_at: datetime
    ) -> bytes:
        """Return the XRDML of ``powder``."""
        ...


def diffraction(
    world: World, powder: Powder, *, sample: str, program: str, started_at: datetime
) -> bytes:
    """Compute the pattern of the simulated world."""
    from simulators.world.diffraction import scan

    return scan(world, powder, sample=sample, program=program, started_at=started_at)


@dataclass(slots=True, kw_only=True)
class Measurement:
    """A scan under way.

    Attributes:
        sample: Its name.
        program: Measurement program.
        powder: What lies in the beam.
        starts_s: World time at which the X-rays are switched on.
        ends_s: World time at which they are switched off.
        back_s: World time at which the holder is back in its place.
        is_measured: Whether the pattern has been taken.
    """

    sample: str
    program: str
    powder: Powder
    starts_s: float
    ends_s: float
    back_s: float
    is_measured: bool = False


class AerisUai(Remembered):
    """Answers UAI messages.

    Attributes:
        local_mode: Fault: somebody works at the screen.
        fatal: Fault: every sample command is answered by this text.
        lying_locations: Fault: locations whose sensor says the opposite.
        late_file_s: Fault: the file comes so much later; infinite for never.
        previous_file: Fault: what is written is the previous sample's file.
        truncated_file: Fault: the file comes cut off, and whole after ``late_file_s``.
    """

    remembered = (
        "local_mode",
        "fatal",
        "lying_locations",
        "late_file_s",
        "previous_file",
        "truncated_file",
        "_samples",
        "_measurement",
        "_files",
        "_count",
    )
    greeting = b""
    due_s = math.inf

    def __init__(
        self,
        world: World,
        name: str,
        slots: Sequence[str],
        programs: Mapping[str, float],
        measure: Measure,
    ) -> None:
        self.local_mode = False
        self.fatal = ""
        self.lying_locations: set[int] = set()
        self.late_file_s = 0.0
        self.previous_file = False
        self.truncated_file = False
        self.share = Path()
        self._world = world
        self._name = name
        self._slots = tuple(slots)
        self._programs = programs
        self._measure = measure
        self._samples: dict[str, int] = {}
        self._measurement: Measurement | None = None
        self._previous = b""
        self._files: list[tuple[float, str, bytes]] = []
        self._count = 0
        world.register(name, self)

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Go on; the powder in the beam gets its chemistry back."""
        super().recall(memory)
        if self._measurement is not None:
            self._measurement.powder.chemistry = self._world.nature

    def advance(self, now_s: float) -> None:
        """End the measurement and write files that are due."""
        run = self._measurement
        if run is not None and not run.is_measured and now_s >= run.ends_s:
            self._take_pattern(run)
        if run is not None and now_s >= run.back_s:
            self._measurement = None
            self._world.mark(self._name)
        due = [file for file in self._files if file[0] <= now_s]
        self._files = [file for file in self._files if file[0] > now_s]
        for _, name, content in due:
            (self.share / name).write_bytes(content)
            self._world.mark(self._name)

    def unasked(self) -> bytes:
        """Nothing: the interface only answers."""
        return b""

    def answer(self, request: bytes) -> bytes:
        """Answer one message."""
        fields = request.decode("utf-8", errors="replace").strip("@\r\n ").split("@")
        values = dict(field.split("=", 1) for field in fields if "=" in field)
        if fields[0] == "STATUS_REQUEST":
            reply = self._status(fields, values)
        elif fields[0] == "SAMPLE" and len(fields) > 1:
            reply = f"SAMPLE@{fields[1]}@{self._sample(fields[1], values)}"
        else:
            reply = "ERROR=fatal: unknown message"
        return f"@{reply}@END\n".encode()

    def _status(self, fields: list[str], values: dict[str, str]) -> str:
        if "SYSTEM" in fields:
            return f"STATUS@SYSTEM={'local' if self.local_mode else 'remote'}"
        if values.get("UNIT") == "xrd":
            return f"STATUS@UNIT=xrd@READY={'no' if self._measurement else 'yes'}"
        number = self._location(values.get("LOCATION", ""))
        if number is None:
            return "STATUS@ERROR=fatal: unknown request"
        sample = self._sample_at(number)
        named = f"@SAMPLE_ID={sample}" if sample else ""
        state = "occupied" if self._is_occupied(number) else "free"
        return f"STATUS@LOCATION=0,{number}@STATE={state}{named}"

    def _sample(self, verb: str, values: dict[str, str]) -> str:
        if self.fatal:
            return f"ERROR=fatal: {self.fatal}"
        if self.local_mode:
            return "ERROR=fatal: not under remote control"
        sample = values.get("SAMPLE_ID", "")
        acts: dict[str, Callable[[str, dict[str, str]], str]] = {
            "ADD": self._add,
            "MEASURE": self._start,
            "REMOVE": self._remove,
        }
        if verb not in acts or not sample:
            return "ERROR=fatal: unknown message"
        self._world.mark(self._name)
        error = acts[verb](sample, values)
        return f"ERROR=fatal: {error}" if error else f"SAMPLE_ID={sample}@STATUS=ok"

    def _add(self, sample: str, values: dict[str, str]) -> str:
        number = self._location(values.get("AT", ""))
        if not number:
            return "no such location"
        if sample in self._samples or number in self._samples.values():
            return "sample or location is registered already"
        self._samples[sample] = number
        return ""

    def _remove(self, sample: str, _values: dict[str, str]) -> str:
        if sample not in self._samples:
            return "unknown sample"
        if self._measurement is not None and self._measurement.sample == sample:
            return "sample is being measured"
        del self._samples[sample]
        return ""

    def _start(self, sample: str, values: dict[str, str]) -> str:
        program = values.get("APPLICATION", "")
        if self._measurement is not None:
            return "instrument is busy"
        if program not in self._programs:
            return "unknown application"
        if sample not in self._samples:
            return "unknown sample"
        powder = self._world.holders.get(self._slots[self._samples[sample] - 1])
        if powder is None:
            return "no sample at location"
        self._count += 1
        change_s = self._world.rng("aeris", "change", self._count).uniform(*CHANGE_S)
        starts_s = self._world.now_s() + change_s / 2
        ends_s = starts_s + self._programs[program]
        self._measurement = Measurement(
            sample=sample,
            program=program,
            powder=powder,
            starts_s=starts_s,
            ends_s=ends_s,
            back_s=ends_s + change_s / 2,
        )
        return ""

    def _take_pattern(self, run: Measurement) -> None:
        run.is_measured = True
        self._world.mark(self._name)
        content = self._measure(
            self._world,
            run.powder,
            sample=run.sample,
            program=run.program,
            started_at=self._world.epoch + timedelta(seconds=run.starts_s),
        )
        name = f"{run.sample}.xrdml"
        written = self._previous if self.previous_file and self._previous else content
        if self.truncated_file:
            self._files.append((run.ends_s, name, written[: len(written) * 6 // 10]))
        if not self.truncated_file or self.late_file_s > 0:
            self._files.append((run.ends_s + self.late_file_s, name, written))
        self._previous = content

    def _location(self, text: str) -> int | None:
        magazine, _, number = text.partition(",")
        if magazine != "0" or not number.isdigit() or int(number) > len(self._slots):
            return None
        return int(number)

    def _sample_at(self, number: int) -> str:
        inside = self._measurement.sample if self._measurement is not None else ""
        if number == 0:
            return inside
        found = [sample for sample, place in self._samples.items() if place == number]
        return found[0] if found else ""

    def _is_occupied(self, number: int) -> bool:
        inside = self._samples[self._measurement.sample] if self._measurement else 0
        if number == 0:
            return inside > 0
        there = self._slots[number - 1] in self._world.holders and number != inside
        return there != (number in self.lying_locations)


class AerisLine(TcpLine):
    """The instrument's port and its result share.

    Attributes:
        aeris: The instrument; most faults are set there.
        options: What an address of this instrument needs besides its port.
    """

    def __init__(self, world: World, aeris: AerisUai, name: str) -> None:
        super().__init__(world, aeris, b"@END")
        self.aeris = aeris
        self.options: dict[str, str] = {}
        self._kept = world.folder / name if world.folder else None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    async def start(self) -> str:
        """Make the result share and listen; return ``host:port``."""
        if self._kept is None:
            self._folder = tempfile.TemporaryDirectory(prefix="aeris-share-")
            self.aeris.share = Path(self._folder.name)
        else:
            self._kept.mkdir(parents=True, exist_ok=True)
            self.aeris.share = self._kept.resolve()
        self.options = {"share": str(self.aeris.share)}
        return await super().start()

    async def stop(self) -> None:
        """Hang up, release the port, remove the share unless the world keeps files."""
        await super().stop()
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()


def line(
    world: World, lab: LabDefinition, names: Sequence[str], *, measure: Measure = diffraction
) -> AerisLine:
    """Make the diffractometer; one instrument a port."""
    (name,) = names
    slots = lab.slots(lab.place_at(name))
    aeris = AerisUai(world, name, slots, {lab.scan_program: SCAN_S}, measure)
    return AerisLine(world, aeris, name)
