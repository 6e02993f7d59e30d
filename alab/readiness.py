"""Giving a device work again: people say so, and the device is asked whether it could."""

from alab.errors import CommandRejected, DeviceFault, InterlockError
from alab.interlocks import overheated
from alab.laboratory import Laboratory
from alab.protocols import Furnace, RobotArm


async def make_ready(laboratory: Laboratory, name: str, note: str, *, by: str) -> None:
    """Declare a device ready, unless the device itself says that it is not.

    It is only asked: a paused arm is not stopped from here, as it would start its next
    program from wherever it stands.

    Raises:
        DeviceUnreachable: If it does not answer.
        InterlockError: If it is not fit, in its own words.
    """
    try:
        identity = await _ask(laboratory, name)
    except (CommandRejected, DeviceFault) as error:
        address = laboratory.lab.devices[name].address
        words = str(error).removeprefix(f"{name}: ")
        raise InterlockError(name, f"is not ready at {address}: {words}") from error
    states = laboratory.gateway.states
    states.answers(name, identity)
    states.declare(name, "ready", note, by=by)
    laboratory.changed.set()


async def _ask(laboratory: Laboratory, name: str) -> str:
    """Ask a device who it is, and whether it could work now."""
    device = laboratory.gateway.device(name)
    identity = await device.connect()
    if isinstance(device, RobotArm):
        await device.check_fit()
    if isinstance(device, Furnace):
        reading = await laboratory.gateway.furnaces.read(name)
        if reason := overheated(name, reading, laboratory.lab):
            raise DeviceFault(name, reason)
    return identity
