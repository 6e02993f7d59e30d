"""Malvern Panalytical Aeris over its automation interface (UAI).

Messages are fields between ``@``, ended by ``@END``; an error is a reply that contains
``fatal``. Results are ``<sample>.xrdml`` in a share that the lab file names:
``tcp://192.168.10.50:702?share=/mnt/aeris``. A location is ``0,<position + offset>``, with
the address option ``offset`` for instruments whose first place is not number 1.

The file must belong to this sample and this scan: a file of that name is moved aside
before a scan starts, and what appears is taken only if it is whole and carries the
sample's name and a start time of this scan.
"""

import asyncio
import logging
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

from alab.clock import Clock
from alab.errors import CommandRejected, DeviceFault, MalformedReply, UnknownOutcome
from alab.lab import Address, DeviceDefinition
from alab.models import Scan
from drivers.transport import Lines, LineTransport, ReplyLost

log = logging.getLogger(__name__)

REPLY_TIMEOUT_S = 5.0
POLL_S = 10.0
SCAN_TIMEOUT_S = 3 * 3600.0
FILE_TIMEOUT_S = 180.0
STAMP_TOLERANCE_S = 60.0
"""How far the instrument's clock may be behind the laboratory's."""

_SAMPLE_NAME = re.compile(r"[A-Za-z0-9._-]+")


class AerisUai:
    """An Aeris in automation mode.

    Args:
        name: Name of the device in the lab file.
        line: TCP line with ``@END`` as terminator.
        share: Folder that the instrument writes results to; None if the lab file says none.
        offset: Location number of position 1, less one.
        clock: Laboratory time.
    """

    def __init__(
        self, name: str, line: LineTransport, share: Path | None, offset: int, clock: Clock
    ) -> None:
        self.name = name
        self._line = line
        self._share_path = share
        self._offset = offset
        self._clock = clock
        self._started: dict[str, datetime] = {}

    async def connect(self) -> str:
        """Open the line, see the instrument answer and the share mounted."""
        await self._line.connect()
        system = (await self._ask("STATUS_REQUEST", "SYSTEM")).get("SYSTEM", "")
        if not system:
            raise MalformedReply(self.name, "it does not say who controls it (SYSTEM=…)")
        share = self._share
        if not share.is_dir():
            raise DeviceFault(
                self.name, f"its result share {share} is no folder here; mount it"
            )
        return f"Aeris (UAI), {system} control, results in {share}"

    async def close(self) -> None:
        """Release the line."""
        await self._line.close()

    async def make_safe(self) -> None:
        """Nothing: a scan ends by itself behind the instrument's own interlocks."""

    async def start_scan(self, *, sample: str, position: int, program: str) -> None:
        """Register ``sample`` at ``position`` and begin to measure it."""
        for what, text in (("sample", sample), ("program", program)):
            if not _SAMPLE_NAME.fullmatch(text):
                raise CommandRejected(
                    self.name, f"{what} {text!r} cannot be sent; use letters, digits and ._-"
                )
        await self._check_free()
        await self._check_location(sample, position, program)
        await asyncio.to_thread(self._move_aside, sample)
        self._started[sample] = self._clock.now()
        try:
            await self._command(
                sample, "MEASURE", f"SAMPLE_ID={sample}", f"APPLICATION={program}"
            )
        except CommandRejected:
            await self._forget(sample)
            raise
        except (ReplyLost, MalformedReply) as error:
            raise UnknownOutcome(
                self.name,
                f"MEASURE {sample} was sent and its reply lost ({error}); ask what is being "
                "measured, never send it again",
            ) from error

    async def finish_scan(self, *, sample: str) -> Scan:
        """Wait for the measurement to end and fetch the file of this very sample."""
        deadline_s = self._clock.monotonic_s() + SCAN_TIMEOUT_S
        while await self._is_busy_with(sample):
            if self._clock.monotonic_s() >= deadline_s:
                raise DeviceFault(
                    self.name,
                    f"{sample} is still being measured after {SCAN_TIMEOUT_S / 3600:g} h; "
                    "look at the goniometer",
                )
            await self._clock.sleep(POLL_S)
        content = await self._wait_for_file(sample)
        await self._forget(sample)
        self._started.pop(sample, None)
        return Scan(filename=f"{sample}.xrdml", content=content)

    async def measuring(self) -> str | None:
        """Return the sample that is being measured, None while idle."""
        if await self._is_ready():
            return None
        inside = await self._sample_inside()
        if not inside:
            raise MalformedReply(
                self.name, "it measures, and does not say which sample; look at its screen"
            )
        return inside

    async def _sample_inside(self) -> str | None:
        """Sample in the goniometer; where the instrument does not say, the one sent last."""
        status = await self._ask("STATUS_REQUEST", "LOCATION=0,0")
        return status.get("SAMPLE_ID") or next(reversed(self._started), None)

    @property
    def _share(self) -> Path:
        if self._share_path is None:
            raise DeviceFault(
                self.name,
                "its address in the lab file names no result share; write "
                "tcp://host:702?share=/path/of/the/share",
            )
        return self._share_path

    async def _is_ready(self) -> bool:
        ready = (await self._ask("STATUS_REQUEST", "UNIT=xrd")).get("READY")
        if ready not in ("yes", "no"):
            raise MalformedReply(self.name, f"READY={ready} is neither yes nor no")
        return ready == "yes"

    async def _is_busy_with(self, sample: str) -> bool:
        return not await self._is_ready() and await self._sample_inside() in (sample, None)

    async def _check_free(self) -> None:
        system = (await self._ask("STATUS_REQUEST", "SYSTEM")).get("SYSTEM")
        if system != "remote":
            raise CommandRejected(
                self.name, f"it is in {system} control; switch it to remote at its screen"
            )
        if not await self._is_ready():
            raise CommandRejected(self.name, "it measures another sample; wait for it")

    async def _check_location(self, sample: str, position: int, program: str) -> None:
        """See the holder there and the sample registered, by us now or earlier."""
        location = f"0,{position + self._offset}"
        status = await self._ask("STATUS_REQUEST", f"LOCATION={location}")
        if status.get("STATE") != "occupied":
            raise CommandRejected(
                self.name,
                f"position {position} (location {location}) reads {status.get('STATE')}; "
                "is the holder there?",
            )
        if status.get("SAMPLE_ID") == sample:
            return
        await self._command(
            sample, "ADD", f"APPLICATION={program}", f"SAMPLE_ID={sample}", f"AT={location}"
        )

    async def _forget(self, sample: str) -> None:
        """Take the sample off the instrument's list; it may be gone already."""
        try:
            await self._command(sample, "REMOVE", f"SAMPLE_ID={sample}")
        except CommandRejected as error:
            log.info("%s", error)

    async def _wait_for_file(self, sample: str) -> bytes:
        path = self._share / f"{sample}.xrdml"
        not_before = self._clock.now() - timedelta(seconds=SCAN_TIMEOUT_S)
        not_before = self._started.get(sample, not_before)
        not_before -= timedelta(seconds=STAMP_TOLERANCE_S)
        deadline_s = self._clock.monotonic_s() + FILE_TIMEOUT_S
        while True:
            content = await asyncio.to_thread(_content, path)
            objection = objection_to(content, sample, not_before)
            if content is not None and not objection:
                return content
            if self._clock.monotonic_s() >= deadline_s:
                raise DeviceFault(
                    self.name,
                    f"no result of {sample} within {FILE_TIMEOUT_S:g} s after the scan: "
                    f"{path} {objection}; look into the share",
                )
            await self._clock.sleep(POLL_S)
            await self._is_ready()  # an instrument that has died would never write it

    def _move_aside(self, sample: str) -> None:
        """Rename an older result of this sample, so that it cannot pass for the new one."""
        path = self._share / f"{sample}.xrdml"
        try:
            if path.exists():
                stamp = f"{self._clock.now():%Y%m%dT%H%M%S}"
                path.rename(path.with_name(f"{sample}.before-{stamp}.xrdml"))
        except OSError as error:
            raise DeviceFault(
                self.name,
                f"cannot move {path} aside ({error}); make the share writable",
            ) from error

    async def _ask(self, *fields: str) -> dict[str, str]:
        """Put a question that changes nothing."""
        reply = await self._exchange(*fields)
        if "fatal" in reply.lower():
            raise DeviceFault(self.name, f"{'@'.join(fields)} was answered by {reply!r}")
        return _fields(reply)

    async def _command(self, sample: str, *fields: str) -> None:
        reply = await self._exchange("SAMPLE", *fields)
        if "fatal" in reply.lower():
            raise CommandRejected(self.name, f"{'@'.join(fields)} was answered by {reply!r}")
        if _fields(reply).get("SAMPLE_ID", sample) != sample:
            raise MalformedReply(
                self.name, f"{'@'.join(fields)} was answered for another sample: {reply!r}"
            )

    async def _exchange(self, *fields: str) -> str:
        message = ("@" + "@".join(fields)).encode()
        reply = await self._line.exchange(message, timeout_s=REPLY_TIMEOUT_S)
        return reply.decode("utf-8", errors="replace").strip("@\r\n ")


def objection_to(content: bytes | None, sample: str, not_before: datetime) -> str:
    """Say why a result file is not the one that is waited for; empty if it is.

    Args:
        content: The file, None if there is none.
        sample: Sample that was measured.
        not_before: Earliest start of the scan, aware.
    """
    if content is None:
        return "is not there"
    try:
        root = ET.fromstring(content)  # noqa: S314 - our own instrument's file
    except ET.ParseError as error:
        return f"is cut off or no XML ({error})"
    found = (root.findtext("{*}sample/{*}id") or "").strip()
    if found != sample:
        return f"belongs to {found or 'nobody'}"
    scan = root.find("{*}xrdMeasurement/{*}scan")
    if scan is None or scan.get("status", root.get("status")) != "Completed":
        return "holds no completed scan"
    if not (
        scan.findtext("{*}dataPoints/{*}counts")
        or scan.findtext("{*}dataPoints/{*}intensities")
    ):
        return "holds no counts"
    text = (scan.findtext("{*}header/{*}startTimeStamp") or "").strip()
    try:
        started_at = datetime.fromisoformat(text)
    except ValueError:
        return f"has no start time ({text!r})"
    if started_at.tzinfo is None:
        started_at = started_at.replace(tzinfo=UTC)
    if started_at < not_before:
        return f"is of an earlier scan, started {started_at.isoformat()}"
    return ""


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None  # not there yet, or being written


def _fields(reply: str) -> dict[str, str]:
    """Fields of a reply; both ``@`` and line ends separate them."""
    parts = re.split(r"[@\r\n]+", reply)
    return dict(part.strip().split("=", 1) for part in parts if "=" in part)


def make(name: str, definition: DeviceDefinition, lines: Lines, clock: Clock) -> AerisUai:
    """Make the driver; opens no line yet."""
    address = Address.parse(definition.address)
    line = lines.tcp(address, device=name, terminator=b"@END")
    share = address.option("share", "")
    offset = int(address.option("offset", "0"))
    return AerisUai(name, line, Path(share) if share else None, offset, clock)
