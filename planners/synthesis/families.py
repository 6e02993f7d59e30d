"""What kind of compound a powder is, read from its formula alone."""

from collections.abc import Collection
from functools import cache

from pymatgen.core import Element

from planners.synthesis.reactions import atoms, metals

HALOGENS = frozenset({"F", "Cl", "Br", "I"})
_ROUNDING = 0.05


@cache
def family(powder: str) -> str:
    """What kind of compound a powder is: oxide, carbonate, nitrate and so on."""
    held = atoms(powder)
    carbon, hydrogen, nitrogen = "C" in held, "H" in held, "N" in held
    oxygen = float(held.get("O", 0))
    cations = set(held) - {"O", "H"}
    if cations and all(Element(e).is_metal for e in cations) and holds_spare_oxygen(powder):
        return "peroxide"
    if nitrogen:
        dry = oxygen - float(held.get("H", 0)) / 2  # without the water of a hydrate
        if dry >= 3 * float(held["N"]):
            return "nitrate"
        return "ammonium salt" if hydrogen and held["H"] >= 4 * held["N"] else "other"
    if carbon:
        if oxygen < 2 * float(held["C"]) and not hydrogen:
            return "other"
        dry = oxygen - float(held.get("H", 0)) / 2
        return "carbonate" if dry >= 2.5 * float(held["C"]) else "organic salt"
    if hydrogen:
        return "hydroxide" if oxygen else "other"
    if set(held) - {"O"} == metals(powder) and oxygen:
        return "oxide" if len(metals(powder)) == 1 else "mixed oxide"
    return "element" if len(held) == 1 else "other"


def families(powders: Collection[str]) -> frozenset[tuple[str, str]]:
    """What a set is made of: the metals and the kind of each of its powders."""
    return frozenset(("".join(sorted(metals(powder))), family(powder)) for powder in powders)


@cache
def holds_spare_oxygen(powder: str) -> bool:
    """Whether it holds more oxygen than its elements bind at their highest valence.

    Nitrogen and halogens are not counted: those that hold oxygen give it up again. True of
    nitrates, nitrites, peroxides, chlorates and their kin, and peroxysalts; not of hydrates.
    """
    held = atoms(powder)
    nitrogen, hydrogen = held.get("N", 0), held.get("H", 0)
    if hydrogen >= 4 * nitrogen:
        hydrogen -= 3 * nitrogen  # NH4 binds as much oxygen as one H
    others = set(held) - {"O", "N", "H"} - HALOGENS
    if len(held) == 1:
        return False
    bound = hydrogen + sum(held[e] * Element(e).max_oxidation_state for e in others)
    return float(2 * held.get("O", 0) - bound) > _ROUNDING
