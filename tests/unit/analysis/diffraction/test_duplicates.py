from dataclasses import dataclass, replace

import numpy as np
import pytest

from analysis.diffraction.crystal import Crystal, read_crystal
from analysis.diffraction.duplicates import deduplicated
from analysis.diffraction.library import STRUCTURES, embedded


@dataclass(frozen=True)
class Held:
    held: Crystal

    def crystal(self) -> Crystal:
        return self.held


def crystal(stem: str) -> Crystal:
    return read_crystal(STRUCTURES / f"{stem}.cif")


def stretched(one: Crystal, factor: float) -> Crystal:
    return replace(one, cell=one.cell * np.array([factor, factor, factor, 1, 1, 1]))


def count(*crystals: Crystal) -> int:
    return len(deduplicated([Held(one) for one in crystals]))


@pytest.mark.parametrize("stem", ["MgO_225", "TiO2_141", "WO3_14", "CaSiO3_2", "LiFeO2_225"])
def test_cells_that_a_refinement_joins_are_one(stem: str) -> None:
    one = crystal(stem)
    shifted = replace(one, positions=one.positions + 0.25, cell=one.cell)
    assert count(one, stretched(one, 1.01), shifted) == 1
    assert count(one, stretched(one, 1.04)) == 2


def test_polymorphs_and_other_elements_stay() -> None:
    rutile, anatase = crystal("TiO2_136"), crystal("TiO2_141")
    assert count(rutile, anatase, crystal("SnO2_136"), crystal("MnO2_136")) == 4
    nickel = crystal("NiO_225")
    assert count(nickel, crystal("MgO_225"), crystal("CoO_225")) == 3


def test_a_small_distortion_in_another_group_stays() -> None:
    tetragonal = crystal("BaTiO3_99")
    cubic = crystal("BaZrO3_221")
    swapped = tuple("Ti" if element == "Zr" else element for element in cubic.elements)
    cell = np.array([4.0, 4.0, 4.0, 90, 90, 90])
    assert count(tetragonal, replace(cubic, elements=swapped, cell=cell)) == 2


def test_occupancies_count() -> None:
    one = crystal("LiFeO2_225")
    fuller = np.where(np.array(one.elements) == "Li", 0.4, one.occupancies)
    other = replace(one, occupancies=np.where(np.array(one.elements) == "Fe", 0.6, fuller))
    assert count(one, other) == 2
    nearly = replace(one, occupancies=one.occupancies * 0.999)
    assert count(one, nearly) == 1


def test_the_first_is_kept() -> None:
    one = crystal("MgO_225")
    kept = deduplicated([Held(stretched(one, 1.01)), Held(one)])
    assert kept[0].crystal().cell[0] == pytest.approx(one.cell[0] * 1.01)


def test_the_embedded_ones_are_all_different() -> None:
    assert len(deduplicated(embedded())) == len(embedded())
