"""What a powder does to people and to the laboratory: poison, fire, explosion.

Powders here are weighed in air, mixed by a fast mixer and heated with nobody near. What
burns in air or water, explodes, or gives off a poisonous vapour then is *excluded*; of the
others the hazard is told. Both are read from the formula, by rules for whole classes and short
tables: they catch what a chemist would refuse at sight, not everything.

Hazard classes follow the harmonised classification of the European CLP regulation
(EC 1272/2008, annex VI) where it lists the compound, entered from general knowledge: they
point at what to look up and replace no safety data sheet.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from pymatgen.core import Element

from planners.synthesis.families import HALOGENS, family, holds_spare_oxygen
from planners.synthesis.reactions import GAS_ELEMENTS, atoms, metals
from planners.synthesis.thermo import reduced


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
            "NaNO2": "is toxic when swallowed (H301)",
            "KNO2": "is toxic when swallowed (H301)",
            "MnO2": "is harmful when swallowed or inhaled (H302, H332)",
            "KMnO4": "is harmful when swallowed and stains and burns the skin (H302, H314)",
            "MoO3": "irritates and is suspected of causing cancer (H319, H335, H351)",
            "LiOH": "burns the skin (H314)",
            "NaOH": "burns the skin (H314)",
            "KOH": "burns the skin (H314)",
            "CaO": "damages the eyes (H318)",
            "P2O5": "burns the skin and reacts violently with water (H314, EUH014)",
        }.items()
    }
)

_FIRE_PENALTY = 0.3
_BURNS_AS_POWDER = frozenset({"Al", "Ti", "Zr", "Hf", "Zn", "P"})
"""Beside the metals that split water."""

_NOBLE = frozenset({"Ru", "Rh", "Pd", "Ag", "Os", "Ir", "Pt", "Au"})

_EXPLOSIVE = frozenset(
    map(
        reduced,
        ("NH4NO3", "NH4NO2", "(NH4)2CrO4", "(NH4)2Cr2O7", "NH4MnO4", "NH4N3", "Ag2C2O4",
         "Ag2C2", "Cu2C2", "Ag3N"),
    )
)  # fmt: skip
"""What carries its own fuel and oxygen, or falls apart by itself; beside the rules."""


def hazards(powder: str) -> list[Concern]:
    """What a powder does to people and to the laboratory, whatever the firing."""
    found = toxic_elements(powder)
    found += [Concern(text=f"{powder} {text}.") for applies, text in _TOLD if applies(powder)]
    if reduced(powder) in _TOXIC_COMPOUNDS:
        found.append(Concern(text=f"{powder} {_TOXIC_COMPOUNDS[reduced(powder)]}."))
    if _highest_valence("Cr", powder):
        text = f"{powder} holds Cr(VI), which causes cancer and is toxic (H350, H301, H330)."
        found.append(Concern(text=text, penalty=1.0))
    for applies, text in _EXCLUDED:
        if applies(powder):
            return [*found, Concern(text=f"{powder} {text}.", excludes=True)]
    if is_oxidiser(powder):
        text = f"{powder} is an oxidiser (H272): keep it from paper and solvents"
        gas = "; it gives off NO2 when heated." if "N" in atoms(powder) else "."
        found.append(Concern(text=text + gas, penalty=_FIRE_PENALTY))
    if _is_burning_element(powder):
        text = f"{powder} burns or oxidises in air when fine or hot (H228)."
        found.append(Concern(text=text, penalty=_FIRE_PENALTY))
    return found


def toxic_elements(powder: str) -> list[Concern]:
    """The elements of a powder whose oxides and salts are toxic as a class."""
    return [
        Concern(
            text=f"{powder} {_TOXIC_ELEMENTS[element]}.",
            penalty=1.0 if element in _GRAVE else 0.0,
        )
        for element in sorted(set(atoms(powder)) & set(_TOXIC_ELEMENTS))
    ]


def clash(powders: Collection[str]) -> str | None:
    """Why powders may not be mixed with one another, None where they may."""
    oxidiser = next(filter(is_oxidiser, powders), None)
    fuel = next(filter(is_fuel, powders), None)
    if oxidiser is None or fuel is None:
        return None
    return (
        f"{oxidiser} gives off oxygen and {fuel} burns in it; ground or heated together they "
        "can take fire or explode"
    )


@cache
def is_oxidiser(powder: str) -> bool:
    """Whether it feeds a fire: nitrates, peroxides, permanganates, chromates(VI), ..."""
    return (
        holds_spare_oxygen(powder)
        or _highest_valence("Mn", powder)
        or _highest_valence("Cr", powder)
    )


@cache
def is_fuel(powder: str) -> bool:
    """Whether an oxidiser burns it: no oxygen in it, or organic, or an ammonium salt."""
    held = atoms(powder)
    if is_oxidiser(powder):
        return False
    if not held.keys() & {"O", *HALOGENS}:
        return True
    organic = "C" in held and family(powder) != "carbonate"
    return organic or family(powder) == "ammonium salt"


def _highest_valence(metal: str, powder: str) -> bool:
    """Whether Mn or Cr is Mn(VII) or Cr(VI), the others at their common valences."""
    held = atoms(powder)
    if metal not in held or family(powder) == "nitrate":
        return False
    charge = 2 * held.get("O", 0) - held.get("H", 0) + 3 * held.get("N", 0)  # N as in NH4
    for element, count in held.items():
        if element in HALOGENS:
            charge += count
        elif element not in (metal, "O", "H", "N"):
            charge -= count * _common_valence(element)
    return float(charge / held[metal]) > Element(metal).max_oxidation_state - 0.5


def _common_valence(element: str) -> int:
    if element == "Pb":
        return 2  # Pb(IV) oxidises to chromate, and does not stand beside it
    return max(Element(element).common_oxidation_states, default=0)


def _is_explosive(powder: str) -> bool:
    """Chlorates and their kin, peroxysalts, azides, and what the table names."""
    held = atoms(powder)
    others = set(held) - {"O", "H"}
    halate = bool(others & HALOGENS)
    peroxysalt = "N" not in held and not all(Element(e).is_metal for e in others)
    azide = "N" in held and not held.keys() & {"O", "H", "C"}
    per_metal = 3 * sum(n for e, n in held.items() if e not in GAS_ELEMENTS)
    return (
        (holds_spare_oxygen(powder) and (halate or peroxysalt))
        or (azide and len(held) == 2 and held["N"] >= per_metal)
        or reduced(powder) in _EXPLOSIVE
    )


def _is_cyanide(powder: str) -> bool:
    """CN or CNO groups, one to a metal at least; TiC0.5N0.5 has fewer."""
    held = atoms(powder)
    carbon, hydrogen = held.get("C", 0), held.get("H", 0)
    grouped = 0 < carbon == held.get("N", 0) and hydrogen < 4 * carbon
    dry = held.get("O", 0) - hydrogen / 2
    return grouped and dry <= carbon and 0 < sum(held[e] for e in metals(powder)) <= carbon


def _gives_off_poison(powder: str) -> bool:
    return bool(atoms(powder).keys() & {"Hg", "Tl", "As", "Os"}) or reduced(powder) == "RuO4"


def _splits_water(element: str) -> bool:
    """Alkali, alkaline-earth and rare-earth metals: they burn in air, too."""
    metal = Element(element)
    return metal.is_alkali or metal.is_alkaline or metal.is_rare_earth


def _burns_as_powder(powder: str) -> bool:
    """Reactive metals and phosphorus, and alloys with a metal that splits water."""
    held = set(atoms(powder))
    metallic = all(Element(e).is_metal or e in ("Si", "Ge", "Sb") for e in held)
    alloy = metallic and any(map(_splits_water, held))
    return alloy or (len(held) == 1 and held <= _BURNS_AS_POWDER)


def _burns_with_moisture(powder: str) -> bool:
    """Hydrides and amides; ionic nitrides, carbides and phosphides; sulfides of P."""
    held = set(atoms(powder))
    others = held - {"H", "C", "N", "P"}
    if "O" in held or not others or held & HALOGENS:
        return False
    if "H" in held:
        return not held & {"S", "Se", "Te"}
    return any(
        anion in held and all(e in more or _splits_water(e) for e in others)
        for anion, more in (("N", ()), ("C", ("Al",)), ("P", ("Al", "Zn", "S")))
    )


def _is_burning_element(powder: str) -> bool:
    """Other metals but the noble ones, and the light nonmetals."""
    (element, *others) = atoms(powder)
    if others or element in _BURNS_AS_POWDER | _NOBLE or _splits_water(element):
        return False
    return Element(element).is_transition_metal or element in ("B", "C", "Si", "S")


def _is_borate(powder: str) -> bool:
    held = set(atoms(powder))
    return {"B", "O"} <= held <= {"B", "O", "H", "Na", "K", "Li"}


def _is_fluoride(powder: str) -> bool:
    return "F" in atoms(powder)


def _is_soluble_fluoride(powder: str) -> bool:
    return _is_fluoride(powder) and all(
        Element(e).is_alkali or e in ("N", "H") for e in set(atoms(powder)) - {"F"}
    )


def _is_ionic_sulfide(powder: str) -> bool:
    held = set(atoms(powder))
    return "S" in held and "O" not in held and any(e == "Al" or _splits_water(e) for e in held)


Rule = tuple[Callable[[str], bool], str]

_EXCLUDED: tuple[Rule, ...] = (
    (_is_explosive, "can explode when heated or ground (H201 to H271)"),
    (_is_cyanide, "is a cyanide, cyanate or fulminate, deadly or explosive (H300, H201)"),
    (_gives_off_poison, "gives off a poisonous vapour when heated (H330)"),
    (_burns_as_powder, "takes fire in air or water as a fine powder (H250, H260)"),
    (_burns_with_moisture, "frees a gas that burns or poisons with moist air (H260, EUH029)"),
)
"""What is never weighed, ground and heated unattended, and why."""

_TOLD: tuple[Rule, ...] = (
    (_is_borate, "may damage fertility and the unborn child (H360FD)"),
    (_is_soluble_fluoride, "is toxic when swallowed (H301)"),
    (_is_fluoride, "can give off HF when heated in moist air (H330, H314)"),
    (_is_ionic_sulfide, "frees poisonous H2S with moist air or acid (H330, EUH031)"),
)
"""What may be used, and what its user must know."""
