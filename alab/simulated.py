"""The simulated floor of a laboratory, and its memory between two starts."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from alab.clock import Clock
from alab.lab import LabDefinition
from analysis.diffraction.library import default_cifs
from simulators.floor import SimulatedFloor
from simulators.world.memory import Memory
from simulators.world.world import World

FILENAME = "simulated-world.journal"
FILES = "simulated-files"
"""Folder of what simulated instruments write, such as patterns."""


@contextmanager
def floor_of(
    lab: LabDefinition,
    data_dir: Path,
    *,
    seed: int,
    clock: Clock,
    off: frozenset[str] = frozenset(),
    remember: bool = True,
) -> Iterator[LabDefinition]:
    """Start the simulators of a laboratory.

    Args:
        lab: The laboratory as its file says.
        data_dir: Where the world is remembered.
        seed: Seed of the world.
        clock: Laboratory time.
        off: Devices that are switched off.
        remember: Whether the world is to be found again as it was left; a measurement of
            speed may do without.

    Yields:
        The laboratory at its simulated addresses.

    Raises:
        StoreError: If the world of this directory cannot be read, or not be written.
    """
    world = World(
        seed=seed,
        now_s=clock.monotonic_s,
        epoch=clock.now() - timedelta(seconds=clock.monotonic_s()),
        cifs=default_cifs(),
        folder=data_dir / FILES if remember else None,
    )
    memory = Memory(data_dir / FILENAME)
    if remember:
        memory.recall(world)
        memory.open(world)
    floor = SimulatedFloor(lab, seed=seed, clock=clock, world=world)
    try:
        yield lab.with_addresses(floor.start(off))
    finally:
        try:
            floor.stop()
        finally:
            memory.close(world)
