"""The powders a model knows, and how a set of them is spelled element by element.

A set is spelled as answers to one question for each element of the target that no gas
brings, the most electronegative first, and a last question for what brings none of them.
Each powder answers the question of its most electronegative element, so every set is
spelled in one way only; an element may have several powders, in the order of the
vocabulary, and its answers end with a stop.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pymatgen.core import Composition, Element

from planners.literature.arrays import Flags, Floats, Ints
from planners.literature.formulas import (
    GAS_ELEMENTS,
    FormulaError,
    composition_key,
    fractions,
    typed_atoms,
)

REST = "O"
"""Stands for the last question; oxygen itself is asked for by none."""

LONGEST_SET = 8


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Elements and powders of a model.

    Attributes:
        elements: Symbols that a target may hold.
        powders: Reduced formulas, the most used first; their index is their token, and the
            number of powders is the token of the stop.
        written: Each powder as papers write it: NH4H2PO4.
    """

    elements: tuple[str, ...]
    powders: tuple[str, ...]
    written: tuple[str, ...]

    @property
    def stop(self) -> int:
        """Token that ends the answers of one element."""
        return len(self.powders)

    @cached_property
    def token(self) -> Mapping[str, int]:
        """Token of each powder."""
        return {powder: i for i, powder in enumerate(self.powders)}

    @cached_property
    def place(self) -> Mapping[str, int]:
        """Place of each element."""
        return {element: i for i, element in enumerate(self.elements)}

    @cached_property
    def holds(self) -> Flags:
        """Which element each powder brings that no gas does."""
        table = np.zeros((len(self.powders), len(self.elements)), dtype=bool)
        for i, powder in enumerate(self.powders):
            for element in set(Composition(powder).get_el_amt_dict()) - GAS_ELEMENTS:
                table[i, self.place[element]] = True
        return table

    @cached_property
    def lead(self) -> Ints:
        """Place of the element whose question each powder answers."""
        return np.array([self.place[lead_element(powder)] for powder in self.powders])

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Composition of each powder."""
        return tuple(composition_key(typed_atoms(powder)) for powder in self.powders)

    def describe(self, shares: Mapping[str, float]) -> Floats:
        """Input of a network: which elements a target holds, and the root of each share.

        Raises:
            FormulaError: If the target holds an element that no training target did.
        """
        if unknown := sorted(set(shares) - set(self.place)):
            raise FormulaError(
                f"{' and '.join(unknown)}: no procedure with it was learnt from; "
                f"the model knows {', '.join(self.elements)}"
            )
        vector = np.zeros(2 * len(self.elements), dtype=np.float32)
        for element, share in shares.items():
            vector[self.place[element]] = 1.0
            vector[len(self.elements) + self.place[element]] = np.sqrt(share)
        return vector

    def allowed(
        self, shares: Mapping[str, float], available: Collection[int] | None = None
    ) -> Flags:
        """Which powders, not the target itself, bring it nothing foreign (and are at hand)."""
        foreign = np.array([element not in shares for element in self.elements])
        fits = np.asarray(~(self.holds & foreign).any(axis=1))
        own = composition_key(shares)
        fits &= np.array([key != own for key in self.keys], dtype=bool)
        if available is not None:
            here = np.zeros_like(fits)
            here[list(available)] = True
            fits &= here
        return fits

    def spell(
        self, shares: Mapping[str, float], powders: Sequence[str]
    ) -> list[tuple[int, int]] | None:
        """Questions and answers that spell a set; None if the model cannot say it."""
        tokens = sorted(self.token.get(powder, -1) for powder in powders)
        if not tokens or tokens[0] < 0 or len(tokens) > LONGEST_SET:
            return None
        if not self.allowed(shares)[tokens].all():
            return None
        needed = set(shares) - GAS_ELEMENTS
        if needed - {self.elements[e] for e in np.flatnonzero(self.holds[tokens].any(axis=0))}:
            return None
        steps: list[tuple[int, int]] = []
        for question in questions(self, shares):
            steps += [(question, t) for t in tokens if self.lead[t] == question]
            steps.append((question, self.stop))
        return steps


def questions(vocabulary: Vocabulary, shares: Mapping[str, float]) -> list[int]:
    """Places of the elements a set is spelled by, in their order."""
    asked = sorted(set(shares) - GAS_ELEMENTS, key=lambda e: (-electronegativity(e), e))
    return [vocabulary.place[element] for element in (*asked, REST)]


def lead_element(powder: str) -> str:
    """The most electronegative element of a powder that no gas brings."""
    brought = set(Composition(powder).get_el_amt_dict()) - GAS_ELEMENTS
    return max(brought, key=lambda e: (electronegativity(e), e)) if brought else REST


def electronegativity(element: str) -> float:
    """Pauling's electronegativity; elements without a value come last."""
    value = float(Element(element).X)
    return 0.0 if np.isnan(value) else value


def shares_of(target: str) -> dict[str, float]:
    """Atomic fractions of a target as a person types it.

    Raises:
        FormulaError: If it is no formula.
    """
    return fractions(typed_atoms(target))
