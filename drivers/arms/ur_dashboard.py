"""Universal Robots arms through their Dashboard server (port 29999).

Protocol: "Dashboard Server e-Series" (Universal Robots): LF lines, one reply a request, a
banner on connect. The programs live on the controller; the laboratory loads and plays them.
A protective stop is never cleared from here: a person must see what the arm has met.
"""

from alab.clock import Clock
from alab.errors import (
    CommandRejected,
    DeviceFault,
    InterlockError,
    MalformedReply,
    UnknownOutcome,
)
from alab.lab import Address, DeviceDefinition
from drivers.transport import Lines, LineTransport, ReplyLost

REPLY_TIMEOUT_S = 5.0
LOAD_TIMEOUT_S = 30.0
"""A large program takes the controller many seconds to load."""

FIRST_POLL_S = 2.0
"""No program that moves anything is over by then."""

POLL_S = 3.0
PROGRAM_WITHIN_S = 600.0
_STATES = ("STOPPED", "PLAYING", "PAUSED")


class UrDashboard:
    """An arm behind its Dashboard server.

    Args:
        name: Name of the device in the lab file.
        line: The line it answers on.
        clock: Laboratory time.
    """

    def __init__(self, name: str, line: LineTransport, clock: Clock) -> None:
        self._name = name
        self._line = line
        self._clock = clock
        self._played_at_s: float | None = None

    @property
    def name(self) -> str:
        """Name of the device in the lab file."""
        return self._name

    async def connect(self) -> str:
        """Read the banner, model and serial number."""
        await self._line.connect()
        if b"Dashboard Server" not in self._line.banner:
            raise MalformedReply(
                self._name,
                f"greeted with {self._line.banner!r}; no Dashboard server is at this address",
            )
        model = await self._ask("get robot model")
        number = await self._ask("get serial number")
        return f"Universal Robots {model}, serial number {number}"

    async def close(self) -> None:
        """Release the line."""
        await self._line.close()

    async def make_safe(self) -> None:
        """Pause whatever plays; harmless if nothing does."""
        await self._ask("pause")

    async def check_fit(self) -> None:
        """Ask whether it could start a program now.

        Raises:
            CommandRejected: If it is in local control, not powered, or has a program under way.
            DeviceFault: If its safety system has stopped it.
        """
        await self._check_safety("cannot start a program")
        if not await self._in_remote_control():
            raise CommandRejected(
                self._name, "is in local control; switch the pendant to remote control"
            )
        mode = await self._ask("robotmode")
        if mode != "Robotmode: RUNNING":
            raise CommandRejected(
                self._name, f"is not ready ({mode}); power it on and release the brakes"
            )
        state, program = await self._state()
        if state != "STOPPED":
            raise CommandRejected(
                self._name,
                f"{program} is {state.lower()} on it; see it to its end, or stop it and drive "
                "the arm home, at the pendant",
            )

    async def start_program(self, program: str) -> None:
        """Check that the arm is fit, load ``program``, verify what was loaded, and play it.

        Raises:
            InterlockError: If the name cannot be sent; nothing was.
            CommandRejected: If the arm is busy or off, or does not know the program.
            DeviceFault: If its safety system has stopped it.
            UnknownOutcome: If the reply to ``play`` was lost.
        """
        if not program.isprintable() or not program.strip():
            raise InterlockError(self._name, f"{program!r} is no name of a program")
        await self.check_fit()
        await self._load(program)
        self._played_at_s = self._clock.monotonic_s()
        try:
            reply = await self._ask("play")
        except ReplyLost as error:
            raise UnknownOutcome(
                self._name,
                f"sent play of {program} and lost the reply; ask what it plays, and do not "
                "send it again",
            ) from error
        if reply != "Starting program":
            raise CommandRejected(self._name, f"declined to play {program}: {reply!r}")

    async def finish_program(self, program: str) -> None:
        """Wait until ``program`` has ended by itself, at most 600 s.

        Raises:
            DeviceFault: On a protective or emergency stop, a pause at the pendant, lost
                remote control, a program that ends at once, or time-out.
            UnknownOutcome: If the arm stands, but was off or played another program since.
        """
        began_s, self._played_at_s = self._played_at_s, None
        if began_s is None:  # another process began it
            began_s = self._clock.monotonic_s()
        else:
            await self._clock.sleep(FIRST_POLL_S)
            state, _ = await self._state()
            if state == "STOPPED":
                raise await self._ended_at_once(program)
        while await self._still_plays(program):
            if self._clock.monotonic_s() - began_s > PROGRAM_WITHIN_S:
                raise DeviceFault(
                    self._name,
                    f"{program} has not ended within {PROGRAM_WITHIN_S:g} s; look at the "
                    "pendant (pop-up?), then stop it there",
                )
            await self._clock.sleep(POLL_S)

    async def running_program(self) -> str | None:
        """Return the program that plays or is paused half-way, None while the arm stands."""
        state, program = await self._state()
        return None if state == "STOPPED" else program

    async def _load(self, program: str) -> None:
        reply = await self._ask(f"load {program}", timeout_s=LOAD_TIMEOUT_S)
        if not reply.startswith("Loading program:"):
            raise CommandRejected(
                self._name, f"declined to load {program}: {reply!r}; is it on the controller?"
            )
        loaded = await self._ask("get loaded program")
        if _file_name(loaded) != program:
            raise DeviceFault(
                self._name,
                f"was told to load {program} and answers {loaded!r}; nothing was played",
            )

    async def _still_plays(self, program: str) -> bool:
        state, loaded = await self._state()
        await self._check_safety(f"{program} was interrupted")
        if state == "STOPPED":
            await self._check_ended(program, loaded)
            return False
        if not await self._in_remote_control():
            raise DeviceFault(
                self._name,
                f"was switched to local control while {program} ran; see it to its end at "
                "the pendant",
            )
        if state == "PAUSED":
            raise DeviceFault(
                self._name, f"{program} is paused half-way; resume or stop it at the pendant"
            )
        return True

    async def _check_ended(self, program: str, loaded: str) -> None:
        """An arm that lost its power stands too: it is off, and has nothing loaded."""
        mode = await self._ask("robotmode")
        if loaded != program or mode != "Robotmode: RUNNING":
            raise UnknownOutcome(
                self._name,
                f"stands ({mode}) with {loaded or 'nothing'} loaded, so {program} may not have "
                "come to its end; look where the arm stands and what it holds",
            )

    async def _ended_at_once(self, program: str) -> DeviceFault:
        await self._check_safety(f"{program} was interrupted")
        return DeviceFault(
            self._name,
            f"{program} was over within {FIRST_POLL_S:g} s of its start, too soon to "
            "have moved anything; look at it on the pendant",
        )

    async def _check_safety(self, what: str) -> None:
        status = await self._ask("safetystatus")
        if not status.startswith("Safetystatus: "):
            raise MalformedReply(self._name, f"'safetystatus' was answered by {status!r}")
        if status != "Safetystatus: NORMAL":
            raise DeviceFault(
                self._name,
                f"{what}: {status}; look at what the arm has met, then clear it at the pendant",
            )

    async def _in_remote_control(self) -> bool:
        reply = await self._ask("is in remote control")
        if reply not in ("true", "false"):
            raise MalformedReply(
                self._name, f"'is in remote control' was answered by {reply!r}"
            )
        return reply == "true"

    async def _state(self) -> tuple[str, str]:
        """Program state (STOPPED, PLAYING, PAUSED) and name of the loaded program."""
        reply = await self._ask("programState")
        state, _, program = reply.partition(" ")
        if state not in _STATES:
            raise MalformedReply(self._name, f"'programState' was answered by {reply!r}")
        return state, _file_name(program)

    async def _ask(self, request: str, *, timeout_s: float | None = None) -> str:
        timeout_s = timeout_s or REPLY_TIMEOUT_S
        reply = await self._line.exchange(request.encode(), timeout_s=timeout_s)
        return reply.decode("utf-8", errors="replace").strip()


def _file_name(path: str) -> str:
    return path.removeprefix("Loaded program: ").rsplit("/", maxsplit=1)[-1]


def make(name: str, definition: DeviceDefinition, lines: Lines, clock: Clock) -> UrDashboard:
    """Build the driver; opens no line."""
    line = lines.tcp(Address.parse(definition.address), device=name, greets=True)
    return UrDashboard(name, line, clock)
