"""The hot part of a box furnace: heater, thermocouple, limiter, crucibles, door.

The controllers (Eurotherm, LADS) sit in front of it and differ; the chamber is the same.
"""

from alab.lab import FURNACE_CLASSES_C, LabDefinition
from alab.models import Atmosphere
from simulators.world.matter import COLD_C
from simulators.world.remembered import Remembered
from simulators.world.thermals import FurnaceThermals
from simulators.world.world import World

LIMITER_MARGIN_C = 20.0
"""The limiter is set this far above the class of the furnace."""

FULL_POWER_SETPOINT_C = 5000.0
"""A setpoint no furnace reaches: what a relay that is stuck on amounts to."""

OPEN_CIRCUIT_C = 1372.0
"""An open thermocouple reads the top of its range (type K)."""

ROOM_WARM_C = 30.0


class Chamber(Remembered):
    """One furnace chamber of the world.

    Attributes:
        atmosphere: Gas that flows.
        sensor_break: Fault: the control thermocouple is open.
        ssr_stuck_on: Fault: the solid-state relay conducts whatever the controller says.
        limiter_tripped: The independent over-temperature limiter has opened the contactor.
            A latch: no software clears it, only :meth:`reset_limiter` by hand.
        limiter_c: Temperature that trips it.
        reach: Slots that it heats, and its door.
    """

    remembered = (
        "atmosphere",
        "sensor_break",
        "ssr_stuck_on",
        "limiter_tripped",
        "_thermals",
    )

    def __init__(self, world: World, lab: LabDefinition, name: str) -> None:
        device = lab.devices[name]
        self._world = world
        self._name = name
        self._slots = lab.slots(lab.place_at(name))
        self._door = device.door
        self.reach = (*self._slots, *((device.door,) if device.door else ()))
        class_c = FURNACE_CLASSES_C.get(device.furnace_class or "", 1200.0)
        self._thermals = FurnaceThermals(world.rng(name, "thermals"), class_c)
        self.limiter_c = class_c + LIMITER_MARGIN_C
        self.atmosphere = Atmosphere.AIR
        self.sensor_break = False
        self.ssr_stuck_on = False
        self.limiter_tripped = False

    @property
    def temperature_c(self) -> float:
        """True temperature of the crucibles."""
        return self._thermals.temperature_c

    @property
    def measured_c(self) -> float:
        """What the control thermocouple says."""
        return OPEN_CIRCUIT_C if self.sensor_break else self._thermals.measured_c

    @property
    def output_percent(self) -> float:
        """Heater power that really flows."""
        return self._thermals.output_percent

    @property
    def is_door_open(self) -> bool:
        """Whether the door is anywhere but closed."""
        return self._door is not None and self._door in self._world.open_doors

    @property
    def is_cold(self) -> bool:
        """Whether nothing is left to cool."""
        return self.temperature_c < ROOM_WARM_C and not self.ssr_stuck_on

    def mark(self) -> None:
        """Note that something changed at the panel or by command."""
        self._world.mark(self._name)

    def reset_limiter(self) -> None:
        """A person presses the reset button of the limiter, if the furnace has cooled."""
        if self.temperature_c < self.limiter_c:
            self.limiter_tripped = False
            self.mark()

    def advance(self, duration_s: float, setpoint_c: float | None) -> None:
        """Heat, cool, and expose what stands in the chamber.

        Args:
            duration_s: A whole number of steps of the programmer.
            setpoint_c: Working setpoint; None where the controller gives no output.
        """
        demand_c = None if self.sensor_break else setpoint_c
        if self.ssr_stuck_on:
            demand_c = FULL_POWER_SETPOINT_C
        if self.limiter_tripped:
            demand_c = None
        self._thermals.advance(duration_s, demand_c, self.is_door_open)
        if self.temperature_c > self.limiter_c:
            self.limiter_tripped = True
        if self.temperature_c < COLD_C:
            return
        for slot in self._slots:
            if slot in self._world.crucibles:
                powder = self._world.crucibles[slot].powder
                powder.expose(duration_s, self.temperature_c, self.atmosphere)
