"""Recipe files: a recipe as a person writes and reads it, in YAML or JSON.

.. code-block:: yaml

    schema: alab-recipe-1
    target: BaTiO3
    batch_mass_mg: 2000
    precursors:
      - formula: BaCO3
      - formula: TiO2
    firing:
      atmosphere: air
      segments:
        - {temperature_c: 1100, ramp_c_per_min: 5, dwell_h: 12}

Masses that are left out follow from the balanced reaction, with the usual excess of volatile
elements. Masses that are given are held against the balance: more than 10 % off is told as a
risk, more than 50 % is refused.

Powders that the planner never uses or never mixes are refused here, too. Their other hazards, a
temperature that the target does not stand and a gas that it is not fired in are told as risks.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from alab.errors import RecipeError, TargetError
from alab.models import (
    Atmosphere,
    FiringLimits,
    PrecursorAmount,
    Profile,
    Recipe,
    Segment,
)
from planners.synthesis.atmosphere import choose_atmosphere
from planners.synthesis.conditions import ceiling, excess_fraction
from planners.synthesis.hazards import clash
from planners.synthesis.practical import concerns, firing_concerns
from planners.synthesis.reactions import BalanceError, Reaction, balance, metals, molar_mass_g
from planners.synthesis.recipe_schema import (
    SCHEMA,
    FiringEntry,
    MixingEntry,
    PrecursorEntry,
    RecipeEntry,
    SegmentEntry,
)
from planners.synthesis.thermo import written

TOLD_ABOVE, REFUSED_ABOVE = 0.10, 0.50
"""How far a given mass may lie above the balance, as a fraction of it."""

_RESOLUTION_MG = 0.1
_LEAST_MASS_MG = 25 * _RESOLUTION_MG
"""Rounding to the balance changes what is more by less than 2 %."""

_INCONSISTENT_ABOVE = 0.02
_LONGEST_FILE = 1_000_000
_ANY_FURNACE = FiringLimits(
    max_temperature_c=math.inf, max_ramp_c_per_min=math.inf, atmospheres=tuple(Atmosphere)
)
_UNTRIED = "This recipe was written by hand; nothing was predicted for it."


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file (.yaml, .yml or .json), balanced and weighed.

    Raises:
        RecipeError: If it cannot be read, a field is wrong (named with line, value and
            allowed range), or the powders do not add up to the target.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise RecipeError(f"cannot read {path}: {reason}") from error
    return recipe_from_text(text, name=str(path), as_json=path.suffix.lower() == ".json")


def recipe_from_text(text: str, *, name: str = "recipe", as_json: bool = False) -> Recipe:
    """As :func:`read_recipe`, from the text itself.

    Raises:
        RecipeError: As there.
    """
    data = _loaded(text, name, as_json=as_json)
    try:
        entry = RecipeEntry.model_validate(data)
    except ValidationError as error:
        told = "\n".join(_told(name, text, e) for e in error.errors(include_url=False))
        raise RecipeError(told) from error
    try:
        return _recipe(entry)
    except (BalanceError, RecipeError, TargetError) as error:
        raise RecipeError(f"{name}: {error}") from error


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe file; the ending says whether YAML or JSON.

    Raises:
        RecipeError: If the ending is another, or the file cannot be written.
    """
    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise RecipeError(f"{path.name} ends in no .yaml, .yml or .json; choose one of these")
    text = recipe_text(recipe, as_json=path.suffix.lower() == ".json")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"cannot write {path}: {error.strerror}") from error


def recipe_data(recipe: Recipe) -> dict[str, Any]:
    """A recipe as the fields of a file, for JSON."""
    return _entry(recipe).model_dump(by_alias=True, mode="json", exclude_none=True)


def recipe_text(recipe: Recipe, *, as_json: bool = False) -> str:
    """A recipe as the text of a file."""
    data = recipe_data(recipe)
    if as_json:
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=90)


def _entry(recipe: Recipe) -> RecipeEntry:
    return RecipeEntry(
        schema=SCHEMA,
        target=recipe.target,
        batch_mass_mg=round(_batch_mass_mg(recipe), 3),
        precursors=[
            PrecursorEntry(formula=p.formula, mass_mg=p.mass_mg, moles=p.moles)
            for p in recipe.precursors
        ],
        mixing=MixingEntry(
            speed_rpm=recipe.mixing_speed_rpm, duration_min=recipe.mixing_s / 60
        ),
        firing=FiringEntry(
            atmosphere=recipe.atmosphere,
            segments=[
                SegmentEntry(
                    temperature_c=s.temperature_c,
                    ramp_c_per_min=s.ramp_c_per_min,
                    dwell_h=s.dwell_s / 3600,
                )
                for s in recipe.profile.segments
            ],
        ),
        regrinds=recipe.regrinds,
        score=recipe.score,
        reaction=recipe.reaction,
        reasons=list(recipe.reasons),
        risks=list(recipe.risks),
    )


def _batch_mass_mg(recipe: Recipe) -> float:
    """Product that the leanest powder gives."""
    leanest = min(p.mass_mg / (p.moles * molar_mass_g(p.formula)) for p in recipe.precursors)
    return leanest * molar_mass_g(recipe.target)


def _recipe(entry: RecipeEntry) -> Recipe:
    powders = tuple(p.formula for p in entry.precursors)
    _refuse_dangerous(powders)
    reaction = balance(powders, entry.target)
    peak_c = max(segment.temperature_c for segment in entry.firing.segments)
    weighed = entry.precursors[0].mass_mg is not None
    amounts = _given(entry, reaction) if weighed else _worked_out(entry, reaction, peak_c)
    told = _off_balance(amounts, reaction) if weighed else []
    told += _firing_risks(entry.target, peak_c, entry.firing.atmosphere)
    for powder in powders:
        told += [c.text for c in (*firing_concerns(powder, peak_c), *concerns(powder))]
    return Recipe(
        target=written(entry.target),
        precursors=amounts,
        reaction=str(reaction),
        profile=Profile(
            segments=tuple(
                Segment(
                    ramp_c_per_min=s.ramp_c_per_min,
                    temperature_c=s.temperature_c,
                    dwell_s=round(s.dwell_h * 3600, 6),
                )
                for s in entry.firing.segments
            )
        ),
        atmosphere=entry.firing.atmosphere,
        mixing_speed_rpm=entry.mixing.speed_rpm,
        mixing_s=round(entry.mixing.duration_min * 60, 6),
        regrinds=entry.regrinds,
        score=entry.score,
        reasons=tuple(entry.reasons) or (_UNTRIED,),
        risks=tuple(dict.fromkeys([*entry.risks, *told])),
    )


def _refuse_dangerous(powders: Sequence[str]) -> None:
    """Refuse what the planner would not propose.

    Raises:
        RecipeError: If a powder is never used here, or two must not meet; says why.
    """
    found = [c.text for powder in powders for c in concerns(powder) if c.excludes]
    if clashing := clash(powders):
        found.append(f"{clashing}.")
    if found:
        raise RecipeError(f"{' '.join(found)} Choose other powders")


def _firing_risks(target: str, peak_c: float, atmosphere: Atmosphere) -> list[str]:
    """Sentences on a temperature or a gas that the planner would not choose."""
    told: list[str] = []
    highest_c, why = ceiling(target, _ANY_FURNACE)
    if peak_c > highest_c:
        told.append(
            f"{peak_c:g} °C is above {highest_c:g} °C, where {written(target)} is to be kept "
            f"by {why}."
        )
    try:
        choose_atmosphere(target, replace(_ANY_FURNACE, atmospheres=(atmosphere,)))
    except TargetError:
        told.append(_other_gas(target, atmosphere))
    return told


def _other_gas(target: str, atmosphere: Atmosphere) -> str:
    try:
        gas, why = choose_atmosphere(target, _ANY_FURNACE)
    except TargetError as error:
        return f"{error}."
    return f"The planner would fire {written(target)} in {gas}, not {atmosphere}: {why}."


def _worked_out(
    entry: RecipeEntry, reaction: Reaction, peak_c: float
) -> tuple[PrecursorAmount, ...]:
    """Amounts from the balance, with the excess asked for or that of volatile elements.

    Raises:
        RecipeError: If a powder is too little for the balance.
    """
    units = entry.batch_mass_mg / molar_mass_g(reaction.product)
    amounts: list[PrecursorAmount] = []
    for powder in entry.precursors:
        excess = max(excess_fraction(e, peak_c) for e in metals(powder.formula))
        if powder.excess_percent is not None:
            excess = powder.excess_percent / 100
        moles = float(reaction.reactants[powder.formula]) * (1 + excess)
        mass_mg = units * moles * molar_mass_g(powder.formula)
        amounts.append(PrecursorAmount(formula=powder.formula, moles=moles, mass_mg=mass_mg))
    least = min(amounts, key=lambda amount: amount.mass_mg)
    if least.mass_mg < _LEAST_MASS_MG:
        raise RecipeError(
            f"batch_mass_mg {entry.batch_mass_mg:g} asks for {least.mass_mg:.2g} mg "
            f"{least.formula}, less than can be weighed ({_LEAST_MASS_MG:g} mg); make it "
            f"{math.ceil(entry.batch_mass_mg * _LEAST_MASS_MG / least.mass_mg)} or more"
        )
    return tuple(replace(a, mass_mg=_on_the_balance(a.mass_mg)) for a in amounts)


def _on_the_balance(mass_mg: float) -> float:
    return round(round(mass_mg / _RESOLUTION_MG) * _RESOLUTION_MG, 6)


def _given(entry: RecipeEntry, reaction: Reaction) -> tuple[PrecursorAmount, ...]:
    """Masses as given; moles as given, or per mole of target that the leanest gives.

    Raises:
        RecipeError: If moles and masses contradict each other.
    """
    masses_mg = {p.formula: p.mass_mg or 0.0 for p in entry.precursors}
    moles = {p.formula: p.moles for p in entry.precursors if p.moles is not None}
    if len(moles) < len(masses_mg):
        above = _above_balance(masses_mg, reaction)
        moles = {f: float(reaction.reactants[f]) * (1 + above[f]) for f in masses_mg}
    scale = [masses_mg[f] / (moles[f] * molar_mass_g(f)) for f in masses_mg]
    rounding = max(_RESOLUTION_MG / mass_mg for mass_mg in masses_mg.values())
    if max(scale) > min(scale) * (1 + _INCONSISTENT_ABOVE + 2 * rounding):
        raise RecipeError(
            "the moles and the masses of the precursors contradict each other; leave out one "
            "of the two"
        )
    return tuple(
        PrecursorAmount(formula=f, moles=moles[f], mass_mg=masses_mg[f]) for f in masses_mg
    )


def _above_balance(masses_mg: Mapping[str, float], reaction: Reaction) -> dict[str, float]:
    """By which fraction each mass lies above what the leanest powder asks for."""
    per_mole = {
        formula: mass_mg / (float(reaction.reactants[formula]) * molar_mass_g(formula))
        for formula, mass_mg in masses_mg.items()
    }
    leanest = min(per_mole.values())
    return {formula: units / leanest - 1 for formula, units in per_mole.items()}


def _off_balance(amounts: Sequence[PrecursorAmount], reaction: Reaction) -> list[str]:
    """Sentences on masses above the balance.

    Raises:
        RecipeError: If one is too far above.
    """
    masses_mg = {amount.formula: amount.mass_mg for amount in amounts}
    fractions = _above_balance(masses_mg, reaction)
    leanest = min(fractions, key=lambda formula: fractions[formula])
    told: list[str] = []
    for formula, above in fractions.items():
        said = (
            f"{masses_mg[formula]:g} mg {formula} are {above * 100:.0f} % more than "
            f"{reaction} asks for beside the {leanest}"
        )
        if above > REFUSED_ABOVE:
            raise RecipeError(
                f"{said}; at most {REFUSED_ABOVE * 100:.0f} % is allowed. Correct the masses, "
                "or leave them out to have them worked out"
            )
        if above > TOLD_ABOVE:
            told.append(f"{said}.")
    return told


def _loaded(text: str, name: str, *, as_json: bool) -> Any:
    if len(text) > _LONGEST_FILE:
        raise RecipeError(f"{name} is longer than {_LONGEST_FILE} characters; shorten it")
    try:
        data = json.loads(text) if as_json else yaml.safe_load(text)
    except json.JSONDecodeError as error:
        raise RecipeError(f"{name}, line {error.lineno}: no JSON: {error.msg}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RecipeError(f"{name}, line {line}: no YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise RecipeError(f"{name}: it cannot be read: {error}") from error
    if not isinstance(data, Mapping):
        raise RecipeError(
            f"{name} holds no fields; begin it with 'schema: {SCHEMA}' and 'target: …'"
        )
    if not as_json and (twice := _named_twice(yaml.compose(text, yaml.SafeLoader))):
        raise RecipeError(f"{name}, line {twice[1]}: {twice[0]!r} is given twice")
    return data


def _named_twice(document: Any) -> tuple[str, int] | None:
    """The first key that a mapping of a YAML document holds twice, and its line."""
    todo, seen = [document], set[int]()
    while todo:
        node = todo.pop()
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            todo += node.value
        elif isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in node.value:
                if str(key.value) in keys:
                    return str(key.value), key.start_mark.line + 1
                keys.add(str(key.value))
                todo.append(value)
    return None


def _told(name: str, text: str, error: Any) -> str:
    """A mistake in words: file, line, field, value, what is allowed."""
    path = tuple(error["loc"])
    line = _line_of(text, path)
    field = "".join(f"[{p + 1}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")
    place = f"{name}, line {line}" if line else name
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{place}: {field} is missing; add it"
    if error["type"] == "extra_forbidden":
        return f"{place}: {field} is no field of a recipe file; check its spelling"
    if not field:
        return f"{place}: {message}"
    return f"{place}: {field} is {error['input']!r}: {message[0].lower()}{message[1:]}"


def _line_of(text: str, path: Sequence[str | int]) -> int | None:
    """Line of a field, or of what holds it; JSON is read as the YAML it nearly always is."""
    try:
        node = yaml.compose(text, yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return None
    line = None
    for step in path:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == step), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
            line = node.start_mark.line + 1
    return line
