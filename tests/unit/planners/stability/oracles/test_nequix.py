"""Nequix against numbers that do not come from it, where its weights are at hand."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import jax
import numpy as np
import pytest

from planners.stability.crystals import Crystal
from planners.stability.oracles.calculator_oracle import CalculatorOracle
from planners.stability.oracles.chgnet import chgnet, oracle_of
from planners.stability.oracles.formation import (
    ElementEnergies,
    read_element_energies,
    uncorrected,
)
from planners.stability.oracles.nequix import ENVIRONMENT, nequix
from planners.stability.oracles.oracle import OracleError
from planners.stability.oracles.relaxation import USUAL

if find_spec("nequix") is None:
    pytest.skip("needs nequix, which the oracle extra brings", allow_module_level=True)
from planners.stability.oracles.nequix_calculator import padded_size

DATA = Path(os.environ.get("ALAB_DATA", Path(__file__).parents[6] / "shared" / "data"))
NOTHING = ElementEnergies(ev_per_atom={"Mg": 0.0, "O": 0.0}, source="nothing")


def need(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no {name} under {DATA}; set ALAB_DATA to the data folder")
    return path


def rocksalt(cation: str, anion: str, a_ang: float) -> Crystal:
    half = a_ang / 2
    return Crystal(
        lattice_ang=((0.0, half, half), (half, 0.0, half), (half, half, 0.0)),
        elements=(cation, anion),
        fractional=((0.0, 0.0, 0.0), (0.5, 0.5, 0.5)),
    )


@pytest.fixture(scope="module")
def oracle() -> CalculatorOracle:
    elements = read_element_energies(need("discovery/mp_elem_ref_entries.json.gz"))
    return nequix(elements, weights=need("models/nequix-oam-1.nqx"))


def test_formation_energies_are_on_the_scale_of_the_materials_project(
    oracle: CalculatorOracle,
) -> None:
    # mp-1265 and mp-22862 of the 2020 scheme; experiment says -3.12 and -2.13 eV/atom
    oxide, salt = oracle.relax([rocksalt("Mg", "O", 4.4), rocksalt("Na", "Cl", 5.8)])
    assert oxide.formation_energy_ev_per_atom == pytest.approx(-3.04, abs=0.04)
    assert salt.formation_energy_ev_per_atom == pytest.approx(-2.11, abs=0.04)
    assert oxide.converged
    assert oxide.relaxed is not None
    volume_ang3 = abs(np.linalg.det(np.array(oxide.relaxed.lattice_ang)))
    assert (4 * volume_ang3) ** (1 / 3) == pytest.approx(4.25, abs=0.03)  # PBE


def test_forces_and_stress_are_derivatives_of_the_energy(oracle: CalculatorOracle) -> None:
    from ase import Atoms
    from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress

    atoms = Atoms(
        ["Mg", "O"],
        cell=np.array(rocksalt("Mg", "O", 4.3).lattice_ang),
        scaled_positions=[[0.0, 0.0, 0.0], [0.47, 0.52, 0.5]],
        pbc=True,
        calculator=oracle.calculator,
    )
    forces, stress = atoms.get_forces(), atoms.get_stress()
    assert np.abs(forces).max() > 0.1
    np.testing.assert_allclose(
        calculate_numerical_forces(atoms, eps=1e-2), forces, atol=5e-3, rtol=5e-3
    )
    np.testing.assert_allclose(
        calculate_numerical_stress(atoms, eps=2e-3), stress, atol=2e-4, rtol=5e-3
    )


def test_padding_never_changes_an_energy(oracle: CalculatorOracle) -> None:
    from ase import Atoms

    one = Atoms(
        ["Na", "Cl"],
        cell=np.array(rocksalt("Na", "Cl", 5.7).lattice_ang),
        scaled_positions=[[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]],
        pbc=True,
        calculator=oracle.calculator,
    )
    triple = one.repeat((3, 1, 1))
    triple.calc = oracle.calculator
    assert triple.get_potential_energy() / 3 == pytest.approx(
        one.get_potential_energy(), abs=1e-4
    )
    np.testing.assert_allclose(triple.get_forces(), 0.0, atol=1e-4)


def test_nothing_of_the_process_is_changed(oracle: CalculatorOracle) -> None:
    before = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
    oracle.relax([rocksalt("Mg", "O", 4.25)])
    assert before is None
    assert jax.config.jax_default_matmul_precision is None  # pyright: ignore[reportAttributeAccessIssue]


def test_an_element_beyond_the_weights_is_named(oracle: CalculatorOracle) -> None:
    (found,) = oracle.relax([rocksalt("Po", "O", 5.0)])
    assert "Po" in found.refused


@pytest.mark.parametrize(
    ("atoms", "edges", "size"),
    [(2, 84, (16, 256)), (15, 256, (16, 256)), (16, 200, (32, 512)), (8, 1500, (128, 2048))],
)
def test_few_sizes_are_compiled(atoms: int, edges: int, size: tuple[int, int]) -> None:
    assert padded_size(atoms, edges) == size


def test_missing_weights_say_how_to_name_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OracleError, match=r"no Nequix weights at .*none\.nqx.*ALAB_NEQUIX"):
        nequix(NOTHING, weights=tmp_path / "none.nqx")
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    with pytest.raises(OracleError, match=r"set ALAB_NEQUIX"):
        nequix(NOTHING)
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "named.nqx"))
    with pytest.raises(OracleError, match=r"named\.nqx"):
        nequix(NOTHING)


@pytest.mark.parametrize("content", [b"", b"no json\n", b"[]\n", b'{"cutoff": 6.0}\nrest'])
def test_another_file_is_no_weights(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "wrong.nqx"
    path.write_bytes(content)
    with pytest.raises(OracleError, match=r"wrong\.nqx holds no Nequix weights"):
        nequix(NOTHING, weights=path)


def test_cut_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.nqx"
    path.write_bytes(need("models/nequix-oam-1.nqx").read_bytes()[:100_000])
    with pytest.raises(OracleError, match=r"cut\.nqx holds no Nequix weights"):
        nequix(NOTHING, weights=path)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "planners.stability.oracles.nequix_calculator", None)
    with pytest.raises(OracleError, match=r'pip install "alab\[oracle\]"'):
        nequix(NOTHING, weights=Path("any.nqx"))
    monkeypatch.setitem(sys.modules, "chgnet", None)
    with pytest.raises(OracleError, match="not installed; pip install chgnet"):
        chgnet(NOTHING)


def test_chgnets_calculator_is_asked_without_corrections(oracle: CalculatorOracle) -> None:
    # CHGNet shares the interface of every ASE calculator; only the wire is tested here
    wired = oracle_of(oracle.calculator, "CHGNet 0.4.2", oracle.elements, USUAL)
    assert wired.correction is uncorrected
    (plain,), (corrected,) = (o.relax([rocksalt("Mg", "O", 4.25)]) for o in (wired, oracle))
    assert plain.formation_energy_ev_per_atom is not None
    assert corrected.formation_energy_ev_per_atom == pytest.approx(
        plain.formation_energy_ev_per_atom - 0.687 / 2, abs=2e-3
    )
    assert wired.digest != oracle.digest
