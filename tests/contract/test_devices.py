"""What every device promises, whatever it can do."""

import asyncio

import pytest

from alab.errors import DeviceUnreachable
from alab.protocols import Device, Door, Doser, Mixer, RobotArm
from drivers import transport

NAMES = ["doser", "mixer", "arm", "door_a", "door_b"]


@pytest.mark.parametrize(
    ("name", "capability"),
    [("doser", Doser), ("mixer", Mixer), ("arm", RobotArm), ("door_a", Door)],
)
async def test_drivers_have_their_capability(bench, name, capability) -> None:
    assert isinstance(bench.devices[name], capability)
    assert isinstance(bench.devices[name], Device)


@pytest.mark.parametrize("name", NAMES)
async def test_a_device_connects_says_what_it_is_and_is_safe_to_stop(bench, name) -> None:
    device = bench.devices[name]
    assert device.name == name
    assert len(await bench.run(device.connect())) > 5
    await bench.run(device.make_safe())
    await device.close()
    await device.close()


@pytest.mark.parametrize("bench", [NAMES], indirect=True)
@pytest.mark.parametrize("name", NAMES)
async def test_a_device_that_is_off_is_unreachable(bench, name, monkeypatch) -> None:
    monkeypatch.setattr("drivers.balances.quantos_dialogue.REPLY_TIMEOUT_S", 0.1)
    monkeypatch.setattr("drivers.mixers.hauschild_smartdac.REPLY_TIMEOUT_S", 0.1)
    with pytest.raises(DeviceUnreachable, match=f"^{name}: ") as caught:
        await bench.run(bench.devices[name].connect())
    assert caught.value.retryable


@pytest.mark.parametrize("name", NAMES)
async def test_a_frozen_device_is_unreachable_after_a_bounded_wait(
    bench, name, monkeypatch
) -> None:
    device = bench.devices[name]
    await bench.run(device.connect())
    for room in ("balances.quantos_dialogue", "mixers.hauschild_smartdac"):
        monkeypatch.setattr(f"drivers.{room}.REPLY_TIMEOUT_S", 0.1)
    monkeypatch.setattr("drivers.arms.ur_dashboard.REPLY_TIMEOUT_S", 0.1)
    monkeypatch.setattr("drivers.doors.arduino_door.REPLY_TIMEOUT_S", 0.1)
    bench.instrument(name).frozen = True
    with pytest.raises(DeviceUnreachable, match="within"):
        async with asyncio.timeout(2.0):
            await bench.run(device.connect())  # the line is open: only the reply is missing
    bench.instrument(name).frozen = False
    await bench.run(device.connect())


@pytest.mark.parametrize("name", NAMES)
async def test_an_unplugged_device_is_unreachable(bench, name, monkeypatch) -> None:
    device = bench.devices[name]
    await bench.run(device.connect())
    bench.floor.unplug(name)
    with pytest.raises(DeviceUnreachable, match=f"^{name}: "):
        async with asyncio.timeout(2.0):
            await bench.run(device.connect())


@pytest.mark.parametrize("name", NAMES)
async def test_garbage_is_an_error_and_the_line_recovers(bench, name, monkeypatch) -> None:
    device = bench.devices[name]
    await bench.run(device.connect())
    monkeypatch.setattr("drivers.balances.quantos_dialogue.REPLY_TIMEOUT_S", 0.1)
    bench.line(name).tamper = lambda request, answer: b"\x00\xff?\x03\n"
    if name != "arm":  # whose model may be any text
        with pytest.raises(Exception, match=f"^{name}: ") as caught:
            await bench.run(device.connect())
        assert caught.value.retryable  # type: ignore[attr-defined]
    bench.line(name).tamper = None
    await bench.run(device.connect())


def test_lost_replies_are_unreachable_devices() -> None:
    assert issubclass(transport.ReplyLost, DeviceUnreachable)
