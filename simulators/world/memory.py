"""The memory of a simulated world: a journal that never lags behind what was told.

The file begins with a line that names the format, and the latest world time anybody was
answered at (a double, overwritten in place). Then come frames, each with length and CRC-32:
the first describes the whole world, each later one what stands and works at the names that
were marked. Between two frames everything follows from physics and seed, so that a world
recalled at a later time is the one that would have been.

A frame is handed to the operating system before the answer it belongs to goes out: it
survives the death of this process at any moment. A sudden power cut may cost the last
seconds, because only whole pictures are forced onto the disk: at start, at a clean stop, and
whenever the journal has grown by :data:`LARGEST_JOURNAL_BYTES`.
"""

import os
import pickle
import struct
import zlib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from alab.errors import StoreError
from simulators.world.matter import Powder
from simulators.world.world import World

FORMAT = 1
"""Raise it with every change of what devices and powders remember."""

LARGEST_JOURNAL_BYTES = 64 * 1024 * 1024

_TITLE = b"alab simulated world "
_OPENING = _TITLE + b"%04d\n" % FORMAT
_TIME = struct.Struct("<d")
_FRAME = struct.Struct("<II")
_FRAMES_AT = len(_OPENING) + _TIME.size
_NOT_OURS = (pickle.UnpicklingError, AttributeError, ImportError, TypeError, ValueError)
_SAME_TIME_S = 1e-3
"""Stamps are kept to the microsecond: a difference below this is none."""


class Memory:
    """Keeps one world in one file.

    Args:
        path: The file; its folder exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._end = 0
        self._journal_bytes = 0
        self._kept_s = 0.0

    def recall(self, world: World) -> None:
        """Bring ``world`` into the remembered state, if there is one.

        The world goes on at the remembered time, or at the laboratory's, whichever is
        later: no time passes while the laboratory is down. Its epoch is shifted so that
        ``epoch + now_s()`` stays the laboratory's time.

        Args:
            world: A new world, as yet without devices.

        Raises:
            StoreError: If the file is damaged, of another version, or of another seed.
        """
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unreadable(str(error.strerror)) from error
        kept_s, frames = self._read(content)
        first, *_ = frames
        if first["seed"] != world.seed:
            raise self._unreadable(f"it has seed {first['seed']}, not {world.seed}")
        for frame in frames:
            _apply(frame, world)
        _go_on(world, first["epoch"], max(kept_s, frames[-1]["now_s"]))

    def open(self, world: World) -> None:
        """Begin to keep ``world``: write all of it, then wait for changes.

        Raises:
            StoreError: If the file cannot be written.
        """
        self._write_whole(world)
        world.keeper = self

    def close(self, world: World) -> None:
        """Write all of it once more and release the file; may be called twice.

        Raises:
            StoreError: If the file cannot be written.
        """
        if world.keeper is not self:
            return
        world.keeper = None
        with world.lock:
            try:
                self._write_whole(world)
            finally:
                self.abandon()

    def abandon(self) -> None:
        """Release the file as it is, like a process that is killed; may be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def keep(self, world: World, names: Mapping[str | int, None]) -> None:
        """Append what stands and works at ``names``, and the present.

        Raises:
            StoreError: If the file cannot be written.
        """
        if self._fd < 0:
            return
        now_s = world.now_s()
        try:
            if names:
                self._append(_frame(world, now_s, names))
            if now_s != self._kept_s:
                os.pwrite(self._fd, _TIME.pack(now_s), len(_OPENING))
                self._kept_s = now_s
        except OSError as error:
            raise self._unwritable(error) from error
        if self._journal_bytes > LARGEST_JOURNAL_BYTES:
            self._write_whole(world)

    def _append(self, frame: bytes) -> None:
        _put(self._fd, frame, self._end)
        self._end += len(frame)
        self._journal_bytes += len(frame)

    def _write_whole(self, world: World) -> None:
        """Replace the file by a picture of the whole world, which is then on the disk."""
        now_s = world.now_s()
        content = _OPENING + _TIME.pack(now_s) + _whole(world, now_s)
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
            try:
                _put(fd, content, 0)
                os.fsync(fd)
                new.replace(self._path)
                _force(self._path.parent)
            except OSError:
                os.close(fd)
                raise
        except OSError as error:
            raise self._unwritable(error) from error
        self.abandon()
        self._fd, self._end = fd, len(content)
        self._journal_bytes, self._kept_s = 0, now_s

    def _read(self, content: bytes) -> tuple[float, list[dict[str, Any]]]:
        if content.startswith(_TITLE) and not content.startswith(_OPENING):
            other = content[len(_TITLE) : len(_OPENING)].decode("ascii", "replace").strip()
            raise self._unreadable(f"it has format {other}, and this alab writes {FORMAT:04d}")
        if len(content) < _FRAMES_AT or not content.startswith(_OPENING):
            raise self._unreadable("it does not begin like one")
        frames = list(self._frames(content))
        if not frames or "seed" not in frames[0]:
            raise self._unreadable("it breaks off before its first picture is complete")
        (kept_s,) = _TIME.unpack_from(content, len(_OPENING))
        return kept_s, frames

    def _frames(self, content: bytes) -> Iterator[dict[str, Any]]:
        """All complete frames; what a kill cut off at the end was told to nobody."""
        at = _FRAMES_AT
        while at + _FRAME.size <= len(content):
            length, checksum = _FRAME.unpack_from(content, at)
            body = content[at + _FRAME.size : at + _FRAME.size + length]
            if len(body) < length:
                return
            if zlib.crc32(body) != checksum:
                raise self._unreadable(f"the checksum at byte {at} is wrong")
            try:
                yield pickle.loads(body)  # noqa: S301  # our own, checked
            except _NOT_OURS as error:
                raise self._unreadable(f"another alab wrote it: {error}") from error
            at += _FRAME.size + length

    def _unreadable(self, why: str) -> StoreError:
        return StoreError(
            f"the remembered world {self._path} cannot be read: {why}; put back a copy of the "
            "whole data directory, or start with a new --data-dir"
        )

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(
            f"cannot remember the simulated world in {self._path}: {error.strerror}; "
            "make room, or start with a new --data-dir"
        )


def _whole(world: World, now_s: float) -> bytes:
    names = dict.fromkeys(
        (
            *world.recalled,
            *world.devices,
            *world.crucibles,
            *world.gripped,
            *world.holders,
            *world.mounted,
            *world.heads,
        )
    )
    return _frame(world, now_s, names, seed=world.seed, epoch=world.epoch)


def _frame(
    world: World, now_s: float, names: Mapping[str | int, None], **more: object
) -> bytes:
    content = {
        "now_s": now_s,
        "spots": {name: _spot(world, name) for name in names if isinstance(name, str)},
        "heads": {number: world.heads[number] for number in names if isinstance(number, int)},
        "open_doors": world.open_doors,
        "crucibles_made": world.crucibles_made,
        **more,
    }
    body = pickle.dumps(content, protocol=5)
    return _FRAME.pack(len(body), zlib.crc32(body)) + body


def _spot(world: World, name: str) -> tuple[Any, ...]:
    """What stands and works under one name; None for what does not."""
    device = world.devices.get(name)
    return (
        world.recalled.get(name) if device is None else device.memory(),
        world.crucibles.get(name),
        world.gripped.get(name),
        world.holders.get(name),
        world.mounted.get(name),
    )


def _apply(frame: Mapping[str, Any], world: World) -> None:
    tables = (world.recalled, world.crucibles, world.gripped, world.holders, world.mounted)
    for name, values in frame["spots"].items():
        for table, value in zip(tables, values, strict=True):
            if value is None:
                table.pop(name, None)
            else:
                table[name] = value
    world.heads.update(frame["heads"])
    world.open_doors = frame["open_doors"]
    world.crucibles_made = frame["crucibles_made"]


def _go_on(world: World, epoch: Any, kept_s: float) -> None:
    laboratory_at = world.epoch + timedelta(seconds=world.now_s())
    passed_s = (laboratory_at - epoch).total_seconds()
    resume_s = passed_s if passed_s > kept_s + _SAME_TIME_S else kept_s
    clock_s, start_s = world.now_s, world.now_s()
    world.now_s = lambda: resume_s + (clock_s() - start_s)
    if abs(passed_s - resume_s) > _SAME_TIME_S:
        epoch = laboratory_at - timedelta(seconds=resume_s)
    world.epoch = epoch
    for vessel in (*world.crucibles.values(), *world.gripped.values()):
        _revive(vessel.powder, world)
    for powder in world.holders.values():
        _revive(powder, world)


def _revive(powder: Powder, world: World) -> None:
    powder.chemistry = world.nature


def _put(fd: int, content: bytes, at: int) -> None:
    while content:
        written = os.pwrite(fd, content, at)
        content, at = content[written:], at + written


def _force(folder: Path) -> None:
    """Make a renamed file last: the entry in its folder is on the disk."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
