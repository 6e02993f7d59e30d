"""What a set of powders passes through, from observations of its pairs, by hand."""

from dataclasses import replace

import pytest

from alab.models import Atmosphere, Attempt
from planners.optimizer.intermediates import expected
from planners.optimizer.observations import Observations
from planners.optimizer.observed import Evidence, Observation
from planners.synthesis.thermo import (
    KJ_PER_MOL_PER_EV,
    MissingThermoError,
    gas_potential_kj_per_mol,
    gibbs_kj_per_mol,
)
from tests.unit.planners.optimizer.firings import outcome, recipe

NOTHING = Observations()


def seen(
    reactants: tuple[str, ...],
    products: tuple[str, ...],
    *,
    by_c: float = 800,
    weight: float = 0.9,
    atmosphere: Atmosphere = Atmosphere.AIR,
) -> Observation:
    return Observation(
        reactants=reactants,
        products=products,
        above_c=None,
        by_c=by_c,
        atmosphere=atmosphere,
        weight=weight,
        evidence=Evidence(sample="elsewhere", temperature_c=by_c, dwell_s=4 * 3600),
    )


ORTHOTITANATE = seen(("BaO", "TiO2"), ("Ba2TiO4",))
OXIDES = recipe({"BaO": 1.0, "TiO2": 1.0}, 900, target="BaTiO3")


def test_without_observations_only_residues_are_expected():
    foreseen = expected(recipe({"BaO2": 2.0, "CuCO3": 3.0, "Y2O3": 0.5}, 900), NOTHING)
    assert foreseen.phases == {"BaO", "CuO", "Y2O3"}
    assert foreseen.force_left_ev_per_atom is None


def test_observations_of_other_powders_change_nothing():
    other = Observations((seen(("MgO", "TiO2"), ("MgTiO3",)),))
    assert expected(OXIDES, other) == expected(OXIDES, NOTHING)


def test_a_known_pair_moves_phases_and_force():
    """BaO + TiO2 → ½ Ba2TiO4 + ½ TiO2 first, and BaTiO3 from those."""
    foreseen = expected(OXIDES, Observations((ORTHOTITANATE,)))
    assert foreseen.phases == {"BaO", "TiO2", "Ba2TiO4"}
    released_kj = 0.5 * gibbs_kj_per_mol("Ba2TiO4", 900) + 0.5 * gibbs_kj_per_mol("TiO2", 900)
    released_kj -= gibbs_kj_per_mol("BaTiO3", 900)
    atoms = 0.5 * 7 + 0.5 * 3
    assert foreseen.force_left_ev_per_atom == pytest.approx(
        released_kj / KJ_PER_MOL_PER_EV / atoms
    )
    assert released_kj > 0


def test_a_gas_that_leaves_in_the_last_step_counts():
    """Two thirds of the barium stay carbonate; its CO2 leaves with the titanate."""
    moles = {"BaO": 1 / 3, "BaCO3": 2 / 3, "TiO2": 1.0}
    foreseen = expected(recipe(moles, 900, target="BaTiO3"), Observations((ORTHOTITANATE,)))
    start_kj = gibbs_kj_per_mol("Ba2TiO4", 900) / 6 + gibbs_kj_per_mol("BaCO3", 900) * 2 / 3
    start_kj += gibbs_kj_per_mol("TiO2", 900) * 5 / 6
    end_kj = gibbs_kj_per_mol("BaTiO3", 900)
    end_kj += 2 / 3 * gas_potential_kj_per_mol("CO2", 900, Atmosphere.AIR)
    atoms = 7 / 6 + 5 * 2 / 3 + 3 * 5 / 6
    assert foreseen.force_left_ev_per_atom == pytest.approx(
        (start_kj - end_kj) / KJ_PER_MOL_PER_EV / atoms
    )
    assert foreseen.phases == {"BaO", "BaCO3", "TiO2", "Ba2TiO4"}


def test_the_residue_reacts_where_the_powder_was_never_seen_to():
    """BaO2 is BaO at 900 °C, and BaO was seen to react."""
    peroxide = recipe({"BaO2": 1.0, "TiO2": 1.0}, 950, target="BaTiO3")
    oxide = recipe({"BaO": 1.0, "TiO2": 1.0}, 950, target="BaTiO3")
    known = Observations((ORTHOTITANATE,))
    assert expected(peroxide, known) == expected(oxide, known)


def test_reactions_follow_each_other_to_the_target():
    """With the second step known as well, nothing is left to do for the last step."""
    last = seen(("Ba2TiO4", "TiO2"), ("BaTiO3",))
    foreseen = expected(OXIDES, Observations((ORTHOTITANATE, last)))
    assert foreseen.phases == {"BaO", "TiO2", "Ba2TiO4"}
    assert foreseen.force_left_ev_per_atom is None


def test_the_surest_reaction_goes_first():
    surer = replace(seen(("BaO", "TiO2"), ("Ba2TiO4",)), weight=0.95)
    doubtful = seen(("BaCO3", "TiO2"), ("BaTi2O5",), weight=0.6)
    powders = recipe({"BaO": 1.0, "BaCO3": 0.5, "TiO2": 0.5}, 900, target="Ba3TiO5")
    foreseen = expected(powders, Observations((surer, doubtful)))
    assert "Ba2TiO4" in foreseen.phases
    assert "BaTi2O5" not in foreseen.phases
    reversed_ = Observations((replace(surer, weight=0.6), replace(doubtful, weight=0.95)))
    assert "BaTi2O5" in expected(powders, reversed_).phases


@pytest.mark.parametrize(
    "observation",
    [
        seen(("BaO", "TiO2"), ("Ba2TiO4",), by_c=1000),
        seen(("BaO", "TiO2"), ("Ba2TiO4",), atmosphere=Atmosphere.N2),
        seen(("BaO", "TiO2"), ("Ba2TiO4",), weight=0.3),
        replace(seen(("BaO", "TiO2"), ()), above_c=1000.0, by_c=None),
    ],
    ids=["seen hotter only", "seen in another gas", "hardly seen", "inert"],
)
def test_what_was_not_surely_seen_here_is_not_followed(observation: Observation):
    assert expected(OXIDES, Observations((observation,))) == expected(OXIDES, NOTHING)


def test_a_missing_energy_leaves_the_force_unknown():
    odd = Observations((seen(("BaO", "TiO2"), ("BaTi2O5",)),))
    with pytest.raises(MissingThermoError):
        gibbs_kj_per_mol("BaTi2O5", 900)
    foreseen = expected(OXIDES, odd)
    assert "BaTi2O5" in foreseen.phases
    assert foreseen.force_left_ev_per_atom is None


def test_firings_of_another_set_teach_the_pair():
    """What BaO and TiO2 did in one sample holds for a set that has them and others."""
    fired = Attempt(
        sample="S1",
        recipe=recipe({"BaO": 2.0, "TiO2": 1.0}, 800, target="Ba2TiO4"),
        outcome=outcome({"Ba2TiO4": 1.0}, target="Ba2TiO4"),
    )
    learnt = Observations.from_attempts([fired])
    assert expected(OXIDES, learnt).phases == {"BaO", "TiO2", "Ba2TiO4"}
