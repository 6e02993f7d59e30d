"""All a laboratory knows of reactions: its own samples, and files of other laboratories.

Nothing of it is stored twice: observations follow from the attempts in the lab database
each time they are asked for. Files of others lie in ``observations/`` of the data
directory, one a laboratory, named by it.
"""

import re
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from alab.errors import BadInput
from alab.models import Attempt, Outcome, Recipe
from alab.store.codec import decode
from alab.store.tables import AttemptRow, SampleRow
from planners.optimizer.observations import Observations
from planners.synthesis.reactions import metals

FOLDER = "observations"


def remembered(
    session: Session, data_dir: Path | None, *, target: str | None = None
) -> Observations:
    """What this laboratory saw in all its campaigns, with what others handed in.

    Args:
        session: The lab database; only read.
        data_dir: The data directory; None where there are no files of others.
        target: Read only samples whose targets share a metal with this one, which is all
            that bears on it; all samples if None.

    Raises:
        BadInput: If a file of another laboratory is broken; the message names it.
    """
    known = Observations.from_attempts(all_attempts(session, target=target))
    for file in sorted((data_dir / FOLDER).glob("*.json")) if data_dir is not None else ():
        known = known.merged(Observations.from_json(file, laboratory=file.stem))
    return known


def all_attempts(session: Session, *, target: str | None = None) -> list[Attempt]:
    """Every firing of every sample that was looked at, in the order they were begun.

    Args:
        session: The lab database; only read.
        target: Leave out samples whose targets share no metal with this one.
    """
    rows = session.execute(
        select(SampleRow.target, AttemptRow.sample, AttemptRow.recipe, AttemptRow.outcome)
        .join(SampleRow, SampleRow.name == AttemptRow.sample)
        .where(AttemptRow.outcome.is_not(None))
        .order_by(AttemptRow.id)
    )
    return [
        Attempt(sample=sample, recipe=decode(Recipe, recipe), outcome=decode(Outcome, outcome))
        for made, sample, recipe, outcome in rows
        if outcome and (target is None or metals(made) & metals(target))
    ]


def take_in(data_dir: Path, file: Path, laboratory: str) -> Observations:
    """Keep what another laboratory saw; its earlier file is replaced.

    Args:
        data_dir: The data directory.
        file: The other's file, as :meth:`Observations.to_json` writes it.
        laboratory: Its name, which its samples will carry.

    Raises:
        BadInput: If the file or the name cannot be used.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", laboratory):
        raise BadInput(
            f"{laboratory!r} cannot name a laboratory: 1 to 40 letters, digits, - or _, "
            "beginning with a letter or a digit"
        )
    theirs = Observations.from_json(file)
    folder = data_dir / FOLDER
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot make {folder}: {error.strerror}") from error
    theirs.to_json(folder / f"{laboratory}.json")
    return theirs
