"""What a chemist weighs beside energies: hazards, air, melting, and how usual a powder is.

Every concern is a sentence with a penalty on the score of a recipe; a few exclude a powder
outright. Hazard classes follow the harmonised classification of the European CLP regulation
(EC 1272/2008, annex VI) where it lists the compound, entered from general knowledge: they
point at what to look up and replace no safety data sheet.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from pymatgen.core import Element

from alab.errors import TargetError
from planners.synthesis.reactions import GAS_ELEMENTS, atoms, metals
from planners.synthesis.thermo import find, reduced


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """What speaks against a powder.

    Attributes:
        text: A sentence, the powder named.
        penalty: What it takes from the score of a recipe.
        excludes: Whether the powder is not used at all.
    """

    text: str
    penalty: float = 0.0
    excludes: bool = False


_TOXIC_ELEMENTS: Mapping[str, str] = MappingProxyType(
    {
        "Pb": "may damage the unborn child and builds up in the body (H360, H373)",
        "Cd": "may cause cancer and is fatal or toxic when inhaled (H350, H330)",
        "Hg": "is fatal when inhaled or swallowed, and evaporates (H330, H300)",
        "Tl": "is fatal when swallowed or inhaled (H300, H330)",
        "As": "is toxic when swallowed and may cause cancer (H301, H350)",
        "Be": "is fatal when inhaled and may cause cancer (H330, H350i)",
        "Os": "may form OsO4, which is fatal when inhaled (H330)",
        "Ni": "may cause cancer when its dust is inhaled (H350i)",
        "Co": "may cause allergy and, as dust, cancer (H334, H317, H350i)",
        "Sb": "is suspected of causing cancer when inhaled (H351)",
        "Se": "is toxic when swallowed or inhaled (H301, H331)",
    }
)
"""Elements whose oxides and salts are toxic as a class."""

_GRAVE = frozenset({"Hg", "Tl", "As", "Be", "Os", "Cd"})
"""Elements whose dust a laboratory without a glove box had better not handle."""

_TOXIC_COMPOUNDS: Mapping[str, str] = MappingProxyType(
    {
        reduced(formula): text
        for formula, text in {
            "V2O5": "is toxic when swallowed or inhaled (H301, H330, H372)",
            "NH4VO3": "is toxic when swallowed (H301)",
            "BaCO3": "is harmful when swallowed (H302)",
            "BaO": "is toxic when swallowed and corrosive (H301, H314)",
            "Ba(OH)2": "is harmful and corrosive (H302, H314)",
            "BaCl2": "is toxic when swallowed (H301)",
            "MnO2": "is harmful when swallowed or inhaled (H302, H332)",
            "MoO3": "irritates and is suspected of causing cancer (H319, H335, H351)",
            "LiOH": "burns the skin (H314)",
            "NaOH": "burns the skin (H314)",
            "KOH": "burns the skin (H314)",
            "CaO": "damages the eyes (H318)",
            "P2O5": "burns the skin and reacts violently with water (H314, EUH014)",
        }.items()
    }
)

_HEXAVALENT_CHROMIUM = frozenset(
    map(
        reduced,
        ("CrO3", "K2CrO4", "K2Cr2O7", "Na2CrO4", "Na2Cr2O7", "(NH4)2Cr2O7", "BaCrO4", "SrCrO4",
         "CaCrO4", "PbCrO4", "ZnCrO4"),
    )
)  # fmt: skip

_PEROXIDES = frozenset(map(reduced, ("Li2O2", "Na2O2", "K2O2", "KO2", "CaO2", "SrO2", "BaO2")))

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
def family(powder: str) -> str:
    """What kind of compound a powder is: oxide, carbonate, nitrate and so on."""
    held = atoms(powder)
    carbon, hydrogen, nitrogen = "C" in held, "H" in held, "N" in held
    oxygen = float(held.get("O", 0))
    if reduced(powder) in _PEROXIDES:
        return "peroxide"
    if nitrogen:
        dry = oxygen - float(held.get("H", 0)) / 2  # without the water of a hydrate
        if dry >= 3 * float(held["N"]):
            return "nitrate"
        return "ammonium salt" if hydrogen and held["H"] >= 4 * held["N"] else "other"
    if carbon:
        if oxygen < 2 * float(held["C"]) and not hydrogen:
            return "other"
        whole = oxygen >= 3 * float(held["C"])
        return "carbonate" if whole else "organic salt"
    if hydrogen:
        return "hydroxide" if oxygen else "other"
    if set(held) - {"O"} == metals(powder) and oxygen:
        return "oxide" if len(metals(powder)) == 1 else "mixed oxide"
    return "element" if len(held) == 1 else "other"


def families(powders: Collection[str]) -> frozenset[tuple[str, str]]:
    """What a set is made of: the metals and the kind of each of its powders."""
    return frozenset(("".join(sorted(metals(powder))), family(powder)) for powder in powders)


@cache
def usualness(powder: str) -> float:
    """How usual a powder is in solid-state synthesis, 0 to 1."""
    return _COMMON.get(powder, _COMMON_BY_FAMILY[family(powder)])


@cache
def concerns(powder: str) -> tuple[Concern, ...]:
    """Hazards of a powder, and whether it keeps in air; whatever the firing."""
    return (*_hazards(powder), *_air(powder))


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


def _hazards(powder: str) -> list[Concern]:
    held, key = atoms(powder), reduced(powder)
    found = [
        Concern(text=f"{powder} {_TOXIC_ELEMENTS[element]}.", penalty=_toxic_penalty(element))
        for element in sorted(set(held) & set(_TOXIC_ELEMENTS))
    ]
    if key in _TOXIC_COMPOUNDS:
        found.append(Concern(text=f"{powder} {_TOXIC_COMPOUNDS[key]}."))
    if key in _HEXAVALENT_CHROMIUM:
        text = f"{powder} holds Cr(VI), which causes cancer and is toxic (H350, H301, H330)."
        found.append(Concern(text=text, penalty=1.0))
    if _explosive(powder):
        text = f"{powder} can explode when heated or ground (H201 to H271)."
        found.append(Concern(text=text, excludes=True))
    elif family(powder) in ("nitrate", "peroxide"):
        text = f"{powder} is an oxidiser (H272): keep it from paper and solvents"
        gas = "; it gives off NO2 when heated." if family(powder) == "nitrate" else "."
        found.append(Concern(text=text + gas, penalty=0.3))
    return found


def _toxic_penalty(element: str) -> float:
    return 1.0 if element in _GRAVE else 0.0


def _explosive(powder: str) -> bool:
    """Perchlorates, chlorates, azides, ammonium nitrate and dichromate."""
    held = {e: float(n) for e, n in atoms(powder).items()}
    chlorate = held.get("Cl", 0) > 0 and held.get("O", 0) >= 3 * held["Cl"]
    azide = held.get("N", 0) >= 3 and not held.keys() & {"O", "H", "C"}
    return (
        chlorate
        or (azide and len(held) == 2 and _salt_of_light_nitrogen(held))
        or reduced(powder) in {reduced("NH4NO3"), reduced("(NH4)2Cr2O7")}
    )


def _salt_of_light_nitrogen(held: Mapping[str, float]) -> bool:
    """Three nitrogens or more per metal atom: an azide and no nitride."""
    return held["N"] >= 3 * sum(n for e, n in held.items() if e not in GAS_ELEMENTS)


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
