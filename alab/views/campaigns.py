"""What people see of campaigns and of the targets listed for one."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from alab.errors import BadInput
from alab.store.tables import CampaignRow, SampleRow, TargetRow
from alab.views.people import Table, stamp
from alab.views.samples import samples


def campaigns(session: Session) -> list[Table]:
    """Every campaign, oldest first, with how far it has come."""
    rows = session.scalars(select(CampaignRow).order_by(CampaignRow.created_at))
    return [_campaign(session, row) for row in rows]


def campaign(session: Session, name: str) -> Table:
    """One campaign with its targets and samples.

    Raises:
        BadInput: If there is none of that name.
    """
    row = session.get(CampaignRow, name)
    if row is None:
        raise BadInput(f"there is no campaign {name!r}; see 'alab campaign list'")
    return {
        **_campaign(session, row),
        "target_list": targets(session, campaign=name),
        "sample_list": samples(session, campaign=name),
    }


def _campaign(session: Session, row: CampaignRow) -> Table:
    def count(table: type[TargetRow | SampleRow]) -> dict[str, int]:
        grouped = (
            select(table.status, func.count())
            .where(table.campaign == row.name)
            .group_by(table.status)
        )
        return {status: number for status, number in session.execute(grouped)}  # noqa: C416

    return {
        "name": row.name,
        "status": row.status,
        "max_attempts": row.max_attempts,
        "created_at": stamp(row.created_at),
        "finished_at": stamp(row.finished_at),
        "targets": count(TargetRow),
        "samples": count(SampleRow),
    }


def targets(session: Session, campaign: str | None = None) -> list[Table]:
    """Targets of one campaign; without one, those listed for a campaign to come."""
    rows = session.scalars(
        select(TargetRow)
        .where(TargetRow.campaign == campaign)
        .order_by(TargetRow.priority.desc(), TargetRow.id)
    )
    return [
        {
            "formula": row.formula,
            "priority": row.priority,
            "note": row.note,
            "campaign": row.campaign,
            "status": row.status,
            "reason": row.reason,
        }
        for row in rows
    ]
