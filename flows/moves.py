"""Moving a crucible: two arm programs, and the bookkeeping that belongs to them."""

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from alab import programs
from alab.claims import Lease
from alab.commands import RunProgram
from alab.intents import Effect
from alab.laboratory import CRUCIBLES, Laboratory
from alab.store.tables import SlotRow, StockRow


async def move(
    laboratory: Laboratory, key: str, sample: str, source: str, goal: str, lease: Lease
) -> None:
    """Carry the crucible of ``sample`` from one slot to another.

    Args:
        laboratory: Where.
        key: Name of the move, unique for ever.
        sample: Whose crucible.
        source: Slot it stands in.
        goal: Free slot it goes to.
        lease: Lease that covers the arm.
    """
    arm = laboratory.lab.arm_for(source, goal)
    await pick(laboratory, f"{key}/pick", sample, source, arm, lease)
    await put(laboratory, f"{key}/place", sample, goal, arm, lease)


async def pick(
    laboratory: Laboratory, key: str, sample: str, source: str, arm: str, lease: Lease
) -> None:
    """Take the crucible of ``sample`` out of a slot."""

    def effect(session: Session, _result: dict[str, Any]) -> None:
        if source == laboratory.lab.crucible_dispenser:
            session.get_one(StockRow, CRUCIBLES).amount -= 1
        else:
            session.get_one(SlotRow, source).sample = None
        session.get_one(SlotRow, arm).sample = sample

    command = RunProgram(program=programs.pick(source), takes_from=source)
    await laboratory.gateway.perform(key, arm, command, lease=lease, effect=effect)


async def put(
    laboratory: Laboratory, key: str, sample: str, goal: str, arm: str, lease: Lease
) -> None:
    """Set the gripped crucible of ``sample`` down in a slot."""

    def effect(session: Session, _result: dict[str, Any]) -> None:
        session.get_one(SlotRow, goal).sample = sample
        session.get_one(SlotRow, arm).sample = None

    command = RunProgram(program=programs.place(goal), puts_into=goal)
    await laboratory.gateway.perform(key, arm, command, lease=lease, effect=effect)


def occupy(slot: str, sample: str | None) -> Effect:
    """An effect that writes who is in a slot."""

    def effect(session: Session, _result: dict[str, Any]) -> None:
        session.get_one(SlotRow, slot).sample = sample

    return effect


def keep_slot(laboratory: Laboratory, slot: str, sample: str) -> None:
    """Reserve a slot for a sample beyond its lease: an act that is under way ends there."""
    with laboratory.store.begin() as session:
        session.get_one(SlotRow, slot).reserved_by = sample


def kept_slot(laboratory: Laboratory, place: str, sample: str) -> str | None:
    """The slot of a place that a sample stands in or has kept, perhaps in an earlier run."""
    with laboratory.store.begin() as session:
        return session.scalar(
            select(SlotRow.slot).where(
                SlotRow.place == place,
                (SlotRow.sample == sample) | (SlotRow.reserved_by == sample),
            )
        )


def let_go(laboratory: Laboratory, place: str, sample: str) -> None:
    """Give up the slots of a place that a sample had kept."""
    with laboratory.store.begin() as session:
        session.execute(
            update(SlotRow)
            .where(SlotRow.place == place, SlotRow.reserved_by == sample)
            .values(reserved_by=None)
        )
    laboratory.claims.grant()
