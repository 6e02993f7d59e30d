"""Which gas a target is fired in, and what a gas does to target and powders.

The charges of the metals must add up to those of the anions. Each metal has a lowest and a
highest valence that lasts in air at firing temperatures, so no guess of each is needed: what
lies below their sum needs a gas without oxygen, what lies above it O2. Sulfides, nitrides and
the like are never fired in air, whatever their metals.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pymatgen.core import Composition, Element

from alab.errors import TargetError
from alab.models import Atmosphere, FiringLimits
from planners.synthesis.reactions import metals
from planners.synthesis.thermo import written

_IN_AIR: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "H": (1, 1), "Li": (1, 1), "Na": (1, 1), "K": (1, 1), "Rb": (1, 1), "Cs": (1, 1),
        "Be": (2, 2), "Mg": (2, 2), "Ca": (2, 2), "Sr": (2, 2), "Ba": (2, 2),
        "Sc": (3, 3), "Y": (3, 3), "La": (3, 3), "Ce": (4, 4), "Pr": (3, 4), "Nd": (3, 3),
        "Sm": (3, 3), "Eu": (3, 3), "Gd": (3, 3), "Tb": (3, 4), "Dy": (3, 3), "Ho": (3, 3),
        "Er": (3, 3), "Tm": (3, 3), "Yb": (3, 3), "Lu": (3, 3),
        "Ti": (4, 4), "Zr": (4, 4), "Hf": (4, 4), "V": (5, 5), "Nb": (5, 5), "Ta": (5, 5),
        "Cr": (3, 3), "Mo": (6, 6), "W": (6, 6), "Mn": (2, 4), "Re": (7, 7), "Fe": (3, 3),
        "Ru": (4, 5), "Co": (2, 3), "Rh": (3, 4), "Ir": (4, 5), "Ni": (2, 2), "Pd": (2, 2),
        "Cu": (2, 2), "Ag": (1, 1), "Zn": (2, 2), "Cd": (2, 2), "Hg": (2, 2),
        "B": (3, 3), "Al": (3, 3), "Ga": (3, 3), "In": (3, 3), "Tl": (1, 3),
        "C": (4, 4), "Si": (4, 4), "Ge": (4, 4), "Sn": (4, 4), "Pb": (2, 2),
        "P": (5, 5), "As": (5, 5), "Sb": (3, 5), "Bi": (3, 3),
        "S": (6, 6), "Se": (4, 6), "Te": (4, 6), "I": (5, 7),
    }
)  # fmt: skip
"""Valences that survive a firing in air, lowest and highest. Chalcogens and iodine stand here
for sulfates, tellurites and the like."""

_OXYACID_METALS = frozenset({"P", "S", "V", "Nb", "Ta", "Mo", "W"})
"""Their salts keep Ce³⁺ in air, as CePO4, CeVO4 and CeNbO4 do."""

_MN3O4_VALENCE = 8 / 3

_IN_OXYGEN: Mapping[str, float] = MappingProxyType(
    {"Ni": 3, "Cu": 3, "Cr": 6, "Fe": 4, "Co": 4, "Pb": 4, "Bi": 5}
)
_REDUCED: Mapping[str, float] = MappingProxyType({"Fe": 2, "Cu": 1, "Mn": 2, "Sn": 2, "V": 3})
_HYDROGEN: Mapping[str, float] = MappingProxyType(
    {**_REDUCED, "Mo": 4, "W": 4, "Nb": 4, "Eu": 2, "Ce": 3, "Co": 2, "Re": 4}
)
"""Valences that forming gas gives near 1000 °C, by common practice: MoO2, WO2, NbO2 and V2O3
are made in it, Eu²⁺ and Ce³⁺ are what phosphors are fired in it for; TiO and NbO are not."""

_LOSES_OXYGEN: Mapping[str, float] = MappingProxyType(
    {"Mn": 2, "Co": 2, "Ni": 2, "Cu": 1, "Pb": 2, "Bi": 3, "Cr": 3, "Fe": 3, "Pr": 3, "Tb": 3}
)
"""Valences that are left where a gas brings no oxygen."""

_TO_METAL = frozenset(
    {"Cu", "Ag", "Au", "Zn", "Cd", "Hg", "Tl", "Pb", "Sn", "In", "Ge", "Sb", "Bi", "As", "Te",
     "Fe", "Co", "Ni", "Ru", "Rh", "Pd", "Os", "Ir", "Pt", "Mo", "W", "Re"}
)  # fmt: skip
"""Elements whose oxides dry hydrogen takes to the metal below about 1000 °C."""

_ANIONS: Mapping[str, int] = MappingProxyType(
    {"S": 2, "Se": 2, "Te": 2, "N": 3, "Br": 1, "I": 1, "Cl": 1, "F": 1}
)
"""Charge of each anion beside oxide."""

_BURNING: Mapping[str, str] = MappingProxyType(
    {"S": "sulfide", "Se": "selenide", "Te": "telluride", "N": "nitride", "Br": "bromide",
     "I": "iodide"}
)  # fmt: skip
"""Anions that oxygen drives out: sulfur burns to SO2, iodides give off iodine."""

_KEEPS_HALIDE = frozenset({"Li", "Na", "K", "Rb", "Cs", "Ca", "Sr", "Ba"})
"""Metals whose fluorides and chlorides stand moist air; the others give oxides."""

_DECOMPOSING = frozenset({"N", "Cl", "Br"})
"""Elements whose oxyanions stand no firing."""

_INERT = (Atmosphere.N2, Atmosphere.AR)
_WITHOUT_OXYGEN = (*_INERT, Atmosphere.AR_H2)
_OXIDISING = (Atmosphere.AIR, Atmosphere.O2)
_EPS = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Charges:
    """A target as cations and anions.

    Attributes:
        cations: Amount of each.
        anions: Symbols of the anions.
        needed: Charge that the anions ask of the cations.
    """

    cations: Mapping[str, float]
    anions: frozenset[str]
    needed: float

    @property
    def unknown(self) -> list[str]:
        """Cations whose valences are in no table."""
        return sorted(set(self.cations) - set(_IN_AIR))

    @property
    def burning(self) -> list[str]:
        """Anions that burn in air, in words."""
        return [word for symbol, word in _BURNING.items() if symbol in self.anions]

    @property
    def hydrolysing(self) -> bool:
        """Whether it is a fluoride or chloride that moist air turns into an oxide."""
        return self.anions <= {"F", "Cl"} and not self.cations.keys() <= _KEEPS_HALIDE

    def lowest(self, other: Mapping[str, float] = MappingProxyType({})) -> float:
        """Least charge of the cations in air, or with other valences of some."""
        return sum(n * other.get(e, self._in_air(e)[0]) for e, n in self.cations.items())

    def highest(self, other: Mapping[str, float] = MappingProxyType({})) -> float:
        """Largest charge of the cations in air, or with other valences of some."""
        return sum(n * other.get(e, self._in_air(e)[1]) for e, n in self.cations.items())

    def _in_air(self, element: str) -> tuple[float, float]:
        low, high = _IN_AIR[element]
        # MnO takes up oxygen in air, up to Mn3O4 even above 900 °C. In ternaries (MnTiO3,
        # MnWO4, MnAl2O4, LiMnPO4) Mn²⁺ holds: four in five papers fire them in air
        if element == "Mn" and len(self.cations) == 1:
            low = _MN3O4_VALENCE
        if element == "Ce" and not _OXYACID_METALS.isdisjoint(self.cations):
            low = 3
        return low, high


def choose_atmosphere(target: str, limits: FiringLimits) -> tuple[Atmosphere, str]:
    """Find the gas in which a target keeps its anions and valences, and say why.

    Raises:
        TargetError: If no gas on offer keeps them, or no gas can.
    """
    name, charges = written(target), _charges(target)
    wanted, why = _wanted(name, charges)
    for gas in wanted:
        if gas in limits.atmospheres:
            fallback = charges.hydrolysing and gas is Atmosphere.AIR
            return gas, "no inert gas is on offer" if fallback else why
    raise TargetError(
        f"{name} needs {' or '.join(wanted)} ({why}); the furnaces offer "
        f"{', '.join(limits.atmospheres) or 'no gas'}; add one to the lab file"
    )


def check_asked(target: str, atmosphere: Atmosphere) -> None:
    """Refuse a gas that burns the target.

    Raises:
        TargetError: If it does.
    """
    burning = _charges(target).burning
    if burning and atmosphere in _OXIDISING:
        raise TargetError(
            f"{written(target)} is not fired in {atmosphere}, which would burn its "
            f"{' and '.join(burning)}; ask for N2 or Ar"
        )


def gas_risks(target: str, powders: Iterable[str], atmosphere: Atmosphere) -> list[str]:
    """What a furnace gas may do to a target and its powders, in sentences."""
    charges, name = _charges(target), written(target)
    found: list[str] = []
    if atmosphere is Atmosphere.AIR and charges.hydrolysing:
        found.append(f"Moist air may turn {name} into an oxide or oxyhalide in part.")
    if charges.unknown or charges.burning:
        return found
    if atmosphere in _OXIDISING:
        if charges.needed < charges.lowest() - _EPS:
            found.append(f"In {atmosphere} {_reduced_metals(charges)} of {name} would oxidise.")
        return found
    left, to_metal = _LOSES_OXYGEN, set[str]()
    if atmosphere is Atmosphere.AR_H2:
        left, to_metal = {**_LOSES_OXYGEN, **_HYDROGEN}, _TO_METAL & set(charges.cations)
    if to_metal:
        held = [written(powder) for powder in powders if metals(powder) & to_metal]
        found.append(
            f"{atmosphere} may reduce {_listed([*held, name])} to metallic "
            f"{_listed(sorted(to_metal))}."
        )
    left = {e: valence for e, valence in left.items() if e not in to_metal}
    if "O" in charges.anions and charges.needed > charges.highest(left) + _EPS:
        found.append(f"In {atmosphere} {_changing(charges, left)} of {name} may lose oxygen.")
    return found


def _charges(target: str) -> _Charges:
    """Sort a target's elements into cations and anions.

    What stands beside oxygen is no anion where the oxygen alone takes more charge than the
    metals may have: sulfur in Na2SO4, but not in La2O2S.
    """
    amounts = dict(Composition(target).get_el_amt_dict())
    oxygen = 2 * amounts.pop("O", 0.0)
    cations = {e: n for e, n in amounts.items() if e not in _ANIONS}
    anions: dict[str, float] = {}
    for element, charge in _ANIONS.items():
        if element not in amounts:
            continue
        if element != "F" and oxygen > sum(n * _least(e) for e, n in cations.items()):
            cations[element] = amounts[element]
        else:
            anions[element] = charge * amounts[element]
    if oxygen:
        anions["O"] = oxygen
    return _Charges(cations=cations, anions=frozenset(anions), needed=sum(anions.values()))


def _least(element: str) -> float:
    if element in _IN_AIR:
        return _IN_AIR[element][0]
    return Element(element).max_oxidation_state


def _wanted(name: str, charges: _Charges) -> tuple[tuple[Atmosphere, ...], str]:
    """Gases that suit, the best first, and why.

    Raises:
        TargetError: If no gas does.
    """
    if charges.burning:
        what = " and ".join(charges.burning)
        return _INERT, (
            f"air would burn its {what}; the valences of its metals were not checked"
        )
    if not _DECOMPOSING.isdisjoint(charges.cations):
        raise TargetError(
            f"{name}: nitrates, chlorates and bromates decompose in a furnace, some of them "
            "violently; give another target"
        )
    if charges.unknown:
        return _OXIDISING, (
            f"as most are; the valences were not checked, those of {_listed(charges.unknown)} "
            "are in no table"
        )
    if charges.needed < charges.lowest() - _EPS:
        return _without_oxygen(name, charges)
    if charges.needed > charges.highest() + _EPS:
        if charges.needed > charges.highest(_IN_OXYGEN) + _EPS:
            raise TargetError(
                f"{name}: its metals would need valences above what O2 at 1 bar gives; "
                "check the formula"
            )
        return (Atmosphere.O2,), f"{_changing(charges, _IN_OXYGEN)} needs O2 to stay oxidised"
    if charges.hydrolysing:
        return (*_INERT, Atmosphere.AIR), "moist air would turn it into an oxide in part"
    return _OXIDISING, "by charge balance its metals have valences that last in air"


def _without_oxygen(name: str, charges: _Charges) -> tuple[tuple[Atmosphere, ...], str]:
    """Gases that keep metals as reduced as the charge balance asks, mildest first."""
    if "O" not in charges.anions or charges.needed >= charges.lowest(_REDUCED) - _EPS:
        gases: tuple[Atmosphere, ...] = _WITHOUT_OXYGEN
    # hydrogen makes Eu²⁺ in silicates and titanates, but no EuO out of Eu2O3
    elif charges.needed >= charges.lowest(_HYDROGEN) - _EPS and set(charges.cations) != {"Eu"}:
        gases = (Atmosphere.AR_H2,)
    else:
        raise TargetError(
            f"{name}: its metals are more reduced than N2, Ar or Ar/H2 can keep them; it "
            "needs a getter in a closed vessel, which this laboratory does not offer"
        )
    return gases, f"{_reduced_metals(charges)} would oxidise in air, so it is fired without O2"


def _reduced_metals(charges: _Charges) -> str:
    """The metals that stand below their valence in air."""
    enough = charges.needed >= charges.lowest(_REDUCED) - _EPS
    return _changing(charges, _REDUCED if enough else _HYDROGEN)


def _changing(charges: _Charges, table: Mapping[str, float]) -> str:
    return _listed([e for e in charges.cations if e in table]) or "a metal"


def _listed(names: Iterable[str]) -> str:
    return " and ".join(names)
