"""The door of a furnace over OPC UA: a LADS cover function (OPC 30500-1).

It lives on the furnace's server and shares its client
(``opc.tcp://192.168.10.30:4840?part=cover``). Commands state a target.
"""

from alab.clock import Clock
from alab.errors import DeviceFault, MalformedReply, UnknownOutcome
from alab.lab import Address, DeviceDefinition
from alab.models import DoorState
from drivers.furnaces.lads_device import LadsDevice, Path
from drivers.transport import Lines, ReplyLost

MOVE_TIMEOUT_S = 90.0
POLL_S = 2.0

_STATES = {
    "Opened": DoorState.OPEN,
    "Closed": DoorState.CLOSED,
    "Locked": DoorState.CLOSED,
    "Opening": DoorState.MOVING,
    "Closing": DoorState.MOVING,
    "Error": DoorState.UNKNOWN,
}


class LadsCover:
    """The cover of a LADS device.

    Args:
        name: Name of the device in the lab file.
        client: Client of its server, shared with the furnace.
        function: Browse name of the cover function (address option ``function``).
        clock: Laboratory time.
    """

    def __init__(self, name: str, client: LadsDevice, function: str, clock: Clock) -> None:
        self.name = name
        self._client = client
        self._clock = clock
        self._cover: Path = ("LADS:FunctionSet", f"*:{function}", "LADS:CoverState")

    async def connect(self) -> str:
        """Connect, and check that the cover function is there."""
        plate = await self._client.connect(self.name)
        return f"{plate}, cover {await self.state()}"

    async def close(self) -> None:
        """Release the server."""
        await self._client.close(self.name)

    async def make_safe(self) -> None:
        """Nothing: a door that stands is safe, and one that moves ends at a switch."""

    async def state(self) -> DoorState:
        """Ask where the door is; UNKNOWN where the device reports an error of its own."""
        text = (await self._client.read(self.name, (*self._cover, "0:CurrentState")))[0]
        if text not in _STATES:
            raise MalformedReply(
                self.name, f"the cover is {text!r}, none of {', '.join(_STATES)}"
            )
        return _STATES[text]

    async def open(self) -> None:
        """Be open: returns once the limit switch says so, at once if it is."""
        await self._move("LADS:Open", DoorState.OPEN)

    async def shut(self) -> None:
        """Be closed: returns once the limit switch says so, at once if it is."""
        await self._move("LADS:Close", DoorState.CLOSED)

    async def _move(self, method: str, target: DoorState) -> None:
        if await self.state() is target:
            return
        try:
            await self._client.call(self.name, (*self._cover, method))
        except ReplyLost as error:
            raise UnknownOutcome(
                self.name, f"told to be {target}, the reply was lost ({error}); ask where it is"
            ) from error
        deadline_s = self._clock.monotonic_s() + MOVE_TIMEOUT_S
        while (state := await self.state()) is not target:
            if state is DoorState.UNKNOWN or self._clock.monotonic_s() >= deadline_s:
                raise DeviceFault(
                    self.name,
                    f"told to be {target}, it is {state} (limit {MOVE_TIMEOUT_S:g} s); look "
                    "for something in the way",
                )
            await self._clock.sleep(POLL_S)


def make(name: str, definition: DeviceDefinition, lines: Lines, clock: Clock) -> LadsCover:
    """Make the driver of the cover; opens no connection yet."""
    address = Address.parse(definition.address)
    client = lines.share(address.port, lambda: LadsDevice(address.port))
    return LadsCover(name, client, address.option("function", "Cover"), clock)
