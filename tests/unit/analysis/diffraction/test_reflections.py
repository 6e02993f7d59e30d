import pickle
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from pymatgen.analysis.diffraction.xrd import XRDCalculator
from pymatgen.io.cif import CifParser
from rietx.crystallography.dispersion import dispersion
from rietx.crystallography.scattering import f0

from alab.errors import BadInput
from analysis.diffraction.crystal import Crystal, read_crystal
from analysis.diffraction.families import families_of, reciprocal_metric
from analysis.diffraction.library import STRUCTURES, default_cifs, embedded
from analysis.diffraction.reflections import (
    STRAINS,
    lines_of,
    lines_of_many,
    stick_patterns,
)
from analysis.diffraction.structure_factors import (
    Reflections,
    absorption_per_cm,
    squared_structure_factors,
)

CU_KALPHA1_ANG = 1.5405929


def cubic(
    formula: str, number: int, edge_ang: float, atoms: dict[str, list], rotations
) -> Crystal:
    elements = [element for element, places in atoms.items() for _ in places]
    return Crystal(
        stem=formula,
        formula=formula,
        space_group="",
        number=number,
        cell=np.array([edge_ang] * 3 + [90.0] * 3),
        elements=tuple(elements),
        positions=np.array([place for places in atoms.values() for place in places]),
        occupancies=np.ones(len(elements)),
        b_iso_ang2=np.full(len(elements), 0.5),
        rotations=rotations,
    )


ROTATIONS = read_crystal(STRUCTURES / "MgO_225.cif").rotations
CENTRES = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def two_theta(lines, hkl) -> float:
    wanted = np.sort(np.abs(hkl))
    row = next(
        i for i, found in enumerate(lines.hkl) if np.array_equal(np.sort(np.abs(found)), wanted)
    )
    return float(np.degrees(2 * np.arcsin(np.sqrt(lines.inverse_d2[row]) * CU_KALPHA1_ANG / 2)))


@pytest.mark.parametrize(
    ("hkl", "two_theta_deg"),
    # NIST certificate of SRM 640c, a = 5.4311946 Å
    [((1, 1, 1), 28.441), ((2, 2, 0), 47.300), ((3, 1, 1), 56.119), ((4, 0, 0), 69.126)],
)
def test_silicon(hkl, two_theta_deg: float) -> None:
    silicon = cubic("Si", 227, 5.4311946, {"Si": [*CENTRES, *(CENTRES + 0.25)]}, ROTATIONS)
    lines = lines_of(silicon, wavelength_ang=CU_KALPHA1_ANG, max_two_theta_deg=100)
    assert two_theta(lines, hkl) == pytest.approx(two_theta_deg, abs=0.003)


@pytest.mark.parametrize(
    ("hkl", "two_theta_deg"),
    # NIST certificate of SRM 660c, a = 4.156826 Å
    [((1, 0, 0), 21.358), ((1, 1, 0), 30.385), ((1, 1, 1), 37.442), ((2, 1, 0), 48.957)],
)
def test_lanthanum_hexaboride(hkl, two_theta_deg: float) -> None:
    x = 0.1996
    boron = [
        [0.5, 0.5, x],
        [0.5, 0.5, -x],
        [0.5, x, 0.5],
        [0.5, -x, 0.5],
        [x, 0.5, 0.5],
        [-x, 0.5, 0.5],
    ]
    crystal = cubic("LaB6", 221, 4.156826, {"La": [[0, 0, 0]], "B": boron}, ROTATIONS)
    lines = lines_of(crystal, wavelength_ang=CU_KALPHA1_ANG, max_two_theta_deg=100)
    assert two_theta(lines, hkl) == pytest.approx(two_theta_deg, abs=0.003)


@pytest.mark.parametrize(
    ("d_spacing_ang", "hkl"),
    # ICDD 46-1212
    [(3.4797, (0, 1, 2)), (2.5508, (1, 0, 4)), (2.0853, (1, 1, 3)), (1.6013, (1, 1, 6))],
)
def test_corundum_places(d_spacing_ang: float, hkl) -> None:
    lines = lines_of(
        read_crystal(default_cifs()["Al2O3"]), wavelength_ang=1.54, max_two_theta_deg=70
    )
    found = 1 / np.sqrt(lines.inverse_d2)
    near = int(np.argmin(np.abs(found - d_spacing_ang)))
    assert found[near] == pytest.approx(d_spacing_ang, abs=0.0008)
    assert abs(lines.hkl[near][2]) == hkl[2]


@pytest.mark.parametrize("formula", ["Al2O3", "ZrO2", "CaWO4", "NaZr2(PO4)3"])
def test_intensities_are_those_of_pymatgen(
    formula: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pymatgen has no dispersion, so it is switched off here, and its own B are ours."""
    monkeypatch.setattr(
        "analysis.diffraction.structure_factors.dispersion_of",
        lambda _element, _wavelength: (0.0, 0.0),
    )
    path = default_cifs()[formula]
    crystal = read_crystal(path)
    lines = lines_of(crystal, wavelength_ang=1.54, max_two_theta_deg=60)
    sin = np.sqrt(lines.inverse_d2) * 1.54 / 2
    intensity = lines.intensity * (1 + (1 - 2 * sin**2) ** 2) / (sin**2 * np.sqrt(1 - sin**2))
    factors = dict(zip(crystal.elements, crystal.b_iso_ang2.tolist(), strict=True))
    theirs = XRDCalculator(wavelength=1.54, debye_waller_factors=factors).get_pattern(
        CifParser(path).parse_structures(primitive=False)[0], two_theta_range=(5, 59)
    )
    d_spacing_ang = 1 / np.sqrt(lines.inverse_d2)
    ours = np.array([intensity[np.abs(d_spacing_ang - d) < 2e-4].sum() for d in theirs.d_hkls])
    strong = theirs.y > 10
    assert strong.sum() >= 5
    assert 100 * ours[strong] / ours.max() == pytest.approx(theirs.y[strong], rel=0.06, abs=1)


def test_structure_factors_of_rock_salt_by_hand_and_by_xrayutilities() -> None:
    xu = pytest.importorskip("xrayutilities")
    salt = cubic(
        "NaCl", 225, 5.6402, {"Na": list(CENTRES), "Cl": list(CENTRES + 0.5)}, ROTATIONS
    )
    salt = Crystal(
        **{name: getattr(salt, name) for name in salt.__slots__} | {"b_iso_ang2": np.zeros(8)}
    )
    hkl = np.array([[1.0, 1, 1], [2, 0, 0], [2, 2, 0], [3, 1, 1], [1, 0, 0]])
    inverse_d2 = (hkl**2).sum(1) / 5.6402**2
    ours = squared_structure_factors([Reflections(salt, hkl, inverse_d2)], CU_KALPHA1_ANG)[0]
    energy_ev = 12398.42 / CU_KALPHA1_ANG
    for row, index in enumerate(hkl[:4]):
        q = 2 * np.pi * np.sqrt(inverse_d2[row])
        sodium = xu.materials.elements.Na.f(q, energy_ev)
        chlorine = xu.materials.elements.Cl.f(q, energy_ev)
        sign = -1 if index[0] % 2 else 1
        theirs = abs(4 * (sodium + sign * chlorine)) ** 2
        assert ours[row] == pytest.approx(theirs, rel=0.03)
    assert ours[4] == pytest.approx(0.0, abs=1e-9)


def test_dispersion_is_in(monkeypatch: pytest.MonkeyPatch) -> None:
    crystal = read_crystal(default_cifs()["Fe2O3"])
    with_it = lines_of(crystal, wavelength_ang=CU_KALPHA1_ANG, max_two_theta_deg=60)
    monkeypatch.setattr(
        "analysis.diffraction.structure_factors.dispersion_of",
        lambda _element, _wavelength: (0.0, 0.0),
    )
    without = lines_of(crystal, wavelength_ang=CU_KALPHA1_ANG, max_two_theta_deg=60)
    ratio = with_it.intensity.sum() / without.intensity.sum()
    assert 0.8 < ratio < 0.97  # f′(Fe, Cu Kα) = −1.1, f″ = 3.2


def test_multiplicities() -> None:
    crystal = read_crystal(STRUCTURES / "MgO_225.cif")
    point = Crystal(
        **{name: getattr(crystal, name) for name in crystal.__slots__}
        | {
            "elements": ("Mg",),
            "positions": np.zeros((1, 3)),
            "occupancies": np.ones(1),
            "b_iso_ang2": np.zeros(1),
        }
    )
    lines = lines_of(point, wavelength_ang=1.0, max_two_theta_deg=60)
    f2 = squared_structure_factors([Reflections(point, lines.hkl, lines.inverse_d2)], 1.0)[0]
    many = lines.intensity * point.mass_g_per_mol * point.volume_ang3 / f2
    expected = {(1, 0, 0): 6, (1, 1, 0): 12, (1, 1, 1): 8, (2, 1, 0): 24, (3, 2, 1): 48}
    for hkl, multiplicity in expected.items():
        row = next(i for i, h in enumerate(lines.hkl) if tuple(np.sort(np.abs(h))[::-1]) == hkl)
        assert many[row] == pytest.approx(multiplicity)


@pytest.mark.parametrize(
    ("stem", "modes"),
    [
        ("MgO_225", 1),
        ("ZnO_186", 2),
        ("Al2O3_167", 2),
        ("CaTiO3_62", 3),
        ("ZrO2_14", 4),
        ("CaSiO3_2", 6),
    ],
)
def test_cell_strains_keep_the_crystal_system(stem: str, modes: int) -> None:
    crystal = read_crystal(STRUCTURES / f"{stem}.cif")
    lines = lines_of(crystal, wavelength_ang=CU_KALPHA1_ANG, max_two_theta_deg=60)
    assert lines.strain_modes == modes
    strain = np.zeros(STRAINS)
    strain[:modes] = np.linspace(1, 2, modes) * 1e-3
    cell = lines.strained_cell(crystal, strain)
    if modes < 4:
        assert cell[3:] == pytest.approx(crystal.cell[3:], abs=1e-9)
    if modes == 1:
        assert cell[:3] == pytest.approx(crystal.cell[:3] * (1 + strain[0]), rel=1e-5)
    # Places from the strained cell itself are those the linear formula gives.
    radians = np.radians(cell[3:])
    metric = np.outer(cell[:3], cell[:3])
    cosines = np.cos(radians)
    metric[[1, 0, 0], [2, 2, 1]] *= cosines
    metric[[2, 2, 1], [1, 0, 0]] *= cosines
    direct = np.einsum("hi,ij,hj->h", lines.hkl, np.linalg.inv(metric), lines.hkl)
    assert lines.inverse_d2 + lines.strain @ strain == pytest.approx(direct, rel=1e-9)


@pytest.mark.parametrize(
    ("stem", "sizes"),
    [
        ("MgO_225", {3, 4, 6, 12}),
        ("SrTiO3_221", {3, 4, 6, 12, 24}),
        ("Mn2O3_206", {3, 4, 6, 12}),
        ("ZnO_186", {1, 3, 6, 12}),
        ("Al2O3_167", {1, 3, 6}),
        ("CaTiO3_62", {1, 2, 4}),
        ("ZrO2_14", {1, 2}),
        ("CaSiO3_2", {1}),
    ],
)
def test_equivalents_are_the_family_each_member_as_often(stem: str, sizes: set[int]) -> None:
    crystal = read_crystal(STRUCTURES / f"{stem}.cif")
    lines = lines_of(crystal, wavelength_ang=0.9, max_two_theta_deg=60)
    found = set()
    for hkl, family in zip(lines.hkl, lines.equivalents, strict=True):
        images = {tuple(image) for image in (hkl @ crystal.rotations).tolist()}
        orbit = images | {tuple(-x for x in image) for image in images}
        up_to_sign = Counter(max(tuple(m), tuple(-x for x in m)) for m in family.tolist())
        assert set(up_to_sign) == {image for image in orbit if image > (0, 0, 0)}
        assert len(set(up_to_sign.values())) == 1
        found.add(len(up_to_sign))
    assert found == sizes


def test_reciprocal_metric_gives_the_places() -> None:
    crystal = read_crystal(STRUCTURES / "CaSiO3_2.cif")
    lines = lines_of(crystal, wavelength_ang=0.9, max_two_theta_deg=30)
    squares = np.einsum(
        "hfi,ij,hfj->hf", lines.equivalents, lines.reciprocal, lines.equivalents
    )
    strong = np.argsort(lines.intensity)[-20:]
    assert squares[strong, 0] == pytest.approx(lines.inverse_d2[strong], rel=1e-9)


@pytest.mark.parametrize(
    ("formula", "per_cm"),
    # The minerals of the round robin's sample 4, Cu Kα: Scarlett et al., J. Appl. Cryst. 35
    # (2002) 383
    [("Al2O3", 126), ("Fe3O4", 1167), ("ZrSiO4", 380)],
)
def test_absorption_is_the_published_one(formula: str, per_cm: float) -> None:
    crystal = read_crystal(default_cifs()[formula])
    lines = lines_of(crystal, wavelength_ang=CU_KALPHA1_ANG, max_two_theta_deg=30)
    assert lines.absorption_per_cm == pytest.approx(per_cm, rel=0.04)


def test_absorption_where_the_table_has_a_gap_or_an_edge() -> None:
    """Radium is missing; beside the nickel edge at 1.488 Å the table has no value."""

    def alone(element: str) -> float:
        crystal = cubic(element, 221, 3.0, {element: [[0, 0, 0]]}, ROTATIONS)
        return absorption_per_cm(crystal, CU_KALPHA1_ANG)

    assert alone("Pb") < alone("Ra") < alone("Th")
    nickel = read_crystal(default_cifs()["NiO"])
    beside, away = (absorption_per_cm(nickel, ang) for ang in (1.493, 1.52))
    assert beside == pytest.approx(away * (1.493 / 1.52) ** 2.8, rel=0.1)


@pytest.mark.parametrize("wavelength_ang", [0.2, 0.7093, 1.7889, 2.2897, 3.0])
def test_every_reference_has_its_absorption(wavelength_ang: float) -> None:
    for stem in ("LaCoO3_167", "BaWO4_88", "(NH4)2HPO4_14", "Bi2O3_14"):
        crystal = read_crystal(STRUCTURES / f"{stem}.cif")
        assert absorption_per_cm(crystal, wavelength_ang) > 0


def test_no_tables_on_an_edge() -> None:
    nickel = read_crystal(default_cifs()["NiO"])
    with pytest.raises(BadInput, match=r"Ni at 1\.485 Å"):
        lines_of(nickel, wavelength_ang=1.485, max_two_theta_deg=60)


def test_lines_survive_pickling() -> None:
    crystal = read_crystal(STRUCTURES / "ZrO2_14.cif")
    lines = lines_of(crystal, wavelength_ang=1.54, max_two_theta_deg=60)
    again = pickle.loads(pickle.dumps(lines))  # noqa: S301 - our own bytes
    assert np.array_equal(again.equivalents, lines.equivalents)
    assert again.absorption_per_cm == lines.absorption_per_cm


def direct_sum(crystal: Crystal, hkl: np.ndarray, inverse_d2: np.ndarray) -> np.ndarray:
    """Mean of |F|² over h and −h, atom by atom."""
    s = np.sqrt(inverse_d2) / 2
    squares = []
    for sign in (1, -1):
        total = np.zeros(len(hkl), dtype=complex)
        for element, place, occupancy, b_iso in zip(
            crystal.elements,
            crystal.positions,
            crystal.occupancies,
            crystal.b_iso_ang2,
            strict=True,
        ):
            factor = f0(element, s) + complex(*dispersion(element, CU_KALPHA1_ANG))
            phase = np.exp(2j * np.pi * sign * (hkl @ place))
            total += occupancy * factor * np.exp(-b_iso * s**2) * phase
        squares.append(np.abs(total) ** 2)
    return np.mean(squares, axis=0)


@pytest.mark.parametrize(
    "stem", ["ZnO_186", "Y3Al5O12_230", "NaZr2(PO4)3_167", "(NH4)2HPO4_14", "LiFeO2_225"]
)
def test_structure_factors_are_the_direct_sum(stem: str) -> None:
    """ZnO has no centre; garnet and struvite-like salts fill several tiles and sizes."""
    crystal = read_crystal(STRUCTURES / f"{stem}.cif")
    families = families_of(crystal, wavelength_ang=CU_KALPHA1_ANG, max_two_theta_deg=120)
    ours = squared_structure_factors(
        [Reflections(crystal, families.hkl, families.inverse_d2)], CU_KALPHA1_ANG
    )[0]
    theirs = direct_sum(crystal, families.hkl.astype(float), families.inverse_d2)
    assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-6 * theirs.max())


@pytest.mark.parametrize(
    "stem", ["MgO_225", "Mn2O3_206", "ZnO_186", "Zn2SiO4_148", "WO3_14", "CaSiO3_2"]
)
def test_families_hold_every_reflection_once(stem: str) -> None:
    crystal = read_crystal(STRUCTURES / f"{stem}.cif")
    families = families_of(
        crystal, wavelength_ang=1.0, max_two_theta_deg=60, min_two_theta_deg=25
    )
    axes = [np.arange(-n, n + 1) for n in (13, 13, 13)]
    hkl = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    inverse_d2 = np.einsum("hi,ij,hj->h", hkl, reciprocal_metric(crystal), hkl)
    low, high = (4 * np.sin(np.radians(half)) ** 2 for half in (12.5, 30))
    inside = hkl[(inverse_d2 >= low) & (inverse_d2 <= high)]
    largest = {
        max(map(tuple, (sign * index @ crystal.rotations).round().astype(int).tolist()))
        for index in inside
        for sign in (1, -1)
    }
    every = {max(image, tuple(-x for x in image)) for image in largest}
    assert families.multiplicity.sum() == len(inside)
    assert set(map(tuple, families.hkl.tolist())) <= every
    assert len(set(map(tuple, families.hkl.tolist()))) == len(families.hkl)


def test_many_at_once_are_what_each_is_alone() -> None:
    crystals = [read_crystal(reference.path) for reference in embedded()[:40]]
    together = lines_of_many(crystals, wavelength_ang=1.54, max_two_theta_deg=60)
    for crystal, lines in zip(crystals, together, strict=True):
        alone = lines_of(crystal, wavelength_ang=1.54, max_two_theta_deg=60)
        assert lines.stem == crystal.stem
        assert np.array_equal(lines.hkl, alone.hkl)
        assert lines.intensity == pytest.approx(alone.intensity, rel=1e-9)


def test_no_crystals_no_lines() -> None:
    assert lines_of_many([], wavelength_ang=1.54, max_two_theta_deg=60) == []


def test_sticks_are_placed_and_weighed_like_pymatgen() -> None:
    path = default_cifs()["Al2O3"]
    (angles, heights), *_ = stick_patterns(
        [read_crystal(path)], wavelength_ang=1.54, max_two_theta_deg=90, min_two_theta_deg=20
    )
    theirs = XRDCalculator(wavelength=1.54).get_pattern(
        CifParser(path).parse_structures(primitive=False)[0], two_theta_range=(20, 90)
    )
    assert angles.min() >= 20
    assert np.all(np.diff(angles) >= 0)
    ours = np.array([heights[np.abs(angles - angle) < 0.005].sum() for angle in theirs.x])
    strong = theirs.y > 20  # no B and no dispersion there, so only about
    assert 100 * ours[strong] / ours.max() == pytest.approx(theirs.y[strong], rel=0.15)


@pytest.mark.parametrize(("low", "high"), [(0, 180), (40, 30), (-5, 90), (0, float("nan"))])
def test_no_range_of_angles(low: float, high: float) -> None:
    crystal = read_crystal(default_cifs()["MgO"])
    with pytest.raises(BadInput, match="no range"):
        stick_patterns(
            [crystal], wavelength_ang=1.54, max_two_theta_deg=high, min_two_theta_deg=low
        )


def test_a_cell_too_large_to_count_is_refused() -> None:
    crystal = read_crystal(default_cifs()["MgO"])
    vast = replace(crystal, cell=np.array([400.0, 400, 400, 90, 90, 90]))
    with pytest.raises(BadInput, match="MgO_225: indices up to"):
        lines_of(vast, wavelength_ang=0.7, max_two_theta_deg=120)


def test_scattering_factors_end_somewhere() -> None:
    crystal = read_crystal(default_cifs()["MgO"])
    with pytest.raises(BadInput, match="scattering factors end"):
        lines_of(crystal, wavelength_ang=0.15, max_two_theta_deg=170)


def test_cache_gives_the_same(tmp_path: Path) -> None:
    crystal = read_crystal(STRUCTURES / "ZrO2_14.cif")
    first = lines_of(crystal, wavelength_ang=1.54, max_two_theta_deg=90, cache_dir=tmp_path)
    again = lines_of(crystal, wavelength_ang=1.54, max_two_theta_deg=90, cache_dir=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    assert np.array_equal(first.intensity, again.intensity)
    for field in fields(first):
        assert np.array_equal(getattr(first, field.name), getattr(again, field.name))
    assert again.strain_modes == 4


def test_many_weak_lines_are_merged_without_loss() -> None:
    crystal = read_crystal(STRUCTURES / "(NH4)2HPO4_14.cif")
    near = lines_of(crystal, wavelength_ang=1.54, max_two_theta_deg=140)
    axes = [np.arange(-n, n + 1.0) for n in (13, 9, 10)]
    hkl = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 3)
    assert len(near.intensity) <= 360
    metric = np.linalg.inv(
        np.array(
            [
                [a * b * c for b, c in zip(crystal.cell[:3], row, strict=True)]
                for a, row in zip(crystal.cell[:3], _cosines(crystal), strict=True)
            ]
        )
    )
    inverse_d2 = np.einsum("hi,ij,hj->h", hkl, metric, hkl)
    limit = (2 * np.sin(np.radians(70)) / 1.54) ** 2
    inside = (inverse_d2 > 0) & (inverse_d2 <= limit)
    total = squared_structure_factors(
        [Reflections(crystal, hkl[inside], inverse_d2[inside])], 1.54
    )[0].sum()
    kept = near.intensity.sum() * crystal.mass_g_per_mol * crystal.volume_ang3
    assert kept == pytest.approx(total, rel=1e-3)


def _cosines(crystal: Crystal) -> np.ndarray:
    alpha, beta, gamma = np.cos(np.radians(crystal.cell[3:]))
    return np.array([[1, gamma, beta], [gamma, 1, alpha], [beta, alpha, 1]])
