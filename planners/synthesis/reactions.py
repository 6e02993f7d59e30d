"""Balanced reactions that are open to the furnace gas, and how strongly they run.

Carbon leaves as CO2, nitrogen as NH3 where hydrogen is there to carry it and as N2
otherwise, the remaining hydrogen as H2O, and oxygen closes the balance as O2. With that
convention the gases follow from the solids, and the solids from the elements that no gas
carries; the solution is exact (rational arithmetic) and unique, or there is a reason.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from types import MappingProxyType

from pymatgen.core import Composition

from alab.errors import BadInput
from alab.models import Atmosphere
from planners.synthesis.thermo import (
    KJ_PER_MOL_PER_EV,
    MissingThermoError,
    gas_potential_kj_per_mol,
    gibbs,
    gibbs_kj_per_mol,
    reduced,
    written,
)

GAS_ELEMENTS = frozenset({"C", "H", "N", "O"})
"""Elements that a furnace gas can carry away or bring."""

_LARGEST_DENOMINATOR = 1000
_IN_EVERY_TABLE_C = 27.0
"""Tables begin at 300 K, our own at 0 °C."""


class BalanceError(BadInput):
    """These precursors cannot add up to that product; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """Solids that become one solid, and the gases that leave or enter.

    Attributes:
        reactants: Moles of each solid per mole of the product's formula, all > 0.
        product: Formula of the solid that forms, one mole.
        gases: Moles released per mole of product; negative where absorbed; no zeros.
    """

    reactants: Mapping[str, Fraction]
    product: str
    gases: Mapping[str, Fraction]

    @property
    def absorbed(self) -> tuple[str, ...]:
        """Gases that the powder takes up."""
        return tuple(gas for gas, moles in self.gases.items() if moles < 0)

    def __str__(self) -> str:
        """Write it with the smallest whole numbers: ``BaCO3 + TiO2 → BaTiO3 + CO2``."""
        return equation(self.reactants, {self.product: Fraction(1)}, self.gases)


def equation(
    reactants: Mapping[str, Fraction],
    products: Mapping[str, Fraction],
    gases: Mapping[str, Fraction],
) -> str:
    """A reaction with the smallest whole numbers; gases below 0 stand on the left."""
    coefficients = (*reactants.values(), *products.values(), *gases.values())
    scale = math.lcm(*(moles.denominator for moles in coefficients))
    divisor = math.gcd(*(int(abs(moles) * scale) for moles in coefficients))
    left = dict(reactants)
    right = dict(products)
    for gas, moles in gases.items():
        (right if moles > 0 else left)[gas] = abs(moles)
    return f"{_side(left, Fraction(scale, divisor))} → {_side(right, Fraction(scale, divisor))}"


def balance(reactants: Sequence[str], product: str) -> Reaction:
    """Balance solids to one product, open to O2, CO2, H2O, N2 and NH3.

    Raises:
        BalanceError: If an element is missing or left over, the ratio of elements cannot
            be met, the amounts are not unique, or a reactant would be left out.
    """
    answer = _balance(tuple(reactants), product)
    if isinstance(answer, str):
        raise BalanceError(answer)
    return answer


def try_balance(reactants: Sequence[str], product: str) -> Reaction | None:
    """As :func:`balance`, but None where there is no reaction: for searches."""
    answer = _balance(tuple(reactants), product)
    return None if isinstance(answer, str) else answer


def reaction_of(amounts: Mapping[str, Fraction], product: str) -> Reaction:
    """A reaction whose solids are known already: only the gases are worked out.

    Args:
        amounts: Moles of each solid per mole of product.
        product: What all of it becomes.

    Raises:
        BalanceError: If an element that no gas carries is not conserved.
    """
    left: dict[str, Fraction] = {}
    for formula, moles in amounts.items():
        for element, count in atoms(formula).items():
            left[element] = left.get(element, Fraction(0)) + moles * count
    for element, count in atoms(product).items():
        left[element] = left.get(element, Fraction(0)) - count
    for element, count in left.items():
        if element not in GAS_ELEMENTS and count != 0:
            raise BalanceError(
                f"{float(count):g} mol {element} per mole of {product} is not conserved"
            )
    return Reaction(
        reactants=MappingProxyType(dict(amounts)), product=product, gases=gases_of(left)
    )


def driving_force_ev_per_atom(
    reaction: Reaction, temperature_c: float, atmosphere: Atmosphere
) -> float:
    """How far downhill a reaction runs: −ΔG per atom of the solid product.

    ΔG = G(product) + Σ ν μ(gas) − Σ ν G(reactants) with gases at the partial pressures of
    the furnace gas. Positive where the reaction runs forward.

    Args:
        reaction: The balanced reaction.
        temperature_c: Temperature of the powder.
        atmosphere: Gas of the furnace.

    Raises:
        MissingThermoError: If the table lacks one of the solids.
    """
    change_kj = gibbs_kj_per_mol(reaction.product, temperature_c)
    for formula, moles in reaction.reactants.items():
        change_kj -= float(moles) * gibbs_kj_per_mol(formula, temperature_c)
    for gas, moles in reaction.gases.items():
        change_kj += float(moles) * gas_potential_kj_per_mol(gas, temperature_c, atmosphere)
    return -change_kj / KJ_PER_MOL_PER_EV / float(sum(atoms(reaction.product).values()))


@lru_cache(maxsize=100_000)
def has_energy(formula: str, temperature_c: float) -> bool:
    """Whether the Gibbs energy of a solid is known at a temperature."""
    try:
        gibbs_kj_per_mol(formula, temperature_c)
    except MissingThermoError:
        return False
    return True


def uncertainty_ev_per_atom(
    reaction: Reaction, temperature_c: float = _IN_EVERY_TABLE_C
) -> float:
    """One standard deviation of the driving force, from those of its solids.

    Args:
        reaction: The balanced reaction.
        temperature_c: Where the energies are looked up; sources may differ between
            temperatures, a source's uncertainty does not.

    Raises:
        MissingThermoError: If a solid is in no table there.
    """
    variance = 0.0
    for formula, moles in {**reaction.reactants, reaction.product: Fraction(1)}.items():
        error_kj = gibbs(formula, temperature_c).uncertainty_kj_per_mol
        variance += (float(moles) * error_kj) ** 2
    size = float(sum(atoms(reaction.product).values()))
    return math.sqrt(variance) / KJ_PER_MOL_PER_EV / size


@cache
def atoms(formula: str) -> Mapping[str, Fraction]:
    """Atoms of each element in a formula as written, as exact numbers."""
    return MappingProxyType(
        {
            element: Fraction(count).limit_denominator(_LARGEST_DENOMINATOR)
            for element, count in Composition(formula).get_el_amt_dict().items()
        }
    )


@cache
def molar_mass_g(formula: str) -> float:
    """Mass of one mole of a formula as written."""
    return float(Composition(formula).weight)


@cache
def metals(formula: str) -> frozenset[str]:
    """Elements of a formula that no furnace gas carries."""
    return frozenset(atoms(formula)) - GAS_ELEMENTS


@cache
def same_residue(one: str, other: str) -> bool:
    """Whether two solids differ only by what a gas carries: BaCO3 and BaO, MnO2 and Mn3O4."""
    return metals(one) == metals(other) and try_balance((one,), other) is not None


@cache
def _balance(reactants: tuple[str, ...], product: str) -> Reaction | str:
    if not reactants:
        return f"no precursors are given for {product}"
    if len({reduced(formula) for formula in reactants}) < len(reactants):
        return f"a precursor is named twice in {' + '.join(reactants)}"
    have = frozenset[str]().union(*(metals(formula) for formula in reactants))
    need = metals(product)
    if missing := sorted(need - have):
        return f"{' + '.join(reactants)} bring no {' or '.join(missing)} for {product}"
    if extra := sorted(have - need):
        return f"{' + '.join(reactants)} bring {' and '.join(extra)}, not in {product}"
    rows = [
        [atoms(formula).get(element, Fraction(0)) for formula in reactants]
        + [atoms(product)[element]]
        for element in sorted(need)
    ]
    solution = _solve(rows, len(reactants))
    if isinstance(solution, str):
        return f"{' + '.join(reactants)} → {product}: {solution}"
    amounts = dict(zip(reactants, solution, strict=True))
    if unused := [formula for formula, moles in amounts.items() if moles <= 0]:
        return f"{product} would need a negative or no amount of {' and '.join(unused)}"
    return reaction_of(amounts, product)


def _solve(rows: list[list[Fraction]], unknowns: int) -> list[Fraction] | str:
    """Gauss–Jordan elimination of an augmented matrix, exactly."""
    for column in range(unknowns):
        pivot = next((i for i in range(column, len(rows)) if rows[i][column]), None)
        if pivot is None:
            return "the amounts are not unique; leave out one of the precursors"
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for i, row in enumerate(rows):
            if i != column and (factor := row[column]):
                rows[i] = [a - factor * b for a, b in zip(row, rows[column], strict=True)]
    if any(row[-1] for row in rows[unknowns:]):
        return "no mixture of them has the ratio of elements of the product"
    return [rows[i][-1] for i in range(unknowns)]


def gases_of(left: Mapping[str, Fraction]) -> Mapping[str, Fraction]:
    """Moles of the gases that carry C, H, N and O left over (negative: that are short)."""
    zero = Fraction(0)
    carbon, nitrogen = left.get("C", zero), left.get("N", zero)
    hydrogen, oxygen = left.get("H", zero), left.get("O", zero)
    # with less hydrogen than 3 per nitrogen, all nitrogen leaves as N2: nitrates, nitrides
    ammonia = nitrogen if abs(hydrogen) >= 3 * abs(nitrogen) else zero
    water = (hydrogen - 3 * ammonia) / 2
    released = {
        "CO2": carbon,
        "H2O": water,
        "H3N": ammonia,
        "N2": (nitrogen - ammonia) / 2,
        "O2": (oxygen - 2 * carbon - water) / 2,
    }
    return MappingProxyType({gas: moles for gas, moles in released.items() if moles})


def _side(amounts: Mapping[str, Fraction], scale: Fraction) -> str:
    terms = [(moles * scale, written(name)) for name, moles in amounts.items()]
    return " + ".join(name if moles == 1 else f"{moles} {name}" for moles, name in terms)
