"""Firings and structures that several tests of the world share."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Composition, Lattice, Structure

from alab.models import Atmosphere
from simulators.world.matter import Powder
from simulators.world.thermals import FurnaceThermals
from simulators.world.world import World

Fire = Callable[..., None]
Make = Callable[..., Powder]

RECIPES: dict[str, list[tuple[str, float]]] = {
    "BaTiO3": [("BaCO3", 1.0), ("TiO2", 1.0)],
    "YPO4": [("Y2O3", 0.5), ("NH4H2PO4", 1.0)],
    "Zn(FeO2)2": [("ZnO", 1.0), ("Fe2O3", 1.0)],
    "LiMn2O4": [("Li2CO3", 0.5), ("MnO2", 2.0)],
    "MgAl2O4": [("MgO", 1.0), ("Al2O3", 1.0)],
    "NaZr2(PO4)3": [("Na2CO3", 0.5), ("ZrO2", 2.0), ("NH4H2PO4", 3.0)],
}


@cache
def heating(temperature_c: float, dwell_h: float) -> list[float]:
    """Chamber temperature each minute of a firing at 5 °C/min, until it is cold."""
    furnace = FurnaceThermals(np.random.default_rng(3), 1200.0)
    ramp_min = (temperature_c - 25.0) / 5.0
    curve_c: list[float] = []
    while True:
        minute = len(curve_c)
        running = minute < ramp_min + dwell_h * 60
        before_c = furnace.temperature_c
        setpoint_c = min(temperature_c, 25.0 + 5.0 * minute) if running else None
        furnace.advance(60.0, setpoint_c, door_open=False)
        curve_c.append((before_c + furnace.temperature_c) / 2)
        if not running and furnace.temperature_c < 95.0:
            return curve_c


@pytest.fixture
def world() -> World:
    return World(0, lambda: 0.0)


@pytest.fixture
def fire() -> Fire:
    def expose(
        powder: Powder,
        temperature_c: float,
        dwell_h: float = 4.0,
        atmosphere: Atmosphere = Atmosphere.AIR,
    ) -> None:
        for minute_c in heating(temperature_c, dwell_h):
            powder.expose(60.0, minute_c, atmosphere)

    return expose


@pytest.fixture
def weigh() -> Make:
    """Stoichiometric powders in a fresh crucible, well mixed."""

    def fill(world: World, target: str, total_mg: float = 300.0) -> Powder:
        powder = world.new_crucible().powder
        parts = [(f, n * float(Composition(f).weight)) for f, n in RECIPES[target]]
        scale = total_mg / sum(mass for _, mass in parts)
        for formula, mass in parts:
            powder.add(formula, mass * scale)
        powder.mix(0.95)
        return powder

    return fill


@pytest.fixture(scope="session")
def cifs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Silicon, corundum and LaB6: cells of the NIST standards, atoms from the literature."""
    folder = tmp_path_factory.mktemp("cifs")
    structures = {
        "Si": Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.43119), ["Si"], [[0, 0, 0]]),
        "Al2O3": Structure.from_spacegroup(
            "R-3c",
            Lattice.hexagonal(4.7592, 12.9920),
            ["Al", "O"],
            [[0.0, 0.0, 0.35216], [0.30624, 0.0, 0.25]],
        ),
        "LaB6": Structure.from_spacegroup(
            "Pm-3m", Lattice.cubic(4.15689), ["La", "B"], [[0, 0, 0], [0.19964, 0.5, 0.5]]
        ),
    }
    paths = {formula: folder / f"{formula}.cif" for formula in structures}
    for formula, structure in structures.items():
        structure.to(str(paths[formula]))
    return paths
