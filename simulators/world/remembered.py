"""State that outlives the process, apart from the wiring that is made anew."""

from collections.abc import Mapping
from typing import Any, ClassVar


class Remembered:
    """Something with a state to go on from.

    Attributes:
        remembered: Names of the attributes that are its state: plain values, dataclasses,
            or parts that are ``Remembered`` themselves. All others follow from the lab
            definition and the seed.
    """

    __slots__ = ()
    remembered: ClassVar[tuple[str, ...]] = ()

    def memory(self) -> dict[str, Any]:
        """Its state, not copied: to be written at once."""
        return {
            name: value.memory() if isinstance(value, Remembered) else value
            for name in self.remembered
            for value in (getattr(self, name),)
        }

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Go on from a state that :meth:`memory` gave in an earlier process."""
        for name, value in memory.items():
            part = getattr(self, name)
            if isinstance(part, Remembered):
                part.recall(value)
            else:
                setattr(self, name, value)
