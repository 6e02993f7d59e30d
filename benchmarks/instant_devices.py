"""Devices of zero duration: what is left is orchestration.

They keep just enough state for the laboratory's checks (mass on the pan, door, program).
"""

from alab.lab import LabDefinition
from alab.models import (
    Atmosphere,
    DoorState,
    FurnaceMode,
    FurnaceReading,
    Profile,
    Scan,
    Weighing,
)
from alab.protocols import Device


class _Instant:
    def __init__(self, name: str) -> None:
        self.name = name

    async def connect(self) -> str:
        """Be there."""
        return "instant"

    async def close(self) -> None:
        """Be gone."""

    async def make_safe(self) -> None:
        """Be safe."""


class InstantDoser(_Instant):
    """Doses exactly, at once, whatever is asked for."""

    def __init__(self, name: str, heads: dict[str, str]) -> None:
        super().__init__(name)
        self._mass_mg = 0.0
        self._heads = heads
        self.mounted = ""

    async def weigh(self) -> Weighing:
        """Read the pan."""
        return Weighing(mass_mg=self._mass_mg)

    async def mounted_substance(self) -> str | None:
        """Tell what the head holds that an arm mounted."""
        return self._heads.get(self.mounted)

    async def start_dose(self, *, mass_mg: float, tolerance_percent: float) -> None:
        """Dose."""
        del tolerance_percent
        self._mass_mg += mass_mg

    async def finish_dose(self) -> None:
        """It is done."""


class InstantMixer(_Instant):
    """Mixes in no time."""

    async def start_mixing(self, *, speed_rpm: float, duration_s: float) -> None:
        """Mix."""

    async def finish_mixing(self) -> None:
        """It is done."""

    async def is_mixing(self) -> bool:
        """It never does."""
        return False


class InstantArm(_Instant):
    """Plays every program in no time."""

    def __init__(self, name: str, doser: InstantDoser) -> None:
        super().__init__(name)
        self._doser = doser

    async def start_program(self, program: str) -> None:
        """Play; mounting a head is noted."""
        if program.startswith("mount_head"):
            self._doser.mounted = program

    async def finish_program(self, program: str) -> None:
        """It is done."""

    async def running_program(self) -> str | None:
        """None ever runs."""
        return None


class InstantFurnace(_Instant):
    """Has fired as soon as it is started, and is cold."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._profile: Profile | None = None

    async def start_firing(self, profile: Profile, atmosphere: Atmosphere) -> None:
        """Fire."""
        del atmosphere
        self._profile = profile

    async def runs_profile(self, profile: Profile) -> bool:
        """Whether this was the last one."""
        return profile == self._profile

    async def read(self) -> FurnaceReading:
        """It is cold and done."""
        mode = FurnaceMode.COMPLETE if self._profile else FurnaceMode.IDLE
        return FurnaceReading(temperature_c=25.0, setpoint_c=None, mode=mode)


class InstantDoor(_Instant):
    """Is where it is wanted."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._state = DoorState.CLOSED

    async def state(self) -> DoorState:
        """Where it is."""
        return self._state

    async def open(self) -> None:
        """Be open."""
        self._state = DoorState.OPEN

    async def shut(self) -> None:
        """Be closed."""
        self._state = DoorState.CLOSED


class InstantDiffractometer(_Instant):
    """Returns the same scan at once.

    Args:
        name: Its name.
        content: The file it returns.
    """

    def __init__(self, name: str, content: bytes) -> None:
        super().__init__(name)
        self._content = content

    async def start_scan(self, *, sample: str, position: int, program: str) -> None:
        """Scan."""

    async def finish_scan(self, *, sample: str) -> Scan:
        """Here it is."""
        return Scan(filename=f"{sample}.xy", content=self._content)

    async def measuring(self) -> str | None:
        """It never is."""
        return None


def instant_devices(lab: LabDefinition, scan: bytes) -> dict[str, Device]:
    """One instant device for every device of a lab definition."""
    heads = {f"mount_head_{p.head}.urp": formula for formula, p in lab.precursors.items()}
    doser = InstantDoser("doser", heads)
    made: dict[str, Device] = {}
    for name, definition in lab.devices.items():
        match definition.kind:
            case "mettler_quantos":
                made[name] = doser
            case "hauschild_smartdac":
                made[name] = InstantMixer(name)
            case "ur_dashboard":
                made[name] = InstantArm(name, doser)
            case "arduino_door" | "lads_cover":
                made[name] = InstantDoor(name)
            case "aeris_uai":
                made[name] = InstantDiffractometer(name, scan)
            case _:
                made[name] = InstantFurnace(name)
    return made
