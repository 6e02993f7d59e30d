"""A simulated floor whose world is kept in a folder, to be killed and found again."""

import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from alab.lab import LabDefinition
from simulators.floor import _MODULES
from simulators.world.memory import Memory
from simulators.world.world import Head, World

BEGAN_AT = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
PROGRAM = {8330: 1, 8331: 1, 8336: 1, 8337: 900, 8338: 100, 8344: 3, 8346: 1200, 8352: 0}
"""10 °C/min to 900 °C, two hours there, off."""


class Floor:
    """All devices of a laboratory, without wires; the test moves the time by hand.

    ``now_s`` is the clock of this process, which begins at 0 like any other.
    """

    def __init__(
        self, lab: LabDefinition, path: Path, *, at: datetime = BEGAN_AT, seed: int = 3
    ) -> None:
        self.lab, self.path, self.now_s, self._began_at = lab, path, 0.0, at
        folder = path.with_suffix(".files")
        self.world = World(seed=seed, now_s=lambda: self.now_s, epoch=at, folder=folder)
        self.memory = Memory(path)
        self.memory.recall(self.world)
        self.memory.open(self.world)
        for formula, precursor in lab.precursors.items():
            self.world.heads.setdefault(
                precursor.head,
                Head(number=precursor.head, substance=formula, mass_mg=precursor.mass_g * 1000),
            )
        self.lines: dict[str, Any] = {}
        ports = {}
        for name, address in lab.addresses().items():
            ports.setdefault(address.port, []).append(name)
        for names in ports.values():
            module = import_module(_MODULES[lab.devices[names[0]].kind])
            line = module.line(self.world, lab, names)
            self.lines |= dict.fromkeys(names, line)
            if "xrd" in names:
                folder.mkdir(exist_ok=True)
                line.instrument.share = folder

    @property
    def at(self) -> datetime:
        return self._began_at + timedelta(seconds=self.now_s)

    def ask(self, name: str, *requests: str | bytes) -> bytes:
        """Put requests to an instrument, as its line does."""
        answers = b""
        for request in requests:
            text = request.encode() if isinstance(request, str) else request
            with self.world.present():
                instrument = self.lines[name].instrument
                answers += instrument.unasked() + instrument.answer(text)
        return answers

    def play(self, *program_names: str) -> None:
        for program in program_names:
            self.ask("arm", f"load {program}")
            assert self.ask("arm", "play") == b"Starting program\n", program
            for _ in range(7):
                self.wait(10.0)
            assert self.ask("arm", "running") == b"Program running: false\n", program

    def wait(self, duration_s: float) -> None:
        self.now_s += duration_s
        with self.world.present():
            pass

    def write(self, registers: Mapping[int, int]) -> None:
        for address, value in registers.items():
            with self.world.present():
                self.lines["furnace_a"].units[1].write(address, value)

    async def command(self, method: str, act: Callable[..., Any]) -> Any:
        return await self.lines["furnace_d"].command(method, act)

    def again(self, path: Path | None = None) -> "Floor":
        """What a new process finds after this one was killed."""
        if path is None:
            self.memory.abandon()
        else:
            shutil.copy(self.path, path)
        later = Floor(self.lab, path or self.path, at=self.at, seed=self.world.seed)
        later.wait(0.0)
        return later
