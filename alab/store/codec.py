"""Values of alab.models as JSON, and back."""

import json
import zlib
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def encode(value: Any) -> dict[str, Any]:
    """Write a model value as a JSON object."""
    return _adapter(type(value)).dump_python(value, mode="json")


def decode(kind: type[T], table: dict[str, Any]) -> T:
    """Read a model value from a JSON object."""
    return _adapter(kind).validate_python(table)


def pack(value: Any) -> bytes:
    """Write JSON data compressed."""
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode())


def unpack(content: bytes) -> Any:
    """Read what :func:`pack` wrote."""
    return json.loads(zlib.decompress(content))
