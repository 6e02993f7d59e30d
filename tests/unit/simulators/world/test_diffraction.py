import math
import re
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from simulators.world import diffraction_surface
from simulators.world.diffraction import PROGRAMS, expected_counts, mount_of, scan
from simulators.world.matter import Charge, Powder
from simulators.world.world import World
from simulators.world.xray_lines import lines_of
from simulators.world.xray_profiles import KA1_ANG, RADIUS_MM, Grains, optics

AT = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
PROGRAM = PROGRAMS["alab_8min"]
TWO_THETA_DEG = np.linspace(PROGRAM.start_deg, PROGRAM.end_deg, PROGRAM.points)
SPACE = {"x": "http://www.xrdml.com/XRDMeasurement/2.3"}


@pytest.fixture
def world(cifs) -> World:
    return World(11, lambda: 0.0, cifs=cifs)


def powder_of(**masses_mg: float) -> Powder:
    powder = Powder()
    for formula, mass_mg in masses_mg.items():
        powder.add(formula, mass_mg)
    return powder


def net(world: World, powder: Powder, sample: str = "S1") -> np.ndarray:
    """Expected counts less those of an empty holder."""
    blank = expected_counts(world, Powder(), sample=sample, program=PROGRAM)
    return expected_counts(world, powder, sample=sample, program=PROGRAM) - blank


def area(counts: np.ndarray, low_deg: float, high_deg: float) -> float:
    window = (low_deg < TWO_THETA_DEG) & (high_deg > TWO_THETA_DEG)
    return float(counts[window].sum())


def top_deg(counts: np.ndarray, near_deg: float) -> float:
    window = np.abs(TWO_THETA_DEG - near_deg) < 0.35
    return float(TWO_THETA_DEG[window][np.argmax(counts[window])])


# NIST SRM 640 (Si), 676 (corundum) and 660 (LaB6), Cu Ka1
PUBLISHED_DEG = {
    "Si": [28.441, 47.300, 56.119, 69.126, 76.372, 88.024, 94.947],
    "Al2O3": [25.574, 35.149, 37.773, 43.351, 52.548, 57.497],
    "LaB6": [21.358, 30.384, 37.441, 43.506, 48.957],
}


@pytest.mark.parametrize("formula", PUBLISHED_DEG)
def test_lines_lie_at_the_published_angles(cifs, formula):
    lines = lines_of(cifs[formula])
    angles = 2 * np.degrees(np.arcsin(lines.q_per_ang * KA1_ANG / (4 * math.pi)))
    strong = angles[lines.textured(1.0) > 0.03 * lines.textured(1.0).max()]
    for published_deg in PUBLISHED_DEG[formula]:
        assert np.abs(strong - published_deg).min() < 0.006


def test_relative_intensities_of_silicon_are_the_published_ones(cifs):
    intensities = lines_of(cifs["Si"]).textured(1.0)[:5]  # ICDD 5-565
    assert intensities / intensities[0] * 100 == pytest.approx([100, 60, 35, 8, 13], abs=6)


def test_reference_intensity_ratio_of_silicon_is_the_published_one(world):
    """I/I_corundum of Si 111 against corundum 113 in a 1:1 mixture by weight is 4.7."""
    counts = net(world, powder_of(Si=50.0, Al2O3=50.0))
    ratio = area(counts, 27.9, 29.0) / area(counts, 42.9, 43.9)
    assert ratio == pytest.approx(4.7, rel=0.15)


def test_amounts_show_in_proportion(world):
    even = net(world, powder_of(Si=50.0, LaB6=50.0))
    tilted = net(world, powder_of(Si=75.0, LaB6=25.0))
    ratio = [area(c, 27.9, 29.0) / area(c, 29.9, 30.9) for c in (even, tilted)]
    assert ratio[1] / ratio[0] == pytest.approx(3.0, rel=0.02)


def test_a_displaced_specimen_shifts_its_lines(world):
    samples = [f"S{number}" for number in range(8)]
    heights_mm = [mount_of(world, sample).displacement_mm for sample in samples]
    low, high = samples[int(np.argmin(heights_mm))], samples[int(np.argmax(heights_mm))]
    found = [top_deg(net(world, powder_of(Si=1.0), s), 28.44) for s in (low, high)]
    expected = -2 * (max(heights_mm) - min(heights_mm)) * math.cos(math.radians(14.22))
    assert found[1] - found[0] == pytest.approx(math.degrees(expected / RADIUS_MM), abs=0.02)


def test_small_and_strained_grains_broaden_lines():
    def width(size_nm: float, strain_percent: float) -> float:
        profiles = optics().profiles(Grains(size_nm=size_nm, strain_percent=strain_percent))
        shape = profiles._shapes[KA1_ANG][35]
        assert shape.sum() * 0.005 == pytest.approx(1.0)
        return float((shape > shape.max() / 2).sum()) * 0.005

    coarse = width(500.0, 0.0)
    assert coarse < 0.15
    assert width(30.0, 0.0) > coarse + 0.2
    assert width(500.0, 0.3) > coarse + 0.1


def test_the_profile_comes_with_both_wavelengths(world):
    counts = net(world, powder_of(Si=1.0))
    ka1_deg = top_deg(counts, 88.02)
    first, second = (
        counts[np.abs(TWO_THETA_DEG - at_deg) < 0.06].max()
        for at_deg in (ka1_deg, ka1_deg + 0.275)
    )
    between = counts[np.abs(TWO_THETA_DEG - ka1_deg - 0.17) < 0.03].min()
    assert 0.4 < second / first < 0.7
    assert between < second


def test_glass_and_powders_without_a_structure_give_a_hump(world):
    glassy = Powder(None, "", Charge(moles={"P2O5": 0.5, "Si": 1.0}, glass={"P2O5": 1.0}))
    unknown = powder_of(Si=28.0, GdF3=71.0)
    clean = expected_counts(world, powder_of(Si=1.0), sample="S", program=PROGRAM)
    for powder in (glassy, unknown):
        counts = expected_counts(world, powder, sample="S", program=PROGRAM)
        assert area(counts, 20.0, 26.0) > area(clean, 20.0, 26.0) * 1.2
        assert counts.max() < clean.max()


def test_a_scan_is_a_file_like_the_instruments(world):
    content = scan(
        world, powder_of(Si=10.0), sample="A & B", program="alab_8min", started_at=AT
    )
    root = ET.fromstring(content)  # noqa: S314
    assert root.findtext(".//x:sample/x:id", namespaces=SPACE) == "A & B"
    started = root.findtext(".//x:startTimeStamp", namespaces=SPACE)
    ended = root.findtext(".//x:endTimeStamp", namespaces=SPACE)
    assert started == "2026-01-05T09:30:00+00:00"
    assert ended == "2026-01-05T09:38:07+00:00"
    text = root.findtext(".//x:counts", namespaces=SPACE) or ""
    assert re.fullmatch(r"\d+( \d+){8281}", text)
    position = root.find(".//x:positions[@axis='2Theta']", SPACE)
    assert position is not None
    assert position.findtext("x:startPosition", namespaces=SPACE) == "10.00943322"
    assert position.findtext("x:endPosition", namespaces=SPACE) == "99.99442286"


def test_counts_scatter_as_counts_do(world):
    powder = powder_of(Si=50.0, LaB6=50.0)
    expected = expected_counts(world, powder, sample="S", program=PROGRAM)
    content = scan(world, powder, sample="S", program="alab_8min", started_at=AT)
    text = ET.fromstring(content).findtext(".//x:counts", namespaces=SPACE)  # noqa: S314
    counts = np.array((text or "").split(), dtype=float)
    assert ((counts - expected) ** 2 / expected).mean() == pytest.approx(1.0, abs=0.06)


def test_the_same_scan_is_the_same_and_a_second_one_is_not(world, cifs):
    def measure(seed: int, minute: int) -> bytes:
        return scan(
            World(seed, lambda: 0.0, cifs=cifs),
            powder_of(Si=10.0),
            sample="S",
            program="alab_2min",
            started_at=AT.replace(minute=minute),
        )

    assert measure(1, 0) == measure(1, 0)
    assert measure(1, 0) != measure(1, 20)
    assert measure(1, 0) != measure(2, 0)


def test_an_unknown_program_is_an_error(world):
    with pytest.raises(KeyError, match="overnight"):
        scan(world, Powder(), sample="S", program="overnight", started_at=AT)


def test_a_file_without_atoms_is_refused(tmp_path):
    empty = tmp_path / "empty.cif"
    empty.write_text("data_empty\n_cell_length_a 4\n", encoding="utf-8")
    with pytest.raises(ValueError, match="holds no atoms"):
        lines_of(empty)


def test_absorption_by_the_other_phase_weakens_lines(world, cifs, monkeypatch):
    """Klug & Alexander: I/I_pure = w (μ/ρ) / Σ wᵢ (μ/ρ)ᵢ; Si has 63.7 cm²/g (ITC C)."""
    silicon, boride = (
        lines.absorption_per_cm / lines.density_g_per_cm3
        for lines in (lines_of(cifs["Si"]), lines_of(cifs["LaB6"]))
    )
    assert silicon == pytest.approx(63.7, rel=0.07)
    monkeypatch.setattr(diffraction_surface, "PARTICLE_DIAMETER_UM", 0.0)
    pure = area(net(world, powder_of(Si=100.0)), 27.9, 29.0)
    mixed = area(net(world, powder_of(Si=50.0, LaB6=50.0)), 27.9, 29.0)
    assert mixed / pure == pytest.approx(silicon / (silicon + boride), rel=0.03)


def test_coarse_grains_that_absorb_more_show_less(world, monkeypatch):
    """LaB6 absorbs ten times as much as Si: the coarser the grains, the less of it shows."""
    powder = powder_of(Si=50.0, LaB6=50.0)
    shown = []
    for diameter_um in (0.0, 2.0, 8.0):
        monkeypatch.setattr(diffraction_surface, "PARTICLE_DIAMETER_UM", diameter_um)
        counts = net(world, powder)
        shown.append(area(counts, 29.9, 30.9) / area(counts, 27.9, 29.0))
    assert 0.7 < shown[1] / shown[0] < 0.98
    assert shown[2] < shown[1]


@pytest.mark.parametrize("excess_per_cm", [-400.0, 0.0, 900.0])
def test_microabsorption_of_small_spheres_is_that_of_their_mean_path(excess_per_cm):
    """A point in a sphere lies 3/4 R from its surface along any direction, on the mean."""
    factor = diffraction_surface.microabsorption(excess_per_cm, 1.0)
    assert math.log(factor) == pytest.approx(-excess_per_cm * 0.75 * 1e-4, abs=0.002)
    assert (factor == 1.0) == (excess_per_cm == 0.0)


def test_a_rough_surface_hides_lines_at_low_angles():
    sine = np.sin(np.radians([5.0, 10.0, 30.0, 45.0]))
    smooth, rough = (diffraction_surface.roughness(p, sine) for p in (0.0, 0.03))
    assert smooth == pytest.approx(1.0)
    assert np.all(np.diff(rough) > 0)
    assert 0.75 < rough[0] < 0.9
    assert rough[3] == pytest.approx(1.0, abs=0.02)


def test_a_little_kbeta_comes_through(world):
    """Kβ of Si 111 (d = 3.1356 Å) stands at 25.65°."""
    counts = net(world, powder_of(Si=1.0))
    main, ghost = area(counts, 27.9, 29.0), area(counts, 25.45, 25.85)
    beside = area(counts, 24.65, 25.05)
    assert (ghost - beside) / main == pytest.approx(0.004 / 1.5, rel=0.25)


def test_a_nonstandard_setting_keeps_all_its_reflections(tmp_path):
    cell, atoms = (6.83, 7.07, 6.50, 90.0, 103.3, 90.0), [("La", 0.28, 0.16, 0.10)]
    operations = ["x,y,z", "1/2-x,1/2+y,1/2-z", "-x,-y,-z", "1/2+x,1/2-y,1/2+z"]
    full = Structure(
        Lattice.from_parameters(*cell),
        ["La"] * 4,
        [[0.28, 0.16, 0.10], [0.22, 0.66, 0.40], [-0.28, -0.16, -0.10], [0.78, 0.34, 0.60]],
    )
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    short = tmp_path / "short.cif"
    short.write_text(
        "data_monazite\n_space_group_name_H-M_alt 'P 1 21/n 1'\n_space_group_IT_number 14\n"
        + "".join(f"_cell_{n} {v}\n" for n, v in zip(names, cell, strict=True))
        + "loop_\n_space_group_symop_operation_xyz\n"
        + "".join(f"'{operation}'\n" for operation in operations)
        + "loop_\n_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n"
        + "_atom_site_fract_y\n_atom_site_fract_z\n"
        + "".join(f"{e}1 {e} {x} {y} {z}\n" for e, x, y, z in atoms),
        encoding="utf-8",
    )
    long = tmp_path / "long.cif"
    full.to(str(long))
    one, other = (lines_of(path).textured(1.0) for path in (short, long))
    assert one == pytest.approx(other, rel=1e-3)
