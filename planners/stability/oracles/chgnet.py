"""The CHGNet oracle, through its own ASE calculator.

Deng et al., Nature Machine Intelligence 5, 1031 (2023). Its weights come in its wheel, and
it predicts energies that hold the corrections of 2020 already.
"""

import hashlib
from importlib.metadata import version
from typing import TYPE_CHECKING

from planners.stability.oracles.calculator_oracle import CalculatorOracle
from planners.stability.oracles.formation import ElementEnergies, uncorrected
from planners.stability.oracles.oracle import OracleError
from planners.stability.oracles.relaxation import USUAL, Limits

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

HIGHEST_ATOMIC_NUMBER = 94
"""CHGNet's table of elements ends with plutonium."""


def chgnet(elements: ElementEnergies, *, limits: Limits = USUAL) -> CalculatorOracle:
    """Load CHGNet.

    Args:
        elements: Energies of the elements as the Materials Project calculates them.
        limits: When a relaxation ends.

    Raises:
        OracleError: If the library is missing.
    """
    try:
        from chgnet.model.dynamics import (  # pyright: ignore[reportMissingImports]
            CHGNetCalculator,
        )
    except ImportError as error:
        raise OracleError(
            f"the CHGNet oracle needs {error.name}, which is not installed; pip install chgnet"
        ) from error
    return oracle_of(CHGNetCalculator(), f"CHGNet {version('chgnet')}", elements, limits)


def oracle_of(
    calculator: "Calculator", name: str, elements: ElementEnergies, limits: Limits
) -> CalculatorOracle:
    """Wrap the calculator of a released version; its weights are fixed by the version."""
    return CalculatorOracle(
        name=name,
        calculator=calculator,
        weights_digest=hashlib.sha256(name.encode()).hexdigest(),
        elements=elements,
        correction=uncorrected,
        limits=limits,
        known=frozenset(range(1, HIGHEST_ATOMIC_NUMBER + 1)),
    )
