"""Refined structures as CIF, read back by gemmi, by pymatgen, and by the library itself."""

import warnings
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.io.cif import CifParser

from alab.errors import BadInput
from alab.models import Outcome, PhaseAmount, Verdict
from analysis.diffraction.asymmetric_unit import asymmetric_unit, group_name
from analysis.diffraction.crystal import Crystal, crystal_of, read_crystal, structure_of
from analysis.diffraction.library import PROTOTYPES, embedded, references
from analysis.diffraction.result import Analysis, Contribution
from analysis.diffraction.write_cif import refined_cif, with_esd, write_cifs

EXTRA_B = 0.25


def refined(crystal: Crystal, stretch: float = 1.002) -> Analysis:
    """An analysis that found one phase, its cell stretched."""
    operations, sites = asymmetric_unit(crystal, EXTRA_B)
    symbol, number = group_name(operations) or (crystal.space_group, crystal.number)
    cell = crystal.cell * np.array([stretch] * 3 + [1.0] * 3)
    phase = PhaseAmount(
        formula=crystal.formula,
        reference=crystal.stem,
        space_group=crystal.space_group,
        weight_fraction=0.621,
        weight_fraction_esd=0.013,
    )
    part = Contribution(
        reference=crystal.stem,
        formula=crystal.formula,
        counts=np.zeros(3),
        ticks_deg=(),
        cell=tuple(float(v) for v in cell),
        strain_percent=0.2,
        size_nm=None,
        density_g_per_cm3=crystal.density_g_per_cm3,
        cell_esds=(0.0003, 0.0003, 0.0012, 0.0, 0.0, 0.0),
        space_group=symbol,
        number=number,
        operations=operations,
        sites=sites,
    )
    return Analysis(
        outcome=Outcome(
            verdict=Verdict.PARTIAL,
            target_weight_fraction=0.0,
            target_weight_fraction_esd=0.0,
            phases=(phase,),
            r_wp_percent=7.12,
            unexplained_fraction=0.0,
        ),
        two_theta_deg=np.array([10.0, 11.0, 12.0]),
        observed=np.zeros(3),
        calculated=np.zeros(3),
        background=np.zeros(3),
        contributions=(part,),
        displacement_mm=0.0,
        sample="S1",
        origin="scan.xrdml",
        candidates=1,
    )


KNOWN = {reference.stem: reference for reference in embedded()}
CHOSEN = ["BaTiO3_99", "TiO2_136", "ZrO2_14", "Fe2O3_167", "ZnFe2O4_227", "V2O5_59"]


@pytest.mark.parametrize("stem", [stem for stem in CHOSEN if stem in KNOWN])
def test_a_refined_structure_reads_back(stem: str, tmp_path: Path) -> None:
    crystal = KNOWN[stem].crystal()
    (path,) = write_cifs(refined(crystal), tmp_path, "S1")
    assert path.name == f"S1-{stem}.cif"
    again = read_crystal(path)
    assert again.number == crystal.number
    assert again.cell[:3] == pytest.approx(crystal.cell[:3] * 1.002, abs=1e-3)
    assert len(again.elements) == len(crystal.elements)
    assert again.density_g_per_cm3 == pytest.approx(
        crystal.density_g_per_cm3 / 1.002**3, rel=1e-3
    )
    shift = np.mean(again.b_iso_ang2) - np.mean(crystal.b_iso_ang2)
    assert shift == pytest.approx(EXTRA_B, abs=1e-3)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen rounds thirds and says so
        (structure,) = CifParser(path).parse_structures(primitive=False)
    assert StructureMatcher().fit(structure, structure_of(crystal))


def test_the_file_states_what_was_refined() -> None:
    block = refined_cif(refined(KNOWN["BaTiO3_99"].crystal()), 0).sole_block()
    assert block.find_value("_cell_length_a").endswith("(3)")
    assert block.find_value("_cell_length_c").endswith("(12)")
    assert "(" not in block.find_value("_cell_angle_alpha")
    assert block.find_value("_pd_phase_mass_%") == "62.1(13)"
    assert float(block.find_value("_pd_proc_ls_prof_wR_factor")) == pytest.approx(0.0712)
    assert "alab" in gemmi.cif.as_string(block.find_value("_audit_creation_method"))
    assert "scan.xrdml" in gemmi.cif.as_string(block.find_value("_audit_creation_method"))
    a, c = 0.0003 / 3.99, 0.0012 / 4.03  # a and b move as one: (2 σa/a)² + (σc/c)²
    volume = gemmi.cif.as_number(block.find_value("_cell_volume"))
    written = float(block.find_value("_cell_volume").split("(")[1].rstrip(")"))
    decimals = len(block.find_value("_cell_volume").split(".")[1].split("(")[0])
    esd = written / 10**decimals
    assert esd == pytest.approx(volume * ((2 * a) ** 2 + c**2) ** 0.5, rel=0.15)


@pytest.mark.parametrize(
    "elements", [["Ba", "Ti", "O"], ["Fe", "Zn", "O", "Si"], ["Al", "O", "H", "Mg"]]
)
def test_every_atom_and_the_space_group_are_kept(elements: list[str]) -> None:
    pool = [*references(elements), *references(elements, [PROTOTYPES])]
    assert len(pool) > 3
    for reference in pool:
        crystal = reference.crystal()
        operations, sites = asymmetric_unit(crystal)
        assert sum(site.multiplicity for site in sites) == len(crystal.elements), reference.stem
        found = group_name(operations)
        assert found is not None
        assert found[1] == crystal.number, reference.stem


def test_a_cell_with_a_foreign_origin_is_given_whole() -> None:
    crystal = KNOWN["TiO2_136"].crystal()
    moved = replace(
        crystal, positions=(crystal.positions + np.array([0.1237, 0.0411, 0.2219])) % 1.0
    )
    operations, sites = asymmetric_unit(moved)
    assert operations == ("x,y,z",)
    assert len(sites) == len(crystal.elements)


def test_atoms_that_share_a_place_stay_together() -> None:
    structure = structure_of(KNOWN["BaTiO3_99"].crystal())
    structure.replace_species({"Ba": {"Ba": 0.6, "Sr": 0.4}})
    _, sites = asymmetric_unit(crystal_of(structure, stem="mixed"))
    shared = {site.element: site for site in sites if site.element in ("Ba", "Sr")}
    assert shared["Ba"].position == shared["Sr"].position
    assert (shared["Ba"].occupancy, shared["Sr"].occupancy) == (0.6, 0.4)


@pytest.mark.parametrize(
    ("value", "esd", "written"),
    [
        (4.00123, 0.00031, "4.0012(3)"),
        (62.14, 1.3, "62.1(13)"),
        (62.14, 2.6, "62(3)"),
        (143.2, 12.0, "143(12)"),
        (143.2, 260.0, "143(260)"),
        (3.98767, 0.00096, "3.9877(10)"),
        (90.0, 0.0, "90"),
        (4.0, float("nan"), "4"),
    ],
)
def test_standard_deviations_stand_in_parentheses(
    value: float, esd: float, written: str
) -> None:
    assert with_esd(value, esd) == written


def test_an_analysis_without_atoms_is_refused() -> None:
    whole = refined(KNOWN["BaTiO3_99"].crystal())
    bare = replace(whole, contributions=(replace(whole.contributions[0], sites=()),))
    with pytest.raises(BadInput, match=r"scan\.xrdml again"):
        refined_cif(bare, 0)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="choose a folder"):
        write_cifs(refined(KNOWN["BaTiO3_99"].crystal()), tmp_path / "none", "S1")
