"""The Nequix oracle: weights from a file, never downloaded.

Koker et al., "Training a foundation model for materials on a budget" (2025); the library
comes with the ``oracle`` extra, the weights (``.nqx``) from its project.
"""

import hashlib
import os
from pathlib import Path

from planners.stability.oracles.calculator_oracle import CalculatorOracle
from planners.stability.oracles.formation import Correction, ElementEnergies, mp2020
from planners.stability.oracles.oracle import OracleError
from planners.stability.oracles.relaxation import USUAL, Limits

ENVIRONMENT = "ALAB_NEQUIX"
"""Environment variable that holds the path of the weights."""


def nequix(
    elements: ElementEnergies,
    *,
    weights: Path | None = None,
    correction: Correction = mp2020,
    limits: Limits = USUAL,
) -> CalculatorOracle:
    """Load Nequix.

    Args:
        elements: Energies of the elements as the Materials Project calculates them; its
            weights ``mp-1`` and ``oam-1`` predict on that scale, uncorrected.
        weights: A ``.nqx`` file; by default the one named by ``ALAB_NEQUIX``.
        correction: What is added to total energies.
        limits: When a relaxation ends.

    Raises:
        OracleError: If the library or the weights are missing or unreadable.
    """
    path = weights or _from_environment()
    try:
        from planners.stability.oracles.nequix_calculator import NequixCalculator
    except ImportError as error:
        raise OracleError(
            f"the Nequix oracle needs {error.name}, which is not installed; "
            'pip install "alab[oracle]"'
        ) from error
    calculator = NequixCalculator(path)
    return CalculatorOracle(
        name=f"Nequix {path.stem}",
        calculator=calculator,
        weights_digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        elements=elements,
        correction=correction,
        limits=limits,
        known=calculator.atomic_numbers,
    )


def _from_environment() -> Path:
    named = os.environ.get(ENVIRONMENT)
    if not named:
        raise OracleError(
            f"no Nequix weights: give the path of a .nqx file, or set {ENVIRONMENT} to it"
        )
    return Path(named)
