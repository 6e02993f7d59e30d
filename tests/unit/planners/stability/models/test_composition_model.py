import jax
import jax.numpy as jnp
import numpy as np
import pytest

from alab.errors import BadInput
from planners.stability.models import composition_model
from planners.stability.models.composition_elements import element_properties
from planners.stability.models.composition_encoding import SPECIES, WIDTHS, Mixtures, by_width
from planners.stability.models.composition_model import Shape, folded, initial

energies = jax.jit(composition_model.energies)
SHAPE = Shape(width=12, hidden=10, heads=2, layers=1, readout=8, blocks=1)


@pytest.fixture(autouse=True)
def single_precision():
    with jax.enable_x64(False):  # noqa: FBT003 - as it is trained and asked
        yield


@pytest.fixture
def params():
    properties = element_properties()
    drawn = initial(jax.random.key(3), SHAPE, properties.shape[1])
    return folded(drawn, properties)


def mixture(*rows: dict[int, float], width: int) -> Mixtures:
    species = np.zeros((len(rows), width), dtype=np.int32)
    fractions = np.zeros((len(rows), width), dtype=np.float32)
    for i, row in enumerate(rows):
        species[i, : len(row)] = list(row)
        fractions[i, : len(row)] = list(row.values())
    return Mixtures(species=species, fractions=fractions)


class TestEncoding:
    def test_fractions_and_numbers(self):
        groups = by_width(["BaTiO3", "NaCl"])
        rows = groups[0].mixtures
        np.testing.assert_array_equal(rows.species, [[8, 22, 56], [11, 17, 0]])
        np.testing.assert_allclose(rows.fractions, [[0.6, 0.2, 0.2], [0.5, 0.5, 0]], rtol=1e-6)

    def test_each_takes_the_first_width_that_it_fits(self):
        formulas = ["H2O", "LiFePO4", "KAl(SO4)2", "Li", "LiMnNiCoO2F"]
        groups = by_width(formulas)
        assert [g.places.tolist() for g in groups] == [[0, 3], [1, 2], [4]]
        assert [g.mixtures.species.shape[1] for g in groups] == list(WIDTHS)

    def test_multiples_are_the_same_mixture(self):
        one, two = by_width(["Fe2O3"])[0].mixtures, by_width(["O6Fe4"])[0].mixtures
        np.testing.assert_array_equal(one.species, two.species)
        np.testing.assert_array_equal(one.fractions, two.fractions)

    @pytest.mark.parametrize(
        ("formula", "said"),
        [
            ("", "formula"),
            ("Li0.5CoO2", "whole numbers"),
            ("Qq2O", "no chemical formula"),
            ("RfO2", "Rf"),
            ("LiNaKRbCsMgCaSrBaScTiO", "12 elements"),
        ],
    )
    def test_refuses(self, formula, said):
        with pytest.raises(BadInput, match=said):
            by_width([formula])


class TestElements:
    def test_columns_are_standardised_and_finite(self):
        table = element_properties()
        assert table.shape[0] == SPECIES
        assert np.isfinite(table).all()
        assert np.abs(table).max() <= 3.0
        np.testing.assert_array_equal(table[0], 0)
        np.testing.assert_allclose(table[1:].mean(axis=0), 0, atol=0.15)

    def test_neighbours_of_the_table_resemble_each_other(self):
        table = element_properties()

        def apart(a: int, b: int) -> float:
            return float(np.linalg.norm(table[a] - table[b]))

        assert apart(59, 60) < apart(59, 17) / 4  # Pr, Nd; Cl


class TestEnergies:
    def test_order_of_elements_does_not_matter(self, params):
        rows = mixture({56: 0.2, 22: 0.2, 8: 0.6}, {8: 0.6, 56: 0.2, 22: 0.2}, width=3)
        first, second = energies(params, rows)
        assert first == pytest.approx(float(second), abs=1e-5)

    def test_padding_changes_nothing(self, params):
        row = {56: 0.2, 22: 0.2, 8: 0.6}
        widths = [energies(params, mixture(row, width=w))[0] for w in WIDTHS]
        np.testing.assert_allclose(widths, widths[0], atol=1e-5)

    def test_what_fills_an_empty_place_changes_nothing(self, params):
        rows = mixture({11: 0.5, 17: 0.5}, width=3)
        other = Mixtures(species=rows.species.copy(), fractions=rows.fractions)
        other.species[0, 2] = 30
        np.testing.assert_allclose(energies(params, rows), energies(params, other), atol=1e-6)

    def test_neighbours_in_a_batch_change_nothing(self, params):
        row = {11: 0.5, 17: 0.5}
        alone = energies(params, mixture(row, width=3))[0]
        among = energies(params, mixture({3: 1.0}, row, {26: 0.4, 8: 0.6}, width=3))[1]
        assert alone == pytest.approx(float(among), abs=1e-5)

    def test_fractions_and_elements_matter(self, params):
        rows = mixture({26: 0.4, 8: 0.6}, {26: 0.5, 8: 0.5}, {24: 0.4, 8: 0.6}, width=3)
        said = np.asarray(energies(params, rows))
        assert np.ptp(said) > 1e-3
        assert len(np.unique(said.round(5))) == 3

    def test_a_splinter_of_an_element_is_hardly_heard(self, params):
        rows = mixture({11: 0.5, 17: 0.5}, {11: 0.5, 17: 0.5 - 1e-6, 92: 1e-6}, width=3)
        pure, splinter = energies(params, rows)
        assert pure == pytest.approx(float(splinter), abs=1e-3)

    def test_an_ensemble_is_a_vmap(self, params):
        properties = element_properties()
        other = folded(initial(jax.random.key(4), SHAPE, properties.shape[1]), properties)
        stacked = jax.tree.map(lambda *a: jnp.stack(a), params, other)
        rows = mixture({26: 0.4, 8: 0.6}, {3: 1.0}, width=3)
        both = jax.vmap(energies, in_axes=(0, None))(stacked, rows)
        np.testing.assert_allclose(both[0], energies(params, rows), atol=1e-5)
        np.testing.assert_allclose(both[1], energies(other, rows), atol=1e-5)

    def test_gradients_are_finite_with_empty_places(self, params):
        rows = mixture({3: 1.0}, {26: 0.4, 8: 0.6}, width=5)
        gradient = jax.grad(lambda p: energies(p, rows).sum())(params)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
