"""The trained ensembles that come with the project. Their cards: docs/discovery-models.md."""

from functools import cache
from pathlib import Path

from planners.stability.models.composition_ensemble import CompositionEnsemble
from planners.stability.models.structure_ensemble import StructureEnsemble

_HERE = Path(__file__).parent


@cache
def structure_ensemble() -> StructureEnsemble:
    """Ten structural networks.

    Raises:
        BadInput: If the installation lacks their file.
    """
    return StructureEnsemble.read(_HERE / "weights_structure.npz")


@cache
def composition_ensemble() -> CompositionEnsemble:
    """Ten composition networks.

    Raises:
        BadInput: If the installation lacks their file.
    """
    return CompositionEnsemble.read(_HERE / "weights_composition.npz")
