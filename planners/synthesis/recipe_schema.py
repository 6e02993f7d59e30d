"""The fields of a recipe file and their ranges, ``alab-recipe-1``."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from alab.errors import TargetError
from alab.models import Atmosphere
from planners.synthesis.screen import check_formula

SCHEMA = "alab-recipe-1"
DEFAULT_BATCH_MASS_MG = 2000.0


def _formula(text: str) -> str:
    try:
        return check_formula(text)
    except TargetError as error:
        raise ValueError(str(error)) from error


Formula = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_formula)]
Mass = Annotated[float, Field(gt=0, le=1e6)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PrecursorEntry(_Strict):
    """One powder; its mass is worked out if it is left out.

    Attributes:
        formula: As on the jar; a hydrate as ``Ni(NO3)2·6H2O`` is read in its plain form.
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
        literature: What papers do, for the reader; it is worked out anew.
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
    literature: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _masses_for_all_or_none(self) -> "RecipeEntry":
        given = [entry.formula for entry in self.precursors if entry.mass_mg is not None]
        if given and len(given) < len(self.precursors):
            without = next(e.formula for e in self.precursors if e.mass_mg is None)
            raise ValueError(
                f"{given[0]} has a mass_mg and {without} has none; give all or none"
            )
        return self
