"""Formulas as papers and text miners write them, read as numbers of atoms."""

import ast
import operator
import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from pymatgen.core import Composition, Element

from alab.errors import BadInput

GAS_ELEMENTS = frozenset({"O", "H", "C", "N"})
"""Elements that a furnace gas brings or carries away."""

_PART = re.compile(r"([A-Z][a-z]?)(\d+\.?\d*(?:e-?\d+)?|\.\d+)?")
_OPERATIONS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class FormulaError(BadInput):
    """A formula is none, or holds what cannot be turned into numbers of atoms."""


@cache
def plain_atoms(formula: str) -> Mapping[str, float]:
    """Atoms in a formula without brackets or variables, such as ``Sr0.2La0.8MnO3``.

    Raises:
        FormulaError: If the formula is not of that kind.
    """
    atoms: dict[str, float] = {}
    end = 0
    for part in _PART.finditer(formula):
        if part.start() != end:
            break
        end = part.end()
        atoms[part[1]] = atoms.get(part[1], 0.0) + float(part[2] or 1)
    if not atoms or end != len(formula):
        raise FormulaError(f"{formula!r} is no plain formula; write it like Sr0.2La0.8MnO3")
    return MappingProxyType(positive_atoms(atoms, formula))


@cache
def typed_atoms(formula: str) -> Mapping[str, float]:
    """Atoms in a formula as a person types it, brackets and all.

    Raises:
        FormulaError: If it is no formula of known elements.
    """
    try:
        atoms = Composition(formula, strict=True).get_el_amt_dict()
    except (ValueError, KeyError) as error:
        raise FormulaError(f"{formula!r} is no formula; write it like BaTiO3") from error
    return MappingProxyType(positive_atoms(atoms, formula))


@cache
def reduced_formula(formula: str) -> str:
    """The reduced formula, by which one powder is known however it is written.

    Raises:
        FormulaError: If it is no formula of known elements.
    """
    return Composition(dict(typed_atoms(formula))).reduced_formula


def positive_atoms(atoms: Mapping[str, float], formula: str) -> dict[str, float]:
    """The elements present; refuses what is no element, negative or nothing at all.

    Raises:
        FormulaError: Naming the element and its amount.
    """
    for element, amount in atoms.items():
        if not Element.is_valid_symbol(element):
            raise FormulaError(f"{formula!r}: {element} is no element; give its symbol")
        if amount < -1e-9:
            raise FormulaError(f"{formula!r} holds {amount:g} {element}; it must be ≥ 0")
    present = {element: amount for element, amount in atoms.items() if amount > 1e-9}
    if not present:
        raise FormulaError(f"{formula!r} holds no atoms; write it like BaTiO3")
    return present


def fractions(atoms: Mapping[str, float]) -> dict[str, float]:
    """Atomic fractions, in the order of the symbols."""
    total = sum(atoms.values())
    return {element: atoms[element] / total for element in sorted(atoms)}


def composition_key(atoms: Mapping[str, float]) -> str:
    """One string for one composition: fractions to a thousandth, so 0.333 meets 1/3."""
    return " ".join(f"{e}{share:.3f}" for e, share in fractions(atoms).items())


def evaluate(expression: str, variables: Mapping[str, float]) -> float:
    """Value of an arithmetic expression of numbers and variables, such as ``0.5-0.5*x``.

    Raises:
        FormulaError: If it holds anything but + − * / and known variables.
    """
    try:
        return _value(ast.parse(expression.strip(), mode="eval").body, variables)
    except (SyntaxError, KeyError, ZeroDivisionError, ValueError) as error:
        raise FormulaError(
            f"{expression!r} cannot be worked out with {dict(variables)}; only numbers, "
            "+ - * / and variables with a value are understood"
        ) from error


def _value(node: ast.expr, variables: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return variables[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, variables)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_value(left, variables), _value(right, variables))
    raise ValueError(ast.dump(node))


def names_in(expression: str) -> frozenset[str]:
    """Variables of an arithmetic expression.

    Raises:
        FormulaError: If it is no expression.
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except SyntaxError as error:
        raise FormulaError(f"{expression!r} is no arithmetic expression") from error
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
