"""``alab targets add --from``: predicted compounds become targets."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alab.cli.options import signed
from alab.cli.output import say, write_json
from alab.cli.reach import look
from alab.client import START_TIMEOUT_S, LabClient, find_service
from alab.errors import BadInput, TargetError
from alab.settings import STRUCTURES

if TYPE_CHECKING:
    from planners.stability.discovery_file import CandidateRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is wanted of a discovery.

    Attributes:
        file: That ``alab discover`` wrote.
        top: Most candidates to list.
        anyway: Whether those that failed a screen are taken too.
        campaign: Name of a campaign to start with them, None for none.
    """

    file: Path
    top: int
    anyway: bool
    campaign: str | None


@dataclass(slots=True, kw_only=True)
class _Outcome:
    """What became of the candidates."""

    listed: list[str] = field(default_factory=list)
    already: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    structures: list[Path] = field(default_factory=list)


def add_discovered(
    wish: Wish, folder: Path, priority: int, *, by: str | None, as_json: bool
) -> None:
    """List the best candidates of a discovery, and start a campaign with them if asked.

    Raises:
        BadInput: If the file is none, or nothing in it can be listed.
        ServiceUnreachable: If a campaign is wanted and no laboratory runs.
    """
    from planners.stability.discovery_file import read_discovery

    rows = read_discovery(wish.file).candidates
    if wish.campaign is not None:
        LabClient.on(folder).close()  # before anything is listed
    already = _listed(folder)
    outcome = _Outcome()
    for row in _taken(rows, wish, outcome):
        if (name := _same(row.formula, already)) is not None:
            outcome.already.append(name)
            continue
        _list(row, wish, folder, priority, by, outcome)
    names = [*outcome.listed, *outcome.already]
    if not names:
        raise BadInput(
            f"nothing of {wish.file} was listed:\n"
            + "\n".join(_refusals(outcome) or ["it holds no candidate"])
        )
    if wish.campaign is not None:
        _start(wish.campaign, names, folder, by)
    _tell(outcome, wish, as_json=as_json)


def _taken(
    rows: "Sequence[CandidateRow]", wish: Wish, outcome: _Outcome
) -> "Sequence[CandidateRow]":
    """The best, by rank; those that failed a screen are refused with what it said."""
    taken: list[CandidateRow] = []
    for row in rows:
        if len(taken) == wish.top:
            break
        bad = [s for s in row.screens if s.decides and s.verdict == "failed"]
        if bad and not wish.anyway:
            outcome.refused[row.formula] = f"{bad[0].name}: {bad[0].reason}"
        else:
            taken.append(row)
    return taken


def _listed(folder: Path) -> list[str]:
    rows = look(folder, "targets", lambda views, s: views.targets(s))
    return [row["formula"] for row in rows]


def _same(formula: str, names: Sequence[str]) -> str | None:
    """How the list writes a formula, None if it is not on it."""
    from planners.synthesis.thermo import reduced

    return next((name for name in names if reduced(name) == reduced(formula)), None)


def _list(
    row: "CandidateRow",
    wish: Wish,
    folder: Path,
    priority: int,
    by: str | None,
    outcome: _Outcome,
) -> None:
    from alab.cli.targets import add_to_store, target_entries
    from alab.service.targets import WantedTarget

    note = (
        f"{wish.file.name}, rank {row.rank}: {row.space_group}, "
        f"{row.decomposition_energy_ev_per_atom * 1000:+.0f} meV/atom"
    )
    wanted = [WantedTarget(formula=row.formula, priority=priority, note=note)]
    try:
        if url := find_service(folder):
            with LabClient(url) as client:
                entries = target_entries(wanted)
                (done,) = client.post("targets", by=signed(by), targets=entries)
        else:
            (done,) = add_to_store(folder, wanted)
    except TargetError as error:
        outcome.refused[row.formula] = str(error)
        return
    outcome.listed.append(done["formula"])
    outcome.structures.append(_write_structure(row, folder))


def _write_structure(row: "CandidateRow", folder: Path) -> Path:
    from planners.stability.discovery_file import cif_of

    path = folder / STRUCTURES / Path(row.cif).name
    draft = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(exist_ok=True)
        draft.write_text(cif_of(row), encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from error
    return path


def _start(name: str, formulas: Sequence[str], folder: Path, by: str | None) -> None:
    with LabClient.on(folder) as client:
        client.post(
            "campaigns",
            by=signed(by),
            timeout_s=START_TIMEOUT_S,
            name=name,
            targets=list(formulas),
        )


def _refusals(outcome: _Outcome) -> list[str]:
    return [f"Refused {formula}: {why}" for formula, why in outcome.refused.items()]


def _tell(outcome: _Outcome, wish: Wish, *, as_json: bool) -> None:
    if as_json:
        data: dict[str, Any] = {
            "listed": outcome.listed,
            "already_listed": outcome.already,
            "refused": outcome.refused,
            "structures": [str(path) for path in outcome.structures],
            "campaign": wish.campaign,
        }
        write_json(data)
        return
    if outcome.listed:
        say(f"Listed {len(outcome.listed)}: {', '.join(outcome.listed)}")
    if outcome.already:
        say(f"On the list already, left as they are: {', '.join(outcome.already)}")
    for line in _refusals(outcome):
        say(line)
    for path in outcome.structures:
        say(f"Wrote {path}")
    if wish.campaign is not None:
        say(f"Campaign {wish.campaign} has started; see 'alab campaign show {wish.campaign}'")
