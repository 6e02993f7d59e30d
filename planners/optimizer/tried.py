"""What was fired elsewhere, as a table that a person keeps: one line a firing.

Columns: ``precursors`` (formulas with commas or + between), ``temperature_c``; and, if known,
``target_wt_percent`` and ``phases`` (``BaTiO3 62, BaCO3 20, TiO2 18`` in weight percent),
``dwell_h`` (4 unless given), ``atmosphere`` (air unless given), ``sample`` and
``inconclusive`` (``yes`` where the pattern decides nothing). The names ``temperature_C`` and
``target_wt_pct`` of published tables are understood. A line with neither a share nor phases
is a firing that nobody measured. Columns of one's own are passed over, unless their heading
looks like a misspelled one: what is read wrong here decides the next firing.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)
from scipy.optimize import linprog

from alab.errors import AlabError, BadInput
from alab.models import (
    Atmosphere,
    Attempt,
    FiringLimits,
    Outcome,
    PhaseAmount,
    PrecursorAmount,
    Recipe,
    Verdict,
)
from planners.synthesis.conditions import profile
from planners.synthesis.grand_potential import check_solid
from planners.synthesis.reactions import (
    BalanceError,
    atoms,
    balance,
    metals,
    molar_mass_g,
)
from planners.synthesis.screen import check_formula
from planners.synthesis.thermo import reduced

MADE_FROM = 0.5
"""Weight fraction of target from which a firing counts as a success, as in the laboratory."""

_ESD = 0.02
_MOST_PERCENT = 101.0
_MOST_AS_SHARES = 1.05
"""What shares of 1 add up to at most once they are rounded; percent add up to far more."""
_FARTHEST_APART_PERCENT = 3.0
_BATCH_MG = 1000.0
_PHASE = re.compile(
    r"(?P<formula>[^\s,;:]+)[\s:]+(?P<percent>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*%?\s*[,;]?\s*"
)
_OTHER_NAMES = {
    "temperature_C": "temperature_c",
    "target_wt_pct": "target_wt_percent",
    "target_composition_wt_pct": "target_wt_percent",
}
_RESULTS = ("target_wt_percent", "phases")
_LOOKS_KNOWN = re.compile(
    r"%|yield|(?<![a-z])(?:precursor|temp|wt|percent|pct|fraction|share|phase|product|purity"
    r"|dwell|atmosphere|inconclusive)"
)
"""What a heading, in small letters, holds that may be meant as a column of ours."""


def _none_if_empty(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


Optional = BeforeValidator(_none_if_empty)


class Line(BaseModel):
    """One firing as it stands in the file."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    precursors: Annotated[str, Field(min_length=1)]
    temperature_c: Annotated[float, Field(ge=100, le=2000)]
    target_wt_percent: Annotated[Annotated[float, Field(ge=0, le=100)] | None, Optional] = None
    phases: Annotated[str | None, Optional] = None
    dwell_h: Annotated[Annotated[float, Field(gt=0, le=1000)] | None, Optional] = None
    atmosphere: Annotated[Atmosphere | None, Optional] = None
    sample: Annotated[str | None, Optional] = None
    inconclusive: Annotated[bool | None, Optional] = None


def read_tried(
    path: Path, target: str, limits: FiringLimits, *, made_from: float = MADE_FROM
) -> list[Attempt]:
    """Read what was fired for a target, in the order of the lines.

    Args:
        path: A CSV file with a heading.
        target: Formula of the target.
        limits: Furnace the profiles are written for; the firings themselves may exceed it.
        made_from: Weight fraction of target from which a firing is a success.

    Raises:
        BadInput: If the file cannot be read or a line is wrong; names line, column and value.
    """
    attempts: list[Attempt] = []
    most_percent = 0.0
    for number, row in _rows(path):
        try:
            if None in row:
                raise BadInput(
                    "it has more cells than the heading; put quotes around a cell with commas"
                )
            line = Line.model_validate(row)
            attempts.append(_attempt(line, target, limits, made_from, number))
        except ValidationError as error:
            raise BadInput(f"{path}, line {number}: {_first_mistake(error)}") from error
        except AlabError as error:
            raise BadInput(f"{path}, line {number}: {error}") from error
        most_percent = max(most_percent, line.target_wt_percent or 0.0)
    if 0 < most_percent <= 1:
        raise BadInput(
            f"{path}: target_wt_percent is nowhere above {most_percent:g}, so these seem to be "
            "shares of 1; write percent, 62 for a share of 0.62, and 0 for a trace"
        )
    return attempts


def _rows(path: Path) -> list[tuple[int, dict[str, str | None]]]:
    """Rows by column, each with the number of its (last) line.

    Raises:
        BadInput: If the file cannot be read, holds no firing, or its heading is wrong.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            headings = [heading.strip() for heading in reader.fieldnames or ()]
            reader.fieldnames = [_OTHER_NAMES.get(heading, heading) for heading in headings]
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(
            f"cannot read {path}: {error}; give a CSV file with a heading"
        ) from error
    if not rows:
        raise BadInput(
            f"{path} holds no firing; write a heading such as "
            "precursors,temperature_c,target_wt_percent,phases and one line a firing"
        )
    try:
        _check_headings(headings)
    except BadInput as error:
        raise BadInput(f"{path}, line 1: {error}") from error
    return rows


def _check_headings(headings: Sequence[str]) -> None:
    """Refuse a heading of which a column would be passed over without a word.

    Raises:
        BadInput: If two name one column, one looks misspelled, or none holds a result.
    """
    named: dict[str, str] = {}
    for heading in headings:
        column = _OTHER_NAMES.get(heading, heading)
        if column not in Line.model_fields:
            if _LOOKS_KNOWN.search(heading.lower()):
                raise BadInput(
                    f"the column {heading!r} is not known; known are "
                    f"{', '.join(Line.model_fields)}: rename it, or take it out"
                )
            continue
        if column in named:
            raise BadInput(
                f"{named[column]} and {heading} are one column, {column}; keep one of them"
            )
        named[column] = heading
    if not named.keys() & set(_RESULTS):
        raise BadInput(
            f"no column tells what came of the firings; add {' or '.join(_RESULTS)}, and leave "
            "it empty where nobody measured"
        )


def _attempt(
    line: Line, target: str, limits: FiringLimits, made_from: float, number: int
) -> Attempt:
    words = re.split(r"[,+]", line.precursors)
    names = [check_formula(word) for word in words if word.strip()]
    for name in names:
        check_solid(name)
    return Attempt(
        sample=line.sample or f"line {number}",
        recipe=_recipe(line, names, target, limits),
        outcome=_outcome(line, target, made_from),
    )


def _recipe(line: Line, names: Sequence[str], target: str, limits: FiringLimits) -> Recipe:
    moles, said = _amounts(names, target)
    per_mole_mg = _BATCH_MG / molar_mass_g(target)
    dwell_s = 3600 * (line.dwell_h or 4.0)
    return Recipe(
        target=target,
        precursors=tuple(
            PrecursorAmount(formula=name, moles=n, mass_mg=n * molar_mass_g(name) * per_mole_mg)
            for name, n in moles.items()
        ),
        reaction=said,
        profile=profile(line.temperature_c, limits, dwell_s=dwell_s),
        atmosphere=line.atmosphere or Atmosphere.AIR,
    )


def _amounts(names: Sequence[str], target: str) -> tuple[dict[str, float], str]:
    """Moles of each powder per mole of target, and the reaction in words.

    Where two powders bring the same metal the target does not tell their ratio; then the
    smallest amount is made as large as it can be.
    """
    try:
        reaction = balance(names, target)
    except BalanceError:
        moles = _most_even(names, target)
        if moles is None:
            raise
        return moles, f"{' + '.join(names)} → {target}"
    return {name: float(n) for name, n in reaction.reactants.items()}, str(reaction)


def _most_even(names: Sequence[str], target: str) -> dict[str, float] | None:
    if frozenset[str]().union(*map(metals, names)) != metals(target):
        return None
    elements = sorted(metals(target))
    brought = [[float(atoms(n).get(e, 0)) for n in names] + [0.0] for e in elements]
    found = linprog(  # the last unknown is the smallest amount
        c=[0.0] * len(names) + [-1.0],
        A_eq=brought,
        b_eq=[float(atoms(target)[e]) for e in elements],
        A_ub=np.hstack([-np.eye(len(names)), np.ones((len(names), 1))]),
        b_ub=np.zeros(len(names)),
    )
    if not found.success or found.x[-1] <= 0:
        return None
    return dict(zip(names, found.x[:-1].tolist(), strict=True))


def _outcome(line: Line, target: str, made_from: float) -> Outcome | None:
    phases = _phases(line.phases) if line.phases else {}
    found_percent = 100 * phases.get(reduced(target), 0.0)
    percent = line.target_wt_percent
    if percent is None and not phases:
        return None
    if percent is None:
        percent = found_percent
    elif phases and abs(percent - found_percent) > _FARTHEST_APART_PERCENT:
        raise BadInput(
            f"target_wt_percent is {percent:g}, but of phases {line.phases!r} {target} is "
            f"{found_percent:g} %; at most {_FARTHEST_APART_PERCENT:g} may lie between them. "
            "Correct one of the two, or leave one empty"
        )
    outcome = outcome_of_shares(target, percent / 100, phases, made_from=made_from, esd=_ESD)
    return replace(outcome, verdict=Verdict.INCONCLUSIVE) if line.inconclusive else outcome


def outcome_of_shares(
    target: str, fraction: float, shares: Mapping[str, float], *, made_from: float, esd: float
) -> Outcome:
    """The outcome of a firing of which only weight fractions are known, and no pattern.

    Args:
        target: Formula that was to be made.
        fraction: Weight fraction of it, 0 to 1.
        shares: Weight fraction of each phase by reduced formula; may be empty.
        made_from: Weight fraction of target from which it is a success.
        esd: One standard deviation of every fraction.
    """
    if fraction >= made_from:
        verdict = Verdict.SUCCESS
    else:
        verdict = Verdict.PARTIAL if fraction > 0 else Verdict.FAILED
    return Outcome(
        verdict=verdict,
        target_weight_fraction=fraction,
        target_weight_fraction_esd=esd,
        phases=tuple(
            PhaseAmount(
                formula=formula,
                reference="given",
                space_group="",
                weight_fraction=share,
                weight_fraction_esd=esd,
            )
            for formula, share in sorted(shares.items(), key=lambda item: -item[1])
        ),
        r_wp_percent=0.0,
        unexplained_fraction=0.0,
        target=target,
    )


def _phases(text: str) -> Mapping[str, float]:
    """Weight fractions by reduced formula, out of ``BaTiO3 62, BaCO3 20``.

    Raises:
        BadInput: If it reads otherwise, names a phase twice, adds up to more than a whole, or
            to so little that shares of 1 seem to be meant.
    """
    found: dict[str, float] = {}
    end = 0
    for match in _PHASE.finditer(text.strip()):
        if match.start() != end:
            break
        formula = reduced(check_formula(match["formula"]))
        if formula in found:
            raise BadInput(
                f"phases {text!r} name {match['formula']} twice; name it once, with the sum"
            )
        found[formula] = float(match["percent"]) / 100
        end = match.end()
    if end != len(text.strip()):
        raise BadInput(
            f"phases {text!r} cannot be read; write formulas with weight percent: "
            "BaTiO3 62, BaCO3 20, TiO2 18"
        )
    if (total := 100 * sum(found.values())) > _MOST_PERCENT:
        raise BadInput(
            f"phases {text!r} add up to {total:g} %, more than 100; correct the percentages"
        )
    if 0 < total <= _MOST_AS_SHARES:
        raise BadInput(
            f"phases {text!r} add up to {total:g} %, so these seem to be shares of 1; write "
            "weight percent, BaTiO3 62 for a share of 0.62, and name what the rest is"
        )
    return found


def _first_mistake(error: ValidationError) -> str:
    mistake = error.errors()[0]
    column = str(mistake["loc"][0]) if mistake["loc"] else "line"
    if mistake["type"] == "missing":
        return f"the column {column} is missing; it is needed"
    return f"{column} is {mistake['input']!r}: {mistake['msg']}"
