import numpy as np
import pytest

from alab.errors import BadInput
from planners.stability.random_search.separations import (
    NoRadiusError,
    anions,
    draw_separations_ang,
    separation_ang,
    volume_ang3,
)


def test_anions() -> None:
    assert anions(["Ba", "Ti", "O"]) == {"O"}
    assert anions(["Na", "Cl", "O"]) == {"Cl", "O"}
    assert anions(["Fe", "Al"]) == set()
    assert anions(["O"]) == set()


@pytest.mark.parametrize(
    ("atoms", "known_ang3"),
    [
        ({"Na": 1, "Cl": 1}, 44.8),
        ({"Ba": 1, "Ti": 1, "O": 3}, 64.3),
        ({"Ca": 1, "F": 2}, 40.8),
        ({"Cu": 1}, 11.8),
        ({"Ni": 1, "Al": 1}, 24.0),
    ],
    ids=lambda value: "".join(value) if isinstance(value, dict) else None,
)
def test_volumes_of_known_crystals_are_drawn(atoms: dict[str, int], known_ang3: float) -> None:
    assert 0.4 < known_ang3 / volume_ang3(atoms) < 1.2


def test_bonds_of_rock_salt_lie_beyond_what_is_drawn() -> None:
    for pair, known_ang in ((("Na", "Cl"), 2.82), (("Na", "Na"), 3.99), (("Cl", "Cl"), 3.99)):
        low, high = (separation_ang(*pair, ["Na", "Cl"], q) for q in (0.01, 0.5))
        assert low < high
        assert low < known_ang
        assert high < 1.1 * known_ang


def test_draws_lie_between_the_quantiles() -> None:
    random = np.random.default_rng(0)
    drawn = [draw_separations_ang(["Ti", "O"], random) for _ in range(50)]
    for pair in (("O", "O"), ("O", "Ti"), ("Ti", "Ti")):
        values = [d[pair] for d in drawn]
        assert min(values) >= separation_ang(*pair, ["Ti", "O"], 0.01)
        assert max(values) <= separation_ang(*pair, ["Ti", "O"], 0.5)
        assert len(set(values)) == 50
    assert all(d["O", "Ti"] == d["Ti", "O"] for d in drawn)


def test_hydrogen_keeps_its_bond() -> None:
    assert separation_ang("H", "H", ["H", "Li"], 0.01) == 0.74


def test_no_radius() -> None:
    with pytest.raises(NoRadiusError, match="Xe has no atomic radius"):
        volume_ang3({"Xe": 1, "F": 2})
    assert issubclass(NoRadiusError, BadInput)
