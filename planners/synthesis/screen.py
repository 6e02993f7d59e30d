"""Which targets this laboratory takes on, and which it refuses with a reason."""

from collections.abc import Collection, Mapping

from pymatgen.core import Composition, Element

from alab.errors import TargetError
from alab.formulas import plain_formula
from planners.synthesis.reactions import metals
from planners.synthesis.thermo import reduced, written

_ANIONS = frozenset({"O", "N", "F", "Cl", "Br", "I", "S", "Se", "Te"})
_LARGEST_COUNT = 1000
_SOLIDS_EXAMPLE = "BaTiO3 or NaZr2(PO4)3"


def check_target(
    formula: str, shelf: Mapping[str, float], forbidden_elements: Collection[str] = ()
) -> str:
    """Normalise a target, or say why it cannot be made here.

    Args:
        formula: What a person typed.
        shelf: Milligrams available of each precursor, by formula.
        forbidden_elements: Symbols that this laboratory does not handle.

    Returns:
        The reduced formula as a chemist writes it (``ZnFe2O4``) where the table of
        compounds knows it, else as pymatgen does.

    Raises:
        TargetError: If it is no formula, holds a noble, radioactive or forbidden element or
            one that no precursor on the shelf brings, or stands on the shelf already.
    """
    composition = Composition(check_formula(formula))
    elements = composition.elements
    _refuse_elements(formula, [e for e in elements if isinstance(e, Element)])
    if banned := sorted({e.symbol for e in elements} & set(forbidden_elements)):
        raise TargetError(
            f"{formula} holds {' and '.join(banned)}, forbidden in this "
            "laboratory; choose a target without it"
        )
    target = composition.reduced_formula
    if not metals(target):
        raise TargetError(
            f"{formula}: made of {', '.join(e.symbol for e in elements)} alone, it is a gas "
            f"and no powder; give an oxide or phosphate such as {_SOLIDS_EXAMPLE}"
        )
    if not _ANIONS & {e.symbol for e in elements}:
        raise TargetError(
            f"{formula} is a metal or alloy, which no furnace gas here reduces; give an oxide "
            f"or phosphate such as {_SOLIDS_EXAMPLE}"
        )
    stock = [powder for powder, mass_mg in shelf.items() if mass_mg > 0]
    if not stock:
        raise TargetError(f"{formula}: the shelf is empty; add precursors to the lab file")
    if target in {reduced(powder) for powder in stock}:
        raise TargetError(f"{formula} stands on the shelf already; nothing is to be made")
    on_shelf = frozenset[str]().union(*(Composition(p).get_el_amt_dict() for p in stock))
    if missing := sorted({e.symbol for e in elements} - on_shelf - {"O"}):
        raise TargetError(
            f"{formula}: no precursor on the shelf brings {' or '.join(missing)}; "
            "add one to the lab file"
        )
    return written(target)


def check_formula(formula: str) -> str:
    """The plain form of a formula as a person types it; masses are computed from it alone.

    Raises:
        TargetError: If it is none, or names an element that does not exist.
    """
    plain = plain_formula(formula)
    amounts = Composition(plain, strict=True).values()
    if not amounts or not all(0 < amount <= _LARGEST_COUNT for amount in amounts):
        raise TargetError(
            f"{formula!r} is no chemical formula: of each element it must hold between 0 and "
            f"{_LARGEST_COUNT} atoms"
        )
    return plain


def _refuse_elements(formula: str, elements: list[Element]) -> None:
    if noble := [e.symbol for e in elements if e.is_noble_gas]:
        raise TargetError(
            f"{formula}: {', '.join(noble)} is a noble gas and forms no powder here; "
            "choose a target without it"
        )
    if radioactive := [e.symbol for e in elements if _is_radioactive(e)]:
        raise TargetError(
            f"{formula}: {', '.join(radioactive)} is radioactive and not handled in this "
            "laboratory; choose a target without it"
        )


def _is_radioactive(element: Element) -> bool:
    # bismuth (Z = 83, half-life 2e19 a) counts as stable, as in every chemistry laboratory
    return element.Z > 83 or element.symbol in {"Tc", "Pm"}
