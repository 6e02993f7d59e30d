"""A simulated world as plain values, to compare two of them."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import pytest

from simulators.world.matter import Powder
from simulators.world.thermals import FurnaceThermals
from simulators.world.world import World


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Everything in a value, by where it is."""
    if isinstance(value, Powder):
        return leaves(value.__getstate__(), path)
    if isinstance(value, FurnaceThermals):
        return leaves(vars(value), path)
    if isinstance(value, Enum):
        return {path: value.value}
    if is_dataclass(value):
        return leaves({f.name: getattr(value, f.name) for f in fields(value)}, path)
    if isinstance(value, Mapping):
        parts = [(str(key), part) for key, part in value.items()]
    elif isinstance(value, set):
        return {path: sorted(value)}
    elif hasattr(value, "__iter__") and not isinstance(value, str | bytes):
        parts = [(str(number), part) for number, part in enumerate(value)]
    else:
        return {path: value}
    found = {f"{path}/": len(parts)}
    for key, part in parts:
        found |= leaves(part, f"{path}/{key}")
    return found


def picture(world: World) -> dict[str, Any]:
    assert not world.recalled
    devices = {name: device.memory() for name, device in world.devices.items()}
    floor = {
        name: getattr(world, name)
        for name in (
            "crucibles",
            "gripped",
            "holders",
            "heads",
            "mounted",
            "open_doors",
            "crucibles_made",
        )
    }
    return leaves(devices | floor)


def assert_same(found: World, left: World) -> None:
    assert_same_pictures(picture(found), picture(left))


def assert_same_pictures(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert ours.keys() == theirs.keys()
    for where, value in theirs.items():
        expected = pytest.approx(value, rel=1e-9, abs=1e-6) if _is_float(value) else value
        assert ours[where] == expected, where


def _is_float(value: object) -> bool:
    return isinstance(value, float)


def matter_mg(world: World) -> float:
    """All powder there is, where nothing burns off."""
    crucibles = [*world.crucibles.values(), *world.gripped.values()]
    powders = [*(c.powder for c in crucibles), *world.holders.values()]
    return sum(p.mass_mg for p in powders) + sum(h.mass_mg for h in world.heads.values())
