"""All devices of a laboratory at once."""

import asyncio
import socket
import threading
from pathlib import Path

import pytest

from alab.clock import RealClock, VirtualClock
from alab.lab import Address, LabDefinition
from alab.programs import mount_head
from drivers.catalog import build
from simulators import floor as floor_module
from simulators.floor import SimulatedFloor
from simulators.world.world import Head, World

OWN_KINDS = {"mettler_quantos", "hauschild_smartdac", "ur_dashboard", "arduino_door"}


@pytest.fixture
def lab(stage) -> LabDefinition:
    devices = {n: d for n, d in stage.lab.devices.items() if d.kind in OWN_KINDS}
    places = {
        n: p for n, p in stage.lab.places.items() if p.device is None or p.device in devices
    }
    return stage.lab.model_copy(update={"devices": devices, "places": places})


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_every_device_moves_to_a_port_of_its_own_line(lab) -> None:
    with SimulatedFloor(lab, seed=1, clock=VirtualClock()) as floor:
        after = {name: Address.parse(text) for name, text in floor.addresses.items()}
    before = lab.addresses()
    assert after.keys() == before.keys()
    for name in before:
        assert after[name].scheme == before[name].scheme
        assert after[name].options == before[name].options
        assert after[name].port != before[name].port
    assert after["door_a"].port == after["door_b"].port
    assert len({address.port for address in after.values()}) == len(after) - 1


def test_the_floor_leaves_no_thread_and_no_file_behind(lab) -> None:
    threads, files = threading.active_count(), open_files()
    for _ in range(3):
        floor = SimulatedFloor(lab, seed=1, clock=VirtualClock())
        floor.start()
        assert threading.active_count() == threads + 1
        floor.stop()
        floor.stop()
    assert threading.active_count() == threads
    assert open_files() == files


def test_a_floor_that_cannot_start_cleans_up(lab, monkeypatch) -> None:
    threads, files = threading.active_count(), open_files()
    monkeypatch.setitem(floor_module._MODULES, "arduino_door", "simulators.nothing")
    floor = SimulatedFloor(lab, seed=1, clock=VirtualClock())
    with pytest.raises(ModuleNotFoundError):
        floor.start()
    assert threading.active_count() == threads
    assert open_files() == files


def test_heads_are_filled_from_the_shelf_once(lab) -> None:
    world = World(seed=1, now_s=lambda: 0.0)
    world.heads[2] = Head(number=2, substance="TiO2", mass_mg=7.0)
    with SimulatedFloor(lab, seed=1, clock=VirtualClock(), world=world):
        assert world.heads[1] == Head(number=1, substance="BaCO3", mass_mg=10_000.0)
        assert world.heads[2].mass_mg == 7.0


async def test_a_device_that_is_off_leaves_its_neighbours_on_the_line(lab) -> None:
    clock = VirtualClock()
    floor = SimulatedFloor(lab, seed=1, clock=clock)
    addresses = floor.start(off={"door_b"})
    assert Address.parse(addresses["door_a"]).port != Address.parse(addresses["door_b"]).port
    door = build(floor.lab, clock)["door_a"]
    await clock.run(door.connect())
    await door.close()
    floor.stop()


async def test_a_busy_laboratory_does_not_starve_the_instruments(lab) -> None:
    clock = VirtualClock()
    with SimulatedFloor(lab, seed=1, clock=clock) as floor:
        host, port = Address.parse(floor.addresses["arm"]).port.split(":")

        def ask() -> bytes:
            with socket.create_connection((host, int(port)), timeout=2.0) as connection:
                stream = connection.makefile("rwb")
                stream.readline()
                stream.write(b"robotmode\n")
                stream.flush()
                return stream.readline()

        assert ask() == b"Robotmode: RUNNING\n"  # this thread's event loop stands still


async def test_a_real_clock_sees_the_end_of_an_act(lab) -> None:
    clock = RealClock(speed=200.0)
    with SimulatedFloor(lab, seed=1, clock=clock) as floor:
        devices = build(floor.lab, clock)
        arm, doser = devices["arm"], devices["doser"]
        async with asyncio.timeout(10.0):
            await arm.start_program(mount_head(1))
            await arm.finish_program(mount_head(1))
            floor.world.crucibles["doser_pan"] = crucible = floor.world.new_crucible()
            await doser.start_dose(mass_mg=20.0, tolerance_percent=5.0)
            await doser.finish_dose()
        assert crucible.powder.mass_mg == pytest.approx(20.0, abs=3.0)
        for device in devices.values():
            await device.close()
