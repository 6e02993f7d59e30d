"""Every device kind that has a driver, and how a lab file becomes drivers.

The table is plain data so that checking a lab file imports no wire code; a driver's
module is imported when a device of its kind is built. Each module offers
``make(name, definition, lines, clock) -> Device``.
"""

from importlib import import_module

from alab.clock import Clock
from alab.lab import Capability, DeviceKind, LabDefinition
from alab.protocols import Device
from drivers.transport import Lines

_TABLE = (
    # kind, room, capability, address schemes, title
    ("mettler_quantos", "balances", Capability.DOSER, ("serial",), "Mettler Toledo Quantos"),
    ("hauschild_smartdac", "mixers", Capability.MIXER, ("serial",), "Hauschild SmartDAC"),
    ("ur_dashboard", "arms", Capability.ARM, ("tcp",), "Universal Robots, Dashboard"),
    ("arduino_door", "doors", Capability.DOOR, ("tcp",), "Arduino furnace doors"),
    ("lads_cover", "doors", Capability.DOOR, ("opc.tcp",), "OPC UA LADS cover function"),
    ("eurotherm_2416", "furnaces", Capability.FURNACE, ("serial",), "Eurotherm 2416"),
    ("lads_furnace", "furnaces", Capability.FURNACE, ("opc.tcp",), "OPC UA LADS furnace"),
    ("aeris_uai", "diffractometers", Capability.DIFFRACTOMETER, ("tcp",), "Malvern Aeris"),
)

KINDS: dict[str, DeviceKind] = {
    kind: DeviceKind(kind=kind, capability=capability, schemes=schemes, title=title)
    for kind, _, capability, schemes, title in _TABLE
}

_MODULES = {kind: f"drivers.{room}.{kind}" for kind, room, *_ in _TABLE}


def build(lab: LabDefinition, clock: Clock) -> dict[str, Device]:
    """Make the driver of every device in a lab definition; opens no line yet.

    Devices on one port (units of a Modbus line, doors of one board) share it.
    """
    lines = Lines()
    return {
        name: import_module(_MODULES[definition.kind]).make(name, definition, lines, clock)
        for name, definition in lab.devices.items()
    }
