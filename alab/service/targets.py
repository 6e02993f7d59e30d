"""The list of targets that wait for a campaign.

A target is checked and normalised when it is listed, against the powders on the shelf, so
that a campaign starts with formulas that can be made here.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from alab.errors import BadInput, TargetError
from alab.store.tables import StockRow, TargetRow

LISTED = "listed"
COLUMNS = ("formula", "priority", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedTarget:
    """A target as a person handed it in.

    Attributes:
        formula: The compound.
        priority: Larger goes first.
        note: Whatever the person wants to remember.
        origin: Where it was written (``targets.csv:3``), for messages; may be empty.
    """

    formula: str
    priority: int = 0
    note: str = ""
    origin: str = ""


def read_targets(path: Path) -> list[WantedTarget]:
    """Read a CSV file with the column ``formula`` and, if wanted, ``priority`` and ``note``.

    Raises:
        BadInput: Naming file and line of every mistake, one a line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(_rows(csv.reader(file, strict=True), path))
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path.name} is no UTF-8 text: {error}; save it as UTF-8") from error
    except csv.Error as error:
        raise BadInput(f"{path.name} is no CSV: {error}") from error
    if not rows:
        raise BadInput(f"{path.name} holds no target; write one formula a line")
    wanted: list[WantedTarget] = []
    mistakes: list[str] = []
    for origin, cells in rows:
        try:
            wanted.append(_wanted(origin, cells))
        except BadInput as error:
            mistakes.append(str(error))
    if mistakes:
        raise BadInput("\n".join(mistakes))
    return wanted


def _rows(reader: Iterable[list[str]], path: Path) -> Iterable[tuple[str, Mapping[str, str]]]:
    header: list[str] | None = None
    for cells in reader:
        line = reader.line_num  # type: ignore[attr-defined]
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = _header(cells, f"{path.name}:{line}")
            continue
        if len(cells) > len(header):
            raise BadInput(
                f"{path.name}:{line}: {len(cells)} cells under {len(header)} columns; "
                'put text that holds commas in "quotes"'
            )
        yield f"{path.name}:{line}", dict(zip(header, cells, strict=False))


def _header(cells: Sequence[str], origin: str) -> list[str]:
    header = [cell.strip().lower() for cell in cells]
    if "formula" not in header:
        raise BadInput(f"{origin}: no column 'formula'; the first line names the columns")
    if unknown := [name for name in header if name not in COLUMNS]:
        raise BadInput(
            f"{origin}: unknown column {', '.join(map(repr, unknown))}; "
            f"possible: {', '.join(COLUMNS)}"
        )
    return header


def _wanted(origin: str, cells: Mapping[str, str]) -> WantedTarget:
    formula = cells.get("formula", "").strip()
    if not formula:
        raise BadInput(f"{origin}: the formula is missing")
    priority = cells.get("priority", "").strip() or "0"
    try:
        number = int(priority)
    except ValueError:
        raise BadInput(
            f"{origin}: priority {priority!r} is no whole number; larger goes first"
        ) from None
    note = cells.get("note", "").strip()
    return WantedTarget(formula=formula, priority=number, note=note, origin=origin)


def shelf(session: Session) -> dict[str, float]:
    """Powder left of each precursor, in mg."""
    rows = session.scalars(select(StockRow).where(StockRow.unit == "mg"))
    return {row.item: row.amount for row in rows}


def check_targets(
    wanted: Iterable[WantedTarget], shelf_mg: Mapping[str, float]
) -> list[WantedTarget]:
    """Normalise formulas, all or nothing.

    Args:
        wanted: What a person handed in.
        shelf_mg: Powder left of each precursor.

    Raises:
        TargetError: Naming every target that cannot be made here or appears twice.
    """
    from planners.synthesis.screen import check_target  # pymatgen: seconds to import

    checked: dict[str, WantedTarget] = {}
    mistakes: list[str] = []
    for target in wanted:
        where = f"{target.origin}: " if target.origin else ""
        try:
            formula = check_target(target.formula, shelf_mg)
        except TargetError as error:
            mistakes.append(f"{where}{error}")
            continue
        if formula in checked:
            first = checked[formula].origin or "before"
            mistakes.append(f"{where}{target.formula} is {formula}, listed {first} already")
            continue
        checked[formula] = replace(target, formula=formula)
    if mistakes:
        raise TargetError("\n".join(mistakes))
    return list(checked.values())


def list_targets(session: Session, checked: Iterable[WantedTarget]) -> None:
    """Put checked targets on the list; one that is there gets the new priority and note."""
    listed = {
        row.formula: row
        for row in session.scalars(select(TargetRow).where(TargetRow.campaign.is_(None)))
    }
    for target in checked:
        row = listed.get(target.formula)
        if row is None:
            row = TargetRow(campaign=None, formula=target.formula, status=LISTED)
            session.add(row)
        row.priority, row.note = target.priority, target.note


def unlist_targets(session: Session, formulas: Sequence[str]) -> None:
    """Take targets off the list.

    Raises:
        BadInput: Naming those that are not on it; then none is taken off.
    """
    listed = set(session.scalars(select(TargetRow.formula).where(TargetRow.campaign.is_(None))))
    if missing := [formula for formula in formulas if formula not in listed]:
        raise BadInput(f"not on the list: {', '.join(missing)}; see 'alab targets list'")
    session.execute(
        delete(TargetRow).where(TargetRow.campaign.is_(None), TargetRow.formula.in_(formulas))
    )


def priorities(session: Session) -> dict[str, int]:
    """Formula → priority of everything on the list."""
    rows = session.scalars(select(TargetRow).where(TargetRow.campaign.is_(None)))
    return {row.formula: row.priority for row in rows}
