"""Names of the programs stored on a robot arm's controller.

One program picks from or places into one slot, so that the teaching points live on the
arm and the laboratory only says which. A slot of a place with several slots is written
``rack_1.7``; program names use underscores because controllers dislike other signs.
"""

EXTENSION = ".urp"


def slot_name(place: str, number: int, slots: int) -> str:
    """Name slot ``number`` (from 1) of a place: ``rack_1.7``, or ``mixer`` if it has one."""
    return f"{place}.{number}" if slots > 1 else place


def pick(slot: str) -> str:
    """Program that takes the crucible out of ``slot``."""
    return f"pick_{slot.replace('.', '_')}{EXTENSION}"


def place(slot: str) -> str:
    """Program that sets the gripped crucible down in ``slot``."""
    return f"place_{slot.replace('.', '_')}{EXTENSION}"


def mount_head(number: int) -> str:
    """Program that brings dosing head ``number`` to the doser and the mounted one home."""
    return f"mount_head_{number}{EXTENSION}"


def fill_holder(slot: str) -> str:
    """Program that fills the XRD holder at ``slot`` from the gripped crucible."""
    return f"fill_holder_{slot.replace('.', '_')}{EXTENSION}"


def empty_holder(slot: str) -> str:
    """Program that empties and cleans the XRD holder at ``slot``."""
    return f"empty_holder_{slot.replace('.', '_')}{EXTENSION}"
