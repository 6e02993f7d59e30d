import numpy as np
import pytest
from pymatgen.core import Composition

from alab.errors import BadInput
from analysis.diffraction.library import (
    DEFAULT_SOURCES,
    PROTOTYPES,
    Source,
    decorations,
    references,
    with_decorations,
)
from analysis.diffraction.prototypes import prototypes
from analysis.diffraction.reflections import lines_of_many


def stems(found) -> set[str]:
    return {reference.stem for reference in found}


def test_compounds_of_the_elements_and_of_no_others() -> None:
    found = references(["Cu", "O"], [PROTOTYPES])
    assert {r.formula for r in found} == {"Cu", "Cu2O", "CuO"}
    assert {(r.source, r.default, r.path) for r in found} == {(Source.PROTOTYPE, False, None)}


@pytest.mark.parametrize(
    ("elements", "formula", "number", "density_g_per_cm3"),
    [
        (["Cu"], "Cu", 225, 8.935),  # ICDD 04-0836
        (["Cu", "O"], "Cu2O", 224, 6.11),  # ICDD 05-0667
        (["Zn", "S"], "ZnS", 216, 4.096),  # ICDD 05-0566
        (["C"], "C", 227, 3.515),  # diamond, ICDD 06-0675
    ],
)
def test_densities_are_the_published_ones(
    elements: list[str], formula: str, number: int, density_g_per_cm3: float
) -> None:
    found = [
        reference.crystal()
        for reference in references(elements, [PROTOTYPES])
        if (reference.formula, reference.number) == (formula, number)
    ]
    assert [crystal.density_g_per_cm3 for crystal in found] == [
        pytest.approx(density_g_per_cm3, rel=0.02)
    ]


def test_gases_misplaced_atoms_and_high_pressure_are_left_out() -> None:
    assert prototypes(frozenset({"O", "N", "H", "Cl"})) == []
    titania = prototypes(frozenset({"Ti", "O"}))
    assert {crystal.number for crystal in titania if crystal.formula == "TiO2"} == {136}
    assert all(crystal.number != 4 for crystal in prototypes(frozenset({"Te"})))


def test_every_prototype_of_common_elements_makes_lines() -> None:
    common = ["Li", "C", "O", "F", "Na", "Mg", "Al", "Si", "S", "Ca", "Ti", "Mn", "Fe"]
    found = prototypes(frozenset([*common, "Co", "Ni", "Cu", "Zn", "Zr", "P"]))
    assert len(found) > 60
    for crystal, lines in zip(
        found, lines_of_many(found, wavelength_ang=1.54, max_two_theta_deg=60), strict=True
    ):
        assert 0.8 < crystal.density_g_per_cm3 < 20, crystal.stem
        assert lines.intensity.sum() > 0


def test_another_source_replaces_the_prototype_of_the_same_structure() -> None:
    """Quartz is P3_121 in one and P3_221 in the other: the same with the other hand."""
    found = references(["Si", "Ti", "O"], DEFAULT_SOURCES)
    groups = [(r.formula, r.number) for r in found]
    assert ("SiO2", 154) in groups
    assert ("SiO2", 152) not in groups
    assert groups.count(("TiO2", 136)) == 1
    assert ("SiO2", 92) in groups  # cristobalite comes from nowhere else


def test_decorations_balance_and_include_the_known_structure() -> None:
    found = decorations(["Mg", "O"])
    assert {r.formula for r in found} == {"MgO"}
    assert {(r.source, r.measured) for r in found} == {(Source.DECORATION, False)}
    (rock_salt,) = [r for r in found if r.stem == "MgO_225_AB_cF8_225_a_b"]
    assert rock_salt.crystal().cell[0] == pytest.approx(4.2112, rel=0.03)  # ICDD 45-0946
    for reference in found:
        crystal = reference.crystal()
        assert np.isfinite(crystal.density_g_per_cm3)
        assert Composition(crystal.formula).oxi_state_guesses()


def test_decorations_come_beside_what_is_known() -> None:
    known = references(["Mg", "O"])
    both = with_decorations(known, ["Mg", "O"])
    assert stems(known) < stems(both)
    assert len(stems(both)) == len(both)
    assert "MgO_225_AB_cF8_225_a_b" not in stems(both)


def test_decorations_of_what_is_no_element() -> None:
    with pytest.raises(BadInput, match="no element"):
        decorations(["Mg", "Ox"])
