"""Where everything is in the simulated laboratory, and when.

The world knows crucibles, powders and places; the simulated devices move, heat and weigh
them. Devices are lazy: each registers an ``advance(now_s)`` that lets its physics catch up,
and every request on any wire first calls :meth:`World.advance`, so that all devices agree
on the present. Every random draw comes from :meth:`World.rng`, keyed by what it is for:
the order in which devices ask changes nothing.

What must outlive the process is *marked* by the name of the slot or device where it
changed, and kept by :mod:`simulators.world.memory` before anybody is told of it.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from simulators.world.matter import Powder
from simulators.world.nature import Nature, nature_of

CRUCIBLE_MASS_MG = 11_500.0
"""Mean mass of an empty alumina crucible."""


@dataclass(slots=True, kw_only=True)
class Crucible:
    """A crucible and what is in it.

    Attributes:
        name: Serial number, ``C0001`` on.
        mass_mg: Mass of the empty crucible.
        powder: Contents; an empty powder if there are none.
    """

    name: str
    mass_mg: float
    powder: Powder

    @property
    def gross_mass_mg(self) -> float:
        """Crucible and contents."""
        return self.mass_mg + self.powder.mass_mg


@dataclass(slots=True, kw_only=True)
class Head:
    """A dosing head.

    Attributes:
        number: Place of the head in its rack, from 1.
        substance: Formula on its label.
        mass_mg: Powder left in it.
    """

    number: int
    substance: str
    mass_mg: float


class Device(Protocol):
    """A simulated device with a state that outlives the process."""

    def advance(self, now_s: float) -> object:
        """Let its physics catch up with ``now_s``."""
        ...

    def memory(self) -> dict[str, Any]:
        """Its state; see :class:`simulators.world.remembered.Remembered`."""
        ...

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Go on from a state."""
        ...


class Keeper(Protocol):
    """Writes down what has changed in a world."""

    def keep(self, world: "World", names: Mapping[str | int, None]) -> None:
        """Write down what stands and works at ``names``, and the present."""
        ...


@dataclass(slots=True)
class World:
    """All matter of one simulated laboratory.

    Args:
        seed: Every draw of this world follows from it.
        now_s: Laboratory time in seconds; readable from any thread.
        epoch: The stamp that ``now_s() == 0`` stands for, for dates in files.
        cifs: Structure file of each phase, by formula. Where there are any, only phases
            among them are formed: what the diffractometer cannot draw does not exist.
        folder: Where instruments keep the files they write; temporary ones if None.

    Attributes:
        crucibles: Crucible in each occupied slot (``rack.7``, ``doser_pan``).
        gripped: Crucible in each arm's gripper.
        holders: Powder in each filled XRD holder, by slot.
        heads: Dosing heads by number.
        mounted: Number of the head on each doser.
        open_doors: Names of the door devices that are not fully closed.
        crucibles_made: How many crucibles have left the dispenser.
        devices: Every device that has registered, by name.
        recalled: States of devices that have not registered since they were recalled.
        keeper: Who writes changes down; None where nothing is to be remembered.
        lock: Hold it while reading or changing matter; re-entrant.
    """

    seed: int
    now_s: Callable[[], float]
    epoch: datetime = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    cifs: Mapping[str, Path] = field(default_factory=dict)
    folder: Path | None = None
    crucibles: dict[str, Crucible] = field(default_factory=dict)
    gripped: dict[str, Crucible] = field(default_factory=dict)
    holders: dict[str, Powder] = field(default_factory=dict)
    heads: dict[int, Head] = field(default_factory=dict)
    mounted: dict[str, int] = field(default_factory=dict)
    open_doors: set[str] = field(default_factory=set)
    crucibles_made: int = 0
    devices: dict[str, Device] = field(default_factory=dict)
    recalled: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    keeper: Keeper | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)
    _advances: list[Callable[[float], object]] = field(default_factory=list)
    _marks: dict[str | int, None] = field(default_factory=dict)
    _together: dict[str, dict[str, None]] = field(default_factory=dict)
    _nature: Nature | None = None

    @property
    def nature(self) -> Nature:
        """The hidden chemistry, drawn from the seed when first asked for."""
        if self._nature is None:
            self._nature = nature_of(self.rng, self.cifs)
        return self._nature

    def rng(self, *key: str | int) -> np.random.Generator:
        """A fresh generator for one purpose: the same key gives the same draws."""
        text = "/".join(str(part) for part in (self.seed, *key))
        digest = hashlib.sha256(text.encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "little"))

    def on_advance(self, advance: Callable[[float], object]) -> None:
        """Register physics that keep no state; called with the present time in seconds."""
        self._advances.append(advance)

    def register(self, name: str, device: Device, *reach: str) -> None:
        """Add a device; it goes on from the state it was recalled with, if there is one.

        Args:
            name: Name of the device, or of its only slot.
            device: The device.
            reach: Slots and doors it acts on as time passes. A change of any of them is
                kept together with the device: what a furnace did to its crucibles until
                then follows from neither alone.
        """
        if name in self.recalled:
            device.recall(self.recalled.pop(name))
        self.devices[name] = device
        group = dict.fromkeys((name, *reach))
        for member in group:
            self._together.setdefault(member, {}).update(group)
        self.on_advance(device.advance)
        self.mark(name)

    def mark(self, *names: str | int) -> None:
        """Note where something changed that does not follow from the state kept before.

        Args:
            names: Slots, arms and devices; numbers are dosing heads.
        """
        self._marks.update(dict.fromkeys(names))

    def advance(self) -> float:
        """Let every device catch up with the present, and return it in seconds."""
        with self.lock:
            now_s = self.now_s()
            for advance in self._advances:
                advance(now_s)
            return now_s

    @contextmanager
    def present(self) -> Iterator[float]:
        """Hold the present, everything caught up; on leaving, what changed is kept.

        Whoever answers on a wire answers after this, so that nobody is ever told what the
        world could forget.
        """
        with self.lock:
            yield self.advance()
            self.keep()

    def keep(self) -> None:
        """Write down what changed since the last time."""
        with self.lock:
            if self.keeper is None:
                self._marks.clear()
                return
            names = dict(self._marks)
            for mark in self._marks:
                if isinstance(mark, str):
                    names.update(self._together.get(mark, {}))
            heads = [self.mounted[name] for name in names if name in self.mounted]
            names.update(dict.fromkeys(heads))
            self.keeper.keep(self, names)
            self._marks.clear()

    def new_crucible(self) -> Crucible:
        """Take an empty crucible out of the dispenser."""
        self.crucibles_made += 1
        name = f"C{self.crucibles_made:04d}"
        scatter_mg = self.rng("crucible", name).normal(0.0, 40.0)
        return Crucible(
            name=name,
            mass_mg=CRUCIBLE_MASS_MG + scatter_mg,
            powder=Powder(self.nature, name),
        )
