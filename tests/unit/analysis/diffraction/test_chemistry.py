"""What chemistry says against sets of phases."""

from dataclasses import replace

import numpy as np
import pytest

from alab.errors import BadInput
from analysis.diffraction.chemistry import MOST_HULL, chemistry, weighed_in
from analysis.diffraction.library import Reference, embedded


def known(*formulas: str) -> list[Reference]:
    return [next(r for r in embedded() if r.formula == formula) for formula in formulas]


def test_moles_of_what_was_weighed_in() -> None:
    """BaCO3 197.34 g/mol, TiO2 79.87 g/mol."""
    moles = weighed_in(["BaCO3:1.9734", "TiO2:0.7987"])
    assert moles["Ba"] == pytest.approx(0.01, rel=1e-3)
    assert moles["Ti"] == pytest.approx(0.01, rel=1e-3)


def test_iron_oxide_alone_cannot_be_cobalt_ferrite() -> None:
    pool = known("Fe3O4", "CoFe2O4")
    prior = chemistry(pool, weighed_in(["Co3O4:0.8027", "Fe2O3:1.5969"]))
    ferrite, magnetite = prior([1], np.ones(1)), prior([0], np.ones(1))
    assert ferrite == pytest.approx(0.0, abs=0.1)
    assert magnetite > 12.0


def test_without_masses_every_element_must_be_somewhere() -> None:
    pool = known("Fe3O4", "CoFe2O4")
    prior = chemistry(pool, weighed_in(["Co3O4", "Fe2O3"]))
    assert prior([1], np.ones(1)) == 0.0
    assert prior([0], np.ones(1)) > 3.0


def test_without_precursors_nothing_is_said() -> None:
    pool = known("Fe3O4", "CoFe2O4")
    assert chemistry(pool, {})([0], np.ones(1)) == 0.0


def test_what_lies_above_the_hull_costs_up_to_a_limit() -> None:
    pool = [
        replace(known("Fe3O4")[0], energy_above_hull_ev_per_atom=energy)
        for energy in (0.0, 0.05, 2.0)
    ]
    costs = [chemistry(pool, {})([i], np.ones(1)) for i in range(3)]
    assert costs == [0.0, pytest.approx(5.0), MOST_HULL]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["Xy2O3"], "Xy2O3"),
        (["TiO2:much"], "much"),
        (["TiO2:0.4", "BaCO3"], "all precursors"),
    ],
)
def test_wrong_precursors_are_told(given: list[str], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        weighed_in(given)
