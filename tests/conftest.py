"""What all tests share: no instrument unless asked for, and a small laboratory."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

from alab.clock import VirtualClock
from alab.lab import Capability, DeviceKind, LabDefinition, load_lab
from alab.laboratory import Laboratory
from alab.store.store import FILENAME, Store
from tests.fakes import Bench

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Tests change tables that computed lines depend on: never keep those for the user.
os.environ["ALAB_CACHE_DIR"] = tempfile.mkdtemp(prefix="alab-cache-")

SMALL_LAB = """\
name = "small"
crucibles = 20

[devices.doser]
kind = "a_doser"
address = "serial:///dev/ttyUSB0"

[devices.mixer]
kind = "a_mixer"
address = "serial:///dev/ttyUSB1"

[devices.arm]
kind = "an_arm"
address = "tcp://10.0.0.1:29999"

[devices.furnace]
kind = "a_furnace"
address = "serial:///dev/ttyUSB2?unit=1"
class = "box_1200"
max_temperature_c = 1100
max_ramp_c_per_min = 10
atmospheres = ["air", "O2"]
door = "door"
door_limit_c = 150

[devices.door]
kind = "a_door"
address = "tcp://10.0.0.2:8888?door=A"

[devices.xrd]
kind = "a_diffractometer"
address = "tcp://10.0.0.3:702"

[places.crucibles]
arms = ["arm"]

[places.pan]
device = "doser"
arms = ["arm"]

[places.cup]
device = "mixer"
arms = ["arm"]

[places.rack]
slots = 4
arms = ["arm"]

[places.chamber]
device = "furnace"
slots = 2
arms = ["arm"]

[places.holders]
device = "xrd"
slots = 2
arms = ["arm"]

[places.archive]
slots = 8
arms = ["arm"]

[precursors]
BaCO3 = { mass_g = 10, head = 1 }
TiO2 = { mass_g = 5, head = 2 }
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--hardware", action="store_true", help="run on real instruments")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--hardware"):
        return
    skip = pytest.mark.skip(reason="needs --hardware")
    for item in items:
        if "hardware" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def small_kinds() -> dict[str, DeviceKind]:
    """Device kinds of the small laboratory; nothing of them is at any maker's."""
    table = {
        "a_doser": (Capability.DOSER, ("serial",)),
        "a_mixer": (Capability.MIXER, ("serial",)),
        "an_arm": (Capability.ARM, ("tcp",)),
        "a_furnace": (Capability.FURNACE, ("serial", "opc.tcp")),
        "a_door": (Capability.DOOR, ("tcp",)),
        "a_diffractometer": (Capability.DIFFRACTOMETER, ("tcp",)),
    }
    return {
        kind: DeviceKind(kind=kind, capability=capability, schemes=schemes, title=kind)
        for kind, (capability, schemes) in table.items()
    }


@pytest.fixture
def lab_text() -> str:
    """A small laboratory's file, right in every line."""
    return SMALL_LAB


@pytest.fixture
def small_lab(
    lab_text: str, small_kinds: dict[str, DeviceKind], tmp_path: Path
) -> LabDefinition:
    """One device of each capability, a chamber for two, a rack for four."""
    path = tmp_path / "lab.toml"
    path.write_text(lab_text, encoding="utf-8")
    return load_lab(path, small_kinds)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty lab database to copy: migrating takes longer than most tests."""
    folder = tmp_path_factory.mktemp("migrated")
    Store.in_directory(folder).close()
    return folder / FILENAME


@pytest.fixture
def empty_store(tmp_path: Path, migrated: Path) -> Iterator[Store]:
    """An empty lab database on the disk."""
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copyfile(migrated, folder / FILENAME)
    opened = Store.in_directory(folder)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> VirtualClock:
    """Laboratory time that jumps; run the test's work with ``clock.run``."""
    return VirtualClock()


@pytest.fixture
def bench(clock: VirtualClock) -> Bench:
    """Devices that count what they did."""
    return Bench(clock)


@pytest.fixture
def small_laboratory(
    small_lab: LabDefinition,
    small_kinds: dict[str, DeviceKind],
    bench: Bench,
    empty_store: Store,
    clock: VirtualClock,
) -> Laboratory:
    """The small laboratory with every device ready."""
    laboratory = Laboratory(small_lab, small_kinds, bench.devices, empty_store, clock)
    for name in small_lab.devices:
        laboratory.gateway.states.declare(name, "ready", "looked at", by="test")
    return laboratory
