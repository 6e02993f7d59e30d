"""Bad input from the file to the verdict: an error in words or a flagged result."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from alab.errors import BadInput
from alab.models import Verdict
from analysis.diffraction.analyze import analyze, quantify
from analysis.diffraction.library import default_cifs
from analysis.diffraction.pattern import Pattern, read_pattern
from analysis.diffraction.result import Analysis
from analysis.diffraction.write_pattern import write_xrdml

ANGLE = np.arange(15.0, 70.0, 0.03)
MAGNESIA = {3: 0.1, 4: 1.0, 8: 0.52, 11: 0.05, 12: 0.12}  # h² + k² + l², relative height
A_ANG = 4.2112


CIF = """data_x
_cell_length_a {a:.4f}
_cell_length_b {a:.4f}
_cell_length_c {a:.4f}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M '{group}'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
{atoms}
"""
METALS = (
    *("Mg", "Ca", "Sr", "Ba", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Y", "Zr"),
    *("Nb", "Mo", "Sn", "La", "Ce", "Nd", "Sm", "Gd", "Dy", "Er", "Yb", "Hf", "Ta", "W", "Pb"),
    *("Bi", "In"),
)


def lines(wavelength_scale: float = 1.0) -> np.ndarray:
    """MgO on a background, with Cu Kα₁ and Kα₂ or what is as far apart elsewhere."""
    expected = np.full(len(ANGLE), 150.0)
    for n, height in MAGNESIA.items():
        for wavelength_ang, share in ((1.5405929, 1.0), (1.5444274, 0.5)):
            sin = wavelength_scale * wavelength_ang * np.sqrt(n) / (2 * A_ANG)
            x = (ANGLE - 2 * np.degrees(np.arcsin(sin))) / 0.05
            expected += 4000 * share * height * (0.5 / (1 + x**2) + 0.5 * np.exp(-0.69 * x**2))
    return expected


def magnesia(seed: int = 1, ceiling: float = np.inf) -> Pattern:
    counts = np.random.default_rng(seed).poisson(lines()).astype(float)
    counts = np.minimum(counts, ceiling)
    return Pattern(
        two_theta_deg=ANGLE,
        counts=counts,
        esd=np.sqrt(np.maximum(counts, 1.0)),
        wavelength_stated=True,
        origin="magnesia",
    )


def rows(angle: np.ndarray, counts: np.ndarray) -> bytes:
    return "\n".join(f"{a:.4f} {c:g}" for a, c in zip(angle, counts, strict=True)).encode()


def of_file(folder: Path, name: str, content: bytes) -> Analysis:
    file = folder / name
    file.write_bytes(content)
    return analyze(read_pattern(file), elements=["Mg", "O"], target="MgO")


def with_one(values: np.ndarray, value: float) -> np.ndarray:
    changed = values.copy()
    changed[700] = value
    return changed


COUNTS = magnesia().counts


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (rows(ANGLE[:30], COUNTS[:30]), "too few"),
        (rows(with_one(ANGLE, 20.0), COUNTS), "falls back|cannot be read"),
        (rows(ANGLE, with_one(COUNTS, -40.0)), "cannot be negative"),
        (rows(ANGLE, with_one(COUNTS, np.nan)), "no numbers|cannot be read"),
        (rows(ANGLE * 12, COUNTS), "180"),
        (rows(1.5406 / 2 / np.sin(np.radians(ANGLE / 2)), COUNTS), r"Q, d or 2θ\?"),
    ],
)
def test_a_file_that_is_no_pattern_is_refused(
    tmp_path: Path, content: bytes, said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        of_file(tmp_path, "bad.xy", content)


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    write_xrdml(magnesia(), tmp_path / "whole.xrdml")
    content = (tmp_path / "whole.xrdml").read_bytes()
    assert of_file(tmp_path, "again.xrdml", content).outcome.verdict is Verdict.SUCCESS
    for share in (0.3, 0.7, 0.95):
        with pytest.raises(BadInput):
            of_file(tmp_path, "cut.xrdml", content[: int(share * len(content))])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"counts": COUNTS[:-1]}, "as many of each"),
        (
            {name: np.zeros(0) for name in ("two_theta_deg", "counts", "esd")},
            "at least 50",
        ),
        ({"counts": with_one(COUNTS, np.nan)}, "no numbers"),
        ({"esd": with_one(COUNTS, np.inf)}, "no numbers"),
        ({"two_theta_deg": with_one(ANGLE, 20.0)}, "must rise"),
        ({"two_theta_deg": ANGLE * 3}, "180"),
        ({"counts": with_one(COUNTS, -1.0)}, "negative"),
        ({"counts": np.zeros(len(ANGLE))}, "every count is 0"),
    ],
)
def test_arrays_that_are_no_pattern_are_refused(
    changed: dict[str, np.ndarray], said: str
) -> None:
    arrays = {"two_theta_deg": ANGLE, "counts": COUNTS, "esd": np.sqrt(COUNTS)} | changed
    pattern = Pattern(
        two_theta_deg=arrays["two_theta_deg"], counts=arrays["counts"], esd=arrays["esd"]
    )
    with pytest.raises(BadInput, match=said):
        analyze(pattern, elements=["Mg", "O"])
    with pytest.raises(BadInput, match=said):
        quantify(pattern, [default_cifs()["MgO"]])


def test_a_missing_wavelength_is_assumed_and_told(tmp_path: Path) -> None:
    outcome = of_file(tmp_path, "plain.xy", rows(ANGLE, COUNTS)).outcome
    assert outcome.verdict is Verdict.SUCCESS
    assert "The file states no wavelength: Cu Kα was assumed." in outcome.reasons


def test_a_wrong_wavelength_is_no_confident_answer() -> None:
    """MgO with Mo Kα, read as with Cu Kα."""
    counts = np.random.default_rng(2).poisson(lines(0.4604)).astype(float)
    pattern = Pattern(two_theta_deg=ANGLE, counts=counts, esd=np.sqrt(counts))
    outcome = analyze(pattern, elements=["Mg", "O"], target="MgO").outcome
    assert outcome.verdict is Verdict.INCONCLUSIVE


def test_a_flat_pattern_says_nothing() -> None:
    for level in (3.0, 2000.0):
        counts = np.random.default_rng(3).poisson(level, len(ANGLE)).astype(float)
        flat = Pattern(two_theta_deg=ANGLE, counts=counts, esd=np.sqrt(np.maximum(counts, 1.0)))
        outcome = analyze(flat, elements=["Mg", "O"], target="MgO").outcome
        assert outcome.verdict is Verdict.INCONCLUSIVE
        assert outcome.phases == ()
        assert not outcome.amorphous_suspected


def test_a_saturated_detector_is_flagged(tmp_path: Path) -> None:
    clipped = magnesia(ceiling=1500.0)
    outcome = of_file(tmp_path, "clipped.xy", rows(ANGLE, clipped.counts)).outcome
    assert "ceiling of 1500 counts" in " ".join(outcome.reasons)


def rock_salt(occupancy: str, extra: str = "") -> str:
    atoms = f"Mg1 Mg 0 0 0 {occupancy}\nO1 O 0.5 0.5 0.5 1\n{extra}"
    return CIF.format(a=A_ANG, group="F m -3 m", atoms=atoms)


def test_a_cif_with_an_occupancy_above_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "MgO.cif").write_text(rock_salt("1.4"))
    with pytest.raises(BadInput, match=r"MgO\.cif: site Mg1 is occupied 1\.4 times"):
        analyze(magnesia(), elements=["Mg", "O"], sources=tmp_path)
    (tmp_path / "MgO.cif").write_text(rock_salt("0.9", "Mg2 Mg 0 0 0 0.4"))
    with pytest.raises(BadInput, match=r"holds 1\.30 atoms"):
        quantify(magnesia(), [tmp_path / "MgO.cif"])


def test_a_cif_that_pymatgen_doubts_is_flagged(tmp_path: Path) -> None:
    doubtful = rock_salt("1").replace(
        "data_x\n", "data_x\n_chemical_formula_sum 'Mg3 O7'\n_cell_formula_units_Z 4\n"
    )
    (tmp_path / "MgO.cif").write_text(doubtful)
    outcome = analyze(magnesia(), elements=["Mg", "O"], sources=tmp_path).outcome
    assert [phase.formula for phase in outcome.phases] == ["MgO"]
    assert "MgO: MgO.cif: " in " ".join(outcome.reasons)


def test_no_candidates_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no reference structure holds only"):
        analyze(magnesia(), elements=["He"], extra_elements=())
    with pytest.raises(BadInput, match=r"holds no \.cif"):
        analyze(magnesia(), elements=["Mg"], sources=tmp_path)


def test_a_thousand_candidates_are_searched(tmp_path: Path) -> None:
    """All perovskites of 32 metals, with cells at random, and the oxide that is there."""
    rng = np.random.default_rng(4)
    (tmp_path / "MgO.cif").write_text(rock_salt("1"))
    for a_site, b_site in itertools.permutations(METALS, 2):
        atoms = f"A {a_site} 0 0 0 1\nB {b_site} 0.5 0.5 0.5 1\nO O 0.5 0.5 0 1"
        cif = CIF.format(a=rng.uniform(3.75, 4.35), group="P m -3 m", atoms=atoms)
        (tmp_path / f"{a_site}{b_site}O3.cif").write_text(cif)
    found = analyze(
        magnesia(), elements=[*METALS, "O"], target="MgO", sources=tmp_path, cache_dir=tmp_path
    )
    assert found.candidates == 32 * 31 + 1
    assert found.outcome.phases[0].formula == "MgO"
    assert found.outcome.target_weight_fraction > 0.9
