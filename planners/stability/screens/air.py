"""Does a candidate last in air at firing temperatures, against O2, CO2 and H2O?

In air oxygen, carbon and hydrogen come and go; what a solid conserves are its other atoms
(:mod:`planners.synthesis.grand_potential`). Per metal atom x of the candidate::

    ΔΦ = φ(candidate) − min Σ w_i φ_i   with  Σ w_i x_i = x,  w_i ≥ 0

Positive: it would turn into the solids i, and give off or take up what they hold more or less.
The gases are judged apart, by the solids they can make: oxides for O2, carbonates beside them
for CO2, hydroxides beside them for H2O. A carbonate or hydroxide must win to count.

The candidate's Gibbs energy is its formation energy with the temperature of the descriptor of
Bartel et al. (Nat. Commun. 9, 4168, 2018), put on measured constituent oxides where the same
reference predicts those too (:class:`planners.synthesis.sources.Anchored`). Solids come from
the tables of :mod:`planners.synthesis.thermo`, and from the reference what they lack.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property

import numpy as np
from pymatgen.entries.computed_entries import ComputedStructureEntry
from scipy.optimize import linprog

from alab.models import Atmosphere
from alab.units import c_to_k
from planners.stability.crystals import Crystal
from planners.stability.references.snapshot import Snapshot
from planners.stability.screens.verdict import Screen, Verdict
from planners.synthesis.compounds import KJ_PER_MOL_PER_EV, MissingThermoError
from planners.synthesis.computed import descriptor_curve, is_compound
from planners.synthesis.curves import Curve
from planners.synthesis.gases import gas_potential_kj_per_mol
from planners.synthesis.grand_potential import metal_atoms, metal_fractions, solids_within
from planners.synthesis.reactions import (
    GAS_ELEMENTS,
    atoms,
    equation,
    gases_of,
    has_energy,
    metals,
)
from planners.synthesis.sources import Anchored, OwnTable
from planners.synthesis.thermo import gibbs, sources, written

TEMPERATURES_C = (600.0, 700.0, 800.0, 900.0, 1000.0, 1100.0)
AIR_LIMIT_EV_PER_ATOM = 0.010

_GASES: Mapping[str, str] = {"O2": "", "CO2": "C", "H2O": "H"}
"""Each gas of air with the element by which its solids are told from oxides."""
_KINDS = {"CO2": "carbonate", "H2O": "hydroxide"}
_TRACE = 1e-6
_LARGEST_DENOMINATOR = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What the best mixture of other solids is at one temperature.

    Attributes:
        temperature_c: Of the furnace.
        drive_ev_per_atom: ΔΦ per atom of the candidate; positive where it decomposes.
        shares: Share of the metal atoms in each product.
    """

    temperature_c: float
    drive_ev_per_atom: float
    shares: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)  # no slots: its curves are cached
class PredictedEnergies:
    """Formation energies of one reference with their crystals, as Gibbs energies.

    Attributes:
        name: Of the reference.
        crystals: Crystal and formation energy in eV per atom of each reduced formula.
    """

    name: str
    crystals: Mapping[str, tuple[Crystal, float]]
    _curves: dict[str, Curve] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, reference: Snapshot) -> "PredictedEnergies":
        """The lowest entry of each compound, where it comes with a crystal."""
        found: dict[str, tuple[Crystal, float]] = {}
        for formula, entries in reference.by_formula.items():
            if entries[0].crystal is not None and not entries[0].measured:
                energy = entries[0].formation_energy_ev_per_atom
                found[formula] = entries[0].crystal, energy
        return cls(name=reference.name, crystals=found)

    def with_candidate(
        self, formula: str, crystal: Crystal, energy_ev_per_atom: float
    ) -> "PredictedEnergies":
        """The same and one more."""
        more = {**self.crystals, formula: (crystal, energy_ev_per_atom)}
        return PredictedEnergies(name=self.name, crystals=more, _curves=dict(self._curves))

    def curve(self, formula: str) -> Curve | None:
        """Apparent Gibbs energy over temperature, None for what is not here."""
        if formula not in self.crystals or not is_compound(formula):
            return None
        if formula not in self._curves:
            crystal, energy = self.crystals[formula]
            entry = ComputedStructureEntry(crystal.structure(), 0.0, entry_id=self.name)
            self._curves[formula] = descriptor_curve(entry, energy)
        return self._curves[formula]

    def solids(self) -> tuple[str, ...]:
        """Reduced formulas."""
        return tuple(self.crystals)

    @cached_property
    def anchored(self) -> Anchored:
        """On measured oxides, where these and the oxides' own predictions are known."""
        return Anchored(self, (OwnTable(estimated=False), *sources().tables))


def in_air(
    formula: str,
    energies: PredictedEnergies,
    *,
    limit_ev_per_atom: float = AIR_LIMIT_EV_PER_ATOM,
    temperatures_c: Sequence[float] = TEMPERATURES_C,
) -> tuple[Screen, ...]:
    """Judge a candidate against each gas of air: one screen for O2, CO2 and H2O each.

    Args:
        formula: Reduced formula of the candidate, with its crystal among ``energies``.
        energies: The candidate and the reference, predicted alike.
        limit_ev_per_atom: Largest ΔΦ that still passes.
        temperatures_c: Where to look; all must pass.
    """
    missing = _missing(formula, energies, temperatures_c)
    if missing:
        return tuple(
            Screen(name=f"air: {gas}", verdict=Verdict.UNKNOWN, reason=missing)
            for gas in _GASES
        )
    oxides = [_fate(formula, energies, t, "") for t in temperatures_c]
    return (
        _judged("O2", formula, energies, oxides, limit_ev_per_atom),
        *(
            _against(gas, formula, energies, oxides, limit_ev_per_atom)
            for gas in ("CO2", "H2O")
        ),
    )


def _missing(
    formula: str, energies: PredictedEnergies, temperatures_c: Sequence[float]
) -> str | None:
    """Why a candidate cannot be judged at all, None if it can."""
    if not metals(formula):
        return f"{formula} holds nothing that stays in a furnace"
    if energies.anchored.curve(formula) is None:
        return f"no Gibbs energies of all elements of {formula} are tabulated"
    without = sorted(
        symbol
        for symbol in metals(formula)
        if not any(
            "O" in atoms(solid)
            and not {"C", "H", "N"} & atoms(solid).keys()
            and symbol in metals(solid)
            and all(has_energy(solid, t) for t in temperatures_c)
            for solid in solids_within(metals(formula))
        )
    )
    if without:
        return (
            f"no solid of {', '.join(without)} with oxygen has a tabulated Gibbs energy, so "
            "what air makes of it is not known; name tables in ALAB_THERMO"
        )
    return None


def _against(
    gas: str,
    formula: str,
    energies: PredictedEnergies,
    oxides: Sequence[Fate],
    limit: float,
) -> Screen:
    """Whether carbonates (hydroxides) beside the oxides take a candidate apart."""
    element, kind = _GASES[gas], _KINDS[gas]
    tabulated = [
        solid
        for solid in _allowed(formula, energies, element)
        if element in atoms(solid)
        and any(has_energy(solid, fate.temperature_c) for fate in oxides)
    ]
    if not tabulated:
        return Screen(
            name=f"air: {gas}",
            verdict=Verdict.UNKNOWN,
            reason=f"no {kind} of {', '.join(sorted(metals(formula)))} is tabulated",
        )
    fates = [
        _fate(formula, energies, oxide.temperature_c, element)
        if any(has_energy(solid, oxide.temperature_c) for solid in tabulated)
        else oxide
        for oxide in oxides
    ]
    taken = [fate for fate in fates if any(element in atoms(solid) for solid in fate.shares)]
    without = sorted(metals(formula) - frozenset().union(*map(metals, tabulated)))
    note = f"; none of {', '.join(without)} is tabulated" if without else ""
    named = ", ".join(map(written, tabulated))
    if not taken:
        return Screen(
            name=f"air: {gas}",
            verdict=Verdict.PASSED,
            reason=f"no {kind} forms ({named}{note})",
        )
    judged = _judged(gas, formula, energies, taken, limit)
    return (
        judged
        if judged.verdict is Verdict.FAILED
        else replace(judged, reason=judged.reason + note)
    )


def _judged(
    gas: str,
    formula: str,
    energies: PredictedEnergies,
    fates: Sequence[Fate],
    limit: float,
) -> Screen:
    worst = max(fates, key=lambda fate: fate.drive_ev_per_atom)
    value = worst.drive_ev_per_atom
    bad = [fate.temperature_c for fate in fates if fate.drive_ev_per_atom > limit]
    passed = not bad
    where = f"at {worst.temperature_c:g} °C (± {_error(formula, energies) * 1000:.0f})"
    if passed:
        reason = f"at worst {value * 1000:+.0f} meV/atom, {where}"
    else:
        reason = (
            f"{_reaction(formula, worst)} runs downhill by {value * 1000:.0f} meV/atom "
            f"{where}; unstable at {_range(bad, fates)}"
        )
    return Screen(
        name=f"air: {gas}",
        verdict=Verdict.PASSED if passed else Verdict.FAILED,
        reason=reason,
        value_ev_per_atom=value,
        limit_ev_per_atom=limit,
    )


def _range(bad: Sequence[float], fates: Sequence[Fate]) -> str:
    if len(bad) == len(fates):
        return "all of these temperatures"
    return ", ".join(f"{t:g}" for t in bad) + " °C"


def _fate(formula: str, energies: PredictedEnergies, temperature_c: float, extra: str) -> Fate:
    """The best mixture of other solids; ``extra`` lets carbonates (C) or hydroxides (H) in."""
    elements = sorted(metals(formula))
    solids = [
        solid
        for solid in _allowed(formula, energies, extra)
        if _known(solid, energies, temperature_c)
    ]
    own = _potential_ev(formula, energies, temperature_c, candidate=True)
    levels = np.array([_potential_ev(s, energies, temperature_c) for s in solids])
    answer = linprog(
        levels,
        A_eq=metal_fractions(solids, elements).T,
        b_eq=metal_fractions([formula], elements)[0],
        method="highs-ds",
    )
    if answer.status != 0:
        raise MissingThermoError(
            f"no mixture of {len(solids)} solids has the metals of {formula} ({answer.message})"
        )
    per_atom = metal_atoms(formula) / float(sum(atoms(formula).values()))
    return Fate(
        temperature_c=temperature_c,
        drive_ev_per_atom=(own - float(answer.fun)) * per_atom,
        shares={s: float(w) for s, w in zip(solids, answer.x, strict=True) if w > _TRACE},
    )


def _allowed(formula: str, energies: PredictedEnergies, extra: str) -> list[str]:
    """Solids of the candidate's metals with oxygen, and with carbon or hydrogen if asked."""
    within = metals(formula)
    predicted = (f for f in energies.solids() if metals(f) and metals(f) <= within)
    barred = {"C", "H", "N"} - {extra}
    return [
        solid
        for solid in dict.fromkeys((*solids_within(within), *predicted))
        if solid != formula and not barred & atoms(solid).keys()
    ]


def _known(solid: str, energies: PredictedEnergies, temperature_c: float) -> bool:
    return has_energy(solid, temperature_c) or energies.anchored.curve(solid) is not None


def _potential_ev(
    formula: str, energies: PredictedEnergies, temperature_c: float, *, candidate: bool = False
) -> float:
    """Grand potential per metal atom; tables first, but never for the candidate itself."""
    if not candidate and has_energy(formula, temperature_c):
        energy_ev = gibbs(formula, temperature_c).kj_per_mol / KJ_PER_MOL_PER_EV
    else:
        curve = energies.anchored.curve(formula)
        if curve is None:
            raise MissingThermoError(f"no Gibbs energy of {formula} is known")
        energy_ev = curve.at_ev(c_to_k(temperature_c))
    open_atoms = {e: n for e, n in atoms(formula).items() if e in GAS_ELEMENTS}
    for gas, moles in gases_of(open_atoms).items():
        potential_kj = gas_potential_kj_per_mol(gas, temperature_c, Atmosphere.AIR)
        energy_ev -= float(moles) * potential_kj / KJ_PER_MOL_PER_EV
    return energy_ev / metal_atoms(formula)


def _error(formula: str, energies: PredictedEnergies) -> float:
    curve = energies.anchored.curve(formula)
    return math.nan if curve is None else curve.uncertainty_ev_per_atom


def _reaction(formula: str, fate: Fate) -> str:
    """The decomposition as an equation: ``2 MnO2 → Mn2O3 + 1/2 O2`` in whole numbers."""
    held = metal_atoms(formula)
    products = {
        solid: Fraction(share * held / metal_atoms(solid)).limit_denominator(
            _LARGEST_DENOMINATOR
        )
        for solid, share in fate.shares.items()
    }
    left = dict(atoms(formula))
    for solid, moles in products.items():
        for element, count in atoms(solid).items():
            left[element] = left.get(element, Fraction(0)) - moles * count
    gases = gases_of({e: n for e, n in left.items() if e in GAS_ELEMENTS})
    return equation({formula: Fraction(1)}, products, gases)
