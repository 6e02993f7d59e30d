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
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pymatgen.core import Composition

from alab.errors import RecipeError
from alab.models import Atmosphere, PrecursorAmount, Profile, Recipe, Segment
from planners.synthesis.conditions import excess_fraction
from planners.synthesis.reactions import BalanceError, Reaction, balance, metals
from planners.synthesis.thermo import written

SCHEMA = "alab-recipe-1"
DEFAULT_BATCH_MASS_MG = 2000.0
TOLD_ABOVE, REFUSED_ABOVE = 0.10, 0.50
"""How far a given mass may lie above the balance, as a fraction of it."""

_MASS_DIGITS = 4
_UNTRIED = "This recipe was written by hand; nothing was predicted for it."

Formula = Annotated[str, Field(min_length=1, max_length=100)]
Mass = Annotated[float, Field(gt=0, le=1e6)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PrecursorEntry(_Strict):
    """One powder; its mass is worked out if it is left out.

    Attributes:
        formula: As on the jar.
        mass_mg: Mass to weigh out.
        moles: Moles per mole of target, excess included; goes with a mass.
        excess_percent: Excess over the balance; by the rule for volatile elements if left out.
    """

    formula: Formula
    mass_mg: Mass | None = None
    moles: Annotated[float, Field(gt=0, le=1e4)] | None = None
    excess_percent: Annotated[float, Field(ge=0, le=50)] | None = None


class SegmentEntry(_Strict):
    """Ramp to a temperature, and dwell there.

    Attributes:
        temperature_c: Temperature at the end of the ramp.
        ramp_c_per_min: Rate of the ramp.
        dwell_h: Time held there.
    """

    temperature_c: Annotated[float, Field(ge=20, le=2000)]
    ramp_c_per_min: Annotated[float, Field(gt=0, le=100)]
    dwell_h: Annotated[float, Field(ge=0, le=1000)] = 0.0


class FiringEntry(_Strict):
    """The heating program and its gas.

    Attributes:
        atmosphere: Gas of the furnace.
        segments: Ramps with their dwells, in order.
    """

    atmosphere: Atmosphere = Atmosphere.AIR
    segments: Annotated[list[SegmentEntry], Field(min_length=1, max_length=100)]


class MixingEntry(_Strict):
    """How the powders are mixed.

    Attributes:
        speed_rpm: Speed of the mixer.
        duration_min: Time it runs.
    """

    speed_rpm: Annotated[float, Field(gt=0, le=10_000)] = 2000.0
    duration_min: Annotated[float, Field(gt=0, le=1440)] = 9.0


class RecipeEntry(_Strict):
    """A whole recipe file.

    Attributes:
        schema_version: ``alab-recipe-1``, written as ``schema``.
        target: What is to be made.
        batch_mass_mg: Product that a full reaction gives; for masses that are left out.
        precursors: Powders, each once.
        mixing: How they are mixed.
        firing: How they are fired.
        regrinds: How often this powder was reground and refired before.
        score: Rank among the recipes of its target.
        reaction: The balanced reaction, for the reader; it is worked out anew.
        reasons: Why this recipe.
        risks: What may go wrong.
    """

    schema_version: Literal["alab-recipe-1"] = Field(alias="schema")
    target: Formula
    batch_mass_mg: Mass = DEFAULT_BATCH_MASS_MG
    precursors: Annotated[list[PrecursorEntry], Field(min_length=1, max_length=10)]
    mixing: MixingEntry = MixingEntry()
    firing: FiringEntry
    regrinds: Annotated[int, Field(ge=0, le=20)] = 0
    score: float = 0.0
    reaction: str = ""
    reasons: list[str] = []
    risks: list[str] = []

    @model_validator(mode="after")
    def _masses_for_all_or_none(self) -> "RecipeEntry":
        given = [entry.formula for entry in self.precursors if entry.mass_mg is not None]
        if given and len(given) < len(self.precursors):
            without = next(e.formula for e in self.precursors if e.mass_mg is None)
            raise ValueError(
                f"{given[0]} has a mass_mg and {without} has none; give masses to all or to none"
            )
        return self


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
    except (BalanceError, RecipeError) as error:
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


def recipe_text(recipe: Recipe, *, as_json: bool = False) -> str:
    """A recipe as the text of a file."""
    data = _entry(recipe).model_dump(by_alias=True, mode="json", exclude_none=True)
    if as_json:
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=90)


def _entry(recipe: Recipe) -> RecipeEntry:
    return RecipeEntry(
        schema=SCHEMA,
        target=recipe.target,
        batch_mass_mg=round(_batch_mass_mg(recipe), _MASS_DIGITS),
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
    leanest = min(p.mass_mg / (p.moles * _molar_mass(p.formula)) for p in recipe.precursors)
    return leanest * _molar_mass(recipe.target)


def _recipe(entry: RecipeEntry) -> Recipe:
    target = _formula(entry.target)
    reaction = balance(tuple(_formula(p.formula) for p in entry.precursors), target)
    peak_c = max(segment.temperature_c for segment in entry.firing.segments)
    weighed = entry.precursors[0].mass_mg is not None
    amounts = _given(entry, reaction) if weighed else _worked_out(entry, reaction, peak_c)
    told = _off_balance(amounts, reaction) if weighed else []
    return Recipe(
        target=written(target),
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


def _formula(text: str) -> str:
    try:
        composition = Composition(text, strict=True)
    except (ValueError, KeyError) as error:
        raise RecipeError(f"{text!r} is no chemical formula; write it like BaCO3") from error
    if not composition.valid:
        raise RecipeError(f"{text!r} holds an element that does not exist; write it like BaCO3")
    return text


def _worked_out(
    entry: RecipeEntry, reaction: Reaction, peak_c: float
) -> tuple[PrecursorAmount, ...]:
    """Amounts from the balance, with the excess asked for or that of volatile elements."""
    units = entry.batch_mass_mg / _molar_mass(reaction.product)
    amounts: list[PrecursorAmount] = []
    for powder in entry.precursors:
        excess = max(excess_fraction(e, peak_c) for e in metals(powder.formula))
        if powder.excess_percent is not None:
            excess = powder.excess_percent / 100
        moles = float(reaction.reactants[powder.formula]) * (1 + excess)
        mass_mg = round(units * moles * _molar_mass(powder.formula), _MASS_DIGITS)
        amounts.append(PrecursorAmount(formula=powder.formula, moles=moles, mass_mg=mass_mg))
    return tuple(amounts)


def _given(entry: RecipeEntry, reaction: Reaction) -> tuple[PrecursorAmount, ...]:
    """Masses as given; moles as given or per mole of target that the leanest gives."""
    per_mole = {
        p.formula: (p.mass_mg or 0.0)
        / (float(reaction.reactants[p.formula]) * _molar_mass(p.formula))
        for p in entry.precursors
    }
    units = min(per_mole.values())
    return tuple(
        PrecursorAmount(
            formula=p.formula,
            moles=p.moles or float(reaction.reactants[p.formula]) * per_mole[p.formula] / units,
            mass_mg=p.mass_mg or 0.0,
        )
        for p in entry.precursors
    )


def _off_balance(amounts: Sequence[PrecursorAmount], reaction: Reaction) -> list[str]:
    """Sentences on masses above the balance.

    Raises:
        RecipeError: If one is too far above.
    """
    per_mole = {
        p.formula: p.mass_mg / (float(reaction.reactants[p.formula]) * _molar_mass(p.formula))
        for p in amounts
    }
    leanest = min(per_mole, key=lambda formula: per_mole[formula])
    told: list[str] = []
    for amount in amounts:
        above = per_mole[amount.formula] / per_mole[leanest] - 1
        said = (
            f"{amount.mass_mg:g} mg {amount.formula} are {above * 100:.0f} % more than "
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


def _molar_mass(formula: str) -> float:
    return float(Composition(formula).weight)


def _loaded(text: str, name: str, *, as_json: bool) -> Any:
    try:
        data = json.loads(text) if as_json else yaml.safe_load(text)
    except json.JSONDecodeError as error:
        raise RecipeError(f"{name}, line {error.lineno}: no JSON: {error.msg}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RecipeError(f"{name}, line {line}: no YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{name}: no YAML: {error}") from error
    if not isinstance(data, Mapping):
        raise RecipeError(
            f"{name} holds no fields; begin it with 'schema: {SCHEMA}' and 'target: …'"
        )
    if not as_json and (twice := _named_twice(yaml.compose(text, yaml.SafeLoader))):
        raise RecipeError(f"{name}, line {twice[1]}: {twice[0]!r} is given twice")
    return data


def _named_twice(node: Any) -> tuple[str, int] | None:
    """The first key that a mapping of a YAML document holds twice, and its line."""
    inside: list[Any] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                return key.value, key.start_mark.line + 1
            seen.add(key.value)
            inside.append(value)
    elif isinstance(node, yaml.SequenceNode):
        inside = node.value
    return next((found for child in inside if (found := _named_twice(child))), None)


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
    except yaml.YAMLError:
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
