"""Modbus RTU server on a pseudo-terminal, for several units on one line.

pymodbus supplies frames, checksums and PDUs; its own server opens serial ports by itself
and keeps registers as a table, which does not suit registers that are computed.
"""

import asyncio
import os
import tty
from collections.abc import Mapping
from typing import Protocol

from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    WriteMultipleRegistersRequest,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterRequest,
    WriteSingleRegisterResponse,
)

from simulators.world.world import World


class RegisterError(Exception):
    """A register was refused.

    Attributes:
        code: Modbus exception code: 2 no such register, 3 value or access refused.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"Modbus exception {code}")
        self.code = code


class ModbusUnit(Protocol):
    """Something with registers on the line."""

    lost_replies: set[tuple[int, int]]

    def read(self, address: int) -> int:
        """Value of one register; raises RegisterError."""
        ...

    def write(self, address: int, value: int) -> None:
        """Write one register; raises RegisterError."""
        ...


class ModbusRtuLine:
    """Serves units at a pseudo-terminal.

    Attributes:
        units: Units by Modbus address; silence for any other.
        unplugged: Fault: nobody answers.
        garbled_replies: Fault: so many replies go out with a wrong checksum.
        foreign_unit: Fault: replies carry this unit number instead of the right one.
    """

    def __init__(self, world: World, units: Mapping[int, ModbusUnit]) -> None:
        self.units = units
        self.unplugged = False
        self.garbled_replies = 0
        self.foreign_unit: int | None = None
        self._world = world
        self._framer = FramerRTU(DecodePDU(is_server=True))
        self._heard = b""
        self._controller_fd = -1
        self._device_fd = -1

    async def start(self) -> str:
        """Open the pseudo-terminal and return its path."""
        self._controller_fd, self._device_fd = os.openpty()
        tty.setraw(self._device_fd)
        os.set_blocking(self._controller_fd, False)
        asyncio.get_running_loop().add_reader(self._controller_fd, self._hear)
        return os.ttyname(self._device_fd)

    async def stop(self) -> None:
        """Take the line away."""
        if self._controller_fd >= 0:
            asyncio.get_running_loop().remove_reader(self._controller_fd)
            os.close(self._controller_fd)
            os.close(self._device_fd)
            self._controller_fd = self._device_fd = -1

    def _hear(self) -> None:
        self._heard += os.read(self._controller_fd, 4096)
        while self._heard:
            try:
                used, request = self._framer.handleFrame(self._heard, 0, 0)
            except ModbusException:
                self._heard = b""  # noise: the master will ask again
                return
            self._heard = self._heard[used:]
            if request is None:
                return
            if (reply := self._answer(request)) is not None:
                os.write(self._controller_fd, self._frame(reply))

    def _answer(self, request: ModbusPDU) -> ModbusPDU | None:
        unit = self.units.get(request.dev_id)
        if unit is None or self.unplugged:
            return None
        with self._world.present():
            try:
                reply = self._carry_out(unit, request)
            except RegisterError as error:
                reply = ExceptionResponse(request.function_code, error.code)
        written = {(request.address, word) for word in request.registers}
        if lost := written & unit.lost_replies:
            unit.lost_replies -= lost
            return None
        reply.dev_id = request.dev_id if self.foreign_unit is None else self.foreign_unit
        return reply

    @staticmethod
    def _carry_out(unit: ModbusUnit, request: ModbusPDU) -> ModbusPDU:
        addresses = range(request.address, request.address + request.count)
        if isinstance(request, ReadHoldingRegistersRequest) and request.function_code == 3:
            words = [unit.read(address) & 0xFFFF for address in addresses]
            return ReadHoldingRegistersResponse(registers=words)
        if isinstance(request, WriteMultipleRegistersRequest):
            for address, word in zip(addresses, request.registers, strict=True):
                unit.write(address, _signed(word))
            return WriteMultipleRegistersResponse(address=request.address, count=request.count)
        if isinstance(request, WriteSingleRegisterRequest):
            unit.write(request.address, _signed(request.registers[0]))
            return WriteSingleRegisterResponse(
                address=request.address, registers=request.registers
            )
        return ExceptionResponse(request.function_code, 1)

    def _frame(self, reply: ModbusPDU) -> bytes:
        frame = self._framer.buildFrame(reply)
        if self.garbled_replies > 0:
            self.garbled_replies -= 1
            frame = frame[:-1] + bytes([frame[-1] ^ 0xFF])
        return frame


def _signed(word: int) -> int:
    return word - 0x1_0000 if word & 0x8000 else word
