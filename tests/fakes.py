"""Devices without a wire that count what they physically did, and fail on demand.

They are for tests of the core alone; drivers are tested against the simulators.
"""

from alab.clock import Clock
from alab.errors import (
    CommandRejected,
    DeviceError,
    DeviceFault,
    DeviceUnreachable,
    MalformedReply,
    UnknownOutcome,
)
from alab.models import (
    Atmosphere,
    DoorState,
    FurnaceMode,
    FurnaceReading,
    Profile,
    Scan,
    Weighing,
)

ACT_S = 10.0


class Fake:
    """What all fakes share.

    Attributes:
        acts: Every physical act, in order.
        fails: Failure of the next start: ``lost`` (it ran, no reply), ``garbled`` (it ran,
            nonsense came back), ``vanished`` (it never ran, no reply), ``dead``,
            ``rejects``, ``faults``.
        fails_at_end: Failure of the next finish, likewise.
        unsafe: What ``make_safe`` raises.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self.name, self.clock = name, clock
        self.acts: list[str] = []
        self.made_safe = 0
        self.fails = self.fails_at_end = ""
        self.off = False
        self.unsafe: Exception | None = None

    async def connect(self) -> str:
        self.answer()
        return f"fake {self.name}"

    async def close(self) -> None:
        """Nothing to release."""

    async def make_safe(self) -> None:
        if self.unsafe is not None:
            raise self.unsafe
        await self.clock.sleep(1)
        self.made_safe += 1

    def answer(self) -> None:
        if self.off:
            raise DeviceUnreachable(self.name, "no answer within 1 s")

    def act(self, what: str) -> None:
        """Do it, unless a failure comes before; then fail, if one comes after."""
        self.answer()
        failure, self.fails = self.fails, ""
        if failure not in ("vanished", "dead", "rejects", "faults"):
            self.acts.append(what)
            self.happens(what)
        self.fail(failure)

    def happens(self, what: str) -> None:
        """What the act changes in the world."""

    def end(self) -> None:
        self.answer()
        failure, self.fails_at_end = self.fails_at_end, ""
        self.fail(failure)

    def fail(self, failure: str) -> None:
        errors: dict[str, type[DeviceError]] = {
            "lost": UnknownOutcome,
            "vanished": UnknownOutcome,
            "garbled": MalformedReply,
            "dead": DeviceUnreachable,
            "rejects": CommandRejected,
            "faults": DeviceFault,
        }
        if failure:
            raise errors[failure](self.name, f"it {failure}")


class FakeDoser(Fake):
    """The pan's gross mass is all there is to know."""

    gross_mg = 11_500.0

    async def weigh(self) -> Weighing:
        self.answer()
        return Weighing(mass_mg=self.gross_mg)

    async def mounted_substance(self) -> str | None:
        return "BaCO3"

    async def start_dose(self, *, mass_mg: float, tolerance_percent: float) -> None:
        self.act(f"dose {mass_mg}")

    def happens(self, what: str) -> None:
        self.gross_mg += float(what.split()[1])

    async def finish_dose(self) -> None:
        await self.clock.sleep(ACT_S)
        self.end()


class FakeMixer(Fake):
    """Turns until it is waited for."""

    turning = stopped = False

    async def start_mixing(self, *, speed_rpm: float, duration_s: float) -> None:
        self.act("mix")

    def happens(self, what: str) -> None:
        self.turning, self.stopped = True, False

    async def finish_mixing(self) -> None:
        if not self.turning and not self.stopped:
            raise UnknownOutcome(self.name, "stands still")
        await self.clock.sleep(ACT_S)
        self.end()
        self.turning, self.stopped = False, True

    def lose_power(self) -> None:
        self.turning = False

    async def is_mixing(self) -> bool:
        self.answer()
        return self.turning


class FakeArm(Fake):
    """Plays one program at a time.

    Attributes:
        unfit: Why it could not start a program; empty if it could.
    """

    playing: str | None = None
    loaded: str | None = None
    unfit = ""

    async def check_fit(self) -> None:
        self.answer()
        if self.unfit:
            raise CommandRejected(self.name, self.unfit)

    async def start_program(self, program: str) -> None:
        self.act(program)

    def happens(self, what: str) -> None:
        self.playing = self.loaded = what

    async def finish_program(self, program: str) -> None:
        if self.loaded != program:
            raise UnknownOutcome(self.name, "stands with nothing loaded")
        await self.clock.sleep(ACT_S)
        self.end()
        self.playing = None

    def lose_power(self) -> None:
        self.playing = self.loaded = None

    async def running_program(self) -> str | None:
        self.answer()
        return self.playing


class FakeFurnace(Fake):
    """As hot as it is told to be."""

    temperature_c = 25.0
    mode = FurnaceMode.IDLE
    profile: Profile | None = None

    async def start_firing(self, profile: Profile, atmosphere: Atmosphere) -> None:
        if self.fails not in ("vanished", "dead", "rejects", "faults"):
            self.profile = profile
        self.act("fire")

    def happens(self, what: str) -> None:
        self.mode = FurnaceMode.RUNNING

    async def runs_profile(self, profile: Profile) -> bool:
        self.answer()
        return profile == self.profile

    async def read(self) -> FurnaceReading:
        self.answer()
        return FurnaceReading(temperature_c=self.temperature_c, setpoint_c=None, mode=self.mode)

    async def make_safe(self) -> None:
        await super().make_safe()
        self.mode = FurnaceMode.IDLE


class FakeDoor(Fake):
    """Where it was told to be."""

    where = DoorState.CLOSED

    async def state(self) -> DoorState:
        self.answer()
        return self.where

    async def open(self) -> None:
        self.act("open")

    async def shut(self) -> None:
        self.act("shut")

    def happens(self, what: str) -> None:
        self.where = DoorState.OPEN if what == "open" else DoorState.CLOSED


class FakeDiffractometer(Fake):
    """Gives every sample the same short file."""

    sample: str | None = None

    async def start_scan(self, *, sample: str, position: int, program: str) -> None:
        self.act(f"scan {sample} at {position}")

    def happens(self, what: str) -> None:
        self.sample = what.split()[1]

    async def finish_scan(self, *, sample: str) -> Scan:
        await self.clock.sleep(ACT_S)
        self.end()
        self.sample = None
        return Scan(filename=f"{sample}.xrdml", content=b"<xrdMeasurements/>")

    async def measuring(self) -> str | None:
        self.answer()
        return self.sample


class Bench:
    """One fake of each device of the small laboratory, by the names of its lab file."""

    def __init__(self, clock: Clock) -> None:
        self.doser = FakeDoser("doser", clock)
        self.mixer = FakeMixer("mixer", clock)
        self.arm = FakeArm("arm", clock)
        self.furnace = FakeFurnace("furnace", clock)
        self.door = FakeDoor("door", clock)
        self.xrd = FakeDiffractometer("xrd", clock)

    @property
    def devices(self) -> dict[str, Fake]:
        """All of them by name."""
        each = (self.doser, self.mixer, self.arm, self.furnace, self.door, self.xrd)
        return {fake.name: fake for fake in each}
