"""Where energies come from, in order of trust.

A user's own file, our measured rows, NIST-JANAF, FREED, our estimated rows, computed entries
(on measured oxides where possible), and the elements.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Protocol

import numpy as np
from pymatgen.core import Composition

from alab.units import c_to_k
from planners.synthesis.compounds import (
    HIGHEST_C,
    KJ_PER_MOL_PER_EV,
    LOWEST_C,
    OXIDES,
    Compound,
    MissingThermoError,
    find,
    reduced,
    reducing_gases,
    table,
)
from planners.synthesis.curves import Curve
from planners.synthesis.elements import GRID_K, FloatArray, element_energies_ev, solid_elements
from planners.synthesis.gases import GASES

_ELEMENT_EV_PER_ATOM = 0.005
"""Third-law entropies of elements are known within 0.5 J/mol/K, which is this at 1000 K."""


ANCHORED_EV_PER_ATOM = 0.050
"""One standard deviation: 41 to 52 were measured, 300 to 1500 K (docs/thermodynamics.md)."""


class Energy(Protocol):
    """A compound's apparent Gibbs energy per reduced formula unit."""

    @property
    def uncertainty_ev_per_atom(self) -> float:
        """One standard deviation."""
        ...

    @property
    def source(self) -> str:
        """Where it comes from."""
        ...

    def at_ev(self, temperature_k: float) -> float:
        """Its value in eV; MissingThermoError outside its range."""
        ...


class Source(Protocol):
    """Somewhere compounds are looked up by reduced formula."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def curve(self, formula: str) -> Energy | None:
        """The compound, or None; MissingThermoError if there is a reason worth telling."""
        ...

    def solids(self) -> Iterable[str]:
        """Reduced formulas of its solids."""
        ...


class CurveSource(Protocol):
    """A source whose curves are given in points."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def curve(self, formula: str) -> Curve | None:
        """The compound, or None; MissingThermoError if there is a reason worth telling."""
        ...

    def solids(self) -> Iterable[str]:
        """Reduced formulas of its solids."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """A row of our own table as an energy."""

    compound: Compound

    @property
    def uncertainty_ev_per_atom(self) -> float:
        """That of the row's enthalpy."""
        atoms = Composition(self.compound.formula).num_atoms
        return self.compound.uncertainty_kj_per_mol / KJ_PER_MOL_PER_EV / atoms

    @property
    def source(self) -> str:
        """The row's source."""
        return self.compound.source

    def at_ev(self, temperature_k: float) -> float:
        """The row's apparent Gibbs energy, eV per formula unit."""
        if not c_to_k(LOWEST_C) - 1e-6 <= temperature_k <= c_to_k(HIGHEST_C) + 1e-6:
            raise MissingThermoError(
                f"{self.compound.formula} at {temperature_k - c_to_k(0):g} °C is outside "
                f"{LOWEST_C:g} to {HIGHEST_C:g} °C, where the heat capacities hold; ask for a "
                "temperature in between"
            )
        return self.compound.gibbs_kj_per_mol(temperature_k) / KJ_PER_MOL_PER_EV


@dataclass(frozen=True, slots=True)
class OwnTable:
    """Our own table: the measured rows, or the estimated ones.

    Attributes:
        estimated: Which of them.
    """

    estimated: bool

    @property
    def name(self) -> str:
        """What it is called."""
        return "our own table"

    def curve(self, formula: str) -> Row | None:
        """The row of a compound, if there is one of this kind."""
        compound = find(formula) or reducing_gases().get(formula)
        return Row(compound) if compound and compound.estimated is self.estimated else None

    def solids(self) -> tuple[str, ...]:
        """Reduced formulas of the rows of this kind that are no gases."""
        rows = table().items()
        return tuple(k for k, row in rows if row.estimated is self.estimated and k not in GASES)


@dataclass(frozen=True, slots=True)
class Elements:
    """The solid elements; their apparent energy is what they do on heating."""

    name: str = "pymatgen's g_els.json"

    def curve(self, formula: str) -> Curve | None:
        """The curve of a solid element."""
        if formula not in solid_elements():
            return None
        return Curve(
            formula=formula,
            temperatures_k=GRID_K,
            energies_ev=element_energies_ev()[formula],
            uncertainty_ev_per_atom=_ELEMENT_EV_PER_ATOM,
            source=self.name,
        )

    def solids(self) -> frozenset[str]:
        """Symbols of the elements that are solid at 25 °C."""
        return solid_elements()


@dataclass(frozen=True, eq=False)
class Anchored:
    """Computed oxides whose constituent oxides are put where they were measured.

    DFT's errors sit mostly in the elements; between oxides they cancel (Hautier et al.,
    Phys. Rev. B 85, 155208, 2012: 24 meV/atom for ternary oxides from binary ones)::

        G = G_computed + Σ ν_i·[G_measured(oxide i) − G_computed(oxide i)]

    So a computed oxide also competes on equal terms with measured ones. Where its metals have
    another valence than in those oxides, less cancels and the uncertainty stays. A compound
    with another anion, or whose oxides are not in both, is left as computed.

    Attributes:
        computed: The computed entries.
        measured: Where the oxides are looked up, in order.
    """

    computed: CurveSource
    measured: Sequence[Source]
    _shifts: dict[str, FloatArray | None] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """What it is called."""
        return self.computed.name

    def solids(self) -> Iterable[str]:
        """Reduced formulas of the computed compounds."""
        return self.computed.solids()

    def curve(self, formula: str) -> Curve | None:
        """The compound, moved onto its measured oxides where it has them."""
        curve = self.computed.curve(formula)
        if curve is None:
            return None
        counts = dict(Composition(formula).get_el_amt_dict())
        oxygen = counts.pop("O", 0.0)
        shifts_ev = [self._shift_ev(symbol) for symbol in counts]
        if not oxygen or any(shift_ev is None for shift_ev in shifts_ev):
            return curve
        moved_ev = curve.energies_ev
        for count, shift_ev in zip(counts.values(), shifts_ev, strict=True):
            moved_ev = moved_ev + count * (0.0 if shift_ev is None else shift_ev)
        same_valence = abs(oxygen - sum(n * _oxygen_per(el) for el, n in counts.items())) < 0.02
        return replace(
            curve,
            energies_ev=moved_ev,
            uncertainty_ev_per_atom=ANCHORED_EV_PER_ATOM
            if same_valence
            else curve.uncertainty_ev_per_atom,
            source=f"{curve.source}, on measured oxides",
        )

    def _shift_ev(self, symbol: str) -> FloatArray | None:
        """Measured less computed energy of an element's oxide, eV per atom of the element."""
        if symbol not in self._shifts:
            self._shifts[symbol] = self._oxide_shift_ev(symbol)
        return self._shifts[symbol]

    def _oxide_shift_ev(self, symbol: str) -> FloatArray | None:
        oxide = reduced(OXIDES[symbol]) if symbol in OXIDES else ""
        computed = self.computed.curve(oxide) if oxide else None
        if computed is None:
            return None
        for source in self.measured:
            try:
                if (measured := source.curve(oxide)) is None:
                    continue
                energies_ev = [measured.at_ev(float(t)) for t in computed.temperatures_k]
            except MissingThermoError:
                continue
            return (np.array(energies_ev) - computed.energies_ev) / Composition(oxide)[symbol]
        return None


@cache
def _oxygen_per(symbol: str) -> float:
    oxide = Composition(OXIDES[symbol])
    return oxide["O"] / oxide[symbol]


@dataclass(frozen=True, eq=False)
class Sources:
    """Everything that is configured.

    Attributes:
        supplied: Users' files.
        tables: NIST-JANAF, FREED; in this order.
        computed: Files of computed entries.
    """

    supplied: Sequence[Source] = ()
    tables: Sequence[Source] = ()
    computed: Sequence[CurveSource] = ()

    @cached_property
    def in_order(self) -> tuple[Source, ...]:
        """All of them, the most trusted first."""
        own, estimated = OwnTable(estimated=False), OwnTable(estimated=True)
        measured = (own, *self.tables)
        computed = (Anchored(source, measured) for source in self.computed)
        return (*self.supplied, *measured, estimated, *computed, Elements())
