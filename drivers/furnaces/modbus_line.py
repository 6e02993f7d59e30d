"""A Modbus RTU line with several units on it; pymodbus does the framing.

This is the only place where pymodbus' exceptions are caught. Modbus RTU has no
transaction numbers: a reply that comes late looks like the answer to the next request.
Therefore nothing is ever sent twice, the port is closed after a lost reply (which throws
away what is still on its way), and function code, length and echo of each reply are
compared with the request, which pymodbus leaves to its caller.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from pymodbus.client import AsyncModbusSerialClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from alab.errors import CommandRejected, DeviceUnreachable, MalformedReply
from drivers.transport import ReplyLost

logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # it logs what we translate

REPLY_TIMEOUT_S = 1.0
BAUDRATE = 9600

_EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address: this register does not exist here",
    3: "illegal data value: outside the range of this register, or read-only now",
    4: "device failure",
    5: "acknowledged, still working",
    6: "busy",
}


def signed(word: int) -> int:
    """Read a register as the two's-complement number that it holds."""
    return word - 0x1_0000 if word & 0x8000 else word


class ModbusLine:
    """The one client of a serial port, for every unit on it.

    Args:
        port: Serial device path.
        baudrate: Bits per second, 8N1.
        timeout_s: Real seconds a unit may take to answer.
    """

    def __init__(
        self, port: str, *, baudrate: int = BAUDRATE, timeout_s: float = REPLY_TIMEOUT_S
    ) -> None:
        self._port = port
        self._baudrate = baudrate
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._client: AsyncModbusSerialClient | None = None
        self._users: set[str] = set()

    async def connect(self, device: str) -> None:
        """Open the port for ``device`` if it is not open.

        Raises:
            DeviceUnreachable: If there is no such port, or somebody else has it.
        """
        async with self._lock:
            await self._open(device)
            self._users.add(device)

    async def close(self, device: str) -> None:
        """Close the port once no device uses it any more; never raises."""
        self._users.discard(device)
        if not self._users:
            async with self._lock:
                self._drop()

    async def read(self, device: str, unit: int, address: int, count: int = 1) -> list[int]:
        """Read ``count`` holding registers from ``address``, as signed numbers.

        Raises:
            ReplyLost: If no valid reply came in time.
            CommandRejected: If the unit answered with a Modbus exception.
            MalformedReply: If the reply does not belong to this request.
        """
        reply = await self._request(
            device,
            f"reading register {address}",
            lambda client: client.read_holding_registers(address, count=count, device_id=unit),
        )
        if reply.function_code != 3 or len(reply.registers) != count:
            self._drop()
            raise MalformedReply(
                device,
                f"reading {count} registers from {address} was answered by function "
                f"{reply.function_code} with {len(reply.registers)} registers",
            )
        return [signed(word) for word in reply.registers]

    async def write(self, device: str, unit: int, address: int, values: Sequence[int]) -> None:
        """Write holding registers from ``address`` on, in one frame (function 16).

        Raises:
            ReplyLost: If no valid reply came in time; they may or may not be written.
            CommandRejected: If the unit answered with a Modbus exception.
            MalformedReply: If the reply does not belong to this request.
        """
        words = [value & 0xFFFF for value in values]
        reply = await self._request(
            device,
            f"writing {list(values)} to register {address}",
            lambda client: client.write_registers(address, words, device_id=unit),
        )
        echo = (reply.function_code, reply.address, reply.count)
        if echo != (16, address, len(words)):
            self._drop()
            raise MalformedReply(
                device,
                f"writing {len(words)} registers from {address} was answered by function "
                f"{echo[0]} for {echo[2]} registers from {echo[1]}",
            )

    async def _request(
        self,
        device: str,
        what: str,
        send: Callable[[AsyncModbusSerialClient], Awaitable[ModbusPDU]],
    ) -> ModbusPDU:
        async with self._lock:
            client = await self._open(device)
            try:
                reply = await send(client)
            except ModbusException as error:
                self._drop()
                raise ReplyLost(
                    device,
                    f"{what}: no valid reply on {self._port} within {self._timeout_s:g} s; "
                    "check power, cable, unit number and baud rate",
                ) from error
            except asyncio.CancelledError:
                self._drop()  # a reply may still come: let nobody hear it
                raise
        if reply.isError():
            reason = _EXCEPTIONS.get(reply.exception_code, "unknown reason")
            raise CommandRejected(
                device, f"{what}: Modbus exception {reply.exception_code}, {reason}"
            )
        return reply

    async def _open(self, device: str) -> AsyncModbusSerialClient:
        if self._client is not None and self._client.connected:
            return self._client
        self._drop()
        client = AsyncModbusSerialClient(
            self._port,
            baudrate=self._baudrate,
            timeout=self._timeout_s,
            retries=0,
            reconnect_delay=0,
        )
        if not await client.connect():
            client.close()
            raise DeviceUnreachable(
                device,
                f"cannot open {self._port}; check the cable, the address in the lab file, "
                "and that no other program has the port",
            )
        self._client = client
        return client

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()
