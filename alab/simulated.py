"""The simulated floor of a laboratory, and its memory between two starts."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alab.clock import Clock
from alab.lab import LabDefinition
from analysis.diffraction.library import default_cifs
from simulators.floor import SimulatedFloor
from simulators.world.world import World


@contextmanager
def floor_of(
    lab: LabDefinition,
    data_dir: Path,
    *,
    seed: int,
    clock: Clock,
    off: frozenset[str] = frozenset(),
) -> Iterator[LabDefinition]:
    """Start the simulators of a laboratory.

    Args:
        lab: The laboratory as its file says.
        data_dir: Where the world is remembered.
        seed: Seed of the world.
        clock: Laboratory time.
        off: Devices that are switched off.

    Yields:
        The laboratory at its simulated addresses.
    """
    del data_dir
    world = World(seed=seed, now_s=clock.monotonic_s, epoch=clock.now(), cifs=default_cifs())
    floor = SimulatedFloor(lab, seed=seed, clock=clock, world=world)
    try:
        yield lab.with_addresses(floor.start(off))
    finally:
        floor.stop()
