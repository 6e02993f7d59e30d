"""What a search for compounds is asked, and what it answers."""

from dataclasses import dataclass

from alab.errors import BadInput
from planners.stability.candidates.lineage import Descent
from planners.stability.crystals import Crystal
from planners.stability.models.augmentation import VOLUMES
from planners.stability.models.prediction import (
    CompositionPredictor,
    StructurePredictor,
)
from planners.stability.references.snapshot import Snapshot
from planners.stability.screens.composition import HULL_LIMIT_EV_PER_ATOM
from planners.stability.screens.verdict import Screen, failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for.

    Attributes:
        system: Elements, sorted.
        budget: How many candidate structures the ensemble predicts.
        seed: Of the random structures.
        top: How many compositions are screened and told.
        hull_limit_ev_per_atom: Highest energy above the hull that passes.
        balanced: Whether charges must be able to cancel.
    """

    system: tuple[str, ...]
    budget: int = 1000
    seed: int = 0
    top: int = 20
    hull_limit_ev_per_atom: float = HULL_LIMIT_EV_PER_ATOM
    balanced: bool = True

    def __post_init__(self) -> None:
        if self.budget < 1 or self.top < 1:
            raise BadInput(
                f"a budget of {self.budget} structures and {self.top} candidates to tell leave "
                "nothing to find; give 1 or more of each"
            )
        if not 0 <= self.hull_limit_ev_per_atom < 1:
            raise BadInput(
                f"a limit of {self.hull_limit_ev_per_atom * 1000:g} meV/atom above the hull is "
                "not within 0 to 1000; the default is 10"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Who predicts.

    Attributes:
        structure: Formation energies of crystals.
        name: What sources call it, with its version.
        composition: Lowest formation energies of compositions; None leaves out the composition
            filter and random structures.
        volumes: Ratios to its own at which a crystal is predicted; the lowest counts.
    """

    structure: StructurePredictor
    name: str
    composition: CompositionPredictor | None = None
    volumes: tuple[float, ...] = VOLUMES


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One composition that is proposed, in its lowest predicted structure.

    Attributes:
        key: What lineage calls it.
        formula: Reduced formula.
        origin: How it came to be, in words.
        lineage: From the candidate back to its reference.
        crystal: At its best volume, primitive.
        space_group: International symbol.
        space_group_number: 1 to 230.
        formation_energy_ev_per_atom: Median of the ensemble.
        interquartile_ev_per_atom: Calibrated width.
        decomposition_energy_ev_per_atom: Against the known compounds; negative is stable.
        products: Known phases that it competes with, with their shares of the atoms.
        joint_energy_ev_per_atom: The same when all other candidates compete too.
        joint_products: What it competes with then.
        polymorphs: Other crystals of the composition: space group and energy above this one.
        unsure: Whether the width could turn the verdict of the hull around.
        screens: What each screen says.
    """

    key: str
    formula: str
    origin: str
    lineage: tuple[Descent, ...]
    crystal: Crystal
    space_group: str
    space_group_number: int
    formation_energy_ev_per_atom: float
    interquartile_ev_per_atom: float
    decomposition_energy_ev_per_atom: float
    products: dict[str, float]
    joint_energy_ev_per_atom: float
    joint_products: dict[str, float]
    polymorphs: tuple[tuple[str, float], ...]
    unsure: bool
    screens: tuple[Screen, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no screen that decides has failed."""
        return not failed(self.screens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """What came of a search.

    Attributes:
        request: What was asked for.
        predictor: Name of the ensemble.
        reference: The competing compounds.
        reference_predicted: Whether these are the ensemble's own predictions.
        parents: Structures that were taken apart.
        generated: Candidates of unknown compositions before any filter.
        predicted: Candidate structures that the ensemble predicted.
        left_out: How many were left out, by reason.
        found: Ranked: those that pass the screens first, then by decomposition energy.
    """

    request: Request
    predictor: str
    reference: Snapshot
    reference_predicted: bool
    parents: int
    generated: int
    predicted: int
    left_out: dict[str, int]
    found: tuple[Found, ...]
