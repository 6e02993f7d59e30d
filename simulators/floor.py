"""The simulated floor: every device of a lab definition, answering on a real wire.

All instruments live in one background thread with an event loop of its own, so that a
busy laboratory never makes them late.
"""

import asyncio
import threading
from collections.abc import Coroutine, Set as AbstractSet
from importlib import import_module
from typing import Any, Self

from alab.clock import Clock
from alab.lab import Address, LabDefinition
from simulators.wire import DeadSerialLine, DeadTcpLine, LineWithOptions, SimulatedLine
from simulators.world.world import Head, World

_MODULES = {
    "mettler_quantos": "simulators.balances.mettler_quantos",
    "hauschild_smartdac": "simulators.mixers.hauschild_smartdac",
    "ur_dashboard": "simulators.arms.ur_dashboard",
    "arduino_door": "simulators.doors.arduino_door",
    "lads_cover": "simulators.furnaces.lads_furnace",
    "eurotherm_2416": "simulators.furnaces.eurotherm_2416",
    "lads_furnace": "simulators.furnaces.lads_furnace",
    "aeris_uai": "simulators.diffractometers.aeris_uai",
}

STOP_TIMEOUT_S = 10.0


class SimulatedFloor:
    """Simulators for all devices of a laboratory.

    Args:
        lab: The laboratory; its addresses say which devices share a line.
        seed: Every draw follows from it; used where no world is given.
        clock: Laboratory time; used where no world is given.
        world: The matter on the floor; a new one, unless given.

    Attributes:
        addresses: New address of every device, once started.
        lines: Started lines by the port of the lab definition, for faults and tests.
    """

    def __init__(
        self, lab: LabDefinition, *, seed: int, clock: Clock, world: World | None = None
    ) -> None:
        self.world = world or World(seed=seed, now_s=clock.monotonic_s, epoch=clock.now())
        self.addresses: dict[str, str] = {}
        self.lines: dict[str, SimulatedLine] = {}
        self._lab = lab
        self._all_lines: list[SimulatedLine] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def lab(self) -> LabDefinition:
        """The laboratory at its simulated addresses."""
        return self._lab.with_addresses(self.addresses)

    def start(self, off: AbstractSet[str] = frozenset()) -> dict[str, str]:
        """Make every device answer, except those in ``off``, whose ports are dead.

        Returns:
            The new address of every device: as before, at another port.
        """
        self._fill_heads()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="simulated floor", daemon=True
        )
        self._thread.start()
        try:
            self.addresses = self._in_thread(self._start_lines(off))
        except BaseException:
            self.stop()
            raise
        return self.addresses

    def stop(self) -> None:
        """Silence every device and release ports and thread; may be called twice."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        try:
            self._in_thread(self._stop_lines(), timeout_s=STOP_TIMEOUT_S)
        finally:
            self._loop = self._thread = None
            loop.call_soon_threadsafe(loop.stop)
            thread.join(STOP_TIMEOUT_S)
            loop.close()

    def unplug(self, device: str) -> None:
        """Pull the cable of a device, and of all that share its line."""
        port = self._lab.addresses()[device].port
        self._in_thread(self.lines[port].stop())

    def __enter__(self) -> Self:
        """Start every device."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop every device."""
        self.stop()

    def _fill_heads(self) -> None:
        for formula, precursor in self._lab.precursors.items():
            self.world.heads.setdefault(
                precursor.head,
                Head(number=precursor.head, substance=formula, mass_mg=precursor.mass_g * 1000),
            )

    def _in_thread(
        self, work: Coroutine[Any, Any, Any], *, timeout_s: float | None = None
    ) -> Any:
        if self._loop is None:
            work.close()
            raise RuntimeError("the simulated floor is not started; call start() first")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    async def _start_lines(self, off: AbstractSet[str]) -> dict[str, str]:
        before = self._lab.addresses()
        after: dict[str, Address] = {}
        for port, names in self._sharing(off).items():
            kind = self._lab.devices[names[0]].kind
            line: SimulatedLine = import_module(_MODULES[kind]).line(
                self.world, self._lab, names
            )
            self.lines[port] = line
            self._all_lines.append(line)
            new_port = await line.start()
            options = dict(line.options) if isinstance(line, LineWithOptions) else {}
            after |= {name: _moved(before[name], new_port, options) for name in names}
        for name in sorted(off & before.keys()):
            dead = DeadSerialLine() if before[name].scheme == "serial" else DeadTcpLine()
            self._all_lines.append(dead)
            after[name] = _moved(before[name], await dead.start(), {})
        return {name: str(after[name]) for name in before}

    def _sharing(self, off: AbstractSet[str]) -> dict[str, list[str]]:
        """Names of the devices that are on, by the port they share."""
        sharing: dict[str, list[str]] = {}
        for name, address in self._lab.addresses().items():
            if name not in off:
                sharing.setdefault(address.port, []).append(name)
        return sharing

    async def _stop_lines(self) -> None:
        stops = [line.stop() for line in self._all_lines]
        self._all_lines.clear()
        self.lines.clear()
        failures = await asyncio.gather(*stops, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_asyncgens()
        await asyncio.get_running_loop().shutdown_default_executor()
        for failure in failures:
            if failure is not None:
                raise failure


def _moved(address: Address, port: str, options: dict[str, str]) -> Address:
    return Address(
        scheme=address.scheme,
        port=port,
        options=tuple(sorted((dict(address.options) | options).items())),
    )
