"""What a chemist weighs beside energies: hazards, air, melting, and how usual a powder is.

Every concern is a sentence with a penalty on the score of a recipe; a few exclude a powder
outright (:mod:`hazards`).
"""

from collections.abc import Collection, Mapping
from functools import cache
from types import MappingProxyType

from pymatgen.core import Element

from alab.errors import TargetError
from planners.synthesis.families import family
from planners.synthesis.hazards import Concern, hazards
from planners.synthesis.reactions import atoms
from planners.synthesis.thermo import find, reduced

_HYGROSCOPIC = frozenset(
    map(
        reduced,
        ("Li2O", "Na2O", "K2O", "Rb2O", "Cs2O", "CaO", "SrO", "BaO", "La2O3", "Pr2O3", "Nd2O3",
         "P2O5", "LiOH", "NaOH", "KOH", "RbOH", "CsOH", "Li2O2", "Na2O2", "K2O2", "KO2",
         "K2CO3", "Rb2CO3", "Cs2CO3", "CrO3"),
    )
)  # fmt: skip
"""Powders that gain weight on an open balance, by common practice."""

_COMMON: Mapping[str, float] = MappingProxyType(
    {
        "NH4H2PO4": 1.0, "(NH4)2HPO4": 0.6, "MgO": 1.0, "Mg(OH)2": 0.3, "MnO2": 1.0,
        "Mn2O3": 0.8, "Mn3O4": 0.4, "MnCO3": 0.8, "Li2CO3": 1.0, "LiOH": 0.6, "Li2O": 0.2,
        "Fe2O3": 1.0, "Fe3O4": 0.3, "Co3O4": 1.0, "CoO": 0.4, "CuO": 1.0, "NiO": 1.0,
        "TiO2": 1.0, "La2O3": 0.9, "La(OH)3": 0.4, "SiO2": 1.0, "Al2O3": 1.0, "ZnO": 1.0,
    }
)  # fmt: skip
"""How usual a precursor is in solid-state practice, 0 to 1; carbonates and oxides lead."""

_COMMON_BY_FAMILY: Mapping[str, float] = MappingProxyType(
    {
        "oxide": 0.7, "carbonate": 0.7, "ammonium salt": 0.6, "nitrate": 0.5, "hydroxide": 0.4,
        "organic salt": 0.4, "mixed oxide": 0.3, "peroxide": 0.2, "element": 0.2, "other": 0.1,
    }
)  # fmt: skip


@cache
def usualness(powder: str) -> float:
    """How usual a powder is in solid-state synthesis, 0 to 1."""
    return _COMMON.get(powder, _COMMON_BY_FAMILY[family(powder)])


@cache
def concerns(powder: str) -> tuple[Concern, ...]:
    """Hazards of a powder, and whether it keeps in air; whatever the firing."""
    return (*hazards(powder), *_air(powder))


def firing_concerns(powder: str, temperature_c: float) -> tuple[Concern, ...]:
    """What a powder does on the way to a firing temperature."""
    compound = find(powder)
    if compound is None:
        return ()
    found: list[Concern] = []
    if (
        compound.melts_c is not None
        and compound.melts_c < temperature_c
        and "N" not in atoms(powder)
    ):
        found.append(
            Concern(text=f"{powder} melts at {compound.melts_c:g} °C and may wet the crucible.")
        )
    return tuple(found)


def penalty(powder: str) -> float:
    """What the concerns of a powder take from the score of a recipe."""
    return sum(concern.penalty for concern in concerns(powder))


def usable_powders(
    shelf: Mapping[str, float],
    *,
    forbidden_elements: Collection[str] = (),
    forbidden_precursors: Collection[str] = (),
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Split a shelf into what may be used and what may not.

    Args:
        shelf: Milligrams in stock of each powder.
        forbidden_elements: Symbols that this laboratory does not handle.
        forbidden_precursors: Formulas that are not to be used.

    Returns:
        The usable powders, most usual first, and the reason for each of the others.
    """
    forbidden = {reduced(formula) for formula in forbidden_precursors}
    left_out: dict[str, str] = {}
    for powder, mass_mg in shelf.items():
        excluding = next((c.text for c in concerns(powder) if c.excludes), None)
        banned = sorted(set(atoms(powder)) & set(forbidden_elements))
        if mass_mg <= 0:
            left_out[powder] = f"{powder} is out of stock"
        elif reduced(powder) in forbidden:
            left_out[powder] = f"{powder} is on the list of forbidden precursors"
        elif banned:
            left_out[powder] = f"{powder} holds {' and '.join(banned)}, forbidden here"
        elif excluding is not None:
            left_out[powder] = excluding.rstrip(".")
    kept = [powder for powder in shelf if powder not in left_out]
    return tuple(sorted(kept, key=lambda p: (penalty(p) - usualness(p), p))), left_out


def check_forbidden_elements(symbols: Collection[str]) -> frozenset[str]:
    """Element symbols as given.

    Raises:
        TargetError: If one is no element.
    """
    for symbol in symbols:
        if not Element.is_valid_symbol(symbol):
            raise TargetError(
                f"{symbol!r} among the forbidden elements is no element; write symbols like Pb"
            )
    return frozenset(symbols)


def _air(powder: str) -> list[Concern]:
    compound = find(powder)
    soft = reduced(powder) in _HYGROSCOPIC
    if (compound is not None and compound.air_stable) or (compound is None and not soft):
        return []
    mild = reduced(powder) in (reduced("La2O3"), reduced("K2CO3"))
    return [
        Concern(
            text=f"{powder} takes up water or CO2 from air; keep the jar dry.",
            penalty=0.5 if mild else 1.0,
        )
    ]
