"""Values the whole laboratory agrees on.

All are frozen; rooms exchange these and nothing else. Formulas are reduced formulas as
pymatgen writes them (``BaTiO3``, ``NaZr2(PO4)3``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from alab.errors import BadInput


class Atmosphere(StrEnum):
    """The gas a firing runs in."""

    AIR = "air"
    O2 = "O2"
    N2 = "N2"
    AR = "Ar"
    AR_H2 = "Ar/H2"
    """Forming gas: 5 % hydrogen in argon."""
    CO2 = "CO2"
    VACUUM = "vacuum"
    """Pumped to 1e-6 bar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """One stable reading of a balance.

    Attributes:
        mass_mg: Net mass shown, in milligrams.
    """

    mass_mg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecursorAmount:
    """One powder of a recipe.

    Attributes:
        formula: Precursor formula, hydrates and all, as on the jar.
        moles: Moles per mole of target formula unit, excess included.
        mass_mg: Mass to weigh out, rounded to the doser's resolution.
    """

    formula: str
    moles: float
    mass_mg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Ramp to a temperature at a rate, then dwell there.

    Attributes:
        ramp_c_per_min: Rate of the ramp, > 0, up or down.
        temperature_c: Temperature at the end of the ramp.
        dwell_s: Time held there; 0 for none.
    """

    ramp_c_per_min: float
    temperature_c: float
    dwell_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A heating program; after the last segment the furnace cools by itself.

    Attributes:
        segments: Ramps with their dwells, in order; at least one.
    """

    segments: tuple[Segment, ...]

    @property
    def max_temperature_c(self) -> float:
        """Highest setpoint of the program, in °C."""
        return max(segment.temperature_c for segment in self.segments)

    def duration_s(self, start_c: float = 25.0) -> float:
        """Time from start to the end of the last dwell, in seconds."""
        total_s, at_c = 0.0, start_c
        for segment in self.segments:
            total_s += abs(segment.temperature_c - at_c) / segment.ramp_c_per_min * 60
            total_s += segment.dwell_s
            at_c = segment.temperature_c
        return total_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to make a target from powders.

    Attributes:
        target: Target formula.
        precursors: Powders with their amounts; at least one.
        reaction: The balanced reaction in words, gases included.
        mixing_speed_rpm: Mixer speed.
        mixing_s: Mixing time.
        profile: Heating program.
        atmosphere: Gas of the firing.
        regrinds: How often this powder was reground and refired before.
        score: Larger is better; comparable within one target only.
        reasons: Why this recipe, in sentences a scientist reads.
        risks: What may go wrong, in sentences.
    """

    target: str
    precursors: tuple[PrecursorAmount, ...]
    reaction: str
    profile: Profile
    atmosphere: Atmosphere = Atmosphere.AIR
    mixing_speed_rpm: float = 2000.0
    mixing_s: float = 540.0
    regrinds: int = 0
    score: float = 0.0
    reasons: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()

    @property
    def max_temperature_c(self) -> float:
        """Highest setpoint of the firing, in °C."""
        return self.profile.max_temperature_c


@dataclass(frozen=True, slots=True, kw_only=True)
class FiringLimits:
    """What a furnace, or all furnaces of a laboratory, can do.

    Of several furnaces each attribute is the best of any: the hottest need not offer every gas.
    Plan within :meth:`in_gas`.

    Attributes:
        max_temperature_c: Highest permitted setpoint.
        max_ramp_c_per_min: Fastest permitted ramp.
        atmospheres: Gases on offer.
        furnaces: Limits of each furnace, where these are of several.
    """

    max_temperature_c: float
    max_ramp_c_per_min: float
    atmospheres: tuple[Atmosphere, ...]
    furnaces: tuple["FiringLimits", ...] = ()

    @classmethod
    def of_all(cls, furnaces: Sequence["FiringLimits"]) -> "FiringLimits":
        """Limits of several furnaces, at least one."""
        return cls(
            max_temperature_c=max(one.max_temperature_c for one in furnaces),
            max_ramp_c_per_min=max(one.max_ramp_c_per_min for one in furnaces),
            atmospheres=tuple(
                dict.fromkeys(gas for one in furnaces for gas in one.atmospheres)
            ),
            furnaces=tuple(furnaces),
        )

    def in_gas(self, atmosphere: Atmosphere) -> "FiringLimits":
        """Limits of the hottest furnace that offers a gas.

        Raises:
            BadInput: If none does.
        """
        offering = [one for one in self._each() if atmosphere in one.atmospheres]
        if not offering:
            offered = ", ".join(self.atmospheres) or "no gas"
            raise BadInput(
                f"no furnace offers {atmosphere}, only {offered}; add the gas to a furnace in "
                "the lab file"
            )
        return max(offering, key=lambda one: (one.max_temperature_c, one.max_ramp_c_per_min))

    def ending_at(self, temperature_c: float) -> "FiringLimits":
        """Limits that end there: of named furnaces no higher than they do."""
        if not self.furnaces:
            return replace(self, max_temperature_c=temperature_c)
        lower = [min(one.max_temperature_c, temperature_c) for one in self.furnaces]
        return FiringLimits.of_all(
            [
                replace(one, max_temperature_c=end)
                for one, end in zip(self.furnaces, lower, strict=True)
            ]
        )

    def permits(self, profile: Profile, atmosphere: Atmosphere) -> bool:
        """Whether one of the furnaces can run a profile in a gas."""
        fastest = max(segment.ramp_c_per_min for segment in profile.segments)
        return any(
            profile.max_temperature_c <= one.max_temperature_c
            and fastest <= one.max_ramp_c_per_min
            and atmosphere in one.atmospheres
            for one in self._each()
        )

    def __str__(self) -> str:
        return "; ".join(
            f"{one.max_temperature_c:g} °C, {one.max_ramp_c_per_min:g} °C/min, "
            f"{', '.join(one.atmospheres) or 'no gas'}"
            for one in self._each()
        )

    def _each(self) -> tuple["FiringLimits", ...]:
        return self.furnaces or (self,)


class Verdict(StrEnum):
    """What a pattern says of a synthesis."""

    SUCCESS = "success"
    PARTIAL = "partial"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseAmount:
    """One crystalline phase found in a pattern.

    Attributes:
        formula: Reduced formula.
        reference: Identifier of the reference structure it was fitted with.
        space_group: International symbol.
        weight_fraction: Share of the crystalline part, 0 to 1.
        weight_fraction_esd: One standard deviation of it.
        interval90: Lower and upper end of its 90 % interval.
        probability: That this phase is there at all, 0 to 1.
    """

    formula: str
    reference: str
    space_group: str
    weight_fraction: float
    weight_fraction_esd: float
    interval90: tuple[float, float] = (0.0, 1.0)
    probability: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came out of the furnace, honestly.

    Attributes:
        verdict: One of four; ``inconclusive`` is a result.
            It is on the target, and ``inconclusive`` where there is none.
        target_weight_fraction: Share of the target in the crystalline part, 0 to 1; in the
            whole sample where an internal standard tells how much is amorphous.
        target_weight_fraction_esd: One standard deviation of it.
        phases: Everything identified, largest first, in shares of the same.
        r_wp_percent: Weighted-profile residual of the refinement.
        unexplained_fraction: Share of the net intensity no phase explains, 0 to 1.
        amorphous_suspected: Whether a hump or a missing mass points at glass.
        competing: Other explanations that fit nearly as well, in words.
        reasons: Why this verdict, in sentences.
        target: Formula that was judged; None if none was named.
        amorphous_fraction: Share of glass in the sample by an internal standard; None without
            one. A negative one contradicts the standard.
        amorphous_fraction_esd: One standard deviation of it.
    """

    verdict: Verdict
    target_weight_fraction: float
    target_weight_fraction_esd: float
    phases: tuple[PhaseAmount, ...]
    r_wp_percent: float
    unexplained_fraction: float
    amorphous_suspected: bool = False
    competing: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    target: str | None = None
    amorphous_fraction: float | None = None
    amorphous_fraction_esd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A recipe that was run, and what came of it.

    Attributes:
        sample: Name of the sample.
        recipe: What was done.
        outcome: What was found, None while unknown.
    """

    sample: str
    recipe: Recipe
    outcome: Outcome | None


class NextStep(StrEnum):
    """What to do with a target after an outcome."""

    DONE = "done"
    NEW_RECIPE = "new_recipe"  # a fresh sample with another recipe
    REFIRE = "refire"  # regrind this powder and fire it again
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What an optimizer wants next, and why.

    Attributes:
        step: What to do.
        recipe: The recipe to run next; None for ``done`` and ``give_up``. For
            ``refire`` only its profile, atmosphere and mixing matter.
        reasons: Why, in sentences.
    """

    step: NextStep
    recipe: Recipe | None = None
    reasons: tuple[str, ...] = ()


class FurnaceMode(StrEnum):
    """What a furnace program is doing, whatever the controller calls it."""

    IDLE = "idle"  # no program runs; the furnace is cooling or cold
    RUNNING = "running"
    HOLDING = "holding"  # held at the panel or by command: not finished
    HOLDBACK = "holdback"  # the controller waits for the furnace to catch up
    COMPLETE = "complete"
    FAULT = "fault"  # sensor break or another latched alarm


@dataclass(frozen=True, slots=True, kw_only=True)
class FurnaceReading:
    """One look at a furnace.

    Attributes:
        temperature_c: Measured temperature.
        setpoint_c: Working setpoint; None where no program runs.
        mode: What the program is doing.
        segment: Segment under way, from 1; 0 for none.
        seconds_left: Time left in the segment; None where unknown.
    """

    temperature_c: float
    setpoint_c: float | None
    mode: FurnaceMode
    segment: int = 0
    seconds_left: float | None = None


class DoorState(StrEnum):
    """Where a door is."""

    OPEN = "open"
    CLOSED = "closed"
    MOVING = "moving"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A measured diffraction pattern as the instrument wrote it.

    Attributes:
        filename: Name the instrument gave the file.
        content: The file, byte for byte (XRDML).
    """

    filename: str
    content: bytes = field(repr=False)
