"""The ensembles that come with the project, asked about compounds that everybody knows."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from planners.stability.crystals import Crystal
from planners.stability.models.augmentation import predict_over_volumes, resized
from planners.stability.models.shipped import composition_ensemble, structure_ensemble
from planners.stability.models.structure_model import shapes

PBE_EV_PER_ATOM = {"NaCl": -2.1, "MgO": -3.0, "CaF2": -4.2}
"""Formation energies of the Materials Project, to 0.1 eV per atom."""

CRYSTALS = {
    "NaCl": Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.69), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ),
    "MgO": Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.26), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ),
    "CaF2": Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.51), ["Ca", "F"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    ),
}


def test_known_crystals_have_about_their_known_energies() -> None:
    said = structure_ensemble().predict([Crystal.of(s) for s in CRYSTALS.values()])
    assert said.median_ev_per_atom == pytest.approx(list(PBE_EV_PER_ATOM.values()), abs=0.15)


def test_known_compositions_have_about_their_known_energies() -> None:
    said = composition_ensemble().predict(list(PBE_EV_PER_ATOM))
    assert said.median_ev_per_atom == pytest.approx(list(PBE_EV_PER_ATOM.values()), abs=0.15)


def test_ten_members_of_the_shape_that_the_card_tells() -> None:
    ensemble = structure_ensemble()
    found = {name: np.asarray(a).shape for name, a in ensemble.stacked.items()}
    assert found == {name: (10, *s) for name, s in shapes(ensemble.architecture).items()}
    assert composition_ensemble().members == 10


def test_a_crystal_guessed_too_large_is_made_smaller() -> None:
    true = Crystal.of(CRYSTALS["MgO"])
    best = predict_over_volumes(structure_ensemble(), [resized(true, 1.15)])
    assert 1.15 * best.volume_ratios[0] == pytest.approx(1.0, abs=0.1)


def test_a_crystal_unlike_all_others_is_not_trusted() -> None:
    """Oxygen where carbon was and lithium for plutonium: nothing of the kind exists."""
    odd = Structure.from_spacegroup(
        "I-43d", Lattice.cubic(5.2), ["Li", "O"], [[0.05, 0.05, 0.05], [0.28, 0, 0.25]]
    )
    said = structure_ensemble().predict([Crystal.of(odd), Crystal.of(CRYSTALS["MgO"])])
    odd_width, usual_width = said.interquartile_ev_per_atom
    assert odd_width > 0.1
    assert usual_width < 0.1
