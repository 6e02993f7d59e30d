"""The lab definition: which devices, places and powders this laboratory has.

A lab file is TOML. Every mistake in it is reported with file, line and key::

    lab.toml:14: devices.furnace_a.max_temperature_c: 1300 °C is above 1100 °C, the
    limit of furnace class 'box_1100'; lower it or name the right class
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from alab.errors import LabFileError, TargetError
from alab.formulas import plain_formula
from alab.models import Atmosphere, FiringLimits
from alab.programs import slot_name

FURNACE_CLASSES_C: dict[str, float] = {
    "box_1100": 1100.0,
    "box_1200": 1200.0,
    "box_1500": 1500.0,
    "box_1700": 1700.0,
    "tube_1200": 1200.0,
    "tube_1600": 1600.0,
}
"""Highest working temperature of a furnace class, by its heating elements."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]


def _formula(key: str) -> str:
    try:
        return plain_formula(key)
    except TargetError as error:
        raise ValueError(str(error)) from error


Formula = Annotated[str, AfterValidator(_formula)]


class Capability(StrEnum):
    """What a device can do for the laboratory; see alab.protocols."""

    DOSER = "doser"
    MIXER = "mixer"
    ARM = "arm"
    FURNACE = "furnace"
    DOOR = "door"
    DIFFRACTOMETER = "diffractometer"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKind:
    """A kind of device that a driver exists for.

    Attributes:
        kind: Stem of the driver's file, and the word in the lab file.
        capability: What it can do.
        schemes: Address schemes the driver speaks: ``serial``, ``tcp``, ``opc.tcp``.
        title: Maker and model, for people.
    """

    kind: str
    capability: Capability
    schemes: tuple[str, ...]
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a device answers: ``serial:///dev/ttyUSB0?unit=1``, ``tcp://host:29999``.

    Attributes:
        scheme: ``serial``, ``tcp`` or ``opc.tcp``.
        port: The line itself: a serial device path, or ``host:port``.
        options: What distinguishes devices on one line (``unit``, ``door``).
    """

    scheme: str
    port: str
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read an address as written in a lab file.

        Raises:
            ValueError: If it has no scheme or no port.
        """
        parts = urlsplit(text)
        port = parts.path if parts.scheme == "serial" else parts.netloc
        if not parts.scheme or not port:
            raise ValueError(
                f"{text!r} is no address; write serial:///dev/ttyUSB0?unit=1, "
                "tcp://192.168.0.21:29999 or opc.tcp://192.168.0.30:4840"
            )
        if parts.scheme != "serial" and parts.port is None:
            raise ValueError(f"{text!r} names no port; write {text}:PORT")
        return cls(
            scheme=parts.scheme, port=port, options=tuple(sorted(parse_qsl(parts.query)))
        )

    def option(self, key: str, default: str) -> str:
        """Return an option of the query part."""
        return dict(self.options).get(key, default)

    def __str__(self) -> str:
        query = "&".join(f"{key}={value}" for key, value in self.options)
        return f"{self.scheme}://{self.port}" + (f"?{query}" if query else "")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class DeviceDefinition(_Strict):
    """One device of the lab file.

    Furnaces have the fields from ``furnace_class`` on, a diffractometer may name its
    instrument file (made by ``alab calibrate``); others leave them out.
    """

    kind: str
    address: str
    furnace_class: str | None = Field(None, alias="class")
    max_temperature_c: float | None = Field(None, gt=0)
    max_ramp_c_per_min: float = Field(15.0, gt=0)
    atmospheres: tuple[Atmosphere, ...] = (Atmosphere.AIR,)
    door: str | None = None
    door_limit_c: float = Field(200.0, gt=0)
    resolution_mg: float = Field(0.1, gt=0)
    min_dose_mg: float = Field(5.0, gt=0)
    instrument: Path | None = None


class PlaceDefinition(_Strict):
    """Somewhere a crucible can stand.

    Attributes:
        slots: How many crucibles fit.
        device: The device this place belongs to, None for racks.
        arms: Arms that reach it.
    """

    slots: int = Field(1, ge=1, le=2000)
    device: str | None = None
    arms: tuple[str, ...]


class PrecursorDefinition(_Strict):
    """A powder on the shelf.

    Attributes:
        mass_g: How much is there when the data directory is made.
        head: Number of the dosing head that holds it, from 1.
    """

    mass_g: float = Field(ge=0)
    head: int = Field(ge=1)


class LabDefinition(_Strict):
    """A whole laboratory, as its lab file says.

    Attributes:
        name: Name of the laboratory.
        crucibles: Empty crucibles in the dispenser when the data directory is made.
        crucible_dispenser: Place that empty crucibles are picked from.
        archive: Place that finished crucibles go to.
        rack: Place where samples have their home slot.
        scan_program: Measurement program of the diffractometer.
        longest_wait_h: A sample ready to fire waits at most this long for company.
    """

    name: str
    crucibles: int = Field(ge=0)
    crucible_dispenser: str = "crucibles"
    archive: str = "archive"
    rack: str = "rack"
    scan_program: str = "alab_8min"
    longest_wait_h: float = Field(3.0, gt=0)
    devices: dict[Name, DeviceDefinition]
    places: dict[Name, PlaceDefinition]
    precursors: dict[Formula, PrecursorDefinition]

    def slots(self, place: str) -> list[str]:
        """Names of all slots of a place."""
        count = self.places[place].slots
        return [slot_name(place, number, count) for number in range(1, count + 1)]

    def place_of(self, slot: str) -> str:
        """Name of the place that a slot belongs to."""
        return slot.split(".")[0]

    def place_at(self, device: str) -> str:
        """The place that belongs to a device.

        Raises:
            KeyError: If the device has none.
        """
        for name, place in self.places.items():
            if place.device == device:
                return name
        raise KeyError(device)

    def addresses(self) -> dict[str, Address]:
        """Address of every device."""
        return {name: Address.parse(d.address) for name, d in self.devices.items()}

    def with_addresses(self, addresses: Mapping[str, str]) -> "LabDefinition":
        """The same laboratory at other addresses: this is all that simulation changes."""
        devices = {
            name: device.model_copy(update={"address": addresses.get(name, device.address)})
            for name, device in self.devices.items()
        }
        return self.model_copy(update={"devices": devices})

    def with_files_in(self, folder: Path) -> "LabDefinition":
        """The same laboratory, its relative paths taken from the folder of its lab file."""
        devices = {
            name: device.model_copy(update={"instrument": folder / device.instrument})
            if device.instrument is not None
            else device
            for name, device in self.devices.items()
        }
        return self.model_copy(update={"devices": devices})

    def devices_with(
        self, capability: Capability, kinds: Mapping[str, DeviceKind]
    ) -> list[str]:
        """Names of the devices that can do something, in file order."""
        return [
            name
            for name, device in self.devices.items()
            if kinds[device.kind].capability is capability
        ]

    def arm_for(self, *slots: str) -> str:
        """The first arm that reaches all these slots.

        Raises:
            LabFileError: If no arm does.
        """
        reach = [self.places[self.place_of(slot)].arms for slot in slots]
        for arm in reach[0]:
            if all(arm in arms for arms in reach):
                return arm
        raise LabFileError(
            f"no arm reaches {' and '.join(slots)}; add one to 'arms' of those places"
        )

    def firing_limits(self, furnace: str) -> FiringLimits:
        """What one furnace can do."""
        device = self.devices[furnace]
        return FiringLimits(
            max_temperature_c=device.max_temperature_c or 0.0,
            max_ramp_c_per_min=device.max_ramp_c_per_min,
            atmospheres=device.atmospheres,
        )


def load_lab(path: Path, kinds: Mapping[str, DeviceKind]) -> LabDefinition:
    """Read and check a lab file.

    Args:
        path: The TOML file.
        kinds: Every device kind that has a driver.

    Raises:
        LabFileError: Naming file, line and key of every mistake found, one a line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LabFileError(
            f"cannot read lab file {path}: {error}; 'alab init' writes an example"
        ) from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(path, text, str(error)) from error
    try:
        lab = LabDefinition.model_validate(table).with_files_in(path.parent)
    except ValidationError as error:
        mistakes = [
            (_path_in_file(e["loc"]), _in_words(e["msg"], e["type"])) for e in error.errors()
        ]
        raise _mistakes(path, text, mistakes) from error
    if mistakes := [*_device_mistakes(lab, kinds), *_place_mistakes(lab, kinds)]:
        raise _mistakes(path, text, mistakes)
    return lab


Mistake = tuple[tuple[str, ...], str]


def _device_mistakes(lab: LabDefinition, kinds: Mapping[str, DeviceKind]) -> list[Mistake]:
    found: list[Mistake] = []
    seen: dict[tuple[str, str, tuple[tuple[str, str], ...]], str] = {}
    for name, device in lab.devices.items():
        here = ("devices", name)
        kind = kinds.get(device.kind)
        if kind is None:
            known = ", ".join(sorted(kinds))
            found.append(
                ((*here, "kind"), f"unknown device kind {device.kind!r}; known: {known}")
            )
            continue
        try:
            address = Address.parse(device.address)
        except ValueError as error:
            found.append(((*here, "address"), str(error)))
        else:
            if address.scheme not in kind.schemes:
                found.append(
                    (
                        (*here, "address"),
                        f"a {device.kind} speaks {' or '.join(kind.schemes)}, "
                        f"not {address.scheme!r}",
                    )
                )
            key = (address.scheme, address.port, address.options)
            if key in seen:
                found.append(
                    (
                        (*here, "address"),
                        f"{address} is the address of {seen[key]!r} already; give each "
                        "device a port (or a unit or door on a shared one) of its own",
                    )
                )
            seen.setdefault(key, name)
        if device.instrument is not None:
            found += _instrument_mistakes((*here, "instrument"), device.instrument, kind)
        if kind.capability is Capability.FURNACE:
            found += _furnace_mistakes(lab, name, device, kinds)
    return found


def _instrument_mistakes(here: tuple[str, ...], file: Path, kind: DeviceKind) -> list[Mistake]:
    if kind.capability is not Capability.DIFFRACTOMETER:
        return [(here, "only a diffractometer has an instrument file; take it out")]
    if not file.is_file():
        return [(here, f"there is no file {file}; make it with 'alab calibrate'")]
    return []


def _furnace_mistakes(
    lab: LabDefinition,
    name: str,
    device: DeviceDefinition,
    kinds: Mapping[str, DeviceKind],
) -> list[Mistake]:
    here = ("devices", name)
    found: list[Mistake] = []
    limit_c = FURNACE_CLASSES_C.get(device.furnace_class or "")
    if limit_c is None:
        known = ", ".join(FURNACE_CLASSES_C)
        found.append(
            (
                (*here, "class"),
                f"unknown furnace class {device.furnace_class!r}; known: {known}",
            )
        )
    if device.max_temperature_c is None:
        found.append(((*here, "max_temperature_c"), "a furnace needs its highest setpoint"))
    elif limit_c is not None and device.max_temperature_c > limit_c:
        found.append(
            (
                (*here, "max_temperature_c"),
                f"{device.max_temperature_c:g} °C is above {limit_c:g} °C, the limit of "
                f"furnace class {device.furnace_class!r}; lower it or name the right class",
            )
        )
    if device.door is not None and (
        device.door not in lab.devices
        or lab.devices[device.door].kind not in kinds
        or kinds[lab.devices[device.door].kind].capability is not Capability.DOOR
    ):
        found.append(((*here, "door"), f"{device.door!r} is no door among the devices"))
    if not any(place.device == name for place in lab.places.values()):
        found.append((here, f"no place belongs to it; add one with device = {name!r}"))
    return found


def _place_mistakes(lab: LabDefinition, kinds: Mapping[str, DeviceKind]) -> list[Mistake]:
    found: list[Mistake] = []
    for name, place in lab.places.items():
        here = ("places", name)
        if place.device is not None and place.device not in lab.devices:
            found.append(((*here, "device"), f"{place.device!r} is not among the devices"))
        for arm in place.arms:
            device = lab.devices.get(arm)
            if device is None or (
                device.kind in kinds and kinds[device.kind].capability is not Capability.ARM
            ):
                found.append(((*here, "arms"), f"{arm!r} is no arm among the devices"))
        if name in lab.devices:
            found.append((here, "a device has this name; a gripper is a place called so"))
    owners = Counter(place.device for place in lab.places.values() if place.device)
    found += [
        (("places",), f"{owner!r} has {count} places; a device has one, with several slots")
        for owner, count in owners.items()
        if count > 1
    ]
    found += [
        ((key,), f"no place is named {place!r}")
        for key, place in (
            ("crucible_dispenser", lab.crucible_dispenser),
            ("archive", lab.archive),
            ("rack", lab.rack),
        )
        if place not in lab.places
    ]
    heads = Counter(precursor.head for precursor in lab.precursors.values())
    found += [
        (
            ("precursors", formula, "head"),
            f"head {precursor.head} holds {heads[precursor.head]} powders; one each",
        )
        for formula, precursor in lab.precursors.items()
        if heads[precursor.head] > 1
    ]
    return found


def _path_in_file(location: Sequence[int | str]) -> tuple[str, ...]:
    return tuple(str(part) for part in location if part != "[key]")


def _in_words(message: str, kind: str) -> str:
    words: dict[str, str] = {
        "extra_forbidden": "unknown key; remove it, or look for a typing error",
        "missing": "is missing",
    }
    return words.get(kind, message.removeprefix("Value error, "))


def _not_toml(path: Path, text: str, message: str) -> LabFileError:
    """What the TOML reader says, with the key of the line that it names."""
    found = re.search(r"\(at line (\d+)", message)
    number = int(found[1]) if found else max(1, len(text.splitlines()))
    key = [path for line, path in _paths(text) if line <= number][-1:]
    where = ".".join(key[0]) if key else "(top level)"
    return LabFileError(f"{path.name}:{number}: {where}: not valid TOML: {message}")


def _mistakes(path: Path, text: str, mistakes: Sequence[Mistake]) -> LabFileError:
    return LabFileError(
        "\n".join(
            f"{path.name}:{_line_of(text, keys)}: {'.'.join(keys)}: {message}"
            for keys, message in mistakes
        )
    )


def _line_of(text: str, keys: Sequence[str]) -> int:
    """Line, from 1, of the deepest of ``keys`` that can be found in a TOML text."""
    best_line, best_depth = 1, 0
    for number, path in _paths(text):
        depth = len(path)
        if tuple(keys[:depth]) == path and depth > best_depth:
            best_line, best_depth = number, depth
    return best_line


def _paths(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Line, from 1, and full key of each header and entry of a TOML text.

    tomllib keeps no positions, so this walks the text.
    """
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[{1,2}\s*([^\]]+?)\s*\]", line):
            table = _split_key(header[1])
            yield number, table
        elif entry := re.match(r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*'|\s*\.\s*)+?)\s*=", line):
            yield number, (*table, *_split_key(entry[1]))


def _split_key(dotted: str) -> tuple[str, ...]:
    return tuple(
        part.strip("\"' ") for part in re.findall(r"\"[^\"]*\"|'[^']*'|[\w()-]+", dotted)
    )
