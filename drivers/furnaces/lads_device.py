"""A client of a LADS-shaped device (OPC 30500-1), shared by its furnace and its cover.

This is the only place where asyncua's exceptions are caught. Values are polled, not
subscribed to: a frozen server lets a subscription go silent, while a read runs into its
time-out. After a server has restarted the old client is dead, so a new one is built and
the nodes are found again, by namespace URI: the index of a namespace may have shifted.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import asyncua.ua
from asyncua.client.client import Client
from asyncua.common.node import Node
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

from alab.errors import CommandRejected, DeviceFault, DeviceUnreachable, MalformedReply
from drivers.transport import ReplyLost

log = logging.getLogger(__name__)
logging.getLogger("asyncua.client").setLevel(logging.CRITICAL)  # it logs what we translate

DI_URI = "http://opcfoundation.org/UA/DI/"
LADS_URI = "http://opcfoundation.org/UA/LADS/"

REPLY_TIMEOUT_S = 4.0
GOODBYE_TIMEOUT_S = 0.5
SESSION_TIMEOUT_MS = 600_000

ua: Any = asyncua.ua
"""asyncua annotates its structures with wire types, which type checkers take literally."""

T = TypeVar("T")
Path = tuple[str, ...]
DEVICE = "device"

_SESSION_LOST = (
    "BadSessionIdInvalid",
    "BadSessionClosed",
    "BadSessionNotActivated",
    "BadSecureChannelIdInvalid",
    "BadSecureChannelClosed",
    "BadSecureChannelTokenUnknown",
    "BadConnectionClosed",
    "BadServerHalted",
    "BadShutdown",
)


class LadsDevice:
    """The one client of an OPC UA server.

    Args:
        endpoint: ``host:port``.
        timeout_s: Real seconds the server may take to answer a request.
    """

    def __init__(self, endpoint: str, *, timeout_s: float = REPLY_TIMEOUT_S) -> None:
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._client: Client | None = None
        self._nodes: dict[Path, Node] = {}
        self._indices: dict[str, int] = {}
        self._users: set[str] = set()

    async def connect(self, device: str) -> str:
        """Connect for ``device`` and read the type plate.

        Raises:
            DeviceUnreachable: If no server answers.
            MalformedReply: If the server has no LADS device.
        """
        async with self._lock:
            await self._open(device)
            self._users.add(device)
        plate = [(DEVICE, f"DI:{name}") for name in ("Manufacturer", "Model", "SerialNumber")]
        return " ".join(str(value) for value in await self.read(device, *plate))

    async def close(self, device: str) -> None:
        """Disconnect once no device uses the server any more; never raises."""
        self._users.discard(device)
        if not self._users:
            async with self._lock:
                await self._drop()

    async def read(self, device: str, *paths: Path) -> list[Any]:
        """Read variables in one request.

        Args:
            device: Name that errors carry.
            paths: Browse names from the functional unit (``LADS:FunctionSet``,
                ``*:Temperature``, …), or after ``DEVICE`` from the device
                (``DI:Model``); ``*`` is any namespace.

        Raises:
            DeviceUnreachable: If no answer came in time.
            DeviceFault: If a value is of Bad quality.
            MalformedReply: If a value is of Uncertain quality, or a node is missing.
        """
        values = await self._with_client(device, lambda client: self._read(client, paths))
        return [_good(device, path, value) for path, value in zip(paths, values, strict=True)]

    async def call(self, device: str, path: Path, *arguments: Any) -> Any:
        """Call a method, once.

        Args:
            device: Name that errors carry.
            path: Browse names from the functional unit to the method.
            arguments: Strings, or lists of strings.

        Raises:
            ReplyLost: If the call was sent and no answer came.
            CommandRejected: If the server declined; the message names its status code.
        """
        name = path[-1].partition(":")[2]
        # a read first: it finds out about a dead session while nothing physical is asked
        await self._with_client(device, lambda client: self._find(client, path))
        await self.read(device, ("LADS:FunctionalUnitState", "0:CurrentState"))
        async with self._lock:
            client = await self._open(device)
            try:
                method = await self._find(client, path)
                parent = await self._find(client, path[:-1])
                variants = [
                    ua.Variant(argument, ua.VariantType.String) for argument in arguments
                ]
                return await parent.call_method(method.nodeid, *variants)
            except (TimeoutError, OSError) as error:
                await self._drop()
                raise ReplyLost(
                    device, f"{name} was called on {self._endpoint}, no answer ({error!r})"
                ) from error
            except UaStatusCodeError as error:
                if _status_name(error.code) in _SESSION_LOST:
                    await self._drop()
                    raise ReplyLost(device, f"{name}: the session ended ({error})") from error
                raise CommandRejected(
                    device, f"{name} was declined: {_status_name(error.code)}"
                ) from error
            except UaError as error:
                await self._drop()
                raise ReplyLost(
                    device, f"{name} was called, its answer makes no sense ({error!r})"
                ) from error

    async def _with_client(self, device: str, ask: Callable[[Client], Awaitable[T]]) -> T:
        """Ask; if the session turns out to be dead, once more with a new client."""
        async with self._lock:
            for is_last in (False, True):
                client = await self._open(device)
                try:
                    return await ask(client)
                except TimeoutError as error:
                    await self._drop()
                    raise DeviceUnreachable(
                        device,
                        f"no answer from {self._endpoint} within {self._timeout_s:g} s; the "
                        "server is frozen or the network down",
                    ) from error
                except OSError as error:
                    await self._drop()
                    if is_last:
                        raise self._unreachable(device, error) from error
                except UaStatusCodeError as error:
                    name = _status_name(error.code)
                    if name not in _SESSION_LOST:
                        raise MalformedReply(
                            device, f"{self._endpoint} answered {name}; is it a LADS device?"
                        ) from error
                    await self._drop()
                    if is_last:
                        raise self._unreachable(device, error) from error
                except UaError as error:
                    await self._drop()
                    raise MalformedReply(device, f"{self._endpoint}: {error!r}") from error
        raise AssertionError("unreachable")

    async def _read(self, client: Client, paths: Sequence[Path]) -> list[Any]:
        nodes = [await self._find(client, path) for path in paths]
        return await client.uaclient.read_attributes(
            [node.nodeid for node in nodes], ua.AttributeIds.Value
        )

    async def _find(self, client: Client, path: Path) -> Node:
        if path not in self._nodes:
            device, unit = await self._device_and_unit(client)
            self._nodes[path] = (
                await self._walk(device, path[1:])
                if path[0] == DEVICE
                else await self._walk(unit, path)
            )
        return self._nodes[path]

    async def _device_and_unit(self, client: Client) -> tuple[Node, Node]:
        devices = await self._walk(client.nodes.objects, ("DI:DeviceSet",))
        for device in await devices.get_children():
            sets = await self._children(device, "LADS:FunctionalUnitSet")
            units = await sets[0].get_children() if sets else []
            if units:
                return device, units[0]
        raise UaStatusCodeError(ua.StatusCodes.BadNotFound)

    async def _walk(self, start: Node, path: Path) -> Node:
        node = start
        for step in path:
            found = await self._children(node, step)
            if not found:
                raise UaStatusCodeError(ua.StatusCodes.BadNotFound)
            node = found[0]
        return node

    async def _children(self, node: Node, step: str) -> list[Node]:
        prefix, _, name = step.partition(":")
        index = None if prefix == "*" else self._indices[prefix]
        found: list[Node] = []
        for description in await node.get_children_descriptions():
            browse_name: Any = description.BrowseName
            if browse_name.Name == name and index in (None, browse_name.NamespaceIndex):
                found.append(Node(node.session, description.NodeId))
        return found

    async def _open(self, device: str) -> Client:
        if self._client is not None:
            return self._client
        client = Client(f"opc.tcp://{self._endpoint}", timeout=self._timeout_s)
        client.session_timeout = SESSION_TIMEOUT_MS
        try:
            async with asyncio.timeout(3 * self._timeout_s):
                await client.connect()
                uris = await client.get_namespace_array()
        except (TimeoutError, OSError, UaError) as error:
            self._client = client
            await self._drop()
            raise self._unreachable(device, error) from error
        except asyncio.CancelledError:
            self._client = client
            await self._drop()
            raise
        self._client = client
        if LADS_URI not in uris or DI_URI not in uris:
            await self._drop()
            raise MalformedReply(
                device,
                f"the OPC UA server at {self._endpoint} has no LADS device (its namespaces: "
                f"{', '.join(uris)}); check the address in the lab file",
            )
        self._indices = {"0": 0, "DI": uris.index(DI_URI), "LADS": uris.index(LADS_URI)}
        return client

    async def _drop(self) -> None:
        client, self._client = self._client, None
        self._nodes.clear()
        if client is None:
            return
        try:
            async with asyncio.timeout(GOODBYE_TIMEOUT_S):
                await client.disconnect()
        except (TimeoutError, OSError, UaError) as error:
            log.debug("%s: no goodbye: %r", self._endpoint, error)
            client.disconnect_socket()

    def _unreachable(self, device: str, error: Exception) -> DeviceUnreachable:
        return DeviceUnreachable(
            device,
            f"no OPC UA server answers at {self._endpoint} ({error!r}); check power, network "
            "and the address in the lab file",
        )


def _status_name(code: int) -> str:
    return ua.StatusCode(code).name


def _good(device: str, path: Path, value: Any) -> Any:
    """The value of a DataValue of good quality; text of a LocalizedText."""
    status = value.StatusCode or ua.StatusCode(ua.StatusCodes.Good)
    what = ".".join(step.partition(":")[2] for step in path)
    if status.is_uncertain():
        raise MalformedReply(
            device, f"{what} is of uncertain quality ({status.name}); not taken for a value"
        )
    if not status.is_good() or value.Value is None:
        raise DeviceFault(
            device,
            f"{what} is of bad quality ({status.name}); look at the sensor and the controller",
        )
    content = value.Value.Value
    return content.Text if isinstance(content, ua.LocalizedText) else content
