from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from alab.errors import BadInput
from planners.stability.random_search import spheres
from planners.stability.random_search.spheres import Spheres, heights_ang, relaxed


def random_spheres(n: int, seed: int, *, diameter_ang: float = 2.2) -> Spheres:
    random = np.random.default_rng(seed)
    lattice = np.eye(3) * (9 * n) ** (1 / 3) + random.uniform(-0.3, 0.3, (3, 3))
    return Spheres(
        lattice_ang=lattice,
        fractional=random.random((n, 3)),
        diameters_ang=np.full((n, n), diameter_ang),
        projector=np.eye(3 * n),
    )


def energy(spheres_: Spheres, fractional: np.ndarray) -> float:
    """½ Σ (1 − r/σ)² over two shells of cells, written out."""
    total = 0.0
    for shift in product(range(-2, 3), repeat=3):
        between = fractional[:, None] - fractional[None] - np.array(shift)
        r = np.sqrt(((between @ spheres_.lattice_ang) ** 2).sum(-1))
        if not any(shift):
            r += np.diag(np.full(len(r), np.inf))
        total += 0.5 * (np.maximum(0, 1 - r / spheres_.diameters_ang) ** 2).sum()
    return total


def smallest_ratio(spheres_: Spheres, fractional: np.ndarray) -> float:
    ratios = []
    for shift in product(range(-2, 3), repeat=3):
        between = fractional[:, None] - fractional[None] - np.array(shift)
        r = np.sqrt(((between @ spheres_.lattice_ang) ** 2).sum(-1))
        if not any(shift):
            r += np.diag(np.full(len(r), np.inf))
        ratios.append((r / spheres_.diameters_ang).min())
    return float(min(ratios))


def test_force_is_the_slope_of_the_energy() -> None:
    structure = random_spheres(6, 1)
    lanes = spheres._lanes([structure], 10)
    with jax.enable_x64(False):  # noqa: FBT003
        one = jax.tree.map(lambda rows: jnp.asarray(rows[0]), lanes)
        still = jnp.zeros((10, 3), dtype=jnp.float32)
        force = np.asarray(spheres._force(one, still))
    inverse = np.linalg.inv(structure.lattice_ang)
    scale = 2.2**2 / 2
    for atom, axis in product(range(6), range(3)):
        step = np.zeros((6, 3))
        step[atom, axis] = 1e-4
        up = energy(structure, structure.fractional + step @ inverse)
        down = energy(structure, structure.fractional - step @ inverse)
        slope = (up - down) / 2e-4
        # each pair is counted twice by ½ Σ_ij, and moved by either of its atoms
        assert force[atom, axis] == pytest.approx(-scale * slope, abs=2e-3)
    assert not force[6:].any()


def test_spheres_are_pushed_apart() -> None:
    for seed in range(4):
        structure = random_spheres(9, seed)
        (after,) = relaxed([structure])
        assert smallest_ratio(structure, structure.fractional) < 0.8
        assert after.smallest_ratio > 0.93
        assert after.smallest_ratio == pytest.approx(
            smallest_ratio(structure, after.fractional), abs=1e-4
        )


def test_an_image_of_an_atom_counts() -> None:
    lattice = np.diag([2.0, 5.0, 5.0])
    alone = Spheres(
        lattice_ang=lattice,
        fractional=np.zeros((1, 3)),
        diameters_ang=np.full((1, 1), 2.5),
        projector=np.eye(3),
    )
    assert relaxed([alone])[0].smallest_ratio == pytest.approx(0.8, abs=1e-5)


def test_company_and_place_change_nothing() -> None:
    structures = [random_spheres(3 + k % 8, k) for k in range(40)]
    together = relaxed(structures)
    for k in (0, 7, 31, 39):
        (alone,) = relaxed([structures[k]])
        assert (alone.fractional == together[k].fractional).all()
        assert alone.smallest_ratio == together[k].smallest_ratio


def test_too_many_atoms_and_flat_cells() -> None:
    with pytest.raises(BadInput, match="41 atoms; 1 to 40"):
        relaxed([random_spheres(41, 0)])
    with pytest.raises(BadInput, match=r"spheres of 9\.00 Å"):
        relaxed([random_spheres(5, 0, diameter_ang=9.0)])


def test_heights() -> None:
    lattice = np.array([[3.0, 0, 0], [3.0, 4.0, 0], [0, 0, 5.0]])
    assert heights_ang(lattice) == pytest.approx([2.4, 4.0, 5.0])
