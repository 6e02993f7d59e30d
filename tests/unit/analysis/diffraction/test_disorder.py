"""Order and disorder in patterns that xrayutilities made."""

from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from analysis.diffraction.analyze import instrument_of
from analysis.diffraction.crystal import Crystal, crystal_of, structure_of
from analysis.diffraction.disorder import Order, OrderTest, order_test
from analysis.diffraction.library import embedded
from analysis.diffraction.measured import prepare
from analysis.diffraction.parent import Parent, disordered_parents
from analysis.diffraction.pattern import Pattern
from analysis.diffraction.refine import ITERATIONS, refine, start
from analysis.diffraction.reflections import Lines, lines_of

xu = pytest.importorskip("xrayutilities")

ANGLE = np.arange(15.0, 70.0, 0.03)


def ferrite() -> Crystal:
    """γ-LiFeO2: rock salt with Li and Fe in order."""
    structure = Structure.from_spacegroup(
        "I4_1/amd",
        Lattice.tetragonal(4.057, 8.759),
        ["Fe", "Li", "O"],
        [[0, 0, 0], [0, 0, 0.5], [0, 0, 0.24]],
    )
    return crystal_of(structure, stem="LiFeO2")


def ilmenite(metal: str) -> Crystal:
    return next(one for one in embedded() if one.stem == f"{metal}TiO3_148").crystal()


def parent_of(crystal: Crystal) -> Parent:
    (parent,) = disordered_parents(crystal)
    return parent


def peaks(crystal: Crystal, folder: Path) -> np.ndarray:
    file = folder / f"{crystal.stem}.cif"
    CifWriter(structure_of(crystal)).write_file(file)
    powder = xu.simpack.Powder(xu.materials.Crystal.fromCIF(str(file)), 1)
    lines = xu.simpack.PowderDiffraction(
        powder, tt_cutoff=75, enable_simulation=False, wl=1.5405929
    )
    total = np.zeros(len(ANGLE))
    for line in lines.data.values():
        sin = np.sin(np.radians(line["ang"]))
        for wavelength_ang, share in ((1.5405929, 1.0), (1.5444274, 0.5)):
            place = 2 * np.degrees(np.arcsin(sin * wavelength_ang / 1.5405929))
            x = (ANGLE - place) / 0.09
            gauss = np.exp(-4 * np.log(2) * x**2) * (4 * np.log(2) / np.pi) ** 0.5
            total += share * line["r"] * (0.5 * gauss + (1 / np.pi) / (1 + 4 * x**2))
    return total


def measured_as(net: np.ndarray, strongest: float, seed: int) -> Pattern:
    expected = strongest * net / net.max() + 80 + 1500 / ANGLE
    counts = np.random.default_rng(seed).poisson(expected).astype(float)
    return Pattern(
        two_theta_deg=ANGLE,
        counts=counts,
        esd=np.sqrt(np.maximum(counts, 1)),
        wavelength_stated=True,
    )


def lines(crystal: Crystal) -> Lines:
    return lines_of(crystal, wavelength_ang=1.5405929, max_two_theta_deg=80.0)


def compared(ordered: Crystal, pattern: Pattern) -> OrderTest:
    measured = prepare(pattern, instrument_of(pattern))
    fit = refine(measured, start(measured, [lines(ordered)]), ITERATIONS)
    return order_test(
        measured, fit, 0, ordered=ordered, parent=parent_of(ordered), lines_of=lines
    )


@pytest.mark.parametrize("strongest", [6000.0, 300.0])
def test_order_that_is_there_is_shown(tmp_path: Path, strongest: float) -> None:
    ordered = ilmenite("Mg")
    found = compared(ordered, measured_as(peaks(ordered, tmp_path), strongest, seed=1))
    assert found.order is Order.SHOWN
    assert found.q == pytest.approx(1.0, abs=max(0.03, 3 * found.q_esd))
    assert found.preference > 100
    assert found.places_deg[:2] == pytest.approx((19.14, 21.26), abs=0.02)  # 003, 101


@pytest.mark.parametrize("make", [ferrite, lambda: ilmenite("Mg")])
def test_order_that_is_not_there_is_not_claimed(tmp_path: Path, make) -> None:
    ordered = make()
    pattern = measured_as(peaks(parent_of(ordered).crystal, tmp_path), 6000.0, seed=2)
    found = compared(ordered, pattern)
    assert found.order is Order.ABSENT
    assert abs(found.q) < max(0.05, 3 * found.q_esd)
    assert found.preference < -100
    assert found.r_wp_parent_percent < found.r_wp_ordered_percent


def test_order_of_lithium_ferrite_is_shown(tmp_path: Path) -> None:
    ordered = ferrite()
    found = compared(ordered, measured_as(peaks(ordered, tmp_path), 6000.0, seed=3))
    assert found.order is Order.SHOWN


@pytest.mark.parametrize("is_ordered", [True, False])
def test_cations_that_scatter_alike_leave_it_open(tmp_path: Path, is_ordered: bool) -> None:
    """Zr and Sn in Ba2ZrSnO6 on few counts: the claim of an autonomous laboratory."""
    ordered = crystal_of(
        Structure.from_spacegroup(
            "Fm-3m",
            Lattice.cubic(8.24),
            ["Ba", "Zr", "Sn", "O"],
            [[0.25, 0.25, 0.25], [0, 0, 0], [0.5, 0.5, 0.5], [0.25, 0, 0]],
        ),
        stem="Ba2ZrSnO6",
    )
    parent = parent_of(ordered)
    assert parent.crystal.number == 221
    made = ordered if is_ordered else parent.crystal
    found = compared(ordered, measured_as(peaks(made, tmp_path), 1000.0, seed=4))
    assert found.order is Order.INVISIBLE
    assert abs(found.preference) < 40


def test_half_of_the_order_is_measured_as_half(tmp_path: Path) -> None:
    ordered = ilmenite("Mg")
    net = 0.5 * (peaks(ordered, tmp_path) + peaks(parent_of(ordered).crystal, tmp_path))
    found = compared(ordered, measured_as(net, 1000.0, seed=5))
    assert found.order in (Order.SHOWN, Order.PARTIAL)
    assert found.q == pytest.approx(0.5, abs=0.08)
