"""Powder in a crucible: what it weighs, what it is, and what it went through.

A powder keeps its *charge* (moles of each phase, how well it is mixed) and the heat it has
seen since the chemistry last looked. Exposure is cheap: it only extends a thermal history
of *soaks*, cut by the history itself (8 °C, 30 min) and never by who asks when. Closed soaks
go through the chemistry when somebody weighs or looks; a soak still open is looked at on a
copy, so that asking changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Protocol

from pymatgen.core import Composition

from alab.models import Atmosphere

COLD_C = 100.0
"""Nothing on this shelf reacts below; cold time is not recorded."""

_SOAK_SPAN_C = 8.0
_SOAK_LONGEST_S = 1800.0

UNMIXED = 0.05
"""Mixing quality of powders poured on top of one another."""

_MIXING_GAIN = 0.8
_LAYER_BROKEN = 0.9


@lru_cache(maxsize=1024)
def reduced(formula: str) -> str:
    """Formula as pymatgen reduces it: ``(NH4)2HPO4`` is ``PH9(NO2)2``."""
    return Composition(formula).reduced_formula


@lru_cache(maxsize=1024)
def molar_mass_g(formula: str) -> float:
    """Molar mass of one formula unit, g/mol."""
    return float(Composition(formula).weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """A stretch of thermal history at one temperature.

    Attributes:
        duration_s: How long.
        temperature_c: Time-averaged temperature.
        atmosphere: Gas around the crucible.
    """

    duration_s: float
    temperature_c: float
    atmosphere: Atmosphere


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """State of a powder; never changed in place.

    Attributes:
        moles: Moles of each phase by reduced formula, all > 0.
        glass: Share of a phase that is amorphous, 0 to 1; phases left out are crystalline.
        layers: Product grown on the grains since the last grinding, as a share of the
            cations of the charge, by phase.
        mixing: 0 for powders poured on one another, 1 for perfectly mixed.
    """

    moles: Mapping[str, float] = field(default_factory=dict)
    glass: Mapping[str, float] = field(default_factory=dict)
    layers: Mapping[str, float] = field(default_factory=dict)
    mixing: float = UNMIXED

    @property
    def mass_mg(self) -> float:
        """Mass of all phases, in milligrams."""
        return sum(n * molar_mass_g(formula) for formula, n in self.moles.items()) * 1000.0


class Chemistry(Protocol):
    """What heat does to a charge."""

    def fire(self, charge: Charge, history: Sequence[Soak], name: str) -> Charge:
        """The charge after ``history``; ``name`` tells one crucible from another."""
        ...


@dataclass(slots=True, eq=False)
class Powder:
    """Powder that is weighed, mixed, fired and divided.

    Args:
        chemistry: What heat does to it; without one it is inert.
        name: Crucible it belongs to; two crucibles never pack quite alike.

    A powder that comes back from a file is inert until it is given a chemistry again.
    """

    chemistry: Chemistry | None = None
    name: str = ""
    _charge: Charge = field(default_factory=Charge)
    _closed: list[Soak] = field(default_factory=list)
    _open: Soak | None = None
    _open_start_c: float = 0.0
    _seen: Charge | None = None

    def __getstate__(self) -> tuple[Any, ...]:
        """All but the chemistry, which belongs to a world; soaks as short as they can be."""
        closed = [(s.duration_s, s.temperature_c, s.atmosphere) for s in self._closed]
        return self.name, self._charge, closed, self._open, self._open_start_c

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.name, self._charge, closed, self._open, self._open_start_c = state
        self._closed = [
            Soak(duration_s=duration_s, temperature_c=temperature_c, atmosphere=atmosphere)
            for duration_s, temperature_c, atmosphere in closed
        ]
        self.chemistry = self._seen = None

    def add(self, formula: str, mass_mg: float) -> None:
        """Pour in a powder; what is there before and after is no longer well mixed.

        Args:
            formula: Formula on the jar.
            mass_mg: Mass poured; nothing happens for 0.

        Raises:
            ValueError: If the mass is negative.
        """
        if mass_mg < 0:
            raise ValueError(f"cannot add {mass_mg:g} mg of {formula}; take() removes powder")
        if mass_mg == 0:
            return
        charge = self._commit()
        before_mg = charge.mass_mg
        phase = reduced(formula)
        moles = dict(charge.moles)
        moles[phase] = moles.get(phase, 0.0) + mass_mg / 1000.0 / molar_mass_g(phase)
        diluted = before_mg / (before_mg + mass_mg)
        self._charge = replace(
            charge, moles=moles, mixing=UNMIXED + (charge.mixing - UNMIXED) * diluted
        )

    def mix(self, intensity: float) -> None:
        """Mix or regrind: brings grains together and breaks product layers.

        Args:
            intensity: 0 leaves the powder as it is, 1 is the best the mixer can do.

        Raises:
            ValueError: If the intensity is outside 0 to 1.
        """
        if not 0.0 <= intensity <= 1.0:
            raise ValueError(f"mixing intensity {intensity:g} is outside 0 to 1")
        charge = self._commit()
        kept = 1.0 - _LAYER_BROKEN * intensity
        self._charge = replace(
            charge,
            mixing=1.0 - (1.0 - charge.mixing) * (1.0 - _MIXING_GAIN * intensity),
            layers={phase: layer * kept for phase, layer in charge.layers.items()},
        )

    def expose(self, duration_s: float, temperature_c: float, atmosphere: Atmosphere) -> None:
        """Spend time at a temperature, in a gas.

        Args:
            duration_s: How long; at most some minutes where the temperature changes.
            temperature_c: Mean temperature of the powder meanwhile.
            atmosphere: Gas around the crucible.
        """
        if not self._charge.moles or duration_s <= 0:
            return
        self._seen = None
        if temperature_c < COLD_C:
            self._close()
            return
        soak = self._open
        if (
            soak is not None
            and soak.atmosphere is atmosphere
            and abs(temperature_c - self._open_start_c) <= _SOAK_SPAN_C
            and soak.duration_s + duration_s <= _SOAK_LONGEST_S
        ):
            total_s = soak.duration_s + duration_s
            heat = soak.temperature_c * soak.duration_s + temperature_c * duration_s
            self._open = Soak(
                duration_s=total_s, temperature_c=heat / total_s, atmosphere=atmosphere
            )
            return
        self._close()
        self._open = Soak(
            duration_s=duration_s, temperature_c=temperature_c, atmosphere=atmosphere
        )
        self._open_start_c = temperature_c

    def take(self, mass_mg: float) -> "Powder":
        """Remove a representative part.

        Args:
            mass_mg: Mass wanted; if there is less, all of it is taken.

        Raises:
            ValueError: If the mass is negative.
        """
        if mass_mg < 0:
            raise ValueError(f"cannot take {mass_mg:g} mg; add() pours powder in")
        charge = self._commit()
        present_mg = charge.mass_mg
        share = min(1.0, mass_mg / present_mg) if present_mg > 0 else 0.0
        taken = {phase: n * share for phase, n in charge.moles.items()} if share > 0 else {}
        left = {phase: n * (1.0 - share) for phase, n in charge.moles.items()}
        self._charge = replace(charge, moles=left) if share < 1.0 else Charge()
        return Powder(self.chemistry, self.name, replace(charge, moles=taken))

    @property
    def charge(self) -> Charge:
        """State at present."""
        if self._seen is None:
            self._settle_closed()
            self._seen = self._charge
            if self._open is not None and self.chemistry is not None:
                self._seen = self.chemistry.fire(self._charge, [self._open], self.name)
        return self._seen

    @property
    def mass_mg(self) -> float:
        """Mass at present, in milligrams."""
        return self.charge.mass_mg

    def weight_fractions(self) -> dict[str, float]:
        """Crystalline phases as shares of the whole mass, largest first.

        Together they are 1 less :attr:`amorphous_fraction`; empty for no powder.
        """
        charge = self.charge
        total_mg = charge.mass_mg
        shares = {
            phase: n
            * molar_mass_g(phase)
            * 1000.0
            * (1.0 - charge.glass.get(phase, 0.0))
            / total_mg
            for phase, n in charge.moles.items()
        }
        ordered = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
        return {phase: share for phase, share in ordered if share > 1e-6}

    @property
    def amorphous_fraction(self) -> float:
        """Share of the mass that gives no lines, 0 to 1."""
        charge = self.charge
        total_mg = charge.mass_mg
        if total_mg <= 0:
            return 0.0
        glass_mg = sum(
            n * molar_mass_g(phase) * 1000.0 * charge.glass.get(phase, 0.0)
            for phase, n in charge.moles.items()
        )
        return glass_mg / total_mg

    def _close(self) -> None:
        if self._open is not None:
            self._closed.append(self._open)
            self._open = None

    def _settle_closed(self) -> None:
        if self._closed:
            if self.chemistry is not None:
                self._charge = self.chemistry.fire(self._charge, self._closed, self.name)
            self._closed = []

    def _commit(self) -> Charge:
        """Bring the charge up to the present before a hand is laid on it."""
        self._close()
        self._settle_closed()
        self._seen = None
        return self._charge
