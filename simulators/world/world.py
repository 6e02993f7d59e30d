"""Where everything is in the simulated laboratory, and when.

The world knows crucibles, powders and places; the simulated devices move, heat and weigh
them. Devices are lazy: each registers an ``advance(now_s)`` that lets its physics catch up,
and every request on any wire first calls :meth:`World.advance`, so that all devices agree
on the present. Every random draw comes from :meth:`World.rng`, keyed by what it is for:
the order in which devices ask changes nothing.
"""

import hashlib
import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

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


@dataclass(slots=True)
class World:
    """All matter of one simulated laboratory.

    Args:
        seed: Every draw of this world follows from it.
        now_s: Laboratory time in seconds; readable from any thread.
        epoch: The stamp that ``now_s() == 0`` stands for, for dates in files.
        cifs: Structure file of each phase, by formula. Where there are any, only phases
            among them are formed: what the diffractometer cannot draw does not exist.

    Attributes:
        crucibles: Crucible in each occupied slot (``rack.7``, ``doser_pan``).
        gripped: Crucible in each arm's gripper.
        holders: Powder in each filled XRD holder, by slot.
        heads: Dosing heads by number.
        mounted: Number of the head on each doser.
        open_doors: Names of the door devices that are not fully closed.
        lock: Hold it while reading or changing matter; re-entrant.
    """

    seed: int
    now_s: Callable[[], float]
    epoch: datetime = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    cifs: Mapping[str, Path] = field(default_factory=dict)
    crucibles: dict[str, Crucible] = field(default_factory=dict)
    gripped: dict[str, Crucible] = field(default_factory=dict)
    holders: dict[str, Powder] = field(default_factory=dict)
    heads: dict[int, Head] = field(default_factory=dict)
    mounted: dict[str, int] = field(default_factory=dict)
    open_doors: set[str] = field(default_factory=set)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _advances: list[Callable[[float], None]] = field(default_factory=list)
    _serial: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
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

    def on_advance(self, advance: Callable[[float], None]) -> None:
        """Register a device's physics; called with the present time in seconds."""
        self._advances.append(advance)

    def advance(self) -> float:
        """Let every device catch up with the present, and return it in seconds."""
        with self.lock:
            now_s = self.now_s()
            for advance in self._advances:
                advance(now_s)
            return now_s

    def new_crucible(self) -> Crucible:
        """Take an empty crucible out of the dispenser."""
        name = f"C{next(self._serial):04d}"
        scatter_mg = self.rng("crucible", name).normal(0.0, 40.0)
        return Crucible(
            name=name,
            mass_mg=CRUCIBLE_MASS_MG + scatter_mg,
            powder=Powder(self.nature, name),
        )
