"""Whole flows on a simulated floor: one Prefect server for all tests of a process."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from alab.lab import load_lab
from drivers.catalog import KINDS
from flows.server import PrefectServer, free_port
from tests.scenario.rig import Rig

SEED = 7
SMALL = """\
name = "scenario"
crucibles = 40
longest_wait_h = 3.0
scan_program = "alab_8min"

[devices.doser]
kind = "mettler_quantos"
address = "serial:///dev/ttyUSB0"

[devices.mixer]
kind = "hauschild_smartdac"
address = "serial:///dev/ttyUSB1"

[devices.arm_prep]
kind = "ur_dashboard"
address = "tcp://10.0.0.21:29999"

[devices.arm_fire]
kind = "ur_dashboard"
address = "tcp://10.0.0.22:29999"

[devices.furnace_a]
kind = "eurotherm_2416"
address = "serial:///dev/ttyUSB2?unit=1"
class = "box_1200"
max_temperature_c = 1150
door = "door_a"

[devices.furnace_b]
kind = "eurotherm_2416"
address = "serial:///dev/ttyUSB2?unit=2"
class = "box_1200"
max_temperature_c = 1150
door = "door_b"

[devices.door_a]
kind = "arduino_door"
address = "tcp://10.0.0.40:8888?door=A"

[devices.door_b]
kind = "arduino_door"
address = "tcp://10.0.0.40:8888?door=B"

[devices.xrd]
kind = "aeris_uai"
address = "tcp://10.0.0.50:702?share=/mnt/aeris"

[places.crucibles]
arms = ["arm_prep"]

[places.doser_pan]
device = "doser"
arms = ["arm_prep"]

[places.mixer_cup]
device = "mixer"
arms = ["arm_prep"]

[places.rack]
slots = 8
arms = ["arm_prep", "arm_fire"]

[places.chamber_a]
device = "furnace_a"
slots = 2
arms = ["arm_fire"]

[places.chamber_b]
device = "furnace_b"
slots = 2
arms = ["arm_fire"]

[places.xrd_holders]
device = "xrd"
slots = 4
arms = ["arm_fire"]

[places.archive]
slots = 40
arms = ["arm_fire"]

[precursors]
Li2CO3 = { mass_g = 50, head = 1 }
MgO = { mass_g = 50, head = 2 }
Mn2O3 = { mass_g = 50, head = 3 }
Fe2O3 = { mass_g = 50, head = 4 }
ZnO = { mass_g = 50, head = 5 }
"""

PREFECT_LEAVES_BEHIND = (
    "ignore:unclosed <socket:ResourceWarning",
    "ignore:unclosed transport:ResourceWarning",
    "ignore:Exception ignored in. <(socket|_Selector):pytest.PytestUnraisableExceptionWarning",
)
"""Prefect keeps its HTTP clients for as long as an event loop, and closes none of them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            for pattern in PREFECT_LEAVES_BEHIND:
                item.add_marker(pytest.mark.filterwarnings(pattern))


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """The Prefect server that the flows of this process report to."""
    server = PrefectServer(tmp_path_factory.mktemp("prefect"), free_port())
    server.start()
    try:
        from prefect.settings import PREFECT_API_URL, temporary_settings

        asyncio.run(server.ready())
        with temporary_settings({PREFECT_API_URL: f"{server.url}/api"}):
            yield server
    finally:
        server.stop()


@pytest.fixture
async def make_rig(
    prefect_server: PrefectServer, tmp_path: Path
) -> AsyncIterator[Callable[..., Rig]]:
    """Make laboratories that are not started yet: ``make_rig(text, seed=…, off=…)``."""
    async with AsyncExitStack() as ends:
        count = 0

        def make(
            text: str = SMALL, *, seed: int = SEED, off: frozenset[str] = frozenset()
        ) -> Rig:
            nonlocal count
            count += 1
            folder = tmp_path / f"rig-{count}"
            folder.mkdir()
            path = folder / "lab.toml"
            path.write_text(text, encoding="utf-8")
            rig = Rig(load_lab(path, KINDS), folder, seed=seed)
            rig.floor.start(off)
            ends.callback(rig.floor.stop)
            ends.push_async_callback(rig.stop)
            return rig

        yield make
    gc.collect()  # while what Prefect left behind is forgiven


@pytest.fixture
async def rig(make_rig: Callable[..., Rig]) -> Rig:
    """A small laboratory at work."""
    made = make_rig()
    await made.live()
    return made
