"""OPC UA server of a furnace with a motorised cover, shaped like LADS (OPC 30500-1).

The full LADS nodeset does not load in asyncua's strict mode, so the instances are built
by hand, with LADS and DI browse names in their namespaces. Variables are computed when
they are read: a value callback lets the physics catch up first.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import asyncua.ua
from asyncua.common.node import Node
from asyncua.server.server import Server

from alab.lab import LabDefinition
from simulators.furnaces.chamber import Chamber
from simulators.furnaces.lads_device import TEMPLATE, Cover, LadsFurnace, Refused
from simulators.world.world import World

DI_URI = "http://opcfoundation.org/UA/DI/"
LADS_URI = "http://opcfoundation.org/UA/LADS/"
VENDOR_URI = "urn:alab:simulated-furnace"

ua: Any = asyncua.ua
"""asyncua annotates its structures with wire types, which type checkers take literally."""


class LadsLine:
    """Serves one furnace with its cover.

    Attributes:
        world: Where the device stands.
        furnace: The device; most faults are set there.
        foreign_namespaces: Fault: so many namespaces come before ours at the next start.
        lost_replies: Fault: methods (``StartProgram``) that are carried out once and
            whose reply then never comes.
    """

    def __init__(self, world: World, furnace: LadsFurnace, serial_number: str) -> None:
        self.furnace = furnace
        self.foreign_namespaces = 0
        self.lost_replies: set[str] = set()
        self.world = world
        self._serial_number = serial_number
        self._server: Server | None = None
        self._port = 0

    async def start(self) -> str:
        """Serve on loopback; after a stop, at the same port again."""
        for name in ("asyncua.server", "asyncua.crypto"):
            logging.getLogger(name).setLevel(logging.ERROR)  # it warns that loopback is open
        server = Server()
        await server.init()
        server.set_endpoint(f"opc.tcp://127.0.0.1:{self._port}/")
        server.set_server_name("Simulated LADS furnace")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        await self._build(server)
        await server.start()
        self._server = server
        assert server.bserver is not None  # noqa: S101
        self._port = server.bserver.port
        return f"127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Close every connection and stop serving."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()

    def freeze(self) -> None:
        """Fault: connections stay open and nobody answers."""
        for connection in self._connections():
            connection.pause_reading()

    def thaw(self) -> None:
        """End of :meth:`freeze`."""
        for connection in self._connections():
            connection.resume_reading()

    def _connections(self) -> list[asyncio.Transport]:
        assert self._server is not None  # noqa: S101
        return list(self._server.iserver.asyncio_transports)

    async def _build(self, server: Server) -> None:
        for number in range(self.foreign_namespaces):
            await server.register_namespace(f"urn:alab:foreign-{number}")
        tree = _Tree(self, server)
        await tree.build()

    def current(self, read: Callable[[LadsFurnace], Any]) -> Any:
        """Let everything catch up, then look."""
        with self.world.present():
            return read(self.furnace)

    async def command(self, method: str, act: Callable[[LadsFurnace, float], Any]) -> Any:
        """Let everything catch up, then act; a refusal becomes its status code."""
        with self.world.present() as now_s:
            self.furnace.chamber.mark()
            try:
                result = act(self.furnace, now_s)
            except Refused as refused:
                return ua.StatusCode(refused.code)
        if method in self.lost_replies:
            self.lost_replies.discard(method)
            await asyncio.Event().wait()
        return result

    @property
    def serial_number(self) -> str:
        """Serial number on the type plate."""
        return self._serial_number


class _Tree:
    """The address space."""

    def __init__(self, line: LadsLine, server: Server) -> None:
        self._line = line
        self._server = server
        self._di = self._lads = self._vendor = 0

    async def build(self) -> None:
        register = self._server.register_namespace
        self._vendor = await register(VENDOR_URI)
        self._lads = await register(LADS_URI)
        self._di = await register(DI_URI)
        devices = await self._object(self._server.nodes.objects, self._di, "DeviceSet")
        device = await self._object(devices, self._vendor, "Furnace")
        for name, text in (
            ("Manufacturer", "Simulated"),
            ("Model", "Box furnace with cover"),
            ("SerialNumber", self._line.serial_number),
            ("SoftwareRevision", "1.0"),
        ):
            await device.add_property(self._di, name, text)
        units = await self._object(device, self._lads, "FunctionalUnitSet")
        unit = await self._object(units, self._vendor, "Chamber")
        await self._build_lock(unit)
        await self._build_state(unit)
        functions = await self._object(unit, self._lads, "FunctionSet")
        await self._build_temperature(functions)
        await self._build_cover(functions)
        await self._build_programs(unit)

    async def _build_lock(self, unit: Node) -> None:
        lock = await self._object(unit, self._di, "Lock")
        await self._variable(lock, self._di, "Locked", lambda f: bool(f.locked_by))
        await self._variable(lock, self._di, "LockingClient", lambda f: f.locked_by)
        text, status = [ua.VariantType.String], [ua.VariantType.Int32]
        await self._method(
            lock,
            self._di,
            "InitLock",
            lambda f, _now, context: f.take_lock(context),
            text,
            status,
        )
        await self._method(lock, self._di, "ExitLock", lambda f, _now: _release(f), [], status)

    async def _build_state(self, unit: Node) -> None:
        state = await self._object(unit, self._lads, "FunctionalUnitState")
        await self._variable(state, 0, "CurrentState", lambda f: ua.LocalizedText(f.state))
        running = await self._object(state, self._lads, "RunningStateMachine")
        await self._variable(
            running, 0, "CurrentState", lambda f: ua.LocalizedText(f.running_state)
        )
        text = ua.VariantType.String
        await self._method(
            state,
            self._lads,
            "StartProgram",
            lambda f, _now, template, properties, job: f.start_program(
                template, properties or [], job
            ),
            [text, text, text],
            [text],
        )
        await self._method(state, self._lads, "Stop", lambda f, _now: f.stop())
        await self._method(state, self._lads, "Abort", lambda f, _now: f.abort())
        await self._method(state, self._lads, "Clear", lambda f, _now: f.clear())

    async def _build_temperature(self, functions: Node) -> None:
        temperature = await self._object(functions, self._vendor, "Temperature")
        await self._variable(
            temperature,
            self._lads,
            "CurrentValue",
            lambda f: f.chamber.measured_c,
            status=lambda f: f.temperature_status,
        )
        await self._variable(
            temperature, self._lads, "TargetValue", lambda f: f.programmer.setpoint_c or 0.0
        )
        alarm = await self._object(temperature, self._lads, "AlarmMonitor")
        await self._variable(alarm, 0, "ActiveState", lambda f: f.state == "Aborted")

    async def _build_cover(self, functions: Node) -> None:
        cover = await self._object(functions, self._vendor, "Cover")
        state = await self._object(cover, self._lads, "CoverState")
        await self._variable(
            state, 0, "CurrentState", lambda f: ua.LocalizedText(f.cover.state)
        )
        for name, target in (("Open", "Opened"), ("Close", "Closed")):
            await self._method(
                state,
                self._lads,
                name,
                lambda f, now_s, target=target: f.move_cover(target, now_s),
            )

    async def _build_programs(self, unit: Node) -> None:
        programs = await self._object(unit, self._lads, "ProgramManager")
        templates = await self._object(programs, self._lads, "ProgramTemplateSet")
        await self._object(templates, self._vendor, TEMPLATE)
        active = await self._object(programs, self._lads, "ActiveProgram")
        lads = self._lads
        await self._variable(active, lads, "CurrentStepNumber", lambda f: f.programmer.step)
        await self._variable(
            active, lads, "EstimatedStepRuntime", lambda f: f.programmer.step_left_s
        )
        await self._variable(
            active, lads, "EstimatedRuntime", lambda f: f.programmer.time_left_s()
        )
        await self._variable(active, lads, "SupervisoryJobId", lambda f: f.job_id)
        await self._variable(
            active, lads, "DeviceProgramRunId", lambda f: f"run-{f.runs}" if f.runs else ""
        )
        await self._variable(active, lads, "Properties", lambda f: list(f.properties))
        await self._object(programs, self._lads, "ResultSet")

    async def _object(self, parent: Node, index: int, name: str) -> Node:
        nodeid = ua.NodeId(0, self._vendor)
        return await parent.add_object(nodeid, ua.QualifiedName(name, index))

    async def _variable(
        self,
        parent: Node,
        index: int,
        name: str,
        read: Callable[[LadsFurnace], Any],
        *,
        status: Callable[[LadsFurnace], int] = lambda _furnace: ua.StatusCodes.Good,
    ) -> None:
        sample = read(self._line.furnace)
        kind = ua.VariantType.String if isinstance(sample, list) else None
        node = await parent.add_variable(
            ua.NodeId(0, self._vendor), ua.QualifiedName(name, index), sample, kind
        )

        def look(_node: Any, _attribute: Any) -> Any:
            value, code = self._line.current(lambda f: (read(f), status(f)))
            return ua.DataValue(ua.Variant(value, kind), ua.StatusCode(code))

        self._server.set_attribute_value_callback(node.nodeid, look)

    async def _method(
        self,
        parent: Node,
        index: int,
        name: str,
        act: Callable[..., Any],
        inputs: Sequence[Any] = (),
        outputs: Sequence[Any] = (),
    ) -> None:
        async def call(_parent: Any, *arguments: Any) -> Any:
            values = [argument.Value for argument in arguments]
            if len(values) != len(inputs):
                return ua.StatusCode(ua.StatusCodes.BadArgumentsMissing)
            result = await self._line.command(name, lambda f, now_s: act(f, now_s, *values))
            if isinstance(result, ua.StatusCode):
                return result
            return [ua.Variant(result, outputs[0])] if outputs else []

        await parent.add_method(
            ua.NodeId(0, self._vendor), ua.QualifiedName(name, index), call, inputs, outputs
        )


def _release(furnace: LadsFurnace) -> int:
    furnace.locked_by = ""
    return 0


def line(world: World, lab: LabDefinition, names: Sequence[str]) -> LadsLine:
    """Make the furnace, its cover, or both, behind one server."""
    name = _furnace_of(lab, names)
    definition = lab.devices[name]
    cover = Cover(world, definition.door or f"{name}_cover")
    furnace = LadsFurnace(Chamber(world, lab, name), cover, definition.atmospheres)
    furnace.at_s = world.now_s()
    world.register(name, furnace, *furnace.chamber.reach)
    return LadsLine(world, furnace, serial_number=f"SIM-{name}")


def _furnace_of(lab: LabDefinition, names: Sequence[str]) -> str:
    """The one furnace among ``names``, or the one whose door is."""
    found = [
        name
        for name, device in lab.devices.items()
        if device.kind == "lads_furnace" and (name in names or device.door in names)
    ]
    if len(found) != 1:
        raise ValueError(f"one server stands for one furnace; {list(names)} belong to {found}")
    return found[0]
