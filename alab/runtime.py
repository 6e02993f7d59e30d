"""Composition root: a data directory becomes a running laboratory.

This is where a lab file, drivers, simulators, the store, the clock and the flows meet.
Real and simulated laboratories start from the same lab file; simulation replaces the
addresses by those of the simulated floor, and the clock by one that jumps.
"""

import asyncio
import fcntl
import logging
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import IO, Any

from sqlalchemy import select

from alab.clock import Clock, RealClock, VirtualClock, on_clock, take_down
from alab.duties import kept_up
from alab.errors import BadInput, StoreError
from alab.lab import Capability, LabDefinition, load_lab
from alab.laboratory import Laboratory, remember_time, remembered_time
from alab.store.records import read_setting, write_setting
from alab.store.store import Store
from alab.store.tables import CampaignRow
from drivers.catalog import KINDS, build

EXAMPLE_LAB = files("alab").joinpath("data/lab.toml")
DEFAULT_SEED = 7
WATCH_PERIOD_S = 10.0
SIMULATED_WATCH_PERIOD_S = 120.0
KEEP_EVERY_S = 5.0
TRIES = 3
"""How often in a row a campaign may die; each of its targets has been tried more often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """How to simulate.

    Attributes:
        seed: Every draw of the simulated world follows from it.
        speed: Laboratory seconds per second; None jumps from event to event.
        off: Devices that are switched off.
    """

    seed: int = DEFAULT_SEED
    speed: float | None = None
    off: frozenset[str] = frozenset()


class Runtime:
    """A running laboratory with its campaigns.

    Attributes:
        laboratory: The laboratory.
        offline: Why, for each device that did not answer at the start.
    """

    def __init__(self, laboratory: Laboratory, offline: Mapping[str, str]) -> None:
        self.laboratory = laboratory
        self.offline = offline
        self._campaigns: dict[str, asyncio.Task[Any]] = {}
        self._duties: list[asyncio.Task[Any]] = []

    async def start_campaign(
        self, name: str, targets: Mapping[str, int], max_attempts: int
    ) -> None:
        """Write a campaign down and start its flow."""
        self.laboratory.start_campaign(name, targets, max_attempts=max_attempts)
        self._run(name)

    async def finished(self, campaign: str) -> None:
        """Wait until a campaign's flow has ended; raises what ended it early."""
        await asyncio.shield(self._campaigns[campaign])

    def begin(self) -> None:
        """Start watching the furnaces, filling them, and every unfinished campaign."""
        from flows.context import set_laboratory
        from flows.firing import dispatch

        laboratory = self.laboratory
        set_laboratory(laboratory)
        watch = laboratory.gateway.furnaces.watch
        for furnace in laboratory.named(Capability.FURNACE):
            name = f"watch {furnace}"
            look = partial(watch, furnace, laboratory.watch_period_s)
            work = kept_up(laboratory, name, look)
            self._duties.append(laboratory.clock.spawn(work, name=name))
        self._duties.append(laboratory.clock.spawn(dispatch(laboratory), name="dispatch"))
        keep = kept_up(laboratory, "keep", partial(_keep, laboratory), sleep=asyncio.sleep)
        self._duties.append(asyncio.create_task(keep, name="keep"))
        with laboratory.store.begin() as session:
            unfinished = session.scalars(
                select(CampaignRow.name).where(CampaignRow.status.in_(("running", "stopping")))
            ).all()
        for name in unfinished:
            self._run(name)

    async def end(self) -> None:
        """Stop all flows where they are; the store knows how to go on."""
        # Prefect reports every flow that is stopped as crashed; here that is intended
        logging.getLogger("prefect").setLevel(logging.CRITICAL)
        await take_down([*self._campaigns.values(), *self._duties])

    def _run(self, name: str) -> None:
        from flows.campaign import run_campaign

        called = f"campaign {name}"
        work = kept_up(self.laboratory, called, partial(run_campaign, name), tries=TRIES)
        self._campaigns[name] = self.laboratory.clock.spawn(work, name=called)


@asynccontextmanager
async def running(
    data_dir: Path,
    lab_file: Path | None = None,
    *,
    simulation: Simulation | None = None,
    database_url: str = "",
) -> AsyncIterator[Runtime]:
    """Run the laboratory of a data directory; needs a Prefect server to be configured.

    Args:
        data_dir: Where its state lies; made if it is missing.
        lab_file: Its definition; the example laboratory if there is none.
        simulation: How to simulate; None connects to the real devices.
        database_url: Lab database, where it is not the data directory's own.

    Raises:
        LabFileError: If the lab file is wrong.
        StoreError: If the data directory is in use, or of a newer version.
        BadInput: If a simulated data directory is opened as real, or the other way round.
    """
    lab = read_lab(lab_file)
    with _alone_in(data_dir):
        store = Store(database_url) if database_url else Store.in_directory(data_dir)
        try:
            _check_kind(store, data_dir, simulated=simulation is not None)
            clock = _clock(store, simulation)
            async with _floor(lab, data_dir, store, clock, simulation) as wired:
                laboratory = Laboratory(
                    wired,
                    KINDS,
                    build(wired, clock),
                    store,
                    clock,
                    watch_period_s=SIMULATED_WATCH_PERIOD_S if simulation else WATCH_PERIOD_S,
                    data_dir=data_dir,
                )
                async with _at_work(laboratory) as runtime:
                    yield runtime
        finally:
            store.close()


def read_lab(lab_file: Path | None) -> LabDefinition:
    """Read a lab file, or the example laboratory where none is given."""
    return load_lab(lab_file or Path(str(EXAMPLE_LAB)), KINDS)


@asynccontextmanager
async def _at_work(laboratory: Laboratory) -> AsyncIterator[Runtime]:
    offline = await on_clock(laboratory.clock, laboratory.gateway.connect())
    runtime = Runtime(laboratory, offline)
    try:
        runtime.begin()
        yield runtime
    finally:
        await runtime.end()
        remember_time(laboratory.store, laboratory.clock)
        await laboratory.gateway.close()


async def _keep(laboratory: Laboratory) -> None:
    """Remember the time, and try silent devices again; in wall time, as both concern us."""
    while True:
        await asyncio.sleep(KEEP_EVERY_S)
        remember_time(laboratory.store, laboratory.clock)
        if laboratory.gateway.states.silent:
            await on_clock(laboratory.clock, laboratory.gateway.reconnect())


def _clock(store: Store, simulation: Simulation | None) -> Clock:
    if simulation is None:
        return RealClock()
    start = remembered_time(store)
    if simulation.speed is not None:
        return RealClock(speed=simulation.speed, start=start)
    return VirtualClock(start=start)


@asynccontextmanager
async def _floor(
    lab: LabDefinition,
    data_dir: Path,
    store: Store,
    clock: Clock,
    simulation: Simulation | None,
) -> AsyncIterator[LabDefinition]:
    """The lab at the addresses to use: its own, or those of a simulated floor."""
    if simulation is None:
        yield lab
        return
    from alab.simulated import floor_of

    seed = _seed(store, simulation.seed)
    with floor_of(lab, data_dir, seed=seed, clock=clock, off=simulation.off) as wired:
        yield wired


def _seed(store: Store, wanted: int) -> int:
    """The seed of a simulated world is fixed when its data directory is made."""
    with store.begin() as session:
        kept = read_setting(session, "seed")
        if kept is None:
            write_setting(session, "seed", str(wanted))
    return wanted if kept is None else int(kept)


def _check_kind(store: Store, data_dir: Path, *, simulated: bool) -> None:
    word = "simulated" if simulated else "real"
    with store.begin() as session:
        kept = read_setting(session, "kind")
        if kept is None:
            write_setting(session, "kind", word)
    if kept not in (None, word):
        raise BadInput(
            f"{data_dir} belongs to a {kept} laboratory and must not be used for a {word} one; "
            "choose another with --data-dir"
        )


@contextmanager
def _alone_in(data_dir: Path) -> Iterator[None]:
    """Hold the data directory: one process owns the devices."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock: IO[str] = (data_dir / "lab.lock").open("a+")
    except OSError as error:
        raise StoreError(
            f"cannot use the data directory {data_dir}: {error.strerror}; "
            "choose another with --data-dir"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise StoreError(
                f"a laboratory runs on {data_dir} already (process {lock.read().strip()}); "
                "use it, or choose another --data-dir"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
